//! Transactions, as the server does them: some are prepared while one is written, and they are written in their order.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use fhir_spec::Issue;
use fhir_spec::json::parse;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::Error;
use super::read::Origin;
use super::write::Counts;
use crate::app::App;
use crate::auth::{Action, Caller, may};
use crate::cx::Cx;
use crate::fault::{Fault, Kind};
use crate::instant::Instant;
use crate::interactions::bundle::{self, Sent, Wishes};
use crate::operations;
use crate::store::{Step, Turn};

/// What is found by looking, within a transaction that nobody waits for.
const NOBODY_READS_IT: Bytes = Bytes::from_static(b"null");
/// A server that has trouble of its own has not judged what it was sent.
const OWN_TROUBLE: u16 = 500;

/// Transactions on their way.
pub(super) struct Transactions {
    app: Arc<App>,
    /// The address of the server, for links that name it.
    base: String,
    running: VecDeque<Running>,
    begun: u64,
    settled: watch::Sender<u64>,
}

struct Running {
    origin: Origin,
    entry: Option<usize>,
    cx: Cx,
    sent: Sent,
    step: Step,
    /// It was prepared before those ahead of it were written.
    is_early: bool,
    handle: JoinHandle<Result<Bytes, Fault>>,
}

/// What became of a transaction.
#[derive(Debug)]
pub(super) enum Settled {
    Done(Counts),
    Refused {
        origin: Origin,
        entry: Option<usize>,
        issues: Vec<Issue>,
        /// Not noted yet.
        step: Step,
    },
}

impl Transactions {
    pub(super) fn new(app: Arc<App>, base: String) -> Self {
        Self {
            app,
            base,
            running: VecDeque::new(),
            begun: 0,
            settled: watch::Sender::new(0),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.running.len()
    }

    pub(super) fn begin(
        &mut self,
        runtime: &Runtime,
        (origin, entry): (Origin, Option<usize>),
        sent: Sent,
        step: Step,
    ) -> Result<(), Error> {
        let permit = may(Caller::Open, Action::Maintain)?;
        let turn = Turn::new(self.begun, self.settled.subscribe());
        let store = self.app.store.noting(&permit, step.clone(), turn)?;
        self.begun += 1;
        let cx = Cx {
            app: Arc::new(self.app.with_store(store)),
            caller: Caller::Open,
            now: (self.app.clock)(),
        };
        let (own, again, wishes) = (cx.clone(), sent.clone(), self.wishes());
        let handle = runtime.spawn(async move { bundle::run(&own, again, wishes).await });
        self.running.push_back(Running {
            origin,
            entry,
            cx,
            sent,
            step,
            is_early: !self.running.is_empty(),
            handle,
        });
        Ok(())
    }

    fn wishes(&self) -> Wishes {
        Wishes {
            base: self.base.clone(),
            returned: None,
            limits: self.app.limits,
            operate: operations::within_bundle,
            past: |_, _, _, _| Ok(NOBODY_READS_IT),
            found: |_, _, _, _, _| Ok(NOBODY_READS_IT),
        }
    }

    /// Waits for the first of them. The next may write when `pass` says so.
    pub(super) fn settle(&mut self, runtime: &Runtime) -> Result<Option<Settled>, Error> {
        let Some(first) = self.running.pop_front() else {
            return Ok(None);
        };
        let joined = runtime.block_on(first.handle);
        let mut outcome = joined.unwrap_or_else(|error| Err(Fault::internal(error)));
        if outcome.is_err() && first.is_early {
            // What it needs may have come with one that was still ahead of it.
            outcome = runtime.block_on(bundle::run(&first.cx, first.sent, self.wishes()));
        }
        match outcome {
            Ok(answer) => Ok(Some(Settled::Done(counts(&answer, first.cx.now)))),
            Err(fault) if is_own_trouble(&fault) => Err(fault.into()),
            Err(fault) => Ok(Some(Settled::Refused {
                origin: first.origin,
                entry: first.entry,
                issues: fault.issues,
                step: first.step,
            })),
        }
    }

    /// The one that was settled is noted.
    pub(super) fn pass(&mut self) {
        self.settled.send_modify(|settled| *settled += 1);
    }
}

fn is_own_trouble(fault: &Fault) -> bool {
    fault.kind != Kind::NotImplemented && fault.kind.row().status >= OWN_TROUBLE
}

/// By what the answer says of each entry.
fn counts(answer: &[u8], now: Instant) -> Counts {
    let mut counts = Counts::default();
    let Ok(answer) = parse(answer) else {
        return counts;
    };
    let now = now.to_string();
    for entry in answer.items_of("entry") {
        let Some(response) = entry.get("response") else {
            continue;
        };
        let is_new = response.str_of("lastModified") == Some(&now);
        match response.str_of("status").and_then(|status| status.get(..3)) {
            Some("201") => counts.created += 1,
            Some("204") => counts.deleted += 1,
            Some("200") if is_new => counts.updated += 1,
            _ => counts.unchanged += 1,
        }
    }
    counts
}
