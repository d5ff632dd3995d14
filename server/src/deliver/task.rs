//! The work for one target: its events in order, until there are none or one does not arrive.

use std::time::Duration;

use super::backoff::pause;
use super::signature::signatures;
use super::{Outcome, Worker, permit};
use crate::accept::resource_type;
use crate::auth::{Action, Caller, may, may_all};
use crate::fault::Fault;
use crate::instant::Instant;
use crate::limits;
use crate::store::{Error, Event, Fate, Found, NEVER, Progressed, State, Target, Trouble};
use crate::subscriptions::notification::{self, Notification};
use crate::subscriptions::sealing::Seal;
use crate::subscriptions::{Subscription, TYPE, status};

/// What is known of a target while it is worked for.
struct Told {
    subscription: Subscription,
    /// Headers and secrets as they are sent.
    headers: Vec<(String, String)>,
    secrets: Vec<String>,
}

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
        let Some(told) = self.told(&target).await? else {
            let lost = Trouble::off("it can no longer be understood");
            return self.failed(&target, target.done, lost).await;
        };
        loop {
            let (events, found) = self.batch(&target).await?;
            let mut done = target.done;
            let mut trouble = None;
            for (event, found) in events.iter().zip(&found) {
                match self.send(&target, &told, event, found.as_ref()).await {
                    Outcome::Delivered => {
                        done = event.number;
                        self.app.dispatch.delivered.add(1);
                    }
                    outcome => {
                        self.app.dispatch.failed.add(1);
                        let before = if done > target.done {
                            0
                        } else {
                            target.attempts
                        };
                        trouble = Some(self.trouble(&target, before, event, outcome));
                        break;
                    }
                }
            }
            if let Some(trouble) = trouble {
                return self.failed(&target, done, trouble).await;
            }
            match self.progressed(&target, done).await? {
                Some(next) => target = next,
                None => return Ok(()),
            }
        }
    }

    /// None: it makes no sense.
    async fn told(&self, target: &Target) -> Result<Option<Told>, Fault> {
        let permit = may(&Caller::Kiln, Action::Read(TYPE))?;
        let store = &self.app.store;
        let found = store
            .find(&permit, TYPE, &target.id, Some(target.version))
            .await?;
        let document = found.and_then(|found| fhir_spec::json::parse(&found.body).ok());
        let Some(subscription) = document.and_then(|document| Subscription::read(&document).ok())
        else {
            return Ok(None);
        };
        let seal = Seal::of(store.secret()?);
        let place = subscription.channel.endpoint.origin();
        let open = |text: &String| seal.open(&place, text).unwrap_or_else(|| text.clone());
        let channel = &subscription.channel;
        let headers = channel.headers.iter();
        let headers = headers.map(|(name, value)| (name.clone(), open(value)));
        Ok(Some(Told {
            headers: headers.collect(),
            secrets: channel.secrets.iter().map(open).collect(),
            subscription,
        }))
    }

    /// The next events with what is to be sent of them, as far as it may be read: asked anew for each of them.
    async fn batch(&self, target: &Target) -> Result<(Vec<Event>, Vec<Option<Found>>), Fault> {
        let (rid, done) = (target.rid, target.done);
        let permit = may(&Caller::Kiln, Action::Deliver)?;
        let read = self.app.store.read(permit, move |view| {
            view.events_after(rid, done, limits::DELIVERY_UNSETTLED_MAX)
        });
        let mut events: Vec<Event> = read.await.map_err(|error: Error| Fault::from(error))?;
        let types = events
            .iter()
            .filter_map(|event| resource_type(&event.resource_type));
        let permit = may_all(&subscriber(target), types.map(Action::Read))?;
        let wanted = events.clone();
        let read = self.app.store.read(permit, move |view| {
            let mut found = Vec::with_capacity(wanted.len());
            let mut bytes: usize = 0;
            for event in &wanted {
                if bytes > limits::DELIVERY_BYTES_MAX {
                    break;
                }
                let version = match resource_type(&event.resource_type) {
                    Some(type_) => view.version(type_, &event.id, event.version)?,
                    None => None,
                };
                bytes += version.as_ref().map_or(0, |found| found.body.len());
                found.push(version);
            }
            Ok::<_, Error>(found)
        });
        let found = read.await?;
        events.truncate(found.len());
        Ok((events, found))
    }

    async fn send(
        &self,
        target: &Target,
        told: &Told,
        event: &Event,
        found: Option<&Found>,
    ) -> Outcome {
        let Some(found) = found else {
            // It was erased for good: there is nothing to tell.
            return Outcome::Delivered;
        };
        let definitions = self.app.definitions();
        let made =
            notification::of_resource(&target.id, &told.subscription, event, found, definitions);
        match made {
            Ok(notification) => self.post(target, told, &notification).await,
            Err(why) => Outcome::Failed(why, None),
        }
    }

    async fn post(&self, target: &Target, told: &Told, notification: &Notification) -> Outcome {
        let room = match target.attempts {
            0 => None,
            _ => self.troubled.acquire().await.ok(),
        };
        let mut headers = told.headers.clone();
        let now_s = (self.app.clock)().since_epoch().as_secs();
        let mut add = |name: &str, value| headers.push((name.to_owned(), value));
        add("webhook-id", notification.id.clone());
        add("webhook-timestamp", now_s.to_string());
        let signed = signatures(&told.secrets, &notification.id, now_s, &notification.body);
        if !signed.is_empty() {
            add("webhook-signature", signed);
        }
        let timeout = Duration::from_millis(told.subscription.channel.timeout_ms);
        let outcome = self.client.send(notification, &headers, timeout).await;
        drop(room);
        outcome
    }

    /// What follows from a failure.
    fn trouble(&self, target: &Target, before: u32, event: &Event, outcome: Outcome) -> Trouble {
        let now = (self.app.clock)();
        let attempts = before.saturating_add(1);
        let (problem, wanted) = match outcome {
            Outcome::Gone(told) => return Trouble::off(&format!("event {}: {told}", event.number)),
            Outcome::Failed(told, wanted) => (told, wanted),
            Outcome::Delivered => (String::new(), None),
        };
        let [chance, ..] = now.micros().to_le_bytes();
        let pause = pause(&self.app.deliveries.attempts_s, attempts, wanted, chance);
        let number = event.number;
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
    async fn progressed(&self, target: &Target, done: i64) -> Result<Option<Target>, Fault> {
        let (node, target) = (self.app.node.clone(), target.clone());
        let progressed = self.progress(done);
        let written = self.app.store.write(permit()?, move |tx| {
            let range = (target.done, done);
            tx.settle_events(target.rid, range, Fate::Delivered, progressed.at)?;
            tx.target_progressed(&target, &node, progressed)
        });
        written.await.map_err(|error: Error| Fault::from(error))
    }

    fn progress(&self, done: i64) -> Progressed {
        let now: Instant = (self.app.clock)();
        Progressed {
            done,
            at: now,
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
        let (app, target) = (std::sync::Arc::clone(&self.app), target.clone());
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

/// As whom resources are read for it, asked when they are sent: what the subscriber may not see any more is not told. While
/// nobody signs in, everybody who can subscribe may see everything.
fn subscriber(_target: &Target) -> Caller {
    Caller::Open
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
}
