//! What the log says, and that it keeps to itself what clients send.

use std::net::SocketAddr;

use fhir_spec::json::{self, Value};

use crate::client::{FHIR_JSON, get, post, send};
use crate::databases::Database;
use crate::kiln::{Kiln, command};

on_both_databases!(
    nothing_of_what_was_sent_is_in_it,
    every_line_is_an_object_when_that_is_asked_for,
    trouble_is_told_once,
    a_request_keeps_the_name_that_its_client_gave_it,
);

/// With everything that there is to be told.
fn start(database: &Database, arguments: &[&str]) -> Kiln {
    let mut command = command();
    command
        .env("RUST_LOG", "debug")
        .args(["--database", &database.url, "--listen", "127.0.0.1:0"])
        .args(arguments);
    Kiln::from_command(&mut command)
}

/// Markers in ids, names and values of queries, headers and bodies, where they are right and where they are wrong.
fn plant(address: SocketAddr) {
    let patient = |id: &str| {
        format!(
            r#"{{"resourceType":"Patient"{id},"identifier":[{{"system":"urn:marker","value":"marker"}}],"name":[{{"text":"marker"}}]}}"#
        )
    };
    let whole = patient(r#","id":"marker-1""#);
    post(address, "/fhir/Patient?marker=marker", &patient(""));
    for body in [
        r#"{"resourceType":"Patient","marker":}"#,
        r#"{"resourceType":"marker"}"#,
        r#"{"resourceType":"Patient","gender":"marker"}"#,
        r#"{"resourceType":"Patient","marker":"marker","marker":1}"#,
        "marker",
    ] {
        post(address, "/fhir/Patient", body);
        post(address, "/fhir/$validate", body);
        post(address, "/fhir", body);
    }
    for path in [
        "/fhir/marker/marker?marker=marker",
        "/fhir/Patient/marker",
        "/fhir/Patient/marker-1",
        "/fhir/Patient/marker-1/_history/marker",
        "/fhir/Patient/marker-1/_history?_since=marker",
        "/fhir/Patient/marker-1?_elements=marker",
        "/fhir/Patient?name=marker&_format=marker",
        "/marker?marker",
        "/fhir/$marker",
    ] {
        for method in [
            "GET", "HEAD", "OPTIONS", "DELETE", "POST", "PUT", "PATCH", "MARKER",
        ] {
            let headers = [
                FHIR_JSON,
                ("If-Match", "marker"),
                ("Prefer", "return=marker"),
            ];
            send(address, method, path, &headers, b"");
            send(address, method, path, &[FHIR_JSON], whole.as_bytes());
        }
    }
    let bundle = format!(
        r#"{{"resourceType":"Bundle","type":"transaction","entry":[{{"resource":{whole},"request":{{"method":"PUT","url":"Patient/marker-1"}}}},
           {{"request":{{"method":"GET","url":"Patient/marker"}}}}]}}"#
    );
    post(address, "/fhir", &bundle);
    for headers in [
        [("Accept", "marker"), ("X-Request-Id", "marker marker")],
        [
            ("Authorization", "Bearer marker"),
            ("Cookie", "marker=marker"),
        ],
        [("Origin", "http://marker"), ("X-Forwarded-Host", "marker")],
        [
            ("Content-Type", "marker/marker"),
            ("Content-Encoding", "marker"),
        ],
        [
            ("Content-Type", "text/marker"),
            ("X-Security-Context", "Patient/marker"),
        ],
        [("If-None-Exist", "identifier=marker"), FHIR_JSON],
    ] {
        send(address, "POST", "/fhir/Binary", &headers, b"marker");
        send(address, "POST", "/fhir/Patient", &headers, whole.as_bytes());
        send(address, "GET", "/fhir/Patient/marker-1", &headers, b"");
    }
    let patch = br#"[{"op":"replace","path":"/marker","value":"marker"}]"#;
    let headers = [("Content-Type", "application/json-patch+json")];
    send(address, "PATCH", "/fhir/Patient/marker-1", &headers, patch);
    let xml = r#"<Patient xmlns="http://hl7.org/fhir"><marker value="marker"/></Patient>"#;
    let headers = [("Content-Type", "application/fhir+xml")];
    send(address, "POST", "/fhir/Patient", &headers, xml.as_bytes());
}

fn nothing_of_what_was_sent_is_in_it(database: &Database) {
    for format in ["text", "json"] {
        let kiln = start(database, &["--log-format", format]);
        plant(kiln.address);
        let log = kiln.stop_and_read_log();
        assert!(log.lines().filter(|line| line.contains("answered")).count() > 100);
        let found = log
            .lines()
            .find(|line| line.to_lowercase().contains("marker"));
        assert_eq!(found, None);
    }
}

/// Those lines of a log of objects that say this.
fn told(log: &str, message: &str) -> Vec<Value> {
    log.lines()
        .map(|line| json::parse(line.as_bytes()).unwrap_or_else(|error| panic!("{error}: {line}")))
        .filter(|line| line.str_of("message") == Some(message))
        .collect()
}

fn every_line_is_an_object_when_that_is_asked_for(database: &Database) {
    let kiln = start(database, &["--log-format", "json"]);
    let read = get(kiln.address, "/fhir/Patient/1");
    let log = kiln.stop_and_read_log();
    let answered = &told(&log, "answered")[0];
    for (name, value) in [("level", "DEBUG"), ("interaction", "read")] {
        assert_eq!(answered.str_of(name), Some(value), "{answered}");
    }
    assert_eq!(answered.get("status").and_then(Value::as_u64), Some(404));
    assert!(answered.get("time_us").and_then(Value::as_u64).is_some());
    assert!(answered.str_of("timestamp").unwrap().ends_with('Z'));
    let span = answered.get("span").unwrap();
    assert_eq!(span.str_of("request.id"), read.header("X-Request-Id"));
    assert_eq!(told(&log, "stopped").len(), 1);
}

fn trouble_is_told_once(database: &Database) {
    let kiln = start(database, &["--log-format", "json"]);
    let created = post(
        kiln.address,
        "/fhir/Patient",
        r#"{"resourceType":"Patient"}"#,
    )
    .json();
    database.execute("UPDATE versions SET codec = 99");
    let path = format!("/fhir/Patient/{}", created.str_of("id").unwrap());
    assert_eq!(get(kiln.address, &path).status, 500);
    let log = kiln.stop_and_read_log();
    let errors = log.lines().filter(|line| line.contains("ERROR")).count();
    assert_eq!(
        (errors, told(&log, "request failed").len()),
        (1, 1),
        "{log}"
    );
    assert!(log.contains("codec 99"), "the cause is told");
}

fn a_request_keeps_the_name_that_its_client_gave_it(database: &Database) {
    let kiln = start(database, &[]);
    let named = |name: &str| {
        let headers = [("X-Request-Id", name)];
        let answer = send(kiln.address, "GET", "/fhir/Patient/1", &headers, b"").unwrap();
        answer.header("X-Request-Id").unwrap().to_owned()
    };
    let whole = "a".repeat(64);
    for name in [
        "0b5c0a3e-9d3f-4d0e-8d8e-0d0e0d0e0d0e",
        "trace:1.2_3",
        &whole,
    ] {
        assert_eq!(named(name), name);
    }
    let mut made = Vec::new();
    for name in ["", "two words", "quo\"te", "é", "a/b", &"a".repeat(65)] {
        let own = named(name);
        assert_ne!(own, name);
        assert!(!made.contains(&own), "each gets its own");
        made.push(own);
    }
    let log = kiln.stop_and_read_log();
    assert!(
        log.contains("trace:1.2_3") && log.contains(&made[0]),
        "{log}"
    );
}
