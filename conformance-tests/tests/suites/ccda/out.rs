//! The way out: documents of others come in, go out as C-CDA and come in again. Their core values are the same, and what went
//! out is built as C-CDA R2.1 demands: by a table of our own reading of the guide, apart from the templates that write it.
//! (The rules that HL7 publishes are asked by `server/tests/it/clients.rs`.)

use std::collections::{HashMap, HashSet};

use fhir_spec::json::Value;
use interop::formats::cda::Writer;
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;

use super::harness::{convert, errors, files};
use super::leaves::{Leaves, best, leaves};
use crate::results::Tally;

const NOW: &str = "2026-01-01T00:00:00Z";

const HEADER: &str = "2.16.840.1.113883.10.20.22.1.1";

/// Kinds of documents, by their template, and the sections that each must have, by theirs.
const KINDS: &[(&str, &[&str])] = &[
    // CCD: allergies, medications, problems, procedures, results, social history, vital signs.
    (
        "2.16.840.1.113883.10.20.22.1.2",
        &["6.1", "1.1", "5.1", "7.1", "3.1", "17", "4.1"],
    ),
    // Referral note: problems, allergies, medications, reason for referral.
    ("2.16.840.1.113883.10.20.22.1.14", &["5.1", "6.1", "1.1"]),
    // Discharge summary: allergies, plan of treatment.
    ("2.16.840.1.113883.10.20.22.1.8", &["6.1", "10"]),
];
const SECTIONS: &str = "2.16.840.1.113883.10.20.22.2.";

/// What the header of every document has, in the order of the schema.
const DEMANDED: &[&str] = &[
    "realmCode",
    "typeId",
    "templateId",
    "id",
    "code",
    "title",
    "effectiveTime",
    "confidentialityCode",
    "languageCode",
    "recordTarget",
    "author",
    "custodian",
    "component",
];
const ORDER: &[&str] = &[
    "realmCode",
    "typeId",
    "templateId",
    "id",
    "code",
    "title",
    "effectiveTime",
    "confidentialityCode",
    "languageCode",
    "setId",
    "versionNumber",
    "recordTarget",
    "author",
    "dataEnterer",
    "informant",
    "custodian",
    "informationRecipient",
    "legalAuthenticator",
    "authenticator",
    "participant",
    "inFulfillmentOf",
    "documentationOf",
    "relatedDocument",
    "authorization",
    "componentOf",
    "component",
];
/// Statements of entries that without a template are anything.
const STATEMENTS: &[&str] = &[
    "act",
    "encounter",
    "observation",
    "organizer",
    "procedure",
    "substanceAdministration",
    "supply",
];

/// How an element stands in a document.
#[derive(Default)]
struct Element {
    name: String,
    templates: usize,
    has_title: bool,
    has_text: bool,
}

/// What a document is made of.
#[derive(Default)]
struct Shape {
    header: Vec<String>,
    header_templates: HashSet<String>,
    sections: HashSet<String>,
    ids: HashSet<String>,
    references: Vec<String>,
    wrong: Vec<String>,
}

impl Shape {
    fn of(xml: &str) -> Self {
        let mut shape = Self::default();
        let mut open: Vec<Element> = Vec::new();
        let mut reader = Reader::from_str(xml);
        loop {
            match reader.read_event().unwrap() {
                Event::Start(start) => {
                    let element = shape.begin(&start, &mut open);
                    open.push(element);
                }
                Event::Empty(start) => {
                    let element = shape.begin(&start, &mut open);
                    shape.end(&element, &open);
                }
                Event::End(_) => {
                    let element = open.pop().unwrap();
                    shape.end(&element, &open);
                }
                Event::Eof => return shape,
                _ => {}
            }
        }
    }

    fn begin(&mut self, start: &BytesStart<'_>, open: &mut [Element]) -> Element {
        let name = start.name().as_ref().to_owned();
        let attribute = |wanted: &str| {
            let mut all = start.attributes().flatten();
            let found = all.find(|attribute| attribute.key.as_ref() == wanted);
            found.map(|attribute| attribute.value.to_string())
        };
        let depth = open.len();
        if depth == 1 {
            self.header.push(name.clone());
        }
        if let Some(parent) = open.last_mut() {
            match &*name {
                "templateId" => {
                    parent.templates += 1;
                    let root = attribute("root").unwrap_or_default();
                    match &*parent.name {
                        "section" => _ = self.sections.insert(root),
                        "ClinicalDocument" => _ = self.header_templates.insert(root),
                        _ => {}
                    }
                }
                "title" => parent.has_title = true,
                "text" => parent.has_text = true,
                "reference" => {
                    let to = attribute("value").unwrap_or_default();
                    self.references
                        .extend(to.strip_prefix('#').map(str::to_owned));
                }
                _ => {}
            }
        }
        if let Some(id) = attribute("ID")
            && !self.ids.insert(id.clone())
        {
            self.wrong.push(format!("two have the ID {id}"));
        }
        Element {
            name,
            ..Element::default()
        }
    }

    fn end(&mut self, element: &Element, open: &[Element]) {
        let parent = open.last().map_or("", |parent| parent.name.as_str());
        if element.name == "section" && !(element.has_title && element.has_text) {
            self.wrong
                .push("a section without title or text".to_owned());
        }
        let is_statement = parent == "entry" && STATEMENTS.contains(&element.name.as_str());
        if is_statement && element.templates == 0 {
            self.wrong
                .push(format!("an {} without a template", element.name));
        }
        if parent == "entry" && !is_statement && element.name != "templateId" {
            self.wrong.push(format!("{} in an entry", element.name));
        }
    }

    /// All that is wrong with it.
    fn judged(mut self) -> Vec<String> {
        let lacking = DEMANDED
            .iter()
            .filter(|name| !self.header.iter().any(|there| there == *name));
        self.wrong
            .extend(lacking.map(|name| format!("no {name} in the header")));
        let places: Vec<_> = self
            .header
            .iter()
            .map(|name| ORDER.iter().position(|known| known == name))
            .collect();
        if places.iter().any(Option::is_none) || !places.is_sorted() {
            self.wrong
                .push(format!("the header is in another order: {:?}", self.header));
        }
        if !self.header_templates.contains(HEADER) {
            self.wrong.push("it is of no US realm".to_owned());
        }
        for (kind, sections) in KINDS {
            let is_there =
                |section: &&&str| self.sections.contains(&format!("{SECTIONS}{section}"));
            if self.header_templates.contains(*kind) {
                let lacking = sections.iter().filter(|section| !is_there(section));
                self.wrong
                    .extend(lacking.map(|section| format!("{kind} without {SECTIONS}{section}")));
            }
        }
        let nowhere = self.references.iter().filter(|to| !self.ids.contains(*to));
        self.wrong
            .extend(nowhere.map(|to| format!("#{to} is nowhere in the text")));
        self.wrong
    }
}

/// What a bundle says that is of the patient, by type: what is there for the document alone is another one each time.
fn said(bundle: &Value) -> Vec<(String, Leaves)> {
    let entries = bundle.items_of("entry").iter();
    let resources = entries.filter_map(|entry| entry.get("resource"));
    let all = resources.map(|resource| {
        let mut all = Vec::new();
        leaves(resource, "", &mut all);
        (resource.str_of("resourceType").unwrap().to_owned(), all)
    });
    all.filter(|(kind, _)| !matches!(&**kind, "Binary" | "DocumentReference" | "Provenance"))
        .collect()
}

/// Counts the values of a document that are there again.
fn compare(name: &str, before: &Value, after: &Value, values: &mut Tally) {
    let mut ours: HashMap<String, Vec<Leaves>> = HashMap::new();
    for (kind, all) in said(after) {
        ours.entry(kind).or_default().push(all);
    }
    for (kind, wanted) in said(before) {
        let (found, lacking) = best(&wanted, ours.get(&kind).map_or(&[], Vec::as_slice));
        for _ in 0..found {
            values.count(name, Ok(()));
        }
        for lack in lacking {
            values.count(name, Err(format!("{kind}{lack}")));
        }
    }
}

fn suite(folder: &str, values: &'static str, shapes: &'static str) {
    let (mut values, mut shapes) = (Tally::new(values, &[]), Tally::new(shapes, &[]));
    let all = files(folder);
    if all.is_empty() {
        return;
    }
    let writer = Writer::shipped().unwrap();
    for (name, bytes) in all {
        let text = String::from_utf8_lossy(&bytes);
        if !name.to_lowercase().ends_with(".xml") || !text.contains("<ClinicalDocument") {
            continue;
        }
        let before = convert(&bytes).unwrap_or_else(|refused| panic!("{name}: {refused}"));
        // Some examples show entries of nobody.
        if before.of_type("Patient").is_empty() {
            continue;
        }
        let written = writer.write(&before.bundle, NOW).unwrap().xml;
        let after =
            convert(written.as_bytes()).unwrap_or_else(|refused| panic!("{name}: {refused}"));
        compare(&name, &before.bundle, &after.bundle, &mut values);
        let mut wrong = Shape::of(&written).judged();
        wrong.extend(errors(&after.bundle));
        // What went out once goes out alike.
        let again = convert(writer.write(&after.bundle, NOW).unwrap().xml.as_bytes()).unwrap();
        let counts = [&after, &again].map(|made| made.bundle.items_of("entry").len());
        if counts[0] != counts[1] {
            wrong.push(format!(
                "the second time it has {} resources, not {}",
                counts[1], counts[0]
            ));
        }
        wrong.sort();
        wrong.dedup();
        let outcome = if wrong.is_empty() {
            Ok(())
        } else {
            Err(wrong.join("; "))
        };
        shapes.count(&name, outcome);
    }
    values.finish();
    shapes.finish();
}

#[test]
fn documents_of_vendors_go_out_and_come_back() {
    suite(
        "ccda-documents",
        "ccda-documents: core values kept in, out and in again",
        "ccda-documents: written as C-CDA demands",
    );
}

#[test]
fn examples_go_out_and_come_back() {
    suite(
        "ccda-examples-hl7",
        "ccda-examples-hl7: core values kept in, out and in again",
        "ccda-examples-hl7: written as C-CDA demands",
    );
}

#[test]
fn documents_of_the_certification_go_out_and_come_back() {
    suite(
        "ccda-onc/positive",
        "ccda-onc: core values kept in, out and in again",
        "ccda-onc: written as C-CDA demands",
    );
}
