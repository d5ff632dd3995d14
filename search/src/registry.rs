//! Which parameters a resource type has, and where their values are kept. <https://hl7.org/fhir/R4/searchparameter.html>
//!
//! The index knows no parameters, only **paths**: `Observation.subject`, `Observation.component.code`. A parameter is a
//! list of paths, some of them narrowed: `patient` is `Observation.subject` where the target is a Patient, `combo-code` is
//! two paths, `phone` is `Patient.telecom` with system `phone`, and all of them share the rows that are there anyway. Two
//! parameters of one path cost what one costs, and a new parameter over known paths needs no new rows.
//!
//! A path is known by the hash of its name, the same on every node and in both databases.
//!
//! What the definitions say is worked out once. Parameters that users post ([`own`]) are laid over it: a new registry
//! shares everything but the types on which they bear. Paths whose rows are still being made are [`unready`].

mod compile;
pub mod own;
mod path;
mod take;
mod tuple;
pub mod unready;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, OnceLock};

use fhir_spec::definitions::{Definitions, SearchParameter};

use crate::plan::Node;
use crate::query::BY_NAME;
use crate::table::TableKind;
use crate::types::SearchType;

pub use compile::Computed;
use own::Own;
use unready::Unready;

/// How rows are made of paths: a number that grows when the same path of the same resource yields other rows.
pub const ROWS_VERSION: u32 = 1;

/// All parameters of all resource types; those of a type are worked out when it is first asked for. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Registry {
    known: Arc<Known>,
    own: Arc<Own>,
    unready: Arc<Unready>,
    generation: i64,
}

/// What the definitions say.
#[derive(Debug)]
struct Known {
    definitions: Arc<Definitions>,
    /// The url of this server: references that begin with it are local ones.
    base: Option<Box<str>>,
    types: OnceLock<HashMap<Box<str>, OnceLock<ResourceType>>>,
    by_hash: OnceLock<HashMap<i32, Box<str>>>,
    /// What the rows of contained resources are made by.
    contained: OnceLock<i64>,
}

/// What can be asked of resources of one type, and how their rows are made.
#[derive(Debug)]
pub struct ResourceType {
    pub name: Box<str>,
    /// In the order of their codes.
    parameters: Vec<Parameter>,
    pub(crate) root: Node,
    pub(crate) computed: Vec<Computed>,
    /// The names of the paths, by their numbers.
    paths: HashMap<i32, Box<str>>,
    /// The one among them that stands for the rows of what resources of this type contain.
    contained: Option<i32>,
    /// Parameters that cannot be served, and why.
    pub problems: Vec<Problem>,
}

/// Why a parameter cannot be served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub code: Box<str>,
    pub url: Box<str>,
    pub told: String,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    pub code: Box<str>,
    pub url: Box<str>,
    pub kind: SearchType,
    /// Where its values are; any of them counts.
    pub sources: Vec<Source>,
    /// For composites: the ways to find its tuples; any of them counts.
    pub tuples: Vec<Tuple>,
    /// For references: the types that may be the target. Empty: any.
    pub targets: Vec<Box<str>>,
    pub rules: Rules,
}

/// How a parameter may be asked, where its definition says less than its type allows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// The only modifiers; empty: all.
    pub modifiers: Vec<Box<str>>,
    /// The only prefixes; empty: all.
    pub comparators: Vec<Box<str>>,
    pub is_of_one_value: bool,
    pub is_given_once: bool,
}

/// A path in a table, and which of its rows count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source {
    pub table: TableKind,
    pub path: i32,
    pub only: Only,
    pub element: ElementFacts,
}

/// What questions about a path need to know of its elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ElementFacts {
    /// A resource may have many of it.
    pub repeats: bool,
    /// A value without a system of its own to look for: `status`, `active`.
    pub is_primitive: bool,
    /// Hardly two resources share a value: identifiers, phone numbers.
    pub is_identifying: bool,
    /// It may end with a version after `|`.
    pub is_canonical: bool,
    /// People's words may stand beside it: for `:text`.
    pub has_text: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Only {
    Any,
    /// References to a type: hash of its name.
    Target(i32),
    /// Tokens of a system: hash of its url.
    System(i64),
}

/// How a composite is found.
#[derive(Debug, Clone, PartialEq)]
pub enum Tuple {
    /// Its components are there at most once: each is asked for by itself.
    Each(Vec<Part>),
    /// Rows of its own, with components of these types.
    Rows { path: i32, kinds: Vec<SearchType> },
}

/// A component of a composite that is asked for by itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    pub kind: SearchType,
    pub sources: Vec<Source>,
}

impl Registry {
    pub fn new(definitions: Arc<Definitions>) -> Self {
        Self {
            known: Arc::new(Known::new(definitions, None)),
            own: Arc::default(),
            unready: Arc::default(),
            generation: 0,
        }
    }

    /// The same for a server at this url.
    #[must_use]
    pub fn at(self, base: &str) -> Self {
        let base = base.trim_end_matches('/');
        let base = (!base.is_empty()).then(|| base.into());
        let definitions = Arc::clone(&self.known.definitions);
        Self {
            known: Arc::new(Known::new(definitions, base)),
            ..self
        }
    }

    pub fn definitions(&self) -> &Definitions {
        &self.known.definitions
    }

    pub(crate) fn base(&self) -> Option<&str> {
        self.known.base.as_deref()
    }

    /// Which state of the parameters this is; whoever hands out registries counts.
    pub fn generation(&self) -> i64 {
        self.generation
    }

    #[must_use]
    pub fn of_generation(&self, generation: i64) -> Self {
        Self {
            generation,
            ..self.clone()
        }
    }

    /// Nothing when FHIR has no such resource type.
    pub fn of(&self, resource_type: &str) -> Option<&ResourceType> {
        if let Some((name, compiled)) = self.own.types.get_key_value(resource_type) {
            return Some(compiled.get_or_init(|| {
                let contained = self.known.contained();
                let own = &self.own.parameters;
                compile::resource_type(&self.known.definitions, name, own, contained)
            }));
        }
        self.known.of(resource_type)
    }

    /// The same without what users have posted.
    pub(crate) fn given(&self, resource_type: &str) -> Option<&ResourceType> {
        self.known.of(resource_type)
    }

    /// The resource type of which this is the hash.
    pub(crate) fn type_of(&self, hash: i32) -> Option<&str> {
        let types = self.known.by_hash.get_or_init(|| {
            let names = self.known.definitions.resource_types();
            names
                .map(|name| (crate::hash::short(name), name.into()))
                .collect()
        });
        types.get(&hash).map(|name| &**name)
    }

    /// A SearchParameter resource by its canonical url.
    pub fn by_url(&self, url: &str) -> Option<&SearchParameter> {
        let own = self.own.parameters.iter().map(|own| &own.definition);
        let all = own.chain(self.known.definitions.search_parameters());
        all.into_iter().find(|parameter| *parameter.url == *url)
    }

    /// How rows are made of paths here: rows that were made in another way say nothing.
    pub fn maker(&self) -> String {
        format!("{ROWS_VERSION} {}", self.base().unwrap_or_default())
    }

    /// The same for a server whose rows are made so, as far as that is a matter of its url.
    #[must_use]
    pub fn like(&self, maker: &str) -> Self {
        match maker.split_once(' ') {
            Some((_, base)) if base != self.base().unwrap_or_default() => self.clone().at(base),
            _ => self.clone(),
        }
    }

    /// One number for all paths of all types, and how their rows are made: where it is the same, the rows are.
    pub fn fingerprint(&self) -> i64 {
        let mut sum = crate::hash::long(&self.maker());
        for name in self.known.definitions.resource_types() {
            if let Some(known) = self.of(name) {
                let paths: Vec<String> = known.paths().iter().map(i32::to_string).collect();
                let text = format!("{name} {}", paths.join(","));
                sum = sum.wrapping_mul(31).wrapping_add(crate::hash::long(&text));
            }
        }
        sum
    }
}

impl Known {
    fn new(definitions: Arc<Definitions>, base: Option<Box<str>>) -> Self {
        Self {
            definitions,
            base,
            types: OnceLock::new(),
            by_hash: OnceLock::new(),
            contained: OnceLock::new(),
        }
    }

    fn contained(&self) -> i64 {
        let known = || crate::contained::kind_of_rows(&self.definitions);
        *self.contained.get_or_init(known)
    }

    fn of(&self, resource_type: &str) -> Option<&ResourceType> {
        let types = self.types.get_or_init(|| {
            let names = self.definitions.resource_types();
            names.map(|name| (name.into(), OnceLock::new())).collect()
        });
        let (name, compiled) = types.get_key_value(resource_type)?;
        Some(
            compiled.get_or_init(|| {
                compile::resource_type(&self.definitions, name, &[], self.contained())
            }),
        )
    }
}

impl Parameter {
    /// Whether it has rows, or is known by name.
    pub fn is_served(&self) -> bool {
        let has_rows = !self.sources.is_empty() || !self.tuples.is_empty();
        has_rows || BY_NAME.contains(&&*self.code)
    }
}

impl ResourceType {
    pub fn parameter(&self, code: &str) -> Option<&Parameter> {
        let index = self
            .parameters
            .binary_search_by(|parameter| (*parameter.code).cmp(code));
        self.parameters.get(index.ok()?)
    }

    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// Those that can be asked for.
    pub fn served(&self) -> impl Iterator<Item = &Parameter> {
        let all = self.parameters.iter();
        all.filter(|parameter| parameter.is_served())
    }

    /// The path that stands for the rows of what resources of this type contain; none: they contain nothing.
    pub fn contained(&self) -> Option<i32> {
        self.contained
    }

    /// The numbers of all paths that resources of this type have rows at.
    pub fn paths(&self) -> BTreeSet<i32> {
        self.paths.keys().copied().collect()
    }

    /// The path of tokens of that name that is filled beside another one.
    pub(crate) fn path_beside(&self, path: i32, name: &str) -> Option<i32> {
        let name = format!("{}:{name}", self.path_name(path)?);
        let beside = compile::path_number(TableKind::Token, &name);
        self.paths.contains_key(&beside).then_some(beside)
    }

    /// The name of a path, for people.
    pub fn path_name(&self, path: i32) -> Option<&str> {
        self.paths.get(&path).map(|name| &**name)
    }
}

#[cfg(test)]
mod tests;
