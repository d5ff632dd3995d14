//! Where a walk stands: a chain of steps on the call stack. Its text is made only when there is something to tell.

use std::fmt;

use crate::definitions::TypeId;

#[derive(Debug, Clone, Copy)]
pub(super) struct Path<'p> {
    parent: Option<&'p Path<'p>>,
    /// As FHIRPath says it: `value` for `valueQuantity`.
    name: &'p str,
    index: Option<usize>,
    pub(super) type_id: TypeId,
}

impl<'p> Path<'p> {
    pub(super) fn root(name: &'p str, type_id: TypeId) -> Self {
        Self {
            parent: None,
            name,
            index: None,
            type_id,
        }
    }

    pub(super) fn child(&'p self, name: &'p str, index: Option<usize>, type_id: TypeId) -> Self {
        Self {
            parent: Some(self),
            name,
            index,
            type_id,
        }
    }

    /// The same place, now that the type of what stands there is known.
    pub(super) fn typed(self, type_id: TypeId) -> Self {
        Self { type_id, ..self }
    }

    pub(super) fn parent(&self) -> Option<&'p Path<'p>> {
        self.parent
    }

    pub(super) fn name(&self) -> &'p str {
        self.name
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The depth of documents is capped, and so is this recursion.
        if let Some(parent) = self.parent {
            write!(f, "{parent}.")?;
        }
        f.write_str(self.name)?;
        match self.index {
            Some(index) => write!(f, "[{index}]"),
            None => Ok(()),
        }
    }
}
