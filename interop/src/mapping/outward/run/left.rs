//! What is said in a resource and did not go out.

use std::collections::HashSet;

use fhir_spec::json::Value;

use super::super::condition::text_of;
use super::{Left, is_own};

/// Members that say which of several a value is: told with it.
const WITH_IT: &[&str] = &["system", "use", "display", "url", "type", "text"];
/// Members that are no content, or lead elsewhere.
const PASSED_OVER: &[&str] = &[
    "resourceType",
    "id",
    "meta",
    "text",
    "language",
    "implicitRules",
    "contained",
    "reference",
];

/// The leaves that nobody took.
pub(super) fn untold(
    value: &Value,
    path: &str,
    claimed: &HashSet<*const Value>,
    left: &mut Vec<Left>,
) {
    if claimed.contains(&std::ptr::from_ref(value)) && text_of(value).is_some() {
        return;
    }
    if let Some(items) = value.as_array() {
        for (place, item) in items.iter().enumerate() {
            untold(item, &format!("{path}[{place}]"), claimed, left);
        }
        return;
    }
    let Some(object) = value.as_object() else {
        left.push(Left {
            element: path.to_owned(),
            reason: String::new(),
        });
        return;
    };
    let is_told = |value: &Value| claimed.contains(&std::ptr::from_ref(value));
    // Of an extension of which nothing went out, its address says enough.
    if let Some(url) = value.str_of("url").filter(|_| path.contains("xtension["))
        && !any_told(value, claimed)
    {
        let path = path.rsplit_once('[').map_or(path, |(path, _)| path);
        let element = format!("{path}[url={url}]");
        if !left.iter().any(|known| known.element == element) {
            let reason = String::new();
            left.push(Left { element, reason });
        }
        return;
    }
    let some_told = object.iter().any(|(_, member)| is_told(member));
    for (name, member) in object.iter() {
        let is_resource = object.contains("resourceType");
        if (is_resource && PASSED_OVER.contains(&name))
            || name == "reference"
            || (some_told && WITH_IT.contains(&name))
            || is_own(value)
        {
            continue;
        }
        untold(member, &format!("{path}.{name}"), claimed, left);
    }
}

fn any_told(value: &Value, claimed: &HashSet<*const Value>) -> bool {
    let items = value.as_array().unwrap_or_default();
    let members = value
        .as_object()
        .into_iter()
        .flat_map(|object| object.iter());
    claimed.contains(&std::ptr::from_ref(value))
        || items.iter().any(|item| any_told(item, claimed))
        || members
            .into_iter()
            .any(|(_, member)| any_told(member, claimed))
}
