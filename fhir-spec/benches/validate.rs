//! What it costs to validate: an Observation, a Patient, a transaction of a hundred entries, an Observation that claims
//! a profile, and one full of errors.
//!
//! `cargo bench -p fhir-spec --bench validate`

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints, and stops when what it measures is not there"
)]

use std::hint::black_box;
use std::time::Instant;

use fhir_spec::json::{Value, parse};
use fhir_spec::validate::{Request, Validator};

const ROUNDS: u32 = 20_000;

fn main() {
    let validator = Validator::r4();
    let observation = observation("");
    measure(validator, "Observation", &observation, ROUNDS);
    let profile = r#""meta":{"profile":["http://hl7.org/fhir/StructureDefinition/heartrate"]},"#;
    let heart_rate = observation_with(profile);
    measure(
        validator,
        "Observation claiming heartrate",
        &heart_rate,
        ROUNDS,
    );
    measure(validator, "Patient", &patient(), ROUNDS);
    measure(
        validator,
        "transaction of 100",
        &transaction(),
        ROUNDS / 100,
    );
    let faulty = observation
        .replace("final", "finished")
        .replace("\"value\": 72", "\"valu\": 72");
    measure(validator, "Observation with errors", &faulty, ROUNDS);
}

fn measure(validator: &Validator, what: &str, text: &str, rounds: u32) {
    let document: Value = parse(text.as_bytes()).unwrap();
    let request = Request {
        source: Some(text),
        ..Request::default()
    };
    let first = Instant::now();
    let issues = validator.validate(&document, &request);
    let first = first.elapsed();
    let start = Instant::now();
    for _ in 0..rounds {
        black_box(validator.validate(black_box(&document), &request));
    }
    let each = start.elapsed() / rounds;
    println!(
        "{what}: {each:?} each ({} bytes, {} issues, the first took {first:?})",
        text.len(),
        issues.len()
    );
    for issue in issues {
        println!("    {:?}: {}", issue.severity, issue.diagnostics);
    }
}

fn observation(id: &str) -> String {
    observation_with(&format!(r#""id":"o{id}","#))
}

fn observation_with(head: &str) -> String {
    format!(
        r#"{{"resourceType": "Observation",{head}
  "text": {{"status": "generated", "div": "<div xmlns=\"http://www.w3.org/1999/xhtml\"><p>Heart rate 72 /min</p></div>"}},
  "identifier": [{{"use": "official", "system": "http://hospital.example.org/observations", "value": "hr-4711"}}],
  "status": "final",
  "category": [{{"coding": [{{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs", "display": "Vital Signs"}}]}}],
  "code": {{"coding": [{{"system": "http://loinc.org", "code": "8867-4", "display": "Heart rate"}}], "text": "Heart rate"}},
  "subject": {{"reference": "Patient/p1", "display": "Ann Example"}},
  "encounter": {{"reference": "Encounter/e1"}},
  "effectiveDateTime": "2024-05-01T10:30:00+02:00",
  "issued": "2024-05-01T10:31:00.000+02:00",
  "performer": [{{"reference": "Practitioner/n1"}}],
  "valueQuantity": {{"value": 72, "unit": "beats/minute", "system": "http://unitsofmeasure.org", "code": "/min"}},
  "interpretation": [{{"coding": [{{"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation", "code": "N", "display": "Normal"}}]}}],
  "referenceRange": [{{"low": {{"value": 60, "unit": "/min", "system": "http://unitsofmeasure.org", "code": "/min"}}, "high": {{"value": 100, "unit": "/min", "system": "http://unitsofmeasure.org", "code": "/min"}}}}]
}}"#
    )
}

fn patient() -> String {
    r#"{"resourceType": "Patient", "id": "p1",
  "text": {"status": "generated", "div": "<div xmlns=\"http://www.w3.org/1999/xhtml\"><p>Ann Example</p></div>"},
  "extension": [{"url": "http://hl7.org/fhir/StructureDefinition/patient-birthPlace", "valueAddress": {"city": "Bern", "country": "CH"}}],
  "identifier": [{"use": "usual", "type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MR"}]}, "system": "urn:oid:1.2.36.146.595.217.0.1", "value": "12345", "period": {"start": "2001-05-06"}}],
  "active": true,
  "name": [{"use": "official", "family": "Example", "given": ["Ann", "Maria"]}, {"use": "maiden", "family": "Muster", "period": {"end": "2002"}}],
  "telecom": [{"system": "phone", "value": "+41 31 555 01 02", "use": "work", "rank": 1}, {"system": "email", "value": "ann@example.org"}],
  "gender": "female", "birthDate": "1974-12-25",
  "_birthDate": {"extension": [{"url": "http://hl7.org/fhir/StructureDefinition/patient-birthTime", "valueDateTime": "1974-12-25T14:35:45-05:00"}]},
  "address": [{"use": "home", "type": "both", "line": ["1 Example Street"], "city": "Bern", "postalCode": "3000", "country": "CH"}],
  "maritalStatus": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-MaritalStatus", "code": "M", "display": "Married"}]},
  "contact": [{"relationship": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0131", "code": "N"}]}], "name": {"family": "Example", "given": ["Bob"]}, "telecom": [{"system": "phone", "value": "+41 31 555 01 03"}]}],
  "communication": [{"language": {"coding": [{"system": "urn:ietf:bcp:47", "code": "de"}]}, "preferred": true}],
  "managingOrganization": {"reference": "Organization/1"}
}"#
    .to_owned()
}

fn transaction() -> String {
    let entries: Vec<String> = (0..100)
        .map(|number| {
            format!(
                r#"{{"fullUrl": "urn:uuid:c757873d-ec9a-4326-a141-{number:012}", "resource": {}, "request": {{"method": "POST", "url": "Observation"}}}}"#,
                observation(&number.to_string())
            )
        })
        .collect();
    format!(
        r#"{{"resourceType": "Bundle", "type": "transaction", "entry": [{}]}}"#,
        entries.join(",")
    )
}
