//! What is to be written of a message: found, merged, validated and written out.

use std::collections::HashMap;

use fhir_spec::bundle::{self, Kind as BundleKind, Links};
use fhir_spec::json::{Value, parse};
use fhir_spec::{Issue, IssueCode, Severity};
use interop::host::{Applied, Effect, Touched};

use super::draft::{Ask, Draft, Drafts, Key};
use super::merge::{Said, merged};
use super::order::{Told, is_late};
use super::provenance::{Target, provenance};
use super::world::World;
use crate::accept::{Sealed, accept_text, resource_type};
use crate::app::App;
use crate::fault::{Fault, Kind};
use crate::instant::Instant;
use crate::interactions::conditional::Criteria;
use crate::interactions::parameters::decoded;
use crate::interactions::{create, update};
use crate::store::{Before, Found, Rid, Tx};

#[derive(Debug)]
pub(super) struct Plan {
    steps: Vec<Step>,
    /// What was asked, and what it found.
    asked: Vec<(Criteria, Vec<String>)>,
    /// When what is stored was so.
    told: HashMap<Rid, Instant>,
    /// When what the message says was so.
    at: Option<Instant>,
    provenance: Option<Sealed>,
    issues: Vec<Issue>,
}

#[derive(Debug)]
struct Step {
    resource_type: &'static str,
    id: String,
    /// What was there when it was planned.
    found: Option<Found>,
    /// Whether later messages may say something else of it.
    is_told: bool,
    task: Task,
}

#[derive(Debug)]
enum Task {
    Create(Sealed),
    /// Under an id that the message gives.
    Place(Sealed),
    Update(Sealed, Box<Before>),
    Keep(Effect),
}

/// What a draft turned out to be about.
#[derive(Debug)]
struct Subject {
    id: String,
    found: Option<Found>,
}

/// Two are enough to know that there are several.
const IDS_MAX: u32 = 2;

impl Plan {
    pub(super) fn make<W: World>(
        world: &mut W,
        app: &App,
        drafts: &Drafts,
        now: Instant,
    ) -> Result<Self, Fault> {
        let mut planner = Planner {
            world,
            app,
            drafts,
            now,
            asked: Vec::new(),
            told: HashMap::new(),
            issues: Vec::new(),
        };
        let subjects = planner.subjects()?;
        planner.or_issues()?;
        let told = planner.told(&subjects)?;
        planner.told = told;
        let mut links = links(app, drafts, &subjects);
        let mut steps = Vec::with_capacity(subjects.len());
        for (draft, subject) in drafts.all.iter().zip(subjects) {
            steps.extend(planner.step(draft, subject, &mut links)?);
        }
        let provenance = planner.provenance(&steps);
        planner.or_issues()?;
        Ok(Self {
            steps,
            asked: planner.asked,
            told: planner.told,
            at: drafts.at,
            provenance,
            issues: planner.issues,
        })
    }

    /// Whether the world is as it was when this was planned.
    pub(super) fn holds(&self, tx: &mut Tx<'_>) -> Result<bool, Fault> {
        for (criteria, found) in &self.asked {
            if criteria.ids_within(tx, IDS_MAX)? != *found {
                return Ok(false);
            }
        }
        let known = self.steps.iter();
        let known: Vec<_> = known.filter_map(Step::known).collect();
        if self.at.is_some() && tx.told(&known)? != self.told {
            return Ok(false);
        }
        for step in &self.steps {
            if let Task::Create(_) = step.task {
                continue;
            }
            let head = tx.head(step.resource_type, &step.id)?;
            let planned = step.found.as_ref().map(|found| (found.rid, found.version));
            if head != planned {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Works inside the door, when the plan holds.
    pub(super) fn write(&self, tx: &mut Tx<'_>, app: &App, now: Instant) -> Result<Applied, Fault> {
        let mut applied = Applied {
            touched: Vec::with_capacity(self.steps.len()),
            issues: self.issues.clone(),
        };
        let mut tellable = Vec::new();
        for step in &self.steps {
            let touched = step.write(tx, app, now)?;
            let rid = match &step.found {
                Some(found) => Some(found.rid),
                None => tx.created(),
            };
            let is_new = |rid: &Rid| self.told.get(rid).copied() < self.at;
            if let Some(rid) = rid.filter(is_new)
                && step.is_told
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
}

impl Step {
    /// A resource of which it may be known when it was so.
    fn known(&self) -> Option<(&'static str, Rid)> {
        let found = self.found.as_ref().filter(|_| self.is_told)?;
        Some((self.resource_type, found.rid))
    }

    /// What it changes, with the version that follows.
    fn target(&self) -> Option<Target<'_>> {
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
                    crate::interactions::Effect::Created => Effect::Created,
                    crate::interactions::Effect::Updated => Effect::Updated,
                    crate::interactions::Effect::Unchanged => Effect::Unchanged,
                };
                (stored.version(), effect)
            }
            (Task::Keep(effect), Some(found)) => (found.version, *effect),
            _ => return Err(Fault::internal("a step that does not fit what was found")),
        };
        Ok(Touched {
            resource_type: self.resource_type.to_owned(),
            id: self.id.clone(),
            version,
            effect,
        })
    }
}

struct Planner<'p, W> {
    world: &'p mut W,
    app: &'p App,
    drafts: &'p Drafts,
    now: Instant,
    asked: Vec<(Criteria, Vec<String>)>,
    told: HashMap<Rid, Instant>,
    issues: Vec<Issue>,
}

impl<W: World> Planner<'_, W> {
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
        let new = |app: &App, now| Subject {
            id: (app.ids)(now),
            found: None,
        };
        let key = match &draft.ask {
            Ask::New => return Ok(Some(new(self.app, self.now))),
            Ask::Place(id) => {
                let found = self.world.current(draft.resource_type, id)?;
                let id = id.clone();
                return Ok(Some(Subject { id, found }));
            }
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
        let ids = self.world.ids(&criteria, IDS_MAX)?;
        let subject = match ids.as_slice() {
            [] => new(self.app, self.now),
            [id] => Subject {
                id: id.clone(),
                found: self.world.current(draft.resource_type, id)?,
            },
            several => {
                self.issues.push(ambiguous(draft, key, several));
                new(self.app, self.now)
            }
        };
        self.asked.push((criteria, ids));
        Ok(Some(subject))
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

    fn step(
        &mut self,
        draft: &Draft,
        subject: Subject,
        links: &mut Links,
    ) -> Result<Option<Step>, Fault> {
        let Subject { id, found } = subject;
        let resource_type = draft.resource_type;
        let is_told = draft.is_told();
        let keep = |effect, id, found| Step {
            resource_type,
            id,
            found,
            is_told,
            task: Task::Keep(effect),
        };
        if let (Ask::Once(_), Some(_)) = (&draft.ask, &found) {
            return Ok(Some(keep(Effect::Unchanged, id, found)));
        }
        let Some(said) = self.linked(draft, links)? else {
            return Ok(None);
        };
        let living = found.as_ref().filter(|found| !found.is_deleted());
        let document = match living {
            None => said,
            Some(living) => {
                let stored = parse(&living.body).map_err(Fault::internal)?;
                if let Some(reason) = self.late(living, &stored, &said) {
                    self.issues.push(stale(resource_type, &id, &reason));
                    return Ok(Some(keep(Effect::Stale, id, found)));
                }
                let said = Said {
                    resource: &said,
                    deletes: &draft.deletes,
                };
                let document = merged(&stored, said, self.app.definitions().types());
                if document == stored {
                    return Ok(Some(keep(Effect::Unchanged, id, found)));
                }
                document
            }
        };
        let Some(sealed) = self.sealed(document, &id) else {
            return Ok(None);
        };
        let task = match (&found, &draft.ask) {
            (Some(found), _) => {
                let before = Before::of(&self.app.search(), found)?;
                Task::Update(sealed, Box::new(before))
            }
            (None, Ask::Place(_)) => Task::Place(sealed),
            (None, _) => Task::Create(sealed),
        };
        Ok(Some(Step {
            resource_type,
            id,
            found,
            is_told,
            task,
        }))
    }

    /// When what is known of these was so; of interest only when it is known when the message is of.
    fn told(&mut self, subjects: &[Subject]) -> Result<HashMap<Rid, Instant>, Fault> {
        if self.drafts.at.is_none() {
            return Ok(HashMap::new());
        }
        let both = self.drafts.all.iter().zip(subjects);
        let known = both.filter_map(|(draft, subject)| {
            let found = subject.found.as_ref().filter(|_| draft.is_told())?;
            Some((draft.resource_type, found.rid))
        });
        let known: Vec<_> = known.collect();
        match known.is_empty() {
            true => Ok(HashMap::new()),
            false => self.world.told(&known),
        }
    }

    /// Why the message comes too late for a resource.
    fn late(&self, found: &Found, stored: &Value, said: &Value) -> Option<String> {
        let known = Told {
            document: stored,
            at: self.told.get(&found.rid).copied(),
        };
        let new = Told {
            document: said,
            at: self.drafts.at,
        };
        is_late(known, new)
    }

    /// Who said so, when something changes.
    fn provenance(&mut self, steps: &[Step]) -> Option<Sealed> {
        let targets: Vec<Target<'_>> = steps.iter().filter_map(Step::target).collect();
        if targets.is_empty() || !self.app.provenance {
            return None;
        }
        let made = provenance(&self.drafts.origin, &targets, self.now);
        self.sealed(made, &(self.app.ids)(self.now))
    }

    fn sealed(&mut self, document: Value, id: &str) -> Option<Sealed> {
        let sealed = accept_text(&self.app.validator, document, None)
            .and_then(|accepted| accepted.seal(id.to_owned(), &self.app.search()));
        match sealed {
            Ok(sealed) => Some(sealed),
            Err(issues) => {
                self.issues.extend(issues);
                None
            }
        }
    }

    /// What the message says, with its links leading to what is stored. None: one leads nowhere.
    fn linked(&mut self, draft: &Draft, links: &mut Links) -> Result<Option<Value>, Fault> {
        let mut document = draft.resource.clone();
        let types = self.app.definitions().types();
        let place = || draft.resource_type.to_owned();
        let found = links.rewrite(&mut document, Some(&draft.full_url), place, types);
        if !found.issues.is_empty() {
            self.issues.extend(found.issues);
            return Ok(None);
        }
        if found.criteria.is_empty() {
            return Ok(Some(document));
        }
        for criteria in &found.criteria {
            let Some((name, id)) = self.referred(criteria)? else {
                return Ok(None);
            };
            links.add_criteria(criteria, bundle::Target::new(name, &id, None));
        }
        links.rewrite(&mut document, Some(&draft.full_url), place, types);
        Ok(Some(document))
    }

    /// What a reference by criteria leads to: `Patient?identifier=1`.
    fn referred(&mut self, text: &str) -> Result<Option<(&'static str, String)>, Fault> {
        let known = text
            .split_once('?')
            .and_then(|(named, query)| Some((resource_type(named)?, query)));
        let Some((resource_type, query)) = known else {
            let told = format!("`{text}` names no resource type of FHIR R4");
            self.issues.push(Issue::error(IssueCode::Value, told));
            return Ok(None);
        };
        let criteria = Criteria::new(self.app, resource_type, &decoded(query)?, self.now)?;
        let ids = self.world.ids(&criteria, IDS_MAX)?;
        let found = match ids.as_slice() {
            [id] => Some(id.clone()),
            [] => {
                let told = format!("a reference by `{text}` leads to no resource");
                self.issues.push(Issue::error(IssueCode::NotFound, told));
                None
            }
            several => {
                let told = format!(
                    "a reference by `{text}` leads to more than one resource: {}",
                    several.join(", ")
                );
                let issue = Issue::error(IssueCode::MultipleMatches, told);
                self.issues.push(issue);
                None
            }
        };
        self.asked.push((criteria, ids));
        Ok(found.map(|id| (resource_type, id)))
    }
}

/// Where the full urls lead.
fn links(app: &App, drafts: &Drafts, subjects: &[Subject]) -> Links {
    let mut links = Links::new(BundleKind::Transaction, app.definitions().types());
    let mut add = |url: &str, place: usize| {
        if let (Some(draft), Some(subject)) = (drafts.all.get(place), subjects.get(place)) {
            links.add(
                url,
                bundle::Target::new(draft.resource_type, &subject.id, None),
            );
        }
    };
    for (place, draft) in drafts.all.iter().enumerate() {
        add(&draft.full_url, place);
    }
    for (url, place) in &drafts.aliases {
        add(url, *place);
    }
    links
}

fn stale(resource_type: &str, id: &str, reason: &str) -> Issue {
    let told = format!("{resource_type}/{id} stays as it is, this comes too late: {reason}");
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
