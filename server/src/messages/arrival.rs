//! A message that has just come: what can be said of it before anything is looked up.

use std::sync::Arc;

use bytes::Bytes;
use fhir_spec::{Issue, IssueCode};
use interop::formats::cda;
use interop::formats::hl7v2::acknowledgement::{Said, reject};
use interop::formats::hl7v2::{Intake, Stamp, Text, Unreadable};
use interop::route::{Facts, Route};
use sha2::{Digest, Sha256};

use super::{Desk, Running, Ticket, Trial};
use crate::instant::Instant;
use crate::{conversion, documents};

/// Bytes at the beginning of what cannot be read in which a header is looked for.
const HEADER_MAX: usize = 4_096;

/// A message with its place among the others.
#[derive(Debug)]
pub struct Arrival {
    pub running: Arc<Running>,
    pub bytes: Bytes,
    pub id: String,
    pub at: Instant,
    pub facts: Facts,
    pub hash: [u8; 16],
    /// Why it is not to be applied whatever it says: it is not whole, say.
    pub flaw: Option<Issue>,
    /// Why it cannot be read.
    pub unreadable: Option<Unread>,
    /// The file that it came in.
    pub file: Option<Arc<str>>,
    pub(super) ticket: Ticket,
    /// Only what would become of it is asked, by other maps.
    pub(super) trial: Option<Trial>,
}

/// Why a message or document cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unread {
    Message(Unreadable),
    Document(cda::Unreadable),
}

impl Unread {
    fn issue(&self) -> Issue {
        match self {
            Self::Message(fault) => Issue::error(IssueCode::Structure, fault.to_string()),
            Self::Document(fault) => conversion::undocumented(fault),
        }
    }
}

impl Desk {
    /// Reads who sent what about whom, and takes the message's place in the order: to be called in the order of arrival.
    pub fn arrive(&self, running: &Arc<Running>, bytes: Bytes, flaw: Option<Issue>) -> Arrival {
        let at = (self.app.clock)();
        let route = &running.route;
        let digest = Sha256::digest(&bytes);
        let mut hash = [0; 16];
        for (to, from) in hash.iter_mut().zip(digest) {
            *to = from;
        }
        let (facts, unreadable) = match running.is_of_documents() {
            true => match documents::facts(&bytes, &route.zone) {
                Ok(facts) => (facts, None),
                Err(fault) => (Facts::default(), Some(Unread::Document(fault))),
            },
            false => told(&bytes, route),
        };
        // The same once more waits for itself; who speaks of nobody, for all of its route who do so.
        let own = hash
            .iter()
            .fold("\0".to_owned(), |text, byte| format!("{text}{byte:02x}"));
        let nobody = format!("\0\0{}", route.name);
        let subjects = facts.subjects.iter().map(String::as_str);
        let rest = facts.subjects.is_empty().then_some(nobody.as_str());
        let ticket = self.order.enter(subjects.chain([own.as_str()]).chain(rest));
        Arrival {
            running: Arc::clone(running),
            id: (self.app.ids)(at),
            at,
            facts,
            hash,
            flaw,
            unreadable,
            file: None,
            ticket,
            trial: None,
            bytes,
        }
    }
}

/// What a message says of itself, and why it cannot be read.
fn told(bytes: &Bytes, route: &Route) -> (Facts, Option<Unread>) {
    let read = Text::read(bytes, route.intake()).and_then(|text| {
        text.message()
            .map(|message| Facts::of(&message, &route.zone))
    });
    match read {
        Ok(facts) => (facts, None),
        Err(fault) => (
            header(bytes, route.intake(), &fault, &route.zone),
            Some(Unread::Message(fault)),
        ),
    }
}

/// What a header says though the message cannot be read.
fn header(
    bytes: &Bytes,
    intake: Intake,
    fault: &Unreadable,
    zone: &interop::mapping::Zone,
) -> Facts {
    let start = bytes
        .windows(3)
        .take(HEADER_MAX)
        .position(|name| name == b"MSH");
    let line = start
        .and_then(|start| bytes.get(start..))
        .unwrap_or_default();
    let end = line
        .iter()
        .take(HEADER_MAX)
        .position(|byte| matches!(byte, b'\r' | b'\n'));
    let line = line
        .get(..end.unwrap_or(line.len().min(HEADER_MAX)))
        .unwrap_or_default();
    if let Ok(text) = Text::read(line, intake)
        && let Ok(message) = text.message()
    {
        return Facts::of(&message, zone);
    }
    // What the answer echoes is what it is found by.
    let answer = reject(bytes, fault, "0", &Stamp::utc(2000, 1, 1, 0, 0, 0));
    let text = Text::decoded(&answer);
    let control_id = text.message().ok().and_then(|message| {
        let said = Said::read(&message).ok()?;
        Some(said.control_id.trim().to_owned())
    });
    let control_id = control_id.filter(|id| id != "\"\"").unwrap_or_default();
    Facts {
        control_id: control_id
            .chars()
            .filter(|letter| *letter != '\0')
            .take(200)
            .collect(),
        ..Facts::default()
    }
}

impl Arrival {
    /// What is wrong with it before it is mapped.
    pub fn issue(&self) -> Option<Issue> {
        let unreadable = self.unreadable.as_ref().map(Unread::issue);
        unreadable.or_else(|| self.flaw.clone())
    }
}
