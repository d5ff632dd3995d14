//! What would change: resource by resource, element by element.

use fhir_spec::json::{Data, Object, Value};
use interop::host::Touched;

use crate::facade;

/// Elements told of one resource.
const CHANGES_MAX: usize = 500;
/// What every version has of its own.
const OWN: &[&str] = &["meta.versionId", "meta.lastUpdated"];

/// What would become of a resource.
#[derive(Debug, Clone)]
pub struct Difference {
    pub touched: Touched,
    pub changes: Vec<Change>,
}

/// An element, as it is and as it would be; None: it is not there.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    pub path: String,
    pub before: Option<Value>,
    pub after: Option<Value>,
}

/// What differs of a resource; nothing when it stays as it is.
pub(super) fn difference(would: &facade::Difference) -> Difference {
    let mut changes = Vec::new();
    if would.after.is_some() {
        compare(
            "",
            would.before.as_ref(),
            would.after.as_ref(),
            &mut changes,
        );
    }
    Difference {
        touched: would.touched.clone(),
        changes,
    }
}

/// Whole elements where one side has nothing; what is in them where both have something.
fn compare(path: &str, before: Option<&Value>, after: Option<&Value>, changes: &mut Vec<Change>) {
    if changes.len() >= CHANGES_MAX || OWN.contains(&path) || before == after {
        return;
    }
    match (
        before.map(|value| &value.data),
        after.map(|value| &value.data),
    ) {
        (Some(Data::Object(old)), Some(Data::Object(new))) => members(path, old, new, changes),
        // The document as a whole is told by what is in it.
        (None, Some(Data::Object(new))) if path.is_empty() => {
            members(path, &Object::new(), new, changes);
        }
        (Some(Data::Object(old)), None) if path.is_empty() => {
            members(path, old, &Object::new(), changes);
        }
        (Some(Data::Array(old)), Some(Data::Array(new))) => {
            for index in 0..old.len().max(new.len()) {
                compare(
                    &format!("{path}[{index}]"),
                    old.get(index),
                    new.get(index),
                    changes,
                );
            }
        }
        _ => changes.push(Change {
            path: path.to_owned(),
            before: before.cloned(),
            after: after.cloned(),
        }),
    }
}

fn members(path: &str, old: &Object, new: &Object, changes: &mut Vec<Change>) {
    let below = |name: &str| match path.is_empty() {
        true => name.to_owned(),
        false => format!("{path}.{name}"),
    };
    for (name, value) in old.iter() {
        compare(&below(name), Some(value), new.get(name), changes);
    }
    for (name, value) in new.iter() {
        if old.get(name).is_none() {
            compare(&below(name), None, Some(value), changes);
        }
    }
}

#[cfg(test)]
mod tests {
    use fhir_spec::json::parse;

    use super::*;

    fn told(before: &str, after: &str) -> Vec<String> {
        let read = |text: &str| parse(text.as_bytes()).ok();
        let mut changes = Vec::new();
        compare(
            "",
            read(before).as_ref(),
            read(after).as_ref(),
            &mut changes,
        );
        let text = |value: Option<Value>| value.map_or("-".to_owned(), |value| value.to_string());
        let lines = changes.into_iter().map(|change| {
            format!(
                "{} {} {}",
                change.path,
                text(change.before),
                text(change.after)
            )
        });
        lines.collect()
    }

    #[test]
    fn elements_are_told_where_they_differ() {
        let old = r#"{"id":"1","meta":{"versionId":"1"},"name":[{"family":"A"},{"family":"B"}],"active":true}"#;
        let new = r#"{"id":"1","meta":{"versionId":"2"},"name":[{"family":"C"}],"gender":"male"}"#;
        assert_eq!(
            told(old, new),
            [
                "name[0].family \"A\" \"C\"",
                "name[1] {\"family\":\"B\"} -",
                "active true -",
                "gender - \"male\""
            ]
        );
        assert_eq!(told("", r#"{"id":"1"}"#), ["id - \"1\""]);
        assert!(told(old, old).is_empty());
    }
}
