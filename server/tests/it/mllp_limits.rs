//! MLLP within bounds: how many connections, how slow, how much; and how it ends.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use interop::formats::hl7v2::mllp::frame;

use crate::client::get;
use crate::databases::{Database, sqlite};
use crate::kiln::{Kiln, command};
use crate::mllp::{Sender, adt, messages, said};

on_both_databases!(what_is_under_way_is_answered_before_the_end);

fn limited(database: &Database, limits: &str) -> Kiln {
    Kiln::configured(database, &format!("[limits]\n{limits}\n"))
}

/// Whether the other side has closed it.
fn is_closed(stream: &mut TcpStream) -> bool {
    matches!(stream.read(&mut [0; 64]), Ok(0) | Err(_))
}

#[test]
fn an_address_has_so_many_connections() {
    let database = sqlite();
    let kiln = limited(&database, "mllp_connections_per_address_max = 2");
    let mut first = Sender::to(kiln.mllp[0]);
    let mut second = Sender::to(kiln.mllp[0]);
    assert_eq!(said(&first.ask(adt("1", "P1"))).0, "AA");
    assert_eq!(said(&second.ask(adt("2", "P1"))).0, "AA");
    let mut third = Sender::to(kiln.mllp[0]);
    assert!(is_closed(&mut third.stream));
    drop(first);
    // Its place is free as soon as the server has seen it go.
    let again = (0..200).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        let mut sender = Sender::to(kiln.mllp[0]);
        let sent = sender.stream.write_all(&frame(adt("3", "P1").as_bytes()));
        sent.is_ok() && sender.answer().is_some()
    });
    assert!(again);
    let metrics = get(kiln.address, "/metrics").text();
    assert!(metrics.contains("kiln_mllp_connections_refused_total"));
    assert!(
        metrics.contains("kiln_messages_total{route=\"mllp\",code=\"AA\"} 3"),
        "{metrics}"
    );
}

#[test]
fn who_drips_is_answered_and_closed_and_others_are_not_held_up() {
    let database = sqlite();
    let kiln = limited(&database, "mllp_grace_ms = 300");
    let mut slow = Sender::to(kiln.mllp[0]);
    let bytes = frame(adt("slow", "P1").as_bytes());
    slow.bytes(&bytes[..100]);
    assert_eq!(
        said(&Sender::to(kiln.mllp[0]).ask(adt("other", "P1"))).0,
        "AA"
    );
    assert_eq!(said(&slow.answer().unwrap()), ("AE", "slow"));
    assert_eq!(slow.answer(), None);
    assert_eq!(messages(&kiln, "status=error").len(), 1);
}

#[test]
fn who_says_nothing_for_long_is_closed() {
    let database = sqlite();
    let kiln = limited(&database, "mllp_idle_ms = 200");
    let mut silent = Sender::to(kiln.mllp[0]);
    assert!(is_closed(&mut silent.stream));
}

#[test]
fn what_is_no_mllp_is_closed() {
    let database = sqlite();
    let kiln = Kiln::start(&database);
    let mut other = Sender::to(kiln.mllp[0]);
    let _sent = other.stream.write_all(&[b'x'; 100_000]);
    assert!(is_closed(&mut other.stream));
}

#[test]
fn many_large_frames_at_once_stay_within_their_room() {
    let database = sqlite();
    let limits =
        "message_bytes_max = 8388608\nmllp_bytes_under_way_max = 16777216\nmllp_grace_ms = 2000";
    let kiln = limited(&database, limits);
    let before = kiln.memory_peak_kib();
    // Thirty senders begin frames of 8 MB that never end: 240 MB, of which 16 have a place.
    let senders: Vec<_> = (0..30)
        .map(|_| {
            let address = kiln.mllp[0];
            std::thread::spawn(move || {
                let mut stream = TcpStream::connect(address).unwrap();
                stream
                    .set_write_timeout(Some(Duration::from_secs(20)))
                    .unwrap();
                let begun = stream.write_all(b"\x0bMSH|^~\\&|A|B|C|D|2026||ADT^A08|x|P|2.5\rZZZ|");
                let piece = vec![b'x'; 64 * 1024];
                begun.is_ok() && (0..120).all(|_| stream.write_all(&piece).is_ok())
            })
        })
        .collect();
    for sender in senders {
        sender.join().unwrap();
    }
    let grown = kiln.memory_peak_kib() - before;
    assert!(grown < 120 * 1024, "{grown} KiB");
    assert_eq!(
        said(&Sender::to(kiln.mllp[0]).ask(adt("after", "P1"))).0,
        "AA"
    );
}

fn what_is_under_way_is_answered_before_the_end(database: &Database) {
    let kiln = Kiln::start(database);
    let mut sender = Sender::to(kiln.mllp[0]);
    let all: Vec<u8> = (0..20)
        .flat_map(|number| frame(adt(&format!("C{number}"), "P1").as_bytes()))
        .collect();
    sender.bytes(&all);
    assert_eq!(said(&sender.answer().unwrap()).0, "AA");
    let (status, _) = kiln.stop("TERM");
    assert!(status.success());
    let mut answered = 1;
    while let Some(answer) = sender.answer() {
        assert_eq!(said(&answer), ("AA", &*format!("C{answered}")));
        answered += 1;
    }
    // What was read was answered, and what was answered is there.
    let kiln = Kiln::start(database);
    assert!(messages(&kiln, "limit=100").len() >= answered);
}

#[test]
fn off_loopback_it_wants_tls_or_a_word() {
    let database = sqlite();
    let run = |settings: &str| {
        let file = database.directory.join("kiln.toml");
        std::fs::write(&file, settings).unwrap();
        let mut command = command();
        command.args([
            "--database",
            &database.url,
            "--listen",
            "127.0.0.1:0",
            "--mllp",
            "0.0.0.0:0",
        ]);
        command.arg("--config").arg(&file);
        command
    };
    let refused = run("").output().unwrap();
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        !refused.status.success() && told.contains("allow_plaintext"),
        "{told}"
    );
    let kiln = Kiln::from_command(&mut run("allow_plaintext = true"));
    assert_eq!(kiln.mllp.len(), 1);
}

#[test]
fn a_report_with_a_large_document_is_taken_in_bounded_memory() {
    let database = sqlite();
    let kiln = Kiln::start(&database);
    let mut sender = Sender::to(kiln.mllp[0]);
    assert_eq!(said(&sender.ask(adt("1", "P1"))).0, "AA");
    let before = kiln.memory_peak_kib();
    let document = "JVBERi0xLjQK".repeat(16 * 1024 * 1024 / 12);
    let report = format!(
        "MSH|^~\\&|LAB|HOSP|KILN|HERE|20260301120000+0000||ORU^R01^ORU_R01|2|P|2.5.1\r\
         PID|1||P1^^^HOSP^MR||Muster^Erika\r\
         OBR|1|1^HOSP|2^LAB|24323-8^Panel^LN|||20260301080000+0000|||||||||||||||20260301115900+0000||CH|F\r\
         OBX|1|ED|PDF^Report||^application^pdf^Base64^{document}||||||F\r"
    );
    assert_eq!(said(&sender.ask(&report)), ("AA", "2"));
    // The message, what it says, and what is written of it: some copies at a time, and not many.
    let grown = kiln.memory_peak_kib() - before;
    let size = u64::try_from(report.len()).unwrap() / 1024;
    assert!(grown < 10 * size, "{grown} KiB for {size} KiB");
    let found = get(kiln.address, "/fhir/DiagnosticReport?_summary=count").json();
    assert_eq!(found.get("total").unwrap().as_u64(), Some(1));
}
