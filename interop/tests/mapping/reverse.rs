//! Both directions: what goes in and comes out again is the same, from either side.

use std::collections::HashMap;

use fhir_spec::json::{Value, parse};
use interop::formats::delimited::{Dialect, RowSink, write_row};
use interop::mapping::{Pack, shipped};

use crate::harness::{NOW, convert, resources, runner};

fn back(pack: &Pack, map: &str, all: &[Value]) -> HashMap<String, String> {
    let runner = runner(pack, map);
    let mut sink = RowSink::default();
    let not_carried = runner.reverse(all, &mut sink, NOW);
    assert_eq!(not_carried, []);
    runner
        .plan()
        .columns()
        .map(str::to_owned)
        .zip(sink.values)
        .filter(|(_, value)| !value.is_empty())
        .collect()
}

struct Random(u64);

impl Random {
    fn below(&mut self, count: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % count
    }

    fn pick<'p>(&mut self, all: &[&'p str]) -> &'p str {
        all[self.below(all.len())]
    }
}

/// A random patient: every column valued or not.
fn row(random: &mut Random, pack: &Pack) -> HashMap<String, String> {
    let mut row = HashMap::new();
    for column in pack.columns("patients") {
        let name = column.trim_end_matches('?');
        let value = match name {
            "mrn" => random.pick(&["1", "A-77", "0815", "x|y", "ü"]),
            "birth_date" => random.pick(&["1974", "1974-03", "1974-03-15", ""]),
            "sex" => random.pick(&["M", "F", "O", "U", ""]),
            "marital_status" => random.pick(&["M", "S", "D", "W", "P", "it is complicated", ""]),
            "active" => random.pick(&["true", "false", ""]),
            "deceased" => random.pick(&["true", "false", ""]),
            "deceased_at" => random.pick(&["2024-01-31T12:00:00Z", "2023", "", ""]),
            "language" => random.pick(&["en", "de-CH", ""]),
            // A second given name or line without the first would come back as the first.
            "first_name" | "street" => {
                random.pick(&["Jane", "O'Neil, \"Jr\"", "Zoë", "line\nbreak"])
            }
            _ => random.pick(&["", "some text", "a,b", "ß", "\"quoted\""]),
        };
        row.insert(name.to_owned(), value.to_owned());
    }
    if !row["deceased_at"].is_empty() {
        row.insert("deceased".to_owned(), String::new());
    }
    row
}

#[test]
fn forward_then_reverse_gives_the_row() {
    let pack = shipped().unwrap();
    let mut random = Random(11);
    let columns: Vec<&str> = pack
        .columns("patients")
        .iter()
        .map(|name| name.trim_end_matches('?'))
        .collect();
    for _ in 0..300 {
        let row = row(&mut random, pack);
        let mut text = Vec::new();
        write_row(&mut text, &Dialect::csv(), columns.iter().copied()).unwrap();
        write_row(
            &mut text,
            &Dialect::csv(),
            columns.iter().map(|name| row[*name].as_str()),
        )
        .unwrap();
        let converted = convert(pack, "patients", &text, None);
        assert_eq!(converted.bad, [], "{row:?}");
        let mut found = back(pack, "patients", &resources(&converted.bundle));
        // Several codes of the sender mean one; the first of the table comes back.
        let wanted: HashMap<String, String> = row
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .collect();
        assert_eq!(found.len(), wanted.len(), "{found:?}\n{wanted:?}");
        for (name, value) in &wanted {
            assert_eq!(
                found.remove(name).as_deref(),
                Some(value.as_str()),
                "{name} of {wanted:?}"
            );
        }
    }
}

#[test]
fn reverse_then_forward_gives_the_resource() {
    let pack = shipped().unwrap();
    let patient = r#"{"resourceType":"Patient","identifier":[{"value":"999-28-9417","system":"http://hl7.org/fhir/sid/us-ssn","type":{"coding":
        [{"system":"http://terminology.hl7.org/CodeSystem/v2-0203","code":"SS","display":"Social Security number"}]}},
        {"value":"7","system":"urn:kiln:mrn","use":"usual","type":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v2-0203","code":"MR",
        "display":"Medical record number"}]}}],"name":[{"use":"official","family":"Doe","given":["Jane","Q."]}],"telecom":[{"system":"email","value":"a@b.c"},
        {"system":"phone","use":"mobile","value":"1"},{"system":"phone","use":"home","value":"2"}],"gender":"female","birthDate":"1974-03","address":[{"use":"home",
        "line":["One","Two"],"city":"Ulm"}],"deceasedBoolean":false}"#;
    let patient = parse(patient.as_bytes()).unwrap();
    let row = back(pack, "patients", std::slice::from_ref(&patient));
    for (name, value) in [
        ("mrn", "7"),
        ("ssn", "999-28-9417"),
        ("first_name", "Jane"),
        ("middle_name", "Q."),
        ("mobile", "1"),
        ("phone", "2"),
        ("sex", "M"),
    ] {
        if name != "sex" {
            assert_eq!(row.get(name).map(String::as_str), Some(value), "{name}");
        }
    }
    assert_eq!(row["sex"], "F");
    let (names, values): (Vec<&str>, Vec<&str>) = row
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .unzip();
    let mut text = Vec::new();
    write_row(&mut text, &Dialect::csv(), names).unwrap();
    write_row(&mut text, &Dialect::csv(), values).unwrap();
    let again = convert(pack, "patients", &text, None);
    let found = &resources(&again.bundle)[0];
    for member in ["name", "gender", "birthDate", "address", "deceasedBoolean"] {
        assert_eq!(
            sorted(found.get(member).unwrap()),
            sorted(patient.get(member).unwrap()),
            "{member}"
        );
    }
    for list in ["identifier", "telecom"] {
        let texts = |value: &Value| {
            let mut all: Vec<String> = value
                .items_of(list)
                .iter()
                .map(|item| sorted(item).to_string())
                .collect();
            all.sort();
            all
        };
        assert_eq!(texts(found), texts(&patient));
    }
}

/// Members in alphabetical order: FHIR gives their order no meaning.
fn sorted(value: &Value) -> Value {
    use fhir_spec::json::{Data, Object};
    match &value.data {
        Data::Object(object) => {
            let mut members: Vec<(String, Value)> = object
                .iter()
                .map(|(name, value)| (name.to_owned(), sorted(value)))
                .collect();
            members.sort_by(|a, b| a.0.cmp(&b.0));
            Object::from_iter(members).into()
        }
        Data::Array(items) => items.iter().map(sorted).collect::<Vec<_>>().into(),
        _ => value.clone(),
    }
}
