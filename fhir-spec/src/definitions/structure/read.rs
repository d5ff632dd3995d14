//! A StructureDefinition's JSON and its snapshot to the compiled form.

use super::link::link;
use super::{
    ContextKind, Discriminator, DiscriminatorKind, ElementDef, ElementType, ExtensionContext,
    Slicing, SlicingRules, Structure, StructureKind,
};
use crate::definitions::types::{binding, choice_name, constraints, texts, type_code};
use crate::json::{Object, Value};

/// `elements` is the snapshot: the definition's own or a generated one.
pub(in crate::definitions) fn read(definition: &Value, elements: &[Value]) -> Structure {
    let text = |name: &str| Box::<str>::from(definition.str_of(name).unwrap_or_default());
    let kind = match definition.str_of("kind") {
        Some("primitive-type") => StructureKind::Primitive,
        Some("complex-type") => StructureKind::Complex,
        Some("logical") => StructureKind::Logical,
        _ => StructureKind::Resource,
    };
    let is_resource = kind == StructureKind::Resource;
    let mut elements: Vec<ElementDef> = elements
        .iter()
        .map(|facts| element(facts, is_resource))
        .collect();
    link(&mut elements);
    Structure {
        url: text("url"),
        version: text("version"),
        name: text("name"),
        type_name: text("type"),
        kind,
        is_constraint: definition.str_of("derivation") == Some("constraint"),
        base: definition.str_of("baseDefinition").map(Into::into),
        is_abstract: definition.get("abstract").and_then(Value::as_bool) == Some(true),
        contexts: definition
            .items_of("context")
            .iter()
            .filter_map(context)
            .collect(),
        context_invariants: texts(definition, "contextInvariant"),
        elements,
    }
}

fn context(facts: &Value) -> Option<ExtensionContext> {
    Some(ExtensionContext {
        kind: match facts.str_of("type")? {
            "fhirpath" => ContextKind::FhirPath,
            "extension" => ContextKind::Extension,
            _ => ContextKind::Element,
        },
        expression: facts.str_of("expression")?.into(),
    })
}

fn element(facts: &Value, is_resource: bool) -> ElementDef {
    let path = facts.str_of("path").unwrap_or_default();
    let step = path.rsplit('.').next().unwrap_or_default();
    let types = types(facts, path, is_resource);
    let (name, is_choice) = plain_name(step, facts, &types);
    let flag = |name: &str| facts.get(name).and_then(Value::as_bool) == Some(true);
    let number = |name: &str| facts.get(name)?.as_number()?.parse().ok();
    let members = facts.as_object();
    ElementDef {
        id: facts.str_of("id").unwrap_or(path).into(),
        path: path.into(),
        name,
        is_choice,
        slice_name: facts.str_of("sliceName").map(Into::into),
        slicing: facts.get("slicing").map(slicing),
        min: number("min").unwrap_or(0),
        max: facts.str_of("max").and_then(|max| max.parse().ok()),
        types,
        content_reference: facts
            .str_of("contentReference")
            .and_then(|target| target.rsplit('#').next())
            .map(Into::into),
        fixed: typed(members, "fixed"),
        pattern: typed(members, "pattern"),
        min_value: typed(members, "minValue"),
        max_value: typed(members, "maxValue"),
        max_length: number("maxLength"),
        binding: facts.get("binding").and_then(binding),
        constraints: constraints(facts),
        is_must_support: flag("mustSupport"),
        is_modifier: flag("isModifier"),
        children: Vec::new(),
        slices: Vec::new(),
    }
}

/// The name without `[x]`. A choice that was narrowed to one type may be written with that type (`valueQuantity` for
/// `value[x]`); its base path tells.
fn plain_name(step: &str, facts: &Value, types: &[ElementType]) -> (Box<str>, bool) {
    if let Some(plain) = step.strip_suffix("[x]") {
        return (plain.into(), true);
    }
    let of_choice = facts
        .get("base")
        .and_then(|base| base.str_of("path"))
        .and_then(|path| path.rsplit('.').next())
        .and_then(|step| step.strip_suffix("[x]"));
    match (of_choice, types) {
        (Some(plain), [only]) if choice_name(plain, &only.code) == step => (plain.into(), true),
        _ => (step.into(), false),
    }
}

/// The value of a property whose name ends in a type: `fixedCode`, `patternCodeableConcept`, `minValueDate`.
fn typed(members: Option<&Object>, prefix: &str) -> Option<Value> {
    members?
        .iter()
        .find(|(name, _)| is_typed(name, prefix))
        .map(|(_, value)| value.clone())
}

pub(in crate::definitions) fn is_typed(name: &str, prefix: &str) -> bool {
    name.strip_prefix(prefix)
        .is_some_and(|rest| rest.starts_with(|letter: char| letter.is_ascii_uppercase()))
}

fn types(facts: &Value, path: &str, is_resource: bool) -> Vec<ElementType> {
    facts
        .items_of("type")
        .iter()
        .map(|kind| ElementType {
            code: type_code(kind, path, is_resource).into(),
            profiles: texts(kind, "profile"),
            target_profiles: texts(kind, "targetProfile"),
        })
        .collect()
}

fn slicing(facts: &Value) -> Slicing {
    Slicing {
        discriminators: facts
            .items_of("discriminator")
            .iter()
            .filter_map(|item| {
                Some(Discriminator {
                    kind: match item.str_of("type")? {
                        "exists" => DiscriminatorKind::Exists,
                        "pattern" => DiscriminatorKind::Pattern,
                        "type" => DiscriminatorKind::Type,
                        "profile" => DiscriminatorKind::Profile,
                        _ => DiscriminatorKind::Value,
                    },
                    path: item.str_of("path")?.into(),
                })
            })
            .collect(),
        rules: match facts.str_of("rules") {
            Some("closed") => SlicingRules::Closed,
            Some("openAtEnd") => SlicingRules::OpenAtEnd,
            _ => SlicingRules::Open,
        },
        is_ordered: facts.get("ordered").and_then(Value::as_bool) == Some(true),
    }
}
