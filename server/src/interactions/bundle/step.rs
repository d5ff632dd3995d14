//! An entry that is ready to be applied, and what it comes to.
//! <https://hl7.org/fhir/R4/http.html#transaction-response>

use bytes::Bytes;
use fhir_spec::Issue;

use super::Wishes;
use super::condition::{Condition, Own};
use super::look::Look;
use super::trouble::Stop;
use crate::accept::Sealed;
use crate::cx::Cx;
use crate::fault::Fault;
use crate::instant::Instant;
use crate::interactions::precondition::Precondition;
use crate::interactions::{Effect, create, delete, patch, read, update};
use crate::store::{Before, Tx};

#[derive(Debug)]
pub(super) struct Step {
    pub(super) place: usize,
    pub(super) condition: Option<Condition>,
    pub(super) task: Task,
    /// What validation had to say that is no error.
    pub(super) notes: Vec<Issue>,
}

#[derive(Debug)]
pub(super) enum Task {
    Create(Sealed),
    /// A conditional create that has found this one.
    Keep {
        resource_type: &'static str,
        id: String,
    },
    Update(Sealed, Precondition, Option<Before>),
    Patch(patch::Task),
    Delete {
        resource_type: &'static str,
        /// None: its criteria match nothing.
        id: Option<String>,
        precondition: Precondition,
        before: Option<Before>,
    },
    Look(Look),
    /// Done already, outside.
    Done(Done),
}

/// What became of an entry.
#[derive(Debug, Clone, Default)]
pub(super) struct Done {
    pub(super) status: &'static str,
    pub(super) address: Option<(&'static str, String)>,
    pub(super) version: Option<u64>,
    pub(super) at: Option<Instant>,
    pub(super) body: Option<Bytes>,
    /// The body is what was asked for; otherwise it depends on what the client prefers.
    pub(super) is_shown: bool,
    pub(super) is_located: bool,
    pub(super) notes: Vec<Issue>,
}

impl Step {
    /// Type and id of what was there before and is changed.
    pub(super) fn changed(&self) -> Option<(&str, &str)> {
        match &self.task {
            Task::Update(sealed, _, _) => Some((sealed.resource_type(), sealed.id())),
            Task::Patch(task) => Some((task.resource_type, &task.id)),
            Task::Delete {
                resource_type, id, ..
            } => Some((resource_type, id.as_deref()?)),
            Task::Create(_) | Task::Keep { .. } | Task::Look(_) | Task::Done(_) => None,
        }
    }

    pub(super) fn looks(&self) -> bool {
        matches!(self.task, Task::Look(_))
    }

    /// Works inside the door, as single interactions do.
    pub(super) fn apply(
        &self,
        tx: &mut Tx<'_>,
        cx: &Cx,
        wishes: &Wishes,
        own: &Own,
    ) -> Result<Done, Stop> {
        let (app, now) = (&cx.app, cx.now);
        if let Some(condition) = &self.condition {
            condition.verify(tx, own, self.place)?;
        }
        let done = match &self.task {
            Task::Create(sealed) => {
                let stored = create::apply(tx, sealed, now)?;
                self.written(&stored, Effect::Created, &[])
            }
            Task::Update(sealed, precondition, before) => {
                let (stored, effect) =
                    update::apply(tx, app, sealed, before.as_ref(), precondition, now)?;
                self.written(&stored, effect, &[])
            }
            Task::Patch(task) => {
                let written = patch::apply(tx, app, task, now)?;
                self.written(&written.resource, written.effect, &written.notes)
            }
            Task::Keep { resource_type, id } => {
                let found = read::within(tx, resource_type, id)?;
                Done {
                    status: "200 OK",
                    address: Some((resource_type, id.clone())),
                    version: Some(found.version),
                    at: Some(found.at),
                    body: Some(found.body.into()),
                    is_located: true,
                    ..Done::default()
                }
            }
            Task::Delete {
                resource_type,
                id,
                precondition,
                before,
            } => {
                let gone = match id {
                    Some(id) => {
                        let before = before.as_ref();
                        delete::apply(tx, app, resource_type, id, before, precondition, now)?
                    }
                    None => None,
                };
                Done {
                    status: "204 No Content",
                    version: gone.map(|gone| gone.version),
                    at: gone.map(|gone| gone.at),
                    ..Done::default()
                }
            }
            Task::Look(look) => {
                // A search finds what was written in here.
                tx.flush().map_err(Fault::from)?;
                look.apply(tx, cx, wishes)?
            }
            Task::Done(done) => done.clone(),
        };
        Ok(done)
    }

    fn written(&self, stored: &crate::accept::Stamped, effect: Effect, notes: &[Issue]) -> Done {
        let status = match effect {
            Effect::Created => "201 Created",
            Effect::Updated | Effect::Unchanged => "200 OK",
        };
        Done {
            status,
            address: Some((stored.resource_type(), stored.id().to_owned())),
            version: Some(stored.version()),
            at: Some(stored.at()),
            body: Some(stored.bytes().clone()),
            is_shown: false,
            is_located: true,
            notes: self.notes.iter().chain(notes).cloned().collect(),
        }
    }
}
