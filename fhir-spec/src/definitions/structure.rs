//! A StructureDefinition made ready for validation: every element with its rules, its children and its slices.
//! <https://hl7.org/fhir/R4/structuredefinition.html>, <https://hl7.org/fhir/R4/elementdefinition.html>
//!
//! Compiled from the snapshot; a definition that has only a differential gets its snapshot first
//! ([`super::snapshot`]).

mod link;
mod read;

use super::types::{Binding, Constraint};
use crate::json::Value;

pub(super) use link::sliced_names;
pub(super) use read::{is_typed, read};

/// A type or profile, with its elements in the order of the snapshot; the first is the root.
#[derive(Debug)]
pub struct Structure {
    pub url: Box<str>,
    pub version: Box<str>,
    pub name: Box<str>,
    /// The type that is defined or constrained: `Patient`, `HumanName`, `Extension`.
    pub type_name: Box<str>,
    pub kind: StructureKind,
    /// Whether it constrains another's type (a profile) and does not define one of its own.
    pub is_constraint: bool,
    pub base: Option<Box<str>>,
    pub is_abstract: bool,
    /// Where an extension may stand.
    pub contexts: Vec<ExtensionContext>,
    /// FHIRPath rules about the element on which the extension stands.
    pub context_invariants: Vec<Box<str>>,
    pub elements: Vec<ElementDef>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StructureKind {
    Primitive,
    Complex,
    Resource,
    Logical,
}

/// <https://hl7.org/fhir/R4/defining-extensions.html#context>
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtensionContext {
    pub kind: ContextKind,
    pub expression: Box<str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContextKind {
    /// A FHIRPath expression that selects the elements.
    FhirPath,
    /// The path of an element or the name of a type.
    Element,
    /// The url of an extension.
    Extension,
}

#[derive(Debug, Clone)]
pub struct ElementDef {
    pub id: Box<str>,
    pub path: Box<str>,
    /// The last step of the path, without `[x]`.
    pub name: Box<str>,
    pub is_choice: bool,
    pub slice_name: Option<Box<str>>,
    pub slicing: Option<Slicing>,
    pub min: u32,
    /// None: no bound (`*`).
    pub max: Option<u32>,
    pub types: Vec<ElementType>,
    /// The id of the element whose children these are: `Bundle.link`.
    pub content_reference: Option<Box<str>>,
    pub fixed: Option<Value>,
    pub pattern: Option<Value>,
    pub min_value: Option<Value>,
    pub max_value: Option<Value>,
    pub max_length: Option<u32>,
    pub binding: Option<Binding>,
    pub constraints: Vec<Constraint>,
    pub is_must_support: bool,
    pub is_modifier: bool,
    /// Its child elements, by index into [`Structure::elements`]; slices of children stand with those.
    pub children: Vec<usize>,
    /// Its slices; what slices a slice again stands with that slice.
    pub slices: Vec<usize>,
}

/// One of the types that an element may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ElementType {
    pub code: Box<str>,
    pub profiles: Vec<Box<str>>,
    /// For references and canonicals: the profiles that the target may have.
    pub target_profiles: Vec<Box<str>>,
}

/// How the items of a list (or the types of a choice) are told apart.
/// <https://hl7.org/fhir/R4/profiling.html#slicing>
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slicing {
    pub discriminators: Vec<Discriminator>,
    pub rules: SlicingRules,
    pub is_ordered: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlicingRules {
    Open,
    Closed,
    OpenAtEnd,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discriminator {
    pub kind: DiscriminatorKind,
    /// A FHIRPath of the restricted kind, such as `coding.code`, `$this`, `resolve()` or `extension('url').value`.
    pub path: Box<str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiscriminatorKind {
    Value,
    Exists,
    Pattern,
    Type,
    Profile,
}

impl Structure {
    /// None only for an empty definition, which does not compile.
    pub fn root(&self) -> Option<&ElementDef> {
        self.elements.first()
    }

    pub fn element(&self, index: usize) -> Option<&ElementDef> {
        self.elements.get(index)
    }

    /// By element id: `Patient.name`, `Observation.component:systolic.code`.
    pub fn by_id(&self, id: &str) -> Option<&ElementDef> {
        self.elements.iter().find(|element| *element.id == *id)
    }

    pub fn children<'a>(
        &'a self,
        element: &'a ElementDef,
    ) -> impl Iterator<Item = &'a ElementDef> + 'a {
        element
            .children
            .iter()
            .filter_map(|index| self.elements.get(*index))
    }

    pub fn slices<'a>(
        &'a self,
        element: &'a ElementDef,
    ) -> impl Iterator<Item = &'a ElementDef> + 'a {
        element
            .slices
            .iter()
            .filter_map(|index| self.elements.get(*index))
    }

    /// The child of that name, without `[x]`: `value`.
    pub fn child<'a>(&'a self, element: &'a ElementDef, name: &str) -> Option<&'a ElementDef> {
        self.children(element).find(|child| *child.name == *name)
    }
}

impl ElementDef {
    pub fn is_list(&self) -> bool {
        self.max != Some(1)
    }
}
