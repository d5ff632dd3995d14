//! One database transaction, as the work inside it sees it.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use fhir_spec::{Issue, IssueCode};
use search::{Registry, Rows};

use super::audited;
use super::connection::Connection;
use super::error::Error;
use super::feed::Position;
use super::followers;
use super::index::{self, Before, Pending};
use super::marks::{Marks, Tide};
use super::plan;
use super::resources::{self, Change, Found, Rid, Version};
use super::sealing;
use super::view::View;
use crate::accept::{Sealed, Stamped};
use crate::auth::{Action, Did, Letters, Permit, Record, Step};
use crate::instant::Instant;

/// What `Store::write` hands to its closure. Everything done through it happens together or not at all.
#[derive(Debug)]
pub struct Tx<'a> {
    view: View<'a>,
    /// Index rows not yet written. Whoever searches in here has them written first.
    pending: Pending,
    has_written: bool,
    /// The resource whose first version was written last.
    created: Option<Rid>,
    /// By what this transaction finds resources, once it was looked up.
    registry: Option<Arc<Registry>>,
    /// Search parameters that were written.
    parameters: Option<Parameters>,
    /// What the audit tells of this transaction.
    records: Vec<Record>,
}

/// That search parameters were written: their ids, with the definitions to read them by.
#[derive(Debug)]
struct Parameters {
    base: Arc<Registry>,
    ids: Vec<String>,
    now: Instant,
}

/// A deletion, as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deletion {
    pub version: u64,
    pub at: Instant,
}

const FIRST_VERSION: u64 = 1;
/// The type whose resources change what others are found by.
pub(super) const PARAMETER: &str = "SearchParameter";

impl<'a> Deref for Tx<'a> {
    type Target = View<'a>;

    fn deref(&self) -> &Self::Target {
        &self.view
    }
}

impl DerefMut for Tx<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.view
    }
}

impl<'a> Tx<'a> {
    pub(super) fn new(connection: &'a mut Connection, permit: &'a Permit) -> Self {
        if let Some(marks) = &mut connection.marks {
            marks.begin();
        }
        Self {
            view: View::new(connection, permit),
            pending: Pending::default(),
            has_written: false,
            created: None,
            registry: None,
            parameters: None,
            records: Vec::new(),
        }
    }

    /// Stores the first version of a resource under an id that the server chose.
    pub fn create(&mut self, sealed: &Sealed, now: Instant) -> Result<Stamped, Error> {
        self.demand(&[Action::Create(sealed.resource_type())])?;
        self.demand_new(Letters::CREATE, sealed.name(), sealed.rows())?;
        self.demand_told(sealed)?;
        self.first(sealed, now, Change::Created)
    }

    /// Stores the first version of a resource under an id that the client chose.
    pub fn place(&mut self, sealed: &Sealed, now: Instant) -> Result<Stamped, Error> {
        self.demand(&[Action::Update(sealed.resource_type())])?;
        // Whoever does not see all would learn from it which ids are taken.
        let reach = (self.permit).reach_of_new(sealed.resource_type(), Letters::UPDATE);
        if !reach.is_all() {
            return Err(Error::OutOfReach);
        }
        self.demand_told(sealed)?;
        self.first(sealed, now, Change::Placed)
    }

    fn first(&mut self, sealed: &Sealed, now: Instant, change: Change) -> Result<Stamped, Error> {
        let stamped = sealed.stamp(FIRST_VERSION, now);
        self.touch(sealed.resource_type());
        let done = resources::insert(self.connection, Version::of(&stamped, change));
        let rid = self.noted(done)?;
        self.created = Some(rid);
        let rows = self.rows_of(sealed, &stamped)?;
        self.pending.insert(rid, &rows);
        self.note_author(sealed.resource_type(), rid, stamped.version())?;
        self.note_parameter(sealed.resource_type(), sealed.id(), sealed.registry(), now);
        let texts = [&**stamped.bytes()];
        self.tell_audit("create", Did::Create, sealed.name(), &texts, now);
        Ok(stamped)
    }

    /// The number of the resource that was created last.
    pub fn created(&self) -> Option<Rid> {
        self.created
    }

    /// Stores the version that follows the current one, as the caller has just read it in this transaction.
    pub fn update(
        &mut self,
        current: &Found,
        before: &Before,
        sealed: &Sealed,
        now: Instant,
    ) -> Result<Stamped, Error> {
        self.demand(&[Action::Update(sealed.resource_type())])?;
        // Neither is something taken from elsewhere nor put there.
        self.demand_old(Letters::UPDATE, sealed.name(), before.rows())?;
        self.demand_new(Letters::UPDATE, sealed.name(), sealed.rows())?;
        self.demand_told(sealed)?;
        let change = match current.change {
            Change::Deleted => Change::Placed,
            _ => Change::Updated,
        };
        let stamped = sealed.stamp(next(current)?, later(current, now));
        self.touch(sealed.resource_type());
        let done = resources::advance(self.connection, current.rid, Version::of(&stamped, change));
        self.noted(done)?;
        let rows = self.rows_of(sealed, &stamped)?;
        self.exchange(current, before, &rows)?;
        self.note_author(sealed.resource_type(), current.rid, stamped.version())?;
        self.note_parameter(sealed.resource_type(), sealed.id(), sealed.registry(), now);
        let texts = [current.body.as_slice(), &**stamped.bytes()];
        self.tell_audit("update", Did::Update, sealed.name(), &texts, now);
        Ok(stamped)
    }

    /// Stores that the resource is gone.
    pub fn delete(
        &mut self,
        resource_type: &'static str,
        id: &str,
        current: &Found,
        before: &Before,
        now: Instant,
    ) -> Result<Deletion, Error> {
        self.demand(&[Action::Delete(resource_type)])?;
        self.demand_old(Letters::DELETE, (resource_type, id), before.rows())?;
        let deletion = Deletion {
            version: next(current)?,
            at: later(current, now),
        };
        self.touch(resource_type);
        let version = Version {
            resource_type,
            id,
            number: deletion.version,
            at: deletion.at,
            change: Change::Deleted,
            body: &[],
        };
        let done = resources::advance(self.connection, current.rid, version);
        self.noted(done)?;
        self.exchange(current, before, &Rows::default())?;
        self.note_parameter(resource_type, id, before.registry(), now);
        let texts = [current.body.as_slice()];
        self.tell_audit("delete", Did::Delete, (resource_type, id), &texts, now);
        Ok(deletion)
    }

    /// The audit tells it in this very transaction, of the patients whom the resource names or named.
    fn tell_audit(
        &mut self,
        code: &'static str,
        action: Did,
        named: (&str, &str),
        texts: &[&[u8]],
        now: Instant,
    ) {
        let Some(visit) = self.view.permit.visit() else {
            return;
        };
        let mut patients = Vec::new();
        for text in texts {
            visit.patients_of(named, text, &mut patients);
        }
        let step = Step {
            code,
            action,
            patients,
            what: Some(format!("{}/{}", named.0, named.1)),
            ..Step::default()
        };
        visit.record(&step, now, &mut self.records);
    }

    /// Moves a follower on from where it was read, together with what it has done with the entries between. Fails when
    /// another node has done so meanwhile; nothing of this transaction remains then.
    pub fn follow(
        &mut self,
        name: &str,
        from: Option<Position>,
        to: Position,
    ) -> Result<(), Error> {
        self.demand(&[Action::Follow])?;
        self.has_written = true;
        let done = followers::advance(self.view.connection, name, from, to);
        self.noted(done)
    }

    /// Keeps the parameters of a search that is too long to stand in a link.
    pub fn keep_search(
        &mut self,
        action: Action,
        parameters: &[u8],
        now: Instant,
        until: Instant,
    ) -> Result<(), Error> {
        self.demand(&[action])?;
        self.has_written = true;
        let done = sealing::keep(self.view.connection, parameters, now, until);
        self.noted(done)
    }

    /// Something is about to be written.
    pub(super) fn writes(&mut self) {
        self.has_written = true;
    }

    /// Something of this type is about to be written.
    pub(super) fn touch(&mut self, resource_type: &'static str) {
        self.has_written = true;
        if let Some(marks) = &mut self.connection.marks {
            marks.note(resource_type);
        }
    }

    /// Whether what somebody saw of a type is so still, because nobody has written it since. False where that is not known.
    pub fn is_as_seen(&self, since: Tide, resource_type: &str) -> bool {
        let is_untouched = |marks: &Marks| {
            marks.is_untouched(since, resource_type) && marks.is_untouched(since, PARAMETER)
        };
        // What others may see can depend on other types.
        self.permit.rights().is_none() && self.connection.marks.as_ref().is_some_and(is_untouched)
    }

    /// Rows of a resource that is there.
    pub(super) fn add_rows(&mut self, rid: Rid, rows: Rows) {
        self.writes();
        if let Some(marks) = &mut self.connection.marks {
            marks.note_any();
        }
        self.pending.insert(rid, &Arc::new(rows));
    }

    /// Whether anything was written, or tried.
    pub(super) fn has_written(&self) -> bool {
        self.has_written
    }

    /// Only what differs is written.
    fn exchange(&mut self, current: &Found, before: &Before, rows: &Rows) -> Result<(), Error> {
        if !before.is_of(current) {
            return self.noted(Err(Error::Stale));
        }
        let old = match self.newer(before.registry())? {
            None => before.rows().clone(),
            Some(registry) => {
                let again = Before::of(&registry, current);
                self.noted(again)?.rows().clone()
            }
        };
        // What waits may be rows of this very resource.
        self.flush()?;
        let (gone, come) = Rows::difference(old, rows.clone());
        let done = index::remove(self.connection, current.rid, &gone);
        self.noted(done)?;
        self.pending.insert(current.rid, &Arc::new(come));
        Ok(())
    }

    /// The rows of what is stored, as this transaction wants them: search parameters may have changed since they were made.
    fn rows_of(&mut self, sealed: &Sealed, stamped: &Stamped) -> Result<Arc<Rows>, Error> {
        match self.newer(sealed.registry())? {
            None => Ok(Arc::clone(sealed.rows())),
            Some(registry) => {
                let rows = index::rows(&registry, stamped.bytes());
                self.noted(rows).map(Arc::new)
            }
        }
    }

    /// By what this transaction finds resources; None: by that registry.
    pub fn newer(&mut self, registry: &Arc<Registry>) -> Result<Option<Arc<Registry>>, Error> {
        let generation = self.connection.generation().map_err(Error::from);
        let generation = self.noted(generation)?;
        if registry.generation() == generation {
            return Ok(None);
        }
        if let Some(known) = &self.registry
            && known.generation() == generation
        {
            return Ok(Some(Arc::clone(known)));
        }
        let known = plan::registry(self.connection, registry);
        let known = Arc::new(self.noted(known)?);
        self.registry = Some(Arc::clone(&known));
        Ok(Some(known))
    }

    fn note_parameter(
        &mut self,
        resource_type: &str,
        id: &str,
        base: &Arc<Registry>,
        now: Instant,
    ) {
        if resource_type == PARAMETER {
            let parameters = self.parameters.get_or_insert_with(|| Parameters {
                base: Arc::clone(base),
                ids: Vec::new(),
                now,
            });
            parameters.ids.push(id.to_owned());
        }
    }

    /// Writes the index rows that wait, so that a search in here finds what was written in here.
    pub fn flush(&mut self) -> Result<(), Error> {
        let done = self.pending.flush(self.view.connection);
        self.noted(done)
    }

    /// What is left to do before the commit.
    pub(super) fn finish(&mut self) -> Result<(), Error> {
        self.flush()?;
        if let (Some(visit), false) = (self.view.permit.visit(), self.records.is_empty()) {
            visit.writes();
            let records = std::mem::take(&mut self.records);
            let done = audited::append(self.connection, &records);
            self.noted(done)?;
        }
        let Some(parameters) = self.parameters.take() else {
            return Ok(());
        };
        let settled = self.settle(&parameters);
        self.noted(settled)
    }

    /// Search parameters have changed: what was written of them must be served, and what the index lacks is made.
    fn settle(&mut self, parameters: &Parameters) -> Result<(), Error> {
        let (generation, _) = plan::state(self.connection)?;
        let own = plan::own(self.connection)?;
        let base = &parameters.base;
        if base.generation() == generation && base.own() == own {
            // Drafts, and words about parameters.
            return Ok(());
        }
        let next = base.with_own(own).of_generation(generation + 1);
        let mut issues = Vec::new();
        for (id, told) in next.own_problems() {
            if parameters.ids.iter().any(|own| own == id) {
                issues.push(Issue::error(IssueCode::NotSupported, told));
            } else {
                tracing::warn!(parameter = id, "a search parameter can no longer be served");
            }
        }
        if !issues.is_empty() {
            return Err(Error::Parameters(issues));
        }
        plan::plan(self.connection, &next, parameters.now)
    }
}

fn next(current: &Found) -> Result<u64, Error> {
    current
        .version
        .checked_add(1)
        .ok_or(Error::Version(i64::MAX))
}

/// A resource's time never runs backwards, whatever the clock does.
fn later(current: &Found, now: Instant) -> Instant {
    now.max(current.at)
}
