//! Where people are led back to: only ever to an address that was registered, to the letter.
//! <https://www.rfc-editor.org/rfc/rfc9700#section-2.1>

const BYTES_MAX: usize = 2_048;

/// Whether an address may be registered at all.
pub fn is_fit(uri: &str) -> bool {
    let is_plain = uri.is_ascii()
        && uri.len() <= BYTES_MAX
        && !uri.contains(|c: char| c.is_ascii_control() || " #\"<>\\^`{|}".contains(c));
    let Some((scheme, rest)) = uri.split_once(':').filter(|_| is_plain) else {
        return false;
    };
    let host = rest.strip_prefix("//").map(|rest| {
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        rest.split_at(end).0
    });
    let is_named = |host: &str| !host.is_empty() && !host.contains('@');
    match scheme {
        "https" => host.is_some_and(is_named),
        "http" => host.is_some_and(is_here),
        // RFC 8252: the name of a domain that is the app's, reversed.
        _ => {
            scheme.contains('.')
                && scheme.starts_with(|c: char| c.is_ascii_lowercase())
                && scheme.chars().all(|c| {
                    c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-' | '+')
                })
        }
    }
}

/// Whether a host, with or without a port, is this machine.
fn is_here(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    matches!(name, "localhost" | "127.0.0.1" | "::1")
}

/// What a browser calls the place of a page, or the scheme of an app that is no page.
pub fn origin(uri: &str) -> &str {
    let Some((scheme, rest)) = uri.split_once("://") else {
        return uri.split_inclusive(':').next().unwrap_or_default();
    };
    if !matches!(scheme, "http" | "https") {
        return uri.split_inclusive(':').next().unwrap_or_default();
    }
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    uri.split_at(scheme.len() + "://".len() + end).0
}

/// The address with more parameters behind it.
pub fn with(uri: &str, parameters: &[(&str, &str)]) -> String {
    let mark = if uri.contains('?') { '&' } else { '?' };
    let mut written = form_urlencoded::Serializer::new(String::new());
    for (name, value) in parameters {
        written.append_pair(name, value);
    }
    format!("{uri}{mark}{}", written.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_registered() {
        for fit in [
            "https://app.example.org/cb",
            "https://app.example.org:8443/cb?x=1",
            "http://localhost:3000/cb",
            "http://127.0.0.1/cb",
            "http://[::1]:9/cb",
            "org.example.app:/cb",
        ] {
            assert!(is_fit(fit), "{fit}");
        }
        for unfit in [
            "",
            "app",
            "http://app.example.org/cb",
            "http://localhost.example.org/cb",
            "http://localhost@example.org/cb",
            "https://app.example.org/cb#x",
            "https://me@app.example.org/cb",
            "https:///cb",
            "javascript:alert(1)",
            "data:text/html,x",
            "https://app.example.org/ cb",
            "https://app.example.org/\ncb",
        ] {
            assert!(!is_fit(unfit), "{unfit}");
        }
        assert_eq!(origin("https://a.org:1/x?y"), "https://a.org:1");
        assert_eq!(origin("org.example.app:/cb"), "org.example.app:");
        assert_eq!(
            with("https://a/?b=c", &[("d", "e f")]),
            "https://a/?b=c&d=e+f"
        );
    }
}
