//! Batch and transaction: from a request to the bundle, and what the interactions below need from above.
//! <https://hl7.org/fhir/R4/http.html#transaction>

use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};
use fhir_spec::format::Format;

use super::body::{self, Cap};
use super::prefer::Prefer;
use super::shape::Shape;
use super::{base, history, reply, request, search};
use crate::cx::Cx;
use crate::fault::Fault;
use crate::interactions::bundle;
use crate::operations;

pub(super) async fn bundle(
    cx: &Cx,
    http: &HttpRequest,
    payload: &mut Payload,
) -> Result<HttpResponse, Fault> {
    let shape = Shape::of(http, Some("Bundle"))?;
    let format = request::sent(http)?;
    let limits = &cx.app.limits;
    let cap = match format {
        Format::Json => Cap::of_bundle(limits),
        Format::Xml => Cap::of_document(limits),
    };
    let bytes = body::read_within(cx, http, payload, cap).await?;
    let prefer = Prefer::of(http);
    let wishes = bundle::Wishes {
        base: base::of(&cx.app.outside, http),
        returned: prefer.returned,
        operate: operations::within_bundle,
        limits: cx.app.limits,
        past: history::within_bundle,
        found: search::within_bundle,
    };
    let answer = bundle::run(cx, bundle::Sent::new(format, bytes)?, wishes).await?;
    reply::written_bundle(cx, shape, prefer, answer).await
}
