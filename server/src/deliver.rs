//! Sends what is to be told: one thing at a time to each target, many targets at a time, and nobody waits for another.
//!
//! A node takes a target with a lease; while it holds it, it sends the events in order and notes how far it has come. What
//! was sent and not noted when a node dies is sent again by the next one.

pub mod backoff;
mod channel;
pub mod client;
pub mod connect;
mod hl7v2;
pub mod listening;
mod message;
mod rest_hook;
pub mod signature;
mod task;
mod told;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::app::App;
use crate::auth::{Action, Caller, Permit, may, may_all};
use crate::fault::Fault;
use crate::limits;
use crate::store::{Error, Lease, NEVER, Target};
use crate::subscriptions::TYPE;
use client::Client;

/// The pause when the database has no time.
const PAUSE: Duration = Duration::from_secs(1);

/// What became of one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Delivered,
    /// It is not to be tried again, ever: HTTP 410.
    Gone(String),
    /// Why, and after what time the target wants to be asked again.
    Failed(String, Option<Duration>),
}

/// What all tasks of a node share.
#[derive(Debug)]
struct Worker {
    app: Arc<App>,
    client: Client,
    /// Targets that have failed lately wait for their answers in a room of their own.
    troubled: Arc<Semaphore>,
}

/// As long as the server runs.
pub async fn run(app: Arc<App>) {
    let client = match Client::new(app.deliveries.clone()) {
        Ok(client) => client,
        Err(error) => {
            tracing::error!("nothing can be delivered: {error}");
            return;
        }
    };
    let worker = Arc::new(Worker {
        troubled: Arc::new(Semaphore::new(app.limits.deliveries_max / 2)),
        client,
        app,
    });
    // Dropped with this future: what is under way is sent again by whoever comes next.
    let mut tasks = JoinSet::new();
    let mut renewed_at = tokio::time::Instant::now();
    let third = Duration::from_millis(worker.app.limits.delivery_lease_ms / 3);
    loop {
        if renewed_at.elapsed() >= third {
            if let Err(error) = worker.renew(!tasks.is_empty()).await {
                tracing::warn!("leases were not renewed: {error}");
            }
            renewed_at = tokio::time::Instant::now();
        }
        let due = match worker.take(&mut tasks).await {
            Ok(due) => due,
            Err(fault) => {
                tracing::warn!(kind = ?fault.kind, "nothing was taken to be delivered");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let wait = Duration::from_millis(limits::DELIVERY_POLL_MS)
            .min(third)
            .min(due);
        tokio::select! {
            () = worker.app.dispatch.woken() => {}
            () = tokio::time::sleep(wait) => {}
            Some(ended) = tasks.join_next() => {
                if ended.is_err() {
                    tracing::error!("a delivery ended in a panic; it is tried again");
                }
            }
        }
    }
}

/// Leaves to others what this node was at.
pub async fn leave(app: &App) -> Result<(), Error> {
    let node = app.node.clone();
    let permit = permit().map_err(|_| Error::NotPermitted)?;
    app.store.write(permit, move |tx| tx.leave(&node)).await
}

fn permit() -> Result<Permit, crate::auth::Forbidden> {
    may_all(
        &Caller::Kiln,
        [Action::Deliver, Action::Read(TYPE), Action::Update(TYPE)],
    )
}

impl Worker {
    /// Takes what is due, as much as there is room for. For how long nothing more will be.
    async fn take(self: &Arc<Self>, tasks: &mut JoinSet<()>) -> Result<Duration, Fault> {
        while tasks.try_join_next().is_some() {}
        let room = self.app.limits.deliveries_max.saturating_sub(tasks.len());
        if room == 0 {
            return Ok(PAUSE);
        }
        let now = (self.app.clock)();
        let permit = may(&Caller::Kiln, Action::Deliver)?;
        let store = &self.app.store;
        let due_at = store.read(permit, move |view| view.next_due(now));
        let due_at: i64 = due_at.await.map_err(|error: Error| Fault::from(error))?;
        if due_at == NEVER {
            return Ok(Duration::MAX);
        }
        if let Ok(wait_us @ 1..) = u64::try_from(due_at - now.micros()) {
            return Ok(Duration::from_micros(wait_us));
        }
        let lease = self.lease();
        let permit = may(&Caller::Kiln, Action::Deliver)?;
        let claimed = store.write(permit, move |tx| tx.claim_targets(&lease, room));
        let claimed: Vec<Target> = claimed.await.map_err(|error: Error| Fault::from(error))?;
        for target in claimed {
            let worker = Arc::clone(self);
            tasks.spawn(async move { worker.work(target).await });
        }
        Ok(Duration::ZERO)
    }

    fn lease(&self) -> Lease {
        let now = (self.app.clock)();
        Lease {
            node: self.app.node.clone(),
            now,
            until: now.plus(Duration::from_millis(self.app.limits.delivery_lease_ms)),
        }
    }

    /// The node is still there; what waits is counted on the way.
    async fn renew(&self, has_targets: bool) -> Result<(), Error> {
        let permit = permit().map_err(|_| Error::NotPermitted)?;
        let counts = self.app.store.read(permit, |view| view.delivery_counts());
        self.app.dispatch.counted(counts.await?);
        if !has_targets {
            return Ok(());
        }
        let lease = self.lease();
        let permit = crate::deliver::permit().map_err(|_| Error::NotPermitted)?;
        let store = &self.app.store;
        store
            .write(permit, move |tx| tx.renew_targets(&lease))
            .await
    }
}
