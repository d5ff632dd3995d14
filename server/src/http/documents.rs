//! Clinical documents by HTTP: `POST /api/documents`, answered by what was made of them.

use std::sync::Arc;

use actix_web::http::header;
use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};

use super::body::{self, Cap};
use super::{Front, hl7, messages};
use crate::config::Format;
use crate::cx::Cx;
use crate::fault::{Fault, Kind};

const TYPES: &[&str] = &[
    "application/hl7-v3+xml",
    "application/cda+xml",
    "application/xml",
    "text/xml",
];

pub(super) async fn take(
    front: &Front,
    cx: &Cx,
    http: &HttpRequest,
    payload: &mut Payload,
) -> Result<HttpResponse, Fault> {
    media(http)?;
    let running = hl7::route(front, http, Format::Cda)?;
    let cap = Cap::of_message(&cx.app.limits);
    let bytes = body::read_within(cx, http, payload, cap).await?;
    if bytes.is_empty() {
        return Err(Fault::new(
            Kind::Malformed,
            "expected a clinical document, there is nothing",
        ));
    }
    let arrival = front.desk.arrive_beside(&running, bytes).await;
    let answered = crate::messages::guarded(&Arc::clone(&front.desk), arrival).await;
    let document = hl7::one(front, &answered).await?;
    Ok(messages::json(hl7::status(&answered), &document.into()))
}

fn media(http: &HttpRequest) -> Result<(), Fault> {
    let named = http.headers().get(header::CONTENT_TYPE);
    let named = named
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let named = named.split(';').next().unwrap_or_default().trim();
    let is_known = TYPES.iter().any(|known| known.eq_ignore_ascii_case(named));
    match is_known {
        true => Ok(()),
        false => {
            let diagnostics = format!("expected one of the Content-Types {}", TYPES.join(", "));
            Err(Fault::new(Kind::UnsupportedMedia, diagnostics))
        }
    }
}
