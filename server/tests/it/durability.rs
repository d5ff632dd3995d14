//! What was acknowledged is there after the process was killed in the middle of its work.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::client::{FHIR_JSON, get, send};
use crate::databases::Database;
use crate::kiln::Kiln;

on_both_databases!(nothing_acknowledged_is_lost);

const CLIENTS: usize = 8;
const ROUNDS: usize = 3;
const ACKNOWLEDGED_PER_ROUND: usize = 200;

fn nothing_acknowledged_is_lost(database: &Database) {
    let mut acknowledged = Vec::new();
    for _ in 0..ROUNDS {
        acknowledged.extend(create_until_killed(Kiln::start(database)));
    }
    assert!(acknowledged.len() >= ROUNDS * ACKNOWLEDGED_PER_ROUND);
    let kiln = Kiln::start(database);
    for (id, marker) in &acknowledged {
        let read = get(kiln.address, &format!("/fhir/Patient/{id}"));
        assert_eq!(read.status, 200, "{id} was acknowledged and is not there");
        assert!(read.text().contains(marker), "{id} holds something else");
    }
}

/// Creates from several clients at once and kills the server while they are at it.
fn create_until_killed(kiln: Kiln) -> Vec<(String, String)> {
    let acknowledged = Mutex::new(Vec::new());
    let count = AtomicUsize::new(0);
    let address = kiln.address;
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (acknowledged, count) = (&acknowledged, &count);
            scope.spawn(move || {
                let mut number = 0;
                while let Some(created) = create(address, &format!("marker-{client}-{number}")) {
                    acknowledged.lock().unwrap().push(created);
                    count.fetch_add(1, Ordering::SeqCst);
                    number += 1;
                }
            });
        }
        while count.load(Ordering::SeqCst) < ACKNOWLEDGED_PER_ROUND {
            std::thread::yield_now();
        }
        kiln.kill();
    });
    acknowledged.into_inner().unwrap()
}

/// `None` when there was no acknowledgement.
fn create(address: SocketAddr, marker: &str) -> Option<(String, String)> {
    let body = format!(r#"{{"resourceType":"Patient","name":[{{"text":"{marker}"}}]}}"#);
    let answer = send(
        address,
        "POST",
        "/fhir/Patient",
        &[FHIR_JSON],
        body.as_bytes(),
    )?;
    let location = (answer.status == 201).then(|| answer.header("Location"))??;
    let id = location.split('/').rev().nth(2)?;
    Some((id.to_owned(), marker.to_owned()))
}
