//! Messages of HL7 v2 all the way: posted, mapped by the maps that Kiln brings along, laid over what is stored.

use std::sync::Barrier;

use fhir_spec::json::Value;

use crate::client::get;
use crate::databases::Database;
use crate::kiln::Kiln;
use crate::messages::post_hl7;

on_both_databases!(
    absent_keeps_null_deletes_and_a_value_sets,
    the_older_message_changes_nothing,
    one_of_many_connections_makes_the_patient,
    who_was_merged_is_reached_by_the_old_number,
    an_update_does_not_reopen_a_visit_that_is_over,
    an_order_that_is_cancelled_by_its_number_is_cancelled_with_all_its_tests,
);

const ER7: (&str, &str) = ("Content-Type", "x-application/hl7-v2+er7");

fn say(kiln: &Kiln, control_id: &str, second: u32, pid: &str) {
    let text = format!(
        "MSH|^~\\&|ADT1|GOOD HEALTH|KILN|K|202401010000{second:02}+0000||ADT^A08^ADT_A01|{control_id}|P|2.5.1\r\
         EVN|A08|202401010000{second:02}+0000\r\
         PID|1||4711^^^GH^MR||{pid}\r\
         PV1|1|I\r"
    );
    let answer = post_hl7(kiln, &[ER7], &text);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let told = format!("MSA|AA|{control_id}");
    assert!(answer.text().contains(&told), "{}", answer.text());
}

/// The only patient there is.
fn patient(kiln: &Kiln) -> Value {
    let found = get(kiln.address, "/fhir/Patient").json();
    let [entry] = found.items_of("entry") else {
        panic!("{found}");
    };
    entry.get("resource").unwrap().clone()
}

fn version(patient: &Value) -> &str {
    patient.get("meta").unwrap().str_of("versionId").unwrap()
}

fn absent_keeps_null_deletes_and_a_value_sets(database: &Database) {
    let kiln = Kiln::start(database);
    say(&kiln, "1", 1, "EVERYMAN^ADAM||19700102|M");
    assert_eq!(patient(&kiln).str_of("gender"), Some("male"));
    say(&kiln, "2", 2, "EVERYMAN^ADAM||19700102");
    assert_eq!(version(&patient(&kiln)), "1", "what is absent stays");
    say(&kiln, "3", 3, "EVERYMAN^ADAM||19700103|\"\"");
    let stored = patient(&kiln);
    assert_eq!(version(&stored), "2");
    assert_eq!(stored.get("gender"), None);
    assert_eq!(stored.str_of("birthDate"), Some("1970-01-03"));
    // The same under another control id.
    say(&kiln, "4", 4, "EVERYMAN^ADAM||19700103|\"\"");
    assert_eq!(version(&patient(&kiln)), "2");
}

fn the_older_message_changes_nothing(database: &Database) {
    let kiln = Kiln::start(database);
    say(&kiln, "1", 30, "NEW^ADAM");
    say(&kiln, "2", 10, "OLD^ADAM");
    let stored = patient(&kiln);
    let name = stored.items_of("name")[0].str_of("family").unwrap();
    assert_eq!(
        (version(&stored), name.to_uppercase().as_str()),
        ("1", "NEW")
    );
}

fn one_of_many_connections_makes_the_patient(database: &Database) {
    const SENDERS: usize = 16;
    let kiln = Kiln::start(database);
    let start = Barrier::new(SENDERS);
    std::thread::scope(|scope| {
        for sender in 0..SENDERS {
            let (kiln, start) = (&kiln, &start);
            scope.spawn(move || {
                start.wait();
                say(
                    kiln,
                    &format!("c{sender}"),
                    1,
                    &format!("NAME{sender}^ADAM"),
                );
            });
        }
    });
    // Each was heard.
    assert_eq!(version(&patient(&kiln)), "16");
}

fn who_was_merged_is_reached_by_the_old_number(database: &Database) {
    let kiln = Kiln::start(database);
    let tell = |control_id: &str, kind: &str, rest: &str| {
        let event = kind.split('^').nth(1).unwrap();
        let text = format!(
            "MSH|^~\\&|ADT1|GOOD HEALTH|KILN|K|2024010100000{control_id}+0000||{kind}|{control_id}|P|2.5.1\r\
             EVN|{event}|2024010100000{control_id}+0000\r{rest}"
        );
        let answer = post_hl7(&kiln, &[ER7], &text);
        assert_eq!(answer.status, 200, "{}", answer.text());
    };
    let pid = |number: &str, more: &str| {
        format!("PID|1||{number}^^^GH^MR||EVERYMAN^ADAM||19700102|{more}\r")
    };
    let visit = "PV1|1|I\r";
    tell("1", "ADT^A08^ADT_A01", &(pid("1", "M") + visit));
    tell("2", "ADT^A08^ADT_A01", &(pid("2", "M") + visit));
    tell("3", "ADT^A40^ADT_A39", &(pid("2", "M") + "MRG|1^^^GH^MR\r"));
    tell("4", "ADT^A08^ADT_A01", &(pid("1", "F") + visit));
    let found = get(kiln.address, "/fhir/Patient?gender=female").json();
    let [entry] = found.items_of("entry") else {
        panic!("{found}");
    };
    let link = &entry.get("resource").unwrap().items_of("link")[0];
    assert_eq!(link.str_of("type"), Some("replaces"));
    let gone = get(kiln.address, "/fhir/Patient?active=false").json();
    assert_eq!(gone.items_of("entry").len(), 1);
}

fn an_update_does_not_reopen_a_visit_that_is_over(database: &Database) {
    let kiln = Kiln::start(database);
    let say = |second: u32, event: &str| {
        let text = format!(
            "MSH|^~\\&|ADT1|GOOD HEALTH|KILN|K|202401010000{second:02}+0000||ADT^{event}|{second}|P|2.5.1\r\
             EVN|{event}|202401010000{second:02}+0000\r\
             PID|1||4711^^^GH^MR||EVERYMAN^ADAM\r\
             PV1|1|I|WARD^1^2||||||||||||||||V7^^^GH\r"
        );
        let answer = post_hl7(&kiln, &[ER7], &text);
        assert!(answer.text().contains("MSA|AA|"), "{}", answer.text());
        let found = get(kiln.address, "/fhir/Encounter").json();
        let [entry] = found.items_of("entry") else {
            panic!("{found}");
        };
        let visit = entry.get("resource").unwrap();
        let end = visit.get("period").and_then(|period| period.get("end"));
        let places = visit.items_of("location").iter();
        let places = places.map(|place| place.str_of("status").unwrap().to_owned());
        (
            visit.str_of("status").unwrap().to_owned(),
            end.is_some(),
            places.collect::<Vec<_>>(),
        )
    };
    assert_eq!(say(1, "A01").0, "in-progress");
    let (status, has_end, _) = say(2, "A03");
    assert_eq!((&*status, has_end), ("finished", true));
    // What says nothing of the discharge.
    let (status, has_end, places) = say(3, "A08");
    assert_eq!((&*status, has_end), ("finished", true));
    assert!(
        places.iter().all(|place| place == "completed"),
        "{places:?}"
    );
    // What takes it back, and a visit of that number anew.
    let (status, has_end, _) = say(4, "A13");
    assert_eq!((&*status, has_end), ("in-progress", false));
    assert_eq!(say(5, "A03").0, "finished");
    let (status, has_end, _) = say(6, "A04");
    assert_eq!((&*status, has_end), ("in-progress", false));
}

fn an_order_that_is_cancelled_by_its_number_is_cancelled_with_all_its_tests(database: &Database) {
    let kiln = Kiln::start(database);
    let say = |control_id: &str, patient: &str, lines: &str| {
        let text = format!(
            "MSH|^~\\&|HIS|GH|LIS|LAB|2024010100000{control_id}+0000||ORM^O01|{control_id}|P|2.3.1\r\
             PID|1||{patient}^^^GH^MR||EVERYMAN^ADAM\r{lines}"
        );
        post_hl7(&kiln, &[ER7], &text).text()
    };
    let states = || {
        let found = get(kiln.address, "/fhir/ServiceRequest?_sort=code").json();
        let orders = found.items_of("entry").iter();
        let orders = orders.map(|entry| entry.get("resource").unwrap().str_of("status").unwrap());
        orders.map(str::to_owned).collect::<Vec<_>>()
    };
    let panel = "ORC|NW|P1\rOBR|1|P1||A^Sodium^L\rORC|NW|P1\rOBR|2|P1||B^Potassium^L\r";
    assert!(say("1", "4711", panel).contains("MSA|AA|"));
    assert_eq!(states(), ["active", "active"]);
    // The number of this patient's order, said of somebody else.
    let answer = say("2", "4712", "ORC|CA|P1\r");
    assert!(answer.contains("MSA|AE|"), "{answer}");
    assert_eq!(states(), ["active", "active"]);
    let answer = say("3", "4711", "ORC|CA|P1\r");
    assert!(answer.contains("MSA|AA|"), "{answer}");
    assert_eq!(states(), ["revoked", "revoked"]);
}
