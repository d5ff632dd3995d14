//! Searches as entries of batches and transactions.
//! <https://hl7.org/fhir/R4/http.html#transaction>

use std::net::SocketAddr;

use fhir_spec::json::Value;

use crate::client::{get, post};
use crate::databases::Database;
use crate::kiln::Kiln;
use crate::search::{ids, link, observation, patient, put, target};

on_both_databases!(
    a_search_in_a_transaction_finds_what_it_writes,
    a_batch_searches_beside_other_things,
    what_cannot_be_asked_in_a_bundle_is_told,
);

fn bundle(kind: &str, entries: &[String]) -> String {
    let entries = entries.join(",");
    format!(r#"{{"resourceType":"Bundle","type":"{kind}","entry":[{entries}]}}"#)
}

fn ask(method: &str, url: &str) -> String {
    format!(r#"{{"request":{{"method":"{method}","url":"{url}"}}}}"#)
}

fn create(resource: &str) -> String {
    format!(r#"{{"resource":{resource},"request":{{"method":"PUT","url":"Patient/p05"}}}}"#)
}

/// The resources and the statuses of the entries of the answer.
fn answered(address: SocketAddr, bundle: &str) -> Vec<(Option<Value>, String)> {
    let answer = post(address, "/fhir", bundle);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let answer = answer.json();
    let entries = answer.items_of("entry").iter();
    entries
        .map(|entry| {
            let status = entry.get("response").unwrap().str_of("status").unwrap();
            (entry.get("resource").cloned(), status.to_owned())
        })
        .collect()
}

fn a_search_in_a_transaction_finds_what_it_writes(database: &Database) {
    let kiln = Kiln::start(database);
    put(kiln.address, &patient(2));
    let sent = bundle(
        "transaction",
        &[
            ask("GET", "Patient?family=ant&_sort=-_id&_total=accurate"),
            create(&patient(5)),
            ask("GET", "?_type=Patient&_summary=count"),
            ask("HEAD", "Patient?family=ant"),
            ask("POST", "Patient/_search?family=ant&_elements=birthDate"),
        ],
    );
    let done = answered(kiln.address, &sent);
    let found = done[0].0.as_ref().unwrap();
    assert_eq!(ids(found, "match"), ["p05", "p02"]);
    let own = link(found, "self").unwrap();
    assert!(own.starts_with(&format!("http://{}/fhir/Patient?family=ant&", kiln.address)));
    let counted = done[2].0.as_ref().unwrap();
    assert_eq!(counted.get("total").unwrap().as_u64(), Some(2));
    assert_eq!((&done[3].0, done[3].1.as_str()), (&None, "200 OK"));
    let part = done[4].0.as_ref().unwrap();
    assert!(part.to_string().contains("SUBSETTED") && !part.to_string().contains("family\":"));
    // What fails takes the searches with it, and the other way round.
    let wrong = bundle(
        "transaction",
        &[create(&patient(5)), ask("GET", "Patient?nmae=x")],
    );
    let answer = post(kiln.address, "/fhir", &wrong);
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert!(answer.text().contains("`name` may be meant"));
    assert_eq!(
        get(kiln.address, "/fhir/Patient/p05").header("ETag"),
        Some("W/\"1\"")
    );
}

fn a_batch_searches_beside_other_things(database: &Database) {
    let kiln = Kiln::start(database);
    for number in 0..3 {
        put(kiln.address, &patient(number));
        put(kiln.address, &observation(number, "p00"));
    }
    let sent = bundle(
        "batch",
        &[
            ask("GET", "Patient/p00/Observation?_count=2"),
            ask("GET", "Patient?family=fox&_revinclude=Observation:subject"),
            ask("GET", "Patient?nmae=x"),
            ask("GET", "Patient/p01"),
            ask("GET", "Patient/p00/*?_id=o01,p00"),
        ],
    );
    let done = answered(kiln.address, &sent);
    let statuses: Vec<&str> = done.iter().map(|(_, status)| status.as_str()).collect();
    assert_eq!(statuses, ["200 OK", "200 OK", "400", "200 OK", "200 OK"]);
    let first = done[0].0.as_ref().unwrap();
    assert_eq!(ids(first, "match"), ["o00", "o01"]);
    let next = link(first, "next").unwrap();
    assert_eq!(
        ids(&get(kiln.address, target(&next)).json(), "match"),
        ["o02"]
    );
    assert_eq!(
        ids(done[1].0.as_ref().unwrap(), "include"),
        ["o00", "o01", "o02"]
    );
    assert_eq!(ids(done[4].0.as_ref().unwrap(), "match"), ["o01", "p00"]);
}

fn what_cannot_be_asked_in_a_bundle_is_told(database: &Database) {
    let kiln = Kiln::start(database);
    for number in 0..2 {
        put(kiln.address, &patient(number));
    }
    let many: Vec<String> = (0..1000).map(|number| format!("p{number:02}")).collect();
    let form = r#"{"resource":{"resourceType":"Parameters"},"request":{"method":"POST","url":"Patient/_search"}}"#;
    let sent = bundle(
        "batch",
        &[
            ask("GET", "Patient?_page=x"),
            ask("GET", "Practitioner/1/Group"),
            ask("GET", "Observation/1/Group"),
            form.to_owned(),
            ask("GET", &format!("Patient?_count=1&_id={}", many.join(","))),
        ],
    );
    let done = answered(kiln.address, &sent);
    let statuses: Vec<&str> = done.iter().map(|(_, status)| status.as_str()).collect();
    assert_eq!(statuses, ["400", "200 OK", "404", "400", "200 OK"]);
    let long = done[4].0.as_ref().unwrap();
    assert_eq!(
        (ids(long, "match"), link(long, "next")),
        (vec!["p00".to_owned()], None)
    );
    assert!(
        long.to_string()
            .contains("too long for links within a bundle"),
        "{long}"
    );
}
