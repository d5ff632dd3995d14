//! The message store as an analyst uses it: finding, looking closely, having it done again.

use fhir_spec::json::Value;

use crate::client::{get, send};
use crate::databases::Database;
use crate::kiln::Kiln;
use crate::mllp::{Sender, adt, messages, said};

on_both_databases!(
    messages_are_found_by_what_they_are_about,
    pages_follow_each_other,
    one_is_shown_with_all_that_is_known,
    what_would_become_of_it_is_shown_before_it_is_done,
    many_are_tried_again_together,
);

fn post(kiln: &Kiln, path: &str) -> crate::client::Answer {
    send(kiln.address, "POST", path, &[], b"").unwrap()
}

fn messages_are_found_by_what_they_are_about(database: &Database) {
    let kiln = Kiln::start(database);
    let mut sender = Sender::to(kiln.mllp[0]);
    sender.ask(adt("1", "P1"));
    sender.ask(adt("2", "P2").replace("|ADT|HOSP|", "|LAB|EAST|"));
    sender.ask("MSH|^~\\&|X|Y|C|D|20260101||ZZZ^Z99|3|P|2.5\rPID|1||P1^^^HOSP\rORC|NW|ORD1|FIL1\r");
    let found = |query: &str| {
        let all = messages(&kiln, query);
        let mut ids: Vec<String> = all
            .iter()
            .map(|entry| entry.str_of("controlId").unwrap().to_owned())
            .collect();
        ids.sort();
        ids.join(" ")
    };
    for (query, expected) in [
        ("", "1 2 3"),
        ("controlId=2", "2"),
        ("type=ADT", "1 2"),
        ("type=ADT%5EA08", "1 2"),
        ("type=ADT%5EA01", ""),
        ("patient=P1", "1 3"),
        ("visit=VP2", "2"),
        ("order=FIL1", "3"),
        ("order=ORD1&patient=P1", "3"),
        ("order=ORD1&patient=P2", ""),
        ("sender=LAB", "2"),
        ("sender=ADT%7CHOSP", "1"),
        ("sender=ADT%7CEAST", ""),
        ("route=mllp", "1 2 3"),
        ("route=http", ""),
        ("direction=in", "1 2 3"),
        ("direction=out", ""),
        ("status=applied", "1 2"),
        ("status=dead,applied", "1 2 3"),
        ("since=2020-01-01", "1 2 3"),
        ("until=2020-01-01T00:00:00Z", ""),
    ] {
        assert_eq!(found(query), expected, "{query}");
    }
    for wrong in [
        "nothing=1",
        "status=fine",
        "limit=0",
        "limit=x",
        "since=soon",
        "direction=up",
    ] {
        let answer = get(kiln.address, &format!("/api/messages?{wrong}"));
        assert_eq!(answer.status, 400, "{wrong}");
        assert_eq!(
            answer.header("Content-Type"),
            Some("application/problem+json")
        );
    }
    assert_eq!(get(kiln.address, "/api/messages/none").status, 404);
    assert_eq!(get(kiln.address, "/api/messages/none/raw").status, 404);
    assert_eq!(post(&kiln, "/api/messages/none/reprocess").status, 404);
    assert_eq!(post(&kiln, "/api/messages").status, 405);
    assert_eq!(get(kiln.address, "/api/messages/a/b/c").status, 404);
}

fn pages_follow_each_other(database: &Database) {
    let kiln = Kiln::start(database);
    let mut sender = Sender::to(kiln.mllp[0]);
    for number in 0..7 {
        sender.ask(adt(&number.to_string(), "P1"));
    }
    let mut path = "/api/messages?patient=P1&limit=3".to_owned();
    let mut seen = Vec::new();
    loop {
        let page = get(kiln.address, &path).json();
        let ids = page
            .items_of("messages")
            .iter()
            .filter_map(|entry| entry.str_of("controlId"));
        seen.push(ids.collect::<Vec<_>>().concat());
        // Newer ones do not move the pages that follow.
        sender.ask(adt(&format!("new{}", seen.len()), "P1"));
        let Some(next) = page.str_of("next") else {
            break;
        };
        path = next
            .split_once(&kiln.address.to_string())
            .unwrap()
            .1
            .to_owned();
    }
    assert_eq!(seen, ["654", "321", "0"]);
}

fn one_is_shown_with_all_that_is_known(database: &Database) {
    let kiln = Kiln::start(database);
    let message = adt("1", "P1") + "ZAB|1|lost\r";
    let answer = Sender::to(kiln.mllp[0]).ask(&message);
    let entry = &messages(&kiln, "controlId=1")[0];
    let id = entry.str_of("id").unwrap();
    let shown = get(kiln.address, &format!("/api/messages/{id}")).json();
    assert_eq!(shown.str_of("raw"), Some(&*message));
    assert_eq!(shown.str_of("type"), Some("ADT^A08^ADT_A01"));
    assert_eq!(shown.str_of("sender"), Some("ADT|HOSP"));
    assert_eq!(
        shown.str_of("eventTime"),
        Some("2026-03-01T12:00:00.000000Z")
    );
    let stages = shown.get("stages").unwrap().to_string();
    assert_eq!(
        stages,
        r#"{"received":"done","parsed":"done","mapped":"done","applied":"done","answered":"AA"}"#
    );
    assert_eq!(
        shown.items_of("acknowledgements")[0].as_str(),
        Some(&*answer)
    );
    let report = shown.get("report").unwrap();
    assert_eq!(report.str_of("resourceType"), Some("OperationOutcome"));
    assert!(report.to_string().contains("ZAB"), "{report}");
    let trace: Vec<&str> = shown
        .items_of("trace")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert!(trace.iter().any(|line| line.contains("PID-5")), "{trace:?}");
    for touched in shown.items_of("resources") {
        let reference = touched.str_of("reference").unwrap();
        assert_eq!(
            get(kiln.address, &format!("/fhir/{reference}")).status,
            200,
            "{reference}"
        );
    }
    let without = get(kiln.address, &format!("/api/messages/{id}?trace=false")).json();
    assert!(without.get("trace").is_none());
}

fn what_would_become_of_it_is_shown_before_it_is_done(database: &Database) {
    let kiln = Kiln::start(database);
    Sender::to(kiln.mllp[0]).ask(adt("1", "P1"));
    let entry = &messages(&kiln, "controlId=1")[0];
    let id = entry.str_of("id").unwrap();
    let patient = || {
        let found = get(kiln.address, "/fhir/Patient?identifier=P1").json();
        found.items_of("entry")[0].get("resource").unwrap().clone()
    };
    // Somebody corrects the name by hand; to apply the message again would undo that.
    let mut changed = patient();
    let name = changed.get_mut("name").unwrap().as_array_mut().unwrap();
    name[0].as_object_mut().unwrap().set("family", "Changed");
    let path = format!("/fhir/Patient/{}", changed.str_of("id").unwrap());
    let body = changed.to_string();
    let headers = [crate::client::FHIR_JSON];
    assert_eq!(
        send(kiln.address, "PUT", &path, &headers, body.as_bytes())
            .unwrap()
            .status,
        200
    );
    let before = patient().to_string();
    let dry = post(&kiln, &format!("/api/messages/{id}/reprocess?dryRun=true"));
    assert_eq!(dry.status, 200, "{}", dry.text());
    let dry = dry.text();
    assert!(
        dry.contains(r#""path":"name[0].family","before":"Changed","after":"Muster""#),
        "{dry}"
    );
    assert_eq!(patient().to_string(), before);
    let done = post(&kiln, &format!("/api/messages/{id}/reprocess"));
    assert_eq!(done.status, 200, "{}", done.text());
    assert_eq!(done.json().get("attempts").unwrap().to_string(), "2");
    assert!(patient().to_string().contains("Muster"));
}

fn many_are_tried_again_together(database: &Database) {
    let kiln = Kiln::start(database);
    let mut sender = Sender::to(kiln.mllp[0]);
    for number in 0..5 {
        let answer = sender.ask(format!(
            "MSH|^~\\&|X|Y|C|D|20260101||ZZZ^Z99|{number}|P|2.5\rPID|1||P1\r"
        ));
        assert_eq!(said(&answer).0, "AR");
    }
    sender.ask(adt("fine", "P1"));
    let queued = post(&kiln, "/api/messages/reprocess?type=ZZZ");
    assert_eq!(
        (queued.status, queued.text()),
        (202, r#"{"queued":5}"#.to_owned())
    );
    let is_settled = (0..600).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(50));
        let all = messages(&kiln, "status=dead");
        all.len() == 5
            && all
                .iter()
                .all(|entry| entry.get("attempts").unwrap().to_string() == "2")
    });
    assert!(is_settled);
    assert_eq!(
        post(&kiln, "/api/messages/reprocess?status=applied").status,
        400
    );
}
