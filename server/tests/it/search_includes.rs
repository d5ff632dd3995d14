//! What comes along with the hits of a search.
//! <https://hl7.org/fhir/R4/search.html#include>

use crate::client::{get, send};
use crate::databases::Database;
use crate::kiln::Kiln;
use crate::search::{found, ids, link, observation, patient, put, target};

on_both_databases!(
    what_comes_along_comes_once,
    what_comes_along_is_cut_aloud,
    canonical_urls_bring_along_what_bears_them,
);

fn what_comes_along_comes_once(database: &Database) {
    let kiln = Kiln::start(database);
    let dr = r#"{"resourceType":"Practitioner","id":"dr","name":[{"family":"Who"}]}"#;
    put(kiln.address, dr);
    for number in 0..2 {
        put(kiln.address, &patient(number));
    }
    for number in 0..4 {
        let patient = format!("p{:02}", number % 2);
        put(kiln.address, &observation(number, &patient));
    }
    let along = |query: &str| {
        let mut included = ids(&found(kiln.address, query), "include");
        included.sort_unstable();
        included.join(" ")
    };
    for (query, expected) in [
        ("Observation?_include=Observation:subject", "p00 p01"),
        ("Observation?_include=Observation:subject&_count=1", "p00"),
        ("Observation?_include=*", "dr p00 p01"),
        (
            "Observation?_include=Observation:*&_include=*",
            "dr p00 p01",
        ),
        ("Observation?_include=Observation:subject:Group", ""),
        ("Observation?_include=Patient:organization", ""),
        ("Patient?_revinclude=Observation:subject", "o00 o01 o02 o03"),
        ("Patient?_id=p00&_revinclude=Observation:*", "o00 o02"),
        ("Patient?_id=p00&_revinclude=*", "o00 o02"),
        (
            "Practitioner?_revinclude:iterate=*&_include=*",
            "o00 o01 o02 o03",
        ),
        (
            "Patient?_id=p00&_revinclude=Observation:subject&_include=Observation:performer",
            "o00 o02",
        ),
        (
            "Patient?_id=p00&_revinclude=Observation:subject&_include:iterate=Observation:performer",
            "dr o00 o02",
        ),
        (
            "Observation?_id=o00&_include=Observation:subject&_revinclude:iterate=Observation:subject&_include:iterate=*",
            "dr o02 p00",
        ),
        // A circle ends.
        (
            "Patient?_id=p00&_revinclude:iterate=Observation:performer&_include:iterate=*&_revinclude:iterate=Observation:subject",
            "dr o00 o01 o02 o03 p01",
        ),
    ] {
        assert_eq!(along(query), expected, "{query}");
    }
    let counted = found(kiln.address, "Observation?_include=*&_count=4");
    assert_eq!(counted.get("total").unwrap().as_u64(), Some(4));
    send(kiln.address, "DELETE", "/fhir/Practitioner/dr", &[], b"").unwrap();
    assert_eq!(along("Observation?_include=*"), "p00 p01");
}

fn what_comes_along_is_cut_aloud(database: &Database) {
    let kiln = Kiln::configured(database, "[limits]\nincludes_max = 2\n");
    for number in 0..2 {
        put(kiln.address, &patient(number));
    }
    for number in 0..5 {
        put(kiln.address, &observation(number, "p00"));
    }
    let mut page = found(
        kiln.address,
        "Patient?_id=p00,p01&_revinclude=Observation:subject&_count=1",
    );
    assert_eq!(ids(&page, "match"), ["p00"]);
    assert!(link(&page, "next").is_some());
    let mut along = ids(&page, "include");
    for rest in [2, 1] {
        let told = page.items_of("entry").last().unwrap();
        assert_eq!(told.get("search").unwrap().str_of("mode"), Some("outcome"));
        let url = link(&page, "related").unwrap();
        page = get(kiln.address, target(&url)).json();
        assert!(ids(&page, "match").is_empty());
        assert_eq!(ids(&page, "include").len(), rest);
        along.extend(ids(&page, "include"));
    }
    assert_eq!(link(&page, "related"), None);
    assert_eq!(along, ["o00", "o01", "o02", "o03", "o04"]);
}

fn canonical_urls_bring_along_what_bears_them(database: &Database) {
    let kiln = Kiln::start(database);
    for (id, url, version) in [
        ("q1", "http://q/a", "1"),
        ("q2", "http://q/a", "2"),
        ("q3", "http://q/b", "1"),
    ] {
        put(
            kiln.address,
            &format!(
                r#"{{"resourceType":"Questionnaire","id":"{id}","url":"{url}","version":"{version}","status":"active"}}"#
            ),
        );
    }
    for (id, asked) in [
        ("r1", "http://q/a|1"),
        ("r2", "http://q/a"),
        ("r3", "http://q/c"),
        ("r4", "http://q/b|2"),
    ] {
        put(
            kiln.address,
            &format!(
                r#"{{"resourceType":"QuestionnaireResponse","id":"{id}","questionnaire":"{asked}","status":"completed"}}"#
            ),
        );
    }
    for (query, expected) in [
        (
            "QuestionnaireResponse?_id=r1&_include=QuestionnaireResponse:questionnaire",
            "q1",
        ),
        (
            "QuestionnaireResponse?_id=r2&_include=QuestionnaireResponse:questionnaire:Questionnaire",
            "q1 q2",
        ),
        (
            "QuestionnaireResponse?_id=r2&_include=QuestionnaireResponse:questionnaire:Library",
            "",
        ),
        ("QuestionnaireResponse?_id=r3,r4&_include=*", ""),
        ("QuestionnaireResponse?_include=*", "q1 q2"),
        (
            "Questionnaire?_id=q1&_revinclude=QuestionnaireResponse:questionnaire",
            "r1 r2",
        ),
        (
            "Questionnaire?_id=q2&_revinclude=QuestionnaireResponse:questionnaire",
            "r2",
        ),
        ("Questionnaire?_id=q3&_revinclude=*", ""),
        (
            "QuestionnaireResponse?_id=r1&_include:iterate=*&_revinclude:iterate=*",
            "q1 q2 r2",
        ),
    ] {
        let mut along = ids(&found(kiln.address, query), "include");
        along.sort_unstable();
        assert_eq!(along.join(" "), expected, "{query}");
    }
}
