//! What a message makes of one resource: merged, validated and written out.

use std::borrow::Cow;

use fhir_spec::Issue;
use fhir_spec::json::{Object, Value, parse};
use interop::host::Effect;

use super::merge::{Said, merged};
use super::order::{Told, is_late};
use super::patients::{self, Move, follow_moves};
use super::plan::{Step, Task};
use super::planner::{How, Subject, Work, information};
use super::visits;
use crate::accept::{Sealed, accept_text};
use crate::app::App;
use crate::fault::Fault;
use crate::instant::Instant;
use crate::store::Before;

/// The same for all resources of a message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Maker<'m> {
    pub(super) app: &'m App,
    /// When what the message says was so.
    pub(super) at: Option<Instant>,
    pub(super) moves: &'m [Move],
}

#[derive(Debug)]
pub(super) struct Made {
    /// None: the issues tell why.
    pub(super) step: Option<Step>,
    pub(super) issues: Vec<Issue>,
}

impl Maker<'_> {
    /// What is said of a resource, laid over what is stored, and what is wrong with it.
    pub(super) fn step(&self, work: Work) -> Result<Made, Fault> {
        let mut issues = Vec::new();
        let step = self.made(work, &mut issues)?;
        Ok(Made { step, issues })
    }

    fn made(&self, work: Work, issues: &mut Vec<Issue>) -> Result<Option<Step>, Fault> {
        let Work {
            resource_type,
            subject,
            how,
            said,
            deletes,
            event,
            lost,
        } = work;
        let Subject {
            id, found, told, ..
        } = subject;
        let is_told = matches!(how, How::Update | How::Place);
        let step = |id, found, task| Step {
            resource_type,
            id,
            found,
            told,
            is_told,
            task,
        };
        if how == How::Once && found.is_some() {
            return Ok(Some(step(id, found, Task::Keep(Effect::Unchanged))));
        }
        let living = found.as_ref().filter(|found| !found.is_deleted());
        let mut before = None;
        let nothing = Value::from(Object::from_iter([("resourceType", resource_type)]));
        let document = match living {
            None => said,
            Some(living) => {
                let stored = parse(&living.body).map_err(Fault::internal)?;
                let mut said = Said {
                    resource: &said,
                    deletes: &deletes,
                };
                let unlinks: Vec<Box<str>>;
                if let Some(reason) = self.late(told, &stored, said.resource) {
                    issues.push(stale(resource_type, &id, &reason));
                    unlinks = patients::unlinks(resource_type, &deletes);
                    if event.is_none() && unlinks.is_empty() {
                        return Ok(Some(step(id, found, Task::Keep(Effect::Stale))));
                    }
                    said = Said {
                        resource: event.as_ref().unwrap_or(&nothing),
                        deletes: &unlinks,
                    };
                }
                let document = self.laid_over(resource_type, &stored, said, &lost);
                if document == stored {
                    return Ok(Some(step(id, found, Task::Keep(Effect::Unchanged))));
                }
                let registry = self.app.search();
                before = Some(Before::of_document(&registry, living, &stored));
                document
            }
        };
        let sealed = match sealed(self.app, document, &id) {
            Ok(sealed) => sealed,
            Err(wrong) => {
                issues.extend(wrong);
                return Ok(None);
            }
        };
        let task = match (&found, how) {
            (Some(found), _) => {
                let before = match before {
                    Some(before) => before,
                    None => Before::of(&self.app.search(), found)?,
                };
                Task::Update(sealed, Box::new(before))
            }
            (None, How::Place) => Task::Place(sealed),
            (None, _) => Task::Create(sealed),
        };
        Ok(Some(step(id, found, task)))
    }

    /// What is said, over what is stored.
    fn laid_over(
        &self,
        resource_type: &str,
        stored: &Value,
        said: Said<'_>,
        lost: &[Value],
    ) -> Value {
        let resource = visits::over(stored, Cow::Borrowed(said.resource), said.deletes);
        let said = Said {
            resource: &resource,
            ..said
        };
        let mut document = stored.clone();
        follow_moves(resource_type, &mut document, self.moves);
        patients::lose(&mut document, lost);
        let mut document = merged(&document, said, self.app.definitions().types());
        patients::revive(stored, said.resource, &mut document);
        document
    }

    /// Why the message comes too late for a resource.
    fn late(&self, told: Option<Instant>, stored: &Value, said: &Value) -> Option<String> {
        let known = Told {
            document: stored,
            at: told,
        };
        let new = Told {
            document: said,
            at: self.at,
        };
        is_late(known, new)
    }
}

/// Found sound and written out.
pub(super) fn sealed(app: &App, document: Value, id: &str) -> Result<Sealed, Vec<Issue>> {
    accept_text(&app.validator, document, None)
        .and_then(|accepted| app.seal(accepted, id.to_owned()))
}

fn stale(resource_type: &str, id: &str, reason: &str) -> Issue {
    information(format!(
        "{resource_type}/{id}: this comes too late, {reason}"
    ))
}
