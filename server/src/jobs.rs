//! What the server does by itself beside answering: work that is noted in the database, so that it survives a restart, and
//! leased, so that of several nodes one does it.

pub mod reindex;

use std::sync::Arc;

use crate::app::App;

/// Everything there is to do, for as long as the server runs.
pub async fn run(app: Arc<App>) {
    reindex::run(&app).await;
}
