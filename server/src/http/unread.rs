//! A refused request's body that nobody has read to its end.
//!
//! Once the reader of a chunked body is gone, actix reads on to its end, and a client can make that last for ever. While
//! there still is a reader when the answer has left, it closes the connection instead. So an answer that refuses holds on
//! to the reader until it has been sent.

use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::HttpResponse;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::web::Payload;
use bytes::Bytes;

struct Holding {
    body: BoxBody,
    _unread: Payload,
}

/// The same answer, holding the reader.
pub(super) fn held_by(response: HttpResponse, unread: Payload) -> HttpResponse {
    response.map_body(|_, body| {
        BoxBody::new(Holding {
            body,
            _unread: unread,
        })
    })
}

impl MessageBody for Holding {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_next(cx)
    }
}
