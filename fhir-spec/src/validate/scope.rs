//! What surrounds an element: its resource, the resource that contains that, and the bundle.

use crate::definitions::TypeId;
use crate::json::Value;

use super::bundle::Entries;

#[derive(Debug, Clone, Copy)]
pub(super) struct Scope<'d> {
    /// `%resource`: the nearest resource.
    pub(super) resource: &'d Value,
    pub(super) resource_type: TypeId,
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
            resource_type,
            root: resource,
            root_type: resource_type,
            bundle: None,
            full_url: None,
        }
    }

    pub(super) fn is_contained(&self) -> bool {
        !std::ptr::eq(self.resource, self.root)
    }
}
