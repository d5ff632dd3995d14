//! `kiln send`: messages to a receiver by MLLP, held against receivers that behave and that do not.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::thread::JoinHandle;

use interop::formats::hl7v2::mllp::frame;

use crate::commands::{Files, stderr, stdout};
use crate::databases::sqlite;
use crate::kiln::{Kiln, output};
use crate::mllp::{adt, messages};

fn send(files: &Files, to: SocketAddr, all: &[String], more: &[&str]) -> std::process::Output {
    let file = files.put("messages.hl7", all.concat().as_bytes());
    let to = to.to_string();
    let arguments = [&["send", file.as_str(), "--to", to.as_str()], more].concat();
    output(&arguments)
}

/// What a receiver does with one message.
#[derive(Clone, Copy)]
enum Deed {
    /// Answers with that code.
    Say(&'static str),
    /// Says nothing to this one; its answer comes before that to the next one.
    Late,
    Silent,
    /// Answers a message that nobody sent, then this one.
    Stray,
    /// Ends the connection.
    End,
}

/// A receiver that does one deed for each message, over as many connections as come. Gives the control ids that it got.
fn receiver(deeds: &'static [Deed]) -> (SocketAddr, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let run = std::thread::spawn(move || {
        let mut got = Vec::new();
        let mut left = deeds.iter();
        let mut late = Vec::new();
        while got.len() < deeds.len() {
            let Ok((mut stream, _)) = listener.accept() else {
                break;
            };
            while let Some(id) = one(&mut stream) {
                got.push(id.clone());
                let answer = |code: &str, id: &str| {
                    frame(
                        format!("MSH|^~\\&|R|R|||2024||ACK|1|P|2.5.1\rMSA|{code}|{id}\r")
                            .as_bytes(),
                    )
                };
                let bytes = match left.next() {
                    None => break,
                    Some(Deed::Say(code)) => {
                        [std::mem::take(&mut late), answer(code, &id)].concat()
                    }
                    Some(Deed::Late) => {
                        late = answer("AA", &id);
                        Vec::new()
                    }
                    Some(Deed::Silent) => Vec::new(),
                    Some(Deed::Stray) => [answer("AA", "nobody"), answer("AA", &id)].concat(),
                    Some(Deed::End) => break,
                };
                stream.write_all(&bytes).unwrap();
                if got.len() == deeds.len() {
                    break;
                }
            }
        }
        got
    });
    (address, run)
}

/// The control id of the next message.
fn one(stream: &mut TcpStream) -> Option<String> {
    let (mut bytes, mut byte) = (Vec::new(), [0]);
    loop {
        stream.read_exact(&mut byte).ok()?;
        match byte[0] {
            0x0b => bytes.clear(),
            0x1c => break,
            byte => bytes.push(byte),
        }
    }
    let text = String::from_utf8(bytes).unwrap();
    Some(text.split('|').nth(9)?.to_owned())
}

#[test]
fn messages_arrive_in_their_order_and_are_answered() {
    let database = sqlite();
    let kiln = Kiln::start(&database);
    let files = Files::new();
    let all: Vec<String> = (0..5)
        .map(|number| adt(&format!("S{number}"), "P1"))
        .collect();
    let sent = send(&files, kiln.mllp[0], &all, &[]);
    assert!(sent.status.success(), "{}", stderr(&sent));
    assert_eq!(stdout(&sent), "S0 AA\nS1 AA\nS2 AA\nS3 AA\nS4 AA\n");
    assert_eq!(messages(&kiln, "").len(), 5);

    // What is refused is told, and the others go on.
    let unknown = adt("S6", "P1").replace("ADT^A08^ADT_A01", "ZZZ^Z99");
    let sent = send(&files, kiln.mllp[0], &[unknown, adt("S7", "P1")], &[]);
    assert_eq!(sent.status.code(), Some(1));
    let told = stdout(&sent);
    assert!(
        told.starts_with("S6 AR ") && told.ends_with("S7 AA\n"),
        "{told}"
    );
}

#[test]
fn errors_are_tried_again_and_answers_belong_to_their_message() {
    let files = Files::new();
    let all = [adt("1", "a"), adt("2", "b"), adt("3", "c"), adt("4", "d")];
    let more = ["--pause-ms", "1", "--answer-ms", "400"];
    // The first is taken at the second try; the second is silent and its answer comes with the next try, late.
    const DEEDS: &[Deed] = &[
        Deed::Say("AE"),
        Deed::Say("AA"),
        Deed::Late,
        Deed::Say("AA"),
        Deed::Stray,
        Deed::End,
        Deed::Say("CA"),
    ];
    let (address, run) = receiver(DEEDS);
    let sent = send(&files, address, &all, &more);
    assert!(sent.status.success(), "{}{}", stdout(&sent), stderr(&sent));
    assert_eq!(stdout(&sent), "1 AA\n2 AA\n3 AA\n4 CA\n");
    assert_eq!(run.join().unwrap(), ["1", "1", "2", "2", "3", "4", "4"]);
}

#[test]
fn an_answer_that_comes_late_is_dropped() {
    let files = Files::new();
    const DEEDS: &[Deed] = &[Deed::Late, Deed::Say("AR"), Deed::Say("AA")];
    let (address, run) = receiver(DEEDS);
    let all = [adt("1", "a"), adt("2", "b"), adt("3", "a"), adt("4", "c")];
    let more = ["--answer-ms", "300", "--on-timeout", "park"];
    let sent = send(&files, address, &all, &more);
    assert_eq!(sent.status.code(), Some(1));
    let told = stdout(&sent);
    // The late AA is that of the first, not of the second; the third waits for the first, as it is about the same patient.
    assert_eq!(
        told,
        "1 no answer within 300 ms\n2 AR\n3 waits for another about the same patient\n4 AA\n"
    );
    assert!(
        stderr(&sent).contains("1 answers came late and were dropped"),
        "{}",
        stderr(&sent)
    );
    assert_eq!(run.join().unwrap(), ["1", "2", "4"]);
}

#[test]
fn what_follows_is_not_sent_when_silence_is_a_failure() {
    let files = Files::new();
    const DEEDS: &[Deed] = &[Deed::Silent];
    let (address, run) = receiver(DEEDS);
    let more = ["--answer-ms", "200", "--on-timeout", "fail"];
    let sent = send(&files, address, &[adt("1", "a"), adt("2", "b")], &more);
    assert_eq!(sent.status.code(), Some(1));
    assert!(
        stderr(&sent).contains("1 was not accepted"),
        "{}",
        stderr(&sent)
    );
    assert_eq!(run.join().unwrap(), ["1"]);
    // Nobody is there.
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let sent = send(
        &files,
        free,
        &[adt("1", "a")],
        &["--tries", "2", "--pause-ms", "1"],
    );
    assert!(
        stdout(&sent).contains("cannot be reached"),
        "{}",
        stdout(&sent)
    );
    for wrong in ["nowhere", ":1", "a:b"] {
        let refused = output(&["send", "-", "--to", wrong]);
        assert_eq!(refused.status.code(), Some(2), "{wrong}");
    }
}

/// The receivers of python-hl7 and of Medplum: messages that Kiln makes of resources are taken by programs that others wrote.
#[test]
fn receivers_of_others_take_what_is_made_of_resources() {
    let Some(place) = std::env::var_os("KILN_CLIENTS") else {
        let message = "SKIPPED: KILN_CLIENTS names no folder with clients of others\n";
        let _written = std::io::stderr().write_all(message.as_bytes());
        return;
    };
    let files = Files::new();
    let person = "{\"resourceType\":\"Patient\",\"identifier\":[{\"value\":\"1\"}],\"name\":[{\"family\":\"M\u{fc}ller\"}]}";
    let file = files.put("person.json", person.as_bytes());
    let mut all = Vec::new();
    for (event, id) in [("A28", "O1"), ("A31", "O2")] {
        let made = output(&[
            "convert",
            &file,
            "--to",
            "hl7v2",
            "--event",
            event,
            "--control-id",
            id,
        ]);
        assert!(made.status.success(), "{}", stderr(&made));
        all.push(stdout(&made).to_owned());
    }
    let place = Path::new(&place);
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../conformance-tests/clients");
    let copied = place.join("medplum_receiver.mjs");
    std::fs::copy(scripts.join("medplum_receiver.mjs"), &copied).unwrap();
    for (program, script) in [
        (
            place.join("python/bin/python"),
            scripts.join("hl7_receiver.py"),
        ),
        ("node".into(), copied),
    ] {
        let free = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let mut command = Command::new(program);
        command.arg(script).arg(free.port().to_string());
        let mut run = command
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        // It is there as soon as it can be reached: until then it is tried again.
        let more = [
            "--tries",
            "100",
            "--pause-ms",
            "100",
            "--answer-ms",
            "10000",
        ];
        let sent = send(&files, free, &all, &more);
        assert_eq!(stdout(&sent), "O1 AA\nO2 AA\n", "{}", stderr(&sent));
        let mut told = String::new();
        run.stdout
            .take()
            .unwrap()
            .read_to_string(&mut told)
            .unwrap();
        assert!(run.wait().unwrap().success());
        assert_eq!(told, "ADT A28 O1 M\u{fc}ller\nADT A31 O2 M\u{fc}ller\n");
    }
}
