//! Messages made of resources: which definition serves, what the header says, and what it is in the version of whoever
//! receives it.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use fhir_spec::definitions::Definitions;
use fhir_spec::json::Value;
use fhir_spec::{Issue, IssueCode, Severity};

use crate::mapping::source::Sink;
use crate::mapping::{
    Asked, Change, Emitted, Library, Outgoing, Pack, Page, Stamp, Zone, shipped_hl7v2_out,
};

pub use super::convert::Unready;
use super::convert::{NoMaps, schema_of};
use super::dictionary::{Dictionary, Version};
use super::page::{MessagePage, Writer};
use super::schema::segment_number;
use super::{Charset, Delimiters, MessageSchema, charset};

/// Message definitions, ready for resources.
#[derive(Debug)]
pub struct Speaker {
    pack: Arc<Pack>,
    dictionary: &'static Dictionary,
    zone: Zone,
    constants: Vec<(String, String)>,
    messages: Vec<Ready>,
    /// By `ORU^R01`.
    by_kind: HashMap<String, usize>,
}

#[derive(Debug)]
struct Ready {
    name: String,
    kinds: Vec<String>,
    schema: MessageSchema,
    outgoing: OnceLock<Result<Outgoing, Unready>>,
}

/// Why there is no message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unspoken {
    #[error("no definition makes messages of the kind {0}")]
    Kind(String),
    #[error("a message {kind} is made of a {wanted}: there is none")]
    NothingToTell { kind: String, wanted: String },
    #[error("no definition makes messages of what is here: {0}")]
    NoKind(String),
    #[error("the definition {0} cannot be used: {1}")]
    Unready(String, Unready),
}

/// To whom a message goes, and how it is written for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// MSH-3 to MSH-6, with their parts between `^`.
    pub sending_application: String,
    pub sending_facility: String,
    pub receiving_application: String,
    pub receiving_facility: String,
    /// MSH-11: `P`, `T` or `D`.
    pub processing: String,
    pub version: Version,
    /// Whose datatypes fields have, where a profile takes them from a later version.
    pub datatypes: Option<Version>,
    pub delimiters: Delimiters,
    pub charset: Charset,
    /// MSH-15 and MSH-16.
    pub accept_acknowledgement: String,
    pub application_acknowledgement: String,
}

impl Default for Destination {
    fn default() -> Self {
        Self {
            sending_application: "KILN".to_owned(),
            sending_facility: String::new(),
            receiving_application: String::new(),
            receiving_facility: String::new(),
            processing: "P".to_owned(),
            version: Version::V2_5_1,
            datatypes: None,
            delimiters: Delimiters::default(),
            charset: Charset::Ascii,
            accept_acknowledgement: String::new(),
            application_acknowledgement: String::new(),
        }
    }
}

/// What makes one message different from the next.
#[derive(Debug, Clone, Copy)]
pub struct Header<'h> {
    pub control_id: &'h str,
    /// As FHIR writes an instant.
    pub now: &'h str,
    /// MSH-13.
    pub sequence: Option<u64>,
}

/// A message to be sent.
#[derive(Debug, Clone)]
pub struct Spoken {
    /// `ORU^R01`
    pub kind: String,
    pub text: String,
    pub bytes: Vec<u8>,
    /// Errors name what a receiver may rightly miss; the rest is what did not go out.
    pub issues: Vec<Issue>,
    /// Resources that it tells of, by type and id.
    pub told: Vec<String>,
}

impl Spoken {
    pub fn has_errors(&self) -> bool {
        self.issues.iter().any(Issue::is_error)
    }
}

impl Speaker {
    /// The definitions that Kiln comes with.
    pub fn shipped(zone: Zone, constants: &[(String, String)]) -> Result<Self, NoMaps> {
        Self::new(Arc::clone(shipped_hl7v2_out()?), zone, constants)
    }

    pub fn new(
        pack: impl Into<Arc<Pack>>,
        zone: Zone,
        constants: &[(String, String)],
    ) -> Result<Self, NoMaps> {
        let pack = pack.into();
        let dictionary = Dictionary::shipped()?;
        let mut messages = Vec::new();
        let mut by_kind = HashMap::new();
        for (place, (name, serves)) in pack.messages().enumerate() {
            let schema = schema_of(dictionary, name, &serves)
                .ok_or_else(|| NoMaps::Structure(name.to_owned()))?;
            for kind in &serves {
                by_kind.entry((*kind).to_owned()).or_insert(place);
            }
            messages.push(Ready {
                name: name.to_owned(),
                kinds: serves.into_iter().map(str::to_owned).collect(),
                schema,
                outgoing: OnceLock::new(),
            });
        }
        Ok(Self {
            pack,
            dictionary,
            zone,
            constants: constants.to_vec(),
            messages,
            by_kind,
        })
    }

    /// All kinds of messages that can be made, such as `ADT^A01`.
    pub fn kinds(&self) -> impl Iterator<Item = &str> {
        let all = self.messages.iter();
        all.flat_map(|ready| ready.kinds.iter().map(String::as_str))
    }

    /// Compiles all definitions: the tests, and whoever starts with definitions of their own.
    pub fn check(&self) -> Result<(), Unspoken> {
        (0..self.messages.len()).try_for_each(|place| self.ready(place).map(|_| ()))
    }

    fn ready(&self, place: usize) -> Result<(&Ready, &Outgoing), Unspoken> {
        let ready = self.messages.get(place);
        let ready = ready.ok_or_else(|| Unspoken::Kind(String::new()))?;
        let outgoing = ready.outgoing.get_or_init(|| self.compile(place, ready));
        match outgoing {
            Ok(outgoing) => Ok((ready, outgoing)),
            Err(unready) => Err(Unspoken::Unready(ready.name.clone(), unready.clone())),
        }
    }

    fn compile(&self, place: usize, ready: &Ready) -> Result<Outgoing, Unready> {
        let plan = self
            .pack
            .compile_message(place, &ready.schema, Definitions::r4())?;
        let constants: Vec<(&str, &str)> = self
            .constants
            .iter()
            .filter(|(name, _)| plan.takes(name))
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        Ok(Outgoing::new(plan, self.zone.clone(), &constants)?)
    }

    /// The kinds of messages that a change of a resource asks for, one of each definition at most.
    pub fn kinds_of(
        &self,
        change: &Change<'_>,
        library: &Library,
    ) -> Result<Vec<String>, Unspoken> {
        let mut kinds = Vec::new();
        for place in 0..self.messages.len() {
            let (ready, outgoing) = self.ready(place)?;
            if let Some(event) = outgoing.event_of(change, library) {
                let suffix = format!("^{event}");
                kinds.extend(
                    ready
                        .kinds
                        .iter()
                        .find(|kind| kind.ends_with(&suffix))
                        .cloned(),
                );
            }
        }
        Ok(kinds)
    }

    /// The kind that suits what is in a library, when nobody says one: that of the first resource which some definition
    /// starts with, definitions that tell more first.
    pub fn usual_kind(&self, library: &Library) -> Result<String, Unspoken> {
        for place in 0..self.messages.len() {
            let (ready, outgoing) = self.ready(place)?;
            let start = outgoing.plan().start_type();
            let mut all = library.resources();
            let found = all.find(|one| one.str_of("resourceType") == start);
            let Some(found) = found else { continue };
            let change = Change {
                before: None,
                after: found,
            };
            let event = outgoing.event_of(&change, library);
            let by_event = event.and_then(|event| {
                let suffix = format!("^{event}");
                ready.kinds.iter().find(|kind| kind.ends_with(&suffix))
            });
            if let Some(kind) = by_event.or(ready.kinds.first()) {
                return Ok(kind.clone());
            }
        }
        let mut types: Vec<&str> = library
            .resources()
            .filter_map(|one| one.str_of("resourceType"))
            .collect();
        types.sort_unstable();
        types.dedup();
        Err(Unspoken::NoKind(types.join(", ")))
    }

    /// The kind with that type and event, or with the one of them that is said.
    pub fn kind_of(&self, type_name: Option<&str>, event: Option<&str>) -> Option<&str> {
        self.kinds().find(|kind| {
            let (first, second) = kind.split_once('^').unwrap_or((kind, ""));
            type_name.is_none_or(|wanted| wanted == first)
                && event.is_none_or(|wanted| wanted == second)
        })
    }

    /// The type of the resources that messages of a kind start with.
    pub fn start_of(&self, kind: &str) -> Result<String, Unspoken> {
        let (_, outgoing) = self.of_kind(kind)?;
        Ok(outgoing.plan().start_type().unwrap_or_default().to_owned())
    }

    fn of_kind(&self, kind: &str) -> Result<(&Ready, &Outgoing), Unspoken> {
        let mut words = kind.split('^');
        let (first, second) = (words.next(), words.next());
        let pair = format!(
            "{}^{}",
            first.unwrap_or_default(),
            second.unwrap_or_default()
        );
        let place = self.by_kind.get(&pair);
        let place = place.ok_or_else(|| Unspoken::Kind(kind.chars().take(40).collect()))?;
        self.ready(*place)
    }

    /// The resources that messages of a kind start with, each list for one message.
    pub fn starts<'l>(
        &self,
        kind: &str,
        library: &'l Library,
    ) -> Result<Vec<Vec<&'l Value>>, Unspoken> {
        let (_, outgoing) = self.of_kind(kind)?;
        let wanted = outgoing.plan().start_type().unwrap_or_default();
        let mut starts: Vec<(String, Vec<&Value>)> = Vec::new();
        for resource in library.resources() {
            if resource.str_of("resourceType") != Some(wanted) {
                continue;
            }
            let of = ["subject", "patient"]
                .iter()
                .find_map(|name| resource.get(name));
            let subject = of.and_then(|subject| subject.str_of("reference"));
            let subject = subject.unwrap_or_default().to_owned();
            let together = outgoing.plan().starts_together();
            let known = starts
                .iter_mut()
                .find(|(known, _)| together && *known == subject);
            match known {
                Some((_, all)) => all.push(resource),
                None => starts.push((subject, vec![resource])),
            }
        }
        if starts.is_empty() {
            return Err(Unspoken::NothingToTell {
                kind: kind.to_owned(),
                wanted: wanted.to_owned(),
            });
        }
        Ok(starts.into_iter().map(|(_, all)| all).collect())
    }

    /// Makes a message of the resources that it starts with.
    pub fn speak(
        &self,
        kind: &str,
        library: &Library,
        start: &[&Value],
        header: Header<'_>,
        to: &Destination,
    ) -> Result<Spoken, Unspoken> {
        let (ready, outgoing) = self.of_kind(kind)?;
        let event = kind.split('^').nth(1).unwrap_or_default();
        let asked = Asked {
            event,
            version: to.version.name(),
            now: header.now,
        };
        let mut page = MessagePage::new();
        let emitted = outgoing.emit(library, start, asked, &mut page);
        self.header(kind, &mut page, header, to);
        let own = self.structure_in(to.version, kind, event);
        let mut writer = Writer {
            dictionary: self.dictionary,
            version: to.version,
            datatypes: to.datatypes.unwrap_or(to.version),
            delimiters: to.delimiters,
            structure: ready.schema.structure(),
            own,
            page: &page,
            text: String::new(),
            dropped: Vec::new(),
            missing: Vec::new(),
        };
        writer.write();
        let issues = issues_of(&writer, outgoing, &emitted);
        let text = writer.text;
        let (text, bytes) = encoded(text, to);
        Ok(Spoken {
            kind: kind.to_owned(),
            text,
            bytes,
            issues,
            told: emitted.told,
        })
    }

    fn structure_in(
        &self,
        version: Version,
        kind: &str,
        event: &str,
    ) -> Option<&super::dictionary::Structure> {
        let first = kind.split('^').next().unwrap_or_default();
        let name = self.dictionary.structure_name(version, first, event, "")?;
        self.dictionary.structure(version, &name)
    }

    /// What the header says, unless the definition says it.
    fn header(&self, kind: &str, page: &mut MessagePage, header: Header<'_>, to: &Destination) {
        let number = segment_number("MSH").unwrap_or_default();
        let msh = page.child(page.root(), number, 0);
        let mut words = kind.split('^');
        let (first, event) = (
            words.next().unwrap_or_default(),
            words.next().unwrap_or_default(),
        );
        let structure = self
            .dictionary
            .structure_name(to.version, first, event, "")
            .filter(|_| to.version >= Version::V2_3_1 && !event.is_empty());
        let kind = [Some(first), Some(event), structure.as_deref()];
        let kind: Vec<&str> = kind
            .into_iter()
            .flatten()
            .filter(|word| !word.is_empty())
            .collect();
        let sent = Stamp::parse(header.now).map(|stamp| Stamp {
            fraction: Default::default(),
            ..stamp
        });
        let sent = sent.map_or_else(String::new, |stamp| stamp.to_compact());
        let sequence = header
            .sequence
            .map_or_else(String::new, |number| number.to_string());
        let kind = kind.join("^");
        let fields: &[(u16, &str)] = &[
            (3, &to.sending_application),
            (4, &to.sending_facility),
            (5, &to.receiving_application),
            (6, &to.receiving_facility),
            (7, &sent),
            (9, &kind),
            (10, header.control_id),
            (11, &to.processing),
            (12, to.version.name()),
            (13, &sequence),
            (15, &to.accept_acknowledgement),
            (16, &to.application_acknowledgement),
        ];
        for (number, text) in fields {
            let field = page.child(msh, *number, 0);
            if text.is_empty() || page.is_set(field) {
                continue;
            }
            for (place, part) in (1u16..).zip(text.split('^')) {
                if !part.is_empty() {
                    let part_at = page.child(field, place, 0);
                    page.set(part_at, None, part);
                }
            }
        }
    }
}

/// The bytes of a message, in the character set that was asked for or in UTF-8; MSH-18 says which.
fn encoded(text: String, to: &Destination) -> (String, Vec<u8>) {
    let chosen = charset::choose(&text, &[to.charset]);
    let name = chosen
        .first()
        .map(|charset| charset.name())
        .unwrap_or_default();
    let is_plain = chosen.first() == Some(&Charset::Ascii);
    let text = match is_plain || to.version < Version::V2_3 {
        true => text,
        false => with_charset(&text, name, to.delimiters.field),
    };
    let bytes = charset::encode(&text, &chosen).map(Cow::into_owned);
    let bytes = bytes.unwrap_or_else(|_| text.clone().into_bytes());
    (text, bytes)
}

/// Writes MSH-18.
fn with_charset(text: &str, name: &str, separator: u8) -> String {
    let (head, rest) = text.split_once('\r').unwrap_or((text, ""));
    let separator = char::from(separator);
    let mut fields: Vec<&str> = head.split(separator).collect();
    // The separator itself is MSH-1: MSH-18 is the 18th behind the name.
    if fields.len() < 18 {
        fields.resize(18, "");
    }
    if let Some(field) = fields.get_mut(17) {
        *field = name;
    }
    format!("{}\r{rest}", fields.join(&separator.to_string()))
}

fn issues_of(writer: &Writer<'_>, outgoing: &Outgoing, emitted: &Emitted) -> Vec<Issue> {
    let mut issues = Vec::new();
    for missing in &writer.missing {
        if missing.field == 0 {
            let told = match outgoing.plan().made_of(&missing.segment) {
                "" => format!("a segment {} is required", missing.segment),
                from => format!("a segment {} is required: expected {from}", missing.segment),
            };
            issues.push(Issue::error(IssueCode::Required, told).at(missing.segment.clone()));
            continue;
        }
        let given = outgoing.plan().given_by(&missing.segment, missing.field);
        let place = format!("{}-{}", missing.segment, missing.field);
        let told = match given {
            [] => format!(
                "{place} ({}) is required, and nothing gives it",
                missing.name
            ),
            _ => format!(
                "{place} ({}) is required: expected {}",
                missing.name,
                given.join(" or ")
            ),
        };
        issues.push(Issue::error(IssueCode::Required, told).at(place));
    }
    let lost = emitted.left.iter().map(|left| match left.reason.as_str() {
        "" => format!("{} has no place in this message", left.element),
        reason => format!("{}: {reason}", left.element),
    });
    let mut dropped: Vec<String> = writer.dropped.clone();
    dropped.dedup();
    for told in lost.chain(dropped) {
        issues.push(Issue::new(Severity::Warning, IssueCode::Incomplete, told));
    }
    issues
}
