//! Answers: resources with their headers, and faults in the form that their address asks for.
//! <https://hl7.org/fhir/R4/http.html#general>

use std::time::UNIX_EPOCH;

use actix_web::http::StatusCode;
use actix_web::http::header::{
    self, ContentType, HeaderName, HeaderValue, HttpDate, TryIntoHeaderValue,
};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use bytes::Bytes;
use fhir_spec::definitions::Definitions;
use fhir_spec::format::Format;
use fhir_spec::json::{self, Object, Value};
use fhir_spec::outcome::operation_outcome;
use fhir_spec::{Issue, IssueCode, Severity};
use tracing::Level;

use super::request::{self, Return};
use super::routes::within_fhir;
use crate::fault::{Fault, Kind};
use crate::instant::Instant;
use crate::interactions::create::Created;
use crate::store::Found;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// 201 with the address of the new version.
pub(super) fn created(
    format: Format,
    base: &str,
    prefer: Return,
    created: &Created,
) -> Result<HttpResponse, Fault> {
    let resource = &created.resource;
    let (resource_type, id, version) =
        (resource.resource_type(), resource.id(), resource.version());
    let location = format!("{base}/{resource_type}/{id}/_history/{version}");
    let mut response = versioned(StatusCode::CREATED, version, resource.at());
    response.insert_header((header::LOCATION, location));
    match prefer {
        Return::Minimal => Ok(response.finish()),
        Return::Representation => stored(response, format, resource.bytes().clone()),
        Return::OperationOutcome => {
            let mut said = vec![Issue::new(
                Severity::Information,
                IssueCode::Informational,
                format!("created {resource_type}/{id}, version {version}"),
            )];
            said.extend(created.notes.iter().cloned());
            Ok(body(
                response,
                format,
                written(format, &operation_outcome(&said))?,
            ))
        }
    }
}

/// 200 with the stored bytes as they are, or what XML makes of them.
pub(super) fn found(format: Format, found: Found) -> Result<HttpResponse, Fault> {
    let response = versioned(StatusCode::OK, found.version, found.at);
    stored(response, format, found.body.into())
}

/// Stored bytes are JSON: only an answer in XML has to read them.
fn stored(
    response: HttpResponseBuilder,
    format: Format,
    bytes: Bytes,
) -> Result<HttpResponse, Fault> {
    match format {
        Format::Json => Ok(body(response, format, bytes)),
        Format::Xml => {
            let document = json::parse(&bytes).map_err(Fault::internal)?;
            Ok(body(response, format, written(format, &document)?))
        }
    }
}

pub(super) fn not_modified(found: &Found) -> HttpResponse {
    versioned(StatusCode::NOT_MODIFIED, found.version, found.at).finish()
}

pub(super) fn document(format: Format, document: &Value) -> Result<HttpResponse, Fault> {
    Ok(body(HttpResponse::Ok(), format, written(format, document)?))
}

fn written(format: Format, document: &Value) -> Result<String, Fault> {
    format
        .write(document, Definitions::r4())
        .map_err(|issue| Fault::of_issues(Kind::NotAcceptable, vec![issue]))
}

fn versioned(status: StatusCode, version: u64, at: Instant) -> HttpResponseBuilder {
    let mut response = HttpResponse::build(status);
    let modified = HttpDate::from(UNIX_EPOCH + at.since_epoch());
    response.insert_header((header::ETAG, format!("W/\"{version}\"")));
    response.insert_header((header::LAST_MODIFIED, modified));
    response
}

fn body(
    mut response: HttpResponseBuilder,
    format: Format,
    bytes: impl actix_web::body::MessageBody + 'static,
) -> HttpResponse {
    response
        .insert_header((
            header::CONTENT_TYPE,
            HeaderValue::from_static(format.media_type()),
        ))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .body(bytes)
}

/// The answer to a request that failed: an OperationOutcome where FHIR is, a problem document elsewhere.
/// It is logged here and nowhere else, without anything of what the client sent.
pub(super) fn fault(request: &HttpRequest, request_id: &str, fault: &Fault) -> HttpResponse {
    log(request_id, fault);
    let row = fault.kind.row();
    let status = StatusCode::from_u16(row.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::build(status);
    if let Some(allow) = &fault.allow {
        response.insert_header((header::ALLOW, allow.as_str()));
    }
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.insert_header((header::RETRY_AFTER, "1"));
    }
    if within_fhir(request.path()).is_some() {
        // Who asks for a format that is not spoken here is told so in JSON.
        let format = request::wanted(request).unwrap_or(Format::Json);
        let outcome = operation_outcome(&fault.issues);
        return match written(format, &outcome) {
            Ok(text) => body(response, format, text),
            Err(_) => body(response, Format::Json, outcome.to_string()),
        };
    }
    response
        .insert_header((header::CONTENT_TYPE, "application/problem+json"))
        .body(problem(request_id, fault).to_string())
}

/// <https://www.rfc-editor.org/rfc/rfc9457>
fn problem(request_id: &str, fault: &Fault) -> Value {
    let row = fault.kind.row();
    let detail: Vec<&str> = fault
        .issues
        .iter()
        .map(|issue| issue.diagnostics.as_str())
        .collect();
    Object::from_iter([
        ("status", Value::number(row.status)),
        ("title", Value::from(detail.join("; "))),
        ("detail", Value::from(row.remedy)),
        ("instance", Value::from(request_id)),
    ])
    .into()
}

fn log(request_id: &str, fault: &Fault) {
    let kind = fault.kind;
    let mut cause = String::new();
    let mut source: Option<&dyn std::error::Error> = match &fault.source {
        Some(source) => Some(source.as_ref()),
        None => None,
    };
    while let Some(error) = source {
        cause = format!("{cause}: {error}");
        source = error.source();
    }
    let cause = cause.trim_start_matches(": ");
    match kind.row().level {
        Level::ERROR => tracing::error!(request.id = request_id, ?kind, cause, "request failed"),
        Level::WARN => tracing::warn!(request.id = request_id, ?kind, cause, "request put off"),
        _ => tracing::debug!(request.id = request_id, ?kind, cause, "request refused"),
    }
}

/// A page for people; it may load nothing but its own style.
pub(super) fn page(content_type: ContentType, text: &'static str) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header(content_type)
        .insert_header((
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .body(text)
}

/// Puts the request's name on its answer, so that a user can tell it to the operator.
pub(super) fn name_request(response: &mut HttpResponse, id: &str) {
    if let Ok(value) = id.try_into_value() {
        response.headers_mut().insert(REQUEST_ID, value);
    }
}
