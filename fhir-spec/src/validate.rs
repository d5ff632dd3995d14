//! Validation: does a document say what FHIR allows it to say? <https://hl7.org/fhir/R4/validation.html>
//!
//! A document is walked once with the types of R4 ([`shape`] is that walk): properties, lists, cardinality, primitive
//! formats, bindings, references, extensions, narrative, contained resources, bundles and the invariants of every type.
//! Then it is held against profiles, those it claims in `meta.profile` and those the request names: a profile's
//! snapshot is reduced to what it demands beyond the base type, and only that is visited.
//!
//! All issues are told at once, in document order, each with its FHIRPath and, when the source text is at hand, its
//! line and column. What cannot be checked here (a code system or profile that is not known) is a warning or a note,
//! never an error.

mod binding;
mod bundle;
mod cardinality;
mod contained;
mod errata;
mod extension;
mod invariant;
mod narrative;
mod node;
mod path;
mod plan;
mod profile;
mod questionnaire;
mod reference;
mod report;
mod request;
mod scope;
mod search_parameter;
mod shape;
mod structure_definition;
mod walk;

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use crate::definitions::{Definitions, StructureProblem, TypeId, without_fragment};
use crate::json::Value;
use crate::outcome::Issue;

pub use report::ISSUES_MAX;
pub use request::{Host, Nothing, Request};

use plan::TypePlan;
use profile::Profile;
use walk::Walk;

static R4: LazyLock<Validator> =
    LazyLock::new(|| Validator::new(Arc::new(Definitions::r4().with_resources([]))));

/// Checks documents against definitions. What it prepares for that (plans, compiled expressions, profiles) is made on
/// first use and kept: one validator serves the whole process.
#[derive(Debug)]
pub struct Validator {
    definitions: Arc<Definitions>,
    /// By [`TypeId::index`].
    plans: Vec<TypePlan>,
    /// For an id of another type graph.
    no_plan: TypePlan,
    /// By canonical without a fragment; only what is defined is kept, so what documents claim cannot fill it.
    profiles: RwLock<HashMap<Box<str>, Arc<Profile>>>,
}

impl Validator {
    pub fn new(definitions: Arc<Definitions>) -> Self {
        let plans = definitions
            .types()
            .iter()
            .map(|definition| TypePlan::of(definition, &definitions))
            .collect();
        Self {
            definitions,
            plans,
            no_plan: TypePlan::empty(),
            profiles: RwLock::default(),
        }
    }

    /// R4 alone.
    pub fn r4() -> &'static Self {
        &R4
    }

    pub fn definitions(&self) -> &Definitions {
        &self.definitions
    }

    /// Everything that is wrong with a resource, or worth saying about it. No issue of severity error: it is valid.
    pub fn validate(&self, document: &Value, request: &Request<'_>) -> Vec<Issue> {
        let mut walk = Walk::new(self, request);
        walk.document(document);
        walk.report.finish(request.source)
    }

    fn plan(&self, id: TypeId) -> &TypePlan {
        self.plans.get(id.index()).unwrap_or(&self.no_plan)
    }

    fn profile(&self, canonical: &str) -> Result<Arc<Profile>, StructureProblem> {
        let canonical = without_fragment(canonical);
        let kept = self.profiles.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(profile) = kept.get(canonical) {
            return Ok(Arc::clone(profile));
        }
        drop(kept);
        let structure = self.definitions.try_structure(canonical)?;
        let profile = Arc::new(Profile::of(structure, &self.definitions));
        let mut kept = self
            .profiles
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        Ok(Arc::clone(kept.entry(canonical.into()).or_insert(profile)))
    }
}

#[cfg(test)]
mod tests;
