//! How a document is written: JSON or XML. <https://hl7.org/fhir/R4/formats.html>

use crate::definitions::Definitions;
use crate::json::{self, Value};
use crate::outcome::Issue;
use crate::xml;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Json,
    Xml,
}

impl Format {
    pub const ALL: &[Self] = &[Self::Json, Self::Xml];

    /// What a text begins with tells: XML with `<`; all else can only be JSON.
    pub fn of(text: &[u8]) -> Self {
        let text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text);
        match text.iter().find(|byte| !byte.is_ascii_whitespace()) {
            Some(b'<') => Self::Xml,
            _ => Self::Json,
        }
    }

    /// By media type or by the short name that `_format` may use. What its parameters ask for must be what is spoken
    /// here: UTF-8 and R4. <https://hl7.org/fhir/R4/http.html#version-parameter>
    pub fn named(name: &str) -> Option<Self> {
        let mut parts = name.split(';').map(str::trim);
        let media = parts.next().unwrap_or_default();
        if !parts.all(is_spoken) {
            return None;
        }
        Self::ALL.iter().copied().find(|format| {
            format
                .names()
                .iter()
                .any(|other| media.eq_ignore_ascii_case(other))
        })
    }

    pub fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/fhir+json",
            Self::Xml => "application/fhir+xml",
        }
    }

    fn names(self) -> &'static [&'static str] {
        match self {
            Self::Json => &[
                "application/fhir+json",
                "application/json",
                "text/json",
                "json",
            ],
            Self::Xml => &["application/fhir+xml", "application/xml", "text/xml", "xml"],
        }
    }

    /// All that keeps a text from being a document comes back at once.
    pub fn read(self, text: &[u8], definitions: &Definitions) -> Result<Value, Vec<Issue>> {
        match self {
            Self::Json => json::parse(text).map_err(|malformed| vec![Issue::from(&malformed)]),
            Self::Xml => xml::read(text, definitions),
        }
    }

    /// The error: XML cannot carry a character of the document.
    pub fn write(self, document: &Value, definitions: &Definitions) -> Result<String, Issue> {
        match self {
            Self::Json => Ok(document.to_string()),
            Self::Xml => xml::write(document, definitions),
        }
    }
}

/// Whether a parameter of a media type asks for nothing else than Kiln does.
fn is_spoken(parameter: &str) -> bool {
    let Some((name, value)) = parameter.split_once('=') else {
        return true;
    };
    let value = value.trim().trim_matches('"');
    match name.trim().to_ascii_lowercase().as_str() {
        "charset" => value.eq_ignore_ascii_case("utf-8") || value.eq_ignore_ascii_case("us-ascii"),
        "fhirversion" => value == "4.0" || value.starts_with("4.0."),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_found_by_its_names_and_by_its_text() {
        assert_eq!(
            Format::named("application/fhir+json; charset=utf-8"),
            Some(Format::Json)
        );
        assert_eq!(Format::named("TEXT/XML"), Some(Format::Xml));
        assert_eq!(
            Format::named("application/fhir+xml; fhirVersion=4.0"),
            Some(Format::Xml)
        );
        for other in [
            "text/html",
            "application/json; charset=iso-8859-1",
            "application/fhir+json; fhirVersion=3.0",
            "application/fhir+json; FHIRVERSION=\"5.0\"",
        ] {
            assert_eq!(Format::named(other), None, "{other}");
        }
        assert_eq!(Format::of("\u{feff} \n<Patient/>".as_bytes()), Format::Xml);
        assert_eq!(Format::of(b"{}"), Format::Json);
        assert_eq!(Format::of(b""), Format::Json);
    }

    #[test]
    fn what_one_format_says_the_other_says_too() {
        let definitions = Definitions::r4();
        let text = br#"{"resourceType":"Patient","active":true}"#;
        let patient = Format::Json.read(text, definitions).unwrap();
        let xml = Format::Xml.write(&patient, definitions).unwrap();
        assert_eq!(
            Format::Xml.read(xml.as_bytes(), definitions).unwrap(),
            patient
        );
        assert!(Format::Xml.read(b"<Patient>", definitions).is_err());
    }
}
