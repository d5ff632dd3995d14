//! Tokens for backend services, and taking them back.
//! <https://hl7.org/fhir/smart-app-launch/STU2.2/backend-services.html>

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fhir_spec::json::{Object, Value};

use super::{ACCESS_SECONDS, Refusal, Registration, assertion};
use crate::app::App;
use crate::auth::{Action, Caller, Scope, may};
use crate::callers;
use crate::fault::Fault;
use crate::instant::Instant;
use crate::store::{Error, Token, chance};

/// So that a token is recognised where it should not be.
const BEGINS: &str = "kiln_at_";
const KIND: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// What was sent to an endpoint, and where.
#[derive(Debug)]
pub struct Sent<'a> {
    pub parameters: &'a [(String, String)],
    /// The address of the token endpoint as clients know it.
    pub endpoint: &'a str,
    pub now: Instant,
}

impl Sent<'_> {
    fn get(&self, name: &str) -> Result<Option<&str>, Refusal> {
        let mut all = self.parameters.iter().filter(|(key, _)| key == name);
        let first = all.next().map(|(_, value)| value.as_str());
        match all.next() {
            Some(_) => Err(Refusal::new(
                "invalid_request",
                format!("`{name}` comes twice"),
            )),
            None => Ok(first),
        }
    }
}

/// A token, or why there is none.
pub async fn grant(app: &App, sent: &Sent<'_>) -> Result<Result<Value, Refusal>, Fault> {
    let asked = match asked(sent) {
        Ok(asked) => asked,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let (id, client) = match client(app, sent).await? {
        Ok(known) => known,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let granted = client.granted(&asked);
    if granted.is_empty() {
        let told = "the client is registered for nothing of what it asks for";
        return Ok(Err(Refusal::new("invalid_scope", told)));
    }
    let scope: Vec<String> = granted.iter().map(ToString::to_string).collect();
    let (scope, secret) = (scope.join(" "), URL_SAFE_NO_PAD.encode(chance()?));
    let text = format!("{BEGINS}{secret}");
    let lasts = ACCESS_SECONDS * 1_000_000;
    let token = Token {
        hash: callers::hash(&text),
        client: id,
        scope: scope.clone(),
        grant: String::new(),
        created_at: sent.now,
        expires_at: Instant::from_micros(sent.now.micros().saturating_add(lasts)),
    };
    let permit = may(&Caller::Kiln, Action::Admit)?;
    let kept = app.store.write(permit, move |tx| tx.add_token(&token));
    kept.await.map_err(|error: Error| error)?;
    let mut answer = Object::new();
    answer.set("access_token", text);
    answer.set("token_type", "bearer");
    answer.set("expires_in", Value::number(ACCESS_SECONDS));
    answer.set("scope", scope);
    Ok(Ok(answer.into()))
}

fn asked(sent: &Sent<'_>) -> Result<Vec<Scope>, Refusal> {
    match sent.get("grant_type")? {
        Some("client_credentials") => {}
        Some(_) => {
            let told = "grant_type is client_credentials";
            return Err(Refusal::new("unsupported_grant_type", told));
        }
        None => return Err(Refusal::new("invalid_request", "grant_type is missing")),
    }
    let asked = sent.get("scope")?.unwrap_or_default();
    let mut scopes = Vec::new();
    for text in asked.split_whitespace() {
        let scope = Scope::parse(text);
        let told = |told| Refusal::new("invalid_scope", format!("{text}: {told}"));
        scopes.push(scope.map_err(told)?);
    }
    match scopes.is_empty() {
        true => Err(Refusal::new("invalid_scope", "scope is missing")),
        false => Ok(scopes),
    }
}

/// Takes a token back. Whoever asks hears nothing of whether there was one.
pub async fn revoke(app: &App, sent: &Sent<'_>) -> Result<Result<(), Refusal>, Fault> {
    let (id, _) = match client(app, sent).await? {
        Ok(known) => known,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let hash = match sent.get("token") {
        Ok(Some(token)) => callers::hash(token),
        Ok(None) => return Ok(Err(Refusal::new("invalid_request", "token is missing"))),
        Err(refusal) => return Ok(Err(refusal)),
    };
    let permit = may(&Caller::Kiln, Action::Admit)?;
    let of_write = hash.clone();
    let revoked = app
        .store
        .write(permit, move |tx| tx.revoke_token(&of_write, &id));
    revoked.await.map_err(|error: Error| error)?;
    app.callers.forget(&hash);
    Ok(Ok(()))
}

/// The client that sends this, once it has proven to be it.
async fn client(
    app: &App,
    sent: &Sent<'_>,
) -> Result<Result<(String, Registration), Refusal>, Fault> {
    let (token, id) = match read(sent) {
        Ok(read) => read,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let unknown = || Refusal::new("invalid_client", "no such client is registered");
    let permit = may(&Caller::Kiln, Action::Admit)?;
    let wanted = id.clone();
    let found = app.store.read(permit, move |view| view.client(&wanted));
    let found = found.await.map_err(|error: Error| error)?;
    let Some(client) = found.and_then(|client| Registration::kept(&client.body).ok()) else {
        return Ok(Err(unknown()));
    };
    let claims = match assertion::proven(&token, (&id, &client), sent.endpoint, sent.now) {
        Ok(claims) => claims,
        Err(refusal) => return Ok(Err(refusal)),
    };
    // An issuer's ids are its own: what separates them cannot stand in one.
    let hash = callers::hash(&format!("{id}\n{}", claims.jti));
    let (until, now) = (claims.expires_at(), sent.now);
    let permit = may(&Caller::Kiln, Action::Admit)?;
    let first = app
        .store
        .write(permit, move |tx| tx.use_assertion(&hash, until, now));
    match first.await.map_err(|error: Error| error)? {
        true => Ok(Ok((id, client))),
        false => Ok(Err(Refusal::new(
            "invalid_client",
            "this assertion was sent before: jti",
        ))),
    }
}

fn read(sent: &Sent<'_>) -> Result<(String, String), Refusal> {
    if sent.get("client_assertion_type")? != Some(KIND) {
        let told = format!("client_assertion_type is {KIND}");
        return Err(Refusal::new("invalid_client", told));
    }
    let missing = || Refusal::new("invalid_client", "client_assertion is missing");
    let token = sent.get("client_assertion")?.ok_or_else(missing)?;
    Ok((token.to_owned(), assertion::issuer(token)?))
}
