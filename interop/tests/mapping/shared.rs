//! Blocks that maps share, values written into other blocks, references to what the same source makes.

use fhir_spec::json::Value;
use interop::mapping::Pack;

use crate::harness::convert;

const MAP: &str = r#"
blocks PERSON
  row -> Patient  key identifier
    mrn   -> identifier[].value { system = "urn:mrn" }
  row -> Observation as Weight  if weight  { subject = Patient, ^Patient.contact[].name.text += weight }
    "final" -> status
    "Weight" -> code.text
    weight -> valueString
    nth(weight) -> note.text

map people : csv
  columns mrn, weight, of
  include PERSON
  include PERSON as Second
  row -> Basic
    "x"   -> code.text
    of    -> subject : find("Patient", "urn:mrn")
  row if mrn = "1" { ^Patient.address[].text += mrn + "!", ^SecondPatient.address[].text += weight }
"#;

fn resources(text: &str) -> Vec<Value> {
    let pack = Pack::read([("m", MAP)]).unwrap_or_else(|bad| panic!("{bad}"));
    let converted = convert(&pack, "people", text.as_bytes(), None);
    assert_eq!(converted.bad, []);
    let entries = converted.bundle.items_of("entry").to_vec();
    entries
        .iter()
        .map(|entry| entry.get("resource").unwrap().clone())
        .collect()
}

#[test]
fn shared_blocks_stand_where_they_are_included_each_under_its_names() {
    let all = resources("mrn,weight,of\n1,80,1\n");
    let types: Vec<&str> = all
        .iter()
        .map(|one| one.str_of("resourceType").unwrap())
        .collect();
    // Both patients have the same key: they are one.
    assert_eq!(types, ["Patient", "Observation", "Observation", "Basic"]);
    let subject = |one: &Value| one.get("subject").unwrap().to_string();
    assert_eq!(subject(&all[1]), subject(&all[2]));
}

#[test]
fn values_are_written_into_other_blocks_and_references_find_this_source() {
    let all = resources("mrn,weight,of\n1,80,1\n");
    let patient = all[0].to_string();
    assert!(
        patient.contains(r#""contact":[{"name":{"text":"80"}}]"#),
        "{patient}"
    );
    assert!(
        patient.contains(r#""address":[{"text":"1!"}]"#),
        "{patient}"
    );
    assert!(subject_of(&all[3]).starts_with("urn:uuid:"));
    let other = resources("mrn,weight,of\n1,80,2\n");
    assert_eq!(subject_of(&other[3]), "Patient?identifier=urn:mrn|2");
    let without = resources("mrn,weight,of\n3,,2\n")[0].to_string();
    assert!(!without.contains("address"), "{without}");
}

fn subject_of(basic: &Value) -> &str {
    basic.get("subject").unwrap().str_of("reference").unwrap()
}

#[test]
fn what_is_never_included_or_not_there_is_told() {
    let told = |text: &str| Pack::read([("m", text)]).unwrap_err().to_string();
    let map = "map m : csv\n  columns a\n  include NO\n  row -> Patient\n    a -> name.text\n";
    assert!(told(map).contains("m:3:11: expected the name of blocks that the pack shares"));
    let circle = "blocks A\n  include A\nmap m : csv\n  columns a\n  include A\n";
    assert!(told(circle).contains("no shared blocks that include themselves"));
    let own =
        "map m : csv\n  columns a\n  row -> Patient\n    a -> name.text\n  row { name.text = a }\n";
    let pack = Pack::read([("m", own)]).unwrap();
    let schema = crate::harness::schema(&pack, "m");
    let bad = pack.check("m", &schema, fhir_spec::definitions::Definitions::r4());
    assert!(
        bad.unwrap_err()
            .to_string()
            .contains("another block to write to")
    );
}
