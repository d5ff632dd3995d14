//! A message through the map of its structure: a message becomes resources.
//!
//! [`Converter`] holds a pack of maps with what a route says (zone, constants); a map is compiled when the first message
//! asks for it. [`Converter::convert`] finds the map by MSH-9: what a map says it serves (`ADT^A08`), else the structure.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use fhir_spec::definitions::Definitions;
use fhir_spec::json::Value;
use fhir_spec::outcome::operation_outcome;
use fhir_spec::{Issue, IssueCode, Severity};

use crate::mapping::{
    BadMap, BadSettings, Mapped, Occasion, Pack, Plan, Runner, Zone, shipped_hl7v2,
};

use super::dictionary::{BadData, Dictionary, Version};
use super::grammar::{Groups, group_by};
use super::schema::{MessageSchema, NEWEST};
use super::source::MessageSource;
use super::stamp::Stamp;
use super::tree::Message;

/// The format that maps of messages name.
pub const FORMAT: &str = "hl7v2";

/// A pack of maps, ready for messages.
#[derive(Debug)]
pub struct Converter {
    pack: Arc<Pack>,
    dictionary: &'static Dictionary,
    zone: Zone,
    constants: Vec<(String, String)>,
    maps: Vec<Ready>,
    /// By `ADT^A08`, `ADT^A08^ADT_A01` and the names of structures.
    by_kind: HashMap<String, usize>,
}

#[derive(Debug)]
struct Ready {
    name: String,
    schema: MessageSchema,
    runner: OnceLock<Result<Runner, Unready>>,
}

/// Why a map cannot run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unready {
    #[error(transparent)]
    Map(#[from] BadMap),
    #[error(transparent)]
    Settings(#[from] BadSettings),
}

/// Why there are no maps for messages.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoMaps {
    #[error(transparent)]
    Map(#[from] BadMap),
    #[error(transparent)]
    Dictionary(#[from] BadData),
    #[error("the map {0} is named after no structure of messages and serves none that is known")]
    Structure(String),
}

/// Why a message was not mapped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unmapped {
    #[error("no map serves messages of the kind {0}")]
    Kind(String),
    #[error("there is no map {0}")]
    Map(String),
    #[error("the map {0} cannot be used: {1}")]
    Unready(String, Unready),
}

/// What became of a message.
#[derive(Debug)]
pub struct Converted<'c, 'm, 't> {
    pub mapped: Mapped,
    plan: &'c Plan,
    message: &'m Message<'t>,
    groups: Groups<'m, 't>,
}

impl Converter {
    /// The maps that Kiln comes with.
    pub fn shipped(zone: Zone, constants: &[(String, String)]) -> Result<Self, NoMaps> {
        Self::new(Arc::clone(shipped_hl7v2()?), zone, constants)
    }

    /// `constants`: values by name; each map takes those that it has.
    pub fn new(
        pack: impl Into<Arc<Pack>>,
        zone: Zone,
        constants: &[(String, String)],
    ) -> Result<Self, NoMaps> {
        let pack = pack.into();
        let dictionary = Dictionary::shipped()?;
        let mut maps: Vec<Ready> = Vec::new();
        let mut by_kind = HashMap::new();
        for (name, serves) in pack.serving(FORMAT) {
            let schema = schema_of(dictionary, name, &serves)
                .ok_or_else(|| NoMaps::Structure(name.to_owned()))?;
            let place = maps.len();
            by_kind.entry(schema.name().to_owned()).or_insert(place);
            for kind in serves {
                by_kind.entry(kind.to_owned()).or_insert(place);
            }
            maps.push(Ready {
                name: name.to_owned(),
                schema,
                runner: OnceLock::new(),
            });
        }
        Ok(Self {
            dictionary,
            zone,
            constants: constants.to_vec(),
            maps,
            by_kind,
            pack,
        })
    }

    /// The names of the maps, and what they serve.
    pub fn maps(&self) -> impl Iterator<Item = (&str, Vec<&str>)> {
        self.pack.serving(FORMAT)
    }

    /// Maps a message by the map of its kind, or by the one that is named.
    pub fn convert<'c, 'm, 't>(
        &'c self,
        message: &'m Message<'t>,
        map: Option<&str>,
        occasion: Occasion<'_>,
    ) -> Result<Converted<'c, 'm, 't>, Unmapped> {
        let ready = match map {
            Some(name) => {
                let found = self.maps.iter().find(|ready| ready.name == name);
                found.ok_or_else(|| Unmapped::Map(name.to_owned()))?
            }
            None => self.ready(message)?,
        };
        let runner = ready.runner.get_or_init(|| self.compile(ready));
        let runner = (runner.as_ref())
            .map_err(|unready| Unmapped::Unready(ready.name.clone(), unready.clone()))?;
        let groups = group_by(message, ready.schema.structure());
        let source = MessageSource {
            message,
            groups: &groups,
        };
        // What the header says about the sender's clock holds for all times of the message that say nothing else.
        let mapped = match offset_of(message) {
            Some(zone) => runner.in_zone(zone).run(&source, occasion),
            None => runner.run(&source, occasion),
        };
        Ok(Converted {
            mapped,
            plan: runner.plan(),
            message,
            groups,
        })
    }

    fn ready(&self, message: &Message<'_>) -> Result<&Ready, Unmapped> {
        let of = |component| message.of_header(9, component).trim().to_owned();
        let (kind, event, named) = (of(1), of(2), of(3));
        let version = Version::read(&message.of_header(12, 1));
        let structure = self
            .dictionary
            .structure_name(version, &kind, &event, &named);
        let keys = [
            Some(format!("{kind}^{event}^{named}")),
            Some(format!("{kind}^{event}")),
            structure,
        ];
        let mut places = keys
            .iter()
            .flatten()
            .filter_map(|key| self.by_kind.get(key));
        let ready = places.next().and_then(|place| self.maps.get(*place));
        ready.ok_or_else(|| {
            let told: String = format!("{kind}^{event}").chars().take(40).collect();
            Unmapped::Kind(told)
        })
    }

    fn compile(&self, ready: &Ready) -> Result<Runner, Unready> {
        let plan = self
            .pack
            .compile(&ready.name, &ready.schema, Definitions::r4())?;
        let constants: Vec<(&str, &str)> = self
            .constants
            .iter()
            .filter(|(name, _)| plan.constants().any(|known| known == name))
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        Ok(Runner::new(Arc::new(plan), self.zone.clone(), &constants)?)
    }
}

/// The structure that a map is written for: that of its name, or of the first kind that it serves.
pub fn schema_of(
    dictionary: &'static Dictionary,
    map: &str,
    serves: &[&str],
) -> Option<MessageSchema> {
    let by_kind = |kind: &&str| {
        let mut words = kind.split('^');
        let mut word = || words.next().unwrap_or_default();
        let (kind, event, named) = (word(), word(), word());
        dictionary.structure_name(NEWEST, kind, event, named)
    };
    MessageSchema::new(dictionary, map).or_else(|| {
        let name = serves.iter().find_map(by_kind)?;
        MessageSchema::new(dictionary, &name)
    })
}

/// The offset of MSH-7, where it says one.
fn offset_of(message: &Message<'_>) -> Option<Zone> {
    let stamp: Stamp = message.of_header(7, 1).parse().ok()?;
    let minutes = stamp.offset_minutes()?;
    let sign = if minutes < 0 { '-' } else { '+' };
    let minutes = minutes.unsigned_abs();
    Zone::parse(&format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)).ok()
}

impl Converted<'_, '_, '_> {
    /// The map that was run.
    pub fn map(&self) -> &str {
        self.plan.name()
    }

    pub fn plan(&self) -> &Plan {
        self.plan
    }

    /// The message as the map saw it: for places of a trace.
    pub fn source(&self) -> MessageSource<'_, '_, '_> {
        MessageSource {
            message: self.message,
            groups: &self.groups,
        }
    }

    /// Some resource cannot be stored as it is.
    pub fn has_errors(&self) -> bool {
        self.mapped.notes.iter().any(crate::mapping::Note::is_error)
    }

    /// What was not carried, what had to be assumed, and what was forgiven when the message was read.
    pub fn issues(&self) -> Vec<Issue> {
        let source = self.source();
        let forgiven = self.message.forgiven().iter().chain(self.groups.forgiven());
        let forgiven = forgiven.map(|forgiven| {
            Issue::new(
                Severity::Information,
                IssueCode::Informational,
                format!("forgiven: {forgiven}"),
            )
        });
        let mut issues = self.mapped.issues(self.plan, &source);
        issues.extend(forgiven);
        issues
    }

    /// The loss report as a resource.
    pub fn loss_report(&self) -> Value {
        operation_outcome(&self.issues())
    }
}
