//! Who listens by a websocket is told at once, in order, and of nothing that they may not see.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use fhir_spec::json::{Value, parse};

use crate::authorised::{Holder, guarded, key};
use crate::client::{FHIR_JSON, get, send};
use crate::databases::Database;
use crate::kiln::Kiln;
use crate::receiver::PATIENCE;
use crate::subscriptions::{becomes, post, subscribe};

on_both_databases!(
    who_is_bound_is_pinged,
    topics_come_by_token_as_bundles,
    what_nobody_heard_is_told_to_who_comes,
    only_who_may_listens,
    what_is_no_binding_is_answered,
);

/// A websocket of our own making: what it sends is masked, what it reads is not.
struct Socket(TcpStream);

impl Socket {
    /// Err: the status, when no socket is opened.
    fn open(address: SocketAddr, headers: &str) -> Result<Self, String> {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let request = format!(
            "GET /fhir/websocket HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.extend(byte);
        }
        let head = String::from_utf8(head).unwrap();
        let status = head.split(' ').nth(1).unwrap().to_owned();
        if status != "101" {
            return Err(status);
        }
        let accepted = head.to_lowercase().contains("s3pplmbitxaq9kygzzhzrbk+xoo=");
        assert!(accepted, "{head}");
        Ok(Self(stream))
    }

    fn send(&mut self, text: &str) {
        let mask = [1, 2, 3, 4];
        let mut frame = vec![0x81];
        match u8::try_from(text.len()) {
            Ok(short) if short < 126 => frame.push(0x80 | short),
            _ => {
                frame.push(0x80 | 126);
                frame.extend(u16::try_from(text.len()).unwrap().to_be_bytes());
            }
        }
        frame.extend(mask);
        let masked = text.bytes().zip(mask.iter().cycle());
        frame.extend(masked.map(|(byte, mask)| byte ^ mask));
        self.0.write_all(&frame).unwrap();
    }

    /// The next text; None: it was closed.
    fn hear(&mut self) -> Option<String> {
        loop {
            let mut head = [0; 2];
            self.0.read_exact(&mut head).ok()?;
            let length = match head[1] {
                126 => {
                    let mut more = [0; 2];
                    self.0.read_exact(&mut more).unwrap();
                    u64::from(u16::from_be_bytes(more))
                }
                127 => {
                    let mut more = [0; 8];
                    self.0.read_exact(&mut more).unwrap();
                    u64::from_be_bytes(more)
                }
                short => u64::from(short),
            };
            let mut body = vec![0; usize::try_from(length).unwrap()];
            self.0.read_exact(&mut body).unwrap();
            match head[0] & 0x0f {
                1 => return Some(String::from_utf8(body).unwrap()),
                8 => return None,
                _ => {}
            }
        }
    }

    fn notification(&mut self) -> Value {
        parse(self.hear().expect("it is open").as_bytes()).unwrap()
    }
}

fn wanted(criteria: &str, more: &str) -> String {
    format!(
        r#"{{"resourceType":"Subscription","status":"requested","reason":"test","criteria":"{criteria}","channel":{{"type":"websocket"{more}}}}}"#
    )
}

fn content(level: &str) -> String {
    format!(
        r#","payload":"application/fhir+json","_payload":{{"extension":[{{"url":"http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-payload-content","valueCode":"{level}"}}]}}"#
    )
}

fn patient(family: &str) -> String {
    format!(r#"{{"resourceType":"Patient","active":true,"name":[{{"family":"{family}"}}]}}"#)
}

const TOPIC: &str = "urn:kiln:topic:patient-admin";

/// What a parameter of the status says.
fn said(bundle: &Value, name: &str) -> String {
    let status = bundle.items_of("entry")[0].get("resource").unwrap();
    let all = status.items_of("parameter");
    let found = all.iter().find(|one| one.str_of("name") == Some(name));
    let found = found.unwrap();
    let value = found.str_of("valueCode").or(found.str_of("valueString"));
    value.unwrap().to_owned()
}

fn who_is_bound_is_pinged(database: &Database) {
    let kiln = Kiln::start(database);
    let stated = get(kiln.address, "/fhir/metadata").json();
    let rest = &stated.items_of("rest")[0];
    let extension = &rest.items_of("extension")[0];
    let url = format!("ws://{}/fhir/websocket", kiln.address);
    assert_eq!(extension.str_of("valueUri"), Some(url.as_str()));
    let id = subscribe(&kiln, &wanted("Patient?family=Meier", ""));
    let (mut one, mut two) = (
        Socket::open(kiln.address, "").unwrap(),
        Socket::open(kiln.address, "").unwrap(),
    );
    for socket in [&mut one, &mut two] {
        socket.send(&format!("bind {id}"));
        assert_eq!(socket.hear(), Some(format!("bound {id}")));
    }
    assert_eq!(post(&kiln, "Patient", &patient("Huber")).status, 201);
    for _ in 0..2 {
        assert_eq!(post(&kiln, "Patient", &patient("Meier")).status, 201);
        for socket in [&mut one, &mut two] {
            assert_eq!(socket.hear(), Some(format!("ping {id}")));
        }
    }
    let path = format!("/fhir/Subscription/{id}");
    let gone = send(kiln.address, "DELETE", &path, &[], b"").unwrap();
    assert_eq!(gone.status, 204);
    for socket in [&mut one, &mut two] {
        assert_eq!(socket.hear(), Some(format!("unbound {id}")));
    }
    // Who listens does not keep the server from stopping.
    let (status, _) = kiln.stop("TERM");
    assert!(status.success());
    assert_eq!(two.hear(), None);
}

fn topics_come_by_token_as_bundles(database: &Database) {
    let kiln = Kiln::start(database);
    let levels = ["empty", "id-only", "full-resource"];
    let ids = levels.map(|level| subscribe(&kiln, &wanted(TOPIC, &content(level))));
    let path = format!(
        "/fhir/Subscription/$get-ws-binding-token?id={}&id={}&id={}",
        ids[0], ids[1], ids[2]
    );
    let told = get(kiln.address, &path).json();
    let value = |name: &str, kind: &str| {
        let all = told.items_of("parameter").iter();
        let mut all = all.filter(|one| one.str_of("name") == Some(name));
        all.next().unwrap().str_of(kind).unwrap().to_owned()
    };
    assert!(value("websocket-url", "valueUrl").ends_with("/fhir/websocket"));
    assert!(value("expiration", "valueDateTime").ends_with('Z'));
    let token = value("token", "valueString");
    let mut socket = Socket::open(kiln.address, "").unwrap();
    socket.send(&format!("bind-with-token {token}"));
    for _ in &ids {
        assert_eq!(said(&socket.notification(), "type"), "handshake");
    }
    let made = post(&kiln, "Patient", &patient("Meier"));
    let made = made.json().str_of("id").unwrap().to_owned();
    for _ in &ids {
        let bundle = socket.notification();
        assert_eq!(said(&bundle, "type"), "event-notification");
        assert_eq!(said(&bundle, "events-since-subscription-start"), "1");
        let text = bundle.to_string();
        let of = ids
            .iter()
            .position(|id| text.contains(&format!("Subscription/{id}")));
        let of = of.unwrap();
        assert_eq!(text.contains(&format!("Patient/{made}")), of > 0, "{text}");
        assert_eq!(text.contains("Meier"), of == 2, "{text}");
    }
    let one = format!("/fhir/Subscription/{}/$get-ws-binding-token", ids[0]);
    assert_eq!(get(kiln.address, &one).status, 200);
    let hook = "/fhir/Subscription/nothing/$get-ws-binding-token";
    assert_eq!(get(kiln.address, hook).status, 404);
}

fn what_nobody_heard_is_told_to_who_comes(database: &Database) {
    let kiln = Kiln::start(database);
    let id = subscribe(&kiln, &wanted(TOPIC, &content("id-only")));
    let heard = |socket: &mut Socket, number: i64| {
        let bundle = socket.notification();
        assert_eq!(said(&bundle, "type"), "event-notification");
        let text = bundle.to_string();
        assert!(
            text.contains(&format!(r#""event-number","valueString":"{number}""#)),
            "{number}: {text}"
        );
    };
    for name in ["A", "B"] {
        assert_eq!(post(&kiln, "Patient", &patient(name)).status, 201);
    }
    let mut socket = Socket::open(kiln.address, "").unwrap();
    socket.send(&format!("bind {id}"));
    assert_eq!(said(&socket.notification(), "type"), "handshake");
    heard(&mut socket, 1);
    heard(&mut socket, 2);
    kiln.kill();
    let kiln = Kiln::start(database);
    assert_eq!(post(&kiln, "Patient", &patient("C")).status, 201);
    becomes(&kiln, &id, "active");
    let mut socket = Socket::open(kiln.address, "").unwrap();
    socket.send(&format!("bind {id}"));
    assert_eq!(said(&socket.notification(), "type"), "handshake");
    // The last one was perhaps sent and not yet noted when the power went.
    let next = socket.notification();
    match next
        .to_string()
        .contains(r#""event-number","valueString":"2""#)
    {
        true => heard(&mut socket, 3),
        false => assert!(
            next.to_string()
                .contains(r#""event-number","valueString":"3""#)
        ),
    }
}

fn only_who_may_listens(database: &Database) {
    let kiln = guarded(database);
    let holder = |name: &str, arguments: &[&str]| Holder {
        kiln: &kiln,
        key: key(database, name, arguments),
    };
    let admin = holder("admin", &["--role", "admin"]);
    let scope = "system/Subscription.cruds system/Observation.rs?category=laboratory";
    let (own, other) = (
        holder("own", &["--scope", scope]),
        holder("other", &["--scope", scope]),
    );
    let made = own.ask("POST", "/fhir/Subscription", &wanted("Observation", ""));
    assert_eq!(made.status, 201, "{}", made.text());
    let id = made.json().str_of("id").unwrap().to_owned();
    let path = format!("/fhir/Subscription/{id}/$get-ws-binding-token");
    let until = std::time::Instant::now() + PATIENCE;
    while own.get(&path).status != 200 {
        assert!(
            std::time::Instant::now() < until,
            "{}",
            own.get(&path).text()
        );
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_eq!(other.get(&path).status, 404);
    assert_eq!(get(kiln.address, &path).status, 401);
    let open = |headers: &str| Socket::open(kiln.address, headers);
    let wrong = open("X-Api-Key: kiln_nothing\r\n").err();
    assert_eq!(wrong.as_deref(), Some("401"));
    let page = open("Origin: https://evil.example\r\n").err();
    assert_eq!(page.as_deref(), Some("403"));
    let mut bare = open("").unwrap();
    bare.send(&format!("bind {id}"));
    assert!(bare.hear().unwrap().starts_with("error: show who you are"));
    let mut foreign = open(&format!("X-Api-Key: {}\r\n", other.key)).unwrap();
    foreign.send(&format!("bind {id}"));
    let none = "error: there is no active subscription";
    assert!(foreign.hear().unwrap().starts_with(none));
    let token = own.get(&path).json();
    let token = token.items_of("parameter")[0]
        .str_of("valueString")
        .unwrap();
    bare.send(&format!("bind-with-token {token}"));
    assert_eq!(bare.hear(), Some(format!("bound {id}")));
    let mut theirs = open(&format!("X-Api-Key: {}\r\n", own.key)).unwrap();
    theirs.send(&format!("bind {id}"));
    assert_eq!(theirs.hear(), Some(format!("bound {id}")));
    let observation = |category: &str| {
        format!(
            r#"{{"resourceType":"Observation","id":"{category}","status":"final","code":{{"text":"x"}},
            "category":[{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"{category}"}}]}}]}}"#
        )
    };
    // What they may not see is not even pinged for: there is one ping, for the second.
    admin.put(&observation("vital-signs"));
    admin.put(&observation("laboratory"));
    let ping = Some(format!("ping {id}"));
    assert_eq!((bare.hear(), theirs.hear()), (ping.clone(), ping));
    let events = format!("/fhir/Subscription/{id}/$status");
    let text = admin.get(&events).text();
    assert!(
        text.contains(r#""events-since-subscription-start","valueString":"1""#),
        "{text}"
    );
}

fn what_is_no_binding_is_answered(database: &Database) {
    let kiln = Kiln::start(database);
    let mut socket = Socket::open(kiln.address, "").unwrap();
    let long = format!("bind {}", "x".repeat(5_000));
    for text in [
        "",
        "bind",
        "bind nothing",
        "hello",
        "bind-with-token",
        "bind-with-token sealed:1:AAAA",
        &long,
    ] {
        socket.send(text);
        let answer = socket.hear().unwrap();
        assert!(
            answer.starts_with("error: ") && answer.len() < 200,
            "{answer}"
        );
    }
    let path = "/fhir/websocket";
    assert_eq!(get(kiln.address, path).status, 400);
    let posted = send(kiln.address, "POST", path, &[FHIR_JSON], b"{}").unwrap();
    assert_eq!(posted.status, 405);
}
