//! When it is looked and by whom: as the schedule says, and of several nodes one, as long as it holds the lease.

use std::sync::Arc;
use std::time::Duration;

use super::poll;
use super::settled::Settled;
use crate::auth::{Action, Caller, may};
use crate::fault::Fault;
use crate::instant::Instant;
use crate::messages::{Desk, Mode, Running};
use crate::schedule::Schedule;
use crate::store::{self, Lease, Poll, Tx};

/// How often it is asked whether somebody has changed something, another node or an operator.
const LOOK: Duration = Duration::from_secs(1);
/// Files that were still being written are looked at again so soon, whatever the schedule says.
const SOON_US: i64 = 5_000_000;

struct Turns {
    desk: Arc<Desk>,
    running: Arc<Running>,
    schedule: Schedule,
    node: String,
    settled: Settled,
}

/// As long as the route is there.
pub(super) async fn run(desk: Arc<Desk>, running: Arc<Running>) {
    let schedule = match running.settings.schedule() {
        Ok(schedule) => schedule,
        Err(error) => {
            tracing::error!(route = running.name(), error, "a route cannot be used");
            return;
        }
    };
    let mut modes = running.modes();
    let mut turns = Turns {
        node: (desk.app.ids)((desk.app.clock)()),
        desk,
        running,
        schedule,
        settled: Settled::default(),
    };
    while turns.is_current() {
        let wait = match turns.running.mode() {
            Mode::Started => turns.turn().await.unwrap_or_else(|fault| {
                // Another attempt follows.
                let route = turns.running.name();
                tracing::warn!(route, kind = ?fault.kind, "it was not looked for files");
                LOOK
            }),
            Mode::Paused | Mode::Stopped => LOOK,
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            changed = modes.changed() => if changed.is_err() { return },
        }
    }
}

impl Turns {
    /// Whether the route is the one that there is now.
    fn is_current(&self) -> bool {
        let now = self.desk.routes.get(self.running.name());
        now.is_some_and(|now| Arc::ptr_eq(&now, &self.running))
    }

    fn now(&self) -> Instant {
        (self.desk.app.clock)()
    }

    fn lease(&self) -> Lease {
        let now = self.now();
        let lease_ms = self.desk.app.limits.files_lease_ms;
        let lease_us = i64::try_from(lease_ms.saturating_mul(1_000)).unwrap_or(i64::MAX);
        Lease {
            node: self.node.clone(),
            now,
            until: Instant::from_micros(now.micros().saturating_add(lease_us)),
        }
    }

    /// Looks for files when it is time to. How long there is nothing to do.
    async fn turn(&mut self) -> Result<Duration, Fault> {
        let poll = self.planned().await?;
        let now = self.now();
        if poll.due_at > now {
            let left_us = poll.due_at.micros().saturating_sub(now.micros());
            let left = Duration::from_micros(u64::try_from(left_us).unwrap_or_default());
            return Ok(left.min(LOOK));
        }
        // Others are asked for nothing while one is at it.
        if poll.until >= now {
            return Ok(LOOK);
        }
        let (route, lease) = (self.running.name().to_owned(), self.lease());
        if !self.write(move |tx| tx.claim_poll(&route, &lease)).await? {
            return Ok(LOOK);
        }
        let (desk, running) = (Arc::clone(&self.desk), Arc::clone(&self.running));
        let mut settled = std::mem::take(&mut self.settled);
        let report = tokio::select! {
            report = poll::poll(&desk, &running, &mut settled) => Some(report),
            () = self.hold() => None,
        };
        self.settled = settled;
        let Some(report) = report else {
            tracing::warn!(
                route = running.name(),
                "another node has taken the folder over"
            );
            return Ok(LOOK);
        };
        let now = self.now();
        let next = match running.mode() {
            Mode::Started => self.schedule.next(now),
            // What was broken off goes on when the route does.
            Mode::Paused | Mode::Stopped => now,
        };
        let due_at = match report.waiting > 0 || report.is_cut {
            true => next.min(Instant::from_micros(now.micros().saturating_add(SOON_US))),
            false => next,
        };
        let (route, node, text) = (running.name().to_owned(), self.node.clone(), report.text());
        self.write(move |tx| tx.end_poll(&route, &node, due_at, &text))
            .await?;
        Ok(Duration::ZERO)
    }

    /// What is known of it; a new route or schedule is noted.
    async fn planned(&self) -> Result<Poll, Fault> {
        let permit = may(&Caller::Kiln, Action::Messages)?;
        let route = self.running.name().to_owned();
        let read = self
            .desk
            .app
            .store
            .read(permit, move |view| view.poll(&route));
        let known: Option<Poll> = read.await?;
        if let Some(poll) = known.filter(|poll| poll.schedule == self.schedule.text()) {
            return Ok(poll);
        }
        let (route, text) = (
            self.running.name().to_owned(),
            self.schedule.text().to_owned(),
        );
        let due_at = self.schedule.first(self.now());
        let noted = text.clone();
        self.write(move |tx| tx.plan_poll(&route, &noted, due_at))
            .await?;
        Ok(Poll {
            schedule: text,
            due_at,
            until: Instant::from_micros(0),
            report: String::new(),
        })
    }

    /// Tells the others again and again that this node is at it. Ends when it is not any more.
    async fn hold(&self) {
        let pause = Duration::from_millis(self.desk.app.limits.files_lease_ms / 3);
        loop {
            tokio::time::sleep(pause).await;
            let (route, lease) = (self.running.name().to_owned(), self.lease());
            // A database that is away for a moment takes nothing from anybody.
            if let Ok(false) = self.write(move |tx| tx.hold_poll(&route, &lease)).await {
                return;
            }
        }
    }

    async fn write<T: Send + 'static>(
        &self,
        work: impl Fn(&mut Tx<'_>) -> Result<T, store::Error> + Send + 'static,
    ) -> Result<T, Fault> {
        let permit = may(&Caller::Kiln, Action::Messages)?;
        Ok(self.desk.app.store.write(permit, work).await?)
    }
}
