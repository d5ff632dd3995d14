//! Tokens for what a person allowed: for a code, once, and for refresh tokens, each of them once. Whoever comes with one
//! that was used before ends all that came of the grant.
//! <https://hl7.org/fhir/smart-app-launch/STU2.2/app-launch.html#obtain-access-token>

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fhir_spec::json::{Data, Object, Value, parse};
use sha2::{Digest, Sha256};

use super::authorize::Bound;
use super::registration::{within, word};
use super::token::BEGINS;
use super::{
    ACCESS_SECONDS, REFRESH_SECONDS, Refusal, Sent, USED_SECONDS, after, client, openid, secret,
};
use crate::app::App;
use crate::auth::{Action, Caller, Scope, may};
use crate::callers;
use crate::fault::Fault;
use crate::instant::Instant;
use crate::store::{AppGrant, Error, Token, Tx, Voucher};

const REFRESH_BEGINS: &str = "kiln_rt_";

/// What is given out for a grant.
struct Given {
    access: String,
    refresh: Option<String>,
    scope: String,
}

fn spent() -> Refusal {
    Refusal::new(
        "invalid_grant",
        "this is unknown, used, over or another client's",
    )
}

pub(super) async fn by_code(
    app: &App,
    sent: &Sent<'_>,
    id: &str,
) -> Result<Result<Value, Refusal>, Fault> {
    let hash = match sent.needed("code") {
        Ok(code) => callers::hash(code),
        Err(refusal) => return Ok(Err(refusal)),
    };
    let fits = |grant: &AppGrant, bound: &Bound| {
        let same = |name: &str, wanted: &str| sent.get(name) == Ok(Some(wanted));
        let verifier = sent.get("code_verifier").ok().flatten();
        let proves = verifier.is_some_and(|verifier| challenge(verifier) == bound.challenge);
        grant.client == id && same("redirect_uri", &bound.redirect) && proves
    };
    let now = sent.now;
    // Whatever else comes with it, a code that was shown counts no more.
    let taken = write(app, move |tx| {
        let found = tx.voucher(&hash)?;
        let Some(voucher) = found.filter(|voucher| !voucher.bound.is_empty()) else {
            return Ok(None);
        };
        let grant = tx.app_grant(&voucher.grant, now)?;
        match tx.use_voucher(&hash, now)? {
            true => Ok(grant.map(|grant| (grant, voucher.bound))),
            false => {
                tx.revoke_app_grant(&voucher.grant, now)?;
                Ok(None)
            }
        }
    });
    let Some((grant, bound)) = taken.await? else {
        app.callers.forget_all();
        return Ok(Err(spent()));
    };
    let bound = Bound::kept(&bound);
    let Some(bound) = bound.filter(|bound| fits(&grant, bound)) else {
        let ended = grant.id;
        write(app, move |tx| tx.revoke_app_grant(&ended, now)).await?;
        return Ok(Err(spent()));
    };
    let given = given(&grant.scope)?;
    let (of_write, tokens) = (grant.clone(), Tokens::of(&given));
    let kept = write(app, move |tx| settle(tx, &of_write, &tokens, now)).await?;
    match kept {
        true => Ok(Ok(answer(app, sent, &grant, given, Some(&bound)).await?)),
        false => Ok(Err(spent())),
    }
}

/// Whose refresh token it is, when that is an app with nothing to prove.
pub(super) async fn public_client_of(app: &App, sent: &Sent<'_>) -> Result<Option<String>, Fault> {
    let Ok(token) = sent.needed("refresh_token") else {
        return Ok(None);
    };
    let (hash, permit, now) = (
        callers::hash(token),
        may(&Caller::Kiln, Action::Admit)?,
        sent.now,
    );
    let found = app
        .store
        .read(permit, move |view| match view.voucher(&hash)? {
            Some(voucher) => view.app_grant(&voucher.grant, now),
            None => Ok(None),
        });
    let Some(grant) = found.await.map_err(|error: Error| error)? else {
        return Ok(None);
    };
    let known = client::registered(app, &grant.client).await?;
    let is_public = known.is_some_and(|known| known.is_public());
    Ok(is_public.then_some(grant.client))
}

pub(super) async fn by_refresh(
    app: &App,
    sent: &Sent<'_>,
    id: &str,
) -> Result<Result<Value, Refusal>, Fault> {
    let hash = match sent.needed("refresh_token") {
        Ok(token) => callers::hash(token),
        Err(refusal) => return Ok(Err(refusal)),
    };
    let permit = may(&Caller::Kiln, Action::Admit)?;
    let (wanted, now) = (hash.clone(), sent.now);
    let found = app.store.read(permit, move |view| {
        let voucher = view.voucher(&wanted)?;
        let voucher = voucher.filter(|found| found.bound.is_empty() && found.expires_at > now);
        match voucher {
            Some(voucher) => view.app_grant(&voucher.grant, now),
            None => Ok(None),
        }
    });
    let found = found.await.map_err(|error: Error| error)?;
    let Some(grant) = found.filter(|grant| grant.client == id) else {
        return Ok(Err(spent()));
    };
    let scope = match sent
        .get("scope")
        .and_then(|asked| narrowed(&grant.scope, asked))
    {
        Ok(scope) => scope,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let mut given = given(&grant.scope)?;
    given.scope = scope;
    let (of_write, tokens) = (grant.clone(), Tokens::of(&given));
    let kept = write(app, move |tx| match tx.use_voucher(&hash, now)? {
        true => settle(tx, &of_write, &tokens, now),
        false => {
            tx.revoke_app_grant(&of_write.id, now)?;
            Ok(false)
        }
    });
    match kept.await? {
        true => Ok(Ok(answer(app, sent, &grant, given, None).await?)),
        false => {
            app.callers.forget_all();
            Ok(Err(spent()))
        }
    }
}

/// As much as was allowed, or less where less is asked for; never more.
fn narrowed(allowed: &str, asked: Option<&str>) -> Result<String, Refusal> {
    let Some(asked) = asked else {
        return Ok(allowed.to_owned());
    };
    let words: Vec<&str> = allowed.split_whitespace().filter_map(word).collect();
    let own: Vec<Scope> = allowed
        .split_whitespace()
        .filter_map(|text| Scope::parse(text).ok())
        .collect();
    let mut all = Vec::new();
    for text in asked.split_whitespace() {
        let wider = || Refusal::new("invalid_scope", format!("{text} was not allowed"));
        if words.contains(&text) {
            all.push(text.to_owned());
            continue;
        }
        let scope = Scope::parse(text).map_err(|_| wider())?;
        match within(&own, std::slice::from_ref(&scope)).contains(&scope) {
            true => all.push(scope.to_string()),
            false => return Err(wider()),
        }
    }
    Ok(all.join(" "))
}

fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()))
}

fn given(scope: &str) -> Result<Given, Fault> {
    let mut words = scope.split_whitespace();
    let lasts = words.any(|word| matches!(word, "offline_access" | "online_access"));
    let refresh = lasts.then(|| secret(REFRESH_BEGINS)).transpose()?;
    Ok(Given {
        access: secret(BEGINS)?,
        refresh,
        scope: scope.to_owned(),
    })
}

/// What is kept of what is given out.
#[derive(Clone)]
struct Tokens {
    access: String,
    refresh: Option<String>,
    scope: String,
}

impl Tokens {
    fn of(given: &Given) -> Self {
        Self {
            access: callers::hash(&given.access),
            refresh: given.refresh.as_deref().map(callers::hash),
            scope: given.scope.clone(),
        }
    }
}

/// Keeps them, when the grant still holds. False: it does not.
fn settle(tx: &mut Tx<'_>, grant: &AppGrant, tokens: &Tokens, now: Instant) -> Result<bool, Error> {
    if tx.app_grant(&grant.id, now)?.is_none() {
        return Ok(false);
    }
    let mut until = after(now, ACCESS_SECONDS);
    if let Some(hash) = &tokens.refresh {
        let lasts = match grant.session.is_empty() {
            true => after(now, REFRESH_SECONDS),
            // It ends with the session.
            false => match tx.session(&grant.session, now)? {
                Some(session) => session.expires_at,
                None => return Ok(false),
            },
        };
        until = until.max(lasts);
        let refresh = Voucher {
            hash: hash.clone(),
            grant: grant.id.clone(),
            bound: String::new(),
            expires_at: lasts,
            is_used: false,
        };
        tx.add_voucher(&refresh, now)?;
    }
    tx.add_token(&Token {
        hash: tokens.access.clone(),
        client: grant.client.clone(),
        scope: tokens.scope.clone(),
        grant: grant.id.clone(),
        created_at: now,
        expires_at: after(now, ACCESS_SECONDS),
    })?;
    tx.move_app_grant_on(&grant.id, until)?;
    Ok(true)
}

/// What the app is told: the tokens, and what is in context.
async fn answer(
    app: &App,
    sent: &Sent<'_>,
    grant: &AppGrant,
    given: Given,
    bound: Option<&Bound>,
) -> Result<Value, Fault> {
    let mut answer = Object::new();
    answer.set("access_token", given.access);
    answer.set("token_type", "Bearer");
    answer.set("expires_in", Value::number(ACCESS_SECONDS));
    answer.set("scope", given.scope);
    if let Some(refresh) = given.refresh {
        answer.set("refresh_token", refresh);
    }
    if let Ok(Value {
        data: Data::Object(context),
        ..
    }) = parse(grant.context.as_bytes())
    {
        for (name, value) in context.iter() {
            answer.set(name, value.clone());
        }
    }
    answer.set("smart_style_url", format!("{}/auth/style.json", sent.root));
    let nonce = bound.and_then(|bound| bound.nonce.as_deref());
    let signed_in_at = bound.map(|bound| bound.signed_in_at);
    let of_person = openid::id_token(app, sent.root, grant, (nonce, signed_in_at), sent.now);
    if let Some(id_token) = of_person.await? {
        answer.set("id_token", id_token);
    }
    Ok(answer.into())
}

/// Writes what decides who comes in.
async fn write<T: Send + 'static>(
    app: &App,
    work: impl Fn(&mut Tx<'_>) -> Result<T, Error> + Send + 'static,
) -> Result<T, Fault> {
    let permit = may(&Caller::Kiln, Action::Admit)?;
    Ok(app.store.write(permit, work).await?)
}

/// How long it must be remembered that a code was used.
pub(super) fn remembered(now: Instant) -> Instant {
    after(now, USED_SECONDS)
}
