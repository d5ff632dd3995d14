//! Chains, forwards and backwards.

use fhir_spec::outcome::IssueCode;
use search::condition::Condition;
use search::query::{CHAIN_STEPS_MAX, parse};

use super::database::{Database, R4, STRICT, pairs};
use super::documents::{OBSERVATIONS, PATIENTS};

const OTHERS: &[&str] = &[
    r#"{"resourceType": "Organization", "id": "o1", "name": "Clinic", "partOf": {"reference": "Organization/o2"}}"#,
    r#"{"resourceType": "Organization", "id": "o2", "name": "Trust", "active": true}"#,
    r#"{"resourceType": "Group", "id": "anna", "type": "person", "actual": true, "identifier": [{"value": "g"}],
        "member": [{"entity": {"reference": "Patient/bert"}}]}"#,
    r#"{"resourceType": "Encounter", "id": "e1", "status": "finished", "class": {"code": "AMB"}, "subject": {"reference": "Patient/anna"}}"#,
    r#"{"resourceType": "AuditEvent", "id": "a1", "entity": [{"what": {"reference": "Observation/height"}}]}"#,
    r#"{"resourceType": "Provenance", "id": "p1", "target": [{"reference": "Patient/anna"}, {"reference": "Observation/smoker"}]}"#,
];

fn database() -> Database {
    Database::of(&[PATIENTS, OBSERVATIONS, OTHERS].concat())
}

fn check(resource_type: &str, cases: &[(&str, &[&str])]) {
    let database = database();
    for (query, wanted) in cases {
        let found = database.search(resource_type, query);
        assert_eq!(found, *wanted, "{resource_type}?{query}");
    }
}

/// R4 names Groups among the targets of `patient`, and its expression rules them out: no list of paths is empty.
#[test]
fn a_way_that_leads_nowhere() {
    for (resource_type, query) in [
        ("Group", "_has:Observation:patient:status=final"),
        ("Observation", "patient:Group.identifier=g"),
    ] {
        let query = parse(&R4, resource_type, &pairs(query), STRICT).unwrap();
        assert_eq!(
            query.criteria[0].condition,
            Condition::Never,
            "{resource_type}"
        );
        assert_eq!(database().found(&query), [""; 0]);
    }
}

#[test]
fn forwards() {
    check(
        "Observation",
        &[
            ("subject:Patient.name=anna", &["height"]),
            ("subject.name=anna", &["height"]),
            ("patient.name=anna", &["height"]),
            ("patient.name=anna,bert", &["height", "smoker"]),
            ("patient.gender:not=male", &["height"]),
            ("patient.birthdate=lt1970-03-30", &["smoker"]),
            ("subject:Group.identifier=g", &["pressure"]),
            ("subject.identifier=g,1", &["height", "pressure", "smoker"]),
            ("patient._id=anna", &["height"]),
            ("patient._lastUpdated=ge2024-06-01T00:00:02Z", &["smoker"]),
            ("patient.organization=o1", &["height", "smoker"]),
            ("patient.organization.name=clinic", &["height", "smoker"]),
            (
                "patient.organization.partof.name=trust",
                &["height", "smoker"],
            ),
            (
                "patient.organization.partof:Organization.active=true",
                &["height", "smoker"],
            ),
            ("patient.organization.name=trust", &[]),
            ("patient.name=anna&code=height", &["height"]),
            ("patient.gender=female&date=2024", &["height"]),
            ("status=final&patient.gender=male", &["smoker"]),
            ("patient.name=anna&patient.name=eva", &["height"]),
            (
                "patient.general-practitioner:missing=true",
                &["height", "smoker"],
            ),
            ("patient:missing=true&status=final", &["less"]),
        ],
    );
    // A target on another server is not known here.
    check(
        "Patient",
        &[("organization.name=clinic", &["anna", "bert"])],
    );
}

#[test]
fn backwards() {
    check(
        "Patient",
        &[
            ("_has:Observation:patient:code=height", &["anna"]),
            ("_has:Observation:patient:code=85354-9", &[]),
            ("_has:Observation:subject:status=final", &["anna", "bert"]),
            ("_has:Observation:patient:code:not=height", &["bert"]),
            (
                "_has:Observation:patient:_has:AuditEvent:entity:_id=a1",
                &["anna"],
            ),
            (
                "_has:Encounter:patient:status=finished&gender=female",
                &["anna"],
            ),
            ("gender=male&_has:Encounter:patient:status=finished", &[]),
            ("_has:Group:member:type=person", &["bert"]),
            ("_has:Provenance:target:_id=p1", &["anna"]),
            ("_has:Observation:patient:value-quantity=170", &["anna"]),
            (
                "_has:Observation:patient:date=ge2024&_has:Observation:patient:status=final",
                &["anna", "bert"],
            ),
        ],
    );
    check(
        "Organization",
        &[
            ("_has:Patient:organization:name=anna", &["o1"]),
            (
                "_has:Patient:organization:_has:Observation:patient:code=height",
                &["o1"],
            ),
            ("_has:Organization:partof:name=clinic", &["o2"]),
            (
                "_has:Organization:partof:_has:Patient:organization:gender=male",
                &["o2"],
            ),
        ],
    );
    check(
        "Observation",
        &[
            ("_has:Provenance:target:patient._id=anna", &["smoker"]),
            ("subject:Patient._has:Group:member:_id=anna", &["smoker"]),
        ],
    );
}

#[test]
fn what_is_deleted_is_no_link() {
    let mut database = database();
    database.delete(1);
    assert_eq!(
        database.search("Observation", "patient.gender:not=x"),
        ["smoker"]
    );
    assert_eq!(
        database.search("Observation", "code=height&patient.gender:not=x"),
        [""; 0]
    );
    assert_eq!(
        database.search("Patient", "_has:Observation:patient:status=final"),
        ["bert"]
    );
}

#[test]
fn what_is_no_chain() {
    for (resource_type, query, wanted) in [
        (
            "Observation",
            "code.name=x",
            "`code.name`: `code` is a token and refers to nothing",
        ),
        (
            "Observation",
            "subjekt.name=x",
            "`subjekt.name`: Observation has no search parameter `subjekt`; `subject` may be meant",
        ),
        (
            "Observation",
            "patient.nmae=x",
            "`patient.nmae`: nothing that is referred to has a parameter `nmae`; `name` may be meant",
        ),
        (
            "Observation",
            "subject:Encounter.status=x",
            "`subject:Encounter.status`: `subject` never refers to a Encounter",
        ),
        (
            "Observation",
            "subject:Nonsense.status=x",
            "`subject:Nonsense.status`: `Nonsense` is no resource type",
        ),
        (
            "Observation",
            "focus._id=x",
            "`focus._id`: 145 types may be referred to; name one, as in `focus:Patient._id`",
        ),
        (
            "Observation",
            "patient.birthdate=never",
            "`birthdate`: `never` is no prefix; prefixes are eq, ne, gt, lt, ge, le, sa, eb, ap",
        ),
        (
            "Patient",
            "_has:Observation:patient=x",
            "`_has:Observation:patient`: `_has` is written `_has:Type:reference:parameter`",
        ),
        (
            "Patient",
            "_has:Nonsense:patient:code=x",
            "`_has:Nonsense:patient:code`: `Nonsense` is no resource type",
        ),
        (
            "Patient",
            "_has:Observation:encounter:code=x",
            "`_has:Observation:encounter:code`: `encounter` of Observation never refers to a Patient",
        ),
        (
            "Patient",
            "_has:Observation:patient:kode=x",
            "`kode`: Observation has no search parameter `kode`; `code` may be meant",
        ),
    ] {
        let issues = parse(&R4, resource_type, &pairs(query), STRICT).unwrap_err();
        assert_eq!(issues[0].diagnostics, wanted);
    }
    let deep = format!("organization.{}name=x", "partof.".repeat(CHAIN_STEPS_MAX));
    let issues = parse(&R4, "Patient", &pairs(&deep), STRICT).unwrap_err();
    assert_eq!(issues[0].code, IssueCode::TooCostly);
    let deep = format!("{}code=x", "_has:Observation:has-member:".repeat(100));
    let issues = parse(&R4, "Observation", &pairs(&deep), STRICT).unwrap_err();
    assert_eq!(issues[0].code, IssueCode::TooCostly);
}
