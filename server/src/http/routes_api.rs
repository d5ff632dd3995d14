//! `/api/routes`: how messages come in, changed while the server runs. Routes of the config file are shown, started and
//! stopped; what they say stands in the file.

mod fetched;

use actix_web::HttpRequest;
use actix_web::http::{Method, StatusCode};
use actix_web::web::Payload;
use fhir_spec::json::{Object, Value};

use super::Front;
use super::arranged::{self, json, made, text_of};
use super::body;
use super::routes::{Answer, method_not_allowed, unknown_path};
use crate::arranged::{check_address, settings_of};
use crate::cx::Cx;
use crate::fault::{Fault, Kind};
use crate::messages::{Mode, Running};
use crate::store::Arranged;

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
            let all = front.desk.routes.all();
            let all = all
                .iter()
                .map(|running| Value::from(described(front, running)));
            Ok(json(StatusCode::OK, "routes", all.collect()))
        }
        ([], _) => Err(method_not_allowed("GET, HEAD")),
        ([name], &Method::GET) => {
            let running = front.desk.routes.get(name).ok_or_else(no_route)?;
            let mut object = described(front, &running);
            fetched::tell(cx, &running, &mut object).await?;
            Ok(made(StatusCode::OK, object))
        }
        ([name], &Method::PUT) => put(front, cx, request, payload, name).await,
        ([name], &Method::DELETE) => {
            changeable(front, name)?;
            arranged::delete(front, cx, Arranged::Route, name).await
        }
        ([_], _) => Err(method_not_allowed("GET, HEAD, PUT, DELETE")),
        ([name, "history"], &Method::GET) => arranged::history(cx, Arranged::Route, name).await,
        ([_, "history"], _) => Err(method_not_allowed("GET, HEAD")),
        ([name, "poll"], &Method::POST) => {
            let running = front.desk.routes.get(name).ok_or_else(no_route)?;
            fetched::poll(cx, &running).await?;
            let mut object = described(front, &running);
            fetched::tell(cx, &running, &mut object).await?;
            Ok(made(StatusCode::OK, object))
        }
        ([_, "poll"], _) => Err(method_not_allowed("POST")),
        ([name, word], _) => match mode(word) {
            None => Err(unknown_path()),
            Some(mode) if method == Method::POST => tell(front, cx, name, mode).await,
            Some(_) => Err(method_not_allowed("POST")),
        },
        _ => Err(unknown_path()),
    }
}

fn mode(word: &str) -> Option<Mode> {
    match word {
        "start" => Some(Mode::Started),
        "stop" => Some(Mode::Stopped),
        "pause" => Some(Mode::Paused),
        _ => None,
    }
}

fn no_route() -> Fault {
    Fault::new(Kind::NotFound, "there is no route of this name")
}

fn changeable(front: &Front, name: &str) -> Result<(), Fault> {
    let is_known = front.desk.routes.get(name).is_some();
    match is_known && !front.desk.arranged.has_route(name) {
        false => Ok(()),
        true => Err(Fault::new(
            Kind::Conflict,
            "this route stands in the config file, and is changed there",
        )),
    }
}

fn described(front: &Front, running: &Running) -> Object {
    let settings = &running.settings;
    let is_arranged = front.desk.arranged.has_route(&settings.name);
    let mut object = said(running);
    object.set("state", running.mode().word());
    object.set("readOnly", !is_arranged);
    let mut counters = Object::new();
    for (route, code, count) in front.desk.counts().answers() {
        if route == settings.name {
            counters.set(code.as_str(), Value::number(count));
        }
    }
    object.set("answers", counters);
    object
}

/// Its settings, as they are sent.
fn said(running: &Running) -> Object {
    let settings = &running.settings;
    let mut object = Object::from_iter([("name", settings.name.as_str())]);
    object.set("transport", settings.transport.word());
    object.set("format", settings.format.word());
    if let Some(address) = settings.listen {
        object.set("listen", address.to_string());
    }
    object.set("acknowledge", settings.acknowledge.word());
    if let Some(destination) = &settings.destination {
        object.set("destination", destination.as_str());
        object.set("apply", settings.apply);
    }
    for (name, value) in [
        ("overlay", &settings.overlay),
        ("zone", &settings.zone),
        ("charset", &settings.charset),
    ] {
        if let Some(value) = value {
            object.set(name, value.as_str());
        }
    }
    if !settings.take.is_empty() {
        let take = settings.take.iter().map(|word| Value::from(word.as_str()));
        object.set("take", take.collect::<Vec<_>>());
    }
    if !settings.constants.is_empty() {
        let constants = settings.constants.iter();
        let constants = constants.map(|(name, value)| (name.as_str(), value.as_str()));
        object.set("constants", Object::from_iter(constants));
    }
    if let Some(tls) = &settings.tls {
        let mut own = Object::new();
        own.set("certificate", tls.certificate.display().to_string());
        own.set("key", tls.key.display().to_string());
        if let Some(authority) = &tls.client_ca {
            own.set("client_ca", authority.display().to_string());
        }
        object.set("tls", own);
    }
    fetched::say(settings, &mut object);
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
    changeable(front, name)?;
    let bytes = body::read(cx, request, payload).await?;
    let document = Value::from(arranged::object(text_of(&bytes)?)?);
    let settings = settings_of(name, &document, &cx.app.outside)?;
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
    check_address(&front.desk, &settings)?;
    keep(front, cx, name, document, Mode::Started).await
}

async fn keep(front: &Front, cx: &Cx, name: &str, settings: Value, mode: Mode) -> Answer {
    let body = Object::from_iter([("settings", settings), ("mode", mode.word().into())]);
    let body = Value::from(body).to_string();
    arranged::put(front, cx, Arranged::Route, name, body).await
}

/// Starts, pauses or stops it. Of a route that was arranged that outlives a restart.
async fn tell(front: &Front, cx: &Cx, name: &str, mode: Mode) -> Answer {
    let running = front.desk.routes.get(name).ok_or_else(no_route)?;
    if front.desk.arranged.has_route(name) {
        keep(front, cx, name, said(&running).into(), mode).await?;
    }
    running.tell(mode);
    let running = front.desk.routes.get(name).ok_or_else(no_route)?;
    Ok(made(StatusCode::OK, described(front, &running)))
}
