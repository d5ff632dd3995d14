//! What is there without saying what a search looks for first: systems without codes, texts, displays, open ends.

use search::query::parse;

use super::database::{Database, R4, STRICT, pairs};

const DOCUMENTS: &[&str] = &[
    r#"{"resourceType": "Observation", "id": "text", "code": {"text": "a rash"}, "subject": {"display": "Ann"},
        "identifier": [{"system": "http://mrn"}], "valueQuantity": {"value": 5, "comparator": "<"}}"#,
    r##"{"resourceType": "Observation", "id": "system", "code": {"coding": [{"system": "http://loinc.org", "display": "?"}]},
        "subject": {"reference": "#p"}, "contained": [{"resourceType": "Patient", "id": "p"}],
        "valueQuantity": {"value": 5, "comparator": ">="}}"##,
    r#"{"resourceType": "Observation", "id": "whole", "code": {"coding": [{"system": "http://loinc.org", "code": "1-8"}]},
        "subject": {"reference": "Patient/p"},
        "valueSampledData": {"origin": {"value": 0, "system": "http://unitsofmeasure.org", "code": "mg"}, "period": 1, "lowerLimit": 1, "upperLimit": 9, "dimensions": 1}}"#,
    r#"{"resourceType": "Observation", "id": "none"}"#,
    r#"{"resourceType": "DocumentReference", "id": "d", "content": [], "relatesTo": [{"code": "replaces",
        "target": {"reference": "DocumentReference/d0", "identifier": {"value": "7"}}}]}"#,
    r#"{"resourceType": "ValueSet", "id": "v", "url": "urn:oid:1/2"}"#,
    r#"{"resourceType": "ValueSet", "id": "u", "url": "urn:oid:1"}"#,
    r#"{"resourceType": "Patient", "id": "alive", "deceasedBoolean": false}"#,
    r#"{"resourceType": "Patient", "id": "dead", "deceasedBoolean": true}"#,
];

#[test]
fn what_says_little_is_found_by_it() {
    let database = Database::of(DOCUMENTS);
    for (resource_type, query, wanted) in [
        (
            "Observation",
            "code=http://loinc.org|",
            &["system", "whole"][..],
        ),
        ("Observation", "code=http://other|", &[]),
        (
            "Observation",
            "code:not=http://loinc.org|",
            &["text", "none"],
        ),
        ("Observation", "identifier=http://mrn|", &["text"]),
        ("Observation", "code:missing=true", &["none"]),
        ("Observation", "subject:missing=true", &["none"]),
        ("Observation", "patient:missing=false", &["system", "whole"]),
        ("Observation", "identifier:missing=false", &["text"]),
        // An end that is open is not reached.
        ("Observation", "value-quantity=ge5", &["system", "whole"]),
        (
            "Observation",
            "value-quantity=le5",
            &["text", "system", "whole"],
        ),
        ("Observation", "value-quantity=eb5", &["text"]),
        (
            "Observation",
            "value-quantity=lt2000|http://unitsofmeasure.org|ug",
            &["whole"],
        ),
        ("DocumentReference", "relationship=replaces$d0", &["d"]),
        ("DocumentReference", "relationship=replaces$7", &[]),
        ("ValueSet", "url:above=urn:oid:1/2", &["v"]),
    ] {
        let found = database.search(resource_type, query);
        assert_eq!(found, wanted, "{resource_type}?{query}");
    }
}

/// An expression that may be of many types has one path for all of them.
#[test]
fn a_computed_parameter_sorts_each_once() {
    let database = Database::of(DOCUMENTS);
    for (sort, wanted) in [
        ("_sort=deceased", ["alive", "dead"]),
        ("_sort=-deceased", ["dead", "alive"]),
    ] {
        let query = parse(&R4, "Patient", &pairs(sort), STRICT).unwrap();
        let name = |rid: &i64| {
            let all = database.resources.iter();
            all.clone()
                .find(|resource| resource.0 == *rid)
                .unwrap()
                .2
                .clone()
        };
        let found: Vec<String> = database.sorted(&query, 10).iter().map(name).collect();
        assert_eq!(found, wanted, "{sort}");
    }
}
