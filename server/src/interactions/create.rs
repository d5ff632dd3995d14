//! Create: store a new resource under an id that the server chooses.
//! <https://hl7.org/fhir/R4/http.html#create>

use fhir_spec::json::Value;

use crate::accept::{Stamped, accept};
use crate::auth::{Action, may};
use crate::cx::Cx;
use crate::fault::{Fault, Kind};
use crate::store::Tx;

const FIRST_VERSION: u64 = 1;

/// Opens the door: asks for the permit, has the document checked, and writes.
pub async fn run(
    cx: &Cx,
    resource_type: &'static str,
    body: Value,
    body_bytes: usize,
) -> Result<Stamped, Fault> {
    let permit = may(cx.caller, Action::Create(resource_type))?;
    let app = cx.app.clone();
    let now = cx.now;
    let stamped = cx
        .compute(body_bytes, move || {
            let accepted = accept(app.definitions, body)
                .map_err(|issues| Fault::of_issues(Kind::Unprocessable, issues))?;
            if accepted.resource_type() != resource_type {
                return Err(Fault::new(
                    Kind::WrongType,
                    format!(
                        "this address is for a {resource_type}, the document is a {}",
                        accepted.resource_type()
                    ),
                ));
            }
            Ok(accepted.stamp((app.ids)(now), FIRST_VERSION, now))
        })
        .await?;
    let written = stamped.clone();
    cx.app
        .store
        .write(permit, move |tx| apply(tx, &written))
        .await?;
    Ok(stamped)
}

/// Works inside the door: bundles call it for each of their entries.
pub fn apply(tx: &mut Tx<'_>, resource: &Stamped) -> Result<(), Fault> {
    Ok(tx.create(resource)?)
}
