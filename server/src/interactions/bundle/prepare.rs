//! The expensive part of an entry, done outside of the door.
//! <https://hl7.org/fhir/R4/http.html#trules>
//!
//! Its resource is read, its links are rewritten, it is validated and written out.

use std::sync::Arc;

use fhir_spec::Issue;
use fhir_spec::bundle::{Asked, Entry, Links, within};
use fhir_spec::format::Format;
use fhir_spec::json::{Text, Value, parse_first};

use super::change::change;
use super::draft::{Draft, How, Intent, Write};
use super::step::{Done, Step, Task};
use super::trouble::Failure;
use super::{Invocation, Sent, Wishes};
use crate::accept::{Accepted, accept_text, resource_type};
use crate::app::App;
use crate::auth::Caller;
use crate::fault::{Fault, Kind};
use crate::instant::Instant;
use crate::interactions::{parameters, patch};
use crate::store::{Before, Found};

/// What preparing depends on; the same for all entries.
pub(super) struct World<'w> {
    pub(super) app: &'w App,
    pub(super) caller: Caller,
    pub(super) now: Instant,
    pub(super) sent: &'w Sent,
    pub(super) wishes: &'w Wishes,
    pub(super) links: &'w Arc<Links>,
}

pub(super) enum Prepared {
    Step(Step),
    /// Its references by criteria are to be looked up first.
    Needs(Draft, Vec<Text>),
}

impl World<'_> {
    /// `found` is the current version of what is to be changed.
    pub(super) fn prepare(&self, draft: Draft, found: Option<&Found>) -> Result<Prepared, Failure> {
        let place = draft.place;
        let origin = match (self.sent.format, &draft.entry.resource) {
            (Format::Json, Some(resource)) => Some(resource.at),
            _ => None,
        };
        self.prepared(draft, found).map_err(|fault| Failure {
            place: Some(place),
            fault,
            origin,
        })
    }

    fn prepared(&self, mut draft: Draft, found: Option<&Found>) -> Result<Prepared, Fault> {
        let place = draft.place;
        if !draft.needs_resource() {
            return self.step(draft, None, found).map(Prepared::Step);
        }
        let Some(mut document) = self.resource(&mut draft)? else {
            return self.step(draft, None, found).map(Prepared::Step);
        };
        let full_url = draft.entry.full_url.as_deref();
        let told = || format!("Bundle.entry[{place}].resource");
        let types = self.app.definitions().types();
        let links = self.links.rewrite(&mut document, full_url, told, types);
        if !links.issues.is_empty() {
            return Err(Fault::of_issues(Kind::Unprocessable, links.issues));
        }
        if !links.criteria.is_empty() {
            if self.sent.format == Format::Xml {
                draft.entry.resource = Some(document);
            }
            return Ok(Prepared::Needs(draft, links.criteria));
        }
        self.step(draft, Some(document), found).map(Prepared::Step)
    }

    /// The whole resource. Of one in JSON the entry has only the head, and keeps it.
    fn resource(&self, draft: &mut Draft) -> Result<Option<Value>, Fault> {
        if self.sent.format == Format::Xml {
            return Ok(draft.entry.resource.take());
        }
        let Some(head) = &draft.entry.resource else {
            return Ok(None);
        };
        let place = draft.place;
        let whole = parse_first(self.sent.from(head.at)).map_err(|malformed| {
            let mut issue = Issue::from(&malformed);
            let inside = &malformed.path;
            issue.expression = Some(match inside.is_empty() {
                true => format!("Bundle.entry[{place}].resource"),
                false => format!("Bundle.entry[{place}].resource.{inside}"),
            });
            Fault::of_issues(Kind::Malformed, vec![issue])
        })?;
        Ok(Some(whole))
    }

    fn step(
        &self,
        draft: Draft,
        document: Option<Value>,
        found: Option<&Found>,
    ) -> Result<Step, Fault> {
        let keeps = draft.keeps();
        let Draft {
            place,
            entry,
            intent,
            condition,
            ..
        } = draft;
        let mut notes = Vec::new();
        let task = match intent {
            Intent::Look(look) => Task::Look(look),
            Intent::Operate(code) => Task::Done(self.operate(&code, &entry, document)?),
            Intent::Write(write) if keeps => Task::Keep {
                resource_type: write.resource_type,
                id: write.id.unwrap_or_default(),
            },
            Intent::Write(write) if write.how == How::Delete => Task::Delete {
                resource_type: write.resource_type,
                id: write.id,
                precondition: write.precondition,
                before: self.before(found)?,
            },
            Intent::Write(write) => {
                // An entry without a resource was refused when the bundle was taken apart.
                let document = document.unwrap_or_else(|| Value::from(false));
                self.write(place, &entry, write, document, found, &mut notes)?
            }
        };
        Ok(Step {
            place,
            condition,
            task,
            notes,
        })
    }

    fn write(
        &self,
        place: usize,
        entry: &Entry,
        write: Write,
        document: Value,
        found: Option<&Found>,
        notes: &mut Vec<Issue>,
    ) -> Result<Task, Fault> {
        let id = write.id.unwrap_or_default();
        if write.how == How::Patch {
            let mut task = patch::Task::new(
                write.resource_type,
                id,
                change(&document)?,
                write.precondition,
            );
            task.links = Some(self.links.of_stored());
            task.prepare(self.app, found)?;
            return Ok(Task::Patch(task));
        }
        let text = match (self.sent.format, &entry.resource) {
            (Format::Json, Some(head)) => Some(self.sent.from(head.at)),
            _ => None,
        };
        let mut accepted = self.accept(place, document, text)?;
        if self.wishes.tells_notes() {
            *notes = accepted.take_notes();
        }
        let sealed = self.app.seal(accepted, id);
        let sealed = sealed.map_err(|issues| unprocessable(place, issues))?;
        Ok(match write.how {
            How::Create => Task::Create(sealed),
            _ => Task::Update(sealed, write.precondition, self.before(found)?),
        })
    }

    /// What the index holds of the current version.
    fn before(&self, found: Option<&Found>) -> Result<Option<Before>, Fault> {
        let before = found.map(|found| Before::of(&self.app.search(), found));
        Ok(before.transpose()?)
    }

    fn accept(&self, place: usize, document: Value, text: Option<&str>) -> Result<Accepted, Fault> {
        accept_text(&self.app.validator, document, text)
            .map_err(|issues| unprocessable(place, issues))
    }

    fn operate(&self, code: &str, entry: &Entry, document: Option<Value>) -> Result<Done, Fault> {
        let (named, id) = match &entry.request.address.asked {
            Asked::Operation {
                resource_type, id, ..
            } => (resource_type.as_deref(), id.as_deref()),
            _ => (None, None),
        };
        let answer = (self.wishes.operate)(
            self.app,
            &self.caller,
            Invocation {
                code: code.to_owned(),
                resource_type: named.and_then(resource_type),
                id: id.map(str::to_owned),
                query: parameters::decoded(entry.request.address.query())?,
                document,
                now: self.now,
            },
        )?;
        Ok(Done {
            status: "200 OK",
            body: Some(answer.to_string().into()),
            is_shown: true,
            ..Done::default()
        })
    }
}

fn unprocessable(place: usize, issues: Vec<Issue>) -> Fault {
    let issues = issues.into_iter().map(|issue| within(place, issue));
    Fault::of_issues(Kind::Unprocessable, issues.collect())
}
