//! What a resource says, value by value, and how much of it another one says: to compare what two have made of a document.

use fhir_spec::json::{Data, Value};

/// Values and where they stand, without places in lists: `name.family` = `Example`.
pub(crate) type Leaves = Vec<(String, String)>;

/// What says nothing of the patient: technical links, words that go with a code, narrative.
const ASIDE: &[&str] = &[
    "id",
    "meta",
    "text",
    "display",
    "reference",
    "contained",
    "fullUrl",
    "resourceType",
    "url",
    "data",
];

pub(crate) fn leaves(value: &Value, path: &str, out: &mut Leaves) {
    match &value.data {
        Data::Array(items) => items.iter().for_each(|item| leaves(item, path, out)),
        Data::Object(object) => {
            let is_theirs = object
                .get("url")
                .and_then(Value::as_str)
                .is_some_and(|url| !url.starts_with("http://hl7.org/"));
            if is_theirs && path.ends_with("extension") {
                return;
            }
            for (name, value) in object.iter() {
                let is_words = name == "text" && value.as_str().is_some();
                if !ASIDE.contains(&name) || is_words && !path.is_empty() {
                    leaves(value, &format!("{path}.{name}"), out);
                }
            }
        }
        Data::String(text) | Data::Number(text) => out.push((path.to_owned(), plain(text))),
        Data::Bool(bool) => out.push((path.to_owned(), bool.to_string())),
        Data::Null => {}
    }
}

/// Dates as exact as a day: others add times and zones of their own.
fn plain(text: &str) -> String {
    let is_date = text.len() > 10
        && text.as_bytes().get(10) == Some(&b'T')
        && text.as_bytes().get(4) == Some(&b'-');
    let text = if is_date {
        text.get(..10).unwrap_or(text)
    } else {
        text
    };
    text.trim().to_lowercase()
}

/// Of the resources of the same type, the one that has most of the values; how many, and what it lacks.
pub(crate) fn best(wanted: &Leaves, ours: &[Leaves]) -> (usize, Vec<String>) {
    let lacks = |have: &Leaves| {
        let lacking = wanted.iter().filter(|(path, value)| {
            !have
                .iter()
                .any(|(other, found)| value == found && (other == path || ends_alike(other, path)))
        });
        lacking
            .map(|(path, value)| format!("{path} = {value}"))
            .collect::<Vec<_>>()
    };
    let all = ours.iter().map(lacks).min_by_key(Vec::len);
    let lacking = all.unwrap_or_else(|| {
        wanted
            .iter()
            .map(|(path, value)| format!("{path} = {value}"))
            .collect()
    });
    (wanted.len() - lacking.len(), lacking)
}

/// The same element by its last name, where a choice or a wrapper differs.
fn ends_alike(a: &str, b: &str) -> bool {
    a.rsplit('.').next() == b.rsplit('.').next()
}
