//! What Kiln keeps of a conformance resource: the facts, without narrative, prose and publishing data.

use crate::json::{Data, Object, Text, Value};

/// Properties that only explain, wherever they stand.
const PROSE: &[&str] = &[
    "text",
    "contact",
    "publisher",
    "mapping",
    "requirements",
    "comment",
    "alias",
    "xpath",
    "xpathUsage",
    "purpose",
    "copyright",
    "useContext",
    "jurisdiction",
    "isModifierReason",
    "meaningWhenMissing",
    "differential",
    "date",
    "designation",
    "example",
    "keyword",
    "documentation",
];

/// Extensions that change what is valid or how it is read; all others are left out.
const EXTENSIONS: &[&str] = &[
    "http://hl7.org/fhir/StructureDefinition/regex",
    "http://hl7.org/fhir/StructureDefinition/structuredefinition-fhir-type",
    "http://hl7.org/fhir/StructureDefinition/elementdefinition-maxValueSet",
    "http://hl7.org/fhir/StructureDefinition/elementdefinition-minValueSet",
    "http://hl7.org/fhir/StructureDefinition/elementdefinition-bestpractice",
    "http://hl7.org/fhir/tools/StructureDefinition/additional-binding",
    "http://hl7.org/fhir/5.0/StructureDefinition/extension-ElementDefinition.binding.additional",
    "http://hl7.org/fhir/StructureDefinition/elementdefinition-profile-element",
    "http://hl7.org/fhir/StructureDefinition/elementdefinition-allowedUnits",
    "http://hl7.org/fhir/StructureDefinition/structuredefinition-explicit-type-name",
    "http://hl7.org/fhir/StructureDefinition/codesystem-replacedby",
    "http://hl7.org/fhir/StructureDefinition/valueset-toocostly",
    "http://hl7.org/fhir/StructureDefinition/valueset-unclosed",
];

/// The resource types that define something.
pub const DEFINING: &[&str] = &[
    "StructureDefinition",
    "SearchParameter",
    "ValueSet",
    "CodeSystem",
    "OperationDefinition",
    "CompartmentDefinition",
    "ConceptMap",
    "NamingSystem",
];

/// The same resource with nothing but facts; a differential goes only where there is a snapshot to stand on.
pub fn slim(resource: Value) -> Value {
    let has_snapshot = resource.get("snapshot").is_some();
    let is_structure = resource.str_of("resourceType") == Some("StructureDefinition");
    let url = resource.str_of("url").unwrap_or_default().to_owned();
    let mut slimmed = strip(resource, &|name, parent: &[Text]| match name {
        "differential" => has_snapshot,
        // A description names a resource in lists; elsewhere (bindings, slicing) it only explains.
        "description" | "definition" | "short" => !is_link(parent),
        _ => {
            PROSE.contains(&name)
                && !parent
                    .iter()
                    .any(|step| KEPT_WHOLE.contains(&step.as_str()))
        }
    });
    if is_structure {
        drop_copied_constraints(&mut slimmed, &url);
    }
    slimmed
}

/// `SearchParameter.component.definition` is a link, not prose.
fn is_link(parent: &[Text]) -> bool {
    parent.last().is_some_and(|name| name == "component")
}

/// Values of data, whose properties mean something else than the same names in definitions.
const KEPT_WHOLE: &[&str] = &["contained"];

fn is_pattern(name: &str) -> bool {
    name.starts_with("fixed") || name.starts_with("pattern") || name.starts_with("defaultValue")
}

fn strip(resource: Value, is_prose: &dyn Fn(&str, &[Text]) -> bool) -> Value {
    fn walk(
        value: Value,
        parent: &mut Vec<Text>,
        is_prose: &dyn Fn(&str, &[Text]) -> bool,
    ) -> Value {
        let at = value.at;
        let data = match value.data {
            Data::Object(object) => {
                let mut kept = Vec::with_capacity(object.len());
                for (name, value) in object {
                    if is_pattern(&name) {
                        kept.push((name, value));
                    } else if name == "extension" || name == "modifierExtension" {
                        let extensions = known_extensions(value);
                        if !extensions.is_empty() {
                            kept.push((name, extensions.into()));
                        }
                    } else if !is_prose(&name, parent) {
                        parent.push(name.clone());
                        let value = walk(value, parent, is_prose);
                        parent.pop();
                        if !is_hollow(&value) {
                            kept.push((name, value));
                        }
                    }
                }
                Data::Object(Object::from_iter(kept))
            }
            Data::Array(items) => Data::Array(
                items
                    .into_iter()
                    .map(|item| walk(item, parent, is_prose))
                    .collect(),
            ),
            other => other,
        };
        Value { at, data }
    }
    walk(resource, &mut Vec::new(), is_prose)
}

/// What stripping left empty.
fn is_hollow(value: &Value) -> bool {
    match &value.data {
        Data::Object(object) => object.is_empty(),
        Data::Array(items) => items.iter().all(|item| item.is_null() || is_hollow(item)),
        _ => false,
    }
}

fn known_extensions(value: Value) -> Vec<Value> {
    let Data::Array(items) = value.data else {
        return Vec::new();
    };
    items
        .into_iter()
        .filter(|item| {
            item.str_of("url")
                .is_some_and(|url| EXTENSIONS.contains(&url))
        })
        .collect()
}

/// Snapshots repeat `ele-1` and `ext-1` on every element; they are facts of Element and Extension alone.
fn drop_copied_constraints(structure: &mut Value, url: &str) {
    let owner = url.rsplit('/').next().unwrap_or_default().to_owned();
    let Some(elements) = structure
        .get_mut("snapshot")
        .and_then(|snapshot| snapshot.get_mut("element"))
        .and_then(Value::as_array_mut)
    else {
        return;
    };
    for element in elements {
        let is_root = element
            .str_of("path")
            .is_some_and(|path| !path.contains('.'));
        let Some(object) = element.as_object_mut() else {
            continue;
        };
        if let Some(constraints) = object.get_mut("constraint").and_then(Value::as_array_mut) {
            constraints.retain(|constraint| match constraint.str_of("key") {
                Some("ele-1") => is_root && owner == "Element",
                Some("ext-1") => is_root,
                _ => true,
            });
            if constraints.is_empty() {
                object.remove("constraint");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::parse;

    #[test]
    fn facts_stay_and_prose_goes() {
        let resource = parse(
            br#"{"resourceType":"StructureDefinition","url":"http://x/P","text":{"div":"x"},"publisher":"p","snapshot":{"element":[
            {"path":"Patient","definition":"d","constraint":[{"key":"ele-1"},{"key":"pat-1","human":"h","xpath":"x"}]},
            {"path":"Patient.x","patternCoding":{"code":"a","text":"kept"},"constraint":[{"key":"ele-1"}],
             "extension":[{"url":"http://other"}]}]}}"#,
        )
        .unwrap();
        assert_eq!(
            slim(resource).to_string(),
            r#"{"resourceType":"StructureDefinition","url":"http://x/P","snapshot":{"element":[{"path":"Patient","constraint":[{"key":"pat-1","human":"h"}]},{"path":"Patient.x","patternCoding":{"code":"a","text":"kept"}}]}}"#
        );
    }
}
