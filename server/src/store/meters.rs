//! What the store counts about itself.

use std::time::Instant;

use crate::metrics::{Counter, Gauge, Histogram, SIZES, TIMES};

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
    pub(super) fn commit<T>(&self, writes: usize, commit: impl FnOnce() -> T) -> T {
        let started = Instant::now();
        let done = commit();
        let time_us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.commit_time.observe(time_us);
        self.group_size
            .observe(u64::try_from(writes).unwrap_or(u64::MAX));
        done
    }
}
