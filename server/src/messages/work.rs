//! Messages that were acknowledged before they were applied, and those that are to be tried again: worked on in the order
//! in which they were kept, side by side where they are about different patients. What is to be done stands in the
//! database: a crash loses nothing of it, and of several nodes one does it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant as Clock};

use bytes::Bytes;
use fhir_spec::{Issue, IssueCode};
use interop::formats::hl7v2::Text;
use interop::route::Verdict;
use tokio::task::JoinSet;

use super::document::Purpose;
use super::outcome::Fate;
use super::take::{is_senders, refusal, write};
use super::{Arrival, Desk};
use crate::auth::Action;
use crate::facade;
use crate::fault::Fault;
use crate::instant::Instant;
use crate::store::{Lease, Stage, Status, Waiting, Whole};

/// How often it is looked whether another node has left something.
const POLL: Duration = Duration::from_secs(1);
/// The pause when the database has no time.
const PAUSE: Duration = Duration::from_secs(1);
/// Rows that are read together, as a multiple of those that are worked on at a time.
const AHEAD: usize = 4;

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attempt {
    Settled(Status),
    /// Through no fault of the message: once more, later.
    Later,
}

/// As long as the server runs.
pub async fn run(desk: Arc<Desk>) {
    let node = (desk.app.ids)((desk.app.clock)());
    let mut tried = HashMap::new();
    loop {
        match desk.work_off(&node, &mut tried).await {
            Ok(true) => continue,
            Ok(false) => {}
            Err(fault) => {
                tracing::warn!(kind = ?fault.kind, "messages that wait were not worked on");
                tokio::time::sleep(PAUSE).await;
            }
        }
        // Whichever comes first; both mean to look.
        let _looked = tokio::time::timeout(POLL, desk.work.notified()).await;
    }
}

impl Desk {
    /// Works on what waits now. Whether there may be more.
    async fn work_off(
        self: &Arc<Self>,
        node: &str,
        tried: &mut HashMap<i64, u32>,
    ) -> Result<bool, Fault> {
        let most = self.app.limits.message_work_max * AHEAD;
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let waiting = self.waiting(most).await?;
        if waiting.is_empty() || !self.lease(node).await? {
            return Ok(false);
        }
        let begun = Clock::now();
        let lease = Duration::from_millis(self.app.limits.message_lease_ms);
        let mut tasks = JoinSet::new();
        let mut is_late = false;
        let mut done = |ended: Result<(i64, Attempt), tokio::task::JoinError>| {
            // A panic is nobody's fault that can be named here: the message is tried again and held after that.
            if let Ok((number, Attempt::Settled(_))) = ended {
                tried.remove(&number);
            } else {
                is_late = true;
            }
        };
        for row in &waiting {
            if begun.elapsed() > lease / 3 {
                break;
            }
            while tasks.len() >= self.app.limits.message_work_max {
                if let Some(ended) = tasks.join_next().await {
                    done(ended);
                }
            }
            let desk = Arc::clone(self);
            let (number, id) = (row.number, row.id.clone());
            let Some(whole) = self.whole(&id).await? else {
                continue;
            };
            // In the order in which they were kept.
            let arrival = self.arrive_again(&whole);
            tasks.spawn(async move { (number, desk.again(&whole, arrival).await) });
        }
        while let Some(ended) = tasks.join_next().await {
            done(ended);
        }
        if is_late {
            self.give_up(&waiting, tried).await?;
            tokio::time::sleep(PAUSE).await;
        }
        Ok(true)
    }

    async fn waiting(&self, most: i64) -> Result<Vec<Waiting>, Fault> {
        let permit = Self::permit()?;
        let read = self
            .app
            .store
            .read(permit, move |view| view.waiting_messages(0, most));
        Ok(read.await?)
    }

    async fn lease(&self, node: &str) -> Result<bool, Fault> {
        let now = (self.app.clock)();
        let lease_us = i64::try_from(self.app.limits.message_lease_ms * 1_000).unwrap_or(i64::MAX);
        let lease = Lease {
            node: node.to_owned(),
            now,
            until: Instant::from_micros(now.micros().saturating_add(lease_us)),
        };
        let permit = Self::permit()?;
        let store = &self.app.store;
        Ok(store
            .write(permit, move |tx| tx.lease_messages(&lease))
            .await?)
    }

    /// All that is known of a message.
    pub async fn whole(&self, id: &str) -> Result<Option<Whole>, Fault> {
        let (permit, id) = (Self::permit()?, id.to_owned());
        let read = self.app.store.read(permit, move |view| view.message(&id));
        Ok(read.await?)
    }

    /// Takes the place of a kept message among those that come. None: its route is not there any more.
    pub(super) fn arrive_again(&self, whole: &Whole) -> Option<Arrival> {
        let running = self.route_of(&whole.listed.route)?;
        let arrival = self.arrive(&running, Bytes::from(whole.raw.clone()), None);
        let file = Some(whole.listed.file.as_str()).filter(|file| !file.is_empty());
        Some(Arrival {
            file: file.map(Arc::from),
            ..arrival
        })
    }

    /// Works on a message that is kept. What was answered stays as it was.
    pub(super) async fn again(
        self: &Arc<Self>,
        whole: &Whole,
        arrival: Option<Arrival>,
    ) -> Attempt {
        let Some(arrival) = arrival else {
            let route = &whole.listed.route;
            let issue = Issue::error(
                IssueCode::NotFound,
                format!("there is no route {route} any more"),
            );
            return self.settle(whole, Stage::Parsed, &[issue]).await;
        };
        arrival.ticket.turn().await;
        let arrival = Arc::new(arrival);
        let submission = match self.mapped(&arrival, &whole.listed.id).await {
            Ok(Ok(submission)) => submission,
            Ok(Err((stage, issues))) => return self.settle(whole, stage, &issues).await,
            Err(_) => return Attempt::Later,
        };
        let fate = Fate {
            stage: Stage::Applied,
            status: Status::Applied,
            verdict: Verdict::Accepted,
            issues: &submission.issues,
        };
        let outcome = fate.outcome(None, (self.app.clock)());
        let number = whole.listed.number;
        let mut issues = submission.issues.clone();
        let cx = self.cx_of(&arrival.running, &whole.listed.facts, &whole.listed.id);
        let applied = facade::apply(&cx, submission, &[Action::Messages], move |tx, applied| {
            let mut outcome = outcome.clone();
            outcome.touched.clone_from(&applied.touched);
            write(tx, &Err(number), &outcome).map_err(Fault::from)
        });
        match applied.await {
            Ok(_) => Attempt::Settled(Status::Applied),
            Err(fault) if is_senders(&fault) => {
                issues.splice(0..0, fault.issues);
                self.settle(whole, Stage::Mapped, &issues).await
            }
            Err(_) => Attempt::Later,
        }
    }

    /// It cannot be applied. Who was told that it was accepted does not know: somebody must look at it.
    async fn settle(&self, whole: &Whole, stage: Stage, issues: &[Issue]) -> Attempt {
        let fate = refusal(stage, issues);
        let was_accepted = matches!(whole.listed.code.as_str(), "AA" | "CA");
        let fate = Fate {
            status: if was_accepted {
                Status::Held
            } else {
                fate.status
            },
            ..fate
        };
        let outcome = fate.outcome(None, (self.app.clock)());
        let number = whole.listed.number;
        let Ok(permit) = Self::permit() else {
            return Attempt::Later;
        };
        let written = self
            .app
            .store
            .write(permit, move |tx| tx.settle_message(number, &outcome));
        match written.await {
            Ok(()) => Attempt::Settled(fate.status),
            Err(_) => Attempt::Later,
        }
    }

    /// Those that were tried often enough are held.
    async fn give_up(
        &self,
        waiting: &[Waiting],
        tried: &mut HashMap<i64, u32>,
    ) -> Result<(), Fault> {
        let left = self
            .waiting(i64::try_from(waiting.len()).unwrap_or(i64::MAX))
            .await?;
        for row in left.iter().filter(|row| waiting.contains(row)) {
            let attempts = tried.entry(row.number).or_default();
            *attempts += 1;
            if *attempts < self.app.limits.message_attempts_max {
                continue;
            }
            if let Some(whole) = self.whole(&row.id).await? {
                let text = format!("it was tried {attempts} times and the store could not take it");
                let issue = Issue::error(IssueCode::Transient, text);
                if let Attempt::Settled(_) = self.settle(&whole, Stage::Mapped, &[issue]).await {
                    tried.remove(&row.number);
                }
            }
        }
        Ok(())
    }

    /// The text of a message as it was read, and what made what in it when that is asked for.
    pub fn shown(&self, whole: &Whole, is_traced: bool) -> (String, String) {
        let running = self.route_of(&whole.listed.route);
        if let Some(running) = running.as_ref().filter(|running| running.is_of_documents()) {
            return self.document_shown(running, whole, is_traced);
        }
        let intake = running.as_ref().map(|running| running.route.intake());
        let Ok(text) = Text::read(&whole.raw, intake.unwrap_or_default()) else {
            return (
                String::from_utf8_lossy(&whole.raw).into_owned(),
                String::new(),
            );
        };
        let mut trace = String::new();
        if let (true, Some(running), Ok(message)) = (is_traced, running, text.message()) {
            let purpose = Purpose::shown(whole);
            let translated = self.translate(&running, &message, purpose);
            trace = translated.map_or_else(|_| String::new(), |translated| translated.trace);
        }
        (text.as_str().to_owned(), trace)
    }

    /// Something is there to be worked on.
    pub fn work_comes(&self) {
        self.work.notify_one();
    }
}
