//! `_contained` and `_containedType`: searches for what is contained in other resources.
//! <https://hl7.org/fhir/R4/search.html#contained>

use fhir_spec::outcome::{Issue, IssueCode};

use super::sort::SortBy;
use super::{Criterion, Handling, Query, Reader, Settings, checked_count, shown};
use crate::contained;
use crate::registry::Registry;

/// Whether what is contained is found.
pub const WHICH: &str = "_contained";
/// What is answered of it.
pub const ANSWERED: &str = "_containedType";

/// What is searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Which {
    /// Resources that are stored.
    #[default]
    Stored,
    Contained,
    Both,
}

/// How contained resources are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Answered {
    /// By what contains them.
    #[default]
    Container,
    Contained,
}

/// What parameters say of it, and all others.
pub type Taken = (Which, Answered, Vec<(String, String)>);

/// Takes what parameters say of it.
pub fn take_contained(parameters: &[(String, String)]) -> Result<Taken, Vec<Issue>> {
    let (mut which, mut answered, mut wrong) = (Which::Stored, Answered::Container, Vec::new());
    let mut others = Vec::with_capacity(parameters.len());
    for (name, value) in parameters {
        match (name.as_str(), value.as_str()) {
            (WHICH, "false") => which = Which::Stored,
            (WHICH, "true") => which = Which::Contained,
            (WHICH, "both") => which = Which::Both,
            (WHICH, _) => wrong.push(told(name, "is `false`, `true` or `both`")),
            (ANSWERED, "container") => answered = Answered::Container,
            (ANSWERED, "contained") => answered = Answered::Contained,
            (ANSWERED, _) => wrong.push(told(name, "is `container` or `contained`")),
            _ => others.push((name.clone(), value.clone())),
        }
    }
    match wrong.is_empty() {
        true => Ok((which, answered, others)),
        false => Err(wrong),
    }
}

fn told(name: &str, text: &str) -> Issue {
    let text = format!("`{}`: {text}", shown(name));
    Issue::error(IssueCode::NotSupported, text)
}

/// Reads the parameters of a search for resources of a type that are contained in others. What it finds are numbers of
/// contained resources ([`contained::container`]).
pub fn parse_contained(
    registry: &Registry,
    resource_type: &str,
    parameters: &[(String, String)],
    answered: Answered,
    settings: Settings,
) -> Result<Query, Vec<Issue>> {
    let known = registry.given(resource_type).ok_or_else(|| {
        let text = format!("`{resource_type}` is no resource type");
        vec![Issue::error(IssueCode::NotSupported, text)]
    })?;
    checked_count(parameters)?;
    let reader = Reader::of(registry, known, settings, registry.definitions());
    let mut query = Query::of(&known.name);
    let mut wrong = reader.read(parameters, Handling::Strict, &mut query);
    let mut criteria = Vec::with_capacity(query.criteria.len() + 1);
    for Criterion { name, condition } in std::mem::take(&mut query.criteria) {
        match contained::asked(condition, &known.name) {
            Ok(condition) => criteria.push(Criterion { name, condition }),
            Err(text) => wrong.push(told(&name, text)),
        }
    }
    criteria.push(Criterion {
        name: WHICH.into(),
        condition: contained::any(&known.name),
    });
    query.criteria = criteria;
    wrong.extend(reordered(&mut query, answered));
    if !query.includes.is_empty() {
        let text = "nothing comes along with what is contained (_contained)";
        wrong.push(told("_include", text));
    }
    wrong.extend(registry.unready_contained(WHICH));
    wrong.extend(registry.unready_in(&query));
    wrong.extend(query.too_much());
    match wrong.is_empty() {
        true => Ok(query),
        false => Err(wrong),
    }
}

/// Sorts by the values of what is contained.
fn reordered(query: &mut Query, answered: Answered) -> Option<Issue> {
    if query.sort.is_empty() {
        return None;
    }
    if answered == Answered::Container {
        let text =
            "containers stand in no order by what they contain; `_containedType=contained` does";
        return Some(told("_sort", text));
    }
    for key in &mut query.sort {
        let SortBy::Rows(rows) = &mut key.by else {
            let text = format!("what is contained is not sorted by `{}`", key.code);
            return Some(told("_sort", &text));
        };
        for path in &mut rows.paths {
            *path = contained::path(*path);
        }
    }
    None
}
