//! JSON inside of texts.

use fhir_spec::json::{self, Data, Object, Value};

use super::{Answer, Function, nothing, text_at};

const FAMILY: &str = "json";

pub(super) const ALL: &[Function] = &[
    Function::new(
        FAMILY,
        "json_parse",
        &["text"],
        |arguments, _| {
            let text = text_at(arguments, 0)?;
            json::parse(text.as_bytes()).map_err(|malformed| format!("JSON: {malformed}"))
        },
        "The value that the text writes as JSON; every digit is kept.",
        &[
            (&["{\"a\":1.50}"], "{\"a\":1.50}"),
            (&["[1,2]"], "[1,2]"),
            (&["\"x\""], "x"),
            (&["{"], "!"),
        ],
    )
    .undone_by("json_stringify"),
    Function::new(
        FAMILY,
        "json_stringify",
        &["value"],
        |arguments, _| {
            let sorted = arguments.first().map_or_else(nothing, sorted);
            Ok(sorted.to_string().into())
        },
        "The value as JSON, the members of objects in alphabetical order.",
        &[(&["x"], "\"x\"")],
    )
    .undone_by("json_parse"),
    Function::new(
        FAMILY,
        "json_get",
        &["value", "path"],
        |arguments, _| get(arguments),
        "What stands in a JSON value, or in a text that is JSON, at a path such as a.b[0].",
        &[
            (&["{\"a\":{\"b\":[7]}}", "a.b[0]"], "7"),
            (&["{\"a\":1}", "b"], ""),
            (&["{\"a\":1}", "a.c"], ""),
            (&["[1]", "[0]"], "1"),
            (&["{", "a"], "!"),
        ],
    ),
];

fn sorted(value: &Value) -> Value {
    match &value.data {
        Data::Object(object) => {
            let mut members: Vec<(&str, Value)> = object
                .iter()
                .map(|(name, value)| (name, sorted(value)))
                .collect();
            members.sort_by_key(|(name, _)| *name);
            Object::from_iter(members).into()
        }
        Data::Array(items) => items.iter().map(sorted).collect::<Vec<_>>().into(),
        _ => value.clone(),
    }
}

fn get(arguments: &[Value]) -> Answer {
    let parsed;
    let value = match arguments.first() {
        Some(text) if text.as_str().is_some() => {
            let text = text.as_str().unwrap_or_default();
            parsed =
                json::parse(text.as_bytes()).map_err(|malformed| format!("JSON: {malformed}"))?;
            &parsed
        }
        Some(value) => value,
        None => return Ok(nothing()),
    };
    let path = text_at(arguments, 1)?;
    let mut here = Some(value);
    for step in path.split(['.', '[']).filter(|step| !step.is_empty()) {
        here = match step.strip_suffix(']') {
            Some(number) => {
                let number: usize = number
                    .parse()
                    .map_err(|_| "the number of an item".to_owned())?;
                here.and_then(Value::as_array)
                    .and_then(|items| items.get(number))
            }
            None => here.and_then(|value| value.get(step)),
        };
    }
    Ok(here.cloned().unwrap_or_else(nothing))
}
