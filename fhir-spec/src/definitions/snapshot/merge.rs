//! One element of a differential laid over what the base says of it.
//! <https://hl7.org/fhir/R4/profiling.html#differential>

use crate::definitions::structure::is_typed;
use crate::json::{Object, Value};

/// Lays the facts of `differential` over `facts`. `source` is the profile: new constraints name it.
pub(super) fn merge(facts: &mut Object, differential: &Object, source: &str) {
    for (name, value) in differential.iter() {
        match name {
            "id" | "path" | "sliceName" => {}
            "constraint" => add_constraints(facts, value, source),
            "condition" => add_missing(facts, name, value, |a, b| a == b),
            "extension" | "modifierExtension" => add_missing(facts, name, value, |a, b| {
                a.str_of("url") == b.str_of("url")
            }),
            "binding" | "slicing" => lay_over(facts, name, value),
            _ => {
                // A fixed value takes the place of one of another type, not a place beside it.
                for prefix in ["fixed", "pattern", "minValue", "maxValue", "defaultValue"] {
                    if is_typed(name, prefix) {
                        facts.retain(|old, _| !is_typed(old, prefix));
                    }
                }
                facts.set(name, value.clone());
            }
        }
    }
}

/// The rules of the base stay; a rule with a new key joins them.
fn add_constraints(facts: &mut Object, added: &Value, source: &str) {
    let mut added = added.clone();
    for constraint in added.as_array_mut().into_iter().flatten() {
        if let Some(object) = constraint.as_object_mut()
            && !object.contains("source")
        {
            object.set("source", source);
        }
    }
    add_missing(facts, "constraint", &added, |a, b| {
        a.str_of("key") == b.str_of("key")
    });
}

fn add_missing(facts: &mut Object, name: &str, added: &Value, same: fn(&Value, &Value) -> bool) {
    let Some(old) = facts.get_mut(name).and_then(Value::as_array_mut) else {
        facts.set(name, added.clone());
        return;
    };
    for item in added.as_array().unwrap_or_default() {
        if !old.iter().any(|old| same(old, item)) {
            old.push(item.clone());
        }
    }
}

/// Member by member: what the differential does not say of a binding or slicing stays.
fn lay_over(facts: &mut Object, name: &str, value: &Value) {
    let (Some(old), Some(new)) = (
        facts.get_mut(name).and_then(Value::as_object_mut),
        value.as_object(),
    ) else {
        facts.set(name, value.clone());
        return;
    };
    for (member, value) in new.iter() {
        old.set(member, value.clone());
    }
}
