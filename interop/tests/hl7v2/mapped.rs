//! Messages through maps: paths, kinds of nothing, groups, losses with their places.

use std::sync::Arc;

use fhir_spec::definitions::Definitions;
use fhir_spec::json::Value;
use interop::formats::hl7v2::convert::{Converter, Unmapped};
use interop::formats::hl7v2::dictionary::Dictionary;
use interop::formats::hl7v2::{Intake, MessageSchema, Transmission};
use interop::mapping::source::Schema;
use interop::mapping::{HL7V2, Mapped, Occasion, Pack, Zone, shipped_hl7v2};

fn converter(pack: impl Into<Arc<Pack>>) -> Converter {
    Converter::new(pack, Zone::utc(), &[]).unwrap_or_else(|no| panic!("{no}"))
}

fn occasion() -> Occasion<'static> {
    Occasion {
        now: "2026-01-02T03:04:05Z",
        seed: "one",
        trace: true,
    }
}

/// What a message becomes, and its loss report as lines.
fn run(converter: &Converter, message: &str) -> (Mapped, Vec<String>) {
    let opened = Transmission::open(message.as_bytes(), Intake::default()).unwrap();
    let text = opened.text(0).unwrap();
    let message = text.message().unwrap();
    let converted = converter
        .convert(&message, None, occasion())
        .unwrap_or_else(|unmapped| panic!("{unmapped}"));
    let issues = converted.issues();
    let told = issues.iter().map(|issue| issue.diagnostics.to_string());
    let told = told.collect();
    (converted.mapped, told)
}

fn pack(text: &str) -> Pack {
    Pack::read([("test.map", text)]).unwrap_or_else(|bad| panic!("{bad}"))
}

#[test]
fn shipped_maps_of_messages_compile_and_use_all_they_have() {
    let pack = shipped_hl7v2().unwrap_or_else(|bad| panic!("{bad}"));
    let dictionary = Dictionary::shipped().unwrap();
    let schemas: Vec<(String, MessageSchema)> = pack
        .serving("hl7v2")
        .map(|(name, serves)| {
            let schema = interop::formats::hl7v2::convert::schema_of(dictionary, name, &serves);
            (name.to_owned(), schema.unwrap_or_else(|| panic!("{name}")))
        })
        .collect();
    let schema_of = |name: &str| {
        let found = schemas.iter().find(|(known, _)| known == name);
        found.map(|(_, schema)| -> &dyn Schema { schema })
    };
    let plans = pack
        .check_all(schema_of, Definitions::r4())
        .unwrap_or_else(|bad| panic!("{bad}"));
    println!(
        "{} files, {} maps, {} rows",
        HL7V2.len(),
        plans.len(),
        plans
            .iter()
            .map(interop::mapping::Plan::row_count)
            .sum::<usize>()
    );
}

#[test]
fn an_admission_becomes_a_patient_and_an_encounter() {
    let converter = converter(shipped_hl7v2().unwrap().clone());
    let (mapped, told) = run(
        &converter,
        "MSH|^~\\&|HIS|MAIN|LAB|MAIN|20260102030405+0100||ADT^A01|7|P|2.5.1\r\
         PID|1||0815^^^MAIN&1.2.3&ISO^MR~99^^^OTHER^SS||Doe^Jane^Q||19740315|F|||1 Main St^^Bertfurt^^12345\r\
         PV1|1|I|W1^R2^B3||||||||||||||||V9^^^MAIN|||||||||||||||||||||||||20260101120000\rZZZ|own\r",
    );
    let kinds: Vec<_> = (mapped.entries.iter())
        .map(|entry| Value::from(entry.resource.clone()))
        .collect();
    let patient = &kinds[0];
    assert_eq!(patient.str_of("resourceType"), Some("Patient"));
    let ids = patient.items_of("identifier");
    assert_eq!(ids[0].str_of("system"), Some("urn:oid:1.2.3"));
    assert_eq!(ids[1].str_of("system"), Some("urn:id:OTHER"));
    assert_eq!(patient.items_of("name")[0].str_of("family"), Some("Doe"));
    assert_eq!(patient.str_of("birthDate"), Some("1974-03-15"));
    assert_eq!(patient.str_of("gender"), Some("female"));
    let is_encounter = |kind: &&Value| kind.str_of("resourceType") == Some("Encounter");
    let encounter = kinds.iter().find(is_encounter).unwrap();
    let start = encounter.get("period").unwrap().str_of("start");
    // The zone of the header.
    assert_eq!(start, Some("2026-01-01T12:00:00+01:00"));
    assert!(
        told.iter().any(|text| text.starts_with("ZZZ-1 ")),
        "{told:#?}"
    );
    assert!(
        !told
            .iter()
            .any(|text| text.starts_with("PID-") || text.starts_with("PV1-")),
        "{told:#?}"
    );
}

#[test]
fn what_a_message_takes_back_is_named_from_the_resource() {
    let converter = converter(shipped_hl7v2().unwrap().clone());
    let deletes = |event: &str, segments: &str| -> Vec<String> {
        let message =
            format!("MSH|^~\\&|HIS|MAIN|||20260102030405||ADT^{event}|7|P|2.5.1\r{segments}");
        let (mapped, _) = run(&converter, &message);
        let links: Vec<String> = (mapped.entries.iter())
            .map(|entry| entry.full_url.to_string())
            .collect();
        let all = mapped
            .entries
            .iter()
            .flat_map(|entry| entry.deletes.clone());
        all.map(|path| {
            let place = links.iter().position(|link| path.contains(link));
            place.map_or_else(
                || path.to_string(),
                |place| path.replace(&links[place], &place.to_string()),
            )
        })
        .collect()
    };
    assert_eq!(
        deletes(
            "A08",
            "PID|1||1^^^M||Doe^Jane||\"\"|F|||1 Main^\"\"^Bertfurt^^\"\"^^H||\"\"|555|||||\"\"\rPV1|1|I|||||||||||\"\"||||||7\r",
        ),
        [
            "identifier[system=\"http://hl7.org/fhir/sid/us-ssn\", type.coding.code=SS, \
             type.coding.system=\"http://terminology.hl7.org/CodeSystem/v2-0203\"]",
            "birthDate",
            "address[use=home].postalCode",
            "telecom[use=home]",
            "hospitalization.reAdmission",
        ],
    );
    // A discharge that did not happen.
    assert_eq!(
        deletes("A13", "PID|1||1\rPV1|1|I|||||||||||||||||7\r"),
        ["period.end"]
    );
    // A link between two records that was wrong.
    assert_eq!(
        deletes("A37", "PID|1||1\rPID|2||2\r"),
        ["link[other.reference=1]", "link[other.reference=0]"],
    );
}

#[test]
fn rows_refer_to_blocks_and_take_back_what_is_no_more() {
    let converter = converter(pack(
        "map ADT_A01 : hl7v2\n\
        \x20 for \"ADT_A01\"\n\
        \x20 PID -> Patient\n\
        \x20   null -> birthDate  if PID-30 = \"Y\"\n\
        \x20   PID-7 -> birthDate\n\
        \x20 PV1 -> Encounter as Visit\n\
        \x20   Patient -> subject  { subject.display = PID-5.1 }\n\
        \x20   ROL-4.1 -> statusHistory.status  if ROL-3 = \"X\"\n\
        \x20 PV1-7 { ^Visit.participant[] += XCN : ATTENDER }\n\
        \x20   XCN -> Practitioner as Attender use XCN if XCN.1\n\
        type XCN -> Encounter.participant as ATTENDER\n\
        \x20 Attender -> individual\n\
        \x20 XCN.2 -> individual.display\n\
        segment XCN -> Practitioner\n\
        \x20 XCN.1 -> identifier[].value\n",
    ));
    let (mapped, _) = run(
        &converter,
        "MSH|^~\\&|A|B|C|D|2026||ADT^A01|7|P|2.5.1\rPID|1||||Doe||1980|||||||||||||||||||||||Y\rPV1|1|I|||||D1^One~^Two\r",
    );
    let find = |kind: &str| {
        let found = mapped.entries.iter().position(|entry| {
            Value::from(entry.resource.clone()).str_of("resourceType") == Some(kind)
        });
        let place = found.unwrap();
        (place, Value::from(mapped.entries[place].resource.clone()))
    };
    let (patient, _) = find("Patient");
    assert_eq!(mapped.entries[patient].deletes, ["birthDate".into()]);
    let (_, visit) = find("Encounter");
    let subject = visit.get("subject").unwrap();
    assert_eq!(
        subject.str_of("reference"),
        Some(&*mapped.entries[patient].full_url)
    );
    assert_eq!(subject.str_of("display"), Some("Doe"));
    let who: Vec<_> = (visit.items_of("participant").iter())
        .map(|one| one.get("individual").unwrap())
        .collect();
    let (doctor, _) = find("Practitioner");
    assert_eq!(
        who[0].str_of("reference"),
        Some(&*mapped.entries[doctor].full_url)
    );
    assert_eq!(
        (who[1].str_of("reference"), who[1].str_of("display")),
        (None, Some("Two"))
    );
}

#[test]
fn what_no_map_serves_is_told() {
    let converter = converter(shipped_hl7v2().unwrap().clone());
    let opened = Transmission::open(
        b"MSH|^~\\&|A|B|C|D|2026||XYZ^Q99|7|P|2.5.1\r",
        Intake::default(),
    )
    .unwrap();
    let text = opened.text(0).unwrap();
    let message = text.message().unwrap();
    let unmapped = converter.convert(&message, None, occasion());
    let unmapped = unmapped.map(|_| ()).unwrap_err();
    assert_eq!(unmapped, Unmapped::Kind("XYZ^Q99".to_owned()));
}

#[test]
fn groups_keep_results_with_their_orders() {
    let converter = converter(pack(
        "map ORU_R01 : hl7v2\n\
        \x20 for \"ORU^R01\"\n\
        \x20 ORDER_OBSERVATION*\n\
        \x20   OBR -> DiagnosticReport\n\
        \x20     OBR-4 -> code.text\n\
        \x20     ZLB-2 -> conclusion\n\
        \x20     \"final\" -> status\n\
        \x20   OBSERVATION*\n\
        \x20     OBX -> Observation { ^DiagnosticReport.result += self }\n\
        \x20       OBX-3.1 -> code.text\n\
        \x20       OBR-2 -> method.text\n\
        \x20       OBX-5[2].1 -> valueString\n\
        \x20       \"final\" -> status\n",
    ));
    let (mapped, told) = run(
        &converter,
        "MSH|^~\\&|A|B|C|D|2026||ORU^R01|7|P|2.3\rPID|1\rOBR|1|o1||T1^one\rOBX|1|ST|c1||a~b\\T\\c^d\rZLB|1|zed\r\
         OBR|2|o2||T2^two\rOBX|1|ST|c2^^&&\"\"||x\rOBX|2|ST|c3||p~q\r",
    );
    let text = |place: usize, path: &[&str]| {
        let mut value = Value::from(mapped.entries[place].resource.clone());
        for step in path {
            let Some(below) = value.get(step).cloned() else {
                return String::new();
            };
            value = below;
        }
        value.as_str().unwrap_or_default().to_owned()
    };
    let kinds: Vec<String> = (0..5).map(|place| text(place, &["resourceType"])).collect();
    let results = |place: usize| {
        Value::from(mapped.entries[place].resource.clone())
            .items_of("result")
            .len()
    };
    assert_eq!(
        kinds.iter().filter(|kind| *kind == "Observation").count(),
        3
    );
    for place in 0..5 {
        match text(place, &["code", "text"]).as_str() {
            "T1" => assert_eq!(
                (results(place), text(place, &["conclusion"])),
                (1, "zed".into())
            ),
            "T2" => assert_eq!(
                (results(place), text(place, &["conclusion"])),
                (2, String::new())
            ),
            "c1" => {
                assert_eq!(text(place, &["valueString"]), "b&c");
                assert_eq!(text(place, &["method", "text"]), "o1");
            }
            "c2" => assert_eq!(text(place, &["valueString"]), ""),
            "c3" => assert_eq!(text(place, &["valueString"]), "q"),
            other => panic!("{other}"),
        }
    }
    for lost in [
        "OBR[2]-4.2 ",
        "OBX[1]-5[1] ",
        "OBX[1]-5[2].2 ",
        "OBX[3]-5[1] ",
        "ZLB-1 ",
    ] {
        assert!(
            told.iter().any(|text| text.starts_with(lost)),
            "{lost}: {told:#?}"
        );
    }
    assert!(told.iter().any(|text| text.contains("ZLB")), "{told:#?}");
    // Row, target and place of what became something.
    assert!(!mapped.trace.is_empty());
}

#[test]
fn paths_that_the_standard_does_not_have_do_not_compile() {
    let schema = MessageSchema::new(Dictionary::shipped().unwrap(), "ORU_R01").unwrap();
    let root = schema.root();
    for good in [
        "PID",
        "PID-3",
        "PID-3[2].4.1",
        "PATIENT_RESULT.PATIENT.PID-5.1.1",
        "OBX[2]-5",
        "ZPI-7.9.3",
        "OBX-5.4.4",
        "MSH-9.3",
        "ORC-2.1",
        "PATIENT_RESULT",
    ] {
        schema
            .path(root, good)
            .unwrap_or_else(|bad| panic!("{good}: {bad}"));
    }
    for bad in [
        "",
        "PID-",
        "PID-0",
        "PID-99",
        "PID-3.99",
        "PID-3.4.9",
        "PID-3.1.1.1",
        "PID-7.9",
        "PIX-3",
        "PATIENT_RESULT-1",
        "PID.PV1",
        "PID-3[",
        "PID-3[0",
        "NOWHERE.PID-3",
        "pid-3",
    ] {
        assert!(schema.path(root, bad).is_err(), "{bad}");
    }
    let cx = schema.kind("CX").unwrap();
    assert!(schema.path(cx, "CX.4.1").is_ok() && schema.path(cx, "CX.99").is_err());
    assert!(schema.path(cx, "XPN.1").is_err() && schema.path(cx, "PID-3").is_err());
    assert_eq!(schema.kind("CE"), schema.kind("CWE"));
    assert_eq!(schema.kind("NOPE"), None);
}
