//! Where an element stands in the tree, so that it can be changed once nothing borrows the tree any more.

use crate::definitions::{Element, Kind, TypeDef, TypeId, Types};
use crate::fhirpath::{Item, Node};
use crate::json::{Data, Object, Value};

use super::super::Problem;

/// One step down the JSON tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Member(String),
    Item(usize),
}

/// The place of an element: the object that owns it, and its name there.
#[derive(Debug, Clone)]
pub(super) struct Spot {
    /// The way to the owner.
    pub(super) owner: Vec<Step>,
    pub(super) owner_type: TypeId,
    /// The name in JSON, without the underscore of what stands beside a primitive. Empty: the resource itself.
    pub(super) property: String,
    /// The type of the element.
    pub(super) type_id: TypeId,
    /// In a list, which item.
    pub(super) index: Option<usize>,
}

impl Spot {
    /// The whole resource.
    pub(super) fn root(document: &Value, types: &Types) -> Option<Self> {
        let type_id = types.by_name(document.str_of("resourceType")?)?;
        Some(Self {
            owner: Vec::new(),
            owner_type: type_id,
            property: String::new(),
            type_id,
            index: None,
        })
    }

    /// Where a node of this document stands. None when it is of another one.
    pub(super) fn find(document: &Value, types: &Types, node: &Node<'_>) -> Option<Self> {
        let root = types.by_name(document.str_of("resourceType")?)?;
        let mut search = Search {
            types,
            value: node.value().map(std::ptr::from_ref),
            beside: node.sibling().map(std::ptr::from_ref),
            steps: Vec::new(),
        };
        search.object(document, root)
    }

    /// The element that the owner's type has here.
    pub(super) fn element<'t>(
        &self,
        types: &'t Types,
    ) -> Result<(&'t Element, &'t TypeDef), Problem> {
        let owner = types.get(self.owner_type);
        owner
            .property(&self.property)
            .map(|(element, _)| (element, owner))
            .ok_or_else(|| Problem::target("the path leads to no element of this resource"))
    }

    /// The way to the element itself.
    pub(super) fn steps(&self) -> Vec<Step> {
        let mut steps = self.owner.clone();
        if !self.property.is_empty() {
            steps.push(Step::Member(self.property.clone()));
            steps.extend(self.index.map(Step::Item));
        }
        steps
    }

    pub(super) fn owner_mut<'v>(&self, document: &'v mut Value) -> Result<&'v mut Object, Problem> {
        at_mut(document, &self.owner)
            .and_then(Value::as_object_mut)
            .ok_or_else(lost)
    }

    /// The object that holds the element's own members: for a primitive what stands beside it, made when it is not there.
    pub(super) fn object_mut<'v>(
        &self,
        document: &'v mut Value,
        types: &Types,
    ) -> Result<&'v mut Object, Problem> {
        if types.get(self.type_id).kind != Kind::Primitive {
            let element = at_mut(document, &self.steps());
            return element.and_then(Value::as_object_mut).ok_or_else(lost);
        }
        let owner = self.owner_mut(document)?;
        let beside = format!("_{}", self.property);
        if !owner.contains(&beside) {
            let after = owner
                .position(&self.property)
                .map_or(owner.len(), |at| at + 1);
            let empty = match self.index {
                Some(_) => Value::from(Vec::new()),
                None => Value::from(Object::new()),
            };
            owner.insert_at(after, &beside, empty);
        }
        let mut place = owner.get_mut(&beside).ok_or_else(lost)?;
        if let Some(index) = self.index {
            let list = place.as_array_mut().ok_or_else(lost)?;
            if list.len() <= index {
                list.resize(index + 1, Value::from(Data::Null));
            }
            place = list.get_mut(index).ok_or_else(lost)?;
        }
        if place.is_null() {
            *place = Value::from(Object::new());
        }
        place.as_object_mut().ok_or_else(lost)
    }

    /// Whether these items are the whole list that this is an item of, in its order.
    pub(super) fn is_list_of(&self, document: &Value, items: &[Item<'_>]) -> bool {
        let Some(owner) = at(document, &self.owner) else {
            return false;
        };
        let values = owner.items_of(&self.property);
        let besides = owner.items_of(&format!("_{}", self.property));
        let is_item = |index: usize, item: &Item<'_>| {
            let same = |there: Option<&Value>, found: Option<&Value>| matches!((there, found), (Some(there), Some(found)) if std::ptr::eq(there, found));
            item.as_node().is_some_and(|node| {
                same(values.get(index), node.value()) || same(besides.get(index), node.sibling())
            })
        };
        items.len() == values.len().max(besides.len())
            && items
                .iter()
                .enumerate()
                .all(|(index, item)| is_item(index, item))
    }
}

/// The element was found a moment ago; that it is gone cannot happen, and is no reason to panic.
fn lost() -> Problem {
    Problem::target("the element is of another shape than its type")
}

pub(super) fn at<'v>(document: &'v Value, steps: &[Step]) -> Option<&'v Value> {
    steps.iter().try_fold(document, |here, step| match step {
        Step::Member(name) => here.get(name),
        Step::Item(index) => here.as_array()?.get(*index),
    })
}

pub(super) fn at_mut<'v>(document: &'v mut Value, steps: &[Step]) -> Option<&'v mut Value> {
    steps.iter().try_fold(document, |here, step| match step {
        Step::Member(name) => here.get_mut(name),
        Step::Item(index) => here.as_array_mut()?.get_mut(*index),
    })
}

/// Looks for a value by its address.
struct Search<'t> {
    types: &'t Types,
    value: Option<*const Value>,
    beside: Option<*const Value>,
    steps: Vec<Step>,
}

impl Search<'_> {
    fn is_it(&self, value: &Value) -> bool {
        let address = Some(std::ptr::from_ref(value));
        address == self.value || address == self.beside
    }

    fn object(&mut self, value: &Value, own: TypeId) -> Option<Spot> {
        let object = value.as_object()?;
        let definition = self.types.get(own);
        for (name, member) in object.iter() {
            let plain = name.strip_prefix('_').unwrap_or(name);
            let Some((_, kind)) = definition.property(plain) else {
                continue;
            };
            let spot = |search: &Self, index| {
                Some(Spot {
                    owner: search.steps.clone(),
                    owner_type: own,
                    property: plain.to_owned(),
                    type_id: search.type_of(kind.id, member),
                    index,
                })
            };
            if self.is_it(member) {
                return spot(self, None);
            }
            self.steps.push(Step::Member(name.to_owned()));
            let items = member.as_array().unwrap_or_default();
            if let Some(index) = items.iter().position(|item| self.is_it(item)) {
                self.steps.pop();
                return Some(Spot {
                    type_id: items
                        .get(index)
                        .map_or(kind.id, |item| self.type_of(kind.id, item)),
                    ..spot(self, Some(index))?
                });
            }
            for (index, item) in items.iter().enumerate() {
                self.steps.push(Step::Item(index));
                let found = self.object(item, self.type_of(kind.id, item));
                if found.is_some() {
                    return found;
                }
                self.steps.pop();
            }
            let found = self.object(member, self.type_of(kind.id, member));
            if found.is_some() {
                return found;
            }
            self.steps.pop();
        }
        None
    }

    /// A resource in a resource is of the type that it names.
    fn type_of(&self, declared: TypeId, value: &Value) -> TypeId {
        if self.types.get(declared).kind != Kind::Resource {
            return declared;
        }
        value
            .str_of("resourceType")
            .and_then(|name| self.types.by_name(name))
            .unwrap_or(declared)
    }
}
