//! When which type was written last: what somebody saw of it outside of the door need not be looked at again inside when
//! nobody has written it since. Kept by the one writer of SQLite.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many writes had begun when the last one ended that everybody can see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tide(u64);

/// The newest tide, for those who look.
#[derive(Debug, Clone, Default)]
pub(super) struct Level(Arc<AtomicU64>);

impl Level {
    /// To be asked before looking: what is seen then is at least as new.
    pub(super) fn tide(&self) -> Tide {
        Tide(self.0.load(Ordering::Acquire))
    }
}

#[derive(Debug, Default)]
pub(super) struct Marks {
    level: Level,
    /// The number of the write at hand.
    now: u64,
    /// By type, the number of the last write that touched it.
    written: HashMap<&'static str, u64>,
    /// The last write that may have touched any type.
    any: u64,
    /// Of the file: another process that writes changes it.
    file_version: Option<i64>,
}

impl Marks {
    pub(super) fn new(level: Level) -> Self {
        Self {
            level,
            ..Self::default()
        }
    }

    /// A transaction begins, and the file has this version.
    pub(super) fn at_file_version(&mut self, version: i64) {
        if self.file_version != Some(version) {
            self.file_version = Some(version);
            self.now += 1;
            self.any = self.now;
        }
    }

    /// The connection is another one, whose versions of the file are its own.
    pub(super) fn forget_file(&mut self) {
        self.file_version = None;
    }

    pub(super) fn begin(&mut self) {
        self.now += 1;
    }

    pub(super) fn note(&mut self, resource_type: &'static str) {
        self.written.insert(resource_type, self.now);
    }

    pub(super) fn note_any(&mut self) {
        self.any = self.now;
    }

    /// What has begun can be seen by all.
    pub(super) fn commit(&self) {
        self.level.0.store(self.now, Ordering::Release);
    }

    /// Whether nothing of the type was written since.
    pub(super) fn is_untouched(&self, since: Tide, resource_type: &str) -> bool {
        let last = self.written.get(resource_type).copied().unwrap_or(0);
        self.file_version.is_some() && last.max(self.any) <= since.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_since_is_touched() {
        let level = Level::default();
        let mut marks = Marks::new(level.clone());
        marks.at_file_version(7);
        let before = level.tide();
        // Nobody knows what was written before the first transaction.
        assert!(!marks.is_untouched(before, "Patient"));
        marks.begin();
        marks.note("Patient");
        marks.commit();
        let after = level.tide();
        assert!(marks.is_untouched(after, "Patient"));
        assert!(!marks.is_untouched(before, "Patient"));
        marks.at_file_version(7);
        marks.begin();
        // Written, but not seen by who looked before the commit.
        marks.note("Encounter");
        assert!(marks.is_untouched(after, "Patient"));
        assert!(!marks.is_untouched(after, "Encounter"));
        marks.note_any();
        assert!(!marks.is_untouched(after, "Patient"));
        marks.commit();
        let last = level.tide();
        assert!(marks.is_untouched(last, "Encounter"));
        // Another process has written.
        marks.at_file_version(8);
        assert!(!marks.is_untouched(last, "Encounter"));
        marks.commit();
        assert!(marks.is_untouched(level.tide(), "Encounter"));
        marks.forget_file();
        assert!(!marks.is_untouched(level.tide(), "Encounter"));
    }
}
