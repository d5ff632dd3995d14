//! Tokens, and taking them back.
//! <https://www.rfc-editor.org/rfc/rfc6749#section-5>, <https://www.rfc-editor.org/rfc/rfc7009>

use fhir_spec::json::{Object, Value};

use super::{ALONE_SECONDS, Refusal, Registration, Sent, after, client, exchange, secret};
use crate::app::App;
use crate::auth::{Action, Caller, Level, Scope, may};
use crate::callers;
use crate::fault::Fault;
use crate::store::{Error, Token};

/// So that a token is recognised where it should not be.
pub(super) const BEGINS: &str = "kiln_at_";

/// What a client may come with to get a token.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Alone,
    Code,
    Refresh,
}

/// A token, or why there is none.
pub async fn grant(app: &App, sent: &Sent<'_>) -> Result<Result<Value, Refusal>, Fault> {
    let kind = match kind(sent) {
        Ok(kind) => kind,
        Err(refusal) => return Ok(Err(refusal)),
    };
    // Apps of browsers may come with a refresh token and nothing else: it says whose it is.
    let unnamed = match kind {
        Kind::Refresh if sent.names_nobody() => exchange::public_client_of(app, sent).await?,
        _ => None,
    };
    if let Some(id) = unnamed {
        return exchange::by_refresh(app, sent, &id).await;
    }
    let (id, client) = match client::known(app, sent).await? {
        Ok(known) => known,
        Err(refusal) => return Ok(Err(refusal)),
    };
    match kind {
        Kind::Alone => alone(app, sent, id, &client).await,
        Kind::Code => exchange::by_code(app, sent, &id).await,
        Kind::Refresh => exchange::by_refresh(app, sent, &id).await,
    }
}

fn kind(sent: &Sent<'_>) -> Result<Kind, Refusal> {
    match sent.needed("grant_type")? {
        "client_credentials" => Ok(Kind::Alone),
        "authorization_code" => Ok(Kind::Code),
        "refresh_token" => Ok(Kind::Refresh),
        _ => {
            let told =
                "grant_type is one of authorization_code, refresh_token and client_credentials";
            Err(Refusal::new("unsupported_grant_type", told))
        }
    }
}

/// For a service: as much of what it asks for as it was registered for.
/// <https://hl7.org/fhir/smart-app-launch/STU2.2/backend-services.html>
async fn alone(
    app: &App,
    sent: &Sent<'_>,
    id: String,
    client: &Registration,
) -> Result<Result<Value, Refusal>, Fault> {
    if !client.comes_alone {
        let told = "this client comes with people, not by itself";
        return Ok(Err(Refusal::new("unauthorized_client", told)));
    }
    let asked = match asked(sent) {
        Ok(asked) => asked,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let granted = client.granted(&asked).into_iter();
    let scope: Vec<String> = granted
        .filter(|scope| scope.level == Level::System)
        .map(|scope| scope.to_string())
        .collect();
    if scope.is_empty() {
        let told = "the client is registered for nothing of what it asks for";
        return Ok(Err(Refusal::new("invalid_scope", told)));
    }
    let (scope, text) = (scope.join(" "), secret(BEGINS)?);
    let token = Token {
        hash: callers::hash(&text),
        client: id,
        scope: scope.clone(),
        grant: String::new(),
        created_at: sent.now,
        expires_at: after(sent.now, ALONE_SECONDS),
    };
    let permit = may(&Caller::Kiln, Action::Admit)?;
    let kept = app.store.write(permit, move |tx| tx.add_token(&token));
    kept.await.map_err(|error: Error| error)?;
    let mut answer = Object::new();
    answer.set("access_token", text);
    answer.set("token_type", "Bearer");
    answer.set("expires_in", Value::number(ALONE_SECONDS));
    answer.set("scope", scope);
    Ok(Ok(answer.into()))
}

fn asked(sent: &Sent<'_>) -> Result<Vec<Scope>, Refusal> {
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

/// Takes a token back; with a refresh token all goes that was allowed with it. Whoever asks hears nothing of whether there
/// was one.
pub async fn revoke(app: &App, sent: &Sent<'_>) -> Result<Result<(), Refusal>, Fault> {
    let (id, _) = match client::known(app, sent).await? {
        Ok(known) => known,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let hash = match sent.needed("token") {
        Ok(token) => callers::hash(token),
        Err(refusal) => return Ok(Err(refusal)),
    };
    let permit = may(&Caller::Kiln, Action::Admit)?;
    let now = sent.now;
    let revoked = app.store.write(permit, move |tx| {
        tx.revoke_token(&hash, &id)?;
        let Some(voucher) = tx.voucher(&hash)? else {
            return Ok(());
        };
        let grant = tx.app_grant(&voucher.grant, now)?;
        if let Some(grant) = grant.filter(|grant| grant.client == id) {
            tx.revoke_app_grant(&grant.id, now)?;
        }
        Ok(())
    });
    revoked.await.map_err(|error: Error| error)?;
    app.callers.forget_all();
    Ok(Ok(()))
}
