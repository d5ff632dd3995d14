//! Documents made up by chance: of some twenty types, full of what makes searches hard.
//!
//! References of every form, dates of every precision, amounts with and without units, codings that lack this or that,
//! names with accents. The values come from small pools, so that documents share them.

#![expect(
    clippy::indexing_slicing,
    reason = "these are members of JSON objects, which are made when they are set"
)]

mod elements;
mod resources;

use serde_json::{Value, json};

use super::random::Random;

/// The types, and how many of a hundred documents are of each.
const TYPES: &[(&str, usize)] = &[
    ("Organization", 6),
    ("Practitioner", 6),
    ("Location", 4),
    ("Patient", 12),
    ("Group", 3),
    ("Encounter", 10),
    ("Observation", 20),
    ("Condition", 8),
    ("DiagnosticReport", 5),
    ("ServiceRequest", 6),
    ("MedicationRequest", 4),
    ("ValueSet", 4),
    ("RiskAssessment", 4),
    ("CarePlan", 3),
    ("DocumentReference", 3),
    ("List", 2),
];

#[derive(Debug)]
pub struct Maker {
    pub random: Random,
    /// The url of the server that is going to hold them.
    base: String,
    count: usize,
    /// Types of contained resources that the document at hand refers to.
    contained: Vec<String>,
}

impl Maker {
    /// Makes documents as if there were so many.
    pub fn new(random: Random, base: &str, count: usize) -> Self {
        Self {
            random,
            base: base.to_owned(),
            count,
            contained: Vec::new(),
        }
    }

    /// All documents, as JSON texts, by type and id.
    pub fn all(&mut self) -> Vec<(String, String)> {
        let mut all = Vec::new();
        for (kind, _) in TYPES {
            for number in 0..self.number_of(kind) {
                let path = format!("{kind}/{}", id(kind, number));
                let text = self.document(kind, number);
                all.push((path, text));
            }
        }
        all
    }

    fn number_of(&self, kind: &str) -> usize {
        let share = TYPES.iter().find(|(name, _)| *name == kind);
        share.map_or(0, |(_, share)| (self.count * share / 100).max(2))
    }

    /// A document of a type, as JSON text.
    pub fn document(&mut self, kind: &str, number: usize) -> String {
        self.contained.clear();
        let mut document = self.resource(kind);
        let meta = self.meta();
        let contained = self.inner(number);
        if let Some(object) = document.as_object_mut() {
            object.insert("resourceType".into(), kind.into());
            object.insert("id".into(), id(kind, number).into());
            if !contained.is_empty() {
                object.insert("contained".into(), contained.into());
            }
            if let Some(meta) = meta {
                object.insert("meta".into(), meta);
            }
            object.retain(|_, value| !value.is_null());
        }
        // Decimals keep the digits that they were written with.
        document
            .to_string()
            .replace("\"@decimal:", "")
            .replace("@\"", "")
    }

    /// What the document contains, made apart from everything else.
    fn inner(&mut self, number: usize) -> Vec<Value> {
        let kinds = self.contained.clone();
        let seed = u64::try_from(number).unwrap_or_default();
        let random = std::mem::replace(&mut self.random, Random::new(seed));
        let inner = kinds.iter().map(|kind| {
            let mut inner = self.resource(kind);
            if let Some(object) = inner.as_object_mut() {
                object.insert("resourceType".into(), kind.as_str().into());
                object.insert("id".into(), "inner".into());
                object.retain(|_, value| !value.is_null());
            }
            inner
        });
        let inner = inner.collect();
        self.random = random;
        inner
    }

    fn meta(&mut self) -> Option<Value> {
        self.random.is(40).then(|| {
            let mut meta = json!({"tag": [self.coding("tag")]});
            if self.random.is(30) {
                meta["security"] = json!([self.coding("security")]);
            }
            if self.random.is(30) {
                let version = self.random.pick(&["", "|1", "|2"]);
                meta["profile"] = json!([format!("http://example.org/profile/a{version}")]);
            }
            if self.random.is(30) {
                meta["source"] = json!(format!("http://source.example/{}", self.random.below(3)));
            }
            meta
        })
    }
}

fn id(kind: &str, number: usize) -> String {
    // Ids of different types meet: only type and id together name a resource.
    let letter = if kind.len().is_multiple_of(2) {
        "x"
    } else {
        "Y-"
    };
    format!("{letter}{number}")
}

#[test]
fn documents_are_valid() {
    use fhir_spec::outcome::Severity;
    use fhir_spec::validate::{Request, Validator};

    let mut maker = Maker::new(Random::new(1), "http://kiln.example/fhir", 300);
    let mut wrong = Vec::new();
    for (path, text) in maker.all() {
        let document = fhir_spec::json::parse(text.as_bytes()).unwrap();
        let issues = Validator::r4().validate(&document, &Request::default());
        let errors = issues
            .into_iter()
            .filter(|issue| issue.severity == Severity::Error);
        wrong.extend(
            errors.map(|issue| format!("{path}: {:?} {}", issue.expression, issue.diagnostics)),
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
