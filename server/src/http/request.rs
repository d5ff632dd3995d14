//! What a request says: its parameters, its body, its address.
//! <https://hl7.org/fhir/R4/http.html#general>

use std::fmt::Write;

use actix_web::HttpRequest;
use actix_web::http::header::{self, HeaderMap, HeaderName};
use bytes::Bytes;
use fhir_spec::definitions::Definitions;
use fhir_spec::format::Format;

use crate::accept::Submitted;
use crate::fault::{Fault, Kind};
use crate::interactions::parameters;
use crate::limits::Limits;

/// The name that the client gave the request, when it is one that can stand in a log and a header.
pub(super) fn id(request: &HttpRequest) -> Option<String> {
    const LENGTH_MAX: usize = 64;
    let named = request
        .headers()
        .get(super::reply::REQUEST_ID)?
        .to_str()
        .ok()?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
    let is_name = (1..=LENGTH_MAX).contains(&named.len()) && named.bytes().all(is_plain);
    is_name.then(|| named.to_owned())
}

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
    let named = request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    named.and_then(Format::named).ok_or_else(|| {
        let diagnostics = "expected the Content-Type application/fhir+json or application/fhir+xml";
        Fault::new(Kind::UnsupportedMedia, diagnostics)
    })
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

/// The parts of a header whose value is a list of things that are liked more or less: `gzip;q=0.5, *`. Each is given as
/// it stands, and how much it is liked in thousandths; 0 is a refusal.
pub(super) fn weighted<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> impl Iterator<Item = (&'a str, u16)> {
    headers
        .get_all(name)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter(|part| !part.trim().is_empty())
        .map(|part| {
            let quality = part
                .split(';')
                .skip(1)
                .map(str::trim)
                .find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
            (part.trim(), quality.map_or(1000, thousandths))
        })
}

/// `0.5` as 500; what is no quality likes nothing.
fn thousandths(quality: &str) -> u16 {
    let (whole, fraction) = quality.split_once('.').unwrap_or((quality, ""));
    let digits = format!("{whole}{fraction:0<3}");
    let is_quality = digits.len() == 4 && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits
        .parse()
        .ok()
        .filter(|thousandths| is_quality && *thousandths <= 1000)
        .unwrap_or(0)
}

/// The parameters of the address, decoded.
pub(super) fn query(request: &HttpRequest) -> Result<Vec<(String, String)>, Fault> {
    parameters::decoded(request.query_string())
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
