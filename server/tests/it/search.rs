//! The search interaction, as a client sees it: totals, forms, shapes.
//! <https://hl7.org/fhir/R4/search.html>

use std::net::SocketAddr;

use fhir_spec::json::Value;

use crate::client::{Answer, FHIR_JSON, get, send};
use crate::databases::Database;
use crate::kiln::Kiln;

on_both_databases!(
    totals_are_what_was_asked_for,
    the_total_of_a_type_is_exact_whatever_happens,
    counts_that_are_asked_again_are_those_of_now,
    parameters_come_by_address_and_body,
    what_is_not_understood_is_refused_or_told,
    the_answer_has_the_shape_that_is_asked_for,
    the_statement_says_what_can_be_searched,
);

pub(crate) const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

pub(crate) fn put(address: SocketAddr, resource: &str) {
    let field = |name| {
        let value = fhir_spec::json::parse(resource.as_bytes()).unwrap();
        value.str_of(name).unwrap().to_owned()
    };
    let path = format!("/fhir/{}/{}", field("resourceType"), field("id"));
    let answer = send(address, "PUT", &path, &[FHIR_JSON], resource.as_bytes()).unwrap();
    assert!(answer.status < 300, "{}", answer.text());
}

/// Every fourth has no name and no date of birth; names repeat.
pub(crate) fn patient(number: usize) -> String {
    let (family, year) = (["Fox", "Élan", "ant"][number % 3], 1950 + number % 5);
    let about = format!(r#","name":[{{"family":"{family}"}}],"birthDate":"{year}-01-01""#);
    let about = if number % 4 == 3 { "" } else { &about };
    format!(r#"{{"resourceType":"Patient","id":"p{number:02}"{about}}}"#)
}

pub(crate) fn observation(number: usize, patient: &str) -> String {
    format!(
        r#"{{"resourceType":"Observation","id":"o{number:02}","status":"final","code":{{"text":"x"}},"subject":{{"reference":"Patient/{patient}"}},
        "performer":[{{"reference":"Practitioner/dr"}}],"valueQuantity":{{"value":{number}.50,"unit":"kg"}}}}"#
    )
}

pub(crate) fn link(bundle: &Value, relation: &str) -> Option<String> {
    let mut links = bundle.items_of("link").iter();
    let link = links.find(|link| link.str_of("relation") == Some(relation))?;
    Some(link.str_of("url").unwrap().to_owned())
}

/// The path and query of a url of this server.
pub(crate) fn target(url: &str) -> &str {
    url.split_at(url.find("/fhir").unwrap()).1
}

/// The ids of entries with that mode.
pub(crate) fn ids(bundle: &Value, mode: &str) -> Vec<String> {
    assert_eq!(bundle.str_of("type"), Some("searchset"), "{bundle}");
    let entries = bundle.items_of("entry").iter();
    let of_mode = entries.filter(|entry| entry.get("search").unwrap().str_of("mode") == Some(mode));
    of_mode
        .map(|entry| {
            let resource = entry.get("resource").unwrap();
            let id = resource.str_of("id").unwrap();
            let name = resource.str_of("resourceType").unwrap();
            let full_url = entry.str_of("fullUrl").unwrap();
            assert!(
                full_url.ends_with(&format!("/fhir/{name}/{id}")),
                "{full_url}"
            );
            id.to_owned()
        })
        .collect()
}

pub(crate) fn found(address: SocketAddr, query: &str) -> Value {
    let answer = get(address, &format!("/fhir/{query}"));
    assert_eq!(answer.status, 200, "{query}: {}", answer.text());
    answer.json()
}

pub(crate) fn refused(answer: &Answer, told: &str) {
    assert_eq!(answer.status, 400, "{}", answer.text());
    let outcome = answer.json();
    let diagnostics = outcome.items_of("issue")[0].str_of("diagnostics").unwrap();
    assert!(diagnostics.contains(told), "{told}: {diagnostics}");
}

fn totals_are_what_was_asked_for(database: &Database) {
    let kiln = Kiln::start(database);
    for number in 0..8 {
        put(kiln.address, &patient(number));
    }
    let total = |query: &str| {
        let bundle = found(kiln.address, query);
        bundle.get("total").and_then(Value::as_u64)
    };
    for (query, expected) in [
        ("Patient", Some(8)),
        ("Patient?_count=8", Some(8)),
        ("Patient?_count=7", Some(8)),
        ("Patient?_count=5&birthdate=ge1950", None),
        ("Patient?_count=7&_total=none", None),
        ("Patient?_count=7&_total=accurate", Some(8)),
        ("Patient?_count=1&_total=estimate&birthdate=ge1950", Some(6)),
        ("Patient?_count=0", Some(8)),
        ("Patient?_summary=count&family=fox", Some(2)),
        ("Patient?family=nobody", Some(0)),
        ("Observation", Some(0)),
    ] {
        assert_eq!(total(query), expected, "{query}");
    }
    let counted = found(
        kiln.address,
        "Patient?_count=0&_include=Patient:organization",
    );
    assert!(counted.items_of("entry").is_empty() && link(&counted, "next").is_none());
    let deleted = send(kiln.address, "DELETE", "/fhir/Patient/p00", &[], b"").unwrap();
    assert_eq!(deleted.status, 204);
    assert_eq!(total("Patient?_summary=count"), Some(7));
    assert_eq!(
        ids(&found(kiln.address, "Patient?_sort=_id&_count=1"), "match"),
        ["p01"]
    );
}

/// Each is asked twice before something changes, so that the second time may know it from the first.
fn counts_that_are_asked_again_are_those_of_now(database: &Database) {
    let kiln = Kiln::start(database);
    let address = kiln.address;
    put(address, &patient(0));
    let counts = |foxes: u64, of_foxes: u64, observed: u64| {
        for (query, expected) in [
            ("Patient?family=fox", foxes),
            ("Observation?patient.family=fox", of_foxes),
            (
                "Patient?_has:Observation:patient:performer=Practitioner/dr",
                observed,
            ),
        ] {
            for way in ["_summary=count", "_count=1&_total=accurate"] {
                for _ in 0..2 {
                    let bundle = found(address, &format!("{query}&{way}"));
                    let total = bundle.get("total").and_then(Value::as_u64);
                    assert_eq!(total, Some(expected), "{query}&{way}");
                }
            }
        }
    };
    let delete = |path: &str| {
        let deleted = send(address, "DELETE", &format!("/fhir/{path}"), &[], b"").unwrap();
        assert_eq!(deleted.status, 204);
    };
    counts(1, 0, 0);
    put(address, &patient(6));
    counts(2, 0, 0);
    put(address, &observation(1, "p00"));
    counts(2, 1, 1);
    put(address, &observation(2, "p00"));
    counts(2, 2, 1);
    // Another type altogether.
    put(
        address,
        r#"{"resourceType":"Basic","id":"b","code":{"text":"x"}}"#,
    );
    counts(2, 2, 1);
    // The patient is a fox no more.
    put(address, &patient(1).replace("p01", "p00"));
    counts(1, 0, 1);
    delete("Observation/o01");
    counts(1, 0, 1);
    delete("Observation/o02");
    counts(1, 0, 0);
    delete("Patient/p06");
    counts(0, 0, 0);
}

fn the_total_of_a_type_is_exact_whatever_happens(database: &Database) {
    let kilns = [Kiln::start(database), Kiln::start(database)];
    let address = |number: usize| kilns[number % 2].address;
    let total = |address, query: &str| found(address, query).get("total").unwrap().as_u64();
    let check = |expected: u64| {
        for kiln in &kilns {
            assert_eq!(
                total(kiln.address, "Patient?_summary=count"),
                Some(expected)
            );
            // Counted one by one.
            let one_by_one = "Patient?_summary=count&_id:not=none";
            assert_eq!(total(kiln.address, one_by_one), Some(expected));
        }
    };
    let delete = |address, id: &str| {
        let path = format!("/fhir/Patient/{id}");
        send(address, "DELETE", &path, &[], b"").unwrap().status
    };
    check(0);
    for (number, expected) in (0..6).zip(1..) {
        put(address(number), &patient(number));
        put(address(number), &observation(number, "p00"));
        check(expected);
    }
    put(
        address(0),
        r#"{"resourceType":"Patient","id":"p00","active":true}"#,
    );
    assert_eq!(delete(address(0), "p01"), 204);
    assert_eq!(delete(address(1), "p01"), 204);
    check(5);
    put(address(1), &patient(1));
    check(6);
    // What is rolled back has not happened, though a search in there has seen it.
    let entries = r#"{"resource":{"resourceType":"Patient"},"request":{"method":"POST","url":"Patient"}},
        {"request":{"method":"GET","url":"Patient?_summary=count"}},{"request":{"method":"GET","url":"Patient/none"}}"#;
    let failing =
        format!(r#"{{"resourceType":"Bundle","type":"transaction","entry":[{entries}]}}"#);
    let failed = send(
        address(0),
        "POST",
        "/fhir",
        &[FHIR_JSON],
        failing.as_bytes(),
    )
    .unwrap();
    assert_eq!(failed.status, 404, "{}", failed.text());
    check(6);
    // While others come and go side by side.
    std::thread::scope(|scope| {
        for worker in 0..4_usize {
            scope.spawn(move || {
                for number in 0..12 {
                    let id = format!("w{worker}-{number}");
                    let body = format!(r#"{{"resourceType":"Patient","id":"{id}"}}"#);
                    put(address(worker), &body);
                    if number % 3 == 0 {
                        assert_eq!(delete(address(worker + 1), &id), 204);
                    }
                    let counted = total(address(number), "Patient?_summary=count").unwrap();
                    assert!((6..=54).contains(&counted), "{counted}");
                }
            });
        }
    });
    check(6 + 4 * 8);
}

fn parameters_come_by_address_and_body(database: &Database) {
    let kiln = Kiln::start(database);
    for number in 0..6 {
        put(kiln.address, &patient(number));
    }
    let asked = |path: &str, headers: &[(&str, &str)], body: &str| {
        send(kiln.address, "POST", path, headers, body.as_bytes()).unwrap()
    };
    let both = asked(
        "/fhir/Patient/_search?family=fox",
        &[FORM],
        "_sort=-_id&birthdate=1950",
    );
    assert_eq!(ids(&both.json(), "match"), ["p00"]);
    let own = link(&both.json(), "self").unwrap();
    assert!(
        own.ends_with("/fhir/Patient?family=fox&_sort=-_id&birthdate=1950"),
        "{own}"
    );
    let charset = (
        "Content-Type",
        "application/x-www-form-urlencoded; charset=UTF-8",
    );
    let decoded = asked(
        "/fhir/Patient/_search",
        &[charset],
        "family=%C3%A9lan&birthdate=lt1952",
    );
    assert_eq!(ids(&decoded.json(), "match"), ["p01"]);
    let empty = asked("/fhir/Patient/_search", &[], "");
    assert_eq!(ids(&empty.json(), "match").len(), 6);
    assert_eq!(
        asked("/fhir/Patient/_search", &[FHIR_JSON], "{}").status,
        415
    );
    let long = format!("_id={}", "a".repeat(1024 * 1024));
    assert_eq!(asked("/fhir/Patient/_search", &[FORM], &long).status, 413);
    let invalid = send(
        kiln.address,
        "POST",
        "/fhir/Patient/_search",
        &[FORM],
        b"family=\xff",
    );
    assert_eq!(invalid.unwrap().status, 400);
    let by_get = get(kiln.address, "/fhir/Patient/_search?family=fox");
    assert_eq!((by_get.status, by_get.header("Allow")), (405, Some("POST")));
    let head = send(kiln.address, "HEAD", "/fhir/Patient?family=fox", &[], b"").unwrap();
    assert_eq!((head.status, head.body.len()), (200, 0));
    let length: usize = head.header("Content-Length").unwrap().parse().unwrap();
    assert_eq!(
        length,
        get(kiln.address, "/fhir/Patient?family=fox").body.len()
    );
}

fn what_is_not_understood_is_refused_or_told(database: &Database) {
    let kiln = Kiln::start(database);
    for number in 0..3 {
        put(kiln.address, &patient(number));
    }
    let query = "/fhir/Patient?famly=x&family=fox&birthdate=maybe&_sort=nmae&_format=json";
    let strict = get(kiln.address, query);
    refused(&strict, "`family` may be meant");
    assert_eq!(strict.json().items_of("issue").len(), 3);
    let wish = [("Prefer", "handling=lenient")];
    let lenient = send(kiln.address, "GET", query, &wish, b"").unwrap().json();
    assert_eq!(ids(&lenient, "match"), ["p00"]);
    let own = link(&lenient, "self").unwrap();
    assert!(
        own.ends_with("/fhir/Patient?family=fox&_format=json"),
        "{own}"
    );
    let outcome = lenient.items_of("entry").last().unwrap();
    assert_eq!(
        outcome.get("search").unwrap().str_of("mode"),
        Some("outcome")
    );
    let issues = outcome.get("resource").unwrap().items_of("issue");
    assert_eq!(issues.len(), 3);
    assert!(
        issues
            .iter()
            .all(|issue| issue.str_of("severity") == Some("warning"))
    );
    for wrong in [
        "_count=-1",
        "_total=all",
        "_summary=some",
        "_elements=nmae",
        "_pretty=maybe",
    ] {
        assert_eq!(
            get(kiln.address, &format!("/fhir/Patient?{wrong}")).status,
            400,
            "{wrong}"
        );
    }
}

fn the_answer_has_the_shape_that_is_asked_for(database: &Database) {
    let kiln = Kiln::start(database);
    for number in 0..3 {
        put(kiln.address, &patient(number));
    }
    let first = |query: &str| {
        let bundle = found(kiln.address, query);
        bundle.items_of("entry")[0].get("resource").unwrap().clone()
    };
    let some = first("Patient?_elements=birthDate&_count=1");
    assert!(some.get("name").is_none() && some.get("birthDate").is_some());
    assert!(some.to_string().contains("SUBSETTED"));
    let page = found(
        kiln.address,
        "Patient?_elements=birthDate&_count=1&_pretty=true",
    );
    let next = link(&page, "next").unwrap();
    assert!(next.ends_with("&_pretty=true"), "{next}");
    let second = get(kiln.address, target(&next));
    assert!(second.text().contains("\n") && !second.text().contains("family"));
    let xml = get(kiln.address, "/fhir/Patient?_format=xml&_id=p01");
    assert!(
        xml.text()
            .contains("<search><mode value=\"match\"/></search>"),
        "{}",
        xml.text()
    );
    assert!(xml.text().contains("<total value=\"1\"/>"));
}

fn the_statement_says_what_can_be_searched(database: &Database) {
    let kiln = Kiln::start(database);
    let statement = get(kiln.address, "/fhir/metadata").json();
    let rest = &statement.items_of("rest")[0];
    let mut asked = 0;
    for resource in rest.items_of("resource") {
        let name = resource.str_of("type").unwrap();
        if ![
            "Patient",
            "Observation",
            "MedicationRequest",
            "Basic",
            "List",
        ]
        .contains(&name)
        {
            continue;
        }
        for parameter in resource.items_of("searchParam") {
            let code = parameter.str_of("name").unwrap();
            let value = match parameter.str_of("type").unwrap() {
                "number" => "1",
                "date" => "2020",
                "quantity" => "5.4|http://unitsofmeasure.org|kg",
                "uri" => "http://example.org",
                "composite" | "special" => continue,
                _ => "x",
            };
            found(kiln.address, &format!("{name}?{code}={value}"));
            asked += 1;
        }
        let lists = [
            ("searchInclude", "_include"),
            ("searchRevInclude", "_revinclude"),
        ];
        for (list, code) in lists {
            for value in resource.items_of(list) {
                let value = value.as_str().unwrap();
                found(kiln.address, &format!("{name}?{code}={value}"));
                asked += 1;
            }
        }
    }
    assert!(asked > 150, "{asked}");
}
