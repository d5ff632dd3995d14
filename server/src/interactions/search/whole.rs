//! All that a search finds, at once, for operations that work on it.
//! <https://hl7.org/fhir/R4/search.html>

use super::Asked;
use crate::auth::Action;
use crate::fault::Fault;
use crate::store::{Body, View};

/// Of each type that is searched, with the action by which bodies are read: at most so many in all, and one more when there
/// are more.
pub fn whole(
    view: &mut View<'_>,
    asked: &Asked,
    found_max: usize,
) -> Result<Vec<(&'static str, Body)>, Fault> {
    let mut found = Vec::new();
    for part in &asked.parts {
        let kind = part.resource_type;
        let room = found_max.saturating_add(1).saturating_sub(found.len());
        let ids_max = u32::try_from(room).unwrap_or(u32::MAX);
        let ids = view.matches(kind, &part.query, ids_max)?;
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let action = Action::Search(kind);
        let mut bodies = view.bodies_by_id(action, kind, &ids)?;
        bodies.sort_unstable_by_key(|body| body.rid);
        for mut body in bodies {
            if body.text.is_none() {
                body.text = Some(view.large_body(action, kind, body.rid)?);
            }
            found.push((kind, body));
        }
    }
    Ok(found)
}
