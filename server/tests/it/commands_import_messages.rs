//! Messages and documents that `kiln import` brings are kept, known again and worked on again like those of the doors.

use fhir_spec::json::Value;

use crate::client::{get, send};
use crate::commands::{Files, stderr};
use crate::commands_import_foreign::{DOCUMENT, count, done, import, importing, message};
use crate::databases::Database;
use crate::kiln::Kiln;
use crate::messages::post_hl7;
use crate::mllp::messages;

on_both_databases!(
    imported_messages_are_kept_like_those_of_the_doors,
    imported_documents_are_kept_too,
    an_import_of_messages_that_is_killed_goes_on,
);

const ER7: (&str, &str) = ("Content-Type", "x-application/hl7-v2+er7");

fn column(messages: &[Value], name: &str) -> Vec<String> {
    let said = |message: &Value| message.str_of(name).unwrap_or_default().to_owned();
    messages.iter().map(said).collect()
}

fn imported_messages_are_kept_like_those_of_the_doors(database: &Database) {
    let files = Files::new();
    let (first, second) = (message(1, "Eins", 1), message(2, "Zwei", 2));
    // Bytes of another character set stay what they are.
    let latin = message(3, "Drei", 3).replace("|P|2.5.1\r", "|P|2.5.1||||||8859/1\r");
    let latin: Vec<u8> = latin.replace("Jane", "J~ne").into_bytes();
    let latin: Vec<u8> = latin
        .iter()
        .enumerate()
        .map(|(at, byte)| match (at > 20, byte) {
            (true, b'~') => 0xFC,
            _ => *byte,
        })
        .collect();
    let unknown = "MSH|^~\\&|APP|FAC|||20240101120000||XYZ^Z99|x|P|2.5.1\rPID|1\r";
    let text = [
        first.as_bytes(),
        second.as_bytes(),
        first.as_bytes(),
        &latin,
        unknown.as_bytes(),
    ];
    files.put("adt.hl7", &text.concat());
    let output = import(database, &files, &["adt.hl7"]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));

    let kiln = Kiln::start(database);
    let mut kept = messages(&kiln, "route=import");
    kept.sort_by_key(|message| message.str_of("controlId").unwrap().to_owned());
    assert_eq!(column(&kept, "controlId"), ["1-1", "2-2", "3-3", "x"]);
    assert_eq!(
        column(&kept, "status"),
        ["applied", "applied", "applied", "dead"]
    );
    assert_eq!(column(&kept, "code"), ["AA", "AA", "AA", "AR"]);
    let of = |place: usize, rest: &str| {
        let id = kept[place].str_of("id").unwrap();
        get(kiln.address, &format!("/api/messages/{id}{rest}"))
    };
    assert_eq!(of(2, "/raw").body, latin);
    let whole = of(0, "").json();
    assert_eq!(whole.str_of("file"), Some("adt.hl7"));
    let touched = whole.items_of("resources");
    let patient = touched[0].str_of("reference").unwrap();
    assert!(patient.starts_with("Patient/"), "{whole}");
    assert!(whole.get("report").is_some(), "{whole}");
    assert!(of(3, "").text().contains("XYZ^Z99"));

    // The door knows what was imported, and answers as it was answered then.
    let answer = post_hl7(&kiln, &[ER7], &first);
    assert_eq!(answer.status, 200);
    assert!(answer.text().contains("MSA|AA|1-1"), "{}", answer.text());
    assert_eq!(
        whole.items_of("acknowledgements")[0].as_str(),
        Some(&*answer.text())
    );
    assert_eq!(messages(&kiln, "").len(), 4);
    // An import knows what came by the door.
    let third = message(4, "Vier", 4);
    assert_eq!(post_hl7(&kiln, &[ER7], &third).status, 200);
    files.put("more.hl7", [third, second].concat().as_bytes());
    let output = import(database, &files, &["more.hl7"]);
    done(
        &output,
        "0 created, 0 updated, 0 unchanged, 0 deleted; messages that were here before: 2",
    );
    assert_eq!(messages(&kiln, "").len(), 5);
    // It is worked on again as any other.
    let id = kept[0].str_of("id").unwrap();
    let path = format!("/api/messages/{id}/reprocess");
    let again = send(kiln.address, "POST", &path, &[], b"").unwrap();
    assert_eq!(again.status, 200, "{}", again.text());
    assert_eq!(again.json().str_of("status"), Some("applied"));
    assert_eq!(count(&kiln, "Patient?"), 4);
}

fn imported_documents_are_kept_too(database: &Database) {
    let files = Files::new();
    files.put("a.xml", DOCUMENT.as_bytes());
    files.put("b.xml", DOCUMENT.as_bytes());
    let bad = DOCUMENT.replacen("<recordTarget>", "<recordTarget><", 1);
    files.put("bad.xml", bad.as_bytes());
    let output = import(database, &files, &["a.xml", "b.xml", "bad.xml"]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let kiln = Kiln::start(database);
    let kept = messages(&kiln, "route=import-documents");
    assert_eq!(column(&kept, "status"), ["dead", "applied"]);
    let id = kept[1].str_of("id").unwrap();
    let raw = get(kiln.address, &format!("/api/messages/{id}/raw"));
    assert_eq!(raw.text(), DOCUMENT);
    let whole = get(kiln.address, &format!("/api/messages/{id}")).text();
    assert!(whole.contains("Composition/"), "{whole}");
}

/// However often it is killed, each message is there once, and of each patient the last one counts.
fn an_import_of_messages_that_is_killed_goes_on(database: &Database) {
    let files = Files::new();
    let text: String = (0..600)
        .map(|number| {
            let plain = message(number % 7, &format!("Name{number}"), 0);
            plain.replacen(&format!("|{}-0|", number % 7), &format!("|{number}|"), 1)
        })
        .collect();
    files.put("adt.hl7", text.as_bytes());
    for wait_ms in [400, 700, 1_000] {
        let mut running = importing(database, &files, &["adt.hl7"])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(wait_ms));
        running.kill().unwrap();
        running.wait().unwrap();
    }
    done(&import(database, &files, &["adt.hl7"]), "");
    assert_eq!(
        database.number("SELECT count(*) FROM messages WHERE status = 2"),
        600
    );
    let kiln = Kiln::start(database);
    assert_eq!(count(&kiln, "Patient?"), 7);
    for number in 593..600 {
        assert_eq!(count(&kiln, &format!("Patient?family=Name{number}&")), 1);
    }
}
