//! Lists: which a sender tells whole, which by key, and which are gathered from many messages.

use fhir_spec::definitions::{Element, TypeDef};
use fhir_spec::json::{Data, Value};

use super::{Merge, is_gathered, overlay};

/// How what is said of a list meets what is there.
#[derive(Debug, Clone, Copy)]
enum Rule {
    /// The sender tells the whole list: what it does not name is no more.
    Whole,
    /// The sender tells all that there is under each key that it names: all home phones, the attending doctors.
    ByKey(&'static [&'static str]),
    /// Each message adds to it: identifiers of many systems, the results of a report. Of the same key the later one holds.
    Gathered(&'static [&'static str]),
}

/// By the type of the items, for all elements that are not named below.
const BY_TYPE: &[(&str, Rule)] = &[
    ("Identifier", Rule::Gathered(&["system", "value"])),
    ("ContactPoint", Rule::ByKey(&["system", "use"])),
    ("HumanName", Rule::ByKey(&["use"])),
    ("Address", Rule::ByKey(&["use", "type"])),
    ("Extension", Rule::ByKey(&["url"])),
    ("Coding", Rule::Gathered(&["system", "code"])),
];

const REFERENCE: &[&str] = &["reference", "identifier.system", "identifier.value"];

/// By type and name of the element.
const BY_NAME: &[(&str, Rule)] = &[
    ("Meta.profile", Rule::Gathered(&[])),
    ("Patient.link", Rule::Gathered(&["type", "other.reference"])),
    ("Encounter.account", Rule::Gathered(REFERENCE)),
    (
        "Encounter.diagnosis",
        Rule::Gathered(&["condition.reference"]),
    ),
    (
        "Encounter.location",
        Rule::Gathered(&["location.reference", "location.display"]),
    ),
    (
        "Encounter.participant",
        Rule::ByKey(&["type.coding.system", "type.coding.code"]),
    ),
    (
        "Encounter.statusHistory",
        Rule::Gathered(&["status", "period.start"]),
    ),
    (
        "Encounter.classHistory",
        Rule::Gathered(&["class.code", "period.start"]),
    ),
    ("CodeSystem.concept", Rule::Gathered(&["code"])),
    ("Account.coverage", Rule::Gathered(&["coverage.reference"])),
    (
        "Coverage.class",
        Rule::ByKey(&["type.coding.system", "type.coding.code"]),
    ),
    (
        "Observation.component",
        Rule::Gathered(&["code.coding.system", "code.coding.code", "code.text"]),
    ),
    ("Observation.hasMember", Rule::Gathered(REFERENCE)),
    ("Observation.derivedFrom", Rule::Gathered(REFERENCE)),
    ("DiagnosticReport.basedOn", Rule::Gathered(REFERENCE)),
    ("DiagnosticReport.result", Rule::Gathered(REFERENCE)),
    ("DiagnosticReport.specimen", Rule::Gathered(REFERENCE)),
    ("DiagnosticReport.imagingStudy", Rule::Gathered(REFERENCE)),
    (
        "DiagnosticReport.media",
        Rule::Gathered(&["link.reference"]),
    ),
    ("ServiceRequest.specimen", Rule::Gathered(REFERENCE)),
    (
        "DocumentReference.relatesTo",
        Rule::Gathered(&[
            "code",
            "target.reference",
            "target.identifier.system",
            "target.identifier.value",
        ]),
    ),
    (
        "Practitioner.qualification",
        Rule::Gathered(&["code.coding.code", "code.text"]),
    ),
];

fn rule(of: &TypeDef, element: &Element, kind: &TypeDef) -> Rule {
    let is_named = |known: &str| {
        known
            .rsplit_once('.')
            .is_some_and(|(parent, name)| parent == &*of.name && name == &*element.name)
    };
    let by_name = BY_NAME.iter().find(|(known, _)| is_named(known));
    by_name
        .or_else(|| BY_TYPE.iter().find(|(known, _)| *known == &*kind.name))
        .map_or(Rule::Whole, |(_, rule)| *rule)
}

impl Merge<'_> {
    pub(super) fn list(
        &self,
        there: &mut Value,
        said: &Value,
        of: &TypeDef,
        element: &Element,
        kind: &TypeDef,
    ) {
        let (Data::Array(items), Data::Array(said)) = (&mut there.data, &said.data) else {
            *there = said.clone();
            return;
        };
        match rule(of, element, kind) {
            Rule::Whole => {
                let known = std::mem::take(items);
                *items = said.iter().map(|item| kept(&known, item)).collect();
            }
            Rule::ByKey(paths) => by_key(items, said, paths),
            Rule::Gathered(paths) => {
                if &*of.name == "Encounter" && &*element.name == "location" {
                    leave(items, said, paths);
                }
                self.gather(items, said, paths, kind);
            }
        }
    }

    fn gather(&self, items: &mut Vec<Value>, said: &[Value], paths: &[&str], kind: &TypeDef) {
        for item in said {
            let wanted = key(item, paths);
            match items.iter_mut().find(|there| key(there, paths) == wanted) {
                None => items.push(item.clone()),
                Some(there) => match (&mut there.data, &item.data) {
                    (Data::Object(into), Data::Object(from)) if is_gathered(kind) => {
                        self.object(into, from, kind);
                    }
                    _ => overlay(there, item),
                },
            }
        }
    }
}

/// What is under a key that is named makes place for what is said of it.
fn by_key(items: &mut Vec<Value>, said: &[Value], paths: &[&str]) {
    let known = std::mem::take(items);
    let is_named = |wanted: &Value| {
        said.iter()
            .any(|item| key(item, paths) == key(wanted, paths))
    };
    let mut placed: Vec<&Value> = Vec::with_capacity(said.len());
    for item in &known {
        if !is_named(item) {
            items.push(item.clone());
            continue;
        }
        let wanted = key(item, paths);
        for new in said.iter().filter(|new| key(new, paths) == wanted) {
            if !placed.iter().any(|placed| std::ptr::eq(*placed, new)) {
                placed.push(new);
                items.push(kept(&known, new));
            }
        }
    }
    for new in said {
        if !placed.iter().any(|placed| std::ptr::eq(*placed, new)) {
            items.push(new.clone());
        }
    }
}

/// An item as it is known, when what is said of it is nothing new.
fn kept(known: &[Value], said: &Value) -> Value {
    known
        .iter()
        .find(|known| covers(known, said))
        .unwrap_or(said)
        .clone()
}

fn covers(known: &Value, said: &Value) -> bool {
    match (&known.data, &said.data) {
        (Data::Object(known), Data::Object(said)) => said
            .iter()
            .all(|(name, value)| known.get(name).is_some_and(|known| covers(known, value))),
        _ => known == said,
    }
}

/// Who is somewhere else now has left where they were.
fn leave(items: &mut [Value], said: &[Value], paths: &[&str]) {
    let is_there = |item: &Value| matches!(item.str_of("status"), None | Some("active"));
    if !said.iter().any(is_there) {
        return;
    }
    for item in items {
        let is_named = said.iter().any(|said| key(said, paths) == key(item, paths));
        let was_there = item.str_of("status") == Some("active");
        if was_there
            && !is_named
            && let Some(object) = item.as_object_mut()
        {
            object.set("status", "completed");
        }
    }
}

/// What an item is, as the values at these paths; without paths, the item itself.
fn key<'v>(item: &'v Value, paths: &[&str]) -> Vec<Option<&'v Value>> {
    match paths {
        [] => vec![Some(item)],
        _ => paths.iter().map(|path| at(item, path)).collect(),
    }
}

/// Of lists on the way the first item.
fn at<'v>(value: &'v Value, path: &str) -> Option<&'v Value> {
    path.split('.').try_fold(value, |value, name| {
        let next = value.get(name)?;
        match next.as_array() {
            Some(items) => items.first(),
            None => Some(next),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_names_an_element_that_is_a_list() {
        let definitions = fhir_spec::definitions::Definitions::r4();
        let types = definitions.types();
        for (path, _) in BY_NAME {
            let (parent, name) = path.rsplit_once('.').unwrap();
            let element = types.named(parent).unwrap().element(name);
            assert!(element.is_some_and(Element::is_list), "{path}");
        }
        for (name, _) in BY_TYPE {
            assert!(types.named(name).is_some(), "{name}");
        }
    }
}
