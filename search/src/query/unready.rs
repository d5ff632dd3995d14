//! Whether a search asks for what the index does not have yet of all resources.
//!
//! The finished query is looked at, not the parameters: chains, `_has`, sorting and includes all end in paths.

use fhir_spec::outcome::{Issue, IssueCode};

use super::{Direction, Query, SortBy, shown};
use crate::condition::Condition;
use crate::registry::Registry;
use crate::text::Place;
use crate::types::SearchType;

impl Registry {
    /// The issue that says what to wait for; none when all that a query asks for is there.
    pub fn unready_in(&self, query: &Query) -> Option<Issue> {
        if self.unready().is_empty() {
            return None;
        }
        for criterion in &query.criteria {
            if let Some(path) = self.unready_path(&criterion.condition) {
                return self.told(&criterion.name, path);
            }
        }
        for key in &query.sort {
            if let SortBy::Rows(rows) = &key.by
                && let Some(path) = rows.paths.iter().find(|path| self.is_unready(**path))
            {
                return self.told(&format!("_sort={}", key.code), *path);
            }
        }
        query.includes.iter().find_map(|include| {
            let paths: Vec<i32> = match (&include.sources, &include.source_type) {
                (Some(sources), _) => sources.iter().map(|source| source.path).collect(),
                (None, Some(name)) => self.references(name),
                (None, None) if include.direction == Direction::To => {
                    self.references(&query.resource_type)
                }
                // Whatever refers to the hits.
                (None, None) => {
                    let types = self.unready().keys();
                    types.flat_map(|name| self.references(name)).collect()
                }
            };
            let path = paths.into_iter().find(|path| self.is_unready(*path))?;
            self.told("_include", path)
        })
    }

    /// The same for whatever is contained: it may be in resources of any type.
    pub(super) fn unready_contained(&self, name: &str) -> Option<Issue> {
        let mut types = self.unready().keys().filter_map(|name| self.of(name));
        let path =
            types.find_map(|known| known.contained().filter(|path| self.is_unready(*path)))?;
        self.told(name, path)
    }

    /// The same of a condition that comes from nowhere else.
    pub fn unready_condition(&self, name: &str, condition: &Condition) -> Option<Issue> {
        let path = self.unready_path(condition)?;
        self.told(name, path)
    }

    fn told(&self, name: &str, path: i32) -> Option<Issue> {
        let (resource_type, remake) = self.remake_of(path)?;
        let (name, percent) = (shown(name), remake.percent());
        let text = format!(
            "`{name}`: the index of {resource_type} is being made ready for this, {percent} % is done; ask again later"
        );
        Some(Issue::error(IssueCode::Incomplete, text))
    }

    fn is_unready(&self, path: i32) -> bool {
        self.remake_of(path).is_some()
    }

    fn unready_path(&self, condition: &Condition) -> Option<i32> {
        let any = |conditions: &[Condition]| conditions.iter().find_map(|c| self.unready_path(c));
        let one = |paths: &[i32]| paths.iter().copied().find(|path| self.is_unready(*path));
        match condition {
            Condition::Rows(probes) => {
                let mut paths = probes.iter().map(|probe| probe.path);
                paths.find(|path| self.is_unready(*path))
            }
            Condition::All(all) | Condition::Any(all) => any(all),
            Condition::Not(inner) => self.unready_path(inner),
            Condition::Refers(link) | Condition::IsReferred(link) => {
                one(&link.paths).or_else(|| self.unready_path(&link.condition))
            }
            Condition::Text(sought) => match &sought.place {
                Place::Beside(paths) => one(paths),
                Place::Narrative | Place::Content => None,
            },
            Condition::Id(_) | Condition::Among(_) | Condition::Updated(_) | Condition::Never => {
                None
            }
        }
    }

    fn references(&self, resource_type: &str) -> Vec<i32> {
        let parameters = self.of(resource_type).map(|known| known.parameters());
        let references = parameters.unwrap_or_default().iter();
        references
            .filter(|parameter| parameter.kind == SearchType::Reference)
            .flat_map(|parameter| parameter.sources.iter().map(|source| source.path))
            .collect()
    }
}
