//! What is to be written of a message, and what was taken for granted when that was planned.

use fhir_spec::Issue;
use fhir_spec::json::{Value, parse};
use interop::host::{Applied, Effect, Touched};

use super::provenance::Target;
use crate::accept::Sealed;
use crate::app::App;
use crate::fault::Fault;
use crate::instant::Instant;
use crate::interactions::conditional::Criteria;
use crate::interactions::{self, create, update};
use crate::store::{Before, Found, Head, Rid, Tide, Tx};

#[derive(Debug)]
pub(super) struct Plan {
    pub(super) steps: Vec<Step>,
    pub(super) seen: Seen,
    /// When what the message says was so.
    pub(super) at: Option<Instant>,
    pub(super) provenance: Option<Sealed>,
    pub(super) issues: Vec<Issue>,
}

/// What a plan depends on.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) asked: Vec<(Criteria, Vec<Head>)>,
    /// Resources that were looked at by their ids.
    pub(super) looked_at: Vec<LookedAt>,
    /// How new what was seen is at least.
    pub(super) tide: Option<Tide>,
    /// It depends on so much that it is made inside of the door.
    pub(super) is_wide: bool,
}

#[derive(Debug)]
pub(super) struct LookedAt {
    pub(super) resource_type: &'static str,
    pub(super) id: String,
    /// None: it was not there.
    pub(super) head: Option<(Rid, u64)>,
}

/// Two are enough to know that there are several; of patients some may have been replaced, and an order may be many tests.
pub(super) const FOUND_MAX: u32 = 64;

#[derive(Debug)]
pub(super) struct Step {
    pub(super) resource_type: &'static str,
    pub(super) id: String,
    /// What was there when it was planned.
    pub(super) found: Option<Found>,
    /// When that was so.
    pub(super) told: Option<Instant>,
    /// Whether later messages may say something else of it.
    pub(super) is_told: bool,
    pub(super) task: Task,
}

#[derive(Debug)]
pub(super) enum Task {
    Create(Sealed),
    /// Under an id that the message gives.
    Place(Sealed),
    Update(Sealed, Box<Before>),
    Keep(Effect),
}

/// What would become of a resource.
#[derive(Debug, Clone)]
pub struct Difference {
    pub touched: Touched,
    pub before: Option<Value>,
    /// None: it stays as it is.
    pub after: Option<Value>,
}

impl Seen {
    /// Whether the world is as it was.
    fn holds(&self, tx: &mut Tx<'_>) -> Result<bool, Fault> {
        if self.is_wide {
            return Ok(false);
        }
        let is_as_seen = |tx: &Tx<'_>, named| {
            let tide = self.tide;
            tide.is_some_and(|tide| tx.is_as_seen(tide, named))
        };
        for (criteria, heads) in &self.asked {
            if criteria.is_of_own_type() && is_as_seen(tx, criteria.resource_type()) {
                continue;
            }
            if criteria.heads_within(tx, FOUND_MAX)? != *heads {
                return Ok(false);
            }
        }
        for LookedAt {
            resource_type,
            id,
            head,
        } in &self.looked_at
        {
            if is_as_seen(tx, resource_type) {
                continue;
            }
            if tx.head(resource_type, id)? != *head {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Plan {
    pub(super) fn holds(&self, tx: &mut Tx<'_>) -> Result<bool, Fault> {
        self.seen.holds(tx)
    }

    /// Works inside the door, when the plan holds.
    pub(super) fn write(&self, tx: &mut Tx<'_>, app: &App, now: Instant) -> Result<Applied, Fault> {
        let mut applied = Applied {
            touched: Vec::with_capacity(self.steps.len() + 1),
            issues: self.issues.clone(),
        };
        let mut tellable = Vec::new();
        for step in &self.steps {
            let touched = step.write(tx, app, now)?;
            let rid = match &step.found {
                Some(found) => Some(found.rid),
                None => tx.created(),
            };
            if let Some(rid) = rid
                && step.is_told
                && step.told < self.at
                && touched.effect != Effect::Stale
            {
                tellable.push((step.resource_type, rid));
            }
            applied.touched.push(touched);
        }
        if let Some(at) = self.at {
            tx.tell(&tellable, at)?;
        }
        if let Some(sealed) = &self.provenance {
            let stored = create::apply(tx, sealed, now)?;
            applied.touched.push(Touched {
                resource_type: stored.resource_type().to_owned(),
                id: stored.id().to_owned(),
                version: stored.version(),
                effect: Effect::Created,
            });
        }
        Ok(applied)
    }

    /// What it would change.
    pub(super) fn differences(&self, now: Instant) -> Result<Vec<Difference>, Fault> {
        let differences = self.steps.iter().map(|step| step.difference(now));
        differences.collect()
    }
}

impl Step {
    /// What it changes, with the version that follows.
    pub(super) fn target(&self) -> Option<Target<'_>> {
        let version = match (&self.task, &self.found) {
            (Task::Keep(_), _) => return None,
            (_, Some(found)) => found.version.saturating_add(1),
            (_, None) => 1,
        };
        Some(Target {
            resource_type: self.resource_type,
            id: &self.id,
            version,
        })
    }

    fn write(&self, tx: &mut Tx<'_>, app: &App, now: Instant) -> Result<Touched, Fault> {
        let (version, effect) = match (&self.task, &self.found) {
            (Task::Create(sealed), _) => {
                (create::apply(tx, sealed, now)?.version(), Effect::Created)
            }
            (Task::Place(sealed), None) => (tx.place(sealed, now)?.version(), Effect::Created),
            (Task::Update(sealed, before), Some(found)) => {
                let (stored, effect) = update::onto(tx, app, found, Some(before), sealed, now)?;
                let effect = match effect {
                    interactions::Effect::Created => Effect::Created,
                    interactions::Effect::Updated => Effect::Updated,
                    interactions::Effect::Unchanged => Effect::Unchanged,
                };
                (stored.version(), effect)
            }
            (Task::Keep(effect), Some(found)) => (found.version, *effect),
            _ => return Err(Fault::internal("a step that does not fit what was found")),
        };
        Ok(self.touched(version, effect))
    }

    fn touched(&self, version: u64, effect: Effect) -> Touched {
        Touched {
            resource_type: self.resource_type.to_owned(),
            id: self.id.clone(),
            version,
            effect,
        }
    }

    fn difference(&self, now: Instant) -> Result<Difference, Fault> {
        let living = self.found.as_ref().filter(|found| !found.is_deleted());
        let before = living.map(|found| parse(&found.body));
        let before = before.transpose().map_err(Fault::internal)?;
        let known = self.found.as_ref().map_or(0, |found| found.version);
        let (version, effect, sealed) = match &self.task {
            Task::Create(sealed) | Task::Place(sealed) => (1, Effect::Created, Some(sealed)),
            Task::Update(sealed, _) => {
                let effect = match before {
                    Some(_) => Effect::Updated,
                    None => Effect::Created,
                };
                (known.saturating_add(1), effect, Some(sealed))
            }
            Task::Keep(effect) => (known, *effect, None),
        };
        let after = sealed.map(|sealed| parse(sealed.stamp(version, now).bytes()));
        Ok(Difference {
            touched: self.touched(version, effect),
            before,
            after: after.transpose().map_err(Fault::internal)?,
        })
    }
}
