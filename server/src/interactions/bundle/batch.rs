//! Batch: each entry for itself.
//! <https://hl7.org/fhir/R4/http.html#brules>
//!
//! Entries are done in the order of a transaction, but those of one turn side by side: their preparation takes all
//! processors, and the store commits what waits together. Entries of one resource follow each other.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use fhir_spec::Issue;
use fhir_spec::bundle::{
    Asked, Bundle, Entry, Kind as BundleKind, Links, Method, Target, in_order,
};
use tokio::task::JoinSet;

use super::answer::answer;
use super::planner::Planner;
use super::step::Done;
use super::trouble::{Failure, Stop, Told, told};
use super::{Sent, Wishes};
use crate::auth::{Did, Ended, Step, may_all};
use crate::cx::Cx;
use crate::fault::{Fault, Kind};
use crate::limits::{BATCH_ENTRIES_AT_ONCE_MAX, PARSE_AT_ONCE_BYTES_MAX, PLANS_MAX};

type Settled = (usize, Result<Done, Failure>);

pub(super) async fn run(
    cx: &Cx,
    sent: Sent,
    bundle: Bundle,
    wishes: Wishes,
) -> Result<Bytes, Fault> {
    let count = bundle.entries.len();
    let mut settled: Vec<Settled> = Vec::with_capacity(count);
    let mut entries = Vec::new();
    for (place, entry) in bundle.entries.into_iter().enumerate() {
        match entry {
            Ok(entry) => entries.push((place, entry)),
            Err(issues) => settled.push((place, Err(refused(place, issues)))),
        }
    }
    let planner = Planner {
        cx: cx.clone(),
        links: links(cx, &entries),
        // One alone is done at once, several side by side.
        bytes: match entries.len() {
            0 | 1 => sent.text.len(),
            _ => PARSE_AT_ONCE_BYTES_MAX + 1,
        },
        sent: sent.clone(),
        wishes: wishes.clone(),
        told: Told::default(),
        kind: BundleKind::Batch,
    };
    for turn in turns(entries) {
        side_by_side(&planner, turn, &mut settled).await;
    }
    let done: HashSet<usize> = settled.iter().map(|(place, _)| *place).collect();
    for lost in (0..count).filter(|place| !done.contains(place)) {
        let fault = Fault::internal("an entry was lost");
        settled.push((lost, Err(Failure::at(lost, fault))));
    }
    let (mut outcomes, mut failures) = (Vec::with_capacity(settled.len()), Vec::new());
    for (place, outcome) in settled {
        match outcome {
            Ok(done) => outcomes.push((place, Ok(done))),
            Err(failure) => failures.push(failure),
        }
    }
    let faults = told(failures, &sent);
    outcomes.extend(
        faults
            .into_iter()
            .map(|(place, fault)| (place.unwrap_or_default(), Err(fault))),
    );
    answer(cx, BundleKind::Batch, outcomes, &wishes)
}

fn refused(place: usize, issues: Vec<Issue>) -> Failure {
    Failure::at(place, Fault::of_issues(Kind::Malformed, issues))
}

/// What would be links between the entries.
fn links(cx: &Cx, entries: &[(usize, Entry)]) -> Links {
    let mut links = Links::new(BundleKind::Batch, cx.app.definitions().types());
    for url in entries
        .iter()
        .filter_map(|(_, entry)| entry.full_url.as_ref())
    {
        links.add(url, Target::new("", "", None));
    }
    links
}

/// Groups of entries, turn by turn; those of a group are of the same resource.
fn turns(entries: Vec<(usize, Entry)>) -> Vec<Vec<Vec<(usize, Entry)>>> {
    let order = in_order(entries.iter().map(|(_, entry)| entry.request.method));
    let mut slots: Vec<Option<(usize, Entry)>> = entries.into_iter().map(Some).collect();
    let mut turns: Vec<Vec<Vec<(usize, Entry)>>> = Vec::new();
    let mut groups: HashMap<String, usize> = HashMap::new();
    let mut last = None;
    for index in order {
        let Some((place, entry)) = slots.get_mut(index).and_then(Option::take) else {
            continue;
        };
        let turn = entry.request.method.turn();
        if last.replace(turn) != Some(turn) {
            turns.push(Vec::new());
            groups.clear();
        }
        let Some(current) = turns.last_mut() else {
            continue;
        };
        let known =
            resource(&entry).map(|resource| *groups.entry(resource).or_insert(current.len()));
        match known.and_then(|known| current.get_mut(known)) {
            Some(group) => group.push((place, entry)),
            None => current.push(vec![(place, entry)]),
        }
    }
    turns
}

/// What an entry is about, when it says so.
fn resource(entry: &Entry) -> Option<String> {
    match &entry.request.address.asked {
        Asked::Instance(name, id) => Some(format!("{name}/{id}")),
        _ => None,
    }
}

async fn side_by_side(
    planner: &Planner,
    groups: Vec<Vec<(usize, Entry)>>,
    settled: &mut Vec<Settled>,
) {
    let mut running: JoinSet<Vec<Settled>> = JoinSet::new();
    for group in groups {
        if running.len() >= BATCH_ENTRIES_AT_ONCE_MAX {
            settled.extend(next(&mut running).await);
        }
        let planner = planner.clone();
        running.spawn(async move {
            let mut settled = Vec::with_capacity(group.len());
            for (place, entry) in group {
                let step = refusal(&planner.cx, &entry);
                let done = one(&planner, place, entry).await;
                if let (Some(step), Err(failure)) = (step, &done) {
                    note(&planner.cx, step, failure);
                }
                settled.push((place, done));
            }
            settled
        });
    }
    while !running.is_empty() {
        settled.extend(next(&mut running).await);
    }
}

/// What the audit tells of an entry when nothing comes of it.
fn refusal(cx: &Cx, entry: &Entry) -> Option<Step> {
    let visit = cx.caller.visit()?;
    let what = resource(entry);
    let (code, action) = match (entry.request.method, &what) {
        (Method::Get | Method::Head, Some(_)) => ("read", Did::Read),
        (Method::Get | Method::Head, None) => ("search-type", Did::Execute),
        (Method::Post, _) => ("create", Did::Create),
        (Method::Put, _) => ("update", Did::Update),
        (Method::Patch, _) => ("patch", Did::Update),
        (Method::Delete, _) => ("delete", Did::Delete),
    };
    let patient = what.as_deref().and_then(|what| visit.patient_in(what));
    Some(Step {
        code,
        action,
        patients: patient.map(str::to_owned).into_iter().collect(),
        what,
        ..Step::default()
    })
}

fn note(cx: &Cx, step: Step, failure: &Failure) {
    let status = failure.fault.kind.row().status;
    if let Some(visit) = cx.caller.visit() {
        visit.note(Step {
            outcome: Ended::of_status(status),
            told: Some(format!("answered {status}")),
            ..step
        });
    }
}

async fn next(running: &mut JoinSet<Vec<Settled>>) -> Vec<Settled> {
    match running.join_next().await {
        Some(Ok(settled)) => settled,
        // Its entries are found missing in the end.
        Some(Err(error)) => {
            tracing::error!(error = %error, "an entry of a batch ended in a panic");
            Vec::new()
        }
        None => Vec::new(),
    }
}

/// One entry, as if it had come alone.
async fn one(planner: &Planner, place: usize, entry: Entry) -> Result<Done, Failure> {
    let cx = &planner.cx;
    for _ in 0..PLANS_MAX {
        let plan = planner.plan(vec![(place, entry.clone())]).await;
        let plan = plan.map_err(|failures| first(place, failures))?;
        let permit = may_all(&cx.caller, plan.actions.iter().copied());
        let permit = permit.map_err(|error| Failure::at(place, error.into()))?;
        let carried_out = match plan.only_looks() {
            true => cx.app.store.read(permit, move |view| plan.look(view)).await,
            false => cx.app.store.write(permit, move |tx| plan.apply(tx)).await,
        };
        match carried_out {
            Ok(done) => {
                let done = done.into_iter().next().map(|(_, done)| done);
                return done
                    .ok_or_else(|| Failure::at(place, Fault::internal("an entry was lost")));
            }
            Err(Stop::Fault(fault)) => return Err(Failure::at(place, fault)),
            Err(Stop::Changed) => {}
        }
    }
    let told = "others kept changing what this entry depends on: nothing was written";
    Err(Failure::at(place, Fault::new(Kind::Unavailable, told)))
}

fn first(place: usize, failures: Vec<Failure>) -> Failure {
    let first = failures.into_iter().next();
    first.unwrap_or_else(|| Failure::at(place, Fault::internal("there was no failure")))
}
