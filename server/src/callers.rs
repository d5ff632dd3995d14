//! From what a caller shows, a key or a token, to who it is. What was looked up is remembered for a moment, so that the
//! next requests of a caller ask nobody; what was revoked meanwhile holds no longer than that.

mod absent;
mod governed;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant as Moment};

use fhir_spec::json::parse;
use sha2::{Digest, Sha256};

use crate::app::App;
use crate::auth::{Action, Caller, Grant, Granted, Level, Principal, Rights, Scope, may, role};
use crate::config::Auth;
use crate::fault::{Fault, Kind};
use crate::instant::Instant;
use crate::store::{AppGrant, Error, Key, Person, Token, View};
pub use absent::{absent, is_of, remembered};

/// How long what was looked up is believed.
const KEPT: Duration = Duration::from_millis(1_000);
const KEPT_MAX: usize = 10_000;

/// What somebody shows to come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown<'a> {
    Nothing,
    Key(&'a str),
    /// A key under its name, for those who know nothing else than passwords.
    Password {
        name: &'a str,
        key: &'a str,
    },
    Token(&'a str),
    /// A certificate, by its hash: TLS has seen that the caller has its key.
    Certificate(&'a str),
}

/// Those who came in lately.
#[derive(Debug, Default)]
pub struct Callers(Mutex<HashMap<String, Known>>);

#[derive(Debug, Clone)]
struct Known {
    principal: Arc<Principal>,
    since: Moment,
}

/// Who it is that shows this. Nothing is said about why something does not count.
pub async fn caller(app: &App, shown: Shown<'_>) -> Result<Caller, Fault> {
    if app.auth == Auth::Open {
        return Ok(Caller::Open);
    }
    let hash = match shown {
        Shown::Nothing => {
            return Err(unknown(
                "show who you are: an access token, or a key in X-Api-Key",
            ));
        }
        Shown::Key(key) | Shown::Password { key, .. } | Shown::Token(key) => hash(key),
        Shown::Certificate(hash) => hash.to_owned(),
    };
    let found = match app.callers.known(&hash, app) {
        Some(known) => Some(known),
        None => {
            let found = looked_up(app, &hash).await?;
            match found {
                None => None,
                Some(principal) => {
                    let principal = governed::governed(app, principal).await?;
                    app.callers.keep(hash, &principal);
                    Some(principal)
                }
            }
        }
    };
    let found = found.filter(|principal| match shown {
        Shown::Password { name, .. } => principal.name.strip_prefix(KEY) == Some(name),
        _ => true,
    });
    let told = "what was shown lets nobody in: it is unknown, has expired or was revoked";
    found.map(Caller::Known).ok_or_else(|| unknown(told))
}

/// How callers with a key are called, and programs that come by themselves.
const KEY: &str = "key:";
const CLIENT: &str = "client:";

fn unknown(told: &str) -> Fault {
    Fault::new(Kind::Unauthorized, told)
}

/// By what a key is found: the database does not know the key.
pub fn hash(key: &str) -> String {
    let digest = Sha256::digest(key.as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// By what the key is found that a certificate stands for: never what the hash of a text could be.
pub fn hash_of_certificate(der: &[u8]) -> String {
    let digest = Sha256::digest(der);
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("certificate:{hex}")
}

/// What was shown, as it is kept, while it holds.
pub async fn held(app: &App, hash: &str) -> Result<Option<Held>, Fault> {
    let permit = may(&Caller::Kiln, Action::Admit)?;
    let (wanted, now) = (hash.to_owned(), (app.clock)());
    let found = app.store.read(permit, move |view| {
        Ok::<_, Error>(match view.key(&wanted)? {
            Some(key) => Some(Held::Key(key)),
            None => match view.token(&wanted, now)? {
                Some(token) if !token.grant.is_empty() => allowed(view, token, now)?,
                token => token.map(Held::Token),
            },
        })
    });
    Ok(found.await?.filter(|held| match held {
        Held::Key(key) => key.holds(now),
        Held::Token(_) | Held::Granted(_) => true,
    }))
}

async fn looked_up(app: &App, hash: &str) -> Result<Option<Arc<Principal>>, Fault> {
    let principal = match held(app, hash).await? {
        Some(Held::Key(key)) => Some(of_key(app, &key)),
        Some(Held::Token(token)) => Some(of_token(app, &token)),
        Some(Held::Granted(granted)) => {
            let scope = &granted.token.scope;
            Some(of_granted(app, scope, &granted.grant, &granted.person))
        }
        None => None,
    };
    Ok(principal.map(Arc::new))
}

/// What was shown, as it is kept.
#[derive(Debug)]
pub enum Held {
    Key(Key),
    Token(Token),
    Granted(Box<PersonToken>),
}

/// A token of an app that a person uses.
#[derive(Debug)]
pub struct PersonToken {
    pub token: Token,
    pub grant: AppGrant,
    pub person: Person,
}

/// The person of that name.
pub async fn person(app: &App, name: &str) -> Result<Option<Person>, Fault> {
    let (wanted, permit) = (name.to_owned(), may(&Caller::Kiln, Action::Admit)?);
    let found = app.store.read(permit, move |view| view.person(&wanted));
    Ok(found.await.map_err(|error: Error| error)?)
}

/// What a person allowed holds as long as they do not take it back and may come in themselves.
fn allowed(view: &mut View<'_>, token: Token, now: Instant) -> Result<Option<Held>, Error> {
    let Some(grant) = view.app_grant(&token.grant, now)? else {
        return Ok(None);
    };
    let person = view.person(&grant.person)?;
    Ok(person.map(|person| {
        let granted = PersonToken {
            token,
            grant,
            person,
        };
        Held::Granted(Box::new(granted))
    }))
}

/// What the roles of a person allow them.
fn rights_of(person: &Person) -> Granted {
    let roles: Vec<_> = person
        .roles
        .split_whitespace()
        .filter_map(role::named)
        .collect();
    let patient = person.fhir_user.as_deref();
    let patient = patient.and_then(|reference| reference.strip_prefix("Patient/"));
    role::granted(&roles, patient)
}

/// A person who has signed in here, with all that they may.
pub async fn of_person(app: &App, person: &Person) -> Result<Caller, Fault> {
    let principal = Arc::new(Principal {
        name: format!("user:{}", person.name),
        fhir_user: person.fhir_user.clone(),
        // When they are not there nothing is done for them.
        standing: String::new(),
        rights: Arc::new(Rights::new(rights_of(person), app.search())),
    });
    Ok(Caller::Known(governed::governed(app, principal).await?))
}

/// A person by way of an app: what both may, and nothing that is not about resources.
fn of_granted(app: &App, scope: &str, grant: &AppGrant, person: &Person) -> Principal {
    let context = parse(grant.context.as_bytes()).ok();
    let patient = context
        .as_ref()
        .and_then(|context| context.str_of("patient"));
    let mut rights = rights_of(person);
    rights.privileges.clear();
    let scopes = scope.split_whitespace();
    let scopes = scopes.filter_map(|text| Scope::parse(text).ok());
    // A person is no system.
    let scopes = scopes.filter(|scope| scope.level != Level::System);
    let of_app = scopes.map(|scope| Grant {
        scope,
        patient: patient.map(str::to_owned),
    });
    rights.layers.push(of_app.collect());
    Principal {
        name: format!("user:{}", person.name),
        fhir_user: person.fhir_user.clone(),
        standing: absent::of_grant(&grant.id, scope),
        rights: Arc::new(Rights::new(rights, app.search())),
    }
}

/// A backend service, with what it was given.
fn of_token(app: &App, token: &Token) -> Principal {
    let scopes = token.scope.split_whitespace();
    let scopes = scopes.filter_map(|text| Scope::parse(text).ok());
    let grants = scopes.map(|scope| Grant {
        scope,
        patient: None,
    });
    let granted = Granted {
        layers: vec![grants.collect()],
        ..Granted::default()
    };
    Principal {
        name: format!("{CLIENT}{}", token.client),
        fhir_user: None,
        standing: absent::of_client(&token.client, &token.scope),
        rights: Arc::new(Rights::new(granted, app.search())),
    }
}

fn of_key(app: &App, key: &Key) -> Principal {
    let roles: Vec<_> = key
        .roles
        .split_whitespace()
        .filter_map(role::named)
        .collect();
    let patient = key.patient.as_deref();
    let mut granted: Granted = role::granted(&roles, patient);
    // What was found sound when the key was made, and is not any more, allows nothing.
    let scopes = key.scope.split_whitespace();
    let scopes = scopes.filter_map(|text| Scope::parse(text).ok());
    let grants: Vec<Grant> = scopes
        .map(|scope| Grant {
            scope,
            patient: key.patient.clone(),
        })
        .collect();
    if !key.scope.trim().is_empty() {
        granted.layers = vec![grants];
    }
    Principal {
        name: format!("{KEY}{}", key.name),
        standing: format!("{KEY}{}", key.name),
        fhir_user: patient.map(|id| format!("Patient/{id}")),
        rights: Arc::new(Rights::new(granted, app.search())),
    }
}

impl Callers {
    fn known(&self, hash: &str, app: &App) -> Option<Arc<Principal>> {
        let known = self.lock().get(hash).cloned()?;
        let generation = known.principal.rights.registry().generation();
        let is_fresh = known.since.elapsed() < KEPT && generation == app.search().generation();
        is_fresh.then_some(known.principal)
    }

    fn keep(&self, hash: String, principal: &Arc<Principal>) {
        let mut all = self.lock();
        if all.len() >= KEPT_MAX {
            all.clear();
        }
        let known = Known {
            principal: Arc::clone(principal),
            since: Moment::now(),
        };
        all.insert(hash, known);
    }

    /// Something that was shown holds no longer.
    pub fn forget_all(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
