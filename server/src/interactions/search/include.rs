//! What comes along with the hits of a page: `_include` and `_revinclude`, step by step until nothing new comes.
//! <https://hl7.org/fhir/R4/search.html#include>
//!
//! Nothing comes twice, and no hit comes again. So many come with a page; a link leads to the others: it finds them anew, in
//! the same order, and leaves out what was shown.

use std::collections::{HashMap, HashSet};

use fhir_spec::json;
use search::query::{Canonical, Direction, Include, Query, Target};
use search::sql::SortedPage;
use search::{Registry, Rows};

use super::page::Room;
use super::{Asked, Entry};
use crate::accept::resource_type;
use crate::auth::Action;
use crate::fault::Fault;
use crate::limits::INCLUDES_WALKED_MAX;
use crate::store::{Body, Referring, View};

/// Hits that one search for what refers to them asks about.
const REFERRED_MAX: usize = 100;
/// Canonical urls that one search asks for.
const CANONICALS_MAX: usize = 20;

/// What came along.
#[derive(Debug, Default)]
pub(super) struct Included {
    pub(super) shown: Vec<Entry>,
    /// How many the next link leaves out, when there are more.
    pub(super) more: Option<usize>,
}

/// A resource that others come along with.
#[derive(Debug, Clone)]
struct Anchor {
    resource_type: &'static str,
    rid: i64,
    id: String,
    /// The url that it says of itself.
    canonical: Option<Canonical>,
}

impl Anchor {
    fn of(
        registry: &Registry,
        resource_type: &'static str,
        (rid, id): (i64, &str),
        text: &[u8],
    ) -> Self {
        let known = registry.of(resource_type);
        let has_url = known.is_some_and(|known| known.parameter("url").is_some());
        Self {
            resource_type,
            rid,
            id: id.to_owned(),
            canonical: has_url.then(|| canonical(text)).flatten(),
        }
    }
}

/// The url that a document says of itself, and its version.
fn canonical(text: &[u8]) -> Option<Canonical> {
    let text = std::str::from_utf8(text).ok()?;
    let member = |name| {
        let value = json::parse(json::find(text, name)?.as_bytes()).ok()?;
        Some(Box::from(value.as_str()?))
    };
    Some(Canonical {
        url: member("url")?,
        version: member("version"),
    })
}

/// `skipped`: how many were shown before.
pub(super) fn included(
    view: &mut View<'_>,
    asked: &Asked,
    hits: &[Entry],
    skipped: usize,
) -> Result<Included, Fault> {
    let includes = asked.includes();
    if includes.is_empty() || hits.is_empty() {
        return Ok(Included::default());
    }
    view.step("included");
    let shown_max = usize::try_from(asked.limits.includes_max).unwrap_or(usize::MAX);
    let mut walk = Walk {
        view,
        asked,
        seen: hits
            .iter()
            .map(|hit| (hit.resource_type, hit.rid))
            .collect(),
        skips: skipped,
        shown: Vec::new(),
        shown_max,
        room: Room::of(asked),
        fresh: Vec::new(),
        is_cut: false,
    };
    let anchors = hits.iter().map(|hit| {
        let name = (hit.rid, hit.id.as_str());
        Anchor::of(&asked.registry, hit.resource_type, name, &hit.text)
    });
    let mut anchors: Vec<Anchor> = anchors.collect();
    let mut is_first = true;
    while !anchors.is_empty() && !walk.is_cut {
        for include in includes
            .iter()
            .filter(|include| is_first || include.iterates)
        {
            walk.step(include, &anchors)?;
        }
        is_first = false;
        anchors = std::mem::take(&mut walk.fresh);
    }
    Ok(Included {
        more: (walk.is_cut).then_some(skipped.saturating_add(walk.shown.len())),
        shown: walk.shown,
    })
}

/// Whether so many may be left out: whoever goes on has all of them found anew.
pub(super) fn is_walkable(skipped: usize) -> bool {
    skipped <= INCLUDES_WALKED_MAX
}

struct Walk<'a, 'v> {
    view: &'a mut View<'v>,
    asked: &'a Asked,
    seen: HashSet<(&'static str, i64)>,
    /// How many are still to be left out.
    skips: usize,
    shown: Vec<Entry>,
    shown_max: usize,
    room: Room,
    /// Those of this round, for the next one.
    fresh: Vec<Anchor>,
    /// There is one that is not shown.
    is_cut: bool,
}

impl Walk<'_, '_> {
    fn step(&mut self, include: &Include, anchors: &[Anchor]) -> Result<(), Fault> {
        match include.direction {
            Direction::To => self.referred(include, anchors),
            Direction::From => self.referring(include, anchors),
        }
    }

    /// What the anchors refer to, by the rows of the index: their documents are not read.
    fn referred(&mut self, include: &Include, anchors: &[Anchor]) -> Result<(), Fault> {
        let is_source = |anchor: &&Anchor| {
            (include.source_type.as_deref()).is_none_or(|source| source == anchor.resource_type)
        };
        let types: HashMap<i64, &str> = anchors
            .iter()
            .filter(is_source)
            .map(|anchor| (anchor.rid, anchor.resource_type))
            .collect();
        let mut rids: Vec<i64> = types.keys().copied().collect();
        rids.sort_unstable();
        let mut rows: HashMap<i64, Rows> = HashMap::new();
        for Referring { rid, row } in self.view.references(Action::Include, &rids)? {
            rows.entry(rid).or_default().reference.push(row);
        }
        let (mut targets, mut canonicals) = (Vec::new(), Vec::new());
        for (rid, rows) in &rows {
            let kind = types.get(rid).copied().unwrap_or_default();
            targets.extend(include.targets(&self.asked.registry, kind, rows));
            canonicals.extend(include.canonicals(&self.asked.registry, kind, rows));
        }
        self.bearing(include, canonicals)?;
        targets.sort_unstable();
        targets.dedup();
        for same in targets.chunk_by(|one, other| one.resource_type == other.resource_type) {
            let named = same.first().map_or("", |target| &target.resource_type);
            let Some(kind) = resource_type(named) else {
                continue;
            };
            let ids: Vec<&str> = same.iter().map(|target| &*target.id).collect();
            let bodies = self.view.bodies_by_id(Action::Include, kind, &ids)?;
            self.take(kind, bodies)?;
        }
        Ok(())
    }

    /// What says one of these urls of itself, in whatever type.
    fn bearing(&mut self, include: &Include, mut canonicals: Vec<Canonical>) -> Result<(), Fault> {
        if canonicals.is_empty() {
            return Ok(());
        }
        canonicals.sort_unstable();
        canonicals.dedup();
        let present = self.view.types_present(Action::Include)?;
        for kind in present.iter().filter_map(|name| resource_type(name)) {
            for some in canonicals.chunks(CANONICALS_MAX) {
                if let Some(query) = include.bearing(&self.asked.registry, kind, some) {
                    self.found_by(&query, kind)?;
                }
            }
        }
        Ok(())
    }

    /// What refers to the anchors: a search of its own, no further than there is room.
    fn referring(&mut self, include: &Include, anchors: &[Anchor]) -> Result<(), Fault> {
        let kinds = match include.source_type.as_deref() {
            Some(named) => vec![named.to_owned()],
            None => self.view.types_present(Action::Include)?,
        };
        let wanted = include.target_type.as_deref();
        let is_wanted =
            |anchor: &&Anchor| wanted.is_none_or(|wanted| wanted == anchor.resource_type);
        let canonicals = anchors.iter().filter(is_wanted);
        let canonicals: Vec<Canonical> = canonicals
            .filter_map(|anchor| anchor.canonical.clone())
            .collect();
        let targets: Vec<Target> = anchors
            .iter()
            .map(|anchor| Target {
                resource_type: anchor.resource_type.into(),
                id: anchor.id.as_str().into(),
            })
            .collect();
        for kind in kinds.iter().filter_map(|name| resource_type(name)) {
            let include = include.of(kind);
            for some in targets.chunks(REFERRED_MAX) {
                if let Some(query) = include.referring(&self.asked.registry, some) {
                    self.found_by(&query, kind)?;
                }
            }
            for some in canonicals.chunks(CANONICALS_MAX) {
                if let Some(query) = include.referring_by(&self.asked.registry, some) {
                    self.found_by(&query, kind)?;
                }
            }
        }
        Ok(())
    }

    /// What a search finds, no further than there is room.
    fn found_by(&mut self, query: &Query, kind: &'static str) -> Result<(), Fault> {
        // What was seen before may come again, and then says nothing of how many are new.
        let wanted = self.skips + self.shown_max + 1;
        let mut page = SortedPage {
            after: None,
            limit: i64::try_from(wanted).unwrap_or(i64::MAX),
        };
        while !self.is_cut {
            let hits = self.view.hits(kind, query, &page)?;
            let length = i64::try_from(hits.len()).unwrap_or(i64::MAX);
            let is_new = |rid: &i64| !self.seen.contains(&(kind, *rid));
            let rids: Vec<i64> = hits.iter().map(|hit| hit.rid).filter(is_new).collect();
            let bodies = self.view.bodies(Action::Include, kind, &rids)?;
            self.take(kind, bodies)?;
            if length < page.limit {
                break;
            }
            page.after = hits.into_iter().next_back();
        }
        Ok(())
    }

    /// In the order in which they came to be, those that are new.
    fn take(&mut self, resource_type: &'static str, mut bodies: Vec<Body>) -> Result<(), Fault> {
        bodies.sort_unstable_by_key(|body| body.rid);
        for body in bodies {
            if self.is_cut || !self.seen.insert((resource_type, body.rid)) {
                continue;
            }
            let text = body.text.as_deref().unwrap_or_default();
            let name = (body.rid, body.id.as_str());
            let anchor = Anchor::of(&self.asked.registry, resource_type, name, text);
            if self.skips > 0 {
                self.skips -= 1;
            } else {
                let entry = match self.shown.len() < self.shown_max {
                    true => (self.room).take(self.view, Action::Include, resource_type, body)?,
                    false => None,
                };
                self.is_cut = entry.is_none();
                self.shown.extend(entry);
            }
            self.fresh.push(anchor);
        }
        Ok(())
    }
}
