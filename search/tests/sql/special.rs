//! Places, lists, compartments, and codes that stand for others.

use search::condition::Condition;
use search::query::{Criterion, Query, compartment, parse, parse_with};
use search::terminology::{CODES_MAX, Coded, Terminology};

use super::database::{Database, R4, STRICT, pairs};
use super::documents::{OBSERVATIONS, PATIENTS};

const PLACES: &[&str] = &[
    r#"{"resourceType": "Location", "id": "cologne", "position": {"latitude": 50.9375, "longitude": 6.9603}}"#,
    r#"{"resourceType": "Location", "id": "bonn", "position": {"latitude": 50.7374, "longitude": 7.0982}}"#,
    r#"{"resourceType": "Location", "id": "fiji", "position": {"latitude": -17, "longitude": 179.9}}"#,
    r#"{"resourceType": "Location", "id": "taveuni", "position": {"latitude": -17, "longitude": -179.9}}"#,
    r#"{"resourceType": "Location", "id": "pole", "position": {"latitude": 89.9, "longitude": 10}}"#,
    r#"{"resourceType": "Location", "id": "nowhere", "position": {"latitude": 100, "longitude": 10}}"#,
];

const OTHERS: &[&str] = &[
    r#"{"resourceType": "List", "id": "l1", "status": "current", "mode": "working", "entry": [{"item": {"reference": "Patient/anna"}}, {"item": {"reference": "Observation/height"}}]}"#,
    r#"{"resourceType": "RelatedPerson", "id": "rp", "patient": {"reference": "Patient/anna"}}"#,
    r#"{"resourceType": "Encounter", "id": "e1", "status": "finished", "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "ACUTE"}, "subject": {"reference": "Patient/anna"}}"#,
    r#"{"resourceType": "Encounter", "id": "e2", "status": "planned", "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"}}"#,
    r#"{"resourceType": "Encounter", "id": "e3", "status": "planned", "class": {"system": "http://other", "code": "AMB"}}"#,
];

fn check(resource_type: &str, cases: &[(&str, &[&str])]) {
    let database = Database::of(&[PATIENTS, OBSERVATIONS, PLACES, OTHERS].concat());
    for (query, wanted) in cases {
        let found = database.search(resource_type, query);
        assert_eq!(found, *wanted, "{resource_type}?{query}");
    }
}

#[test]
fn near() {
    check(
        "Location",
        &[
            ("near=50.9375|6.9603", &["cologne"]),
            ("near=50.9375|6.9603|0", &["cologne"]),
            ("near=50.9375|6.9603|24|km", &["cologne"]),
            ("near=50.9375|6.9603|25|km", &["cologne", "bonn"]),
            ("near=50.9375|6.9603|25", &["cologne", "bonn"]),
            ("near=50.9375|6.9603|25000|m", &["cologne", "bonn"]),
            ("near=50.9375|6.9603|15|[mi_i]", &["cologne"]),
            ("near=50.9375|6.9603|16|[mi_i]", &["cologne", "bonn"]),
            // Across the line where the longitudes begin, and around the pole.
            ("near=-17|180|20|km", &["fiji", "taveuni"]),
            ("near=89.9|-170|30|km", &["pole"]),
            (
                "near=0|0|30000|km",
                &["cologne", "bonn", "fiji", "taveuni", "pole"],
            ),
            ("near=50.9375|6.9603,-17|179.9", &["cologne", "fiji"]),
            ("near:missing=true", &["nowhere"]),
        ],
    );
    for query in [
        "near=1",
        "near=91|0",
        "near=a|b",
        "near=1|2|-3",
        "near=1|2|3|parsec",
        "near=1|2|3|km|x",
        "near=nan|0",
    ] {
        assert!(
            parse(&R4, "Location", &pairs(query), STRICT).is_err(),
            "{query}"
        );
    }
}

#[test]
fn lists() {
    check(
        "Patient",
        &[
            ("_list=l1", &["anna"]),
            ("_list=l2", &[]),
            ("_list=l1&gender=male", &[]),
        ],
    );
    check("Observation", &[("_list=l1", &["height"])]);
}

#[test]
fn compartments() {
    let database = Database::of(&[PATIENTS, OBSERVATIONS, OTHERS].concat());
    let within = |resource_type: &str, id: &str| {
        let condition = compartment(&R4, "Patient", id, resource_type);
        let condition = condition.unwrap_or(Condition::Never);
        let name = "compartment".into();
        database.found(&Query {
            criteria: vec![Criterion { name, condition }],
            ..Query::of(resource_type)
        })
    };
    assert_eq!(within("Patient", "anna"), ["anna"]);
    assert_eq!(within("Observation", "anna"), ["height"]);
    assert_eq!(within("RelatedPerson", "anna"), ["rp"]);
    assert_eq!(within("Encounter", "anna"), ["e1"]);
    assert_eq!(within("List", "anna"), [""; 0]);
    assert_eq!(compartment(&R4, "Patient", "anna", "Organization"), None);
    assert_eq!(compartment(&R4, "Nonsense", "anna", "Patient"), None);
}

#[test]
fn codes_of_value_sets_and_hierarchies() {
    check(
        "Encounter",
        &[
            (
                "class:in=http://terminology.hl7.org/ValueSet/v3-ActEncounterCode",
                &["e1", "e2"],
            ),
            (
                "class:not-in=http://terminology.hl7.org/ValueSet/v3-ActEncounterCode",
                &["e3"],
            ),
            (
                "class:below=http://terminology.hl7.org/CodeSystem/v3-ActCode|IMP",
                &["e1"],
            ),
            (
                "class:below=http://terminology.hl7.org/CodeSystem/v3-ActCode|AMB",
                &["e2"],
            ),
            (
                "class:above=http://terminology.hl7.org/CodeSystem/v3-ActCode|ACUTE",
                &["e1"],
            ),
            (
                "class:above=http://terminology.hl7.org/CodeSystem/v3-ActCode|AMB",
                &["e2"],
            ),
            (
                "status:in=http://hl7.org/fhir/ValueSet/encounter-status",
                &["e1", "e2", "e3"],
            ),
        ],
    );
    for (query, wanted) in [
        (
            "class:in=http://x",
            "`class:in`: the value set `http://x` is not known here",
        ),
        (
            "class:below=http://x|a",
            "`class:below`: the code system `http://x` is not known here",
        ),
        (
            "class:below=AMB",
            "`class:below`: a place in a hierarchy is `system|code`",
        ),
        (
            "class:above=http://hl7.org/fhir/encounter-status|x",
            "`class:above`: `http://hl7.org/fhir/encounter-status` has no code `x`, as far as is known here",
        ),
    ] {
        let issues = parse(&R4, "Encounter", &pairs(query), STRICT).unwrap_err();
        assert_eq!(issues[0].diagnostics, wanted);
    }
}

/// Knows one value set, larger than any search can be.
#[derive(Debug)]
struct Huge;

impl Terminology for Huge {
    fn codes_in(&self, value_set: &str) -> Result<Vec<Coded>, String> {
        let count = if value_set == "urn:huge" {
            CODES_MAX + 1
        } else {
            1_500
        };
        Ok((0..count)
            .map(|n| ("http://s".into(), format!("c{n}").into()))
            .collect())
    }

    fn codes_below(&self, _system: &str, _code: &str) -> Result<Vec<Coded>, String> {
        Err("unknown".into())
    }

    fn codes_above(&self, _system: &str, _code: &str) -> Result<Vec<Coded>, String> {
        Err("unknown".into())
    }
}

#[test]
fn others_may_know_more() {
    let of = |query: &str| parse_with(&R4, "Encounter", &pairs(query), STRICT, &Huge);
    assert!(of("class:in=urn:huge").is_err());
    let database = Database::of(&[PATIENTS, OTHERS].concat());
    assert_eq!(database.found(&of("class:in=urn:large").unwrap()), [""; 0]);
    assert_eq!(
        database.found(&of("class:not-in=urn:large").unwrap()),
        ["e1", "e2", "e3"]
    );
}
