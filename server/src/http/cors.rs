//! Web pages of other origins: which may ask (CORS), and that the others cannot write.
//! <https://fetch.spec.whatwg.org/#http-cors-protocol>

use actix_web::http::Method;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};

use crate::config::{Origin, Outside};
use crate::fault::{Fault, Kind};

const EXPOSED: HeaderValue = HeaderValue::from_static(
    "Content-Location, ETag, Last-Modified, Location, Preference-Applied, Retry-After, X-Request-Id",
);
const ALLOWED: HeaderValue = HeaderValue::from_static(
    "Accept, Authorization, Content-Encoding, Content-Type, If-Match, If-Modified-Since, If-None-Exist, \
     If-None-Match, Prefer, X-Api-Key, X-Request-Id",
);
/// How long a browser may keep what a preflight said, in seconds.
const KEPT_FOR: HeaderValue = HeaderValue::from_static("7200");

/// A browser sends simple requests of any page without asking first; what they would change must not change. Other
/// clients send no `Origin`.
pub(super) fn refuse_foreign_pages(outside: &Outside, request: &HttpRequest) -> Result<(), Fault> {
    let changes_nothing = matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    );
    match origin(request) {
        Some(origin) if !changes_nothing && allowed(outside, origin).is_none() => {
            if is_own(outside, request, origin) {
                return Ok(());
            }
            let diagnostics = "web pages of this origin may not write here (cors_origins)";
            Err(Fault::new(Kind::Forbidden, diagnostics))
        }
        _ => Ok(()),
    }
}

/// Says on an answer who may read it, and on the answer to a preflight what may be asked.
pub(super) fn allow(outside: &Outside, request: &HttpRequest, response: &mut HttpResponse) {
    if outside.cors_origins.is_empty() {
        return;
    }
    let headers = response.headers_mut();
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    let Some(allowed) = origin(request).and_then(|origin| allowed(outside, origin)) else {
        return;
    };
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    let asked = request
        .headers()
        .contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    if asked
        && *request.method() == Method::OPTIONS
        && let Some(methods) = headers.get(header::ALLOW).cloned()
    {
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED);
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, KEPT_FOR);
    }
}

fn origin(request: &HttpRequest) -> Option<&HeaderValue> {
    request.headers().get(header::ORIGIN)
}

/// What to answer an origin that may ask. Never with credentials: `*` is for everyone, and a page brings its own token.
fn allowed(outside: &Outside, origin: &HeaderValue) -> Option<HeaderValue> {
    outside.cors_origins.iter().find_map(|one| match one {
        Origin::Any => Some(HeaderValue::from_static("*")),
        Origin::Only(name) => (origin == name.as_str()).then(|| origin.clone()),
    })
}

/// Whether the page came from this server.
fn is_own(outside: &Outside, request: &HttpRequest, origin: &HeaderValue) -> bool {
    let own = super::base::of(outside, request);
    origin.to_str().is_ok_and(|origin| {
        own.strip_prefix(origin)
            .is_some_and(|rest| rest.starts_with('/'))
    })
}
