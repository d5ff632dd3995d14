//! From a request to an interaction and from its result to an answer: a few lines each.

use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};

use super::{reply, request};
use crate::cx::Cx;
use crate::fault::Fault;
use crate::interactions::{capabilities, create, read};

pub(super) async fn create(
    cx: &Cx,
    http: &HttpRequest,
    resource_type: &'static str,
    payload: Payload,
) -> Result<HttpResponse, Fault> {
    let answer_format = request::wanted(http)?;
    request::refuse_conditional_create(http)?;
    let format = request::sent(http)?;
    let bytes = request::body(http, payload).await?;
    let length = bytes.len();
    let document = cx
        .compute(length, move || request::parse(format, &bytes))
        .await?;
    let created = create::run(cx, resource_type, document, length).await?;
    let base = request::base(http);
    Ok(reply::created(
        answer_format,
        &base,
        request::prefer(http),
        &created,
    ))
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
    Ok(reply::found(format, found))
}

pub(super) fn capabilities(cx: &Cx, http: &HttpRequest) -> Result<HttpResponse, Fault> {
    let format = request::wanted(http)?;
    Ok(reply::document(
        format,
        &capabilities::run(cx, &request::base(http)),
    ))
}
