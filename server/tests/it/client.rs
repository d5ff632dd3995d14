//! A plain HTTP client that sends exactly what a test says, one connection per request.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use fhir_spec::json::{self, Value};

pub(crate) const FHIR_JSON: (&str, &str) = ("Content-Type", "application/fhir+json");

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        json::parse(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The code of the first issue of an OperationOutcome.
    pub(crate) fn issue_code(&self) -> String {
        let outcome = self.json();
        assert_eq!(outcome.str_of("resourceType"), Some("OperationOutcome"));
        outcome.items_of("issue")[0]
            .str_of("code")
            .unwrap()
            .to_owned()
    }
}

pub(crate) fn get(address: SocketAddr, path: &str) -> Answer {
    send(address, "GET", path, &[], b"").unwrap()
}

pub(crate) fn post(address: SocketAddr, path: &str, body: &str) -> Answer {
    send(address, "POST", path, &[FHIR_JSON], body.as_bytes()).unwrap()
}

/// `None` when the server went away before it answered.
pub(crate) fn send(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Option<Answer> {
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() {
        head.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    head.push_str("\r\n");
    let mut connection = connect(address)?;
    // The server may answer and close before it has read everything.
    let _sent = connection
        .write_all(head.as_bytes())
        .and_then(|()| connection.write_all(body));
    receive(&mut connection)
}

pub(crate) fn connect(address: SocketAddr) -> Option<TcpStream> {
    let connection = TcpStream::connect(address).ok()?;
    connection
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    Some(connection)
}

/// Reads until the server closes the connection, which it must do.
pub(crate) fn receive(connection: &mut TcpStream) -> Option<Answer> {
    let mut bytes = Vec::new();
    // What came before the connection broke counts.
    if let Err(error) = connection.read_to_end(&mut bytes) {
        let waited = matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
        assert!(!waited, "the server keeps the connection open");
    }
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut lines = head.lines();
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect();
    Some(Answer {
        status,
        headers,
        body: bytes[end + 4..].to_vec(),
    })
}
