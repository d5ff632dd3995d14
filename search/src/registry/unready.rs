//! Paths whose rows are still being made for resources that are there already: what asks for them must wait.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::{Parameter, Registry, ResourceType, Tuple};

/// What is being made, by resource type.
pub type Unready = HashMap<Box<str>, Remake>;

/// Rows in the making.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Remake {
    pub paths: BTreeSet<i32>,
    /// Resources that are done, of so many.
    pub done: u64,
    pub total: u64,
}

impl Remake {
    /// 100 only when there is nothing left to do, which is when it is no longer here.
    pub fn percent(&self) -> u64 {
        (self.done.saturating_mul(100) / self.total.max(1)).min(99)
    }
}

impl Registry {
    /// The same, of which this is not ready.
    #[must_use]
    pub fn with_unready(&self, unready: Unready) -> Self {
        Self {
            unready: Arc::new(unready),
            ..self.clone()
        }
    }

    pub fn unready(&self) -> &Unready {
        &self.unready
    }

    /// The type for whose resources a path is still being made, and how far that is.
    pub(crate) fn remake_of(&self, path: i32) -> Option<(&str, &Remake)> {
        let mut all = self.unready.iter();
        let (name, remake) = all.find(|(_, remake)| remake.paths.contains(&path))?;
        Some((name, remake))
    }

    /// The parameters of a type that answer whole.
    pub fn ready_parameters<'r>(
        &'r self,
        known: &'r ResourceType,
    ) -> impl Iterator<Item = &'r Parameter> {
        let remake = self.unready.get(&known.name);
        known.served().filter(move |parameter| {
            let is_made = |path: i32| remake.is_none_or(|remake| !remake.paths.contains(&path));
            parameter.each_path(is_made)
        })
    }
}

impl Parameter {
    fn each_path(&self, holds: impl Fn(i32) -> bool) -> bool {
        let sources = self.sources.iter().all(|source| holds(source.path));
        let tuples = self.tuples.iter().all(|tuple| match tuple {
            Tuple::Rows { path, .. } => holds(*path),
            Tuple::Each(parts) => {
                let mut sources = parts.iter().flat_map(|part| &part.sources);
                sources.all(|source| holds(source.path))
            }
        });
        sources && tuples
    }
}
