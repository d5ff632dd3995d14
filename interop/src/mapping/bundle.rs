//! What was mapped as one transaction: who says the same is stored once, whoever spoke of it keeps the link.

use std::collections::HashMap;

use fhir_spec::json::{Data, Object, Text, Value};

use super::run::{Entry, Mapped, Request};

impl Mapped {
    /// A transaction bundle of this source alone.
    pub fn bundle(self) -> Value {
        bundle([self])
    }
}

/// One transaction of several sources, such as the rows of a file. Two entries with the same identity become one: the first
/// is kept and gets what only the second says.
pub fn bundle(all: impl IntoIterator<Item = Mapped>) -> Value {
    let mut kept: Vec<Entry> = Vec::new();
    let mut by_identity: HashMap<String, usize> = HashMap::new();
    let mut moved: HashMap<Text, Text> = HashMap::new();
    for entry in all.into_iter().flat_map(|mapped| mapped.entries) {
        let identity = match &entry.request {
            Request::Post => None,
            Request::PostUnless(query) => Some(format!(
                "{}?{query}",
                entry
                    .resource
                    .get("resourceType")
                    .and_then(Value::as_str)
                    .unwrap_or_default()
            )),
            Request::Put(url) => Some(url.clone()),
        };
        let Some(identity) = identity else {
            kept.push(entry);
            continue;
        };
        match by_identity
            .get(&identity)
            .and_then(|place| kept.get_mut(*place))
        {
            None => {
                by_identity.insert(identity, kept.len());
                kept.push(entry);
            }
            Some(first) => {
                moved.insert(entry.full_url, first.full_url.clone());
                for (name, value) in entry.resource {
                    join(&mut first.resource, &name, value);
                }
            }
        }
    }
    if !moved.is_empty() {
        for entry in &mut kept {
            for (_, value) in entry.resource.iter_mut() {
                follow(value, &moved);
            }
        }
    }
    let entries: Vec<Value> = kept.into_iter().map(entry_value).collect();
    let mut bundle = Object::new();
    bundle.set("resourceType", "Bundle");
    bundle.set("type", "transaction");
    if !entries.is_empty() {
        bundle.set("entry", entries);
    }
    bundle.into()
}

/// What is not there yet; of lists of references all that are not there yet, such as the results of one report.
fn join(into: &mut Object, name: &str, value: Value) {
    let Some(there) = into.get_mut(name) else {
        into.set(name, value);
        return;
    };
    if let (Some(items), Data::Array(more)) = (there.as_array_mut(), value.data) {
        for item in more {
            if item.get("reference").is_some() && !items.contains(&item) {
                items.push(item);
            }
        }
    }
}

fn follow(value: &mut Value, moved: &HashMap<Text, Text>) {
    match &mut value.data {
        Data::Array(items) => items.iter_mut().for_each(|item| follow(item, moved)),
        Data::Object(object) => {
            for (name, value) in object.iter_mut() {
                if name == "reference"
                    && let Some(to) = value.as_str().and_then(|from| moved.get(from))
                {
                    *value = to.clone().into();
                } else {
                    follow(value, moved);
                }
            }
        }
        _ => {}
    }
}

fn entry_value(entry: Entry) -> Value {
    let kind = entry
        .resource
        .get("resourceType")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let mut request = Object::new();
    match entry.request {
        Request::Post => {
            request.set("method", "POST");
            request.set("url", kind);
        }
        Request::PostUnless(query) => {
            request.set("method", "POST");
            request.set("url", kind);
            request.set("ifNoneExist", query);
        }
        Request::Put(url) => {
            request.set("method", "PUT");
            request.set("url", url);
        }
    }
    Object::from_iter([
        ("fullUrl", Value::from(entry.full_url)),
        ("resource", entry.resource.into()),
        ("request", request.into()),
    ])
    .into()
}
