//! Every kind of trouble, as the caller sees it: the right status, an OperationOutcome, and nothing of the inside.
//! Kinds that no request can bring about at will are tested beside the table, in `src/fault.rs`.

use std::io::Write;

use server::fault::Kind;
use server::limits::Limits;

use crate::client::{Answer, FHIR_JSON, connect, get, post, receive, send};
use crate::databases::Database;
use crate::kiln::Kiln;

on_both_databases!(
    requests_that_are_wrong,
    an_update_under_another_id,
    documents_that_are_wrong,
    a_document_a_million_levels_deep,
    a_body_above_the_limit,
    a_method_that_does_not_apply_names_those_that_do,
    what_was_deleted_is_gone,
    trouble_inside_shows_nothing_but_the_request_id,
    outside_fhir_trouble_is_a_problem_document,
);

const PATIENT: &str = r#"{"resourceType":"Patient"}"#;

fn assert_fault(answer: &Answer, kind: Kind) {
    let row = kind.row();
    assert_eq!(answer.status, row.status, "{kind:?}: {}", answer.text());
    assert_eq!(answer.header("Content-Type"), Some("application/fhir+json"));
    assert_eq!(answer.issue_code(), row.code.code(), "{kind:?}");
    assert!(answer.header("X-Request-Id").is_some());
}

fn requests_that_are_wrong(database: &Database) {
    let kiln = Kiln::start(database);
    let long = "x".repeat(Limits::default().target_bytes_max);
    for (path, kind) in [
        ("/fhir/Patient/nobody", Kind::NotFound),
        ("/fhir/Patient/%00", Kind::NotFound),
        ("/fhir/Elephant", Kind::UnknownType),
        ("/fhir/Elephant/1", Kind::UnknownType),
        ("/fhir/DomainResource/1", Kind::UnknownType),
        ("/fhir/Patient/1/2", Kind::UnknownPath),
        ("/fhir/Patient/$everything", Kind::UnknownPath),
        ("/fhir/_histories", Kind::UnknownPath),
        ("/fhir/_history?_count=x", Kind::WrongParameter),
        ("/fhir/Patient/1?_format=text/html", Kind::NotAcceptable),
        (&format!("/fhir/Patient/1?{long}"), Kind::TargetTooLong),
    ] {
        assert_fault(&get(kiln.address, path), kind);
    }
    let with = |method, headers: &[(&str, &str)]| {
        send(
            kiln.address,
            method,
            "/fhir/Patient",
            headers,
            PATIENT.as_bytes(),
        )
        .unwrap()
    };
    assert_fault(&with("POST", &[]), Kind::UnsupportedMedia);
    assert_fault(
        &with("POST", &[("Content-Type", "text/csv")]),
        Kind::UnsupportedMedia,
    );
    assert_fault(
        &with("POST", &[FHIR_JSON, ("If-None-Exist", "birthdate=maybe")]),
        Kind::WrongParameter,
    );
    let metadata = r#"{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"GET","url":"metadata"}}]}"#;
    assert_fault(&post(kiln.address, "/fhir", metadata), Kind::NotImplemented);
    for _ in 0..2 {
        assert_eq!(post(kiln.address, "/fhir/Patient", PATIENT).status, 201);
    }
    assert_fault(
        &with(
            "POST",
            &[FHIR_JSON, ("If-None-Exist", "_lastUpdated=gt2000")],
        ),
        Kind::SeveralMatches,
    );
    let header = "x".repeat(Limits::default().header_bytes_max);
    assert_fault(
        &with("POST", &[FHIR_JSON, ("X-Long", &header)]),
        Kind::HeadersTooLarge,
    );
}

fn an_update_under_another_id(database: &Database) {
    let kiln = Kiln::start(database);
    let body = br#"{"resourceType":"Patient","id":"b"}"#;
    let answer = send(kiln.address, "PUT", "/fhir/Patient/a", &[FHIR_JSON], body).unwrap();
    assert_fault(&answer, Kind::WrongId);
}

fn documents_that_are_wrong(database: &Database) {
    let kiln = Kiln::start(database);
    for (body, kind) in [
        ("{", Kind::Malformed),
        (
            "{\"resourceType\":\"Patient\",\"id\":\"a\",\"id\":\"b\"}",
            Kind::Malformed,
        ),
        ("[]", Kind::Unprocessable),
        ("{}", Kind::Unprocessable),
        (r#"{"resourceType":"Elephant"}"#, Kind::WrongType),
        (
            r#"{"resourceType":"Patient","gender":"m"}"#,
            Kind::Unprocessable,
        ),
        (r#"{"resourceType":"Observation"}"#, Kind::WrongType),
    ] {
        let answer = post(kiln.address, "/fhir/Patient", body);
        assert_eq!(
            answer.status,
            kind.row().status,
            "{body}: {}",
            answer.text()
        );
        answer.issue_code();
    }
}

fn a_document_a_million_levels_deep(database: &Database) {
    let kiln = Kiln::start(database);
    let depth = 1_000_000;
    let body = format!(
        r#"{{"resourceType":"Patient","extension":{}{}}}"#,
        "[".repeat(depth),
        "]".repeat(depth)
    );
    let answer = post(kiln.address, "/fhir/Patient", &body);
    assert_fault(&answer, Kind::Malformed);
    assert!(answer.text().contains("nested deeper"));
    assert_eq!(post(kiln.address, "/fhir/Patient", PATIENT).status, 201);
}

fn a_body_above_the_limit(database: &Database) {
    let kiln = Kiln::start(database);
    let limit = Limits::default().body_bytes_max;
    let head = format!(
        "POST /fhir/Patient HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: {}\r\n",
        FHIR_JSON.1
    );

    let mut declared = connect(kiln.address).unwrap();
    write!(declared, "{head}Content-Length: {}\r\n\r\n{{", limit + 1).unwrap();
    let answer = receive(&mut declared).unwrap();
    assert_fault(&answer, Kind::BodyTooLarge);
    assert!(
        answer.text().contains(&limit.to_string()),
        "names the limit: {}",
        answer.text()
    );

    let mut undeclared = connect(kiln.address).unwrap();
    write!(undeclared, "{head}Transfer-Encoding: chunked\r\n\r\n").unwrap();
    let chunk = " ".repeat(1024 * 1024);
    for _ in 0..=limit / chunk.len() {
        if write!(undeclared, "{:x}\r\n{chunk}\r\n", chunk.len()).is_err() {
            break;
        }
    }
    // The server may close before all is sent, and then the answer can be lost on the way; it must not be a success.
    if let Some(answer) = receive(&mut undeclared) {
        assert_fault(&answer, Kind::BodyTooLarge);
    }
    assert_eq!(post(kiln.address, "/fhir/Patient", PATIENT).status, 201);
}

fn a_method_that_does_not_apply_names_those_that_do(database: &Database) {
    let kiln = Kiln::start(database);
    for (method, path, allowed) in [
        (
            "TRACE",
            "/fhir/Patient",
            "POST, GET, HEAD, PUT, PATCH, DELETE",
        ),
        ("GET", "/fhir/Patient/_search", "POST"),
        ("POST", "/fhir/Patient/1", "GET, HEAD, PUT, PATCH, DELETE"),
        ("POST", "/fhir/metadata", "GET, HEAD"),
        ("PUT", "/fhir", "GET, HEAD, POST"),
        ("PUT", "/fhir/", "GET, HEAD, POST"),
    ] {
        let answer = send(kiln.address, method, path, &[FHIR_JSON], b"").unwrap();
        assert_fault(&answer, Kind::MethodNotAllowed);
        assert_eq!(answer.header("Allow"), Some(allowed), "{method} {path}");
    }
}

fn what_was_deleted_is_gone(database: &Database) {
    let kiln = Kiln::start(database);
    let created = post(kiln.address, "/fhir/Patient", PATIENT).json();
    database.execute("UPDATE versions SET change = 3");
    let path = format!("/fhir/Patient/{}", created.str_of("id").unwrap());
    assert_fault(&get(kiln.address, &path), Kind::Deleted);
}

fn trouble_inside_shows_nothing_but_the_request_id(database: &Database) {
    let kiln = Kiln::start(database);
    let created = post(kiln.address, "/fhir/Patient", PATIENT).json();
    database.execute("UPDATE versions SET codec = 99");
    let path = format!("/fhir/Patient/{}", created.str_of("id").unwrap());
    let answer = get(kiln.address, &path);
    assert_fault(&answer, Kind::Internal);
    assert!(!answer.text().contains("99") && !answer.text().contains("codec"));
    let id = answer.header("X-Request-Id").unwrap();
    let log = kiln.stop_and_read_log();
    assert!(log.contains(id) && log.contains("codec 99"), "{log}");
}

fn outside_fhir_trouble_is_a_problem_document(database: &Database) {
    let kiln = Kiln::start(database);
    let answer = get(kiln.address, "/nowhere");
    assert_eq!(answer.status, 404);
    assert_eq!(
        answer.header("Content-Type"),
        Some("application/problem+json")
    );
    assert_eq!(
        answer.json().get("status").unwrap().as_number(),
        Some("404")
    );
    // Not FHIR, though it begins alike.
    let answer = get(kiln.address, "/fhirsomething");
    assert_eq!(
        answer.header("Content-Type"),
        Some("application/problem+json")
    );
}
