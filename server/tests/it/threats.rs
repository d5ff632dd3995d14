//! Attacks that are tried from outside, each named by its number (T-1 and on) in the table of `conformance-tests/SECURITY.md`.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use server::interactions::{self, Level};
use server::operations;

use crate::authorised::{Holder, guarded, key};
use crate::client::{FHIR_JSON, connect, get, receive, send};
use crate::databases::{Database, sqlite};
use crate::kiln::Kiln;
use crate::receiver::PATIENCE;
use crate::subscriptions::hurried;

on_both_databases!(t28_what_attackers_write_is_looked_for_and_nothing_else);

/// Every address of the server that is not for everybody, with a method that it has.
fn doors() -> Vec<(&'static str, String)> {
    let mut doors: Vec<(&str, String)> = Vec::new();
    for interaction in interactions::ALL {
        let path = match interaction.level() {
            Level::System => "",
            Level::SystemSearch => "/_search",
            Level::SystemHistory => "/_history",
            Level::Type => "/Patient",
            Level::TypeSearch => "/Patient/_search",
            Level::TypeHistory => "/Patient/_history",
            Level::Instance => "/Patient/1",
            Level::InstanceHistory => "/Patient/1/_history",
            Level::Version => "/Patient/1/_history/1",
            Level::Compartment => "/Patient/1/Observation",
            Level::CompartmentSearch => "/Patient/1/Observation/_search",
        };
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            doors.push((method, format!("/fhir{path}")));
        }
    }
    for operation in operations::ALL {
        for on in ["", "/Patient", "/Patient/1"] {
            doors.push(("POST", format!("/fhir{on}/{}", operation.code)));
        }
    }
    let source = include_str!("../../src/http/routes.rs");
    let (_, list) = source.split_once("const DOORS").unwrap();
    let (list, _) = list.split_once("];").unwrap();
    let names = list
        .lines()
        .filter_map(|line| line.trim().strip_prefix("(\""));
    let names: Vec<&str> = names.map(|line| line.split('"').next().unwrap()).collect();
    assert!(names.len() > 5, "{names:?}");
    for name in names {
        for (method, below) in [("GET", ""), ("POST", ""), ("GET", "/1"), ("DELETE", "/1")] {
            doors.push((method, format!("/api/{name}{below}")));
        }
    }
    doors.push(("GET", "/metrics".to_owned()));
    doors
}

/// What a server says to the beginning of a request whose body never comes.
fn asked_without_body(address: SocketAddr, method: &str, path: &str) -> u16 {
    let mut connection = connect(address).unwrap();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/fhir+json\r\nContent-Length: 1073741824\r\nConnection: close\r\n\r\n"
    );
    connection.write_all(head.as_bytes()).unwrap();
    receive(&mut connection).unwrap().status
}

#[test]
fn t8_t32_a10_every_door_asks_who_comes_before_it_reads_anything() {
    let database = sqlite();
    // All of them are strangers from one address.
    let kiln = Kiln::configured(
        &database,
        "auth = \"smart\"\nlimits = { strangers_per_address_min_max = 0 }\n",
    );
    for (method, path) in doors() {
        let status = asked_without_body(kiln.address, method, &path);
        assert_eq!(status, 401, "{method} {path}");
    }
    let nobody = key(&database, "nobody", &["--scope", "system/Basic.d"]);
    let nobody = Holder {
        kiln: &kiln,
        key: nobody,
    };
    // What is computed of what was sent is for all who are let in.
    let is_of_the_store = |path: &str| {
        let computes = |operation: &operations::Operation| {
            matches!(operation.run, operations::Run::Sent(_)) && path.ends_with(operation.code)
        };
        !operations::ALL.iter().any(computes)
            && !path.starts_with("/api/convert")
            && !path.starts_with("/api/maps")
    };
    for (method, path) in doors()
        .into_iter()
        .filter(|(_, path)| is_of_the_store(path))
    {
        let answer = nobody.ask(method, &path, r#"{"resourceType":"Patient","id":"1"}"#);
        let is_kept_out = matches!(answer.status, 400 | 403 | 404 | 405 | 415 | 422);
        assert!(
            is_kept_out,
            "{method} {path}: {} {}",
            answer.status,
            answer.text()
        );
    }
    assert_eq!(database.number("SELECT count(*) FROM versions"), 0);
    // And these are for everybody.
    for path in [
        "/",
        "/health/live",
        "/health/ready",
        "/fhir/metadata",
        "/fhir/.well-known/smart-configuration",
    ] {
        assert_eq!(get(kiln.address, path).status, 200, "{path}");
    }
}

#[test]
fn t3_a_level_without_its_patient_reaches_nothing() {
    let database = sqlite();
    let kiln = guarded(&database);
    let admin = Holder {
        kiln: &kiln,
        key: key(&database, "admin", &["--role", "admin"]),
    };
    admin.put(r#"{"resourceType":"Patient","id":"p"}"#);
    let lost = Holder {
        kiln: &kiln,
        key: key(&database, "lost", &["--scope", "patient/*.cruds"]),
    };
    for (method, path) in [
        ("GET", "/fhir/Patient"),
        ("GET", "/fhir/Patient/p"),
        ("GET", "/fhir/Patient/p/_history"),
        ("GET", "/fhir/Practitioner"),
        ("PUT", "/fhir/Patient/p"),
        ("DELETE", "/fhir/Patient/p"),
    ] {
        let answer = lost.ask(method, path, r#"{"resourceType":"Patient","id":"p"}"#);
        assert!(
            matches!(answer.status, 403 | 404),
            "{method} {path}: {}",
            answer.status
        );
    }
    assert_eq!(database.number("SELECT count(*) FROM versions"), 1);
}

#[test]
fn t33_nothing_is_known_that_was_not_made() {
    let database = sqlite();
    let kiln = guarded(&database);
    // admin:admin, mirth:mirth, kiln:kiln, root:
    for secret in [
        "YWRtaW46YWRtaW4=",
        "bWlydGg6bWlydGg=",
        "a2lsbjpraWxu",
        "cm9vdDo=",
    ] {
        let header = [("Authorization", format!("Basic {secret}"))];
        let header = [(header[0].0, header[0].1.as_str())];
        let answer = send(kiln.address, "GET", "/fhir/Patient", &header, b"").unwrap();
        assert_eq!(answer.status, 401);
    }
    for path in [
        "/debug",
        "/admin",
        "/actuator",
        "/console/h2",
        "/api/debug",
        "/.env",
        "/fhir/../etc/passwd",
    ] {
        let answer = get(kiln.address, path);
        assert!(
            matches!(answer.status, 400 | 401 | 404),
            "{path}: {}",
            answer.status
        );
    }
}

#[test]
fn t26_http_2_is_not_spoken() {
    let kiln = Kiln::start(&sqlite());
    let mut connection = connect(kiln.address).unwrap();
    let mut opening = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    // An empty SETTINGS frame, then streams that are opened and reset.
    opening.extend([0, 0, 0, 4, 0, 0, 0, 0, 0]);
    for stream in 0..200_u8 {
        opening.extend([0, 0, 4, 3, 0, 0, 0, 0, stream, 0, 0, 0, 8]);
    }
    let _unless_closed = connection.write_all(&opening);
    let mut said = Vec::new();
    let _unless_reset = connection.read_to_end(&mut said);
    let said = String::from_utf8_lossy(&said);
    assert!(said.is_empty() || said.starts_with("HTTP/1.1 4"), "{said}");
    assert_eq!(get(kiln.address, "/health/live").status, 200);
}

/// The first message of TLS by which a client says that it knows versions up to this one, 3.1 being TLS 1.0.
fn hello(minor: u8) -> Vec<u8> {
    let mut body = vec![3, minor];
    body.extend([7; 32]);
    body.push(0);
    // Ciphers that TLS 1.0 had: RSA and ECDHE with AES and SHA-1.
    let ciphers: [u8; 8] = [0x00, 0x2f, 0x00, 0x35, 0xc0, 0x13, 0xc0, 0x14];
    body.extend([0, 8]);
    body.extend(ciphers);
    body.extend([1, 0]);
    let mut message = vec![1, 0, 0, u8::try_from(body.len()).unwrap()];
    message.extend(body);
    let mut record = vec![22, 3, 1, 0, u8::try_from(message.len()).unwrap()];
    record.extend(message);
    record
}

#[test]
fn a11_old_versions_of_tls_are_not_spoken() {
    let database = sqlite();
    let authority = crate::authority::Authority::new();
    let kiln = crate::http_tls::secured(&database, &authority, &authority, "");
    for minor in [0, 1, 2] {
        let mut stream = TcpStream::connect(kiln.address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        stream.write_all(&hello(minor)).unwrap();
        let mut said = Vec::new();
        let _unless_reset = stream.read_to_end(&mut said);
        // An alert, or nothing: never the server's part of a handshake.
        assert_ne!(said.first(), Some(&22), "3.{minor}: {said:?}");
    }
}

fn t28_what_attackers_write_is_looked_for_and_nothing_else(database: &Database) {
    let kiln = Kiln::start(database);
    for family in ["Meier", "Huber"] {
        let body = format!(
            r#"{{"resourceType":"Patient","name":[{{"family":"{family}"}}],"identifier":[{{"value":"{family}"}}]}}"#
        );
        let made = send(
            kiln.address,
            "POST",
            "/fhir/Patient",
            &[FHIR_JSON],
            body.as_bytes(),
        );
        assert_eq!(made.unwrap().status, 201);
    }
    let bits = [
        "'",
        "\"",
        "--",
        ";",
        "/*",
        "*/",
        "%",
        "_",
        "\\",
        ")",
        "(",
        "||",
        "0x",
        "$1",
        "?",
        "{",
        "\u{0}",
        "\u{1f525}",
    ];
    let words = [
        "OR 1=1",
        "UNION SELECT 1",
        "; DROP TABLE versions",
        "pg_sleep(9)",
        "AND 1=0",
        "LIKE '%'",
    ];
    let mut tried = 0;
    for bit in bits {
        for word in words {
            let text: String = format!("{bit} {word} {bit}")
                .bytes()
                .map(|byte| format!("%{byte:02X}"))
                .collect();
            for place in [
                format!("/fhir/Patient?family={text}"),
                format!("/fhir/Patient?identifier={text}"),
                format!("/fhir/Patient?{text}=x"),
                format!("/fhir/Patient?family:{text}=x"),
                format!("/fhir/Patient?_sort={text}"),
                format!("/fhir/Patient?_filter=family%20eq%20%22{text}%22"),
                format!("/fhir/Patient?_id={text}"),
                format!("/fhir/Patient/{text}"),
            ] {
                let answer = get(kiln.address, &place);
                tried += 1;
                assert!(
                    matches!(answer.status, 200 | 400 | 404),
                    "{place}: {}",
                    answer.status
                );
                if answer.status == 200 {
                    let found = answer.json();
                    assert_eq!(found.items_of("entry").len(), 0, "{place}");
                }
            }
        }
    }
    assert!(tried > 500);
    assert_eq!(database.number("SELECT count(*) FROM versions"), 2);
}

/// Somebody who counts who comes.
fn canary() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, came) = (
        listener.local_addr().unwrap(),
        Arc::new(AtomicUsize::new(0)),
    );
    let counter = Arc::clone(&came);
    std::thread::spawn(move || {
        for _ in listener.incoming() {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    });
    (address, came)
}

/// Addresses inside, as attackers write them.
const INSIDE: &[&str] = &[
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "2130706433",
    "0x7f000001",
    "0x7f.0.0.1",
    "0177.0.0.1",
    "017700000001",
    "127.0.0.1.",
    "127.255.255.254",
    "0.0.0.0",
    "0",
    "[::1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[0:0:0:0:0:ffff:7f00:0001]",
    "[64:ff9b::7f00:1]",
    "[::127.0.0.1]",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "a.localhost",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.0.1",
    "169.254.169.254",
    "100.64.0.1",
    "[fe80::1]",
    "[fc00::1]",
    "[fd00:ec2::254]",
    "metadata.google.internal",
    "example.org@127.0.0.1",
    "127.0.0.1%23example.org",
    "127%2e0%2e0%2e1",
    "\u{2460}27.0.0.1",
    "127\u{3002}0\u{3002}0\u{3002}1",
    "[::ffff:10.0.0.1]",
    "[::ffff:169.254.169.254]",
    "224.0.0.1",
    "255.255.255.255",
    "[ff02::1]",
    "198.18.0.1",
    "192.0.0.1",
    "240.0.0.1",
];

#[test]
fn t13_endpoints_inside_are_not_reached_however_they_are_written() {
    let database = sqlite();
    let settings = hurried("[0]").replace("outbound_allow = [\"127.0.0.0/8\"]", "");
    let kiln = Kiln::configured(&database, &format!("auth = \"smart\"\n{settings}"));
    let admin = Holder {
        kiln: &kiln,
        key: key(&database, "admin", &["--role", "admin"]),
    };
    let (address, came) = canary();
    let port = address.port();
    let (mut taken, mut refused) = (Vec::new(), 0);
    for host in INSIDE {
        for scheme in ["https", "http"] {
            let body = format!(
                r#"{{"resourceType":"Subscription","status":"requested","reason":"test","criteria":"Patient","channel":{{"type":"rest-hook","endpoint":"{scheme}://{host}:{port}/hook"}}}}"#
            );
            let made = admin.ask("POST", "/fhir/Subscription", &body);
            match made.status {
                201 => taken.push(made.json().str_of("id").unwrap().to_owned()),
                422 | 400 => refused += 1,
                other => panic!("{scheme}://{host}: {other} {}", made.text()),
            }
        }
    }
    assert!(refused > INSIDE.len(), "{refused} refused, {taken:?} taken");
    let made = admin.ask("POST", "/fhir/Patient", r#"{"resourceType":"Patient"}"#);
    assert_eq!(made.status, 201);
    // What could not be told by its name alone is given up once it is known where the name leads.
    for id in &taken {
        let until = Instant::now() + PATIENCE;
        loop {
            let read = admin.get(&format!("/fhir/Subscription/{id}"));
            if read.json().str_of("status") == Some("error") {
                break;
            }
            assert!(Instant::now() < until, "{}", read.text());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    assert_eq!(came.load(Ordering::Relaxed), 0);
}

/// Headers that would change what is sent, or are none.
const SMUGGLING: &[&str] = &[
    "Host: evil.test",
    "host: evil.test",
    "Content-Length: 0",
    "content-length:5",
    "Transfer-Encoding: chunked",
    "TE: trailers",
    "Trailer: x",
    "Upgrade: h2c",
    "Connection: close",
    "Keep-Alive: 1",
    "Proxy-Authorization: Basic x",
    "Proxy-Connection: close",
    "Expect: 100-continue",
    "X: a\\r\\nHost: evil.test",
    "X: a\\nHost: evil.test",
    "X: a\\rY: b",
    "X\\r\\n: a",
    "X : a",
    " X: a",
    ": a",
    "",
    "X",
    "X\\u0000: a",
    "X: \\u0000",
    "X: a\\u000b",
    "Content-Type: text/html",
    "webhook-id: 1",
    "webhook-signature: v1,x",
    "webhook-timestamp: 0",
    "X(Y): a",
    "X/Y: a",
    "X@Y: a",
    "X[Y]: a",
    "X{Y}: a",
    "X\\\"Y: a",
    "X,Y: a",
    "X;Y: a",
    "X=Y: a",
    "X?Y: a",
    "\\u00e9: a",
];

#[test]
fn t15_headers_of_a_subscription_smuggle_nothing() {
    let database = sqlite();
    let kiln = Kiln::start(&database);
    for header in SMUGGLING {
        let body = format!(
            r#"{{"resourceType":"Subscription","status":"requested","reason":"test","criteria":"Patient","channel":{{"type":"rest-hook","endpoint":"https://example.org/hook","header":["{header}"]}}}}"#
        );
        let made = send(
            kiln.address,
            "POST",
            "/fhir/Subscription",
            &[FHIR_JSON],
            body.as_bytes(),
        )
        .unwrap();
        assert!(
            matches!(made.status, 400 | 422),
            "{header}: {} {}",
            made.status,
            made.text()
        );
    }
    assert_eq!(database.number("SELECT count(*) FROM versions"), 0);
}

#[test]
fn t47_conditions_that_make_no_sense_change_nothing() {
    let database = sqlite();
    let kiln = Kiln::start(&database);
    let body = br#"{"resourceType":"Patient","id":"a"}"#;
    let put = |condition: &str| {
        let headers = [FHIR_JSON, ("If-Match", condition)];
        send(kiln.address, "PUT", "/fhir/Patient/a", &headers, body)
            .unwrap()
            .status
    };
    let made = send(kiln.address, "PUT", "/fhir/Patient/a", &[FHIR_JSON], body).unwrap();
    assert_eq!(made.status, 201);
    for condition in [
        "W/\"0\"",
        "W/\"2\"",
        "W/\"-1\"",
        "W/\"99999999999999999999\"",
        "W/\"1e0\"",
        "W/\"01\"",
        "W/\" 1\"",
        "\"2\"",
        "2",
        "x",
        "W/\"\"",
        "\"",
        "W/",
        "W/\"9223372036854775808\"",
    ] {
        assert!(matches!(put(condition), 400 | 412), "{condition}");
    }
    assert_eq!(database.number("SELECT count(*) FROM versions"), 1);
    for version in ["0", "2", "-1", "99999999999999999999", "1e0", "x"] {
        let answer = get(kiln.address, &format!("/fhir/Patient/a/_history/{version}"));
        assert!(
            matches!(answer.status, 400 | 404),
            "{version}: {}",
            answer.status
        );
    }
    for id in [
        "x".repeat(65),
        "a%2Fb".to_owned(),
        "a b".replace(' ', "%20"),
        "%00".to_owned(),
    ] {
        let answer = get(kiln.address, &format!("/fhir/Patient/{id}"));
        assert!(
            matches!(answer.status, 400 | 404),
            "{id}: {}",
            answer.status
        );
    }
}
