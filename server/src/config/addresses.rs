//! Addresses among the settings: where clients find the server, whom it believes about that, and whose pages may ask.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::Deserialize;

/// Where clients find what the server has at `/`: a scheme, a host, and a path when a proxy puts one in front.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct PublicUrl(String);

/// An IP address, or all that begin alike: `10.0.0.0/8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

/// Where the server may call although it is not public: all of a network, or one port of a host.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Exit {
    Network(Network),
    /// A name or an address; the port.
    Host(String, u16),
}

/// The origin of a web page, or every origin.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Origin {
    Any,
    /// As a browser says it in `Origin`: scheme, host, and the port when it is not the scheme's own.
    Only(String),
}

impl PublicUrl {
    /// Without a slash at its end.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PublicUrl {
    type Err = String;

    fn from_str(url: &str) -> Result<Self, String> {
        let url = url.trim_end_matches('/');
        let path = host_and_rest(url).map(|(_, rest)| rest);
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._~-".contains(c);
        match path {
            Some(path) if path.chars().all(is_plain) => Ok(Self(url.to_owned())),
            _ => Err(
                "expected a URL such as https://fhir.example.org or https://example.org/kiln"
                    .to_owned(),
            ),
        }
    }
}

impl FromStr for Origin {
    type Err = String;

    fn from_str(origin: &str) -> Result<Self, String> {
        match host_and_rest(origin) {
            _ if origin == "*" => Ok(Self::Any),
            Some((_, "")) => Ok(Self::Only(origin.to_ascii_lowercase())),
            _ => Err("expected `*` or an origin such as https://app.example.org".to_owned()),
        }
    }
}

/// What stands between the scheme and the path of a URL, and what follows.
fn host_and_rest(url: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    let (host, path) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    (matches!(scheme, "http" | "https") && is_host(host)).then_some((host, path))
}

/// A name or an address, with a port or without; an address of IPv6 in brackets.
pub fn is_host(host: &str) -> bool {
    let (name, port) = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port)) if address.parse::<std::net::Ipv6Addr>().is_ok() => (
            "ipv6",
            port.strip_prefix(':').or(port.is_empty().then_some("0")),
        ),
        Some(_) => return false,
        None => match host.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (host, Some("0")),
        },
    };
    let is_name = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    !name.is_empty()
        && name.len() <= 253
        && name.chars().all(is_name)
        && port.is_some_and(|port| port.parse::<u16>().is_ok())
}

impl Network {
    /// This machine.
    pub const LOOPBACK: [Self; 2] = [
        Self {
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            bits: 8,
        },
        Self {
            address: IpAddr::V6(Ipv6Addr::LOCALHOST),
            bits: 128,
        },
    ];

    pub fn contains(self, address: IpAddr) -> bool {
        let (own, other) = (self.address, address.to_canonical());
        own.is_ipv4() == other.is_ipv4() && leading(own, self.bits) == leading(other, self.bits)
    }
}

impl Exit {
    /// Whether it leads to this host, to what its name leads to, at this port.
    pub fn leads_to(&self, host: &str, address: IpAddr, port: u16) -> bool {
        match self {
            Self::Network(network) => network.contains(address),
            Self::Host(own, at) => {
                let is_same = match own.parse::<IpAddr>() {
                    Ok(own) => own == address,
                    Err(_) => own.eq_ignore_ascii_case(host),
                };
                is_same && *at == port
            }
        }
    }
}

impl FromStr for Exit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(network) = text.parse() {
            return Ok(Self::Network(network));
        }
        let read = || {
            let (host, port) = text.rsplit_once(':')?;
            let port = port.parse().ok().filter(|port| *port > 0)?;
            let name = host.trim_start_matches('[').trim_end_matches(']');
            is_host(text).then(|| Self::Host(name.to_owned(), port))
        };
        let expected =
            "expected a network such as 10.0.0.0/8, or host:port such as lab.example:8443";
        read().ok_or_else(|| expected.to_owned())
    }
}

/// The first bits of an address.
fn leading(address: IpAddr, bits: u8) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits().checked_shr(32 - u32::from(bits)).unwrap_or(0)),
        IpAddr::V6(v6) => v6.to_bits().checked_shr(128 - u32::from(bits)).unwrap_or(0),
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let read = || {
            let address: IpAddr = address.parse().ok()?;
            let most = if address.is_ipv4() { 32 } else { 128 };
            let bits = bits.map_or(Ok(most), str::parse).ok()?;
            (bits <= most).then_some(Self { address, bits })
        };
        read().ok_or_else(|| "expected an IP address or a network such as 10.0.0.0/8".to_owned())
    }
}

macro_rules! from_text {
    ($($name:ident)+) => {$(
        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                text.parse()
            }
        }
    )+};
}

from_text!(PublicUrl Network Origin Exit);

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_urls() {
        for (url, read) in [
            ("https://fhir.example.org/", "https://fhir.example.org"),
            ("http://localhost:8080", "http://localhost:8080"),
            (
                "https://[2001:db8::1]:8443/kiln",
                "https://[2001:db8::1]:8443/kiln",
            ),
        ] {
            assert_eq!(url.parse::<PublicUrl>().unwrap().as_str(), read);
        }
        for wrong in [
            "",
            "fhir.example.org",
            "ftp://example.org",
            "https://",
            "https://a b",
            "https://user@example.org",
            "https://example.org?x=1",
            "https://example.org/a#b",
            "https://example.org:99999",
            "https://[::1",
        ] {
            assert!(wrong.parse::<PublicUrl>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn origins() {
        assert_eq!("*".parse(), Ok(Origin::Any));
        let only = |origin: &str| Ok(Origin::Only(origin.to_owned()));
        assert_eq!(
            "https://App.example.org".parse(),
            only("https://app.example.org")
        );
        assert_eq!(
            "http://localhost:3000".parse(),
            only("http://localhost:3000")
        );
        for wrong in [
            "",
            "null",
            "app.example.org",
            "https://a/",
            "https://*.example.org",
        ] {
            assert!(wrong.parse::<Origin>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn exits() {
        let leads = |exit: &str, host: &str, address: &str, port| {
            let exit: Exit = exit.parse().unwrap();
            exit.leads_to(host, address.parse().unwrap(), port)
        };
        assert!(leads("10.0.0.0/8", "a", "10.1.1.1", 1) && leads("10.0.0.1", "a", "10.0.0.1", 9));
        assert!(leads("lab.example:8443", "LAB.example", "10.0.0.1", 8443));
        assert!(leads("10.0.0.1:80", "any", "10.0.0.1", 80));
        assert!(leads("[::1]:80", "any", "::1", 80));
        assert!(!leads("lab.example:8443", "lab.example", "10.0.0.1", 443));
        assert!(!leads(
            "lab.example:8443",
            "lab.example.evil.test",
            "10.0.0.1",
            8443
        ));
        assert!(!leads("10.0.0.1:80", "any", "10.0.0.2", 80));
        for wrong in [
            "",
            "lab.example",
            "lab.example:",
            "lab.example:0",
            "lab:99999",
            "a b:1",
            "::1:80x",
        ] {
            assert!(wrong.parse::<Exit>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn networks() {
        let contains = |network: &str, address: &str| {
            let network: Network = network.parse().unwrap();
            network.contains(address.parse().unwrap())
        };
        assert!(contains("10.0.0.0/8", "10.255.0.1") && contains("127.0.0.1", "127.0.0.1"));
        assert!(contains("10.0.0.0/8", "::ffff:10.0.0.1") && contains("0.0.0.0/0", "9.9.9.9"));
        assert!(contains("2001:db8::/32", "2001:db8:1::1") && contains("::/0", "::1"));
        assert!(!contains("10.0.0.0/8", "11.0.0.1") && !contains("127.0.0.1", "127.0.0.2"));
        assert!(!contains("::/0", "127.0.0.1") && !contains("0.0.0.0/0", "::1"));
        for wrong in [
            "",
            "10.0.0.0/33",
            "::/129",
            "localhost",
            "10.0.0.0/",
            "10.0.0",
        ] {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
    }
}
