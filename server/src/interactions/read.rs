//! Read: the current version of a resource.
//! <https://hl7.org/fhir/R4/http.html#read>

use fhir_spec::reference::is_id;

use super::search;
use crate::auth::{AUDITED, Action, may};
use crate::cx::Cx;
use crate::fault::{Fault, Kind};
use crate::store::{Found, View};

pub async fn run(cx: &Cx, resource_type: &'static str, id: &str) -> Result<Found, Fault> {
    if resource_type == AUDITED && cx.app.audit.is_on() {
        let found = search::read_audit(cx, id).await?;
        note(cx, "read", (resource_type, id), &found);
        return Ok(found);
    }
    let permit = may(&cx.caller, Action::Read(resource_type))?;
    // What cannot be an id is not looked up.
    if !is_id(id) {
        return Err(not_found(resource_type));
    }
    let found = cx.app.store.find(&permit, resource_type, id, None).await?;
    let found = current(resource_type, found)?;
    note(cx, "read", (resource_type, id), &found);
    Ok(found)
}

/// The audit tells that a version was seen.
pub(super) fn note(cx: &Cx, code: &'static str, named: (&str, &str), found: &Found) {
    if let Some(visit) = cx.caller.visit() {
        match named.0 {
            // Whose record an event is about was told before.
            AUDITED => visit.saw(code, named, &[]),
            _ => visit.saw(code, named, &found.body),
        }
    }
}

/// The same, within a state of the database that was opened for more.
pub fn within(view: &mut View<'_>, resource_type: &'static str, id: &str) -> Result<Found, Fault> {
    let found = view.current(resource_type, id)?;
    current(resource_type, found)
}

/// A resource that is there, not one that was.
pub(super) fn current(resource_type: &str, found: Option<Found>) -> Result<Found, Fault> {
    match found {
        None => Err(not_found(resource_type)),
        Some(found) if found.is_deleted() => Err(Fault::new(
            Kind::Deleted,
            format!("this {resource_type} was deleted"),
        )),
        Some(found) => Ok(found),
    }
}

pub(super) fn not_found(resource_type: &str) -> Fault {
    let diagnostics = format!("there is no {resource_type} with this id");
    Fault::new(Kind::NotFound, diagnostics)
}
