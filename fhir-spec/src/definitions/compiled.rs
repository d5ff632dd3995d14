//! What was compiled from artifacts so far: structures, code systems and value sets, each on first use.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use super::snapshot::{self, SnapshotError};
use super::structure::{self, Structure};
use super::{Definitions, without_fragment};
use crate::terminology::{CodeSystem, ValueSet};

/// Why a structure cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StructureProblem {
    #[error("the profile `{0}` is not among the definitions loaded")]
    NotLoaded(Box<str>),
    #[error("no snapshot can be made for `{canonical}`: {source}")]
    Snapshot {
        canonical: Box<str>,
        source: SnapshotError,
    },
}

type Kept<T> = RwLock<HashMap<Box<str>, T>>;

/// By canonical as it was asked for. Only what is on a shelf is kept, so what documents ask for cannot fill it.
#[derive(Debug, Default)]
pub(super) struct Compiled {
    structures: Kept<Result<Arc<Structure>, StructureProblem>>,
    code_systems: Kept<Arc<CodeSystem>>,
    value_sets: Kept<Arc<ValueSet>>,
}

fn kept<T: Clone>(shelf: &Kept<T>, key: &str) -> Option<T> {
    let map = shelf.read().unwrap_or_else(PoisonError::into_inner);
    map.get(key).cloned()
}

/// Two threads may compile the same; the first one's stays.
fn keep<T: Clone>(shelf: &Kept<T>, key: &str, value: T) -> T {
    let mut map = shelf.write().unwrap_or_else(PoisonError::into_inner);
    map.entry(key.into()).or_insert(value).clone()
}

impl Definitions {
    /// A type or profile by canonical url, compiled for validation. None when it is not loaded or cannot be used;
    /// [`Self::structure_problem`] tells why.
    pub fn structure(&self, canonical: &str) -> Option<Arc<Structure>> {
        self.try_structure(canonical).ok()
    }

    /// Why [`Self::structure`] has nothing to give; None when it has.
    pub fn structure_problem(&self, canonical: &str) -> Option<StructureProblem> {
        self.try_structure(canonical).err()
    }

    pub fn try_structure(&self, canonical: &str) -> Result<Arc<Structure>, StructureProblem> {
        let canonical = without_fragment(canonical);
        let structures = &self.compiled.structures;
        if let Some(kept) = kept(structures, canonical) {
            return kept;
        }
        let Some(definition) = self.artifact_of_type("StructureDefinition", canonical) else {
            return Err(StructureProblem::NotLoaded(canonical.into()));
        };
        let compiled = snapshot::of(self, &definition)
            .map(|elements| Arc::new(structure::read(&definition, &elements)))
            .map_err(|source| StructureProblem::Snapshot {
                canonical: canonical.into(),
                source,
            });
        keep(structures, canonical, compiled)
    }

    /// A code system by canonical url: one of the definitions, or a standard that is held as a list.
    pub fn code_system(&self, canonical: &str) -> Option<Arc<CodeSystem>> {
        let canonical = without_fragment(canonical);
        let code_systems = &self.compiled.code_systems;
        kept(code_systems, canonical).or_else(|| {
            let system = match self.artifact_of_type("CodeSystem", canonical) {
                Some(resource) => CodeSystem::read(&resource),
                None => CodeSystem::of_standard(canonical)?,
            };
            Some(keep(code_systems, canonical, Arc::new(system)))
        })
    }

    /// A value set by canonical url.
    pub fn value_set(&self, canonical: &str) -> Option<Arc<ValueSet>> {
        self.value_set_within(canonical, &mut Vec::new())
    }

    /// `building`: the value sets that import this one and are not finished yet.
    pub(crate) fn value_set_within(
        &self,
        canonical: &str,
        building: &mut Vec<Box<str>>,
    ) -> Option<Arc<ValueSet>> {
        let canonical = without_fragment(canonical);
        let value_sets = &self.compiled.value_sets;
        kept(value_sets, canonical).or_else(|| {
            let resource = self.artifact_of_type("ValueSet", canonical)?;
            let value_set = Arc::new(ValueSet::build(self, &resource, building));
            Some(keep(value_sets, canonical, value_set))
        })
    }
}
