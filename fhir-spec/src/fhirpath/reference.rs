//! `resolve()`: from a reference to what it points at. <https://hl7.org/fhir/R4/references.html>

use super::error::Result;
use super::eval::Evaluator;
use super::item::{Collection, Item};
use super::node::Node;
use crate::definitions::Kind;
use crate::json::Value;
use crate::reference::{Literal, Target};

/// What is contained, what the bundle around has, and what the host knows; the rest is left out.
pub(super) fn resolve<'a>(
    run: &mut Evaluator<'_, 'a>,
    at: u32,
    input: &[Item<'a>],
) -> Result<Collection<'a>> {
    let mut found = Vec::new();
    for item in input {
        if let Some(value) = find(run, at, item)? {
            found.push(Item::Node(Node::of_resource(run.context.types(), value)));
        }
    }
    Ok(found)
}

/// The same, with a resource that is known by its type only for what is left out.
pub(super) fn resolve_or_stub<'a>(
    run: &mut Evaluator<'_, 'a>,
    at: u32,
    input: &[Item<'a>],
) -> Result<Collection<'a>> {
    let mut found = Vec::new();
    for item in input {
        let node = match find(run, at, item)? {
            Some(value) => Some(Node::of_resource(run.context.types(), value)),
            None => stub(run, item),
        };
        found.extend(node.map(Item::Node));
    }
    Ok(found)
}

fn stub<'a>(run: &Evaluator<'_, 'a>, item: &Item<'a>) -> Option<Node<'a>> {
    let types = run.context.types()?;
    let named = item
        .as_node()
        .and_then(Node::value)
        .and_then(|value| value.str_of("type"))
        .or_else(|| Some(Literal::parse(text_of(item)?)?.target()?.resource_type))?;
    let type_id = types.by_name(named)?;
    (types.get(type_id).kind == Kind::Resource).then(|| Node::unseen(type_id))
}

/// The text of a Reference, a uri or a canonical.
fn text_of<'a>(item: &Item<'a>) -> Option<&'a str> {
    match item {
        Item::Node(node) => {
            let value = node.value()?;
            value.as_str().or_else(|| value.str_of("reference"))
        }
        Item::String(super::item::Str::Borrowed(text)) => Some(text),
        _ => None,
    }
}

fn find<'a>(run: &mut Evaluator<'_, 'a>, at: u32, item: &Item<'a>) -> Result<Option<&'a Value>> {
    let owned;
    let text = match (text_of(item), item) {
        (Some(text), _) => text,
        (None, Item::String(text)) => {
            owned = text.clone();
            &*owned
        }
        _ => return Ok(None),
    };
    let Some(literal) = Literal::parse(text) else {
        return Ok(run.context.host.resolve(text));
    };
    let context = run.context;
    let root = context.root_resource.value();
    let own = context.resource.value();
    if let Literal::Contained(id) = literal {
        if id.is_empty() {
            return Ok(root);
        }
        let holders = [own, root].into_iter().flatten();
        let mut contained = holders.flat_map(|holder| holder.items_of("contained"));
        return Ok(contained.find(|resource| resource.str_of("id") == Some(id)));
    }
    let entries = root.map(|root| root.items_of("entry")).unwrap_or_default();
    run.spend(at, 1 + entries.len())?;
    let in_bundle = entries
        .iter()
        .find(|entry| is_meant(entry, text, &literal))
        .and_then(|entry| entry.get("resource"));
    Ok(in_bundle.or_else(|| context.host.resolve(text)))
}

/// By full url; a relative reference also by the type and id that end it, or by those of the resource.
fn is_meant(entry: &Value, text: &str, literal: &Literal<'_>) -> bool {
    let full_url = entry.str_of("fullUrl");
    if full_url == Some(text) {
        return true;
    }
    let Literal::Relative(target) = literal else {
        return false;
    };
    match full_url.and_then(Literal::parse) {
        Some(Literal::Absolute { target: own, .. }) => is_same(&own, target),
        Some(_) => false,
        None => entry.get("resource").is_some_and(|resource| {
            resource.str_of("resourceType") == Some(target.resource_type)
                && resource.str_of("id") == Some(target.id)
        }),
    }
}

fn is_same(one: &Target<'_>, other: &Target<'_>) -> bool {
    one.resource_type == other.resource_type && one.id == other.id
}
