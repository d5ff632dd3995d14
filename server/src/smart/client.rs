//! Which client it is that sends something, once it has proven to be it.
//! <https://www.rfc-editor.org/rfc/rfc6749#section-2.3>

use percent_encoding::percent_decode_str;

use super::{Proof, Refusal, Registration, Sent, assertion, password};
use crate::app::App;
use crate::auth::{Action, Caller, may};
use crate::callers;
use crate::fault::Fault;
use crate::store::Error;

const KIND: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// What a client shows.
enum Shown {
    Nothing(String),
    Secret { id: String, secret: String },
    Assertion { id: String, token: String },
}

fn invalid(told: &str) -> Refusal {
    Refusal::new("invalid_client", told)
}

/// The client of that id.
pub async fn registered(app: &App, id: &str) -> Result<Option<Registration>, Fault> {
    let permit = may(&Caller::Kiln, Action::Admit)?;
    let wanted = id.to_owned();
    let found = app.store.read(permit, move |view| view.client(&wanted));
    let found = found.await.map_err(|error: Error| error)?;
    Ok(found.and_then(|client| Registration::kept(&client.body).ok()))
}

/// Who sends this.
pub(super) async fn known(
    app: &App,
    sent: &Sent<'_>,
) -> Result<Result<(String, Registration), Refusal>, Fault> {
    let shown = match shown(sent) {
        Ok(shown) => shown,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let id = match &shown {
        Shown::Nothing(id) | Shown::Secret { id, .. } | Shown::Assertion { id, .. } => id.clone(),
    };
    let client = registered(app, &id).await?;
    let proven = match (shown, &client) {
        (Shown::Nothing(_), Some(client)) if matches!(client.proof, Proof::None) => Ok(()),
        (Shown::Nothing(_), Some(_)) => Err(invalid("this client proves who it is")),
        (Shown::Secret { secret, .. }, client) => {
            let kept = match client.as_ref().map(|client| &client.proof) {
                Some(Proof::Secret(hash)) => Some(hash.clone()),
                _ => None,
            };
            match password::compared(secret, kept).await? {
                true => Ok(()),
                false => Err(invalid("no client of that id has this secret")),
            }
        }
        (Shown::Assertion { token, .. }, Some(client)) => {
            asserted(app, sent, (&id, client), &token).await?
        }
        (Shown::Nothing(_) | Shown::Assertion { .. }, None) => {
            Err(invalid("no such client is registered"))
        }
    };
    Ok(match (proven, client) {
        (Ok(()), Some(client)) => Ok((id, client)),
        (Ok(()), None) => Err(invalid("no such client is registered")),
        (Err(refusal), _) => Err(refusal),
    })
}

/// By one way and no other.
fn shown(sent: &Sent<'_>) -> Result<Shown, Refusal> {
    let id = sent.get("client_id")?;
    let secret = sent.get("client_secret")?;
    let kind = sent.get("client_assertion_type")?;
    let assertion = sent.get("client_assertion")?;
    let ways = [
        sent.basic.is_some(),
        secret.is_some(),
        kind.is_some() || assertion.is_some(),
    ];
    if ways.into_iter().filter(|way| *way).count() > 1 {
        let told = "a client proves who it is by one way at a time";
        return Err(Refusal::new("invalid_request", told));
    }
    let shown = match (sent.basic, secret, kind, assertion) {
        (Some((id, secret)), ..) => Shown::Secret {
            id: decoded(id)?,
            secret: decoded(secret)?,
        },
        (_, _, None, Some(_)) | (_, _, Some(_), None) => {
            return Err(invalid(
                "client_assertion and client_assertion_type go together",
            ));
        }
        (_, _, Some(KIND), Some(token)) => Shown::Assertion {
            id: assertion::issuer(token)?,
            token: token.to_owned(),
        },
        (_, _, Some(_), Some(_)) => {
            return Err(invalid(&format!("client_assertion_type is {KIND}")));
        }
        (_, secret, None, None) => {
            let id = id
                .ok_or_else(|| invalid("client_id is missing"))?
                .to_owned();
            match secret.map(str::to_owned) {
                Some(secret) => Shown::Secret { id, secret },
                None => Shown::Nothing(id),
            }
        }
    };
    let named = match &shown {
        Shown::Nothing(id) | Shown::Secret { id, .. } | Shown::Assertion { id, .. } => id,
    };
    match id.is_none_or(|id| id == named) {
        true => Ok(shown),
        false => Err(invalid("client_id is another one's")),
    }
}

/// In Basic both parts are written as in a form.
fn decoded(text: &str) -> Result<String, Refusal> {
    let spaced = text.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8();
    let decoded = decoded.map_err(|_| invalid("the Authorization header cannot be read"))?;
    Ok(decoded.into_owned())
}

async fn asserted(
    app: &App,
    sent: &Sent<'_>,
    (id, client): (&str, &Registration),
    token: &str,
) -> Result<Result<(), Refusal>, Fault> {
    let Proof::Keys(keys) = &client.proof else {
        return Ok(Err(invalid("this client has no keys")));
    };
    let claims = match assertion::proven(token, (id, keys), sent.endpoint, sent.now) {
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
    Ok(match first.await.map_err(|error: Error| error)? {
        true => Ok(()),
        false => Err(invalid("this assertion was sent before: jti")),
    })
}
