//! A road in, read this first: bytes are decoded, mapped, handed to the host, answered. No socket, no database, no clock:
//! who has those calls the steps in this order, and may put others between them.

mod embedded;
mod facts;
mod reply;

use crate::formats::hl7v2::{self, Charset, Intake};
use crate::mapping::Zone;

pub use embedded::{Embedded, embedded};
pub use facts::{Facts, KEYS_MAX, VALUE_MAX};
pub use reply::{COMPLAINTS_MAX, Reply, Verdict};

/// When a message is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Policy {
    /// As soon as its bytes are on disk. What is wrong with it shows later, in the message store.
    Stored,
    /// When the resources it speaks of are on disk as well, in the same transaction.
    Applied,
    /// When who is further on has acknowledged it, as they did.
    Downstream,
}

impl Policy {
    pub const ALL: &[Self] = &[Self::Stored, Self::Applied, Self::Downstream];

    pub fn name(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Applied => "applied",
            Self::Downstream => "downstream",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|policy| policy.name() == name)
    }
}

/// A route as it was configured, its words understood.
#[derive(Debug, Clone)]
pub struct Route {
    pub name: String,
    pub policy: Policy,
    /// Where times are that say no zone.
    pub zone: Zone,
    /// What messages are in whose MSH-18 is empty; None: ASCII.
    pub charset: Option<Charset>,
    /// Values for the constants of maps, by name.
    pub constants: Vec<(String, String)>,
    /// An overlay of the maps; None: the one that names the sender, where there is one.
    pub overlay: Option<String>,
    /// What is taken in; empty: everything.
    pub filters: Vec<Filter>,
    /// Who is further on, by name.
    pub destination: Option<String>,
    /// Whether what is passed on is applied here too.
    pub applies: bool,
}

impl Route {
    /// Whether it takes messages of that type and event.
    pub fn takes(&self, kind: &str, event: &str) -> bool {
        self.filters.is_empty() || self.filters.iter().any(|filter| filter.takes(kind, event))
    }

    /// How bytes are read here.
    pub fn intake(&self) -> Intake {
        let usual = Intake::default();
        Intake {
            charset: self.charset.unwrap_or(usual.charset),
            ..usual
        }
    }
}

/// A character set by its name in HL7 table 0211, or another by which it is known.
pub fn charset(name: &str) -> Option<Charset> {
    hl7v2::charset::named(name).map(|(charset, _)| charset)
}

/// `ADT^*`, `ORU^R01`: types and events that a route takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    kind: String,
    /// None: all.
    event: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is no filter of messages: expected a type and an event such as ADT^A08, or ADT^* for all of a type"
)]
pub struct BadFilter(String);

impl Filter {
    pub fn parse(text: &str) -> Result<Self, BadFilter> {
        let (kind, event) = text.split_once('^').unwrap_or((text, "*"));
        let is_word = |word: &str| {
            word.len() == 3
                && word
                    .bytes()
                    .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
        };
        if !is_word(kind) || !(event == "*" || is_word(event)) {
            return Err(BadFilter(text.chars().take(40).collect()));
        }
        Ok(Self {
            kind: kind.to_owned(),
            event: (event != "*").then(|| event.to_owned()),
        })
    }

    pub fn takes(&self, kind: &str, event: &str) -> bool {
        self.kind == kind && self.event.as_ref().is_none_or(|wanted| wanted == event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_name_types_and_events() {
        let filter = |text| Filter::parse(text).unwrap();
        assert!(filter("ADT^A08").takes("ADT", "A08"));
        assert!(!filter("ADT^A08").takes("ADT", "A01"));
        assert!(filter("ORU^*").takes("ORU", "R01") && filter("ORU").takes("ORU", ""));
        for bad in ["", "ADT^", "*", "adt^a08", "ADT^A08^ADT_A01"] {
            assert!(Filter::parse(bad).is_err(), "{bad}");
        }
    }
}
