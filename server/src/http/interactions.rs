//! From a request to an interaction and from its result to an answer: a few lines each.

use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};

use super::prefer::Prefer;
use super::shape::Shape;
use super::{base, body, reply, request};
use crate::accept::Submitted;
use crate::auth::{Action, may};
use crate::cx::Cx;
use crate::fault::Fault;
use crate::interactions::{capabilities, create, read, vread};
use crate::operations::{Call, Operation, declared};

pub(super) async fn create(
    cx: &Cx,
    http: &HttpRequest,
    resource_type: &'static str,
    payload: &mut Payload,
) -> Result<HttpResponse, Fault> {
    let shape = Shape::of(http, Some(resource_type))?;
    request::refuse_conditional_create(http)?;
    let submitted = submitted(cx, http, payload).await?;
    let created = create::run(cx, resource_type, submitted).await?;
    let base = base::of(&cx.app.outside, http);
    reply::written(cx, shape, &base, Prefer::of(http), &created).await
}

/// The document in the body.
pub(super) async fn submitted(
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
    resource_type: Option<&'static str>,
    payload: &mut Payload,
) -> Result<HttpResponse, Fault> {
    let shape = Shape::of(http, None)?;
    may(cx.caller, Action::Invoke(operation.code))?;
    let call = Call {
        resource_type,
        submitted: submitted(cx, http, payload).await?,
        query: request::query(http),
        now: cx.now,
    };
    let app = cx.app.clone();
    let answer = cx
        .compute(call.submitted.source.len(), move || {
            (operation.run)(&app, &call)
        })
        .await?;
    reply::document(&shape, &answer)
}

pub(super) async fn read(
    cx: &Cx,
    http: &HttpRequest,
    resource_type: &'static str,
    id: &str,
) -> Result<HttpResponse, Fault> {
    let shape = Shape::of(http, Some(resource_type))?;
    let found = read::run(cx, resource_type, id).await?;
    reply::found(cx, http, shape, found).await
}

pub(super) async fn vread(
    cx: &Cx,
    http: &HttpRequest,
    resource_type: &'static str,
    id: &str,
    version: &str,
) -> Result<HttpResponse, Fault> {
    let shape = Shape::of(http, Some(resource_type))?;
    let found = vread::run(cx, resource_type, id, version).await?;
    reply::found(cx, http, shape, found).await
}

pub(super) fn capabilities(cx: &Cx, http: &HttpRequest) -> Result<HttpResponse, Fault> {
    let shape = Shape::of(http, Some("CapabilityStatement"))?;
    let base = base::of(&cx.app.outside, http);
    reply::document(&shape, &capabilities::run(cx, &base, declared))
}
