//! One `include` or `exclude` of a value set: a system with the codes taken from it, and value sets it must also be in.
//! <https://hl7.org/fhir/R4/valueset-definitions.html#ValueSet.compose.include>

use std::collections::HashMap;
use std::sync::Arc;

use super::code_system::{CodeSystem, Concept, Content};
use super::filter::Filter;
use super::membership::{Membership, Reason};
use super::rules::RuleSystem;
use super::value_set::{Import, Question};
use crate::definitions::Definitions;
use crate::json::Value;

#[derive(Debug)]
pub(super) struct Selection {
    pub(super) system: Option<Box<str>>,
    pub(super) version: Option<Box<str>>,
    /// The system, when it is loaded and holds concepts.
    pub(super) loaded: Option<Arc<CodeSystem>>,
    pub(super) codes: Codes,
    /// A code must be in all of them.
    pub(super) imports: Vec<Import>,
}

/// Which codes of the system are taken.
#[derive(Debug)]
pub(super) enum Codes {
    All,
    Listed {
        items: Vec<Listed>,
        index: HashMap<Box<str>, u32>,
    },
    /// By filter: for each concept of the loaded system whether it is taken.
    Filtered(Vec<bool>),
    ByRule(RuleSystem),
    Unknown(Reason),
}

#[derive(Debug)]
pub(super) struct Listed {
    pub(super) code: Box<str>,
    pub(super) display: Option<Box<str>>,
}

impl Selection {
    pub(super) fn read(definitions: &Definitions, facts: &Value, imports: Vec<Import>) -> Self {
        let system = facts.str_of("system").map(Box::<str>::from);
        let version = facts.str_of("version").map(Box::<str>::from);
        let loaded = system.as_deref().and_then(|url| {
            let canonical = match &version {
                Some(version) => format!("{url}|{version}"),
                None => url.to_owned(),
            };
            let found = definitions.code_system(&canonical)?;
            let has_concepts = !matches!(found.content, Content::NotPresent | Content::Supplement);
            has_concepts.then_some(found)
        });
        let codes = match &system {
            Some(url) => Codes::read(facts, url, loaded.as_deref()),
            None => Codes::All,
        };
        Self {
            system,
            version,
            loaded,
            codes,
            imports,
        }
    }

    pub(super) fn contains<'a>(&'a self, question: &mut Question<'_>) -> Membership<'a> {
        if !question.step() {
            return Membership::Unknown(Reason::TooCostly);
        }
        let mut answer = match &self.system {
            Some(system) => self.in_system(system, question),
            None if self.imports.is_empty() => Membership::NotIn,
            None => Membership::In { display: None },
        };
        for import in &self.imports {
            if answer == Membership::NotIn {
                break;
            }
            let imported = match import {
                Ok(value_set) => value_set.answer(question),
                Err(reason) => Membership::Unknown(reason.clone()),
            };
            answer = both(answer, imported);
        }
        answer
    }

    fn in_system<'a>(&'a self, system: &str, question: &Question<'_>) -> Membership<'a> {
        // What both name must be the same; what one leaves open does not matter.
        let is_other = |mine: Option<&str>, theirs: Option<&str>| {
            mine.zip(theirs)
                .is_some_and(|(mine, theirs)| mine != theirs)
        };
        if is_other(Some(system), question.system)
            || is_other(self.version.as_deref(), question.version)
        {
            return Membership::NotIn;
        }
        let code = question.code;
        match &self.codes {
            Codes::Listed { index, .. } => match self.listed(index, code) {
                Some(listed) => Membership::In {
                    display: self.display(listed),
                },
                None => Membership::NotIn,
            },
            Codes::ByRule(rule) => match rule.has(code) {
                Some(true) => Membership::In { display: None },
                Some(false) => Membership::NotIn,
                None => Membership::Unknown(Reason::SystemIncomplete(system.into())),
            },
            Codes::All => self.loaded_concept(system, code, |_| true),
            Codes::Filtered(selected) => {
                self.loaded_concept(system, code, |number| is_set(selected, number))
            }
            Codes::Unknown(reason) => match self.loaded_concept(system, code, |_| true) {
                Membership::NotIn => Membership::NotIn,
                _ => Membership::Unknown(reason.clone()),
            },
        }
    }

    fn listed(&self, index: &HashMap<Box<str>, u32>, code: &str) -> Option<&Listed> {
        let number = match &self.loaded {
            Some(system) => index.get(&*system.key(code)),
            None => index.get(code),
        };
        let Codes::Listed { items, .. } = &self.codes else {
            return None;
        };
        items.get(usize::try_from(*number?).ok()?)
    }

    /// What the value set calls a code, else what its system calls it.
    pub(super) fn display<'a>(&'a self, listed: &'a Listed) -> Option<&'a str> {
        listed.display.as_deref().or_else(|| {
            let concept = self.loaded.as_ref()?.concept(&listed.code)?;
            concept.display.as_deref()
        })
    }

    fn loaded_concept(
        &self,
        system: &str,
        code: &str,
        is_taken: impl Fn(u32) -> bool,
    ) -> Membership<'_> {
        let Some(loaded) = &self.loaded else {
            return Membership::Unknown(Reason::SystemNotLoaded(system.into()));
        };
        match loaded.number(code) {
            Some(number) if is_taken(number) => Membership::In {
                display: loaded
                    .at(number)
                    .and_then(|concept| concept.display.as_deref()),
            },
            None if !loaded.is_complete() => {
                Membership::Unknown(Reason::SystemIncomplete(system.into()))
            }
            _ => Membership::NotIn,
        }
    }

    /// The loaded concepts taken, in order.
    pub(super) fn taken(&self) -> impl Iterator<Item = &Concept> {
        let concepts = self.loaded.iter().flat_map(|system| system.concepts());
        (0u32..)
            .zip(concepts)
            .filter(|(number, _)| match &self.codes {
                Codes::Filtered(selected) => is_set(selected, *number),
                _ => true,
            })
            .map(|(_, concept)| concept)
    }
}

impl Codes {
    fn read(facts: &Value, url: &str, loaded: Option<&CodeSystem>) -> Self {
        let concepts = facts.items_of("concept");
        if !concepts.is_empty() {
            return Self::listed(concepts, loaded);
        }
        let filters = facts.items_of("filter");
        if filters.is_empty() {
            return RuleSystem::of(url).map_or(Self::All, Self::ByRule);
        }
        let mut taken: Option<Vec<bool>> = None;
        for filter in filters.iter().map(Filter::read) {
            let Some(system) = loaded else {
                return Self::by_rule(url, filters)
                    .unwrap_or_else(|| Self::Unknown(filter.unknown(url)));
            };
            let selected = match filter.select(system) {
                Ok(selected) => selected,
                Err(reason) => return Self::Unknown(reason),
            };
            taken = Some(match taken {
                None => selected,
                Some(taken) => taken.iter().zip(selected).map(|(a, b)| *a && b).collect(),
            });
        }
        taken.map_or(Self::All, Self::Filtered)
    }

    fn by_rule(url: &str, filters: &[Value]) -> Option<Self> {
        let rule = RuleSystem::of(url)?;
        filters
            .iter()
            .try_fold(rule, |rule, filter| rule.filtered(&Filter::read(filter)))
            .map(Self::ByRule)
    }

    fn listed(concepts: &[Value], loaded: Option<&CodeSystem>) -> Self {
        let items: Vec<Listed> = concepts
            .iter()
            .filter_map(|concept| {
                Some(Listed {
                    code: concept.str_of("code")?.into(),
                    display: concept.str_of("display").map(Into::into),
                })
            })
            .collect();
        let index = (0u32..)
            .zip(&items)
            .map(|(number, item)| {
                let key = match loaded {
                    Some(system) => system.key(&item.code).into(),
                    None => item.code.clone(),
                };
                (key, number)
            })
            .collect();
        Self::Listed { items, index }
    }
}

fn is_set(selected: &[bool], number: u32) -> bool {
    usize::try_from(number)
        .ok()
        .and_then(|index| selected.get(index))
        .is_some_and(|selected| *selected)
}

/// In both; the first display known stays.
fn both<'a>(a: Membership<'a>, b: Membership<'a>) -> Membership<'a> {
    match (a, b) {
        (Membership::NotIn, _) | (_, Membership::NotIn) => Membership::NotIn,
        (Membership::Unknown(reason), _) | (_, Membership::Unknown(reason)) => {
            Membership::Unknown(reason)
        }
        (Membership::In { display }, Membership::In { display: other }) => Membership::In {
            display: display.or(other),
        },
    }
}
