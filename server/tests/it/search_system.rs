//! Searches of several types and of compartments.
//! <https://hl7.org/fhir/R4/search.html#Introduction>

use fhir_spec::json::Value;

use crate::client::{get, send};
use crate::databases::Database;
use crate::kiln::Kiln;
use crate::search::{FORM, found, ids, link, observation, patient, put, refused, target};

on_both_databases!(
    several_types_are_one_search,
    pages_go_across_types,
    a_compartment_is_searched,
    what_no_system_search_can_be_is_refused,
);

fn several_types_are_one_search(database: &Database) {
    let kiln = Kiln::start(database);
    for number in 0..3 {
        put(kiln.address, &patient(number));
        put(kiln.address, &observation(number, "p00"));
    }
    let matches = |query: &str| ids(&found(kiln.address, query), "match").join(" ");
    for (query, expected) in [
        ("?_id=p01,o02", "o02 p01"),
        ("?_type=Patient,Observation&_id=p01,o02", "o02 p01"),
        (
            "?_type=Patient&_type=Observation&_sort=-_id&_count=4",
            "p02 p01 p00 o02",
        ),
        ("?_type=Patient&family=fox", "p00"),
        ("?_type=Patient,Person&birthdate=1950", "p00"),
        ("?_sort=-_lastUpdated&_count=2", "o02 p02"),
        ("?_lastUpdated=lt2000", ""),
        ("?_has:Observation:patient:_id=o01&_type=Patient", "p00"),
    ] {
        assert_eq!(matches(query), expected, "{query}");
    }
    let all = found(kiln.address, "");
    assert_eq!(all.get("total").and_then(Value::as_u64), Some(6));
    let counted = found(
        kiln.address,
        "?_summary=count&_type=Patient,Observation,Group,Device,Person",
    );
    assert_eq!(counted.get("total").and_then(Value::as_u64), Some(6));
    let total = found(kiln.address, "?_count=1&_total=accurate");
    assert_eq!(total.get("total").and_then(Value::as_u64), Some(6));
    let along = found(
        kiln.address,
        "?_type=Observation&_include=Observation:subject",
    );
    assert_eq!(ids(&along, "include"), ["p00"]);
    let form = b"_type=Patient&family=ant";
    let posted = send(kiln.address, "POST", "/fhir/_search", &[FORM], form)
        .unwrap()
        .json();
    assert_eq!(ids(&posted, "match"), ["p02"]);
    assert!(
        link(&posted, "self")
            .unwrap()
            .ends_with("/fhir?_type=Patient&family=ant")
    );
    // What was deleted is in no type.
    for number in 0..3 {
        let path = format!("/fhir/Patient/p{number:02}");
        assert_eq!(
            send(kiln.address, "DELETE", &path, &[], b"")
                .unwrap()
                .status,
            204
        );
    }
    assert_eq!(matches("?_sort=_id"), "o00 o01 o02");
}

fn pages_go_across_types(database: &Database) {
    let kiln = Kiln::start(database);
    for number in 0..7 {
        put(kiln.address, &patient(number));
        put(kiln.address, &observation(number, "p00"));
    }
    let mut come = 20;
    for sort in [
        "",
        "&_sort=_id",
        "&_sort=-_lastUpdated",
        "&_sort=_profile,-_id",
    ] {
        let mut seen: Vec<String> = Vec::new();
        let mut pages = 0;
        let mut next = Some(format!("/fhir?_count=4{sort}"));
        while let Some(path) = next {
            let page = get(kiln.address, &path).json();
            seen.extend(ids(&page, "match"));
            next = link(&page, "next").map(|url| target(&url).to_owned());
            pages += 1;
            put(kiln.address, &patient(come));
            put(kiln.address, &observation(come, "p00"));
            come += 1;
        }
        assert!(pages >= 4, "{sort}");
        let mut unique = seen.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), seen.len(), "{sort}: {seen:?}");
        for number in 0..7 {
            for id in [format!("p{number:02}"), format!("o{number:02}")] {
                assert!(unique.contains(&id), "{sort}: {id}");
            }
        }
    }
}

fn a_compartment_is_searched(database: &Database) {
    let kiln = Kiln::start(database);
    for number in 0..2 {
        put(kiln.address, &patient(number));
    }
    for number in 0..4 {
        put(
            kiln.address,
            &observation(number, &format!("p{:02}", number % 2)),
        );
    }
    let matches = |query: &str| ids(&found(kiln.address, query), "match").join(" ");
    for (query, expected) in [
        ("Patient/p00/Observation", "o00 o02"),
        ("Patient/p00/Observation?_sort=-_id&_count=1", "o02"),
        ("Patient/p01/Observation?value-quantity=1.50", "o01"),
        ("Patient/p00/Patient", "p00"),
        ("Patient/p00/*", "o00 o02 p00"),
        (
            "Patient/p00/*?_type=Observation,Patient&_sort=-_id",
            "p00 o02 o00",
        ),
        ("Patient/p00/Medication", ""),
        ("Patient/nobody/Observation", ""),
        ("Practitioner/dr/Observation", "o00 o01 o02 o03"),
        ("Encounter/e/Observation", ""),
        ("Patient/p00/Observation?_type=Patient", ""),
        (
            "Patient/p00/Observation?_type=Patient,Observation&_id=o02",
            "o02",
        ),
        ("Patient?_type=Patient&_id=p01", "p01"),
    ] {
        assert_eq!(matches(query), expected, "{query}");
    }
    let path = "/fhir/Patient/p00/Observation/_search";
    let posted = send(kiln.address, "POST", path, &[FORM], b"_count=1")
        .unwrap()
        .json();
    assert_eq!(ids(&posted, "match"), ["o00"]);
    let next = link(&posted, "next").unwrap();
    let page = get(kiln.address, target(&next)).json();
    assert_eq!(ids(&page, "match"), ["o02"]);
    // A link is for the compartment that it was made for.
    let elsewhere = target(&next).replace("p00", "p01");
    refused(
        &get(kiln.address, &elsewhere),
        "is for a search at `Patient/p00/Observation`",
    );
    let posted = send(
        kiln.address,
        "POST",
        "/fhir/Patient/p00/*/_search",
        &[FORM],
        b"_id=o02",
    );
    assert_eq!(ids(&posted.unwrap().json(), "match"), ["o02"]);
}

fn what_no_system_search_can_be_is_refused(database: &Database) {
    let kiln = Kiln::start(database);
    for (query, told) in [
        ("?family=fox", "has no search parameter `family`"),
        (
            "?_type=Patient,Observation&family=fox",
            "Observation has no search parameter `family`",
        ),
        (
            "?_type=Patient,Nonsense",
            "`Nonsense` is not a resource type",
        ),
        (
            "?_type=Observation,Patient&_sort=family",
            "Observation has no search parameter `family`",
        ),
        (
            "?_type=Patient,RiskAssessment&_sort=identifier,probability",
            "Patient has no search parameter `probability`",
        ),
    ] {
        refused(&get(kiln.address, &format!("/fhir/{query}")), told);
    }
    for (path, status) in [
        ("/fhir/Observation/1/Patient", 404),
        ("/fhir/Patient/1/Nonsense", 404),
        ("/fhir/Patient/1/_search", 404),
        ("/fhir/Patient/1/Observation/2", 404),
        ("/fhir/Patient/1/$nothing", 404),
        ("/fhir/*", 404),
        ("/fhir/_search", 405),
        ("/fhir/Patient/1/Observation/_search", 405),
    ] {
        assert_eq!(get(kiln.address, path).status, status, "{path}");
    }
    let wish = [("Prefer", "handling=lenient")];
    let lenient = send(
        kiln.address,
        "GET",
        "/fhir?family=fox&_id=x&_type=Nope",
        &wish,
        b"",
    );
    let lenient = lenient.unwrap().json();
    assert!(
        link(&lenient, "self").unwrap().ends_with("/fhir?_id=x"),
        "{lenient}"
    );
    let outcome = lenient
        .items_of("entry")
        .last()
        .unwrap()
        .get("resource")
        .unwrap();
    assert_eq!(outcome.items_of("issue").len(), 2, "{outcome}");
}
