//! What others were told, are to be told, and could not be told; and having it tried again.

use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse};
use fhir_spec::json::{Object, Value};

use super::arranged::made;
use super::request;
use crate::auth::{Action, may, may_all};
use crate::cx::Cx;
use crate::fault::{Fault, Kind};
use crate::instant::Instant;
use crate::store::{Delivery, Event, Fate, Listing, NEVER, State, Target, View};
use crate::subscriptions::{TYPE, status};

type Answer = Result<HttpResponse, Fault>;

const PARAMETERS: &str = "subscription, status, limit, after";

/// What is asked for by an address below `/api/deliveries`.
pub(super) async fn follow(cx: &Cx, http: &HttpRequest, path: &str) -> Answer {
    let segments: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let is_read = matches!(*http.method(), Method::GET | Method::HEAD);
    let is_post = *http.method() == Method::POST;
    match *segments.as_slice() {
        [] if is_read => list(cx, http).await,
        ["subscriptions"] if is_read => subscriptions(cx).await,
        [id, "retry"] if is_post => retry(cx, id).await,
        [id, "skip"] if is_post => skip(cx, http, id).await,
        [] | ["subscriptions"] => Err(wrong_method("GET, HEAD")),
        [_, "retry" | "skip"] => Err(wrong_method("POST")),
        _ => Err(Fault::new(
            Kind::UnknownPath,
            "there is nothing at this address",
        )),
    }
}

fn wrong_method(allow: &str) -> Fault {
    let diagnostics = format!("this method does not apply here; these do: {allow}");
    Fault {
        allow: Some(allow.to_owned()),
        ..Fault::new(Kind::MethodNotAllowed, diagnostics)
    }
}

/// Subscription after subscription by their ids, of each the newest event first.
async fn list(cx: &Cx, http: &HttpRequest) -> Answer {
    let limits = &cx.app.limits;
    let (mut wanted, mut most) = (Listing::default(), limits.page_size_default);
    for (name, value) in request::query(http)? {
        let wrong = |expected: &str| {
            Fault::new(Kind::WrongParameter, format!("{name}: expected {expected}"))
        };
        match name.as_str() {
            "subscription" => wanted.subscription = Some(value),
            "status" => {
                let known = Delivery::ALL
                    .iter()
                    .copied()
                    .find(|one| one.code() == value);
                let all: Vec<&str> = Delivery::ALL.iter().map(|one| one.code()).collect();
                wanted.status =
                    Some(known.ok_or_else(|| wrong(&format!("one of {}", all.join(", "))))?);
            }
            "limit" => {
                let number = value.parse().ok();
                let number = number.filter(|number| (1..=limits.page_size_max).contains(number));
                most = number.ok_or_else(|| {
                    wrong(&format!("a number from 1 to {}", limits.page_size_max))
                })?;
            }
            "after" => {
                let (id, number) = value
                    .split_once(',')
                    .ok_or_else(|| wrong("a place of a page before"))?;
                let number = number
                    .parse()
                    .map_err(|_| wrong("a place of a page before"))?;
                wanted.after = Some((id.to_owned(), number));
            }
            _ => {
                let told = format!("`{name}` is no parameter of this; these are: {PARAMETERS}");
                return Err(Fault::new(Kind::WrongParameter, told));
            }
        }
    }
    let permit = may(&cx.caller, Action::Deliver)?;
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let read = cx
        .app
        .store
        .read(permit, move |view| view.deliveries(&wanted, most));
    let found: Vec<(Target, Event)> = read.await.map_err(Fault::from)?;
    let last = found.last().filter(|_| found.len() == most);
    let next = last.map(|(target, event)| format!("{},{}", target.id, event.number));
    let all: Vec<Value> = found
        .iter()
        .map(|(target, event)| told(target, event).into())
        .collect();
    let mut document = Object::from_iter([("deliveries", Value::from(all))]);
    if let Some(next) = next {
        document.set("after", next);
    }
    Ok(made(StatusCode::OK, document))
}

fn told(target: &Target, event: &Event) -> Object {
    let resource = format!(
        "{}/{}/_history/{}",
        event.resource_type, event.id, event.version
    );
    let mut object = Object::from_iter([
        ("subscription", Value::from(target.id.as_str())),
        ("event", Value::number(event.number)),
        ("status", Value::from(Delivery::of(target, event).code())),
        ("at", Value::from(event.at.to_string())),
        ("resource", Value::from(resource)),
    ]);
    if event.fate != Fate::None {
        object.set("settled_at", event.settled_at.to_string());
    }
    if event.number == target.done + 1 && !target.problem.is_empty() {
        object.set("attempts", Value::number(target.attempts));
        object.set("problem", target.problem.as_str());
    }
    object
}

/// How far each has come.
async fn subscriptions(cx: &Cx) -> Answer {
    let permit = may(&cx.caller, Action::Deliver)?;
    let read = cx
        .app
        .store
        .read(permit, |view: &mut View<'_>| view.targets());
    let all: Vec<Target> = read.await.map_err(Fault::from)?;
    let all: Vec<Value> = all.iter().map(|target| summary(target).into()).collect();
    Ok(made(
        StatusCode::OK,
        Object::from_iter([("subscriptions", all)]),
    ))
}

fn summary(target: &Target) -> Object {
    let mut object = Object::from_iter([
        ("subscription", Value::from(target.id.as_str())),
        ("status", Value::from(target.state.code())),
        ("events", Value::number(target.born)),
        ("waiting", Value::number(target.born - target.done)),
        ("attempts", Value::number(target.attempts)),
    ]);
    if target.due_at != NEVER && target.state == State::Active {
        object.set("due_at", Instant::from_micros(target.due_at).to_string());
    }
    if !target.problem.is_empty() {
        object.set("problem", target.problem.as_str());
    }
    object
}

async fn of_id(cx: &Cx, id: &str) -> Result<Target, Fault> {
    let (permit, id) = (may(&cx.caller, Action::Deliver)?, id.to_owned());
    let read = cx.app.store.read(permit, move |view| view.target(&id));
    let found: Option<Target> = read.await.map_err(Fault::from)?;
    found.ok_or_else(|| {
        Fault::new(
            Kind::NotFound,
            "nothing was ever told to a subscription of this id",
        )
    })
}

/// Tries again at once; one that was given up goes on where it stood.
async fn retry(cx: &Cx, id: &str) -> Answer {
    let target = of_id(cx, id).await?;
    let permit = may_all(
        &cx.caller,
        [Action::Deliver, Action::Read(TYPE), Action::Update(TYPE)],
    )?;
    let (app, now, resumed) = (cx.app.clone(), cx.now, target.clone());
    let written = cx.app.store.write(permit, move |tx| {
        if !tx.resume_target(resumed.rid, now)? {
            return Ok(false);
        }
        if resumed.state == State::Error {
            let at = (resumed.id.as_str(), resumed.version);
            if let Some(version) = status::write(tx, &app, at, State::Active, "", now)? {
                tx.target_version(resumed.rid, version)?;
            }
        }
        Ok::<_, crate::store::Error>(true)
    });
    if !written.await? {
        let told = "this subscription is off: put it with the status requested";
        return Err(Fault::new(Kind::Conflict, told));
    }
    cx.app.dispatch.wake();
    Ok(made(StatusCode::OK, summary(&of_id(cx, &target.id).await?)))
}

/// Leaves out the next event, or all up to one.
async fn skip(cx: &Cx, http: &HttpRequest, id: &str) -> Answer {
    let target = of_id(cx, id).await?;
    let mut up_to = target.done + 1;
    for (name, value) in request::query(http)? {
        let number = (name == "event").then(|| value.parse().ok()).flatten();
        up_to = number.ok_or_else(|| {
            Fault::new(
                Kind::WrongParameter,
                "expected `event`, the number of the last one to be left out",
            )
        })?;
    }
    if !(target.done + 1..=target.born).contains(&up_to) {
        let told = format!("there are no events up to {up_to} that wait");
        return Err(Fault::new(Kind::Conflict, told));
    }
    let (permit, now, skipped) = (may(&cx.caller, Action::Deliver)?, cx.now, target.clone());
    let written = cx.app.store.write(permit, move |tx| {
        if !tx.skip_events(&skipped, up_to, now)? {
            return Ok(false);
        }
        tx.settle_events(skipped.rid, (skipped.done, up_to), Fate::Skipped, now)?;
        Ok::<_, crate::store::Error>(true)
    });
    if !written.await? {
        let told = "they were delivered meanwhile";
        return Err(Fault::new(Kind::Conflict, told));
    }
    cx.app.dispatch.wake();
    Ok(made(StatusCode::OK, summary(&of_id(cx, &target.id).await?)))
}
