//! What FHIR adds. <https://hl7.org/fhir/R4/fhirpath.html#functions>

use super::invocation::{Invocation, answer};
use super::{Function, row};
use crate::definitions::Kind;
use crate::fhirpath::error::Result;
use crate::fhirpath::item::{Collection, Item};
use crate::fhirpath::node::{Node, NodeKind};
use crate::fhirpath::reference;
use crate::json::Value;
use crate::narrative;

pub(super) const ALL: &[Function] = &[
    row("extension", 1..=1, extension),
    // No function of the specification, but one of its own search parameters uses it.
    row("hasExtension", 1..=1, |call| {
        answer(!extension(call)?.is_empty())
    }),
    row("hasValue", 0..=0, |call| {
        let value = single_primitive(call);
        answer(value.is_some())
    }),
    row("getValue", 0..=0, |call| {
        Ok(single_primitive(call).into_iter().collect())
    }),
    row("resolve", 0..=0, |call| {
        reference::resolve(call.run, call.at, &call.input)
    }),
    row("memberOf", 1..=1, member_of),
    row("conformsTo", 1..=1, conforms_to),
    row("subsumes", 1..=1, |call| subsumption(call, true)),
    row("subsumedBy", 1..=1, |call| subsumption(call, false)),
    row("elementDefinition", 0..=0, element_definition),
    row("slice", 2..=2, slice),
    row("checkModifiers", 1..=32, check_modifiers),
    row("htmlChecks", 0..=0, html_checks),
];

fn extension<'a>(call: &mut Invocation<'_, '_, 'a>) -> Result<Collection<'a>> {
    let Some(url) = call.text_arg(0)? else {
        return Ok(Vec::new());
    };
    let types = call.run.context.types();
    let mut found = Vec::new();
    for node in call.input.iter().filter_map(Item::as_node) {
        node.children_named(types, "extension", None, &mut |extension| {
            if extension.value().and_then(|value| value.str_of("url")) == Some(&url) {
                found.push(Item::Node(extension));
            }
        });
    }
    call.run.spend(call.at, call.input.len() + found.len())?;
    Ok(found)
}

/// The value of the input, if that is one primitive and has one.
fn single_primitive<'a>(call: &Invocation<'_, '_, 'a>) -> Option<Item<'a>> {
    let [item] = call.input.as_slice() else {
        return None;
    };
    let types = call.run.context.types();
    if let Item::Node(node) = item
        && let (NodeKind::Typed(id), Some(types)) = (node.kind(), types)
        && types.get(id).kind != Kind::Primitive
    {
        return None;
    }
    let value = call.run.system(item);
    (!matches!(value, Item::Node(_) | Item::Type(_) | Item::Quantity(_))).then_some(value)
}

/// Not known is empty: nobody has the value set.
fn member_of<'a>(call: &mut Invocation<'_, '_, 'a>) -> Result<Collection<'a>> {
    let value_set = call.text_arg(0)?;
    let item = call
        .run
        .single(call.at, "to call `memberOf()` on", &call.input)?;
    let (Some(item), Some(value_set)) = (item, value_set) else {
        return Ok(Vec::new());
    };
    let is_member = call.run.context.host.is_member(item, &value_set);
    Ok(is_member.map(Item::Boolean).into_iter().collect())
}

/// Profiles are the host's business; the types of FHIR themselves are known here.
fn conforms_to<'a>(call: &mut Invocation<'_, '_, 'a>) -> Result<Collection<'a>> {
    let profile = call.text_arg(0)?;
    let item = call
        .run
        .single(call.at, "to call `conformsTo()` on", &call.input)?;
    let (Some(Item::Node(node)), Some(profile)) = (item, profile) else {
        return Ok(Vec::new());
    };
    if let Some(conforms) = call.run.context.host.conforms(node, &profile) {
        return answer(conforms);
    }
    let wanted = call
        .run
        .context
        .types()
        .zip(profile.strip_prefix("http://hl7.org/fhir/StructureDefinition/"))
        .and_then(|(types, name)| Some((types, types.by_name(name)?)));
    match (wanted, node.type_id()) {
        (Some((types, wanted)), Some(own)) => answer(types.is_a(own, wanted)),
        _ => Err(call.error(format!("the profile `{}` is not known here", &*profile))),
    }
}

/// System and code of a Coding, or of each coding of a CodeableConcept.
fn codings(item: &Item<'_>) -> Vec<(String, String)> {
    let coding = |value: &Value| {
        Some((
            value.str_of("system")?.to_owned(),
            value.str_of("code")?.to_owned(),
        ))
    };
    let Some(value) = item.as_node().and_then(Node::value) else {
        return Vec::new();
    };
    value
        .items_of("coding")
        .iter()
        .chain([value])
        .filter_map(coding)
        .collect()
}

fn subsumption<'a>(call: &mut Invocation<'_, '_, 'a>, is_above: bool) -> Result<Collection<'a>> {
    let others = call.arg(0)?;
    let own = call
        .run
        .single(call.at, "to call the function on", &call.input)?
        .map(codings)
        .unwrap_or_default();
    let others = call
        .run
        .single(call.at, "as an argument", &others)?
        .map(codings)
        .unwrap_or_default();
    let (above, below) = if is_above {
        (own, others)
    } else {
        (others, own)
    };
    let mut is_known = false;
    for (system, code) in &above {
        for (_, other) in below
            .iter()
            .filter(|(others_system, _)| others_system == system)
        {
            let is_same = (code == other).then_some(true);
            match is_same.or_else(|| call.run.context.host.subsumes(system, code, other)) {
                Some(true) => return answer(true),
                Some(false) => is_known = true,
                None => {}
            }
        }
    }
    if is_known {
        answer(false)
    } else {
        Ok(Vec::new())
    }
}

fn element_definition<'a>(call: &mut Invocation<'_, '_, 'a>) -> Result<Collection<'a>> {
    let context = call.run.context;
    let Some(type_id) = context
        .types()
        .and_then(|types| types.by_name("ElementDefinition"))
    else {
        return Ok(Vec::new());
    };
    let nodes = call.input.iter().filter_map(Item::as_node);
    let found = nodes.filter_map(|node| context.host.element_definition(node));
    Ok(found
        .map(|definition| Item::Node(Node::typed(Some(definition), None, type_id)))
        .collect())
}

fn slice<'a>(call: &mut Invocation<'_, '_, 'a>) -> Result<Collection<'a>> {
    let (Some(structure), Some(name)) = (call.text_arg(0)?, call.text_arg(1)?) else {
        return Ok(Vec::new());
    };
    let mut kept = Vec::new();
    for item in &call.input {
        let in_slice = item
            .as_node()
            .map(|node| call.run.context.host.is_in_slice(node, &structure, &name));
        match in_slice {
            Some(None) => {
                return Err(call.error(format!("the profile `{}` is not known here", &*structure)));
            }
            Some(Some(true)) => kept.push(item.clone()),
            Some(Some(false)) | None => {}
        }
    }
    Ok(kept)
}

/// The input, unless something in it has a modifier extension that the caller does not know.
fn check_modifiers<'a>(call: &mut Invocation<'_, '_, 'a>) -> Result<Collection<'a>> {
    let mut known = Vec::new();
    for index in 0..call.call.args.len() {
        known.extend(call.text_arg(index)?);
    }
    for node in call.input.iter().filter_map(Item::as_node) {
        let extensions = node
            .value()
            .map(|value| value.items_of("modifierExtension"))
            .unwrap_or_default();
        for url in extensions
            .iter()
            .filter_map(|extension| extension.str_of("url"))
        {
            if !known.iter().any(|known| **known == *url) {
                return Err(call.error(format!("the modifier extension `{url}` is not understood")));
            }
        }
    }
    Ok(call.taken())
}

/// Whether a narrative has what FHIR allows in one, and has anything at all.
fn html_checks<'a>(call: &mut Invocation<'_, '_, 'a>) -> Result<Collection<'a>> {
    let Some(div) = call.text()? else {
        return Ok(Vec::new());
    };
    call.run.spend(call.at, div.len() / 16)?;
    answer(narrative::check(&div).is_empty())
}
