//! Definitions: everything that conformance resources say, R4's own and those of packages laid over them.
//!
//! R4 itself is packed into the binary ([`archive`]); its type graph ([`types`]) is built on first use, every other
//! artifact is unpacked when it is asked for. Packages add shelves; what a later shelf holds hides what an earlier one
//! holds under the same canonical url and version.

pub mod archive;
mod compartment;
mod compiled;
mod operation;
mod search_parameter;
mod shelf;
mod slim;
mod snapshot;
mod structure;
pub mod types;

use std::collections::HashSet;
use std::sync::{Arc, LazyLock, OnceLock};

pub use compartment::Compartment;
pub use compiled::StructureProblem;
pub use operation::{Operation, Parameter};
pub use search_parameter::SearchParameter;
pub use slim::{DEFINING, slim};
pub use snapshot::{
    DIFFERENTIAL_ELEMENTS_MAX, PATH_STEPS_MAX, PROFILE_CHAIN_MAX, SNAPSHOT_ELEMENTS_MAX,
    SnapshotError,
};
pub use structure::{
    ContextKind, Discriminator, DiscriminatorKind, ElementDef, ElementType, ExtensionContext,
    Slicing, SlicingRules, Structure, StructureKind,
};
pub use types::{Binding, Constraint, Element, Kind, Strength, TypeDef, TypeId, TypeRef, Types};

use crate::json::Value;
use crate::outcome::Issue;
use crate::package::{self, Package};
use compiled::Compiled;
use shelf::Shelf;

/// R4 4.0.1, packed by the generator (`src/bin/distill.rs`).
static R4_ARCHIVE: &[u8] = include_bytes!("../data/r4/definitions.bin");

static R4: LazyLock<Definitions> = LazyLock::new(|| Definitions {
    shelves: vec![Arc::new(Shelf::embedded(R4_ARCHIVE))],
    types: Arc::new(OnceLock::new()),
    search_parameters: OnceLock::new(),
    compartments: OnceLock::new(),
    operations: OnceLock::new(),
    compiled: Compiled::default(),
});

/// The shelves, and what was built from them so far. Immutable: laying something over makes new definitions.
#[derive(Debug)]
pub struct Definitions {
    shelves: Vec<Arc<Shelf>>,
    types: Arc<OnceLock<Types>>,
    search_parameters: OnceLock<Vec<SearchParameter>>,
    compartments: OnceLock<Vec<Compartment>>,
    operations: OnceLock<Vec<Operation>>,
    compiled: Compiled,
}

impl Definitions {
    /// R4 alone.
    pub fn r4() -> &'static Self {
        &R4
    }

    /// These definitions with those of packages laid over them, dependencies first. The issues say which packages were
    /// refused and which dependencies are missing.
    #[must_use]
    pub fn with_packages(&self, packages: Vec<Package>) -> (Self, Vec<Issue>) {
        let (ordered, issues) = package::in_order(packages);
        let shelves = ordered
            .into_iter()
            .map(|package| Arc::new(Shelf::of_resources(package.resources)));
        (self.with_shelves(shelves), issues)
    }

    /// These definitions with conformance resources laid over them; resources that define nothing are passed over.
    #[must_use]
    pub fn with_resources(&self, resources: impl IntoIterator<Item = Value>) -> Self {
        let slimmed = resources.into_iter().map(slim);
        self.with_shelves([Arc::new(Shelf::of_resources(slimmed))])
    }

    fn with_shelves(&self, added: impl IntoIterator<Item = Arc<Shelf>>) -> Self {
        let mut shelves = self.shelves.clone();
        shelves.extend(added);
        Self {
            shelves,
            types: Arc::clone(&self.types),
            search_parameters: OnceLock::new(),
            compartments: OnceLock::new(),
            operations: OnceLock::new(),
            compiled: Compiled::default(),
        }
    }

    /// The type graph of R4.
    pub fn types(&self) -> &Types {
        self.types.get_or_init(|| {
            let r4 = self.shelves.first();
            // The archive has them first; the many profiles behind them need not be unpacked.
            let base: Vec<Arc<Value>> = r4
                .into_iter()
                .flat_map(|shelf| shelf.of_type("StructureDefinition"))
                .take_while(|structure| is_base_type(structure))
                .collect();
            Types::build(&base)
        })
    }

    /// The concrete resource types, in alphabetical order.
    pub fn resource_types(&self) -> impl Iterator<Item = &str> {
        self.types()
            .iter()
            .filter(|definition| definition.kind == Kind::Resource && !definition.is_abstract)
            .map(|definition| &*definition.name)
    }

    pub fn is_resource_type(&self, name: &str) -> bool {
        self.types()
            .named(name)
            .is_some_and(|definition| definition.kind == Kind::Resource && !definition.is_abstract)
    }

    /// A conformance resource by its canonical url, `url` or `url|version`. Without a version the newest shelf wins.
    pub fn artifact(&self, canonical: &str) -> Option<Arc<Value>> {
        self.find(canonical, None)
    }

    /// The same, of one resource type only: a code system and its value set may share a url.
    pub fn artifact_of_type(&self, resource_type: &str, canonical: &str) -> Option<Arc<Value>> {
        self.find(canonical, Some(resource_type))
    }

    fn find(&self, canonical: &str, resource_type: Option<&str>) -> Option<Arc<Value>> {
        let canonical = without_fragment(canonical);
        let (url, version) = match canonical.split_once('|') {
            Some((url, version)) => (url, Some(version)),
            None => (canonical, None),
        };
        self.shelves
            .iter()
            .rev()
            .find_map(|shelf| shelf.by_url(url, version, resource_type))
    }

    /// A conformance resource by type and id, as `GET [base]/ValueSet/x` asks for it.
    pub fn artifact_by_id(&self, resource_type: &str, id: &str) -> Option<Arc<Value>> {
        self.shelves
            .iter()
            .rev()
            .find_map(|shelf| shelf.by_id(resource_type, id))
    }

    /// All artifacts of a type, the specification's first. Of several with one url, in whatever version, only the
    /// newest shelf's last.
    pub fn of_type(&self, resource_type: &str) -> Vec<Arc<Value>> {
        let mut seen: HashSet<Box<str>> = HashSet::new();
        let mut found: Vec<Arc<Value>> = Vec::new();
        for shelf in self.shelves.iter().rev() {
            for artifact in shelf.of_type(resource_type).rev() {
                let url = artifact.str_of("url").unwrap_or_default();
                if url.is_empty() || seen.insert(url.into()) {
                    found.push(artifact);
                }
            }
        }
        found.reverse();
        found
    }

    pub fn search_parameters(&self) -> &[SearchParameter] {
        self.search_parameters
            .get_or_init(|| self.parsed("SearchParameter", SearchParameter::from_resource))
    }

    pub fn compartments(&self) -> &[Compartment] {
        self.compartments
            .get_or_init(|| self.parsed("CompartmentDefinition", Compartment::from_resource))
    }

    pub fn operations(&self) -> &[Operation] {
        self.operations
            .get_or_init(|| self.parsed("OperationDefinition", Operation::from_resource))
    }

    /// The parameters by which resources of this type can be searched, the specification's first. A package may say
    /// the same code again under a url of its own.
    pub fn search_parameters_for(
        &self,
        resource_type: &str,
    ) -> impl Iterator<Item = &SearchParameter> {
        let all = self.search_parameters().iter();
        all.filter(move |parameter| self.is_for(parameter, resource_type))
    }

    /// Whether resources of this type can be searched by a parameter.
    pub fn is_for(&self, parameter: &SearchParameter, resource_type: &str) -> bool {
        let types = self.types();
        let wanted = types.by_name(resource_type);
        parameter.base.iter().any(|base| {
            **base == *resource_type
                || wanted
                    .zip(types.by_name(base))
                    .is_some_and(|(id, base)| types.is_a(id, base))
        })
    }

    /// A compartment by its code: `Patient`.
    pub fn compartment(&self, code: &str) -> Option<&Compartment> {
        self.compartments()
            .iter()
            .find(|compartment| *compartment.code == *code)
    }

    /// An operation by its code without the dollar sign: of a type (and its instances), or of the whole system.
    pub fn operation(&self, code: &str, resource_type: Option<&str>) -> Option<&Operation> {
        let types = self.types();
        let is_of = |operation: &Operation| match resource_type {
            None => operation.on_system,
            Some(wanted) => {
                (operation.on_type || operation.on_instance)
                    && operation.resource.iter().any(|name| {
                        let ids = types.by_name(wanted).zip(types.by_name(name));
                        ids.is_some_and(|(id, base)| types.is_a(id, base))
                    })
            }
        };
        let named = |operation: &&Operation| *operation.code == *code;
        self.operations()
            .iter()
            .rev()
            .filter(named)
            .find(|operation| is_of(operation))
    }

    fn parsed<T>(&self, resource_type: &str, parse: fn(&Value) -> Option<T>) -> Vec<T> {
        self.of_type(resource_type)
            .iter()
            .filter_map(|resource| parse(resource))
            .collect()
    }
}

/// Whether a StructureDefinition defines a type of its own (and does not constrain another's).
pub fn is_base_type(structure: &Value) -> bool {
    structure.str_of("kind") != Some("logical")
        && structure.str_of("derivation") != Some("constraint")
}

/// A canonical may name a part of the artifact after `#`; the artifact is the same.
pub(crate) fn without_fragment(canonical: &str) -> &str {
    canonical.split('#').next().unwrap_or_default()
}

#[cfg(test)]
mod tests;
