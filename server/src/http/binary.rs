//! Binary: content that travels as it is, and is kept as a resource.
//! <https://hl7.org/fhir/R4/binary.html>

use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, MessageBody};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponseBuilder};
use base64::Engine;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use fhir_spec::format::Format;
use fhir_spec::json::{self, Object, Value};

use super::body::{self, Cap};
use super::request::{query, weighted};
use super::routes::Answer;
use super::shape::Shape;
use super::{conditions, reply, request};
use crate::accept::Submitted;
use crate::cx::Cx;
use crate::fault::{Fault, Kind};
use crate::store::Found;

/// The type whose content travels as it is.
pub(super) const TYPE: &str = "Binary";

const SECURITY_CONTEXT: HeaderName = HeaderName::from_static("x-security-context");
/// Content comes from anybody: a page among it may run nothing and reach nothing.
const IN_A_SANDBOX: HeaderValue = HeaderValue::from_static("default-src 'none'; sandbox");
/// FHIR allows any bits behind the end.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);
/// Characters of base64 that are decoded at a time: a multiple of four.
const CHUNK_CHARACTERS: usize = 64 * 1024;

/// Whether the body of a request is content, going by its type. Of `application/json` and the like only the body can tell.
fn is_content(content_type: &str) -> bool {
    Format::named(content_type).is_none()
}

/// The types that mean FHIR and nothing else.
fn is_fhir(content_type: &str) -> bool {
    Format::ALL
        .iter()
        .any(|format| media(content_type).eq_ignore_ascii_case(format.media_type()))
}

/// A media type without its parameters.
fn media(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

/// Whether a body that may be a Binary or content is content, and so nobody wants to see it again.
pub(super) fn is_sent_as_content(http: &HttpRequest) -> bool {
    content_type(http).is_some_and(|content_type| is_content(&content_type))
}

fn content_type(http: &HttpRequest) -> Option<String> {
    let value = http.headers().get(header::CONTENT_TYPE)?.to_str().ok()?;
    Some(value.trim().to_owned()).filter(|value| !value.is_empty())
}

/// The Binary that is in the body or that the body is the content of; `id` is the one of the address.
pub(super) async fn submitted(
    cx: &Cx,
    http: &HttpRequest,
    id: Option<&str>,
    payload: &mut Payload,
) -> Result<Submitted, Fault> {
    let Some(content_type) = content_type(http) else {
        let diagnostics = "expected a Content-Type: it is kept with the content";
        return Err(Fault::new(Kind::UnsupportedMedia, diagnostics));
    };
    if is_fhir(&content_type) {
        return super::interactions::document(cx, http, payload).await;
    }
    let limits = cx.app.limits;
    let bytes = body::read_within(cx, http, payload, Cap::of_content(&limits)).await?;
    let security_context = http
        .headers()
        .get(SECURITY_CONTEXT)
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    let id = id.map(str::to_owned);
    let app = cx.app.clone();
    cx.compute(bytes.len(), move || {
        if let Some(format) = Format::named(&content_type)
            && bytes.len() <= limits.body_bytes_max
            && let Ok(submitted) = request::parse(format, bytes.clone(), app.definitions())
            && submitted.document.str_of("resourceType") == Some(TYPE)
        {
            return Ok(submitted);
        }
        Ok(Submitted {
            document: resource(id, &content_type, security_context, &bytes),
            source: Bytes::new(),
        })
    })
    .await
}

fn resource(
    id: Option<String>,
    content_type: &str,
    security_context: Option<String>,
    content: &[u8],
) -> Value {
    let mut binary = Object::from_iter([("resourceType", TYPE)]);
    if let Some(id) = id {
        binary.set("id", id);
    }
    binary.set("contentType", content_type);
    if let Some(reference) = security_context {
        binary.set(
            "securityContext",
            Object::from_iter([("reference", reference)]),
        );
    }
    // An empty text is no value in FHIR: a Binary without content has no data.
    if !content.is_empty() {
        binary.set("data", BASE64.encode(content));
    }
    binary.into()
}

/// 200 with a version of a Binary: its content in its own type, unless FHIR is asked for.
pub(super) async fn found(cx: &Cx, http: &HttpRequest, found: Found) -> Answer {
    let (version, at, text) = (found.version, found.at, Bytes::from(found.body));
    let stored = std::str::from_utf8(&text).map_err(Fault::internal)?;
    let content_type = text_of(stored, "contentType").unwrap_or_default();
    if is_fhir_asked(http, &content_type) {
        let shape = Shape::of(http, Some(TYPE))?;
        return reply::found(cx, http, shape, version, at, text).await;
    }
    if conditions::is_held(http, version, at) {
        return Ok(reply::not_modified(version, at));
    }
    let mut response = reply::versioned(StatusCode::OK, version, at);
    describe(&mut response, &content_type, stored);
    let characters = match json::find(stored, "data") {
        Some(data) => characters(&text.slice_ref(data.as_bytes()))?,
        None => Bytes::new(),
    };
    Ok(response.body(Decoding { characters }))
}

fn describe(response: &mut HttpResponseBuilder, content_type: &str, stored: &str) {
    let value = HeaderValue::from_str(content_type)
        .unwrap_or_else(|_| HeaderValue::from_static("application/octet-stream"));
    response
        .insert_header((header::CONTENT_TYPE, value))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, reply::NO_SNIFF))
        .insert_header((header::CACHE_CONTROL, reply::KEPT_BY_THE_CLIENT))
        .insert_header((header::VARY, reply::BY_FORMAT));
    if may_be_active(content_type) {
        response.insert_header((header::CONTENT_SECURITY_POLICY, IN_A_SANDBOX));
    }
    let context = json::find(stored, "securityContext")
        .and_then(|context| text_of(context, "reference"))
        .and_then(|reference| HeaderValue::from_str(&reference).ok());
    if let Some(context) = context {
        response.insert_header((SECURITY_CONTEXT, context));
    }
}

/// Whether a browser could run something of this content. A PDF, which it shows by a program of its own, not.
fn may_be_active(content_type: &str) -> bool {
    let media = media(content_type).to_ascii_lowercase();
    let is_passive = ["image/", "audio/", "video/"]
        .iter()
        .any(|kind| media.starts_with(kind));
    !(is_passive && !media.contains("xml") || media == "application/pdf" || media == "text/plain")
}

/// The text of a member of stored JSON.
fn text_of(stored: &str, name: &str) -> Option<String> {
    let value = json::parse(json::find(stored, name)?.as_bytes()).ok()?;
    value.as_str().map(str::to_owned)
}

/// Whether the client asks for the resource: by a parameter that only makes sense for one, by a type that means FHIR, or
/// by one that can mean FHIR when the content is not of that type.
fn is_fhir_asked(http: &HttpRequest, content_type: &str) -> bool {
    let shaping = ["_format", "_pretty", "_summary", "_elements"];
    let is_shaping =
        |(name, value): &(String, String)| shaping.contains(&name.as_str()) && !value.is_empty();
    if query(http).is_ok_and(|parameters| parameters.iter().any(is_shaping)) {
        return true;
    }
    let accepted: Vec<&str> = weighted(http.headers(), &header::ACCEPT)
        .filter(|(_, quality)| *quality > 0)
        .map(|(range, _)| range)
        .collect();
    if accepted.iter().any(|range| is_fhir(range)) {
        return true;
    }
    let is_accepted = |range: &&str| {
        let (range, own) = (media(range), media(content_type));
        match range.strip_suffix('*') {
            Some(kind) => kind == "*/" || own.starts_with(kind),
            None => range.eq_ignore_ascii_case(own),
        }
    };
    !accepted.iter().any(is_accepted) && accepted.iter().any(|range| Format::named(range).is_some())
}

/// The characters of base64 in a JSON string: as they stand in it, but for the line breaks that some put among them.
fn characters(quoted: &Bytes) -> Result<Bytes, Fault> {
    let inside = quoted.slice(1..quoted.len().saturating_sub(1).max(1));
    let is_none = |byte: &u8| byte.is_ascii_whitespace() || *byte == b'\\';
    if !inside.iter().any(is_none) {
        return Ok(inside);
    }
    let text = json::parse(quoted).map_err(Fault::internal)?;
    let characters = text.as_str().unwrap_or_default().bytes();
    Ok(characters.filter(|byte| !is_none(byte)).collect())
}

/// Content on its way out: base64 that is decoded a chunk at a time.
struct Decoding {
    characters: Bytes,
}

impl MessageBody for Decoding {
    type Error = base64::DecodeError;

    fn size(&self) -> BodySize {
        let padding = self
            .characters
            .iter()
            .rev()
            .take_while(|byte| **byte == b'=');
        let length = (self.characters.len() / 4 * 3).saturating_sub(padding.count());
        BodySize::Sized(u64::try_from(length).unwrap_or(u64::MAX))
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let length = self.characters.len().min(CHUNK_CHARACTERS);
        if length == 0 {
            return Poll::Ready(None);
        }
        let chunk = self.characters.split_to(length);
        Poll::Ready(Some(match BASE64.decode(&chunk) {
            Ok(content) => Ok(content.into()),
            Err(error) => {
                self.characters.clear();
                Err(error)
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use actix_web::body::to_bytes;
    use actix_web::test::TestRequest;

    use super::*;

    fn decoded(json: &str) -> (BodySize, Vec<u8>) {
        let characters = characters(&Bytes::copy_from_slice(json.as_bytes())).unwrap();
        let body = Decoding { characters };
        let size = body.size();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        (size, runtime.block_on(to_bytes(body)).unwrap().to_vec())
    }

    #[test]
    fn content_comes_out_as_it_went_in() {
        for length in [
            0,
            1,
            2,
            3,
            CHUNK_CHARACTERS / 4 * 3,
            CHUNK_CHARACTERS / 4 * 3 + 1,
            200_001,
        ] {
            let content: Vec<u8> = (0..=255u8).cycle().take(length).collect();
            let (size, out) = decoded(&format!("\"{}\"", BASE64.encode(&content)));
            assert_eq!(out, content);
            assert_eq!(size, BodySize::Sized(u64::try_from(length).unwrap()));
        }
    }

    #[test]
    fn line_breaks_and_bits_behind_the_end_are_passed_over() {
        let expected = (BodySize::Sized(4), b"abcd".to_vec());
        assert_eq!(decoded(r#""YWJj\r\nZA==""#), expected);
        assert_eq!(decoded(r#"" YWJj ZB== ""#), expected);
    }

    #[test]
    fn content_is_what_clients_get_unless_they_ask_for_fhir() {
        let is_fhir = |accept: &str, stored: &str| {
            let request = TestRequest::get().insert_header((header::ACCEPT, accept));
            is_fhir_asked(&request.to_http_request(), stored)
        };
        for accept in [
            "",
            "*/*",
            "application/pdf",
            "application/*",
            "text/html, */*",
            "image/png",
        ] {
            assert!(!is_fhir(accept, "application/pdf"), "{accept}");
        }
        for accept in [
            "application/fhir+json",
            "*/*, application/fhir+xml;q=0.1",
            "application/json",
        ] {
            assert!(is_fhir(accept, "application/pdf"), "{accept}");
        }
        assert!(!is_fhir(
            "application/json",
            "application/json; charset=utf-8"
        ));
        assert!(is_fhir("application/fhir+json", "application/fhir+json"));
        assert!(!is_fhir(
            "application/fhir+json;q=0, */*",
            "application/pdf"
        ));
        let asked = |query: &str| {
            let request = TestRequest::with_uri(&format!("/x?{query}"));
            is_fhir_asked(&request.to_http_request(), "text/plain")
        };
        assert!(asked("_format=json") && asked("_pretty=true") && asked("_summary=true"));
        assert!(!asked("_format=") && !asked("") && !asked("other=1"));
    }

    #[test]
    fn what_a_browser_could_run_is_known() {
        for active in [
            "text/html",
            "image/svg+xml",
            "application/xhtml+xml",
            "text/xml",
            "",
            "x/y",
        ] {
            assert!(may_be_active(active), "{active}");
        }
        for passive in [
            "image/PNG",
            "application/pdf",
            "text/plain; charset=utf-8",
            "video/mp4",
        ] {
            assert!(!may_be_active(passive), "{passive}");
        }
    }
}
