//! An AuditEvent, from what is kept of it: a pattern of IHE's Basic Audit where there is one.
//! <https://profiles.ihe.net/ITI/BALP/content.html>

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fhir_spec::json::{Object, Value, parse};

use crate::auth::AUDITED;
use crate::store::Told;

const BALP: &str = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.";
const TRANSACTION: &str = "https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType";
const INTERACTION: &str = "http://hl7.org/fhir/restful-interaction";
const EVENT: &str = "http://terminology.hl7.org/CodeSystem/audit-event-type";
const DICOM: &str = "http://dicom.nema.org/resources/ontology/DCM";
const PARTICIPATION: &str = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType";
const ENTITY: &str = "http://terminology.hl7.org/CodeSystem/audit-entity-type";
const ROLE: &str = "http://terminology.hl7.org/CodeSystem/object-role";
const REASON: &str = "http://terminology.hl7.org/CodeSystem/v3-ActReason";
const LIFECYCLE: &str = "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle";
const SOURCE: &str = "http://terminology.hl7.org/CodeSystem/security-source-type";
/// Codes of Kiln's own, where nobody else has any.
const OWN: &str = "urn:kiln:audit";

/// What is sent out of the house.
pub const SENT: &str = "disclose";

/// The id of an event: its chain and its number in it.
pub fn id(told: &Told) -> String {
    format!("{}-{}", told.chain, told.seq)
}

/// The chain and the number that an id means.
pub fn place(id: &str) -> Option<(i64, i64)> {
    let (chain, seq) = id.split_once('-')?;
    let is_plain = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_place = is_plain(chain) && is_plain(seq);
    is_place.then_some((chain.parse().ok()?, seq.parse().ok()?))
}

/// The resource.
pub fn document(told: &Told) -> Value {
    let said = parse(told.body.as_bytes()).unwrap_or_else(|_| Object::new().into());
    let said = Said { told, said: &said };
    let at = told.at.to_string();
    let mut meta = Object::from_iter([("versionId", "1"), ("lastUpdated", at.as_str())]);
    if let Some(profile) = said.profile() {
        let profile = format!("{BALP}{profile}");
        meta.set("profile", vec![Value::from(profile)]);
    }
    let mut event = Object::from_iter([
        ("resourceType", Value::from(AUDITED)),
        ("id", id(told).into()),
        ("meta", meta.into()),
        ("type", said.kind()),
        ("subtype", vec![said.subtype()].into()),
    ]);
    event.set("action", said.word("action").unwrap_or("E"));
    event.set("recorded", at);
    event.set("outcome", said.word("outcome").unwrap_or("0"));
    if let Some(told) = said.word("told") {
        event.set("outcomeDesc", told);
    }
    if let Some(reason) = said.word("reason") {
        let mut concept = Object::from_iter([(
            "coding",
            Value::from(vec![coding(REASON, "BTG", "break the glass")]),
        )]);
        concept.set("text", reason);
        event.set("purposeOfEvent", vec![Value::from(concept)]);
    }
    event.set("agent", said.agents());
    let observer = Object::from_iter([("display", "Kiln")]);
    let source = Object::from_iter([
        ("observer", Value::from(observer)),
        (
            "type",
            vec![coding(SOURCE, "4", "Application Server")].into(),
        ),
    ]);
    event.set("source", source);
    let entities = said.entities();
    if !entities.is_empty() {
        event.set("entity", entities);
    }
    event.into()
}

fn coding(system: &str, code: &str, display: &str) -> Value {
    Object::from_iter([("system", system), ("code", code), ("display", display)]).into()
}

fn concept(system: &str, code: &str, display: &str) -> Value {
    Object::from_iter([("coding", vec![coding(system, code, display)])]).into()
}

struct Said<'a> {
    told: &'a Told,
    said: &'a Value,
}

impl<'a> Said<'a> {
    fn word(&self, name: &str) -> Option<&'a str> {
        self.said.str_of(name)
    }

    fn code(&self) -> &'a str {
        self.word("code").unwrap_or("unknown")
    }

    fn is_search(&self) -> bool {
        self.code().starts_with("search")
    }

    fn is_well(&self) -> bool {
        self.word("outcome") == Some("0")
    }

    /// The pattern that it follows: those are of what went well.
    fn profile(&self) -> Option<String> {
        let pattern = match self.code() {
            "read" | "vread" => "Read",
            "create" => "Create",
            "update" => "Update",
            "delete" => "Delete",
            _ if self.is_search() => "Query",
            SENT if !self.told.patient.is_empty() => {
                return self
                    .is_well()
                    .then(|| "PrivacyDisclosure.Source".to_owned());
            }
            _ => return None,
        };
        let patient = match self.told.patient.is_empty() {
            true => "",
            false => "Patient",
        };
        self.is_well().then(|| format!("{patient}{pattern}"))
    }

    fn kind(&self) -> Value {
        match (self.code(), self.word("door")) {
            (SENT, _) => coding(DICOM, "110106", "Export"),
            ("emergency", _) => coding(DICOM, "110113", "Security Alert"),
            ("login" | "logout" | "token" | "revoke", _) => {
                coding(DICOM, "110114", "User Authentication")
            }
            (_, Some("auth")) => coding(DICOM, "110113", "Security Alert"),
            (_, Some("import" | "mllp" | "folder" | "sftp")) => coding(DICOM, "110107", "Import"),
            _ => coding(EVENT, "rest", "RESTful Operation"),
        }
    }

    fn subtype(&self) -> Value {
        let code = self.code();
        match code {
            "login" => coding(DICOM, "110122", "Login"),
            "logout" => coding(DICOM, "110123", "Logout"),
            "emergency" => coding(DICOM, "110127", "Emergency Override Started"),
            SENT => coding(LIFECYCLE, "disclose", "Disclose"),
            "read" | "vread" | "update" | "patch" | "delete" | "create" | "search-type"
            | "search-system" | "search" | "history-instance" | "history-type"
            | "history-system" | "capabilities" | "transaction" | "batch" | "operation" => {
                coding(INTERACTION, code, code)
            }
            _ if code.starts_with('$') => coding(INTERACTION, "operation", code),
            _ => coding(OWN, code, code),
        }
    }

    /// Who asked, by which system, and this server.
    fn agents(&self) -> Vec<Value> {
        // What flows to the server in a search is the question: so IHE has it.
        let is_read = matches!(self.word("action"), Some("R")) && self.code() != SENT;
        let (client, server) = match is_read {
            true => ("110152", "110153"),
            false => ("110153", "110152"),
        };
        let (client, server) = match self.code() {
            "delete" => ("110150", "110150"),
            SENT => ("110152", "110153"),
            _ => (client, server),
        };
        let display = |code: &str| match code {
            "110150" => "Application",
            "110152" => "Destination Role ID",
            _ => "Source Role ID",
        };
        let who = self.word("who").unwrap_or("unknown");
        let user = self.word("user");
        let is_person = user.is_some() || who.starts_with("user:");
        let mut agents = Vec::new();
        let mut asking = Object::from_iter([
            ("type", concept(DICOM, client, display(client))),
            ("who", known(who, user.filter(|_| !is_person))),
        ]);
        asking.set("requestor", !is_person);
        if let Some(address) = self.word("address") {
            asking.set("network", network(address));
        }
        agents.push(asking.into());
        if is_person {
            let mut person = Object::from_iter([
                (
                    "type",
                    concept(PARTICIPATION, "IRCP", "information recipient"),
                ),
                ("who", known(who, user)),
            ]);
            person.set("name", who);
            person.set("requestor", true);
            agents.push(person.into());
        }
        let mut own = Object::from_iter([
            ("type", concept(DICOM, server, display(server))),
            ("who", known("kiln", None)),
        ]);
        own.set("requestor", false);
        own.set("network", network(self.word("door").unwrap_or("rest")));
        agents.push(own.into());
        agents
    }

    fn entities(&self) -> Vec<Value> {
        let mut entities = Vec::new();
        let object = || coding(ENTITY, "2", "System Object");
        if !self.told.patient.is_empty() {
            let patient = format!("Patient/{}", self.told.patient);
            entities.push(Value::from(Object::from_iter([
                ("what", reference(&patient)),
                ("type", coding(ENTITY, "1", "Person")),
                ("role", coding(ROLE, "1", "Patient")),
            ])));
        }
        for what in self
            .word("what")
            .into_iter()
            .flat_map(str::split_whitespace)
        {
            let what = match is_local(what) {
                true => reference(what),
                false => Object::from_iter([("display", what)]).into(),
            };
            entities.push(Value::from(Object::from_iter([
                ("what", what),
                ("type", object()),
                ("role", coding(ROLE, "4", "Domain Resource")),
            ])));
        }
        if let Some(query) = self.word("query") {
            entities.push(Value::from(Object::from_iter([
                ("type", object()),
                ("role", coding(ROLE, "24", "Query")),
                ("query", STANDARD.encode(query).into()),
            ])));
        }
        if let Some(request) = self.word("request") {
            let identifier = Object::from_iter([("value", request)]);
            let what = Object::from_iter([("identifier", Value::from(identifier))]);
            entities.push(Value::from(Object::from_iter([
                ("what", Value::from(what)),
                ("type", coding(TRANSACTION, "XrequestId", "X-Request-Id")),
            ])));
        }
        entities
    }
}

/// Somebody, by the resource that stands for them and by their name.
fn known(who: &str, resource: Option<&str>) -> Value {
    let mut known = Object::new();
    if let Some(resource) = resource {
        known.set("reference", resource);
    }
    known.set("identifier", Object::from_iter([("value", who)]));
    known.set("display", who);
    known.into()
}

fn network(address: &str) -> Value {
    let is_address = address.parse::<std::net::IpAddr>().is_ok();
    let kind = match is_address {
        true => "2",
        false if address.contains("://") => "5",
        false => "1",
    };
    Object::from_iter([("address", address), ("type", kind)]).into()
}

fn reference(to: &str) -> Value {
    Object::from_iter([("reference", to)]).into()
}

/// `Type/id`, of which a reference can be made.
fn is_local(what: &str) -> bool {
    let mut parts = what.split('/');
    let named = parts
        .next()
        .is_some_and(|name| crate::accept::resource_type(name).is_some());
    let id = parts.next().is_some_and(fhir_spec::reference::is_id);
    named && id && (parts.next().is_none() || what.contains("/_history/"))
}

#[cfg(test)]
mod tests {
    use fhir_spec::definitions::Definitions;
    use fhir_spec::validate::{Request, Validator};

    use super::*;
    use crate::instant::Instant;

    fn told(patient: &str, body: &str) -> Told {
        Told {
            chain: 1,
            seq: 2,
            at: Instant::from_micros(0),
            patient: patient.to_owned(),
            body: body.to_owned(),
            hash: Vec::new(),
        }
    }

    #[test]
    fn every_event_is_sound() {
        let validator = Validator::new(std::sync::Arc::new(
            Definitions::r4().with_packages(Vec::new()).0,
        ));
        for (code, action) in [
            ("read", "R"),
            ("search-type", "E"),
            ("create", "C"),
            ("delete", "D"),
            ("login", "E"),
            ("disclose", "R"),
            ("$ccd", "E"),
            ("messages", "E"),
            ("emergency", "E"),
        ] {
            for (patient, outcome) in [("", "0"), ("1", "4")] {
                let body = format!(
                    r#"{{"code":"{code}","action":"{action}","outcome":"{outcome}","door":"rest","who":"user:a","user":"Practitioner/1",
                    "address":"10.0.0.1","request":"r","what":"Observation/2","query":"a?b=c","told":"x","reason":"y"}}"#
                );
                let event = document(&told(patient, &body));
                let issues = validator.validate(&event, &Request::default());
                let errors = issues.iter().filter(|issue| issue.is_error());
                assert_eq!(errors.count(), 0, "{code}: {issues:?} {event}");
            }
        }
    }

    #[test]
    fn a_read_of_a_patient_follows_its_pattern() {
        let body = r#"{"code":"read","action":"R","outcome":"0","door":"rest","who":"key:lab","address":"10.0.0.1","what":"Observation/2"}"#;
        let event = document(&told("7", body)).to_string();
        for part in [
            r#""id":"1-2""#,
            "IHE.BasicAudit.PatientRead",
            r#""what":{"reference":"Patient/7"}"#,
            r#""what":{"reference":"Observation/2"}"#,
            r#""identifier":{"value":"key:lab"}"#,
            r#""network":{"address":"10.0.0.1","type":"2"}"#,
        ] {
            assert!(event.contains(part), "{part}: {event}");
        }
        assert_eq!(place("1-2"), Some((1, 2)));
        assert_eq!(place("1--2"), None);
        assert_eq!(place("+1-2"), None);
    }
}
