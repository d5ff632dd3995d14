//! Parameters that users post as SearchParameter resources. <https://hl7.org/fhir/R4/searchparameter.html>
//!
//! Those that are active take effect. One with the url of a parameter of the definitions takes its place; any other one
//! needs a code of its own, unless it says what is said already or derives from it, as those of implementation guides do.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use fhir_spec::definitions::{Definitions, SearchParameter};
use fhir_spec::json::Value;
use fhir_spec::outcome::{Issue, IssueCode};

use super::{Registry, ResourceType};
use crate::query::RESERVED;
use crate::types::SearchType;

/// What this server has beside the definitions, and the types on which that bears.
#[derive(Debug, Default)]
pub(super) struct Own {
    pub(super) parameters: Vec<OwnParameter>,
    pub(super) types: HashMap<Box<str>, OnceLock<ResourceType>>,
}

/// A parameter that somebody has posted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnParameter {
    /// Of the resource.
    pub id: Box<str>,
    pub definition: SearchParameter,
}

impl OwnParameter {
    /// None: the resource has no effect on searches.
    pub fn of(id: &str, resource: &Value) -> Option<Self> {
        let is_active = resource.str_of("status") == Some("active");
        Some(Self {
            id: id.into(),
            definition: SearchParameter::from_resource(resource).filter(|_| is_active)?,
        })
    }
}

impl Registry {
    /// What users have posted, in the order in which it counts.
    pub fn own(&self) -> &[OwnParameter] {
        &self.own.parameters
    }

    /// The same definitions with these parameters over them.
    #[must_use]
    pub fn with_own(&self, parameters: Vec<OwnParameter>) -> Self {
        let definitions = &self.known.definitions;
        let types = concerned(definitions, &parameters);
        Self {
            known: Arc::clone(&self.known),
            own: Arc::new(Own {
                types: types.map(|name| (name.into(), OnceLock::new())).collect(),
                parameters,
            }),
            unready: Arc::default(),
            generation: self.generation,
        }
    }

    /// What keeps parameters that were posted from being served: the id of the resource, and why.
    pub fn own_problems(&self) -> Vec<(&str, String)> {
        let mut problems = Vec::new();
        for name in self.own.types.keys() {
            let all = self.of(name).map(|known| known.problems.iter());
            for problem in all.into_iter().flatten() {
                let of_url = |own: &&OwnParameter| own.definition.url == problem.url;
                for own in self.own.parameters.iter().filter(of_url) {
                    if own.definition.code == problem.code && own.names(name) {
                        problems.push((&*own.id, problem.told.clone()));
                    }
                }
            }
        }
        problems.sort_unstable();
        problems.dedup();
        problems
    }

    /// What is wrong with a resource as a search parameter of this server, beyond what validation says.
    pub fn check(&self, id: &str, resource: &Value) -> Vec<Issue> {
        let Some(new) = OwnParameter::of(id, resource) else {
            return Vec::new();
        };
        let mut issues = wrong_by_itself(&new.definition);
        if !issues.is_empty() {
            return issues;
        }
        let mut all: Vec<OwnParameter> = self.own.parameters.clone();
        all.retain(|own| *own.id != *id);
        all.push(new);
        let candidate = self.with_own(all);
        for (own, told) in candidate.own_problems() {
            if own == id {
                let is_taken = told.contains(" already");
                let (code, element) = match is_taken {
                    true => (IssueCode::Duplicate, "code"),
                    false => (IssueCode::NotSupported, "expression"),
                };
                let issue = Issue::error(code, told);
                issues.push(issue.at(format!("SearchParameter.{element}")));
            }
        }
        issues
    }
}

impl OwnParameter {
    /// Whether it is meant for that type, and not only for all that there are.
    fn names(&self, resource_type: &str) -> bool {
        let base = &self.definition.base;
        base.iter().any(|base| **base == *resource_type) || base.iter().all(|base| is_any(base))
    }
}

fn is_any(base: &str) -> bool {
    matches!(base, "Resource" | "DomainResource")
}

/// The types that parameters bear on: their own, and those of what they take the place of.
fn concerned<'d>(
    definitions: &'d Definitions,
    parameters: &[OwnParameter],
) -> impl Iterator<Item = &'d str> {
    let own = parameters.iter().map(|own| own.definition.clone());
    let replaced = definitions.search_parameters().iter().filter(|given| {
        let mut own = parameters.iter();
        own.any(|own| own.definition.url == given.url)
    });
    let all: Vec<SearchParameter> = own.chain(replaced.cloned()).collect();
    let names = definitions.resource_types();
    names.filter(move |name| all.iter().any(|one| definitions.is_for(one, name)))
}

/// What needs no look at other parameters.
fn wrong_by_itself(definition: &SearchParameter) -> Vec<Issue> {
    let mut issues = Vec::new();
    let mut wrong = |code, element: &str, told: String| {
        issues.push(Issue::error(code, told).at(format!("SearchParameter.{element}")));
    };
    let code = &*definition.code;
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if !code.chars().all(is_name) {
        let told = "a code that can be asked for has letters, digits, `-` and `_`";
        wrong(IssueCode::Value, "code", told.into());
    }
    if RESERVED.contains(&code) {
        let told = format!("`{code}` means something else in every search");
        wrong(IssueCode::Value, "code", told);
    }
    if definition.base.is_empty() {
        wrong(
            IssueCode::Required,
            "base",
            "a resource type is missing".into(),
        );
    }
    let is_composite = SearchType::from_code(&definition.kind) == Some(SearchType::Composite);
    if is_composite && definition.component.is_empty() {
        let told = "a composite has components".into();
        wrong(IssueCode::Required, "component", told);
    }
    if definition.expression.is_empty() {
        let told = "without an expression nothing can be found".into();
        wrong(IssueCode::Required, "expression", told);
    }
    issues
}

#[cfg(test)]
mod tests;
