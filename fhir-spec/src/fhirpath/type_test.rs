//! `is`, `as` and `ofType`: FHIR's types and FHIRPath's own.
//! <http://hl7.org/fhirpath/N1/#types>
//!
//! An element is of its FHIR type and never of one of FHIRPath's, though its value converts when it is used. `is` looks
//! up the whole ancestry (a code is a string). `as` and `ofType` do so for complex types and resources; between
//! primitives they want the very type, for a choice of `uri` and `canonical` must be told apart by them.

use super::ast::TypeName;
use super::error::{FhirPathError, Result};
use super::eval::Evaluator;
use super::item::{Collection, Item, TypeInfo};
use super::node::NodeKind;
use crate::definitions::{Kind, TypeId, Types};

const SYSTEM_TYPES: &[&str] = &[
    "Any", "Boolean", "Integer", "Long", "Decimal", "String", "Date", "DateTime", "Time",
    "Quantity",
];

pub(super) fn is_system_type(name: &str) -> bool {
    SYSTEM_TYPES.contains(&name)
}

/// `item is Type`; nothing for nothing.
pub(super) fn is<'a>(
    run: &Evaluator<'_, 'a>,
    at: u32,
    items: &[Item<'a>],
    name: &TypeName,
) -> Result<Collection<'a>> {
    check(run.context.types, at, name)?;
    let Some(item) = run.single(at, "before `is`", items)? else {
        return Ok(Vec::new());
    };
    Ok(vec![Item::Boolean(matches(run, at, item, name)?)])
}

/// `item as Type`: the item if it is of that type.
pub(super) fn cast<'a>(
    run: &Evaluator<'_, 'a>,
    at: u32,
    items: Collection<'a>,
    name: &TypeName,
) -> Result<Collection<'a>> {
    run.single(at, "before `as`", &items)?;
    of_type(run, at, items, name)
}

/// The items of that type.
pub(super) fn of_type<'a>(
    run: &Evaluator<'_, 'a>,
    at: u32,
    items: Collection<'a>,
    name: &TypeName,
) -> Result<Collection<'a>> {
    check(run.context.types, at, name)?;
    let mut kept = Vec::new();
    for item in items {
        kept.extend(selected(run, item, name));
    }
    Ok(kept)
}

/// A type that is neither FHIR's nor FHIRPath's is a mistake in the expression.
pub(super) fn check(types: Option<&Types>, at: u32, name: &TypeName) -> Result<()> {
    let is_fhir = types.is_none_or(|types| types.by_name(&name.name).is_some());
    let is_known = match name.namespace.as_deref() {
        None => {
            (is_fhir && types.is_some())
                || is_system_type(&name.name)
                || types.is_none() && is_type_like(&name.name)
        }
        Some("System") => true,
        Some("FHIR") => is_fhir,
        Some(_) => false,
    };
    if is_known {
        return Ok(());
    }
    Err(FhirPathError::semantic(
        at,
        format!("there is no type `{name}`"),
    ))
}

/// Without a type graph any name but that of a JSON kind may be a type of somebody's.
fn is_type_like(name: &str) -> bool {
    !matches!(name, "Object" | "Array")
}

pub(super) fn matches(
    run: &Evaluator<'_, '_>,
    _at: u32,
    item: &Item<'_>,
    name: &TypeName,
) -> Result<bool> {
    let node = match item {
        Item::Node(node) => node,
        value => return Ok(is_of_system(value, name)),
    };
    let types = run.context.types;
    Ok(match (node.kind(), types) {
        (NodeKind::Typed(own), Some(types)) => is_fhir(types, own, name),
        (NodeKind::System(own), Some(types)) => is_system_string(name) || is_fhir(types, own, name),
        _ => is_of_system(&node.system(types), name) || is_resource_named(node.value(), name),
    })
}

fn selected<'a>(run: &Evaluator<'_, 'a>, item: Item<'a>, name: &TypeName) -> Option<Item<'a>> {
    let types = run.context.types;
    let Item::Node(node) = &item else {
        return is_of_system(&item, name).then_some(item);
    };
    let (Some(own), Some(types)) = (node.type_id(), types) else {
        let value = node.system(types);
        let is_wanted = is_of_system(&value, name) || is_resource_named(node.value(), name);
        return is_wanted.then_some(item);
    };
    if name.namespace.as_deref() == Some("System") {
        let value = node.system(Some(types));
        return is_of_system(&value, name).then_some(value);
    }
    let wanted = types.by_name(&name.name)?;
    let is_primitive = |id| types.get(id).kind == Kind::Primitive;
    let is_kept = if is_primitive(own) && is_primitive(wanted) {
        own == wanted
    } else {
        types.is_a(own, wanted)
    };
    is_kept.then_some(item)
}

fn is_fhir(types: &Types, own: TypeId, name: &TypeName) -> bool {
    let is_named = name
        .namespace
        .as_deref()
        .is_none_or(|namespace| namespace == "FHIR");
    is_named
        && types
            .by_name(&name.name)
            .is_some_and(|wanted| types.is_a(own, wanted))
}

fn is_system_string(name: &TypeName) -> bool {
    &*name.name == "String"
        && name
            .namespace
            .as_deref()
            .is_none_or(|namespace| namespace == "System")
}

fn is_of_system(value: &Item<'_>, name: &TypeName) -> bool {
    let is_named = name
        .namespace
        .as_deref()
        .is_none_or(|namespace| namespace == "System");
    is_named
        && value
            .system_type()
            .is_some_and(|own| *own == *name.name || &*name.name == "Any")
}

fn is_resource_named(value: Option<&crate::json::Value>, name: &TypeName) -> bool {
    let own = value.and_then(|value| value.str_of("resourceType"));
    own == Some(&*name.name)
        && name
            .namespace
            .as_deref()
            .is_none_or(|namespace| namespace == "FHIR")
}

/// What `type()` says of an item.
pub(super) fn describe(run: &Evaluator<'_, '_>, item: &Item<'_>) -> TypeInfo {
    let named = |namespace: &str, name: &str| TypeInfo {
        namespace: namespace.into(),
        name: name.into(),
    };
    let types = run.context.types;
    match item {
        Item::Node(node) => match (node.kind(), types) {
            (NodeKind::Typed(own), Some(types)) => named("FHIR", &types.get(own).name),
            (NodeKind::System(_), _) => named("System", "String"),
            _ => match node.system(types) {
                Item::Node(node) => {
                    let name = node.value().and_then(|value| value.str_of("resourceType"));
                    name.map_or_else(|| named("System", "Any"), |name| named("FHIR", name))
                }
                value => named("System", value.system_type().unwrap_or("Any")),
            },
        },
        value => named("System", value.system_type().unwrap_or("Any")),
    }
}
