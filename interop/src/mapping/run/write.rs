//! Writing into a resource: elements are made on the way, and what is there already stays.

use fhir_spec::json::{Data, Object, Value};

use super::super::plan::{AssignedPlan, ExpressionPlan, RowPlan, TargetPlan, WhichPlan, index};

/// The element at the end of a path, made when there is none. None where another type of a choice stands.
pub(in super::super) fn locate<'o>(
    object: &'o mut Object,
    steps: &[TargetPlan],
    constants: &[Value],
) -> Option<&'o mut Object> {
    let Some((step, deeper)) = steps.split_first() else {
        return Some(object);
    };
    let next = descend(object, step, constants)?;
    locate(next, deeper, constants)
}

fn descend<'o>(
    object: &'o mut Object,
    step: &TargetPlan,
    constants: &[Value],
) -> Option<&'o mut Object> {
    if is_taken(object, step) {
        return None;
    }
    if !step.is_list {
        if !object.contains(&step.name) {
            object.add(step.name.clone(), Object::new());
        }
        return object.get_mut(&step.name)?.as_object_mut();
    }
    if !object.contains(&step.name) {
        object.add(step.name.clone(), Vec::new());
    }
    let items = object.get_mut(&step.name)?.as_array_mut()?;
    let place = position(items, &step.which, constants);
    let place = match place {
        Some(place) => place,
        None => {
            let mut made = Object::new();
            dress(&mut made, &step.which, constants);
            items.push(made.into());
            items.len() - 1
        }
    };
    items.get_mut(place)?.as_object_mut()
}

fn is_taken(object: &Object, step: &TargetPlan) -> bool {
    step.rivals.iter().any(|rival| object.contains(rival))
}

/// The item that a step means; none when it is one more.
fn position(items: &[Value], which: &WhichPlan, constants: &[Value]) -> Option<usize> {
    match which {
        WhichPlan::New => None,
        WhichPlan::First => (!items.is_empty()).then_some(0),
        WhichPlan::Last => items.len().checked_sub(1),
        WhichPlan::Nth(number) => usize::from(*number)
            .checked_sub(1)
            .filter(|place| *place < items.len()),
        WhichPlan::Where(wanted) => items.iter().position(|item| {
            wanted.iter().all(|(steps, value, _)| {
                at(item, steps, constants)
                    .zip(constant(value, constants))
                    .is_some_and(|(found, wanted)| found == wanted)
            })
        }),
    }
}

/// Gives a new item what `[a=b]` says of it.
fn dress(item: &mut Object, which: &WhichPlan, constants: &[Value]) {
    let WhichPlan::Where(wanted) = which else {
        return;
    };
    for (steps, value, _) in wanted {
        if let Some(value) = constant(value, constants) {
            place(item, steps, value.clone(), constants);
        }
    }
}

fn constant<'c>(expression: &'c ExpressionPlan, constants: &'c [Value]) -> Option<&'c Value> {
    match expression {
        ExpressionPlan::Literal(value) => Some(value),
        ExpressionPlan::Constant(place) => constants.get(index(*place)),
        _ => None,
    }
}

/// Longer lists are not looked through for what is said twice.
const SAME_MAX: usize = 32;

/// Writes a value at the end of a path. False when something stands there: the first value stays.
pub(in super::super) fn place(
    object: &mut Object,
    steps: &[TargetPlan],
    value: Value,
    constants: &[Value],
) -> bool {
    let Some((last, above)) = steps.split_last() else {
        return false;
    };
    let Some(parent) = locate(object, above, constants) else {
        return false;
    };
    if is_taken(parent, last) {
        return false;
    }
    let Some(there) = parent.get_mut(&last.name) else {
        let value = if last.is_list {
            Value::from(vec![dressed(value, last, constants)])
        } else {
            value
        };
        parent.add(last.name.clone(), value);
        return true;
    };
    if !last.is_list {
        return false;
    }
    let Some(items) = there.as_array_mut() else {
        return false;
    };
    match (&last.which, position(items, &last.which, constants)) {
        (WhichPlan::First, Some(_)) => false,
        (_, Some(found)) => items.get_mut(found).is_some_and(|item| merge(item, value)),
        (_, None) => {
            let value = dressed(value, last, constants);
            // Who says the same twice is heard once.
            let is_short = items.len() <= SAME_MAX;
            if is_short && value.as_object().is_some() && items.contains(&value) {
                return true;
            }
            items.push(value);
            true
        }
    }
}

fn dressed(mut value: Value, step: &TargetPlan, constants: &[Value]) -> Value {
    if let Data::Object(object) = &mut value.data {
        dress(object, &step.which, constants);
    }
    value
}

/// The members that are not there yet.
fn merge(into: &mut Value, from: Value) -> bool {
    let (Some(into), Data::Object(from)) = (into.as_object_mut(), from.data) else {
        return false;
    };
    let mut is_changed = false;
    for (name, value) in from {
        if !into.contains(&name) {
            into.set(&name, value);
            is_changed = true;
        }
    }
    is_changed
}

/// What stands at a path of a resource that is being made.
pub(super) fn stands<'o>(
    object: &'o Object,
    steps: &[TargetPlan],
    constants: &[Value],
) -> Option<&'o Value> {
    let (step, deeper) = steps.split_first()?;
    let found = object.get(&step.name)?;
    let next = match found.as_array() {
        None => found,
        Some(items) => items.get(position(items, &step.which, constants)?)?,
    };
    at(next, deeper, constants)
}

/// Whether a row can write no more: there is a value where it would.
pub(super) fn is_set(object: &Object, steps: &[TargetPlan]) -> bool {
    let Some((step, deeper)) = steps.split_first() else {
        return true;
    };
    if is_taken(object, step) {
        return true;
    }
    let Some(found) = object.get(&step.name) else {
        return false;
    };
    let next = match (&step.which, found.as_array()) {
        (_, None) => Some(found),
        (WhichPlan::First, Some(items)) => items.first(),
        (WhichPlan::Last, Some(items)) => items.last(),
        _ => None,
    };
    match next {
        Some(_) if deeper.is_empty() => true,
        Some(next) => next.as_object().is_some_and(|next| is_set(next, deeper)),
        None => false,
    }
}

/// The path of what a row deletes, from the resource: items of lists by what braces, brackets and the values made say of
/// them. None where it would be more than the source speaks of.
pub(super) fn deleted(row: &RowPlan, made: Option<&Object>, constants: &[Value]) -> Option<String> {
    let mut path = String::new();
    // The braces of a plain value speak of what holds it.
    let item = (row.target.len()).checked_sub(if row.is_plain { 2 } else { 1 });
    for (place, step) in row.target.iter().enumerate() {
        if place > 0 {
            path.push('.');
        }
        path.push_str(&step.name);
        match &step.which {
            WhichPlan::First => {}
            WhichPlan::Last | WhichPlan::Nth(_) => return None,
            WhichPlan::Where(wanted) => {
                let words: Vec<String> = (wanted.iter())
                    .filter_map(|(steps, value, _)| word(steps, constant(value, constants)?))
                    .collect();
                path.push_str(&format!("[{}]", words.join(", ")));
            }
            WhichPlan::New => {
                let words = if item == Some(place) {
                    told_apart(row, made, constants)
                } else {
                    Vec::new()
                };
                if words.is_empty() && made.is_none() && (row.shares_list || row.is_plain) {
                    return None;
                }
                path.push_str(&format!("[{}]", words.join(", ")));
                // An item without its value says nothing.
                if row.is_plain && item == Some(place) {
                    return Some(path);
                }
            }
        }
    }
    Some(path)
}

/// By what FHIR's lists tell their items apart.
const DISTINCTIONS: &[&str] = &["system", "use", "type", "value", "url"];

fn told_apart(row: &RowPlan, made: Option<&Object>, constants: &[Value]) -> Vec<String> {
    let mut words: Vec<String> = row
        .assignments
        .iter()
        .filter_map(|assignment| {
            let AssignedPlan::Value(expression, calls, _) = &assignment.value else {
                return None;
            };
            let is_own = assignment.elsewhere.is_none() && calls.is_empty();
            let value = constant(expression, constants).filter(|_| is_own)?;
            word(&assignment.target, value)
        })
        .collect();
    for name in DISTINCTIONS {
        let value = made.and_then(|made| made.get(name)?.as_str());
        if let Some(value) = value
            && !words
                .iter()
                .any(|word| word.starts_with(&format!("{name}=")))
        {
            words.push(said(name, value));
        }
    }
    words
}

fn word(steps: &[TargetPlan], value: &Value) -> Option<String> {
    let names: Vec<&str> = steps.iter().map(|step| &*step.name).collect();
    Some(said(&names.join("."), value.as_str()?))
}

fn said(name: &str, value: &str) -> String {
    let is_word = value
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    match is_word && !value.is_empty() {
        true => format!("{name}={value}"),
        false => format!("{name}=\"{value}\""),
    }
}

/// What stands at a path; of a list the item that the step means, the first for `[]`.
pub(in super::super) fn at<'v>(
    value: &'v Value,
    steps: &[TargetPlan],
    constants: &[Value],
) -> Option<&'v Value> {
    let Some((step, deeper)) = steps.split_first() else {
        return Some(value);
    };
    let found = value.get(&step.name)?;
    let next = match found.as_array() {
        None => found,
        Some(items) => items.get(position(items, &step.which, constants).unwrap_or(0))?,
    };
    at(next, deeper, constants)
}

/// The path of the element that was written last, with the places in lists.
pub(super) fn render(object: &Object, steps: &[TargetPlan], constants: &[Value]) -> String {
    let mut path = String::new();
    let mut here = Some(object);
    for step in steps {
        if !path.is_empty() {
            path.push('.');
        }
        path.push_str(&step.name);
        let found = here.and_then(|object| object.get(&step.name));
        let items = found.and_then(Value::as_array);
        let item = match items {
            None => found,
            Some(items) => {
                let last = items.len().saturating_sub(1);
                let place = position(items, &step.which, constants).unwrap_or(last);
                path.push_str(&format!("[{place}]"));
                items.get(place)
            }
        };
        here = item.and_then(Value::as_object);
    }
    path
}
