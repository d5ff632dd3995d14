//! What resources are found by, as this process knows it: exchanged when search parameters change, here or on another node.
//!
//! Nothing that is stored depends on this being up to date: a transaction holds the generation that its rows were made
//! by against that of the database, and makes them anew when it is another one (`Tx::rows_of`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fhir_spec::definitions::Definitions;
use search::Registry;
use tokio::sync::{Notify, watch};

use super::Store;
use super::connection::Connection;
use super::error::Error;
use super::plan;
use crate::limits;

pub(super) struct Catalogue {
    current: watch::Sender<Arc<Registry>>,
    /// Somebody in this process makes the rows that are missing,
    has_worker: AtomicBool,
    /// and is woken when some are.
    work: Notify,
}

impl Catalogue {
    pub(super) fn new(registry: Registry) -> Self {
        Self {
            current: watch::Sender::new(Arc::new(registry)),
            has_worker: AtomicBool::new(false),
            work: Notify::new(),
        }
    }

    /// R4 alone, of which the database has heard nothing.
    pub(super) fn of_r4() -> Self {
        let (definitions, _) = Definitions::r4().with_packages(Vec::new());
        Self::new(Registry::new(Arc::new(definitions)))
    }

    fn current(&self) -> Arc<Registry> {
        Arc::clone(&self.current.borrow())
    }

    /// Never goes back: of two that looked, the one that looked first may come last.
    fn exchange(&self, registry: Registry) {
        self.current.send_if_modified(|current| {
            let is_newer =
                registry.generation() >= current.generation() || current.generation() == plan::NONE;
            let is_other = registry.generation() != current.generation()
                || registry.unready() != current.unready();
            if is_newer && is_other {
                *current = Arc::new(registry);
            }
            is_newer && is_other
        });
    }
}

/// What there is to do about the index.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Work {
    /// Types whose resources are to be gone through.
    pub types: usize,
    /// Paths whose rows are to go.
    pub forgotten: usize,
}

impl Store {
    /// What resources are found by. Taken once for each thing that is to be consistent.
    pub fn registry(&self) -> Arc<Registry> {
        self.catalogue.current()
    }

    /// Learns what has changed, and tells what there is to do.
    pub async fn refresh(&self) -> Result<Work, Error> {
        let catalogue = Arc::clone(&self.catalogue);
        self.with_reader(move |connection| {
            connection.begin_read()?;
            let looked = look(connection, &catalogue.current());
            connection.rollback()?;
            let (registry, work) = looked?;
            catalogue.exchange(registry);
            Ok(work)
        })
        .await
    }

    /// From here on this process makes the rows that are missing.
    pub fn has_worker(&self) {
        self.catalogue.has_worker.store(true, Ordering::Relaxed);
    }

    /// Waits until there may be work, or for that long.
    pub async fn work_comes(&self, wait: Duration) {
        // That nothing came is as good an end as any.
        let _came = tokio::time::timeout(wait, self.catalogue.work.notified()).await;
    }

    /// After a write of search parameters: what is not much is done before the writer is answered, so that it can search.
    pub(super) async fn parameters_changed(&self) {
        if let Err(error) = self.refresh().await {
            tracing::warn!(error = %error, "what has changed about search parameters will be learned later");
            return;
        }
        if !self.catalogue.has_worker.load(Ordering::Relaxed) {
            return;
        }
        self.catalogue.work.notify_one();
        let mut current = self.catalogue.current.subscribe();
        let wait = Duration::from_millis(limits::PARAMETER_WAIT_MS);
        let is_settled = |registry: &Arc<Registry>| {
            let mut remakes = registry.unready().values();
            remakes.all(|remake| remake.total > limits::PARAMETER_WAIT_RESOURCES_MAX)
        };
        // Those that ask too early are told.
        let _settled = tokio::time::timeout(wait, current.wait_for(is_settled)).await;
    }
}

fn look(connection: &mut Connection, current: &Registry) -> Result<(Registry, Work), Error> {
    let registry = match plan::registry(connection, current) {
        Err(Error::Disagrees) => {
            let unserved = plan::disagreeing(connection, current)?;
            if unserved.generation() != current.generation() {
                tracing::error!("{}", Error::Disagrees);
            }
            unserved
        }
        known => known?,
    };
    Ok((registry, plan::work(connection)?))
}
