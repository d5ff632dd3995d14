//! New values: checked against the element that is to hold them, and put together from parts where FHIR has no type.

use crate::definitions::{Element, Kind, TypeId, TypeRef, Types};
use crate::json::{Object, Value};
use crate::primitive::Primitive;

use super::super::Problem;
use super::change::{self, New};
use super::request::{Given, given};

/// Adds a member to an object: at the end of a list, or as a single element that is not there yet.
pub(super) fn add(
    types: &Types,
    object: &mut Object,
    type_id: TypeId,
    name: &str,
    value: Given<'_>,
) -> Result<(), Problem> {
    let definition = types.get(type_id);
    let named = definition.element(name).map(|element| (element, None));
    let by_json_name = || {
        let (element, kind) = definition.property(name)?;
        Some((element, Some(kind)))
    };
    let Some((element, wanted)) = named.or_else(by_json_name) else {
        let problem = format!("{} has no element `{name}`", definition.name);
        return Err(Problem::Target(problem));
    };
    let (json_name, new) = of(types, element, wanted, value)?;
    if element.is_list() {
        let end = change::length(object, &json_name);
        return change::insert(object, definition, &json_name, end, new);
    }
    let stands = element.types.iter().find(|kind| {
        object.contains(&kind.json_name) || object.contains(&format!("_{}", kind.json_name))
    });
    if let Some(kind) = stands {
        let problem = format!("`{}` is already there, and must not repeat", kind.json_name);
        return Err(Problem::Target(problem));
    }
    change::set_single(object, definition, &json_name, new);
    Ok(())
}

/// The JSON name and the value for an element, `wanted` being the only type that will do.
pub(super) fn of(
    types: &Types,
    element: &Element,
    wanted: Option<&TypeRef>,
    value: Given<'_>,
) -> Result<(String, New), Problem> {
    let kinds = || {
        element
            .types
            .iter()
            .filter(|kind| wanted.is_none_or(|wanted| wanted.id == kind.id))
    };
    let (kind, new) = match value {
        Given::Typed {
            type_id,
            value,
            beside,
        } => {
            let exact = kinds().find(|kind| kind.id == type_id);
            let kind = exact.or_else(|| kinds().find(|kind| is_alike(types, kind.id, type_id)));
            let new = New {
                value: value.cloned(),
                beside: beside.cloned(),
            };
            (kind, new)
        }
        Given::Resource(resource) => {
            let kind = kinds().find(|kind| types.get(kind.id).kind == Kind::Resource);
            (kind, New::of(resource.clone()))
        }
        Given::Parts(parts) => {
            let kind = kinds()
                .next()
                .filter(|_| element.types.len() == 1 || wanted.is_some());
            let object = match kind {
                Some(kind) => of_parts(types, kind.id, parts)?,
                None => Object::new(),
            };
            (kind, New::of(object.into()))
        }
    };
    let Some(kind) = kind else {
        let names: Vec<&str> = kinds().map(|kind| &*types.get(kind.id).name).collect();
        let found = match value {
            Given::Typed { type_id, .. } => &*types.get(type_id).name,
            Given::Resource(_) => "a resource",
            Given::Parts(_) => "parts",
        };
        let problem = format!(
            "`{}` is of type {}, the value is {found}",
            element.name,
            names.join(" or ")
        );
        return Err(Problem::Target(problem));
    };
    Ok((kind.json_name.to_string(), new))
}

/// Recurses as deep as the parts nest, which the reader of the Parameters bounds.
fn of_parts(types: &Types, type_id: TypeId, parts: &[Value]) -> Result<Object, Problem> {
    let mut object = Object::new();
    for part in parts {
        let name = part.str_of("name").unwrap_or_default();
        add(types, &mut object, type_id, name, given(part, types)?)?;
    }
    Ok(object)
}

/// Whether a value of one type can stand for the other: a Quantity for an Age, a string for a code.
fn is_alike(types: &Types, wanted: TypeId, given: TypeId) -> bool {
    if types.is_a(wanted, given) || types.is_a(given, wanted) {
        return true;
    }
    let written = |id: TypeId| Primitive::named(&types.get(id).name).map(Primitive::written);
    written(wanted).is_some_and(|form| written(given) == Some(form))
}
