//! A panic costs the request in which it happens, not its connection and not the server.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::Poll;

use crate::fault::Panicked;

/// What comes of the work, unless it panics.
pub(super) async fn guarded<T>(mut work: Pin<&mut impl Future<Output = T>>) -> Result<T, Panicked> {
    poll_fn(
        |cx| match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx))) {
            Ok(polled) => polled.map(Ok),
            Err(_) => Poll::Ready(Err(Panicked)),
        },
    )
    .await
}
