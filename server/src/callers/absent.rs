//! Those for whom the server goes on when they are not there: who has subscribed is told as much as they may see now.

use std::sync::Arc;

use fhir_spec::json::parse;

use super::{CLIENT, KEY, governed, of_granted, of_key};
use crate::app::App;
use crate::auth::{Caller, Grant, Granted, Principal, Rights, Scope};
use crate::config::Auth;
use crate::store::{Error, View};

/// By what a program with a token is found again: the token ends in minutes, what it was good for stays.
pub(super) fn of_client(id: &str, scope: &str) -> String {
    format!("{CLIENT}{id} {scope}")
}

/// By what a person with an app is found again: by what they allowed it.
pub(super) fn of_grant(id: &str, scope: &str) -> String {
    format!("{GRANT}{id} {scope}")
}

const GRANT: &str = "grant:";

/// Who that was (`Permit::standing`), with the rights that they have by now. None: nobody is known any more by what it says.
pub fn absent(app: &App, view: &mut View<'_>, standing: &str) -> Result<Option<Caller>, Error> {
    if let Some(caller) = remembered(app, standing) {
        return Ok(Some(caller));
    }
    let principal = if let Some(name) = standing.strip_prefix(KEY) {
        let now = (app.clock)();
        let keys = view.keys_named(name)?;
        // Of two that hold, one replaces the other: the newer one counts.
        let newest = keys.into_iter().rfind(|key| key.holds(now));
        newest.map(|key| of_key(app, &key))
    } else if let Some(named) = standing.strip_prefix(CLIENT) {
        of_registered(app, view, named)?
    } else if let Some(named) = standing.strip_prefix(GRANT) {
        of_allowed(app, view, named)?
    } else {
        None
    };
    Ok(principal.map(|principal| {
        let principal = governed::held(app, Arc::new(principal));
        app.callers.keep(standing.to_owned(), &principal);
        Caller::Known(principal)
    }))
}

/// Whether this is by what somebody is found who is there.
pub fn is_of(standing: &str, caller: &Caller) -> bool {
    // A person comes by an app, under a name of their own.
    if caller.standing() == Some(standing) {
        return true;
    }
    match (caller, standing.strip_prefix(caller.name())) {
        (Caller::Open | Caller::Kiln, _) => true,
        // What a client had asked for may differ from token to token.
        (_, Some(rest)) => rest.is_empty() || rest.starts_with(' '),
        (_, None) => false,
    }
}

/// The same, when it was asked a moment ago.
pub fn remembered(app: &App, standing: &str) -> Option<Caller> {
    match app.auth {
        Auth::Open => Some(Caller::Open),
        Auth::Smart => app.callers.known(standing, app).map(Caller::Known),
    }
}

/// What a person allowed, as long as they do not take it back and may come in themselves.
fn of_allowed(app: &App, view: &mut View<'_>, named: &str) -> Result<Option<Principal>, Error> {
    let (id, scope) = named.split_once(' ').unwrap_or((named, ""));
    let Some(grant) = view.app_grant(id, (app.clock)())? else {
        return Ok(None);
    };
    let person = view.person(&grant.person)?;
    Ok(person.map(|person| of_granted(app, scope, &grant, &person)))
}

/// What the token was good for, as far as the client is registered for it today.
fn of_registered(app: &App, view: &mut View<'_>, named: &str) -> Result<Option<Principal>, Error> {
    let (id, scope) = named.split_once(' ').unwrap_or((named, ""));
    let Some(client) = view.client(id)? else {
        return Ok(None);
    };
    let registered = parse(client.body.as_bytes()).ok();
    let registered = registered.as_ref().and_then(|json| json.str_of("scope"));
    let grants = |text: &str| {
        let scopes = text.split_whitespace();
        let scopes = scopes.filter_map(|text| Scope::parse(text).ok());
        let grant = |scope| Grant {
            scope,
            patient: None,
        };
        scopes.map(grant).collect()
    };
    let granted = Granted {
        layers: vec![grants(scope), grants(registered.unwrap_or_default())],
        ..Granted::default()
    };
    Ok(Some(Principal {
        name: format!("{CLIENT}{id}"),
        fhir_user: None,
        standing: of_client(id, scope),
        rights: Arc::new(Rights::new(granted, app.search())),
    }))
}
