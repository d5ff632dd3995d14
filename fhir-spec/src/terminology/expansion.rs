//! Expansions: the codes of a value set as a list, and the lists that value sets bring along.
//! <https://hl7.org/fhir/R4/valueset.html#expansion>

use std::collections::{HashMap, HashSet};

use super::membership::{Membership, Reason};
use super::selection::{Codes, Selection};
use super::value_set::{Question, ValueSet};
use crate::json::Value;

/// How many codes an expansion may have before it is refused as too costly.
pub const EXPANSION_CODES_MAX: usize = 100_000;

/// How many includes may be visited for all codes together: imports of imports could otherwise multiply.
const EXPANSION_STEPS_MAX: u32 = 5_000_000;

/// Which part of an expansion is wanted.
#[derive(Debug, Clone, Copy, Default)]
pub struct Page<'a> {
    /// Words that must all stand in the code or display, whatever their case.
    pub filter: Option<&'a str>,
    pub offset: usize,
    /// None: all.
    pub count: Option<usize>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expansion {
    /// How many codes there are, on this page or not.
    pub total: usize,
    pub contains: Vec<Contained>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contained {
    pub system: Box<str>,
    pub version: Option<Box<str>>,
    pub code: Box<str>,
    pub display: Option<Box<str>>,
    pub is_abstract: bool,
    pub is_inactive: bool,
}

/// Why a value set cannot be expanded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExpandError {
    #[error("the expansion has more than {EXPANSION_CODES_MAX} codes")]
    TooCostly,
    #[error("the codes of `{0}` follow a grammar and cannot be listed")]
    NotEnumerable(Box<str>),
    #[error("{0}")]
    Undecided(Reason),
}

impl From<Reason> for ExpandError {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::TooCostly => Self::TooCostly,
            reason => Self::Undecided(reason),
        }
    }
}

impl ValueSet {
    /// The codes of the value set, in its own order.
    pub fn expand(&self, page: Page<'_>) -> Result<Expansion, ExpandError> {
        let mut codes = self.all_codes(&mut { EXPANSION_STEPS_MAX })?;
        if let Some(filter) = page.filter {
            let words: Vec<String> = filter.split_whitespace().map(str::to_lowercase).collect();
            codes.retain(|contained| contained.has_words(&words));
        }
        Ok(Expansion {
            total: codes.len(),
            contains: codes
                .into_iter()
                .skip(page.offset)
                .take(page.count.unwrap_or(usize::MAX))
                .collect(),
        })
    }

    fn all_codes(&self, steps_left: &mut u32) -> Result<Vec<Contained>, ExpandError> {
        match (self.composed_codes(steps_left), &self.stored) {
            (Err(ExpandError::Undecided(_)), Some(stored)) if stored.is_complete => {
                Ok(stored.codes())
            }
            (codes, _) => codes,
        }
    }

    fn composed_codes(&self, steps_left: &mut u32) -> Result<Vec<Contained>, ExpandError> {
        if !self.has_compose {
            return Err(Reason::NoContent.into());
        }
        let mut codes = Vec::new();
        let mut seen: HashSet<(Box<str>, Box<str>)> = HashSet::new();
        for include in &self.includes {
            for contained in include.codes(steps_left)? {
                let question = &mut Question::new(
                    Some(&contained.system),
                    contained.version.as_deref(),
                    &contained.code,
                );
                let answer = self.answer(question);
                *steps_left = steps_left
                    .checked_sub(question.steps_taken())
                    .ok_or(ExpandError::TooCostly)?;
                let is_wanted = match answer {
                    Membership::In { .. } => true,
                    Membership::NotIn => false,
                    Membership::Unknown(reason) => return Err(reason.into()),
                };
                let key = (contained.system.clone(), contained.code.clone());
                if is_wanted && seen.insert(key) {
                    codes.push(contained);
                }
            }
            if codes.len() > EXPANSION_CODES_MAX {
                return Err(ExpandError::TooCostly);
            }
        }
        Ok(codes)
    }
}

impl Selection {
    /// The codes that may be in: those of the system, or of the first import where no system is named.
    fn codes(&self, steps_left: &mut u32) -> Result<Vec<Contained>, ExpandError> {
        *steps_left = steps_left.checked_sub(1).ok_or(ExpandError::TooCostly)?;
        let Some(system) = &self.system else {
            return match self.imports.first() {
                Some(Ok(value_set)) => value_set.all_codes(steps_left),
                Some(Err(reason)) => Err(reason.clone().into()),
                None => Ok(Vec::new()),
            };
        };
        let contained = |code: &str, display: Option<&str>| {
            let concept = self.loaded.as_ref().and_then(|system| system.concept(code));
            Contained {
                system: system.clone(),
                version: self.version.clone(),
                code: code.into(),
                display: display.map(Into::into),
                is_abstract: concept.is_some_and(|concept| concept.is_abstract),
                is_inactive: concept.is_some_and(|concept| concept.is_inactive),
            }
        };
        match &self.codes {
            Codes::Listed { items, .. } => Ok(items
                .iter()
                .map(|item| contained(&item.code, self.display(item)))
                .collect()),
            Codes::ByRule(_) => Err(ExpandError::NotEnumerable(system.clone())),
            Codes::Unknown(reason) => Err(reason.clone().into()),
            Codes::All | Codes::Filtered(_) => match &self.loaded {
                None => Err(Reason::SystemNotLoaded(system.clone()).into()),
                Some(loaded) if !loaded.is_complete() => {
                    Err(Reason::SystemIncomplete(system.clone()).into())
                }
                Some(_) => Ok(self
                    .taken()
                    .map(|concept| contained(&concept.code, concept.display.as_deref()))
                    .collect()),
            },
        }
    }
}

impl Contained {
    fn has_words(&self, words: &[String]) -> bool {
        let text = format!(
            "{} {}",
            self.code,
            self.display.as_deref().unwrap_or_default()
        );
        let text = text.to_lowercase();
        words.iter().all(|word| text.contains(word.as_str()))
    }
}

/// An expansion that came with the value set.
#[derive(Debug)]
pub(super) struct Stored {
    items: Vec<Contained>,
    /// Code -> the items with that code, one for each system.
    index: HashMap<Box<str>, Vec<u32>>,
    is_complete: bool,
}

impl Stored {
    pub(super) fn read(expansion: &Value) -> Self {
        let mut items = Vec::new();
        collect(expansion.items_of("contains"), &mut items);
        let mut index: HashMap<Box<str>, Vec<u32>> = HashMap::new();
        for (number, item) in (0u32..).zip(&items) {
            index.entry(item.code.clone()).or_default().push(number);
        }
        let total = expansion.get("total").and_then(Value::as_u64);
        let is_page = expansion
            .get("offset")
            .and_then(Value::as_u64)
            .is_some_and(|offset| offset > 0);
        let is_whole =
            total.is_none_or(|total| u64::try_from(items.len()).is_ok_and(|count| count >= total));
        Self {
            items,
            index,
            is_complete: is_whole && !is_page && !is_marked_partial(expansion),
        }
    }

    pub(super) fn contains(&self, question: &Question<'_>) -> Membership<'_> {
        let found = self
            .index
            .get(question.code)
            .into_iter()
            .flatten()
            .filter_map(|number| self.items.get(usize::try_from(*number).ok()?))
            .find(|item| question.system.is_none_or(|system| *system == *item.system));
        match found {
            Some(item) => Membership::In {
                display: item.display.as_deref(),
            },
            None if self.is_complete => Membership::NotIn,
            None => Membership::Unknown(Reason::ExpansionIncomplete),
        }
    }

    fn codes(&self) -> Vec<Contained> {
        self.items.clone()
    }
}

/// Takes what can be chosen: headings have no code or are abstract.
fn collect(contains: &[Value], items: &mut Vec<Contained>) {
    for facts in contains {
        let flag = |name: &str| facts.get(name).and_then(Value::as_bool) == Some(true);
        if let Some(code) = facts.str_of("code")
            && !flag("abstract")
        {
            items.push(Contained {
                system: facts.str_of("system").unwrap_or_default().into(),
                version: facts.str_of("version").map(Into::into),
                code: code.into(),
                display: facts.str_of("display").map(Into::into),
                is_abstract: false,
                is_inactive: flag("inactive"),
            });
        }
        collect(facts.items_of("contains"), items);
    }
}

/// Servers mark an expansion that leaves codes out with an extension or a parameter.
fn is_marked_partial(expansion: &Value) -> bool {
    let has_extension = expansion.items_of("extension").iter().any(|extension| {
        extension.str_of("url").is_some_and(|url| {
            url.ends_with("/valueset-toocostly") || url.ends_with("/valueset-unclosed")
        })
    });
    let is_limited = expansion.items_of("parameter").iter().any(|parameter| {
        matches!(parameter.str_of("name"), Some("limitedExpansion"))
            && parameter.get("valueBoolean").and_then(Value::as_bool) != Some(false)
    });
    has_extension || is_limited
}
