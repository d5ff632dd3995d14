//! A value set: codes taken from code systems, ready to be asked. <https://hl7.org/fhir/R4/valueset.html>

use std::sync::Arc;

use super::expansion::Stored;
use super::membership::{Membership, Reason};
use super::selection::Selection;
use crate::definitions::Definitions;
use crate::json::Value;

/// How many levels of value sets may import each other.
pub const IMPORT_DEPTH_MAX: usize = 32;
/// How many includes one question may visit: imports of imports could otherwise multiply.
pub(super) const STEPS_MAX: u32 = 10_000;

/// A value set that an include refers to, or why it cannot be had.
pub(super) type Import = Result<Arc<ValueSet>, Reason>;

#[derive(Debug)]
pub struct ValueSet {
    pub url: Box<str>,
    pub version: Box<str>,
    pub name: Box<str>,
    pub title: Box<str>,
    /// Whether retired codes count (`compose.inactive`).
    pub(super) takes_inactive: bool,
    pub(super) has_compose: bool,
    pub(super) includes: Vec<Selection>,
    pub(super) excludes: Vec<Selection>,
    /// An expansion that came with the resource.
    pub(super) stored: Option<Stored>,
    /// How many levels of imports stand below.
    depth: usize,
}

/// What is asked, and how far the asking may go.
#[derive(Debug)]
pub(super) struct Question<'q> {
    pub(super) system: Option<&'q str>,
    pub(super) version: Option<&'q str>,
    pub(super) code: &'q str,
    steps_left: u32,
}

impl<'q> Question<'q> {
    pub(super) fn new(system: Option<&'q str>, version: Option<&'q str>, code: &'q str) -> Self {
        Self {
            system,
            version,
            code,
            steps_left: STEPS_MAX,
        }
    }

    pub(super) fn steps_taken(&self) -> u32 {
        STEPS_MAX.saturating_sub(self.steps_left)
    }

    /// Takes a step; false when there are none left.
    pub(super) fn step(&mut self) -> bool {
        let left = self.steps_left.checked_sub(1);
        self.steps_left = left.unwrap_or(0);
        left.is_some()
    }
}

impl ValueSet {
    /// `building`: the canonicals of the value sets that are being built because they import this one.
    pub(crate) fn build(
        definitions: &Definitions,
        resource: &Value,
        building: &mut Vec<Box<str>>,
    ) -> Self {
        let text = |name: &str| Box::<str>::from(resource.str_of(name).unwrap_or_default());
        let compose = resource.get("compose");
        building.push(identity(resource));
        let mut depth = 0;
        let mut selections = |name: &str| -> Vec<Selection> {
            compose
                .map(|compose| compose.items_of(name))
                .unwrap_or_default()
                .iter()
                .map(|facts| {
                    let imports = imports(definitions, facts, building);
                    for value_set in imports.iter().flatten() {
                        depth = depth.max(value_set.depth + 1);
                    }
                    Selection::read(definitions, facts, imports)
                })
                .collect()
        };
        let (includes, excludes) = (selections("include"), selections("exclude"));
        building.pop();
        Self {
            url: text("url"),
            version: text("version"),
            name: text("name"),
            title: text("title"),
            takes_inactive: compose
                .and_then(|compose| compose.get("inactive"))
                .and_then(Value::as_bool)
                != Some(false),
            has_compose: compose.is_some(),
            includes,
            excludes,
            stored: resource.get("expansion").map(Stored::read),
            depth,
        }
    }

    /// Whether a code is in the value set. Without a system (an element of type `code`) any system may have it; a
    /// version counts where the value set pins one.
    pub fn contains(
        &self,
        system: Option<&str>,
        code: &str,
        version: Option<&str>,
    ) -> Membership<'_> {
        self.answer(&mut Question::new(system, version, code))
    }

    pub(super) fn answer(&self, question: &mut Question<'_>) -> Membership<'_> {
        let composed = self.composed(question);
        let Membership::Unknown(reason) = composed else {
            return composed;
        };
        match &self.stored {
            Some(stored) => stored.contains(question),
            None => Membership::Unknown(reason),
        }
    }

    fn composed(&self, question: &mut Question<'_>) -> Membership<'_> {
        if !self.has_compose {
            return Membership::Unknown(Reason::NoContent);
        }
        let included = any(&self.includes, question);
        if included == Membership::NotIn {
            return included;
        }
        match any(&self.excludes, question) {
            Membership::In { .. } => Membership::NotIn,
            Membership::Unknown(reason) => Membership::Unknown(reason),
            Membership::NotIn if self.is_dropped(question) => Membership::NotIn,
            Membership::NotIn => included,
        }
    }

    /// Whether the code is retired and the value set takes no retired codes.
    fn is_dropped(&self, question: &Question<'_>) -> bool {
        !self.takes_inactive
            && self
                .includes
                .iter()
                .filter(|include| {
                    question.system.is_none() || question.system == include.system.as_deref()
                })
                .filter_map(|include| include.loaded.as_ref()?.concept(question.code))
                .any(|concept| concept.is_inactive)
    }
}

/// In one of them; unknown when none says yes and one cannot tell.
fn any<'a>(selections: &'a [Selection], question: &mut Question<'_>) -> Membership<'a> {
    let mut answer = Membership::NotIn;
    for selection in selections {
        match selection.contains(question) {
            found @ Membership::In { .. } => return found,
            unknown @ Membership::Unknown(_) => answer = unknown,
            Membership::NotIn => {}
        }
    }
    answer
}

fn identity(resource: &Value) -> Box<str> {
    let text = |name: &str| resource.str_of(name).unwrap_or_default();
    format!("{}|{}", text("url"), text("version")).into()
}

fn imports(definitions: &Definitions, facts: &Value, building: &mut Vec<Box<str>>) -> Vec<Import> {
    facts
        .items_of("valueSet")
        .iter()
        .filter_map(Value::as_str)
        .map(|canonical| import(definitions, canonical, building))
        .collect()
}

fn import(definitions: &Definitions, canonical: &str, building: &mut Vec<Box<str>>) -> Import {
    let not_loaded = || Reason::ValueSetNotLoaded(canonical.into());
    let resource = definitions
        .artifact_of_type("ValueSet", canonical)
        .ok_or_else(not_loaded)?;
    if building.contains(&identity(&resource)) {
        return Err(Reason::ImportCycle(canonical.into()));
    }
    if building.len() >= IMPORT_DEPTH_MAX {
        return Err(Reason::ImportsTooDeep);
    }
    let value_set = definitions
        .value_set_within(canonical, building)
        .ok_or_else(not_loaded)?;
    if value_set.depth + 1 >= IMPORT_DEPTH_MAX {
        return Err(Reason::ImportsTooDeep);
    }
    Ok(value_set)
}
