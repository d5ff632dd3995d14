//! What the text index knows of a resource.
//!
//! The content is all of its text: what people write and read. Dates and numbers, references, data in base64 and the urls
//! that name code systems and extensions are none: they are found by other parameters, and would make the index twice as
//! large.

use std::collections::BTreeSet;

use fhir_spec::json::{Data, Object, Value};
use fhir_spec::narrative;

use super::language::Language;
use super::words::marked;
use crate::extract;
use crate::hash;
use crate::plan::{Leaf, Take};
use crate::registry::{Parameter, Registry};
use crate::types::token::Form;

/// Members that hold no text, wherever they stand.
const NO_TEXT: &[&str] = &[
    "resourceType",
    "meta",
    "reference",
    "system",
    "data",
    "hash",
    "div",
];

/// A resource as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    pub(super) resource_type: i32,
    /// Each is `marked`, for the cutter of words.
    pub(super) narrative: Vec<String>,
    pub(super) content: Vec<String>,
    pub(super) beside: Vec<String>,
}

impl Document {
    /// None: it is no resource of a known type.
    pub fn of(registry: &Registry, resource: &Value) -> Option<Self> {
        let known = registry.of(resource.str_of("resourceType")?)?;
        let language = Language::of_tag(resource.str_of("language"));
        let mut document = Self {
            resource_type: hash::short(&known.name),
            narrative: Vec::new(),
            content: Vec::new(),
            beside: Vec::new(),
        };
        let narrative = resource.get("text").and_then(|text| text.str_of("div"));
        document
            .narrative
            .extend(narrative.map(|div| marked(language, "", &narrative::plain(div))));
        content(resource, &mut |text| {
            document.content.push(marked(language, "", text));
        });
        let mut beside = |leaf: &Leaf, value: &Value| {
            let before = before(leaf.path);
            texts(&leaf.take, value, &mut |text| {
                document.beside.push(marked(language, &before, text));
            });
        };
        known.root.visit(resource, &mut beside);
        // What cannot be worked out has no text; whoever stores the resource is told.
        let _problems = extract::compute(registry, known, resource, |node, value| {
            node.visit(value, &mut beside);
        });
        document.beside.sort_unstable();
        document.beside.dedup();
        Some(document)
    }
}

/// A number for the elements that are told apart: where it is another one, documents are made anew.
pub fn parameters_of(registry: &Registry) -> i64 {
    let all = registry.definitions().search_parameters().iter();
    let told = all.filter(|parameter| matches!(&*parameter.kind, "token" | "reference"));
    let sum = told.fold(0, |sum: i64, parameter| {
        let text = format!("{} {}", parameter.base.join(","), parameter.expression);
        sum.wrapping_add(hash::long(&text))
    });
    // Of those that users have posted the elements that nobody else knows.
    let mut paths = BTreeSet::new();
    for own in registry.own() {
        for known in own
            .definition
            .base
            .iter()
            .filter_map(|name| registry.of(name))
        {
            let is_own = |p: &&Parameter| registry.own().iter().any(|o| o.definition.url == p.url);
            let (own, others): (Vec<_>, Vec<_>) = known.parameters().iter().partition(is_own);
            let others: BTreeSet<i32> = others.into_iter().flat_map(text_paths).collect();
            let own = own.into_iter().flat_map(text_paths);
            paths.extend(own.filter(|path| !others.contains(path)));
        }
    }
    paths
        .into_iter()
        .fold(sum, |sum, path| sum.wrapping_add(hash::long(&before(path))))
}

fn text_paths(parameter: &Parameter) -> impl Iterator<Item = i32> {
    let sources = parameter.sources.iter();
    sources
        .filter(|source| source.element.has_text)
        .map(|source| source.path)
}

/// What stands before each word that belongs to a path: always of the same length.
pub(super) fn before(path: i32) -> String {
    format!("{path:08x}")
}

/// Whether elements of this kind have text beside them.
pub(crate) fn has_text(take: &Take) -> bool {
    matches!(
        take,
        Take::Token(Form::Coding | Form::CodeableConcept | Form::Identifier { .. })
            | Take::Reference(crate::types::reference::Form::Reference { .. })
    )
}

fn texts(take: &Take, value: &Value, text: &mut impl FnMut(&str)) {
    let concept = |value: &Value, text: &mut dyn FnMut(&str)| {
        value.str_of("text").into_iter().for_each(&mut *text);
        let codings = value.items_of("coding").iter();
        codings
            .filter_map(|coding| coding.str_of("display"))
            .for_each(text);
    };
    match take {
        _ if !has_text(take) => {}
        Take::Token(Form::CodeableConcept) => concept(value, text),
        Take::Token(Form::Identifier { .. }) => {
            if let Some(kind) = value.get("type") {
                concept(kind, text);
            }
        }
        _ => value.str_of("display").into_iter().for_each(text),
    }
}

/// All text within a value.
fn content(value: &Value, text: &mut impl FnMut(&str)) {
    match &value.data {
        Data::String(written) if !is_date(written) && !written.starts_with('#') => text(written),
        Data::Array(items) => items.iter().for_each(|item| content(item, text)),
        Data::Object(object) => members(object, text),
        _ => {}
    }
}

fn members(object: &Object, text: &mut impl FnMut(&str)) {
    let is_extension = |name: &str| {
        name == "url"
            && object
                .iter()
                .any(|(name, _)| name.starts_with("value") || name == "extension")
    };
    for (name, value) in object.iter() {
        if !NO_TEXT.contains(&name) && !name.ends_with("Base64Binary") && !is_extension(name) {
            content(value, text);
        }
    }
}

/// Partial dates, dates with times, times.
fn is_date(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_digit() || b"-:.+TZ".contains(&byte);
    let begins = text.as_bytes().first_chunk::<4>();
    begins.is_some_and(|begins| begins.iter().all(u8::is_ascii_digit) || text.contains(':'))
        && text.contains(['-', ':'])
        && text.bytes().all(is_part)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use fhir_spec::definitions::Definitions;

    use super::*;

    fn document(text: &str) -> Document {
        let definitions = Definitions::r4().with_packages(Vec::new()).0;
        let registry = Registry::new(Arc::new(definitions));
        let resource = fhir_spec::json::parse(text.as_bytes()).unwrap();
        Document::of(&registry, &resource).unwrap()
    }

    fn plain(marked: &[String]) -> Vec<&str> {
        let text = |marked: &'_ String| marked.rsplit('\u{1}').next().unwrap().len();
        let all = marked.iter();
        all.map(|m| m.split_at(m.len() - text(m)).1).collect()
    }

    #[test]
    fn a_condition_in_german() {
        let document = document(
            r##"{"resourceType": "Condition", "id": "c", "language": "de-AT", "meta": {"versionId": "7", "tag": [{"display": "Marke"}]},
            "text": {"status": "generated", "div": "<div xmlns=\"http://www.w3.org/1999/xhtml\"><p>Entz\u00fcndung</p></div>"},
            "contained": [{"resourceType": "Practitioner", "id": "p", "name": [{"family": "Huber"}]}],
            "extension": [{"url": "http://example.org/x", "valueString": "Zusatz"}],
            "code": {"coding": [{"system": "http://snomed.info/sct", "code": "57773001", "display": "Ost\u00e9omy\u00e9lite"}], "text": "Knochen"},
            "subject": {"reference": "Patient/1", "display": "Anna Muster"}, "recorder": {"reference": "#p"},
            "identifier": [{"type": {"text": "Fallnummer"}, "value": "F-1"}],
            "onsetDateTime": "2024-03-01T10:00:00+01:00", "recordedDate": "2024-03",
            "note": [{"text": "12:30 Uhr", "time": "2024-03-01T10:00:00Z"}]}"##,
        );
        assert_eq!(
            plain(&document.narrative),
            [" Entzündung "].map(str::trim_start)
        );
        assert_eq!(
            plain(&document.content),
            [
                "c",
                "de-AT",
                "generated",
                "p",
                "Huber",
                "Zusatz",
                "57773001",
                "Ostéomyélite",
                "Knochen",
                "Anna Muster",
                "Fallnummer",
                "F-1",
                "12:30 Uhr"
            ]
        );
        let mut beside = plain(&document.beside);
        beside.sort_unstable();
        assert_eq!(
            beside,
            [
                "Anna Muster",
                "Fallnummer",
                "Knochen",
                "Marke",
                "Ostéomyélite"
            ]
        );
        assert!(document.narrative[0].starts_with("de\u{1}"));
    }

    #[test]
    fn what_is_no_text_is_left_out() {
        for (value, is_text) in [
            ("2024", true),
            ("2024-03", false),
            ("2024-03-01T10:00:00.5Z", false),
            ("10:30:00", false),
            ("555-1234", true),
            ("12345", true),
            ("F-1", true),
        ] {
            assert_eq!(!is_date(value), is_text, "{value}");
        }
        let binary = document(
            r#"{"resourceType": "Binary", "contentType": "text/plain", "data": "aGVsbG8="}"#,
        );
        assert_eq!(plain(&binary.content), ["text/plain"]);
    }
}
