//! How a plan is made: what each entry is about, what it says, and what that makes of what is stored.

use fhir_spec::json::{Object, Value, parse};
use fhir_spec::{Issue, IssueCode, Severity};
use interop::host::Effect;

use super::draft::{Ask, Draft, Drafts, Key};
use super::links::links;
use super::merge::{Said, merged};
use super::order::{Told, is_late};
use super::patients::{self, Move, follow_moves};
use super::plan::{FOUND_MAX, LookedAt, Plan, Seen, Step, Task};
use super::provenance::provenance;
use super::world::World;
use crate::accept::{Sealed, accept_text};
use crate::app::App;
use crate::fault::{Fault, Kind};
use crate::instant::Instant;
use crate::interactions::conditional::Criteria;
use crate::store::{Before, Found, Head};

/// The resource that a draft turned out to be about.
#[derive(Debug)]
pub(super) struct Subject {
    pub(super) id: String,
    pub(super) found: Option<Found>,
    /// When what is known of it was so.
    pub(super) told: Option<Instant>,
}

/// All that a message says of one resource, its links leading to what is stored.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) resource_type: &'static str,
    pub(super) subject: Subject,
    pub(super) how: How,
    pub(super) said: Value,
    pub(super) deletes: Vec<Box<str>>,
    /// What of it is no snapshot but has happened: it holds however late it comes.
    pub(super) event: Option<Value>,
    /// Identifiers that it bore for another patient.
    pub(super) lost: Vec<Value>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    New,
    /// What is there stays as it is.
    Once,
    Update,
    Place,
}

pub(super) struct Planner<'p, W> {
    pub(super) world: &'p mut W,
    pub(super) app: &'p App,
    pub(super) drafts: &'p Drafts,
    pub(super) now: Instant,
    pub(super) seen: Seen,
    pub(super) issues: Vec<Issue>,
}

impl<'p, W: World> Planner<'p, W> {
    pub(super) fn new(world: &'p mut W, app: &'p App, drafts: &'p Drafts, now: Instant) -> Self {
        Self {
            world,
            app,
            drafts,
            now,
            seen: Seen::default(),
            issues: Vec::new(),
        }
    }

    pub(super) fn plan(mut self) -> Result<Plan, Fault> {
        let subjects = self.subjects()?;
        self.or_issues()?;
        let mut works = self.works(subjects)?;
        let moves = patients::merges(&mut works)?;
        let mut steps = Vec::with_capacity(works.len());
        for work in works {
            steps.extend(self.step(work, &moves)?);
        }
        if !moves.is_empty() {
            self.seen.is_wide = true;
            patients::move_references(&mut self, &moves, &mut steps)?;
        }
        let provenance = self.provenance(&steps);
        self.or_issues()?;
        Ok(Plan {
            steps,
            seen: self.seen,
            at: self.drafts.at,
            provenance,
            issues: self.issues,
        })
    }

    /// All that is wrong so far.
    fn or_issues(&mut self) -> Result<(), Fault> {
        if !self.issues.iter().any(Issue::is_error) {
            return Ok(());
        }
        let mut issues = std::mem::take(&mut self.issues);
        issues.retain(Issue::is_error);
        Err(Fault::of_issues(Kind::Unprocessable, issues))
    }

    /// What each draft is about. Keys may name other entries: those are found first.
    fn subjects(&mut self) -> Result<Vec<Subject>, Fault> {
        let drafts = self.drafts;
        let mut subjects: Vec<Option<Subject>> = drafts.all.iter().map(|_| None).collect();
        let mut waiting: Vec<usize> = (0..drafts.all.len()).collect();
        while !waiting.is_empty() {
            let mut still = Vec::new();
            for place in &waiting {
                let Some(draft) = drafts.all.get(*place) else {
                    continue;
                };
                match self.subject(draft, &subjects)? {
                    None => still.push(*place),
                    found => {
                        if let Some(slot) = subjects.get_mut(*place) {
                            *slot = found;
                        }
                    }
                }
            }
            if still.len() == waiting.len() {
                let told = "the keys of these resources depend on each other";
                return Err(Fault::new(Kind::Unprocessable, told));
            }
            waiting = still;
        }
        Ok(subjects.into_iter().flatten().collect())
    }

    /// None: its key names an entry that is not known yet.
    fn subject(
        &mut self,
        draft: &Draft,
        known: &[Option<Subject>],
    ) -> Result<Option<Subject>, Fault> {
        let key = match &draft.ask {
            Ask::New => return Ok(Some(self.new_subject())),
            Ask::Place(id) => return self.at_id(draft.resource_type, id).map(Some),
            Ask::Once(key) | Ask::Update(key) => key,
        };
        let criteria = match &key.criteria {
            Some(criteria) => criteria.clone(),
            None => match self.filled(key, known) {
                None => return Ok(None),
                Some(parameters) => {
                    Criteria::new(self.app, draft.resource_type, &parameters, self.now)?
                }
            },
        };
        let mut found = self.find(criteria)?;
        if draft.resource_type == patients::PATIENT {
            if let (true, Some(criteria)) = (found.is_empty(), patients::by_others(self, draft)?) {
                found = self.find(criteria)?;
            }
            found = patients::meant(self, draft, found)?;
        }
        let mut found = found.into_iter();
        Ok(Some(match (found.next(), found.next()) {
            (None, _) => self.new_subject(),
            (Some((head, found)), None) => Subject {
                id: head.id,
                found: Some(found),
                told: head.told,
            },
            (Some((first, _)), Some((second, _))) => {
                let ids = [first.id, second.id];
                let ids = ids.into_iter().chain(found.map(|(head, _)| head.id));
                self.issues
                    .push(ambiguous(draft, key, &ids.collect::<Vec<_>>()));
                self.new_subject()
            }
        }))
    }

    fn new_subject(&self) -> Subject {
        Subject {
            id: (self.app.ids)(self.now),
            found: None,
            told: None,
        }
    }

    /// The resource of that id.
    fn at_id(&mut self, resource_type: &'static str, id: &str) -> Result<Subject, Fault> {
        let found = self.current(resource_type, id)?;
        let told = match &found {
            None => None,
            Some(found) => {
                let wanted = [(resource_type, found.rid)];
                let told = self.world.look(|view| view.told(&wanted))?;
                told.get(&found.rid).copied()
            }
        };
        Ok(Subject {
            id: id.to_owned(),
            found,
            told,
        })
    }

    pub(super) fn find(&mut self, criteria: Criteria) -> Result<Vec<(Head, Found)>, Fault> {
        let found = self.world.find(&criteria, FOUND_MAX)?;
        let heads = found.iter().map(|(head, _)| head.clone()).collect();
        self.seen.asked.push((criteria, heads));
        Ok(found)
    }

    /// The current version, which may say that it was deleted.
    pub(super) fn current(
        &mut self,
        resource_type: &'static str,
        id: &str,
    ) -> Result<Option<Found>, Fault> {
        let found = self.world.look(|view| view.current(resource_type, id))?;
        let head = found.as_ref().map(|found| (found.rid, found.version));
        self.seen.looked_at.push(LookedAt {
            resource_type,
            id: id.to_owned(),
            head,
        });
        Ok(found)
    }

    /// The parameters with the addresses of entries in place of their full urls.
    fn filled(&self, key: &Key, known: &[Option<Subject>]) -> Option<Vec<(String, String)>> {
        let mut parameters = key.parameters.clone();
        for (_, value) in &mut parameters {
            let Some(place) = self.drafts.place(value) else {
                continue;
            };
            let subject = known.get(place)?.as_ref()?;
            let draft = self.drafts.all.get(place)?;
            *value = format!("{}/{}", draft.resource_type, subject.id);
        }
        Some(parameters)
    }

    /// What is said of each resource. Entries that turn out to be about the same one are heard as one.
    fn works(&mut self, subjects: Vec<Subject>) -> Result<Vec<Work>, Fault> {
        let drafts = self.drafts;
        let mut links = links(self.app, drafts, &subjects);
        let mut works: Vec<Work> = Vec::with_capacity(subjects.len());
        for (draft, subject) in drafts.all.iter().zip(subjects) {
            let is_kept = matches!(draft.ask, Ask::Once(_)) && subject.found.is_some();
            let said = match is_kept {
                true => Value::from(Object::new()),
                false => match self.linked(draft, &mut links)? {
                    Some(said) => said,
                    None => continue,
                },
            };
            if patients::is_replaced_by_itself(&said, &subject.id) {
                let told = format!("both numbers are those of Patient/{} already", subject.id);
                self.issues.push(information(told));
                continue;
            }
            let work = Work {
                resource_type: draft.resource_type,
                how: draft.how(),
                deletes: self.deletes(draft, &links),
                event: patients::event(&said),
                said,
                subject,
                lost: Vec::new(),
            };
            let is_same = |other: &&mut Work| {
                other.subject.id == work.subject.id && other.resource_type == work.resource_type
            };
            match works.iter_mut().find(is_same) {
                None => works.push(work),
                Some(earlier) => earlier.join(work, self.app),
            }
        }
        Ok(works)
    }

    fn step(&mut self, work: Work, moves: &[Move]) -> Result<Option<Step>, Fault> {
        let Work {
            resource_type,
            subject: Subject { id, found, told },
            how,
            said,
            deletes,
            event,
            lost,
        } = work;
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
        let document = match living {
            None => said,
            Some(living) => {
                let stored = parse(&living.body).map_err(Fault::internal)?;
                let mut said = Said {
                    resource: &said,
                    deletes: &deletes,
                };
                if let Some(reason) = self.late(told, &stored, said.resource) {
                    self.issues.push(stale(resource_type, &id, &reason));
                    match &event {
                        Some(event) => said.resource = event,
                        None => return Ok(Some(step(id, found, Task::Keep(Effect::Stale)))),
                    }
                }
                let mut document = stored.clone();
                follow_moves(resource_type, &mut document, moves);
                patients::lose(&mut document, &lost);
                let mut document = merged(&document, said, self.app.definitions().types());
                patients::revive(&stored, said.resource, &mut document);
                if document == stored {
                    return Ok(Some(step(id, found, Task::Keep(Effect::Unchanged))));
                }
                let registry = self.app.search();
                before = Some(Before::of_document(&registry, living, &stored));
                document
            }
        };
        let Some(sealed) = self.sealed(document, &id) else {
            return Ok(None);
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

    /// Why the message comes too late for a resource.
    fn late(&self, told: Option<Instant>, stored: &Value, said: &Value) -> Option<String> {
        let known = Told {
            document: stored,
            at: told,
        };
        let new = Told {
            document: said,
            at: self.drafts.at,
        };
        is_late(known, new)
    }

    /// Who said so, when something changes.
    fn provenance(&mut self, steps: &[Step]) -> Option<Sealed> {
        let targets: Vec<_> = steps.iter().filter_map(Step::target).collect();
        if targets.is_empty() || !self.app.provenance {
            return None;
        }
        let made = provenance(&self.drafts.origin, &targets, self.now);
        self.sealed(made, &(self.app.ids)(self.now))
    }

    fn sealed(&mut self, document: Value, id: &str) -> Option<Sealed> {
        match sealed(self.app, document, id) {
            Ok(sealed) => Some(sealed),
            Err(issues) => {
                self.issues.extend(issues);
                None
            }
        }
    }
}

impl Work {
    /// Another entry is about the same resource.
    fn join(&mut self, other: Self, app: &App) {
        match (self.how, other.how) {
            (_, How::Once) => {}
            (How::Once, _) => *self = other,
            _ => {
                let said = Said {
                    resource: &other.said,
                    deletes: &[],
                };
                self.said = merged(&self.said, said, app.definitions().types());
                self.deletes.extend(other.deletes);
                self.event = patients::event(&self.said);
            }
        }
    }
}

impl Draft {
    fn how(&self) -> How {
        match self.ask {
            Ask::New => How::New,
            Ask::Once(_) => How::Once,
            Ask::Update(_) => How::Update,
            Ask::Place(_) => How::Place,
        }
    }
}

/// Found sound and written out.
pub(super) fn sealed(app: &App, document: Value, id: &str) -> Result<Sealed, Vec<Issue>> {
    accept_text(&app.validator, document, None)
        .and_then(|accepted| accepted.seal(id.to_owned(), &app.search()))
}

pub(super) fn information(told: String) -> Issue {
    Issue::new(Severity::Information, IssueCode::Informational, told)
}

fn stale(resource_type: &str, id: &str, reason: &str) -> Issue {
    information(format!(
        "{resource_type}/{id}: this comes too late, {reason}"
    ))
}

fn ambiguous(draft: &Draft, key: &Key, ids: &[String]) -> Issue {
    let asked: Vec<String> = key
        .parameters
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let named = draft.resource_type;
    let told = format!(
        "{named}?{} finds more than one resource ({named}/{}): which one is meant cannot be told",
        asked.join("&"),
        ids.join(&format!(", {named}/"))
    );
    Issue::error(IssueCode::MultipleMatches, told).at(named)
}
