//! The message store: what came, what became of it, and having it done again.

use std::sync::Arc;

use actix_web::http::{Method, StatusCode, header};
use actix_web::{HttpRequest, HttpResponse};
use fhir_spec::json::{Object, Value, parse};
use fhir_spec::outcome::operation_outcome;
use fhir_spec::time::DateTime;
use interop::host::Touched;

use super::{Front, base, request};
use crate::auth::{Action, may};
use crate::cx::Cx;
use crate::fault::{Fault, Kind};
use crate::instant::Instant;
use crate::messages::{Change, Difference, Rehearsal};
use crate::store::{Direction, Error, Filter, Listed, Stage, Status, Whole};

type Answer = Result<HttpResponse, Fault>;

const PARAMETERS: &str = "controlId, type, patient, visit, order, sender, route, destination, direction, status, since, until, limit";
/// Larger messages are shown without their trace, unless it is asked for.
const TRACED_BYTES_MAX: i64 = 1024 * 1024;

/// What is asked of the store by an address below `/api/messages`.
pub(super) async fn follow(front: &Front, cx: &Cx, http: &HttpRequest, path: &str) -> Answer {
    let segments: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    match *segments.as_slice() {
        [] => only(http, &Method::GET)?,
        ["reprocess"] | [_, "reprocess" | "resend" | "skip"] => only(http, &Method::POST)?,
        [_] | [_, "raw"] => only(http, &Method::GET)?,
        _ => return Err(nothing()),
    }
    match *segments.as_slice() {
        [] => list(cx, http).await,
        ["reprocess"] => reprocess_many(front, cx, http).await,
        [id] => show(front, cx, http, id).await,
        [id, "raw"] => raw(front, id).await,
        [id, "resend"] => resend(cx, id).await,
        [id, "skip"] => skip(cx, id).await,
        [id, _] => reprocess(front, http, id).await,
        _ => Err(nothing()),
    }
}

fn only(http: &HttpRequest, method: &Method) -> Result<(), Fault> {
    let is_asked =
        http.method() == method || (method == Method::GET && http.method() == Method::HEAD);
    if is_asked {
        return Ok(());
    }
    let allow = match *method {
        Method::GET => "GET, HEAD",
        _ => "POST",
    };
    let diagnostics = format!("this method does not apply here; these do: {allow}");
    Err(Fault {
        allow: Some(allow.to_owned()),
        ..Fault::new(Kind::MethodNotAllowed, diagnostics)
    })
}

fn nothing() -> Fault {
    Fault::new(Kind::UnknownPath, "there is nothing at this address")
}

fn no_message() -> Fault {
    Fault::new(Kind::NotFound, "there is no message of this id")
}

/// What is asked for, and how many at most.
fn asked(cx: &Cx, http: &HttpRequest) -> Result<(Filter, u32), Fault> {
    let limits = &cx.app.limits;
    let (mut filter, mut most) = (Filter::default(), limits.page_size_default);
    let two = |value: &str, between: char| match value.split_once(between) {
        Some((one, two)) => (one.to_owned(), Some(two.to_owned())),
        None => (value.to_owned(), None),
    };
    for (name, value) in request::query(http)? {
        let wrong = |expected: &str| {
            Fault::new(Kind::WrongParameter, format!("{name}: expected {expected}"))
        };
        let time = || {
            let time = DateTime::parse_fhir(&value).map(|time| time.interval(0).0);
            time.map(Instant::from_micros)
                .ok_or_else(|| wrong("a date or time such as 2026-01-31T08:00:00Z"))
        };
        match name.as_str() {
            "controlId" => filter.control_id = Some(value),
            "type" => filter.kind = Some(two(&value, '^')),
            "patient" => filter.patient = Some(value),
            "visit" => filter.visit = Some(value),
            "order" => filter.order = Some(value),
            "sender" => filter.sender = Some(two(&value, '|')),
            "route" => filter.route = Some(value),
            "destination" => {
                filter.route = Some(value);
                filter.direction = Some(Direction::Out);
            }
            "direction" => {
                let word = value.trim_end_matches("coming").trim_end_matches("going");
                let direction = Direction::named(word).ok_or_else(|| wrong("in or out"))?;
                filter.direction = Some(direction);
            }
            "status" => {
                let words = value.split(',').map(Status::named);
                let words: Option<Vec<Status>> = words.collect();
                let all: Vec<&str> = Status::ALL.iter().map(|status| status.word()).collect();
                filter.statuses =
                    words.ok_or_else(|| wrong(&format!("some of {}", all.join(", "))))?;
            }
            "since" => filter.since = Some(time()?),
            "until" => filter.until = Some(time()?),
            "limit" => {
                let number = value
                    .parse()
                    .ok()
                    .filter(|number| (1..=limits.page_size_max).contains(number));
                most = number.ok_or_else(|| {
                    wrong(&format!("a number from 1 to {}", limits.page_size_max))
                })?;
            }
            // The place in the list, of the link to its next page.
            "before" => filter.before = Some(value.parse().map_err(|_| wrong("a number"))?),
            _ => {
                let diagnostics =
                    format!("`{name}` is no parameter of this; these are: {PARAMETERS}");
                return Err(Fault::new(Kind::WrongParameter, diagnostics));
            }
        }
    }
    Ok((filter, most))
}

async fn list(cx: &Cx, http: &HttpRequest) -> Answer {
    let (filter, most) = asked(cx, http)?;
    let permit = may(&cx.caller, Action::Messages)?;
    // One more than is shown tells whether there is a next page.
    let read = cx.app.store.read(permit, move |view| {
        view.messages(&filter, most.saturating_add(1))
    });
    let mut found: Vec<Listed> = read.await.map_err(Fault::from)?;
    let shown = usize::try_from(most).unwrap_or(usize::MAX);
    let is_more = found.len() > shown;
    found.truncate(shown);
    let mut document = Object::new();
    let entries: Vec<Value> = found.iter().map(|listed| entry(listed).into()).collect();
    document.set("messages", entries);
    if let (true, Some(last)) = (is_more, found.last()) {
        document.set("next", next(cx, http, last.number)?);
    }
    Ok(json(StatusCode::OK, &document.into()))
}

fn next(cx: &Cx, http: &HttpRequest, before: i64) -> Result<String, Fault> {
    let base = base::of(&cx.app.outside, http);
    let base = base.strip_suffix("/fhir").unwrap_or_default();
    let mut url = format!("{base}/api/messages?");
    for (name, value) in request::query(http)? {
        if name != "before" {
            url.push_str(&format!(
                "{}={}&",
                request::escaped(&name),
                request::escaped(&value)
            ));
        }
    }
    url.push_str(&format!("before={before}"));
    Ok(url)
}

/// A message as a list shows it.
pub(super) fn entry(listed: &Listed) -> Object {
    let facts = &listed.facts;
    let mut entry = Object::new();
    let mut set = |name: &str, value: &str| {
        if !value.is_empty() {
            entry.set(name, value);
        }
    };
    set("id", &listed.id);
    set("direction", listed.direction.word());
    let road = match listed.direction {
        Direction::In => "route",
        Direction::Out => "destination",
    };
    set(road, &listed.route);
    set("file", &listed.file);
    set("status", listed.status.word());
    set("reason", &listed.reason);
    set("code", &listed.code);
    set("controlId", &facts.control_id);
    set("type", &facts.kind_text());
    set("version", &facts.version);
    let with = |one: &str, two: &str| match two.is_empty() {
        true => one.to_owned(),
        false => format!("{one}|{two}"),
    };
    set(
        "sender",
        &with(&facts.sender_application, &facts.sender_facility),
    );
    set(
        "receiver",
        &with(&facts.receiver_application, &facts.receiver_facility),
    );
    let when = match listed.direction {
        Direction::In => "received",
        Direction::Out => "made",
    };
    set(when, &listed.received_at.to_string());
    set("settled", &listed.settled_at.to_string());
    let event_time = facts
        .event_time_us
        .map(|us| Instant::from_micros(us).to_string());
    set("eventTime", &event_time.unwrap_or_default());
    entry.set("stages", stages(listed));
    entry.set("bytes", Value::number(listed.size));
    entry.set("attempts", Value::number(listed.attempts));
    if listed.reused {
        entry.set("controlIdReused", true);
    }
    entry
}

/// What was done at each stage: `done`, `error`, or nothing yet.
fn stages(listed: &Listed) -> Object {
    let mut stages = Object::new();
    if listed.direction == Direction::Out {
        stages.set(Stage::Mapped.word(), "done");
        match listed.status {
            Status::Sent => stages.set(Stage::Sent.word(), "done"),
            Status::Parked | Status::Dead => stages.set(Stage::Sent.word(), "error"),
            _ => {}
        }
        if !listed.code.is_empty() {
            stages.set("answered", listed.code.as_str());
        }
        return stages;
    }
    let has_failed = matches!(listed.status, Status::Error | Status::Held | Status::Dead);
    for stage in Stage::ALL {
        let word = match stage.cmp(&listed.stage) {
            std::cmp::Ordering::Greater if has_failed && Some(stage) == after(listed.stage) => {
                "error"
            }
            std::cmp::Ordering::Greater => continue,
            _ => "done",
        };
        stages.set(stage.word(), word);
    }
    if !listed.code.is_empty() {
        stages.set("answered", listed.code.as_str());
    }
    stages
}

fn after(stage: Stage) -> Option<&'static Stage> {
    Stage::ALL.iter().find(|other| **other > stage)
}

/// What became of it: resources and loss report.
pub(super) fn add_results(document: &mut Object, whole: &Whole) {
    let touched: Vec<Value> = whole
        .touched
        .iter()
        .map(|touched| resource(touched).into())
        .collect();
    document.set("resources", touched);
    if let Ok(report) = parse(&whole.report) {
        document.set("report", report);
    }
}

fn resource(touched: &Touched) -> Object {
    Object::from_iter([
        (
            "reference",
            Value::from(format!("{}/{}", touched.resource_type, touched.id)),
        ),
        ("version", Value::number(touched.version)),
        ("effect", Value::from(touched.effect.name())),
    ])
}

async fn show(front: &Front, cx: &Cx, http: &HttpRequest, id: &str) -> Answer {
    let mut is_traced = None;
    for (name, value) in request::query(http)? {
        is_traced = match (name.as_str(), value.as_str()) {
            ("trace", "true") => Some(true),
            ("trace", "false") => Some(false),
            _ => {
                let diagnostics = "expected the parameter trace, true or false, or none";
                return Err(Fault::new(Kind::WrongParameter, diagnostics));
            }
        };
    }
    let whole = front.desk.whole(id).await?.ok_or_else(no_message)?;
    let is_traced = is_traced.unwrap_or(whole.listed.size <= TRACED_BYTES_MAX);
    let mut document = entry(&whole.listed);
    add_results(&mut document, &whole);
    let answers = whole.answers.iter().map(|text| Value::from(text.as_str()));
    document.set("acknowledgements", answers.collect::<Vec<_>>());
    let whole = Arc::new(whole);
    let (desk, of_work) = (Arc::clone(&front.desk), Arc::clone(&whole));
    let work = move || Ok(desk.shown(&of_work, is_traced));
    let (text, trace) = cx.compute(whole.raw.len(), work).await?;
    document.set("raw", text);
    if is_traced {
        let lines = trace.lines().map(Value::from);
        document.set("trace", lines.collect::<Vec<_>>());
    }
    Ok(json(StatusCode::OK, &document.into()))
}

/// The bytes as they came.
async fn raw(front: &Front, id: &str) -> Answer {
    let whole = front.desk.whole(id).await?.ok_or_else(no_message)?;
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "application/octet-stream"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::CACHE_CONTROL, "private, no-store"))
        .body(whole.raw))
}

async fn reprocess(front: &Front, http: &HttpRequest, id: &str) -> Answer {
    let mut is_dry = false;
    for (name, value) in request::query(http)? {
        is_dry = match (name.as_str(), value.as_str()) {
            ("dryRun", "true") => true,
            ("dryRun", "false") => false,
            _ => {
                let diagnostics = "expected the parameter dryRun, true or false, or none";
                return Err(Fault::new(Kind::WrongParameter, diagnostics));
            }
        };
    }
    if is_dry {
        let seen = front.desk.rehearse(id).await?.ok_or_else(no_message)?;
        return Ok(json(StatusCode::OK, &rehearsal(id, &seen).into()));
    }
    let whole = front.desk.reprocess(id).await?.ok_or_else(no_message)?;
    let mut document = entry(&whole.listed);
    add_results(&mut document, &whole);
    Ok(json(StatusCode::OK, &document.into()))
}

fn not_outgoing() -> Fault {
    Fault::new(
        Kind::NotFound,
        "there is no message of this id that goes out",
    )
}

/// Has a message sent again, whatever became of it.
async fn resend(cx: &Cx, id: &str) -> Answer {
    let (permit, of, now) = (may(&cx.caller, Action::Messages)?, id.to_owned(), cx.now);
    let written = cx
        .app
        .store
        .write(permit, move |tx| tx.resend(&of, now).map_err(Fault::from));
    let destination = written.await?.ok_or_else(not_outgoing)?;
    cx.app.destinations.wake(&destination);
    sent(cx, StatusCode::ACCEPTED, id).await
}

/// Takes a message out that was not sent.
async fn skip(cx: &Cx, id: &str) -> Answer {
    let (permit, of, now) = (may(&cx.caller, Action::Messages)?, id.to_owned(), cx.now);
    let written = cx.app.store.write(permit, move |tx| {
        tx.skip_outgoing(&of, now).map_err(Fault::from)
    });
    let (destination, was_there) = written.await?.ok_or_else(not_outgoing)?;
    if !was_there {
        return Err(Fault::new(
            Kind::Conflict,
            "this message does not wait to be sent",
        ));
    }
    cx.app.destinations.settled();
    cx.app.destinations.wake(&destination);
    sent(cx, StatusCode::OK, id).await
}

async fn sent(cx: &Cx, status: StatusCode, id: &str) -> Answer {
    let (permit, id) = (may(&cx.caller, Action::Messages)?, id.to_owned());
    let read = cx.app.store.read(permit, move |view| view.message(&id));
    let whole: Option<Whole> = read.await.map_err(|error: Error| Fault::from(error))?;
    let whole = whole.ok_or_else(no_message)?;
    Ok(json(status, &entry(&whole.listed).into()))
}

async fn reprocess_many(front: &Front, cx: &Cx, http: &HttpRequest) -> Answer {
    let (filter, _) = asked(cx, http)?;
    let count = front.desk.reprocess_many(filter).await?;
    let mut document = Object::new();
    document.set("queued", Value::number(count));
    Ok(json(StatusCode::ACCEPTED, &document.into()))
}

pub(super) fn rehearsal(id: &str, seen: &Rehearsal) -> Object {
    let changes: Vec<Value> = seen
        .changes
        .iter()
        .map(|change| difference(change).into())
        .collect();
    Object::from_iter([
        ("id", Value::from(id)),
        ("dryRun", Value::from(true)),
        ("changes", Value::from(changes)),
        ("report", operation_outcome(&seen.issues)),
    ])
}

fn difference(difference: &Difference) -> Object {
    let changes = difference
        .changes
        .iter()
        .map(|change| Value::from(element(change)));
    let mut document = resource(&difference.touched);
    document.set("diff", changes.collect::<Vec<_>>());
    document
}

fn element(change: &Change) -> Object {
    let mut document = Object::new();
    document.set("path", change.path.as_str());
    for (name, value) in [("before", &change.before), ("after", &change.after)] {
        if let Some(value) = value {
            document.set(name, value.clone());
        }
    }
    document
}

pub(super) fn json(status: StatusCode, document: &Value) -> HttpResponse {
    HttpResponse::build(status)
        .insert_header((header::CONTENT_TYPE, "application/json"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::CACHE_CONTROL, "private, no-store"))
        .body(document.to_string())
}
