//! Packed bodies, both ways.
//! <https://www.rfc-editor.org/rfc/rfc9110#name-content-codings>, <https://hl7.org/fhir/R4/http.html#compression>

use std::io::{self, Read, Write};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use flate2::bufread::{MultiGzDecoder, ZlibDecoder};
use flate2::write::{GzEncoder, ZlibEncoder};

use super::body::Cap;
use super::request::{values, weighted};
use crate::fault::{Fault, Kind};
use crate::limits::{self, Limits};

/// The ways to pack, the cheapest for the server first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    Zstd,
    Gzip,
    Deflate,
}

/// Answers are packed while somebody waits: fast is better than small.
const ZSTD_LEVEL: i32 = 1;
const ZLIB_LEVEL: flate2::Compression = flate2::Compression::new(1);
/// The window that a zstd decoder must be able to hold, as a power of two; more is refused.
/// <https://www.rfc-editor.org/rfc/rfc9659>
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

impl Coding {
    const ALL: &[Self] = &[Self::Zstd, Self::Gzip, Self::Deflate];

    fn name(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
        }
    }

    fn named(name: &str) -> Option<Self> {
        let name = name.strip_prefix("x-").unwrap_or(name);
        Self::ALL
            .iter()
            .copied()
            .find(|coding| name.eq_ignore_ascii_case(coding.name()))
    }

    /// How the body of a request is packed; None: not at all.
    pub(super) fn sent(request: &HttpRequest) -> Result<Option<Self>, Fault> {
        let named: Vec<&str> = values(request.headers(), &header::CONTENT_ENCODING)
            .filter(|name| !name.is_empty() && *name != "identity")
            .collect();
        match *named.as_slice() {
            [] => Ok(None),
            [name] if let Some(coding) = Self::named(name) => Ok(Some(coding)),
            _ => Err(Fault::new(
                Kind::UnsupportedMedia,
                "expected the Content-Encoding gzip, deflate or zstd, once, or none",
            )),
        }
    }

    /// How the client likes the answer best; None: not packed.
    fn accepted(request: &HttpRequest) -> Option<Self> {
        if !request.headers().contains_key(header::ACCEPT_ENCODING) {
            return None;
        }
        let mut best: Option<(u16, Self)> = None;
        let ranges: Vec<(&str, u16)> = weighted(request.headers(), &header::ACCEPT_ENCODING)
            .map(|(range, quality)| (range.split(';').next().unwrap_or_default().trim(), quality))
            .collect();
        let plain = ranges.iter().find(|(name, _)| *name == "identity");
        for coding in Self::ALL.iter().copied() {
            let named = ranges
                .iter()
                .find(|(name, _)| Self::named(name) == Some(coding));
            let any = ranges.iter().find(|(name, _)| *name == "*");
            let quality = named.or(any).map_or(0, |(_, quality)| *quality);
            if quality > best.map_or(0, |(quality, _)| quality) {
                best = Some((quality, coding));
            }
        }
        best.filter(|(quality, _)| plain.is_none_or(|(_, plain)| quality >= plain))
            .map(|(_, coding)| coding)
    }
}

/// The bytes that were packed: as many as may be sent plain, and no more than packed bodies may hold. It stops there,
/// however much a small body says it holds.
pub(super) fn unpack(
    coding: Coding,
    packed: &[u8],
    limits: &Limits,
    cap: Cap,
) -> Result<Bytes, Fault> {
    let by_ratio = Cap {
        bytes_max: packed.len().saturating_mul(limits.unpacked_ratio_max),
        name: "unpacked_ratio_max",
    };
    let cap = cap.or_less(Cap::of_unpacked(limits)).or_less(by_ratio);
    let unpacked = read_at_most(coding, packed, cap.bytes_max).map_err(|error| {
        let diagnostics = format!("the body is not what {} makes", coding.name());
        Fault::new(Kind::Malformed, diagnostics).because(error)
    })?;
    match unpacked.len() > cap.bytes_max {
        true => Err(cap.exceeded()),
        false => Ok(unpacked.into()),
    }
}

/// One byte more than `max` when there is more.
fn read_at_most(coding: Coding, packed: &[u8], max: usize) -> io::Result<Vec<u8>> {
    let max = u64::try_from(max).unwrap_or(u64::MAX).saturating_add(1);
    let mut unpacked = Vec::new();
    match coding {
        Coding::Gzip => MultiGzDecoder::new(packed)
            .take(max)
            .read_to_end(&mut unpacked)?,
        Coding::Deflate => ZlibDecoder::new(packed)
            .take(max)
            .read_to_end(&mut unpacked)?,
        Coding::Zstd => {
            let mut decoder = zstd::Decoder::with_buffer(packed)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
            decoder.take(max).read_to_end(&mut unpacked)?
        }
    };
    Ok(unpacked)
}

/// How the client wants this answer packed; None: not at all, or it is not worth it.
pub(super) fn wanted(request: &HttpRequest, response: &mut HttpResponse) -> Option<Coding> {
    if !is_packable(response) {
        return None;
    }
    let vary = HeaderValue::from_static("Accept, Accept-Encoding");
    response.headers_mut().insert(header::VARY, vary);
    Coding::accepted(request)
}

/// The answer packed, when that makes it smaller.
pub(super) async fn packed(coding: Coding, response: HttpResponse) -> HttpResponse {
    let (response, body) = response.into_parts();
    let bytes = match body.try_into_bytes() {
        Ok(bytes) => bytes,
        Err(body) => return response.set_body(body),
    };
    let packed = match bytes.len() <= limits::PARSE_AT_ONCE_BYTES_MAX {
        true => pack(coding, &bytes),
        false => {
            let bytes = bytes.clone();
            tokio::task::spawn_blocking(move || pack(coding, &bytes))
                .await
                .unwrap_or_else(|error| Err(io::Error::other(error)))
        }
    };
    match packed {
        Ok(packed) if packed.len() < bytes.len() => {
            let mut response = response.set_body(BoxBody::new(packed));
            let coding = HeaderValue::from_static(coding.name());
            response
                .headers_mut()
                .insert(header::CONTENT_ENCODING, coding);
            response
        }
        // It goes out as it is.
        _ => response.set_body(BoxBody::new(bytes)),
    }
}

fn pack(coding: Coding, bytes: &[u8]) -> io::Result<Vec<u8>> {
    match coding {
        Coding::Zstd => zstd::bulk::compress(bytes, ZSTD_LEVEL),
        Coding::Gzip => {
            let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 2), ZLIB_LEVEL);
            encoder.write_all(bytes)?;
            encoder.finish()
        }
        Coding::Deflate => {
            let mut encoder = ZlibEncoder::new(Vec::with_capacity(bytes.len() / 2), ZLIB_LEVEL);
            encoder.write_all(bytes)?;
            encoder.finish()
        }
    }
}

/// Text that is long enough. What else there is, such as an image, is packed by its own format.
fn is_packable(response: &HttpResponse) -> bool {
    let is_long = match response.body().size() {
        BodySize::Sized(length) => length >= limits::PACKED_BYTES_MIN,
        _ => false,
    };
    if !is_long || response.headers().contains_key(header::CONTENT_ENCODING) {
        return false;
    }
    let media = response
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .unwrap_or_default();
    media.starts_with("text/")
        || media.ends_with("json")
        || media.ends_with("xml")
        || media.ends_with("javascript")
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    const CAP: Cap = Cap {
        bytes_max: 8192,
        name: "x",
    };
    const LIMITS: Limits = Limits {
        unpacked_bytes_max: 4096,
        unpacked_ratio_max: 50,
        ..Limits::DEFAULT
    };

    fn of_any_kind(length: usize) -> Vec<u8> {
        let mut state = 1u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        };
        (0..length).map(|_| next()).collect()
    }

    #[test]
    fn what_is_packed_is_unpacked_up_to_the_limit() {
        for coding in Coding::ALL.iter().copied() {
            for length in [0, 1, 4095, 4096] {
                let bytes = of_any_kind(length);
                let packed = pack(coding, &bytes).unwrap();
                assert_eq!(
                    unpack(coding, &packed, &LIMITS, CAP).unwrap(),
                    bytes,
                    "{coding:?}"
                );
            }
            let refused =
                |bytes: &[u8]| unpack(coding, &pack(coding, bytes).unwrap(), &LIMITS, CAP);
            let fault = refused(&of_any_kind(4097)).unwrap_err();
            assert_eq!(fault.kind, Kind::BodyTooLarge);
            assert!(fault.issues[0].diagnostics.contains("unpacked_bytes_max"));
            let fault = refused(&[b' '; 4096]).unwrap_err();
            assert!(fault.issues[0].diagnostics.contains("unpacked_ratio_max"));
            let packed = pack(coding, &of_any_kind(101)).unwrap();
            let small = Cap {
                bytes_max: 100,
                name: "plain_max",
            };
            let fault = unpack(coding, &packed, &LIMITS, small).unwrap_err();
            assert!(fault.issues[0].diagnostics.contains("plain_max"));
        }
    }

    #[test]
    fn what_is_broken_or_cut_off_is_refused() {
        for coding in Coding::ALL.iter().copied() {
            let packed = pack(coding, &of_any_kind(1000)).unwrap();
            for broken in [&packed[..packed.len() - 5], &packed[..20], b"", b"{}"] {
                let fault = unpack(coding, broken, &LIMITS, CAP).unwrap_err();
                assert_eq!(fault.kind, Kind::Malformed, "{coding:?} {}", broken.len());
            }
        }
    }

    #[test]
    fn a_body_is_packed_once_or_not_at_all() {
        let sent = |coding: &str| {
            let request = TestRequest::post().insert_header((header::CONTENT_ENCODING, coding));
            Coding::sent(&request.to_http_request())
        };
        assert_eq!(sent("identity").unwrap(), None);
        assert_eq!(sent("").unwrap(), None);
        assert_eq!(sent("GZIP").unwrap(), Some(Coding::Gzip));
        assert_eq!(sent("x-gzip").unwrap(), Some(Coding::Gzip));
        for refused in ["br", "gzip, gzip", "gzip, br", "deflate,zstd"] {
            assert_eq!(sent(refused).unwrap_err().kind, Kind::UnsupportedMedia);
        }
    }

    #[test]
    fn the_client_chooses_how_the_answer_is_packed() {
        for (accepted, coding) in [
            ("gzip", Some(Coding::Gzip)),
            ("gzip, deflate, br, zstd", Some(Coding::Zstd)),
            ("gzip, deflate", Some(Coding::Gzip)),
            ("zstd;q=0.5, gzip", Some(Coding::Gzip)),
            ("*", Some(Coding::Zstd)),
            ("zstd;q=0, *", Some(Coding::Gzip)),
            ("identity, gzip;q=0.5", None),
            ("gzip;q=0", None),
            ("br", None),
            ("", None),
        ] {
            let request = TestRequest::get().insert_header((header::ACCEPT_ENCODING, accepted));
            let chosen = Coding::accepted(&request.to_http_request());
            assert_eq!(chosen, coding, "{accepted}");
        }
    }
}
