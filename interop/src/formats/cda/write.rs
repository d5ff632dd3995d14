//! Writing: a document Bundle of FHIR as C-CDA, by the templates in `interop/maps/cda-out`.
//!
//! [`Writer::write`] takes a Bundle. Its Composition says what stands in which section; where there is none, [`Writer::compose`]
//! makes one of what there is. `notation` reads the templates, `run` lays them over resources, `sections` makes entries and
//! the tables for people, `values` and `words` say single values to programs and to people.

mod check;
mod compose;
mod notation;
mod people;
mod run;
mod sections;
mod text;
mod values;
mod words;
mod xml;

use std::sync::LazyLock;

use fhir_spec::definitions::Definitions;
use fhir_spec::fhirpath::Item;
use fhir_spec::json::{Data, Object, Value};
use fhir_spec::{Issue, IssueCode};

use notation::Templates;
use run::{Index, Run, Scope};
use xml::Element;

pub use compose::Wanted;
pub use notation::BadTemplate;

macro_rules! files {
    ($($name:literal),+ $(,)?) => {
        &[$(($name, include_str!(concat!("../../../maps/cda-out/", $name)))),+]
    };
}

const FILES: &[(&str, &str)] = files![
    "documents.template",
    "header.template",
    "conditions.template",
    "medications.template",
    "observations.template",
    "procedures.template",
    "others.template",
    "codes.template",
];

const BEGIN: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

/// Elements of a document that is written, before and after it is text: many entries may lead to the same ones.
const ELEMENTS_MAX: usize = 1_000_000;
/// Bytes of a document that is written.
const WRITTEN_BYTES_MAX: usize = super::DOCUMENT_BYTES_MAX;

/// The shipped templates.
#[derive(Debug, Clone, Copy)]
pub struct Writer {
    templates: &'static Templates,
    elements_max: usize,
}

/// A document, and what it does not say of what it was made of.
#[derive(Debug)]
pub struct Written {
    pub xml: String,
    pub issues: Vec<Issue>,
}

impl Writer {
    pub fn shipped() -> Result<Self, Vec<BadTemplate>> {
        static SHIPPED: LazyLock<Result<Templates, Vec<BadTemplate>>> =
            LazyLock::new(|| notation::read(FILES));
        match &*SHIPPED {
            Ok(templates) => Ok(Self {
                templates,
                elements_max: ELEMENTS_MAX,
            }),
            Err(bad) => Err(bad.clone()),
        }
    }

    /// The same with another bound on the elements of a document.
    #[must_use]
    pub fn bounded(self, elements_max: usize) -> Self {
        Self {
            elements_max,
            ..self
        }
    }

    /// The kinds of documents, by name.
    pub fn kinds(&self) -> impl Iterator<Item = &'static str> {
        self.templates
            .documents
            .iter()
            .map(|document| document.name)
    }

    /// The types of resources that summaries are made of.
    pub fn types(&self) -> Vec<&'static str> {
        let takes = self
            .templates
            .sections
            .iter()
            .flat_map(|section| &section.takes);
        let mut types: Vec<&'static str> = takes.map(|(name, _)| *name).collect();
        types.sort_unstable();
        types.dedup();
        types
    }

    /// A Composition of what a bundle holds of a patient.
    pub fn compose(&self, bundle: &Value, wanted: Wanted<'_>) -> Option<Value> {
        let (index, none) = (Index::of(bundle), Data::Null.into());
        let types = Definitions::r4().types();
        let mut run = Run::new(self.templates, types, (&index, bundle, &none), wanted.kind);
        compose::compose(&mut run, wanted)
    }

    /// A Bundle as a document. `Err`: it is none, and none can be made of it.
    pub fn write(&self, bundle: &Value, now: &str) -> Result<Written, Issue> {
        let composition = bundle.items_of("entry").iter().find_map(|entry| {
            let resource = entry.get("resource")?;
            (resource.str_of("resourceType") == Some("Composition")).then_some(resource)
        });
        let Some(composition) = composition else {
            return self.summarized(bundle, now);
        };
        let (index, types) = (Index::of(bundle), Definitions::r4().types());
        let subject = composition
            .get("subject")
            .and_then(|subject| subject.str_of("reference"));
        if !subject.is_some_and(|subject| index.has(subject)) {
            let told = "the subject of the Composition is not in the bundle: a clinical document is about a patient";
            return Err(Issue::error(IssueCode::Required, told));
        }
        let kind = self.kind(composition);
        let mut run = Run::new(self.templates, types, (&index, bundle, composition), kind);
        let context = run.context(composition);
        let scope = Scope {
            item: Item::Node(context.resource()),
            context: &context,
        };
        run.elements_max = self.elements_max;
        let mut root = Element::new("");
        run.within("ClinicalDocument", &scope, &mut root);
        if run.elements > self.elements_max {
            let told = format!(
                "the document would have more than {} elements",
                self.elements_max
            );
            return Err(Issue::error(IssueCode::TooLong, told));
        }
        let mut xml = BEGIN.to_owned();
        for part in &root.content {
            if let xml::Content::Element(element) = part {
                element.write(0, &mut xml);
            }
        }
        xml.push('\n');
        if xml.len() > WRITTEN_BYTES_MAX {
            let told = format!("the document would have more than {WRITTEN_BYTES_MAX} bytes");
            return Err(Issue::error(IssueCode::TooLong, told));
        }
        Ok(Written {
            xml,
            issues: run.issues,
        })
    }

    /// The kind of document that a Composition is; nothing for others.
    fn kind(&self, composition: &Value) -> &'static str {
        let codings = composition.get("type").map(|kind| kind.items_of("coding"));
        let codes = codings
            .unwrap_or_default()
            .iter()
            .filter_map(|coding| coding.str_of("code"));
        let mut documents = codes.filter_map(|code| {
            self.templates
                .documents
                .iter()
                .find(|document| document.code == code)
        });
        documents.next().map_or("", |document| document.name)
    }

    /// Of a bundle without a Composition: a summary of its patient.
    fn summarized(&self, bundle: &Value, now: &str) -> Result<Written, Issue> {
        let patient = compose::patient(bundle).ok_or_else(|| {
            let told = "expected a bundle with a Composition, or with one Patient";
            Issue::error(IssueCode::Required, told)
        })?;
        let wanted = Wanted {
            kind: self.kinds().next().unwrap_or_default(),
            patient: &patient,
            encounter: None,
            start: None,
            end: None,
            now,
            withheld: &[],
        };
        let composition = self.compose(bundle, wanted).unwrap_or(Data::Null.into());
        let mut entries = vec![Value::from(Object::from_iter([("resource", composition)]))];
        entries.extend(bundle.items_of("entry").iter().cloned());
        let mut whole = Object::from_iter([("resourceType", Value::from("Bundle"))]);
        for name in ["identifier", "timestamp"] {
            if let Some(value) = bundle.get(name) {
                whole.set(name, value.clone());
            }
        }
        whole.set("entry", entries);
        self.write(&whole.into(), now)
    }
}
