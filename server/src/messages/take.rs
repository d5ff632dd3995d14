//! From an arrival to an answer.

use std::sync::Arc;

use fhir_spec::{Issue, IssueCode};
use interop::formats::hl7v2::{Message as Read, Text};
use interop::host::{Applied, Origin, Submission};
use interop::route::{Policy, Reply, Verdict};

use super::arrival::Unread;
use super::document::Purpose;
use super::outcome::Fate;
use super::{Arrival, Desk};
use crate::auth::Action;
use crate::facade;
use crate::fault::{Fault, Kind, Panicked};
use crate::store::{self, Earlier, Outcome, Stage, Status};

/// Attempts when another node took the same message at the same time.
pub(super) const ATTEMPTS_MAX: u32 = 3;

/// What a sender is told, and what is to be known beside.
#[derive(Debug, Clone)]
pub struct Answered {
    pub reply: Reply,
    /// The message's id in the store; None: it could not be kept, and was refused for that.
    pub id: Option<String>,
    /// It was here before, and nothing was done again.
    pub is_duplicate: bool,
}

/// Where a message is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) id: String,
    pub(super) row: Row,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Row {
    /// It has none yet; whether another message had its control id.
    New { reused: bool },
    /// It was refused before and is tried again.
    Known(i64),
}

impl Desk {
    /// Does with a message what there is to do, when it is its turn, and answers.
    pub async fn take(self: &Arc<Self>, arrival: Arrival) -> Answered {
        let arrival = Arc::new(arrival);
        arrival.ticket.turn().await;
        let mut attempts = 1;
        let answered = loop {
            match self.once(&arrival).await {
                Ok(answered) => break answered,
                // Somebody else has just kept the same message: what became of it is known now.
                Err(fault) if is_taken(&fault) && attempts < ATTEMPTS_MAX => attempts += 1,
                Err(fault) => break self.unable(&arrival, &fault),
            }
        };
        if answered.is_duplicate {
            self.counts.duplicates.add(1);
        }
        self.counts
            .answered(arrival.running.name(), &answered.reply.code);
        answered
    }

    async fn once(self: &Arc<Self>, arrival: &Arc<Arrival>) -> Result<Answered, Fault> {
        let permit = Self::permit()?;
        let earlier = self
            .app
            .store
            .earlier_message(&permit, &arrival.facts, arrival.hash);
        let (id, row) = match earlier.await? {
            Earlier::None => (arrival.id.clone(), Row::New { reused: false }),
            Earlier::Other => (arrival.id.clone(), Row::New { reused: true }),
            // It had no effect, or its answer is not known yet: it is tried again, in its own row.
            Earlier::Same {
                number,
                id,
                status: Status::Error | Status::Dead | Status::Waiting,
                ..
            } => (id, Row::Known(number)),
            Earlier::Same { id, .. } if arrival.running.is_of_documents() => {
                return Ok(Answered {
                    is_duplicate: true,
                    ..answered(&id, Arrival::coded(Verdict::Accepted))
                });
            }
            Earlier::Same { id, answers, .. } => return Ok(repeated(id, answers)),
        };
        let place = Place { id, row };
        let Some(issue) = arrival.issue() else {
            return self.read(arrival, &place).await;
        };
        let reply = match &arrival.unreadable {
            Some(fault) => arrival.rejection(fault, (self.app.clock)()),
            None => self.replied(arrival, Verdict::Error(std::slice::from_ref(&issue))),
        };
        let fate = Fate {
            stage: Stage::Received,
            status: match arrival.unreadable {
                Some(_) => Status::Dead,
                None => Status::Error,
            },
            verdict: Verdict::Accepted,
            issues: std::slice::from_ref(&issue),
        };
        self.keep(
            arrival,
            &place,
            fate.outcome(Some(reply.clone()), arrival.at),
        )
        .await?;
        Ok(answered(&place.id, reply))
    }

    /// What can be read.
    async fn read(
        self: &Arc<Self>,
        arrival: &Arc<Arrival>,
        place: &Place,
    ) -> Result<Answered, Fault> {
        let route = &arrival.running.route;
        let (kind, event) = (&arrival.facts.kind, &arrival.facts.event);
        let waits = route.policy == Policy::Stored;
        let is_taken = route.takes(kind, event);
        if is_taken && route.policy == Policy::Downstream {
            return self.pass_on(arrival, place).await;
        }
        if is_taken && !waits {
            return self.apply(arrival, place).await;
        }
        let fate = Fate {
            stage: Stage::Parsed,
            status: if is_taken {
                Status::Received
            } else {
                Status::Filtered
            },
            verdict: Verdict::Accepted,
            issues: &[],
        };
        let reply = self.replied(arrival, fate.verdict);
        self.keep(
            arrival,
            place,
            fate.outcome(Some(reply.clone()), arrival.at),
        )
        .await?;
        if is_taken {
            self.work.notify_one();
        }
        Ok(answered(&place.id, reply))
    }

    /// Maps it, and has what comes of it stored together with the message and its answer.
    async fn apply(
        self: &Arc<Self>,
        arrival: &Arc<Arrival>,
        place: &Place,
    ) -> Result<Answered, Fault> {
        let submission = match self.mapped(arrival, &place.id).await? {
            Ok(submission) => submission,
            Err((stage, issues)) => return self.refuse(arrival, place, stage, &issues).await,
        };
        let reply = self.replied(arrival, Verdict::Accepted);
        let fate = Fate {
            stage: Stage::Applied,
            status: Status::Applied,
            verdict: Verdict::Accepted,
            issues: &submission.issues,
        };
        let outcome = fate.outcome(Some(reply.clone()), (self.app.clock)());
        let issues = submission.issues.clone();
        match self.store(arrival, place, submission, outcome).await {
            Ok(()) => Ok(answered(&place.id, reply)),
            Err(fault) if is_senders(&fault) => {
                let mut all = fault.issues.clone();
                all.extend(issues);
                self.refuse(arrival, place, Stage::Mapped, &all).await
            }
            Err(fault) => Err(fault),
        }
    }

    /// The resources, the row and the answer in one transaction.
    async fn store(
        &self,
        arrival: &Arrival,
        place: &Place,
        submission: Submission,
        outcome: Outcome,
    ) -> Result<(), Fault> {
        let row = arrival.kept(place);
        let also = move |tx: &mut store::Tx<'_>, applied: &Applied| {
            let mut outcome = outcome.clone();
            outcome.touched.clone_from(&applied.touched);
            write(tx, &row, &outcome).map_err(Fault::from)
        };
        let cx = self.cx_of(&arrival.running, &arrival.facts, &place.id);
        facade::apply(&cx, submission, &[Action::Messages], also).await?;
        Ok(())
    }

    /// The same beside the threads that serve others, when it is large.
    pub(super) async fn mapped(
        self: &Arc<Self>,
        arrival: &Arc<Arrival>,
        id: &str,
    ) -> Result<Result<Submission, (Stage, Vec<Issue>)>, Fault> {
        let (desk, of_work, id) = (Arc::clone(self), Arc::clone(arrival), id.to_owned());
        let cx = self.cx();
        cx.compute(arrival.bytes.len(), move || {
            Ok(desk.submission(&of_work, &id))
        })
        .await
    }

    /// What it says as resources, or how far it came and why no further.
    pub(super) fn submission(
        &self,
        arrival: &Arrival,
        id: &str,
    ) -> Result<Submission, (Stage, Vec<Issue>)> {
        if arrival.running.is_of_documents() {
            return self.of_document(arrival, id);
        }
        let route = &arrival.running.route;
        let unread = |fault: interop::formats::hl7v2::Unreadable| {
            let issue = Issue::error(IssueCode::Structure, fault.to_string());
            (Stage::Received, vec![issue])
        };
        let text = Text::read(&arrival.bytes, route.intake()).map_err(unread)?;
        let message = text.message().map_err(unread)?;
        let purpose = Purpose {
            id,
            at: arrival.at,
            trial: arrival.trial.as_ref(),
            trace: false,
            file: arrival.file.as_deref(),
        };
        let translated = self
            .translate(&arrival.running, &message, purpose)
            .map_err(|issue| (Stage::Parsed, vec![issue]))?;
        if translated.has_errors() {
            return Err((Stage::Parsed, translated.issues));
        }
        let facts = &arrival.facts;
        Ok(Submission {
            entries: translated.entries,
            issues: translated.issues,
            origin: Origin {
                format: "hl7v2".to_owned(),
                route: route.name.clone(),
                sender_application: facts.sender_application.clone(),
                sender_facility: facts.sender_facility.clone(),
                control_id: facts.control_id.clone(),
                kind: facts.kind_text(),
                event_time_us: facts.event_time_us,
                message_id: id.to_owned(),
                pack: translated.pack,
            },
        })
    }

    /// Keeps what could not be applied, with its reason.
    pub(super) async fn refuse(
        &self,
        arrival: &Arrival,
        place: &Place,
        stage: Stage,
        issues: &[Issue],
    ) -> Result<Answered, Fault> {
        let fate = refusal(stage, issues);
        let reply = self.replied(arrival, fate.verdict);
        self.keep(
            arrival,
            place,
            fate.outcome(Some(reply.clone()), arrival.at),
        )
        .await?;
        Ok(answered(&place.id, reply))
    }

    /// The row alone.
    async fn keep(&self, arrival: &Arrival, place: &Place, outcome: Outcome) -> Result<(), Fault> {
        let permit = Self::permit()?;
        let row = arrival.kept(place);
        let written = self
            .app
            .store
            .write(permit, move |tx| write(tx, &row, &outcome));
        Ok(written.await?)
    }

    /// What is answered to a message that can be read.
    pub(super) fn replied(&self, arrival: &Arrival, verdict: Verdict<'_>) -> Reply {
        if arrival.running.is_of_documents() {
            return Arrival::coded(verdict);
        }
        let now = (self.app.clock)();
        let say = |message: &Read<'_>| arrival.reply(message, verdict, now);
        let text = Text::read(&arrival.bytes, arrival.running.route.intake());
        let reply = text.and_then(|text| text.message().map(|message| say(&message)));
        reply.unwrap_or_else(|fault| arrival.rejection(&Unread::Message(fault), now))
    }

    /// Nothing was kept and nothing applied, through no fault of the sender's: it may try again.
    fn unable(&self, arrival: &Arrival, fault: &Fault) -> Answered {
        let told = |error: &(dyn std::error::Error + 'static)| error.to_string();
        let cause = fault.source.as_ref().map(|source| told(source.as_ref()));
        let (kind, cause) = (fault.kind, cause.unwrap_or_default());
        tracing::warn!(
            route = arrival.running.name(),
            ?kind,
            cause,
            "a message was put off"
        );
        let reply = match &arrival.unreadable {
            Some(fault) => arrival.rejection(fault, arrival.at),
            None => self.replied(arrival, Verdict::Error(&fault.issues)),
        };
        Answered {
            reply,
            id: None,
            is_duplicate: false,
        }
    }
}

/// What cannot be read or has no map will not be better for being sent again; all else may be.
pub(super) fn refusal(stage: Stage, issues: &[Issue]) -> Fate<'_> {
    let is_unknown = issues
        .iter()
        .all(|issue| issue.code == IssueCode::NotSupported);
    match stage {
        Stage::Received => Fate {
            stage,
            status: Status::Dead,
            verdict: Verdict::Rejected(issues),
            issues,
        },
        Stage::Parsed if is_unknown => Fate {
            stage,
            status: Status::Dead,
            verdict: Verdict::Rejected(issues),
            issues,
        },
        _ => Fate {
            stage,
            status: Status::Error,
            verdict: Verdict::Error(issues),
            issues,
        },
    }
}

pub(super) fn answered(id: &str, reply: Reply) -> Answered {
    Answered {
        reply,
        id: Some(id.to_owned()),
        is_duplicate: false,
    }
}

/// The answer that was given before.
fn repeated(id: String, texts: Vec<String>) -> Answered {
    let last = texts.last().and_then(|text| text.split("\rMSA").nth(1));
    let code = last.and_then(|msa| msa.get(1..3)).unwrap_or("CA");
    Answered {
        reply: Reply {
            code: code.to_owned(),
            texts,
        },
        id: Some(id),
        is_duplicate: true,
    }
}

/// Whether the message is at fault, not the server.
pub(super) fn is_senders(fault: &Fault) -> bool {
    fault.kind.row().status < 500 && !is_taken(fault)
}

pub(super) fn is_taken(fault: &Fault) -> bool {
    let source = fault
        .source
        .as_ref()
        .and_then(|source| source.downcast_ref());
    fault.kind == Kind::Conflict && matches!(source, Some(store::Error::Taken(_)))
}

/// A new row, or the number of one that is there.
pub(super) type Kept = Result<store::Message, i64>;

pub(super) fn write(
    tx: &mut store::Tx<'_>,
    row: &Kept,
    outcome: &Outcome,
) -> Result<(), store::Error> {
    match row {
        Ok(row) => tx.keep_message(row, outcome).map(drop),
        Err(number) => tx.settle_message(*number, outcome),
    }
}

impl Arrival {
    pub(super) fn kept(&self, place: &Place) -> Kept {
        match place.row {
            Row::New { reused } => Ok(self.row(reused)),
            Row::Known(number) => Err(number),
        }
    }
}

/// The same in a task of its own: a panic in the work costs that message an error, not the connection.
pub async fn guarded(desk: &Arc<Desk>, arrival: Arrival) -> Answered {
    let (running, bytes) = (Arc::clone(&arrival.running), arrival.bytes.clone());
    let of_task = Arc::clone(desk);
    let done = tokio::spawn(async move { of_task.take(arrival).await }).await;
    done.unwrap_or_else(|_| {
        let again = desk.arrive(&running, bytes, None);
        let answered = desk.unable(&again, &Fault::from(Panicked));
        desk.counts.answered(running.name(), &answered.reply.code);
        answered
    })
}
