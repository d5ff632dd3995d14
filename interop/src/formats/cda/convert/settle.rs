//! After the map: what cannot stand is left out, each resource can be found again, and what is confidential says so.
//!
//! A document that comes twice must change nothing. What has an id is found by it; what has none gets one that is made of
//! what it says, which is the same the next time. Documents that give one id to two things that are not the same are
//! common: then the second is told from the first by what it says, too.

use std::collections::HashMap;

use fhir_spec::definitions::{Definitions, Kind};
use fhir_spec::json::{Data, Object, Text, Value};
use fhir_spec::{Issue, IssueCode, Severity};
use sha2::{Digest, Sha256};

use crate::mapping::{Entry, Mapped, Request};

use super::super::source::DocumentSource;
use super::tell;

/// The system of identifiers that are made of what a resource says.
const CONTENT_SYSTEM: &str = "urn:ietf:rfc:3986";

/// Elements that lead elsewhere or say how a resource came about; they are no part of what it says.
const ASIDE: &[&str] = &["id", "meta", "identifier", "contained", "text"];

const ABSENT: &str = "http://hl7.org/fhir/StructureDefinition/data-absent-reason";

/// Chains of resources that hold each other up: PractitionerRole, CareTeam, ...
const ROUNDS_MAX: usize = 4;

/// Resources whose key may be shared by what is said of them here and there: one person, one organization.
const SHARED: &[&str] = &[
    "Practitioner",
    "Organization",
    "PractitionerRole",
    "Location",
    "Patient",
    "Device",
    "RelatedPerson",
];

pub(super) fn settle(mapped: &mut Mapped, source: &DocumentSource<'_>, issues: &mut Vec<Issue>) {
    super::checks::check(mapped, source, issues);
    // What refers to nothing else than something left out may be no more itself.
    for _ in 0..ROUNDS_MAX {
        let mut gone = HashMap::new();
        leave_out(mapped, source, &mut gone, issues);
        if gone.is_empty() {
            break;
        }
        follow_all(mapped, &gone);
    }
    let mut moved: HashMap<Text, Option<Text>> = HashMap::new();
    for entry in &mut mapped.entries {
        // A document says what it knows, not that what others know is no more.
        entry.deletes.clear();
    }
    identify(mapped, source, &mut moved, issues);
    if !moved.is_empty() {
        follow_all(mapped, &moved);
    }
    super::labels::label(mapped, source);
}

fn follow_all(mapped: &mut Mapped, moved: &HashMap<Text, Option<Text>>) {
    for entry in &mut mapped.entries {
        follow(&mut entry.resource, moved);
    }
}

/// Resources without what FHIR demands.
fn leave_out(
    mapped: &mut Mapped,
    source: &DocumentSource<'_>,
    moved: &mut HashMap<Text, Option<Text>>,
    issues: &mut Vec<Issue>,
) {
    mapped.entries.retain_mut(|entry| {
        // What says nothing is no resource.
        if entry.resource.len() <= 1 {
            moved.insert(entry.full_url.clone(), None);
            return false;
        }
        let is_whole = is_whole(&mut entry.resource);
        if !is_whole {
            moved.insert(entry.full_url.clone(), None);
            let text = " is left out: it lacks what FHIR demands";
            tell(
                issues,
                source,
                entry.place,
                (Severity::Warning, IssueCode::Required),
                text,
            );
        }
        is_whole
    });
}

/// Whether all that FHIR demands is there; of a plain value that is not, that it is unknown is said instead.
fn is_whole(resource: &mut Object) -> bool {
    let types = Definitions::r4().types();
    let Some(definition) = types.named(kind(resource)) else {
        return false;
    };
    for element in definition.elements.iter().filter(|element| element.min > 0) {
        let is_there =
            |name: &str| resource.contains(name) || resource.contains(&format!("_{name}"));
        if element.types.iter().any(|kind| is_there(&kind.json_name)) {
            continue;
        }
        match element.types.as_slice() {
            [only] if types.get(only.id).kind == Kind::Primitive => {
                let reason = Object::from_iter([("url", ABSENT), ("valueCode", "unknown")]);
                let beside = Object::from_iter([("extension", vec![Value::from(reason)])]);
                resource.set(&format!("_{}", only.json_name), beside);
            }
            _ => return false,
        }
    }
    true
}

fn kind(resource: &Object) -> &str {
    resource
        .get("resourceType")
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn identify(
    mapped: &mut Mapped,
    source: &DocumentSource<'_>,
    moved: &mut HashMap<Text, Option<Text>>,
    issues: &mut Vec<Issue>,
) {
    let mut kept: Vec<Entry> = Vec::with_capacity(mapped.entries.len());
    let mut by_identity: HashMap<String, usize> = HashMap::new();
    for mut entry in mapped.entries.drain(..) {
        let mut identity = identity(&entry);
        let first = identity
            .as_ref()
            .and_then(|identity| by_identity.get(identity));
        let differs = first
            .and_then(|place| kept.get(*place))
            .is_some_and(|first| {
                !SHARED.contains(&kind(&entry.resource))
                    && essence(&first.resource) != essence(&entry.resource)
            });
        if differs {
            let text = " has an id that something else of this document has; what it says is part of its identity";
            tell(
                issues,
                source,
                entry.place,
                (Severity::Information, IssueCode::Duplicate),
                text,
            );
        }
        if differs || matches!(entry.request, Request::Post) {
            by_content(&mut entry);
            identity = self::identity(&entry);
        }
        let Some(identity) = identity else {
            kept.push(entry);
            continue;
        };
        match by_identity
            .get(&identity)
            .and_then(|place| kept.get_mut(*place))
        {
            Some(first) => {
                moved.insert(entry.full_url.clone(), Some(first.full_url.clone()));
                join(&mut first.resource, entry.resource);
            }
            None => {
                by_identity.insert(identity, kept.len());
                kept.push(entry);
            }
        }
    }
    mapped.entries = kept;
}

/// What the second says besides; of a statement only when it is the same in all that both say.
fn join(first: &mut Object, second: Object) {
    let agree = SHARED.contains(&kind(first))
        || second.iter().all(|(name, value)| {
            ASIDE.contains(&name)
                || value.as_array().is_some()
                || first.get(name).is_none_or(|there| there == value)
        });
    if !agree {
        return;
    }
    for (name, value) in second {
        if !first.contains(&name) {
            first.set(&name, value);
        }
    }
}

fn identity(entry: &Entry) -> Option<String> {
    match &entry.request {
        Request::Post => None,
        Request::PostUnless(query) => Some(format!("{}?{query}", kind(&entry.resource))),
        Request::Put(url) => Some(url.clone()),
    }
}

/// What two resources must have in common to be said of one thing.
fn essence(resource: &Object) -> [Option<&Value>; 4] {
    let first = |names: &[&str]| names.iter().find_map(|name| resource.get(name));
    [
        first(&[
            "code",
            "vaccineCode",
            "medicationCodeableConcept",
            "type",
            "relationship",
            "description",
        ]),
        first(&[
            "effectiveDateTime",
            "effectivePeriod",
            "onsetDateTime",
            "performedDateTime",
            "performedPeriod",
            "occurrenceDateTime",
            "period",
        ]),
        resource
            .iter()
            .find(|(name, _)| name.starts_with("value"))
            .map(|(_, value)| value),
        first(&["component", "reaction"]),
    ]
}

/// An identifier made of what the resource says, for one that has none of its own.
fn by_content(entry: &mut Entry) {
    let kind = kind(&entry.resource).to_owned();
    let mut hash = Sha256::new();
    for (name, value) in entry.resource.iter() {
        if !ASIDE.contains(&name) {
            hash.update(name);
            digest(value, &mut hash);
        }
    }
    for identifier in entry.resource.get("identifier").into_iter() {
        digest(identifier, &mut hash);
    }
    let hash: String = hash
        .finalize()
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    if matches!(&*kind, "Provenance" | "Binary") {
        return;
    }
    let id = uuid(&hash);
    let identifier: Value = Object::from_iter([("system", CONTENT_SYSTEM), ("value", &id)]).into();
    match entry.resource.get_mut("identifier") {
        Some(there) => match there.as_array_mut() {
            Some(all) => all.push(identifier),
            None => return,
        },
        None if is_single(&kind) => entry.resource.set("identifier", identifier),
        None => entry.resource.set("identifier", vec![identifier]),
    }
    entry.request = Request::PostUnless(format!("identifier={CONTENT_SYSTEM}|{id}"));
}

/// A hash of 32 digits as a UUID of our own making (RFC 9562, version 8).
pub(in crate::formats::cda) fn uuid(hash: &str) -> String {
    let part = |from: usize, to: usize| hash.get(from..to).unwrap_or_default();
    format!(
        "urn:uuid:{}-{}-8{}-9{}-{}",
        part(0, 8),
        part(8, 12),
        part(13, 16),
        part(17, 20),
        part(20, 32)
    )
}

fn is_single(kind: &str) -> bool {
    matches!(kind, "Composition" | "Bundle" | "QuestionnaireResponse")
}

fn digest(value: &Value, hash: &mut Sha256) {
    match &value.data {
        // Links within the document are new with each message.
        Data::String(text) if text.starts_with("urn:uuid:") => {}
        Data::String(text) | Data::Number(text) => {
            hash.update(text.as_bytes());
            hash.update([0]);
        }
        Data::Bool(bool) => hash.update([1 + u8::from(*bool)]),
        Data::Null => hash.update([3]),
        Data::Array(items) => {
            hash.update([4]);
            items.iter().for_each(|item| digest(item, hash));
        }
        Data::Object(object) => {
            hash.update([5]);
            for (name, value) in object.iter() {
                hash.update(name);
                digest(value, hash);
            }
        }
    }
}

/// References to what was joined lead to what it was joined with; those to what was left out are no more.
fn follow(object: &mut Object, moved: &HashMap<Text, Option<Text>>) {
    let mut empty: Vec<Text> = Vec::new();
    for (name, value) in object.iter_mut() {
        if !follow_value(value, moved) {
            empty.push(name.into());
        }
    }
    for name in empty {
        object.remove(&name);
    }
}

/// False when nothing is left of it.
fn follow_value(value: &mut Value, moved: &HashMap<Text, Option<Text>>) -> bool {
    match &mut value.data {
        Data::Array(items) => {
            let before = items.len();
            items.retain_mut(|item| follow_value(item, moved));
            items.len() == before || !items.is_empty()
        }
        Data::Object(object) => {
            let was_empty = object.is_empty();
            if let Some(to) = object
                .get("reference")
                .and_then(Value::as_str)
                .and_then(|from| moved.get(from))
            {
                match to {
                    Some(to) => object.set("reference", to.clone()),
                    None => {
                        object.remove("reference");
                    }
                }
            }
            let said = object.len();
            follow(object, moved);
            // An extension that has lost its value says nothing.
            let is_bare = said > 1 && object.len() == 1 && object.contains("url");
            was_empty || !(object.is_empty() || is_bare)
        }
        _ => true,
    }
}
