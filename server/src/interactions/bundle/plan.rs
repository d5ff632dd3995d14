//! Entries made ready outside of the door, and carried out inside.
//! <https://hl7.org/fhir/R4/http.html#trules>

use std::sync::Arc;

use fhir_spec::bundle::{Links, Target};
use fhir_spec::json::Text;

use super::condition::{Condition, Own};
use super::draft::Draft;
use super::prepare::{Prepared, World};
use super::step::{Done, Step, Task};
use super::trouble::Stop;
use super::{Sent, Wishes};
use crate::accept::resource_type;
use crate::app::App;
use crate::auth::Action;
use crate::cx::Cx;
use crate::fault::{Fault, Kind};
use crate::instant::Instant;
use crate::interactions::parameters::decoded;
use crate::store::{Tx, View};

/// What is to be done in one transaction.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) cx: Cx,
    pub(super) wishes: Wishes,
    /// In the order in which they are applied.
    pub(super) steps: Vec<Step>,
    pub(super) own: Own,
    /// What references by criteria are taken to lead to.
    pub(super) references: Vec<Reference>,
    pub(super) waiting: Option<Waiting>,
    /// What the caller must be allowed to do.
    pub(super) actions: Vec<Action>,
}

/// A reference by criteria, and the first entry that has it.
#[derive(Debug, Clone)]
pub(super) struct Reference {
    pub(super) place: usize,
    pub(super) condition: Condition,
}

/// Entries with references by criteria that match nothing yet: what this transaction creates may match.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) sent: Sent,
    pub(super) links: Arc<Links>,
    pub(super) drafts: Vec<Draft>,
    pub(super) references: Vec<Reference>,
}

impl Reference {
    /// `Patient?identifier=1`
    pub(super) fn of(place: usize, text: &Text, app: &App, now: Instant) -> Result<Self, Fault> {
        let known = text
            .split_once('?')
            .and_then(|(named, criteria)| Some((resource_type(named)?, criteria)));
        let Some((resource_type, criteria)) = known else {
            let told = format!("`{text}` names no resource type of FHIR R4");
            return Err(Fault::new(Kind::Unprocessable, told));
        };
        Ok(Self {
            place,
            condition: Condition::new(app, resource_type, criteria, &decoded(criteria)?, now)?,
        })
    }

    pub(super) fn link(&self, id: &str, links: &mut Links) {
        let Condition {
            resource_type,
            criteria,
            ..
        } = &self.condition;
        let target = Target::new(resource_type, id, None);
        links.add_criteria(&format!("{resource_type}?{criteria}"), target);
    }
}

impl Plan {
    /// Whether it holds only as long as the world stays as it was.
    pub(super) fn depends_on_world(&self) -> bool {
        self.waiting.is_some()
            || !self.references.is_empty()
            || self.steps.iter().any(|step| step.condition.is_some())
    }

    pub(super) fn only_looks(&self) -> bool {
        let is_open = |step: &Step| !matches!(step.task, Task::Look(_) | Task::Done(_));
        self.waiting.is_none() && !self.steps.iter().any(is_open)
    }

    /// Looks around without a door that writes, when that is all there is to do.
    pub(super) fn look(&self, view: &mut View<'_>) -> Result<Vec<(usize, Done)>, Stop> {
        let mut done = Vec::with_capacity(self.steps.len());
        for step in &self.steps {
            let looked = match &step.task {
                Task::Look(look) => look.apply(view, &self.cx, &self.wishes),
                Task::Done(done) => Ok(done.clone()),
                _ => Err(Fault::internal("this writes")),
            };
            let looked = looked.map_err(|fault| Stop::Fault(fault).at(step.place))?;
            done.push((step.place, looked));
        }
        Ok(done)
    }

    /// Works inside the door: all of it, or nothing. The place of each entry, and what became of it.
    pub(super) fn apply(&self, tx: &mut Tx<'_>) -> Result<Vec<(usize, Done)>, Stop> {
        let mut done = Vec::with_capacity(self.steps.len());
        for step in self.steps.iter().filter(|step| !step.looks()) {
            done.push(self.one(tx, step)?);
        }
        if let Some(waiting) = &self.waiting {
            for step in self.now_ready(tx, waiting)? {
                done.push(self.one(tx, &step)?);
            }
        }
        for Reference { place, condition } in &self.references {
            let found = condition
                .target(tx)
                .map_err(|fault| Stop::Fault(fault).at(*place))?;
            if condition.expected.as_deref() != Some(&found) {
                return Err(Stop::Changed);
            }
        }
        for step in self.steps.iter().filter(|step| step.looks()) {
            done.push(self.one(tx, step)?);
        }
        Ok(done)
    }

    fn one(&self, tx: &mut Tx<'_>, step: &Step) -> Result<(usize, Done), Stop> {
        let mut done = step
            .apply(tx, &self.cx, &self.wishes, &self.own)
            .map_err(|stop| stop.at(step.place))?;
        if !done.is_shown && !self.wishes.shows_resources() {
            done.body = None;
        }
        Ok((step.place, done))
    }

    /// The entries whose references lead to what was just created.
    fn now_ready(&self, tx: &mut Tx<'_>, waiting: &Waiting) -> Result<Vec<Step>, Stop> {
        let mut links = Links::clone(&waiting.links);
        for reference in &waiting.references {
            let found = reference.condition.target(tx);
            let found = found.map_err(|fault| Stop::Fault(fault).at(reference.place))?;
            reference.link(&found, &mut links);
        }
        let world = World {
            app: &self.cx.app,
            caller: self.cx.caller.clone(),
            now: self.cx.now,
            sent: &waiting.sent,
            wishes: &self.wishes,
            links: &Arc::new(links),
        };
        let mut steps = Vec::with_capacity(waiting.drafts.len());
        for draft in waiting.drafts.iter().cloned() {
            let place = draft.place;
            let fault = match world.prepare(draft, None) {
                Ok(Prepared::Step(step)) => {
                    steps.push(step);
                    continue;
                }
                Ok(Prepared::Needs(..)) => Fault::internal("a reference was forgotten"),
                Err(failure) => failure.fault,
            };
            return Err(Stop::Fault(fault).at(place));
        }
        Ok(steps)
    }
}
