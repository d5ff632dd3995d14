//! Who subscribes is told: each change once or more, in order, and nobody else's trouble is theirs.

use std::time::Instant;

use fhir_spec::json::Value;

use crate::client::{Answer as Reply, FHIR_JSON, get, send};
use crate::databases::Database;
use crate::kiln::Kiln;
use crate::receiver::{Answer, PATIENCE, Receiver};

on_both_databases!(
    a_change_that_meets_the_criteria_is_told,
    criteria_may_name_systems,
    what_failed_is_tried_again_in_order,
    who_is_gone_is_left_alone,
    a_message_carries_the_resource,
    a_message_carries_the_notification_of_a_topic,
    who_never_answers_is_given_up_and_can_come_back,
    secrets_are_not_shown_again,
    what_cannot_be_served_is_refused,
    nothing_is_lost_when_the_server_is_killed,
);

const SETTINGS: &str = "outbound_allow = [\"127.0.0.0/8\"]\n[deliveries]\n";

pub(crate) fn hurried(attempts: &str) -> String {
    format!("{SETTINGS}attempts_s = {attempts}\n")
}

pub(crate) fn post(kiln: &Kiln, resource_type: &str, body: &str) -> Reply {
    let path = format!("/fhir/{resource_type}");
    send(kiln.address, "POST", &path, &[FHIR_JSON], body.as_bytes()).unwrap()
}

pub(crate) fn put(kiln: &Kiln, path: &str, body: &str) -> Reply {
    let path = format!("/fhir/{path}");
    send(kiln.address, "PUT", &path, &[FHIR_JSON], body.as_bytes()).unwrap()
}

/// A subscription as it is sent.
fn wanted(criteria: &str, url: &str, more: &str) -> String {
    format!(
        r#"{{"resourceType":"Subscription","status":"requested","reason":"test","criteria":"{criteria}","channel":{{"type":"rest-hook","endpoint":"{url}"{more}}}}}"#
    )
}

/// Makes it and waits until it is active; its id.
pub(crate) fn subscribe(kiln: &Kiln, body: &str) -> String {
    let made = post(kiln, "Subscription", body);
    assert_eq!(made.status, 201, "{}", made.text());
    let id = made.json().str_of("id").unwrap().to_owned();
    becomes(kiln, &id, "active");
    id
}

/// Waits until a subscription has that status.
pub(crate) fn becomes(kiln: &Kiln, id: &str, status: &str) -> Value {
    let until = Instant::now() + PATIENCE;
    loop {
        let read = get(kiln.address, &format!("/fhir/Subscription/{id}"));
        let document = read.json();
        if document.str_of("status") == Some(status) {
            return document;
        }
        assert!(Instant::now() < until, "{status}: {document}");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

fn patient(family: &str) -> String {
    format!(r#"{{"resourceType":"Patient","name":[{{"family":"{family}"}}]}}"#)
}

const PAYLOAD: &str = r#","payload":"application/fhir+json""#;

fn criteria_may_name_systems(database: &Database) {
    let kiln = Kiln::configured(database, SETTINGS);
    let receiver = Receiver::start();
    let criteria = "Observation?status=final&code=http://loinc.org|789-8";
    subscribe(&kiln, &wanted(criteria, &receiver.url(), ""));
    let observation = |code: &str| {
        format!(
            r#"{{"resourceType":"Observation","status":"final","code":{{"coding":[{{"system":"http://loinc.org","code":"{code}"}}]}}}}"#
        )
    };
    assert_eq!(
        post(&kiln, "Observation", &observation("718-7")).status,
        201
    );
    assert_eq!(
        post(&kiln, "Observation", &observation("789-8")).status,
        201
    );
    let said = receiver.wait(1);
    assert!(said[0].header("webhook-id").unwrap().ends_with("-1"));
}

fn a_change_that_meets_the_criteria_is_told(database: &Database) {
    let kiln = Kiln::configured(database, SETTINGS);
    let (receiver, plain) = (Receiver::start(), Receiver::start());
    let more = format!(r#"{PAYLOAD},"header":["Authorization: Bearer abc","X-Mine: 1"]"#);
    subscribe(
        &kiln,
        &wanted("Patient?family=Meier", &receiver.url(), &more),
    );
    subscribe(
        &kiln,
        &wanted(
            "Patient?_has:Observation:subject:status=final",
            &plain.url(),
            "",
        ),
    );
    let made = post(&kiln, "Patient", &patient("Meier"));
    let id = made.json().str_of("id").unwrap().to_owned();
    assert_eq!(post(&kiln, "Patient", &patient("Huber")).status, 201);
    assert_eq!(
        post(
            &kiln,
            "Observation",
            r#"{"resourceType":"Observation","status":"final","code":{"text":"x"}}"#
        )
        .status,
        201
    );
    let said = receiver.wait(1);
    assert_eq!(
        (said[0].method.as_str(), said[0].path.as_str()),
        ("PUT", format!("/hook/Patient/{id}").as_str())
    );
    assert_eq!(said[0].body, made.body);
    assert_eq!(
        said[0].header("content-type"),
        Some("application/fhir+json")
    );
    assert_eq!(said[0].header("authorization"), Some("Bearer abc"));
    assert_eq!(said[0].header("x-mine"), Some("1"));
    assert!(said[0].header("webhook-id").unwrap().ends_with("-1"));

    // Changed so that it meets them no more, and again so that it does; then deleted.
    let path = format!("Patient/{id}");
    for family in ["Huber", "Meier"] {
        let body = patient(family).replacen('{', &format!("{{\"id\":\"{id}\","), 1);
        assert_eq!(put(&kiln, &path, &body).status, 200);
    }
    let said = receiver.wait(2);
    assert!(said[1].json().get("meta").unwrap().str_of("versionId") == Some("3"));
    assert!(said[1].header("webhook-id").unwrap().ends_with("-2"));
    // A question about others: an observation is there when the patient is changed.
    assert!(plain.seen().is_empty());
    let observed = format!(
        r#"{{"resourceType":"Observation","status":"final","code":{{"text":"x"}},"subject":{{"reference":"Patient/{id}"}}}}"#
    );
    assert_eq!(post(&kiln, "Observation", &observed).status, 201);
    let body = patient("Wagner").replacen('{', &format!("{{\"id\":\"{id}\","), 1);
    assert_eq!(put(&kiln, &path, &body).status, 200);
    let said = plain.wait(1);
    assert_eq!(
        (
            said[0].method.as_str(),
            said[0].path.as_str(),
            said[0].body.len()
        ),
        ("POST", "/hook", 0)
    );
    assert_eq!(receiver.seen().len(), 2);
}

fn what_failed_is_tried_again_in_order(database: &Database) {
    let kiln = Kiln::configured(database, &hurried("[0, 0, 0, 0, 0, 0, 0, 0]"));
    let (bad, good) = (Receiver::start(), Receiver::start());
    bad.then(&[
        Answer::Status(500),
        Answer::Close,
        Answer::With(302, "location: http://127.0.0.1:9/\r\n"),
        Answer::With(429, "retry-after: 1\r\n"),
        Answer::Status(200),
        Answer::Status(503),
    ]);
    subscribe(&kiln, &wanted("Patient", &bad.url(), PAYLOAD));
    subscribe(&kiln, &wanted("Patient", &good.url(), PAYLOAD));
    for n in 0..20 {
        assert_eq!(
            post(&kiln, "Patient", &patient(&format!("N{n}"))).status,
            201
        );
    }
    let families = |receiver: &Receiver, count| {
        let seen = receiver.wait(count);
        let families = seen.iter().map(|request| {
            request.json().items_of("name")[0]
                .str_of("family")
                .unwrap()
                .to_owned()
        });
        families.collect::<Vec<_>>()
    };
    let mut expected: Vec<String> = (0..20).map(|n| format!("N{n}")).collect();
    assert_eq!(families(&good, 20), expected);
    // Four failures of the first, one of the second.
    expected.splice(0..0, ["N0", "N0", "N0", "N0"].map(str::to_owned));
    expected.insert(5, "N1".to_owned());
    assert_eq!(families(&bad, 25), expected);
    let ids: Vec<String> = bad
        .seen()
        .iter()
        .map(|r| r.header("webhook-id").unwrap().to_owned())
        .collect();
    assert!(ids[..5].iter().all(|id| *id == ids[0]), "{ids:?}");
}

fn who_is_gone_is_left_alone(database: &Database) {
    let kiln = Kiln::configured(database, &hurried("[0, 0, 0]"));
    let receiver = Receiver::start();
    receiver.usually(Answer::Status(410));
    let id = subscribe(&kiln, &wanted("Patient", &receiver.url(), PAYLOAD));
    assert_eq!(post(&kiln, "Patient", &patient("A")).status, 201);
    let off = becomes(&kiln, &id, "off");
    assert!(off.str_of("error").unwrap().contains("410"), "{off}");
    assert_eq!(receiver.seen().len(), 1);
}

/// Of the bundle of a message: what stands in the header, and the rest.
fn message(said: &crate::receiver::Request) -> (Value, Vec<Value>) {
    assert_eq!(
        (said.method.as_str(), said.path.as_str()),
        ("POST", "/hook")
    );
    let bundle = said.json();
    assert_eq!(bundle.str_of("type"), Some("message"));
    let mut entries = bundle.items_of("entry").to_vec();
    let header = entries.remove(0).get("resource").unwrap().clone();
    assert_eq!(header.str_of("resourceType"), Some("MessageHeader"));
    (header, entries)
}

/// Others may take it: there is nothing wrong with it.
fn is_sound(kiln: &Kiln, bundle: &[u8]) {
    let path = "/fhir/Bundle/$validate";
    let judged = send(kiln.address, "POST", path, &[FHIR_JSON], bundle).unwrap();
    assert_eq!(judged.status, 200, "{}", judged.text());
    let told = judged.text();
    assert!(!told.contains(r#""severity":"error""#), "{told}");
}

fn a_message_carries_the_resource(database: &Database) {
    let kiln = Kiln::configured(database, &hurried("[0, 0, 0]"));
    let receiver = Receiver::start();
    receiver.then(&[Answer::Status(500)]);
    let wanted = wanted("Patient?family=Meier", &receiver.url(), PAYLOAD);
    subscribe(&kiln, &wanted.replace("rest-hook", "message"));
    let made = post(&kiln, "Patient", &patient("Meier"));
    assert_eq!(made.status, 201);
    let said = receiver.wait(2);
    let (header, rest) = message(&said[1]);
    assert_eq!(message(&said[0]).0, header, "known again");
    assert_eq!(header.str_of("eventUri"), Some("urn:kiln:event:changed"));
    let to = header.items_of("destination")[0]
        .str_of("endpoint")
        .unwrap();
    assert_eq!(to, receiver.url());
    assert_eq!(
        header.items_of("focus")[0].str_of("reference"),
        rest[0].str_of("fullUrl")
    );
    assert_eq!(rest[0].get("resource").unwrap().to_string(), made.text());
    is_sound(&kiln, &said[1].body);
}

fn a_message_carries_the_notification_of_a_topic(database: &Database) {
    let kiln = Kiln::configured(database, SETTINGS);
    let receiver = Receiver::start();
    let more = r#","payload":"application/fhir+json","_payload":{"extension":[{"url":"http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-payload-content","valueCode":"id-only"}]}"#;
    let topic = "urn:kiln:topic:patient-admin";
    let wanted = wanted(topic, &receiver.url(), more);
    subscribe(&kiln, &wanted.replace("rest-hook", "message"));
    let made = post(&kiln, "Patient", &patient("Meier"));
    let said = receiver.wait(2);
    for (one, kind) in said.iter().zip(["handshake", "event-notification"]) {
        let (header, rest) = message(one);
        assert_eq!(header.str_of("eventUri"), Some(topic));
        let notification = rest[0].get("resource").unwrap();
        assert_eq!(notification.str_of("type"), Some("history"));
        assert!(notification.to_string().contains(kind), "{notification}");
        is_sound(&kiln, &one.body);
    }
    let id = made.json().str_of("id").unwrap().to_owned();
    let told = String::from_utf8(said[1].body.clone()).unwrap();
    assert!(told.contains(&format!("/Patient/{id}")), "{told}");
    assert!(!told.contains("Meier"), "{told}");
}

fn who_never_answers_is_given_up_and_can_come_back(database: &Database) {
    let kiln = Kiln::configured(database, &hurried("[0, 0]"));
    let (hanging, dripping, good) = (Receiver::start(), Receiver::start(), Receiver::start());
    hanging.usually(Answer::Hang);
    dripping.usually(Answer::Drip);
    let second = r#","payload":"application/fhir+json","extension":[{"url":"http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-timeout","valueUnsignedInt":1}]"#;
    let hung = subscribe(&kiln, &wanted("Patient", &hanging.url(), second));
    let dripped = subscribe(&kiln, &wanted("Patient", &dripping.url(), second));
    subscribe(&kiln, &wanted("Patient", &good.url(), PAYLOAD));
    for n in 0..10 {
        assert_eq!(
            post(&kiln, "Patient", &patient(&format!("N{n}"))).status,
            201
        );
    }
    good.wait(10);
    for id in [&hung, &dripped] {
        let given_up = becomes(&kiln, id, "error");
        assert!(
            given_up
                .str_of("error")
                .unwrap()
                .contains("no answer within 1 s"),
            "{given_up}"
        );
    }
    // Events go on to be born: nothing is lost for whoever comes back.
    assert_eq!(post(&kiln, "Patient", &patient("N10")).status, 201);
    good.wait(11);
    let before = hanging.seen().len();
    hanging.usually(Answer::Status(204));
    let read = get(kiln.address, &format!("/fhir/Subscription/{hung}")).text();
    let again = read.replace("\"status\":\"error\"", "\"status\":\"requested\"");
    assert_eq!(
        put(&kiln, &format!("Subscription/{hung}"), &again).status,
        200
    );
    let said = hanging.wait(before + 11);
    let last = said.last().unwrap().json();
    assert_eq!(last.items_of("name")[0].str_of("family"), Some("N10"));
    assert!(becomes(&kiln, &hung, "active").get("error").is_none());
}

fn secrets_are_not_shown_again(database: &Database) {
    let kiln = Kiln::configured(database, SETTINGS);
    let receiver = Receiver::start();
    let more = r#","payload":"application/fhir+json","header":["X-Key: marker-of-a-header"],"extension":[{"url":"urn:kiln:webhook-secret","valueString":"marker-of-a-secret"}]"#;
    let id = subscribe(&kiln, &wanted("Patient", &receiver.url(), more));
    for path in ["", "/_history/1", "/_history"] {
        let shown = get(kiln.address, &format!("/fhir/Subscription/{id}{path}")).text();
        assert!(!shown.contains("marker"), "{shown}");
    }
    assert_eq!(
        database
            .number("SELECT count(*) FROM versions WHERE CAST(body AS TEXT) LIKE '%marker-of%'"),
        0
    );
    // What is shown can be sent back, for the same endpoint only.
    let shown = get(kiln.address, &format!("/fhir/Subscription/{id}")).text();
    let changed = shown.replace("\"reason\":\"test\"", "\"reason\":\"other\"");
    let path = format!("Subscription/{id}");
    assert_eq!(put(&kiln, &path, &changed).status, 200);
    let stolen = changed.replace(&receiver.url(), "https://evil.example/");
    let refused = put(&kiln, &path, &stolen);
    assert_eq!(refused.status, 422, "{}", refused.text());
    assert_eq!(post(&kiln, "Patient", &patient("A")).status, 201);
    let said = receiver.wait(1);
    assert_eq!(said[0].header("x-key"), Some("marker-of-a-header"));
    assert!(
        said[0]
            .header("webhook-signature")
            .unwrap()
            .starts_with("v1,")
    );
    let log = kiln.stop_and_read_log();
    assert!(!log.contains("marker-of"), "{log}");
}

fn what_cannot_be_served_is_refused(database: &Database) {
    let kiln = Kiln::configured(database, SETTINGS);
    let url = "https://example.org/hook";
    for (body, told) in [
        (wanted("Patient?elephant=1", url, ""), "elephant"),
        (wanted("Elephant?a=1", url, ""), "Elephant"),
        (wanted("Patient?_text=a", url, ""), "_text"),
        (wanted("Patient", "https://10.0.0.1/", ""), "not public"),
        (
            wanted("Patient", "https://169.254.169.254/latest", ""),
            "not public",
        ),
        (wanted("Patient", "http://1.1.1.1/", ""), "https"),
        (wanted("Patient", "ftp://example.org/", ""), "https"),
        (wanted("Patient", url, r#","header":["Host: x"]"#), "header"),
        (
            wanted("Patient", url, r#","payload":"text/csv""#),
            "payload",
        ),
        (
            wanted("Patient", url, "").replace("rest-hook", "sms"),
            "not served",
        ),
    ] {
        let refused = post(&kiln, "Subscription", &body);
        assert_eq!(refused.status, 422, "{body} {}", refused.text());
        assert!(refused.text().contains(told), "{told}: {}", refused.text());
        // Not by the way of a bundle either.
        let entry = format!(
            r#"{{"resourceType":"Bundle","type":"transaction","entry":[{{"resource":{body},"request":{{"method":"POST","url":"Subscription"}}}}]}}"#
        );
        let refused = send(
            kiln.address,
            "POST",
            "/fhir",
            &[FHIR_JSON],
            entry.as_bytes(),
        )
        .unwrap();
        assert_eq!(refused.status, 422, "{}", refused.text());
    }
    assert_eq!(database.number("SELECT count(*) FROM versions"), 0);
}

/// R-1 of deliveries: every committed change arrives, in order, whenever the server dies.
fn nothing_is_lost_when_the_server_is_killed(database: &Database) {
    let settings = format!(
        "{}\n[limits]\ndelivery_lease_ms = 500\n",
        hurried("[0, 0, 0, 0, 0, 0, 0, 0, 0, 0]")
    );
    let receiver = Receiver::start();
    let mut kiln = Kiln::configured(database, &settings);
    subscribe(&kiln, &wanted("Patient", &receiver.url(), PAYLOAD));
    let mut made: Vec<String> = Vec::new();
    for round in 0..5 {
        for _ in 0..40 + round * 7 {
            let answer = post(&kiln, "Patient", &patient("A"));
            assert_eq!(answer.status, 201);
            made.push(answer.json().str_of("id").unwrap().to_owned());
        }
        kiln.kill();
        kiln = Kiln::configured(database, &settings);
    }
    let until = Instant::now() + PATIENCE;
    let arrived = loop {
        let mut arrived: Vec<(i64, String)> = Vec::new();
        for request in receiver.seen() {
            let number = request
                .header("webhook-id")
                .unwrap()
                .rsplit('-')
                .next()
                .unwrap()
                .parse()
                .unwrap();
            let id = request.json().str_of("id").unwrap().to_owned();
            if let Some((_, known)) = arrived.iter().find(|(known, _)| *known == number) {
                assert_eq!(*known, id, "one number, one event");
                continue;
            }
            arrived.push((number, id));
        }
        if arrived.len() >= made.len() {
            break arrived;
        }
        assert!(
            Instant::now() < until,
            "{} of {}",
            arrived.len(),
            made.len()
        );
        std::thread::sleep(std::time::Duration::from_millis(50));
    };
    let numbers: Vec<i64> = arrived.iter().map(|(number, _)| *number).collect();
    let expected: Vec<i64> = (1..=i64::try_from(made.len()).unwrap()).collect();
    assert_eq!(numbers, expected);
    let ids: Vec<String> = arrived.into_iter().map(|(_, id)| id).collect();
    assert_eq!(ids, made);
}
