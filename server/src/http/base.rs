//! The address of the FHIR base as the client knows it: what `Location` and links begin with.
//! <https://hl7.org/fhir/R4/http.html#general>, <https://www.rfc-editor.org/rfc/rfc7239>

use actix_web::HttpRequest;
use actix_web::http::header::{self, HeaderName};

use super::routes::FHIR;
use crate::config::{Outside, is_host};

/// What the settings say, else what a proxy says that is believed, else the address that the request came to.
pub(super) fn of(outside: &Outside, request: &HttpRequest) -> String {
    if let Some(url) = &outside.public_url {
        return format!("{url}{FHIR}");
    }
    let proxy = request
        .peer_addr()
        .filter(|peer| outside.trusts(peer.ip()))
        .map(|_| Forwarded::of(request))
        .unwrap_or_default();
    let host = proxy.host.or_else(|| header(request, &header::HOST));
    match host.filter(|host| is_host(host)) {
        Some(host) if proxy.is_https || outside.is_https => format!("https://{host}{FHIR}"),
        Some(host) => format!("http://{host}{FHIR}"),
        None => FHIR.to_owned(),
    }
}

/// What a proxy says of the request that it got.
#[derive(Default)]
struct Forwarded<'r> {
    host: Option<&'r str>,
    is_https: bool,
}

impl<'r> Forwarded<'r> {
    /// The standard header decides when it is there; of several proxies the first one met the client.
    fn of(request: &'r HttpRequest) -> Self {
        let Some(forwarded) = header(request, &header::FORWARDED) else {
            let first = |name: HeaderName| Some(header(request, &name)?.split(',').next()?.trim());
            let scheme = first(header::X_FORWARDED_PROTO);
            return Self {
                host: first(header::X_FORWARDED_HOST),
                is_https: scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("https")),
            };
        };
        let mut said = Self::default();
        let first = forwarded.split(',').next().unwrap_or_default();
        for (name, value) in first.split(';').filter_map(|pair| pair.split_once('=')) {
            let value = value.trim().trim_matches('"');
            match name.trim().to_ascii_lowercase().as_str() {
                "host" => said.host = Some(value),
                "proto" => said.is_https = value.eq_ignore_ascii_case("https"),
                _ => {}
            }
        }
        said
    }
}

fn header<'r>(request: &'r HttpRequest, name: &HeaderName) -> Option<&'r str> {
    request.headers().get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn base(outside: &Outside, peer: &str, headers: &[(&str, &str)]) -> String {
        let mut request = TestRequest::get()
            .peer_addr(peer.parse().unwrap())
            .insert_header(("Host", "inside:8080"));
        for header in headers {
            request = request.append_header(*header);
        }
        of(outside, &request.to_http_request())
    }

    #[test]
    fn the_settings_decide_then_a_trusted_proxy_then_the_request() {
        const PROXY: &str = "10.0.0.9:1234";
        let plain = Outside::default();
        let behind = Outside {
            trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()],
            ..Outside::default()
        };
        let named = Outside {
            public_url: Some("https://example.org/kiln/".parse().unwrap()),
            ..behind.clone()
        };
        let inside = "http://inside:8080/fhir";
        let x = [
            ("X-Forwarded-Host", "fhir.example.org, other"),
            ("X-Forwarded-Proto", "https"),
        ];
        let standard = [(
            "Forwarded",
            "for=1.2.3.4;Host=\"fhir.example.org:8443\";proto=https, for=10.0.0.1;host=other",
        )];
        assert_eq!(base(&plain, PROXY, &x), inside);
        assert_eq!(base(&behind, PROXY, &[]), inside);
        assert_eq!(base(&behind, "11.0.0.9:1234", &x), inside);
        assert_eq!(base(&behind, PROXY, &x), "https://fhir.example.org/fhir");
        let expected = "https://fhir.example.org:8443/fhir";
        assert_eq!(base(&behind, PROXY, &standard), expected);
        assert_eq!(base(&behind, PROXY, &[standard[0], x[0], x[1]]), expected);
        assert_eq!(base(&named, PROXY, &x), "https://example.org/kiln/fhir");
        let hostile = [
            ("X-Forwarded-Host", "a\"><script>"),
            ("X-Forwarded-Proto", "x"),
        ];
        assert_eq!(base(&behind, PROXY, &hostile), "/fhir");
    }
}
