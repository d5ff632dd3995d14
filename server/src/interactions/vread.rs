//! Vread: one version of a resource, the current one or an older.
//! <https://hl7.org/fhir/R4/http.html#vread>

use fhir_spec::reference::is_id;

use super::read::not_found;
use crate::auth::{Action, may};
use crate::cx::Cx;
use crate::fault::{Fault, Kind};
use crate::store::Found;

pub async fn run(
    cx: &Cx,
    resource_type: &'static str,
    id: &str,
    version: &str,
) -> Result<Found, Fault> {
    let permit = may(cx.caller, Action::Read(resource_type))?;
    // Versions are numbers here, written in one way (not `01`), and what cannot be an id is not looked up.
    let number = version
        .parse()
        .ok()
        .filter(|number: &u64| number.to_string() == version && is_id(id));
    let Some(number) = number else {
        return Err(not_found(resource_type));
    };
    let found = cx
        .app
        .store
        .find(&permit, resource_type, id, Some(number))
        .await?;
    match found {
        None => Err(not_found(resource_type)),
        Some(found) if found.is_deleted() => Err(Fault::new(
            Kind::Deleted,
            format!("with version {number} this {resource_type} was deleted"),
        )),
        Some(found) => Ok(found),
    }
}
