//! Secrets lie sealed, and get new keys while the server runs.

use std::fs;
use std::path::Path;

use crate::client::{FHIR_JSON, get, send};
use crate::commands::{Files, stderr, stdout};
use crate::commands_export::{assert_done, run};
use crate::databases::{self, Database};
use crate::kiln::{Kiln, command};
use crate::receiver::Receiver;
use crate::subscriptions::{hurried, post, subscribe};

on_both_databases!(
    keys_are_rotated_beside_a_running_server,
    a_secret_is_nowhere_in_the_clear_and_opens_elsewhere_with_the_master_key,
);

const PLANTED: &str = "planted-a7f31c0ffee";

fn hook(receiver: &Receiver) -> String {
    format!(
        r#"{{"resourceType":"Subscription","status":"requested","reason":"test","criteria":"Patient","channel":{{"type":"rest-hook","endpoint":"{}","payload":"application/fhir+json","header":["Authorization: Bearer {PLANTED}"]}}}}"#,
        receiver.url()
    )
}

fn patient(kiln: &Kiln) {
    let made = post(kiln, "Patient", r#"{"resourceType":"Patient"}"#);
    assert_eq!(made.status, 201);
}

/// The last of so many requests bears the secret.
fn bears(receiver: &Receiver, count: usize) {
    let seen = receiver.wait(count);
    let expected = format!("Bearer {PLANTED}");
    assert_eq!(
        seen.last().unwrap().header("authorization"),
        Some(expected.as_str())
    );
}

fn rotate(database: &Database, version: u32) {
    let data = database.directory.display().to_string();
    let done = run(database, &["key", "rotate", "--data", &data]);
    assert_done(&done);
    let said = stdout(&done);
    assert!(said.starts_with(&format!("key {version} seals")), "{said}");
}

fn keys_are_rotated_beside_a_running_server(database: &Database) {
    let kiln = Kiln::configured(database, &hurried("[0, 0]"));
    let receiver = Receiver::start();
    let id = subscribe(&kiln, &hook(&receiver));
    let path = format!("/fhir/Subscription/{id}");
    patient(&kiln);
    bears(&receiver, 1);
    let before = get(kiln.address, &path);
    assert!(before.text().contains("sealed:1:"), "{}", before.text());

    rotate(database, 2);
    let after = get(kiln.address, &path);
    assert!(after.text().contains("sealed:2:"), "{}", after.text());
    let past = get(kiln.address, &format!("{path}/_history")).text();
    assert!(past.contains("sealed:2:") && !past.contains("sealed:1:"));
    // The server that ran meanwhile reads what the new key has sealed, and seals by it.
    patient(&kiln);
    bears(&receiver, 2);
    for document in [&before, &after] {
        let put = send(kiln.address, "PUT", &path, &[FHIR_JSON], &document.body).unwrap();
        assert_eq!(put.status, 200, "{}", put.text());
        let version = |text: &fhir_spec::json::Value| {
            let meta = text.get("meta").unwrap();
            meta.str_of("versionId").unwrap().to_owned()
        };
        assert_eq!(version(&put.json()), version(&after.json()));
    }
    let other = Receiver::start();
    let second = subscribe(&kiln, &hook(&other));
    let read = get(kiln.address, &format!("/fhir/Subscription/{second}")).text();
    assert!(read.contains("sealed:2:"), "{read}");

    rotate(database, 3);
    assert_eq!(database.number("SELECT count(*) FROM seals"), 2);
    // One that was killed before its end is brought there.
    database.execute("UPDATE seals SET done_at = 0 WHERE version = 3");
    rotate(database, 3);
    assert_eq!(
        database.number("SELECT count(*) FROM seals WHERE done_at > 0"),
        2
    );
    patient(&kiln);
    bears(&receiver, 3);
    bears(&other, 1);
    // Without the master key nothing is done, and it is said why.
    let wrong = "not-the-master-key-but-long-enough-to-be-one";
    let output = command()
        .args(["key", "rotate", "--database", &database.url])
        .env("KILN_MASTER_KEY", wrong)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = stderr(&output);
    assert!(
        said.contains("another master key") && !said.contains(wrong),
        "{said}"
    );
    assert_eq!(database.number("SELECT max(version) FROM seals"), 3);
}

fn has(bytes: &[u8]) -> bool {
    let planted = PLANTED.as_bytes();
    bytes.windows(planted.len()).any(|part| part == planted)
}

fn files_with_the_secret(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_with_the_secret(&path));
        } else if has(&fs::read(&path).unwrap_or_default()) {
            found.push(path.display().to_string());
        }
    }
    found
}

fn a_secret_is_nowhere_in_the_clear_and_opens_elsewhere_with_the_master_key(database: &Database) {
    let settings = format!("log = 'debug'\n{}", hurried("[0, 0]"));
    let kiln = Kiln::configured(database, &settings);
    let receiver = Receiver::start();
    let id = subscribe(&kiln, &hook(&receiver));
    patient(&kiln);
    bears(&receiver, 1);
    for path in [
        "/fhir/Subscription",
        &format!("/fhir/Subscription/{id}"),
        &format!("/fhir/Subscription/{id}/_history"),
        "/fhir/_history",
        &format!("/fhir/Subscription/{id}/$status"),
        "/api/deliveries",
        "/metrics",
    ] {
        assert!(!has(&get(kiln.address, path).body), "{path}");
    }
    let files = Files::new();
    let backup = files.0.join("kiln.backup");
    let name = backup.display().to_string();
    assert_done(&run(database, &["backup", &name]));
    let exported = run(database, &["export", "--out", "-"]);
    assert!(!has(&exported.stdout) && !exported.stdout.is_empty());
    let packed = fs::read(&backup).unwrap();
    let (_, packed) = packed.split_at(14);
    let unpacked = zstd::decode_all(packed).unwrap();
    let has_seals = unpacked.windows(5).any(|part| part == b"seals");
    assert!(has_seals && !has(&unpacked));
    // Neither is the master key there.
    let master = fs::read_to_string(database.directory.join("master.key")).unwrap();
    let master = master.trim().as_bytes();
    assert!(!unpacked.windows(master.len()).any(|part| part == master));
    if database.is_postgres() {
        let like = format!(
            "SELECT count(*) FROM versions WHERE position('{PLANTED}' IN encode(body, 'escape')) > 0"
        );
        assert_eq!(database.number(&like), 0);
    }
    let log = kiln.stop_and_read_log();
    assert!(log.contains("DEBUG") && !has(log.as_bytes()));
    let found = files_with_the_secret(&database.directory);
    assert!(found.is_empty(), "{found:?}");

    // Elsewhere the master key opens it.
    let copy = databases::sqlite();
    assert_done(&run(&copy, &["restore", &name]));
    let key = database.directory.join("master.key");
    let settings = format!(
        "master_key = 'file:{}'\n{}",
        key.display(),
        hurried("[0, 0]")
    );
    let kiln = Kiln::configured(&copy, &settings);
    patient(&kiln);
    bears(&receiver, 2);
}
