//! What goes along with a backup, a restore and a migration beside resources: messages and their answers, routes,
//! overlays, times of events, keys, and how far receivers are.

use crate::client::{Answer as Reply, get, send};
use crate::commands::{Files, stdout};
use crate::commands_export::{assert_done, run};
use crate::databases::{self, Database};
use crate::kiln::Kiln;
use crate::messages::post_hl7;
use crate::mllp::{adt, messages};
use crate::receiver::{Answer, Receiver};
use crate::subscriptions::{hurried, post, subscribe};

on_both_databases!(
    messages_arrangements_and_times_of_events_come_along,
    keys_and_events_that_wait_come_along,
);

const ER7: (&str, &str) = ("Content-Type", "x-application/hl7-v2+er7");

fn say(kiln: &Kiln, message: &str) -> Reply {
    let answer = post_hl7(kiln, &[ER7], message);
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer
}

/// The store once more: restored into SQLite from a backup, restored into PostgreSQL, and moved into each.
fn copies(database: &Database, files: &Files) -> Vec<Database> {
    let backup = files.0.join("kiln.backup").display().to_string();
    assert_done(&run(database, &["backup", &backup]));
    let mut copies = Vec::new();
    for copy in databases::postgres()
        .into_iter()
        .chain([databases::sqlite()])
    {
        assert_done(&run(&copy, &["restore", &backup]));
        copies.push(copy);
    }
    for copy in databases::postgres()
        .into_iter()
        .chain([databases::sqlite()])
    {
        let moved = run(database, &["migrate", "--to", &copy.url]);
        assert_done(&moved);
        assert!(stdout(&moved).starts_with("migrated "));
        copies.push(copy);
    }
    copies
}

fn messages_arrangements_and_times_of_events_come_along(database: &Database) {
    let kiln = Kiln::start(database);
    let last = adt("1", "P1");
    let acknowledged = say(&kiln, &last).text();
    say(&kiln, &adt("2", "P2"));
    post_hl7(&kiln, &[ER7], "no message");
    let overlay = "overlay app : ADT_A01\n  in Patient\n    add PID-3.1 -> photo[].title\n";
    let route = "{\"transport\":\"mllp\",\"listen\":\"127.0.0.1:0\"}";
    for (path, body) in [("overlays/app", overlay), ("routes/lab", route)] {
        let path = format!("/api/{path}");
        let put = send(kiln.address, "PUT", &path, &[], body.as_bytes());
        assert_eq!(put.unwrap().status, 201);
    }
    let stopped = send(kiln.address, "POST", "/api/routes/lab/stop", &[], b"").unwrap();
    assert_eq!(stopped.status, 200);
    let found = get(kiln.address, "/fhir/Patient?identifier=P1").json();
    let patient = found.items_of("entry")[0].get("resource").unwrap();
    let patient = format!("/fhir/Patient/{}", patient.str_of("id").unwrap());
    let kept = messages(&kiln, "");
    let id = kept.last().unwrap().str_of("id").unwrap().to_owned();
    let paths = [
        "/api/messages".to_owned(),
        "/api/messages?patient=P1".to_owned(),
        format!("/api/messages/{id}"),
        format!("/api/messages/{id}/raw"),
        "/api/overlays/app/history".to_owned(),
        "/api/routes/lab/history".to_owned(),
        patient,
    ];
    let told = |kiln: &Kiln| -> Vec<String> {
        let here = kiln.address.to_string();
        let tell = |path: &String| {
            let answer = get(kiln.address, path);
            assert_eq!(answer.status, 200, "{path}: {}", answer.text());
            answer.text().replace(&here, "here")
        };
        paths.iter().map(tell).collect()
    };
    let before = told(&kiln);
    kiln.stop("TERM");
    let files = Files::new();
    for target in &copies(database, &files) {
        let kiln = Kiln::start(target);
        assert_eq!(told(&kiln), before);
        // The same message is known and answered as it was, an older one changes nothing, a new one gets the next number.
        assert_eq!(say(&kiln, &last).text(), acknowledged);
        assert_eq!(messages(&kiln, "").len(), 3);
        let older = adt("3", "P1").replace("20260301120000", "20250301120000");
        say(&kiln, &older.replace("Muster^Erika", "Older^Name"));
        let found = get(kiln.address, "/fhir/Patient?identifier=P1").text();
        assert!(
            found.contains("Muster") && !found.contains("Older"),
            "{found}"
        );
        let now = messages(&kiln, "");
        assert_eq!((now.len(), now[0].str_of("controlId")), (4, Some("3")));
        // Backed up anew it is whole again.
        kiln.stop("TERM");
        let again = files.0.join(format!("{}.backup", uuid::Uuid::now_v7()));
        let again = again.display().to_string();
        assert_done(&run(target, &["backup", &again]));
    }
}

fn patient(kiln: &Kiln, family: &str) {
    let body = format!(r#"{{"resourceType":"Patient","name":[{{"family":"{family}"}}]}}"#);
    assert_eq!(post(kiln, "Patient", &body).status, 201);
}

/// What came to a receiver: the number of the event, and the name that it is about.
fn came(receiver: &Receiver) -> Vec<(String, String)> {
    let tell = |request: &crate::receiver::Request| {
        let id = request.header("webhook-id").unwrap();
        let number = id.rsplit('-').next().unwrap().to_owned();
        let name = request.json().items_of("name")[0].clone();
        (number, name.str_of("family").unwrap().to_owned())
    };
    receiver.seen().iter().map(tell).collect()
}

fn keys_and_events_that_wait_come_along(database: &Database) {
    let settings = hurried("[0, 86400]");
    let kiln = Kiln::configured(database, &settings);
    let receiver = Receiver::start();
    let body = format!(
        r#"{{"resourceType":"Subscription","status":"requested","reason":"test","criteria":"Patient","channel":{{"type":"rest-hook","endpoint":"{}","payload":"application/fhir+json"}}}}"#,
        receiver.url()
    );
    let id = subscribe(&kiln, &body);
    patient(&kiln, "A");
    receiver.wait(1);
    // B comes and is refused: it waits for a day, and C behind it.
    receiver.usually(Answer::Status(500));
    patient(&kiln, "B");
    receiver.wait(2);
    patient(&kiln, "C");
    let waits = format!(
        "SELECT count(*) FROM targets WHERE id = '{id}' AND born = 3 AND done = 1 AND attempts = 1"
    );
    database.wait_for(&waits, 1);
    kiln.stop("TERM");
    let made = run(database, &["key", "add", "lab", "--role", "admin"]);
    assert_done(&made);
    let key = stdout(&made).trim().to_owned();
    let files = Files::new();
    for target in &copies(database, &files) {
        let before = came(&receiver);
        receiver.usually(Answer::Status(200));
        let kiln = Kiln::configured(target, &settings);
        let path = format!("/api/deliveries/{id}/retry");
        let resumed = send(kiln.address, "POST", &path, &[], b"").unwrap();
        assert_eq!(resumed.status, 200, "{}", resumed.text());
        patient(&kiln, "D");
        receiver.wait(before.len() + 3);
        target.wait_for(&format!("SELECT done FROM targets WHERE id = '{id}'"), 4);
        let now = came(&receiver);
        let expected = [("2", "B"), ("3", "C"), ("4", "D")];
        let expected = expected.map(|(number, name)| (number.to_owned(), name.to_owned()));
        assert_eq!(now[before.len()..], expected);
        kiln.stop("TERM");
        // Who has the key comes in, and nobody else.
        let kiln = Kiln::configured(target, &format!("auth = 'smart'\n{settings}"));
        let path = format!("/api/deliveries/{id}/retry");
        let bearer = format!("Bearer {key}");
        for (headers, status) in [(&[("Authorization", bearer.as_str())][..], 200), (&[], 401)] {
            let answer = send(kiln.address, "POST", &path, headers, b"").unwrap();
            assert_eq!(answer.status, status, "{}", answer.text());
        }
        kiln.stop("TERM");
    }
}
