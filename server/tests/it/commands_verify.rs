//! `kiln verify` and `kiln migrate`, as a user types them: a store is damaged in every way, and each is found.

use std::process::Output;

use crate::client::{FHIR_JSON, get, send};
use crate::commands::{Files, stderr, stdout};
use crate::databases::{self, Database};
use crate::kiln::{Kiln, command};

on_both_databases!(
    a_sound_store_is_verified_beside_its_server,
    every_damage_is_found,
    many_findings_are_counted_and_some_shown,
    a_store_moves_to_another_database,
);

fn run(database: &Database, arguments: &[&str]) -> Output {
    command()
        .args(arguments)
        .args(["--database", &database.url])
        .output()
        .unwrap()
}

fn assert_done(output: &Output) {
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}{}",
        stdout(output),
        stderr(output)
    );
}

fn put(kiln: &Kiln, address: &str, body: &str) {
    let path = format!("/fhir/{address}");
    let answer = send(kiln.address, "PUT", &path, &[FHIR_JSON], body.as_bytes()).unwrap();
    assert!(answer.status < 300, "{}", answer.text());
}

/// A patient with three versions, one that was deleted and one that came back, and an Observation.
fn fill(kiln: &Kiln) {
    let patient = |id: &str, rest: &str| {
        let body = format!(r#"{{"resourceType":"Patient","id":"{id}"{rest}}}"#);
        put(kiln, &format!("Patient/{id}"), &body);
    };
    for family in ["A", "B", "C"] {
        patient(
            "p",
            &format!(r#","name":[{{"family":"{family}"}}],"birthDate":"2000-02-29""#),
        );
    }
    for id in ["gone", "back"] {
        patient(id, r#","gender":"female""#);
        let path = format!("/fhir/Patient/{id}");
        let deleted = send(kiln.address, "DELETE", &path, &[], b"").unwrap();
        assert_eq!(deleted.status, 204);
    }
    patient("back", r#","gender":"male""#);
    put(
        kiln,
        "Observation/o",
        r#"{"resourceType":"Observation","id":"o","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"8480-6"}]},
        "subject":{"reference":"Patient/p"},"effectiveDateTime":"2024-01-01",
        "valueQuantity":{"value":120,"system":"http://unitsofmeasure.org","code":"mm[Hg]"},
        "component":[{"code":{"coding":[{"code":"c"}]},"valueQuantity":{"value":-0.0,"unit":"mm"}}]}"#,
    );
    put(
        kiln,
        "Location/l",
        r#"{"resourceType":"Location","id":"l","position":{"latitude":1.5,"longitude":-2.25}}"#,
    );
}

fn a_sound_store_is_verified_beside_its_server(database: &Database) {
    let kiln = Kiln::start(database);
    let empty = run(database, &["verify"]);
    assert_done(&empty);
    fill(&kiln);
    let sound = run(database, &["verify"]);
    assert_done(&sound);
    assert!(
        stdout(&sound).starts_with("verified 10 versions in"),
        "{}",
        stdout(&sound)
    );
}

/// How a store is damaged, and what is said of it.
const DAMAGES: &[(&str, &str)] = &[
    (
        "UPDATE versions SET body = substr(body, 1, 30) WHERE id = 'p' AND version = 2",
        "Patient/p/_history/2: its body cannot be read",
    ),
    (
        "UPDATE versions SET body = (SELECT v.body FROM versions v WHERE v.id = 'p' AND v.version = 1) WHERE id = 'p' AND version = 2",
        "Patient/p/_history/2: its body says meta.versionId is 1, its row 2",
    ),
    (
        "UPDATE versions SET body = (SELECT v.body FROM versions v WHERE v.id = 'l') WHERE id = 'o'",
        "Observation/o/_history/1: its body says resourceType is Location, its row Observation",
    ),
    (
        "UPDATE versions SET at = at - 60000000 WHERE id = 'p' AND version = 3",
        "Patient/p/_history/3: it is older than the version before it",
    ),
    (
        "UPDATE versions SET codec = 9 WHERE id = 'p' AND version = 1",
        "Patient/p/_history/1: its body is packed in an unknown way (9)",
    ),
    (
        "UPDATE versions SET body = (SELECT v.body FROM versions v WHERE v.id = 'l') WHERE id = 'gone' AND change = 3",
        "Patient/gone/_history/2: it is a deletion and has a body",
    ),
    (
        "UPDATE versions SET change = 2 WHERE id = 'back' AND version = 3",
        "Patient/back/_history/3: change 2 cannot follow change 3",
    ),
    (
        "DELETE FROM versions WHERE id = 'p' AND version = 2",
        "Patient/p/_history/3: version 1 comes before it",
    ),
    (
        "DELETE FROM versions WHERE id = 'p' AND version = 1",
        "Patient/p/_history/2: no version comes before it",
    ),
    (
        "DELETE FROM versions WHERE id = 'p' AND version = 3",
        "Patient/p: its current version is not there",
    ),
    (
        "UPDATE versions SET key = key + 1000 WHERE id = 'p' AND version = 2",
        "Patient/p/_history/3: in the feed it stands before the version before it",
    ),
    (
        "UPDATE resources SET head = (SELECT key FROM versions WHERE id = 'p' AND version = 2) WHERE id = 'p'",
        "Patient/p/_history/3: it is the newest version and not the current one",
    ),
    (
        "UPDATE resources SET head = (SELECT key FROM versions WHERE id = 'l') WHERE id = 'p'",
        "Patient/p: its current version is not there",
    ),
    (
        "DELETE FROM resources WHERE id = 'o'",
        "Observation/o/_history/1: there is no such resource",
    ),
    (
        "DELETE FROM search_string WHERE value = 'c'",
        "Patient/p: the index lacks: search_string path",
    ),
    (
        "UPDATE search_date SET lo = lo - 1 WHERE rid = (SELECT rid FROM resources WHERE id = 'o')",
        "Observation/o: the index has too much: search_date path",
    ),
    (
        "UPDATE search_number SET hi = hi + 1 WHERE rid = (SELECT rid FROM resources WHERE id = 'o')",
        "Observation/o: the index lacks: search_number path",
    ),
    (
        "UPDATE search_position SET x = 0.5",
        "Location/l: the index has too much: search_position path",
    ),
    (
        "UPDATE search_reference SET target = 'q' WHERE target = 'p'",
        "Observation/o: the index lacks: search_reference path",
    ),
    (
        "UPDATE search_composite SET lo = 7",
        "Observation/o: the index lacks: search_composite path",
    ),
    (
        "INSERT INTO search_uri (path, value, rid) SELECT 7, 'urn:x', rid FROM resources WHERE id = 'gone'",
        "Patient/gone: the index has too much: search_uri path 7, value `urn:x`",
    ),
    (
        "INSERT INTO search_token (path, code, system, rid) VALUES (7, 'x', 0, 77777)",
        "resource 77777, which is not there: the index has too much: search_token path 7, code `x`, system 0",
    ),
];

fn every_damage_is_found(database: &Database) {
    let files = Files::new();
    let kiln = Kiln::start(database);
    fill(&kiln);
    let backup = files.0.join("kiln.backup").display().to_string();
    assert_done(&run(database, &["backup", &backup]));
    for (damage, found) in DAMAGES {
        let target = fresh(database);
        assert_done(&run(&target, &["restore", &backup]));
        assert_done(&run(&target, &["verify"]));
        target.execute(damage);
        let verified = run(&target, &["verify"]);
        assert_eq!(verified.status.code(), Some(1), "{damage}");
        let said = stdout(&verified);
        assert!(
            said.lines().any(|line| line.starts_with(found)),
            "{damage}: {said}"
        );
        assert!(stderr(&verified).contains("wrong"), "{}", stderr(&verified));
    }
}

/// Another database of the same kind.
fn fresh(database: &Database) -> Database {
    match database.is_postgres() {
        true => databases::postgres().unwrap(),
        false => databases::sqlite(),
    }
}

fn many_findings_are_counted_and_some_shown(database: &Database) {
    let files = Files::new();
    let lines: String = (0..300)
        .map(|number| format!("{{\"resourceType\":\"Patient\",\"id\":\"p{number}\"}}\n"))
        .collect();
    let path = files.put("many.ndjson", lines.as_bytes());
    assert_done(&run(database, &["import", &path]));
    database.execute("DELETE FROM resources");
    let verified = run(database, &["verify"]);
    assert_eq!(verified.status.code(), Some(1));
    assert_eq!(stdout(&verified).lines().count(), 100);
    assert!(
        stderr(&verified).contains("things are wrong, 100 of them shown"),
        "{}",
        stderr(&verified)
    );
}

fn a_store_moves_to_another_database(database: &Database) {
    let files = Files::new();
    let kiln = Kiln::start(database);
    fill(&kiln);
    // A place in the feed, and in a file, that is kept.
    // Keys are taken from blocks of a connection: the last version need not have the greatest.
    database.execute(
        "INSERT INTO followers (name, xact, key) SELECT 'f', 0, key FROM versions WHERE id = 'p' AND version = 3",
    );
    if database.is_postgres() {
        database.execute(
            "UPDATE followers SET xact = (SELECT v.xact FROM versions v WHERE v.key = followers.key) WHERE name = 'f'",
        );
    }
    let path = files.put(
        "nameless.json",
        br#"{"resourceType":"Basic","code":{"text":"t"}}"#,
    );
    assert_done(&run(database, &["import", &path]));
    let target = match database.is_postgres() {
        true => databases::sqlite(),
        false => match databases::postgres() {
            Some(target) => target,
            None => databases::sqlite(),
        },
    };
    let moved = run(database, &["migrate", "--to", &target.url]);
    assert_done(&moved);
    assert!(
        stdout(&moved).starts_with("migrated 11 versions in"),
        "{}",
        stdout(&moved)
    );
    assert_done(&run(&target, &["verify"]));
    let export =
        |database: &Database| stdout(&run(database, &["export", "--out", "-", "--history"]));
    assert_eq!(export(&target), export(database));
    let handled = match target.is_postgres() {
        true => {
            "SELECT count(*) FROM versions v, followers f WHERE (v.xact, v.key) <= (f.xact, f.key) AND f.name = 'f'"
        }
        false => {
            "SELECT count(*) FROM versions v, followers f WHERE v.key <= f.key AND f.name = 'f'"
        }
    };
    assert_eq!(target.number(handled), 3);
    // What was imported there is not imported here once more.
    let again = run(&target, &["import", &path]);
    assert!(stdout(&again).contains(" 0 created"), "{}", stdout(&again));
    let refused = run(database, &["migrate", "--to", &target.url]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("something in this store already"));
    let new = Kiln::start(&target);
    let path = "/fhir/Patient/back/_history";
    let versions = |kiln: &Kiln| get(kiln.address, path).json().items_of("entry").len();
    assert_eq!(versions(&new), versions(&kiln));
}
