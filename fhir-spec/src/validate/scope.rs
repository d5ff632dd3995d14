//! What surrounds an element: its resource, the resource that contains that, and the bundle.

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
    /// The bundle around it, and its own full url there.
    pub(super) bundle: Option<&'d Entries<'d>>,
    pub(super) full_url: Option<&'d str>,
}

impl<'d> Scope<'d> {
    pub(super) fn of(resource: &'d Value, resource_type: TypeId) -> Self {
        Self {
            resource,
            root: resource,
            root_type: resource_type,
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
        let mut contained = self.root.items_of("contained").iter();
        let is_contained = contained.any(|inner| std::ptr::eq(inner, value));
        self.around(value, node.type_id, is_contained)
    }

    pub(super) fn is_contained(&self) -> bool {
        !std::ptr::eq(self.resource, self.root)
    }
}
