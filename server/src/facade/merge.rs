//! What a message says, laid over what is stored: absent keeps, null deletes, a value sets.
//!
//! Pure, over documents. What stands in lists is matched by what it is, never by where it stands; which lists a sender tells
//! whole and which are gathered from many messages is the business of `lists`.

mod contained;
mod deletes;
mod lists;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use fhir_spec::definitions::{Element, Kind, TypeDef, Types};
use fhir_spec::json::{Data, Object, Value};

/// What a message says of a resource.
#[derive(Debug, Clone, Copy)]
pub(super) struct Said<'s> {
    pub(super) resource: &'s Value,
    /// Elements that are no more.
    pub(super) deletes: &'s [Box<str>],
}

/// The document as it is after the message. When that says nothing new, it equals `stored`.
pub(super) fn merged(stored: &Value, said: Said<'_>, types: &Types) -> Value {
    let mut document = stored.clone();
    let Some(into) = document.as_object_mut() else {
        return document;
    };
    for path in said.deletes {
        deletes::delete(into, path);
    }
    let resource = contained::adopted(into, said.resource);
    let named = resource
        .str_of("resourceType")
        .and_then(|name| types.named(name));
    if let (Some(root), Some(from)) = (named, resource.as_object()) {
        let merge = Merge { types };
        merge.object(into, from, root);
        if let Cow::Owned(_) = resource {
            contained::sweep(into);
        }
    }
    if document != *stored && resource.get("text").is_none() {
        forget_narrative(&mut document);
    }
    document
}

/// What was made from the data tells of data that are no more.
fn forget_narrative(document: &mut Value) {
    let status = document.get("text").and_then(|text| text.str_of("status"));
    if matches!(status, Some("generated" | "extensions"))
        && let Some(document) = document.as_object_mut()
    {
        document.remove("text");
    }
}

struct Merge<'m> {
    types: &'m Types,
}

impl Merge<'_> {
    fn object(&self, into: &mut Object, from: &Object, of: &TypeDef) {
        for (name, value) in from.iter() {
            let Some((element, kind)) = of.property(name) else {
                // What stands beside a primitive, and what is no element at all.
                into.set(name, value.clone());
                continue;
            };
            if element.is_choice && !self.gives_way(into, element, name, value) {
                continue;
            }
            let beside = format!("_{name}");
            if !from.contains(&beside) {
                // Why there was no value does not hold any more.
                into.remove(&beside);
            }
            let kind = self.types.get(kind.id);
            match into.get_mut(name) {
                None => into.set(name, value.clone()),
                Some(there) if element.is_list() => self.list(there, value, of, element, kind),
                Some(there) => self.single(there, value, kind),
            }
        }
    }

    /// Of a choice there is one. False: what is there says more.
    fn gives_way(&self, into: &mut Object, element: &Element, name: &str, value: &Value) -> bool {
        let says_when = value.as_bool() == Some(true) && into.contains("deceasedDateTime");
        if name == "deceasedBoolean" && says_when {
            return false;
        }
        for other in element
            .types
            .iter()
            .filter(|other| *other.json_name != *name)
        {
            into.remove(&other.json_name);
            into.remove(&format!("_{}", other.json_name));
        }
        true
    }

    fn single(&self, there: &mut Value, value: &Value, kind: &TypeDef) {
        match (&mut there.data, &value.data) {
            (Data::Object(into), Data::Object(from)) if &*kind.name == "CodeableConcept" => {
                concept(into, from);
            }
            (Data::Object(into), Data::Object(from)) if is_gathered(kind) => {
                self.object(into, from, kind);
            }
            _ => *there = value.clone(),
        }
    }
}

/// Whether the members of a value are told one by one. A quantity, a name or an address are one thing: half of an old one
/// and half of a new one would be neither.
fn is_gathered(kind: &TypeDef) -> bool {
    kind.kind == Kind::Backbone || matches!(&*kind.name, "Period" | "Meta")
}

/// Codes of the same thing in several systems. Who changes the code in one system has not said what it is in the others: what
/// they said goes. Who says the same again leaves them.
fn concept(into: &mut Object, from: &Object) {
    let codings = |of: &Object| -> Vec<Value> {
        let items = of.get("coding").and_then(Value::as_array);
        items.map(<[Value]>::to_vec).unwrap_or_default()
    };
    let (mut known, said) = (codings(into), codings(from));
    let is_same = |a: &Value, b: &Value| {
        a.str_of("system") == b.str_of("system") && a.str_of("code") == b.str_of("code")
    };
    let is_known = |said: &Value| known.iter().any(|known| is_same(known, said));
    let contradicts = |said: &Value| {
        let of_system = |known: &&Value| known.str_of("system") == said.str_of("system");
        known.iter().any(|known| of_system(&known)) && !is_known(said)
    };
    let same_text = || from.get("text").is_some() && from.get("text") == into.get("text");
    let is_other = match said.is_empty() {
        true => !same_text(),
        false => said.iter().any(contradicts) || !said.iter().any(is_known),
    };
    if is_other {
        *into = from.clone();
        return;
    }
    for coding in said {
        match known.iter_mut().find(|known| is_same(known, &coding)) {
            None => known.push(coding),
            Some(there) => overlay(there, &coding),
        }
    }
    for (name, value) in from.iter().filter(|(name, _)| *name != "coding") {
        into.set(name, value.clone());
    }
    if !known.is_empty() {
        into.set("coding", known);
    }
}

/// Member by member; what is not said stays.
fn overlay(into: &mut Value, from: &Value) {
    if let (Some(into), Some(from)) = (into.as_object_mut(), from.as_object()) {
        for (name, value) in from.iter() {
            into.set(name, value.clone());
        }
    }
}
