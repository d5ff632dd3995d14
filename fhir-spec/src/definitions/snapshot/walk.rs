//! The way of a differential's element into the tree: datatypes unfold, slices open, choices narrow.

use std::rc::Rc;

use super::address::Step;
use super::merge::merge;
use super::tree::{Node, is_choice_with_type, type_of_choice};
use super::{Generator, SnapshotError};
use crate::definitions::structure::sliced_names;
use crate::definitions::types::type_code;
use crate::json::{Object, Text, Value};

const TYPE_URL: &str = "http://hl7.org/fhir/StructureDefinition/";

/// What merging one differential needs to know.
pub(super) struct Walk<'a> {
    /// The base before anything was merged: content references lead there.
    pub(super) base: Rc<Node>,
    /// A new type may add elements; a profile may not.
    pub(super) may_add: bool,
    pub(super) source: &'a str,
    /// Where each element of the differential belongs.
    pub(super) all: Vec<Vec<Step>>,
}

impl Walk<'_> {
    /// Merges an element of the differential into the tree.
    pub(super) fn apply(
        &self,
        generator: &mut Generator<'_>,
        root: &mut Node,
        steps: &[Step],
        element: &Value,
    ) -> Result<(), SnapshotError> {
        let differential = element.as_object().cloned().unwrap_or_default();
        let path = element.str_of("path").unwrap_or_default();
        let mut node = root;
        let last = steps.len().saturating_sub(1);
        for (depth, step) in steps.iter().enumerate().skip(1) {
            self.unfold(generator, node)?;
            let Some(index) = self.child(node, step, path) else {
                return Err(SnapshotError::UnknownElement(path.into()));
            };
            let Some(child) = node.children.get_mut(index) else {
                return Err(SnapshotError::UnknownElement(path.into()));
            };
            let states_type = is_required(&differential) || differential.contains("type");
            if depth == last && states_type && self.is_only_type(steps, child) {
                close_choice(child, &step.name);
            }
            node = match slice_of(child, step) {
                Some(name) => self.slice(generator, child, &name)?,
                None => child,
            };
        }
        take_from_extension(generator, node, &differential);
        merge(&mut node.facts, &differential, self.source);
        Ok(())
    }

    /// The index of the child that a step names; a new type's child is added.
    fn child(&self, node: &mut Node, step: &Step, path: &str) -> Option<usize> {
        let is_choice = |child: &Node| is_choice_with_type(&child.step, &step.name);
        let index = node
            .children
            .iter()
            .position(|child| child.step == step.name)
            .or_else(|| node.children.iter().position(is_choice));
        if index.is_none() && self.may_add && path.ends_with(step.name.as_str()) {
            node.children.push(Node::new(&step.name));
            return Some(node.children.len() - 1);
        }
        index
    }

    /// Whether the last of these steps writes a choice with a type (`valueQuantity`), and the differential writes it with
    /// no other.
    fn is_only_type(&self, steps: &[Step], choice: &Node) -> bool {
        let Some((last, way)) = steps.split_last() else {
            return false;
        };
        is_choice_with_type(&choice.step, &last.name)
            && !self.all.iter().any(|other| {
                other.get(way.len()).is_some_and(|step| {
                    step.name != last.name && is_choice_with_type(&choice.step, &step.name)
                }) && other.starts_with(way)
            })
    }

    /// The slice of that name, opened from what it slices when it is new.
    fn slice<'n>(
        &self,
        generator: &mut Generator<'_>,
        head: &'n mut Node,
        name: &Text,
    ) -> Result<&'n mut Node, SnapshotError> {
        let position = |head: &Node, name: &str| {
            head.slices
                .iter()
                .position(|slice| slice.slice_name.as_deref() == Some(name))
        };
        let index = match position(head, name) {
            Some(index) => index,
            None => {
                let outer = sliced_names(name).find_map(|outer| position(head, outer));
                let slice = new_slice(generator, head, outer, name)?;
                // After the slice it slices again and those of its kind; else at the end.
                let index = outer.map_or(head.slices.len(), |outer| {
                    let inner = sibling_count(head, outer);
                    outer + 1 + inner
                });
                head.slices.insert(index, slice);
                index
            }
        };
        imply_slicing(head);
        let slice = head.slices.get_mut(index);
        slice.ok_or_else(|| SnapshotError::UnknownElement(name.as_str().into()))
    }

    /// Gives an element the children of its type (or of what its content reference names) when it has none yet.
    fn unfold(&self, generator: &mut Generator<'_>, node: &mut Node) -> Result<(), SnapshotError> {
        if !node.children.is_empty() {
            return Ok(());
        }
        if let Some(target) = node.str_of("contentReference") {
            let target = target.rsplit('#').next().unwrap_or_default().to_owned();
            return self.unfold_reference(generator, node, &target);
        }
        let Some(tree) = type_tree(generator, node)? else {
            return Ok(());
        };
        node.children = generator.copy(&tree)?.children;
        Ok(())
    }

    fn unfold_reference(
        &self,
        generator: &mut Generator<'_>,
        node: &mut Node,
        target: &str,
    ) -> Result<(), SnapshotError> {
        let mut steps = target.split('.');
        let owner = steps.next().unwrap_or_default();
        let tree = if self.base.step == owner {
            Rc::clone(&self.base)
        } else {
            generator.tree(&format!("{TYPE_URL}{owner}"))?
        };
        let found = steps.try_fold(&*tree, |node, step| {
            node.children.iter().find(|child| child.step == step)
        });
        let found = found.ok_or_else(|| SnapshotError::UnknownElement(target.into()))?;
        node.children = generator.copy(found)?.children;
        node.facts.remove("contentReference");
        if let Some(types) = found.facts.get("type") {
            node.facts.set("type", types.clone());
        }
        Ok(())
    }
}

/// The slice that a step goes through. A choice written with a type (`valueQuantity`) stands for the slice of that name;
/// where the choice has no other type left, for the choice itself.
fn slice_of(child: &Node, step: &Step) -> Option<Text> {
    if step.slice.is_some() || child.step == step.name {
        return step.slice.clone();
    }
    let wanted = type_of_choice(&child.step, &step.name).unwrap_or_default();
    let is_only = matches!(child.items_of("type"), [only] if is_type(only, wanted));
    (!is_only || !child.slices.is_empty()).then(|| step.name.clone())
}

fn is_required(differential: &Object) -> bool {
    let min = differential.get("min").and_then(Value::as_u64);
    min.is_some_and(|min| min > 0)
}

/// A choice that occurs once and must be of one type (or is said to be) can be of no other.
fn close_choice(choice: &mut Node, name: &str) {
    if choice.str_of("max") == Some("1") {
        narrow(choice, name);
    }
}

/// A slice starts as a copy of what it slices, but nobody must use it unless it says so.
fn new_slice(
    generator: &mut Generator<'_>,
    head: &Node,
    outer: Option<usize>,
    name: &Text,
) -> Result<Node, SnapshotError> {
    let sliced = outer
        .and_then(|outer| head.slices.get(outer))
        .unwrap_or(head);
    let mut slice = Node {
        slices: Vec::new(),
        ..Node::new(&head.step)
    };
    for child in &sliced.children {
        slice.children.push(generator.copy(child)?);
    }
    slice.facts = sliced.facts.clone();
    slice.facts.remove("slicing");
    slice.facts.set("min", Value::number(0));
    slice.slice_name = Some(name.clone());
    narrow(&mut slice, name);
    Ok(slice)
}

/// How many slices right after `outer` slice it again.
fn sibling_count(head: &Node, outer: usize) -> usize {
    let name = head
        .slices
        .get(outer)
        .and_then(|slice| slice.slice_name.clone())
        .unwrap_or_default();
    head.slices
        .iter()
        .skip(outer + 1)
        .take_while(|slice| {
            slice
                .slice_name
                .as_deref()
                .is_some_and(|inner| sliced_names(inner).any(|sliced| sliced == name))
        })
        .count()
}

/// Leaves a choice only the type that `name` (`valueQuantity`) says, when it does.
fn narrow(choice: &mut Node, name: &str) {
    let Some(wanted) = type_of_choice(&choice.step, name) else {
        return;
    };
    let is_wanted = |kind: &Value| is_type(kind, wanted);
    if let Some(types) = choice.facts.get_mut("type").and_then(Value::as_array_mut)
        && types.iter().any(is_wanted)
    {
        types.retain(is_wanted);
    }
}

/// Whether this is the type that a choice's name ends in; only the case of its first letter may differ.
fn is_type(kind: &Value, wanted: &str) -> bool {
    kind.str_of("code")
        .is_some_and(|code| code.eq_ignore_ascii_case(wanted))
}

/// Extensions are always sliced by url, choices by type; a differential need not say so.
fn imply_slicing(head: &mut Node) {
    if head.facts.contains("slicing") {
        return;
    }
    let (kind, path) = match head.step.as_str() {
        "extension" | "modifierExtension" => ("value", "url"),
        step if step.ends_with("[x]") => ("type", "$this"),
        _ => return,
    };
    let discriminator: Object =
        Object::from_iter([("type", Value::from(kind)), ("path", Value::from(path))]);
    let slicing = Object::from_iter([
        ("discriminator", Value::from(vec![discriminator.into()])),
        ("ordered", Value::from(false)),
        ("rules", Value::from("open")),
    ]);
    head.facts.set("slicing", slicing);
}

/// The tree whose children an element gets: of its one profile, else of its type.
fn type_tree(
    generator: &mut Generator<'_>,
    node: &Node,
) -> Result<Option<Rc<Node>>, SnapshotError> {
    let types = node.items_of("type");
    let Some(first) = types.first() else {
        return Ok(None);
    };
    let code = |kind| type_code(kind, "", false);
    let code = if types.iter().all(|kind| code(kind) == code(first)) {
        code(first)
    } else {
        "Element"
    };
    if let ([only], [profile]) = (types, first.items_of("profile"))
        && only.str_of("code") == Some(code)
        && let Some(profile) = profile.as_str()
    {
        // A profile that is not loaded (or leads back here) leaves the plain type.
        if let Ok(tree) = generator.tree(profile.split('#').next().unwrap_or_default()) {
            return Ok(Some(tree));
        }
    }
    let url = if code.contains(':') {
        code.to_owned()
    } else {
        format!("{TYPE_URL}{code}")
    };
    generator.tree(&url).map(Some)
}

/// An extension element says how often its extension may stand there, unless the differential does.
fn take_from_extension(generator: &mut Generator<'_>, node: &mut Node, differential: &Object) {
    if !matches!(node.step.as_str(), "extension" | "modifierExtension") {
        return;
    }
    let types = differential.get("type").and_then(Value::as_array);
    let Some([kind]) = types else { return };
    let Some(profile) = kind.items_of("profile").first().and_then(Value::as_str) else {
        return;
    };
    let Ok(tree) = generator.tree(profile) else {
        return;
    };
    for name in ["max", "isModifier"] {
        if let Some(value) = tree.facts.get(name) {
            node.facts.set(name, value.clone());
        }
    }
}
