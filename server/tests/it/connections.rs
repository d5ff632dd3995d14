//! Clients that are slow, many, or gone; and those beside them who are not.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread::sleep;
use std::time::Duration;

use server::fault::Kind;

use crate::client::{Answer, FHIR_JSON, connect, get, post, receive, send};
use crate::databases::sqlite;
use crate::kiln::Kiln;

const PATIENT: &str = r#"{"resourceType":"Patient"}"#;
const WHOLE: &str = "GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n";
const HALF: &str = "GET /health/live HTTP/1.1\r\nHos";
/// Long enough for a drop after the other to take longer than the limits that are set below.
const DROP: Duration = Duration::from_millis(20);

/// A connection from another address than the other connections of the tests have.
fn connect_from_elsewhere(address: SocketAddr) -> TcpStream {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .unwrap();
    let stream = runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
        socket.connect(address).await.unwrap().into_std().unwrap()
    });
    stream.set_nonblocking(false).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    stream
}

fn refused(stream: &mut TcpStream, limit: &str) {
    let answer = receive(stream).unwrap();
    assert_eq!(answer.status, Kind::Unavailable.row().status);
    assert!(answer.text().contains(limit), "{}", answer.text());
    assert!(answer.header("Retry-After").is_some());
    assert!(answer.json().get("status").is_some());
}

/// Reads the answer to `WHOLE` from a connection that stays open.
fn is_let_in(stream: &mut TcpStream) {
    let mut answer = Vec::new();
    while !answer.ends_with(b"live") {
        let mut bytes = [0; 1024];
        let length = stream.read(&mut bytes).unwrap();
        assert!(length > 0, "{}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&bytes[..length]);
    }
}

/// Waits until there is no connection but the one that asks.
fn others_are_closed(kiln: &Kiln) {
    let alone = || metric(kiln, "kiln_http_connections_open") == 1;
    let is_alone = (0..500).any(|_| {
        sleep(DROP);
        alone()
    });
    assert!(is_alone, "{}", metric(kiln, "kiln_http_connections_open"));
}

fn metric(kiln: &Kiln, name: &str) -> u64 {
    let text = get(kiln.address, "/metrics").text();
    let line = text
        .lines()
        .find(|line| line.starts_with(name))
        .unwrap()
        .to_owned();
    line.rsplit_once(' ').unwrap().1.parse().unwrap()
}

#[test]
fn one_address_cannot_take_all_connections() {
    let settings = "[limits]\nconnections_per_address_max = 3\n";
    let database = sqlite();
    let kiln = Kiln::configured(&database, settings);
    let mut held: Vec<TcpStream> = (0..3)
        .map(|_| connect_from_elsewhere(kiln.address))
        .collect();
    for stream in &mut held {
        write!(stream, "{WHOLE}").unwrap();
        is_let_in(stream);
    }
    let mut more = connect_from_elsewhere(kiln.address);
    refused(&mut more, "connections_per_address_max");
    assert_eq!(
        get(kiln.address, "/health/live").status,
        200,
        "others are let in"
    );
    assert_eq!(metric(&kiln, "kiln_http_connections_refused_total"), 1);
    drop(held);
    // The places are given back, though perhaps not at once.
    let answer = (0..500).find_map(|_| {
        let mut stream = connect_from_elsewhere(kiln.address);
        write!(
            stream,
            "GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        sleep(DROP);
        receive(&mut stream).filter(|answer| answer.status == 200)
    });
    assert!(answer.is_some());
}

#[test]
fn all_connections_together_are_limited_and_proxies_bring_many() {
    let settings = "trusted_proxies = ['127.0.0.1']\n[limits]\nconnections_max = 8\nconnections_per_address_max = 1\n";
    let database = sqlite();
    let kiln = Kiln::configured(&database, settings);
    let mut held: Vec<TcpStream> = (0..8).map(|_| connect(kiln.address).unwrap()).collect();
    for stream in &mut held {
        write!(stream, "{WHOLE}").unwrap();
        is_let_in(stream);
    }
    let mut more = connect(kiln.address).unwrap();
    refused(&mut more, "connections_max");
}

#[test]
fn two_thousand_half_open_connections_do_not_keep_others_from_their_answers() {
    let database = sqlite();
    let flood = |settings: &str| {
        let kiln = Kiln::configured(&database, settings);
        let mut held = Vec::new();
        for _ in 0..2_000 {
            let mut stream = connect_from_elsewhere(kiln.address);
            // One that is refused may be closed by now.
            let _sent = write!(stream, "{HALF}");
            held.push(stream);
        }
        for _ in 0..50 {
            let created = post(kiln.address, "/fhir/Patient", PATIENT);
            assert_eq!(created.status, 201);
            let ready = get(kiln.address, "/health/ready");
            assert_eq!(ready.status, 200, "{}", ready.text());
        }
        (kiln, held)
    };
    // As it is by default most of them are not let in.
    let (kiln, held) = flood("");
    assert!(metric(&kiln, "kiln_http_connections_refused_total") >= 1_000);
    drop((kiln, held));
    // And those that are let in are not waited for.
    let settings = "[limits]\nconnections_per_address_max = 3000\nheaders_wait_ms = 1500\n";
    let (kiln, held) = flood(settings);
    for mut stream in held {
        let mut rest = Vec::new();
        let read = stream.read_to_end(&mut rest);
        let ended = read.is_ok()
            || read.is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionReset);
        assert!(ended, "the connection is closed");
        let told = String::from_utf8_lossy(&rest).starts_with("HTTP/1.1 408");
        assert!(told || rest.is_empty());
    }
    assert_eq!(metric(&kiln, "kiln_http_connections_refused_total"), 0);
    assert_eq!(get(kiln.address, "/health/live").status, 200);
}

/// Sends a byte at a time until the server has had enough.
fn drip(stream: &mut TcpStream, bytes: &[u8]) {
    for byte in bytes.iter().cycle() {
        if stream.write_all(&[*byte]).is_err() {
            return;
        }
        sleep(DROP);
        stream.set_nonblocking(true).unwrap();
        let read = stream.peek(&mut [0]);
        stream.set_nonblocking(false).unwrap();
        if read.is_ok() {
            return;
        }
    }
}

#[test]
fn headers_that_come_by_drops_are_not_waited_for() {
    let settings = "[limits]\nheaders_wait_ms = 1500\n";
    let database = sqlite();
    let kiln = Kiln::configured(&database, settings);
    let endless = "GET / HTTP/1.1\r\nX: ".to_owned() + &"x".repeat(100);
    let mut first = connect(kiln.address).unwrap();
    drip(&mut first, endless.as_bytes());
    assert_eq!(receive(&mut first).map(|answer| answer.status), Some(408));
    // The same behind a request that was answered.
    let mut second = connect(kiln.address).unwrap();
    write!(second, "{WHOLE}").unwrap();
    is_let_in(&mut second);
    drip(&mut second, endless.as_bytes());
    assert!(receive(&mut second).is_none(), "closed without an answer");
    others_are_closed(&kiln);
}

#[test]
fn a_body_that_comes_by_drops_is_not_waited_for() {
    let settings = "[limits]\nbody_grace_ms = 200\nbody_rate_min = 1024\n";
    let database = sqlite();
    let kiln = Kiln::configured(&database, settings);
    let mut slow = connect(kiln.address).unwrap();
    write!(
        slow,
        "POST /fhir/Patient HTTP/1.1\r\nHost: x\r\nContent-Type: {}\r\nContent-Length: 100000\r\n\r\n",
        FHIR_JSON.1
    )
    .unwrap();
    drip(&mut slow, b" ");
    let answer = receive(&mut slow).unwrap();
    assert_eq!(answer.status, Kind::BodyTimeout.row().status);
    assert!(answer.text().contains("body_rate_min"));
}

#[test]
fn an_answer_that_nobody_reads_is_not_kept() {
    let settings = "[limits]\nanswer_wait_ms = 500\n";
    let database = sqlite();
    let kiln = Kiln::configured(&database, settings);
    let headers = [("Content-Type", "application/pdf")];
    let content = vec![7; 16 << 20];
    let created: Answer = send(kiln.address, "POST", "/fhir/Binary", &headers, &content).unwrap();
    let (_, path) = created
        .header("Location")
        .unwrap()
        .split_once("/fhir/")
        .unwrap();
    let mut deaf = connect(kiln.address).unwrap();
    write!(deaf, "GET /fhir/{path} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    others_are_closed(&kiln);
}

#[test]
fn a_system_that_allows_few_files_gets_few_connections() {
    let database = sqlite();
    let program = env!("CARGO_BIN_EXE_kiln");
    let url = &database.url;
    let script = format!("ulimit -n 260 && exec {program} --database {url} --listen 127.0.0.1:0");
    let mut command = std::process::Command::new("sh");
    let kiln = Kiln::from_command(command.args(["-c", &script]));
    let mut held: Vec<TcpStream> = (0..4)
        .map(|_| connect_from_elsewhere(kiln.address))
        .collect();
    for stream in &mut held {
        write!(stream, "{WHOLE}").unwrap();
        is_let_in(stream);
    }
    refused(&mut connect(kiln.address).unwrap(), "connections_max");
    drop(held);
    let log = kiln.stop_and_read_log();
    assert!(log.contains("too few files"), "{log}");
}
