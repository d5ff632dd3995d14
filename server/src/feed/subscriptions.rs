//! The follower that looks who wants to be told of what has changed. An event is born in the transaction that moves it on:
//! of what was committed nothing is told twice under two numbers, and nothing is left out.

mod book;

use std::sync::Arc;
use std::time::Duration;

use fhir_spec::json::parse;
use search::matching::Subject;
use search::query::Query;
use search::{Registry, Rows};
use tokio::runtime::Handle;

use super::{Error, Follower};
use crate::accept::resource_type;
use crate::app::App;
use crate::auth::{Action, Caller, Letters, Permit, may, may_all};
use crate::callers;
use crate::instant::Instant;
use crate::limits;
use crate::store::{
    self, Before, Entry, Found, Lease, NewEvent, Position, Progress, State, Target, View,
};
use crate::subscriptions::trigger::Changed;
use crate::subscriptions::{FOLLOWER as NAME, Status, Subscription, TYPE, status, topic};
use book::{Book, Followed};

#[derive(Debug)]
pub struct Follows {
    app: Arc<App>,
    progress: Arc<Progress>,
    runtime: Handle,
    registry: Arc<Registry>,
    book: Book,
    /// Where it stands in the database.
    stored: Option<Position>,
    /// Up to when other nodes leave the work to this one, and when the place was stored last.
    leased_until: Option<Instant>,
    stored_at: Instant,
    /// What is to be done with the next transaction.
    work: Work,
    /// Behind which entry all is handled, whether that is stored or not.
    handled: Option<Position>,
    /// A topic has changed.
    is_stale: bool,
}

#[derive(Debug, Default, Clone)]
struct Work {
    /// Subscriptions to be followed from now on, and what is to be written into them.
    targets: Vec<(Target, Option<State>)>,
    events: Vec<(i64, i64, Entry)>,
}

impl Work {
    fn is_empty(&self) -> bool {
        self.targets.is_empty() && self.events.is_empty()
    }
}

impl Follows {
    pub fn of(app: &Arc<App>, runtime: Handle) -> Self {
        let long_ago = Instant::from_micros(0);
        Self {
            app: Arc::clone(app),
            progress: Arc::clone(&app.dispatch.progress),
            runtime,
            registry: app.search(),
            book: Book::default(),
            stored: None,
            leased_until: None,
            stored_at: long_ago,
            work: Work::default(),
            handled: None,
            is_stale: false,
        }
    }

    fn permit() -> Result<Permit, Error> {
        Ok(may_all(
            &Caller::Kiln,
            [Action::Follow, Action::Read(TYPE), Action::Update(TYPE)],
        )?)
    }

    fn lease(&self) -> Lease {
        let now = (self.app.clock)();
        let lease = Duration::from_millis(self.app.limits.delivery_lease_ms);
        Lease {
            node: self.app.node.clone(),
            now,
            until: now.plus(lease),
        }
    }

    /// What is written together with the place: all of it or nothing.
    fn write(&mut self, work: Work, to: Position) -> Result<(), Error> {
        let (app, lease, from) = (Arc::clone(&self.app), self.lease(), self.stored);
        let until = lease.until;
        let has_work = !work.is_empty();
        let written = self.app.store.write(Self::permit()?, move |tx| {
            if !tx.lease(NAME, &lease)? {
                return Err(store::Error::Overtaken(NAME.to_owned()));
            }
            for (target, told) in &work.targets {
                tx.put_target(target)?;
                if let Some(state) = told {
                    let at = (target.id.as_str(), target.version);
                    let version = status::write(tx, &app, at, *state, &target.problem, lease.now)?;
                    if let Some(version) = version {
                        tx.target_version(target.rid, version)?;
                    }
                }
            }
            let events = work.events.iter().map(|(target, number, entry)| NewEvent {
                target: *target,
                number: *number,
                entry,
            });
            let events: Vec<NewEvent<'_>> = events.collect();
            tx.bear_events(&events)?;
            let mut grown: std::collections::BTreeMap<i64, i64> = std::collections::BTreeMap::new();
            grown.extend(events.iter().map(|event| (event.target, event.number)));
            for (rid, born) in &grown {
                tx.target_grows(*rid, *born, lease.now)?;
            }
            tx.follow(NAME, from, to)?;
            Ok::<_, store::Error>(grown.into_keys().collect())
        });
        let grown: Vec<i64> = self.runtime.block_on(written)?;
        self.app.dispatch.told_of(&grown);
        self.stored = Some(to);
        self.leased_until = Some(until);
        self.stored_at = (self.app.clock)();
        if has_work {
            self.app.dispatch.wake();
        }
        Ok(())
    }

    /// The bodies of the entries from `at` on that somebody wants to know of, some at a time.
    fn bodies(&self, entries: &[Entry]) -> Result<Vec<Found>, Error> {
        let wanted = entries.iter().filter(|entry| self.is_wanted(entry));
        let keys = wanted.map(|entry| entry.position.numbers().1);
        let keys: Vec<i64> = keys.take(limits::FEED_BODIES_MAX).collect();
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let permit = may(&Caller::Kiln, Action::Follow)?;
        Ok(self
            .app
            .store
            .look(&permit, |view| view.versions_at(&keys))?)
    }

    fn is_wanted(&self, entry: &Entry) -> bool {
        entry.resource_type == TYPE
            || self.book.has(&entry.resource_type)
            || (entry.resource_type == topic::HOLDER && self.book.has_topics())
    }

    /// A Subscription was written or deleted.
    fn look(&mut self, entry: &Entry, found: &Found) -> Result<(), Error> {
        let known = self.book.take(entry.rid).map(|known| known.target);
        let permit = may(&Caller::Kiln, Action::Follow)?;
        let (stored, author) = self.app.store.look(&permit, |view| {
            let author = view.author(entry.rid, entry.version)?;
            Ok::<_, store::Error>((view.target_of(entry.rid)?, author))
        })?;
        let is_ours = stored
            .as_ref()
            .is_some_and(|stored| entry.version <= stored.version);
        let mut target = stored.unwrap_or_else(|| Target::new(entry.rid, &entry.id));
        // Events that are not stored yet count.
        target.born = known.map_or(target.born, |known| known.born.max(target.born));
        if is_ours {
            // The server itself has written this version, and what follows from it.
            self.follow(target, author, found);
            return Ok(());
        }
        target.version = entry.version;
        let (target, told) = self.decided(target, found);
        self.follow(target.clone(), author, found);
        self.work.targets.push((target, told));
        Ok(())
    }

    /// From now on events are born for it, unless it is off.
    fn follow(&mut self, target: Target, author: Option<String>, found: &Found) {
        let subscription = understood(found).filter(|_| target.state != State::Off);
        if let Some(subscription) = subscription {
            self.book
                .put(&self.app, &self.registry, target, author, &subscription);
        }
        self.progress.is_eager(!self.book.is_empty());
    }

    /// What becomes of it, and what is to be written into the Subscription.
    fn decided(&self, mut target: Target, found: &Found) -> (Target, Option<State>) {
        let now = (self.app.clock)();
        target.attempts = 0;
        target.due_at = store::NEVER;
        target.ends_at = store::NEVER;
        target.problem.clear();
        let Some(subscription) = understood(found).filter(|_| !found.is_deleted()) else {
            target.state = State::Off;
            return (target, None);
        };
        if let Some(end) = subscription.end {
            target.ends_at = end.micros();
        }
        if !subscription.status.is_wanted() {
            target.state = match subscription.status {
                Status::Error => State::Error,
                _ => State::Off,
            };
            return (target, None);
        }
        if subscription.is_over(now) {
            target.state = State::Off;
            target.problem = "its end is over".to_owned();
            return (target, Some(State::Off));
        }
        if !subscription.channel.kind.is_sent() {
            target.state = State::Listening;
            target.due_at = target.ends_at;
            return (target, Some(State::Listening));
        }
        target.due_at = now.micros();
        if subscription.shakes_hands() {
            target.state = State::Handshake;
            let told = (subscription.status == Status::Active).then_some(State::Handshake);
            return (target, told);
        }
        target.state = State::Active;
        (target, Some(State::Active))
    }

    /// Who wants to be told of a change.
    fn matched(&mut self, entry: &Entry, found: &Found) -> Result<(), Error> {
        let Some(resource_type) = resource_type(&entry.resource_type) else {
            return Ok(());
        };
        let mut before = None;
        if entry.version > 1 && self.book.looks_back(resource_type) {
            let permit = may(&Caller::Kiln, Action::Follow)?;
            let (rid, version) = (entry.rid, entry.version - 1);
            let found = self
                .app
                .store
                .look(&permit, |view| view.version_of(rid, version))?;
            before = found.filter(|found| !found.is_deleted());
        }
        let rows =
            |found: &Found| Before::of(&self.registry, found).map(|before| before.rows().clone());
        let (old, new): (Option<Rows>, Option<Rows>) = (
            before.as_ref().map(rows).transpose()?,
            Some(found)
                .filter(|found| !found.is_deleted())
                .map(rows)
                .transpose()?,
        );
        let changed = Changed {
            change: entry.change,
            before: old
                .as_ref()
                .zip(before.as_ref())
                .map(|(rows, found)| Subject {
                    resource_type,
                    id: &entry.id,
                    at: found.at.micros(),
                    rows,
                }),
            after: new.as_ref().map(|rows| Subject {
                resource_type,
                id: &entry.id,
                at: entry.at,
                rows,
            }),
        };
        for rid in self.book.candidates(resource_type, [&old, &new]) {
            let Some(followed) = self.book.get_mut(rid) else {
                continue;
            };
            if entry.at >= followed.target.ends_at {
                continue;
            }
            if fires(&self.app, followed, resource_type, changed)? {
                followed.target.born += 1;
                let event = (rid, followed.target.born, entry.clone());
                self.work.events.push(event);
            }
        }
        Ok(())
    }
}

/// Whether somebody is to be told of a change: one that they may see, by criteria that they may ask about. Of whom nobody
/// knows who it is the event is born, and held to rights when it is to be told.
fn fires(
    app: &App,
    followed: &Followed,
    resource_type: &'static str,
    mut changed: Changed<'_>,
) -> Result<bool, Error> {
    let author = author(app, followed)?.unwrap_or(Caller::Kiln);
    let Ok(permit) = may(&author, Action::Read(resource_type)) else {
        return Ok(false);
    };
    let reach = permit.reach(resource_type, Letters::READ);
    if !reach.is_all() {
        changed.before = changed.before.filter(|subject| reach.has(subject));
        changed.after = changed.after.filter(|subject| reach.has(subject));
        if changed.after.is_none() {
            return Ok(false);
        }
    }
    let mut ask = |query: &Query, id: &str| asked(app, &author, resource_type, query, id);
    let mut triggers = followed.triggers.iter();
    let mut fires = false;
    while let (false, Some(trigger)) = (fires, triggers.next()) {
        fires = trigger.resource_type == resource_type && trigger.fires(&changed, &mut ask)?;
    }
    Ok(fires)
}

fn author(app: &App, followed: &Followed) -> Result<Option<Caller>, Error> {
    let standing = followed.author.as_deref().unwrap_or_default();
    if let Some(caller) = callers::remembered(app, standing) {
        return Ok(Some(caller));
    }
    let permit = may(&Caller::Kiln, Action::Admit)?;
    Ok(app
        .store
        .look(&permit, |view| callers::absent(app, view, standing))?)
}

/// Whether somebody would find a resource, as it is now.
fn asked(
    app: &App,
    author: &Caller,
    resource_type: &'static str,
    query: &Query,
    id: &str,
) -> Result<bool, Error> {
    let mut query = query.clone();
    query.only(id);
    let Ok(permit) = may(author, Action::Search(resource_type)) else {
        return Ok(false);
    };
    let found = app.store.look(&permit, |view: &mut View<'_>| {
        view.matches(resource_type, &query, 1)
    });
    match found {
        Err(store::Error::OutOfReach) => Ok(false),
        found => Ok(!found?.is_empty()),
    }
}

/// Those that events may be born for, and whose they are.
fn authored(view: &mut View<'_>) -> Result<Vec<(Target, Found, Option<String>)>, store::Error> {
    let followed = view.targets_followed()?.into_iter();
    let authored = followed.map(|(target, found)| {
        let author = view.author(target.rid, target.version)?;
        Ok((target, found, author))
    });
    authored.collect()
}

/// What was deleted may have been one.
fn may_be_a_topic(found: &Found) -> bool {
    let document = parse(&found.body).ok();
    document.is_none_or(|document| topic::of_basic(&document).is_some())
}

fn understood(found: &Found) -> Option<Subscription> {
    let document = parse(&found.body).ok()?;
    Subscription::read(&document).ok()
}

impl Follower for Follows {
    fn begin(&mut self) -> Result<Position, Error> {
        self.work = Work::default();
        self.is_stale = false;
        self.progress.reach(None);
        let store = self.app.store.clone();
        let permit = may(&Caller::Kiln, Action::Follow)?;
        let (node, now) = (self.app.node.clone(), (self.app.clock)());
        let (is_elsewhere, stored, end) = store.look(&permit, |view| {
            Ok::<_, store::Error>((
                view.is_leased(NAME, &node, now)?,
                view.follower(NAME)?,
                view.feed_end()?,
            ))
        })?;
        if is_elsewhere {
            return Err(Error::ElsewhereAtWork);
        }
        // Who looks for the first time has nobody to tell of what was before. The lease is taken with the first work.
        let position = stored.unwrap_or(end);
        self.leased_until = None;
        self.stored = stored;
        self.stored_at = now;
        self.registry = self.app.search();
        let (known, new) = store.look(&permit, |view| {
            Ok::<_, store::Error>((authored(view)?, view.subscriptions_unfollowed(position)?))
        })?;
        self.book = Book::default();
        for (target, found, author) in known {
            match understood(&found) {
                Some(subscription) => {
                    self.book
                        .put(&self.app, &self.registry, target, author, &subscription);
                }
                None => tracing::warn!(subscription = target.id, "it can no longer be understood"),
            }
        }
        for (id, found) in new {
            let mut target = Target::new(found.rid.number(), &id);
            target.version = found.version;
            let (target, told) = self.decided(target, &found);
            self.work.targets.push((target, told));
        }
        if !self.work.is_empty() {
            let work = std::mem::take(&mut self.work);
            self.write(work, position)?;
            return self.begin();
        }
        self.progress.is_eager(!self.book.is_empty());
        self.progress.reach(Some(position));
        self.handled = Some(position);
        self.app.dispatch.wake();
        Ok(position)
    }

    fn handle(&mut self, entries: &[Entry]) -> Result<(), Error> {
        let mut read: Vec<Found> = Vec::new();
        for (index, entry) in entries.iter().enumerate() {
            self.handled = Some(entry.position);
            if !self.is_wanted(entry) {
                continue;
            }
            let is_it =
                |found: &Found| found.rid.number() == entry.rid && found.version == entry.version;
            if !read.iter().any(is_it) {
                read = self.bodies(entries.get(index..).unwrap_or_default())?;
            }
            let Some(at) = read.iter().position(is_it) else {
                continue;
            };
            let found = read.swap_remove(at);
            if entry.resource_type == topic::HOLDER {
                self.is_stale |= self.book.has_topics() && may_be_a_topic(&found);
            }
            match entry.resource_type == TYPE {
                true => self.look(entry, &found)?,
                false => self.matched(entry, &found)?,
            }
        }
        Ok(())
    }

    fn settle(&mut self, last: &Entry) -> Result<(), Error> {
        let work = std::mem::take(&mut self.work);
        let now = (self.app.clock)();
        let is_long_ago = now
            >= self
                .stored_at
                .plus(Duration::from_millis(limits::FOLLOWER_PLACE_MS));
        match work.is_empty() && !is_long_ago {
            true => Ok(()),
            false => self.write(work, last.position),
        }
    }

    fn rest(&mut self) {}

    fn is_in_doubt(&mut self) -> bool {
        if self.is_stale || self.registry.generation() != self.app.search().generation() {
            return true;
        }
        let now = (self.app.clock)();
        let third = Duration::from_millis(self.app.limits.delivery_lease_ms / 3);
        let ends = |until: Instant| now.plus(third).plus(third) >= until;
        let is_to_renew = !self.app.store.has_one_writer() && self.leased_until.is_some_and(ends);
        let place_lasts = Duration::from_millis(limits::FOLLOWER_PLACE_MS);
        let is_to_store = self.handled != self.stored && now >= self.stored_at.plus(place_lasts);
        let Some(place) = self.handled.filter(|_| is_to_renew || is_to_store) else {
            return false;
        };
        self.write(Work::default(), place).is_err()
    }

    fn niceness(&self) -> i32 {
        0
    }

    fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }
}
