//! Delete: store that a resource is gone; its earlier versions stay.
//! <https://hl7.org/fhir/R4/http.html#delete>

use fhir_spec::reference::is_id;

use super::before;
use super::precondition::Precondition;
use crate::app::App;
use crate::auth::{Action, may};
use crate::cx::Cx;
use crate::fault::Fault;
use crate::instant::Instant;
use crate::store::{Before, Deletion, Tx};

/// None: there was nothing to delete, which is as good.
pub async fn run(
    cx: &Cx,
    resource_type: &'static str,
    id: &str,
    precondition: Precondition,
) -> Result<Option<Deletion>, Fault> {
    let permit = may(&cx.caller, Action::Delete(resource_type))?;
    if !is_id(id) {
        return Ok(None);
    }
    let found = cx.app.store.find(&permit, resource_type, id, None).await?;
    let guess = found.map(|found| Before::of(&cx.app.search(), &found));
    let guess = guess.transpose()?;
    let (app, now, id) = (cx.app.clone(), cx.now, id.to_owned());
    cx.app
        .store
        .write(permit, move |tx| {
            apply(
                tx,
                &app,
                resource_type,
                &id,
                guess.as_ref(),
                &precondition,
                now,
            )
        })
        .await
}

/// Works inside the door: bundles call it for each of their entries.
pub fn apply(
    tx: &mut Tx<'_>,
    app: &App,
    resource_type: &'static str,
    id: &str,
    guess: Option<&Before>,
    precondition: &Precondition,
    now: Instant,
) -> Result<Option<Deletion>, Fault> {
    let current = tx.current(resource_type, id)?;
    precondition.check(current.as_ref())?;
    match current {
        Some(current) if !current.is_deleted() => {
            let before = before(app, &current, guess)?;
            Ok(Some(tx.delete(
                resource_type,
                id,
                &current,
                &before,
                now,
            )?))
        }
        Some(current) => Ok(Some(Deletion {
            version: current.version,
            at: current.at,
        })),
        None => Ok(None),
    }
}
