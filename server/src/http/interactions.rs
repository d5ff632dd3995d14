//! From a request to an interaction and from its result to an answer: a few lines each.

use actix_web::http::Method;
use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use fhir_spec::json::Object;

use super::prefer::Prefer;
use super::shape::Shape;
use super::{base, binary, body, criteria, media, reply, request};
use crate::accept::Submitted;
use crate::app::App;
use crate::auth::{Action, may};
use crate::cx::Cx;
use crate::fault::Fault;
use crate::interactions::{capabilities, conditional, create, read, vread};
use crate::operations::{Answer, Call, Operation, Run, declared};
use crate::store::Found;
use crate::subscriptions::topic;

pub(super) async fn create(
    cx: &Cx,
    http: &HttpRequest,
    resource_type: &'static str,
    payload: &mut Payload,
) -> Result<HttpResponse, Fault> {
    let shape = Shape::of(http, Some(resource_type))?;
    let criteria = criteria::if_none_exist(cx, http, resource_type)?;
    let submitted = submitted(cx, http, resource_type, None, payload).await?;
    let created = match criteria {
        Some(criteria) => conditional::create(cx, criteria, submitted).await?,
        None => create::run(cx, resource_type, submitted).await?,
    };
    let base = base::of(&cx.app.outside, http);
    reply::written(cx, shape, &base, preferred(http, resource_type), &created).await
}

/// Who sends content knows it: it is not sent back unless it is asked for.
pub(super) fn preferred(http: &HttpRequest, resource_type: &str) -> Prefer {
    let prefer = Prefer::of(http);
    match resource_type == binary::TYPE && binary::is_sent_as_content(http) {
        true => prefer.or_minimal(),
        false => prefer,
    }
}

/// The resource in the body, for an address of that type and id.
pub(super) async fn submitted(
    cx: &Cx,
    http: &HttpRequest,
    resource_type: &str,
    id: Option<&str>,
    payload: &mut Payload,
) -> Result<Submitted, Fault> {
    match resource_type {
        binary::TYPE => binary::submitted(cx, http, id, payload).await,
        _ => document(cx, http, payload).await,
    }
}

/// The document in the body.
pub(super) async fn document(
    cx: &Cx,
    http: &HttpRequest,
    payload: &mut Payload,
) -> Result<Submitted, Fault> {
    let format = request::sent(http)?;
    let bytes = body::read(cx, http, payload).await?;
    let app = cx.app.clone();
    cx.compute(bytes.len(), move || {
        request::parse(format, bytes, app.definitions())
    })
    .await
}

pub(super) async fn operation(
    cx: &Cx,
    http: &HttpRequest,
    operation: &'static Operation,
    (resource_type, id): (Option<&'static str>, Option<&str>),
    payload: &mut Payload,
) -> Result<HttpResponse, Fault> {
    let clinical = match operation.is_clinical() {
        true => media::clinical(http)?,
        false => None,
    };
    let shape = match clinical {
        Some(_) => Shape::of_trouble(http),
        None => Shape::of(http, None)?,
    };
    may(&cx.caller, Action::Invoke(operation.code))?;
    let may_change = *http.method() == Method::POST;
    let call = Call {
        resource_type,
        id: id.map(str::to_owned),
        submitted: match operation.is_readable() {
            true => parameters(cx, http, may_change, payload).await?,
            false => document(cx, http, payload).await?,
        },
        query: request::query(http)?,
        base: base::of(&cx.app.outside, http),
        wants_cda: clinical.is_some(),
        may_change,
        now: cx.now,
    };
    match operation.run {
        Run::Sent(run) => {
            let app = cx.app.clone();
            let bytes = call.submitted.source.len();
            let answer = cx.compute(bytes, move || run(&app, &call)).await?;
            reply::document(&shape, &answer)
        }
        Run::Stored(run) => match run(cx, &call).await? {
            Answer::Resource(answer) => reply::document(&shape, &answer),
            Answer::Clinical(text) => Ok(reply::clinical(clinical.unwrap_or(media::CDA), text)),
            Answer::Bundle(bytes) => reply::resource(cx, HttpResponse::Ok(), shape, bytes).await,
        },
    }
}

/// The Parameters in the body, which may be empty.
async fn parameters(
    cx: &Cx,
    http: &HttpRequest,
    may_have: bool,
    payload: &mut Payload,
) -> Result<Submitted, Fault> {
    let bytes = match may_have {
        true => body::read(cx, http, payload).await?,
        false => Bytes::new(),
    };
    if bytes.is_empty() {
        return Ok(Submitted {
            document: Object::from_iter([("resourceType", "Parameters")]).into(),
            source: bytes,
        });
    }
    request::parse(request::sent(http)?, bytes, cx.app.definitions())
}

pub(super) async fn read(
    cx: &Cx,
    http: &HttpRequest,
    resource_type: &'static str,
    id: &str,
) -> Result<HttpResponse, Fault> {
    let shape = shape(http, resource_type)?;
    let found = read::run(cx, resource_type, id).await?;
    answer(cx, http, shape, found).await
}

pub(super) async fn vread(
    cx: &Cx,
    http: &HttpRequest,
    resource_type: &'static str,
    id: &str,
    version: &str,
) -> Result<HttpResponse, Fault> {
    let shape = shape(http, resource_type)?;
    let found = vread::run(cx, resource_type, id, version).await?;
    answer(cx, http, shape, found).await
}

/// How a resource of that type is to be shown: told before anything is read when it cannot be. None: a Binary, of which it
/// depends on its content.
fn shape(http: &HttpRequest, resource_type: &str) -> Result<Option<Shape>, Fault> {
    match resource_type {
        binary::TYPE => Ok(None),
        _ => Shape::of(http, Some(resource_type)).map(Some),
    }
}

/// What a read found. What is rare has a place of its own, so that the others do not carry the room for it.
async fn answer(
    cx: &Cx,
    http: &HttpRequest,
    shape: Option<Shape>,
    found: Found,
) -> Result<HttpResponse, Fault> {
    match shape {
        Some(shape) if shape.is_as_stored() => Ok(reply::as_stored(http, found)),
        Some(shape) => {
            let Found {
                version, at, body, ..
            } = found;
            Box::pin(reply::found(cx, http, shape, version, at, body.into())).await
        }
        None => Box::pin(binary::found(cx, http, found)).await,
    }
}

pub(super) fn capabilities(app: &App, http: &HttpRequest) -> Result<HttpResponse, Fault> {
    let shape = Shape::of(http, Some("CapabilityStatement"))?;
    let base = base::of(&app.outside, http);
    let registry = app.search();
    let topics = topic::all_of(app)?;
    let topics: Vec<&str> = topics.iter().map(|topic| topic.url.as_str()).collect();
    let make = || capabilities::run(app, &base, &topics, declared).to_string();
    // Topics come and go like search parameters.
    let of = format!("{base} {}", topics.join(" "));
    reply::text(&shape, app.capabilities.text(&registry, &of, make))
}
