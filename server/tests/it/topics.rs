//! Subscriptions to topics, as the backport guide has them in R4: what its conformance kit asks (K1 to K20 of our list).
//! <https://hl7.org/fhir/uv/subscriptions-backport/>

use fhir_spec::json::Value;

use crate::client::{FHIR_JSON, get, send};
use crate::databases::Database;
use crate::kiln::Kiln;
use crate::receiver::{Answer, Receiver, Request};
use crate::subscriptions::{becomes, hurried, post, put, subscribe};

on_both_databases!(
    k1_k2_the_capabilities_name_profile_and_topics,
    k3_k4_k5_it_is_active_when_the_endpoint_has_answered,
    k6_silence_is_told,
    k7_to_k12_events_are_told_as_much_as_is_wanted,
    k13_k14_k15_it_can_be_asked_what_was_told,
    k16_what_is_not_served_is_refused,
    k17_filters_hold_together,
    k18_so_many_events_at_a_time,
    k20_what_is_deleted_or_over_is_not_told,
    own_topics_are_followed_and_may_change,
);

const GUIDE: &str = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/";
const TOPIC: &str = "urn:kiln:topic:patient-admin";

fn settings() -> String {
    hurried("[0, 0, 0, 0]")
}

/// A subscription to a topic: `content`, extensions of the channel, filters.
fn wanted(topic: &str, receiver: &Receiver, content: &str, more: &str, filters: &[&str]) -> String {
    let filters: Vec<String> = filters
        .iter()
        .map(|filter| {
            format!(r#"{{"url":"{GUIDE}backport-filter-criteria","valueString":"{filter}"}}"#)
        })
        .collect();
    let beside = match filters.is_empty() {
        true => String::new(),
        false => format!(r#","_criteria":{{"extension":[{}]}}"#, filters.join(",")),
    };
    let extensions = match more.is_empty() {
        true => String::new(),
        false => format!(r#","extension":[{more}]"#),
    };
    format!(
        r#"{{"resourceType":"Subscription","meta":{{"profile":["{GUIDE}backport-subscription"]}},"status":"requested","reason":"test","criteria":"{topic}"{beside},
        "channel":{{"type":"rest-hook","endpoint":"{}","payload":"application/fhir+json","header":["X-Own: 1"]{extensions},
        "_payload":{{"extension":[{{"url":"{GUIDE}backport-payload-content","valueCode":"{content}"}}]}}}}}}"#,
        receiver.url()
    )
}

fn patient(active: bool) -> String {
    format!(r#"{{"resourceType":"Patient","active":{active}}}"#)
}

/// A value of the status that a notification begins with.
fn said(bundle: &Value, name: &str) -> String {
    let status = bundle.items_of("entry")[0].get("resource").unwrap();
    value(status, name)
}

fn value(status: &Value, name: &str) -> String {
    let parameter = status
        .items_of("parameter")
        .iter()
        .find(|one| one.str_of("name") == Some(name));
    let parameter = parameter.unwrap_or_else(|| panic!("no {name} in {status}"));
    let mut values = parameter
        .as_object()
        .unwrap()
        .iter()
        .filter(|(name, _)| name.starts_with("value"));
    let (_, value) = values.next().unwrap();
    value
        .as_str()
        .unwrap_or_else(|| value.str_of("reference").unwrap())
        .to_owned()
}

/// The numbers of the events of a notification.
fn numbers(bundle: &Value) -> Vec<i64> {
    let status = bundle.items_of("entry")[0].get("resource").unwrap();
    let events = status
        .items_of("parameter")
        .iter()
        .filter(|one| one.str_of("name") == Some("notification-event"));
    let numbers = events.map(|event| {
        let part = event
            .items_of("part")
            .iter()
            .find(|part| part.str_of("name") == Some("event-number"));
        part.unwrap()
            .str_of("valueString")
            .unwrap()
            .parse()
            .unwrap()
    });
    numbers.collect()
}

fn of_type(seen: &[Request], kind: &str) -> Vec<Value> {
    let bundles = seen.iter().map(Request::json);
    bundles
        .filter(|bundle| said(bundle, "type") == kind)
        .collect()
}

/// Waits for that many notifications of a kind.
fn wait(receiver: &Receiver, kind: &str, count: usize) -> Vec<Value> {
    let mut all = receiver.seen().len();
    loop {
        let found = of_type(&receiver.seen(), kind);
        if found.len() >= count {
            return found;
        }
        all = receiver.wait(all + 1).len();
    }
}

fn k1_k2_the_capabilities_name_profile_and_topics(database: &Database) {
    let kiln = Kiln::start(database);
    let metadata = get(kiln.address, "/fhir/metadata").json();
    let all = metadata.items_of("rest")[0].items_of("resource");
    let subscription = all
        .iter()
        .find(|one| one.str_of("type") == Some("Subscription"))
        .unwrap()
        .to_string();
    for told in [
        "backport-subscription",
        "capabilitystatement-subscriptiontopic-canonical",
        TOPIC,
        "backport-subscription-status",
        "backport-subscription-events",
    ] {
        assert!(subscription.contains(told), "{told}: {subscription}");
    }
    assert_eq!(
        metadata
            .to_string()
            .matches("subscriptiontopic-canonical")
            .count(),
        4
    );
}

fn k3_k4_k5_it_is_active_when_the_endpoint_has_answered(database: &Database) {
    let kiln = Kiln::configured(database, &settings());
    let (good, bad) = (Receiver::start(), Receiver::start());
    bad.usually(Answer::Status(500));
    let made = post(
        &kiln,
        "Subscription",
        &wanted(TOPIC, &good, "id-only", "", &[]),
    );
    assert_eq!(made.status, 201, "{}", made.text());
    assert_eq!(made.json().str_of("status"), Some("requested"));
    let id = made.json().str_of("id").unwrap().to_owned();
    becomes(&kiln, &id, "active");
    let seen = good.seen();
    assert_eq!(seen.len(), 1);
    let bundle = seen[0].json();
    assert_eq!(
        (said(&bundle, "type"), said(&bundle, "status")),
        ("handshake".into(), "requested".into())
    );
    assert_eq!(said(&bundle, "topic"), TOPIC);
    assert!(said(&bundle, "subscription").ends_with(&format!("/Subscription/{id}")));
    assert_eq!(seen[0].header("x-own"), Some("1"));
    let made = post(
        &kiln,
        "Subscription",
        &wanted(TOPIC, &bad, "id-only", "", &[]),
    );
    let id = made.json().str_of("id").unwrap().to_owned();
    let given_up = becomes(&kiln, &id, "error");
    assert!(
        given_up.str_of("error").unwrap().contains("handshake"),
        "{given_up}"
    );
}

fn k6_silence_is_told(database: &Database) {
    let kiln = Kiln::configured(database, &settings());
    let (often, never) = (Receiver::start(), Receiver::start());
    let period = format!(r#"{{"url":"{GUIDE}backport-heartbeat-period","valueUnsignedInt":1}}"#);
    subscribe(&kiln, &wanted(TOPIC, &often, "empty", &period, &[]));
    subscribe(&kiln, &wanted(TOPIC, &never, "empty", "", &[]));
    let beats = wait(&often, "heartbeat", 2);
    assert_eq!(said(&beats[0], "events-since-subscription-start"), "0");
    assert_eq!(of_type(&never.seen(), "heartbeat").len(), 0);
}

fn k7_to_k12_events_are_told_as_much_as_is_wanted(database: &Database) {
    let kiln = Kiln::configured(database, &settings());
    let all: Vec<Receiver> = (0..3).map(|_| Receiver::start()).collect();
    let contents = ["empty", "id-only", "full-resource"];
    for (receiver, content) in all.iter().zip(contents) {
        subscribe(&kiln, &wanted(TOPIC, receiver, content, "", &[]));
    }
    let made = post(&kiln, "Patient", &patient(true)).json();
    let id = made.str_of("id").unwrap().to_owned();
    let path = format!("Patient/{id}");
    let changed = patient(false).replacen('{', &format!("{{\"id\":\"{id}\","), 1);
    assert_eq!(put(&kiln, &path, &changed).status, 200);
    assert_eq!(
        send(kiln.address, "DELETE", &format!("/fhir/{path}"), &[], b"")
            .unwrap()
            .status,
        204
    );
    for (receiver, content) in all.iter().zip(contents) {
        let told = wait(receiver, "event-notification", 3);
        let request = receiver.seen().pop().unwrap();
        assert_eq!(
            (request.method.as_str(), request.path.as_str()),
            ("POST", "/hook")
        );
        assert_eq!(
            request.header("content-type"),
            Some("application/fhir+json")
        );
        assert_eq!(request.header("x-own"), Some("1"));
        for (index, bundle) in told.iter().enumerate() {
            assert_eq!(bundle.str_of("type"), Some("history"));
            assert_eq!(numbers(bundle), [i64::try_from(index).unwrap() + 1]);
            let entries = bundle.items_of("entry");
            assert!(
                entries[0]
                    .get("request")
                    .unwrap()
                    .str_of("url")
                    .unwrap()
                    .ends_with("/$status")
            );
            assert!(
                entries
                    .iter()
                    .all(|entry| entry.get("request").is_some() && entry.get("response").is_some())
            );
            let text = bundle.to_string();
            assert_eq!(text.contains("\"focus\""), content != "empty");
            assert_eq!(entries.len(), if content == "empty" { 1 } else { 2 });
            let is_there = content == "full-resource" && index < 2;
            assert_eq!(
                text.contains(r#""resourceType":"Patient""#),
                is_there,
                "{content} {text}"
            );
        }
    }
    let events = wait(&all[2], "event-notification", 3);
    assert_eq!(said(&events[2], "events-since-subscription-start"), "3");
    let methods: Vec<&str> = events
        .iter()
        .map(|bundle| {
            bundle.items_of("entry")[1]
                .get("request")
                .unwrap()
                .str_of("method")
                .unwrap()
        })
        .collect();
    assert_eq!(methods, ["POST", "PUT", "DELETE"]);
}

fn k13_k14_k15_it_can_be_asked_what_was_told(database: &Database) {
    let kiln = Kiln::configured(database, &settings());
    let receiver = Receiver::start();
    let one = subscribe(&kiln, &wanted(TOPIC, &receiver, "id-only", "", &[]));
    let other = subscribe(
        &kiln,
        &wanted(TOPIC, &receiver, "id-only", "", &["Patient?active=false"]),
    );
    for _ in 0..5 {
        assert_eq!(post(&kiln, "Patient", &patient(true)).status, 201);
    }
    wait(&receiver, "event-notification", 5);
    let ask = |path: &str| {
        let answer = get(kiln.address, &format!("/fhir/Subscription{path}"));
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.json()
    };
    let status = ask(&format!("/{one}/$status"));
    assert_eq!(status.str_of("type"), Some("searchset"));
    let resource = status.items_of("entry")[0].get("resource").unwrap().clone();
    assert_eq!(value(&resource, "type"), "query-status");
    assert_eq!(value(&resource, "events-since-subscription-start"), "5");
    assert_eq!(ask("/$status").items_of("entry").len(), 2);
    assert_eq!(
        ask("/$status?status=active,error").items_of("entry").len(),
        2
    );
    assert_eq!(ask("/$status?status=off").items_of("entry").len(), 0);
    assert_eq!(
        ask(&format!("/$status?id={other}")).items_of("entry").len(),
        1
    );
    let body = format!(
        r#"{{"resourceType":"Parameters","parameter":[{{"name":"id","valueId":"{one}"}},{{"name":"id","valueId":"{other}"}}]}}"#
    );
    let posted = send(
        kiln.address,
        "POST",
        "/fhir/Subscription/$status",
        &[FHIR_JSON],
        body.as_bytes(),
    )
    .unwrap();
    assert_eq!(
        posted.json().items_of("entry").len(),
        2,
        "{}",
        posted.text()
    );

    let events = ask(&format!(
        "/{one}/$events?eventsSinceNumber=2&eventsUntilNumber=4"
    ));
    assert_eq!(numbers(&events), [2, 3, 4]);
    assert_eq!(said(&events, "type"), "query-event");
    assert_eq!(numbers(&ask(&format!("/{one}/$events"))), [1, 2, 3, 4, 5]);
    let full = ask(&format!(
        "/{one}/$events?eventsSinceNumber=5&content=full-resource"
    ));
    assert!(
        full.to_string().contains(r#""resourceType":"Patient""#),
        "{full}"
    );
    for wrong in ["eventsSinceNumber=x", "content=all", "elephant=1"] {
        let refused = get(
            kiln.address,
            &format!("/fhir/Subscription/{one}/$events?{wrong}"),
        );
        assert_eq!(refused.status, 400, "{wrong}");
    }
    assert_eq!(
        get(kiln.address, "/fhir/Subscription/none/$status").status,
        404
    );
}

fn k16_what_is_not_served_is_refused(database: &Database) {
    let kiln = Kiln::configured(database, &settings());
    let receiver = Receiver::start();
    let good = wanted(TOPIC, &receiver, "id-only", "", &[]);
    for (wrong, told) in [
        (
            good.replace(TOPIC, "http://example.org/no-topic"),
            "not known",
        ),
        (
            wanted(TOPIC, &receiver, "id-only", "", &["Patient?name=x"]),
            "cannot be filtered",
        ),
        (
            wanted(TOPIC, &receiver, "id-only", "", &["Observation?code=x"]),
            "not about",
        ),
        (
            wanted(TOPIC, &receiver, "id-only", "", &["Patient?active:not=x"]),
            "cannot be filtered",
        ),
        (good.replace("rest-hook", "sms"), "not served"),
        (
            good.replace(&receiver.url(), "https://192.168.0.1/x"),
            "not public",
        ),
        (
            good.replace("application/fhir+json", "text/plain"),
            "payload",
        ),
        (good.replace("id-only", "everything"), "full-resource"),
        (
            wanted(
                TOPIC,
                &receiver,
                "id-only",
                r#"{"url":"http://hl7.org/fhir/5.0/StructureDefinition/extension-Subscription.maxCount","valuePositiveInt":3}"#,
                &[],
            ),
            "R5",
        ),
    ] {
        let refused = post(&kiln, "Subscription", &wrong);
        assert_eq!(refused.status, 422, "{wrong} {}", refused.text());
        assert!(refused.text().contains(told), "{told}: {}", refused.text());
    }
    assert!(receiver.seen().is_empty());
}

fn k17_filters_hold_together(database: &Database) {
    let kiln = Kiln::configured(database, &settings());
    let receiver = Receiver::start();
    let filters = ["Encounter?patient=Patient/p", "Encounter?class=IMP"];
    subscribe(
        &kiln,
        &wanted(
            "urn:kiln:topic:encounter-end",
            &receiver,
            "id-only",
            "",
            &filters,
        ),
    );
    for patient in ["p", "q"] {
        assert_eq!(
            put(
                &kiln,
                &format!("Patient/{patient}"),
                &format!(r#"{{"resourceType":"Patient","id":"{patient}"}}"#)
            )
            .status,
            201
        );
    }
    for (id, patient, class) in [
        ("a", "q", "IMP"),
        ("b", "p", "AMB"),
        ("c", "p", "IMP"),
        ("d", "p", "IMP"),
    ] {
        for status in ["in-progress", "finished", "finished"] {
            if id == "d" && status == "finished" {
                continue;
            }
            let body = format!(
                r#"{{"resourceType":"Encounter","id":"{id}","status":"{status}","class":{{"code":"{class}"}},"subject":{{"reference":"Patient/{patient}"}},"priority":{{"text":"{status}"}}}}"#
            );
            let answer = put(&kiln, &format!("Encounter/{id}"), &body);
            assert!([200, 201].contains(&answer.status), "{}", answer.text());
        }
    }
    let told = wait(&receiver, "event-notification", 1);
    assert!(told[0].to_string().contains("Encounter/c"), "{}", told[0]);
    let status = get(kiln.address, "/fhir/Subscription/$status").json();
    assert_eq!(said(&status, "events-since-subscription-start"), "1");
}

fn k18_so_many_events_at_a_time(database: &Database) {
    let kiln = Kiln::configured(database, &settings());
    let receiver = Receiver::start();
    let count = format!(r#"{{"url":"{GUIDE}backport-max-count","valuePositiveInt":3}}"#);
    subscribe(&kiln, &wanted(TOPIC, &receiver, "id-only", &count, &[]));
    let entries: Vec<String> = (0..7)
        .map(|_| {
            format!(
                r#"{{"resource":{},"request":{{"method":"POST","url":"Patient"}}}}"#,
                patient(true)
            )
        })
        .collect();
    let bundle = format!(
        r#"{{"resourceType":"Bundle","type":"transaction","entry":[{}]}}"#,
        entries.join(",")
    );
    assert_eq!(
        send(
            kiln.address,
            "POST",
            "/fhir",
            &[FHIR_JSON],
            bundle.as_bytes()
        )
        .unwrap()
        .status,
        200
    );
    let told = wait(&receiver, "event-notification", 3);
    let all: Vec<Vec<i64>> = told.iter().map(numbers).collect();
    assert_eq!(all, [vec![1, 2, 3], vec![4, 5, 6], vec![7]]);
}

fn k20_what_is_deleted_or_over_is_not_told(database: &Database) {
    let kiln = Kiln::configured(database, &settings());
    let (deleted, over, good) = (Receiver::start(), Receiver::start(), Receiver::start());
    let gone = subscribe(&kiln, &wanted(TOPIC, &deleted, "empty", "", &[]));
    subscribe(&kiln, &wanted(TOPIC, &good, "empty", "", &[]));
    let past = wanted(TOPIC, &over, "empty", "", &[])
        .replace(r#""reason""#, r#""end":"2020-01-01T00:00:00Z","reason""#);
    let made = post(&kiln, "Subscription", &past);
    assert_eq!(made.status, 201, "{}", made.text());
    becomes(&kiln, made.json().str_of("id").unwrap(), "off");
    let path = format!("/fhir/Subscription/{gone}");
    assert_eq!(
        send(kiln.address, "DELETE", &path, &[], b"")
            .unwrap()
            .status,
        204
    );
    assert_eq!(post(&kiln, "Patient", &patient(true)).status, 201);
    wait(&good, "event-notification", 1);
    assert_eq!(of_type(&deleted.seen(), "event-notification").len(), 0);
    assert!(over.seen().is_empty());
}

fn own_topics_are_followed_and_may_change(database: &Database) {
    let kiln = Kiln::configured(database, &settings());
    let receiver = Receiver::start();
    let element = "http://hl7.org/fhir/5.0/StructureDefinition/extension-SubscriptionTopic.";
    let topic = |current: &str| {
        format!(
            r#"{{"resourceType":"Basic","id":"t","code":{{"coding":[{{"system":"http://hl7.org/fhir/fhir-types","code":"SubscriptionTopic"}}]}},"extension":[
            {{"url":"{element}url","valueUri":"http://example.org/topic"}},
            {{"url":"{element}resourceTrigger","extension":[{{"url":"resource","valueUri":"Patient"}},{{"url":"queryCriteria","extension":[{{"url":"current","valueString":"{current}"}}]}}]}}]}}"#
        )
    };
    let refused = put(&kiln, "Basic/t", &topic("elephant=1"));
    assert_eq!(refused.status, 422, "{}", refused.text());
    let unknown = post(
        &kiln,
        "Subscription",
        &wanted("http://example.org/topic", &receiver, "id-only", "", &[]),
    );
    assert_eq!(unknown.status, 422, "{}", unknown.text());
    assert_eq!(put(&kiln, "Basic/t", &topic("active=true")).status, 201);
    subscribe(
        &kiln,
        &wanted(
            "http://example.org/topic",
            &receiver,
            "full-resource",
            "",
            &[],
        ),
    );
    assert!(
        get(kiln.address, "/fhir/metadata")
            .text()
            .contains("http://example.org/topic")
    );
    for active in [true, false] {
        assert_eq!(post(&kiln, "Patient", &patient(active)).status, 201);
    }
    wait(&receiver, "event-notification", 1);
    // What the topic says counts from then on.
    assert_eq!(put(&kiln, "Basic/t", &topic("active=false")).status, 200);
    let until = std::time::Instant::now() + crate::receiver::PATIENCE;
    while !of_type(&receiver.seen(), "event-notification")
        .iter()
        .any(|bundle| bundle.to_string().contains(r#""active":false"#))
    {
        assert!(std::time::Instant::now() < until);
        assert_eq!(post(&kiln, "Patient", &patient(false)).status, 201);
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}
