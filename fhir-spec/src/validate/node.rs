//! An element of a document with its two halves: the value, and for primitives the `_name` sibling that carries id and
//! extensions. <https://hl7.org/fhir/R4/json.html#primitive>

use crate::definitions::{Element, Kind, TypeId, Types};
use crate::json::{Object, Value};

#[derive(Debug, Clone, Copy)]
pub(super) struct Node<'d> {
    pub(super) value: Option<&'d Value>,
    pub(super) extra: Option<&'d Value>,
    pub(super) type_id: TypeId,
}

impl<'d> Node<'d> {
    pub(super) fn new(value: &'d Value, type_id: TypeId) -> Self {
        Self {
            value: Some(value),
            extra: None,
            type_id,
        }
    }

    pub(super) fn at(&self) -> u32 {
        self.value.or(self.extra).map_or(0, |value| value.at)
    }

    /// The object that holds its children: for primitives the sibling.
    pub(super) fn object(&self) -> Option<&'d Object> {
        self.value
            .and_then(Value::as_object)
            .or_else(|| self.extra.and_then(Value::as_object))
    }

    pub(super) fn as_str(&self) -> Option<&'d str> {
        self.value.and_then(Value::as_str)
    }

    /// Tells this node from every other of the same document.
    pub(super) fn identity(&self) -> usize {
        self.value
            .or(self.extra)
            .map_or(0, |value| std::ptr::from_ref(value).addr())
    }

    /// The children under an element of this node's type, in the order of the document.
    pub(super) fn children(&self, types: &Types, element: &Element) -> Vec<Node<'d>> {
        let mut found = Vec::new();
        let Some(object) = self.object() else {
            return found;
        };
        for kind in &element.types {
            let value = object.get(&kind.json_name);
            let is_primitive = types.get(kind.id).kind == Kind::Primitive;
            let extra = if is_primitive {
                extra_of(object, &kind.json_name)
            } else {
                None
            };
            if value.is_some() || extra.is_some() {
                push_items(&mut found, types, value, extra, kind.id);
            }
        }
        found
    }

    /// The children of that FHIRPath name; nothing when the type has no such element.
    pub(super) fn children_named(&self, types: &Types, name: &str) -> Vec<Node<'d>> {
        match types.get(self.type_id).element(name) {
            Some(element) => self.children(types, element),
            None => Vec::new(),
        }
    }
}

/// The `_name` beside a `name`.
pub(super) fn extra_of<'d>(object: &'d Object, name: &str) -> Option<&'d Value> {
    object
        .iter()
        .find(|(member, _)| member.strip_prefix('_') == Some(name))
        .map(|(_, value)| value)
}

/// The type of a resource in the document: what its `resourceType` says, when that is known.
pub(super) fn resource_type(types: &Types, value: &Value) -> Option<TypeId> {
    types
        .by_name(value.str_of("resourceType")?)
        .filter(|id| types.get(*id).kind == Kind::Resource)
}

fn push_items<'d>(
    found: &mut Vec<Node<'d>>,
    types: &Types,
    value: Option<&'d Value>,
    extra: Option<&'d Value>,
    type_id: TypeId,
) {
    let values = items(value);
    let extras = items(extra);
    for index in 0..values.len().max(extras.len()) {
        let value = values.get(index).filter(|value| !value.is_null());
        let extra = extras.get(index).filter(|extra| !extra.is_null());
        if value.is_none() && extra.is_none() {
            continue;
        }
        let type_id = match value {
            Some(value) if types.get(type_id).kind == Kind::Resource => {
                resource_type(types, value).unwrap_or(type_id)
            }
            _ => type_id,
        };
        found.push(Node {
            value,
            extra,
            type_id,
        });
    }
}

fn items(value: Option<&Value>) -> &[Value] {
    match value {
        None => &[],
        Some(value) => value
            .as_array()
            .unwrap_or_else(|| std::slice::from_ref(value)),
    }
}
