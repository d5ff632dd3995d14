//! What FHIR would refuse of what senders write: taken back to what is true, and told.

use std::cmp::Ordering;

use fhir_spec::definitions::Definitions;
use fhir_spec::json::{Data, Object, Value};
use fhir_spec::terminology::follows_grammar;
use fhir_spec::ucum;
use fhir_spec::{Issue, IssueCode, Severity};
use jiff::Timestamp;

use crate::mapping::Mapped;

use super::super::source::DocumentSource;
use super::tell;

/// Codes that their code system does not have, periods that end before they begin, languages that are none.
pub(super) fn check(mapped: &mut Mapped, source: &DocumentSource<'_>, issues: &mut Vec<Issue>) {
    for entry in &mut mapped.entries {
        let mut found = Vec::new();
        object(&mut entry.resource, &mut found);
        for (code, text) in found {
            tell(
                issues,
                source,
                entry.place,
                (Severity::Warning, code),
                &format!(": {text}"),
            );
        }
    }
}

type Found = Vec<(IssueCode, String)>;

fn object(object: &mut Object, found: &mut Found) {
    if let Some(text) = wrong_unit(object) {
        found.push((IssueCode::CodeInvalid, text));
    }
    if let Some(text) = wrong_code(object) {
        found.push((IssueCode::CodeInvalid, text));
    }
    if let (Some(start), Some(end)) = (text_of(object, "start"), text_of(object, "end"))
        && is_after(start, end)
    {
        found.push((
            IssueCode::Value,
            format!("the period from {start} ends before it begins, at {end}: its end is left out"),
        ));
        object.remove("end");
    }
    if let Some(language) = text_of(object, "language")
        && follows_grammar("urn:ietf:bcp:47", language) == Some(false)
    {
        found.push((
            IssueCode::CodeInvalid,
            format!("'{language}' is no language"),
        ));
        object.remove("language");
    }
    for (_, value) in object.iter_mut() {
        below(value, found);
    }
}

fn below(value: &mut Value, found: &mut Found) {
    match &mut value.data {
        Data::Array(items) => items.iter_mut().for_each(|item| below(item, found)),
        Data::Object(inner) => object(inner, found),
        _ => {}
    }
}

fn text_of<'o>(object: &'o Object, name: &str) -> Option<&'o str> {
    object.get(name).and_then(Value::as_str)
}

const UCUM: &str = "http://unitsofmeasure.org";

/// A quantity in a unit that UCUM does not have keeps the word for it.
fn wrong_unit(object: &mut Object) -> Option<String> {
    let code = text_of(object, "code").filter(|_| object.contains("value"))?;
    if text_of(object, "system") != Some(UCUM) || ucum::parse(code).is_some() {
        return None;
    }
    let told = format!("UCUM has no unit '{code}'");
    object.remove("system");
    object.remove("code");
    Some(told)
}

/// A coding whose code does not exist keeps its words; the code stands among them when there are none.
fn wrong_code(object: &mut Object) -> Option<String> {
    let (system, code) = (text_of(object, "system")?, text_of(object, "code")?);
    if object.contains("value") {
        return None; // a quantity
    }
    let known = Definitions::r4().code_system(system);
    let is_missing =
        known.is_some_and(|known| known.is_complete() && known.concept(code).is_none());
    if !is_missing && follows_grammar(system, code) != Some(false) {
        return None;
    }
    let told = format!("the code system {system} has no code '{code}'");
    let code = code.to_owned();
    object.remove("system");
    object.remove("code");
    if !object.contains("display") {
        object.set("display", code);
    }
    Some(told)
}

fn is_after(start: &str, end: &str) -> bool {
    if let (Ok(start), Ok(end)) = (start.parse::<Timestamp>(), end.parse::<Timestamp>()) {
        return start > end;
    }
    // By what both say: years, months, days.
    let length = start.len().min(end.len()).min(10);
    start.get(..length).cmp(&end.get(..length)) == Ordering::Greater
}
