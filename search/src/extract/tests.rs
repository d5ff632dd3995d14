//! The rows of documents, type by type.

use std::sync::{Arc, LazyLock};

use fhir_spec::definitions::Definitions;
use fhir_spec::json;

use super::*;
use crate::hash;
use crate::rows::{DateRow, NumberRow, StringRow, TokenRow};
use crate::types::number;

static R4: LazyLock<Registry> = LazyLock::new(|| {
    let definitions = Arc::new(Definitions::r4().with_packages(Vec::new()).0);
    Registry::new(definitions).at("https://kiln.example/fhir/")
});

fn rows_of(text: &str) -> Rows {
    let extracted = rows(&R4, &json::parse(text.as_bytes()).unwrap());
    assert_eq!(extracted.problems, Vec::<String>::new());
    extracted.rows
}

/// The rows as people read them: path and values.
fn shown(text: &str) -> Vec<String> {
    let document = json::parse(text.as_bytes()).unwrap();
    let known = R4.of(document.str_of("resourceType").unwrap()).unwrap();
    let name = |path| known.path_name(path).unwrap().to_owned();
    let rows = rows_of(text);
    let mut shown = Vec::new();
    shown.extend((rows.token.iter()).map(|r| format!("{} = {}", name(r.path), r.code)));
    shown.extend((rows.string.iter()).map(|r| format!("{} ~ {}", name(r.path), r.value)));
    shown.extend((rows.reference.iter()).map(|r| format!("{} > {}", name(r.path), r.target)));
    shown.extend((rows.uri.iter()).map(|r| format!("{} : {}", name(r.path), r.value)));
    shown.sort();
    shown
}

fn only<T: Clone>(rows: &[T]) -> T {
    assert_eq!(rows.len(), 1);
    rows[0].clone()
}

#[test]
fn a_patient() {
    let patient = shown(
        r#"{"resourceType": "Patient", "id": "1", "active": true, "gender": "female",
            "meta": {"profile": ["http://x/p|1"], "tag": [{"code": "t"}], "source": "urn:s"},
            "identifier": [{"type": {"coding": [{"code": "MR"}]}, "system": "http://mrn", "value": "77"}, {"system": "http://none"}],
            "name": [{"family": "Müller", "given": ["Ann", "ANN"]}],
            "telecom": [{"system": "phone", "value": "+49"}],
            "address": [{"city": "Köln", "line": ["A 1"]}],
            "managingOrganization": {"reference": "Organization/o"},
            "generalPractitioner": [{"identifier": {"system": "http://npi", "value": "9"}}]}"#,
    );
    assert_eq!(
        patient,
        [
            "Patient.active = true",
            "Patient.address.city ~ koln",
            "Patient.address.line ~ a 1",
            "Patient.gender = female",
            "Patient.generalPractitioner:bare = ",
            "Patient.generalPractitioner:identifier = 9",
            "Patient.identifier = 77",
            "Patient.identifier:bare = ",
            "Patient.identifier:of-type = MR|77",
            "Patient.managingOrganization > o",
            "Patient.meta.profile : http://x/p|1",
            "Patient.meta.source : urn:s",
            "Patient.meta.tag = t",
            "Patient.name.family ~ muller",
            "Patient.name.given ~ ann",
            "Patient.name.given ~ ann",
            "Patient.telecom = +49",
            "Patient:Patient.deceased.exists() and Patient.deceased != false = false",
        ]
    );
}

#[test]
fn codes_have_the_system_of_their_value_set() {
    let rows = rows_of(r#"{"resourceType": "Observation", "status": "final"}"#);
    let wanted = hash::long("http://hl7.org/fhir/observation-status");
    assert_eq!(only(&rows.token).system, wanted);
}

#[test]
fn texts_as_written_are_told_apart() {
    let of = |name: &str| {
        let text = format!(r#"{{"resourceType": "Organization", "name": "{name}"}}"#);
        only(&rows_of(&text).string)
    };
    assert_eq!(of("a clinic").exact, 0);
    let StringRow { value, exact, .. } = of("A Clinic");
    assert_eq!((&*value, exact), ("a clinic", hash::long("A Clinic")));
    assert_ne!(of("A Clinic").exact, of("A CLINIC").exact);
}

#[test]
fn references_in_every_form() {
    let of = |reference: &str| {
        let text = format!(
            r#"{{"resourceType": "Condition", "subject": {reference}, "contained": [{{"resourceType": "Patient", "id": "c", "gender": "male"}}]}}"#
        );
        rows_of(&text)
    };
    let patient = hash::short("Patient");
    for (reference, target, target_type, version) in [
        (r#"{"reference": "Patient/1"}"#, "1", patient, ""),
        (
            r#"{"reference": "Patient/1/_history/2"}"#,
            "1",
            patient,
            "2",
        ),
        (
            r#"{"reference": "https://kiln.example/fhir/Patient/1"}"#,
            "1",
            patient,
            "",
        ),
        (
            r#"{"reference": "https://kiln.example/fhirx/Patient/1"}"#,
            "https://kiln.example/fhirx/Patient/1",
            patient,
            "",
        ),
        (
            r#"{"reference": "http://other/Patient/1/_history/3"}"#,
            "http://other/Patient/1",
            patient,
            "3",
        ),
        (
            r#"{"reference": "urn:uuid:1", "type": "Patient"}"#,
            "urn:uuid:1",
            patient,
            "",
        ),
        (r#"{"reference": "urn:uuid:1"}"#, "urn:uuid:1", 0, ""),
    ] {
        let row = only(&of(reference).reference);
        assert_eq!(
            (&*row.target, row.target_type, &*row.version),
            (target, target_type, version),
            "{reference}"
        );
    }
    // They lead to nothing that is stored, and yet they are there.
    for (none, target_type) in [
        (r##"{"reference": "#c"}"##, patient),
        (r##"{"reference": "#nobody"}"##, 0),
        (r#"{"display": "x"}"#, 0),
        (r#"{"display": "x", "type": "Patient"}"#, patient),
    ] {
        let rows = of(none);
        assert_eq!(rows.reference, [], "{none}");
        let system = only(&rows.token).system;
        assert_eq!(system, i64::from(target_type), "{none}");
    }
}

#[test]
fn dates_in_every_form() {
    let day = 86_400_000_000;
    let of = |element: &str| {
        let text = format!(r#"{{"resourceType": "Observation", {element}}}"#);
        rows_of(&text).date
    };
    for (element, span, lo, hi) in [
        (r#""effectiveDateTime": "1970-01-02""#, 0, day, 2 * day),
        (r#""effectiveDateTime": "1970""#, 2, 0, 365 * day),
        (r#""effectiveDateTime": "1970-01""#, 1, 0, 31 * day),
        (
            r#""effectiveInstant": "1970-01-01T01:00:00+01:00""#,
            0,
            0,
            1_000_000,
        ),
        (
            r#""effectivePeriod": {"start": "1970-01-01", "end": "1970-01-01"}"#,
            0,
            0,
            day,
        ),
        (
            r#""effectivePeriod": {"start": "1970-01-01"}"#,
            2,
            0,
            crate::types::date::END,
        ),
        (
            r#""effectivePeriod": {"end": "1970-01-01"}"#,
            2,
            crate::types::date::BEGINNING,
            day,
        ),
        (
            r#""effectiveTiming": {"event": ["1970-01-03", "1970-01-01"], "repeat": {"boundsPeriod": {"start": "1970-01-02", "end": "1970-01-05"}}}"#,
            1,
            0,
            5 * day,
        ),
    ] {
        let DateRow {
            span: s,
            lo: l,
            hi: h,
            ..
        } = only(&of(element));
        assert_eq!((s, l, h), (span, lo, hi), "{element}");
    }
    for none in [
        r#""effectivePeriod": {}"#,
        r#""effectivePeriod": {"start": "1970-01-02", "end": "1970-01-01"}"#,
        r#""effectiveTiming": {"repeat": {"frequency": 1}}"#,
        r#""effectiveDateTime": "yesterday""#,
    ] {
        assert_eq!(of(none), [], "{none}");
    }
}

#[test]
fn the_ends_of_time_are_the_calendar_s() {
    let of = |text: &str| fhir_spec::time::DateTime::parse(text).unwrap().interval(0);
    assert_eq!(of("0001").0, crate::types::date::BEGINNING);
    assert_eq!(of("9999").1, crate::types::date::END);
}

fn amounts(value: &str) -> Vec<(i32, f64, f64)> {
    let text = format!(r#"{{"resourceType": "Observation", {value}}}"#);
    let numbers = rows_of(&text).number;
    let shown = |row: &NumberRow| {
        assert_eq!(row.span, u8::from(row.lo < row.hi));
        (row.unit, row.lo, row.hi)
    };
    let mut amounts: Vec<(i32, f64, f64)> = numbers.iter().map(shown).collect();
    amounts.sort_by(|a, b| a.partial_cmp(b).unwrap());
    amounts
}

fn sorted(mut amounts: Vec<(i32, f64, f64)>) -> Vec<(i32, f64, f64)> {
    amounts.sort_by(|a, b| a.partial_cmp(b).unwrap());
    amounts
}

#[test]
fn quantities_in_every_form() {
    let gram = number::base_units("g");
    let ucum = r#""system": "http://unitsofmeasure.org""#;
    let of = |quantity: &str| amounts(&format!(r#""valueQuantity": {{{quantity}}}"#));
    assert_eq!(
        of(&format!(
            r#""value": 5.0, "unit": "mg", {ucum}, "code": "mg""#
        )),
        sorted(vec![(0, 5.0, 5.0), (gram, 0.005, 0.005)])
    );
    let pressure = number::base_units("g.m-1.s-2");
    let labelled = of(&format!(
        r#""value": 1, "unit": "Pascal", {ucum}, "code": "Pa""#
    ));
    let wanted = vec![
        (0, 1.0, 1.0),
        (pressure, 1000.0, 1000.0),
        (number::named("Pascal"), 1.0, 1.0),
    ];
    assert_eq!(labelled, sorted(wanted));
    assert_eq!(
        of(&format!(
            r#""value": 5, "comparator": "<", {ucum}, "code": "g""#
        )),
        sorted(vec![
            (0, f64::MIN, 5.0_f64.next_down()),
            (gram, f64::MIN, 5.0_f64.next_down())
        ])
    );
    assert_eq!(
        of(r#""value": -0.0, "unit": "drops""#),
        sorted(vec![(0, 0.0, 0.0), (number::named("drops"), 0.0, 0.0)])
    );
    assert_eq!(
        of(r#""value": 2, "system": "http://x", "code": "c""#),
        sorted(vec![
            (0, 2.0, 2.0),
            (number::named("c"), 2.0, 2.0),
            (number::named_in("http://x", "c"), 2.0, 2.0)
        ])
    );
    for none in [r#""unit": "mg""#, r#""value": "5""#] {
        assert_eq!(of(none), [], "{none}");
    }
    assert_eq!(amounts(r#""valueString": "5""#), []);
}

#[test]
fn ranges_and_samples() {
    let of = |range: &str| {
        let text = format!(r#"{{"resourceType": "Condition", "onsetRange": {range}}}"#);
        let rows = rows_of(&text).number;
        rows.iter().map(|r| (r.lo, r.hi)).collect::<Vec<_>>()
    };
    assert_eq!(
        of(r#"{"low": {"value": 1}, "high": {"value": 2}}"#),
        [(1.0, 2.0)]
    );
    assert_eq!(of(r#"{"low": {"value": 1}}"#), [(1.0, f64::MAX)]);
    assert_eq!(of(r#"{"high": {"value": 2}}"#), [(f64::MIN, 2.0)]);
    assert_eq!(of(r#"{"low": {"value": 3}, "high": {"value": 2}}"#), []);
    assert_eq!(of("{}"), []);
    let sampled = r#""valueSampledData": {"origin": {"value": 0, "unit": "mV"}, "lowerLimit": -3, "upperLimit": 4}"#;
    assert_eq!(
        amounts(sampled),
        sorted(vec![(0, -3.0, 4.0), (number::named("mV"), -3.0, 4.0)])
    );
}

#[test]
fn tuples_stay_together() {
    let rows = rows_of(
        r#"{"resourceType": "Observation", "component": [
            {"code": {"coding": [{"system": "s", "code": "a"}, {"code": "b"}]}, "valueQuantity": {"value": 1}},
            {"code": {"coding": [{"code": "c"}]}, "valueCodeableConcept": {"coding": [{"code": "v"}]}},
            {"code": {"coding": [{"code": "d"}]}}]}"#,
    );
    let numbers = rows.composite.iter().filter(|row| row.text.is_empty());
    let numbers: Vec<_> = numbers.map(|r| (&*r.code, r.system, r.lo, r.hi)).collect();
    assert_eq!(
        numbers,
        [("a", hash::long("s"), 1.0, 1.0), ("b", 0, 1.0, 1.0)]
    );
    let texts = rows.composite.iter().filter(|row| !row.text.is_empty());
    let texts: Vec<_> = texts.map(|r| (&*r.code, &*r.text)).collect();
    assert_eq!(texts, [("c", "v")]);
}

#[test]
fn tuples_of_three() {
    let rows = rows_of(
        r#"{"resourceType": "MolecularSequence", "coordinateSystem": 0,
            "referenceSeq": {"chromosome": {"coding": [{"code": "1"}]}, "windowStart": 5, "windowEnd": 9},
            "variant": [{"start": 1, "end": 2}, {"start": 3, "end": 4}]}"#,
    );
    let shown: Vec<_> = rows
        .composite
        .iter()
        .map(|r| (&*r.code, r.lo, r.lo2))
        .collect();
    assert_eq!(shown, [("1", 1.0, 2.0), ("1", 3.0, 4.0)]);
}

#[test]
fn other_shapes_of_tuples() {
    let document = rows_of(
        r#"{"resourceType": "DocumentReference", "relatesTo": [{"code": "replaces", "target": {"reference": "DocumentReference/2"}}]}"#,
    );
    let row = only(&document.composite);
    assert_eq!((&*row.code, &*row.text), ("replaces", "2"));
    assert_eq!(row.key, i64::from(hash::short("DocumentReference")));
    let measure = rows_of(
        r#"{"resourceType": "Measure", "useContext": [{"code": {"code": "age"}, "valueRange": {"low": {"value": 18, "system": "http://unitsofmeasure.org", "code": "a"}}}]}"#,
    );
    let keys: Vec<_> = measure.composite.iter().map(|row| row.key).collect();
    assert_eq!(keys.len(), 2);
    assert!(keys.contains(&0) && keys.contains(&number::base_units("s").into()));
}

#[test]
fn guards_indexes_and_expressions() {
    assert_eq!(
        shown(
            r#"{"resourceType": "Measure", "status": "draft", "relatedArtifact": [{"type": "derived-from", "resource": "http://x/a|2"}, {"type": "citation", "resource": "http://x/b"}]}"#
        ),
        [
            "Measure.relatedArtifact[type=derived-from].resource > http://x/a",
            "Measure.status = draft"
        ]
    );
    assert_eq!(
        shown(
            r#"{"resourceType": "Bundle", "type": "document", "entry": [{"resource": {"resourceType": "Composition", "id": "c"}}, {"resource": {"resourceType": "Patient", "id": "p"}}]}"#
        ),
        ["Bundle.entry[0].resource > c", "Bundle.type = document"]
    );
    assert_eq!(
        shown(r#"{"resourceType": "Observation", "extension": [{"url": "http://hl7.org/fhir/StructureDefinition/observation-geneticsGene", "valueCodeableConcept": {"coding": [{"code": "g"}]}}, {"url": "http://x", "valueCodeableConcept": {"coding": [{"code": "h"}]}}]}"#)
            .len(),
        1
    );
    let deceased = |element: &str| {
        let rows = rows_of(&format!(r#"{{"resourceType": "Patient"{element}}}"#));
        only(
            &rows
                .token
                .into_iter()
                .filter(|r: &TokenRow| r.code != "x")
                .collect::<Vec<_>>(),
        )
        .code
    };
    assert_eq!(deceased(""), "false");
    assert_eq!(deceased(r#", "deceasedBoolean": true"#), "true");
    assert_eq!(deceased(r#", "deceasedBoolean": false"#), "false");
    assert_eq!(
        rows_of(r#"{"resourceType": "Patient", "deceasedDateTime": "2020"}"#).token[0].code,
        "true"
    );
    let where_ = rows_of(
        r#"{"resourceType": "Location", "position": {"longitude": -83.69, "latitude": 42.25}}"#,
    );
    assert!((only(&where_.position).z - 0.672_366).abs() < 1e-6);
}

#[test]
fn what_is_no_resource_has_no_rows() {
    for text in [
        "[]",
        "{}",
        r#"{"resourceType": "Nonsense"}"#,
        r#"{"resourceType": 7}"#,
    ] {
        assert!(rows_of(text).is_empty(), "{text}");
    }
    let odd = r#"{"resourceType": "Patient", "name": 7, "identifier": {"value": ["x"]}, "birthDate": {}, "gender": [null], "telecom": [[{"value": 1}]]}"#;
    // That one is alive, and has an identifier that cannot be read.
    assert_eq!(rows_of(odd).len(), 2);
}
