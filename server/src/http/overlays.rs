//! `/api/overlays`: what single senders do differently, changed while the server runs, with every version kept, and tried
//! out on messages that are here before it counts.

use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::http::{Method, StatusCode};
use actix_web::web::Payload;
use fhir_spec::json::{Object, Value, parse};
use fhir_spec::{Issue, IssueCode};

use super::arranged::{self, json, made, text_of};
use super::body::{self, Cap};
use super::routes::{Answer, method_not_allowed, unknown_path};
use super::{Front, messages};
use crate::arranged::overlay;
use crate::cx::Cx;
use crate::fault::{Fault, Kind};
use crate::interactions::parameters::decoded;
use crate::limits;
use crate::messages::Trial;
use crate::shelf::Overlay;
use crate::store::{Arranged, Arrangement};

pub(super) async fn follow(
    front: &Front,
    cx: &Cx,
    request: &HttpRequest,
    payload: &mut Payload,
    path: &str,
) -> Answer {
    let (segments, method) = arranged::asked(request, path);
    match (segments.as_slice(), method) {
        ([], &Method::GET) => list(cx).await,
        ([], _) => Err(method_not_allowed("GET, HEAD")),
        ([name], &Method::GET) => show(cx, name).await,
        ([name], &Method::PUT) => put(front, cx, request, payload, name).await,
        ([name], &Method::DELETE) => arranged::delete(front, cx, Arranged::Overlay, name).await,
        ([_], _) => Err(method_not_allowed("GET, HEAD, PUT, DELETE")),
        ([name, "history"], &Method::GET) => arranged::history(cx, Arranged::Overlay, name).await,
        ([_, "history"], _) => Err(method_not_allowed("GET, HEAD")),
        ([name, "try"], &Method::POST) => attempt(front, cx, request, payload, name).await,
        ([_, "try"], _) => Err(method_not_allowed("POST")),
        _ => Err(unknown_path()),
    }
}

async fn list(cx: &Cx) -> Answer {
    let all = arranged::current(cx, Arranged::Overlay).await?;
    let listed = all.iter().filter_map(|arrangement| {
        let mut object = described(arrangement)?;
        object.remove("text");
        Some(Value::from(object))
    });
    Ok(json(StatusCode::OK, "overlays", listed.collect()))
}

async fn show(cx: &Cx, name: &str) -> Answer {
    let all = arranged::current(cx, Arranged::Overlay).await?;
    let found = all.iter().find(|arrangement| arrangement.name == name);
    let found = found.and_then(described).ok_or_else(no_overlay)?;
    Ok(made(StatusCode::OK, found))
}

fn no_overlay() -> Fault {
    Fault::new(Kind::NotFound, "there is no overlay of this name")
}

fn described(arrangement: &Arrangement) -> Option<Object> {
    let body = parse(arrangement.body.as_ref()?.as_bytes()).ok()?;
    let mut object = arranged::headed(arrangement);
    for name in ["sender", "text"] {
        if let Some(value) = body.get(name) {
            object.set(name, value.clone());
        }
    }
    Some(object)
}

/// What is sent: JSON with `text` and `sender`, or the text alone.
async fn sent(
    cx: &Cx,
    request: &HttpRequest,
    payload: &mut Payload,
    name: &str,
) -> Result<(Overlay, String), Fault> {
    arranged::check_name(name)?;
    let cap = Cap {
        bytes_max: usize::try_from(limits::MAP_BYTES_MAX).unwrap_or(usize::MAX),
        name: "MAP_BYTES_MAX",
    };
    let bytes = body::read_within(cx, request, payload, cap).await?;
    let text = text_of(&bytes)?;
    let body = match text.trim_start().starts_with('{') {
        false => Object::from_iter([("text", text)]),
        true => arranged::object(text)?,
    };
    if let Some((other, _)) = body
        .iter()
        .find(|(key, _)| !["text", "sender"].contains(&&**key))
    {
        let told = format!("`{other}` is no member of an overlay; these are: text, sender");
        return Err(Fault::new(Kind::Unprocessable, told));
    }
    const SENDER: &[&str] = &["application", "facility", "type", "version", "file"];
    if let Some(sender) = body.get("sender") {
        let is_sender = sender.as_object().is_some_and(|sender| {
            let mut members = sender.iter();
            members.all(|(key, value)| SENDER.contains(&key) && value.as_str().is_some())
        });
        if !is_sender {
            let told = format!(
                "sender: expected an object of texts, of these: {}",
                SENDER.join(", ")
            );
            return Err(Fault::new(Kind::Unprocessable, told));
        }
    }
    let kept = Value::from(body).to_string();
    let arrangement = Arrangement {
        name: name.to_owned(),
        version: 0,
        at: cx.now,
        body: Some(kept.clone()),
    };
    let overlay = overlay(&arrangement).ok_or_else(|| {
        let issue = Issue::error(
            IssueCode::Required,
            "text: expected the text of the overlay",
        );
        Fault::of_issues(Kind::Unprocessable, vec![issue])
    })?;
    Ok((overlay, kept))
}

async fn put(
    front: &Front,
    cx: &Cx,
    request: &HttpRequest,
    payload: &mut Payload,
    name: &str,
) -> Answer {
    let (overlay, kept) = sent(cx, request, payload, name).await?;
    check(cx, &overlay).await?;
    arranged::put(front, cx, Arranged::Overlay, name, kept).await
}

async fn check(cx: &Cx, overlay: &Overlay) -> Result<(), Fault> {
    let (app, overlay) = (Arc::clone(&cx.app), overlay.clone());
    cx.compute(usize::MAX, move || {
        app.shelf.check(&overlay.name, &overlay.text)
    })
    .await
}

/// What messages that are here would change with it: `?message=ID`, more than once.
async fn attempt(
    front: &Front,
    cx: &Cx,
    request: &HttpRequest,
    payload: &mut Payload,
    name: &str,
) -> Answer {
    let mut ids = Vec::new();
    for (key, value) in decoded(request.query_string())? {
        match key.as_str() {
            "message" => ids.push(value),
            _ => {
                let told = "expected `message`, the id of a message, one or more times";
                return Err(Fault::new(Kind::WrongParameter, told));
            }
        }
    }
    if ids.is_empty() || ids.len() > limits::TRIED_MAX {
        let told = format!("message: expected from 1 to {} of them", limits::TRIED_MAX);
        return Err(Fault::new(Kind::WrongParameter, told));
    }
    let (overlay, _) = sent(cx, request, payload, name).await?;
    check(cx, &overlay).await?;
    // It is tried on these messages, whoever sent them.
    let trial = Trial {
        shelf: Arc::new(cx.app.shelf.with(overlay)),
        overlay: name.to_owned(),
    };
    let mut seen = Vec::new();
    for id in ids {
        let would = front.desk.rehearse_with(&id, &trial).await?;
        let would = would.ok_or_else(|| {
            Fault::new(
                Kind::NotFound,
                format!("there is no message of the id {id}"),
            )
        })?;
        seen.push(messages::rehearsal(&id, &would).into());
    }
    Ok(json(StatusCode::OK, "messages", seen))
}
