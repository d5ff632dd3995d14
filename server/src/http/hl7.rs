//! HL7 v2 by HTTP: `POST /api/hl7/v2`, a message or a batch, answered by acknowledgements of the same type.

use std::sync::Arc;

use actix_web::http::{StatusCode, header};
use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};
use fhir_spec::json::{Object, Value};
use interop::formats::hl7v2::acknowledgement::Code;

use super::body::{self, Cap};
use super::{Front, messages, request};
use crate::config::{Format, Transport};
use crate::cx::Cx;
use crate::fault::{Fault, Kind};
use crate::messages::{Answered, Heard, Mode, Running};

const ER7: &str = "x-application/hl7-v2+er7";
/// What is taken; the answer is of the same type.
const TYPES: &[&str] = &[
    ER7,
    "application/hl7-v2",
    "application/hl7-v2+xml",
    "x-application/hl7-v2+xml",
    "text/plain",
];

pub(super) async fn take(
    front: &Front,
    cx: &Cx,
    http: &HttpRequest,
    payload: &mut Payload,
) -> Result<HttpResponse, Fault> {
    let media = media(http)?;
    let running = route(front, http, Format::Hl7v2)?;
    let cap = Cap::of_message(&cx.app.limits);
    let bytes = body::read_within(cx, http, payload, cap).await?;
    if bytes.is_empty() {
        return Err(Fault::new(
            Kind::Malformed,
            "expected a message of HL7 v2, there is nothing",
        ));
    }
    let heard = front.desk.hear(&running, bytes).await;
    if wants_json(http) {
        return told(front, &heard).await;
    }
    let status = match &heard {
        Heard::Message(answered) => status(answered),
        Heard::Batch(_) => StatusCode::OK,
    };
    let mut said = front.desk.said(&heard);
    // HTTP has one answer: of two acknowledgements the last says more.
    let Some(text) = said.pop() else {
        return Ok(HttpResponse::NoContent().finish());
    };
    Ok(HttpResponse::build(status)
        .insert_header((header::CONTENT_TYPE, format!("{media}; charset=utf-8")))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .body(text))
}

fn media(http: &HttpRequest) -> Result<&'static str, Fault> {
    let named = http.headers().get(header::CONTENT_TYPE);
    let named = named
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let named = named.split(';').next().unwrap_or_default().trim();
    let known = TYPES.iter().find(|known| known.eq_ignore_ascii_case(named));
    known.copied().ok_or_else(|| {
        let diagnostics = format!("expected one of the Content-Types {}", TYPES.join(", "));
        Fault::new(Kind::UnsupportedMedia, diagnostics)
    })
}

/// The route that the address names, or the first for HTTP and the format.
pub(super) fn route(
    front: &Front,
    http: &HttpRequest,
    format: Format,
) -> Result<Arc<Running>, Fault> {
    let mut named = None;
    for (name, value) in request::query(http)? {
        match name.as_str() {
            "route" => named = Some(value),
            _ => {
                let diagnostics = format!("`{name}` is no parameter of this; `route` is");
                return Err(Fault::new(Kind::WrongParameter, diagnostics));
            }
        }
    }
    let routes = &front.desk.routes;
    let running = match &named {
        Some(name) => routes.get(name),
        None => routes.of_transport(Transport::Http, format),
    };
    let is_it = |running: &Arc<Running>| {
        running.settings.transport == Transport::Http && running.settings.format == format
    };
    let running = running.filter(is_it);
    let Some(running) = running else {
        let diagnostics = "there is no route of that name for HTTP";
        return Err(Fault::new(Kind::NotFound, diagnostics));
    };
    match running.mode() {
        Mode::Started => Ok(running),
        mode => {
            let diagnostics = format!("the route is {}", mode.word());
            Err(Fault::new(Kind::Unavailable, diagnostics))
        }
    }
}

fn wants_json(http: &HttpRequest) -> bool {
    let accepted = request::values(http.headers(), &header::ACCEPT);
    accepted
        .into_iter()
        .any(|media| media == "application/json")
}

/// 2xx when it is accepted, and only then.
pub(super) fn status(answered: &Answered) -> StatusCode {
    let code = Code::named(&answered.reply.code);
    match (code.is_some_and(Code::is_accepted), &answered.id) {
        (true, _) => StatusCode::OK,
        (false, Some(_)) => StatusCode::UNPROCESSABLE_ENTITY,
        (false, None) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// What became of it, instead of the acknowledgement.
async fn told(front: &Front, heard: &Heard) -> Result<HttpResponse, Fault> {
    match heard {
        Heard::Message(answered) => {
            let document = one(front, answered).await?;
            Ok(messages::json(status(answered), &document.into()))
        }
        Heard::Batch(all) => {
            let mut documents: Vec<Value> = Vec::with_capacity(all.len());
            for answered in all {
                documents.push(one(front, answered).await?.into());
            }
            let mut document = Object::new();
            document.set("messages", documents);
            Ok(messages::json(StatusCode::OK, &document.into()))
        }
    }
}

pub(super) async fn one(front: &Front, answered: &Answered) -> Result<Object, Fault> {
    let mut document = Object::new();
    let whole = match &answered.id {
        Some(id) => front.desk.whole(id).await?,
        None => None,
    };
    match &whole {
        Some(whole) => document = messages::entry(&whole.listed),
        None => document.set("code", answered.reply.code.as_str()),
    }
    let texts = answered
        .reply
        .texts
        .iter()
        .map(|text| Value::from(text.as_str()));
    let texts: Vec<Value> = texts.collect();
    if !texts.is_empty() {
        document.set("acknowledgements", texts);
    }
    document.set("duplicate", answered.is_duplicate);
    if let Some(whole) = &whole {
        messages::add_results(&mut document, whole);
    }
    Ok(document)
}
