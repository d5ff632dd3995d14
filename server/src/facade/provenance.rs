//! Who said what is stored, and where it stands: a Provenance for every message that changes something.
//! <https://hl7.org/fhir/R4/provenance.html>

use fhir_spec::json::{Object, Value};
use interop::host::Origin;

use crate::instant::Instant;

/// By what the messages that are kept are called.
const MESSAGES: &str = "urn:kiln:message";
const OPERATION: &str = "http://terminology.hl7.org/CodeSystem/v3-DataOperation";
const PARTICIPANT: &str = "http://terminology.hl7.org/CodeSystem/provenance-participant-type";

/// A resource that the message changes, with the version that it gets.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target<'t> {
    pub(super) resource_type: &'t str,
    pub(super) id: &'t str,
    pub(super) version: u64,
}

/// Who stands behind a clinical document, as far as the document says.
#[derive(Debug, Default)]
pub(super) struct Behind {
    /// In place of the program that sent it.
    pub(super) agents: Vec<Value>,
    /// Its address.
    pub(super) document: Option<String>,
}

pub(super) fn provenance(
    origin: &Origin,
    targets: &[Target<'_>],
    behind: &Behind,
    now: Instant,
) -> Value {
    let all_new = targets.iter().all(|target| target.version == 1);
    let targets = targets.iter().map(|target| {
        let Target {
            resource_type,
            id,
            version,
        } = target;
        reference(format!("{resource_type}/{id}/_history/{version}"))
    });
    let mut made = Object::new();
    made.set("resourceType", "Provenance");
    made.set("target", targets.collect::<Vec<_>>());
    if let Some(at) = origin.event_time_us {
        let at = Instant::from_micros(at).to_string();
        made.set("occurredDateTime", at);
    }
    made.set("recorded", now.to_string());
    let activity = match all_new {
        true => "CREATE",
        false => "UPDATE",
    };
    made.set("activity", concept(OPERATION, activity));
    let mut agents = behind.agents.clone();
    if agents.is_empty() {
        agents.push(sender(origin));
    }
    agents.push(software(origin));
    made.set("agent", agents);
    made.set("entity", vec![source(origin, behind.document.as_deref())]);
    made.into()
}

/// Somebody who took part.
pub(super) fn participant(kind: &str, who: Value) -> Value {
    let agent = [("type", concept(PARTICIPANT, kind)), ("who", who)];
    Object::from_iter(agent).into()
}

/// The program that sent it, for its facility.
fn sender(origin: &Origin) -> Value {
    let mut agent = Object::new();
    agent.set("type", concept(PARTICIPANT, "author"));
    let (application, facility) = (&origin.sender_application, &origin.sender_facility);
    let who = match (application.is_empty(), facility.is_empty()) {
        (false, _) => identified("Device", application),
        (true, false) => identified("Organization", facility),
        (true, true) => display(match origin.route.is_empty() {
            false => format!("route {}", origin.route),
            true => "a sender that gives no name".to_owned(),
        }),
    };
    agent.set("who", who);
    if !application.is_empty() && !facility.is_empty() {
        agent.set("onBehalfOf", identified("Organization", facility));
    }
    agent.into()
}

/// This program, with the maps that read the message.
fn software(origin: &Origin) -> Value {
    let version = env!("CARGO_PKG_VERSION");
    let mut agent = Object::new();
    agent.set("type", concept(PARTICIPANT, "assembler"));
    let mut who = Object::new();
    who.set("type", "Device");
    who.set(
        "display",
        match origin.pack.is_empty() {
            true => format!("Kiln {version}"),
            false => format!("Kiln {version}, maps {}", origin.pack),
        },
    );
    agent.set("who", who);
    agent.into()
}

/// The message as it is kept.
fn source(origin: &Origin, document: Option<&str>) -> Value {
    let mut what = Object::new();
    if let Some(document) = document {
        what.set("reference", document);
    }
    if !origin.message_id.is_empty() {
        let identifier = Object::from_iter([
            ("system", Value::from(MESSAGES)),
            ("value", Value::from(origin.message_id.as_str())),
        ]);
        what.set("identifier", identifier);
    }
    let named = [&origin.format, &origin.kind, &origin.control_id];
    let named: Vec<&str> = named
        .iter()
        .map(|part| part.as_str())
        .filter(|part| !part.is_empty())
        .collect();
    what.set(
        "display",
        match named.is_empty() {
            true => "a message".to_owned(),
            false => named.join(" "),
        },
    );
    let mut entity = Object::new();
    entity.set("role", "source");
    entity.set("what", what);
    entity.into()
}

fn identified(kind: &str, name: &str) -> Value {
    let identifier = Object::from_iter([("value", name)]);
    Object::from_iter([
        ("type", Value::from(kind)),
        ("identifier", identifier.into()),
        ("display", Value::from(name)),
    ])
    .into()
}

fn display(text: String) -> Value {
    Object::from_iter([("display", text)]).into()
}

fn reference(to: String) -> Value {
    Object::from_iter([("reference", to)]).into()
}

fn concept(system: &str, code: &str) -> Value {
    let coding = Object::from_iter([("system", system), ("code", code)]);
    Object::from_iter([("coding", vec![Value::from(coding)])]).into()
}

#[cfg(test)]
mod tests {
    use fhir_spec::validate::Validator;

    use super::*;
    use crate::accept::accept_text;

    #[test]
    fn it_is_sound_whatever_is_known() {
        let target = |version| Target {
            resource_type: "Patient",
            id: "1",
            version,
        };
        let whole = Origin {
            format: "hl7v2".to_owned(),
            sender_application: "ADT1".to_owned(),
            sender_facility: "GOOD HEALTH".to_owned(),
            control_id: "MSG00001".to_owned(),
            kind: "ADT^A08^ADT_A01".to_owned(),
            event_time_us: Some(0),
            message_id: "m1".to_owned(),
            pack: "hl7v2 1".to_owned(),
            ..Origin::default()
        };
        let now = Instant::from_micros(1_709_251_199_123_456);
        for origin in [
            &whole,
            &Origin::default(),
            &Origin {
                sender_facility: "A".to_owned(),
                ..Origin::default()
            },
        ] {
            let made = provenance(origin, &[target(1), target(3)], &Behind::default(), now);
            let mut accepted = accept_text(Validator::r4(), made, None).unwrap();
            assert!(
                accepted
                    .take_notes()
                    .iter()
                    .all(|note| note.severity < fhir_spec::Severity::Warning)
            );
        }
        let made = provenance(&whole, &[target(1)], &Behind::default(), now);
        let text = made.to_string();
        for part in [
            "Patient/1/_history/1",
            "CREATE",
            "\"ADT1\"",
            "GOOD HEALTH",
            "urn:kiln:message",
            "maps hl7v2 1",
            "ADT^A08^ADT_A01 MSG00001",
        ] {
            assert!(text.contains(part), "{part} {text}");
        }
        let behind = Behind {
            agents: vec![participant("custodian", display("Good Health".to_owned()))],
            document: Some("DocumentReference/1".to_owned()),
        };
        let changed = provenance(&whole, &[target(1), target(2)], &behind, now);
        let text = changed.to_string();
        for part in ["UPDATE", "custodian", "DocumentReference/1"] {
            assert!(text.contains(part), "{part} {text}");
        }
        assert!(!text.contains("ADT1"), "{text}");
    }
}
