//! An element of a document: its JSON value, its `_` sibling and its type.
//! <https://hl7.org/fhir/R4/json.html#primitive>

use super::ast::{Plan, PlannedName};
use super::item::{Item, Str};
use super::quantity::{Quantity, Unit};
use crate::decimal;
use crate::definitions::{Element, Kind, TypeId, TypeRef, Types};
use crate::json::{Data, Object, Value};
use crate::time::{CalendarUnit, Date, DateTime, Time};

const UCUM: &str = "http://unitsofmeasure.org";

/// Borrowed from the document and small enough to copy.
#[derive(Debug, Clone, Copy)]
pub struct Node<'a> {
    /// Absent when a primitive has extensions but no value.
    value: Option<&'a Value>,
    /// What stands under `_name`: id and extensions of a primitive.
    sibling: Option<&'a Value>,
    kind: NodeKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NodeKind {
    Typed(TypeId),
    /// Ids and the urls of extensions: FHIR defines them as strings of FHIRPath itself.
    System(TypeId),
    /// Part of a document that no type describes.
    Untyped,
}

impl<'a> Node<'a> {
    /// A whole resource, of the type that its `resourceType` names.
    pub fn of_resource(types: Option<&Types>, value: &'a Value) -> Self {
        let type_id = types.and_then(|types| types.by_name(value.str_of("resourceType")?));
        let kind = type_id.map_or(NodeKind::Untyped, NodeKind::Typed);
        Self {
            value: Some(value),
            sibling: None,
            kind,
        }
    }

    /// An element whose type is known to the caller.
    pub fn typed(value: Option<&'a Value>, sibling: Option<&'a Value>, type_id: TypeId) -> Self {
        Self {
            value,
            sibling,
            kind: NodeKind::Typed(type_id),
        }
    }

    /// A resource that is known by its type only: the target of a reference that nobody resolves.
    pub(super) fn unseen(type_id: TypeId) -> Self {
        Self {
            value: None,
            sibling: None,
            kind: NodeKind::Typed(type_id),
        }
    }

    pub fn value(&self) -> Option<&'a Value> {
        self.value
    }

    pub fn sibling(&self) -> Option<&'a Value> {
        self.sibling
    }

    /// Its FHIR type; nothing for what no type describes.
    pub fn type_id(&self) -> Option<TypeId> {
        match self.kind {
            NodeKind::Typed(id) | NodeKind::System(id) => Some(id),
            NodeKind::Untyped => None,
        }
    }

    pub(super) fn kind(&self) -> NodeKind {
        self.kind
    }

    pub fn is_resource(&self) -> bool {
        self.value
            .is_some_and(|value| value.get("resourceType").is_some())
    }

    /// Byte offset in the text of the document.
    pub fn at(&self) -> u32 {
        self.value.or(self.sibling).map_or(0, |value| value.at)
    }

    /// Whether both stand at the same place of the same document.
    pub fn is_same(&self, other: &Self) -> bool {
        let place = |value: Option<&'a Value>| value.map(std::ptr::from_ref);
        place(self.value) == place(other.value) && place(self.sibling) == place(other.sibling)
    }

    /// The children of that name, one after the other.
    pub(super) fn children_named(
        &self,
        types: Option<&Types>,
        name: &str,
        plan: Option<&Plan>,
        push: &mut dyn FnMut(Node<'a>),
    ) {
        if let (Some(plan), NodeKind::Typed(own)) = (plan, self.kind)
            && plan.owner == own
        {
            if let [planned] = plan.names.as_slice() {
                self.push_member(
                    types,
                    &planned.json_name,
                    planned.kind,
                    planned.is_primitive,
                    push,
                );
            } else {
                let names = |json_name: &str| {
                    plan.names
                        .iter()
                        .find(|planned| *planned.json_name == *json_name)
                };
                self.push_choice(
                    types,
                    name,
                    |json_name| {
                        names(json_name).map(|planned| (planned.kind, planned.is_primitive))
                    },
                    push,
                );
            }
            return;
        }
        match (self.type_id(), types) {
            (Some(own), Some(types)) => self.typed_children_named(types, own, name, push),
            _ => self.push_member(types, name, NodeKind::Untyped, true, push),
        }
    }

    fn typed_children_named(
        &self,
        types: &Types,
        own: TypeId,
        name: &str,
        push: &mut dyn FnMut(Node<'a>),
    ) {
        if let Some(element) = types.get(own).element(name) {
            let facts = |type_ref: &TypeRef| {
                let is_primitive = types.get(type_ref.id).kind == Kind::Primitive;
                (kind_of(element, type_ref.id), is_primitive)
            };
            if let [type_ref] = element.types.as_slice() {
                let (kind, is_primitive) = facts(type_ref);
                self.push_member(Some(types), &type_ref.json_name, kind, is_primitive, push);
            } else {
                let names = |json_name: &str| {
                    element
                        .types
                        .iter()
                        .find(|type_ref| *type_ref.json_name == *json_name)
                };
                self.push_choice(
                    Some(types),
                    name,
                    |json_name| names(json_name).map(facts),
                    push,
                );
            }
        } else if name == "resourceType" && self.is_resource() {
            self.push_member(Some(types), name, NodeKind::Untyped, false, push);
        }
    }

    /// The value of an element that may have many types: one look at each member, not one for each type.
    fn push_choice(
        &self,
        types: Option<&Types>,
        name: &str,
        facts: impl Fn(&str) -> Option<(NodeKind, bool)>,
        push: &mut dyn FnMut(Node<'a>),
    ) {
        let Some(object) = self.value.and_then(Value::as_object) else {
            return;
        };
        for member in object
            .names()
            .map(|member| member.strip_prefix('_').unwrap_or(member))
        {
            if !member.starts_with(name) {
                continue;
            }
            if let Some((kind, is_primitive)) = facts(member) {
                // At most one of the types can be there.
                return self.push_member(types, member, kind, is_primitive, push);
            }
        }
    }

    /// The values of one JSON property, with those of its `_` sibling.
    fn push_member(
        &self,
        types: Option<&Types>,
        name: &str,
        kind: NodeKind,
        is_primitive: bool,
        push: &mut dyn FnMut(Node<'a>),
    ) {
        let object = self.value.and_then(Value::as_object);
        // Primitives keep their id and extensions beside them.
        let Some(object) = object.or_else(|| self.sibling.and_then(Value::as_object)) else {
            return;
        };
        let value = object.get(name);
        let sibling = if is_primitive {
            sibling_of(object, name)
        } else {
            None
        };
        if value.is_some() || sibling.is_some() {
            push_all(types, value, sibling, kind, push);
        }
    }

    /// All children, in the order of the document.
    pub(super) fn children(&self, types: Option<&Types>, push: &mut dyn FnMut(Node<'a>)) {
        let object = self.value.and_then(Value::as_object);
        let Some(object) = object.or_else(|| self.sibling.and_then(Value::as_object)) else {
            return;
        };
        let own = self.type_id().zip(types).map(|(id, types)| types.get(id));
        let is_primitive = |id| types.is_some_and(|types| types.get(id).kind == Kind::Primitive);
        for (member, value) in object.iter() {
            if member == "resourceType" && self.is_resource() {
                continue;
            }
            let (name, sibling) = match member.strip_prefix('_') {
                None => (member, sibling_of(object, member)),
                // Told together with its value.
                Some(name) if object.contains(name) => continue,
                Some(name) => (name, Some(value)),
            };
            let value = (!member.starts_with('_')).then_some(value);
            let kind = match own {
                None => NodeKind::Untyped,
                Some(own) => match own.property(name) {
                    Some((_, type_ref)) if value.is_none() && !is_primitive(type_ref.id) => {
                        continue;
                    }
                    Some((element, type_ref)) => kind_of(element, type_ref.id),
                    None => continue,
                },
            };
            push_all(types, value, sibling, kind, push);
        }
    }

    /// The value of a primitive (or a quantity) as FHIRPath's own; the node itself when it has none.
    pub(super) fn system(self, types: Option<&Types>) -> Item<'a> {
        let Some(value) = self.value else {
            return Item::Node(self);
        };
        let name = match (self.type_id(), types) {
            (Some(id), Some(types)) => &*types.get(id).name,
            _ => "",
        };
        match &value.data {
            Data::String(text) => text_item(name, text),
            Data::Bool(value) => Item::Boolean(*value),
            Data::Number(digits) => number_item(name, digits),
            Data::Object(_) if is_quantity(name) => {
                quantity(value).map_or(Item::Node(self), Item::from)
            }
            _ => Item::Node(self),
        }
    }
}

fn sibling_of<'a>(object: &'a Object, name: &str) -> Option<&'a Value> {
    object
        .iter()
        .find(|(member, _)| member.strip_prefix('_') == Some(name))
        .map(|(_, value)| value)
}

/// Where JSON has the values of an element, one name for each type it may have.
pub(super) fn planned_names(types: &Types, element: &Element) -> Vec<PlannedName> {
    let planned = element.types.iter().map(|type_ref| PlannedName {
        json_name: type_ref.json_name.clone(),
        is_primitive: types.get(type_ref.id).kind == Kind::Primitive,
        kind: kind_of(element, type_ref.id),
    });
    planned.collect()
}

fn kind_of(element: &Element, type_id: TypeId) -> NodeKind {
    if &*element.name == "id" || &*element.path == "Extension.url" {
        NodeKind::System(type_id)
    } else {
        NodeKind::Typed(type_id)
    }
}

/// A property's value and its sibling as nodes: lists item by item, with `null` where one of them has nothing.
fn push_all<'a>(
    types: Option<&Types>,
    value: Option<&'a Value>,
    sibling: Option<&'a Value>,
    kind: NodeKind,
    push: &mut dyn FnMut(Node<'a>),
) {
    let values = value.and_then(Value::as_array);
    let siblings = sibling.and_then(Value::as_array);
    if values.is_none() && siblings.is_none() {
        return push_one(types, value, sibling, kind, push);
    }
    let (values, siblings) = (values.unwrap_or_default(), siblings.unwrap_or_default());
    for index in 0..values.len().max(siblings.len()) {
        push_one(types, values.get(index), siblings.get(index), kind, push);
    }
}

fn push_one<'a>(
    types: Option<&Types>,
    value: Option<&'a Value>,
    sibling: Option<&'a Value>,
    kind: NodeKind,
    push: &mut dyn FnMut(Node<'a>),
) {
    let value = value.filter(|value| !value.is_null());
    let sibling = sibling.filter(|sibling| !sibling.is_null());
    if value.is_none() && sibling.is_none() {
        return;
    }
    // What may be any resource says itself which one it is.
    let is_any_resource = |id, types: &Types| types.get(id).kind == Kind::Resource;
    let kind = match (kind, types, value) {
        (NodeKind::Typed(id), Some(types), Some(value)) if is_any_resource(id, types) => {
            match Node::of_resource(Some(types), value).kind {
                NodeKind::Untyped => kind,
                own => own,
            }
        }
        (NodeKind::Untyped, Some(types), Some(value)) => Node::of_resource(Some(types), value).kind,
        _ => kind,
    };
    push(Node {
        value,
        sibling,
        kind,
    });
}

pub(super) fn is_quantity(type_name: &str) -> bool {
    matches!(
        type_name,
        "Quantity" | "Age" | "Distance" | "Duration" | "Count" | "SimpleQuantity" | "MoneyQuantity"
    )
}

/// A text that is not what its type promises stays a string: the validator tells, not the expression.
fn text_item<'a>(type_name: &str, text: &'a str) -> Item<'a> {
    let moment = match type_name {
        "date" => Date::parse(text).map(Item::Date),
        "dateTime" | "instant" => DateTime::parse(text).map(Item::DateTime),
        "time" => Time::parse(text).map(Item::Time),
        _ => None,
    };
    moment.unwrap_or(Item::String(Str::Borrowed(text)))
}

fn number_item<'a>(type_name: &str, digits: &'a str) -> Item<'a> {
    if type_name != "decimal" {
        if let Ok(number) = digits.parse() {
            return Item::Integer(number);
        }
        if let Ok(number) = digits.parse() {
            return Item::Long(number);
        }
    }
    decimal::parse(digits).map_or(Item::String(Str::Borrowed(digits)), Item::Decimal)
}

/// A FHIR Quantity as FHIRPath's. <https://hl7.org/fhir/R4/fhirpath.html#quantity>
/// One with a comparator is no exact amount, one in units that are not UCUM's has none to reckon with.
fn quantity(value: &Value) -> Option<Quantity> {
    if value.get("comparator").is_some() {
        return None;
    }
    let number = decimal::parse(value.get("value")?.as_number()?)?;
    let unit = match (value.str_of("system"), value.str_of("code")) {
        (Some(UCUM), Some(code)) => {
            CalendarUnit::from_ucum(code).map_or_else(|| Unit::Ucum(code.into()), Unit::Either)
        }
        (None, None) if value.get("unit").is_none() => Unit::one(),
        _ => return None,
    };
    Some(Quantity {
        value: number,
        unit,
    })
}
