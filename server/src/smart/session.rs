//! Who has signed in: a name and a password for a session, which a cookie names.

use super::{after, password, secret};
use crate::app::App;
use crate::auth::{Action, Caller, may};
use crate::callers;
use crate::fault::Fault;
use crate::instant::Instant;
use crate::store::{Error, Person, Session};

/// How long somebody is signed in at most, and how long without a sign of them.
const LASTS_SECONDS: i64 = 12 * 3_600;
const IDLE_SECONDS: i64 = 15 * 60;
/// How often it is noted that somebody is still there.
const SEEN_SECONDS: i64 = 60;

/// Somebody who has signed in.
#[derive(Debug, Clone)]
pub struct Here {
    pub person: Person,
    pub session: Session,
}

impl Here {
    /// As one who asks, by all that they may themselves.
    pub async fn caller(&self, app: &App) -> Result<Caller, Fault> {
        callers::of_person(app, &self.person).await
    }

    /// The patient that they are.
    pub fn patient(&self) -> Option<&str> {
        self.person.fhir_user.as_deref()?.strip_prefix("Patient/")
    }
}

/// What a cookie says of somebody who has not signed in yet.
pub fn cookie() -> Result<String, Fault> {
    Ok(secret("")?)
}

/// What a form carries, so that it is one of ours and was shown in this browser.
pub fn mark(cookie: &str) -> String {
    callers::hash(&format!("form\n{cookie}"))
}

/// Who it is that shows this cookie.
pub async fn here(app: &App, cookie: &str, now: Instant) -> Result<Option<Here>, Fault> {
    let (hash, permit) = (callers::hash(cookie), may(&Caller::Kiln, Action::Admit)?);
    let found = app.store.read(permit, move |view| {
        let session = view.session(&hash, now)?;
        let session = session.filter(|session| after(session.seen_at, IDLE_SECONDS) > now);
        let Some(session) = session else {
            return Ok::<_, Error>(None);
        };
        let person = view.person(&session.person)?;
        Ok(person.map(|person| Here { person, session }))
    });
    let found = found.await?;
    if let Some(here) = &found
        && after(here.session.seen_at, SEEN_SECONDS) <= now
    {
        let (hash, permit) = (
            here.session.hash.clone(),
            may(&Caller::Kiln, Action::Admit)?,
        );
        let seen = app
            .store
            .write(permit, move |tx| tx.see_session(&hash, now));
        seen.await.map_err(|error: Error| error)?;
    }
    Ok(found)
}

/// Lets somebody in, with what the cookie says from now on. None: this is not their password, or nobody has that name.
pub async fn sign_in(
    app: &App,
    name: &str,
    password: &str,
    now: Instant,
) -> Result<Option<(String, Here)>, Fault> {
    let (wanted, permit) = (name.to_owned(), may(&Caller::Kiln, Action::Admit)?);
    let found = app.store.read(permit, move |view| view.person(&wanted));
    let found = found.await.map_err(|error: Error| error)?;
    let person = found.filter(|person| person.disabled_at.is_none());
    let kept = person.as_ref().map(|person| person.password.clone());
    let is_theirs = password::compared(password.to_owned(), kept).await?;
    let Some(person) = person.filter(|_| is_theirs) else {
        return Ok(None);
    };
    let cookie = secret("")?;
    let session = Session {
        hash: callers::hash(&cookie),
        person: person.name.clone(),
        created_at: now,
        seen_at: now,
        expires_at: after(now, LASTS_SECONDS),
    };
    let (kept, permit) = (session.clone(), may(&Caller::Kiln, Action::Admit)?);
    let added = app.store.write(permit, move |tx| tx.add_session(&kept));
    added.await.map_err(|error: Error| error)?;
    Ok(Some((cookie, Here { person, session })))
}

/// Somebody leaves.
pub async fn sign_out(app: &App, here: &Here) -> Result<(), Fault> {
    let (hash, permit) = (
        here.session.hash.clone(),
        may(&Caller::Kiln, Action::Admit)?,
    );
    let ended = app.store.write(permit, move |tx| tx.end_session(&hash));
    Ok(ended.await.map_err(|error: Error| error)?)
}
