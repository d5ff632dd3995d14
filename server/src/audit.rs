//! The audit: who did what to whose record, when and from where.
//! <https://profiles.ihe.net/ITI/BALP/>
//!
//! What is written is told by the transaction that writes it. What is read is noted in a visit (`crate::auth::Visit`) and kept
//! here before the answer leaves: those who wait are kept together, in one transaction, so that the flush to disk is paid once
//! for all of them. Nothing that could not be kept is shown.

pub mod event;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::app::App;
use crate::auth::{Action, Caller, Did, Ended, Record, Step, Visit, may};
use crate::config::Auditing;
use crate::fault::{Fault, Kind};
use crate::limits;
use crate::store::{self, Store};

/// Who keeps the audit.
#[derive(Debug, Default)]
pub struct Audit {
    settings: Auditing,
    queue: OnceLock<mpsc::Sender<Waiting>>,
}

/// What is to be kept before somebody is answered.
#[derive(Debug)]
struct Waiting {
    records: Vec<Record>,
    kept: oneshot::Sender<bool>,
}

/// What happens where people and programs are let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entrance {
    SignedIn,
    SignedOut,
    /// A token was given, or exchanged.
    Token,
    Revoked,
    /// A person has decided what an app may do.
    Consented,
    /// Keys, clients or people were changed.
    Changed,
}

impl Entrance {
    fn code(self) -> &'static str {
        match self {
            Self::SignedIn => "login",
            Self::SignedOut => "logout",
            Self::Token => "token",
            Self::Revoked => "revoke",
            Self::Consented => "grant",
            Self::Changed => "security",
        }
    }
}

/// Somebody at the entrance.
#[derive(Debug, Clone, Copy)]
pub struct Entering<'a> {
    pub what: Entrance,
    /// `user:anna`, `client:app`; what they say when they are not known.
    pub who: &'a str,
    /// From which address of the network.
    pub address: &'a str,
    /// The id of the request; empty: it has none.
    pub request: &'a str,
    pub is_let_in: bool,
    /// For people: for which client, why not. No secrets, no health data.
    pub told: &'a str,
}

impl Audit {
    pub fn new(settings: Auditing) -> Self {
        Self {
            settings,
            queue: OnceLock::new(),
        }
    }

    /// Whether anything is told.
    pub fn is_on(&self) -> bool {
        self.settings.is_on
    }

    pub fn settings(&self) -> Auditing {
        self.settings
    }

    /// From now on those who wait are kept together.
    pub fn start(&self, store: &Store) {
        if self.settings.is_on {
            let (queue, waiting) = mpsc::channel(limits::AUDIT_QUEUE_MAX);
            // It is started once: the first stays.
            if self.queue.set(queue).is_ok() {
                tokio::spawn(keep_all(store.clone(), waiting));
            }
        }
    }

    /// Keeps what was noted of a visit. Until then nobody may be answered.
    pub async fn settle(&self, store: &Store, visit: &Visit) -> Result<(), Fault> {
        let records = visit.records();
        match self.keep(store, records).await {
            true => Ok(()),
            false if visit.has_written() => Err(Fault::new(
                Kind::Unsure,
                "what was read could not be told to the audit, so it is not shown; what was written is written",
            )),
            false => Err(Fault::new(
                Kind::Unavailable,
                "this could not be told to the audit, so it is not shown",
            )),
        }
    }

    /// Whether these are kept.
    async fn keep(&self, store: &Store, records: Vec<Record>) -> bool {
        if records.is_empty() {
            return true;
        }
        let Some(queue) = self.queue.get() else {
            return written(store, records).await;
        };
        let (kept, answer) = oneshot::channel();
        let wait = Duration::from_millis(limits::AUDIT_WAIT_MS);
        // Who comes when the queue is full waits, and is not answered when that takes too long.
        match queue.send_timeout(Waiting { records, kept }, wait).await {
            Ok(()) => answer.await.unwrap_or(false),
            Err(_) => {
                tracing::error!("the queue of the audit stayed full: an answer was held back");
                false
            }
        }
    }
}

/// The server itself, in the name of whoever has sent it something by one of its doors.
pub fn noted(app: &App, door: &'static str, who: String, request: &str) -> Caller {
    if !app.audit.is_on() {
        return Caller::Kiln;
    }
    let mut visit = Visit::new(Caller::Kiln, door, (app.clock)());
    visit.who = who;
    request.clone_into(&mut visit.request);
    Caller::Noted(Arc::new(visit))
}

/// Tells of somebody at the entrance.
pub async fn entered(app: &App, entering: Entering<'_>) -> Result<(), Fault> {
    if !app.audit.is_on() {
        return Ok(());
    }
    let mut visit = Visit::new(Caller::Open, "auth", (app.clock)());
    entering.who.clone_into(&mut visit.who);
    entering.address.clone_into(&mut visit.address);
    entering.request.clone_into(&mut visit.request);
    visit.note(Step {
        code: entering.what.code(),
        action: Did::Execute,
        outcome: match entering.is_let_in {
            true => Ended::Well,
            false => Ended::Refused,
        },
        told: (!entering.told.is_empty()).then(|| entering.told.to_owned()),
        ..Step::default()
    });
    app.audit.settle(&app.store, &visit).await
}

/// What is sent out of the house.
#[derive(Debug, Clone, Copy)]
pub struct Sending<'a> {
    /// Scheme, host and port, or what else tells the receiver from others. No secrets.
    pub to: &'a str,
    /// The channel.
    pub door: &'static str,
    pub is_sent: bool,
    /// For whom, and in which way.
    pub why: &'a str,
}

/// A resource by type and id, its version, and its text where that went along.
pub type Item<'a> = ((&'a str, &'a str), u64, Option<&'a [u8]>);

/// Tells what has left the house.
pub async fn sent<'a>(
    app: &App,
    sending: &Sending<'_>,
    resources: impl Iterator<Item = Item<'a>>,
) -> Result<(), Fault> {
    if !app.audit.is_on() {
        return Ok(());
    }
    let mut visit = Visit::new(Caller::Kiln, sending.door, (app.clock)());
    sending.to.clone_into(&mut visit.who);
    sending.to.clone_into(&mut visit.address);
    let (mut patients, mut what) = (Vec::new(), Vec::new());
    for (named, version, text) in resources {
        visit.patients_of(named, text.unwrap_or_default(), &mut patients);
        what.push(format!("{}/{}/_history/{version}", named.0, named.1));
    }
    visit.note(Step {
        code: event::SENT,
        action: Did::Read,
        outcome: match sending.is_sent {
            true => Ended::Well,
            false => Ended::Failed,
        },
        patients,
        what: (!what.is_empty()).then(|| what.join(" ")),
        told: Some(sending.why.to_owned()),
        ..Step::default()
    });
    app.audit.settle(&app.store, &visit).await
}

async fn keep_all(store: Store, mut waiting: mpsc::Receiver<Waiting>) {
    let mut group = Vec::new();
    while waiting.recv_many(&mut group, limits::AUDIT_GROUP_MAX).await > 0 {
        let records = group
            .iter_mut()
            .flat_map(|one| std::mem::take(&mut one.records));
        let is_kept = written(&store, records.collect()).await;
        for one in group.drain(..) {
            // Who has gone away needs no answer.
            let _gone = one.kept.send(is_kept);
        }
    }
}

async fn written(store: &Store, records: Vec<Record>) -> bool {
    let Ok(permit) = may(&Caller::Kiln, Action::Note) else {
        return false;
    };
    let done = store.write(permit, move |tx| tx.keep_audit(&records)).await;
    if let Err(error) = &done {
        let error: &store::Error = error;
        tracing::error!(%error, "the audit could not be kept: answers are held back");
    }
    done.is_ok()
}
