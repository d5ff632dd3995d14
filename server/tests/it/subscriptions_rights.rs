//! Who has subscribed is told of what they may see at that moment, and learns nothing of the rest. (issue 7.4, T-9, T-12, T-44)

use std::time::Instant;

use fhir_spec::json::{Value, parse};

use crate::authorised::{Holder, SMART, cli, key};
use crate::databases::Database;
use crate::kiln::Kiln;
use crate::leaks::{MARK, OF_ONE, record, seed};
use crate::receiver::{Answer, PATIENCE, Receiver};

on_both_databases!(
    who_subscribes_is_told_of_what_they_may_see,
    rights_count_as_they_are_when_it_is_told,
    a_revoked_key_is_told_nothing_more,
    no_criteria_ask_about_another_s_record,
    what_is_not_public_is_called_where_it_is_allowed,
);

fn kiln(database: &Database) -> Kiln {
    let settings = "outbound_allow = [\"127.0.0.0/8\"]\n[deliveries]\nattempts_s = ";
    let attempts = "[0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]";
    Kiln::configured(database, &format!("{SMART}{settings}{attempts}\n"))
}

fn holder<'k>(kiln: &'k Kiln, database: &Database, name: &str, arguments: &[&str]) -> Holder<'k> {
    let key = key(database, name, arguments);
    Holder { kiln, key }
}

fn subscription(criteria: &str, url: &str, more: &str) -> String {
    format!(
        r#"{{"resourceType":"Subscription","status":"requested","reason":"test","criteria":"{criteria}","channel":{{"type":"rest-hook","endpoint":"{url}"{more}}}}}"#
    )
}

const PAYLOAD: &str = r#","payload":"application/fhir+json""#;

impl Holder<'_> {
    fn subscribe(&self, criteria: &str, receiver: &Receiver, more: &str) -> String {
        let body = subscription(criteria, &receiver.url(), more);
        let made = self.ask("POST", "/fhir/Subscription", &body);
        assert_eq!(made.status, 201, "{criteria}: {}", made.text());
        let id = made.json().str_of("id").unwrap().to_owned();
        self.becomes(&id, "active");
        id
    }

    fn becomes(&self, id: &str, status: &str) -> Value {
        let until = Instant::now() + PATIENCE;
        loop {
            let document = self.get(&format!("/fhir/Subscription/{id}")).json();
            if document.str_of("status") == Some(status) {
                return document;
            }
            assert!(Instant::now() < until, "{status}: {document}");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}

fn observation(id: &str, category: &str, value: &str) -> String {
    format!(
        r#"{{"resourceType":"Observation","id":"{id}","status":"final","code":{{"text":"x"}},"valueString":"{value}",
        "category":[{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"{category}"}}]}}]}}"#
    )
}

/// What was told, by the end of its name and the value in it.
fn told(receiver: &Receiver, count: usize) -> Vec<(String, String)> {
    let seen = receiver.wait(count);
    let one = |said: &crate::receiver::Request| {
        let name = said.header("webhook-id").unwrap();
        let number = name.rsplit('-').next().unwrap().to_owned();
        let value = said.json().str_of("valueString").unwrap().to_owned();
        (number, value)
    };
    seen.iter().map(one).collect()
}

fn pairs(all: &[(&str, &str)]) -> Vec<(String, String)> {
    let own = |(number, value): &(&str, &str)| ((*number).to_owned(), (*value).to_owned());
    all.iter().map(own).collect()
}

fn what_is_not_public_is_called_where_it_is_allowed(database: &Database) {
    let (allowed, other) = (Receiver::start(), Receiver::start());
    let settings = format!("{SMART}outbound_allow = [\"{}\"]\n", allowed.address);
    let kiln = Kiln::configured(database, &settings);
    let admin = holder(&kiln, database, "admin", &["--role", "admin"]);
    let body = subscription("Observation", &other.url(), PAYLOAD);
    let refused = admin.ask("POST", "/fhir/Subscription", &body);
    assert_eq!(refused.status, 422, "{}", refused.text());
    assert!(
        refused.text().contains("outbound_allow"),
        "{}",
        refused.text()
    );
    admin.subscribe("Observation", &allowed, PAYLOAD);
    admin.put(&observation("1", "laboratory", "a"));
    assert_eq!(told(&allowed, 1), pairs(&[("1", "a")]));
}

fn who_subscribes_is_told_of_what_they_may_see(database: &Database) {
    let kiln = kiln(database);
    let admin = holder(&kiln, database, "admin", &["--role", "admin"]);
    let scope = "system/Subscription.cruds system/Observation.rs?category=laboratory";
    let lab = holder(&kiln, database, "lab", &["--scope", scope]);
    let reader = "system/Subscription.rs system/Observation.rs";
    let reader = holder(&kiln, database, "reader", &["--scope", reader]);
    let receiver = Receiver::start();
    let body = subscription("Observation", &receiver.url(), "");
    assert_eq!(reader.ask("POST", "/fhir/Subscription", &body).status, 403);
    for criteria in [
        "Patient",
        "Patient?family=x",
        "Observation?subject:Patient.family=x",
        "Observation?_has:DiagnosticReport:result:status=final",
        "urn:kiln:topic:patient-admin",
    ] {
        let body = subscription(criteria, &receiver.url(), "");
        let refused = lab.ask("POST", "/fhir/Subscription", &body);
        assert_eq!(refused.status, 403, "{criteria}: {}", refused.text());
    }
    lab.subscribe("Observation?status=final", &receiver, PAYLOAD);
    let (all, hidden) = (Receiver::start(), Receiver::start());
    admin.subscribe("Observation?status=final", &all, PAYLOAD);
    lab.subscribe("Observation?category=vital-signs", &hidden, "");
    admin.put(&observation("1", "vital-signs", "a"));
    admin.put(&observation("2", "laboratory", "b"));
    admin.put(&observation("1", "vital-signs", "c"));
    // Else it is out of reach when it is told.
    receiver.wait(1);
    // Out of their reach, and into it.
    admin.put(&observation("2", "vital-signs", "d"));
    admin.put(&observation("1", "laboratory", "e"));
    let expected = pairs(&[("1", "a"), ("2", "b"), ("3", "c"), ("4", "d"), ("5", "e")]);
    assert_eq!(told(&all, 5), expected);
    // Nothing tells that there was anything between.
    assert_eq!(told(&receiver, 2), pairs(&[("1", "b"), ("2", "e")]));
    assert_eq!(hidden.seen().len(), 0);
}

fn rights_count_as_they_are_when_it_is_told(database: &Database) {
    let kiln = kiln(database);
    let admin = holder(&kiln, database, "admin", &["--role", "admin"]);
    let scope = "system/Subscription.cruds system/Observation.rs";
    let app = holder(&kiln, database, "app", &["--scope", scope]);
    let receiver = Receiver::start();
    receiver.usually(Answer::Status(500));
    app.subscribe("Observation?status=final", &receiver, PAYLOAD);
    admin.put(&observation("1", "laboratory", "a"));
    receiver.wait(1);
    admin.put(&observation("2", "vital-signs", "b"));
    admin.put(&observation("3", "laboratory", "c"));
    // The key is replaced by one that may see less: of two that hold the newer one counts.
    let scope = format!("{scope}?category=laboratory");
    holder(&kiln, database, "app", &["--scope", &scope]);
    let failed = receiver.wait(receiver.seen().len() + 3).len();
    receiver.usually(Answer::Status(200));
    let until = Instant::now() + PATIENCE;
    loop {
        let all = told(&receiver, failed);
        if all.iter().any(|(_, value)| value == "c") {
            assert!(all.contains(&("3".to_owned(), "c".to_owned())), "{all:?}");
            assert!(all.iter().all(|(_, value)| value != "b"), "{all:?}");
            return;
        }
        assert!(Instant::now() < until, "{all:?}");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

fn a_revoked_key_is_told_nothing_more(database: &Database) {
    let kiln = kiln(database);
    let admin = holder(&kiln, database, "admin", &["--role", "admin"]);
    let scope = "system/Subscription.cruds system/Observation.rs";
    let app = holder(&kiln, database, "app", &["--scope", scope]);
    let receiver = Receiver::start();
    let id = app.subscribe("Observation", &receiver, PAYLOAD);
    admin.put(&observation("1", "laboratory", "a"));
    receiver.wait(1);
    assert!(cli(database, &["key", "revoke", "app"]).status.success());
    // It may be believed for a second.
    std::thread::sleep(std::time::Duration::from_millis(1_500));
    let before = receiver.seen().len();
    admin.put(&observation("2", "laboratory", "b"));
    let given_up = admin.becomes(&id, "error");
    let error = given_up.str_of("error").unwrap();
    assert!(error.contains("revoked"), "{given_up}");
    assert_eq!(receiver.seen().len(), before);
    // Somebody who may takes it over: nothing is lost.
    let path = format!("/fhir/Subscription/{id}");
    let again = given_up
        .to_string()
        .replace(r#""error","#, r#""requested","#);
    let put = admin.ask("PUT", &path, &again);
    assert_eq!(put.status, 200, "{}", put.text());
    assert_eq!(told(&receiver, 2)[1], ("2".to_owned(), "b".to_owned()));
}

/// F18 and T-4 for criteria: whoever sees the record of one patient is told of nothing in that of another, nor by the way.
fn no_criteria_ask_about_another_s_record(database: &Database) {
    let kiln = kiln(database);
    let admin = holder(&kiln, database, "admin", &["--role", "admin"]);
    seed(&admin);
    let scope = "patient/*.rs system/Subscription.cruds";
    let own = holder(
        &kiln,
        database,
        "own",
        &["--scope", scope, "--patient", "a"],
    );
    let (all, none) = (Receiver::start(), Receiver::start());
    let mut subscribed = 0;
    for (kind, ways) in OF_ONE.iter().filter(|(kind, _)| !kind.is_empty()) {
        own.subscribe(kind, &all, PAYLOAD);
        for way in ways
            .iter()
            .filter(|way| way.contains("WORD") && !way.contains("_filter"))
        {
            let criteria = format!("{kind}{}", way.replace("WORD", MARK));
            let made = own.ask(
                "POST",
                "/fhir/Subscription",
                &subscription(&criteria, &none.url(), ""),
            );
            // Criteria that cannot be served at all are refused for everybody.
            assert!(
                matches!(made.status, 201 | 422),
                "{criteria}: {}",
                made.text()
            );
            subscribed += usize::from(made.status == 201);
        }
    }
    assert!(subscribed >= 25, "{subscribed} ways were subscribed to");
    let all_active = "/fhir/Subscription?status=active&_summary=count";
    let until = Instant::now() + PATIENCE;
    while admin
        .get(all_active)
        .json()
        .get("total")
        .and_then(Value::as_u64)
        < u64::try_from(subscribed + OF_ONE.len() - 1).ok()
    {
        assert!(Instant::now() < until, "not all of them are active");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    // All is written again: what is of the other one first.
    for resource in [record("b", "a", MARK), record("a", "b", "lion")].concat() {
        let mut document = parse(resource.as_bytes()).unwrap();
        document.as_object_mut().unwrap().set("language", "en");
        admin.put(&document.to_string());
    }
    let own_types = OF_ONE.iter().map(|(kind, _)| *kind);
    let expected = record("a", "b", "lion");
    let expected = expected.iter().filter(|text| {
        let document = parse(text.as_bytes()).unwrap();
        own_types
            .clone()
            .any(|kind| document.str_of("resourceType") == Some(kind))
    });
    let said = all.wait(expected.count());
    for one in &said {
        let id = one.json().str_of("id").unwrap().to_owned();
        assert!(id == "a" || id.starts_with("a-"), "{}", one.path);
    }
    let told: Vec<Vec<u8>> = none.seen().iter().map(|one| one.body.clone()).collect();
    assert_eq!(told, Vec::<Vec<u8>>::new());
}
