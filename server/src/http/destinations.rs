//! `/api/destinations`: who is sent messages of HL7 v2, how it goes there, and changing it while the server runs. Those of
//! the config file are shown; what they say stands in the file.

use actix_web::HttpRequest;
use actix_web::http::{Method, StatusCode};
use actix_web::web::Payload;
use fhir_spec::json::{Object, Value};

use super::Front;
use super::arranged::{self, json, made, text_of};
use super::body;
use super::routes::{Answer, method_not_allowed, unknown_path};
use crate::arranged::destination_of;
use crate::auth::{Action, may};
use crate::cx::Cx;
use crate::destinations::Destination;
use crate::fault::{Fault, Kind};
use crate::store::{Arranged, QueueLength};

pub(super) async fn follow(
    front: &Front,
    cx: &Cx,
    request: &HttpRequest,
    payload: &mut Payload,
    path: &str,
) -> Answer {
    let (segments, method) = arranged::asked(request, path);
    match (segments.as_slice(), method) {
        ([], &Method::GET) => {
            let lengths = lengths(cx).await?;
            let all = cx.app.destinations.all();
            let all = all
                .iter()
                .map(|destination| Value::from(described(front, destination, &lengths)));
            Ok(json(StatusCode::OK, "destinations", all.collect()))
        }
        ([], _) => Err(method_not_allowed("GET, HEAD")),
        ([name], &Method::GET) => {
            let destination = cx.app.destinations.get(name).ok_or_else(none)?;
            let lengths = lengths(cx).await?;
            Ok(made(
                StatusCode::OK,
                described(front, &destination, &lengths),
            ))
        }
        ([name], &Method::PUT) => put(front, cx, request, payload, name).await,
        ([name], &Method::DELETE) => {
            changeable(front, cx, name)?;
            arranged::delete(front, cx, Arranged::Destination, name).await
        }
        ([_], _) => Err(method_not_allowed("GET, HEAD, PUT, DELETE")),
        ([name, "history"], &Method::GET) => {
            arranged::history(cx, Arranged::Destination, name).await
        }
        ([_, "history"], _) => Err(method_not_allowed("GET, HEAD")),
        _ => Err(unknown_path()),
    }
}

fn none() -> Fault {
    Fault::new(Kind::NotFound, "there is no destination of this name")
}

fn changeable(front: &Front, cx: &Cx, name: &str) -> Result<(), Fault> {
    let is_known = cx.app.destinations.get(name).is_some();
    match is_known && !front.desk.arranged.has_destination(name) {
        false => Ok(()),
        true => Err(Fault::new(
            Kind::Conflict,
            "this destination stands in the config file, and is changed there",
        )),
    }
}

async fn lengths(cx: &Cx) -> Result<Vec<QueueLength>, Fault> {
    // Numbers alone: who may arrange destinations may know how they do.
    let permit = may(&crate::auth::Caller::Kiln, Action::Messages)?;
    let read = cx.app.store.read(permit, |view| view.queue_lengths());
    read.await
        .map_err(|error: crate::store::Error| Fault::from(error))
}

fn described(front: &Front, destination: &Destination, lengths: &[QueueLength]) -> Object {
    let settings = &destination.settings;
    let mut object = Object::from_iter([
        ("name", settings.name.as_str()),
        ("transport", settings.transport.word()),
    ]);
    let mut set = |name: &str, value: &str| {
        if !value.is_empty() {
            object.set(name, value);
        }
    };
    set("address", settings.address.as_deref().unwrap_or_default());
    set("folder", settings.folder.as_deref().unwrap_or_default());
    set("version", &settings.version);
    set("sending_application", &settings.sending_application);
    set("sending_facility", &settings.sending_facility);
    set("receiving_application", &settings.receiving_application);
    set("receiving_facility", &settings.receiving_facility);
    set("mode", settings.mode.word());
    set("overlay", settings.overlay.as_deref().unwrap_or_default());
    set("on_timeout", settings.on_timeout.word());
    set("on_error", settings.on_error.word());
    set("on_reject", settings.on_reject.word());
    if !settings.take.is_empty() {
        let take = settings.take.iter().map(|word| Value::from(word.as_str()));
        object.set("take", take.collect::<Vec<_>>());
    }
    object.set("tls", settings.tls.is_some());
    let is_arranged = front.desk.arranged.has_destination(&settings.name);
    object.set("readOnly", !is_arranged);
    let length = lengths
        .iter()
        .find(|length| length.destination == settings.name);
    let (waiting, parked) = length.map_or((0, 0), |length| (length.waiting, length.parked));
    object.set("waiting", Value::number(waiting));
    object.set("parked", Value::number(parked));
    if let Some(length) = length {
        object.set("oldest", length.oldest.to_string());
    }
    object.set("sent", Value::number(destination.sent.get()));
    object.set("failed", Value::number(destination.failed.get()));
    object.set("late", Value::number(destination.late.get()));
    if let Some((why, since)) = destination.outage() {
        let outage = [("since", since.to_string()), ("problem", why)];
        object.set("outage", Object::from_iter(outage));
    }
    object
}

async fn put(
    front: &Front,
    cx: &Cx,
    request: &HttpRequest,
    payload: &mut Payload,
    name: &str,
) -> Answer {
    arranged::check_name(name)?;
    changeable(front, cx, name)?;
    let bytes = body::read(cx, request, payload).await?;
    let document = Value::from(arranged::object(text_of(&bytes)?)?);
    let settings = destination_of(name, &document, &cx.app.outside)?;
    if let Some(overlay) = &settings.overlay
        && !cx
            .app
            .shelf
            .overlays()
            .iter()
            .any(|known| known.name == *overlay)
    {
        let told = format!("overlay: there is no overlay {overlay}");
        return Err(Fault::new(Kind::Unprocessable, told));
    }
    let body = Value::from(Object::from_iter([("settings", document)])).to_string();
    arranged::put(front, cx, Arranged::Destination, name, body).await
}
