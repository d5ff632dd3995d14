//! The types of search parameters, a file each: which elements they take, what rows they make, how they are asked.
//! <https://hl7.org/fhir/R4/search.html#ptypes>

pub(crate) mod composite;
pub(crate) mod date;
pub(crate) mod number;
pub(crate) mod position;
pub(crate) mod reference;
pub(crate) mod string;
pub(crate) mod token;
pub(crate) mod uri;

use crate::condition::{Condition, Probe};
use crate::registry::{Parameter, Registry, ResourceType, Source};
use crate::terminology::Terminology;

/// <https://hl7.org/fhir/R4/valueset-search-param-type.html>
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SearchType {
    Number,
    Date,
    String,
    Token,
    Reference,
    Composite,
    Quantity,
    Uri,
    Special,
}

impl SearchType {
    pub const ALL: &[Self] = &[
        Self::Number,
        Self::Date,
        Self::String,
        Self::Token,
        Self::Reference,
        Self::Composite,
        Self::Quantity,
        Self::Uri,
        Self::Special,
    ];

    pub fn code(self) -> &'static str {
        match self {
            Self::Number => "number",
            Self::Date => "date",
            Self::String => "string",
            Self::Token => "token",
            Self::Reference => "reference",
            Self::Composite => "composite",
            Self::Quantity => "quantity",
            Self::Uri => "uri",
            Self::Special => "special",
        }
    }

    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.code() == code)
    }
}

/// A question about one parameter: `code:modifier=value,value`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask<'a> {
    pub registry: &'a Registry,
    pub known: &'a ResourceType,
    pub parameter: &'a Parameter,
    pub modifier: Option<&'a str>,
    pub terminology: &'a dyn Terminology,
    /// For `ap`, in microseconds since 1970 UTC.
    pub now: i64,
}

impl SearchType {
    /// The modifiers it has, besides `:missing` and the types of targets.
    pub fn modifiers(self) -> &'static [&'static str] {
        match self {
            Self::Token => token::MODIFIERS,
            Self::String => string::MODIFIERS,
            Self::Reference => reference::MODIFIERS,
            Self::Uri => uri::MODIFIERS,
            _ => &[],
        }
    }

    /// What to look for in one source so that one value (still escaped) is found.
    pub(crate) fn probes(
        self,
        ask: &Ask<'_>,
        source: &Source,
        value: &str,
    ) -> Result<Vec<Probe>, String> {
        match self {
            Self::Token => token::probes(ask, source, value),
            Self::String => string::probes(ask, source, value),
            Self::Reference => reference::probes(ask, source, value),
            Self::Date => date::probes(ask, source, value),
            Self::Number => number::number_probes(source, value),
            Self::Quantity => number::quantity_probes(source, value),
            Self::Uri => uri::probes(ask, source, value),
            Self::Special => position::probes(source, value),
            Self::Composite => Ok(Vec::new()),
        }
    }
}

impl Ask<'_> {
    /// What must hold for one of the values to be found.
    pub(crate) fn condition(&self, values: &[&str]) -> Result<Condition, String> {
        let found = if self.parameter.kind == SearchType::Composite {
            composite::condition(self, values)?
        } else {
            Condition::rows(self.any_of(self.parameter.kind, &self.parameter.sources, values)?)
        };
        Ok(match self.modifier {
            Some("not" | "not-in") => found.negated(),
            _ => found,
        })
    }

    pub(crate) fn any_of(
        &self,
        kind: SearchType,
        sources: &[Source],
        values: &[&str],
    ) -> Result<Vec<Probe>, String> {
        let mut probes = Vec::new();
        for value in values {
            for source in sources {
                probes.extend(kind.probes(self, source, value)?);
            }
        }
        Ok(probes)
    }
}

/// How a value relates to what it is compared with. <https://hl7.org/fhir/R4/search.html#prefix>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Prefix {
    Equal,
    NotEqual,
    Greater,
    Less,
    AtLeast,
    AtMost,
    StartsAfter,
    EndsBefore,
    Near,
}

impl Prefix {
    const ALL: &[(&str, Self)] = &[
        ("eq", Self::Equal),
        ("ne", Self::NotEqual),
        ("gt", Self::Greater),
        ("lt", Self::Less),
        ("ge", Self::AtLeast),
        ("le", Self::AtMost),
        ("sa", Self::StartsAfter),
        ("eb", Self::EndsBefore),
        ("ap", Self::Near),
    ];

    pub(crate) fn code(self) -> &'static str {
        let known = Self::ALL.iter().find(|(_, prefix)| *prefix == self);
        known.map_or("eq", |(code, _)| code)
    }

    /// The prefix and what follows it; letters that are none are an error.
    pub(crate) fn cut(value: &str) -> Result<(Self, &str), String> {
        let letters = value.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (written, rest) = value.split_at_checked(letters).unwrap_or(("", value));
        if written.is_empty() {
            return Ok((Self::Equal, value));
        }
        let known = Self::ALL.iter().find(|(name, _)| *name == written);
        known.map(|(_, prefix)| (*prefix, rest)).ok_or_else(|| {
            let names: Vec<&str> = Self::ALL.iter().map(|(name, _)| *name).collect();
            let names = names.join(", ");
            format!("`{written}` is no prefix; prefixes are {names}")
        })
    }
}
