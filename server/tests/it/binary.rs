//! Binary: content in and out as it is. <https://hl7.org/fhir/R4/binary.html>

use std::net::SocketAddr;

use server::fault::Kind;
use server::limits::Limits;

use crate::client::{Answer, FHIR_JSON, send};
use crate::databases::Database;
use crate::kiln::Kiln;
use crate::packed::gzip;

on_both_databases!(
    content_goes_in_and_comes_out_as_it_is,
    a_binary_is_a_resource_when_fhir_is_asked_for,
    a_fhir_type_means_the_resource_and_other_json_is_content,
    content_is_updated_under_its_id,
    content_is_limited_by_a_limit_of_its_own,
    content_cannot_run_in_a_browser,
);

const PDF: (&str, &str) = ("Content-Type", "application/pdf");
const ASKING: (&str, &str) = ("Accept", "application/fhir+json");

fn bytes(length: usize) -> Vec<u8> {
    (0..=255u8).cycle().take(length).collect()
}

fn post(address: SocketAddr, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    send(address, "POST", "/fhir/Binary", headers, body).unwrap()
}

fn place(created: &Answer) -> String {
    assert_eq!(created.status, 201, "{}", created.text());
    let location = created.header("Location").unwrap();
    let (_, path) = location.split_once("/fhir/").unwrap();
    let (path, _) = path.split_once("/_history/").unwrap();
    format!("/fhir/{path}")
}

fn get(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Answer {
    send(address, "GET", path, headers, b"").unwrap()
}

fn content_goes_in_and_comes_out_as_it_is(database: &Database) {
    let kiln = Kiln::start(database);
    for length in [0, 1, 2, 3, 100_000, 1_000_001] {
        let content = bytes(length);
        let created = post(kiln.address, &[PDF], &content);
        let path = place(&created);
        assert!(created.body.is_empty(), "who sent it has it");
        for accept in ["*/*", "application/pdf", "text/html, */*;q=0.1"] {
            let read = get(kiln.address, &path, &[("Accept", accept)]);
            assert_eq!(read.status, 200);
            assert_eq!(read.header("Content-Type"), Some("application/pdf"));
            assert_eq!(read.header("ETag"), Some("W/\"1\""));
            assert!(read.header("Last-Modified").is_some());
            assert_eq!(read.body, content, "{length}");
        }
        let version = get(kiln.address, &format!("{path}/_history/1"), &[]);
        assert_eq!(version.body, content);
        let head = send(kiln.address, "HEAD", &path, &[], b"").unwrap();
        assert_eq!(
            head.header("Content-Length"),
            Some(length.to_string().as_str())
        );
        let held = get(kiln.address, &path, &[("If-None-Match", "W/\"1\"")]);
        assert_eq!((held.status, held.body.len()), (304, 0));
    }
    let packed = gzip(b"plain words");
    let headers = [("Content-Type", "text/plain"), ("Content-Encoding", "gzip")];
    let path = place(&post(kiln.address, &headers, &packed));
    assert_eq!(get(kiln.address, &path, &[]).text(), "plain words");
    // Nobody knows what it is.
    let nameless = post(kiln.address, &[], b"content");
    assert_eq!(nameless.status, Kind::UnsupportedMedia.row().status);
}

fn a_binary_is_a_resource_when_fhir_is_asked_for(database: &Database) {
    let kiln = Kiln::start(database);
    let headers = [
        ("Content-Type", "text/plain; charset=utf-8"),
        ("X-Security-Context", "Patient/1"),
        ("Prefer", "return=representation"),
    ];
    let created = post(kiln.address, &headers, b"hello");
    assert_eq!(created.json().str_of("data"), Some("aGVsbG8="));
    let path = place(&created);
    for (query, accept) in [
        ("", "application/fhir+json"),
        ("?_format=json", "*/*"),
        ("?_pretty=true", "*/*"),
    ] {
        let binary = get(
            kiln.address,
            &format!("{path}{query}"),
            &[("Accept", accept)],
        );
        assert_eq!(binary.header("Content-Type"), Some("application/fhir+json"));
        let binary = binary.json();
        assert_eq!(binary.str_of("resourceType"), Some("Binary"));
        assert_eq!(binary.str_of("contentType"), Some(headers[0].1));
        assert_eq!(binary.str_of("data"), Some("aGVsbG8="));
        let context = binary.get("securityContext").unwrap();
        assert_eq!(context.str_of("reference"), Some("Patient/1"));
    }
    let xml = get(kiln.address, &path, &[("Accept", "application/fhir+xml")]);
    assert!(xml.text().contains("<data value=\"aGVsbG8=\"/>"));
    let content = get(kiln.address, &path, &[]);
    assert_eq!(content.header("X-Security-Context"), Some("Patient/1"));
    assert_eq!(content.header("Content-Type"), Some(headers[0].1));
    assert_eq!(content.text(), "hello");
}

fn a_fhir_type_means_the_resource_and_other_json_is_content(database: &Database) {
    let kiln = Kiln::start(database);
    // With line breaks, which base64 may have.
    let binary = br#"{"resourceType":"Binary","contentType":"image/png","data":"aGVs\nbG8="}"#;
    for content_type in ["application/fhir+json", "application/json"] {
        let created = post(kiln.address, &[("Content-Type", content_type)], binary);
        let read = get(kiln.address, &place(&created), &[]);
        assert_eq!(read.header("Content-Type"), Some("image/png"));
        assert_eq!(read.text(), "hello");
    }
    let other = br#"{"resourceType":"Patient"}"#;
    let refused = post(kiln.address, &[FHIR_JSON], other);
    assert_eq!(refused.status, Kind::WrongType.row().status);
    for content in [&other[..], b"[1,2]", b"{"] {
        let created = post(
            kiln.address,
            &[("Content-Type", "application/json")],
            content,
        );
        let path = place(&created);
        assert_eq!(get(kiln.address, &path, &[]).body, content);
        let asked = [("Accept", "application/json")];
        assert_eq!(get(kiln.address, &path, &asked).body, content);
        let resource = get(kiln.address, &path, &[ASKING]).json();
        assert_eq!(resource.str_of("resourceType"), Some("Binary"));
    }
}

fn content_is_updated_under_its_id(database: &Database) {
    let kiln = Kiln::start(database);
    let put = |content_type, content: &[u8]| {
        let headers = [("Content-Type", content_type)];
        send(kiln.address, "PUT", "/fhir/Binary/mine", &headers, content).unwrap()
    };
    let created = put("text/plain", b"one");
    assert_eq!(
        (created.status, created.header("ETag")),
        (201, Some("W/\"1\""))
    );
    let updated = put("text/csv", b"1,2");
    assert_eq!(
        (updated.status, updated.header("ETag")),
        (200, Some("W/\"2\""))
    );
    let read = get(kiln.address, "/fhir/Binary/mine", &[]);
    assert_eq!(read.header("Content-Type"), Some("text/csv"));
    assert_eq!(read.text(), "1,2");
    let first = get(kiln.address, "/fhir/Binary/mine/_history/1", &[]);
    assert_eq!(first.text(), "one");
    let deleted = send(kiln.address, "DELETE", "/fhir/Binary/mine", &[], b"").unwrap();
    assert!(matches!(deleted.status, 200 | 204));
    let gone = get(kiln.address, "/fhir/Binary/mine", &[]);
    assert_eq!(gone.status, 410);
    assert_eq!(gone.issue_code(), "deleted");
}

fn content_is_limited_by_a_limit_of_its_own(database: &Database) {
    let max = Limits::DEFAULT.body_bytes_max + 1024 * 1024;
    let kiln = Kiln::configured(database, &format!("[limits]\nbinary_bytes_max = {max}"));
    let content = bytes(max);
    let path = place(&post(kiln.address, &[PDF], &content));
    let read = get(kiln.address, &path, &[]);
    assert!(read.body == content, "all {max} bytes come back");
    let refused = post(kiln.address, &[PDF], &bytes(max + 1));
    assert_eq!(refused.status, Kind::BodyTooLarge.row().status);
    assert!(refused.text().contains("binary_bytes_max"));
    // A document has the limit of documents.
    let refused = post(kiln.address, &[FHIR_JSON], &content);
    assert!(refused.text().contains("body_bytes_max"));
}

fn content_cannot_run_in_a_browser(database: &Database) {
    let kiln = Kiln::start(database);
    let policy = |content_type| {
        let headers = [("Content-Type", content_type)];
        let created = post(kiln.address, &headers, b"<script>alert(1)</script>");
        let read = get(kiln.address, &place(&created), &[]);
        assert_eq!(read.header("X-Content-Type-Options"), Some("nosniff"));
        read.header("Content-Security-Policy").map(str::to_owned)
    };
    for active in ["text/html", "image/svg+xml", "application/octet-stream"] {
        assert_eq!(
            policy(active).as_deref(),
            Some("default-src 'none'; sandbox")
        );
    }
    assert_eq!(policy("application/pdf"), None);
}
