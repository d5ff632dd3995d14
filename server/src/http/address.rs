//! From which address a caller comes, proxies that are believed left out.
//! <https://www.rfc-editor.org/rfc/rfc7239#section-5.2>

use std::net::{IpAddr, SocketAddr};

use actix_web::HttpRequest;
use actix_web::http::header;

use crate::config::Outside;

/// The last one of those that the request came by which is no trusted proxy: what stands before it anybody may have written.
pub(super) fn of(outside: &Outside, request: &HttpRequest) -> Option<IpAddr> {
    let peer = request.peer_addr()?.ip();
    if !outside.trusts(peer) {
        return Some(peer);
    }
    let mut nearest = peer;
    for address in said(request).into_iter().rev() {
        match address {
            Some(address) => nearest = address,
            // Hidden or no address: nobody is known beyond.
            None => break,
        }
        if !outside.trusts(nearest) {
            break;
        }
    }
    Some(nearest)
}

/// What proxies say of whom they got the request from, the first one first. The standard header decides when it is there.
fn said(request: &HttpRequest) -> Vec<Option<IpAddr>> {
    let lines = |name: &header::HeaderName| {
        let lines = request
            .headers()
            .get_all(name)
            .filter_map(|line| line.to_str().ok());
        lines
            .flat_map(|line| line.split(','))
            .collect::<Vec<&str>>()
    };
    let forwarded = lines(&header::FORWARDED);
    if forwarded.is_empty() {
        return lines(&header::X_FORWARDED_FOR)
            .into_iter()
            .map(address)
            .collect();
    }
    let of_hop = |hop: &str| {
        let pairs = hop.split(';').filter_map(|pair| pair.split_once('='));
        let mut named = pairs.filter(|(name, _)| name.trim().eq_ignore_ascii_case("for"));
        address(named.next()?.1.trim().trim_matches('"'))
    };
    forwarded.into_iter().map(of_hop).collect()
}

/// With or without a port, of IPv6 in brackets or not.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'));
    let address = bare.unwrap_or(text).parse().ok();
    address.or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip()))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn proxies_are_believed_and_nobody_else() {
        let outside = Outside {
            trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()],
            ..Outside::default()
        };
        let seen = |peer: &str, name: &str, value: &str| {
            let request = TestRequest::get()
                .peer_addr(peer.parse().unwrap())
                .insert_header((name, value))
                .to_http_request();
            of(&outside, &request).unwrap().to_string()
        };
        for (peer, name, value, expected) in [
            ("8.8.8.8:1", "X-Forwarded-For", "1.1.1.1", "8.8.8.8"),
            ("10.0.0.1:1", "X-Forwarded-For", "1.1.1.1", "1.1.1.1"),
            (
                "10.0.0.1:1",
                "X-Forwarded-For",
                "6.6.6.6, 1.1.1.1",
                "1.1.1.1",
            ),
            (
                "10.0.0.1:1",
                "X-Forwarded-For",
                "6.6.6.6, 1.1.1.1, 10.2.3.4",
                "1.1.1.1",
            ),
            (
                "10.0.0.1:1",
                "X-Forwarded-For",
                "1.1.1.1, unknown",
                "10.0.0.1",
            ),
            (
                "10.0.0.1:1",
                "Forwarded",
                "for=1.1.1.1;proto=https",
                "1.1.1.1",
            ),
            (
                "10.0.0.1:1",
                "Forwarded",
                "for=6.6.6.6, For=\"[2001:db8::1]:99\"",
                "2001:db8::1",
            ),
            ("10.0.0.1:1", "Forwarded", "proto=https", "10.0.0.1"),
            ("10.0.0.1:1", "X-Other", "1.1.1.1", "10.0.0.1"),
        ] {
            assert_eq!(seen(peer, name, value), expected, "{peer} {name}: {value}");
        }
    }
}
