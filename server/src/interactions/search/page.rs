//! A page of a search, found inside one state of the database: measure, hits, bodies, total, one after the other.
//! <https://hl7.org/fhir/R4/search.html#return>

use std::cmp::Ordering;
use std::collections::HashMap;

use fhir_spec::{Issue, IssueCode, Severity};
use search::condition::Bind;
use search::query::{Answered, SortKey, Total};
use search::sql::{Position, SortedPage};

use super::contained::{self, Containers};
use super::cost;
use super::include::{self, Included, included};
use super::place::{Place, Start};
use super::text::{Relevance, answered};
use super::{Asked, Entry, Page, Part, log};
use crate::auth::Action;
use crate::fault::Fault;
use crate::limits::ESTIMATE_MAX;
use crate::store::{Body, View};

/// So many types make it worth asking which of them there are.
const MANY_TYPES: usize = 4;

/// What was found, not yet what it says.
#[derive(Debug)]
pub(super) struct Hit {
    /// Which of the parts has found it.
    pub(super) part: usize,
    pub(super) position: Position,
}

pub fn within(view: &mut View<'_>, asked: &Asked) -> Result<Page, Fault> {
    if let (true, [part]) = (asked.is_of_audit, asked.parts.as_slice()) {
        return log::found(view, asked, part);
    }
    if !asked.explains {
        return found(view, asked);
    }
    view.watch();
    let mut page = found(view, asked)?;
    page.explain(&asked.registry, &view.watched());
    Ok(page)
}

fn found(view: &mut View<'_>, asked: &Asked) -> Result<Page, Fault> {
    view.step("measure");
    let mut parts = parts(view, asked)?;
    let relevance = answered(view, asked, &mut parts)?;
    view.step("measure");
    measure(view, &mut parts)?;
    let mut place = place(asked, relevance.as_ref());
    if place.is_last {
        let start = start_of_last(view, asked, &parts)?;
        place = place.begun(start);
    }
    if let Some(skipped) = place.included {
        let mut hits = hits(view, asked, &place, &parts, relevance.as_ref())?;
        return related(view, asked, &parts, &mut hits, skipped);
    }
    if asked.counts_only {
        cost::counted(view, asked, &parts)?;
        return Ok(Page {
            total: Some(count(view, &parts, None)?),
            ..Page::default()
        });
    }
    let mut hits = hits(view, asked, &place, &parts, relevance.as_ref())?;
    let has_more = hits.len() > asked.shown();
    contained::once(&parts, &mut hits);
    hits.truncate(asked.shown());
    let found = hits.len();
    let total = total(view, asked, &parts, found, !has_more)?;
    let mut entries = bodies(view, asked, &parts, &hits)?;
    hits.truncate(entries.len());
    let last = hits.last().filter(|_| has_more || hits.len() < found);
    let next = last.and_then(|hit| Some(place.next(hit.start(&parts)?, total)));
    if let Some(relevance) = &relevance {
        for entry in &mut entries {
            entry.score = relevance.score(entry.rid);
        }
    }
    let included = included(view, asked, &entries, 0)?;
    let mut page = Page {
        next,
        last: total.and_then(|total| last_page(asked, &place, &parts, total)),
        previous: place.previous(),
        hits: entries,
        total,
        ..Page::default()
    };
    page.take(&place, included);
    Ok(page)
}

/// Where this page is, with what the ranks of the whole search are reckoned from.
fn place(asked: &Asked, relevance: Option<&Relevance>) -> Place {
    Place {
        statistics: relevance.and_then(|relevance| relevance.statistics.clone()),
        ..asked.place.clone()
    }
}

/// The last page, where it costs little to find: of stored resources of one type, in the order in which resources came to be, when it is known
/// how many there are.
fn last_page(asked: &Asked, place: &Place, parts: &[Part], total: u64) -> Option<Place> {
    let is_plain = match parts {
        [part] => part.query.sort.is_empty() && part.contained.is_none(),
        _ => false,
    };
    let has_more = total > u64::from(asked.page_size);
    let is_exact = asked.total != Some(Total::Estimate);
    let is_cheap = is_plain && has_more && is_exact && place.statistics.is_none();
    is_cheap.then(|| asked.place.last(total))
}

/// Behind which hit the last page begins: as many are shown as pages of that size leave over.
fn start_of_last(
    view: &mut View<'_>,
    asked: &Asked,
    parts: &[Part],
) -> Result<Option<Start>, Fault> {
    view.step("last page");
    let (Some(total), [part]) = (asked.place.total, parts) else {
        return Ok(None);
    };
    let rest = total.saturating_sub(1) % u64::from(asked.page_size.max(1)) + 1;
    let behind = i64::try_from(rest).unwrap_or(i64::MAX);
    let found = view.hit_from_end(part.resource_type, &part.query, behind)?;
    Ok(found.map(|rid| Start {
        resource_type: part.resource_type.into(),
        position: Position {
            keys: Vec::new(),
            rid,
        },
    }))
}

/// The rest of what comes along with the hits of a page.
fn related(
    view: &mut View<'_>,
    asked: &Asked,
    parts: &[Part],
    hits: &mut Vec<Hit>,
    skipped: usize,
) -> Result<Page, Fault> {
    hits.truncate(asked.shown());
    let entries = bodies(view, asked, parts, hits)?;
    let mut page = Page::default();
    page.take(&asked.place, included(view, asked, &entries, skipped)?);
    Ok(page)
}

impl Page {
    fn take(&mut self, place: &Place, included: Included) {
        self.included = included.shown;
        let Some(skipped) = included.more else {
            return;
        };
        let told = match include::is_walkable(skipped) {
            true => {
                self.related = Some(place.rest(skipped));
                "more comes along with these hits than a page shows (includes_max, page_bytes_max): the link `related` leads to the rest"
            }
            false => {
                "more comes along with these hits than can be shown: ask for fewer hits, or for what refers to them by itself"
            }
        };
        self.issues
            .push(Issue::new(Severity::Warning, IssueCode::Incomplete, told));
    }
}

/// What is searched: types of which there is nothing are left out where there are many.
fn parts(view: &mut View<'_>, asked: &Asked) -> Result<Vec<Part>, Fault> {
    let mut parts = asked.parts.clone();
    if parts.len() >= MANY_TYPES {
        let present = view.types_present(asked.action())?;
        let is_present = |part: &Part| present.iter().any(|name| name == part.resource_type);
        // What is contained is in whatever there is.
        parts.retain(|part| part.contained.is_some() || is_present(part));
    }
    Ok(parts)
}

/// Asks how much the conditions find where that decides about the way to search.
fn measure(view: &mut View<'_>, parts: &mut [Part]) -> Result<(), Fault> {
    for part in parts {
        view.measure(part.resource_type, &mut part.query)?;
    }
    Ok(())
}

/// The hits of the page and, when there is a next page, one more.
fn hits(
    view: &mut View<'_>,
    asked: &Asked,
    place: &Place,
    parts: &[Part],
    relevance: Option<&Relevance>,
) -> Result<Vec<Hit>, Fault> {
    view.step("hits");
    cost::paged(view, asked, parts)?;
    let start = place.start.as_ref();
    let limit = asked.shown() + 1;
    if let Some(relevance) = relevance.filter(|relevance| relevance.orders(parts)) {
        let after = start.map(|start| &start.position);
        return relevance.hits(view, parts, after, limit);
    }
    let mut hits: Vec<Hit> = Vec::new();
    let mut find = |number: usize, after: Option<&Start>, limit: usize| {
        let Some(part) = parts.get(number) else {
            return Ok(Vec::new());
        };
        let after = after.map(|start| start.position.clone());
        let found = match part.contained {
            Some(Answered::Container) => contained::containers(view, part, after, limit)?,
            _ => {
                let limit = i64::try_from(limit).unwrap_or(i64::MAX);
                let page = SortedPage { after, limit };
                view.hits(part.resource_type, &part.query, &page)?
            }
        };
        let hits = found.into_iter().map(|position| Hit {
            part: number,
            position,
        });
        Ok::<Vec<Hit>, Fault>(hits.collect())
    };
    let sort = parts.first().map(|part| part.query.sort.as_slice());
    let sort = sort.unwrap_or_default();
    for (number, part) in parts.iter().enumerate() {
        if !sort.is_empty() {
            // Each type may have the first of all.
            hits.extend(find(number, start, limit)?);
            continue;
        }
        // One type after the other, each in the order in which its resources came to be.
        let begins = start.map(|start| (*start.resource_type).cmp(part.name().as_str()));
        let after = match begins {
            Some(Ordering::Greater) => continue,
            Some(Ordering::Equal) => start,
            _ => None,
        };
        hits.extend(find(number, after, limit - hits.len())?);
        if hits.len() >= limit {
            break;
        }
    }
    if parts.len() > 1 && !sort.is_empty() {
        hits.sort_by(|one, other| order(sort, &one.position, &other.position));
        hits.truncate(limit);
    }
    Ok(hits)
}

/// What has no value comes last, whatever the direction; what is equal comes in the order in which it came to be.
fn order(sort: &[SortKey], one: &Position, other: &Position) -> Ordering {
    let values = one.keys.iter().zip(&other.keys);
    let by_keys = sort.iter().zip(values).map(|(key, pair)| match pair {
        (Some(one), Some(other)) if key.is_descending => compare(other, one),
        (Some(one), Some(other)) => compare(one, other),
        (one, other) => other.is_some().cmp(&one.is_some()),
    });
    by_keys
        .fold(Ordering::Equal, Ordering::then)
        .then(one.rid.cmp(&other.rid))
}

fn compare(one: &Bind, other: &Bind) -> Ordering {
    match (one, other) {
        (Bind::Int(one), Bind::Int(other)) => one.cmp(other),
        (Bind::Real(one), Bind::Real(other)) => one.total_cmp(other),
        (Bind::Text(one), Bind::Text(other)) => one.cmp(other),
        _ => Ordering::Equal,
    }
}

/// The stored texts of the hits, in their order, as many as fit on a page.
fn bodies(
    view: &mut View<'_>,
    asked: &Asked,
    parts: &[Part],
    hits: &[Hit],
) -> Result<Vec<Entry>, Fault> {
    view.step("bodies");
    let mut found: HashMap<i64, Body> = HashMap::with_capacity(hits.len());
    let mut containers = Containers::default();
    for (number, part) in parts.iter().enumerate() {
        let own = hits.iter().filter(|hit| hit.part == number);
        let rids = own.map(|hit| hit.position.rid);
        if part.contained.is_some() {
            containers.fetch(view, rids)?;
            continue;
        }
        let rids: Vec<i64> = rids.collect();
        let action = Action::Search(part.resource_type);
        let bodies = view.bodies(action, part.resource_type, &rids)?;
        found.extend(bodies.into_iter().map(|body| (body.rid, body)));
    }
    let mut room = Room::of(asked);
    let mut entries = Vec::with_capacity(hits.len());
    for hit in hits {
        let rid = hit.position.rid;
        let Some(part) = parts.get(hit.part) else {
            return Err(Fault::internal("a hit of no part"));
        };
        let entry = match (part.contained, found.remove(&rid)) {
            (Some(answered), _) => containers.entry(view, &mut room, (answered, rid))?,
            (None, Some(body)) => {
                let resource_type = part.resource_type;
                let action = Action::Search(resource_type);
                room.take(view, action, resource_type, body)?
            }
            (None, None) => return Err(Fault::internal("a hit has no body")),
        };
        let Some(entry) = entry else {
            break;
        };
        entries.push(entry);
    }
    Ok(entries)
}

/// What still fits on a page. One resource always does.
#[derive(Debug)]
pub(super) struct Room {
    left: usize,
    is_empty: bool,
}

impl Room {
    pub(super) fn of(asked: &Asked) -> Self {
        Self {
            left: asked.limits.page_bytes_max,
            is_empty: true,
        }
    }

    /// With its text, also when that is a large one.
    pub(super) fn take(
        &mut self,
        view: &mut View<'_>,
        action: Action,
        resource_type: &'static str,
        body: Body,
    ) -> Result<Option<Entry>, Fault> {
        let text = match body.text {
            Some(text) => text,
            None if self.left == 0 => return Ok(None),
            None => view.large_body(action, resource_type, body.rid)?,
        };
        if text.len() > self.left && !self.is_empty {
            self.left = 0;
            return Ok(None);
        }
        self.left = self.left.saturating_sub(text.len());
        self.is_empty = false;
        Ok(Some(Entry {
            resource_type,
            rid: body.rid,
            id: body.id,
            text,
            score: None,
        }))
    }
}

/// How many hits there are on all pages: what was asked for, or what is known for nothing.
fn total(
    view: &mut View<'_>,
    asked: &Asked,
    parts: &[Part],
    shown: usize,
    is_last: bool,
) -> Result<Option<u64>, Fault> {
    let place = &asked.place;
    if place.total.is_some() {
        return Ok(place.total);
    }
    if place.start.is_none() && is_last {
        return Ok(u64::try_from(shown).ok());
    }
    match asked.total {
        Some(Total::Accurate) => {
            cost::counted(view, asked, parts)?;
            count(view, parts, None).map(Some)
        }
        Some(Total::Estimate) => count(view, parts, Some(ESTIMATE_MAX)).map(Some),
        Some(Total::None) => Ok(None),
        None => match parts {
            // How many there are of a type is known.
            [part] if part.query.is_empty() => count(view, parts, None).map(Some),
            _ => Ok(None),
        },
    }
}

fn count(view: &mut View<'_>, parts: &[Part], hits_max: Option<i64>) -> Result<u64, Fault> {
    view.step("total");
    let mut all = 0_u64;
    for part in parts {
        let (resource_type, query) = (part.resource_type, &part.query);
        let hits = match part.contained {
            None if query.is_empty() => view.total(resource_type)?,
            None => view.hits_count(resource_type, query, hits_max)?,
            Some(answered) => view.contained_count(resource_type, query, answered)?,
        };
        all = all.saturating_add(u64::try_from(hits).unwrap_or_default());
    }
    Ok(all)
}

impl Hit {
    fn start(&self, parts: &[Part]) -> Option<Start> {
        Some(Start {
            resource_type: parts.get(self.part)?.name().into(),
            position: self.position.clone(),
        })
    }
}

impl Asked {
    fn shown(&self) -> usize {
        usize::try_from(self.page_size).unwrap_or(usize::MAX - 1)
    }
}
