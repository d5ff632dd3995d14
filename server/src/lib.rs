//! The world: HTTP, identity, database, time.

pub mod accept;
pub mod app;
pub mod arranged;
pub mod audit;
pub mod auth;
pub mod callers;
pub mod cli;
pub mod config;
pub mod consents;
pub mod conversion;
pub mod cx;
pub mod deliver;
pub mod destinations;
pub mod documents;
pub mod entries;
pub mod facade;
pub mod fault;
pub mod feed;
pub mod folders;
pub mod http;
pub mod instant;
pub mod interactions;
pub mod jobs;
pub mod kept;
pub mod limits;
pub mod maps;
pub mod messages;
pub mod metrics;
pub mod mllp;
pub mod operations;
pub mod outbound;
pub mod packages;
pub mod policies;
pub mod rate;
pub mod schedule;
pub mod shelf;
pub mod smart;
pub mod store;
pub mod subscriptions;
pub mod telemetry;
pub mod texts;
pub mod tls;

use std::net::SocketAddr;
use std::sync::Arc;

use crate::app::App;
use crate::config::Config;
use crate::messages::Desk;
use crate::store::Store;
use crate::tls::{Callers, Certificates};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Config(#[from] config::Error),
    #[error(transparent)]
    Policy(#[from] policies::BadPolicy),
    #[error(transparent)]
    Log(#[from] telemetry::Error),
    #[error(transparent)]
    Packages(#[from] packages::Error),
    #[error("the maps cannot be used")]
    Maps(#[from] Arc<maps::Error>),
    #[error("the database cannot be opened")]
    Store(#[from] store::Error),
    #[error("cannot listen on {0}")]
    Listen(SocketAddr, #[source] std::io::Error),
    #[error("a thread that follows the feed cannot be started")]
    Follower(#[source] std::io::Error),
    #[error(transparent)]
    Tls(#[from] tls::Error),
    #[error(transparent)]
    Mllp(#[from] mllp::Error),
    #[error("the routes and overlays in the database cannot be read: {0}")]
    Arranged(String),
    #[error("the start was broken off")]
    Stopped,
    #[error("the HTTP server failed")]
    Http(#[source] std::io::Error),
    #[error("the signals of the system cannot be heard")]
    Signals(#[source] std::io::Error),
    #[error("the addresses cannot be printed")]
    Print(#[source] std::io::Error),
}

/// Serves until `stop` is done: then finishes what is under way, and closes the store.
/// `ready` is told the address of HTTP and those of MLLP as soon as requests are answered.
pub async fn run(
    config: &Config,
    ready: impl FnOnce(SocketAddr, &[SocketAddr]) -> Result<(), Error>,
    stop: impl Future<Output = ()>,
) -> Result<(), Error> {
    let (definitions, missing) = packages::lay_over(&config.packages)?;
    for issue in missing {
        tracing::warn!("{}", issue.diagnostics);
    }
    let definitions = Arc::new(definitions);
    let registry = config.outside.registry(Arc::clone(&definitions));
    let certificates = config.tls.as_ref();
    let certificates = certificates.map(|files| Certificates::read(files, Callers::MayShow));
    let certificates = certificates.transpose()?;
    policies::Policies::of(&config.policies)?;
    let store = Store::open_to_serve(&config.database, &config.limits, &registry)?;
    if let Err(error) = store.unlock(&config.database, &config.master_key) {
        // All else is served.
        tracing::error!("secrets can be neither sealed nor opened: {error}");
    }
    let app = Arc::new(App::new(store.clone(), definitions, config));
    app.audit.start(&app.store);
    if !config.maps.is_empty() {
        app.shelf.read_maps()?;
    }
    for settings in &config.destinations {
        app.destinations
            .put(settings)
            .map_err(config::Error::from)?;
    }
    let desk = Desk::new(Arc::clone(&app), config).map_err(config::Error::from)?;
    if let Err(fault) = arranged::load(&app, &desk).await {
        return Err(Error::Arranged(
            fault
                .issues
                .into_iter()
                .map(|issue| issue.diagnostics)
                .collect::<Vec<_>>()
                .join("; "),
        ));
    }
    app.destinations.complete();
    let jobs = tokio::spawn(jobs::run(
        Arc::clone(&app),
        Arc::clone(&desk),
        config.messages,
    ));
    let feed = feed::start(&app).map_err(Error::Follower)?;
    let leaving = Arc::clone(&app);
    let (started, unasked) = (Arc::clone(&desk), config.mllp_unasked);
    // Beside this thread, which must not wait.
    let started = tokio::task::spawn_blocking(move || mllp::start(&started, unasked)).await;
    let (listeners, addresses) = started.map_err(|_| Error::Stopped)??;
    let ready = |address| ready(address, &addresses);
    let served = http::serve(app, desk, config.listen, certificates, ready, stop).await;
    if tokio::task::spawn_blocking(move || listeners.stop())
        .await
        .is_err()
    {
        tracing::error!("the listeners for MLLP ended in a panic");
    }
    jobs.abort();
    feed.stop();
    if let Err(error) = deliver::leave(&leaving).await {
        tracing::debug!("what this node was at is left when its leases end: {error}");
    }
    store.close();
    served
}
