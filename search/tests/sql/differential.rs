//! Random questions about random data: the database and the reading of the rows must agree.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use search::query::parse;

use super::database::{Database, R4, STRICT, pairs};
use fhir_spec::json::parse as document;

const RESOURCES: usize = 60;
const QUESTIONS: u32 = 400;

fn pick(values: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    proptest::sample::select(values)
}

pub(super) const OTHERS: &[&str] = &[
    r#"{"resourceType": "Patient", "id": "1", "name": [{"family": "A"}], "gender": "male"}"#,
    r#"{"resourceType": "Patient", "id": "2", "name": [{"family": "AB"}], "active": true}"#,
    r#"{"resourceType": "Group", "id": "1", "type": "person", "actual": true}"#,
];

const CODES: &[&str] = &["a", "b", "c", "A"];
const SYSTEMS: &[&str] = &["http://s", "http://t", ""];
const DATES: &[&str] = &[
    "2019",
    "2020",
    "2020-01",
    "2020-01-15",
    "2020-01-15T12:00:00Z",
    "2020-02-01",
    "2020-02",
    "2021-03-01T00:00:00+14:00",
];
const NUMBERS: &[&str] = &["1", "1.5", "2", "2.0", "-1", "1000", "0.5"];
const UNITS: &[&str] = &["g", "mg", "kg", "m"];
const PREFIXES: &[&str] = &["", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"];

pub(super) const KEYS: &[&str] = &[
    "date",
    "_id",
    "_lastUpdated",
    "status",
    "code",
    "subject",
    "value-quantity",
    "combo-value-quantity",
    "value-string",
];

fn coding() -> impl Strategy<Value = String> {
    (pick(CODES), pick(SYSTEMS)).prop_map(|(code, system)| match system {
        "" => format!(r#"{{"code": "{code}"}}"#),
        system => format!(r#"{{"system": "{system}", "code": "{code}"}}"#),
    })
}

fn quantity() -> impl Strategy<Value = String> {
    (pick(NUMBERS), pick(UNITS), 0..4).prop_map(|(number, unit, form)| {
        let system = r#""system": "http://unitsofmeasure.org""#;
        match form {
            0 => format!(r#"{{"value": {number}, "unit": "{unit}"}}"#),
            1 => format!(r#"{{"value": {number}, "comparator": "<", {system}, "code": "{unit}"}}"#),
            _ => format!(r#"{{"value": {number}, {system}, "code": "{unit}"}}"#),
        }
    })
}

fn effective() -> impl Strategy<Value = String> {
    (pick(DATES), pick(DATES), 0..4).prop_map(|(one, other, form)| match form {
        0 => String::new(),
        1 => format!(r#", "effectivePeriod": {{"start": "{one}", "end": "{other}"}}"#),
        2 => format!(r#", "effectivePeriod": {{"start": "{one}"}}"#),
        _ => format!(r#", "effectiveDateTime": "{one}""#),
    })
}

pub(super) fn observation() -> impl Strategy<Value = String> {
    let component = (coding(), quantity()).prop_map(|(code, value)| {
        format!(r#"{{"code": {{"coding": [{code}]}}, "valueQuantity": {value}}}"#)
    });
    let parts = (
        proptest::collection::vec(coding(), 0..3),
        proptest::option::of(quantity()),
        effective(),
        proptest::collection::vec(component, 0..3),
        pick(&["Patient/1", "Patient/2", "Group/1", "http://x/Patient/1"]),
        pick(&["final", "amended"]),
    );
    parts.prop_map(|(codings, value, effective, components, subject, status)| {
        let value = value.map_or(String::new(), |value| {
            format!(r#", "valueQuantity": {value}"#)
        });
        format!(
            r#"{{"resourceType": "Observation", "status": "{status}", "code": {{"coding": [{}]}},
                "subject": {{"reference": "{subject}"}}{effective}{value}, "component": [{}]}}"#,
            codings.join(", "),
            components.join(", ")
        )
    })
}

fn token() -> impl Strategy<Value = String> {
    (pick(CODES), pick(SYSTEMS), 0..3).prop_map(|(code, system, form)| match form {
        0 => code.to_owned(),
        1 if !system.is_empty() => format!("{system}|"),
        _ => format!("{system}|{code}"),
    })
}

fn amount() -> impl Strategy<Value = String> {
    (pick(PREFIXES), pick(NUMBERS), pick(UNITS), 0..3).prop_map(|(prefix, number, unit, form)| {
        match form {
            0 => format!("{prefix}{number}"),
            1 => format!("{prefix}{number}||{unit}"),
            _ => format!("{prefix}{number}|http://unitsofmeasure.org|{unit}"),
        }
    })
}

pub(super) fn criterion() -> impl Strategy<Value = String> {
    let date = (pick(PREFIXES), pick(DATES)).prop_map(|(prefix, date)| format!("{prefix}{date}"));
    let date = proptest::collection::vec(date, 1..3);
    let tokens = proptest::collection::vec(token(), 1..4);
    let amounts = proptest::collection::vec(amount(), 1..3);
    let tuple = (token(), amount()).prop_map(|(code, amount)| format!("{code}${amount}"));
    let token_name = pick(&[
        "code",
        "combo-code",
        "component-code",
        "code:not",
        "combo-code:not",
    ]);
    let amount_name = pick(&[
        "value-quantity",
        "combo-value-quantity",
        "component-value-quantity",
    ]);
    let tuple_name = pick(&[
        "code-value-quantity",
        "combo-code-value-quantity",
        "component-code-value-quantity",
    ]);
    prop_oneof![
        (token_name, tokens).prop_map(|(name, values)| format!("{name}={}", values.join(","))),
        date.prop_map(|values| format!("date={}", values.join(","))),
        (amount_name, amounts).prop_map(|(name, values)| format!("{name}={}", values.join(","))),
        (tuple_name, tuple).prop_map(|(name, value)| format!("{name}={value}")),
        pick(&[
            "subject=1",
            "patient=1",
            "patient=Patient/2",
            "subject=Group/1",
            "subject=http://x/Patient/1",
            "status=final",
            "status:not=final",
            "date:missing=true",
            "code:missing=true",
            "value-quantity:missing=false",
            "combo-code-value-quantity:missing=true",
            "patient.name=a",
            "subject:Patient.gender=male",
            "subject:Group._has:Observation:subject:code=a",
            "patient._has:Observation:patient:date=ge2020",
            "subject.active=true",
            "patient.gender:not=male",
            "_id=3,5,7",
            "_id:not=3",
            "_lastUpdated=ge2024-06-01T00:00:30Z",
        ])
        .prop_map(str::to_owned),
    ]
}

#[test]
fn the_database_finds_what_is_meant() {
    let mut runner = TestRunner::deterministic();
    let mut database = Database::new();
    for other in OTHERS {
        database.add(&document(other.as_bytes()).unwrap());
    }
    for id in 0..RESOURCES {
        let text = observation().new_tree(&mut runner).unwrap().current();
        let mut observation = document(text.as_bytes()).unwrap();
        observation
            .as_object_mut()
            .unwrap()
            .set("id", id.to_string());
        database.add(&observation);
    }
    let questions = proptest::collection::vec(criterion(), 0..4);
    let sorts = proptest::collection::vec((pick(&["", "-"]), pick(KEYS)), 1..4);
    let mut found = 0;
    for _ in 0..QUESTIONS {
        let question = questions.new_tree(&mut runner).unwrap().current().join("&");
        let keys = sorts.new_tree(&mut runner).unwrap().current();
        let keys: Vec<String> = keys
            .iter()
            .map(|(sign, key)| format!("{sign}{key}"))
            .collect();
        let question = format!("{question}&_sort={}", keys.join(","));
        if let Ok(query) = parse(&R4, "Observation", &pairs(&question), STRICT) {
            found += usize::from(!database.found(&query).is_empty());
            let measured = database.measured(&query);
            assert_eq!(
                database.found(&measured),
                database.found(&query),
                "{question}"
            );
            for (query, limit) in [(&query, 2), (&measured, 7), (&query, 1_000)] {
                let sorted = database.sorted(query, limit);
                assert_eq!(
                    sorted,
                    database.meant_in_order(query),
                    "{question} by {limit}"
                );
            }
        }
    }
    // Questions that find nothing prove little.
    assert!(found > 100, "{found}");
}
