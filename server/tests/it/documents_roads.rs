//! The other roads of clinical documents: inside of messages, and by routes of their own.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fhir_spec::json::Value;

use crate::client::{get, send};
use crate::databases::Database;
use crate::documents::{SMALL, Small, found, sent};
use crate::kiln::Kiln;
use crate::mllp::{Sender, messages, said};

on_both_databases!(documents_inside_of_messages, routes_of_documents);

const ORDER: &str = "OBR|1|P1|F1|34133-9^Summary^LN|||20240102|||||||||||||||20240102||GE|F\r";
const PATIENT: &str = "p1^^^H&1.2.3&ISO^MR";

fn obx(data: &str) -> String {
    format!("OBX|1|ED|34133-9^Summary^LN||^application^xml^Base64^{data}||||||F\r")
}

fn message(kind: &str, patient: &str, segments: &str) -> String {
    format!(
        "MSH|^~\\&|APP|FAC|||20240102||{kind}|{}|P|2.5.1\rPID|1||{patient}||Example^Ann||19800102|F\r{segments}",
        kind.len() + patient.len() + segments.len()
    )
}

fn documents_inside_of_messages(database: &Database) {
    let kiln = Kiln::start(database);
    let mut sender = Sender::to(kiln.mllp[0]);
    let packed = STANDARD.encode(SMALL.text());
    let txa = "TXA|1|CN|TX|20240102||||||||doc1||||||LA\r";
    let mdm = message(
        "MDM^T02^MDM_T02",
        PATIENT,
        &format!("{txa}{}", obx(&packed)),
    );
    assert_eq!(said(&sender.ask(&mdm)).0, "AA");
    let patients = found(&kiln, "Patient");
    assert_eq!(patients.len(), 1, "{patients:?}");
    let id = patients[0].str_of("id").unwrap();
    assert_eq!(
        found(&kiln, &format!("AllergyIntolerance?patient={id}")).len(),
        1
    );
    assert_eq!(
        found(&kiln, &format!("DocumentReference?patient={id}")).len(),
        2
    );
    // All of it in one transaction: one Provenance tells of it.
    let provenance = found(&kiln, "Provenance");
    assert_eq!(provenance.len(), 1);
    assert!(provenance[0].to_string().contains("AllergyIntolerance/"));

    known_by_name_and_birth(&kiln, &mut sender, id);
    about_somebody_else(&kiln, &mut sender);
}

fn known_by_name_and_birth(kiln: &Kiln, sender: &mut Sender, id: &str) {
    // The patient of a message is known by name and birth when the numbers differ.
    let other = STANDARD.encode(
        Small {
            id: "d7",
            patient: "<id root=\"7.7\" extension=\"p7\"/>",
            ..SMALL
        }
        .text(),
    );
    let oru = message(
        "ORU^R01^ORU_R01",
        PATIENT,
        &format!("{ORDER}{}", obx(&other)),
    );
    assert_eq!(said(&sender.ask(&oru)).0, "AA");
    let patients = found(kiln, "Patient");
    assert_eq!(patients.len(), 1, "{patients:?}");
    assert_eq!(
        found(
            kiln,
            &format!("DocumentReference?identifier=urn:oid:1.2.3.4%7Cd7&patient={id}")
        )
        .len(),
        1
    );
    let entry = &messages(kiln, "type=ORU")[0];
    let shown = get(
        kiln.address,
        &format!("/api/messages/{}", entry.str_of("id").unwrap()),
    )
    .json();
    let trace = shown.items_of("trace");
    let is_of_document = |line: &&Value| line.as_str().unwrap().starts_with("OBX[1]-5 ");
    assert!(trace.iter().find(is_of_document).is_some());
}

fn about_somebody_else(kiln: &Kiln, sender: &mut Sender) {
    // A document about somebody else is kept apart and told; one that is none is told.
    let stranger = SMALL
        .text()
        .replace("<given>Ann</given>", "<given>Bob</given>");
    let stranger = STANDARD.encode(
        stranger
            .replace("extension=\"p1\"", "extension=\"p3\"")
            .replace("extension=\"d1\"", "extension=\"d8\""),
    );
    let broken = STANDARD.encode("<ClinicalDocument xmlns=\"urn:hl7-org:v3\"><a>");
    let both = format!("{ORDER}{}{}", obx(&stranger), obx(&broken));
    let oru = message("ORU^R01^ORU_R01", PATIENT, &both);
    assert_eq!(said(&sender.ask(&oru)).0, "AA");
    assert_eq!(found(kiln, "Patient").len(), 2);
    let entry = &messages(kiln, "type=ORU&limit=1")[0];
    let shown = get(
        kiln.address,
        &format!("/api/messages/{}", entry.str_of("id").unwrap()),
    );
    for told in [
        "OBX[1]-5: the document is about somebody else",
        "OBX[2]-5: line 1, column",
    ] {
        assert!(shown.text().contains(told), "{told} {}", shown.text());
    }
}

fn routes_of_documents(database: &Database) {
    let kiln = Kiln::configured(
        database,
        "[[routes]]\nname = \"later\"\ntransport = \"http\"\nformat = \"cda\"\nacknowledge = \"stored\"\nzone = \"Europe/Berlin\"\n",
    );
    let answer = sent(
        &kiln,
        "/api/documents?route=later",
        &Small {
            time: "20240102030405",
            ..SMALL
        }
        .text(),
    );
    assert_eq!(answer.status, 200, "{}", answer.text());
    let id = answer.json().str_of("id").unwrap().to_owned();
    let path = format!("/api/messages/{id}");
    while get(kiln.address, &path).json().str_of("status") == Some("received") {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_eq!(found(&kiln, "Patient").len(), 1);
    let reference = &found(&kiln, "DocumentReference")[0];
    assert_eq!(reference.str_of("date"), Some("2024-01-02T03:04:05+01:00"));
    let route = get(kiln.address, "/api/routes/later").json();
    assert_eq!(route.str_of("format"), Some("cda"));
    // What stands on the desk can be stopped.
    let stop = send(kiln.address, "POST", "/api/routes/later/stop", &[], b"").unwrap();
    assert_eq!(stop.status, 200);
    assert_eq!(sent(&kiln, "/api/documents", &SMALL.text()).status, 503);
}
