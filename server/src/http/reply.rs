//! Answers: resources with their headers, and faults in the form that their address asks for.
//! <https://hl7.org/fhir/R4/http.html#general>

use std::time::UNIX_EPOCH;

use actix_web::http::StatusCode;
use actix_web::http::header::{
    self, ContentType, HeaderName, HeaderValue, HttpDate, TryIntoHeaderValue,
};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use bytes::Bytes;
use fhir_spec::format::Format;
use fhir_spec::json::{Object, Value};
use fhir_spec::outcome::operation_outcome;
use fhir_spec::{Issue, IssueCode, Severity};
use tracing::Level;

use super::conditions;
use super::prefer::{Prefer, applied};
use super::routes::{Answer, within_fhir};
use super::shape::Shape;
use crate::cx::Cx;
use crate::fault::Fault;
use crate::instant::Instant;
use crate::interactions::{Effect, Return, Written};
use crate::store::{Deletion, Found};

pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// Without this a browser may show an old version for a while without asking, and a proxy to others.
pub(super) const KEPT_BY_THE_CLIENT: HeaderValue = HeaderValue::from_static("private, no-cache");
/// Of an answer that is another in another format.
pub(super) const BY_FORMAT: HeaderValue = HeaderValue::from_static("Accept");
/// For how long browsers ask for nothing here without TLS.
pub(super) const A_YEAR: HeaderValue = HeaderValue::from_static("max-age=31536000");
pub(super) const NO_SNIFF: HeaderValue = HeaderValue::from_static("nosniff");

/// 201 with the address of the first version, or 200 for what was there before.
pub(super) async fn written(
    cx: &Cx,
    shape: Shape,
    base: &str,
    prefer: Prefer,
    written: &Written,
) -> Answer {
    let stored = &written.resource;
    let (resource_type, id, version) = (stored.resource_type(), stored.id(), stored.version());
    let (status, said) = match written.effect {
        Effect::Created => (StatusCode::CREATED, "created"),
        Effect::Updated => (StatusCode::OK, "updated"),
        Effect::Unchanged => (StatusCode::OK, "there was nothing to change in"),
    };
    let mut response = versioned(status, version, stored.at());
    let location = format!("{base}/{resource_type}/{id}/_history/{version}");
    if prefer.wanted() == Return::Representation {
        response.insert_header((header::CONTENT_LOCATION, location.as_str()));
    }
    if written.effect == Effect::Created {
        response.insert_header((header::LOCATION, location));
    }
    apply(&mut response, prefer);
    match prefer.wanted() {
        Return::Minimal => Ok(response.finish()),
        Return::OperationOutcome => {
            let said = format!("{said} {resource_type}/{id}, version {version}");
            told(response, &shape, said, &written.notes)
        }
        Return::Representation => resource(cx, response, shape, stored.bytes().clone()).await,
    }
}

/// 204, or 200 when the client wants to be told. What was not there is as good as deleted.
pub(super) fn deleted(shape: &Shape, prefer: Prefer, deletion: Option<Deletion>) -> Answer {
    let is_told = prefer.returned == Some(Return::OperationOutcome);
    let status = match is_told {
        true => StatusCode::OK,
        false => StatusCode::NO_CONTENT,
    };
    let mut response = HttpResponse::build(status);
    if let Some(deletion) = deletion {
        response.insert_header((header::ETAG, format!("W/\"{}\"", deletion.version)));
    }
    if !is_told {
        return Ok(response.finish());
    }
    apply(&mut response, prefer);
    let said = match deletion {
        Some(deletion) => format!("deleted with version {}", deletion.version),
        None => "there was nothing to delete".to_owned(),
    };
    told(response, shape, said, &[])
}

fn apply(response: &mut HttpResponseBuilder, prefer: Prefer) {
    if let Some(returned) = prefer.returned {
        response.insert_header((PREFERENCE_APPLIED, applied(returned)));
    }
}

fn told(response: HttpResponseBuilder, shape: &Shape, said: String, notes: &[Issue]) -> Answer {
    let mut all = vec![Issue::new(
        Severity::Information,
        IssueCode::Informational,
        said,
    )];
    all.extend_from_slice(notes);
    let outcome = shape.whole(&operation_outcome(&all))?;
    Ok(body(response, shape.format, outcome))
}

/// A Bundle that was written as JSON; what the shape shows of its resources is in it already.
pub(super) async fn bundle(cx: &Cx, shape: Shape, bytes: Bytes) -> Answer {
    written_bundle(cx, shape, Prefer::default(), bytes).await
}

/// The bundle that answers a batch or a transaction.
pub(super) async fn written_bundle(cx: &Cx, shape: Shape, prefer: Prefer, bytes: Bytes) -> Answer {
    let mut response = HttpResponse::Ok();
    apply(&mut response, prefer);
    let whole = Shape {
        view: None,
        ..shape
    };
    resource(cx, response, whole, bytes).await
}

/// 200 with a version of a resource as the client wants to see it, or 304 when the client holds it.
pub(super) async fn found(
    cx: &Cx,
    request: &HttpRequest,
    shape: Shape,
    version: u64,
    at: Instant,
    stored: Bytes,
) -> Answer {
    if conditions::is_held(request, version, at) {
        return Ok(not_modified(version, at));
    }
    let response = versioned(StatusCode::OK, version, at);
    resource(cx, response, shape, stored).await
}

/// 200 with the stored bytes as they are, or 304 when the client holds them: the shortest road there is.
pub(super) fn as_stored(request: &HttpRequest, found: Found) -> HttpResponse {
    if conditions::is_held(request, found.version, found.at) {
        return not_modified(found.version, found.at);
    }
    let response = versioned(StatusCode::OK, found.version, found.at);
    body(response, Format::Json, Bytes::from(found.body))
}

pub(super) fn not_modified(version: u64, at: Instant) -> HttpResponse {
    versioned(StatusCode::NOT_MODIFIED, version, at).finish()
}

/// A resource that is stored as JSON, as the client wants to see it: the bytes as they are when that is JSON and all of it.
pub(super) async fn resource(
    cx: &Cx,
    response: HttpResponseBuilder,
    shape: Shape,
    stored: Bytes,
) -> Answer {
    let format = shape.format;
    let text = match shape.is_as_stored() {
        true => stored,
        false => {
            cx.compute(stored.len(), move || shape.stored(stored))
                .await?
        }
    };
    Ok(body(response, format, text))
}

/// A resource that is made for this answer and stored nowhere.
pub(super) fn document(shape: &Shape, document: &Value) -> Answer {
    let text = shape.shown(document)?;
    Ok(body(HttpResponse::Ok(), shape.format, text))
}

/// The same, at hand as JSON.
pub(super) fn text(shape: &Shape, text: Bytes) -> Answer {
    Ok(body(HttpResponse::Ok(), shape.format, shape.stored(text)?))
}

pub(super) fn versioned(status: StatusCode, version: u64, at: Instant) -> HttpResponseBuilder {
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
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, NO_SNIFF))
        .insert_header((header::CACHE_CONTROL, KEPT_BY_THE_CLIENT))
        .insert_header((header::VARY, BY_FORMAT))
        .body(bytes)
}

/// A clinical document.
pub(super) fn clinical(media: &'static str, text: String) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, HeaderValue::from_static(media)))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, NO_SNIFF))
        .insert_header((header::CACHE_CONTROL, KEPT_BY_THE_CLIENT))
        .insert_header((header::VARY, BY_FORMAT))
        .body(text)
}

/// The answer to OPTIONS: what an address can be asked.
pub(super) fn options(methods: Option<&str>) -> HttpResponse {
    let mut response = HttpResponse::NoContent();
    if let Some(methods) = methods {
        response.insert_header((header::ALLOW, format!("{methods}, OPTIONS")));
    }
    response.finish()
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
    if status == StatusCode::UNAUTHORIZED {
        response.insert_header((header::WWW_AUTHENTICATE, "Bearer realm=\"kiln\""));
    }
    if matches!(
        status,
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS
    ) {
        response.insert_header((header::RETRY_AFTER, "1"));
    }
    if within_fhir(request.path()).is_some() {
        let shape = Shape::of_trouble(request);
        let outcome = operation_outcome(&fault.issues);
        return match shape.whole(&outcome) {
            Ok(text) => body(response, shape.format, text),
            Err(_) => body(response, Format::Json, outcome.to_string()),
        };
    }
    response
        .insert_header((header::CONTENT_TYPE, "application/problem+json"))
        .body(problem(request_id, fault).to_string())
}

/// The answer to a client of whom no request was read, as it goes over the wire.
pub(super) fn without_request(fault: &Fault) -> String {
    let body = problem("", fault).to_string();
    format!(
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\nContent-Length: {}\r\n\
         Retry-After: 1\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// <https://www.rfc-editor.org/rfc/rfc9457>
fn problem(request_id: &str, fault: &Fault) -> Value {
    let row = fault.kind.row();
    let detail: Vec<&str> = fault
        .issues
        .iter()
        .map(|issue| issue.diagnostics.as_str())
        .collect();
    let mut problem = Object::from_iter([
        ("status", Value::number(row.status)),
        ("title", Value::from(detail.join("; "))),
        ("detail", Value::from(row.remedy)),
    ]);
    if !request_id.is_empty() {
        problem.set("instance", request_id);
    }
    // Where there is a place, it is worth more than the text.
    if fault.issues.iter().any(|issue| issue.place.is_some()) {
        let told = fault.issues.iter().map(|issue| {
            let mut error = Object::from_iter([("detail", issue.diagnostics.as_str())]);
            if let Some((line, column)) = issue.place {
                error.set("line", Value::number(line));
                error.set("column", Value::number(column));
            }
            Value::from(error)
        });
        problem.set("errors", told.collect::<Vec<_>>());
    }
    problem.into()
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
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, NO_SNIFF))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .body(text)
}

/// Puts the request's name on its answer, so that a user can tell it to the operator.
pub(super) fn name_request(response: &mut HttpResponse, id: &str) {
    if let Ok(value) = id.try_into_value() {
        response.headers_mut().insert(REQUEST_ID, value);
    }
}
