//! Hits that are contained in other resources: their containers are answered, or they are cut out of these.
//! <https://hl7.org/fhir/R4/search.html#contained>

use std::collections::{HashMap, HashSet};

use fhir_spec::json::{Value, parse};
use search::contained;
use search::query::Answered;
use search::sql::{Position, SortedPage};

use super::page::{Hit, Room};
use super::{Entry, Part};
use crate::accept::resource_type;
use crate::auth::Action;
use crate::fault::Fault;
use crate::store::{Body, Container, View};

impl Part {
    /// Where it stands among the others, and what a link calls it: behind the stored resources of its type.
    pub(super) fn name(&self) -> String {
        match self.contained {
            None => self.resource_type.to_owned(),
            Some(_) => format!("{}#", self.resource_type),
        }
    }

    fn answers_containers(&self) -> bool {
        self.contained == Some(Answered::Container)
    }
}

/// A page of resources that contain what is looked for, in the order in which they came to be. Each goes by the last number
/// that something in it can have, so that the next page begins behind all of it.
pub(super) fn containers(
    view: &mut View<'_>,
    part: &Part,
    mut after: Option<Position>,
    limit: usize,
) -> Result<Vec<Position>, Fault> {
    let mut containers: Vec<Position> = Vec::new();
    while containers.len() < limit {
        let page = SortedPage {
            after,
            limit: i64::try_from(limit).unwrap_or(i64::MAX),
        };
        let found = view.hits(part.resource_type, &part.query, &page)?;
        let is_last = found.len() < limit;
        let numbers = found.iter().filter_map(|hit| contained::container(hit.rid));
        for rid in numbers.filter_map(|(container, _)| contained::last(container)) {
            if containers.last().is_none_or(|last| last.rid != rid) {
                containers.push(Position {
                    keys: Vec::new(),
                    rid,
                });
            }
        }
        if is_last {
            break;
        }
        after = containers.last().cloned();
    }
    containers.truncate(limit);
    Ok(containers)
}

/// A resource that is found by itself and by what it contains stands on a page once.
pub(super) fn once(parts: &[Part], hits: &mut Vec<Hit>) {
    if parts.iter().all(|part| !part.answers_containers()) {
        return;
    }
    let mut seen = HashSet::new();
    hits.retain(|hit| {
        let part = parts.get(hit.part);
        let number = hit.position.rid;
        match part.and_then(|part| part.contained) {
            None => seen.insert(number),
            Some(Answered::Container) => {
                contained::container(number).is_none_or(|(container, _)| seen.insert(container))
            }
            Some(Answered::Contained) => true,
        }
    });
}

/// What contains the hits of a page.
#[derive(Debug, Default)]
pub(super) struct Containers {
    found: HashMap<i64, Container>,
    /// Of the last one that something was cut out of: its neighbours come next.
    open: Option<(i64, Value)>,
}

impl Containers {
    /// Fetches those of contained resources of these numbers.
    pub(super) fn fetch(
        &mut self,
        view: &mut View<'_>,
        numbers: impl Iterator<Item = i64>,
    ) -> Result<(), Fault> {
        let rids = numbers.filter_map(|number| Some(contained::container(number)?.0));
        let mut rids: Vec<i64> = rids.collect();
        rids.sort_unstable();
        rids.dedup();
        let found = view.containers(Action::Include, &rids)?;
        let found = found.into_iter();
        self.found
            .extend(found.map(|container| (container.body.rid, container)));
        Ok(())
    }

    /// What is answered for a contained resource of that number; none when the page is full.
    pub(super) fn entry(
        &mut self,
        view: &mut View<'_>,
        room: &mut Room,
        (answered, number): (Answered, i64),
    ) -> Result<Option<Entry>, Fault> {
        let known = contained::container(number);
        let known = known.and_then(|(rid, place)| Some((self.found.get(&rid)?, place)));
        let (container, place) = known.ok_or_else(|| Fault::internal("a hit has no container"))?;
        let kind = resource_type(&container.resource_type)
            .ok_or_else(|| Fault::internal("a container of no known type"))?;
        let body = &container.body;
        if answered == Answered::Container {
            return room.take(view, Action::Include, kind, body.clone());
        }
        if self.open.as_ref().is_none_or(|(rid, _)| *rid != body.rid) {
            let large;
            let text = match &body.text {
                Some(text) => text,
                None => {
                    large = view.large_body(Action::Include, kind, body.rid)?;
                    &large
                }
            };
            let document = parse(text).map_err(Fault::internal)?;
            self.open = Some((body.rid, document));
        }
        let inner = self.open.as_ref();
        let inner = inner.and_then(|(_, document)| document.items_of("contained").get(place));
        let inner = inner.ok_or_else(|| Fault::internal("a hit is not where it was"))?;
        let id = inner.str_of("id").unwrap_or_default();
        let cut = Body {
            rid: number,
            id: format!("{}#{id}", body.id),
            text: Some(inner.to_string().into_bytes()),
        };
        room.take(view, Action::Include, kind, cut)
    }
}
