//! What the server itself writes into a Subscription: its status, and why. <https://hl7.org/fhir/R4/subscription.html#status>

use fhir_spec::json::parse;

use super::TYPE;
use crate::accept::accept_text;
use crate::app::App;
use crate::instant::Instant;
use crate::store::{Before, Error, State, Tx};

/// Writes the status, when this version is still the current one. The version that says so; None: it is another one by
/// now, which says something of its own.
pub fn write(
    tx: &mut Tx<'_>,
    app: &App,
    (id, version): (&str, u64),
    state: State,
    problem: &str,
    now: Instant,
) -> Result<Option<u64>, Error> {
    let current = tx.current(TYPE, id)?;
    let Some(current) =
        current.filter(|current| current.version == version && !current.is_deleted())
    else {
        return Ok(None);
    };
    let mut document = parse(&current.body).map_err(|error| Error::Body(error.to_string()))?;
    if let Some(object) = document.as_object_mut() {
        object.set("status", state.code());
        match problem.is_empty() {
            true => drop(object.remove("error")),
            false => object.set("error", problem),
        }
    }
    let sealed = accept_text(&app.validator, document, None)
        .and_then(|accepted| accepted.seal(id.to_owned(), &app.search()));
    let sealed = match sealed {
        Ok(sealed) => sealed,
        Err(issues) => {
            let told = issues.first().map_or("", |issue| &issue.diagnostics);
            tracing::warn!(subscription = id, "its status cannot be written: {told}");
            return Ok(None);
        }
    };
    if sealed.says_the_same_as(current.version, current.at, &current.body) {
        return Ok(Some(version));
    }
    let before = Before::of(&app.search(), &current)?;
    let stamped = tx.update(&current, &before, &sealed, now)?;
    Ok(Some(stamped.version()))
}
