//! Code systems that are a grammar and not a list: their codes are checked by rule.
//! <https://hl7.org/fhir/R4/terminologies-systems.html>

mod language;

use super::filter::Filter;
use crate::ucum::{self, Unit};

/// A system whose codes follow rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RuleSystem {
    /// Language tags, RFC 5646.
    Language,
    /// MIME types, RFC 6838.
    MimeType,
    /// Units of measure, UCUM.
    Unit,
    /// Those units that measure the same as this one.
    UnitLike(Box<Unit>),
}

impl RuleSystem {
    pub(super) fn of(url: &str) -> Option<Self> {
        match url {
            "urn:ietf:bcp:47" => Some(Self::Language),
            "urn:ietf:bcp:13" => Some(Self::MimeType),
            "http://unitsofmeasure.org" => Some(Self::Unit),
            _ => None,
        }
    }

    /// The part of it that a filter takes, where that can be said: UCUM knows `canonical = m`, all units of length.
    /// <https://hl7.org/fhir/R4/ucum.html>
    pub(super) fn filtered(self, filter: &Filter) -> Option<Self> {
        let unit = match self {
            Self::Unit => filter.equals("canonical").and_then(ucum::parse)?,
            _ => return None,
        };
        Some(Self::UnitLike(Box::new(unit)))
    }

    /// Whether the code follows the rule; None when that cannot be told.
    pub(super) fn has(&self, code: &str) -> Option<bool> {
        match self {
            Self::Language => Some(language::is_tag(code)),
            Self::MimeType => Some(is_mime_type(code)),
            Self::Unit => unit(code, |_| true),
            Self::UnitLike(other) => unit(code, |unit| unit.is_comparable(other)),
        }
    }
}

/// The table of units holds the metric ones whole, but not every customary one (`[smoot]`), and R4 itself lists
/// annotations with spaces: of those it cannot be told whether they are wrong.
fn unit(code: &str, is_wanted: impl Fn(&Unit) -> bool) -> Option<bool> {
    match ucum::parse(code) {
        Some(unit) => Some(is_wanted(&unit)),
        None if code.contains(['[', '{']) => None,
        None => Some(false),
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
            assert_eq!(RuleSystem::MimeType.has(good), Some(true), "{good}");
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
            assert_eq!(RuleSystem::MimeType.has(bad), Some(false), "{bad}");
        }
    }

    #[test]
    fn units_follow_their_grammar_and_dimension() {
        let units = RuleSystem::of("http://unitsofmeasure.org").unwrap();
        for (code, expected) in [
            ("mm[Hg]", Some(true)),
            ("{score}", Some(true)),
            ("kilos", Some(false)),
            ("", Some(false)),
            ("[no_such_unit]", None),
        ] {
            assert_eq!(units.has(code), expected, "{code}");
        }
        let filter = crate::json::parse(br#"{"property":"canonical","op":"=","value":"m"}"#);
        let lengths = units.filtered(&Filter::read(&filter.unwrap())).unwrap();
        assert_eq!(lengths.has("km"), Some(true));
        assert_eq!(lengths.has("kg"), Some(false));
        let filter = crate::json::parse(br#"{"property":"canonical","op":"is-a","value":"m"}"#);
        let other = RuleSystem::Unit.filtered(&Filter::read(&filter.unwrap()));
        assert!(other.is_none());
    }
}
