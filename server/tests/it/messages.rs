//! HL7 v2 by HTTP, and routes that acknowledge before they apply.

use std::time::Duration;

use crate::client::{get, send};
use crate::databases::Database;
use crate::kiln::Kiln;
use crate::mllp::{Sender, adt, messages, said};

on_both_databases!(
    a_message_by_http_is_answered_in_its_own_type,
    a_batch_by_http_is_answered_by_a_batch,
    what_is_stored_first_is_applied_afterwards,
    a_route_takes_what_it_was_told_to_take,
);

const ER7: &str = "x-application/hl7-v2+er7";

pub(crate) fn post_hl7(kiln: &Kiln, headers: &[(&str, &str)], body: &str) -> crate::client::Answer {
    send(
        kiln.address,
        "POST",
        "/api/hl7/v2",
        headers,
        body.as_bytes(),
    )
    .unwrap()
}

fn a_message_by_http_is_answered_in_its_own_type(database: &Database) {
    let kiln = Kiln::start(database);
    for media in [ER7, "text/plain", "application/hl7-v2"] {
        let answer = post_hl7(&kiln, &[("Content-Type", media)], &adt(media, "P1"));
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(said(&answer.text()), ("AA", media));
        assert!(answer.header("Content-Type").unwrap().starts_with(media));
    }
    let told = post_hl7(
        &kiln,
        &[("Content-Type", ER7), ("Accept", "application/json")],
        &adt("json", "P2"),
    );
    let told = told.json();
    assert_eq!(told.str_of("status"), Some("applied"));
    assert_eq!(told.str_of("code"), Some("AA"));
    let references: Vec<&str> = told
        .items_of("resources")
        .iter()
        .filter_map(|one| one.str_of("reference"))
        .collect();
    assert!(
        references
            .iter()
            .any(|reference| reference.starts_with("Patient/")),
        "{references:?}"
    );
    let id = told.str_of("id").unwrap().to_owned();
    assert_eq!(
        get(kiln.address, &format!("/api/messages/{id}/raw")).text(),
        adt("json", "P2")
    );

    let refused = post_hl7(
        &kiln,
        &[("Content-Type", ER7)],
        "MSH|^~\\&|A|B|C|D|2026||ZZZ^Z99|z|P|2.5\r",
    );
    assert_eq!((refused.status, said(&refused.text())), (422, ("AR", "z")));
    assert_eq!(
        post_hl7(&kiln, &[("Content-Type", "application/json")], "{}").status,
        415
    );
    assert_eq!(post_hl7(&kiln, &[("Content-Type", ER7)], "").status, 400);
    assert_eq!(get(kiln.address, "/api/hl7/v2").status, 405);
}

fn a_batch_by_http_is_answered_by_a_batch(database: &Database) {
    let kiln = Kiln::start(database);
    let two = adt("1", "P1") + &adt("2", "P2");
    let answer = post_hl7(&kiln, &[("Content-Type", ER7)], &two);
    assert_eq!(answer.status, 200);
    let text = answer.text();
    assert!(
        text.starts_with("BHS|") && text.contains("MSA|AA|1\r") && text.contains("MSA|AA|2\r"),
        "{text}"
    );
    let json = post_hl7(
        &kiln,
        &[("Content-Type", ER7), ("Accept", "application/json")],
        &two,
    )
    .json();
    let all = json.items_of("messages");
    assert_eq!(all.len(), 2);
    assert_eq!(all[0].get("duplicate").unwrap().to_string(), "true");
}

const STORED: &str = "[[routes]]\nname = 'mllp'\ntransport = 'mllp'\nacknowledge = 'stored'\ntake = ['ADT^*', 'ZZZ']\n";

/// Waits until nothing waits any more.
fn settled(kiln: &Kiln) {
    let is_settled = (0..600).any(|_| {
        std::thread::sleep(Duration::from_millis(50));
        messages(kiln, "status=received").is_empty()
    });
    assert!(is_settled);
}

fn what_is_stored_first_is_applied_afterwards(database: &Database) {
    let kiln = Kiln::configured(database, STORED);
    let mut sender = Sender::to(kiln.mllp[0]);
    for number in 0..20 {
        assert_eq!(
            said(&sender.ask(adt(&format!("C{number}"), &format!("P{}", number % 3)))).0,
            "AA"
        );
    }
    // This one cannot be applied: it is acknowledged, and held.
    let bad = "MSH|^~\\&|A|B|C|D|2026||ZZZ^Z99|bad|P|2.5\rPID|1||P1\r";
    assert_eq!(said(&sender.ask(bad)), ("AA", "bad"));
    assert_eq!(said(&sender.ask(adt("last", "P1"))).0, "AA");
    settled(&kiln);
    assert_eq!(messages(&kiln, "status=applied").len(), 21);
    let held = messages(&kiln, "status=held");
    assert_eq!(held[0].str_of("controlId"), Some("bad"));
    assert_eq!(held[0].str_of("code"), Some("AA"));
    assert!(held[0].str_of("reason").is_some());
    assert_eq!(
        get(kiln.address, "/fhir/Patient?_summary=count")
            .json()
            .get("total")
            .unwrap()
            .to_string(),
        "3"
    );

    // What was acknowledged and not applied when the power was cut is applied after it comes back.
    let mut acknowledged = 0;
    for number in 0..200 {
        let answer = sender.ask(adt(&format!("K{number}"), &format!("Q{number}")));
        acknowledged += u32::from(said(&answer).0 == "AA");
    }
    kiln.kill();
    assert_eq!(acknowledged, 200);
    let kiln = Kiln::configured(database, STORED);
    settled(&kiln);
    let found = get(kiln.address, "/fhir/Patient?_summary=count").json();
    assert_eq!(found.get("total").unwrap().to_string(), "203");
}

fn a_route_takes_what_it_was_told_to_take(database: &Database) {
    let settings = "[[routes]]\nname = 'results'\ntransport = 'mllp'\ntake = ['ORU^R01']\n";
    let kiln = Kiln::configured(database, settings);
    let answer = Sender::to(kiln.mllp[0]).ask(adt("1", "P1"));
    assert_eq!(said(&answer).0, "AA");
    assert_eq!(messages(&kiln, "status=filtered&route=results").len(), 1);
    assert_eq!(
        get(kiln.address, "/fhir/Patient?_summary=count")
            .json()
            .get("total")
            .unwrap()
            .to_string(),
        "0"
    );
}
