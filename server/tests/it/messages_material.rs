//! Messages of others, where they are at hand (`KILN_SHARED` or `../shared`): each is answered and kept, whatever it is.

use std::collections::HashSet;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::client::get;
use crate::databases::sqlite;
use crate::kiln::Kiln;
use crate::mllp::{Sender, adt};

/// Files of a folder of the material; none, with a line that says so, where it is not there.
fn files(folder: &str) -> Vec<(String, Vec<u8>)> {
    let shared = std::env::var_os("KILN_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"),
        PathBuf::from,
    );
    let root = shared.join("testdata").join(folder);
    if !root.is_dir() {
        let message = format!("SKIPPED: {} is not there\n", root.display());
        // Past the test harness, which would keep it to itself.
        let _written = std::io::stderr().write_all(message.as_bytes());
        return Vec::new();
    }
    let (mut found, mut folders) = (Vec::new(), vec![root]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_none_or(|ending| ending != "md") {
                found.push((path.display().to_string(), std::fs::read(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

/// Sends all of it over one connection, which must live through it, and has each kept byte for byte.
fn replay(folder: &str) -> (usize, usize) {
    let files = files(folder);
    if files.is_empty() {
        return (0, 0);
    }
    let database = sqlite();
    let kiln = Kiln::start(&database);
    let mut sender = Sender::to(kiln.mllp[0]);
    let (mut accepted, mut refused, mut unasked) = (0, 0, 0);
    let mut different = HashSet::new();
    for (number, (name, bytes)) in files.into_iter().enumerate() {
        // Two bytes mean the beginning and the end of a frame: they cannot travel in one.
        let bytes: Vec<u8> = bytes
            .into_iter()
            .filter(|byte| !matches!(byte, 0x0b | 0x1c))
            .collect();
        sender.send(&bytes);
        different.insert(bytes.clone());
        // Some want no answer (MSH-15, MSH-16): what comes behind them tells that they were heard.
        let after = format!("after-{number}");
        sender.send(adt(&after, "P1"));
        let mut answers = Vec::new();
        loop {
            let answer = sender
                .answer()
                .unwrap_or_else(|| panic!("{name}: no answer"));
            if answer.contains(&format!("MSA|AA|{after}")) {
                break;
            }
            answers.push(answer);
        }
        let answer = answers.concat();
        if answer.is_empty() {
            let text = String::from_utf8_lossy(&bytes);
            let wanted: Vec<&str> = text.split('|').skip(14).take(2).collect();
            let is_unasked = matches!(wanted[..], ["NE" | "", "NE" | "ER"]);
            assert!(is_unasked, "{name}: {wanted:?}");
            unasked += 1;
        }
        for line in answer.split(['\r', '\n']) {
            match line.strip_prefix("MSA").and_then(|rest| rest.get(1..3)) {
                Some("AA" | "CA") => accepted += 1,
                Some(_) => {
                    assert!(answer.contains("ERR"), "{name}: {answer}");
                    refused += 1;
                }
                None => {}
            }
        }
    }
    assert_eq!(get(kiln.address, "/health/ready").status, 200);
    let kept = database.number("SELECT count(*) FROM messages WHERE control_id NOT LIKE 'after-%'");
    // Some files hold a batch: there are at least as many messages as files that differ.
    assert!(kept >= i64::try_from(different.len()).unwrap(), "{kept}");
    let told = format!(
        "{folder}: {accepted} accepted, {refused} refused, {unasked} wanted no answer, {kept} kept\n"
    );
    let _written = std::io::stderr().write_all(told.as_bytes());
    (accepted, refused)
}

#[test]
fn public_messages_are_all_answered_and_kept() {
    let (accepted, refused) = replay("hl7v2-messages");
    assert!(
        accepted + refused == 0 || accepted > 100,
        "{accepted} {refused}"
    );
}

#[test]
fn hostile_messages_are_all_answered_and_kept() {
    replay("hl7v2-hostile");
}
