//! What comes along with the hits, and the parameters about pages.

use fhir_spec::json;
use search::extract;
use search::query::{INCLUDES_MAX, Target, Total, parse};

use super::database::{Database, R4, STRICT, pairs};
use super::documents::{OBSERVATIONS, PATIENTS};

fn target(resource_type: &str, id: &str) -> Target {
    Target {
        resource_type: resource_type.into(),
        id: id.into(),
    }
}

/// What a document brings along, as `Type/id`.
fn included(include: &str, document: &str) -> Vec<String> {
    let query = parse(&R4, "Patient", &pairs(include), STRICT).unwrap();
    let document = json::parse(document.as_bytes()).unwrap();
    let rows = extract::rows(&R4, &document).rows;
    let name = document.str_of("resourceType").unwrap();
    let all = query.includes.iter();
    let all = all.flat_map(|include| include.targets(&R4, name, &rows));
    all.map(|target| format!("{}/{}", target.resource_type, target.id))
        .collect()
}

#[test]
fn what_is_referred_to() {
    let anna = PATIENTS[0];
    assert_eq!(
        included("_include=Patient:organization", anna),
        ["Organization/o1"]
    );
    assert_eq!(
        included("_include=Patient:organization:Organization", anna),
        ["Organization/o1"]
    );
    assert_eq!(
        included("_include=Patient:general-practitioner", anna),
        [""; 0]
    );
    assert_eq!(included("_include=Patient:*", anna), ["Organization/o1"]);
    assert_eq!(included("_include=*", anna), ["Organization/o1"]);
    assert_eq!(included("_include=Observation:*", anna), [""; 0]);
    // On this server whatever the url says so; on another one never.
    assert_eq!(included("_include=*", PATIENTS[1]), ["Organization/o1"]);
    assert_eq!(included("_include=*", PATIENTS[2]), ["Practitioner/dr"]);
    assert_eq!(
        included("_include=Observation:patient", OBSERVATIONS[0]),
        ["Patient/anna"]
    );
    assert_eq!(
        included("_include=Observation:patient", OBSERVATIONS[1]),
        [""; 0]
    );
    assert_eq!(
        included("_include=Observation:subject", OBSERVATIONS[1]),
        ["Group/anna"]
    );
    assert_eq!(
        included("_include=Observation:subject:Patient", OBSERVATIONS[1]),
        [""; 0]
    );
}

#[test]
fn what_refers() {
    let database = Database::of(&[PATIENTS, OBSERVATIONS].concat());
    let referring = |include: &str, hits: &[Target]| {
        let query = parse(&R4, "Patient", &pairs(include), STRICT).unwrap();
        let query = query.includes[0].referring(&R4, hits);
        query
            .map(|query| database.found(&query))
            .unwrap_or_default()
    };
    let patients = [target("Patient", "anna"), target("Patient", "bert")];
    assert_eq!(
        referring("_revinclude=Observation:patient", &patients),
        ["height", "smoker"]
    );
    assert_eq!(
        referring("_revinclude=Observation:subject", &patients),
        ["height", "smoker"]
    );
    assert_eq!(
        referring("_revinclude=Observation:*", &patients[..1]),
        ["height"]
    );
    // Whatever refers: each type is asked by itself.
    let any = parse(&R4, "Patient", &pairs("_revinclude=*"), STRICT).unwrap();
    let any = &any.includes[0];
    assert_eq!(any.referring(&R4, &patients), None);
    let of_type = any.of("Observation").referring(&R4, &patients).unwrap();
    assert_eq!(database.found(&of_type), ["height", "smoker"]);
    assert_eq!(any.of("Medication").referring(&R4, &patients), None);
    let group = [target("Group", "anna")];
    assert_eq!(
        referring("_revinclude=Observation:patient", &group),
        [""; 0]
    );
    assert_eq!(
        referring("_revinclude=Observation:subject", &group),
        ["pressure"]
    );
    assert_eq!(
        referring("_revinclude=Observation:subject:Patient", &group),
        [""; 0]
    );
    assert_eq!(referring("_revinclude=Observation:subject", &[]), [""; 0]);
}

#[test]
fn iteration_and_pages_are_read() {
    let text = "_include:iterate=Patient:organization&_revinclude=Observation:patient&_count=0&_total=accurate&_sort=-birthdate,_id&_format=json";
    let query = parse(&R4, "Patient", &pairs(text), STRICT).unwrap();
    let iterates: Vec<bool> = query
        .includes
        .iter()
        .map(|include| include.iterates)
        .collect();
    assert_eq!(iterates, [true, false]);
    assert_eq!((query.count, query.total), (Some(0), Some(Total::Accurate)));
    let codes: Vec<(&str, bool)> = query
        .sort
        .iter()
        .map(|k| (&*k.code, k.is_descending))
        .collect();
    assert_eq!(codes, [("birthdate", true), ("_id", false)]);
    assert!(query.is_empty());
}

#[test]
fn what_is_not_understood_is_told() {
    for (query, wanted) in [
        (
            "_include=Patient",
            "`_include`: a parameter of Patient is missing",
        ),
        (
            "_include=Patient:name",
            "`_include`: `name` is a string and refers to nothing",
        ),
        (
            "_include=Patient:organisation",
            "`_include`: Patient has no search parameter `organisation`; `organization` may be meant",
        ),
        (
            "_include=Nonsense:x",
            "`_include`: `Nonsense` is no resource type",
        ),
        (
            "_include=Patient:organization:Nonsense",
            "`_include`: `Nonsense` is no resource type",
        ),
        (
            "_include=a:b:c:d",
            "`_include`: is written `Type:parameter` or `Type:parameter:Target`",
        ),
        (
            "_include:twice=Patient:organization",
            "`_include:twice`: there is no modifier `:twice`, only :iterate",
        ),
        (
            "_sort=nmae",
            "`_sort`: `nmae`: Patient has no search parameter `nmae`; `name` may be meant",
        ),
        ("_sort=name,,_id", "`_sort`: ``: a parameter is missing"),
        ("_count=-1", "`_count`: `-1` is no whole number from 0 on"),
        (
            "_count=many",
            "`_count`: `many` is no whole number from 0 on",
        ),
        (
            "_total=all",
            "`_total`: is `none`, `estimate` or `accurate`",
        ),
    ] {
        let issues = parse(&R4, "Patient", &pairs(query), STRICT).unwrap_err();
        assert_eq!(issues[0].diagnostics, wanted);
    }
    let composite = parse(
        &R4,
        "Observation",
        &pairs("_sort=code-value-quantity"),
        STRICT,
    );
    assert_eq!(
        composite.unwrap_err()[0].diagnostics,
        "`_sort`: `code-value-quantity`: nothing is sorted by a composite"
    );
    let many = vec!["_include=Patient:organization"; INCLUDES_MAX + 1].join("&");
    assert!(parse(&R4, "Patient", &pairs(&many), STRICT).is_err());
}
