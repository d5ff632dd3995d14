//! Makes the index rows that came to be wanted after the resources were stored: of new search parameters, other packages,
//! a new version of Kiln. And takes out those that no parameter wants any more.

use std::time::{Duration, Instant as Clock};

use crate::app::App;
use crate::auth::{Action, Caller, Forbidden, may};
use crate::instant::Instant;
use crate::limits;
use crate::store::{self, Lease, Remaking};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
}

/// How far one step has come.
#[derive(Debug)]
pub enum Step {
    /// Some resources of a type, or the last of them.
    Made(Remaking),
    /// Somebody else has taken the type that was at hand.
    Lost,
    /// Nothing to do, or others do it.
    Idle,
}

/// One who goes through resources, type by type.
#[derive(Debug)]
pub struct Worker<'a> {
    app: &'a App,
    node: String,
    /// Only these types; none: all.
    only: Vec<String>,
    at_hand: Option<String>,
}

impl<'a> Worker<'a> {
    pub fn new(app: &'a App, only: Vec<String>) -> Self {
        Self {
            app,
            node: (app.ids)((app.clock)()),
            only,
            at_hand: None,
        }
    }

    fn lease(&self) -> Lease {
        let now = (self.app.clock)();
        Lease {
            node: self.node.clone(),
            now,
            until: later(now, self.app.limits.reindex_lease_ms),
        }
    }

    /// The next resources, of the type at hand or of one that nobody has taken.
    pub async fn step(&mut self) -> Result<Step, Error> {
        let permit = may(&Caller::Kiln, Action::Maintain)?;
        let (store, lease) = (&self.app.store, self.lease());
        let Some(resource_type) = self.at_hand.clone() else {
            let only = self.only.clone();
            let taken = store
                .write(permit, move |tx| tx.take_reindex(&only, &lease))
                .await?;
            self.at_hand = taken.as_ref().map(|job| job.resource_type.clone());
            if let Some(job) = &taken {
                let (resource_type, total, done) = (&job.resource_type, job.total, job.done);
                tracing::info!(resource_type, total, done, "making index rows");
            }
            return Ok(taken.map_or(Step::Idle, Step::Made));
        };
        let (registry, batch) = (self.app.search(), self.app.limits.reindex_batch_max);
        let gone_on = store
            .write(permit, move |tx| {
                tx.go_on(&resource_type, &registry, &lease, batch)
            })
            .await?;
        let Some(job) = gone_on else {
            self.at_hand = None;
            return Ok(Step::Lost);
        };
        if job.is_finished {
            let (resource_type, done, rows) = (&job.resource_type, job.done, job.repaired);
            tracing::info!(resource_type, done, rows, "the index rows are made");
            self.at_hand = None;
        }
        Ok(Step::Made(job))
    }

    /// Takes out some of the rows that no parameter wants. Whether there may be more.
    async fn sweep(&self) -> Result<bool, Error> {
        let permit = may(&Caller::Kiln, Action::Maintain)?;
        let now = (self.app.clock)().micros();
        let before = Instant::from_micros(now - limits::FORGOTTEN_AFTER_MS * 1_000);
        let batch = self.app.limits.reindex_batch_max;
        let store = &self.app.store;
        Ok(store
            .write(permit, move |tx| tx.sweep(before, batch))
            .await?)
    }
}

/// As long as the server runs.
pub async fn run(app: &App) {
    app.store.has_worker();
    let mut worker = Worker::new(app, Vec::new());
    let poll = Duration::from_millis(limits::PARAMETER_POLL_MS);
    loop {
        if let Err(error) = look(app, &mut worker).await {
            // Another attempt follows; what is noted in the database is not lost.
            tracing::warn!(error = %error, "the index was not worked on");
            worker.at_hand = None;
        }
        app.store.work_comes(poll).await;
    }
}

/// Does what there is to do now.
async fn look(app: &App, worker: &mut Worker<'_>) -> Result<(), Error> {
    let work = app.store.refresh().await?;
    let mut is_more = work.types > 0;
    while is_more {
        let begun = Clock::now();
        let step = worker.step().await?;
        is_more = !matches!(step, Step::Idle);
        app.store.refresh().await?;
        pause(app, begun).await;
    }
    is_more = work.forgotten > 0;
    while is_more {
        let begun = Clock::now();
        is_more = worker.sweep().await?;
        pause(app, begun).await;
    }
    Ok(())
}

/// Half of the time belongs to the others.
async fn pause(app: &App, begun: Clock) {
    let least = Duration::from_millis(app.limits.reindex_pause_ms);
    tokio::time::sleep(begun.elapsed().max(least)).await;
}

fn later(now: Instant, wait_ms: u64) -> Instant {
    let wait_us = i64::try_from(wait_ms.saturating_mul(1_000)).unwrap_or(i64::MAX);
    Instant::from_micros(now.micros().saturating_add(wait_us))
}
