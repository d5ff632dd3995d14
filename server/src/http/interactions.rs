//! From a request to an interaction and from its result to an answer: a few lines each.

use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};

use super::{reply, request};
use crate::cx::Cx;
use crate::fault::Fault;
use crate::interactions::{capabilities, create, read, vread};

pub(super) async fn create(
    cx: &Cx,
    http: &HttpRequest,
    resource_type: &'static str,
    payload: &mut Payload,
) -> Result<HttpResponse, Fault> {
    let answer_format = request::wanted(http)?;
    request::refuse_conditional_create(http)?;
    let format = request::sent(http)?;
    let bytes = request::body(http, payload).await?;
    let app = cx.app.clone();
    let submitted = cx
        .compute(bytes.len(), move || {
            request::parse(format, bytes, app.definitions())
        })
        .await?;
    let created = create::run(cx, resource_type, submitted).await?;
    let base = request::base(http);
    reply::created(answer_format, &base, request::prefer(http), &created)
}

pub(super) async fn read(
    cx: &Cx,
    http: &HttpRequest,
    resource_type: &'static str,
    id: &str,
) -> Result<HttpResponse, Fault> {
    let format = request::wanted(http)?;
    let found = read::run(cx, resource_type, id).await?;
    if request::has_version(http, found.version) {
        return Ok(reply::not_modified(&found));
    }
    reply::found(format, found)
}

pub(super) async fn vread(
    cx: &Cx,
    http: &HttpRequest,
    resource_type: &'static str,
    id: &str,
    version: &str,
) -> Result<HttpResponse, Fault> {
    let format = request::wanted(http)?;
    let found = vread::run(cx, resource_type, id, version).await?;
    reply::found(format, found)
}

pub(super) fn capabilities(cx: &Cx, http: &HttpRequest) -> Result<HttpResponse, Fault> {
    let format = request::wanted(http)?;
    reply::document(format, &capabilities::run(cx, &request::base(http)))
}
