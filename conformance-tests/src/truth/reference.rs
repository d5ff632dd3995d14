//! Reference: what an element points at. <https://hl7.org/fhir/R4/search.html#reference>

use super::{Ask, Found, World, Wrong, token, unescaped};

/// `Type/id` or `Type/id/_history/version`, alone or behind a base.
struct Literal<'t> {
    base: &'t str,
    kind: &'t str,
    id: &'t str,
    version: Option<&'t str>,
}

pub(super) fn is(ask: &Ask<'_, '_>, found: &Found<'_>, wanted: &str) -> Result<bool, Wrong> {
    if ask.modifier == Some("identifier") {
        let identifier = found.value.get("identifier");
        return identifier.map_or(Ok(false), |own| token::is_identifier(own, wanted));
    }
    let wanted = &*unescaped(wanted);
    let world = ask.world;
    if let Some(text) = found.value.as_str() {
        return Ok(is_canonical(text, wanted));
    }
    let (own_text, stated) = match found.value.str_of("resourceType") {
        // The element is the resource itself: the first entry of a document.
        Some(kind) => {
            let id = found.value.str_of("id").unwrap_or_default();
            (format!("{kind}/{id}"), None)
        }
        None => {
            let literal = found.value.str_of("reference").unwrap_or_default();
            (literal.to_owned(), found.value.str_of("type"))
        }
    };
    let own = literal(world, &own_text);
    let kind = own.as_ref().map(|own| own.kind).or(stated);
    if ask.modifier.is_some_and(|wanted| Some(wanted) != kind) {
        return Ok(false);
    }
    if is_id(wanted) {
        return Ok(own.is_some_and(|own| own.base.is_empty() && own.id == wanted));
    }
    Ok(match (literal(world, wanted), own) {
        (Some(wanted), Some(own)) => {
            let is_same = (wanted.base, wanted.kind, wanted.id) == (own.base, own.kind, own.id);
            is_same && (wanted.version.is_none() || wanted.version == own.version)
        }
        (None, None) => own_text == wanted,
        _ => false,
    })
}

fn is_canonical(own: &str, wanted: &str) -> bool {
    let (own_url, own_version) = own.split_once('|').unwrap_or((own, ""));
    match wanted.split_once('|') {
        Some((url, version)) => url == own_url && version == own_version,
        None => wanted == own_url,
    }
}

/// The resource of this server that a value leads to, whether it is there or not.
pub(super) fn local(world: &World<'_>, found: &Found<'_>) -> Option<(String, String)> {
    if let Some(kind) = found.value.str_of("resourceType") {
        let id = found.value.str_of("id")?;
        return Some((kind.into(), id.into()));
    }
    local_literal(world, found.value.str_of("reference")?)
}

pub(super) fn local_literal(world: &World<'_>, text: &str) -> Option<(String, String)> {
    let literal = literal(world, text).filter(|literal| literal.base.is_empty())?;
    Some((literal.kind.into(), literal.id.into()))
}

/// What references are sorted by: the id of a local one, the whole url of another.
pub(super) fn sort_text(world: &World<'_>, found: &Found<'_>) -> Option<String> {
    if let Some((_, id)) = local(world, found) {
        return Some(id);
    }
    let text = found
        .value
        .as_str()
        .or_else(|| found.value.str_of("reference"))?;
    let is_contained = text.starts_with('#');
    let plain = text.split('|').next().unwrap_or_default();
    let plain = plain.split("/_history/").next().unwrap_or_default();
    (!is_contained).then(|| plain.to_owned())
}

/// The base of this server does not count.
fn literal<'t>(world: &World<'_>, text: &'t str) -> Option<Literal<'t>> {
    let text = match text.strip_prefix(world.base) {
        Some(rest) => rest.strip_prefix('/')?,
        None => text,
    };
    let (plain, version) = match text.split_once("/_history/") {
        Some((plain, version)) => (plain, Some(version)),
        None => (text, None),
    };
    let (rest, id) = plain.rsplit_once('/')?;
    let (base, kind) = rest.rsplit_once('/').unwrap_or(("", rest));
    let is_base = base.is_empty() || base.starts_with("http://") || base.starts_with("https://");
    let is_literal = is_base && is_id(id) && world.definitions.is_resource_type(kind);
    is_literal.then_some(Literal {
        base,
        kind,
        id,
        version,
    })
}

fn is_id(text: &str) -> bool {
    let is_of_id = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    (1..=64).contains(&text.len()) && text.chars().all(is_of_id)
}
