//! A snapshot as a tree: elements below elements, slices beside what they slice.

use super::{PATH_STEPS_MAX, SnapshotError};
use crate::json::{Object, Text, Value};

/// An element of the tree.
#[derive(Debug, Clone)]
pub(super) struct Node {
    /// The last step of its path: `name`, `value[x]`; for the root the type.
    pub(super) step: Text,
    pub(super) slice_name: Option<Text>,
    /// The ElementDefinition without id, path and slice name: those follow from the place in the tree.
    pub(super) facts: Object,
    pub(super) children: Vec<Node>,
    /// All of its slices, those of slices (`a/b`) after theirs.
    pub(super) slices: Vec<Node>,
}

/// The tree of a snapshot, whose elements stand in order: parents first, slices after what they slice.
pub(super) fn grow(elements: &[Value]) -> Result<Node, SnapshotError> {
    let mut open: Vec<Node> = Vec::new();
    for element in elements {
        let path = element.str_of("path").unwrap_or_default();
        let steps = path.split('.').count();
        if steps > PATH_STEPS_MAX {
            return Err(SnapshotError::PathTooLong(path.into()));
        }
        close_down_to(&mut open, steps - 1);
        if open.len() + 1 != steps {
            return Err(SnapshotError::NoParent(path.into()));
        }
        open.push(Node::of_element(element, path));
    }
    close_down_to(&mut open, 1);
    open.pop().ok_or(SnapshotError::Empty)
}

/// Hands finished elements to their parents until so many are open.
fn close_down_to(open: &mut Vec<Node>, count: usize) {
    while open.len() > count.max(1) {
        let Some(finished) = open.pop() else { return };
        if let Some(parent) = open.last_mut() {
            parent.adopt(finished);
        }
    }
}

impl Node {
    fn of_element(element: &Value, path: &str) -> Self {
        let mut facts = element.as_object().cloned().unwrap_or_default();
        let own_step = path.rsplit('.').next().unwrap_or_default();
        // A choice narrowed to one type may be written with that type; the tree keeps `[x]`.
        let base_step = element
            .get("base")
            .and_then(|base| base.str_of("path"))
            .and_then(|path| path.rsplit('.').next())
            .filter(|step| is_choice_with_type(step, own_step));
        let step = base_step.unwrap_or(own_step).into();
        let slice_name = element.str_of("sliceName").map(Text::from);
        for name in ["id", "path", "sliceName"] {
            facts.remove(name);
        }
        Self {
            step,
            slice_name,
            facts,
            children: Vec::new(),
            slices: Vec::new(),
        }
    }

    pub(super) fn new(step: &str) -> Self {
        Self {
            step: step.into(),
            slice_name: None,
            facts: Object::new(),
            children: Vec::new(),
            slices: Vec::new(),
        }
    }

    fn adopt(&mut self, node: Self) {
        let sliced = self
            .children
            .iter_mut()
            .find(|child| node.slice_name.is_some() && child.step == node.step);
        match sliced {
            Some(head) => head.slices.push(node),
            None => self.children.push(node),
        }
    }

    /// Itself and all below.
    pub(super) fn size(&self) -> usize {
        let below = self.children.iter().chain(&self.slices);
        1 + below.map(Self::size).sum::<usize>()
    }

    pub(super) fn str_of(&self, name: &str) -> Option<&str> {
        self.facts.get(name)?.as_str()
    }

    pub(super) fn items_of(&self, name: &str) -> &[Value] {
        let items = self.facts.get(name).and_then(Value::as_array);
        items.unwrap_or_default()
    }

    /// The elements in snapshot order, with their ids and paths.
    pub(super) fn flatten(&self) -> Vec<Value> {
        let mut elements = Vec::with_capacity(self.size());
        self.flatten_into("", "", &mut elements);
        elements
    }

    fn flatten_into(&self, parent_id: &str, parent_path: &str, elements: &mut Vec<Value>) {
        let join = |parent: &str| match parent {
            "" => self.step.to_string(),
            _ => format!("{parent}.{}", self.step),
        };
        let path = join(parent_path);
        let mut id = join(parent_id);
        let mut element = Object::new();
        if let Some(slice) = &self.slice_name {
            id.push(':');
            id.push_str(slice);
        }
        element.set("id", id.as_str());
        element.set("path", path.as_str());
        if let Some(slice) = &self.slice_name {
            element.set("sliceName", slice.clone());
        }
        for (name, value) in self.facts.iter() {
            element.set(name, value.clone());
        }
        elements.push(element.into());
        for child in &self.children {
            child.flatten_into(&id, &path, elements);
        }
        for slice in &self.slices {
            slice.flatten_into(parent_id, parent_path, elements);
        }
    }
}

/// Whether `typed` (`valueQuantity`) is `choice` (`value[x]`) with a type in place of `[x]`.
pub(super) fn is_choice_with_type(choice: &str, typed: &str) -> bool {
    type_of_choice(choice, typed).is_some()
}

/// `Quantity` for `value[x]` and `valueQuantity`: the type as the name says it, with its first letter capital.
pub(super) fn type_of_choice<'a>(choice: &str, typed: &'a str) -> Option<&'a str> {
    typed
        .strip_prefix(choice.strip_suffix("[x]")?)
        .filter(|rest| rest.starts_with(|letter: char| letter.is_ascii_uppercase()))
}
