//! Web pages of other origins: which may ask (CORS), and that the others cannot write.
//! <https://fetch.spec.whatwg.org/#http-cors-protocol>

use std::net::Ipv4Addr;

use actix_web::http::Method;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};

use crate::config::{Origin, Outside};
use crate::fault::{Fault, Kind};

const EXPOSED: HeaderValue = HeaderValue::from_static(
    "Content-Location, ETag, Last-Modified, Location, Preference-Applied, Retry-After, X-Request-Id",
);
const ALLOWED: HeaderValue = HeaderValue::from_static(
    "Accept, Authorization, Content-Encoding, Content-Type, If-Match, If-Modified-Since, If-None-Exist, \
     If-None-Match, Prefer, X-Api-Key, X-Request-Id",
);
/// Where pages of all origins may send forms: apps that run in browsers come from anywhere.
const OPEN_TO_PAGES: &[&str] = &[
    "/auth/authorize",
    "/auth/token",
    "/auth/revoke",
    "/auth/userinfo",
    "/auth/introspect",
];
/// How long a browser may keep what a preflight said, in seconds.
const KEPT_FOR: HeaderValue = HeaderValue::from_static("7200");

/// A browser sends simple requests of any page without asking first; what they would change must not change. Other
/// clients send no `Origin`.
pub(super) fn refuse_foreign_pages(
    outside: &Outside,
    request: &HttpRequest,
    is_of_app: bool,
) -> Result<(), Fault> {
    if !is_known_host(outside, request) {
        let diagnostics = "this server is not known under the name in the Host header (public_url)";
        return Err(Fault::new(Kind::Forbidden, diagnostics));
    }
    let changes_nothing = matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    );
    // What comes in at these doors is let in by what it says itself: the forms of people bear a mark.
    let is_for_all = OPEN_TO_PAGES.contains(&request.path());
    match origin(request) {
        Some(_) if is_for_all || is_of_app => Ok(()),
        Some(origin) if !changes_nothing && allowed(outside, origin).is_none() => {
            if is_own(outside, request, origin) {
                return Ok(());
            }
            let diagnostics = "web pages of this origin may not write here (cors_origins)";
            Err(Fault::new(Kind::Forbidden, diagnostics))
        }
        _ => Ok(()),
    }
}

/// A browser opens websockets of any page, and lets it read what comes: whoever listens must be of here.
pub(super) fn refuse_foreign_sockets(
    outside: &Outside,
    request: &HttpRequest,
) -> Result<(), Fault> {
    match origin(request) {
        Some(origin) if allowed(outside, origin).is_none() && !is_own(outside, request, origin) => {
            let diagnostics = "web pages of this origin may not listen here (cors_origins)";
            Err(Fault::new(Kind::Forbidden, diagnostics))
        }
        _ => Ok(()),
    }
}

/// A page can have its own name lead to this machine, and then the browser takes the server for the page's own (DNS
/// rebinding). It can do that with a name of the public DNS, not with an address and not with a name without a dot.
fn is_known_host(outside: &Outside, request: &HttpRequest) -> bool {
    let host = request.headers().get(header::HOST);
    let Some(host) = host.and_then(|host| host.to_str().ok()) else {
        return true;
    };
    let name = host_name(host);
    !name.contains('.')
        || name.parse::<Ipv4Addr>().is_ok()
        || name.ends_with(".localhost")
        || outside.public_url.as_ref().is_some_and(|url| {
            let (_, rest) = url.as_str().split_once("://").unwrap_or_default();
            let own = rest.split('/').next().unwrap_or_default();
            name.eq_ignore_ascii_case(host_name(own))
        })
        || request
            .peer_addr()
            .is_some_and(|peer| outside.trusts(peer.ip()))
}

/// Without the port. An address of IPv6 stands in brackets and has no dot, or is one of IPv4 in disguise.
fn host_name(host: &str) -> &str {
    match host.starts_with('[') {
        true => "ipv6",
        false => host.split(':').next().unwrap_or_default(),
    }
}

/// Says on an answer who may read it, and on the answer to a preflight what may be asked.
/// `is_of_app`: a page of an app that is registered asks.
pub(super) fn allow(
    outside: &Outside,
    request: &HttpRequest,
    response: &mut HttpResponse,
    is_of_app: bool,
) {
    if outside.cors_origins.is_empty() && !is_of_app {
        return;
    }
    let headers = response.headers_mut();
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    let allowed = origin(request).and_then(|origin| match is_of_app {
        true => Some(origin.clone()),
        false => allowed(outside, origin),
    });
    let Some(allowed) = allowed else {
        return;
    };
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    let asked = request
        .headers()
        .contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    if asked
        && *request.method() == Method::OPTIONS
        && let Some(methods) = headers.get(header::ALLOW).cloned()
    {
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED);
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, KEPT_FOR);
    }
}

pub(super) fn origin(request: &HttpRequest) -> Option<&HeaderValue> {
    request.headers().get(header::ORIGIN)
}

/// What to answer an origin that may ask. Never with credentials: `*` is for everyone, and a page brings its own token.
fn allowed(outside: &Outside, origin: &HeaderValue) -> Option<HeaderValue> {
    outside.cors_origins.iter().find_map(|one| match one {
        Origin::Any => Some(HeaderValue::from_static("*")),
        Origin::Only(name) => (origin == name.as_str()).then(|| origin.clone()),
    })
}

/// Whether the page came from this server.
fn is_own(outside: &Outside, request: &HttpRequest, origin: &HeaderValue) -> bool {
    let own = super::base::of(outside, request);
    origin.to_str().is_ok_and(|origin| {
        own.strip_prefix(origin)
            .is_some_and(|rest| rest.starts_with('/'))
    })
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn names_that_a_page_could_lead_here_are_not_known() {
        let named = Outside {
            public_url: Some("https://FHIR.example.org:8443/kiln".parse().unwrap()),
            trusted_proxies: vec!["10.0.0.9".parse().unwrap()],
            ..Outside::default()
        };
        let is_known = |outside: &Outside, peer: &str, host: &str| {
            let request = TestRequest::get()
                .peer_addr(peer.parse().unwrap())
                .insert_header((header::HOST, host));
            is_known_host(outside, &request.to_http_request())
        };
        const SOMEBODY: &str = "127.0.0.1:1";
        for host in [
            "127.0.0.1:8080",
            "localhost",
            "localhost:8080",
            "[::1]:8080",
            "kiln",
            "a.localhost:1",
        ] {
            assert!(is_known(&Outside::default(), SOMEBODY, host), "{host}");
        }
        for host in [
            "evil.example.org",
            "evil.example.org:8080",
            "127.0.0.1.example.org",
            "localhost.example.org",
        ] {
            assert!(!is_known(&Outside::default(), SOMEBODY, host), "{host}");
            assert!(!is_known(&named, SOMEBODY, host), "{host}");
            assert!(is_known(&named, "10.0.0.9:1", host), "{host}");
        }
        assert!(is_known(&named, SOMEBODY, "fhir.example.org"));
    }
}
