//! Members of the tree, put together from elements: single ones, lists, and what JSON keeps beside primitives.
//! <https://hl7.org/fhir/R4/json.html#primitive>

use crate::json::{Data, Object, Text, Value};

/// What one element says: a value, and for a primitive what JSON keeps beside it (`_birthDate`).
#[derive(Default)]
pub(super) struct Read {
    pub(super) value: Option<Value>,
    pub(super) beside: Option<Value>,
}

/// The name of the member that stands beside a primitive.
fn beside(name: &str) -> Text {
    let mut beside = Text::const_new("_");
    beside.push_str(name);
    beside
}

fn list_mut<'o>(object: &'o mut Object, name: &str) -> Option<&'o mut Vec<Value>> {
    object.get_mut(name)?.as_array_mut()
}

/// How many items of that name were read so far.
pub(super) fn count(object: &Object, name: &str) -> usize {
    // All items may be without values: then only the list beside exists.
    object
        .get(name)
        .or_else(|| object.get(&beside(name)))
        .and_then(Value::as_array)
        .map_or(0, <[Value]>::len)
}

pub(super) fn set_single(object: &mut Object, name: &str, read: Read) {
    if let Some(value) = read.value {
        object.set(name, value);
    }
    if let Some(value) = read.beside {
        object.set(&beside(name), value);
    }
}

/// Adds the item of index `item`, keeping the list and the one beside it equally long.
pub(super) fn add_item(object: &mut Object, name: &str, item: usize, read: Read) {
    let Read {
        value,
        beside: extra,
    } = read;
    let filled = |value: Value| {
        let mut list: Vec<Value> = std::iter::repeat_n(Data::Null.into(), item).collect();
        list.push(value);
        Value::from(list)
    };
    let is_primitive = value
        .as_ref()
        .is_none_or(|value| value.as_object().is_none());
    match (list_mut(object, name), value) {
        (Some(list), value) => list.push(value.unwrap_or_else(|| Data::Null.into())),
        (None, Some(value)) => {
            let index = object.position(&beside(name)).unwrap_or(object.len());
            object.insert_at(index, name, filled(value));
        }
        (None, None) => {}
    }
    if !is_primitive {
        return;
    }
    if let Some(list) = list_mut(object, &beside(name)) {
        list.push(extra.unwrap_or_else(|| Data::Null.into()));
    } else if let Some(extra) = extra {
        object.set(&beside(name), filled(extra));
    }
}
