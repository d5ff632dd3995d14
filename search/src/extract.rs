//! From a resource to its rows in the index.

use fhir_spec::fhirpath::{Context, Item};
use fhir_spec::json::Value;

use crate::contained;
use crate::plan::{Node, Scope};
use crate::registry::{Registry, ResourceType};
use crate::rows::Rows;

/// The rows of a resource, and what could not be worked out. A parameter that fails has no rows; it fails no write.
#[derive(Debug, Default)]
pub struct Extracted {
    pub rows: Rows,
    pub problems: Vec<String>,
}

/// What a resource is found by. A document without a known `resourceType` has no rows.
pub fn rows(registry: &Registry, resource: &Value) -> Extracted {
    let known = resource
        .str_of("resourceType")
        .and_then(|name| registry.of(name));
    known.map_or_else(Extracted::default, |known| {
        extract(registry, known, resource)
    })
}

fn extract(registry: &Registry, known: &ResourceType, resource: &Value) -> Extracted {
    let mut extracted = Extracted::default();
    let scope = Scope {
        resource,
        base: registry.base(),
    };
    let rows = &mut extracted.rows;
    known.root.walk(resource, &scope, rows);
    extracted.problems = compute(registry, known, resource, |node, value| {
        node.walk(value, &scope, rows);
    });
    extracted.rows.settle();
    extracted.rows.contained = contained::rows(registry, resource, &mut extracted.problems);
    extracted
}

/// Each value that FHIRPath has to find, with the leaves that take it; and what could not be worked out.
pub(crate) fn compute(
    registry: &Registry,
    known: &ResourceType,
    resource: &Value,
    mut found: impl FnMut(&Node, &Value),
) -> Vec<String> {
    let mut problems = Vec::new();
    if known.computed.is_empty() {
        return problems;
    }
    let types = registry.definitions().types();
    let context = Context::new(types, resource);
    for computed in &known.computed {
        let items = match computed.expression.evaluate(&context) {
            Ok(items) => items,
            Err(error) => {
                let text = computed.expression.text();
                problems.push(format!("`{text}`: {error}"));
                continue;
            }
        };
        for item in &items {
            let (type_id, made);
            let value = match item {
                Item::Node(node) => {
                    type_id = node.type_id();
                    node.value()
                }
                other => {
                    type_id = types.by_name(fhir_name(other));
                    made = other.to_json();
                    Some(&made)
                }
            };
            let take = computed.takes.iter().find(|(own, _)| Some(*own) == type_id);
            if let (Some((_, node)), Some(value)) = (take, value) {
                found(node, value);
            }
        }
    }
    problems
}

/// The FHIR type of a value of FHIRPath's own.
fn fhir_name(item: &Item<'_>) -> &'static str {
    match item {
        Item::Boolean(_) => "boolean",
        Item::Integer(_) | Item::Long(_) => "integer",
        Item::Decimal(_) => "decimal",
        Item::String(_) => "string",
        Item::Date(_) => "date",
        Item::DateTime(_) => "dateTime",
        Item::Node(_) | Item::Time(_) | Item::Quantity(_) | Item::Type(_) => "",
    }
}

#[cfg(test)]
mod tests;
