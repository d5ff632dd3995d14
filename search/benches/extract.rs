//! What it costs to make the rows of a resource, once it is parsed. `cargo bench -p search --bench extract`
//!
//! Bundles of Synthea are measured when `KILN_SHARED` or `../shared` has them.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints, and stops when what it measures is not there"
)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fhir_spec::definitions::Definitions;
use fhir_spec::json::{Value, parse};
use search::{Registry, extract};

const ROUNDS: u32 = 100_000;

const PATIENT: &str = r#"{
  "resourceType": "Patient", "id": "p-9", "active": true,
  "identifier": [{"system": "https://example.org/mrn", "value": "77120"}, {"system": "https://example.org/ssn", "value": "9-8-7"}],
  "name": [{"use": "official", "family": "Person", "given": ["Ann", "Beth"]}, {"use": "maiden", "family": "Somebody"}],
  "telecom": [{"system": "phone", "value": "+49 30 1234567"}, {"system": "email", "value": "ann@example.org"}],
  "gender": "female", "birthDate": "1970-03-30", "deceasedBoolean": false,
  "address": [{"line": ["Street 1"], "city": "Town", "state": "ST", "postalCode": "12345", "country": "DE"}],
  "generalPractitioner": [{"reference": "Practitioner/dr-1"}], "managingOrganization": {"reference": "Organization/o-1"}
}"#;

const VITAL_SIGN: &str = r#"{
  "resourceType": "Observation", "id": "4dbf94ac-04b2-4f51-af74-c64993ffb482", "status": "final",
  "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs", "display": "vital-signs"}]}],
  "code": {"coding": [{"system": "http://loinc.org", "code": "8302-2", "display": "Body Height"}], "text": "Body Height"},
  "subject": {"reference": "Patient/b541fe39-8ec3-4f50-ac3c-9109374a1609"},
  "encounter": {"reference": "Encounter/a850debc-8295-499c-bf2d-f58a85b8a9f2"},
  "effectiveDateTime": "2011-11-21T03:43:05+00:00", "issued": "2011-11-21T03:43:05.010+00:00",
  "valueQuantity": {"value": 168.2761313965216, "unit": "cm", "system": "http://unitsofmeasure.org", "code": "cm"}
}"#;

const RICH: &str = r#"{
  "resourceType": "Observation", "id": "weight-1",
  "meta": {"versionId": "3", "lastUpdated": "2024-02-03T04:05:06.789Z", "profile": ["http://hl7.org/fhir/StructureDefinition/bodyweight"]},
  "identifier": [{"system": "https://example.org/observations", "value": "w-77120"}],
  "status": "final",
  "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs", "display": "Vital Signs"}]}],
  "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7", "display": "Body Weight"}, {"system": "http://snomed.info/sct", "code": "27113001", "display": "Body weight"}], "text": "weight"},
  "subject": {"reference": "Patient/p-9", "display": "A. Person"},
  "encounter": {"reference": "Encounter/e-12"},
  "effectiveDateTime": "2024-02-03T05:00:00+01:00",
  "performer": [{"reference": "Practitioner/dr-1"}, {"reference": "Organization/ward-2"}],
  "valueQuantity": {"value": 71.4, "unit": "kg", "system": "http://unitsofmeasure.org", "code": "kg"},
  "method": {"coding": [{"system": "http://snomed.info/sct", "code": "39857003", "display": "Weighing patient"}]},
  "device": {"reference": "Device/scale-4"},
  "component": [
    {"code": {"coding": [{"system": "http://loinc.org", "code": "8352-7"}]}, "valueCodeableConcept": {"coding": [{"system": "http://loinc.org", "code": "LA11874-5"}]}},
    {"code": {"coding": [{"system": "http://loinc.org", "code": "8350-1"}]}, "valueQuantity": {"value": 72.0, "unit": "kg", "system": "http://unitsofmeasure.org", "code": "kg"}}
  ]
}"#;

fn main() {
    let definitions = Arc::new(Definitions::r4().with_packages(Vec::new()).0);
    definitions.types();
    let registry = once("registry", || Registry::new(definitions));
    once("all parameters unpacked", || {
        registry.definitions().search_parameters().len()
    });
    for name in ["Observation", "Patient"] {
        once(&format!("{name} compiled"), || registry.of(name));
    }
    for (what, text) in [
        ("a vital sign as Synthea writes it", VITAL_SIGN),
        ("an Observation with everything", RICH),
        ("a Patient", PATIENT),
    ] {
        let document = parse(text.as_bytes()).unwrap();
        let rows = extract::rows(&registry, &document).rows.len();
        let spent = each(|| extract::rows(&registry, &document).rows);
        println!("{what}: {rows} rows in {spent:?}");
    }
    bundle(&registry);
}

/// Rows of a whole bundle, if there is one.
fn bundle(registry: &Registry) {
    let Ok(text) = std::env::var("KILN_BUNDLE")
        .map_err(|_| ())
        .and_then(|path| std::fs::read(path).map_err(|_| ()))
    else {
        println!("no bundle: KILN_BUNDLE names none");
        return;
    };
    let bundle = parse(&text).unwrap();
    let resources: Vec<&Value> = bundle
        .items_of("entry")
        .iter()
        .filter_map(|entry| entry.get("resource"))
        .collect();
    let all = || -> usize {
        let rows = resources
            .iter()
            .map(|resource| extract::rows(registry, resource));
        rows.map(|extracted| extracted.rows.len()).sum()
    };
    let rows = all();
    let spent = each(all);
    let count = resources.len();
    println!("{count} resources of a bundle: {rows} rows in {spent:?}");
}

fn once<T>(what: &str, run: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = run();
    println!("{what}: {:?}", start.elapsed());
    result
}

fn each<T>(mut run: impl FnMut() -> T) -> Duration {
    let warm = Instant::now();
    let mut rounds = 0;
    while warm.elapsed() < Duration::from_millis(100) {
        black_box(run());
        rounds += 1;
    }
    let rounds = (rounds * 5).clamp(1, ROUNDS);
    let start = Instant::now();
    for _ in 0..rounds {
        black_box(run());
    }
    start.elapsed() / rounds
}
