//! Update, patch and delete: from a request to an interaction, and from what it did to an answer.

use actix_web::http::header;
use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};
use fhir_spec::json;

use super::interactions::{document, preferred, submitted};
use super::prefer::Prefer;
use super::shape::Shape;
use super::{base, body, reply};
use crate::cx::Cx;
use crate::fault::{Fault, Kind};
use crate::interactions::patch::{self, Patch};
use crate::interactions::precondition::{Precondition, Versions};
use crate::interactions::{delete, update};

pub(super) async fn update(
    cx: &Cx,
    http: &HttpRequest,
    resource_type: &'static str,
    id: &str,
    payload: &mut Payload,
) -> Result<HttpResponse, Fault> {
    let shape = Shape::of(http, Some(resource_type))?;
    let precondition = precondition(http)?;
    let submitted = submitted(cx, http, resource_type, Some(id), payload).await?;
    let written = update::run(cx, resource_type, id, submitted, precondition).await?;
    let base = base::of(&cx.app.outside, http);
    reply::written(cx, shape, &base, preferred(http, resource_type), &written).await
}

pub(super) async fn patch(
    cx: &Cx,
    http: &HttpRequest,
    resource_type: &'static str,
    id: &str,
    payload: &mut Payload,
) -> Result<HttpResponse, Fault> {
    let shape = Shape::of(http, Some(resource_type))?;
    let precondition = precondition(http)?;
    let change = change(cx, http, payload).await?;
    let written = patch::run(cx, resource_type, id, change, precondition).await?;
    let base = base::of(&cx.app.outside, http);
    reply::written(cx, shape, &base, Prefer::of(http), &written).await
}

/// The patch in the body: its media type says which notation it is in.
pub(super) async fn change(
    cx: &Cx,
    http: &HttpRequest,
    payload: &mut Payload,
) -> Result<Patch, Fault> {
    let named = http
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .unwrap_or_default();
    let notation = named.trim().to_ascii_lowercase();
    match notation.as_str() {
        "application/json-patch+json" | "application/merge-patch+json" => {
            let bytes = body::read(cx, http, payload).await?;
            let document = json::parse(&bytes).map_err(|malformed| {
                Fault::of_issues(Kind::Malformed, vec![(&malformed).into()])
            })?;
            Ok(match notation.as_str() {
                "application/json-patch+json" => Patch::Json(document),
                _ => Patch::Merge(document),
            })
        }
        "application/xml-patch+xml" => {
            let bytes = body::read(cx, http, payload).await?;
            let text = String::from_utf8(bytes.into()).map_err(|error| {
                Fault::new(Kind::Malformed, "the body is not UTF-8").because(error)
            })?;
            Ok(Patch::Xml(text))
        }
        _ => {
            let submitted =
                document(cx, http, payload)
                    .await
                    .map_err(|fault| match fault.kind {
                        Kind::UnsupportedMedia => Fault::new(Kind::UnsupportedMedia, PATCHES),
                        _ => fault,
                    })?;
            Ok(Patch::FhirPath(submitted.document))
        }
    }
}

const PATCHES: &str = "expected application/json-patch+json, application/merge-patch+json, application/xml-patch+xml, \
     or Parameters with a FHIRPath Patch in application/fhir+json or application/fhir+xml";

pub(super) async fn delete(
    cx: &Cx,
    http: &HttpRequest,
    resource_type: &'static str,
    id: &str,
) -> Result<HttpResponse, Fault> {
    let shape = Shape::of(http, None)?;
    let deletion = delete::run(cx, resource_type, id, precondition(http)?).await?;
    reply::deleted(&shape, Prefer::of(http), deletion)
}

/// What the headers demand of the current version.
pub(super) fn precondition(http: &HttpRequest) -> Result<Precondition, Fault> {
    let versions = |name: header::HeaderName| match http.headers().get(&name) {
        None => Ok(None),
        Some(value) => {
            let read = value.to_str().ok().and_then(Versions::parse);
            read.map(Some).ok_or_else(|| {
                let diagnostics = format!("expected {name} to name versions as ETags do: W/\"1\"");
                Fault::new(Kind::WrongParameter, diagnostics)
            })
        }
    };
    Ok(Precondition {
        if_match: versions(header::IF_MATCH)?,
        if_none_match: versions(header::IF_NONE_MATCH)?,
    })
}
