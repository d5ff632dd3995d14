//! MLLP from outside: what is sent is answered, whatever it is, and the connection goes on.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use interop::formats::hl7v2::mllp::{Event, Frames, frame};

use crate::client::get;
use crate::databases::Database;
use crate::kiln::Kiln;

on_both_databases!(
    the_message_of_the_guide_is_taken_as_it_is_printed,
    split_and_joined_frames_are_answered_in_their_order,
    what_is_no_message_is_answered_and_kept_and_the_connection_goes_on,
    the_sender_says_what_it_wants_to_hear,
    the_same_message_is_answered_as_before_also_after_a_restart,
    a_batch_is_answered_by_a_batch,
);

/// A sender.
pub(crate) struct Sender {
    pub(crate) stream: TcpStream,
    frames: Frames,
    heard: Vec<String>,
}

impl Sender {
    pub(crate) fn to(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        let wait = Some(Duration::from_secs(60));
        stream.set_read_timeout(wait).unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            frames: Frames::new(usize::MAX),
            heard: Vec::new(),
        }
    }

    pub(crate) fn send(&mut self, message: impl AsRef<[u8]>) {
        self.bytes(&frame(message.as_ref()));
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// The next answer; None: the connection has ended.
    pub(crate) fn answer(&mut self) -> Option<String> {
        let mut buffer = [0; 4096];
        while self.heard.is_empty() {
            let count = self
                .stream
                .read(&mut buffer)
                .ok()
                .filter(|count| *count > 0)?;
            let mut input = &buffer[..count];
            while let Some(event) = self.frames.next(&mut input) {
                let Event::Frame(bytes) = event else {
                    panic!("{event:?}");
                };
                self.heard.push(String::from_utf8(bytes).unwrap());
            }
        }
        Some(self.heard.remove(0))
    }

    pub(crate) fn ask(&mut self, message: impl AsRef<[u8]>) -> String {
        self.send(message);
        self.answer().expect("an answer")
    }
}

/// MSA-1 and MSA-2.
pub(crate) fn said(answer: &str) -> (&str, &str) {
    let msa = answer.split('\r').find(|line| line.starts_with("MSA"));
    let mut fields = msa.unwrap().split('|');
    (fields.nth(1).unwrap(), fields.next().unwrap())
}

/// An admission of a patient.
pub(crate) fn adt(control_id: &str, patient: &str) -> String {
    format!(
        "MSH|^~\\&|ADT|HOSP|KILN|HERE|20260301120000||ADT^A08^ADT_A01|{control_id}|P|2.5.1\r\
         EVN|A08|20260301120000\r\
         PID|1||{patient}^^^HOSP^MR||Muster^Erika||19800101|F\r\
         PV1|1|I|W1^R1^B1||||||||||||||||V{patient}^^^HOSP\r"
    )
}

fn mllp(kiln: &Kiln) -> Sender {
    Sender::to(kiln.mllp[0])
}

/// The entries of the message store that a query finds.
pub(crate) fn messages(kiln: &Kiln, query: &str) -> Vec<fhir_spec::json::Value> {
    let answer = get(kiln.address, &format!("/api/messages?{query}"));
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json().items_of("messages").to_vec()
}

fn the_message_of_the_guide_is_taken_as_it_is_printed(database: &Database) {
    const PRINTED: &str = "MSH|^~\\&|ADT1|MCM|LABADT|MCM|198808181126|SECURITY|ADT|MSG00001|P|2.1\n\
        PID|||PATID1234^5^M11||JONES^WILLIAM^A^III||19610615|M-||C|1200 N ELM STREET^^GREENSBORO^NC^27401-1020|GL|(919)379-1212|(919)271-3434||S||PATID12345001^2^M10|123456789|987654^NC\n\
        NK1|1|JONES^BARBARA^K|SPO|||||20011105\n\
        PV1|1|I|2000^2012^01||||004777^LEBAUER^SIDNEY^J.|||SUR||-||1|A0-\n";
    let kiln = Kiln::start(database);
    let answer = mllp(&kiln).ask(PRINTED);
    assert_eq!(said(&answer), ("AA", "MSG00001"), "{answer}");
    let [entry] = &messages(&kiln, "controlId=MSG00001")[..] else {
        panic!("it is kept once");
    };
    assert_eq!(entry.str_of("status"), Some("applied"));
    let found = get(kiln.address, "/fhir/Patient?identifier=PATID1234").json();
    let patient = found.items_of("entry")[0].get("resource").unwrap();
    let name = &patient.items_of("name")[0];
    assert_eq!(name.str_of("family"), Some("JONES"));
}

fn split_and_joined_frames_are_answered_in_their_order(database: &Database) {
    let kiln = Kiln::start(database);
    let mut sender = mllp(&kiln);
    let whole: Vec<u8> = (0..50)
        .flat_map(|number| {
            frame(adt(&format!("C{number}"), &format!("P{}", number % 7)).as_bytes())
        })
        .collect();
    for piece in whole.chunks(777) {
        sender.bytes(piece);
    }
    for number in 0..50 {
        let answer = sender.answer().unwrap();
        assert_eq!(said(&answer), ("AA", &*format!("C{number}")), "{answer}");
    }
    // Byte by byte.
    for byte in frame(adt("slow", "P1").as_bytes()) {
        sender.bytes(&[byte]);
    }
    assert_eq!(said(&sender.answer().unwrap()), ("AA", "slow"));
    assert_eq!(messages(&kiln, "status=applied&limit=100").len(), 51);
    // All that was said of one patient came in its order.
    let of_patient = messages(&kiln, "patient=P3&limit=100");
    let order: Vec<&str> = of_patient
        .iter()
        .filter_map(|entry| entry.str_of("controlId"))
        .collect();
    assert_eq!(order, ["C45", "C38", "C31", "C24", "C17", "C10", "C3"]);
}

fn what_is_no_message_is_answered_and_kept_and_the_connection_goes_on(database: &Database) {
    let kiln = Kiln::configured(database, "[limits]\nmessage_bytes_max = 4096\n");
    let mut sender = mllp(&kiln);
    let huge = adt("huge", "P1") + &"ZZZ|x\r".repeat(1000);
    let unknown = "MSH|^~\\&|A|B|C|D|2026||ZZZ^Z99|unknown|P|2.5\rPID|1\r";
    let wrong_charset = [
        adt("charset", "P1")
            .replace("2.5.1\r", "2.5.1||||||UNICODE UTF-8\r")
            .replace("Muster", "M")
            .as_bytes(),
        b"NTE|1||\xff\xfe\xe4\r",
    ]
    .concat();
    for (bytes, code, status) in [
        (b"\x01\x02 garbage \xff".to_vec(), "AR", "dead"),
        (b"PID|1||4711\r".to_vec(), "AR", "dead"),
        (b"MSH".to_vec(), "AR", "dead"),
        (b"MSH|".to_vec(), "AR", "dead"),
        (
            b"MSH|^^^^|A|B|C|D|2026||ADT^A08|bad|P|2.5\r".to_vec(),
            "AR",
            "dead",
        ),
        (unknown.into(), "AR", "dead"),
        (huge.into_bytes(), "AE", "error"),
        (wrong_charset, "AA", "applied"),
    ] {
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(60)]).into_owned();
        let answer = sender.ask(&bytes);
        assert_eq!(said(&answer).0, code, "{shown}: {answer}");
        assert!(code == "AA" || answer.contains("\rERR|"), "{answer}");
        let newest = &messages(&kiln, "limit=1")[0];
        assert_eq!(newest.str_of("status"), Some(status), "{shown}");
        assert!(code == "AA" || newest.str_of("reason").is_some());
    }
    // A frame that does not end before the next begins.
    let mut joined = frame(adt("unended", "P1").as_bytes());
    joined.truncate(joined.len() - 20);
    sender.bytes(&joined);
    assert_eq!(said(&sender.ask(adt("after", "P1"))), ("AE", "unended"));
    assert_eq!(said(&sender.answer().unwrap()), ("AA", "after"));
    // Line ends and a little junk between frames.
    sender.bytes(b"\r\n\r\nhello\r\n");
    assert_eq!(said(&sender.ask(adt("junk", "P1"))), ("AA", "junk"));
    // One that ends in the middle of a frame is answered too.
    let open = frame(adt("cut", "P1").as_bytes());
    sender.bytes(&open[..open.len() - 10]);
    sender.stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(said(&sender.answer().unwrap()), ("AE", "cut"));
    assert_eq!(sender.answer(), None);
    assert_eq!(messages(&kiln, "controlId=cut").len(), 1);
}

fn the_sender_says_what_it_wants_to_hear(database: &Database) {
    let kiln = Kiln::start(database);
    let mut sender = mllp(&kiln);
    let with = |control_id: &str, modes: &str| {
        adt(control_id, "P1").replace("|P|2.5.1", &format!("|P|2.5.1|||{modes}"))
    };
    assert_eq!(said(&sender.ask(with("a", "AL|NE"))), ("CA", "a"));
    assert_eq!(said(&sender.ask(with("b", "AL|AL"))), ("CA", "b"));
    assert_eq!(said(&sender.answer().unwrap()), ("AA", "b"));
    assert_eq!(said(&sender.ask(with("c", "NE|AL"))), ("AA", "c"));
    // Nothing is said of this one, but it is kept.
    sender.send(with("d", "NE|NE"));
    let unknown = "MSH|^~\\&|A|B|C|D|2026||ZZZ^Z99|e|P|2.5|||AL|AL\r";
    assert_eq!(said(&sender.ask(unknown)), ("CR", "e"));
    assert_eq!(messages(&kiln, "controlId=d").len(), 1);
    let answer = sender.ask(adt("f", "P1"));
    let expected = "MSH|^~\\&|KILN|HERE|ADT|HOSP|";
    assert!(answer.starts_with(expected), "{answer}");
}

fn the_same_message_is_answered_as_before_also_after_a_restart(database: &Database) {
    let kiln = Kiln::start(database);
    let first = mllp(&kiln).ask(adt("once", "P1"));
    assert_eq!(mllp(&kiln).ask(adt("once", "P1")), first);
    assert!(kiln.stop("TERM").0.success());
    let kiln = Kiln::start(database);
    let mut sender = mllp(&kiln);
    assert_eq!(sender.ask(adt("once", "P1")), first);
    let [entry] = &messages(&kiln, "controlId=once")[..] else {
        panic!("it is kept once");
    };
    assert!(entry.get("controlIdReused").is_none());
    let history = get(kiln.address, "/fhir/Patient?identifier=P1").json();
    let patient = history.items_of("entry")[0].get("resource").unwrap();
    let version = patient.get("meta").unwrap().str_of("versionId");
    assert_eq!(version, Some("1"));
    // Another message under the same control id is worked on, and that is told.
    let other = adt("once", "P2");
    assert_eq!(said(&sender.ask(&other)), ("AA", "once"));
    let entries = messages(&kiln, "controlId=once");
    assert_eq!(entries.len(), 2);
    assert_eq!(
        entries[0].get("controlIdReused").unwrap().to_string(),
        "true"
    );
}

fn a_batch_is_answered_by_a_batch(database: &Database) {
    let kiln = Kiln::start(database);
    let mut sender = mllp(&kiln);
    let batch = format!(
        "FHS|^~\\&|A|B\rBHS|^~\\&|A|B\r{}{}{}BTS|3\rFTS|1\r",
        adt("b1", "P1"),
        "MSH|^~\\&|A|B|C|D|2026||ZZZ^Z99|b2|P|2.5\rPID|1\r",
        adt("b3", "P1"),
    );
    let answer = sender.ask(batch);
    assert!(answer.starts_with("BHS|"), "{answer}");
    let codes: Vec<&str> = answer
        .split('\r')
        .filter(|line| line.starts_with("MSA"))
        .map(|line| line.trim_start_matches("MSA|"))
        .collect();
    assert!(
        codes[0].starts_with("AA|b1")
            && codes[1].starts_with("AR|b2")
            && codes[2].starts_with("AA|b3"),
        "{codes:?}"
    );
    assert!(answer.ends_with("BTS|3\r"), "{answer}");
    assert_eq!(said(&sender.ask(adt("after", "P1"))), ("AA", "after"));
}
