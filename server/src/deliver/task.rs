//! The work for one target: its events in order, until there are none or one does not arrive.

use std::sync::Arc;
use std::time::Duration;

use super::backoff::pause;
use super::channel::{Delivery, What};
use super::told::{Batch, Told, acting, batch, left_the_house, told};
use super::{Outcome, Worker, permit};
use crate::fault::Fault;
use crate::instant::Instant;
use crate::store::{Error, Fate, NEVER, Progressed, State, Target, Trouble};
use crate::subscriptions::status;

impl Worker {
    /// As long as there are events and they arrive.
    pub(super) async fn work(&self, target: Target) {
        let (rid, id) = (target.rid, target.id.clone());
        if let Err(fault) = self.tell(target).await {
            let source = fault
                .source
                .map_or(String::new(), |source| source.to_string());
            tracing::warn!(subscription = id, kind = ?fault.kind, "a delivery was broken off: {source}");
            let node = self.app.node.clone();
            if let Ok(permit) = permit() {
                let released = self
                    .app
                    .store
                    .write(permit, move |tx| tx.release_target(rid, &node));
                // Else its lease ends by itself.
                let _released: Result<(), Error> = released.await;
            }
        }
    }

    async fn tell(&self, mut target: Target) -> Result<(), Fault> {
        let now = (self.app.clock)();
        if target.ends_at <= now.micros() {
            let over = Trouble::off("its end is over");
            return self.failed(&target, target.done, over).await;
        }
        let Some(told) = told(&self.app, &target).await? else {
            let lost = Trouble::off("it can no longer be understood");
            return self.failed(&target, target.done, lost).await;
        };
        if !told.subscription.channel.kind.is_sent() {
            // Who listens comes here (`listening.rs`).
            let listening = Trouble {
                state: Some(State::Listening),
                due_at: target.ends_at,
                ..Trouble::off("")
            };
            return self.failed(&target, target.done, listening).await;
        }
        if acting(&self.app, &told.author).await?.is_none() {
            return self.failed(&target, target.done, Trouble::orphaned()).await;
        }
        if target.state == State::Handshake {
            return self.shake_hands(&target, &told).await;
        }
        loop {
            let Some(author) = acting(&self.app, &told.author).await? else {
                return self.failed(&target, target.done, Trouble::orphaned()).await;
            };
            let Batch {
                events,
                hidden,
                last,
            } = batch(&self.app, &target, &author).await?;
            let (mut done, mut sent_at, mut trouble) = (target.done, target.sent_at, None);
            for some in events.chunks(told.together()) {
                let outcome = self.say(&target, &told, What::Events(some)).await;
                let is_sent = outcome == Outcome::Delivered;
                let to = told.subscription.channel.endpoint.origin();
                left_the_house(&self.app, &target, &told, &to, (some, is_sent)).await?;
                let number = some.last().map_or(done, |(event, _)| event.number);
                let before = if done > target.done {
                    0
                } else {
                    target.attempts
                };
                match self.judged(&target, (number, before), outcome) {
                    None => (done, sent_at) = (number, (self.app.clock)().micros()),
                    failed => {
                        trouble = failed;
                        break;
                    }
                }
            }
            // What may not be seen is passed over as if it had never been.
            if trouble.is_none() {
                done = done.max(last);
            }
            if events.is_empty() && told.is_silent(&target, (self.app.clock)()) {
                let outcome = self.say(&target, &told, What::Heartbeat).await;
                trouble = self.judged(&target, (done, target.attempts), outcome);
                sent_at = (self.app.clock)().micros();
            }
            if let Some(trouble) = trouble {
                return self.failed(&target, done, trouble).await;
            }
            let idle_at = told.idle_at(&target, sent_at);
            let hidden = hidden.as_slice();
            match self
                .progressed(&target, (done, hidden), (sent_at, idle_at))
                .await?
            {
                Some(next) => target = next,
                None => return Ok(()),
            }
        }
    }

    /// Nothing is told before it has answered once; who does not answer is not told at all.
    async fn shake_hands(&self, target: &Target, told: &Told) -> Result<(), Fault> {
        match self.say(target, told, What::Handshake).await {
            Outcome::Delivered => {}
            Outcome::Gone(why) | Outcome::Failed(why, _) => {
                let trouble = Trouble {
                    state: Some(State::Error),
                    ..Trouble::off(&format!("handshake: {why}"))
                };
                return self.failed(target, target.done, trouble).await;
            }
        }
        let (app, target) = (Arc::clone(&self.app), target.clone());
        let written = self.app.store.write(permit()?, move |tx| {
            let now = (app.clock)();
            if tx.target_activated(&target, &app.node, now)? {
                let at = (target.id.as_str(), target.version);
                if let Some(version) = status::write(tx, &app, at, State::Active, "", now)? {
                    tx.target_version(target.rid, version)?;
                }
                return Ok::<_, Error>(());
            }
            tx.release_target(target.rid, &app.node)
        });
        written.await?;
        self.app.dispatch.wake();
        Ok(())
    }

    /// What follows from an attempt; None: it has arrived.
    fn judged(
        &self,
        target: &Target,
        (number, before): (i64, u32),
        outcome: Outcome,
    ) -> Option<Trouble> {
        if outcome == Outcome::Delivered {
            self.app.dispatch.delivered.add(1);
            tracing::debug!(subscription = target.id, event = number, "delivered");
            return None;
        }
        self.app.dispatch.failed.add(1);
        Some(self.trouble(target, before, number, outcome))
    }

    /// Tells it by the channel that the subscription asks for.
    async fn say(&self, target: &Target, told: &Told, what: What<'_>) -> Outcome {
        let base = self.app.base();
        let delivery = Delivery {
            base: &base,
            definitions: self.app.definitions(),
            target,
            told,
            what,
            now: (self.app.clock)(),
        };
        self.deliver(&delivery).await
    }

    /// What follows from a failure.
    fn trouble(&self, target: &Target, before: u32, number: i64, outcome: Outcome) -> Trouble {
        let now = (self.app.clock)();
        let attempts = before.saturating_add(1);
        let (problem, wanted) = match outcome {
            Outcome::Gone(told) => return Trouble::off(&format!("event {number}: {told}")),
            Outcome::Failed(told, wanted) => (told, wanted),
            Outcome::Delivered => (String::new(), None),
        };
        let [chance, ..] = now.micros().to_le_bytes();
        let pause = pause(&self.app.deliveries.attempts_s, attempts, wanted, chance);
        tracing::warn!(
            subscription = target.id,
            event = number,
            attempts,
            retry_s = pause.map(|pause| pause.as_secs()),
            "not delivered: {problem}"
        );
        Trouble {
            state: pause.is_none().then_some(State::Error),
            attempts,
            due_at: pause.map_or(NEVER, |pause| now.plus(pause).micros()),
            problem: format!("event {number}, attempt {attempts}: {problem}"),
        }
    }

    /// Notes what has arrived. The target while there is more.
    async fn progressed(
        &self,
        target: &Target,
        (done, hidden): (i64, &[i64]),
        (sent_at, idle_at): (i64, i64),
    ) -> Result<Option<Target>, Fault> {
        let (node, target) = (self.app.node.clone(), target.clone());
        let hidden = hidden.to_vec();
        let progressed = Progressed {
            sent_at,
            idle_at,
            ..self.progress(done)
        };
        let written = self.app.store.write(permit()?, move |tx| {
            let range = (target.done, done);
            for number in &hidden {
                tx.settle_events(
                    target.rid,
                    (number - 1, *number),
                    Fate::Skipped,
                    progressed.at,
                )?;
            }
            if done > target.done {
                tx.settle_events(target.rid, range, Fate::Delivered, progressed.at)?;
            }
            tx.target_progressed(&target, &node, progressed)
        });
        written.await.map_err(|error: Error| Fault::from(error))
    }

    fn progress(&self, done: i64) -> Progressed {
        let now: Instant = (self.app.clock)();
        Progressed {
            done,
            at: now,
            sent_at: now.micros(),
            idle_at: NEVER,
            until: now.plus(Duration::from_millis(self.app.limits.delivery_lease_ms)),
        }
    }

    /// Notes what has arrived, and what has not.
    async fn failed(&self, target: &Target, done: i64, trouble: Trouble) -> Result<(), Fault> {
        if trouble.state == Some(State::Error) {
            self.app.dispatch.given_up.add(1);
            let (id, problem) = (&target.id, &trouble.problem);
            tracing::error!(subscription = id, "a subscription is given up: {problem}");
        }
        let (app, target) = (Arc::clone(&self.app), target.clone());
        let progressed = self.progress(done);
        let written = self.app.store.write(permit()?, move |tx| {
            let now = progressed.at;
            if done > target.done {
                tx.settle_events(target.rid, (target.done, done), Fate::Delivered, now)?;
                tx.target_progressed(&target, &app.node, progressed)?;
            }
            if !tx.target_failed(&target, &app.node, &trouble)? {
                return tx.release_target(target.rid, &app.node);
            }
            if let Some(state) = trouble.state {
                let at = (target.id.as_str(), target.version);
                let version = status::write(tx, &app, at, state, &trouble.problem, now)?;
                if let Some(version) = version {
                    tx.target_version(target.rid, version)?;
                }
            }
            Ok::<_, Error>(())
        });
        Ok(written.await?)
    }
}

impl Trouble {
    fn off(problem: &str) -> Self {
        Self {
            state: Some(State::Off),
            attempts: 0,
            due_at: NEVER,
            problem: problem.to_owned(),
        }
    }

    /// Nobody may be told on its behalf.
    fn orphaned() -> Self {
        let told = "who wrote it may not be told of anything any more (the key was revoked, the client removed), or is not \
            known: somebody who may has to put it again";
        Self {
            state: Some(State::Error),
            ..Self::off(told)
        }
    }
}
