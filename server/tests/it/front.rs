//! How the server looks from the street: behind a proxy, from a web page, and with limits that an operator has set.

use std::io::Write;
use std::net::SocketAddr;

use server::fault::Kind;

use diesel::connection::SimpleConnection;
use diesel::{Connection, PgConnection};

use crate::authorised::{Holder, SMART, key};
use crate::client::{Answer, FHIR_JSON, connect, get, receive, send};
use crate::databases::{postgres, sqlite};
use crate::kiln::Kiln;
use crate::packed::gzip;

const PATIENT: &[u8] = br#"{"resourceType":"Patient"}"#;
const PAGE: &str = "https://app.example.org";

fn with(address: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut headers = headers.to_vec();
    let body = if method == "POST" { PATIENT } else { b"" };
    if method == "POST" {
        headers.push(FHIR_JSON);
    }
    send(address, method, path, &headers, body).unwrap()
}

fn preflight(address: SocketAddr, path: &str, origin: &str) -> Answer {
    let headers = [
        ("Origin", origin),
        ("Access-Control-Request-Method", "POST"),
        ("Access-Control-Request-Headers", "content-type"),
    ];
    with(address, "OPTIONS", path, &headers)
}

#[test]
fn by_default_no_page_of_another_origin_reads_or_writes() {
    let database = sqlite();
    let kiln = Kiln::start(&database);
    let address = kiln.address;
    let allow = "Access-Control-Allow-Origin";
    let read = with(address, "GET", "/fhir/metadata", &[("Origin", PAGE)]);
    assert_eq!((read.status, read.header(allow)), (200, None));
    let asked = preflight(address, "/fhir/Patient", PAGE);
    assert_eq!((asked.status, asked.header(allow)), (204, None));
    for origin in [PAGE, "null", "http://127.0.0.1"] {
        let written = with(address, "POST", "/fhir/Patient", &[("Origin", origin)]);
        assert_eq!(written.status, Kind::Forbidden.row().status, "{origin}");
        assert!(written.text().contains("cors_origins"));
    }
    let own = format!("http://{address}");
    let written = with(address, "POST", "/fhir/Patient", &[("Origin", &own)]);
    assert_eq!(written.status, 201);
}

#[test]
fn a_name_that_leads_here_from_elsewhere_is_not_answered() {
    let database = sqlite();
    let ask = |settings: &str| {
        let kiln = Kiln::configured(&database, settings);
        let head =
            "GET /fhir/metadata HTTP/1.1\r\nHost: fhir.example.org\r\nConnection: close\r\n\r\n";
        let mut stream = connect(kiln.address).unwrap();
        write!(stream, "{head}").unwrap();
        receive(&mut stream).unwrap()
    };
    let refused = ask("");
    assert_eq!(refused.status, Kind::Forbidden.row().status);
    assert!(refused.text().contains("public_url"));
    assert_eq!(ask("public_url = 'https://fhir.example.org'").status, 200);
    assert_eq!(ask("trusted_proxies = ['127.0.0.1']").status, 200);
}

#[test]
fn pages_of_the_origins_that_are_set_may_ask() {
    let database = sqlite();
    let kiln = Kiln::configured(&database, &format!("cors_origins = ['{PAGE}']"));
    let address = kiln.address;
    let asked = preflight(address, "/fhir/Patient", PAGE);
    assert_eq!(asked.status, 204);
    assert_eq!(asked.header("Access-Control-Allow-Origin"), Some(PAGE));
    assert_eq!(asked.header("Vary"), Some("Origin"));
    let methods = asked.header("Access-Control-Allow-Methods").unwrap();
    assert!(methods.contains("POST"), "{methods}");
    let headers = asked.header("Access-Control-Allow-Headers").unwrap();
    assert!(headers.contains("Content-Type") && headers.contains("If-None-Exist"));
    assert!(asked.header("Access-Control-Max-Age").is_some());

    let written = with(address, "POST", "/fhir/Patient", &[("Origin", PAGE)]);
    assert_eq!(written.status, 201);
    assert_eq!(written.header("Access-Control-Allow-Origin"), Some(PAGE));
    let exposed = written.header("Access-Control-Expose-Headers").unwrap();
    for name in ["Location", "ETag", "Last-Modified", "X-Request-Id"] {
        assert!(exposed.contains(name), "{name}");
    }
    assert_eq!(written.header("Access-Control-Allow-Credentials"), None);
    // A page must be able to read what went wrong, too.
    let failed = with(address, "GET", "/fhir/Patient/nobody", &[("Origin", PAGE)]);
    assert_eq!(failed.header("Access-Control-Allow-Origin"), Some(PAGE));

    let other = "https://evil.example.org";
    let asked = preflight(address, "/fhir/Patient", other);
    assert_eq!(asked.header("Access-Control-Allow-Origin"), None);
    assert_eq!(asked.header("Vary"), Some("Origin"));
    let written = with(address, "POST", "/fhir/Patient", &[("Origin", other)]);
    assert_eq!(written.status, 403);
}

#[test]
fn every_origin_may_be_let_in() {
    let database = sqlite();
    let kiln = Kiln::configured(&database, "cors_origins = ['*']");
    let asked = preflight(kiln.address, "/fhir/Patient", "null");
    assert_eq!(asked.header("Access-Control-Allow-Origin"), Some("*"));
    let written = with(kiln.address, "POST", "/fhir/Patient", &[("Origin", PAGE)]);
    assert_eq!(written.status, 201);
}

#[test]
fn addresses_in_answers_are_those_that_clients_can_use() {
    let database = sqlite();
    let location = |settings: &str, headers: &[(&str, &str)]| {
        let kiln = Kiln::configured(&database, settings);
        let created = with(kiln.address, "POST", "/fhir/Patient", headers);
        let location = created.header("Location").unwrap().to_owned();
        location.split("/Patient/").next().unwrap().to_owned()
    };
    let forwarded = [
        ("X-Forwarded-Host", "fhir.example.org"),
        ("X-Forwarded-Proto", "https"),
    ];
    let told = location("public_url = 'https://example.org/kiln'", &forwarded);
    assert_eq!(told, "https://example.org/kiln/fhir");
    let told = location("trusted_proxies = ['127.0.0.0/8']", &forwarded);
    assert_eq!(told, "https://fhir.example.org/fhir");
    let told = location("trusted_proxies = ['10.0.0.0/8']", &forwarded);
    assert!(told.starts_with("http://127.0.0.1:"), "{told}");
}

#[test]
fn limits_that_are_set_hold_and_are_named() {
    let settings = "[limits]\nbody_bytes_max = 1024\ntarget_bytes_max = 256\nheader_bytes_max = 1024\n\
                    body_wait_ms = 100\nunpacked_bytes_max = 1024\nunpacked_ratio_max = 2\n";
    let database = sqlite();
    let kiln = Kiln::configured(&database, settings);
    let refused = |answer: Answer, kind: Kind, limit: &str| {
        assert_eq!(answer.status, kind.row().status, "{limit}");
        assert!(answer.text().contains(limit), "{}", answer.text());
    };
    let long = "x".repeat(1024);
    let body = format!(r#"{{"resourceType":"Patient","name":[{{"text":"{long}"}}]}}"#);
    let sent = |headers: &[(&str, &str)], path: &str, body: &str| {
        let mut headers = headers.to_vec();
        headers.push(FHIR_JSON);
        send(kiln.address, "POST", path, &headers, body.as_bytes()).unwrap()
    };
    refused(
        sent(&[], "/fhir/Patient", &body),
        Kind::BodyTooLarge,
        "body_bytes_max",
    );
    let path = format!("/fhir/Patient?x={long}");
    refused(
        sent(&[], &path, "{}"),
        Kind::TargetTooLong,
        "target_bytes_max",
    );
    let headers = [("X-Long", long.as_str())];
    refused(
        sent(&headers, "/fhir/Patient", "{}"),
        Kind::HeadersTooLarge,
        "header_bytes_max",
    );
    let packed = gzip(body.as_bytes());
    let headers = [FHIR_JSON, ("Content-Encoding", "gzip")];
    let answer = send(kiln.address, "POST", "/fhir/Patient", &headers, &packed).unwrap();
    refused(answer, Kind::BodyTooLarge, "unpacked_ratio_max");
    let late = sent(&[("Content-Length", "7")], "/fhir/Patient", "");
    refused(late, Kind::BodyTimeout, "body_wait_ms");
}

#[test]
fn a_page_has_no_more_entries_than_it_may() {
    let database = sqlite();
    let settings = "[limits]\npage_size_default = 1\npage_size_max = 2\n";
    let kiln = Kiln::configured(&database, settings);
    for _ in 0..4 {
        with(kiln.address, "POST", "/fhir/Patient", &[]);
    }
    for (query, entries) in [("", 1), ("?_count=2", 2), ("?_count=4", 2)] {
        let path = format!("/fhir/Patient/_history{query}");
        let page = get(kiln.address, &path).json();
        assert_eq!(page.items_of("entry").len(), entries, "{query}");
    }
}

/// Another transaction holds what everyone reads.
#[test]
fn a_database_that_does_not_answer_in_time_is_not_waited_for() {
    let Some(database) = postgres() else { return };
    let settings =
        "[limits]\npostgres_connections_max = 4\nstatement_ms = 3000\nconnection_wait_ms = 50\n";
    let kiln = Kiln::configured(&database, settings);
    let created = with(kiln.address, "POST", "/fhir/Patient", &[]).json();
    let path = format!("/fhir/Patient/{}", created.str_of("id").unwrap());
    let mut other = PgConnection::establish(&database.url).unwrap();
    let hold = "BEGIN; LOCK TABLE versions IN ACCESS EXCLUSIVE MODE";
    other.batch_execute(hold).unwrap();
    let mut answers: Vec<Answer> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..12)
            .map(|_| scope.spawn(|| get(kiln.address, &path)))
            .collect();
        clients
            .into_iter()
            .map(|client| client.join().unwrap())
            .collect()
    });
    answers.sort_by_key(|answer| answer.issue_code());
    // Some have a connection and wait in the database, the others wait for a connection, which the server's own work has
    // too.
    let codes: Vec<String> = answers.iter().map(Answer::issue_code).collect();
    assert_eq!(codes.first().map(String::as_str), Some("too-costly"));
    assert_eq!(codes.last().map(String::as_str), Some("transient"));
    for (answer, code) in answers.iter().zip(&codes) {
        let limit = match code.as_str() {
            "too-costly" => "statement_ms",
            "transient" => "connection_wait_ms",
            other => panic!("{other}"),
        };
        assert_eq!(answer.status, Kind::TooCostly.row().status);
        assert!(answer.text().contains(limit), "{}", answer.text());
    }
    other.batch_execute("ROLLBACK").unwrap();
    assert_eq!(get(kiln.address, &path).status, 200);
}

#[test]
fn nobody_comes_too_often() {
    let database = &sqlite();
    let limits = "limits = { requests_per_caller_s_max = 1, strangers_per_address_min_max = 1 }\n";
    let kiln = Kiln::configured(database, &format!("{SMART}{limits}"));
    let holder = |name: &str| Holder {
        kiln: &kiln,
        key: key(database, name, &["--scope", "system/Patient.s"]),
    };
    let (busy, calm) = (holder("busy"), holder("calm"));
    // A request a second would be answered for ever.
    let refused = (0..1000)
        .map(|_| busy.get("/fhir/Patient"))
        .find(|answer| answer.status != 200);
    let refused = refused.unwrap();
    assert_eq!(refused.status, Kind::Throttled.row().status);
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert!(
        refused.text().contains("\"throttled\""),
        "{}",
        refused.text()
    );
    let stranger = || get(kiln.address, "/fhir/Patient").status;
    assert_eq!(stranger(), 401);
    assert!((0..1000).any(|_| stranger() == 429));
    assert_eq!(
        calm.get("/fhir/Patient").status,
        200,
        "who shows what holds is not held up by strangers"
    );
}
