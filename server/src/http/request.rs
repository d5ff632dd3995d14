//! What a request says: its format, its body, its wishes.
//! <https://hl7.org/fhir/R4/http.html#general>

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::body::{BodyStream, to_bytes_limited};
use actix_web::http::header::{self, HeaderMap, HeaderName};
use actix_web::web::{Payload, Query};
use bytes::Bytes;
use fhir_spec::definitions::Definitions;
use fhir_spec::format::Format;

use super::routes::FHIR;
use crate::accept::Submitted;
use crate::fault::{Fault, Kind};
use crate::limits;

/// What the answer to a write should hold: <https://hl7.org/fhir/R4/http.html#ops>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Return {
    Minimal,
    Representation,
    OperationOutcome,
}

pub(super) fn within_limits(request: &HttpRequest) -> Result<(), Fault> {
    let target = request
        .uri()
        .path_and_query()
        .map_or(0, |target| target.as_str().len());
    if target > limits::TARGET_BYTES_MAX {
        let limit = limits::TARGET_BYTES_MAX;
        let diagnostics = format!("the address has {target} bytes, the limit is {limit}");
        return Err(Fault::new(Kind::TargetTooLong, diagnostics));
    }
    let headers: usize = request
        .headers()
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum();
    if headers > limits::HEADER_BYTES_MAX {
        let limit = limits::HEADER_BYTES_MAX;
        let diagnostics = format!("the headers have {headers} bytes, the limit is {limit}");
        return Err(Fault::new(Kind::HeadersTooLarge, diagnostics));
    }
    Ok(())
}

/// The format that the answer should have: `_format` wins over `Accept`.
pub(super) fn wanted(request: &HttpRequest) -> Result<Format, Fault> {
    if let Some(asked) = query_value(request, "_format") {
        // `+` in a media type arrives as it is or decoded to a space.
        return Format::named(&asked.replace(' ', "+")).ok_or_else(not_acceptable);
    }
    // An empty one asks for nothing.
    let mut accepted = request
        .headers()
        .get_all(header::ACCEPT)
        .filter(|value| !value.is_empty())
        .peekable();
    if accepted.peek().is_none() {
        return Ok(Format::Json);
    }
    let mut best: Option<(f32, Format)> = None;
    for range in accepted
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
    {
        let (quality, format) = media_range(range);
        // The first of equals wins: clients list what they like best first.
        if let Some(format) = format
            && quality > best.map_or(0.0, |(quality, _)| quality)
        {
            best = Some((quality, format));
        }
    }
    best.map(|(_, format)| format).ok_or_else(not_acceptable)
}

/// One part of `Accept`: how much it is liked, and the format it stands for.
fn media_range(range: &str) -> (f32, Option<Format>) {
    let mut parts = range.split(';').map(str::trim);
    let media = parts.next().unwrap_or_default();
    let quality = parts
        .find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")))
        .map_or(1.0, |quality| quality.parse().unwrap_or(0.0));
    let format = match media {
        "*/*" | "application/*" => Some(Format::Json),
        _ => Format::named(range),
    };
    (quality, format)
}

fn not_acceptable() -> Fault {
    Fault::new(
        Kind::NotAcceptable,
        "this server answers in application/fhir+json or application/fhir+xml",
    )
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
pub(super) async fn body(request: &HttpRequest, payload: &mut Payload) -> Result<Bytes, Fault> {
    let declared = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if declared.is_some_and(|length| length > limits::BODY_BYTES_MAX) {
        return Err(too_large());
    }
    collect(payload, Duration::from_millis(limits::BODY_WAIT_MS)).await
}

async fn collect(payload: &mut Payload, wait: Duration) -> Result<Bytes, Fault> {
    let all = to_bytes_limited(BodyStream::new(payload), limits::BODY_BYTES_MAX);
    match tokio::time::timeout(wait, all).await {
        Ok(Ok(Ok(bytes))) => Ok(bytes),
        Ok(Ok(Err(error))) => {
            let diagnostics = "the body could not be read to its end";
            Err(Fault::new(Kind::Malformed, diagnostics).because(error.to_string()))
        }
        Ok(Err(_)) => Err(too_large()),
        Err(_) => {
            let wait_ms = wait.as_millis();
            let diagnostics = format!("the body did not arrive within {wait_ms} ms");
            Err(Fault::new(Kind::BodyTimeout, diagnostics))
        }
    }
}

fn too_large() -> Fault {
    let limit = limits::BODY_BYTES_MAX;
    Fault::new(
        Kind::BodyTooLarge,
        format!("the body is larger than the limit of {limit} bytes"),
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

pub(super) fn prefer(request: &HttpRequest) -> Return {
    const PREFER: HeaderName = HeaderName::from_static("prefer");
    let asked = values(request.headers(), &PREFER).find_map(|wish| wish.strip_prefix("return="));
    match asked {
        Some("minimal") => Return::Minimal,
        Some("OperationOutcome") => Return::OperationOutcome,
        _ => Return::Representation,
    }
}

/// Whether the client says in `If-None-Match` that it holds this version.
pub(super) fn has_version(request: &HttpRequest, version: u64) -> bool {
    values(request.headers(), &header::IF_NONE_MATCH).any(|tag| {
        let opaque = tag.strip_prefix("W/").unwrap_or(tag);
        tag == "*" || opaque.trim_matches('"').parse() == Ok(version)
    })
}

/// The parts of a header whose value is a list.
fn values<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers
        .get_all(name)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split([',', ';']))
        .map(str::trim)
}

/// The address of the FHIR base as the client knows it.
pub(super) fn base(request: &HttpRequest) -> String {
    let host = request
        .headers()
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    match host {
        Some(host) => format!("http://{host}{FHIR}"),
        None => FHIR.to_owned(),
    }
}

/// The parameters of the address, decoded.
pub(super) fn query(request: &HttpRequest) -> Vec<(String, String)> {
    Query::<Vec<(String, String)>>::from_query(request.query_string())
        .map(Query::into_inner)
        .unwrap_or_default()
}

/// The first value of a query parameter.
fn query_value(request: &HttpRequest, name: &str) -> Option<String> {
    if request.query_string().is_empty() {
        return None;
    }
    query(request)
        .into_iter()
        .find(|(key, _)| key == name)
        .map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use actix_web::FromRequest;
    use actix_web::test::TestRequest;

    use super::*;

    fn asking(accept: &str) -> Result<Format, Fault> {
        wanted(
            &TestRequest::get()
                .insert_header((header::ACCEPT, accept))
                .to_http_request(),
        )
    }

    #[test]
    fn the_format_of_the_answer_is_negotiated() {
        for (accepted, format) in [
            ("*/*", Format::Json),
            ("", Format::Json),
            (
                "application/fhir+xml;Q=0.5, application/json;Q=0.4",
                Format::Xml,
            ),
            ("application/fhir+json", Format::Json),
            ("application/json;charset=utf-8", Format::Json),
            ("text/html, application/*;q=0.1", Format::Json),
            ("application/fhir+xml", Format::Xml),
            ("application/fhir+json;q=0.5, text/xml;q=0.9", Format::Xml),
            ("application/fhir+xml;q=0, */*;q=0.1", Format::Json),
        ] {
            assert_eq!(asking(accepted).unwrap(), format, "{accepted}");
        }
        for refused in [
            "text/html",
            "application/json;q=0",
            "application/fhir+json;fhirVersion=5.0",
        ] {
            assert_eq!(
                asking(refused).unwrap_err().kind,
                Kind::NotAcceptable,
                "{refused}"
            );
        }
        let asked = |uri| wanted(&TestRequest::with_uri(uri).to_http_request());
        assert!(asked("/x?_format=json").is_ok());
        assert!(asked("/x?a=b&_format=application/fhir%2Bjson").is_ok());
        assert!(asked("/x?_format=application/fhir+json").is_ok());
        assert_eq!(asked("/x?_format=xml").unwrap(), Format::Xml);
        assert!(asked("/x?_format=turtle").is_err());
    }

    #[test]
    fn a_version_that_the_client_holds_is_recognised() {
        let holds = |tags: &str| {
            let request = TestRequest::get().insert_header((header::IF_NONE_MATCH, tags));
            has_version(&request.to_http_request(), 2)
        };
        assert!(holds("W/\"2\"") && holds("\"2\"") && holds("*") && holds("W/\"1\", W/\"2\""));
        assert!(!holds("W/\"1\"") && !holds("W/\"22\"") && !holds("nonsense"));
    }

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
            let fault = collect(&mut payload, Duration::from_millis(1))
                .await
                .unwrap_err();
            assert_eq!(fault.kind, Kind::BodyTimeout);
        });
    }
}
