//! What somebody has allowed apps, and taking it back.

use super::consent;
use super::session::Here;
use crate::app::App;
use crate::auth::{Action, Caller, may};
use crate::fault::Fault;
use crate::instant::Instant;
use crate::smart::Registration;
use crate::store::Error;

#[derive(Debug)]
pub struct Granted {
    pub id: String,
    /// The app, as people know it.
    pub name: String,
    pub since: Instant,
    /// What it may do.
    pub words: Vec<String>,
}

pub async fn of(app: &App, here: &Here, now: Instant) -> Result<Vec<Granted>, Fault> {
    let (person, permit) = (here.person.name.clone(), may(&Caller::Kiln, Action::Admit)?);
    let found = app.store.read(permit, move |view| {
        let grants = view.app_grants_of(&person, now)?.into_iter();
        let with_client = grants.map(|grant| Ok((view.client(&grant.client)?, grant)));
        with_client.collect::<Result<Vec<_>, Error>>()
    });
    let shown = found.await?.into_iter().map(|(client, grant)| {
        let known = client.and_then(|client| Registration::kept(&client.body).ok());
        let name = known
            .map(|client| client.name)
            .filter(|name| !name.trim().is_empty());
        Granted {
            id: grant.id,
            name: name.unwrap_or(grant.client),
            since: grant.created_at,
            words: consent::words(&grant.scope),
        }
    });
    Ok(shown.collect())
}

/// Takes back what they have allowed themselves. What is somebody else's stays.
pub async fn revoke(app: &App, here: &Here, id: &str, now: Instant) -> Result<(), Fault> {
    let (person, id) = (here.person.name.clone(), id.to_owned());
    let permit = may(&Caller::Kiln, Action::Admit)?;
    let revoked = app.store.write(permit, move |tx| {
        let found = tx.app_grant(&id, now)?;
        match found.filter(|grant| grant.person == person) {
            Some(grant) => tx.revoke_app_grant(&grant.id, now),
            None => Ok(false),
        }
    });
    revoked.await.map_err(|error: Error| error)?;
    app.callers.forget_all();
    Ok(())
}
