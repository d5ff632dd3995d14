//! What a request shows of who it comes from: a key, a token, a name with a password, or a certificate.
//! <https://www.rfc-editor.org/rfc/rfc6750#section-2.1>

use actix_web::HttpRequest;
use actix_web::http::header;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::connection::Certificate;
use crate::app::App;
use crate::auth::Caller;
use crate::callers::{self, Shown};
use crate::fault::Fault;

const KEY: &str = "x-api-key";

/// Who asks. Known before anything else of the request is read.
pub(super) async fn caller(app: &App, request: &HttpRequest) -> Result<Caller, Fault> {
    let text = |name: &str| request.headers().get(name)?.to_str().ok();
    if let Some(key) = text(KEY) {
        return callers::caller(app, Shown::Key(key.trim())).await;
    }
    let authorization = text(header::AUTHORIZATION.as_str()).and_then(|text| text.split_once(' '));
    match authorization {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => {
            callers::caller(app, Shown::Token(token.trim())).await
        }
        Some((scheme, _)) if scheme.eq_ignore_ascii_case("basic") => {
            let pair = basic(request);
            let shown = pair
                .as_ref()
                .map_or(Shown::Nothing, |(name, key)| Shown::Password { name, key });
            callers::caller(app, shown).await
        }
        _ => {
            let certificate = request.conn_data::<Certificate>();
            let shown = certificate.and_then(|certificate| certificate.0.as_deref());
            let shown = shown.map_or(Shown::Nothing, Shown::Certificate);
            callers::caller(app, shown).await
        }
    }
}

/// Whether there is anything to know them by.
pub(super) fn shows_something(request: &HttpRequest) -> bool {
    let headers = request.headers();
    let certificate = request.conn_data::<Certificate>();
    let has_certificate = certificate.is_some_and(|certificate| certificate.0.is_some());
    has_certificate || headers.contains_key(KEY) || headers.contains_key(header::AUTHORIZATION)
}

/// A name with a password, as browsers and old programs send them.
pub(super) fn basic(request: &HttpRequest) -> Option<(String, String)> {
    let text = request
        .headers()
        .get(header::AUTHORIZATION)?
        .to_str()
        .ok()?;
    let (scheme, encoded) = text.split_once(' ')?;
    let is_basic = scheme.eq_ignore_ascii_case("basic");
    let bytes = STANDARD.decode(encoded.trim()).ok().filter(|_| is_basic)?;
    let decoded = String::from_utf8(bytes).ok()?;
    let (name, password) = decoded.split_once(':')?;
    Some((name.to_owned(), password.to_owned()))
}

/// The token that a request shows.
pub(super) fn token(request: &HttpRequest) -> Option<&str> {
    let text = request
        .headers()
        .get(header::AUTHORIZATION)?
        .to_str()
        .ok()?;
    let (scheme, token) = text.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
