use super::*;
use crate::json::parse;

fn tree(text: &str) -> Value {
    parse(text.as_bytes()).unwrap()
}

fn patched(document: &str, patch: &str) -> String {
    match apply(&tree(document), &tree(patch)) {
        Ok(document) => document.to_string(),
        Err(refused) => refused.to_string(),
    }
}

/// Document, operation, document.
const CHANGES: &[(&str, &str, &str)] = &[
    (
        r#"{"a":1}"#,
        r#"{"op":"add","path":"/b","value":1.50}"#,
        r#"{"a":1,"b":1.50}"#,
    ),
    (
        r#"{"a":1,"b":2}"#,
        r#"{"op":"add","path":"/a","value":null}"#,
        r#"{"a":null,"b":2}"#,
    ),
    (
        r#"{"a":[1,2]}"#,
        r#"{"op":"add","path":"/a/0","value":0}"#,
        r#"{"a":[0,1,2]}"#,
    ),
    (
        r#"{"a":[1,2]}"#,
        r#"{"op":"add","path":"/a/2","value":3}"#,
        r#"{"a":[1,2,3]}"#,
    ),
    (
        r#"{"a":[1,2]}"#,
        r#"{"op":"add","path":"/a/-","value":3}"#,
        r#"{"a":[1,2,3]}"#,
    ),
    (r#"{"a":1}"#, r#"{"op":"add","path":"","value":[]}"#, "[]"),
    (
        r#"{"":1}"#,
        r#"{"op":"add","path":"/","value":2}"#,
        r#"{"":2}"#,
    ),
    (
        r#"{"a":[1,2]}"#,
        r#"{"op":"remove","path":"/a/0"}"#,
        r#"{"a":[2]}"#,
    ),
    (
        r#"{"a/b":1,"m~n":2}"#,
        r#"{"op":"remove","path":"/a~1b"}"#,
        r#"{"m~n":2}"#,
    ),
    (
        r#"{"a/b":1,"m~n":2}"#,
        r#"{"op":"remove","path":"/m~0n"}"#,
        r#"{"a/b":1}"#,
    ),
    (
        r#"{"a":1,"b":2}"#,
        r#"{"op":"replace","path":"/a","value":3}"#,
        r#"{"a":3,"b":2}"#,
    ),
    (r#"{"a":1}"#, r#"{"op":"replace","path":"","value":3}"#, "3"),
    (
        r#"{"a":[1,2,3]}"#,
        r#"{"op":"move","from":"/a/0","path":"/a/2"}"#,
        r#"{"a":[2,3,1]}"#,
    ),
    (
        r#"{"a":{"b":1}}"#,
        r#"{"op":"move","from":"/a/b","path":"/c"}"#,
        r#"{"a":{},"c":1}"#,
    ),
    (
        r#"{"a":1}"#,
        r#"{"op":"move","from":"/a","path":"/a"}"#,
        r#"{"a":1}"#,
    ),
    (
        r#"{"a":{"b":1}}"#,
        r#"{"op":"copy","from":"/a","path":"/a/c"}"#,
        r#"{"a":{"b":1,"c":{"b":1}}}"#,
    ),
    (
        r#"{"a":[1,{"x":1,"y":2}]}"#,
        r#"{"op":"test","path":"/a","value":[1.0,{"y":20e-1,"x":1}]}"#,
        r#"{"a":[1,{"x":1,"y":2}]}"#,
    ),
    (
        r#"{"a":0}"#,
        r#"{"op":"test","path":"/a","value":-0.0}"#,
        r#"{"a":0}"#,
    ),
];

/// Document, operation, part of the message.
const REFUSALS: &[(&str, &str, &str)] = &[
    (
        r#"{"a":[1]}"#,
        r#"{"op":"add","path":"/a/2","value":0}"#,
        "no item `2` in a list of 1",
    ),
    (
        r#"{"a":[1]}"#,
        r#"{"op":"add","path":"/a/01","value":0}"#,
        "no item `01`",
    ),
    (
        r#"{"a":[1]}"#,
        r#"{"op":"add","path":"/a/+0","value":0}"#,
        "no item `+0`",
    ),
    (
        r#"{"a":[1]}"#,
        r#"{"op":"remove","path":"/a/-"}"#,
        "no item `-`",
    ),
    (
        r#"{"a":[1]}"#,
        r#"{"op":"remove","path":"/a/1"}"#,
        "no item `1`",
    ),
    (
        r#"{"a":1}"#,
        r#"{"op":"remove","path":""}"#,
        "whole document",
    ),
    (
        r#"{"a":1}"#,
        r#"{"op":"add","path":"/b/c","value":0}"#,
        "no member `b`",
    ),
    (
        r#"{"a":1}"#,
        r#"{"op":"add","path":"/a/c","value":0}"#,
        "cannot stand in a number",
    ),
    (
        r#"{"a":1}"#,
        r#"{"op":"replace","path":"/b","value":0}"#,
        "no member `b`",
    ),
    (
        r#"{"a":{}}"#,
        r#"{"op":"move","from":"/a","path":"/a/b"}"#,
        "into itself",
    ),
    (
        r#"{"a":1}"#,
        r#"{"op":"copy","from":"/b","path":"/c"}"#,
        "no member `b`",
    ),
    (
        r#"{"a":1}"#,
        r#"{"op":"test","path":"/a","value":"1"}"#,
        "expected a string, found a number",
    ),
    (
        r#"{"a":1}"#,
        r#"{"op":"test","path":"/a","value":1.1}"#,
        "test failed",
    ),
    (
        r#"{"a":[]}"#,
        r#"{"op":"test","path":"/a","value":[1]}"#,
        "differs",
    ),
    (r#"{"a":1}"#, r#"{"op":"add","path":"/b"}"#, "`value`"),
    (r#"{"a":1}"#, r#"{"op":"move","path":"/b"}"#, "`from`"),
    (r#"{"a":1}"#, r#"{"op":"add","value":1}"#, "`path`"),
    (
        r#"{"a":1}"#,
        r#"{"op":"spam","path":"/b"}"#,
        "`spam` is no operation",
    ),
    (
        r#"{"a":1}"#,
        r#"{"op":"add","path":"b","value":1}"#,
        "begins with `/`",
    ),
    (
        r#"{"a":1}"#,
        r#"{"op":"add","path":"/~2","value":1}"#,
        "`~`",
    ),
    (r#"{"a":1}"#, "1", "expected an operation"),
];

#[test]
fn operations_change_the_document() {
    for (document, operation, expected) in CHANGES {
        assert_eq!(
            patched(document, &format!("[{operation}]")),
            *expected,
            "{operation}"
        );
    }
}

#[test]
fn refusals_name_the_operation_and_the_place() {
    for (document, operation, message) in REFUSALS {
        let patch = format!("[{{\"op\":\"test\",\"path\":\"\",\"value\":{document}}},{operation}]");
        let told = patched(document, &patch);
        assert!(
            told.starts_with("operation 1") && told.contains(message),
            "{operation}: {told}"
        );
    }
    assert!(patched("{}", "{}").contains("array of operations"));
}

#[test]
fn nothing_is_changed_when_one_operation_fails() {
    let document = tree(r#"{"a":1}"#);
    let patch = tree(r#"[{"op":"add","path":"/b","value":1},{"op":"remove","path":"/c"}]"#);
    let refused = apply(&document, &patch).unwrap_err();
    assert_eq!((refused.operation, refused.path.as_str()), (Some(1), "/c"));
    assert_eq!(document.to_string(), r#"{"a":1}"#);
}

#[test]
fn growth_has_bounds() {
    let double = r#"{"op":"copy","from":"","path":"/a"}"#;
    let doubles = vec![double; 500].join(",");
    assert!(patched("{}", &format!("[{doubles}]")).contains("nest deeper"));
    let text = "x".repeat(100_000);
    let copies = vec![r#"{"op":"copy","from":"/0","path":"/-"}"#; 500].join(",");
    assert!(patched(&format!("[\"{text}\"]"), &format!("[{copies}]")).contains("bytes copied"));
    let many = vec![r#"{"op":"test","path":"","value":{}}"#; 1001].join(",");
    assert!(patched("{}", &format!("[{many}]")).contains("operations"));
}
