//! From a change of a resource to the messages that tell of it, and into the row of who is to get them.

use std::sync::Arc;

use fhir_spec::json::{Value, parse};
use fhir_spec::outcome::operation_outcome;
use interop::formats::hl7v2::Text;
use interop::formats::hl7v2::emit::{Header, Speaker, Spoken, Unspoken};
use interop::host::{Effect, Touched};
use interop::mapping::{Change, Library};
use interop::route::Facts;
use sha2::{Digest, Sha256};

use super::gather::{self, Tried};
use crate::accept::resource_type;
use crate::app::App;
use crate::auth::{Action, Caller, may};
use crate::destinations::Destination;
use crate::fault::{Fault, Kind};
use crate::instant::Instant;
use crate::store::{Direction, Error, Event, Found, Message, NewOutgoing, Packed};

/// How often it is looked for what a message still asks for: references of references.
const ROUNDS_MAX: usize = 8;
/// Letters of a control id: what all versions have room for.
const CONTROL_ID: usize = 20;

/// A change that somebody is to be told of.
#[derive(Debug, Clone, Copy)]
pub struct Told<'t> {
    /// Who asked for it.
    pub subscription: &'t str,
    pub event: &'t Event,
    pub found: &'t Found,
}

/// Makes the messages of a change and puts them into the row of their destination, where they stand once however often this
/// is done. Resources are gathered as `caller` may see them. How many there are.
pub async fn tell(
    app: &Arc<App>,
    caller: &Caller,
    destination: &Destination,
    told: Told<'_>,
) -> Result<usize, Fault> {
    let Ok(after) = parse(&told.found.body) else {
        // It was deleted: there is no message that says so.
        return Ok(0);
    };
    let before = before(app, caller, told.event).await?;
    let spoken = spoken(app, caller, destination, told, &before, after).await?;
    let now = (app.clock)();
    let made: Vec<NewOutgoing> = spoken
        .into_iter()
        .map(|made| outgoing(app, destination, told, made, now))
        .collect();
    let count = made.len();
    if count == 0 {
        return Ok(0);
    }
    enqueue(app, made).await?;
    destination.wake();
    Ok(count)
}

/// Puts messages into rows: all or none.
pub async fn enqueue(app: &Arc<App>, made: Vec<NewOutgoing>) -> Result<(), Fault> {
    let permit = may(&Caller::Kiln, Action::Messages)?;
    let written = app.store.write(permit, move |tx| {
        made.iter().try_for_each(|new| tx.enqueue(new).map(drop))
    });
    written.await.map_err(|error: Error| Fault::from(error))
}

/// What it was before, as far as the caller may see it.
async fn before(app: &App, caller: &Caller, event: &Event) -> Result<Option<Value>, Fault> {
    let (Some(kind), Some(version)) = (
        resource_type(&event.resource_type),
        event.version.checked_sub(1).filter(|version| *version > 0),
    ) else {
        return Ok(None);
    };
    let permit = may(caller, Action::Read(kind))?;
    let found = app.store.find(&permit, kind, &event.id, Some(version));
    Ok(found.await?.and_then(|found| parse(&found.body).ok()))
}

/// A message, by what it is known in the row, and the resources that it tells of.
type Made = (String, Spoken, Vec<Touched>);

/// The messages, each with what it is made of.
async fn spoken(
    app: &Arc<App>,
    caller: &Caller,
    destination: &Destination,
    told: Told<'_>,
    before: &Option<Value>,
    after: Value,
) -> Result<Vec<Made>, Fault> {
    let understood = &destination.understood;
    let overlay = destination.settings.overlay.as_deref();
    let translator = app
        .shelf
        .translator(&understood.zone, &understood.constants, overlay)?;
    let at = told.event.at.to_string();
    let (mut library, mut tried) = (Library::new(), Tried::default());
    library.add("", after);
    let mut spoken = Vec::new();
    for _round in 0..ROUNDS_MAX {
        spoken = speak(
            &translator.speaker,
            destination,
            told,
            (before, &at),
            &library,
        )
        .map_err(|error| Fault::new(Kind::Unprocessable, error.to_string()))?;
        if !gather::fetch(app, caller, &mut library, &mut tried).await? {
            break;
        }
    }
    Ok(spoken)
}

fn speak(
    speaker: &Speaker,
    destination: &Destination,
    told: Told<'_>,
    (before, at): (&Option<Value>, &str),
    library: &Library,
) -> Result<Vec<Made>, Unspoken> {
    let Some(after) = library.resources().next() else {
        return Ok(Vec::new());
    };
    let change = Change {
        before: before.as_ref(),
        after,
    };
    let mut all = Vec::new();
    for kind in speaker.kinds_of(&change, library)? {
        if !destination.understood.takes(&kind) {
            continue;
        }
        let key = key(told, &kind);
        let control_id = control_id(&format!("{} {key}", destination.name()));
        let header = Header {
            control_id: &control_id,
            now: at,
            sequence: None,
        };
        let written = &destination.understood.written;
        let spoken = speaker.speak(&kind, library, &[after], header, written)?;
        let resources = library.resources();
        let told = resources.filter_map(|one| touched(one, &spoken.told));
        let told = told.collect();
        all.push((key, spoken, told));
    }
    Ok(all)
}

/// What a message is made of: a version of a resource, told for a subscription, of that kind.
fn key(told: Told<'_>, kind: &str) -> String {
    let event = told.event;
    format!(
        "{} {} {}/{}/{} {kind}",
        told.subscription, event.number, event.resource_type, event.id, event.version
    )
}

/// Of the same the same, whenever and wherever it is made: who gets a message twice knows it by this.
fn control_id(of: &str) -> String {
    const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let digest = Sha256::digest(of.as_bytes());
    let letters = digest.iter().take(CONTROL_ID);
    letters
        .filter_map(|byte| LETTERS.get(usize::from(byte % 32)))
        .map(|letter| char::from(*letter))
        .collect()
}

/// The row of a message.
fn outgoing(
    app: &App,
    destination: &Destination,
    told: Told<'_>,
    (key, spoken, touched): Made,
    now: Instant,
) -> NewOutgoing {
    let mut facts = facts(&spoken.text, destination);
    let resource = format!("{}/{}", told.event.resource_type, told.event.id);
    // Numbers of patients may change; what is told of them is in order all the same.
    let patients = spoken
        .told
        .iter()
        .filter(|told| told.starts_with("Patient/"));
    let patients: Vec<String> = patients.cloned().collect();
    facts.subjects.extend(patients);
    facts.subjects.push(resource);
    let sequence = destination.settings.sequence;
    let report = match spoken.issues.is_empty() {
        true => Packed::default(),
        false => Packed::of(operation_outcome(&spoken.issues).to_string().as_bytes()),
    };
    NewOutgoing {
        destination: destination.name().to_owned(),
        message: Message {
            id: (app.ids)(now),
            direction: Direction::Out,
            route: destination.name().to_owned(),
            file: String::new(),
            facts,
            received_at: now,
            size: spoken.bytes.len(),
            hash: hash(&[destination.name().as_bytes(), key.as_bytes()]),
            body: Packed::of(&spoken.bytes),
            reused: false,
        },
        key,
        report,
        touched,
        numbered: sequence.then_some(spoken.bytes),
    }
}

/// What a message is found by.
pub(super) fn facts(text: &str, destination: &Destination) -> Facts {
    let text = Text::decoded(text);
    let message = text.message();
    message.map_or_else(
        |_| Facts::default(),
        |message| Facts::of(&message, &destination.understood.zone),
    )
}

/// Two of a row are never one and the same.
pub(super) fn hash(parts: &[&[u8]]) -> [u8; 16] {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update(part);
        digest.update([0]);
    }
    let mut hash = [0; 16];
    for (to, from) in hash.iter_mut().zip(digest.finalize()) {
        *to = from;
    }
    hash
}

/// A resource, if the message tells of it, in the version that it tells of.
fn touched(resource: &Value, told: &[String]) -> Option<Touched> {
    let (resource_type, id) = (resource.str_of("resourceType")?, resource.str_of("id")?);
    let address = format!("{resource_type}/{id}");
    let version = resource.get("meta")?.str_of("versionId")?;
    told.contains(&address).then(|| Touched {
        resource_type: resource_type.to_owned(),
        id: id.to_owned(),
        version: version.parse().unwrap_or_default(),
        effect: Effect::Unchanged,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_ids_are_stable_and_fit_every_version() {
        let one = control_id("ward s1 1 Encounter/a/1 ADT^A01");
        assert_eq!(one, control_id("ward s1 1 Encounter/a/1 ADT^A01"));
        assert_ne!(one, control_id("ward s1 2 Encounter/a/1 ADT^A01"));
        assert_eq!(one.len(), CONTROL_ID);
    }
}
