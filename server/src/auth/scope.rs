//! Scopes: what may be done with resources, as SMART writes it.
//! <https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html>

use std::fmt;

use percent_encoding::percent_decode_str;
use search::Registry;
use search::query::{self, Settings};

use crate::accept::resource_type;

/// `patient/Observation.rs?category=laboratory`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    pub level: Level,
    /// None: of all types, also those that come later.
    pub resource_type: Option<&'static str>,
    pub letters: Letters,
    /// What must hold of the resources besides; in the words of a search.
    pub filter: Vec<(String, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Level {
    /// What belongs to the patient in context.
    Patient,
    /// What the person who uses the app may see.
    User,
    /// What the client may see by itself.
    System,
}

/// A set of `c`, `r`, `u`, `d`, `s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Letters(u8);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadScope {
    #[error("a scope of resources begins with `patient/`, `user/` or `system/`")]
    Level,
    #[error("`{0}` is no resource type of FHIR R4")]
    Type(String),
    #[error("`{0}`: expected some of c, r, u, d, s in that order, or read, write, *")]
    Letters(String),
    #[error("`{0}`: only plain parameters may stand behind the question mark")]
    Filter(String),
    #[error("{0}")]
    Criteria(String),
}

const NAMES: &[(char, Letters)] = &[
    ('c', Letters::CREATE),
    ('r', Letters::READ),
    ('u', Letters::UPDATE),
    ('d', Letters::DELETE),
    ('s', Letters::SEARCH),
];

impl Letters {
    pub const CREATE: Self = Self(1);
    pub const READ: Self = Self(2);
    pub const UPDATE: Self = Self(4);
    pub const DELETE: Self = Self(8);
    pub const SEARCH: Self = Self(16);
    pub const ALL: Self = Self(31);

    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether one of these is among them.
    pub const fn has_any(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub const fn common(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// `rs`, `cud`; those of the first version of SMART: `read`, `write`, `*`.
    fn parse(text: &str) -> Option<Self> {
        match text {
            "read" => return Some(Self::READ.and(Self::SEARCH)),
            "write" => return Some(Self::CREATE.and(Self::UPDATE).and(Self::DELETE)),
            "*" => return Some(Self::ALL),
            _ => {}
        }
        let mut letters = Self::default();
        let mut rest = NAMES.iter();
        for wanted in text.chars() {
            // Each at most once, in their order.
            let (_, letter) = rest.by_ref().find(|(name, _)| *name == wanted)?;
            letters = letters.and(*letter);
        }
        (letters != Self::default()).then_some(letters)
    }
}

impl fmt::Display for Letters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, letter) in NAMES {
            if self.has_any(*letter) {
                write!(f, "{name}")?;
            }
        }
        Ok(())
    }
}

impl Level {
    const ALL: &[(&'static str, Self)] = &[
        ("patient", Self::Patient),
        ("user", Self::User),
        ("system", Self::System),
    ];

    pub fn word(self) -> &'static str {
        let mut all = Self::ALL.iter();
        all.find(|(_, level)| *level == self)
            .map_or("", |(word, _)| word)
    }
}

impl Scope {
    /// Reads one. Nothing of it is passed over: what is not understood would widen it.
    pub fn parse(text: &str) -> Result<Self, BadScope> {
        let (level, rest) = text.split_once('/').ok_or(BadScope::Level)?;
        let known = Level::ALL.iter().find(|(word, _)| *word == level);
        let (_, level) = known.ok_or(BadScope::Level)?;
        let (what, filter) = match rest.split_once('?') {
            Some((what, filter)) => (what, Some(filter)),
            None => (rest, None),
        };
        let letters = |letters: &str| BadScope::Letters(letters.to_owned());
        let (named, written) = what.split_once('.').ok_or_else(|| letters(what))?;
        let resource_type = match named {
            "*" => None,
            _ => Some(resource_type(named).ok_or_else(|| BadScope::Type(named.to_owned()))?),
        };
        Ok(Self {
            level: *level,
            resource_type,
            letters: Letters::parse(written).ok_or_else(|| letters(written))?,
            filter: filter.map(read_filter).transpose()?.unwrap_or_default(),
        })
    }

    /// Whether its filter can be held to: asked when it is granted, so that it is refused then and not dropped later.
    pub fn check(&self, registry: &Registry) -> Result<(), BadScope> {
        if self.filter.is_empty() {
            return Ok(());
        }
        let told = |text: &str| BadScope::Criteria(format!("{self}: {text}"));
        let Some(resource_type) = self.resource_type else {
            return Err(told("a filter needs a type"));
        };
        let settings = Settings {
            handling: query::Handling::Strict,
            now: 0,
        };
        let read = query::parse(registry, resource_type, &self.filter, settings);
        read.map(drop).map_err(|issues| {
            let first = issues.first().map(|issue| issue.diagnostics.as_str());
            told(first.unwrap_or("cannot be searched for"))
        })
    }
}

fn read_filter(text: &str) -> Result<Vec<(String, String)>, BadScope> {
    let decoded = |part: &str| {
        let text = percent_decode_str(part).decode_utf8().ok()?;
        Some(text.into_owned())
    };
    let parameter = |pair: &str| {
        let bad = || BadScope::Filter(pair.to_owned());
        let (name, value) = pair.split_once('=').ok_or_else(bad)?;
        let (name, value) = (
            decoded(name).ok_or_else(bad)?,
            decoded(value).ok_or_else(bad)?,
        );
        // No modifiers, no chains, nothing about the answer.
        let is_plain = name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
        let is_about_resources =
            !name.starts_with('_') || matches!(&*name, "_id" | "_tag" | "_security" | "_profile");
        match is_plain && is_about_resources && !value.is_empty() {
            true => Ok((name, value)),
            false => Err(bad()),
        }
    };
    text.split('&').map(parameter).collect()
}

/// As the second version of SMART writes it.
impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = self.resource_type.unwrap_or("*");
        write!(f, "{}/{named}.{}", self.level.word(), self.letters)?;
        for (number, (name, value)) in self.filter.iter().enumerate() {
            let mark = if number == 0 { '?' } else { '&' };
            write!(f, "{mark}{name}=")?;
            for c in value.chars() {
                match c {
                    '&' | '%' | ' ' | '+' | '#' => write!(f, "%{:02X}", u32::from(c))?,
                    _ => write!(f, "{c}")?,
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use fhir_spec::definitions::Definitions;

    use super::*;

    #[test]
    fn scopes_are_read_and_written_in_the_second_version() {
        for (read, written) in [
            ("patient/Observation.rs", "patient/Observation.rs"),
            ("patient/*.read", "patient/*.rs"),
            ("user/Patient.write", "user/Patient.cud"),
            ("system/*.*", "system/*.cruds"),
            (
                "user/Observation.rs?category=http://x|laboratory",
                "user/Observation.rs?category=http://x|laboratory",
            ),
            (
                "user/Condition.r?category=a%26b&clinical-status=active",
                "user/Condition.r?category=a%26b&clinical-status=active",
            ),
        ] {
            let scope = Scope::parse(read).unwrap();
            assert_eq!(scope.to_string(), written);
            assert_eq!(Scope::parse(written).unwrap(), scope);
        }
    }

    /// F10, C10, F13: nothing that is not understood widens a scope.
    #[test]
    fn what_is_not_understood_is_no_scope() {
        for text in [
            "",
            "openid",
            "patient",
            "patient/",
            "patient/Observation",
            "patient/Observation.",
            "patient/Observation.dus",
            "patient/Observation.rr",
            "patient/Observation.R",
            "patient/observation.r",
            "patient/Nothing.r",
            "tenant/Observation.r",
            "patient/Observation.rs?",
            "patient/Observation.rs?category",
            "patient/Observation.rs?category:not=x",
            "patient/Observation.rs?subject.name=x",
            "patient/Observation.rs?_filter=x",
            "patient/Observation.rs?_has:x=1",
            "patient/Observation.rs?category=x&",
        ] {
            assert!(Scope::parse(text).is_err(), "{text}");
        }
        let unknown = Scope::parse("patient/Observation.rs?nothing=x").unwrap();
        let definitions = Definitions::r4().with_packages(Vec::new()).0;
        let registry = Registry::new(Arc::new(definitions));
        assert!(unknown.check(&registry).is_err());
        let known = Scope::parse("patient/Observation.rs?category=laboratory").unwrap();
        assert_eq!(known.check(&registry), Ok(()));
        let any = Scope::parse("patient/*.rs?category=laboratory").unwrap();
        assert!(any.check(&registry).is_err());
    }
}
