//! What surrounds an element: its resource, the resource that contains that, and the bundle.

use std::collections::HashMap;

use crate::definitions::TypeId;
use crate::json::Value;

use super::bundle::Entries;
use super::node::Node;

#[derive(Debug, Clone, Copy)]
pub(super) struct Scope<'d> {
    /// `%resource`: the nearest resource.
    pub(super) resource: &'d Value,
    /// `%rootResource`: the resource that contains it, or itself.
    pub(super) root: &'d Value,
    pub(super) root_type: TypeId,
    /// What the root contains, by id, once the walk has come to the root.
    pub(super) contained: Option<&'d Contained<'d>>,
    /// The bundle around it, and its own full url there.
    pub(super) bundle: Option<&'d Entries<'d>>,
    pub(super) full_url: Option<&'d str>,
}

/// The contained resources of a resource by their ids: many references may lead to many of them.
#[derive(Debug)]
pub(super) struct Contained<'d> {
    by_id: HashMap<&'d str, &'d Value>,
}

impl<'d> Contained<'d> {
    pub(super) fn of(resource: &'d Value) -> Self {
        let mut by_id = HashMap::new();
        for inner in resource.items_of("contained") {
            if let Some(id) = inner.str_of("id") {
                by_id.entry(id).or_insert(inner);
            }
        }
        Self { by_id }
    }
}

impl<'d> Scope<'d> {
    pub(super) fn of(resource: &'d Value, resource_type: TypeId) -> Self {
        Self {
            resource,
            root: resource,
            root_type: resource_type,
            contained: None,
            bundle: None,
            full_url: None,
        }
    }

    /// The surroundings of a resource that stands in this one (or in the same bundle).
    pub(super) fn around(
        &self,
        resource: &'d Value,
        resource_type: TypeId,
        is_contained: bool,
    ) -> Self {
        if is_contained {
            return Self { resource, ..*self };
        }
        let full_url = self
            .bundle
            .and_then(|entries| entries.full_url_of(resource));
        Self {
            bundle: self.bundle,
            full_url: full_url.or(self.full_url),
            ..Self::of(resource, resource_type)
        }
    }

    /// The same for a resource that was reached by a path or reference.
    pub(super) fn around_node(&self, node: Node<'d>) -> Self {
        let Some(value) = node
            .value
            .filter(|value| !std::ptr::eq(*value, self.resource))
        else {
            return *self;
        };
        let is_contained = value
            .str_of("id")
            .and_then(|id| self.find_contained(id))
            .is_some_and(|inner| std::ptr::eq(inner, value));
        self.around(value, node.type_id, is_contained)
    }

    /// The first of that id.
    pub(super) fn find_contained(&self, id: &str) -> Option<&'d Value> {
        match self.contained {
            Some(contained) => contained.by_id.get(id).copied(),
            None => {
                let mut contained = self.root.items_of("contained").iter();
                contained.find(|inner| inner.str_of("id") == Some(id))
            }
        }
    }

    pub(super) fn is_contained(&self) -> bool {
        !std::ptr::eq(self.resource, self.root)
    }
}
