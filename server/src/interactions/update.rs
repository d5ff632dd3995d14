//! Update: store the next version of a resource, or its first under an id that the client chose.
//! <https://hl7.org/fhir/R4/http.html#update>

use fhir_spec::reference::is_id;

use super::precondition::Precondition;
use super::{Effect, Written, before, checked, sealed};
use crate::accept::{Sealed, Stamped, Submitted};
use crate::app::App;
use crate::auth::{Action, may};
use crate::cx::Cx;
use crate::fault::{Fault, Kind};
use crate::instant::Instant;
use crate::store::{Before, Found, Tx};

pub async fn run(
    cx: &Cx,
    resource_type: &'static str,
    id: &str,
    submitted: Submitted,
    precondition: Precondition,
) -> Result<Written, Fault> {
    let permit = may(&cx.caller, Action::Update(resource_type))?;
    check_id(id, &submitted)?;
    let found = cx.app.store.find(&permit, resource_type, id, None).await?;
    let (app, now, id) = (cx.app.clone(), cx.now, id.to_owned());
    let (sealed, guess, notes) = cx
        .compute(submitted.weight(), move || {
            let (accepted, notes) = checked(&app, resource_type, submitted)?;
            let guess = found.map(|found| Before::of(&app.search(), &found));
            Ok((sealed(&app, accepted, id)?, guess.transpose()?, notes))
        })
        .await?;
    let app = cx.app.clone();
    let (resource, effect) = cx
        .app
        .store
        .write(permit, move |tx| {
            apply(tx, &app, &sealed, guess.as_ref(), &precondition, now)
        })
        .await?;
    Ok(Written {
        resource,
        effect,
        notes,
    })
}

/// The document must bear the id of the address.
fn check_id(id: &str, submitted: &Submitted) -> Result<(), Fault> {
    if !is_id(id) {
        let diagnostics = "an id has 1 to 64 letters, digits, dots and hyphens";
        return Err(Fault::new(Kind::Malformed, diagnostics));
    }
    let diagnostics = match submitted.document.str_of("id") {
        Some(named) if named == id => return Ok(()),
        Some(_) => "the id in the document is another one than in the address",
        None => "the document must bear the id of the address",
    };
    Err(Fault::new(Kind::WrongId, diagnostics))
}

/// Works inside the door: bundles call it for each of their entries.
pub fn apply(
    tx: &mut Tx<'_>,
    app: &App,
    sealed: &Sealed,
    guess: Option<&Before>,
    precondition: &Precondition,
    now: Instant,
) -> Result<(Stamped, Effect), Fault> {
    let current = tx.current(sealed.resource_type(), sealed.id())?;
    precondition.check(current.as_ref())?;
    let Some(current) = current else {
        return Ok((tx.place(sealed, now)?, Effect::Created));
    };
    onto(tx, app, &current, guess, sealed, now)
}

/// The version that follows the one that the transaction has just read; none when it would say the same.
pub(crate) fn onto(
    tx: &mut Tx<'_>,
    app: &App,
    current: &Found,
    guess: Option<&Before>,
    sealed: &Sealed,
    now: Instant,
) -> Result<(Stamped, Effect), Fault> {
    if sealed.says_the_same_as(current.version, current.at, &current.body) {
        let resource = sealed.stamp(current.version, current.at);
        return Ok((resource, Effect::Unchanged));
    }
    let effect = match current.is_deleted() {
        true => Effect::Created,
        false => Effect::Updated,
    };
    let before = before(app, current, guess)?;
    Ok((tx.update(current, &before, sealed, now)?, effect))
}
