//! What an expression is evaluated in: the resource, the types, the time, and the world outside.
//! <http://hl7.org/fhirpath/N1/#environment-variables>

use super::item::{Collection, Item};
use super::limits::Limits;
use super::node::Node;
use crate::definitions::Types;
use crate::json::Value;
use crate::time::DateTime;

/// What FHIRPath asks of the world. Every answer may be "not known".
pub trait Host<'a> {
    /// The resource behind a reference that is neither contained nor in the bundle around.
    fn resolve(&self, _reference: &str) -> Option<&'a Value> {
        None
    }

    /// Whether a code, Coding or CodeableConcept is in a value set.
    fn is_member(&self, _item: &Item<'a>, _value_set: &str) -> Option<bool> {
        None
    }

    /// Whether a resource or element conforms to a profile.
    fn conforms(&self, _node: &Node<'a>, _profile: &str) -> Option<bool> {
        None
    }

    /// Whether one code of a system stands above another one.
    fn subsumes(&self, _system: &str, _above: &str, _below: &str) -> Option<bool> {
        None
    }

    /// The ElementDefinition that an element is validated by.
    fn element_definition(&self, _node: &Node<'a>) -> Option<&'a Value> {
        None
    }

    /// Whether an element belongs to a slice that a profile defines.
    fn is_in_slice(&self, _node: &Node<'a>, _structure: &str, _slice: &str) -> Option<bool> {
        None
    }

    /// `trace()` was called.
    fn trace(&self, _name: &str, _items: &[Item<'a>]) {}
}

/// A world of which nothing is known.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoHost;

impl Host<'_> for NoHost {}

/// Made once for a resource, used for many expressions.
#[derive(Clone)]
pub struct Context<'a> {
    pub(super) types: Option<&'a Types>,
    pub(super) resource: Node<'a>,
    pub(super) root_resource: Node<'a>,
    pub(super) now: Option<DateTime>,
    pub(super) variables: Vec<(Box<str>, Collection<'a>)>,
    pub(super) host: &'a dyn Host<'a>,
    pub(super) limits: Limits,
}

impl<'a> Context<'a> {
    /// A resource of FHIR R4, its elements typed.
    pub fn new(types: &'a Types, resource: &'a Value) -> Self {
        Self::of(Some(types), resource)
    }

    /// Any JSON document, without types: members are what they are called.
    pub fn untyped(document: &'a Value) -> Self {
        Self::of(None, document)
    }

    fn of(types: Option<&'a Types>, resource: &'a Value) -> Self {
        let node = Node::of_resource(types, resource);
        Self {
            types,
            resource: node,
            root_resource: node,
            now: None,
            variables: Vec::new(),
            host: &NoHost,
            limits: Limits::DEFAULT,
        }
    }

    /// The resource that contains this one: `%rootResource`, where references to `#id` are found.
    #[must_use]
    pub fn within(mut self, root: &'a Value) -> Self {
        self.root_resource = Node::of_resource(self.types, root);
        self
    }

    /// What `now()` is, with an offset. Without it the functions that ask for the time are errors.
    #[must_use]
    pub fn at(mut self, now: DateTime) -> Self {
        self.now = Some(now);
        self
    }

    /// `%name`
    #[must_use]
    pub fn with_variable(mut self, name: &str, items: Collection<'a>) -> Self {
        self.variables.retain(|(known, _)| **known != *name);
        self.variables.push((name.into(), items));
        self
    }

    #[must_use]
    pub fn with_host(mut self, host: &'a dyn Host<'a>) -> Self {
        self.host = host;
        self
    }

    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    pub fn resource(&self) -> Node<'a> {
        self.resource
    }

    pub fn types(&self) -> Option<&'a Types> {
        self.types
    }
}

impl std::fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context")
            .field("resource", &self.resource)
            .field("variables", &self.variables)
            .finish_non_exhaustive()
    }
}
