//! References: what the text of `Reference.reference` points at.
//! <https://hl7.org/fhir/R4/references.html#literal>

/// A literal reference, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Literal<'a> {
    /// `#id`, or `#` alone for the resource that contains this one.
    Contained(&'a str),
    /// `Patient/1`, `Patient/1/_history/2`.
    Relative(Target<'a>),
    /// `https://example.org/fhir/Patient/1`: a target on the server whose base comes before it.
    Absolute { base: &'a str, target: Target<'a> },
    /// `urn:uuid:...` or `urn:oid:...`: an entry of the bundle around it.
    Urn(&'a str),
    /// Any other url: it names no FHIR resource by its form.
    Other(&'a str),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target<'a> {
    pub resource_type: &'a str,
    pub id: &'a str,
    pub version: Option<&'a str>,
}

impl<'a> Literal<'a> {
    /// None: no reference at all (empty text, or a relative one that is not `Type/id`).
    pub fn parse(text: &'a str) -> Option<Self> {
        if let Some(id) = text.strip_prefix('#') {
            return Some(Self::Contained(id));
        }
        if text.starts_with("urn:") {
            return Some(Self::Urn(text));
        }
        let Some((scheme, _)) = text.split_once("://") else {
            return Target::parse(text)
                .filter(|(base, _)| base.is_empty())
                .map(|(_, target)| Self::Relative(target));
        };
        let is_http = scheme == "http" || scheme == "https";
        match Target::parse(text).filter(|(base, _)| is_http && base.len() > scheme.len() + 3) {
            Some((base, target)) => Some(Self::Absolute { base, target }),
            None => Some(Self::Other(text)),
        }
    }

    /// The type and id it names, when its form says so.
    pub fn target(&self) -> Option<Target<'a>> {
        match self {
            Self::Relative(target) | Self::Absolute { target, .. } => Some(*target),
            _ => None,
        }
    }
}

impl<'a> Target<'a> {
    /// Splits `[base/]Type/id[/_history/version]`; the base comes without its last slash.
    fn parse(text: &'a str) -> Option<(&'a str, Self)> {
        let (path, version) = match text.split_once("/_history/") {
            Some((path, version)) => (path, Some(version)),
            None => (text, None),
        };
        let (before, id) = path.rsplit_once('/')?;
        let (base, resource_type) = before.rsplit_once('/').unwrap_or(("", before));
        let is_type = resource_type
            .bytes()
            .next()
            .is_some_and(|first| first.is_ascii_uppercase())
            && resource_type.bytes().all(|byte| byte.is_ascii_alphabetic());
        let target = Self {
            resource_type,
            id,
            version,
        };
        (is_type && is_id(id) && version.is_none_or(is_id)).then_some((base, target))
    }
}

/// Whether a text is a FHIR id: 1 to 64 letters, digits, dots and hyphens.
pub fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.')
}

/// Whether a uri has a scheme.
pub fn is_absolute(uri: &str) -> bool {
    uri.split_once(':').is_some_and(|(scheme, rest)| {
        !rest.is_empty()
            && scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target<'a>(resource_type: &'a str, id: &'a str, version: Option<&'a str>) -> Target<'a> {
        Target {
            resource_type,
            id,
            version,
        }
    }

    #[test]
    fn every_form_is_told_apart() {
        let parse = Literal::parse;
        assert_eq!(parse("#a"), Some(Literal::Contained("a")));
        assert_eq!(
            parse("Patient/1"),
            Some(Literal::Relative(target("Patient", "1", None)))
        );
        assert_eq!(
            parse("Patient/1/_history/2"),
            Some(Literal::Relative(target("Patient", "1", Some("2"))))
        );
        assert_eq!(
            parse("https://h.org/r4/Patient/1"),
            Some(Literal::Absolute {
                base: "https://h.org/r4",
                target: target("Patient", "1", None)
            })
        );
        assert_eq!(parse("urn:uuid:1"), Some(Literal::Urn("urn:uuid:1")));
        for other in [
            "http://h.org/about",
            "http://Patient/1",
            "ftp://h/Patient/1",
        ] {
            assert_eq!(parse(other), Some(Literal::Other(other)));
        }
        for none in [
            "",
            "Patient",
            "patient/1",
            "x/Patient/1",
            "Patient/",
            "Patient/a b",
            "Patient/1/_history/",
        ] {
            assert_eq!(parse(none), None, "{none}");
        }
    }
}
