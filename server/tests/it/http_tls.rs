//! HTTP over TLS: what travels in the clear is not answered, links say https, and a certificate can stand for a key.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::authorised::{cli, key};
use crate::authority::{Authority, Identity, Secured, connect};
use crate::databases::{Database, sqlite};
use crate::kiln::Kiln;

/// A server that speaks TLS and knows the callers whom that authority has signed.
pub(crate) fn secured(
    database: &Database,
    authority: &Authority,
    callers: &Authority,
    more: &str,
) -> Kiln {
    let directory = &database.directory;
    authority.issue("127.0.0.1").write(directory);
    std::fs::write(directory.join("ca.pem"), callers.pem()).unwrap();
    let path = |name: &str| directory.join(name).display().to_string();
    let (certificate, key, ca) = (path("cert.pem"), path("key.pem"), path("ca.pem"));
    Kiln::configured(
        database,
        &format!(
            "{more}\ntls = {{ certificate = {certificate:?}, key = {key:?}, client_ca = {ca:?} }}\n"
        ),
    )
}

/// What comes back for one request; nothing when the connection is not wanted.
fn asked(stream: &mut Secured, request: &str) -> String {
    let mut answer = Vec::new();
    let _unless_refused = stream.write_all(request.replace('\n', "\r\n").as_bytes());
    let _ended = stream.read_to_end(&mut answer);
    String::from_utf8(answer).unwrap()
}

fn got(address: SocketAddr, authority: &Authority, own: Option<&Identity>, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\nHost: {address}\nConnection: close\n\n");
    asked(&mut connect(address, authority, own), &request)
}

#[test]
fn https_is_spoken_and_nothing_else() {
    let database = sqlite();
    let (authority, callers) = (Authority::new(), Authority::new());
    let limits = "limits = { headers_wait_ms = 1000 }";
    let kiln = secured(&database, &authority, &callers, limits);
    let address = kiln.address;
    let mut sender = connect(address, &authority, None);
    let patient = r#"{"resourceType":"Patient","active":true}"#;
    let created = asked(
        &mut sender,
        &format!(
            "POST /fhir/Patient HTTP/1.1\nHost: {address}\nContent-Type: application/fhir+json\nContent-Length: {}\nConnection: close\n\n{patient}",
            patient.len()
        ),
    );
    assert!(created.starts_with("HTTP/1.1 201"), "{created}");
    let location = format!("https://{address}/fhir/Patient/");
    assert!(
        created.contains(&format!("location: {location}")),
        "{created}"
    );
    assert!(
        created.contains("strict-transport-security: max-age="),
        "{created}"
    );
    let page = got(address, &authority, None, "/fhir/Patient?active=true");
    assert!(
        page.contains(&format!("\"fullUrl\":\"{location}")),
        "{page}"
    );

    let mut clear = TcpStream::connect(address).unwrap();
    let asked = format!("GET /health/live HTTP/1.1\r\nHost: {address}\r\n\r\n");
    clear.write_all(asked.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let _ended = clear.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP"));
    // Nobody is waited for.
    let mut silent = TcpStream::connect(address).unwrap();
    silent
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    assert_eq!(silent.read(&mut [0]).unwrap(), 0);
    // Whom the client does not trust is told nothing.
    assert_eq!(got(address, &Authority::new(), None, "/health/live"), "");
    // Nor is a certificate believed that somebody else has signed.
    let stranger = Authority::new().issue("lab.example.org");
    assert_eq!(
        got(address, &authority, Some(&stranger), "/health/live"),
        ""
    );
    assert!(got(address, &authority, None, "/health/live").starts_with("HTTP/1.1 200"));
}

#[test]
fn a_certificate_stands_for_a_key() {
    let database = sqlite();
    let (authority, callers) = (Authority::new(), Authority::new());
    let kiln = secured(&database, &authority, &callers, "auth = \"smart\"");
    let address = kiln.address;
    let (known, other) = (
        callers.issue("lab.example.org"),
        callers.issue("other.example.org"),
    );
    let file = database.directory.join("lab.pem");
    std::fs::write(&file, &known.pem).unwrap();
    let file = file.display().to_string();
    let told = key(
        &database,
        "lab",
        &["--scope", "system/Patient.s", "--certificate", &file],
    );
    assert!(told.starts_with("certificate:"), "{told}");

    let status = |own: Option<&Identity>, path: &str| {
        let answer = got(address, &authority, own, path);
        answer.get(9..12).unwrap_or_default().to_owned()
    };
    assert_eq!(status(Some(&known), "/fhir/Patient"), "200");
    assert_eq!(status(Some(&known), "/fhir/Observation"), "403");
    assert_eq!(status(Some(&other), "/fhir/Patient"), "401");
    assert_eq!(status(None, "/fhir/Patient"), "401");
    // What stands for the certificate in the database is no key.
    let request = format!(
        "GET /fhir/Patient HTTP/1.1\nHost: {address}\nX-Api-Key: {told}\nConnection: close\n\n"
    );
    assert!(asked(&mut connect(address, &authority, None), &request).starts_with("HTTP/1.1 401"));

    let twice = cli(
        &database,
        &[
            "key",
            "add",
            "lab",
            "--role",
            "admin",
            "--certificate",
            &file,
        ],
    );
    assert!(!twice.status.success());
    assert!(String::from_utf8_lossy(&twice.stderr).contains("stands for a key already"));
    assert!(cli(&database, &["key", "revoke", "lab"]).status.success());
    let is_out = (0..300).any(|_| {
        std::thread::sleep(Duration::from_millis(20));
        status(Some(&known), "/fhir/Patient") == "401"
    });
    assert!(is_out);
}
