//! The resources that messages are made of: what a message asks for is fetched, as far as whoever is told may see it.

use std::collections::BTreeSet;
use std::sync::Arc;

use fhir_spec::json::{Value, parse};
use interop::mapping::{Library, Wanted};

use crate::accept::resource_type;
use crate::app::App;
use crate::auth::{Action, Caller, may, may_all};
use crate::fault::Fault;
use crate::interactions::conditional::Criteria;
use crate::store::View;

/// Resources that refer to one are looked at up to so many.
const REFERRING_MAX: u32 = 100;

/// What was looked for already, there or not.
#[derive(Debug, Default)]
pub(super) struct Tried {
    references: BTreeSet<String>,
    wanted: BTreeSet<Wanted>,
}

/// Fetches what the library was asked for and had not. Whether something came.
pub(super) async fn fetch(
    app: &Arc<App>,
    caller: &Caller,
    library: &mut Library,
    tried: &mut Tried,
) -> Result<bool, Fault> {
    let mut references = Vec::new();
    for reference in library.missing() {
        if !tried.references.insert(reference.clone()) {
            continue;
        }
        let plain = reference.split("/_history/").next().unwrap_or_default();
        let mut words = plain.rsplit('/');
        if let (Some(id), Some(kind)) = (words.next(), words.next().and_then(resource_type))
            && may(caller, Action::Read(kind)).is_ok()
        {
            references.push((kind, id.to_owned()));
        }
    }
    let mut searches = Vec::new();
    for wanted in library.asked() {
        if !tried.wanted.insert(wanted.clone()) {
            continue;
        }
        let Some(kind) = resource_type(&wanted.type_name) else {
            continue;
        };
        if may_all(caller, [Action::Read(kind), Action::Search(kind)]).is_err() {
            continue;
        }
        let asked = vec![(parameter(&wanted.element), wanted.to)];
        searches.push((kind, Criteria::new(app, kind, &asked, (app.clock)())?));
    }
    if references.is_empty() && searches.is_empty() {
        return Ok(false);
    }
    let kinds = references.iter().map(|(kind, _)| *kind);
    let kinds: BTreeSet<&'static str> = kinds
        .chain(searches.iter().map(|(kind, _)| *kind))
        .collect();
    let sought: BTreeSet<&'static str> = searches.iter().map(|(kind, _)| *kind).collect();
    let actions = kinds.into_iter().map(Action::Read);
    let permit = may_all(
        caller,
        actions.chain(sought.into_iter().map(Action::Search)),
    )?;
    let read = move |view: &mut View<'_>| {
        let mut all = references.clone();
        for (kind, criteria) in &searches {
            let ids = criteria.ids(view, REFERRING_MAX)?;
            all.extend(ids.into_iter().map(|id| (*kind, id)));
        }
        let mut found = Vec::new();
        for (kind, id) in all {
            if let Some(one) = view.current(kind, &id)? {
                found.push(one.body);
            }
        }
        Ok::<_, Fault>(found)
    };
    let known: BTreeSet<String> = library.resources().filter_map(address).collect();
    let mut has_come = false;
    for body in app.store.read(permit, read).await? {
        // One that was deleted has no body.
        let Ok(document) = parse(&body) else { continue };
        if address(&document).is_some_and(|address| known.contains(&address)) {
            continue;
        }
        library.add("", document);
        has_come = true;
    }
    Ok(has_come)
}

fn address(resource: &Value) -> Option<String> {
    let (kind, id) = (resource.str_of("resourceType")?, resource.str_of("id")?);
    Some(format!("{kind}/{id}"))
}

/// The search parameter of an element: `basedOn` is `based-on`.
fn parameter(element: &str) -> String {
    let mut name = String::new();
    for letter in element.chars() {
        match letter {
            '.' => name.push('-'),
            upper if upper.is_ascii_uppercase() => {
                name.push('-');
                name.push(upper.to_ascii_lowercase());
            }
            other => name.push(other),
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_asked_for_by_their_parameters() {
        for (element, name) in [("subject", "subject"), ("basedOn", "based-on")] {
            assert_eq!(parameter(element), name);
        }
    }
}
