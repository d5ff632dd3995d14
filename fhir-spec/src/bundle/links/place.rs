//! Where a walk stands: a chain of steps on the call stack. What type stands there is only asked where a link may be.

use std::cell::Cell;
use std::fmt;

use crate::definitions::{Element, Kind, TypeId, TypeRef, Types};
use crate::json::{Object, Value};

pub(super) struct Place<'p> {
    parent: Option<&'p Place<'p>>,
    /// The JSON property; at the root, nothing.
    name: &'p str,
    index: Option<usize>,
    /// What the object says that it is: asked only where resources stand in others.
    resource: Option<TypeId>,
    known: Cell<Known>,
}

#[derive(Clone, Copy)]
enum Known {
    NotYet,
    Is(Option<TypeId>),
}

impl<'p> Place<'p> {
    pub(super) fn root(resource: TypeId) -> Self {
        Self {
            parent: None,
            name: "",
            index: None,
            resource: Some(resource),
            known: Cell::new(Known::Is(Some(resource))),
        }
    }

    pub(super) fn below(
        &'p self,
        name: &'p str,
        index: Option<usize>,
        object: &Object,
        types: &Types,
    ) -> Self {
        let resource = if may_hold_resource(name) {
            object
                .get("resourceType")
                .and_then(Value::as_str)
                .and_then(|name| types.by_name(name))
        } else {
            None
        };
        Self {
            parent: Some(self),
            name,
            index,
            resource,
            known: Cell::new(Known::NotYet),
        }
    }

    /// The type of the resource that stands right here.
    pub(super) fn resource(&self) -> Option<TypeId> {
        self.resource
    }

    /// None: there is no such place in FHIR.
    pub(super) fn type_id(&self, types: &Types) -> Option<TypeId> {
        if let Known::Is(known) = self.known.get() {
            return known;
        }
        let stated = self
            .parent
            .and_then(|parent| parent.property(self.name, types))
            .map(|(_, kind)| kind.id);
        let found = match stated {
            Some(id) if types.get(id).kind == Kind::Resource => self.resource,
            other => other,
        };
        self.known.set(Known::Is(found));
        found
    }

    /// The element of that JSON property, and which of its types.
    pub(super) fn property<'t>(
        &self,
        name: &str,
        types: &'t Types,
    ) -> Option<(&'t Element, &'t TypeRef)> {
        let name = name.strip_prefix('_').unwrap_or(name);
        types.get(self.type_id(types)?).property(name)
    }

    /// As FHIRPath says it, to be told.
    pub(super) fn path(&self, root: &str, types: &Types) -> String {
        let mut path = match self.parent {
            None => return root.to_owned(),
            Some(parent) => parent.path(root, types),
        };
        let element = self
            .parent
            .and_then(|parent| parent.property(self.name, types))
            .map(|(element, _)| &*element.name);
        let mut push = |text: fmt::Arguments<'_>| path.push_str(&text.to_string());
        push(format_args!(".{}", element.unwrap_or(self.name)));
        if let Some(index) = self.index {
            push(format_args!("[{index}]"));
        }
        path
    }
}

/// The elements of R4 that hold any resource.
pub(super) fn may_hold_resource(name: &str) -> bool {
    matches!(name, "contained" | "resource" | "outcome")
}
