//! Many clients want the same thing at once, through one node and through two: exactly one gets it, and nothing is lost.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Barrier;

use crate::client::{Answer, FHIR_JSON, get, send};
use crate::databases::Database;
use crate::kiln::Kiln;

on_both_databases!(
    one_of_many_conditional_creates_makes_the_resource,
    one_of_many_conditional_updates_makes_the_resource,
    one_of_many_updates_of_a_version_wins,
    every_update_without_a_condition_is_a_version,
    every_patch_counts,
    one_of_many_updates_under_a_new_id_creates,
);

const CLIENTS: usize = 100;

/// Two nodes on one database.
fn nodes(database: &Database) -> [Kiln; 2] {
    [Kiln::start(database), Kiln::start(database)]
}

/// All at once, half of them through each node.
fn together(
    nodes: &[Kiln; 2],
    request: impl Fn(SocketAddr, usize) -> Answer + Sync,
) -> Vec<Answer> {
    let start = Barrier::new(CLIENTS);
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let (start, request) = (&start, &request);
                let address = nodes[client % nodes.len()].address;
                scope.spawn(move || {
                    start.wait();
                    request(address, client)
                })
            })
            .collect();
        clients
            .into_iter()
            .map(|client| client.join().unwrap())
            .collect()
    })
}

fn count(answers: &[Answer], status: u16) -> usize {
    answers
        .iter()
        .filter(|answer| answer.status == status)
        .count()
}

fn statuses(answers: &[Answer]) -> Vec<u16> {
    answers.iter().map(|answer| answer.status).collect()
}

fn put(address: SocketAddr, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let headers = [&[FHIR_JSON], headers].concat();
    send(address, "PUT", path, &headers, body.as_bytes()).unwrap()
}

const IDENTIFIED: &str =
    r#"{"resourceType":"Patient","identifier":[{"system":"urn:example:mrn","value":"race"}]}"#;

fn one_of_many_conditional_creates_makes_the_resource(database: &Database) {
    let nodes = nodes(database);
    let criteria = ("If-None-Exist", "identifier=urn:example:mrn|race");
    let answers = together(&nodes, |address, _| {
        let headers = [FHIR_JSON, criteria];
        send(
            address,
            "POST",
            "/fhir/Patient",
            &headers,
            IDENTIFIED.as_bytes(),
        )
        .unwrap()
    });
    only_one_resource(&nodes, &answers);
}

fn one_of_many_conditional_updates_makes_the_resource(database: &Database) {
    let nodes = nodes(database);
    let path = "/fhir/Patient?identifier=urn:example:mrn|race";
    let answers = together(&nodes, |address, _| put(address, path, &[], IDENTIFIED));
    only_one_resource(&nodes, &answers);
}

fn only_one_resource(nodes: &[Kiln; 2], answers: &[Answer]) {
    assert_eq!(count(answers, 201), 1, "{:?}", statuses(answers));
    assert_eq!(count(answers, 200), CLIENTS - 1, "{:?}", statuses(answers));
    let ids: HashSet<String> = answers
        .iter()
        .map(|answer| answer.json().str_of("id").unwrap().to_owned())
        .collect();
    assert_eq!(ids.len(), 1);
    let history = get(nodes[0].address, "/fhir/Patient/_history").json();
    assert_eq!(history.items_of("entry").len(), 1);
}

fn one_of_many_updates_of_a_version_wins(database: &Database) {
    let nodes = nodes(database);
    let first = put(
        nodes[0].address,
        "/fhir/Patient/a",
        &[],
        r#"{"resourceType":"Patient","id":"a"}"#,
    );
    assert_eq!(first.status, 201);
    let answers = together(&nodes, |address, client| {
        let body =
            format!(r#"{{"resourceType":"Patient","id":"a","name":[{{"text":"{client}"}}]}}"#);
        put(
            address,
            "/fhir/Patient/a",
            &[("If-Match", "W/\"1\"")],
            &body,
        )
    });
    assert_eq!(count(&answers, 200), 1, "{:?}", statuses(&answers));
    assert_eq!(
        count(&answers, 412),
        CLIENTS - 1,
        "{:?}",
        statuses(&answers)
    );
    assert_eq!(versions(&nodes, "Patient/a"), 2);
}

fn every_update_without_a_condition_is_a_version(database: &Database) {
    let nodes = nodes(database);
    let answers = together(&nodes, |address, client| {
        let body =
            format!(r#"{{"resourceType":"Patient","id":"a","name":[{{"text":"{client}"}}]}}"#);
        put(address, "/fhir/Patient/a", &[], &body)
    });
    assert_eq!(count(&answers, 201), 1, "{:?}", statuses(&answers));
    assert_eq!(
        count(&answers, 200),
        CLIENTS - 1,
        "{:?}",
        statuses(&answers)
    );
    assert_eq!(versions(&nodes, "Patient/a"), CLIENTS);
}

fn every_patch_counts(database: &Database) {
    let nodes = nodes(database);
    let first = put(
        nodes[0].address,
        "/fhir/Patient/a",
        &[],
        r#"{"resourceType":"Patient","id":"a","name":[{"text":"0"}]}"#,
    );
    assert_eq!(first.status, 201);
    let answers = together(&nodes, |address, client| {
        let patch =
            format!(r#"[{{"op":"add","path":"/name/-","value":{{"text":"name {client}"}}}}]"#);
        let media = ("Content-Type", "application/json-patch+json");
        send(
            address,
            "PATCH",
            "/fhir/Patient/a",
            &[media],
            patch.as_bytes(),
        )
        .unwrap()
    });
    assert_eq!(count(&answers, 200), CLIENTS, "{:?}", statuses(&answers));
    let patient = get(nodes[0].address, "/fhir/Patient/a").json();
    assert_eq!(patient.items_of("name").len(), CLIENTS + 1);
}

fn one_of_many_updates_under_a_new_id_creates(database: &Database) {
    let nodes = nodes(database);
    let answers = together(&nodes, |address, _| {
        let once = ("If-None-Match", "*");
        put(
            address,
            "/fhir/Patient/new",
            &[once],
            r#"{"resourceType":"Patient","id":"new"}"#,
        )
    });
    assert_eq!(count(&answers, 201), 1, "{:?}", statuses(&answers));
    assert_eq!(
        count(&answers, 412),
        CLIENTS - 1,
        "{:?}",
        statuses(&answers)
    );
    assert_eq!(versions(&nodes, "Patient/new"), 1);
}

/// As many versions as there are, without a gap and without a fork.
fn versions(nodes: &[Kiln; 2], resource: &str) -> usize {
    let history = get(
        nodes[1].address,
        &format!("/fhir/{resource}/_history?_count=1000"),
    )
    .json();
    let mut numbers: Vec<u64> = history
        .items_of("entry")
        .iter()
        .map(|entry| {
            let etag = entry.get("response").unwrap().str_of("etag").unwrap();
            etag.trim_matches(['W', '/', '"']).parse().unwrap()
        })
        .collect();
    numbers.sort_unstable();
    let expected: Vec<u64> = (1..).take(numbers.len()).collect();
    assert_eq!(numbers, expected);
    numbers.len()
}
