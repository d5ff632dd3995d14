//! MLLP over TLS: certificates of a small authority of our own, senders with and without one, and a renewal.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use interop::formats::hl7v2::mllp::frame;

use crate::authority::{Authority, Secured, connect};
use crate::databases::{Database, sqlite};
use crate::kiln::Kiln;
use crate::mllp::{adt, messages, said};

/// A server with one route that asks for TLS.
pub(crate) fn secured(
    database: &Database,
    authority: &Authority,
    client_ca: Option<&Authority>,
) -> Kiln {
    let directory = &database.directory;
    authority.issue("127.0.0.1").write(directory);
    let path = |name: &str| directory.join(name).display().to_string();
    let mut tls = format!(
        "certificate = {:?}, key = {:?}",
        path("cert.pem"),
        path("key.pem")
    );
    if let Some(client_ca) = client_ca {
        std::fs::write(directory.join("ca.pem"), client_ca.pem()).unwrap();
        tls += &format!(", client_ca = {:?}", path("ca.pem"));
    }
    Kiln::configured(
        database,
        &format!(
            "[[routes]]\nname = \"mllp\"\ntransport = \"mllp\"\nlisten = \"127.0.0.1:0\"\ntls = {{ {tls} }}\n"
        ),
    )
}

/// The answer; None: the connection was not wanted.
fn ask(stream: &mut Secured, message: &str) -> Option<String> {
    stream.write_all(&frame(message.as_bytes())).ok()?;
    let mut answer = Vec::new();
    let mut byte = [0];
    loop {
        stream.read_exact(&mut byte).ok()?;
        match byte[0] {
            0x0b => {}
            0x1c => return Some(String::from_utf8(answer).unwrap()),
            byte => answer.push(byte),
        }
    }
}

#[test]
fn messages_travel_by_tls_and_not_in_the_clear() {
    let database = sqlite();
    let authority = Authority::new();
    let kiln = secured(&database, &authority, None);
    let address = kiln.mllp[0];
    let mut sender = connect(address, &authority, None);
    for number in ["T1", "T2"] {
        let answer = ask(&mut sender, &adt(number, "P1")).unwrap();
        assert_eq!(said(&answer), ("AA", number));
    }

    let mut clear = TcpStream::connect(address).unwrap();
    clear.write_all(&frame(adt("T3", "P1").as_bytes())).unwrap();
    let mut answer = Vec::new();
    let _ended = clear.read_to_end(&mut answer);
    assert!(!answer.windows(3).any(|bytes| bytes == b"MSA"));
    // Whom the sender does not trust hears nothing.
    let mut wary = connect(address, &Authority::new(), None);
    assert_eq!(ask(&mut wary, &adt("T4", "P1")), None);
    assert_eq!(messages(&kiln, "").len(), 2);
}

#[test]
fn senders_show_a_certificate_where_one_is_asked_for() {
    let database = sqlite();
    let (authority, senders) = (Authority::new(), Authority::new());
    let kiln = secured(&database, &authority, Some(&senders));
    let address = kiln.mllp[0];
    let known = senders.issue("lab.example.org");
    let mut sender = connect(address, &authority, Some(&known));
    let answer = ask(&mut sender, &adt("M1", "P1")).unwrap();
    assert_eq!(said(&answer), ("AA", "M1"));

    let mut nameless = connect(address, &authority, None);
    assert_eq!(ask(&mut nameless, &adt("M2", "P1")), None);
    let stranger = Authority::new().issue("lab.example.org");
    let mut stranger = connect(address, &authority, Some(&stranger));
    assert_eq!(ask(&mut stranger, &adt("M3", "P1")), None);
    assert_eq!(messages(&kiln, "").len(), 1);
}

#[test]
fn a_renewed_certificate_is_shown_without_a_restart() {
    let database = sqlite();
    let authority = Authority::new();
    let kiln = secured(&database, &authority, None);
    let mut before = connect(kiln.mllp[0], &authority, None);
    assert!(ask(&mut before, &adt("R1", "P1")).is_some());
    let renewed = authority.issue("127.0.0.1");
    renewed.write(&database.directory);
    let is_shown = (0..300).any(|number| {
        std::thread::sleep(Duration::from_millis(100));
        let mut sender = connect(kiln.mllp[0], &authority, None);
        assert!(ask(&mut sender, &adt(&format!("R2-{number}"), "P1")).is_some());
        let shown = sender.conn.peer_certificates().unwrap();
        shown[0] == renewed.certificate
    });
    assert!(is_shown);
    // Who is connected stays so.
    assert!(ask(&mut before, &adt("R3", "P1")).is_some());

    // Files that make no server change nothing.
    std::fs::write(database.directory.join("cert.pem"), "nonsense").unwrap();
    for number in 0..60 {
        std::thread::sleep(Duration::from_millis(100));
        let mut sender = connect(kiln.mllp[0], &authority, None);
        assert!(ask(&mut sender, &adt(&format!("R4-{number}"), "P1")).is_some());
    }
    let log = kiln.stop_and_read_log();
    assert!(log.contains("the old ones stay"), "{log}");
}
