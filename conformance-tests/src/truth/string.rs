//! String: the beginning of a text, a part of it, or all of it. <https://hl7.org/fhir/R4/search.html#string>

use fhir_spec::json::Value;

use super::folding::folded;
use super::{Ask, Found};

pub(super) fn is(ask: &Ask<'_, '_>, found: &Found<'_>, wanted: &str) -> bool {
    texts(found).iter().any(|text| match ask.modifier {
        Some("exact") => *text == wanted,
        Some("contains") => folded(text).contains(&folded(wanted)),
        _ => folded(text).starts_with(&folded(wanted)),
    })
}

/// The texts of a value: names and addresses have many.
pub(super) fn texts<'f>(found: &'f Found<'_>) -> Vec<&'f str> {
    let parts: &[&str] = match found.kind {
        "HumanName" => &["text", "family", "given", "prefix", "suffix"],
        "Address" => &[
            "text",
            "line",
            "city",
            "district",
            "state",
            "postalCode",
            "country",
        ],
        "CodeableConcept" => &["text"],
        _ => return found.value.as_str().into_iter().collect(),
    };
    let members = parts.iter().filter_map(|part| found.value.get(part));
    let items = members.flat_map(|member| match member.as_array() {
        Some(items) => items.iter().collect(),
        None => vec![member],
    });
    items.filter_map(Value::as_str).collect()
}
