//! Create: store a new resource under an id that the server chooses.
//! <https://hl7.org/fhir/R4/http.html#create>

use fhir_spec::Issue;

use crate::accept::{Stamped, Submitted, accept};
use crate::auth::{Action, may};
use crate::cx::Cx;
use crate::fault::{Fault, Kind};
use crate::store::Tx;

const FIRST_VERSION: u64 = 1;

/// What was stored, and what validation had to say beside.
#[derive(Debug)]
pub struct Created {
    pub resource: Stamped,
    pub notes: Vec<Issue>,
}

/// Opens the door: asks for the permit, has the document checked, and writes.
pub async fn run(
    cx: &Cx,
    resource_type: &'static str,
    submitted: Submitted,
) -> Result<Created, Fault> {
    let permit = may(cx.caller, Action::Create(resource_type))?;
    let app = cx.app.clone();
    let now = cx.now;
    let created = cx
        .compute(submitted.source.len(), move || {
            check_type(resource_type, &submitted)?;
            let mut accepted = accept(&app.validator, submitted)
                .map_err(|issues| Fault::of_issues(Kind::Unprocessable, issues))?;
            Ok(Created {
                notes: accepted.take_notes(),
                resource: accepted.stamp((app.ids)(now), FIRST_VERSION, now),
            })
        })
        .await?;
    let written = created.resource.clone();
    cx.app
        .store
        .write(permit, move |tx| apply(tx, &written))
        .await?;
    Ok(created)
}

fn check_type(resource_type: &str, submitted: &Submitted) -> Result<(), Fault> {
    match submitted.document.str_of("resourceType") {
        Some(named) if named != resource_type => Err(Fault::new(
            Kind::WrongType,
            format!("this address is for a {resource_type}, the document is a {named}"),
        )),
        _ => Ok(()),
    }
}

/// Works inside the door: bundles call it for each of their entries.
pub fn apply(tx: &mut Tx<'_>, resource: &Stamped) -> Result<(), Fault> {
    Ok(tx.create(resource)?)
}
