//! The body of a request, read within limits of size and time, and unpacked.
//! <https://www.rfc-editor.org/rfc/rfc9110#name-message-body>

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::body::{BodyStream, MessageBody};
use actix_web::http::header;
use actix_web::web::Payload;
use bytes::{Bytes, BytesMut};
use tokio::time::Instant;

use super::coding::{self, Coding};
use crate::cx::Cx;
use crate::fault::{Fault, Kind};
use crate::limits::Limits;

/// Unpacking this many times the packed bytes is the least that a packed body costs.
const UNPACKED_TIMES: usize = 8;

/// How much a body may hold, and the name of that limit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cap {
    pub(super) bytes_max: usize,
    pub(super) name: &'static str,
}

impl Cap {
    /// Of a document.
    pub(super) fn of_document(limits: &Limits) -> Self {
        Self {
            bytes_max: limits.body_bytes_max,
            name: "body_bytes_max",
        }
    }

    /// Of a batch or transaction that is read piece by piece.
    pub(super) fn of_bundle(limits: &Limits) -> Self {
        Self {
            bytes_max: limits.bundle_bytes_max,
            name: "bundle_bytes_max",
        }
    }

    /// Of the parameters of a search.
    pub(super) fn of_search(limits: &Limits) -> Self {
        Self {
            bytes_max: limits.search_bytes_max,
            name: "search_bytes_max",
        }
    }

    /// Of messages of HL7 v2.
    pub(super) fn of_message(limits: &Limits) -> Self {
        Self {
            bytes_max: limits.message_bytes_max,
            name: "message_bytes_max",
        }
    }

    /// Of content that is not parsed.
    pub(super) fn of_content(limits: &Limits) -> Self {
        Self {
            bytes_max: limits.binary_bytes_max,
            name: "binary_bytes_max",
        }
    }

    /// Of what a packed body holds, whatever it is.
    pub(super) fn of_unpacked(limits: &Limits) -> Self {
        Self {
            bytes_max: limits.unpacked_bytes_max,
            name: "unpacked_bytes_max",
        }
    }

    /// The one that allows less.
    pub(super) fn or_less(self, other: Self) -> Self {
        match other.bytes_max < self.bytes_max {
            true => other,
            false => self,
        }
    }

    pub(super) fn exceeded(self) -> Fault {
        let Self { bytes_max, name } = self;
        let diagnostics =
            format!("the body is larger than the limit of {bytes_max} bytes ({name})");
        Fault::new(Kind::BodyTooLarge, diagnostics)
    }
}

pub(super) async fn read(
    cx: &Cx,
    request: &HttpRequest,
    payload: &mut Payload,
) -> Result<Bytes, Fault> {
    read_within(cx, request, payload, Cap::of_document(&cx.app.limits)).await
}

pub(super) async fn read_within(
    cx: &Cx,
    request: &HttpRequest,
    payload: &mut Payload,
    cap: Cap,
) -> Result<Bytes, Fault> {
    let limits = cx.app.limits;
    let coding = Coding::sent(request)?;
    let bytes = collect(&limits, request, payload, cap).await?;
    let Some(coding) = coding else {
        return Ok(bytes);
    };
    let work = bytes.len().saturating_mul(UNPACKED_TIMES);
    cx.compute(work, move || coding::unpack(coding, &bytes, &limits, cap))
        .await
}

/// The body as it was sent.
async fn collect(
    limits: &Limits,
    request: &HttpRequest,
    payload: &mut Payload,
    cap: Cap,
) -> Result<Bytes, Fault> {
    let declared = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if declared.is_some_and(|length| length > cap.bytes_max) {
        return Err(cap.exceeded());
    }
    let mut stream = std::pin::pin!(BodyStream::new(payload));
    let pace = Pace::starting(limits);
    let mut next = async |received| {
        let chunk = poll_fn(|cx| Pin::as_mut(&mut stream).poll_next(cx));
        match tokio::time::timeout_at(pace.deadline(received), chunk).await {
            Ok(Some(Ok(chunk))) => Ok(Some(chunk)),
            Ok(None) => Ok(None),
            Ok(Some(Err(error))) => {
                let diagnostics = "the body could not be read to its end";
                Err(Fault::new(Kind::Malformed, diagnostics).because(error.to_string()))
            }
            Err(_) => Err(pace.too_slow(limits)),
        }
    };
    // Most bodies come in one piece, which is kept as it is.
    let first = next(0).await?.unwrap_or_default();
    if declared == Some(first.len()) {
        return Ok(first);
    }
    if first.len() > cap.bytes_max {
        return Err(cap.exceeded());
    }
    let mut all = BytesMut::from(first);
    all.reserve(
        declared
            .unwrap_or_default()
            .saturating_sub(all.len())
            .min(RESERVED_BYTES_MAX),
    );
    while let Some(chunk) = next(all.len()).await? {
        if all.len() + chunk.len() > cap.bytes_max {
            return Err(cap.exceeded());
        }
        all.extend_from_slice(&chunk);
    }
    Ok(all.freeze())
}

/// How fast a body has to come: all of it in time, and after a while what has come at the least rate. A client that
/// drips bytes would otherwise hold a connection and memory for as long as it likes.
struct Pace {
    started: Instant,
    ends: Instant,
    grace: Duration,
    bytes_per_s_min: u64,
}

impl Pace {
    fn starting(limits: &Limits) -> Self {
        let started = Instant::now();
        Self {
            started,
            ends: started + Duration::from_millis(limits.body_wait_ms),
            grace: Duration::from_millis(limits.body_grace_ms),
            bytes_per_s_min: limits.body_rate_min,
        }
    }

    /// When the next bytes must be there, `received` having come so far.
    fn deadline(&self, received: usize) -> Instant {
        let received = u64::try_from(received).unwrap_or(u64::MAX);
        let earned_ms = received.saturating_mul(1000) / self.bytes_per_s_min.max(1);
        let paced = self.started + self.grace + Duration::from_millis(earned_ms.min(HOUR_MS));
        paced.min(self.ends)
    }

    fn too_slow(&self, limits: &Limits) -> Fault {
        let diagnostics = match Instant::now() >= self.ends {
            true => format!(
                "the body did not arrive within {} ms (body_wait_ms)",
                limits.body_wait_ms
            ),
            false => format!(
                "the body came slower than {} bytes a second (body_rate_min) after its first {} ms (body_grace_ms)",
                limits.body_rate_min, limits.body_grace_ms
            ),
        };
        Fault::new(Kind::BodyTimeout, diagnostics)
    }
}

/// Of what a client says it will send, so much memory is set aside before it comes.
const RESERVED_BYTES_MAX: usize = 1024 * 1024;
const HOUR_MS: u64 = 3_600_000;

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll};

    use actix_web::FromRequest;
    use actix_web::test::TestRequest;

    use super::*;

    /// A body of these bytes, and then of nothing that ever arrives.
    struct Drip(Option<Bytes>);

    impl futures_core::Stream for Drip {
        type Item = Result<Bytes, actix_web::error::PayloadError>;

        fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
            match self.0.take() {
                Some(bytes) => Poll::Ready(Some(Ok(bytes))),
                None => Poll::Pending,
            }
        }
    }

    fn refused(first: Option<Bytes>, limits: Limits) -> Fault {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let payload: Pin<Box<dyn futures_core::Stream<Item = _>>> = Box::pin(Drip(first));
            let mut drip = actix_web::dev::Payload::Stream { payload };
            let request = TestRequest::post().to_http_request();
            let mut payload = Payload::from_request(&request, &mut drip).await.unwrap();
            let cap = Cap::of_document(&limits);
            collect(&limits, &request, &mut payload, cap)
                .await
                .unwrap_err()
        })
    }

    #[test]
    fn a_body_that_does_not_come_or_comes_too_slowly_is_not_waited_for() {
        let whole = Limits {
            body_wait_ms: 1,
            ..Limits::default()
        };
        let paced = Limits {
            body_grace_ms: 1,
            body_rate_min: 1_000_000,
            ..Limits::default()
        };
        for (first, limits, named) in [
            (None, whole, "body_wait_ms"),
            (Some(Bytes::from_static(b"{")), whole, "body_wait_ms"),
            (None, paced, "body_rate_min"),
            (Some(Bytes::from_static(b"{")), paced, "body_rate_min"),
        ] {
            let fault = refused(first, limits);
            assert_eq!(fault.kind, Kind::BodyTimeout);
            assert!(fault.issues[0].diagnostics.contains(named));
        }
    }

    #[test]
    fn what_has_come_earns_time() {
        let limits = Limits {
            body_grace_ms: 10_000,
            body_rate_min: 1024,
            body_wait_ms: 60_000,
            ..Limits::default()
        };
        let pace = Pace::starting(&limits);
        let within = |received| (pace.deadline(received) - pace.started).as_millis();
        assert_eq!(within(0), 10_000);
        assert_eq!(within(10 * 1024), 20_000);
        assert_eq!(within(1024 * 1024), 60_000);
        assert_eq!(within(usize::MAX), 60_000);
    }
}
