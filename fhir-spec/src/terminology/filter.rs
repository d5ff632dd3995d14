//! Filters of a value set: concepts selected by hierarchy and properties.
//! <https://hl7.org/fhir/R4/valueset-filter-operator.html>

use regex::RegexBuilder;

use super::code_system::{CodeSystem, Concept};
use super::membership::Reason;
use crate::json::Value;

/// What a compiled regular expression of a filter may take.
const REGEX_BYTES_MAX: usize = 1 << 20;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Filter {
    property: Box<str>,
    operator: Box<str>,
    value: Box<str>,
}

impl Filter {
    pub(super) fn read(facts: &Value) -> Self {
        let text = |name: &str| Box::<str>::from(facts.str_of(name).unwrap_or_default());
        Self {
            property: text("property"),
            operator: text("op"),
            value: text("value"),
        }
    }

    /// The value that a property must have, when that is what this filter says.
    pub(super) fn equals(&self, property: &str) -> Option<&str> {
        (&*self.operator == "=" && *self.property == *property).then_some(&*self.value)
    }

    /// For each concept of the system whether the filter selects it.
    pub(super) fn select(&self, system: &CodeSystem) -> Result<Vec<bool>, Reason> {
        match &*self.operator {
            "is-a" => self.below(system, true),
            "descendent-of" => self.below(system, false),
            "is-not-a" => self.below(system, true).map(complement),
            "generalizes" => self.above(system),
            "=" => Ok(self.each(system, |value| value == &*self.value)),
            "in" => Ok(self.each(system, |value| self.lists(value))),
            "not-in" => Ok(complement(self.each(system, |value| self.lists(value)))),
            "exists" => {
                let wanted = &*self.value == "true";
                let has = self.each(system, |_| true);
                Ok(has.into_iter().map(|has| has == wanted).collect())
            }
            "regex" => {
                let whole = format!("^(?:{})$", self.value);
                let regex = RegexBuilder::new(&whole)
                    .size_limit(REGEX_BYTES_MAX)
                    .build()
                    .map_err(|_| self.unknown(&system.url))?;
                Ok(self.each(system, |value| regex.is_match(value)))
            }
            _ => Err(self.unknown(&system.url)),
        }
    }

    /// Why this filter cannot be decided over a system.
    pub(super) fn unknown(&self, system: &str) -> Reason {
        Reason::Filter {
            system: system.into(),
            property: self.property.clone(),
            operator: self.operator.clone(),
            value: self.value.clone(),
        }
    }

    fn lists(&self, value: &str) -> bool {
        self.value.split(',').any(|item| item.trim() == value)
    }

    /// The concepts with a value of the property that the test likes.
    fn each(&self, system: &CodeSystem, test: impl Fn(&str) -> bool) -> Vec<bool> {
        system
            .concepts()
            .iter()
            .map(|concept| self.values(system, concept).any(&test))
            .collect()
    }

    /// The values a concept has for the property; code, display and parent are properties of every concept.
    fn values<'a>(
        &'a self,
        system: &'a CodeSystem,
        concept: &'a Concept,
    ) -> impl Iterator<Item = &'a str> {
        let own = match &*self.property {
            "code" | "concept" => Some(&*concept.code),
            "display" => concept.display.as_deref(),
            _ => None,
        };
        let is_parent = &*self.property == "parent";
        let parents = concept
            .parents
            .iter()
            .filter(move |_| is_parent)
            .filter_map(|parent| Some(&*system.at(*parent)?.code));
        // Where `parent` is a property too, its values are among the parents already.
        let properties = concept
            .properties
            .iter()
            .filter(move |property| property.code == self.property && !is_parent)
            .map(|property| property.as_text());
        own.into_iter().chain(parents).chain(properties)
    }

    fn start(&self, system: &CodeSystem) -> Result<Option<u32>, Reason> {
        match system.number(&self.value) {
            Some(number) => Ok(Some(number)),
            None if system.is_complete() => Ok(None),
            None => Err(Reason::SystemIncomplete(system.url.clone())),
        }
    }

    fn below(&self, system: &CodeSystem, with_itself: bool) -> Result<Vec<bool>, Reason> {
        let mut selected = vec![false; system.concepts().len()];
        let Some(start) = self.start(system)? else {
            return Ok(selected);
        };
        let mut children: Vec<Vec<u32>> = vec![Vec::new(); system.concepts().len()];
        for (number, concept) in (0u32..).zip(system.concepts()) {
            for parent in &concept.parents {
                if let Some(list) = at_mut(&mut children, *parent) {
                    list.push(number);
                }
            }
        }
        let mut waiting = vec![start];
        while let Some(number) = waiting.pop() {
            for child in at_mut(&mut children, number)
                .map(std::mem::take)
                .unwrap_or_default()
            {
                if let Some(flag) = at_mut(&mut selected, child) {
                    *flag = true;
                }
                waiting.push(child);
            }
        }
        if let Some(flag) = at_mut(&mut selected, start) {
            *flag = with_itself;
        }
        Ok(selected)
    }

    fn above(&self, system: &CodeSystem) -> Result<Vec<bool>, Reason> {
        let mut selected = vec![false; system.concepts().len()];
        if let Some(start) = self.start(system)? {
            for number in system.ancestors(start) {
                if let Some(flag) = at_mut(&mut selected, number) {
                    *flag = true;
                }
            }
        }
        Ok(selected)
    }
}

fn complement(selected: Vec<bool>) -> Vec<bool> {
    selected.into_iter().map(|selected| !selected).collect()
}

fn at_mut<T>(items: &mut [T], number: u32) -> Option<&mut T> {
    items.get_mut(usize::try_from(number).ok()?)
}
