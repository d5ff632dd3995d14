//! JSON Merge Patch. <https://www.rfc-editor.org/rfc/rfc7386>

use crate::json::{Data, Object, Value};

/// The document with the patch merged in: members of the patch replace members of the document, null removes them,
/// everything that is no object is taken whole. It cannot fail.
pub fn apply(document: &Value, patch: &Value) -> Value {
    let mut merged = document.clone();
    merge(&mut merged, patch);
    merged
}

/// Recurses as deep as the patch nests, which its reader bounds.
fn merge(target: &mut Value, patch: &Value) {
    let Some(changes) = patch.as_object() else {
        *target = patch.clone();
        return;
    };
    if target.as_object().is_none() {
        *target = Value::from(Object::new());
    }
    let Some(members) = target.as_object_mut() else {
        return;
    };
    for (name, change) in changes.iter() {
        if change.is_null() {
            members.remove(name);
            continue;
        }
        if !members.contains(name) {
            members.set(name, Value::from(Data::Null));
        }
        if let Some(member) = members.get_mut(name) {
            merge(member, change);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::apply;
    use crate::json::parse;

    /// The examples of the RFC's appendix.
    #[test]
    fn the_cases_of_the_standard() {
        for (document, patch, expected) in [
            (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"a":null}"#, "{}"),
            (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
            (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#),
            (
                r#"{"a":{"b":"c"}}"#,
                r#"{"a":{"b":"d","c":null}}"#,
                r#"{"a":{"b":"d"}}"#,
            ),
            (r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#),
            (r#"["a","b"]"#, r#"["c","d"]"#, r#"["c","d"]"#),
            (r#"{"a":"b"}"#, r#"["c"]"#, r#"["c"]"#),
            (r#"{"a":"foo"}"#, "null", "null"),
            (r#"{"a":"foo"}"#, r#""bar""#, r#""bar""#),
            (r#"{"e":null}"#, r#"{"a":1.0}"#, r#"{"e":null,"a":1.0}"#),
            (r#"[1,2]"#, r#"{"a":"b","c":null}"#, r#"{"a":"b"}"#),
            ("{}", r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#),
        ] {
            let merged = apply(
                &parse(document.as_bytes()).unwrap(),
                &parse(patch.as_bytes()).unwrap(),
            );
            assert_eq!(merged.to_string(), expected, "{document} {patch}");
        }
    }
}
