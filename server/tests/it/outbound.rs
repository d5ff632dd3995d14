//! Messages go out: what changes is told to those who wait for messages of HL7 v2, in order, once or more, and whatever
//! becomes of a message stands in the store of messages.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fhir_spec::json::Value;
use interop::formats::hl7v2::mllp::frame;

use crate::client::{get, send};
use crate::databases::{Database, temporary_directory};
use crate::kiln::Kiln;
use crate::mllp::messages;
use crate::receiver::PATIENCE;
use crate::subscriptions::{post, put, subscribe};

on_both_databases!(
    a_stay_is_told_from_beginning_to_end,
    what_is_refused_is_kept_and_others_go_on,
    who_waits_for_whom_is_a_matter_of_patients,
    nothing_is_lost_when_the_server_is_killed_while_it_sends,
    a_destination_that_hangs_holds_up_no_other,
    files_are_left_for_those_who_fetch_them,
    destinations_come_and_go_while_the_server_runs,
);

/// What a receiver does with one message.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Deed {
    Say(&'static str),
    Silent,
    /// Its answer comes before the one to the next message.
    Late,
    /// It answers something else first.
    Stray,
    End,
}

/// A ward system that does what it is told, over as many connections as come.
pub(crate) struct Ward {
    pub(crate) address: SocketAddr,
    got: Arc<Mutex<Vec<String>>>,
    deeds: Arc<Mutex<VecDeque<Deed>>>,
}

impl Ward {
    pub(crate) fn start() -> Self {
        Self::at("127.0.0.1:0".parse().unwrap())
    }

    pub(crate) fn at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let ward = Self {
            address: listener.local_addr().unwrap(),
            got: Arc::default(),
            deeds: Arc::default(),
        };
        let (got, deeds) = (Arc::clone(&ward.got), Arc::clone(&ward.deeds));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (got, deeds) = (Arc::clone(&got), Arc::clone(&deeds));
                std::thread::spawn(move || converse(&mut stream.unwrap(), &got, &deeds));
            }
        });
        ward
    }

    /// What it does with the next messages; after that it takes all.
    pub(crate) fn then(&self, deeds: &[Deed]) {
        self.deeds.lock().unwrap().extend(deeds);
    }

    pub(crate) fn got(&self) -> Vec<String> {
        self.got.lock().unwrap().clone()
    }

    pub(crate) fn wait(&self, count: usize) -> Vec<String> {
        let until = Instant::now() + PATIENCE;
        loop {
            let got = self.got();
            if got.len() >= count {
                return got;
            }
            assert!(Instant::now() < until, "{count}: {got:#?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub(crate) fn settings(&self, name: &str, more: &str) -> String {
        let address = self.address;
        format!(
            "[[destinations]]\nname = '{name}'\ntransport = 'mllp'\naddress = '{address}'\n{more}\n"
        )
    }
}

fn converse(stream: &mut TcpStream, got: &Mutex<Vec<String>>, deeds: &Mutex<VecDeque<Deed>>) {
    let mut late = Vec::new();
    while let Some(text) = one(stream) {
        let id = field(&text, "MSH", 9).to_owned();
        let answer = |code: &str, id: &str| {
            let text = format!("MSH|^~\\&|R|R|||2024||ACK|1|P|2.5.1\rMSA|{code}|{id}|because\r");
            frame(text.as_bytes())
        };
        let deed = deeds.lock().unwrap().pop_front().unwrap_or(Deed::Say("AA"));
        got.lock().unwrap().push(text);
        let bytes = match deed {
            Deed::Say(code) => [std::mem::take(&mut late), answer(code, &id)].concat(),
            Deed::Stray => [answer("AA", "nobody"), answer("AA", &id)].concat(),
            Deed::Late => {
                late = answer("AA", &id);
                continue;
            }
            Deed::Silent => continue,
            Deed::End => return,
        };
        if stream.write_all(&bytes).is_err() {
            return;
        }
    }
}

fn one(stream: &mut TcpStream) -> Option<String> {
    let (mut bytes, mut byte) = (Vec::new(), [0]);
    loop {
        stream.read_exact(&mut byte).ok()?;
        match byte[0] {
            0x0b => bytes.clear(),
            0x1c => return String::from_utf8(bytes).ok(),
            byte => bytes.push(byte),
        }
    }
}

/// The field of a segment; of MSH the place behind its name.
pub(crate) fn field<'t>(text: &'t str, segment: &str, place: usize) -> &'t str {
    let line = text.split('\r').find(|line| line.starts_with(segment));
    line.and_then(|line| line.split('|').nth(place))
        .unwrap_or_default()
}

fn events(got: &[String]) -> Vec<String> {
    got.iter()
        .map(|text| {
            let kind = field(text, "MSH", 8);
            kind.split('^').take(2).collect::<Vec<_>>().join(" ")
        })
        .collect()
}

/// A subscription whose messages go to a destination.
pub(crate) fn told(criteria: &str, destination: &str) -> String {
    format!(
        r#"{{"resourceType":"Subscription","status":"requested","reason":"test","criteria":"{criteria}","channel":{{"type":"message","endpoint":"hl7v2://{destination}"}}}}"#
    )
}

pub(crate) fn patient(id: &str, family: &str) -> String {
    format!(
        r#"{{"resourceType":"Patient","id":"{id}","identifier":[{{"type":{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/v2-0203","code":"MR"}}]}},"value":"N{id}"}}],"name":[{{"family":"{family}","given":["Eva"]}}],"gender":"female","birthDate":"1980-01-02"}}"#
    )
}

fn stay(status: &str) -> String {
    format!(
        r#"{{"resourceType":"Encounter","id":"v1","status":"{status}","class":{{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"IMP"}},"subject":{{"reference":"Patient/p1"}},"period":{{"start":"2026-03-01T08:00:00Z"}}}}"#
    )
}

/// Messages that go out, the oldest first, when there are so many of that status.
pub(crate) fn outgoing(kiln: &Kiln, status: &str, count: usize) -> Vec<Value> {
    let until = Instant::now() + PATIENCE;
    loop {
        let mut all = messages(kiln, &format!("direction=outgoing&status={status}"));
        if all.len() >= count {
            all.reverse();
            return all;
        }
        let every = messages(kiln, "direction=outgoing");
        assert!(Instant::now() < until, "{count} {status}: {every:#?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub(crate) fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value.str_of(name).unwrap_or_default()
}

pub(crate) fn made(reply: &crate::client::Answer) {
    assert!(matches!(reply.status, 200 | 201), "{}", reply.text());
}

fn ask(kiln: &Kiln, method: &str, path: &str) -> crate::client::Answer {
    send(kiln.address, method, path, &[], b"").unwrap()
}

fn a_stay_is_told_from_beginning_to_end(database: &Database) {
    let ward = Ward::start();
    let more = "receiving_application = 'WARD'\nreceiving_facility = 'H1'\nversion = '2.5'\nsequence = true";
    let kiln = Kiln::configured(database, &ward.settings("ward", more));
    subscribe(&kiln, &told("Patient?", "ward"));
    subscribe(&kiln, &told("Encounter?class=IMP", "ward"));
    made(&put(&kiln, "Patient/p1", &patient("p1", "Meier")));
    assert_eq!(events(&ward.wait(1)), ["ADT A28"]);
    made(&put(&kiln, "Patient/p1", &patient("p1", "Huber")));
    assert_eq!(events(&ward.wait(2))[1], "ADT A31");
    for (count, status) in [(3, "in-progress"), (4, "finished")] {
        made(&put(&kiln, "Encounter/v1", &stay(status)));
        ward.wait(count);
    }
    let got = ward.wait(4);
    assert_eq!(events(&got), ["ADT A28", "ADT A31", "ADT A01", "ADT A03"]);
    for (place, text) in got.iter().enumerate() {
        assert_eq!(
            (field(text, "MSH", 4), field(text, "MSH", 5)),
            ("WARD", "H1")
        );
        assert_eq!(field(text, "MSH", 11), "2.5");
        assert_eq!(field(text, "MSH", 12), (place + 1).to_string());
    }
    // What the stay refers to was gathered.
    assert!(
        field(&got[2], "PID", 5).starts_with("Huber^Eva"),
        "{}",
        got[2]
    );
    assert!(field(&got[3], "PID", 3).starts_with("Np1"), "{}", got[3]);

    let sent = outgoing(&kiln, "sent", 4);
    let ids: Vec<&str> = sent.iter().map(|one| text(one, "controlId")).collect();
    let expected: Vec<&str> = got.iter().map(|text| field(text, "MSH", 9)).collect();
    assert_eq!(ids, expected);
    assert_eq!(messages(&kiln, "direction=outgoing&patient=Np1").len(), 4);
    assert_eq!(messages(&kiln, "destination=ward&type=ADT^A03").len(), 1);
    let id = text(&sent[2], "id");
    let whole = get(kiln.address, &format!("/api/messages/{id}")).json();
    assert_eq!(
        (text(&whole, "code"), text(&whole, "direction")),
        ("AA", "out")
    );
    assert!(
        whole.items_of("acknowledgements")[0]
            .as_str()
            .unwrap()
            .contains("MSA|AA|")
    );
    assert_eq!(text(&whole, "raw"), got[2]);
    let resources = whole.items_of("resources").iter();
    let resources: Vec<&str> = resources.map(|one| text(one, "reference")).collect();
    assert!(
        resources.contains(&"Encounter/v1") && resources.contains(&"Patient/p1"),
        "{resources:?}"
    );
    // In the version that was told of: p1 was changed once before.
    let told_of = whole.items_of("resources").iter();
    let mut told_of = told_of.filter(|one| text(one, "reference") == "Patient/p1");
    let version = told_of.next().and_then(|one| one.get("version"));
    assert_eq!(version.and_then(Value::as_u64), Some(2));
    let shown = get(kiln.address, "/api/destinations/ward").json();
    assert_eq!(shown.get("waiting").and_then(Value::as_u64), Some(0));
    assert_eq!(shown.get("sent").and_then(Value::as_u64), Some(4));
}

fn what_is_refused_is_kept_and_others_go_on(database: &Database) {
    let ward = Ward::start();
    let settings = format!(
        "deliveries = {{ attempts_s = [0, 0, 0] }}\n{}",
        ward.settings("ward", "answer_ms = 300")
    );
    let kiln = Kiln::configured(database, &settings);
    subscribe(&kiln, &told("Patient?", "ward"));
    // AE and silence are tried again, a late answer belongs to nobody, a stray one neither; AR is the end of it.
    ward.then(&[
        Deed::Say("AE"),
        Deed::Late,
        Deed::Stray,
        Deed::End,
        Deed::Say("AA"),
        Deed::Say("AR"),
    ]);
    for id in ["p1", "p2", "p3"] {
        made(&put(&kiln, &format!("Patient/{id}"), &patient(id, "Meier")));
        outgoing(&kiln, "sent,dead", usize::from(id.as_bytes()[1] - b'0'));
    }
    let names: Vec<String> = ward
        .got()
        .iter()
        .map(|text| field(text, "PID", 3).to_owned())
        .collect();
    let starts = |name: &String| name.get(..3).unwrap().to_owned();
    let names: Vec<String> = names.iter().map(starts).collect();
    assert_eq!(names, ["Np1", "Np1", "Np1", "Np2", "Np2", "Np3"]);
    let dead = outgoing(&kiln, "dead", 1);
    assert_eq!(
        (text(&dead[0], "code"), text(&dead[0], "reason")),
        ("AR", "AR because")
    );
    // Sent again when somebody says so, under its old control id.
    let id = text(&dead[0], "id");
    let again = ask(&kiln, "POST", &format!("/api/messages/{id}/resend"));
    assert_eq!(again.status, 202, "{}", again.text());
    let got = ward.wait(7);
    assert_eq!(field(&got[5], "MSH", 9), field(&got[6], "MSH", 9));
    assert_eq!(outgoing(&kiln, "sent", 3).len(), 3);
    let unknown = ask(&kiln, "POST", "/api/messages/none/resend");
    assert_eq!(unknown.status, 404);
    // What was taken cannot be skipped.
    let late = ask(&kiln, "POST", &format!("/api/messages/{id}/skip"));
    assert_eq!(late.status, 409);
}

fn who_waits_for_whom_is_a_matter_of_patients(database: &Database) {
    let ward = Ward::start();
    let kiln = Kiln::configured(database, &ward.settings("ward", "on_error = 'park'"));
    subscribe(&kiln, &told("Patient?", "ward"));
    ward.then(&[Deed::Say("AE")]);
    made(&put(&kiln, "Patient/p1", &patient("p1", "One")));
    let parked = outgoing(&kiln, "parked", 1);
    made(&put(&kiln, "Patient/p1", &patient("p1", "Two")));
    made(&put(&kiln, "Patient/p2", &patient("p2", "Three")));
    // The other patient's goes, the second of the first waits for the first.
    let got = ward.wait(2);
    assert!(field(&got[1], "PID", 5).starts_with("Three"), "{got:#?}");
    outgoing(&kiln, "sent", 1);
    assert_eq!(outgoing(&kiln, "waiting", 1).len(), 1);
    let id = text(&parked[0], "id");
    let again = ask(&kiln, "POST", &format!("/api/messages/{id}/resend"));
    assert_eq!(again.status, 202, "{}", again.text());
    let got = ward.wait(4);
    assert!(field(&got[2], "PID", 5).starts_with("One"), "{got:#?}");
    assert!(field(&got[3], "PID", 5).starts_with("Two"), "{got:#?}");
    // Or it is skipped, and what waits for it goes.
    ward.then(&[Deed::Say("CE")]);
    made(&put(&kiln, "Patient/p1", &patient("p1", "Four")));
    let parked = outgoing(&kiln, "parked", 1);
    made(&put(&kiln, "Patient/p1", &patient("p1", "Five")));
    let skipped = ask(
        &kiln,
        "POST",
        &format!("/api/messages/{}/skip", text(&parked[0], "id")),
    );
    assert_eq!(skipped.status, 200, "{}", skipped.text());
    let got = ward.wait(6);
    assert!(field(&got[5], "PID", 5).starts_with("Five"), "{got:#?}");
    assert_eq!(outgoing(&kiln, "skipped", 1).len(), 1);
}

/// The receiver is away at first; the server is killed again and again while it sends. Everything arrives, that of one
/// patient in order, and what comes twice is known by its control id.
fn nothing_is_lost_when_the_server_is_killed_while_it_sends(database: &Database) {
    let away = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = away.local_addr().unwrap();
    drop(away);
    let settings =
        format!("[[destinations]]\nname = 'ward'\ntransport = 'mllp'\naddress = '{address}'\n");
    let kiln = Kiln::configured(database, &settings);
    subscribe(&kiln, &told("Patient?", "ward"));
    const PATIENTS: usize = 3;
    const VERSIONS: usize = 12;
    let mut kiln = Some(kiln);
    let mut ward = None;
    for version in 0..VERSIONS {
        for id in 0..PATIENTS {
            let (path, family) = (format!("Patient/k{id}"), format!("V{version:02}"));
            made(&put(
                kiln.as_ref().unwrap(),
                &path,
                &patient(&format!("k{id}"), &family),
            ));
        }
        if version == 3 {
            ward = Some(Ward::at(address));
        }
        if version % 3 == 2 {
            kiln.take().unwrap().kill();
            kiln = Some(Kiln::configured(database, &settings));
        }
    }
    let ward = ward.unwrap();
    let until = Instant::now() + PATIENCE * 2;
    loop {
        let got = ward.got();
        let mut seen: Vec<&str> = Vec::new();
        let mut told: Vec<Vec<&str>> = vec![Vec::new(); PATIENTS];
        for text in &got {
            let id = field(text, "MSH", 9);
            if seen.contains(&id) {
                continue;
            }
            seen.push(id);
            let number = field(text, "PID", 3).get(2..3).unwrap();
            told[number.parse::<usize>().unwrap()].push(field(text, "PID", 5).get(..3).unwrap());
        }
        if seen.len() == PATIENTS * VERSIONS {
            for all in told {
                let expected: Vec<String> = (0..VERSIONS)
                    .map(|version| format!("V{version:02}"))
                    .collect();
                assert_eq!(all, expected);
            }
            return;
        }
        assert!(
            Instant::now() < until,
            "{} of {}",
            seen.len(),
            PATIENTS * VERSIONS
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn a_destination_that_hangs_holds_up_no_other(database: &Database) {
    let (slow, quick) = (Ward::start(), Ward::start());
    slow.then(&[Deed::Silent; 100]);
    let settings = slow.settings("slow", "answer_ms = 600000") + &quick.settings("quick", "");
    let kiln = Kiln::configured(database, &settings);
    for name in ["slow", "quick"] {
        subscribe(&kiln, &told("Patient?", name));
    }
    for number in 0..5 {
        let id = format!("h{number}");
        made(&put(
            &kiln,
            &format!("Patient/{id}"),
            &patient(&id, "Meier"),
        ));
    }
    assert_eq!(quick.wait(5).len(), 5);
    assert_eq!(slow.wait(1).len(), 1);
    // Answered is one thing, that the answer is kept another.
    assert_eq!(outgoing(&kiln, "sent", 5).len(), 5);
    assert_eq!(outgoing(&kiln, "waiting", 5).len(), 5);
}

fn files_are_left_for_those_who_fetch_them(database: &Database) {
    let folder = temporary_directory();
    let path = folder.display();
    let settings = format!(
        "[[destinations]]\nname = 'archive'\ntransport = 'folder'\nfolder = '{path}'\ntake = ['ADT^A31']\n"
    );
    let kiln = Kiln::configured(database, &settings);
    subscribe(&kiln, &told("Patient?", "archive"));
    for family in ["One", "Two", "Three"] {
        made(&put(&kiln, "Patient/f1", &patient("f1", family)));
    }
    // The first is an A28, which this one does not take.
    assert_eq!(outgoing(&kiln, "sent", 2).len(), 2);
    let mut names: Vec<String> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(
        names[0].starts_with("0000000001-") && names[0].ends_with(".hl7"),
        "{names:?}"
    );
    let last = std::fs::read_to_string(folder.join(&names[1])).unwrap();
    assert!(field(&last, "PID", 5).starts_with("Three"), "{last}");
    std::fs::remove_dir_all(&folder).unwrap();
}

fn destinations_come_and_go_while_the_server_runs(database: &Database) {
    let ward = Ward::start();
    let kiln = Kiln::configured(database, &ward.settings("fixed", ""));
    // Nobody is told of a destination that is not there.
    let refused = post(&kiln, "Subscription", &told("Patient?", "lab"));
    assert_eq!(refused.status, 422, "{}", refused.text());
    assert!(
        refused.text().contains("no destination"),
        "{}",
        refused.text()
    );
    let json = ("Content-Type", "application/json");
    let set = |name: &str, body: String| {
        let path = format!("/api/destinations/{name}");
        send(kiln.address, "PUT", &path, &[json], body.as_bytes()).unwrap()
    };
    let own = format!(
        r#"{{"transport":"mllp","address":"{}","version":"2.3"}}"#,
        ward.address
    );
    assert_eq!(set("lab", own.clone()).status, 201);
    assert_eq!(set("fixed", own).status, 409);
    for (body, told) in [
        (r#"{"transport":"mllp"}"#, "host and port"),
        (
            r#"{"transport":"mllp","address":"a:1","colour":"red"}"#,
            "colour",
        ),
        (r#"{"transport":"folder","folder":"/etc"}"#, "`folders`"),
    ] {
        let refused = set("lab", body.to_owned());
        assert_eq!(refused.status, 422, "{}", refused.text());
        assert!(refused.text().contains(told), "{}", refused.text());
    }
    subscribe(&kiln, &told("Patient?", "lab"));
    made(&put(&kiln, "Patient/d1", &patient("d1", "Meier")));
    assert_eq!(field(&ward.wait(1)[0], "MSH", 11), "2.3");
    let gone = ask(&kiln, "DELETE", "/api/destinations/lab");
    assert_eq!(gone.status, 204, "{}", gone.text());
    assert_eq!(get(kiln.address, "/api/destinations/lab").status, 404);
    let all = get(kiln.address, "/api/destinations").json();
    assert_eq!(all.items_of("destinations").len(), 1);
    let versions = get(kiln.address, "/api/destinations/lab/history").json();
    assert_eq!(versions.items_of("versions").len(), 2);
}
