//! How a plan is made: what is looked up, in which order, and what must not meet.
//! <https://hl7.org/fhir/R4/http.html#trules>

use std::collections::HashMap;
use std::sync::Arc;

use fhir_spec::bundle::{Entry, Kind as BundleKind, Links, Method, overlaps};
use fhir_spec::json::Text;
use fhir_spec::{Issue, IssueCode};

use super::condition::Own;
use super::draft::{Draft, How};
use super::plan::{Plan, Reference, Waiting};
use super::prepare::{Prepared, World};
use super::step::Step;
use super::trouble::{Failure, Told};
use super::{Sent, Wishes, parallel};
use crate::auth::{Action, may_all};
use crate::cx::Cx;
use crate::fault::{Fault, Kind};
use crate::store::{Found, View};

/// Who asks for what.
#[derive(Debug, Clone)]
pub(super) struct Planner {
    pub(super) cx: Cx,
    pub(super) sent: Sent,
    pub(super) wishes: Wishes,
    pub(super) kind: BundleKind,
    /// Of a batch: the full urls of all entries, which are no links there.
    pub(super) links: Links,
    /// About how much there is to prepare.
    pub(super) bytes: usize,
    pub(super) told: Told,
}

pub(super) type Outcome<T> = Result<T, Vec<Failure>>;

/// The current versions of what is to be changed, by place.
type Current = HashMap<usize, Found>;

/// What came of preparing: steps, and entries that need their references looked up.
type Ready = (Vec<Step>, Vec<(Draft, Vec<Text>)>);

impl Planner {
    pub(super) async fn plan(&self, entries: Vec<(usize, Entry)>) -> Outcome<Plan> {
        let turn = |(place, entry): &(usize, Entry)| (*place, entry.request.method.turn());
        let turns: HashMap<usize, u8> = entries.iter().map(turn).collect();
        let mut drafts = self.drafts(entries)?;
        self.settle(&drafts).await?;
        self.look_up(&mut drafts).await?;
        let own = self.own(&drafts)?;
        let current = self.current(&drafts).await?;
        let mut actions: Vec<Action> = Vec::new();
        for action in drafts.iter().flat_map(Draft::actions) {
            if !actions.contains(&action) {
                actions.push(action);
            }
        }
        let (mut steps, references, waiting) = self.prepare(drafts, current, &own).await?;
        let searched = references
            .iter()
            .chain(waiting.iter().flat_map(|waiting| &waiting.references));
        actions.extend(searched.map(|reference| Action::Search(reference.condition.resource_type)));
        // Within a turn no order is given. Two transactions that change the same resources take them in the same one, so
        // that neither holds what the other waits for.
        let turn = |step: &Step| turns.get(&step.place).copied();
        steps.sort_by(|a, b| {
            let by_turn = turn(a).cmp(&turn(b));
            by_turn.then_with(|| (a.changed(), a.place).cmp(&(b.changed(), b.place)))
        });
        Ok(Plan {
            cx: self.cx.clone(),
            wishes: self.wishes.clone(),
            steps,
            own,
            references,
            waiting,
            actions,
        })
    }

    /// Whether each entry may be asked for, by this caller.
    fn drafts(&self, entries: Vec<(usize, Entry)>) -> Outcome<Vec<Draft>> {
        let mut drafts = Vec::with_capacity(entries.len());
        let mut failures = Vec::new();
        for (place, entry) in entries {
            let draft = Draft::of(place, entry, &self.cx).and_then(|draft| {
                may_all(&self.cx.caller, draft.actions())?;
                Ok(draft)
            });
            match draft {
                Ok(draft) => drafts.push(draft),
                Err(fault) => failures.push(Failure::at(place, fault)),
            }
        }
        or_failures(drafts, failures)
    }

    async fn settle(&self, drafts: &[Draft]) -> Outcome<()> {
        let mut failures = Vec::new();
        for draft in drafts {
            if let Some(look) = draft.look()
                && let Err(fault) = look.settle(&self.cx, self.kind).await
            {
                failures.push(Failure::at(draft.place, fault));
            }
        }
        or_failures((), failures)
    }

    /// The resources that are changed. Each has one entry.
    fn own(&self, drafts: &[Draft]) -> Outcome<Own> {
        let mut issues = overlaps(drafts.iter().filter_map(|draft| {
            let (resource_type, id) = draft.changed()?;
            Some((draft.place, resource_type, id))
        }));
        issues.extend(twins(drafts));
        if self.kind == BundleKind::Transaction && !issues.is_empty() {
            let fault = Fault::of_issues(Kind::Malformed, issues);
            return Err(vec![Failure::whole(fault)]);
        }
        let mut own = Own::default();
        for draft in drafts {
            if let Some((resource_type, id)) = draft.changed() {
                own.insert(resource_type, id.to_owned(), draft.place);
            }
        }
        Ok(own)
    }

    async fn current(&self, drafts: &[Draft]) -> Outcome<Current> {
        let mut wanted = Vec::new();
        for draft in drafts {
            if let Some(write) = draft.write().filter(|write| write.how != How::Create)
                && let Some(id) = &write.id
            {
                wanted.push((
                    draft.place,
                    draft.actions(),
                    write.resource_type,
                    id.clone(),
                ));
            }
        }
        if wanted.is_empty() {
            return Ok(Current::new());
        }
        let mut actions = Vec::new();
        for action in wanted.iter().flat_map(|(_, actions, _, _)| actions) {
            if !actions.contains(action) {
                actions.push(*action);
            }
        }
        self.look(actions, move |view| {
            let mut current = Current::new();
            for (place, _, resource_type, id) in &wanted {
                if let Some(found) = view.current(resource_type, id)? {
                    current.insert(*place, found);
                }
            }
            Ok(current)
        })
        .await
    }

    /// Everything that can be done before the door opens.
    async fn prepare(
        &self,
        drafts: Vec<Draft>,
        current: Current,
        own: &Own,
    ) -> Outcome<(Vec<Step>, Vec<Reference>, Option<Waiting>)> {
        let mut links = self.links.clone();
        if self.kind == BundleKind::Transaction {
            for draft in &drafts {
                let Some(target) = draft.target() else {
                    continue;
                };
                let resource = draft.entry.resource.as_ref();
                let stated = resource.and_then(|resource| {
                    Some((resource.str_of("resourceType")?, resource.str_of("id")?))
                });
                match (&draft.entry.full_url, resource, stated) {
                    (Some(url), Some(resource), _) => links.add(url, target.of(url, resource)),
                    (Some(url), None, _) => links.add(url, target),
                    (None, _, Some((resource_type, id))) if draft.creates() => {
                        links.add_relative(resource_type, id, target);
                    }
                    _ => {}
                }
            }
        }
        let gone = gone(&drafts);
        let current = Arc::new(current);
        let (mut steps, needy) = self.prepare_all(drafts, &current, links.clone()).await?;
        if needy.is_empty() {
            return Ok((steps, Vec::new(), None));
        }
        let (known, unknown) = self.references(&needy, gone, own).await?;
        for (reference, id) in &known {
            reference.link(id, &mut links);
        }
        let drafts = needy.into_iter().map(|(draft, _)| draft).collect();
        let (more, still) = self.prepare_all(drafts, &current, links.clone()).await?;
        steps.extend(more);
        let waiting = Waiting {
            sent: self.sent.clone(),
            links: Arc::new(links),
            drafts: still.into_iter().map(|(draft, _)| draft).collect(),
            references: unknown,
        };
        let known = known.into_iter().map(|(mut reference, id)| {
            reference.condition.expected = Some(id);
            reference
        });
        let waiting = (!waiting.drafts.is_empty()).then_some(waiting);
        Ok((steps, known.collect(), waiting))
    }

    async fn prepare_all(
        &self,
        drafts: Vec<Draft>,
        current: &Arc<Current>,
        links: Links,
    ) -> Outcome<Ready> {
        let planner = self.clone();
        let (current, links) = (Arc::clone(current), Arc::new(links));
        let prepared = self
            .cx
            .compute(self.bytes, move || {
                let world = World {
                    app: &planner.cx.app,
                    caller: planner.cx.caller.clone(),
                    now: planner.cx.now,
                    sent: &planner.sent,
                    wishes: &planner.wishes,
                    links: &links,
                };
                Ok(parallel::map(drafts, |draft| {
                    let found = current.get(&draft.place);
                    planner
                        .told
                        .within(planner.kind, draft.place, || world.prepare(draft, found))
                }))
            })
            .await
            .map_err(whole)?;
        let (mut ready, mut failures) = ((Vec::new(), Vec::new()), Vec::new());
        for prepared in prepared {
            match prepared {
                Ok(Prepared::Step(step)) => ready.0.push(step),
                Ok(Prepared::Needs(draft, criteria)) => ready.1.push((draft, criteria)),
                Err(failure) => failures.push(failure),
            }
        }
        or_failures(ready, failures)
    }

    pub(super) async fn look<T: Send + 'static>(
        &self,
        actions: Vec<Action>,
        work: impl Fn(&mut View<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> Outcome<T> {
        let permit = may_all(&self.cx.caller, actions).map_err(|error| whole(error.into()))?;
        self.cx.app.store.read(permit, work).await.map_err(whole)
    }
}

/// Trouble that is of no entry.
fn whole(fault: Fault) -> Vec<Failure> {
    vec![Failure::whole(fault)]
}

pub(super) fn or_failures<T>(value: T, failures: Vec<Failure>) -> Outcome<T> {
    match failures.is_empty() {
        true => Ok(value),
        false => Err(failures),
    }
}

/// What is deleted by id.
pub(super) fn gone(drafts: &[Draft]) -> Own {
    let mut gone = Own::default();
    for draft in drafts {
        if let Some(write) = draft.write().filter(|write| write.how == How::Delete)
            && let Some(id) = &write.id
        {
            gone.insert(write.resource_type, id.clone(), draft.place);
        }
    }
    gone
}

/// Entries that would each create by the same criteria.
fn twins(drafts: &[Draft]) -> Vec<Issue> {
    let mut first = HashMap::new();
    let mut issues = Vec::new();
    for draft in drafts {
        let (Some(criteria), Some(write)) = (&draft.criteria, draft.write()) else {
            continue;
        };
        let creates = matches!(draft.entry.request.method, Method::Post | Method::Put);
        if !creates {
            continue;
        }
        let key = (write.resource_type, criteria.as_str());
        let earlier = *first.entry(key).or_insert(draft.place);
        if earlier != draft.place {
            let place = draft.place;
            let told = format!(
                "entries {earlier} and {place} have the same criteria: in a transaction each resource has one entry"
            );
            let issue = Issue::error(IssueCode::Duplicate, told);
            issues.push(issue.at(format!("Bundle.entry[{place}].request")));
        }
    }
    issues
}
