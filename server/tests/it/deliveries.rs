//! Deliveries as operators see and steer them, and several nodes that share them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use fhir_spec::json::Value;

use crate::client::{Answer as Reply, get, send};
use crate::databases::{self, Database};
use crate::kiln::Kiln;
use crate::receiver::{Answer, PATIENCE, Receiver};
use crate::subscriptions::{becomes, hurried, post, subscribe};

on_both_databases!(
    dead_letters_are_seen_and_can_be_sent_again_or_skipped,
    one_that_hangs_keeps_nobody_waiting,
);

fn ask(kiln: &Kiln, method: &str, path: &str) -> Reply {
    send(
        kiln.address,
        method,
        &format!("/api/deliveries{path}"),
        &[],
        b"",
    )
    .unwrap()
}

fn list(kiln: &Kiln, query: &str) -> Vec<Value> {
    let answer = ask(kiln, "GET", query);
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json().items_of("deliveries").to_vec()
}

fn hook(criteria: &str, receiver: &Receiver, timeout_s: u32) -> String {
    format!(
        r#"{{"resourceType":"Subscription","status":"requested","reason":"test","criteria":"{criteria}","channel":{{"type":"rest-hook","endpoint":"{}","payload":"application/fhir+json",
        "extension":[{{"url":"http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-timeout","valueUnsignedInt":{timeout_s}}}]}}}}"#,
        receiver.url()
    )
}

fn patient(kiln: &Kiln, family: &str) {
    let body = format!(r#"{{"resourceType":"Patient","name":[{{"family":"{family}"}}]}}"#);
    assert_eq!(post(kiln, "Patient", &body).status, 201);
}

fn families(receiver: &Receiver) -> Vec<String> {
    let seen = receiver.seen();
    let names = seen.iter().map(|request| {
        let name = request.json().items_of("name")[0].clone();
        name.str_of("family").unwrap().to_owned()
    });
    names.collect()
}

fn dead_letters_are_seen_and_can_be_sent_again_or_skipped(database: &Database) {
    let kiln = Kiln::configured(database, &hurried("[0, 0]"));
    let receiver = Receiver::start();
    receiver.usually(Answer::Status(500));
    let id = subscribe(&kiln, &hook("Patient", &receiver, 5));
    for family in ["A", "B", "C"] {
        patient(&kiln, family);
    }
    becomes(&kiln, &id, "error");
    let until = Instant::now() + PATIENCE;
    while list(&kiln, "?status=dead").len() < 3 {
        assert!(Instant::now() < until);
        std::thread::sleep(Duration::from_millis(20));
    }
    let dead = list(&kiln, &format!("?status=dead&subscription={id}"));
    let numbers: Vec<u64> = dead
        .iter()
        .map(|one| one.get("event").unwrap().as_u64().unwrap())
        .collect();
    assert_eq!(numbers, [3, 2, 1]);
    assert!(
        dead[2].str_of("problem").unwrap().contains("500"),
        "{}",
        dead[2]
    );
    assert!(dead[2].str_of("resource").unwrap().starts_with("Patient/"));
    let metrics = get(kiln.address, "/metrics").text();
    assert!(metrics.contains("kiln_deliveries_dead"), "{metrics}");
    let pages = ask(&kiln, "GET", "?limit=2").json();
    let next = pages.str_of("after").unwrap();
    assert_eq!(list(&kiln, &format!("?limit=2&after={next}")).len(), 1);

    receiver.usually(Answer::Status(200));
    let before = receiver.seen().len();
    let skipped = ask(&kiln, "POST", &format!("/{id}/skip"));
    assert_eq!(skipped.status, 200, "{}", skipped.text());
    let resumed = ask(&kiln, "POST", &format!("/{id}/retry"));
    assert_eq!(resumed.status, 200, "{}", resumed.text());
    receiver.wait(before + 2);
    assert_eq!(families(&receiver)[before..], ["B", "C"]);
    becomes(&kiln, &id, "active");
    patient(&kiln, "D");
    receiver.wait(before + 3);
    while list(&kiln, "?status=delivered").len() < 3 {
        assert!(Instant::now() < until);
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(list(&kiln, "?status=skipped").len(), 1);
    assert_eq!(list(&kiln, "").len(), 4);
    let all = ask(&kiln, "GET", "/subscriptions").json();
    assert_eq!(
        all.items_of("subscriptions")[0]
            .get("waiting")
            .unwrap()
            .as_u64(),
        Some(0)
    );
    for (method, path, status) in [
        ("GET", "?status=x", 400),
        ("GET", "?elephant=1", 400),
        ("GET", "?after=x", 400),
        ("POST", "", 405),
        ("GET", "/x/retry", 405),
        ("POST", "/none/retry", 404),
        ("POST", "/none/skip", 404),
        ("GET", "/x/y", 404),
    ] {
        assert_eq!(ask(&kiln, method, path).status, status, "{method} {path}");
    }
    assert_eq!(
        ask(&kiln, "POST", &format!("/{id}/skip?event=99")).status,
        409
    );
    assert_eq!(
        ask(&kiln, "POST", &format!("/{id}/skip?event=x")).status,
        400
    );
}

/// R-14: as many that never answer as there are places for those in trouble, and more.
fn one_that_hangs_keeps_nobody_waiting(database: &Database) {
    let settings = format!(
        "{}\n[limits]\ndeliveries_max = 8\n",
        hurried("[0, 0, 0, 0, 0, 0]")
    );
    let kiln = Kiln::configured(database, &settings);
    let (hanging, good) = (Receiver::start(), Receiver::start());
    hanging.usually(Answer::Hang);
    for _ in 0..6 {
        subscribe(&kiln, &hook("Patient", &hanging, 1));
    }
    subscribe(&kiln, &hook("Patient", &good, 5));
    for n in 0..30 {
        patient(&kiln, &format!("N{n}"));
    }
    good.wait(30);
    let expected: Vec<String> = (0..30).map(|n| format!("N{n}")).collect();
    assert_eq!(families(&good), expected);
}

/// R-12: of two nodes on one PostgreSQL one is killed while events flow; the other goes on where it stood.
#[test]
fn a_node_that_dies_is_replaced() {
    let Some(database) = databases::postgres() else {
        return;
    };
    let settings = format!(
        "{}\n[limits]\ndelivery_lease_ms = 1000\n",
        hurried("[0, 0, 0, 0, 0, 0, 0, 0]")
    );
    let receivers: Vec<Receiver> = (0..4).map(|_| Receiver::start()).collect();
    let first = Kiln::configured(&database, &settings);
    let second = Kiln::configured(&database, &settings);
    for receiver in &receivers {
        subscribe(&first, &hook("Patient", receiver, 5));
    }
    for n in 0..40 {
        patient(if n % 2 == 0 { &first } else { &second }, &format!("N{n}"));
    }
    first.kill();
    for n in 40..80 {
        patient(&second, &format!("N{n}"));
    }
    let expected: Vec<String> = (0..80).map(|n| format!("N{n}")).collect();
    for receiver in &receivers {
        let until = Instant::now() + PATIENCE;
        loop {
            let mut told: BTreeMap<u64, String> = BTreeMap::new();
            let seen = receiver.seen();
            let mut last = 0;
            let mut again = 0;
            for (request, family) in seen.iter().zip(families(receiver)) {
                let number: u64 = request
                    .header("webhook-id")
                    .unwrap()
                    .rsplit('-')
                    .next()
                    .unwrap()
                    .parse()
                    .unwrap();
                again += usize::from(told.insert(number, family).is_some());
                // In order, but for what comes again.
                assert!(number <= last + 1, "{number} after {last}");
                last = last.max(number);
            }
            if told.len() == 80 {
                assert_eq!(told.into_values().collect::<Vec<_>>(), expected);
                assert!(again <= 32, "{again}");
                break;
            }
            assert!(Instant::now() < until, "{} came", told.len());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}
