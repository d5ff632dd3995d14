//! Create: store a new resource under an id that the server chooses.
//! <https://hl7.org/fhir/R4/http.html#create>

use super::{Effect, Written, checked, sealed};
use crate::accept::{Sealed, Stamped, Submitted};
use crate::auth::{Action, may};
use crate::cx::Cx;
use crate::fault::Fault;
use crate::instant::Instant;
use crate::store::Tx;

/// Opens the door: asks for the permit, has the document checked, and writes.
pub async fn run(
    cx: &Cx,
    resource_type: &'static str,
    submitted: Submitted,
) -> Result<Written, Fault> {
    let permit = may(&cx.caller, Action::Create(resource_type))?;
    let (app, now) = (cx.app.clone(), cx.now);
    let (sealed, notes) = cx
        .compute(submitted.weight(), move || {
            let (accepted, notes) = checked(&app, resource_type, submitted)?;
            Ok((sealed(&app, accepted, (app.ids)(now))?, notes))
        })
        .await?;
    let resource = cx
        .app
        .store
        .write(permit, move |tx| apply(tx, &sealed, now))
        .await?;
    Ok(Written {
        resource,
        effect: Effect::Created,
        notes,
    })
}

/// Works inside the door: bundles call it for each of their entries.
pub fn apply(tx: &mut Tx<'_>, sealed: &Sealed, now: Instant) -> Result<Stamped, Fault> {
    Ok(tx.create(sealed, now)?)
}
