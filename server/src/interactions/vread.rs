//! Vread: one version of a resource, the current one or an older.
//! <https://hl7.org/fhir/R4/http.html#vread>

use fhir_spec::reference::is_id;

use super::read::{not_found, note};
use crate::auth::{Action, may};
use crate::cx::Cx;
use crate::fault::{Fault, Kind};
use crate::store::{Found, View};

pub async fn run(
    cx: &Cx,
    resource_type: &'static str,
    id: &str,
    version: &str,
) -> Result<Found, Fault> {
    let permit = may(&cx.caller, Action::Read(resource_type))?;
    let number = number(resource_type, id, version)?;
    let found = cx
        .app
        .store
        .find(&permit, resource_type, id, Some(number))
        .await?;
    let found = there(resource_type, number, found)?;
    note(cx, "vread", (resource_type, id), &found);
    Ok(found)
}

/// The same, within a state of the database that was opened for more.
pub fn within(
    view: &mut View<'_>,
    resource_type: &'static str,
    id: &str,
    version: &str,
) -> Result<Found, Fault> {
    let number = number(resource_type, id, version)?;
    let found = view.version(resource_type, id, number)?;
    there(resource_type, number, found)
}

/// Versions are numbers here, written in one way (not `01`), and what cannot be an id is not looked up.
fn number(resource_type: &str, id: &str, version: &str) -> Result<u64, Fault> {
    version
        .parse()
        .ok()
        .filter(|number: &u64| number.to_string() == version && is_id(id))
        .ok_or_else(|| not_found(resource_type))
}

fn there(resource_type: &str, number: u64, found: Option<Found>) -> Result<Found, Fault> {
    match found {
        None => Err(not_found(resource_type)),
        Some(found) if found.is_deleted() => Err(Fault::new(
            Kind::Deleted,
            format!("with version {number} this {resource_type} was deleted"),
        )),
        Some(found) => Ok(found),
    }
}
