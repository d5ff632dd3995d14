//! Conditional update, patch and delete, and what a request says of criteria.
//! <https://hl7.org/fhir/R4/http.html#cond-update>

use actix_web::http::header::HeaderName;
use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};

use super::interactions::submitted;
use super::prefer::Prefer;
use super::shape::{self, Shape};
use super::writes::{change, precondition};
use super::{base, reply, request};
use crate::cx::Cx;
use crate::fault::{Fault, Kind};
use crate::interactions::conditional::{self, Criteria};

pub(super) async fn update(
    cx: &Cx,
    http: &HttpRequest,
    resource_type: &'static str,
    payload: &mut Payload,
) -> Result<HttpResponse, Fault> {
    let shape = Shape::of(http, Some(resource_type))?;
    let (criteria, precondition) = (of_address(cx, http, resource_type)?, precondition(http)?);
    let submitted = submitted(cx, http, resource_type, None, payload).await?;
    let written = conditional::update(cx, criteria, submitted, precondition).await?;
    let base = base::of(&cx.app.outside, http);
    reply::written(cx, shape, &base, Prefer::of(http), &written).await
}

pub(super) async fn patch(
    cx: &Cx,
    http: &HttpRequest,
    resource_type: &'static str,
    payload: &mut Payload,
) -> Result<HttpResponse, Fault> {
    let shape = Shape::of(http, Some(resource_type))?;
    let (criteria, precondition) = (of_address(cx, http, resource_type)?, precondition(http)?);
    let change = change(cx, http, payload).await?;
    let written = conditional::patch(cx, criteria, change, precondition).await?;
    let base = base::of(&cx.app.outside, http);
    reply::written(cx, shape, &base, Prefer::of(http), &written).await
}

pub(super) async fn delete(
    cx: &Cx,
    http: &HttpRequest,
    resource_type: &'static str,
) -> Result<HttpResponse, Fault> {
    let shape = Shape::of(http, None)?;
    let (criteria, precondition) = (of_address(cx, http, resource_type)?, precondition(http)?);
    let deletion = conditional::delete(cx, criteria, precondition).await?;
    reply::deleted(&shape, Prefer::of(http), deletion)
}

/// Those in the address: what shapes the answer is none.
fn of_address(cx: &Cx, http: &HttpRequest, resource_type: &'static str) -> Result<Criteria, Fault> {
    let mut parameters = request::query(http)?;
    parameters.retain(|(name, _)| !shape::PARAMETERS.contains(&name.as_str()));
    Criteria::new(&cx.app, resource_type, &parameters, cx.now)
}

/// Those of a conditional create: the query of a search, with or without what stands before it in an address.
pub(super) fn if_none_exist(
    cx: &Cx,
    http: &HttpRequest,
    resource_type: &'static str,
) -> Result<Option<Criteria>, Fault> {
    const IF_NONE_EXIST: HeaderName = HeaderName::from_static("if-none-exist");
    let Some(value) = http.headers().get(IF_NONE_EXIST) else {
        return Ok(None);
    };
    let unreadable = || {
        let diagnostics =
            "expected If-None-Exist to hold search parameters: identifier=http://system|value";
        Fault::new(Kind::WrongParameter, diagnostics)
    };
    let text = value.to_str().map_err(|_| unreadable())?;
    let query = text.split_once('?').map_or(text, |(_, query)| query);
    Criteria::of_query(&cx.app, resource_type, query, cx.now).map(Some)
}
