//! Messages that are acknowledged by who is further on: kept, applied where the route wants that, and put into the row of a
//! destination in one transaction; the answer that comes from there is the answer to the sender.

use std::sync::Arc;
use std::time::Duration;

use fhir_spec::{Issue, IssueCode};
use interop::host::{Applied, Submission};
use interop::route::Verdict;

use super::outcome::Fate;
use super::take::{Place, answered, is_senders, write};
use super::{Answered, Arrival, Desk};
use crate::auth::Action;
use crate::destinations::Destination;
use crate::facade;
use crate::fault::Fault;
use crate::outbound::forward::{self, followed};
use crate::store::{self, Followed, Message, NewOutgoing, Stage, Status};

/// Beside connecting and answering, for what stands before it in the row.
const SLACK: Duration = Duration::from_secs(1);

impl Desk {
    pub(super) async fn pass_on(
        self: &Arc<Self>,
        arrival: &Arc<Arrival>,
        place: &Place,
    ) -> Result<Answered, Fault> {
        let route = &arrival.running.route;
        let name = route.destination.as_deref().unwrap_or_default();
        let Some(destination) = self.app.destinations.get(name) else {
            let told = format!("there is no destination {name}");
            let issue = Issue::error(IssueCode::NotFound, told);
            return self.refuse(arrival, place, Stage::Parsed, &[issue]).await;
        };
        let submission = match route.applies {
            false => None,
            true => match self.mapped(arrival, &place.id).await? {
                Ok(submission) => Some(submission),
                Err((stage, issues)) => return self.refuse(arrival, place, stage, &issues).await,
            },
        };
        let incoming = Message {
            id: place.id.clone(),
            ..arrival.row(false)
        };
        let new = forward::of(&self.app, name, &incoming);
        let mut issues = submission
            .as_ref()
            .map_or_else(Vec::new, |submission| submission.issues.clone());
        match self.kept_and_queued(arrival, place, submission, new).await {
            Ok(()) => {}
            Err(fault) if is_senders(&fault) => {
                issues.splice(0..0, fault.issues);
                return self.refuse(arrival, place, Stage::Mapped, &issues).await;
            }
            Err(fault) => return Err(fault),
        }
        destination.wake();
        self.answer_of(arrival, place, &destination, issues).await
    }

    /// All of it, or nothing.
    async fn kept_and_queued(
        &self,
        arrival: &Arrival,
        place: &Place,
        submission: Option<Submission>,
        new: NewOutgoing,
    ) -> Result<(), Fault> {
        let (row, now) = (arrival.kept(place), (self.app.clock)());
        let issues = submission
            .as_ref()
            .map(|submission| submission.issues.clone());
        let fate = Fate {
            stage: submission
                .as_ref()
                .map_or(Stage::Parsed, |_| Stage::Applied),
            status: Status::Waiting,
            verdict: Verdict::Accepted,
            issues: issues.as_deref().unwrap_or_default(),
        };
        let outcome = fate.outcome(None, now);
        let also = move |tx: &mut store::Tx<'_>, applied: &Applied| {
            let mut outcome = outcome.clone();
            outcome.touched.clone_from(&applied.touched);
            write(tx, &row, &outcome)?;
            tx.pass_on(&new, now)?;
            Ok::<_, Fault>(())
        };
        match submission {
            Some(submission) => {
                let cx = self.cx_of(&arrival.running, &arrival.facts, &place.id);
                facade::apply(&cx, submission, &[Action::Messages], also).await?;
            }
            None => {
                let work = move |tx: &mut store::Tx<'_>| also(tx, &Applied::default());
                self.app.store.write(Self::permit()?, work).await?;
            }
        }
        Ok(())
    }

    /// Waits for what is said further on, keeps it and says it.
    async fn answer_of(
        &self,
        arrival: &Arrival,
        place: &Place,
        destination: &Destination,
        mut issues: Vec<Issue>,
    ) -> Result<Answered, Fault> {
        let settings = &destination.settings;
        let within = Duration::from_millis(settings.connect_ms + settings.answer_ms) + SLACK;
        let found = followed(&self.app, destination, &place.id, within).await?;
        let applies = arrival.running.route.applies;
        let trouble = found.as_ref().and_then(|found| trouble(destination, found));
        let (stage, status) = match (&trouble, applies) {
            (Some(_), true) => (Stage::Applied, Status::Error),
            (Some(_), false) => (Stage::Parsed, Status::Error),
            (None, true) => (Stage::Applied, Status::Applied),
            (None, false) => (Stage::Parsed, Status::Sent),
        };
        let is_rejected = trouble
            .as_ref()
            .is_some_and(|(_, is_rejected)| *is_rejected);
        issues.splice(0..0, trouble.into_iter().map(|(issue, _)| issue));
        let verdict = match (status, is_rejected) {
            (Status::Error, true) => Verdict::Rejected(&issues),
            (Status::Error, false) => Verdict::Error(&issues),
            _ => Verdict::Accepted,
        };
        let fate = Fate {
            stage,
            status,
            verdict,
            issues: &issues,
        };
        let reply = self.replied(arrival, verdict);
        let mut outcome = fate.outcome(Some(reply.clone()), (self.app.clock)());
        if let Some(whole) = self.whole(&place.id).await? {
            outcome.touched = whole.touched;
            let number = whole.listed.number;
            let work = move |tx: &mut store::Tx<'_>| tx.settle_message(number, &outcome);
            self.app.store.write(Self::permit()?, work).await?;
        }
        Ok(answered(&place.id, reply))
    }
}

/// Why it was not taken there, and whether it never will be.
fn trouble(destination: &Destination, found: &Followed) -> Option<(Issue, bool)> {
    let name = destination.name();
    let told = match (found.status, found.reason.as_str()) {
        (Status::Sent, _) => return None,
        (_, "") => match destination.outage() {
            Some((why, _)) => format!("{name}: {why}; the message is kept and passed on later"),
            None => {
                format!("{name} has not answered in time; the message is kept and passed on later")
            }
        },
        (_, reason) => format!("{name}: {reason}"),
    };
    let is_rejected = found.reason.starts_with("AR") || found.reason.starts_with("CR");
    Some((Issue::error(IssueCode::Processing, told), is_rejected))
}
