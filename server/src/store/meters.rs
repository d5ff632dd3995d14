//! What the store counts about itself.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::metrics::{Counter, Gauge, Histogram, SIZES, TIMES};

const LATELY: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub struct Meters {
    /// Writes that are on disk.
    pub committed: Counter,
    /// Writes that are not: refused, rolled back, or lost with their group.
    pub failed: Counter,
    /// Attempts at writes that were made again.
    pub again: Counter,
    /// Writes that were committed together.
    pub group_size: Histogram,
    pub commit_time: Histogram,
    /// Writes that wait for the writer.
    pub waiting: Gauge,
    /// When the last commit succeeded; None when the last one failed.
    committed_at: Mutex<Option<Instant>>,
}

impl Default for Meters {
    fn default() -> Self {
        Self {
            committed: Counter::default(),
            failed: Counter::default(),
            again: Counter::default(),
            group_size: Histogram::new(&SIZES),
            commit_time: Histogram::new(&TIMES),
            waiting: Gauge::default(),
            committed_at: Mutex::default(),
        }
    }
}

impl Meters {
    /// Counts a write by how it ended.
    pub(super) fn count<T, E>(&self, outcome: &Result<T, E>) {
        match outcome {
            Ok(_) => self.committed.add(1),
            Err(_) => self.failed.add(1),
        }
    }

    /// Times a commit of that many writes.
    pub(super) fn commit<T, E>(
        &self,
        writes: usize,
        commit: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let started = Instant::now();
        let done = commit();
        let time_us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.commit_time.observe(time_us);
        self.group_size
            .observe(u64::try_from(writes).unwrap_or(u64::MAX));
        *self.committed_at() = done.is_ok().then(Instant::now);
        done
    }

    pub(super) fn has_committed_lately(&self) -> bool {
        let committed_at = *self.committed_at();
        committed_at.is_some_and(|at| at.elapsed() < LATELY)
    }

    fn committed_at(&self) -> MutexGuard<'_, Option<Instant>> {
        self.committed_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
