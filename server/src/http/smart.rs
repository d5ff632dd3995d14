//! The addresses of the authorization server: what goes in and out of `crate::smart`.

use std::sync::Arc;

use actix_web::http::header::{self, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};
use fhir_spec::json::{Object, Value};

use super::body::{self, Cap};
use super::routes::{self, Answer, FHIR, method_not_allowed, unknown_path};
use super::{Front, base, shown, signin, visits};
use crate::app::App;
use crate::audit::Entrance;
use crate::auth::Caller;
use crate::callers::{self, Held};
use crate::config::Auth;
use crate::cx::Cx;
use crate::fault::{Fault, Kind};
use crate::interactions::parameters;
use crate::smart::{Refusal, Sent, discovery, introspection, openid, signing, token};

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";
/// Where the authorization server begins.
pub(super) const AUTH: &str = "/auth/";
/// Below the FHIR base.
pub(super) const DISCOVERY: &str = ".well-known/smart-configuration";

/// Whether there is an authorization server.
fn is_there(app: &App) -> Result<(), Fault> {
    match app.auth {
        Auth::Smart => Ok(()),
        Auth::Open => Err(unknown_path()),
    }
}

/// Where everything begins, as the client knows it.
pub(super) fn root(app: &App, http: &HttpRequest) -> String {
    let base = base::of(&app.outside, http);
    base.strip_suffix(FHIR).unwrap_or(&base).to_owned()
}

/// Anybody may know it, pages of whatever origin too.
pub(super) fn discovered(app: &App, http: &HttpRequest) -> Answer {
    is_there(app)?;
    let document = discovery::document(&root(app, http));
    Ok(for_all(json(StatusCode::OK, &document)))
}

/// `path`: behind `/auth/`.
pub(super) async fn follow(
    front: &Front,
    cx: &Cx,
    http: &HttpRequest,
    payload: &mut Payload,
    path: &str,
) -> Answer {
    is_there(&cx.app)?;
    match path {
        "authorize" => Box::pin(signin::authorize(front, cx, http, payload)).await,
        "style.json" => styled(http),
        "grants" => Box::pin(signin::grants(front, cx, http, payload)).await,
        "launch" => Box::pin(signin::launch(front, cx, http, payload)).await,
        "jwks" => {
            only_get(http)?;
            let keys = signing::jwks(&cx.app, cx.now).await?;
            Ok(for_all(json(StatusCode::OK, &keys)))
        }
        "userinfo" => user_info(cx, http).await,
        openid::DISCOVERY => {
            only_get(http)?;
            let document = openid::document(&root(&cx.app, http));
            Ok(for_all(json(StatusCode::OK, &document)))
        }
        "token" | "revoke" | "introspect" if *http.method() == Method::POST => {
            Box::pin(sent(front, cx, http, payload, path)).await
        }
        "token" | "revoke" | "introspect" => Err(method_not_allowed("POST")),
        _ => Err(unknown_path()),
    }
}

/// What clients send themselves.
async fn sent(
    front: &Front,
    cx: &Cx,
    http: &HttpRequest,
    payload: &mut Payload,
    path: &str,
) -> Answer {
    let parameters = form(cx, http, payload).await?;
    let root = root(&cx.app, http);
    let endpoint = format!("{root}{AUTH}token");
    let basic = shown::basic(http);
    let sent = Sent {
        parameters: &parameters,
        basic: basic
            .as_ref()
            .map(|(id, secret)| (id.as_str(), secret.as_str())),
        root: &root,
        endpoint: &endpoint,
        now: cx.now,
    };
    let done = match path {
        "token" => token::grant(&cx.app, &sent).await?,
        "introspect" => {
            let caller = asking(cx, http).await?;
            introspection::told(&cx.app, &sent, caller.as_ref()).await?
        }
        _ => token::revoke(&cx.app, &sent)
            .await?
            .map(|()| Value::from("")),
    };
    let what = match path {
        "token" => Some(Entrance::Token),
        "revoke" => Some(Entrance::Revoked),
        _ => None,
    };
    if let Some(what) = what {
        let told = done.as_ref().err().map_or("", |refusal| refusal.error);
        let entering = (&*sent.says(), done.is_ok(), told);
        visits::entered(&cx.app, http, what, entering).await?;
    }
    let mut response = match done {
        Ok(granted) if path != "revoke" => json(StatusCode::OK, &granted),
        Ok(_) => HttpResponse::Ok().finish(),
        Err(refusal) => {
            // Whoever guesses at clients is a stranger like others.
            if refusal.error == "invalid_client" {
                routes::stranger(front, http, cx.now)?;
            }
            refused(&refusal)
        }
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    Ok(response)
}

/// Who asks about tokens with a key or a token of their own. None: a client, which shows who it is in its own way.
async fn asking(cx: &Cx, http: &HttpRequest) -> Result<Option<Caller>, Fault> {
    let is_bearer = http
        .headers()
        .get(header::AUTHORIZATION)
        .is_some_and(|value| {
            let text = value.to_str().unwrap_or_default();
            text.split(' ')
                .next()
                .is_some_and(|scheme| scheme.eq_ignore_ascii_case("bearer"))
        });
    match is_bearer || http.headers().contains_key("x-api-key") {
        true => shown::caller(&cx.app, http).await.map(Some),
        false => Ok(None),
    }
}

/// Who has signed in, for an app that may know.
async fn user_info(cx: &Cx, http: &HttpRequest) -> Answer {
    if !matches!(*http.method(), Method::GET | Method::HEAD | Method::POST) {
        return Err(method_not_allowed("GET, HEAD, POST"));
    }
    let told = || Fault::new(Kind::Unauthorized, "show an access token of a person");
    let token = shown::token(http).ok_or_else(told)?;
    let Some(Held::Granted(held)) = callers::held(&cx.app, &callers::hash(token)).await? else {
        return Err(told());
    };
    let known = openid::user_info(&root(&cx.app, http), &held);
    let told = "the app may not know who it is (openid)";
    let known = known.ok_or_else(|| Fault::new(Kind::Forbidden, told))?;
    let mut response = for_all(json(StatusCode::OK, &known));
    let no_store = HeaderValue::from_static("no-store");
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, no_store);
    Ok(response)
}

fn only_get(http: &HttpRequest) -> Result<(), Fault> {
    match *http.method() {
        Method::GET | Method::HEAD => Ok(()),
        _ => Err(method_not_allowed("GET, HEAD")),
    }
}

/// How apps may look, for pages of whatever origin.
fn styled(http: &HttpRequest) -> Answer {
    only_get(http)?;
    Ok(for_all(json(StatusCode::OK, &discovery::style())))
}

fn for_all(mut response: HttpResponse) -> HttpResponse {
    let any = HeaderValue::from_static("*");
    response
        .headers_mut()
        .insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, any);
    response
}

/// Nobody is known before they have a token: what is asked here stands for itself.
pub(super) fn cx(app: &Arc<App>) -> Cx {
    Cx {
        app: Arc::clone(app),
        caller: Caller::Open,
        now: (app.clock)(),
    }
}

pub(super) async fn form(
    cx: &Cx,
    http: &HttpRequest,
    payload: &mut Payload,
) -> Result<Vec<(String, String)>, Fault> {
    let sent = http.headers().get(header::CONTENT_TYPE);
    let sent = sent
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let named = sent.split(';').next().unwrap_or_default().trim();
    if !named.eq_ignore_ascii_case(FORM) {
        let told = format!("expected the Content-Type {FORM}");
        return Err(Fault::new(Kind::UnsupportedMedia, told));
    }
    let cap = Cap::of_search(&cx.app.limits);
    let bytes = body::read_within(cx, http, payload, cap).await?;
    let text = std::str::from_utf8(&bytes)
        .map_err(|error| Fault::new(Kind::Malformed, "the body is not UTF-8").because(error))?;
    parameters::decoded(text)
}

/// A client that is not known is 401, everything else 400.
fn refused(refusal: &Refusal) -> HttpResponse {
    let is_unknown = refusal.error == "invalid_client";
    let status = match is_unknown {
        true => StatusCode::UNAUTHORIZED,
        false => StatusCode::BAD_REQUEST,
    };
    let mut object = Object::new();
    object.set("error", refusal.error);
    object.set("error_description", refusal.told.as_str());
    let mut response = json(status, &object.into());
    if is_unknown {
        let basic = HeaderValue::from_static("Basic realm=\"kiln\"");
        response
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, basic);
    }
    response
}

fn json(status: StatusCode, document: &Value) -> HttpResponse {
    HttpResponse::build(status)
        .insert_header((header::CONTENT_TYPE, JSON))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .body(document.to_string())
}
