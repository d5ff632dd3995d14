//! Contained resources: ids that a message made up for its own must not meet those that are stored.

use std::borrow::Cow;
use std::collections::HashSet;

use fhir_spec::json::{Data, Object, Value};

/// The message with the ids of what is stored where it contains the same, and new ones where an id is taken.
/// Owned only when both contain something.
pub(super) fn adopted<'s>(stored: &Object, said: &'s Value) -> Cow<'s, Value> {
    let of = |object: &Object| -> Vec<Value> {
        let items = object.get("contained").and_then(Value::as_array);
        items.map(<[Value]>::to_vec).unwrap_or_default()
    };
    let known = of(stored);
    let new = said.as_object().map(of).unwrap_or_default();
    if known.is_empty() {
        return Cow::Borrowed(said);
    }
    let mut said = said.clone();
    let mut taken: HashSet<String> = known.iter().chain(&new).map(id).collect();
    let mut joined = known.clone();
    let mut moves = Vec::new();
    for resource in &new {
        let old = id(resource);
        if let Some(same) = known.iter().find(|known| is_same(known, resource)) {
            moves.push((old, id(same)));
            continue;
        }
        if known.iter().any(|known| id(known) == old) {
            let free = (1usize..).map(|number| number.to_string());
            let Some(free) = free.into_iter().find(|free| !taken.contains(free)) else {
                continue;
            };
            taken.insert(free.clone());
            let mut resource = resource.clone();
            if let Some(object) = resource.as_object_mut() {
                object.set("id", free.as_str());
            }
            joined.push(resource);
            moves.push((old, free));
        } else {
            joined.push(resource.clone());
        }
    }
    if let Some(object) = said.as_object_mut() {
        object.remove("contained");
    }
    follow(&mut said, &moves);
    for resource in joined.iter_mut().skip(known.len()) {
        follow(resource, &moves);
    }
    if let Some(object) = said.as_object_mut() {
        object.set("contained", joined);
    }
    Cow::Owned(said)
}

/// Takes out what nobody refers to any more.
pub(super) fn sweep(document: &mut Object) {
    loop {
        let mut wanted = HashSet::new();
        for (_, value) in document.iter() {
            references(value, &mut wanted);
        }
        let Some(Data::Array(items)) = document.get_mut("contained").map(|value| &mut value.data)
        else {
            return;
        };
        let before = items.len();
        items.retain(|item| wanted.contains(&id(item)) || refers_out(item));
        let after = items.len();
        if after == 0 {
            document.remove("contained");
        }
        if after == before || after == 0 {
            return;
        }
    }
}

/// What refers to the resource around it belongs to it.
fn refers_out(resource: &Value) -> bool {
    let mut wanted = HashSet::new();
    references(resource, &mut wanted);
    wanted.contains("")
}

fn id(resource: &Value) -> String {
    resource.str_of("id").unwrap_or_default().to_owned()
}

fn is_same(a: &Value, b: &Value) -> bool {
    let without_id = |value: &Value| -> Object {
        let mut object = value.as_object().cloned().unwrap_or_default();
        object.remove("id");
        object
    };
    without_id(a) == without_id(b)
}

fn references(value: &Value, found: &mut HashSet<String>) {
    match &value.data {
        Data::Array(items) => items.iter().for_each(|item| references(item, found)),
        Data::Object(object) => {
            for (name, value) in object.iter() {
                match value.as_str().and_then(|text| text.strip_prefix('#')) {
                    Some(id) if name == "reference" => {
                        found.insert(id.to_owned());
                    }
                    _ => references(value, found),
                }
            }
        }
        _ => {}
    }
}

fn follow(value: &mut Value, moves: &[(String, String)]) {
    match &mut value.data {
        Data::Array(items) => items.iter_mut().for_each(|item| follow(item, moves)),
        Data::Object(object) => {
            for (name, value) in object.iter_mut() {
                let to = value
                    .as_str()
                    .and_then(|text| text.strip_prefix('#'))
                    .filter(|_| name == "reference")
                    .and_then(|id| moves.iter().find(|(from, _)| from == id))
                    .map(|(_, to)| format!("#{to}"));
                match to {
                    Some(to) => *value = to.into(),
                    None => follow(value, moves),
                }
            }
        }
        _ => {}
    }
}
