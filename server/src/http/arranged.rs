//! What `/api/routes`, `/api/overlays` and `/api/destinations` have in common: versions, kept in the database and put to use at once.

use actix_web::http::header::{CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse};
use fhir_spec::json::{Object, Value, parse};

use super::Front;
use super::reply::NO_SNIFF;
use super::routes::Answer;
use crate::arranged;
use crate::auth::{Action, may};
use crate::cx::Cx;
use crate::fault::{Fault, Kind};
use crate::store::{Arranged, Arrangement};

const NAME_MAX: usize = 64;

/// The parts of a path below a door, and what is wanted there: HEAD is a GET.
pub(super) fn asked<'r>(request: &'r HttpRequest, path: &'r str) -> (Vec<&'r str>, &'r Method) {
    let segments = path.split('/').filter(|part| !part.is_empty());
    let method = match request.method() {
        &Method::HEAD => &Method::GET,
        method => method,
    };
    (segments.collect(), method)
}

pub(super) fn json(status: StatusCode, name: &'static str, all: Vec<Value>) -> HttpResponse {
    made(status, Object::from_iter([(name, Value::from(all))]))
}

pub(super) fn made(status: StatusCode, object: Object) -> HttpResponse {
    HttpResponse::build(status)
        .insert_header((CONTENT_TYPE, "application/json"))
        .insert_header((X_CONTENT_TYPE_OPTIONS, NO_SNIFF))
        .body(Value::from(object).to_string())
}

/// A name, its version, and since when that holds.
pub(super) fn headed(arrangement: &Arrangement) -> Object {
    Object::from_iter([
        ("name", Value::from(arrangement.name.as_str())),
        ("version", Value::number(arrangement.version)),
        ("at", Value::from(arrangement.at.to_string())),
    ])
}

pub(super) fn check_name(name: &str) -> Result<(), Fault> {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    match (1..=NAME_MAX).contains(&name.len()) && name.chars().all(is_plain) {
        true => Ok(()),
        false => Err(Fault::new(
            Kind::WrongParameter,
            format!("expected a name of letters, digits, - _ . and at most {NAME_MAX} of them"),
        )),
    }
}

pub(super) fn text_of(bytes: &[u8]) -> Result<&str, Fault> {
    std::str::from_utf8(bytes)
        .map_err(|error| Fault::new(Kind::Malformed, format!("the body is no UTF-8: {error}")))
}

/// A JSON object.
pub(super) fn object(text: &str) -> Result<Object, Fault> {
    let expected = |told: String| Fault::new(Kind::Malformed, told);
    let value = parse(text.as_bytes()).map_err(|error| expected(error.to_string()))?;
    match value.data {
        fhir_spec::json::Data::Object(object) => Ok(object),
        _ => Err(expected("expected a JSON object".to_owned())),
    }
}

/// What holds.
pub(super) async fn current(cx: &Cx, kind: Arranged) -> Result<Vec<Arrangement>, Fault> {
    let permit = may(&cx.caller, Action::Arrange)?;
    let mut all: Vec<Arrangement> = cx
        .app
        .store
        .read(permit, move |view| Ok::<_, Fault>(view.arrangements(kind)?))
        .await?;
    all.retain(|arrangement| arrangement.body.is_some());
    Ok(all)
}

/// Every version, the last one first; those since which there is none say `"deleted": true`.
pub(super) async fn history(cx: &Cx, kind: Arranged, name: &str) -> Answer {
    let permit = may(&cx.caller, Action::Arrange)?;
    let name = name.to_owned();
    let all = cx
        .app
        .store
        .read(permit, move |view| {
            Ok::<_, Fault>(view.arrangement(kind, &name)?)
        })
        .await?;
    if all.is_empty() {
        return Err(Fault::new(
            Kind::NotFound,
            "there never was one of this name",
        ));
    }
    let versions = all.iter().map(|arrangement| {
        let mut object = headed(arrangement);
        match &arrangement.body {
            None => object.set("deleted", true),
            Some(body) => {
                let body = parse(body.as_bytes()).ok();
                for (name, value) in body
                    .iter()
                    .filter_map(Value::as_object)
                    .flat_map(Object::iter)
                {
                    object.set(name, value.clone());
                }
            }
        }
        Value::from(object)
    });
    Ok(json(StatusCode::OK, "versions", versions.collect()))
}

/// Keeps a version, and puts it to use here.
pub(super) async fn put(
    front: &Front,
    cx: &Cx,
    kind: Arranged,
    name: &str,
    body: String,
) -> Answer {
    let version = write(front, cx, kind, name, Some(body)).await?;
    let status = match version {
        1 => StatusCode::CREATED,
        _ => StatusCode::OK,
    };
    let arrangement = Arrangement {
        name: name.to_owned(),
        version,
        at: cx.now,
        body: None,
    };
    Ok(made(status, headed(&arrangement)))
}

pub(super) async fn delete(front: &Front, cx: &Cx, kind: Arranged, name: &str) -> Answer {
    let all = current(cx, kind).await?;
    if !all.iter().any(|arrangement| arrangement.name == name) {
        return Err(Fault::new(Kind::NotFound, "there is none of this name"));
    }
    write(front, cx, kind, name, None).await?;
    Ok(HttpResponse::NoContent().finish())
}

async fn write(
    front: &Front,
    cx: &Cx,
    kind: Arranged,
    name: &str,
    body: Option<String>,
) -> Result<u64, Fault> {
    let permit = may(&cx.caller, Action::Arrange)?;
    let (name, now) = (name.to_owned(), cx.now);
    let version = cx
        .app
        .store
        .write(permit, move |tx| {
            Ok::<_, Fault>(tx.arrange(kind, &name, body.as_deref(), now)?)
        })
        .await?;
    arranged::load(&cx.app, &front.desk).await?;
    Ok(version)
}
