//! What it costs to take a transaction apart, and to rewrite the links of an Observation of 1 KB: one without links, one
//! whose references are links, and one whose bundle has full urls of http.
//!
//! `cargo bench -p fhir-spec --bench bundle`

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints, and stops when what it measures is not there"
)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use fhir_spec::bundle::{Bundle, Kind, Links, Reading, Target};
use fhir_spec::definitions::Definitions;
use fhir_spec::json::{Bounds, Value, parse, skim_bundle};
use fhir_spec::validate::Validator;

const ROUNDS: u32 = 50_000;
const ENTRIES: usize = 25_000;
const BOUNDS: Bounds = Bounds {
    entries_max: ENTRIES,
    resource_bytes_max: 1_000_000,
    rest_bytes_max: 10_000_000,
};

fn main() {
    let types = Definitions::r4().types();
    let mut links = Links::new(Kind::Transaction, types);
    for number in 0..1_000 {
        let target = Target::new("Patient", &uuid(number), Some(1));
        links.add(&format!("urn:uuid:{}", uuid(number)), target);
    }
    let relative = observation("Patient/p1", "Encounter/e1", "Practitioner/n1");
    let url = |number: usize| format!("urn:uuid:{}", uuid(number));
    let linked = observation(&url(1), &url(2), &url(3));
    measure("rewrite, nothing to change", &links, &relative, None);
    measure("rewrite, three links", &links, &linked, None);
    let base = "http://example.org/fhir";
    links.add(
        &format!("{base}/Patient/p1"),
        Target::new("Patient", "1", None),
    );
    let full_url = format!("{base}/Observation/1");
    measure(
        "rewrite, full urls of http",
        &links,
        &relative,
        Some(&full_url),
    );
    take(&linked);
}

fn measure(what: &str, links: &Links, text: &str, full_url: Option<&str>) {
    let types = Definitions::r4().types();
    let document: Value = parse(text.as_bytes()).unwrap();
    let mut spent = Duration::ZERO;
    for _ in 0..ROUNDS / 100 {
        let mut copies = vec![document.clone(); 100];
        let start = Instant::now();
        for copy in &mut copies {
            black_box(links.rewrite(black_box(copy), full_url, String::new, types));
        }
        spent += start.elapsed();
    }
    println!("{what}: {:?} each ({} bytes)", spent / ROUNDS, text.len());
}

fn take(observation: &str) {
    let entries: Vec<String> = (0..ENTRIES)
        .map(|number| {
            format!(
                r#"{{"fullUrl": "urn:uuid:{}", "resource": {observation}, "request": {{"method": "POST", "url": "Observation"}}}}"#,
                uuid(number)
            )
        })
        .collect();
    let text = format!(
        r#"{{"resourceType": "Bundle", "type": "transaction", "entry": [{}]}}"#,
        entries.join(",")
    );
    let start = Instant::now();
    black_box(parse(text.as_bytes()).unwrap());
    let parsed = start.elapsed();
    let start = Instant::now();
    let document = skim_bundle(&text, BOUNDS).unwrap();
    let skimmed = start.elapsed();
    let reading = Reading {
        validator: Validator::r4(),
        source: Some(&text),
        base: "",
        entries_max: ENTRIES,
    };
    let start = Instant::now();
    let bundle = Bundle::take(document, &reading).unwrap();
    let taken = start.elapsed();
    let count = bundle.all().unwrap().len();
    println!(
        "{count} entries, {} bytes: parsed in {parsed:?}; skimmed in {skimmed:?}, taken apart in {taken:?}",
        text.len()
    );
}

fn uuid(number: usize) -> String {
    format!("c757873d-ec9a-4326-a141-{number:012}")
}

fn observation(subject: &str, encounter: &str, performer: &str) -> String {
    format!(
        r#"{{"resourceType": "Observation",
  "text": {{"status": "generated", "div": "<div xmlns=\"http://www.w3.org/1999/xhtml\"><p>Heart rate 72 /min</p></div>"}},
  "identifier": [{{"use": "official", "system": "http://hospital.example.org/observations", "value": "hr-4711"}}],
  "status": "final",
  "category": [{{"coding": [{{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs", "display": "Vital Signs"}}]}}],
  "code": {{"coding": [{{"system": "http://loinc.org", "code": "8867-4", "display": "Heart rate"}}], "text": "Heart rate"}},
  "subject": {{"reference": "{subject}", "display": "Ann Example"}},
  "encounter": {{"reference": "{encounter}"}},
  "effectiveDateTime": "2024-05-01T10:30:00+02:00",
  "issued": "2024-05-01T10:31:00.000+02:00",
  "performer": [{{"reference": "{performer}"}}],
  "valueQuantity": {{"value": 72, "unit": "beats/minute", "system": "http://unitsofmeasure.org", "code": "/min"}},
  "referenceRange": [{{"low": {{"value": 60, "unit": "/min", "system": "http://unitsofmeasure.org", "code": "/min"}}, "high": {{"value": 100, "unit": "/min", "system": "http://unitsofmeasure.org", "code": "/min"}}}}]
}}"#
    )
}
