//! Snapshots: all elements of a type or profile. Most definitions bring theirs; for the others it is made from the
//! snapshot of the base and the differential. <https://hl7.org/fhir/R4/profiling.html#snapshot>
//!
//! The base becomes a tree ([`tree`]). Each element of the differential finds its place in it ([`address`]), on the way
//! unfolding datatypes and opening slices ([`walk`]), and is merged into what stands there ([`merge`]).

mod address;
mod merge;
mod tree;
mod walk;

use std::borrow::Cow;
use std::collections::HashMap;
use std::rc::Rc;

use super::Definitions;
use crate::json::Value;
use tree::Node;

/// How many elements a snapshot may have. R4's longest has about a thousand; slices of slices of recursive types could
/// grow without end.
pub const SNAPSHOT_ELEMENTS_MAX: usize = 20_000;
/// How many elements a differential may have.
pub const DIFFERENTIAL_ELEMENTS_MAX: usize = 10_000;
/// How long a chain of profiles on profiles may be.
pub const PROFILE_CHAIN_MAX: usize = 32;
/// How many steps the path of an element may have.
pub const PATH_STEPS_MAX: usize = 64;

/// Why a snapshot cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    #[error("its snapshot has no elements")]
    Empty,
    #[error("it has no snapshot and names no baseDefinition to make one from")]
    NoBase,
    #[error("its base `{0}` is not loaded")]
    BaseNotLoaded(Box<str>),
    #[error("its base leads back to itself through `{0}`")]
    BaseCycle(Box<str>),
    #[error("more than {PROFILE_CHAIN_MAX} profiles stand on each other")]
    ChainTooLong,
    #[error(
        "the snapshot would have more than {SNAPSHOT_ELEMENTS_MAX} elements, or the differential has more than {DIFFERENTIAL_ELEMENTS_MAX}"
    )]
    TooLarge,
    #[error("the element `{0}` has no element to stand below")]
    NoParent(Box<str>),
    #[error("the element path `{0}` has more than {PATH_STEPS_MAX} steps")]
    PathTooLong(Box<str>),
    #[error("the differential names `{0}`, which the base does not have")]
    UnknownElement(Box<str>),
}

/// The elements of a definition: its own snapshot, or one made from its differential.
pub(super) fn of<'a>(
    definitions: &Definitions,
    definition: &'a Value,
) -> Result<Cow<'a, [Value]>, SnapshotError> {
    let own = super::types::snapshot(definition);
    if !own.is_empty() {
        return Ok(Cow::Borrowed(own));
    }
    let mut generator = Generator {
        definitions,
        trees: HashMap::new(),
        making: Vec::new(),
        elements_left: SNAPSHOT_ELEMENTS_MAX,
    };
    let tree = generator.make(definition)?;
    Ok(Cow::Owned(tree.flatten()))
}

/// Makes one snapshot, and on the way those it stands on.
struct Generator<'a> {
    definitions: &'a Definitions,
    /// Trees used so far, by canonical url.
    trees: HashMap<Box<str>, Rc<Node>>,
    /// The definitions whose snapshots wait for the one being made.
    making: Vec<Box<str>>,
    /// How many more elements may be copied into the snapshots being made.
    elements_left: usize,
}

impl Generator<'_> {
    /// The tree of a definition that is loaded.
    fn tree(&mut self, canonical: &str) -> Result<Rc<Node>, SnapshotError> {
        if let Some(tree) = self.trees.get(canonical) {
            return Ok(Rc::clone(tree));
        }
        if self.making.iter().any(|url| **url == *canonical) {
            return Err(SnapshotError::BaseCycle(canonical.into()));
        }
        let definition = self
            .definitions
            .artifact_of_type("StructureDefinition", canonical)
            .ok_or_else(|| SnapshotError::BaseNotLoaded(canonical.into()))?;
        let own = super::types::snapshot(&definition);
        let tree = Rc::new(if own.is_empty() {
            self.make(&definition)?
        } else {
            tree::grow(own)?
        });
        self.trees.insert(canonical.into(), Rc::clone(&tree));
        Ok(tree)
    }

    /// The base's tree with the differential merged in.
    fn make(&mut self, definition: &Value) -> Result<Node, SnapshotError> {
        if self.making.len() >= PROFILE_CHAIN_MAX {
            return Err(SnapshotError::ChainTooLong);
        }
        let differential = definition
            .get("differential")
            .map(|differential| differential.items_of("element"))
            .unwrap_or_default();
        if differential.len() > DIFFERENTIAL_ELEMENTS_MAX {
            return Err(SnapshotError::TooLarge);
        }
        let base = definition
            .str_of("baseDefinition")
            .ok_or(SnapshotError::NoBase)?;
        let url = definition.str_of("url").unwrap_or_default();
        self.making.push(url.into());
        let made = self
            .tree(base)
            .and_then(|base| self.merge_all(definition, &base, differential));
        self.making.pop();
        made
    }

    fn merge_all(
        &mut self,
        definition: &Value,
        base: &Rc<Node>,
        differential: &[Value],
    ) -> Result<Node, SnapshotError> {
        let mut root = self.copy(base)?;
        let type_name = definition.str_of("type").unwrap_or_default();
        root.step = type_name.rsplit('/').next().unwrap_or_default().into();
        let mut all: Vec<Vec<address::Step>> = Vec::with_capacity(differential.len());
        for element in differential {
            let previous = all.last().map(Vec::as_slice).unwrap_or_default();
            all.push(address::steps(element, previous)?);
        }
        let walk = walk::Walk {
            base: Rc::clone(base),
            may_add: definition.str_of("derivation") != Some("constraint"),
            source: definition.str_of("url").unwrap_or_default(),
            all,
        };
        for (element, steps) in differential.iter().zip(&walk.all) {
            walk.apply(self, &mut root, steps, element)?;
        }
        Ok(root)
    }

    /// A copy that counts against the size allowed.
    fn copy(&mut self, node: &Node) -> Result<Node, SnapshotError> {
        self.elements_left = self
            .elements_left
            .checked_sub(node.size())
            .ok_or(SnapshotError::TooLarge)?;
        Ok(node.clone())
    }
}

#[cfg(test)]
mod tests;
