//! What was acknowledged is there: after a cut of power, once; and until it was kept long enough.

use std::collections::HashSet;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use crate::databases::{Database, sqlite};
use crate::kiln::Kiln;
use crate::mllp::{Sender, adt, messages, said};

on_both_databases!(
    what_was_acknowledged_is_there_once_after_a_cut_of_power,
    messages_go_when_they_were_kept_long_enough,
);

const SENDERS: usize = 16;

/// Sixteen senders, each of patients of its own and of some that it shares with the others.
fn what_was_acknowledged_is_there_once_after_a_cut_of_power(database: &Database) {
    let acknowledged = Mutex::new(HashSet::new());
    for round in 0..3 {
        let kiln = Kiln::start(database);
        let address = kiln.mllp[0];
        thread::scope(|scope| {
            for sender in 0..SENDERS {
                let acknowledged = &acknowledged;
                scope.spawn(move || {
                    let mut wire = Sender::to(address);
                    for number in 0.. {
                        let control_id = format!("R{round}S{sender}N{number}");
                        let patient = match number % 3 {
                            0 => format!("shared{}", number % 5),
                            _ => format!("own{sender}"),
                        };
                        let sent = std::io::Write::write_all(
                            &mut wire.stream,
                            &interop::formats::hl7v2::mllp::frame(
                                adt(&control_id, &patient).as_bytes(),
                            ),
                        );
                        let Some(answer) = sent.ok().and_then(|()| wire.answer()) else {
                            return;
                        };
                        if said(&answer).0 == "AA" {
                            acknowledged.lock().unwrap().insert(control_id);
                        }
                    }
                });
            }
            thread::sleep(Duration::from_millis(1_500));
            kiln.kill();
        });
    }
    let acknowledged = acknowledged.into_inner().unwrap();
    assert!(acknowledged.len() > 100, "{}", acknowledged.len());
    let kiln = Kiln::start(database);
    for control_id in &acknowledged {
        let found = messages(&kiln, &format!("controlId={control_id}"));
        assert_eq!(found.len(), 1, "{control_id}");
        assert_eq!(found[0].str_of("status"), Some("applied"));
    }
    // Sent again, nothing is done again.
    let mut wire = Sender::to(kiln.mllp[0]);
    let count = database.number("SELECT count(*) FROM versions");
    for control_id in acknowledged.iter().take(50) {
        let number: u32 = control_id.split('N').nth(1).unwrap().parse().unwrap();
        let sender = control_id.split(['S', 'N']).nth(1).unwrap();
        let patient = match number % 3 {
            0 => format!("shared{}", number % 5),
            _ => format!("own{sender}"),
        };
        assert_eq!(said(&wire.ask(adt(control_id, &patient))).0, "AA");
    }
    assert_eq!(database.number("SELECT count(*) FROM versions"), count);
}

fn messages_go_when_they_were_kept_long_enough(database: &Database) {
    let kiln = Kiln::start(database);
    let mut sender = Sender::to(kiln.mllp[0]);
    for number in 0..30 {
        sender.ask(adt(&format!("C{number}"), "P1"));
    }
    sender.ask("MSH|^~\\&|X|Y|C|D|20260101||ZZZ^Z99|dead|P|2.5\rPID|1||P1\r");
    assert!(kiln.stop("TERM").0.success());
    // Ten of them and the one that is dead came three days ago.
    let ago = 3 * 86_400_000_000_i64;
    database.execute(&format!(
        "UPDATE messages SET received_at = received_at - {ago} WHERE number <= (SELECT min(number) + 9 FROM messages) OR status = 6"
    ));
    let kiln = Kiln::configured(database, "[messages]\nkeep_applied_days = 2\n");
    let is_pruned = (0..600).any(|_| {
        thread::sleep(Duration::from_millis(50));
        messages(&kiln, "limit=100").len() == 21
    });
    assert!(is_pruned);
    for table in ["message_bodies", "message_results"] {
        assert_eq!(
            database.number(&format!("SELECT count(*) FROM {table}")),
            21
        );
    }
    assert_eq!(
        database.number("SELECT count(DISTINCT number) FROM message_keys"),
        21
    );
    assert_eq!(messages(&kiln, "status=dead").len(), 1);
}

/// The room that messages took is the system's again.
#[test]
fn what_goes_gives_its_room_back() {
    let database = sqlite();
    let kiln = Kiln::start(&database);
    let mut sender = Sender::to(kiln.mllp[0]);
    for number in 0..40_u64 {
        // Digits that do not pack well.
        let mut seed = number + 1;
        let noise: String = (0..20_000)
            .map(|_| {
                seed = seed
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                char::from(b'A' + u8::try_from(seed >> 60).unwrap())
            })
            .collect();
        sender.ask(format!(
            "MSH|^~\\&|X|Y|C|D|20260101||ZZZ^Z99|{number}|P|2.5\rZZZ|{noise}\r"
        ));
    }
    assert!(kiln.stop("TERM").0.success());
    let file = database.directory.join("kiln.sqlite");
    let before = std::fs::metadata(&file).unwrap().len();
    database.execute("UPDATE messages SET received_at = 1");
    let kiln = Kiln::configured(&database, "[messages]\nkeep_dead_days = 2\n");
    let is_pruned = (0..600).any(|_| {
        thread::sleep(Duration::from_millis(50));
        messages(&kiln, "").is_empty()
    });
    assert!(is_pruned);
    assert!(kiln.stop("TERM").0.success());
    let after = std::fs::metadata(&file).unwrap().len();
    assert!(after + 300_000 < before, "{before} {after}");
}
