//! Code systems that are a grammar and not a list: their codes are checked by rule.
//! <https://hl7.org/fhir/R4/terminologies-systems.html>

mod language;

/// A system whose codes follow rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RuleSystem {
    /// Language tags, RFC 5646.
    Language,
    /// MIME types, RFC 6838.
    MimeType,
}

impl RuleSystem {
    pub(super) fn of(url: &str) -> Option<Self> {
        match url {
            "urn:ietf:bcp:47" => Some(Self::Language),
            "urn:ietf:bcp:13" => Some(Self::MimeType),
            _ => None,
        }
    }

    pub(super) fn has(self, code: &str) -> bool {
        match self {
            Self::Language => language::is_tag(code),
            Self::MimeType => is_mime_type(code),
        }
    }
}

/// `type/subtype`, with parameters perhaps. CapabilityStatement.format binds to the same value set and says
/// "xml | json | ttl | mime type", so those three count too.
fn is_mime_type(code: &str) -> bool {
    if matches!(code, "xml" | "json" | "ttl") {
        return true;
    }
    let essence = code.split(';').next().unwrap_or_default().trim_end();
    let Some((kind, subtype)) = essence.split_once('/') else {
        return false;
    };
    is_restricted_name(kind) && is_restricted_name(subtype)
}

/// RFC 6838 section 4.2; `*` is the wildcard of RFC 7231, which FHIR documents use.
fn is_restricted_name(name: &str) -> bool {
    let is_name_letter =
        |letter: u8| letter.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&letter);
    name == "*"
        || (1..=127).contains(&name.len())
            && name.bytes().all(is_name_letter)
            && name.starts_with(|letter: char| letter.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mime_types() {
        for good in [
            "text/plain",
            "application/fhir+json",
            "text/html; charset=UTF-8",
            "image/*",
            "json",
        ] {
            assert!(RuleSystem::MimeType.has(good), "{good}");
        }
        for bad in [
            "",
            "text",
            "text/",
            "/plain",
            "a b/c",
            "text/pl/ain",
            "-a/b",
        ] {
            assert!(!RuleSystem::MimeType.has(bad), "{bad}");
        }
    }
}
