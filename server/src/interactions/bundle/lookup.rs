//! What conditional entries are about: their criteria are looked up before anything is prepared.
//! <https://hl7.org/fhir/R4/http.html#ccreate>

use std::collections::HashMap;

use fhir_spec::bundle::normalised;

use super::condition::Condition;
use super::draft::{Draft, How};
use super::planner::{Outcome, Planner, gone, or_failures};
use super::trouble::Failure;
use crate::auth::Action;
use crate::fault::{Fault, Kind};
use crate::interactions::parameters::decoded;

/// Where the full urls of a transaction lead; None: that is not known yet.
type Targets = HashMap<String, Option<String>>;

impl Planner {
    /// Criteria may name other entries by their full urls: those are looked up first.
    pub(super) async fn look_up(&self, drafts: &mut [Draft]) -> Outcome<()> {
        let places = 0..drafts.len();
        let mut waiting: Vec<usize> = places
            .filter(|index| {
                drafts
                    .get(*index)
                    .is_some_and(|draft| draft.criteria.is_some())
            })
            .collect();
        while !waiting.is_empty() {
            let targets = targets(drafts, &waiting);
            let (mut ready, mut still, mut failures) = (Vec::new(), Vec::new(), Vec::new());
            for index in waiting {
                let Some(draft) = drafts.get_mut(index) else {
                    continue;
                };
                match self.condition(draft, &targets) {
                    Ok(Some(condition)) => {
                        draft.condition = Some(condition);
                        ready.push(index);
                    }
                    Ok(None) => still.push(index),
                    Err(fault) => failures.push(Failure::at(draft.place, fault)),
                }
            }
            or_failures((), failures)?;
            if ready.is_empty() {
                return Err(going_round(drafts, &still));
            }
            self.find(drafts, ready).await?;
            waiting = still;
        }
        Ok(())
    }

    /// None: it names an entry that is not known yet.
    fn condition(&self, draft: &Draft, targets: &Targets) -> Result<Option<Condition>, Fault> {
        let (Some(criteria), Some(write)) = (&draft.criteria, draft.write()) else {
            return Ok(None);
        };
        let mut parameters = decoded(criteria)?;
        for (_, value) in &mut parameters {
            let Some(filled) = filled(value, targets) else {
                return Ok(None);
            };
            *value = filled;
        }
        let app = &self.cx.app;
        Condition::new(app, write.resource_type, criteria, &parameters, self.cx.now).map(Some)
    }

    /// What is deleted comes first, and is found by nobody after.
    async fn find(&self, drafts: &mut [Draft], indices: Vec<usize>) -> Outcome<()> {
        let gone = gone(drafts);
        let mut asked = Vec::with_capacity(indices.len());
        for index in indices {
            if let Some(draft) = drafts.get(index)
                && let Some(condition) = &draft.condition
            {
                let deletes = draft.write().is_some_and(|write| write.how == How::Delete);
                asked.push((index, deletes, condition.clone()));
            }
        }
        let conditions = asked.iter().map(|(_, _, condition)| condition);
        let actions = conditions.map(|condition| Action::Search(condition.resource_type));
        let found = self
            .look(actions.collect(), move |view| {
                let mut gone = gone.clone();
                let mut found = Vec::with_capacity(asked.len());
                for deletes_first in [true, false] {
                    for (index, deletes, condition) in &asked {
                        if *deletes != deletes_first {
                            continue;
                        }
                        let matched = condition.find(view, &gone);
                        if let (true, Ok(Some(id))) = (deletes, &matched) {
                            gone.insert(condition.resource_type, id.clone(), *index);
                        }
                        found.push((*index, matched));
                    }
                }
                Ok(found)
            })
            .await?;
        let mut failures = Vec::new();
        for (index, matched) in found {
            let Some(draft) = drafts.get_mut(index) else {
                continue;
            };
            let settled = matched.and_then(|id| draft.settle(id, &self.cx.app, self.cx.now));
            if let Err(fault) = settled {
                failures.push(Failure::at(draft.place, fault));
            }
        }
        or_failures((), failures)
    }
}

/// Only made when criteria name entries.
fn targets(drafts: &[Draft], waiting: &[usize]) -> Targets {
    let names_entries = |index: &usize| {
        let criteria = drafts
            .get(*index)
            .and_then(|draft| draft.criteria.as_deref());
        criteria.is_some_and(|criteria| criteria.to_ascii_lowercase().contains("urn"))
    };
    let mut targets = Targets::new();
    if !waiting.iter().any(names_entries) {
        return targets;
    }
    for (index, draft) in drafts.iter().enumerate() {
        if let (Some(url), Some(write)) = (&draft.entry.full_url, draft.write()) {
            let id = write.id.as_ref().filter(|_| !waiting.contains(&index));
            let target = id.map(|id| format!("{}/{id}", write.resource_type));
            targets.insert(normalised(url).into_owned(), target);
        }
    }
    targets
}

/// The value with the addresses of entries in place of their full urls; None: one of them is not known yet.
fn filled(value: &str, targets: &Targets) -> Option<String> {
    let parts: Option<Vec<&str>> = value
        .split(',')
        .map(|part| match targets.get(&*normalised(part)) {
            Some(target) => target.as_deref(),
            None => Some(part),
        })
        .collect();
    Some(parts?.join(","))
}

fn going_round(drafts: &[Draft], indices: &[usize]) -> Vec<Failure> {
    let told = "the criteria of these entries depend on each other";
    let stuck = indices.iter().filter_map(|index| drafts.get(*index));
    stuck
        .map(|draft| Failure::at(draft.place, Fault::new(Kind::Malformed, told)))
        .collect()
}
