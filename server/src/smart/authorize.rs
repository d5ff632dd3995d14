//! What an app asks for when it leads a person here.
//! <https://hl7.org/fhir/smart-app-launch/STU2.2/app-launch.html#obtain-authorization-code>

use fhir_spec::json::{Object, Value, parse};

use super::registration::{within, word};
use super::session::Here;
use super::{CODE_SECONDS, Refusal, Registration, after, client, exchange, once, redirect, secret};
use crate::app::App;
use crate::auth::{Action, BadScope, Caller, Level, Scope, may};
use crate::callers;
use crate::fault::Fault;
use crate::instant::Instant;
use crate::store::{AppGrant, Error, Launch, Voucher};

const STATE_BYTES_MAX: usize = 2_048;
const NONCE_BYTES_MAX: usize = 256;
const CHALLENGE_BYTES: usize = 43;
const CODE_BEGINS: &str = "kiln_ac_";

/// What is carried on from form to form.
pub const PARAMETERS: &[&str] = &[
    "response_type",
    "client_id",
    "redirect_uri",
    "scope",
    "state",
    "aud",
    "code_challenge",
    "code_challenge_method",
    "launch",
    "nonce",
    "prompt",
];

/// A request that makes sense, of an app that is known.
#[derive(Debug)]
pub struct Asked {
    pub client_id: String,
    pub client: Registration,
    pub redirect: String,
    pub state: String,
    /// What it may be allowed at most.
    pub scopes: Vec<Scope>,
    pub words: Vec<&'static str>,
    challenge: String,
    nonce: Option<String>,
    pub launch: Option<Launch>,
    pub prompt: Option<String>,
}

/// Why there is no code.
#[derive(Debug)]
pub enum Trouble {
    /// Nobody knows whether the address to go back to is the app's: only the person is told.
    Untrusted(&'static str),
    /// The app is told at its address.
    Back(String),
}

/// What a code is bound to.
#[derive(Debug)]
pub(super) struct Bound {
    pub(super) redirect: String,
    pub(super) challenge: String,
    pub(super) nonce: Option<String>,
    /// When the person signed in.
    pub(super) signed_in_at: Instant,
}

impl Bound {
    fn to_json(&self) -> String {
        let mut object = Object::new();
        object.set("redirect_uri", self.redirect.as_str());
        object.set("code_challenge", self.challenge.as_str());
        if let Some(nonce) = &self.nonce {
            object.set("nonce", nonce.as_str());
        }
        object.set("signed_in_at", self.signed_in_at.micros());
        Value::from(object).to_string()
    }

    pub(super) fn kept(text: &str) -> Option<Self> {
        let json = parse(text.as_bytes()).ok()?;
        let text = |name: &str| json.str_of(name).map(str::to_owned);
        Some(Self {
            redirect: text("redirect_uri")?,
            challenge: text("code_challenge")?,
            nonce: text("nonce"),
            signed_in_at: Instant::from_micros(json.get("signed_in_at")?.to_string().parse().ok()?),
        })
    }
}

/// Reads a request. `base`: the address of the FHIR server as clients know it.
pub async fn asked(
    app: &App,
    parameters: &[(String, String)],
    base: &str,
    now: Instant,
) -> Result<Result<Asked, Trouble>, Fault> {
    let untrusted = |told| Ok(Err(Trouble::Untrusted(told)));
    let Ok(Some(id)) = once(parameters, "client_id") else {
        return untrusted("The app does not say which one it is (client_id).");
    };
    let client = client::registered(app, id).await?;
    let Some(client) = client.filter(|client| !client.redirects.is_empty()) else {
        return untrusted("No app of this name is registered here (client_id).");
    };
    let uri = once(parameters, "redirect_uri").ok().flatten();
    let Some(uri) = uri.filter(|uri| client.redirects.iter().any(|known| known == uri)) else {
        return untrusted("The address to go back to is not one of this app's (redirect_uri).");
    };
    let state = once(parameters, "state").ok().flatten().unwrap_or_default();
    let state = if state.len() > STATE_BYTES_MAX {
        ""
    } else {
        state
    };
    let back = |refusal: &Refusal| Ok(Err(Trouble::Back(refused(uri, state, refusal))));
    let mut asked = match read(parameters, id, client.clone(), (uri, state), base) {
        Ok(asked) => asked,
        Err(refusal) => return back(&refusal),
    };
    for scope in &asked.scopes {
        if let Err(told) = scope.check(&app.search()) {
            return back(&Refusal::new("invalid_scope", told.to_string()));
        }
    }
    let launch = once(parameters, "launch").ok().flatten();
    match (asked.words.contains(&"launch"), launch) {
        (true, Some(text)) => {
            let (hash, permit) = (callers::hash(text), may(&Caller::Kiln, Action::Admit)?);
            let found = app.store.read(permit, move |view| view.launch(&hash, now));
            let found = found.await.map_err(|error: Error| error)?;
            asked.launch = found.filter(|launch| launch.client == id);
            match asked.launch {
                Some(_) => Ok(Ok(asked)),
                None => back(&Refusal::new(
                    "invalid_request",
                    "launch is unknown or over",
                )),
            }
        }
        (true, None) => back(&Refusal::new("invalid_request", "launch is missing")),
        (false, _) => Ok(Ok(asked)),
    }
}

fn read(
    parameters: &[(String, String)],
    id: &str,
    client: Registration,
    (redirect, state): (&str, &str),
    base: &str,
) -> Result<Asked, Refusal> {
    let get = |name: &str| once(parameters, name);
    let wrong = |told: &str| Refusal::new("invalid_request", told);
    match get("response_type")? {
        Some("code") => {}
        Some(_) => {
            return Err(Refusal::new(
                "unsupported_response_type",
                "response_type is code",
            ));
        }
        None => return Err(wrong("response_type is missing")),
    }
    if get("state")?.is_none() || state.is_empty() {
        return Err(wrong("state is missing or longer than 2048 bytes"));
    }
    let aud = get("aud")?.ok_or_else(|| wrong("aud is missing"))?;
    if aud.strip_suffix('/').unwrap_or(aud) != base {
        return Err(wrong("aud is another server"));
    }
    if get("code_challenge_method")? != Some("S256") {
        return Err(wrong("code_challenge_method is S256"));
    }
    let challenge = get("code_challenge")?.unwrap_or_default();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if challenge.len() != CHALLENGE_BYTES || !challenge.chars().all(is_plain) {
        return Err(wrong(
            "code_challenge is missing or no SHA-256 in base64url",
        ));
    }
    let nonce = get("nonce")?.map(str::to_owned);
    if nonce
        .as_ref()
        .is_some_and(|nonce| nonce.len() > NONCE_BYTES_MAX)
    {
        return Err(wrong("nonce is longer than 256 bytes"));
    }
    let (scopes, words) = wanted(&client, get("scope")?.unwrap_or_default())?;
    Ok(Asked {
        client_id: id.to_owned(),
        client,
        redirect: redirect.to_owned(),
        state: state.to_owned(),
        scopes,
        words,
        challenge: challenge.to_owned(),
        nonce,
        launch: None,
        prompt: get("prompt")?.map(str::to_owned),
    })
}

/// What of the scopes that are asked for may be allowed. What is not understood is refused where it would say less than it
/// means, and else left out.
fn wanted(client: &Registration, text: &str) -> Result<(Vec<Scope>, Vec<&'static str>), Refusal> {
    let (mut scopes, mut words) = (Vec::new(), Vec::new());
    for text in text.split_whitespace() {
        if let Some(word) = word(text) {
            if client.words.contains(&word) && !words.contains(&word) {
                words.push(word);
            }
            continue;
        }
        match Scope::parse(text) {
            // A person is no system.
            Ok(scope) if scope.level == Level::System => {}
            Ok(scope) => scopes.push(scope),
            Err(BadScope::Level | BadScope::Type(_)) => {}
            Err(told) => return Err(Refusal::new("invalid_scope", format!("{text}: {told}"))),
        }
    }
    let scopes = within(&client.scopes, &scopes);
    match scopes.is_empty() && words.is_empty() {
        true => Err(Refusal::new(
            "invalid_scope",
            "the app is registered for nothing of what it asks for",
        )),
        false => Ok((scopes, words)),
    }
}

fn refused(redirect: &str, state: &str, refusal: &Refusal) -> String {
    let mut parameters = vec![
        ("error", refusal.error),
        ("error_description", refusal.told.as_str()),
    ];
    if !state.is_empty() {
        parameters.push(("state", state));
    }
    redirect::with(redirect, &parameters)
}

/// What was allowed, and in what context.
#[derive(Debug)]
pub struct Allowed {
    pub scopes: Vec<Scope>,
    pub words: Vec<&'static str>,
    pub patient: Option<String>,
}

impl Asked {
    /// The address at which the app learns that there is no code.
    pub fn refused(&self, error: &'static str, told: &str) -> String {
        refused(&self.redirect, &self.state, &Refusal::new(error, told))
    }

    /// Whether a patient must be in context: then it is clear whose record it is about.
    pub fn needs_patient(&self) -> bool {
        self.words.contains(&"launch/patient")
            || self.launch.is_some()
            || self
                .scopes
                .iter()
                .any(|scope| scope.level == Level::Patient)
    }

    /// The patient whom the app was launched with.
    pub fn patient_of_launch(&self) -> Option<String> {
        let context = parse(self.launch.as_ref()?.context.as_bytes()).ok()?;
        context.str_of("patient").map(str::to_owned)
    }

    /// Notes what the person has allowed. The address at which the app gets its code.
    pub async fn allowed(
        self,
        app: &App,
        here: &Here,
        allowed: Allowed,
        now: Instant,
    ) -> Result<String, Fault> {
        let code = secret(CODE_BEGINS)?;
        let words = allowed.words.iter().map(|word| (*word).to_owned());
        let scope: Vec<String> = words
            .chain(allowed.scopes.iter().map(ToString::to_string))
            .collect();
        let session = match allowed.words.contains(&"offline_access") {
            true => String::new(),
            false => here.session.hash.clone(),
        };
        let grant = AppGrant {
            id: (app.ids)(now),
            client: self.client_id.clone(),
            person: here.person.name.clone(),
            scope: scope.join(" "),
            context: self.context(allowed.patient.as_deref()),
            session,
            created_at: now,
            expires_at: after(now, CODE_SECONDS),
        };
        let bound = Bound {
            redirect: self.redirect.clone(),
            challenge: self.challenge.clone(),
            nonce: self.nonce.clone(),
            signed_in_at: here.session.created_at,
        };
        let voucher = Voucher {
            hash: callers::hash(&code),
            grant: grant.id.clone(),
            bound: bound.to_json(),
            expires_at: exchange::remembered(now),
            is_used: false,
        };
        let launch = self.launch.as_ref().map(|launch| launch.hash.clone());
        let permit = may(&Caller::Kiln, Action::Admit)?;
        let written = app.store.write(permit, move |tx| {
            if let Some(launch) = &launch
                && !tx.use_launch(launch)?
            {
                return Ok::<_, Error>(false);
            }
            tx.add_app_grant(&grant)?;
            tx.add_voucher(&voucher, now)?;
            Ok(true)
        });
        Ok(match written.await? {
            true => redirect::with(&self.redirect, &[("code", &code), ("state", &self.state)]),
            false => self.refused("invalid_request", "launch was used before"),
        })
    }

    /// What is in context, as the app will be told.
    fn context(&self, patient: Option<&str>) -> String {
        let launch = self.launch.as_ref();
        let kept = launch.and_then(|launch| parse(launch.context.as_bytes()).ok());
        let mut context = match kept.map(|value| value.data) {
            Some(fhir_spec::json::Data::Object(context)) => context,
            _ => Object::new(),
        };
        if let Some(patient) = patient {
            context.set("patient", patient);
        }
        if self.words.iter().any(|word| word.starts_with("launch")) && context.contains("patient") {
            context.set("need_patient_banner", self.launch.is_none());
        }
        Value::from(context).to_string()
    }
}
