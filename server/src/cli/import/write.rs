//! The writing side: steps in their order, many to a transaction, each transaction with the note of how far it goes.

use std::sync::Arc;

use super::Error;
use super::batch::{Batch, Piece, Raw, Said};
use super::prepare::{Prepared, Step, Task};
use super::read::Origin;
use super::report::Report;
use super::transact::{Settled, Transactions, Work};
use crate::accept::Sealed;
use crate::app::App;
use crate::audit;
use crate::auth::{AUDITED, Action, Caller, may_all};
use crate::fault::{Fault, Kind};
use crate::instant::Instant;
use crate::interactions::bundle::Sent;
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
    pub(super) deleted: u64,
    /// Messages and documents that were here before.
    pub(super) known: u64,
}

impl Counts {
    pub(super) fn add(&mut self, other: Self) {
        self.created += other.created;
        self.updated += other.updated;
        self.unchanged += other.unchanged;
        self.deleted += other.deleted;
        self.known += other.known;
    }

    pub(super) fn all(self) -> u64 {
        self.created + self.updated + self.unchanged + self.deleted
    }
}

pub(super) struct Writing<'a> {
    app: Arc<App>,
    runtime: tokio::runtime::Runtime,
    report: &'a mut Report,
    group: Group,
    /// Rows that are gathered.
    batch: Option<Batch>,
    transactions: Transactions,
    /// The last source that something was written of, and what is noted of it.
    noted: Option<(Arc<str>, Reached)>,
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
    pub(super) fn new(app: Arc<App>, base: String, report: &'a mut Report) -> Result<Self, Error> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .map_err(Error::Runtime)?;
        Ok(Self {
            transactions: Transactions::new(Arc::clone(&app), base),
            app,
            runtime,
            report,
            group: Group::default(),
            batch: None,
            noted: None,
            counts: Counts::default(),
        })
    }

    /// Takes what was prepared.
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
        let Step {
            origin,
            entry,
            known,
            to,
            task,
        } = step;
        let source = Arc::clone(&origin.source);
        let from = match &self.noted {
            Some((noted, reached)) if *noted == source => Some(*reached),
            _ => known,
        };
        self.noted = Some((Arc::clone(&source), to));
        let noted = store::Step {
            source: source.to_string(),
            from,
            to,
        };
        let task = match task {
            Task::Foreign(raw, said) => return self.foreign(origin, raw, said, &noted),
            task => task,
        };
        let task = match refusal(&self.app, &task) {
            Some(issue) => Task::Refuse(vec![issue]),
            None => task,
        };
        self.begin_batch()?;
        match task {
            Task::Foreign(..) => {}
            Task::Run(sent) => return self.run((origin, entry), sent, noted),
            Task::Place(sealed) if is_parameter(&sealed) => {
                return self.parameter((origin, entry), Write::Place(sealed), noted);
            }
            Task::Create(sealed) if is_parameter(&sealed) => {
                return self.parameter((origin, entry), Write::Create(sealed), noted);
            }
            Task::Place(sealed) => self.group.push(Write::Place(sealed)),
            Task::Create(sealed) => self.group.push(Write::Create(sealed)),
            Task::Refuse(issues) => self.report.add(&origin, entry, &issues)?,
            Task::Nothing => {}
        }
        self.group.note(noted);
        if self.group.is_full() {
            self.flush()?;
        }
        Ok(())
    }

    /// A search parameter by itself: only when it is its turn is it known whether it fits those that came before.
    fn parameter(
        &mut self,
        (origin, entry): (Origin, Option<usize>),
        write: Write,
        step: store::Step,
    ) -> Result<(), Error> {
        self.flush()?;
        let mut group = Group::default();
        group.push(write);
        group.note(step.clone());
        let Err(fault) = self.try_write(group)? else {
            return Ok(());
        };
        if fault.kind != Kind::Unprocessable {
            return Err(fault.into());
        }
        self.report.add(&origin, entry, &fault.issues)?;
        self.group.note(step);
        Ok(())
    }

    fn run(
        &mut self,
        place: (Origin, Option<usize>),
        sent: Sent,
        step: store::Step,
    ) -> Result<(), Error> {
        if !self.group.steps.is_empty() {
            self.flush()?;
        }
        let (origin, entry) = place;
        let work = Work::Bundle {
            origin,
            entry,
            sent,
        };
        self.begin(work, step)
    }

    fn begin(&mut self, work: Work, step: store::Step) -> Result<(), Error> {
        self.transactions.begin(&self.runtime, work, step)?;
        if self.transactions.len() > limits::IMPORT_TRANSACTIONS_AHEAD_MAX {
            self.settle()?;
        }
        Ok(())
    }

    /// A row joins those before it; a message goes by itself.
    fn foreign(
        &mut self,
        origin: Origin,
        raw: Raw,
        said: Result<Said, Vec<fhir_spec::Issue>>,
        step: &store::Step,
    ) -> Result<(), Error> {
        let said = match said {
            Ok(said) => {
                if let Some(issues) = said.refused() {
                    let errors = issues.iter().filter(|issue| issue.is_error()).cloned();
                    let errors: Vec<fhir_spec::Issue> = errors.collect();
                    self.report.add_raw(&origin, &raw, &errors)?;
                }
                said
            }
            Err(issues) => {
                self.report.add_raw(&origin, &raw, &issues)?;
                Said::Nothing
            }
        };
        let source = Arc::clone(&origin.source);
        let piece = Piece {
            origin,
            raw,
            said,
            to: step.to,
        };
        match &mut self.batch {
            Some(batch) if batch.takes(&piece) => batch.pieces.push(piece),
            _ => {
                self.begin_batch()?;
                self.batch = Some(Batch {
                    source,
                    from: step.from,
                    pieces: vec![piece],
                });
            }
        }
        Ok(())
    }

    /// The rows that were gathered are on their way.
    fn begin_batch(&mut self) -> Result<(), Error> {
        let Some(batch) = self.batch.take() else {
            return Ok(());
        };
        let Some(to) = batch.to() else {
            return Ok(());
        };
        let step = store::Step {
            source: batch.source.to_string(),
            from: batch.from,
            to,
        };
        if !batch.says(0..batch.pieces.len()) {
            self.settle_all()?;
            self.group.note(step);
            return self.write_group();
        }
        if !self.group.steps.is_empty() {
            self.settle_all()?;
            self.write_group()?;
        }
        // What was refused is reported before it is noted that it was read.
        self.report.flush()?;
        self.begin(Work::Rows(Arc::new(batch)), step)
    }

    /// Waits for the first of the transactions under way.
    fn settle(&mut self) -> Result<(), Error> {
        let report = &mut *self.report;
        let mut refuse = |piece: &Piece, issues: &[fhir_spec::Issue]| {
            report.add_raw(&piece.origin, &piece.raw, issues)?;
            report.flush()?;
            Ok(())
        };
        match self.transactions.settle(&self.runtime, &mut refuse)? {
            None => return Ok(()),
            Some(Settled::Done(counts)) => self.counts.add(counts),
            Some(Settled::Partly(counts, step)) => {
                self.counts.add(counts);
                let mut group = Group::default();
                group.note(step);
                self.write(group)?;
            }
            Some(Settled::Refused {
                origin,
                entry,
                issues,
                step,
            }) => {
                self.report.add(&origin, entry, &issues)?;
                let mut group = Group::default();
                group.note(step);
                self.write(group)?;
            }
        }
        self.transactions.pass();
        Ok(())
    }

    /// Everything that was taken is written.
    pub(super) fn flush(&mut self) -> Result<(), Error> {
        self.begin_batch()?;
        self.settle_all()?;
        self.write_group()
    }

    fn settle_all(&mut self) -> Result<(), Error> {
        while self.transactions.len() > 0 {
            self.settle()?;
        }
        Ok(())
    }

    fn write_group(&mut self) -> Result<(), Error> {
        let group = std::mem::take(&mut self.group);
        self.write(group)
    }

    fn write(&mut self, group: Group) -> Result<(), Error> {
        Ok(self.try_write(group)??)
    }

    fn try_write(&mut self, group: Group) -> Result<Result<(), Fault>, Error> {
        self.report.flush()?;
        if group.steps.is_empty() {
            return Ok(Ok(()));
        }
        let actions = group.writes.iter().map(Write::action);
        let permit = may_all(&importer(&self.app), actions.chain([Action::Maintain]))?;
        let app = Arc::clone(&self.app);
        let now = (app.clock)();
        let written = self
            .app
            .store
            .write(permit, move |tx| group.write(tx, &app, now));
        Ok(match self.runtime.block_on(written) {
            Ok(counts) => {
                self.counts.add(counts);
                Ok(())
            }
            Err(fault) => Err(fault),
        })
    }
}

/// In whose name the import writes: the audit tells of it.
pub(super) fn importer(app: &App) -> Caller {
    audit::noted(app, "import", "kiln import".to_owned(), "")
}

/// What has happened is told by the audit and by nobody else.
fn refusal(app: &App, task: &Task) -> Option<fhir_spec::Issue> {
    let (Task::Place(sealed) | Task::Create(sealed)) = task else {
        return None;
    };
    let is_of_audit = app.audit.is_on() && sealed.resource_type() == AUDITED;
    let told = "events of the audit are told by this server and not brought in";
    is_of_audit.then(|| fhir_spec::Issue::error(fhir_spec::IssueCode::Forbidden, told))
}

fn is_parameter(sealed: &Sealed) -> bool {
    sealed.resource_type() == "SearchParameter"
}

impl Group {
    fn push(&mut self, write: Write) {
        self.bytes += write.sealed().bytes();
        self.writes.push(write);
    }

    /// Notes a further step; those of one source become one.
    fn note(&mut self, step: store::Step) {
        match self.steps.last_mut() {
            Some(last) if last.source == step.source => last.to = step.to,
            _ => self.steps.push(step),
        }
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
