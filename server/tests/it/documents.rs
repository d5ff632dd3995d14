//! Clinical documents into the store: whole or not at all, once, the newer one before the older one, and nothing is lost of
//! what was refused.

use fhir_spec::json::Value;

use crate::client::{Answer, get, send};
use crate::databases::Database;
use crate::kiln::Kiln;
use crate::mllp::messages;

on_both_databases!(
    a_document_becomes_resources_with_their_origin,
    the_same_document_changes_nothing,
    a_newer_version_supersedes_whichever_comes_first,
    a_document_that_replaces_another_by_its_id,
    documents_about_one_patient_meet,
    what_is_refused_is_kept_and_told,
    hostile_documents_are_refused_and_the_next_is_taken,
    what_would_become_of_a_document_is_shown,
);

const EVERYTHING: &str = include_str!("../../../interop/tests/cda/golden/everything/input.xml");
/// What the memory of the server may grow by while it refuses hostile documents, beyond what others of that length take:
/// some copies of twelve megabytes that the allocator keeps, on each thread that has had one.
const REFUSED_KIB_MAX: u64 = 96 * 1024;
const XML: (&str, &str) = ("Content-Type", "application/hl7-v3+xml");

/// What varies of a small document.
#[derive(Clone)]
pub(crate) struct Small {
    pub(crate) id: &'static str,
    /// Number and version.
    pub(crate) set: Option<(&'static str, u32)>,
    pub(crate) replaces: Option<&'static str>,
    pub(crate) time: &'static str,
    pub(crate) patient: &'static str,
    pub(crate) allergen: &'static str,
}

pub(crate) const SMALL: Small = Small {
    id: "d1",
    set: None,
    replaces: None,
    time: "20240102030405+0000",
    patient: "<id root=\"1.2.3\" extension=\"p1\"/>",
    allergen: "Penicillin",
};

impl Small {
    pub(crate) fn text(&self) -> String {
        let Self {
            id,
            time,
            patient,
            allergen,
            ..
        } = self;
        let set = self.set.map_or_else(String::new, |(set, version)| {
            format!(
                "<setId root=\"1.2.3.5\" extension=\"{set}\"/><versionNumber value=\"{version}\"/>"
            )
        });
        let replaces = self.replaces.map_or_else(String::new, |parent| {
            format!("<relatedDocument typeCode=\"RPLC\"><parentDocument><id root=\"1.2.3.4\" extension=\"{parent}\"/></parentDocument></relatedDocument>")
        });
        format!(
            "<ClinicalDocument xmlns=\"urn:hl7-org:v3\" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\">\
             <templateId root=\"2.16.840.1.113883.10.20.22.1.2\"/><id root=\"1.2.3.4\" extension=\"{id}\"/>\
             <code code=\"34133-9\" codeSystem=\"2.16.840.1.113883.6.1\" displayName=\"Summary\"/><title>Summary</title>\
             <effectiveTime value=\"{time}\"/><confidentialityCode code=\"N\" codeSystem=\"2.16.840.1.113883.5.25\"/><languageCode code=\"en-US\"/>{set}\
             <recordTarget><patientRole>{patient}<patient><name><given>Ann</given><family>Example</family></name>\
             <administrativeGenderCode code=\"F\" codeSystem=\"2.16.840.1.113883.5.1\"/><birthTime value=\"19800102\"/></patient></patientRole></recordTarget>\
             <author><time value=\"{time}\"/><assignedAuthor><id root=\"1.2.3.6\" extension=\"dr\"/><assignedPerson><name><family>Writer</family></name></assignedPerson></assignedAuthor></author>\
             <custodian><assignedCustodian><representedCustodianOrganization><id root=\"1.2.3.7\" extension=\"org\"/><name>Good Health</name></representedCustodianOrganization></assignedCustodian></custodian>{replaces}\
             <component><structuredBody><component><section><templateId root=\"2.16.840.1.113883.10.20.22.2.6.1\"/>\
             <code code=\"48765-2\" codeSystem=\"2.16.840.1.113883.6.1\"/><title>Allergies</title><text>{allergen}</text>\
             <entry><act classCode=\"ACT\" moodCode=\"EVN\"><templateId root=\"2.16.840.1.113883.10.20.22.4.30\"/><id root=\"1.2.3.8\" extension=\"c1\"/>\
             <code code=\"CONC\" codeSystem=\"2.16.840.1.113883.5.6\"/><statusCode code=\"active\"/><entryRelationship typeCode=\"SUBJ\">\
             <observation classCode=\"OBS\" moodCode=\"EVN\"><templateId root=\"2.16.840.1.113883.10.20.22.4.7\"/><id root=\"1.2.3.8\" extension=\"a1\"/>\
             <code code=\"ASSERTION\" codeSystem=\"2.16.840.1.113883.5.4\"/><statusCode code=\"completed\"/><effectiveTime><low value=\"2010\"/></effectiveTime>\
             <value xsi:type=\"CD\" code=\"416098002\" codeSystem=\"2.16.840.1.113883.6.96\"/><participant typeCode=\"CSM\"><participantRole classCode=\"MANU\">\
             <playingEntity classCode=\"MMAT\"><code nullFlavor=\"OTH\"><originalText>{allergen}</originalText></code></playingEntity></participantRole></participant>\
             </observation></entryRelationship></act></entry></section></component></structuredBody></component></ClinicalDocument>"
        )
    }
}

pub(crate) fn sent(kiln: &Kiln, path: &str, text: &str) -> Answer {
    send(kiln.address, "POST", path, &[XML], text.as_bytes()).unwrap()
}

/// Takes a document in, and answers what became of it.
pub(crate) fn taken(kiln: &Kiln, text: &str) -> Value {
    let answer = sent(kiln, "/api/documents", text);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let document = answer.json();
    assert_eq!(document.str_of("status"), Some("applied"), "{document}");
    document
}

pub(crate) fn found(kiln: &Kiln, query: &str) -> Vec<Value> {
    let bundle = get(kiln.address, &format!("/fhir/{query}"));
    assert_eq!(bundle.status, 200, "{}", bundle.text());
    let bundle = bundle.json();
    let entries = bundle.items_of("entry").iter();
    entries
        .map(|entry| entry.get("resource").unwrap().clone())
        .collect()
}

fn effects(document: &Value) -> Vec<(String, String)> {
    let text = |value: &Value, name: &str| value.str_of(name).unwrap().to_owned();
    let all = document.items_of("resources").iter();
    all.map(|resource| {
        let reference = text(resource, "reference");
        let kind = reference.split('/').next().unwrap().to_owned();
        (kind, text(resource, "effect"))
    })
    .collect()
}

fn a_document_becomes_resources_with_their_origin(database: &Database) {
    let kiln = Kiln::start(database);
    let done = taken(&kiln, EVERYTHING);
    assert_eq!(done.str_of("route"), Some("documents"));
    assert_eq!(done.get("duplicate"), Some(&Value::from(false)));
    assert!(done.get("report").is_some());
    let made = effects(&done);
    for kind in [
        "Patient",
        "Composition",
        "DocumentReference",
        "Binary",
        "Provenance",
    ] {
        let effect = (kind.to_owned(), "created".to_owned());
        assert!(made.contains(&effect), "{kind} {made:?}");
    }
    // The original is there, byte for byte.
    let all = found(&kiln, "DocumentReference");
    let mut all = all.iter();
    let reference = all.find(|one| one.get("masterIdentifier").is_some());
    let reference = reference.unwrap();
    let urls = reference.items_of("content").iter();
    let mut urls = urls.filter_map(|content| content.get("attachment")?.str_of("url"));
    let binary = urls.find(|url| url.starts_with("Binary/")).unwrap();
    let accept = [("Accept", "application/hl7-v3+xml")];
    let original = send(
        kiln.address,
        "GET",
        &format!("/fhir/{binary}"),
        &accept,
        b"",
    )
    .unwrap();
    assert_eq!(original.body, EVERYTHING.as_bytes());
    // Who wrote it and who keeps it stand behind every resource.
    let provenance = &found(&kiln, "Provenance")[0];
    let kinds: Vec<String> = provenance
        .items_of("agent")
        .iter()
        .map(|agent| {
            agent.get("type").unwrap().items_of("coding")[0]
                .str_of("code")
                .unwrap()
                .to_owned()
        })
        .collect();
    for kind in ["author", "custodian", "assembler"] {
        assert!(kinds.iter().any(|one| one == kind), "{kinds:?}");
    }
    assert!(provenance.items_of("target").len() > 20);
    let id = reference.str_of("id").unwrap();
    assert!(
        provenance
            .to_string()
            .contains(&format!("DocumentReference/{id}"))
    );
    // The message store has it.
    let entry = &messages(&kiln, "type=CDA&status=applied")[0];
    let id = entry.str_of("id").unwrap();
    let shown = get(kiln.address, &format!("/api/messages/{id}")).json();
    assert_eq!(shown.str_of("raw"), Some(EVERYTHING));
    let trace = shown.items_of("trace");
    assert!(
        trace
            .iter()
            .any(|line| line.as_str().unwrap().contains("recordTarget"))
    );
    let raw = get(kiln.address, &format!("/api/messages/{id}/raw"));
    assert_eq!(raw.body, EVERYTHING.as_bytes());
}

fn the_same_document_changes_nothing(database: &Database) {
    let kiln = Kiln::start(database);
    let first = taken(&kiln, EVERYTHING);
    let total = || found(&kiln, "Provenance").len();
    let before = total();
    let again = taken(&kiln, EVERYTHING);
    assert_eq!(total(), before);
    assert_eq!(again.get("duplicate"), Some(&Value::from(true)));
    assert_eq!(again.str_of("id"), first.str_of("id"));
    // The same in other bytes is another message that says the same.
    let other = EVERYTHING.replacen("<recordTarget>", "<!-- again --><recordTarget>", 1);
    let again = taken(&kiln, &other);
    assert_eq!(again.get("duplicate"), Some(&Value::from(false)));
    let changed: Vec<_> = effects(&again)
        .into_iter()
        .filter(|(_, effect)| effect != "unchanged")
        .collect();
    // Its bytes are kept, and lead to it.
    let kinds: Vec<&str> = changed.iter().map(|(kind, _)| kind.as_str()).collect();
    assert!(
        kinds
            .iter()
            .all(|kind| matches!(*kind, "DocumentReference" | "Binary" | "Provenance")),
        "{changed:?}"
    );
    assert_eq!(total(), before + 1);
    assert_eq!(found(&kiln, "Patient").len(), 1);
}

/// The status of a document, and what it replaces.
fn status(kiln: &Kiln, id: &str) -> (String, Vec<String>) {
    let all = found(
        kiln,
        &format!("DocumentReference?identifier=urn:oid:1.2.3.4%7C{id}"),
    );
    assert_eq!(all.len(), 1, "{id} {all:?}");
    let relations = all[0].items_of("relatesTo").iter();
    let targets = relations.map(|relation| {
        assert_eq!(relation.str_of("code"), Some("replaces"));
        let target = relation
            .get("target")
            .unwrap()
            .str_of("reference")
            .unwrap_or_default();
        let target = get(kiln.address, &format!("/fhir/{target}")).json();
        let number = target
            .get("masterIdentifier")
            .and_then(|number| number.str_of("value"));
        number.unwrap_or_default().to_owned()
    });
    (
        all[0].str_of("status").unwrap().to_owned(),
        targets.collect(),
    )
}

fn a_newer_version_supersedes_whichever_comes_first(database: &Database) {
    let kiln = Kiln::start(database);
    let first = Small {
        set: Some(("s", 1)),
        ..SMALL
    };
    let second = Small {
        id: "d2",
        set: Some(("s", 2)),
        time: "20240202030405+0000",
        allergen: "Aspirin",
        ..SMALL
    };
    let third = Small {
        id: "d3",
        set: Some(("s", 3)),
        time: "20240302030405+0000",
        ..second
    };
    let is = |id: &str, wanted: &str, replaces: &[&str]| {
        assert_eq!(
            status(&kiln, id),
            (
                wanted.to_owned(),
                replaces.iter().map(|id| (*id).to_owned()).collect()
            ),
            "{id}"
        );
    };
    taken(&kiln, &first.text());
    is("d1", "current", &[]);
    // The third overtakes the second.
    taken(&kiln, &third.text());
    is("d1", "superseded", &[]);
    is("d3", "current", &["d1"]);
    let late = taken(&kiln, &second.text());
    assert!(
        effects(&late).contains(&("Composition".to_owned(), "stale".to_owned())),
        "{late}"
    );
    is("d2", "superseded", &[]);
    is("d3", "current", &["d1"]);
    // There is one summary, and it says what the newest says; what it said before is its history.
    let compositions = found(&kiln, "Composition");
    assert_eq!(compositions.len(), 1);
    assert!(compositions[0].to_string().contains("Aspirin"));
    let id = compositions[0].str_of("id").unwrap();
    let before = get(kiln.address, &format!("/fhir/Composition/{id}/_history/1"));
    assert!(before.text().contains("Penicillin"), "{}", before.text());
    // What was superseded stays so when it comes again.
    let again = first
        .text()
        .replacen("<recordTarget>", "<recordTarget >", 1);
    taken(&kiln, &again);
    is("d1", "superseded", &[]);
    // A set of somebody else is not the same document.
    let other = Small {
        id: "d9",
        set: Some(("s", 9)),
        patient: "<id root=\"1.2.3\" extension=\"p9\"/>",
        ..SMALL
    };
    taken(&kiln, &other.text());
    is("d3", "current", &["d1"]);
    is("d9", "current", &[]);
}

fn a_document_that_replaces_another_by_its_id(database: &Database) {
    let kiln = Kiln::start(database);
    let second = Small {
        id: "d2",
        replaces: Some("d1"),
        ..SMALL
    };
    taken(&kiln, &SMALL.text());
    let done = taken(&kiln, &second.text());
    assert!(done.get("report").is_some());
    assert_eq!(status(&kiln, "d1").0, "superseded");
    assert_eq!(
        status(&kiln, "d2"),
        ("current".to_owned(), vec!["d1".to_owned()])
    );
    // The other way round.
    let other = Small {
        patient: "<id root=\"1.2.3\" extension=\"p2\"/>",
        ..SMALL
    };
    taken(
        &kiln,
        &Small {
            id: "e2",
            replaces: Some("e1"),
            ..other
        }
        .text(),
    );
    taken(&kiln, &Small { id: "e1", ..other }.text());
    assert_eq!(status(&kiln, "e1").0, "superseded");
    assert_eq!(status(&kiln, "e2").0, "current");
}

fn documents_about_one_patient_meet(database: &Database) {
    let kiln = Kiln::start(database);
    taken(&kiln, &SMALL.text());
    // By another of its numbers, and by one that is not the first.
    let both = Small {
        id: "d2",
        patient: "<id root=\"9.9\" extension=\"x\"/><id root=\"1.2.3\" extension=\"p1\"/>",
        ..SMALL
    };
    taken(&kiln, &both.text());
    taken(
        &kiln,
        &Small {
            id: "d3",
            patient: "<id root=\"9.9\" extension=\"x\"/>",
            ..SMALL
        }
        .text(),
    );
    let patients = found(&kiln, "Patient");
    assert_eq!(patients.len(), 1);
    assert_eq!(patients[0].items_of("identifier").len(), 2);
    let id = patients[0].str_of("id").unwrap();
    assert_eq!(
        found(&kiln, &format!("DocumentReference?patient={id}")).len(),
        3
    );
    // Numbers of an authority tell nobody from somebody else.
    let shared = |id, own| Small {
        id,
        patient: own,
        ..SMALL
    };
    taken(&kiln, &shared("d4", "<id root=\"5.5\" extension=\"1\"/><id root=\"2.16.840.1.113883.4.1\" extension=\"123\"/>").text());
    taken(&kiln, &shared("d5", "<id root=\"5.5\" extension=\"2\"/><id root=\"2.16.840.1.113883.4.1\" extension=\"123\"/>").text());
    assert_eq!(found(&kiln, "Patient").len(), 3);
}

fn what_is_refused_is_kept_and_told(database: &Database) {
    let kiln = Kiln::start(database);
    let broken = SMALL.text().replace("</recordTarget>", "");
    let answer = sent(&kiln, "/api/documents", &broken);
    assert_eq!(answer.status, 422, "{}", answer.text());
    let refused = answer.json();
    assert_eq!(refused.str_of("status"), Some("dead"));
    assert!(
        refused.str_of("reason").unwrap().contains("line 1, column"),
        "{refused}"
    );
    let entry = &messages(&kiln, "status=dead&route=documents")[0];
    assert_eq!(entry.str_of("id"), refused.str_of("id"));
    let id = entry.str_of("id").unwrap();
    let raw = get(kiln.address, &format!("/api/messages/{id}/raw"));
    assert_eq!(raw.body, broken.as_bytes());
    assert_eq!(found(&kiln, "Patient").len(), 0);
    for (path, headers, body, status) in [
        ("/api/documents", &[XML][..], "", 400),
        (
            "/api/documents",
            &[("Content-Type", "application/json")],
            "{}",
            415,
        ),
        ("/api/documents?route=nobody", &[XML], "<a/>", 404),
        ("/api/documents?route=http", &[XML], "<a/>", 404),
        ("/api/documents?rout=http", &[XML], "<a/>", 400),
        (
            "/api/hl7/v2?route=documents",
            &[("Content-Type", "text/plain")],
            "MSH|^~\\&|",
            404,
        ),
        ("/api/documents", &[XML], "MSH|^~\\&|", 422),
    ] {
        let answer = send(kiln.address, "POST", path, headers, body.as_bytes()).unwrap();
        assert_eq!(answer.status, status, "{path} {body} {}", answer.text());
    }
    assert_eq!(get(kiln.address, "/api/documents").status, 405);
}

fn hostile_documents_are_refused_and_the_next_is_taken(database: &Database) {
    let kiln = Kiln::start(database);
    let root = "<ClinicalDocument xmlns=\"urn:hl7-org:v3\"";
    let lol = (1..10).fold("<!ENTITY a0 \"ha\">".to_owned(), |text, number| {
        let before = format!("&a{};", number - 1).repeat(10);
        format!("{text}<!ENTITY a{number} \"{before}\">")
    });
    let attributes: String = (0..200_000)
        .map(|number| format!(" a{number}=\"x\""))
        .collect();
    // What any document takes: the maps, and a place for its bytes.
    taken(&kiln, &SMALL.text());
    let long = format!("{root}>{}</b>", "abcdefgh".repeat(1_500_000));
    for path in ["/api/documents", "/api/convert?from=ccda"] {
        assert_eq!(sent(&kiln, path, &long).status, 422);
    }
    let before = kiln.memory_peak_kib();
    for (text, told) in [
        (
            format!("<!DOCTYPE x [{lol}]>{root}>&a9;</ClinicalDocument>"),
            "DOCTYPE",
        ),
        (
            format!("<!DOCTYPE x SYSTEM \"http://127.0.0.1:1/x.dtd\">{root}/>"),
            "DOCTYPE",
        ),
        (
            format!(
                "<!DOCTYPE x [<!ENTITY e SYSTEM \"file:///etc/passwd\">]>{root}>&e;</ClinicalDocument>"
            ),
            "DOCTYPE",
        ),
        (format!("{root}>&undeclared;</ClinicalDocument>"), "entity"),
        (format!("{root}>{}", "<a>".repeat(3_000_000)), "200 deep"),
        (format!("{root}{attributes}/>"), "a tag of more than"),
        (format!("{root}>{}", "<a/>".repeat(3_000_000)), "elements"),
        // Wrong only at its end.
        (
            format!("{root}>{}</b>", "<id ID=\"\"/>".repeat(1_000_000)),
            "line 1, column",
        ),
        (
            format!("{root}>{}</b>", "\n".repeat(12_000_000)),
            "line 12000001",
        ),
        (
            format!("{root} x=\"{}\"/>", "y".repeat(10_000_000)),
            "a tag of more than",
        ),
    ] {
        for path in ["/api/documents", "/api/convert?from=ccda"] {
            let answer = sent(&kiln, path, &text);
            assert_eq!(answer.status, 422, "{path} {told}");
            assert!(
                answer.text().contains(told),
                "{path} {told} {}",
                answer.text()
            );
        }
    }
    // The largest of them has twelve megabytes: nothing grows but what the allocator keeps of their copies.
    let grown = kiln.memory_peak_kib() - before;
    assert!(grown < REFUSED_KIB_MAX, "{grown} KiB");
    let next = Small { id: "d2", ..SMALL };
    taken(&kiln, &next.text());
}

fn what_would_become_of_a_document_is_shown(database: &Database) {
    let kiln = Kiln::start(database);
    let done = taken(&kiln, &SMALL.text());
    let id = done.str_of("id").unwrap();
    let patient = &found(&kiln, "Patient")[0];
    let patient = format!("/fhir/Patient/{}", patient.str_of("id").unwrap());
    let patch = [("Content-Type", "application/json-patch+json")];
    let body = br#"[{"op":"replace","path":"/gender","value":"male"}]"#;
    assert_eq!(
        send(kiln.address, "PATCH", &patient, &patch, body)
            .unwrap()
            .status,
        200
    );
    let ask = |query: &str| {
        let path = format!("/api/messages/{id}/reprocess{query}");
        let answer = send(kiln.address, "POST", &path, &[], b"").unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    };
    let would = ask("?dryRun=true");
    let changes = would.items_of("changes").iter();
    let changes: Vec<&Value> = changes
        .filter(|change| !change.items_of("diff").is_empty())
        .collect();
    assert_eq!(changes.len(), 1, "{would}");
    assert_eq!(
        changes[0].items_of("diff")[0].str_of("path"),
        Some("gender")
    );
    assert_eq!(
        get(kiln.address, &patient).json().str_of("gender"),
        Some("male")
    );
    assert_eq!(ask("").str_of("status"), Some("applied"));
    assert_eq!(
        get(kiln.address, &patient).json().str_of("gender"),
        Some("female")
    );
}
