//! One request: who asks, when, and of which server.

use std::sync::Arc;

use crate::app::App;
use crate::auth::Caller;
use crate::fault::{Fault, Panicked};
use crate::instant::Instant;
use crate::limits;

#[derive(Debug, Clone)]
pub struct Cx {
    pub app: Arc<App>,
    pub caller: Caller,
    pub now: Instant,
}

impl Cx {
    /// Runs work over a document: at once when the document is small, else beside the threads that serve requests.
    pub async fn compute<T: Send + 'static>(
        &self,
        document_bytes: usize,
        work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        if document_bytes <= limits::PARSE_AT_ONCE_BYTES_MAX {
            return work();
        }
        tokio::task::spawn_blocking(work)
            .await
            .unwrap_or_else(|_| Err(Panicked.into()))
    }
}
