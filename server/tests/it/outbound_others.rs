//! Messages that are passed on and answered by who is further on; and receivers that others wrote, by TLS and by SFTP.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::authority::Authority;
use crate::client::get;
use crate::databases::{Database, sqlite};
use crate::folders_sftp::Sshd;
use crate::kiln::Kiln;
use crate::mllp::{Sender, adt, messages};
use crate::mllp_tls::secured;
use crate::outbound::{Deed, Ward, field, made, outgoing, patient, text, told};
use crate::receiver::PATIENCE;
use crate::subscriptions::{put, subscribe};

on_both_databases!(
    a_sender_gets_the_answer_of_who_is_further_on,
    a_sender_is_told_at_once_when_nobody_is_there,
);

fn a_sender_gets_the_answer_of_who_is_further_on(database: &Database) {
    let lab = Ward::start();
    let settings = lab.settings("lab", "answer_ms = 400")
        + "[[routes]]\nname = 'a'\ntransport = 'mllp'\nlisten = '127.0.0.1:0'\nacknowledge = 'downstream'\ndestination = 'lab'\n\
           [[routes]]\nname = 'b'\ntransport = 'mllp'\nlisten = '127.0.0.1:0'\nacknowledge = 'downstream'\ndestination = 'lab'\napply = false\n";
    let kiln = Kiln::configured(database, &settings);
    let mut peer = Sender::to(kiln.mllp[0]);
    let answer = peer.ask(adt("D1", "X1"));
    assert!(answer.contains("MSA|AA|D1"), "{answer}");
    assert_eq!(lab.wait(1), [adt("D1", "X1")]);
    assert_eq!(
        get(kiln.address, "/fhir/Patient?identifier=X1")
            .json()
            .items_of("entry")
            .len(),
        1
    );
    // The same once more is answered as before, and not passed on again.
    assert!(peer.ask(adt("D1", "X1")).contains("MSA|AA|D1"));
    assert_eq!(lab.got().len(), 1);
    // What is refused there is refused here, with the reason.
    lab.then(&[Deed::Say("AR")]);
    let answer = peer.ask(adt("D2", "X2"));
    assert!(
        answer.contains("MSA|AR|D2") && answer.contains("because"),
        "{answer}"
    );
    // Sent again it is passed on again.
    assert!(peer.ask(adt("D2", "X2")).contains("MSA|AA|D2"));
    assert_eq!(lab.got().len(), 3);
    // Silence is an error too, and the message is kept.
    lab.then(&[Deed::Silent]);
    let answer = peer.ask(adt("D3", "X3"));
    assert!(
        answer.contains("MSA|AE|D3") && answer.contains("400 ms"),
        "{answer}"
    );
    assert_eq!(messages(&kiln, "controlId=D3&direction=in").len(), 1);
    // Passed on and nothing else.
    let mut other = Sender::to(kiln.mllp[1]);
    assert!(other.ask(adt("D4", "X4")).contains("MSA|AA|D4"));
    assert_eq!(
        get(kiln.address, "/fhir/Patient?identifier=X4")
            .json()
            .items_of("entry")
            .len(),
        0
    );
    let kept = messages(&kiln, "controlId=D4&direction=in");
    assert_eq!(text(&kept[0], "status"), "sent");
}

fn a_sender_is_told_at_once_when_nobody_is_there(database: &Database) {
    let away = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = away.local_addr().unwrap();
    drop(away);
    let settings = format!(
        "[[destinations]]\nname = 'lab'\ntransport = 'mllp'\naddress = '{address}'\nanswer_ms = 600000\n\
         [[routes]]\nname = 'a'\ntransport = 'mllp'\nlisten = '127.0.0.1:0'\nacknowledge = 'downstream'\ndestination = 'lab'\n"
    );
    let kiln = Kiln::configured(database, &settings);
    let mut sender = Sender::to(kiln.mllp[0]);
    let answer = sender.ask(adt("U1", "X1"));
    assert!(
        answer.contains("MSA|AE|U1") && answer.contains("cannot be reached"),
        "{answer}"
    );
    let metrics = get(kiln.address, "/metrics").text();
    assert!(
        metrics.contains("kiln_outgoing_unreachable{destination=\"lab\"} 1"),
        "{metrics}"
    );
    // It was kept, and is passed on when somebody is there; then it is settled here too.
    let lab = Ward::at(address);
    assert_eq!(lab.wait(1), [adt("U1", "X1")]);
    outgoing(&kiln, "sent", 1);
    let kept = messages(&kiln, "controlId=U1&direction=in");
    assert_eq!(
        (text(&kept[0], "status"), text(&kept[0], "code")),
        ("applied", "AE")
    );
    assert!(sender.ask(adt("U1", "X1")).contains("MSA|"));
    assert_eq!(lab.got().len(), 1);
}

/// The ward system is another Kiln, which asks for a certificate.
#[test]
fn messages_travel_by_tls_with_a_certificate_of_our_own() {
    let (here, there) = (sqlite(), sqlite());
    let (authority, senders) = (Authority::new(), Authority::new());
    let ward = secured(&there, &authority, Some(&senders));
    std::fs::write(here.directory.join("their-ca.pem"), authority.pem()).unwrap();
    senders.issue("kiln.example.org").write(&here.directory);
    let path = |name: &str| here.directory.join(name).display().to_string();
    let (ca, certificate, key) = (path("their-ca.pem"), path("cert.pem"), path("key.pem"));
    let address = ward.mllp[0];
    let to = |name: &str, tls: String| {
        format!(
            "[[destinations]]\nname = '{name}'\ntransport = 'mllp'\naddress = '{address}'\ntls = {{ {tls} }}\n"
        )
    };
    let settings = to(
        "ward",
        format!("ca = '{ca}', certificate = '{certificate}', key = '{key}'"),
    ) + &to("stranger", format!("ca = '{ca}'"))
        + &to(
            "wary",
            format!("ca = '{certificate}', certificate = '{certificate}', key = '{key}'"),
        );
    let kiln = Kiln::configured(&here, &settings);
    for name in ["ward", "stranger", "wary"] {
        subscribe(&kiln, &told("Patient?", name));
    }
    made(&put(&kiln, "Patient/t1", &patient("t1", "Meier")));
    let sent = outgoing(&kiln, "sent", 1);
    assert_eq!(text(&sent[0], "destination"), "ward");
    assert_eq!(messages(&ward, "direction=in").len(), 1);
    // Who shows no certificate is not let in, and whom we do not trust is sent nothing.
    let until = Instant::now() + PATIENCE;
    let is_out = |name: &str| {
        let shown = get(kiln.address, &format!("/api/destinations/{name}")).json();
        shown.get("outage").is_some()
            || !messages(&kiln, &format!("destination={name}&status=waiting")).is_empty()
    };
    while !(is_out("stranger") && is_out("wary")) {
        assert!(Instant::now() < until);
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(outgoing(&kiln, "sent", 1).len(), 1);
}

/// The server is that of OpenSSH.
#[test]
fn files_are_left_on_a_server_of_sftp() {
    let database = sqlite();
    let Some(server) = Sshd::start(&database.directory) else {
        return;
    };
    let path = database.directory.join("there");
    std::fs::create_dir_all(&path).unwrap();
    let settings = format!(
        "[[destinations]]\nname = 'lab'\ntransport = 'sftp'\nfolder = '{}'\n{}\n",
        path.display(),
        server.sftp(&server.print())
    );
    let kiln = Kiln::configured(&database, &settings);
    subscribe(&kiln, &told("Patient?", "lab"));
    for family in ["One", "Two"] {
        made(&put(&kiln, "Patient/s1", &patient("s1", family)));
    }
    outgoing(&kiln, "sent", 2);
    let mut names: Vec<PathBuf> = std::fs::read_dir(&path)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    names.sort();
    assert_eq!(names.len(), 2, "{names:?}");
    let last = std::fs::read_to_string(&names[1]).unwrap();
    assert!(field(&last, "PID", 5).starts_with("Two"), "{last}");
}

/// A receiver that somebody else wrote: takes two messages on a port, answers them, and says what it understood.
struct Other {
    process: Child,
    port: u16,
}

impl Other {
    fn start(program: &Path, script: &Path) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let mut command = Command::new(program);
        command.arg(script).arg(port.to_string());
        let process = command.stdout(Stdio::piped()).spawn().unwrap();
        Self { process, port }
    }

    fn told(mut self) -> String {
        let mut told = String::new();
        let mut stdout = self.process.stdout.take().unwrap();
        stdout.read_to_string(&mut told).unwrap();
        assert!(self.process.wait().unwrap().success());
        told
    }
}

/// python-hl7 and @medplum/hl7 take what is made of a patient that is new and then another.
#[test]
fn receivers_of_others_are_told_what_changes() {
    let Some(place) = std::env::var_os("KILN_CLIENTS") else {
        let message = "SKIPPED: KILN_CLIENTS names no folder with clients of others\n";
        let _written = std::io::stderr().write_all(message.as_bytes());
        return;
    };
    let place = Path::new(&place);
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../conformance-tests/clients");
    let copied = place.join("medplum_receiver.mjs");
    std::fs::copy(scripts.join("medplum_receiver.mjs"), &copied).unwrap();
    let python = Other::start(
        &place.join("python/bin/python"),
        &scripts.join("hl7_receiver.py"),
    );
    let node = Other::start(Path::new("node"), &copied);
    let to = |name: &str, port: u16| {
        format!(
            "[[destinations]]\nname = '{name}'\ntransport = 'mllp'\naddress = '127.0.0.1:{port}'\ncharset = 'UNICODE UTF-8'\n"
        )
    };
    let database = sqlite();
    let kiln = Kiln::configured(
        &database,
        &(to("python", python.port) + &to("node", node.port)),
    );
    for name in ["python", "node"] {
        subscribe(&kiln, &told("Patient?", name));
    }
    for family in ["M\u{fc}ller", "Meier"] {
        made(&put(&kiln, "Patient/o1", &patient("o1", family)));
    }
    for (name, other) in [("python", python), ("node", node)] {
        let told = other.told();
        outgoing(&kiln, "sent", 2);
        let sent = messages(&kiln, &format!("destination={name}&status=sent"));
        let ids: Vec<&str> = sent
            .iter()
            .rev()
            .map(|one| text(one, "controlId"))
            .collect();
        assert_eq!(
            told,
            format!("ADT A28 {} M\u{fc}ller\nADT A31 {} Meier\n", ids[0], ids[1])
        );
    }
}
