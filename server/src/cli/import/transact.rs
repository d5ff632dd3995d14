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
use super::batch::{Batch, Refuse, halves};
use super::read::Origin;
use super::write::{Counts, importer};
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
    cx: Cx,
    work: Work,
    step: Step,
    /// Its place in the row.
    number: u64,
    /// It was prepared before those ahead of it were written.
    is_early: bool,
    handle: JoinHandle<Result<Counts, Fault>>,
}

/// What is to be done as one.
#[derive(Clone)]
pub(super) enum Work {
    Bundle {
        origin: Origin,
        entry: Option<usize>,
        sent: Sent,
    },
    Rows(Arc<Batch>),
}

/// What became of a transaction.
#[derive(Debug)]
pub(super) enum Settled {
    Done(Counts),
    /// Some of a batch was refused, and told; the step is not noted yet.
    Partly(Counts, Step),
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

    pub(super) fn begin(&mut self, runtime: &Runtime, work: Work, step: Step) -> Result<(), Error> {
        let number = self.begun;
        let cx = self.cx(&step, number)?;
        self.begun += 1;
        let (own, again, wishes) = (cx.clone(), work.clone(), self.wishes());
        let handle = runtime.spawn(async move { again.run(&own, wishes).await });
        self.running.push_back(Running {
            cx,
            work,
            step,
            number,
            is_early: !self.running.is_empty(),
            handle,
        });
        Ok(())
    }

    /// With a store that notes the step with what is written.
    fn cx(&self, step: &Step, number: u64) -> Result<Cx, Error> {
        let permit = may(&Caller::Kiln, Action::Maintain)?;
        let turn = Turn::new(number, self.settled.subscribe());
        let store = self.app.store.noting(&permit, step.clone(), turn)?;
        Ok(Cx {
            app: Arc::new(self.app.with_store(store)),
            caller: importer(&self.app),
            now: (self.app.clock)(),
        })
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
    pub(super) fn settle(
        &mut self,
        runtime: &Runtime,
        refuse: Refuse<'_>,
    ) -> Result<Option<Settled>, Error> {
        let Some(first) = self.running.pop_front() else {
            return Ok(None);
        };
        let joined = runtime.block_on(first.handle);
        let mut outcome = joined.unwrap_or_else(|error| Err(Fault::internal(error)));
        if outcome.is_err() && first.is_early {
            // What it needs may have come with one that was still ahead of it.
            let work = first.work.clone();
            outcome = runtime.block_on(work.run(&first.cx, self.wishes()));
        }
        match (outcome, first.work) {
            (Ok(counts), _) => Ok(Some(Settled::Done(counts))),
            (Err(fault), _) if is_own_trouble(&fault) => Err(fault.into()),
            (Err(fault), Work::Bundle { origin, entry, .. }) => Ok(Some(Settled::Refused {
                origin,
                entry,
                issues: fault.issues,
                step: first.step,
            })),
            (Err(fault), Work::Rows(batch)) => {
                let step = first.step;
                self.sift(runtime, &batch, (step, first.number), fault, refuse)
                    .map(Some)
            }
        }
    }

    /// Finds those of a batch that are refused, and writes the others.
    fn sift(
        &self,
        runtime: &Runtime,
        batch: &Batch,
        (step, number): (Step, u64),
        fault: Fault,
        refuse: Refuse<'_>,
    ) -> Result<Settled, Error> {
        let (mut counts, mut from) = (Counts::default(), step.from);
        let mut left = Vec::new();
        let mut judged = Some((0..batch.pieces.len(), fault));
        loop {
            // What was refused as a whole is tried by halves; who is alone is the one.
            if let Some((range, fault)) = judged.take() {
                match halves(&range) {
                    Some((first, second)) => left.extend([second, first]),
                    None => {
                        if let Some(piece) = batch.pieces.get(range.start) {
                            refuse(piece, &fault.issues)?;
                            let to = piece.to;
                            let source = step.source.clone();
                            let cx = self.cx(&Step { source, from, to }, number)?;
                            if runtime.block_on(piece.keep(&cx, &fault.issues))? {
                                from = Some(to);
                            }
                        }
                    }
                }
            }
            let Some(range) = left.pop() else {
                break;
            };
            let to = range
                .end
                .checked_sub(1)
                .and_then(|last| batch.pieces.get(last));
            let Some(to) = to.filter(|_| batch.says(range.clone())).map(|last| last.to) else {
                continue;
            };
            let own = Step {
                source: step.source.clone(),
                from,
                to,
            };
            let cx = self.cx(&own, number)?;
            match runtime.block_on(batch.write(&cx, range.clone())) {
                Ok(more) => {
                    counts.add(more);
                    from = Some(to);
                }
                Err(fault) if is_own_trouble(&fault) => return Err(fault.into()),
                Err(fault) => judged = Some((range, fault)),
            }
        }
        Ok(match from == Some(step.to) {
            true => Settled::Done(counts),
            false => Settled::Partly(counts, Step { from, ..step }),
        })
    }

    /// The one that was settled is noted.
    pub(super) fn pass(&mut self) {
        self.settled.send_modify(|settled| *settled += 1);
    }
}

impl Work {
    async fn run(self, cx: &Cx, wishes: Wishes) -> Result<Counts, Fault> {
        match self {
            Self::Bundle { sent, .. } => {
                let answer = bundle::run(cx, sent, wishes).await?;
                Ok(counts(&answer, cx.now))
            }
            Self::Rows(batch) => batch.write(cx, 0..batch.pieces.len()).await,
        }
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
