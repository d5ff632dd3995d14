//! An app is opened from a record: what is in context waits for it under a token that counts once, for that app and person.
//! <https://hl7.org/fhir/smart-app-launch/STU2.2/app-launch.html#launch-app-ehr-launch>

use fhir_spec::json::{Object, Value};

use super::session::Here;
use super::{LAUNCH_SECONDS, after, patients, secret};
use crate::app::App;
use crate::auth::{Action, Caller, may};
use crate::callers;
use crate::cx::Cx;
use crate::fault::{Fault, Kind};
use crate::interactions::read;
use crate::smart::Registration;
use crate::store::{Error, Launch};

const BEGINS: &str = "kiln_la_";

/// An app that can be opened.
#[derive(Debug)]
pub struct Launchable {
    pub id: String,
    pub name: String,
    pub url: String,
}

pub async fn apps(app: &App) -> Result<Vec<Launchable>, Fault> {
    let permit = may(&Caller::Kiln, Action::Admit)?;
    let found = app.store.read(permit, |view| view.clients());
    let found = found.await.map_err(|error: Error| error)?;
    let all = found.into_iter().filter_map(|client| {
        let known = Registration::kept(&client.body).ok()?;
        let name = known.name.trim();
        let name = if name.is_empty() { &client.id } else { name };
        Some(Launchable {
            name: name.to_owned(),
            url: known.launch_url?,
            id: client.id,
        })
    });
    Ok(all.collect())
}

/// The token to open it with. None: the person does not see that patient, or the encounter is not that patient's.
pub async fn begin(
    cx: &Cx,
    here: &Here,
    app: &Launchable,
    (patient, encounter): (&str, &str),
) -> Result<Option<String>, Fault> {
    if patients::named(cx, patient).await?.is_none() {
        return Ok(None);
    }
    let mut context = Object::new();
    context.set("patient", patient);
    if !encounter.is_empty() {
        if !is_of(cx, encounter, patient).await? {
            return Ok(None);
        }
        context.set("encounter", encounter);
        let mut reference = Object::new();
        reference.set("reference", format!("Encounter/{encounter}"));
        reference.set("role", "launch");
        context.set("fhirContext", vec![Value::from(reference)]);
    }
    let token = secret(BEGINS)?;
    let launch = Launch {
        hash: callers::hash(&token),
        client: app.id.clone(),
        person: here.person.name.clone(),
        context: Value::from(context).to_string(),
        expires_at: after(cx.now, LAUNCH_SECONDS),
    };
    let (now, permit) = (cx.now, may(&Caller::Kiln, Action::Admit)?);
    let kept = cx
        .app
        .store
        .write(permit, move |tx| tx.add_launch(&launch, now));
    kept.await.map_err(|error: Error| error)?;
    Ok(Some(token))
}

/// Whether the encounter is there for the person, and the patient's.
async fn is_of(cx: &Cx, encounter: &str, patient: &str) -> Result<bool, Fault> {
    let found = match read::run(cx, "Encounter", encounter).await {
        Ok(found) => found,
        Err(fault) if matches!(fault.kind, Kind::NotFound | Kind::Deleted | Kind::Forbidden) => {
            return Ok(false);
        }
        Err(fault) => return Err(fault),
    };
    let document = fhir_spec::json::parse(&found.body).map_err(Fault::internal)?;
    let subject = document
        .get("subject")
        .and_then(|subject| subject.str_of("reference"));
    Ok(subject == Some(format!("Patient/{patient}").as_str()))
}
