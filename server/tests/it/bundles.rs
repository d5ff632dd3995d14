//! Bundles that are large, that fail at their end, and that are in each other's way.

use std::collections::HashSet;
use std::fmt::Write;
use std::sync::Barrier;

use fhir_spec::json::Value;

use crate::client::{Answer, FHIR_JSON, get, post, send};
use crate::databases::Database;
use crate::kiln::Kiln;

on_both_databases!(
    a_transaction_as_large_as_allowed_is_stored_in_bounded_memory,
    an_entry_that_fails_takes_everything_with_it,
    of_many_transactions_with_the_same_condition_one_makes_the_resource,
    transactions_that_cross_each_other_all_happen_one_after_the_other,
    a_batch_of_many_entries_answers_each,
    hostile_bundles_are_refused_in_bounded_memory,
);

const TRANSACTIONS: usize = 40;
/// What a test of a hostile bundle may take, debug build included.
const MEMORY_KIB_MAX: u64 = 512 * 1024;

fn bundle(kind: &str, entries: &[String]) -> String {
    let entries = entries.join(",\n");
    format!(r#"{{"resourceType":"Bundle","type":"{kind}","entry":[{entries}]}}"#)
}

fn uuid(number: usize) -> String {
    format!("urn:uuid:00000000-0000-4000-8000-{number:012}")
}

fn created(number: usize, resource: &str) -> String {
    let (full_url, name) = (uuid(number), type_of(resource));
    format!(
        r#"{{"fullUrl":"{full_url}","resource":{resource},"request":{{"method":"POST","url":"{name}"}}}}"#
    )
}

fn put(resource: &str) -> String {
    let document = fhir_spec::json::parse(resource.as_bytes()).unwrap();
    let (name, id) = (type_of(resource), document.str_of("id").unwrap().to_owned());
    format!(r#"{{"resource":{resource},"request":{{"method":"PUT","url":"{name}/{id}"}}}}"#)
}

fn type_of(resource: &str) -> String {
    let document = fhir_spec::json::parse(resource.as_bytes()).unwrap();
    document.str_of("resourceType").unwrap().to_owned()
}

fn responses(answer: &Answer) -> Vec<Value> {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let bundle = answer.json();
    let response = |entry: &Value| entry.get("response").unwrap().clone();
    bundle.items_of("entry").iter().map(response).collect()
}

/// The path of what an entry has made or changed.
fn path(response: &Value) -> String {
    let location = response.str_of("location").unwrap();
    let (_, path) = location.split_once("/fhir/").unwrap();
    let (path, _version) = path.split_once("/_history/").unwrap();
    path.to_owned()
}

/// The clients' answers, all of them having asked at once.
fn together(request: impl Fn(usize) -> Answer + Sync) -> Vec<Answer> {
    let start = Barrier::new(TRANSACTIONS);
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..TRANSACTIONS)
            .map(|client| {
                let (start, request) = (&start, &request);
                scope.spawn(move || {
                    start.wait();
                    request(client)
                })
            })
            .collect();
        let joined = clients.into_iter().map(|client| client.join().unwrap());
        joined.collect()
    })
}

fn a_transaction_as_large_as_allowed_is_stored_in_bounded_memory(database: &Database) {
    let kiln = Kiln::start(database);
    let entries_max = server::limits::Limits::default().bundle_entries_max;
    assert!(entries_max >= 25_000);
    let mut entries = vec![created(0, r#"{"resourceType":"Patient","active":true}"#)];
    for number in 1..entries_max {
        let mut observation = String::new();
        write!(
            observation,
            r#"{{"resourceType":"Observation","status":"final","subject":{{"reference":"{}"}},"code":{{"coding":[{{"system":"http://loinc.org","code":"8867-4","display":"Heart rate"}}]}},"effectiveDateTime":"2024-05-01T10:30:00+02:00","valueQuantity":{{"value":{number},"unit":"beats/minute","system":"http://unitsofmeasure.org","code":"/min"}}}}"#,
            uuid(0)
        )
        .unwrap();
        entries.push(created(number, &observation));
    }
    let answer = post(kiln.address, "/fhir", &bundle("transaction", &entries));
    let responses = responses(&answer);
    assert_eq!(responses.len(), entries_max);
    let patient = path(&responses[0]);
    for number in [1, entries_max / 2, entries_max - 1] {
        let observation = get(kiln.address, &format!("/fhir/{}", path(&responses[number]))).json();
        let subject = observation.get("subject").unwrap();
        assert_eq!(subject.str_of("reference"), Some(patient.as_str()));
        let value = observation.get("valueQuantity").unwrap().get("value");
        assert_eq!(value.and_then(Value::as_u64), u64::try_from(number).ok());
    }
    let memory_kib = kiln.memory_peak_kib();
    println!("{memory_kib} KiB at most, for {entries_max} entries");
    assert!(memory_kib < MEMORY_KIB_MAX, "{memory_kib} KiB");
    entries.push(created(entries_max, r#"{"resourceType":"Patient"}"#));
    let refused = post(kiln.address, "/fhir", &bundle("transaction", &entries));
    assert_eq!(refused.status, 413);
    assert!(refused.text().contains("bundle_entries_max"));
}

fn an_entry_that_fails_takes_everything_with_it(database: &Database) {
    let kiln = Kiln::start(database);
    let mut entries: Vec<String> = (0..200)
        .map(|number| {
            put(&format!(
                r#"{{"resourceType":"Patient","id":"all-{number}"}}"#
            ))
        })
        .collect();
    entries.push(
        r#"{"request":{"method":"DELETE","url":"Patient/nobody","ifMatch":"W/\"1\""}}"#.to_owned(),
    );
    let refused = post(kiln.address, "/fhir", &bundle("transaction", &entries));
    assert_eq!(refused.status, 412);
    assert!(refused.text().contains("Bundle.entry[200]"));
    let history = get(kiln.address, "/fhir/_history").json();
    assert!(history.items_of("entry").is_empty());
    entries.pop();
    let answer = post(kiln.address, "/fhir", &bundle("transaction", &entries));
    assert_eq!(responses(&answer).len(), 200);
}

fn of_many_transactions_with_the_same_condition_one_makes_the_resource(database: &Database) {
    let nodes = [Kiln::start(database), Kiln::start(database)];
    let text = bundle(
        "transaction",
        &[
            format!(
                r#"{{"fullUrl":"{}","resource":{{"resourceType":"Patient","identifier":[{{"system":"urn:example:mrn","value":"one"}}]}},"request":{{"method":"POST","url":"Patient","ifNoneExist":"identifier=urn:example:mrn|one"}}}}"#,
                uuid(0)
            ),
            created(
                1,
                &format!(
                    r#"{{"resourceType":"Observation","status":"final","code":{{"text":"x"}},"subject":{{"reference":"{}"}}}}"#,
                    uuid(0)
                ),
            ),
        ],
    );
    let answers = together(|client| post(nodes[client % 2].address, "/fhir", &text));
    let mut patients = HashSet::new();
    let mut made = 0;
    for answer in &answers {
        let responses = responses(answer);
        if responses[0].str_of("status") == Some("201 Created") {
            made += 1;
        }
        let patient = path(&responses[0]);
        let observation = get(nodes[0].address, &format!("/fhir/{}", path(&responses[1]))).json();
        let subject = observation.get("subject").unwrap().str_of("reference");
        assert_eq!(subject, Some(patient.as_str()));
        patients.insert(patient);
    }
    assert_eq!((made, patients.len()), (1, 1));
}

fn transactions_that_cross_each_other_all_happen_one_after_the_other(database: &Database) {
    let nodes = [Kiln::start(database), Kiln::start(database)];
    let answers = together(|client| {
        let mut entries = ["a", "b"].map(|id| {
            put(&format!(
                r#"{{"resourceType":"Basic","id":"{id}","code":{{"text":"{client}"}}}}"#
            ))
        });
        if client % 2 == 1 {
            entries.reverse();
        }
        post(
            nodes[client % 2].address,
            "/fhir",
            &bundle("transaction", &entries),
        )
    });
    for answer in &answers {
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    // Version by version both were written by the same transaction.
    for version in 1..=TRANSACTIONS {
        let read = |id: &str| {
            let path = format!("/fhir/Basic/{id}/_history/{version}");
            let basic = get(nodes[0].address, &path).json();
            basic
                .get("code")
                .unwrap()
                .str_of("text")
                .unwrap()
                .to_owned()
        };
        assert_eq!(read("a"), read("b"), "version {version}");
    }
}

fn a_batch_of_many_entries_answers_each(database: &Database) {
    let kiln = Kiln::start(database);
    let entries: Vec<String> = (0..500)
        .map(|number| match number % 5 {
            0 => r#"{"request":{"method":"GET","url":"Patient/nobody"}}"#.to_owned(),
            1 => created(number, r#"{"resourceType":"Patient","active":"yes"}"#),
            _ => created(
                number,
                &format!(r#"{{"resourceType":"Patient","multipleBirthInteger":{number}}}"#),
            ),
        })
        .collect();
    let headers = [FHIR_JSON, ("Prefer", "return=representation")];
    let text = bundle("batch", &entries);
    let answer = send(kiln.address, "POST", "/fhir", &headers, text.as_bytes()).unwrap();
    let bundle = answer.json();
    for (number, entry) in bundle.items_of("entry").iter().enumerate() {
        let status = entry.get("response").unwrap().str_of("status").unwrap();
        match number % 5 {
            0 => assert_eq!(status, "404"),
            1 => assert_eq!(status, "422"),
            _ => {
                assert_eq!(status, "201 Created");
                let born = entry.get("resource").unwrap().get("multipleBirthInteger");
                assert_eq!(born.and_then(Value::as_u64), u64::try_from(number).ok());
            }
        }
    }
}

fn hostile_bundles_are_refused_in_bounded_memory(database: &Database) {
    let kiln = Kiln::start(database);
    let refused = |kind: &str, entries: &[String], status, named: &str| {
        let answer = post(kiln.address, "/fhir", &bundle(kind, entries));
        let told: String = answer.text().chars().take(500).collect();
        assert_eq!(answer.status, status, "{told}");
        assert!(told.contains(named), "{told}");
        answer
    };
    let megabyte = 1024 * 1024;
    // Millions of entries that are nothing.
    refused(
        "transaction",
        &vec!["{}".to_owned(); 10 * megabyte],
        413,
        "bundle_entries_max",
    );
    // One resource that is too large, and too much that is no resource.
    let empty_lists = vec!["[]"; 8 * megabyte].join(",");
    let large = created(0, r#"{"resourceType":"Patient"}"#).replace(
        "\"Patient\"}",
        &format!(r#""Patient","x":[{empty_lists}]}}"#),
    );
    refused("transaction", &[large], 413, "body_bytes_max");
    let beside = format!(r#"{{"link":[{empty_lists}]}}"#);
    refused("batch", &[beside], 413, "body_bytes_max");
    // Many resources that are full of errors.
    let wrong = vec![r#"{"given":7}"#; 400].join(",");
    let wrong = format!(r#"{{"resourceType":"Patient","name":[{wrong}]}}"#);
    let entries: Vec<String> = (0..2_000).map(|number| created(number, &wrong)).collect();
    let answer = refused("transaction", &entries, 422, "Bundle.entry[0]");
    assert!(answer.json().items_of("issue").len() <= 500);
    let answer = post(kiln.address, "/fhir", &bundle("batch", &entries));
    let statuses = responses(&answer);
    assert_eq!(statuses.len(), entries.len());
    let is_told = |response: &Value| {
        let outcome = response.get("outcome").unwrap();
        response.str_of("status") == Some("422") && !outcome.items_of("issue").is_empty()
    };
    assert!(statuses.iter().all(is_told));
    let memory_kib = kiln.memory_peak_kib();
    println!("{memory_kib} KiB at most, for hostile bundles");
    assert!(memory_kib < MEMORY_KIB_MAX, "{memory_kib} KiB");
    assert_eq!(get(kiln.address, "/health/ready").status, 200);
}
