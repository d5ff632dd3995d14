//! How far a follower of the feed has come, for those who wait for it and those who watch it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::feed::Position;
use crate::metrics::Counter;

/// Shared by a follower and the rest of the server.
#[derive(Debug)]
pub struct Progress {
    /// The name of the follower.
    pub name: &'static str,
    /// Versions that it has handled.
    pub handled: Counter,
    behind_us: AtomicU64,
    /// None: it has not begun.
    reached: watch::Sender<Option<Position>>,
    is_wanted: Mutex<bool>,
    rung: Condvar,
    is_over: AtomicBool,
    /// Whether it wants to be rung for every write.
    is_eager: AtomicBool,
}

impl Progress {
    pub fn of(name: &'static str) -> Self {
        Self {
            name,
            handled: Counter::default(),
            behind_us: AtomicU64::new(0),
            reached: watch::Sender::new(None),
            is_wanted: Mutex::new(false),
            rung: Condvar::new(),
            is_over: AtomicBool::new(false),
            is_eager: AtomicBool::new(false),
        }
    }

    /// What was done up to there is durable, and can be seen.
    pub fn reach(&self, position: Option<Position>) {
        self.reached.send_replace(position);
    }

    pub fn reached(&self) -> Option<Position> {
        *self.reached.borrow()
    }

    /// Waits until the follower has come so far, and has it make haste; false when the time is over.
    pub async fn come_to(&self, position: Position, wait: Duration) -> bool {
        let mut reached = self.reached.subscribe();
        let is_there = |reached: &Option<Position>| reached.is_some_and(|at| at >= position);
        if is_there(&reached.borrow()) {
            return true;
        }
        self.ring();
        let waited = tokio::time::timeout(wait, reached.wait_for(is_there)).await;
        matches!(waited, Ok(Ok(_)))
    }

    /// There is something to do.
    pub fn ring(&self) {
        *self
            .is_wanted
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = true;
        self.rung.notify_all();
    }

    /// For the follower: waits until somebody rings, not longer than that; whether somebody did.
    pub fn rest(&self, longest: Duration) -> bool {
        let wanted = self
            .is_wanted
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let waited = self
            .rung
            .wait_timeout_while(wanted, longest, |wanted| !*wanted);
        let (mut wanted, _) = waited.unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut wanted)
    }

    /// How old what it has not handled is, in microseconds; 0 when it has handled all.
    pub fn behind_us(&self) -> u64 {
        self.behind_us.load(Ordering::Relaxed)
    }

    pub fn is_behind_by(&self, us: u64) {
        self.behind_us.store(us, Ordering::Relaxed);
    }

    /// Whether somebody waits for what it does, so that it is rung for every write.
    pub fn is_eager(&self, is_eager: bool) {
        self.is_eager.store(is_eager, Ordering::Relaxed);
    }

    pub fn is_hurrying(&self) -> bool {
        self.is_eager.load(Ordering::Relaxed)
    }

    /// The follower shall stop.
    pub fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
        self.ring();
    }

    pub fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }
}
