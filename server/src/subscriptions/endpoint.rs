//! Where something is sent, and with which headers: nothing that reaches into the house, nothing that forges a request.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hyper::Uri;
use hyper::header::{HeaderName, HeaderValue};

use crate::config::Deliveries;
use crate::limits;

/// A URL that something can be sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    pub uri: Uri,
}

/// Headers that are the sender's own business.
const OURS: &[&str] = &[
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "webhook-id",
    "webhook-signature",
    "webhook-timestamp",
];

/// Ports below 1024 that webhooks are at.
const PORTS: &[u16] = &[80, 443];

impl Endpoint {
    /// Nothing is sent anywhere: who is told comes here.
    pub fn none() -> Self {
        Self {
            uri: Uri::default(),
        }
    }

    /// `schemes`: how it may begin.
    pub fn parse(url: &str, schemes: &[&str]) -> Result<Self, String> {
        let usual = schemes.last().copied().unwrap_or_default();
        let expected =
            |told: &str| format!("expected a URL such as {usual}://example.org/hook: {told}");
        if url.contains('#') || url.contains(char::is_whitespace) {
            return Err(expected("no fragment and no spaces"));
        }
        let uri: Uri = url.parse().map_err(|_| expected("this is none"))?;
        if !uri
            .scheme_str()
            .is_some_and(|scheme| schemes.contains(&scheme))
        {
            return Err(expected(&schemes.join(" or ")));
        }
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        if authority.contains('@') {
            return Err(expected("no user in it, headers are for that"));
        }
        let has_host = uri.host().is_some_and(|host| !host.is_empty());
        let has_port = uri.port_u16() != Some(0) && !authority.ends_with(':');
        match has_host && has_port {
            true => Ok(Self { uri }),
            false => Err(expected("a host, and a port that is none of 0")),
        }
    }

    /// Credentials are bound to this: scheme, host and port.
    pub fn origin(&self) -> String {
        let host = self.uri.host().unwrap_or_default().to_ascii_lowercase();
        format!("{}://{host}:{}", self.scheme(), self.port())
    }

    pub fn scheme(&self) -> &str {
        self.uri.scheme_str().unwrap_or_default()
    }

    pub fn port(&self) -> u16 {
        let usual = if self.scheme() == "https" { 443 } else { 80 };
        self.uri.port_u16().unwrap_or(usual)
    }

    /// What can be told without looking up its name.
    pub fn check(&self, settings: &Deliveries) -> Result<(), String> {
        let host = self.uri.host().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        match host.parse::<IpAddr>() {
            Ok(address) => may_reach(settings, self.scheme(), (host, address), self.port()),
            Err(_) if self.scheme() == "http" && settings.allow.is_empty() => Err(
                "expected https: in the clear only those addresses are told that the operator allows (outbound_allow)"
                    .to_owned(),
            ),
            Err(_) => Ok(()),
        }
    }
}

/// Whether something may be sent to an address: what is not public, and what travels in the clear, only where the operator
/// allows it.
pub fn may_reach(
    settings: &Deliveries,
    scheme: &str,
    (host, address): (&str, IpAddr),
    port: u16,
) -> Result<(), String> {
    let plain = plain(address);
    let mut allowed = settings.allow.iter();
    if allowed.any(|exit| exit.leads_to(host, plain, port)) {
        return Ok(());
    }
    let told = match (is_public(plain), scheme) {
        (false, _) => {
            "this address is not public, and the operator does not allow it (outbound_allow)"
        }
        (true, "https") if port >= 1024 || PORTS.contains(&port) => return Ok(()),
        (true, "mllps") => return Ok(()),
        (true, "https") => "no webhook is at this port",
        (true, _) => {
            "expected https: in the clear only those addresses are told that the operator allows (outbound_allow)"
        }
    };
    Err(told.to_owned())
}

/// The address that is really reached: IPv6 has many ways to write one of IPv4.
fn plain(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else {
        return address;
    };
    let [a, b, c, d, e, f, g, h] = v6.segments();
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    };
    match [a, b, c, d, e, f] {
        // Mapped, translated (also with local prefixes), and the old form.
        [0, 0, 0, 0, 0, 0xffff] | [0, 0, 0, 0, 0xffff, 0] | [0x64, 0xff9b, 0, 0, 0, 0] => {
            embedded(g, h)
        }
        [0, 0, 0, 0, 0, 0] if g != 0 || h > 1 => embedded(g, h),
        // 6to4
        [0x2002, high, low, ..] => embedded(high, low),
        _ => address,
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let is_reserved = match (a, b, c) {
        (0 | 240.., ..) | (100, 64..=127, _) | (198, 18..=19, _) => true,
        (192, b, c) => matches!((b, c), (0, 0) | (88, 99)),
        _ => false,
    };
    !(is_reserved
        || address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation())
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    // Only what is given out for the whole world, without what is for documents, tunnels and tests.
    let [first, second, ..] = address.segments();
    (0x2000..=0x3fff).contains(&first)
        && !(first == 0x2001 && (second < 0x200 || second == 0xdb8))
        && first != 0x3fff
}

/// A line `Name: value` of `Subscription.channel.header`.
pub(super) fn header(line: &str) -> Result<(String, String), String> {
    let expected = |told: &str| format!("expected `Name: value`: {told}");
    if line.len() > limits::DELIVERY_HEADER_BYTES_MAX {
        return Err(expected("this is too long"));
    }
    let (name, value) = line.split_once(':').ok_or_else(|| expected("a colon"))?;
    let read = HeaderName::from_bytes(name.as_bytes());
    let read = read.map_err(|_| expected("this is no name of a header"))?;
    if OURS.contains(&read.as_str()) || read.as_str().starts_with("proxy-") {
        return Err(expected("this header is the sender's own business"));
    }
    let value = value.trim_matches([' ', '\t']);
    let is_plain = |byte: u8| byte == b'\t' || (b' '..=b'~').contains(&byte);
    match value.bytes().all(is_plain) && HeaderValue::from_str(value).is_ok() {
        true => Ok((name.to_owned(), value.to_owned())),
        false => Err(expected("a value is of letters, digits and signs of ASCII")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(url: &str, allow: &[&str]) -> Result<(), String> {
        let settings = Deliveries {
            allow: allow
                .iter()
                .map(|network| network.parse().unwrap())
                .collect(),
            ..Deliveries::default()
        };
        Endpoint::parse(url, &["http", "https"])?.check(&settings)
    }

    /// T-13
    #[test]
    fn what_reaches_into_the_house_is_refused_however_it_is_written() {
        for url in [
            "https://127.0.0.1/",
            "https://127.1.2.3/",
            "https://0.0.0.0/",
            "https://10.0.0.1/",
            "https://172.16.0.1/",
            "https://192.168.1.1/",
            "https://169.254.169.254/latest/meta-data",
            "https://100.64.0.1/",
            "https://198.18.0.1/",
            "https://192.0.0.8/",
            "https://224.0.0.1/",
            "https://255.255.255.255/",
            "https://240.0.0.1/",
            "https://203.0.113.1/",
            "https://[::1]/",
            "https://[::]/",
            "https://[::ffff:127.0.0.1]/",
            "https://[::ffff:a9fe:a9fe]/",
            "https://[64:ff9b::7f00:1]/",
            "https://[64:ff9b:1::7f00:1]/",
            "https://[2002:7f00:1::]/",
            "https://[fe80::1]/",
            "https://[fc00::1]/",
            "https://[fd00:ec2::254]/",
            "https://[ff02::1]/",
            "https://[2001:db8::1]/",
            "https://[2001::1]/",
            "https://[::127.0.0.1]/",
            "https://[fec0::1]/",
            "http://example.org/",
            "http://1.1.1.1/",
            "https://user@example.org/",
            "https://u:p@example.org/",
            "https://1.1.1.1:22/",
            "https://1.1.1.1:0/",
            "ftp://example.org/",
            "file:///etc/passwd",
            "gopher://x/",
            "javascript:alert(1)",
            "//example.org/",
            "example.org",
            "https://",
            "https:///x",
            "https://example.org/#x",
            "https://exa mple.org/",
            "https://1.1.1.1:25/",
            "",
        ] {
            assert!(told(url, &[]).is_err(), "{url}");
        }
        for url in [
            "https://1.1.1.1/",
            "https://1.1.1.1:8443/x?y",
            "https://example.org",
            "https://[2606:4700::1111]/",
        ] {
            assert_eq!(told(url, &[]), Ok(()), "{url}");
        }
        assert_eq!(told("http://127.0.0.1:9/", &["127.0.0.0/8"]), Ok(()));
        assert_eq!(
            told("http://[::ffff:127.0.0.1]:9/", &["127.0.0.0/8"]),
            Ok(())
        );
        assert!(told("http://10.0.0.1/", &["127.0.0.0/8"]).is_err());
        assert_eq!(told("http://10.0.0.1:9/", &["10.0.0.1:9"]), Ok(()));
        assert!(told("http://10.0.0.1:8/", &["10.0.0.1:9"]).is_err());
    }

    /// T-15
    #[test]
    fn headers_forge_no_request() {
        for line in [
            "Host: x",
            "host: x",
            "Content-Length: 1",
            "Transfer-Encoding: chunked",
            "Connection: close",
            "Proxy-Authorization: x",
            "proxy-anything: x",
            "TE: x",
            "Trailer: x",
            "Upgrade: x",
            "Keep-Alive: x",
            "Expect: 100-continue",
            "Content-Type: text/html",
            "Webhook-Id: 1",
            "Webhook-Signature: 1",
            "Webhook-Timestamp: 1",
            "X: a\r\nY: b",
            "X: a\nY: b",
            "X: a\rb",
            "X: a\0b",
            "X\r\n: a",
            "X Y: a",
            "X : a",
            ": a",
            "",
            "X",
            "X: \u{e9}",
            "X: a\u{7f}",
            "\u{e9}: a",
            "X\t: a",
            "X(: a",
            "X: a\u{2028}b",
        ] {
            assert!(header(line).is_err(), "{line:?}");
        }
        assert_eq!(
            header("Authorization:  Bearer a:b "),
            Ok(("Authorization".into(), "Bearer a:b".into()))
        );
        assert_eq!(header("X-Y:"), Ok(("X-Y".into(), String::new())));
        assert!(
            header(&format!(
                "X: {}",
                "a".repeat(limits::DELIVERY_HEADER_BYTES_MAX)
            ))
            .is_err()
        );
    }

    #[test]
    fn credentials_are_bound_to_scheme_host_and_port() {
        let origin = |url: &str| Endpoint::parse(url, &["http", "https"]).unwrap().origin();
        assert_eq!(origin("https://Example.org/a?b"), "https://example.org:443");
        assert_ne!(origin("https://example.org"), origin("http://example.org"));
        assert_ne!(
            origin("https://example.org"),
            origin("https://example.org.evil.test")
        );
        assert_ne!(
            origin("https://example.org"),
            origin("https://example.org:444")
        );
    }
}
