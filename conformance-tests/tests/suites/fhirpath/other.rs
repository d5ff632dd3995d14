//! The cases of fhirpath.js: JSON, one file a chapter. <https://github.com/HL7/fhirpath.js>

use std::collections::HashMap;
use std::path::Path;

use fhir_spec::definitions::Definitions;
use fhir_spec::fhirpath::{Context, Expression, Item, Node};
use fhir_spec::json::{self, Data, Value};

use super::explained::OTHER;
use super::{document, now};
use crate::material::{files, folder};
use crate::results::Tally;

/// The cases of a file, those of its groups too.
fn cases<'v>(tests: &'v [Value], found: &mut Vec<&'v Value>) {
    for test in tests {
        if test.get("expression").is_some() {
            found.push(test);
        }
        let members = test
            .as_object()
            .into_iter()
            .flat_map(|object| object.iter());
        for (_, group) in members.filter(|(name, _)| name.starts_with("group")) {
            cases(group.as_array().unwrap_or_default(), found);
        }
    }
}

/// Other versions of FHIR are not Kiln's, and what the origin itself does not run says nothing.
fn is_ours(case: &Value) -> bool {
    case.str_of("model").is_none_or(|model| model == "r4")
        && case.get("disable").and_then(Value::as_bool) != Some(true)
}

struct Inputs<'f> {
    folder: &'f Path,
    documents: HashMap<String, &'static Value>,
}

impl Inputs<'_> {
    fn named(&mut self, name: &str) -> &'static Value {
        let path = self.folder.join(name);
        self.documents
            .entry(name.to_owned())
            .or_insert_with(|| Box::leak(Box::new(document(&path))))
    }
}

fn run(
    case: &Value,
    expression: &str,
    base: Option<&str>,
    document: &'static Value,
) -> Result<(), String> {
    let types = Definitions::r4().types();
    let is_typed = case.get("model").is_some();
    let mut context = if is_typed {
        Context::new(types, document)
    } else {
        Context::untyped(document)
    }
    .at(now());
    let members = case
        .get("variables")
        .and_then(Value::as_object)
        .into_iter()
        .flat_map(|object| object.iter());
    for (name, value) in members {
        let value: &'static Value = Box::leak(Box::new(value.clone()));
        let items = match &value.data {
            Data::Null => Vec::new(),
            Data::Array(items) => items
                .iter()
                .map(|item| Item::Node(Node::of_resource(is_typed.then_some(types), item)))
                .collect(),
            _ => vec![Item::Node(Node::of_resource(
                is_typed.then_some(types),
                value,
            ))],
        };
        context = context.with_variable(name, items);
    }
    let evaluated = Expression::parse(expression).and_then(|expression| {
        // A part of a resource, and the path that names its type.
        if let Some(type_id) = base.and_then(|base| types.by_name(base)) {
            let part = Item::Node(Node::typed(Some(document), None, type_id));
            return expression.evaluate_on(&context, &part);
        }
        match case.str_of("context") {
            None => expression.evaluate(&context),
            Some(path) => {
                let asked = Expression::parse(path)?.evaluate(&context)?;
                asked.first().map_or(Ok(Vec::new()), |item| {
                    expression.evaluate_on(&context, item)
                })
            }
        }
    });
    let is_error_wanted = case.get("error").and_then(Value::as_bool) == Some(true);
    match evaluated {
        Err(_) if is_error_wanted => Ok(()),
        Err(error) => Err(format!("{expression}: {error}")),
        Ok(items) => {
            let found: Vec<Value> = items.iter().map(plain).collect();
            let wanted = case.get("result").and_then(Value::as_array);
            let is_same = wanted.is_some_and(|wanted| {
                wanted.len() == found.len()
                    && wanted
                        .iter()
                        .zip(&found)
                        .all(|(wanted, found)| is_same(wanted, found))
            });
            if is_same && !is_error_wanted {
                return Ok(());
            }
            let found = Value::from(found).to_string();
            let wanted = if is_error_wanted {
                "an error".to_owned()
            } else {
                wanted
                    .map(|items| Value::from(items.to_vec()).to_string())
                    .unwrap_or_default()
            };
            Err(format!("{expression}: expected {wanted}, found {found}"))
        }
    }
}

/// The origin writes long integers as text.
fn plain(item: &Item<'_>) -> Value {
    match item {
        Item::Long(number) => Value::from(number.to_string()),
        _ => item.to_json(),
    }
}

/// Its numbers are doubles: they agree to the digits those have.
fn is_same(wanted: &Value, found: &Value) -> bool {
    match (&wanted.data, &found.data) {
        (Data::Number(wanted), Data::Number(found)) => {
            let (wanted, found): (f64, f64) = (wanted.parse().unwrap(), found.parse().unwrap());
            (wanted - found).abs() <= 1e-14 * wanted.abs().max(1.0)
        }
        (Data::Array(wanted), Data::Array(found)) => {
            wanted.len() == found.len()
                && wanted
                    .iter()
                    .zip(found)
                    .all(|(wanted, found)| is_same(wanted, found))
        }
        (Data::Object(wanted), Data::Object(found)) => {
            wanted.len() == found.len()
                && wanted.iter().all(|(name, wanted)| {
                    found.get(name).is_some_and(|found| is_same(wanted, found))
                })
        }
        _ => wanted == found,
    }
}

#[test]
fn cases_of_fhirpath_js() {
    let Some(folder) = folder("fhirpath") else {
        return;
    };
    let inputs = folder.join("fhirpath-js-input");
    let mut inputs = Inputs {
        folder: &inputs,
        documents: HashMap::new(),
    };
    let mut tally = Tally::new("fhirpath: cases of fhirpath.js", OTHER);
    for (file, bytes) in files(&folder.join("fhirpath-js"), ".json") {
        let suite: &'static Value = Box::leak(Box::new(json::parse(&bytes).unwrap()));
        let subject = suite.get("subject");
        let mut found = Vec::new();
        cases(suite.items_of("tests"), &mut found);
        for (case, number) in found.iter().zip(1..).filter(|(case, _)| is_ours(case)) {
            let document = case
                .str_of("inputfile")
                .map(|name| inputs.named(name))
                .or(subject);
            let document =
                document.unwrap_or_else(|| Box::leak(Box::new(Value::from(json::Object::new()))));
            for (expression, base) in expressions(case) {
                let name = format!("{} {number}", file.trim_end_matches(".json"));
                tally.count(&name, run(case, expression, base, document));
            }
        }
    }
    tally.finish();
}

/// One, several, or one to be evaluated on what another one finds.
fn expressions(case: &Value) -> Vec<(&str, Option<&str>)> {
    match case.get("expression").map(|value| &value.data) {
        Some(Data::String(text)) => vec![(text, None)],
        Some(Data::Array(texts)) => texts
            .iter()
            .filter_map(|text| Some((text.as_str()?, None)))
            .collect(),
        Some(Data::Object(parts)) => {
            let part = |name: &str| parts.get(name).and_then(Value::as_str);
            part("expression")
                .map(|text| (text, part("base")))
                .into_iter()
                .collect()
        }
        _ => Vec::new(),
    }
}
