//! Read: the current version of a resource.
//! <https://hl7.org/fhir/R4/http.html#read>

use crate::auth::{Action, may};
use crate::cx::Cx;
use crate::fault::{Fault, Kind};
use crate::store::{Change, Current};

pub async fn run(cx: &Cx, resource_type: &'static str, id: &str) -> Result<Current, Fault> {
    let action = Action::Read(resource_type);
    let permit = may(cx.caller, action)?;
    match cx.app.store.read(&permit, resource_type, id).await? {
        None => Err(Fault::new(
            Kind::NotFound,
            format!("there is no {resource_type} with this id"),
        )),
        Some(found) if found.change == Change::Deleted => Err(Fault::new(
            Kind::Deleted,
            format!("this {resource_type} was deleted"),
        )),
        Some(found) => Ok(found),
    }
}
