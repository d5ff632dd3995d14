//! What a permit does not reach is not there: every search gets its condition, and every resource that comes out or goes in
//! is held against it.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use search::condition::Condition;
use search::matching::Subject;
use search::query::{Criterion, Query};
use search::sql::{self, SortedPage};
use search::{Registry, Rows};

use super::connection::Connection;
use super::error::Error;
use super::history::{self, Past, Range};
use super::index;
use super::query::{dialect, positions};
use super::resources::{self, Found};
use super::view::View;
use crate::accept::{self, Sealed};
use crate::auth::{Action, Letters, Permit, Reach, Rights};

/// How an added condition is called where searches are explained.
const NAME: &str = "rights";
/// To see what comes along with something else, either right is enough.
const SEEN: Letters = Letters::READ.and(Letters::SEARCH);
/// Versions of one resource that are counted for those who do not see all.
const COUNTED_MAX: u32 = 10_000;

/// What somebody sees of the resources of a type.
#[derive(Debug, Clone)]
pub(super) struct Sight {
    registry: Arc<Registry>,
    reach: Reach,
    resource_type: &'static str,
}

impl Sight {
    /// None: everything.
    pub(super) fn of(permit: &Permit, resource_type: &'static str) -> Option<Self> {
        let rights = permit.rights()?;
        let purposes = [
            (Action::Read(resource_type), Letters::READ),
            (Action::Versions(resource_type), Letters::READ),
            (Action::Update(resource_type), Letters::UPDATE),
            (Action::Delete(resource_type), Letters::DELETE),
        ];
        let counting = purposes.into_iter();
        let counting = counting.filter(|(action, _)| permit.covers(*action));
        let letters = counting.fold(Letters::default(), |all, (_, letter)| all.and(letter));
        Some(Self {
            registry: Arc::clone(rights.registry()),
            reach: rights.reach(resource_type, letters),
            resource_type,
        })
    }

    /// A version, if it may be seen: an old one only of what may be seen today.
    pub(super) fn seen(
        &self,
        connection: &mut Connection,
        id: &str,
        found: Option<Found>,
    ) -> Result<Option<Found>, Error> {
        match found {
            Some(found) if !self.has_today(connection, id, &found)? => Ok(None),
            found => Ok(found),
        }
    }

    fn has_today(
        &self,
        connection: &mut Connection,
        id: &str,
        found: &Found,
    ) -> Result<bool, Error> {
        if self.reach.is_all() {
            return Ok(true);
        }
        if !self.has(id, found)? {
            return Ok(false);
        }
        match resources::current(connection, self.resource_type, id)? {
            Some(current) if current.version != found.version => self.has(id, &current),
            _ => Ok(true),
        }
    }

    /// Of what is deleted nobody can tell whose it was.
    fn has(&self, id: &str, found: &Found) -> Result<bool, Error> {
        if found.is_deleted() {
            return Ok(false);
        }
        let rows = index::rows(&self.registry, &found.body)?;
        Ok(self.reach.has(&Subject {
            resource_type: self.resource_type,
            id,
            at: found.at.micros(),
            rows: &rows,
        }))
    }
}

/// A condition as it may be asked: what it says of others is said of those within reach.
fn within(rights: &Rights, condition: Condition) -> Result<Condition, Error> {
    let link = |mut link: Box<search::condition::Link>| {
        let other = accept::resource_type(&link.other_type).ok_or(Error::OutOfReach)?;
        let inner = within(rights, link.condition)?;
        link.condition = match rights.reach(other, Letters::SEARCH) {
            Reach::All => inner,
            Reach::Nothing => return Err(Error::OutOfReach),
            Reach::Within(own) => Condition::All(vec![inner, Arc::unwrap_or_clone(own)]),
        };
        Ok(link)
    };
    Ok(match condition {
        Condition::Refers(other) => Condition::Refers(link(other)?),
        Condition::IsReferred(other) => Condition::IsReferred(link(other)?),
        Condition::Not(inner) => within(rights, *inner)?.negated(),
        Condition::All(all) => {
            let all = all.into_iter().map(|one| within(rights, one));
            Condition::All(all.collect::<Result<_, _>>()?)
        }
        // A chain through types that nobody named goes by those that may be asked about.
        Condition::Any(any) => {
            let any = any.into_iter().map(|one| within(rights, one));
            let open: Vec<Condition> = any.filter_map(Result::ok).collect();
            match open.is_empty() {
                true => return Err(Error::OutOfReach),
                false => Condition::any(open),
            }
        }
        plain => plain,
    })
}

impl View<'_> {
    /// A query as the permit lets it be asked.
    pub(super) fn fenced<'q>(
        &self,
        resource_type: &'static str,
        query: &'q Query,
    ) -> Result<Cow<'q, Query>, Error> {
        let Some(rights) = self.permit.rights() else {
            return Ok(Cow::Borrowed(query));
        };
        let letters = match self.permit.covers(Action::Search(resource_type)) {
            true => Letters::SEARCH,
            false => SEEN,
        };
        let mut query = query.clone();
        for criterion in &mut query.criteria {
            let condition = std::mem::replace(&mut criterion.condition, Condition::Never);
            criterion.condition = within(rights, condition)?;
        }
        match rights.reach(resource_type, letters) {
            Reach::All => {}
            Reach::Nothing => return Err(Error::OutOfReach),
            Reach::Within(own) => query.criteria.push(Criterion {
                name: NAME.into(),
                condition: Arc::unwrap_or_clone(own),
            }),
        }
        Ok(Cow::Owned(query))
    }

    /// Whether all resources of a type may be searched.
    pub(super) fn sees_all(&self, resource_type: &'static str) -> bool {
        self.permit.reach(resource_type, Letters::SEARCH).is_all()
    }

    /// Which of these resources of a type may be seen.
    pub(super) fn seen_among(
        &mut self,
        resource_type: &'static str,
        rids: Vec<i64>,
    ) -> Result<Option<HashSet<i64>>, Error> {
        let reach = self.permit.reach(resource_type, SEEN);
        if reach.is_all() {
            return Ok(None);
        }
        let Reach::Within(own) = reach else {
            return Ok(Some(HashSet::new()));
        };
        let mut rids = rids;
        rids.sort_unstable();
        let page = SortedPage {
            after: None,
            limit: i64::try_from(rids.len()).unwrap_or(i64::MAX),
        };
        let mut query = Query::of(resource_type);
        let conditions = [Condition::Among(rids.into()), Arc::unwrap_or_clone(own)];
        query.criteria.extend(conditions.map(|condition| Criterion {
            name: NAME.into(),
            condition,
        }));
        let sorted = sql::sorted(&query, dialect(self.connection), &page);
        let found = positions(self.connection, &sorted.first)?;
        Ok(Some(found.into_iter().map(|hit| hit.rid).collect()))
    }

    /// The types of which something may be seen.
    pub(super) fn has_seen_type(&self, name: &str) -> bool {
        let is_seen = |resource_type| self.permit.reach(resource_type, SEEN) != Reach::Nothing;
        self.permit.rights().is_none() || accept::resource_type(name).is_some_and(is_seen)
    }

    /// What nobody can hold against rights is for those without limits.
    pub(super) fn demand_all(&self) -> Result<(), Error> {
        match self.permit.rights() {
            None => Ok(()),
            Some(_) => Err(Error::OutOfReach),
        }
    }

    /// Whether the permit reaches what a write changes or takes away.
    pub(super) fn demand_old(
        &self,
        letters: Letters,
        named: (&'static str, &str),
        rows: &Rows,
    ) -> Result<(), Error> {
        Self::demand_within(&self.permit.reach(named.0, letters), named, rows)
    }

    /// Whether it reaches what there will be.
    pub(super) fn demand_new(
        &self,
        letters: Letters,
        named: (&'static str, &str),
        rows: &Rows,
    ) -> Result<(), Error> {
        Self::demand_within(&self.permit.reach_of_new(named.0, letters), named, rows)
    }

    /// Whether whoever writes it may read and search what they will be told of.
    pub(super) fn demand_told(&self, sealed: &Sealed) -> Result<(), Error> {
        let reaches = |name: &&'static str| {
            let reach = |letters| self.permit.reach(name, letters) != Reach::Nothing;
            reach(Letters::READ) && reach(Letters::SEARCH)
        };
        match sealed.told_of().iter().all(reaches) {
            true => Ok(()),
            false => Err(Error::OutOfReach),
        }
    }

    fn demand_within(
        reach: &Reach,
        (resource_type, id): (&'static str, &str),
        rows: &Rows,
    ) -> Result<(), Error> {
        let subject = Subject {
            resource_type,
            id,
            at: 0,
            rows,
        };
        match reach.has(&subject) {
            true => Ok(()),
            false => Err(Error::OutOfReach),
        }
    }

    /// The versions of a range that may be seen: it is read on until there are as many as are wanted.
    pub(super) fn history_seen(
        &mut self,
        action: Action,
        mut range: Range<'_>,
    ) -> Result<Vec<Past>, Error> {
        let letters = match action {
            Action::Versions(_) => Letters::READ,
            _ => Letters::SEARCH,
        };
        let wanted = usize::try_from(range.versions_max).unwrap_or(usize::MAX);
        let mut seen = Vec::new();
        loop {
            let versions = history::select(self.connection, range)?;
            let is_last = versions.len() < wanted;
            range.before = versions.last().map(|past| past.mark);
            for past in versions {
                if self.has_past(letters, &past)? {
                    seen.push(past);
                }
            }
            if is_last || seen.len() >= wanted {
                seen.truncate(wanted);
                return Ok(seen);
            }
        }
    }

    fn has_past(&mut self, letters: Letters, past: &Past) -> Result<bool, Error> {
        let named = accept::resource_type(&past.resource_type);
        let (Some(rights), Some(resource_type)) = (self.permit.rights(), named) else {
            return Ok(self.permit.rights().is_none());
        };
        let sight = Sight {
            registry: Arc::clone(rights.registry()),
            reach: rights.reach(resource_type, letters),
            resource_type,
        };
        sight.has_today(self.connection, &past.id, &past.found)
    }

    /// How many versions of a range may be seen.
    pub(super) fn history_seen_count(
        &mut self,
        action: Action,
        range: Range<'_>,
    ) -> Result<i64, Error> {
        let all = Range {
            versions_max: COUNTED_MAX,
            ..range
        };
        let seen = self.history_seen(action, all)?;
        Ok(i64::try_from(seen.len()).unwrap_or(i64::MAX))
    }
}
