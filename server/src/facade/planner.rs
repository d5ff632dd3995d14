//! How a plan is made: what each entry is about, what it says, and what that makes of what is stored.

use std::collections::HashMap;

use fhir_spec::json::{Object, Value};
use fhir_spec::{Issue, IssueCode, Severity};

use super::documents;
use super::draft::{Ask, Draft, Drafts, Key};
use super::links::links;
use super::merge::{Said, merged};
use super::orders;
use super::patients;
use super::plan::{FOUND_MAX, LookedAt, Plan, Seen, Step};
use super::provenance::{Behind, provenance};
use super::step::{Made, Maker, sealed};
use super::world::World;
use crate::accept::Sealed;
use crate::app::App;
use crate::fault::{Fault, Kind};
use crate::instant::Instant;
use crate::interactions::bundle::parallel;
use crate::interactions::conditional::Criteria;
use crate::store::{Found, Head};

/// Of more resources that a number finds than these and two the names are not told.
const NAMED_MAX: usize = 6;

/// The resource that a draft turned out to be about.
#[derive(Debug)]
pub(super) struct Subject {
    pub(super) id: String,
    pub(super) found: Option<Found>,
    /// When what is known of it was so.
    pub(super) told: Option<Instant>,
    /// Others that the same is said of.
    pub(super) also: Vec<Self>,
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
        documents::supersede(&mut self, &mut works)?;
        let behind = documents::behind(self.drafts, &works);
        let moves = patients::merges(&mut works)?;
        let mut steps = Vec::with_capacity(works.len());
        let maker = Maker {
            app: self.app,
            at: self.drafts.at,
            moves: &moves,
        };
        for made in parallel::map(works, |work| maker.step(work)) {
            let Made { step, issues } = made?;
            steps.extend(step);
            self.issues.extend(issues);
        }
        if !moves.is_empty() {
            self.seen.is_wide = true;
            patients::move_references(&mut self, &moves, &mut steps)?;
        }
        let provenance = self.provenance(&steps, &behind);
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
        let is_whole = found.len() < usize::try_from(FOUND_MAX).unwrap_or(usize::MAX);
        if found.len() > 1 && is_whole && orders::is_bare(draft) {
            let Some(patient) = self.patient_of(draft, known) else {
                return Ok(None);
            };
            if orders::are_of(&patient, &found) {
                let mut all = found.into_iter().map(orders::subject);
                let first = all.next().map(|first| Subject {
                    also: all.collect(),
                    ..first
                });
                return Ok(first);
            }
        }
        let mut found = found.into_iter();
        Ok(Some(match (found.next(), found.next()) {
            (None, _) => self.new_subject(),
            (Some(found), None) => orders::subject(found),
            (Some((first, _)), Some((second, _))) => {
                let ids = [first.id, second.id];
                let others = found.take(NAMED_MAX).map(|(head, _)| head.id);
                let ids = ids.into_iter().chain(others);
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
            also: Vec::new(),
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
            also: Vec::new(),
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
        let mut places: HashMap<(&'static str, String), usize> = HashMap::new();
        let mut add = |work: Work, app: &App| {
            let key = (work.resource_type, work.subject.id.clone());
            let place = *places.entry(key).or_insert(works.len());
            match works.get_mut(place) {
                None => works.push(work),
                Some(earlier) => earlier.join(work, app),
            }
        };
        for (draft, mut subject) in drafts.all.iter().zip(subjects) {
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
            let also = std::mem::take(&mut subject.also);
            let work = |subject: Subject, said: Value| Work {
                resource_type: draft.resource_type,
                how: draft.how(),
                deletes: self.deletes(draft, &links),
                event: patients::event(&said),
                said,
                subject,
                lost: Vec::new(),
            };
            for other in also {
                add(work(other, said.clone()), self.app);
            }
            add(work(subject, said), self.app);
        }
        Ok(works)
    }

    /// Who said so, when something changes.
    fn provenance(&mut self, steps: &[Step], behind: &Behind) -> Option<Sealed> {
        let targets: Vec<_> = steps.iter().filter_map(Step::target).collect();
        if targets.is_empty() || !self.app.provenance {
            return None;
        }
        let made = provenance(&self.drafts.origin, &targets, behind, self.now);
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

pub(super) fn information(told: String) -> Issue {
    Issue::new(Severity::Information, IssueCode::Informational, told)
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
