//! What a request says: its parameters, its body, its address.
//! <https://hl7.org/fhir/R4/http.html#general>

use std::fmt::Write;
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::body::{BodyStream, to_bytes_limited};
use actix_web::http::header::{self, HeaderMap, HeaderName};
use actix_web::web::{Payload, Query};
use bytes::Bytes;
use fhir_spec::definitions::Definitions;
use fhir_spec::format::Format;

use crate::accept::Submitted;
use crate::fault::{Fault, Kind};
use crate::limits::Limits;

pub(super) fn within_limits(limits: &Limits, request: &HttpRequest) -> Result<(), Fault> {
    let target = request
        .uri()
        .path_and_query()
        .map_or(0, |target| target.as_str().len());
    let limit = limits.target_bytes_max;
    if target > limit {
        let diagnostics =
            format!("the address has {target} bytes, the limit is {limit} (target_bytes_max)");
        return Err(Fault::new(Kind::TargetTooLong, diagnostics));
    }
    let headers: usize = request
        .headers()
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum();
    let limit = limits.header_bytes_max;
    if headers > limit {
        let diagnostics =
            format!("the headers have {headers} bytes, the limit is {limit} (header_bytes_max)");
        return Err(Fault::new(Kind::HeadersTooLarge, diagnostics));
    }
    Ok(())
}

/// The format of the body, from `Content-Type`.
pub(super) fn sent(request: &HttpRequest) -> Result<Format, Fault> {
    let encoding = request.headers().get(header::CONTENT_ENCODING);
    if encoding.is_some_and(|encoding| encoding != "identity") {
        let diagnostics = "a body with a Content-Encoding cannot be read: send it plain";
        return Err(Fault::new(Kind::UnsupportedMedia, diagnostics));
    }
    let named = request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    named.and_then(Format::named).ok_or_else(|| {
        let diagnostics = "expected the Content-Type application/fhir+json or application/fhir+xml";
        Fault::new(Kind::UnsupportedMedia, diagnostics)
    })
}

/// Reads the body, within its limits of size and time.
pub(super) async fn body(
    limits: &Limits,
    request: &HttpRequest,
    payload: &mut Payload,
) -> Result<Bytes, Fault> {
    let declared = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if declared.is_some_and(|length| length > limits.body_bytes_max) {
        return Err(too_large(limits));
    }
    let wait = Duration::from_millis(limits.body_wait_ms);
    let all = to_bytes_limited(BodyStream::new(payload), limits.body_bytes_max);
    match tokio::time::timeout(wait, all).await {
        Ok(Ok(Ok(bytes))) => Ok(bytes),
        Ok(Ok(Err(error))) => {
            let diagnostics = "the body could not be read to its end";
            Err(Fault::new(Kind::Malformed, diagnostics).because(error.to_string()))
        }
        Ok(Err(_)) => Err(too_large(limits)),
        Err(_) => {
            let wait_ms = limits.body_wait_ms;
            let diagnostics = format!("the body did not arrive within {wait_ms} ms (body_wait_ms)");
            Err(Fault::new(Kind::BodyTimeout, diagnostics))
        }
    }
}

fn too_large(limits: &Limits) -> Fault {
    let limit = limits.body_bytes_max;
    Fault::new(
        Kind::BodyTooLarge,
        format!("the body is larger than the limit of {limit} bytes (body_bytes_max)"),
    )
}

/// The document that the body holds.
pub(super) fn parse(
    format: Format,
    bytes: Bytes,
    definitions: &Definitions,
) -> Result<Submitted, Fault> {
    let document = format
        .read(&bytes, definitions)
        .map_err(|issues| Fault::of_issues(Kind::Malformed, issues))?;
    Ok(Submitted {
        document,
        source: bytes,
    })
}

/// A conditional create must not be taken for a plain one: it would store what the client asked not to.
pub(super) fn refuse_conditional_create(request: &HttpRequest) -> Result<(), Fault> {
    const IF_NONE_EXIST: HeaderName = HeaderName::from_static("if-none-exist");
    if request.headers().contains_key(IF_NONE_EXIST) {
        let diagnostics = "conditional create (If-None-Exist) is not supported";
        return Err(Fault::new(Kind::NotImplemented, diagnostics));
    }
    Ok(())
}

/// The parts of a header whose value is a list.
pub(super) fn values<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> impl Iterator<Item = &'a str> {
    headers
        .get_all(name)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split([',', ';']))
        .map(str::trim)
}

/// The parameters of the address, decoded.
pub(super) fn query(request: &HttpRequest) -> Vec<(String, String)> {
    if request.query_string().is_empty() {
        return Vec::new();
    }
    Query::<Vec<(String, String)>>::from_query(request.query_string())
        .map(Query::into_inner)
        .unwrap_or_default()
}

/// A name or value as it stands in a query.
pub(super) fn escaped(text: &str) -> String {
    const PLAIN: &[u8] = b"-._~:,|/";
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || PLAIN.contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _written = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use actix_web::FromRequest;
    use actix_web::test::TestRequest;

    use super::*;

    /// A body of which nothing ever arrives.
    struct Never;

    impl futures_core::Stream for Never {
        type Item = Result<Bytes, actix_web::error::PayloadError>;

        fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
            Poll::Pending
        }
    }

    #[test]
    fn a_body_that_does_not_come_is_not_waited_for() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let payload: std::pin::Pin<Box<dyn futures_core::Stream<Item = _>>> = Box::pin(Never);
            let mut never = actix_web::dev::Payload::Stream { payload };
            let request = TestRequest::post().to_http_request();
            let mut payload = Payload::from_request(&request, &mut never).await.unwrap();
            let limits = Limits {
                body_wait_ms: 1,
                ..Limits::default()
            };
            let fault = body(&limits, &request, &mut payload).await.unwrap_err();
            assert_eq!(fault.kind, Kind::BodyTimeout);
        });
    }
}
