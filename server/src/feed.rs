//! After the commit: followers read what has changed, each at its own pace, and never miss any of it.
//!
//! A [`Follower`] keeps its place with its own work, in one step, so that the two cannot disagree; whatever happens, it goes
//! on behind the last entry whose work is durable. It gets entries at least once.

pub mod subscriptions;
pub mod text_index;

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::app::App;
use crate::auth::{Action, Caller, may};
use crate::limits;
use crate::store::{self, Entry, Position, Progress};

/// Somebody who handles what has changed.
pub trait Follower: Send {
    /// Makes ready what it needs, and tells behind which entry it goes on.
    fn begin(&mut self) -> Result<Position, Error>;

    /// Does its work for these entries; it need not be durable yet.
    fn handle(&mut self, entries: &[Entry]) -> Result<(), Error>;

    /// Makes all that was handled durable, and with it the place behind this entry.
    fn settle(&mut self, last: &Entry) -> Result<(), Error>;

    /// There was nothing to do for a while.
    fn rest(&mut self);

    /// How much it stands back where processors are scarce.
    fn niceness(&self) -> i32 {
        limits::FOLLOWER_NICENESS
    }

    /// Whether it has to begin anew.
    fn is_in_doubt(&mut self) -> bool {
        false
    }

    fn progress(&self) -> &Arc<Progress>;
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error(transparent)]
    Forbidden(#[from] crate::auth::Forbidden),
    #[error(transparent)]
    Text(#[from] search::text::Error),
    #[error("the directory of the index cannot be used")]
    Directory(#[source] std::io::Error),
    #[error("another node is at it")]
    ElsewhereAtWork,
    #[error("the work panicked")]
    Panicked,
}

/// The followers of a server, each on a thread of its own.
#[derive(Debug, Default)]
pub struct Feed {
    threads: Vec<(Arc<Progress>, JoinHandle<()>)>,
}

/// Starts those that the settings ask for.
pub fn start(app: &Arc<App>) -> Result<Feed, std::io::Error> {
    let mut feed = Feed::default();
    if let Some(follower) = text_index::Follows::of(app) {
        feed.add(app, follower)?;
    }
    let follower = subscriptions::Follows::of(app, tokio::runtime::Handle::current());
    app.store.rings(follower.progress());
    feed.add(app, follower)?;
    Ok(feed)
}

impl Feed {
    fn add(
        &mut self,
        app: &Arc<App>,
        follower: impl Follower + 'static,
    ) -> Result<(), std::io::Error> {
        let (own, progress) = (Arc::clone(app), Arc::clone(follower.progress()));
        let follow = move || follow(&own, follower);
        let thread = std::thread::Builder::new()
            .name(progress.name.into())
            .spawn(follow)?;
        self.threads.push((progress, thread));
        Ok(())
    }

    /// Lets them make durable what they have done, and waits for that.
    pub fn stop(self) {
        for (progress, thread) in self.threads {
            progress.end();
            // It has told of its own trouble.
            let _ended = thread.join();
        }
    }
}

/// Follows until it is told to stop; trouble is told once, and then it tries again.
fn follow(app: &App, mut follower: impl Follower) {
    // Where processors are scarce, requests come first; threads that it starts are like it. Elsewhere than on Linux this
    // would be about the whole process.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(follower.niceness()) {
        tracing::debug!("a follower runs like all else: {error}");
    }
    let mut is_troubled = false;
    while !follower.progress().is_over() {
        let error = match run(app, &mut follower, &mut is_troubled) {
            Ok(()) => return,
            Err(error) => error,
        };
        let name = follower.progress().name;
        match &error {
            Error::Text(search::text::Error::Busy) | Error::ElsewhereAtWork => {
                tracing::debug!("{name} waits for another process");
            }
            _ if is_troubled => tracing::debug!("{name} is still in trouble: {error}"),
            _ => {
                let source = std::error::Error::source(&error);
                let source = source.map_or(String::new(), |source| format!(": {source}"));
                tracing::warn!("{name} begins anew: {error}{source}");
            }
        }
        let is_busy = matches!(
            error,
            Error::Text(search::text::Error::Busy) | Error::ElsewhereAtWork
        );
        is_troubled |= !is_busy;
        let pause = match is_busy {
            true => limits::FOLLOWER_BEAT_MS,
            false => limits::FOLLOWER_PAUSE_MS,
        };
        std::thread::sleep(Duration::from_millis(pause));
    }
}

/// Until it is told to stop, or cannot go on.
fn run(app: &App, follower: &mut impl Follower, is_troubled: &mut bool) -> Result<(), Error> {
    let mut position = follower.begin()?;
    let (mut worked_at, mut looked_at) = (Instant::now(), Instant::now());
    let mut committed = app.store.meters().committed.get();
    let (mut is_wanted, mut writing_since) = (true, None);
    let mut hurry: u32 = 0;
    loop {
        // Others may write into the same database: they are looked for now and then, own writes are counted. While they
        // come one after the other they have the machine for themselves, for a while.
        let own = app.store.meters().committed.get();
        let is_written = std::mem::replace(&mut committed, own) != own;
        let waits = is_written && !is_wanted && {
            let since: Instant = *writing_since.get_or_insert_with(Instant::now);
            let behind = u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX);
            follower.progress().is_behind_by(behind);
            behind < limits::FOLLOWER_WAIT_MS * 1_000
        };
        let is_due = looked_at.elapsed() >= Duration::from_millis(limits::FOLLOWER_LOOK_MS);
        let mut has_worked = false;
        if !waits && (is_wanted || is_written || is_due || writing_since.is_some()) {
            writing_since = None;
            has_worked = catch_up(app, follower, &mut position)?;
            follower.progress().is_behind_by(0);
            looked_at = Instant::now();
        }
        *is_troubled = false;
        if has_worked {
            worked_at = Instant::now();
        } else if worked_at.elapsed() >= Duration::from_millis(limits::FOLLOWER_IDLE_MS) {
            follower.rest();
        }
        if follower.progress().is_over() {
            return Ok(());
        }
        // On PostgreSQL what was committed can be seen when all that was begun before it is over.
        let pause = match hurry {
            0 => limits::FOLLOWER_BEAT_MS,
            _ => limits::FOLLOWER_HURRY_MS,
        };
        let is_rung = follower.progress().rest(Duration::from_millis(pause));
        is_wanted = is_rung || hurry > 0;
        hurry = match is_rung && follower.progress().is_hurrying() && !app.store.has_one_writer() {
            true => limits::FOLLOWER_HURRIES,
            false => hurry.saturating_sub(1),
        };
        if follower.is_in_doubt() {
            position = follower.begin()?;
        }
    }
}

/// Handles all there is; whether there was anything.
fn catch_up(
    app: &App,
    follower: &mut impl Follower,
    position: &mut Position,
) -> Result<bool, Error> {
    let mut unsettled: usize = 0;
    let mut last: Option<Entry> = None;
    loop {
        let from = *position;
        let entries = app
            .store
            .look(&may(&Caller::Kiln, Action::Follow)?, move |view| {
                view.feed_after(from, limits::FEED_ENTRIES_MAX)
            })?;
        let is_last = entries.len() < usize::try_from(limits::FEED_ENTRIES_MAX).unwrap_or_default();
        if !entries.is_empty() {
            follower.handle(&entries)?;
        }
        unsettled += entries.len();
        if let Some(entry) = entries.into_iter().next_back() {
            *position = entry.position;
            let behind = (app.clock)().micros().saturating_sub(entry.at);
            let behind = if is_last { 0 } else { behind };
            follower
                .progress()
                .is_behind_by(u64::try_from(behind).unwrap_or_default());
            last = Some(entry);
        }
        let is_over = follower.progress().is_over();
        if is_last || is_over || unsettled >= limits::FOLLOWER_UNSETTLED_MAX {
            if let Some(last) = last.take() {
                follower.settle(&last)?;
                let progress = follower.progress();
                progress
                    .handled
                    .add(u64::try_from(unsettled).unwrap_or_default());
                progress.reach(Some(*position));
                unsettled = 0;
                if is_last || is_over {
                    return Ok(true);
                }
            } else {
                return Ok(false);
            }
        }
    }
}
