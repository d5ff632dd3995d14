//! Confidentiality: what a document or section says of itself holds for everything that was made of it.
//! <https://hl7.org/fhir/R4/security-labels.html>

use fhir_spec::json::{Object, Value};

use crate::mapping::Mapped;

use super::super::source::DocumentSource;

const SYSTEM: &str = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality";
/// From the least confidential to the most.
const CODES: &[&str] = &["U", "L", "M", "N", "R", "V"];
/// Who is spoken of is known from other documents, too.
const PUBLIC: &[&str] = &[
    "Practitioner",
    "PractitionerRole",
    "Organization",
    "Location",
    "Patient",
    "Device",
];

/// The strictest label of the document and the sections around each resource. What is normal is not said.
pub(super) fn label(mapped: &mut Mapped, source: &DocumentSource<'_>) {
    let labels = source.confidentiality();
    let rank = |code: &str| CODES.iter().position(|known| *known == code);
    let normal = rank("N");
    for entry in &mut mapped.entries {
        let kind = entry
            .resource
            .get("resourceType")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if PUBLIC.contains(&kind) {
            continue;
        }
        let is_document = matches!(kind, "Composition" | "DocumentReference" | "Binary");
        // A document is as confidential as the most confidential of its sections.
        let around = labels.iter().filter(|(extent, _)| {
            is_document || (extent.from <= entry.place.from && entry.place.to <= extent.to)
        });
        let strictest = around.filter_map(|(_, code)| rank(code)).max();
        let Some(strictest) = strictest.filter(|rank| is_document || Some(*rank) > normal) else {
            continue;
        };
        let Some(code) = CODES.get(strictest) else {
            continue;
        };
        let coding: Value = Object::from_iter([("system", SYSTEM), ("code", code)]).into();
        let mut meta = Object::new();
        meta.set("security", vec![coding]);
        if !entry.resource.contains("meta") {
            entry.resource.insert_at(1, "meta", Value::from(meta));
        }
    }
}
