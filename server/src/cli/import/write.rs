//! The writing side: steps in their order, many to a transaction, each transaction with the note of how far it goes.

use std::sync::Arc;

use super::Error;
use super::prepare::{Prepared, Step, Task};
use super::report::Report;
use crate::accept::Sealed;
use crate::app::App;
use crate::auth::{Action, Caller, may_all};
use crate::fault::Fault;
use crate::instant::Instant;
use crate::interactions::precondition::Precondition;
use crate::interactions::{Effect, create, update};
use crate::limits;
use crate::store::{self, Reached, Tx};

/// What an import has done.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Counts {
    pub(super) created: u64,
    pub(super) updated: u64,
    pub(super) unchanged: u64,
}

impl Counts {
    fn add(&mut self, other: Self) {
        self.created += other.created;
        self.updated += other.updated;
        self.unchanged += other.unchanged;
    }

    pub(super) fn all(self) -> u64 {
        self.created + self.updated + self.unchanged
    }
}

pub(super) struct Writing<'a> {
    app: Arc<App>,
    runtime: tokio::runtime::Runtime,
    report: &'a mut Report,
    group: Group,
    /// The last source that something was written of, and what is noted of it.
    noted: Option<(Arc<str>, Option<Reached>)>,
    pub(super) counts: Counts,
}

/// What is written together.
#[derive(Debug, Default)]
struct Group {
    writes: Vec<Write>,
    bytes: usize,
    steps: Vec<store::Step>,
}

#[derive(Debug)]
enum Write {
    Place(Sealed),
    Create(Sealed),
}

impl Write {
    fn sealed(&self) -> &Sealed {
        match self {
            Self::Place(sealed) | Self::Create(sealed) => sealed,
        }
    }

    fn action(&self) -> Action {
        match self {
            Self::Place(sealed) => Action::Update(sealed.resource_type()),
            Self::Create(sealed) => Action::Create(sealed.resource_type()),
        }
    }
}

impl<'a> Writing<'a> {
    pub(super) fn new(app: Arc<App>, report: &'a mut Report) -> Result<Self, Error> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .map_err(Error::Runtime)?;
        Ok(Self {
            app,
            runtime,
            report,
            group: Group::default(),
            noted: None,
            counts: Counts::default(),
        })
    }

    /// Takes what was prepared; answers how much of it was written by now.
    pub(super) fn take(&mut self, prepared: Prepared) -> Result<(), Error> {
        for step in prepared.steps {
            self.step(step)?;
        }
        if let Some((origin, why)) = prepared.broken {
            let issue = fhir_spec::Issue::error(fhir_spec::IssueCode::Structure, why);
            self.report.add(&origin, None, &[issue])?;
        }
        Ok(())
    }

    fn step(&mut self, step: Step) -> Result<(), Error> {
        match step.task {
            Task::Place(sealed) => self.group.push(Write::Place(sealed)),
            Task::Create(sealed) => self.group.push(Write::Create(sealed)),
            Task::Refuse(issues) => self.report.add(&step.origin, step.entry, &issues)?,
            Task::Nothing => {}
        }
        let source = step.origin.source;
        match self.group.steps.last_mut() {
            Some(last) if *last.source == *source => last.to = step.to,
            _ => {
                let from = match &self.noted {
                    Some((noted, reached)) if *noted == source => *reached,
                    _ => step.known,
                };
                self.group.steps.push(store::Step {
                    source: source.to_string(),
                    from,
                    to: step.to,
                });
            }
        }
        self.noted = Some((source, Some(step.to)));
        if self.group.is_full() {
            self.flush()?;
        }
        Ok(())
    }

    /// Writes what waits.
    pub(super) fn flush(&mut self) -> Result<(), Error> {
        self.report.flush()?;
        let group = std::mem::take(&mut self.group);
        if group.steps.is_empty() {
            return Ok(());
        }
        let actions = group.writes.iter().map(Write::action);
        let permit = may_all(Caller::Open, actions.chain([Action::Maintain]))?;
        let app = Arc::clone(&self.app);
        let now = (app.clock)();
        let written = self.runtime.block_on(
            self.app
                .store
                .write(permit, move |tx| group.write(tx, &app, now)),
        );
        self.counts.add(written?);
        Ok(())
    }
}

impl Group {
    fn push(&mut self, write: Write) {
        self.bytes += write.sealed().bytes();
        self.writes.push(write);
    }

    fn is_full(&self) -> bool {
        self.writes.len() >= limits::IMPORT_GROUP_MAX
            || self.bytes >= limits::IMPORT_GROUP_BYTES_MAX
            || self.steps.len() >= limits::IMPORT_GROUP_MAX
    }

    fn write(&self, tx: &mut Tx<'_>, app: &App, now: Instant) -> Result<Counts, Fault> {
        let mut counts = Counts::default();
        for write in &self.writes {
            let effect = match write {
                Write::Create(sealed) => {
                    create::apply(tx, sealed, now)?;
                    Effect::Created
                }
                Write::Place(sealed) => {
                    update::apply(tx, app, sealed, None, &Precondition::default(), now)?.1
                }
            };
            match effect {
                Effect::Created => counts.created += 1,
                Effect::Updated => counts.updated += 1,
                Effect::Unchanged => counts.unchanged += 1,
            }
        }
        for step in &self.steps {
            tx.advance_import(step)?;
        }
        Ok(counts)
    }
}
