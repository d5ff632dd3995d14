//! Changes to an object's members: single ones and lists, each with what stands beside a primitive.

use crate::definitions::TypeDef;
use crate::json::{Data, Object, Value};

use super::super::Problem;
use super::spot::{Spot, Step, at, at_mut};

/// A new value, with what stands beside it.
#[derive(Debug)]
pub(super) struct New {
    pub(super) value: Option<Value>,
    pub(super) beside: Option<Value>,
}

impl New {
    pub(super) fn of(value: Value) -> Self {
        Self {
            value: Some(value),
            beside: None,
        }
    }
}

fn beside(name: &str) -> String {
    format!("_{name}")
}

fn items<'o>(object: &'o Object, name: &str) -> &'o [Value] {
    let list = object.get(name).and_then(Value::as_array);
    list.unwrap_or_default()
}

/// How many items a list has.
pub(super) fn length(object: &Object, name: &str) -> usize {
    items(object, name)
        .len()
        .max(items(object, &beside(name)).len())
}

/// Sets a member where the definition has it.
fn set_in_order(object: &mut Object, definition: &TypeDef, name: &str, value: Value) {
    if object.contains(name) {
        return object.set(name, value);
    }
    let index = |name: &str| {
        let plain = name.strip_prefix('_').unwrap_or(name);
        definition
            .ordered_property(plain)
            .map(|(index, _, _)| index)
    };
    let own = index(name);
    let later = object.names().position(|other| index(other) > own);
    object.insert_at(later.unwrap_or(object.len()), name, value);
}

pub(super) fn set_single(object: &mut Object, definition: &TypeDef, name: &str, new: New) {
    if let Some(value) = new.value {
        set_in_order(object, definition, name, value);
    }
    if let Some(value) = new.beside {
        set_in_order(object, definition, &beside(name), value);
    }
}

pub(super) fn remove_single(object: &mut Object, name: &str) {
    object.remove(name);
    object.remove(&beside(name));
}

/// Both lists of a member, made equally long for a change and put back without what is empty.
fn change_lists(
    object: &mut Object,
    definition: Option<&TypeDef>,
    name: &str,
    change: impl FnOnce(&mut Vec<Value>, &mut Vec<Value>),
) {
    let length = length(object, name);
    let mut take = |name: &str| {
        let mut list = match object.get_mut(name).map(|list| &mut list.data) {
            Some(Data::Array(list)) => std::mem::take(list),
            _ => Vec::new(),
        };
        list.resize(length, Data::Null.into());
        list
    };
    let (mut values, mut besides) = (take(name), take(&beside(name)));
    change(&mut values, &mut besides);
    for (name, list) in [(name.to_owned(), values), (beside(name), besides)] {
        if list.iter().all(Value::is_null) {
            object.remove(&name);
        } else if let Some(definition) = definition {
            set_in_order(object, definition, &name, list.into());
        } else {
            object.set(&name, list);
        }
    }
}

fn or_null(value: Option<Value>) -> Value {
    value.unwrap_or_else(|| Data::Null.into())
}

pub(super) fn insert(
    object: &mut Object,
    definition: &TypeDef,
    name: &str,
    index: usize,
    new: New,
) -> Result<(), Problem> {
    let length = length(object, name);
    if index > length {
        let problem = format!("the index {index} is beyond the end of a list of {length}");
        return Err(Problem::Target(problem));
    }
    change_lists(object, Some(definition), name, |values, besides| {
        values.insert(index, or_null(new.value));
        besides.insert(index, or_null(new.beside));
    });
    Ok(())
}

/// Moves an item to another place of its list.
pub(super) fn shift(
    object: &mut Object,
    name: &str,
    from: usize,
    to: usize,
) -> Result<(), Problem> {
    let length = length(object, name);
    if from >= length || to >= length {
        let index = from.max(to);
        let problem = format!("the index {index} is beyond the end of a list of {length}");
        return Err(Problem::Target(problem));
    }
    change_lists(object, None, name, |values, besides| {
        for list in [values, besides] {
            let item = list.remove(from);
            list.insert(to, item);
        }
    });
    Ok(())
}

pub(super) fn replace_item(object: &mut Object, name: &str, index: usize, new: New) {
    change_lists(object, None, name, |values, besides| {
        for (list, new) in [(values, new.value), (besides, new.beside)] {
            if let Some(item) = list.get_mut(index) {
                *item = or_null(new);
            }
        }
    });
}

fn remove_item(object: &mut Object, name: &str, index: usize) {
    change_lists(object, None, name, |values, besides| {
        for list in [values, besides] {
            if index < list.len() {
                list.remove(index);
            }
        }
    });
}

/// Deletes an element, and the elements around it that are empty without it.
pub(super) fn delete(document: &mut Value, spot: &Spot) -> Result<(), Problem> {
    let object = spot.owner_mut(document)?;
    match spot.index {
        Some(index) => remove_item(object, &spot.property, index),
        None => remove_single(object, &spot.property),
    }
    let mut steps = spot.owner.clone();
    while is_empty(document, &steps) {
        let last = steps.pop();
        let (name, index) = match (last, steps.last()) {
            (Some(Step::Member(name)), _) => (name, None),
            (Some(Step::Item(index)), Some(Step::Member(name))) => (name.clone(), Some(index)),
            _ => break,
        };
        if index.is_some() {
            steps.pop();
        }
        let Some(owner) = at_mut(document, &steps).and_then(Value::as_object_mut) else {
            break;
        };
        match (index, name.strip_prefix('_')) {
            (None, _) => drop(owner.remove(&name)),
            (Some(index), None) => remove_item(owner, &name, index),
            // What stands beside a primitive goes alone; only when there is no value does the item go.
            (Some(index), Some(plain)) => {
                if items(owner, plain).get(index).is_none_or(Value::is_null) {
                    remove_item(owner, plain, index);
                } else {
                    change_lists(owner, None, plain, |_, besides| {
                        if let Some(item) = besides.get_mut(index) {
                            *item = Data::Null.into();
                        }
                    });
                }
            }
        }
    }
    Ok(())
}

fn is_empty(document: &Value, steps: &[Step]) -> bool {
    let object = at(document, steps).and_then(Value::as_object);
    !steps.is_empty() && object.is_some_and(Object::is_empty)
}
