//! What documents cost: reading and writing both notations, checking and cleaning a narrative, patching.
//!
//! `cargo bench -p fhir-spec --bench documents`

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints, and stops when what it measures is not there"
)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use fhir_spec::definitions::Definitions;
use fhir_spec::json::{Value, parse};
use fhir_spec::{narrative, patch, xml};

const TIME_PER_LINE: Duration = Duration::from_millis(400);
const BUNDLE_ENTRIES: usize = 100;

fn main() {
    let definitions = Definitions::r4();
    definitions.types();
    for (name, json) in [
        ("Observation", observation(1)),
        ("Patient", patient(1)),
        ("Bundle of 100", bundle()),
    ] {
        let tree = parse(json.as_bytes()).unwrap();
        let text = xml::write(&tree, definitions).unwrap();
        println!(
            "{name}: {} bytes of JSON, {} of XML",
            json.len(),
            text.len()
        );
        line("  parse JSON", json.len(), || parse(json.as_bytes()));
        line("  write JSON", json.len(), || tree.to_string());
        line("  read XML", text.len(), || {
            xml::read(text.as_bytes(), definitions)
        });
        line("  write XML", text.len(), || xml::write(&tree, definitions));
    }
    narratives();
    patches(&parse(patient(1).as_bytes()).unwrap(), definitions);
}

fn narratives() {
    let rows =
        "<tr><td class=\"a\">Weight</td><td style=\"color: red\">71.4 kg</td></tr>".repeat(50);
    let div = format!("<div xmlns=\"http://www.w3.org/1999/xhtml\"><table>{rows}</table></div>");
    let bad = div.replace("<td class", "<td onclick=\"x()\" class");
    println!("Narrative: {} bytes", div.len());
    line("  check", div.len(), || narrative::check(&div));
    line("  sanitise, nothing to do", div.len(), || {
        narrative::sanitise(&div).len()
    });
    line("  sanitise, all rows", bad.len(), || {
        narrative::sanitise(&bad).len()
    });
}

fn patches(document: &Value, definitions: &Definitions) {
    let json_patch = r#"[{"op":"replace","path":"/name/0/family","value":"B"},{"op":"add","path":"/name/0/given/-","value":"C"}]"#;
    let parameters = r#"{"resourceType":"Parameters","parameter":[{"name":"operation","part":[{"name":"type","valueCode":"replace"},
        {"name":"path","valueString":"Patient.name[0].family"},{"name":"value","valueString":"B"}]}]}"#;
    let json_patch = parse(json_patch.as_bytes()).unwrap();
    let parameters = parse(parameters.as_bytes()).unwrap();
    println!("Patches of the Patient");
    line("  JSON Patch, two operations", 0, || {
        patch::json::apply(document, &json_patch)
    });
    line("  FHIRPath Patch, one operation", 0, || {
        patch::fhirpath::apply(document, &parameters, definitions.types())
    });
}

/// Runs for a while, and prints the mean time of one run and the bytes a second.
fn line<T>(name: &str, bytes: usize, mut run: impl FnMut() -> T) {
    black_box(run());
    let start = Instant::now();
    let mut rounds = 0u32;
    while start.elapsed() < TIME_PER_LINE {
        black_box(run());
        rounds += 1;
    }
    let seconds = start.elapsed().as_secs_f64() / f64::from(rounds);
    let micros = seconds * 1e6;
    if bytes == 0 {
        println!("{name:32} {micros:10.2} us");
        return;
    }
    let megabytes = f64::from(u32::try_from(bytes).unwrap()) / 1e6;
    println!(
        "{name:32} {micros:10.2} us {:8.0} MB/s",
        megabytes / seconds
    );
}

fn observation(number: usize) -> String {
    format!(
        r#"{{"resourceType":"Observation","id":"o{number}","meta":{{"versionId":"1","lastUpdated":"2024-01-02T03:04:05.678Z","profile":["http://hl7.org/fhir/StructureDefinition/vitalsigns"]}},"text":{{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\"><p><b>Weight</b>: 71.{number} kg</p></div>"}},"identifier":[{{"system":"http://example.org/o","value":"{number}"}}],"status":"final","category":[{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"vital-signs","display":"Vital Signs"}}]}}],"code":{{"coding":[{{"system":"http://loinc.org","code":"29463-7","display":"Body weight"}}],"text":"Weight"}},"subject":{{"reference":"Patient/p{number}"}},"encounter":{{"reference":"Encounter/e{number}"}},"effectiveDateTime":"2024-01-02T03:04:05+01:00","issued":"2024-01-02T03:04:05.678Z","performer":[{{"reference":"Practitioner/d1","display":"Dr. D"}}],"valueQuantity":{{"value":71.{number}0,"unit":"kg","system":"http://unitsofmeasure.org","code":"kg"}},"interpretation":[{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation","code":"N"}}]}}],"referenceRange":[{{"low":{{"value":50.0,"unit":"kg"}},"high":{{"value":90.0,"unit":"kg"}}}}]}}"#
    )
}

fn patient(number: usize) -> String {
    format!(
        r#"{{"resourceType":"Patient","id":"p{number}","meta":{{"versionId":"1","lastUpdated":"2024-01-02T03:04:05.678Z"}},"text":{{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">Anna Person {number}</div>"}},"extension":[{{"url":"http://example.org/e","valueCodeableConcept":{{"coding":[{{"system":"http://example.org/c","code":"x"}}]}}}}],"identifier":[{{"use":"official","type":{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/v2-0203","code":"MR"}}]}},"system":"http://example.org/p","value":"{number}","period":{{"start":"2001-05-06"}}}}],"active":true,"name":[{{"use":"official","family":"Person","given":["Anna","Maria"],"_given":[null,{{"extension":[{{"url":"http://example.org/q","valueCode":"CL"}}]}}]}},{{"use":"nickname","given":["Ann"]}}],"telecom":[{{"system":"phone","value":"+1 555 0100","use":"home","rank":1}},{{"system":"email","value":"anna@example.org"}}],"gender":"female","birthDate":"1974-12-25","_birthDate":{{"extension":[{{"url":"http://hl7.org/fhir/StructureDefinition/patient-birthTime","valueDateTime":"1974-12-25T14:35:45-05:00"}}]}},"deceasedBoolean":false,"address":[{{"use":"home","line":["1 Street"],"city":"Town","postalCode":"1234","country":"XX"}}],"contact":[{{"relationship":[{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/v2-0131","code":"N"}}]}}],"name":{{"family":"Other"}},"gender":"male"}}],"managingOrganization":{{"reference":"Organization/1"}}}}"#
    )
}

fn bundle() -> String {
    let entries: Vec<String> = (0..BUNDLE_ENTRIES)
        .map(|number| {
            let (name, resource) = if number % 4 == 0 {
                ("Patient", patient(number))
            } else {
                ("Observation", observation(number))
            };
            format!(
                r#"{{"fullUrl":"urn:uuid:00000000-0000-4000-8000-{number:012}","resource":{resource},"request":{{"method":"POST","url":"{name}"}}}}"#
            )
        })
        .collect();
    format!(
        r#"{{"resourceType":"Bundle","type":"transaction","entry":[{}]}}"#,
        entries.join(",")
    )
}
