//! Confidentiality and handling: what a document, section or entry says of itself holds for everything that was made of it.
//! <https://hl7.org/fhir/R4/security-labels.html>

use fhir_spec::definitions::Definitions;
use fhir_spec::json::{Object, Value};

use crate::mapping::Mapped;

use super::super::source::{DocumentSource, Handling};

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
    let handling = source.handling();
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
        let strictest = strictest.filter(|rank| is_document || Some(*rank) > normal);
        let strictest = strictest.and_then(|rank| CODES.get(rank));
        let coding = |system: &str, code: &str| -> Value {
            Object::from_iter([("system", system), ("code", code)]).into()
        };
        let mut codings: Vec<Value> = strictest
            .map(|code| coding(SYSTEM, code))
            .into_iter()
            .collect();
        for said in &handling {
            let (extent, place) = (said.extent, entry.place);
            let is_within = extent.from <= place.from && place.to <= extent.to;
            let label = (is_document || is_within).then(|| coding(&system(said), &said.code));
            codings.extend(label.filter(|label| !codings.contains(label)));
        }
        if codings.is_empty() {
            continue;
        }
        let mut meta = Object::new();
        meta.set("security", codings);
        if !entry.resource.contains("meta") {
            entry.resource.insert_at(1, "meta", Value::from(meta));
        }
    }
}

/// Senders give the codes of ActCode under the systems of others, too.
fn system(said: &Handling) -> String {
    const ACT_CODE: &str = "http://terminology.hl7.org/CodeSystem/v3-ActCode";
    const VALUES: &str = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue";
    const REASONS: &str = "http://terminology.hl7.org/CodeSystem/v3-ActReason";
    let mut known = [ACT_CODE, VALUES, REASONS].into_iter();
    let found = known.find(|system| {
        let system = Definitions::r4().code_system(system);
        system.is_some_and(|system| system.concept(&said.code).is_some())
    });
    found.map_or_else(|| format!("urn:oid:{}", said.system), str::to_owned)
}
