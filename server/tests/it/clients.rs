//! Clients of others do a day's work: fhir-kit-client, fhirclient and fhirpy; aiohttp listens; by MLLP @medplum/hl7 and python-hl7. Clinical documents are held against the rules of HL7. `conformance-tests/clients/run --install DIR`
//! brings them; `KILN_CLIENTS=DIR` says where they are. Without that they are skipped aloud.

use std::ffi::OsString;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output};

use crate::authorised::{Holder, cli, key};
use crate::ccd::STORED;
use crate::client::{get, post, send};
use crate::commands::Files;
use crate::convert::DOCUMENT;
use crate::databases::Database;
use crate::kiln::Kiln;
use crate::ward::{PASSWORD, REDIRECT, Ward};

on_both_databases!(
    clients_of_others_do_a_days_work,
    fhirclient_signs_somebody_in,
    documents_that_go_out_keep_the_rules_of_c_cda,
);

/// Where the clients are; None, said aloud: nowhere.
fn place() -> Option<OsString> {
    let place = std::env::var_os("KILN_CLIENTS");
    if place.is_none() {
        let message = "SKIPPED: KILN_CLIENTS names no folder with clients of others\n";
        // Past the test harness, which would keep it to itself.
        let _written = std::io::stderr().write_all(message.as_bytes());
    }
    place
}

fn clients_of_others_do_a_days_work(database: &Database) {
    let Some(place) = place() else { return };
    let kiln = Kiln::start(database);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../conformance-tests/clients/run");
    let output = Command::new(script)
        .arg(place)
        .arg(format!("http://{}/fhir", kiln.address))
        .arg(kiln.mllp[0].to_string())
        .output()
        .unwrap();
    succeeds(&output);
}

/// B1 to B10, E1, with the library that apps use.
fn fhirclient_signs_somebody_in(database: &Database) {
    let Some(place) = place() else { return };
    let ward = Ward::new(database);
    let seeder = Holder {
        kiln: &ward.kiln,
        key: key(database, "more", &["--role", "admin"]),
    };
    seeder.put(r#"{"resourceType":"Practitioner","id":"1"}"#);
    let scope = "launch launch/patient openid fhirUser offline_access patient/*.rs";
    let flags = ["client", "add", "chart", "--public", "--scope", scope];
    let more = [
        "--redirect",
        REDIRECT,
        "--launch-url",
        "http://127.0.0.1:9/launch",
    ];
    succeeds(&cli(database, &[&flags[..], &more].concat()));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../conformance-tests/clients");
    // Node looks for packages beside the script that asks for them.
    let beside = Path::new(&place).join("smart_launch.mjs");
    std::fs::copy(script.join("smart_launch.mjs"), &beside).unwrap();
    let mut node = Command::new("node");
    node.arg(beside)
        .args([&*ward.base(), "chart", REDIRECT, "anna", PASSWORD, "p1"]);
    succeeds(&node.output().unwrap());
}

fn succeeds(output: &Output) {
    let told = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{}{}",
        told(&output.stdout),
        told(&output.stderr)
    );
}

/// The rules are those of HL7 (Schematron); a package carries them, and a library of others asks them.
fn documents_that_go_out_keep_the_rules_of_c_cda(database: &Database) {
    let Some(place) = place() else { return };
    let place = Path::new(&place);
    let kiln = Kiln::start(database);
    let stored = post(kiln.address, "/fhir", STORED);
    assert_eq!(stored.status, 200, "{}", stored.text());
    let convert = |query: &str, body: &[u8]| {
        let path = format!("/api/convert{query}");
        send(kiln.address, "POST", &path, &[], body).unwrap()
    };
    let bundle = convert("?from=ccda", DOCUMENT.as_bytes());
    let summary = |query: &str| get(kiln.address, &format!("/fhir/Patient/p/$ccd{query}"));
    let files = Files::new();
    let mut command = Command::new(place.join("python/bin/python"));
    let clients = Path::new(env!("CARGO_MANIFEST_DIR")).join("../conformance-tests/clients");
    command.arg(clients.join("schematron.py")).arg(place);
    for (name, document) in [
        ("ccd.xml", summary("")),
        ("referral.xml", summary("?type=referral-note")),
        (
            "discharge.xml",
            summary("?type=discharge-summary&encounter=e"),
        ),
        ("converted.xml", convert("?from=fhir&to=cda", &bundle.body)),
    ] {
        assert_eq!(document.status, 200, "{}", document.text());
        command.arg(files.put(name, &document.body));
    }
    succeeds(&command.output().unwrap());
}
