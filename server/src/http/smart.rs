//! The addresses of the authorization server: what goes in and out of `crate::smart`.

use std::sync::Arc;

use actix_web::http::header::{self, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};
use fhir_spec::json::{Object, Value};

use super::base;
use super::body::{self, Cap};
use super::routes::{Answer, FHIR, method_not_allowed, unknown_path};
use crate::app::App;
use crate::auth::Caller;
use crate::config::Auth;
use crate::cx::Cx;
use crate::fault::{Fault, Kind};
use crate::interactions::parameters;
use crate::smart::token::{self, Sent};
use crate::smart::{Refusal, discovery};

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
fn root(app: &App, http: &HttpRequest) -> String {
    let base = base::of(&app.outside, http);
    base.strip_suffix(FHIR).unwrap_or(&base).to_owned()
}

/// Anybody may know it, pages of whatever origin too.
pub(super) fn discovered(app: &App, http: &HttpRequest) -> Answer {
    is_there(app)?;
    let document = discovery::document(&root(app, http));
    let mut response = json(StatusCode::OK, &document);
    let any = HeaderValue::from_static("*");
    response
        .headers_mut()
        .insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, any);
    Ok(response)
}

/// `path`: behind `/auth/`.
pub(super) async fn follow(
    cx: &Cx,
    http: &HttpRequest,
    payload: &mut Payload,
    path: &str,
) -> Answer {
    is_there(&cx.app)?;
    if !matches!(path, "token" | "revoke") {
        return Err(unknown_path());
    }
    if *http.method() != Method::POST {
        return Err(method_not_allowed("POST"));
    }
    let parameters = form(cx, http, payload).await?;
    let endpoint = format!("{}{AUTH}token", root(&cx.app, http));
    let sent = Sent {
        parameters: &parameters,
        endpoint: &endpoint,
        now: cx.now,
    };
    let mut response = match path {
        "token" => match token::grant(&cx.app, &sent).await? {
            Ok(granted) => json(StatusCode::OK, &granted),
            Err(refusal) => refused(&refusal),
        },
        _ => match token::revoke(&cx.app, &sent).await? {
            Ok(()) => HttpResponse::Ok().finish(),
            Err(refusal) => refused(&refusal),
        },
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    Ok(response)
}

/// Nobody is known before they have a token: what is asked here stands for itself.
pub(super) fn cx(app: &Arc<App>) -> Cx {
    Cx {
        app: Arc::clone(app),
        caller: Caller::Open,
        now: (app.clock)(),
    }
}

async fn form(
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
    let status = match refusal.error {
        "invalid_client" => StatusCode::UNAUTHORIZED,
        _ => StatusCode::BAD_REQUEST,
    };
    let mut object = Object::new();
    object.set("error", refusal.error);
    object.set("error_description", refusal.told.as_str());
    json(status, &object.into())
}

fn json(status: StatusCode, document: &Value) -> HttpResponse {
    HttpResponse::build(status)
        .insert_header((header::CONTENT_TYPE, JSON))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .body(document.to_string())
}
