//! What the server does by itself beside answering: work that is noted in the database, so that it survives a restart, and
//! leased, so that of several nodes one does it.

pub mod prune;
pub mod prune_audit;
pub mod prune_events;
pub mod reindex;

use std::sync::Arc;

use crate::app::App;
use crate::arranged;
use crate::auth::Forbidden;
use crate::config::Messages;
use crate::deliver;
use crate::folders;
use crate::messages::{self, Desk};
use crate::outbound;
use crate::store;

const DAY_US: i64 = 86_400_000_000;

/// Why something was not taken out.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
}

/// Everything there is to do, for as long as the server runs.
pub async fn run(app: Arc<App>, desk: Arc<Desk>, kept: Messages) {
    tokio::join!(
        reindex::run(&app),
        arranged::run(&app, &desk),
        messages::run(Arc::clone(&desk)),
        prune::run(&app, kept),
        prune_audit::run(&app),
        prune_events::run(&app),
        deliver::run(Arc::clone(&app)),
        outbound::run(Arc::clone(&app)),
        folders::run(Arc::clone(&desk))
    );
}
