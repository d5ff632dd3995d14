//! How often somebody may come: so many at once, then one whenever the time of one has gone by.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::instant::Instant;

/// Those who came last are remembered, so many of them.
const REMEMBERED_MAX: usize = 100_000;

#[derive(Debug)]
pub struct Rate {
    /// The time of one, in microseconds.
    each: i64,
    /// How far somebody may be ahead of the time.
    ahead_max: i64,
    /// Up to when what somebody has had lasts.
    lasts: Mutex<HashMap<String, i64>>,
}

impl Rate {
    /// So many in that time, and as many at once after a pause. None: any number.
    pub fn new(times_max: u32, in_micros: i64) -> Option<Self> {
        let each = in_micros.checked_div(i64::from(times_max))?;
        Some(Self {
            each,
            ahead_max: in_micros,
            lasts: Mutex::default(),
        })
    }

    /// Counts this time. False: it is once too often, and does not count.
    pub fn allows(&self, who: &str, now: Instant) -> bool {
        let now = now.micros();
        let mut lasts = self.lock();
        let last = lasts.get(who).copied().unwrap_or(now).max(now);
        let next = last.saturating_add(self.each);
        if next - now > self.ahead_max {
            return false;
        }
        if lasts.len() >= REMEMBERED_MAX {
            lasts.retain(|_, last| *last > now);
        }
        // Whoever fills the memory with names is held up by what else is counted; forgetting lets others in, not out.
        if lasts.len() >= REMEMBERED_MAX {
            lasts.clear();
        }
        match lasts.get_mut(who) {
            Some(last) => *last = next,
            None => {
                lasts.insert(who.to_owned(), next);
            }
        }
        true
    }

    /// Whether once more would be too often.
    pub fn is_over(&self, who: &str, now: Instant) -> bool {
        let now = now.micros();
        let last = self.lock().get(who).copied().unwrap_or(now).max(now);
        last.saturating_add(self.each) - now > self.ahead_max
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, i64>> {
        self.lasts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    #[test]
    fn so_many_at_once_then_one_by_one() {
        let rate = Rate::new(4, SECOND).unwrap();
        let at = |micros| Instant::from_micros(10 * SECOND + micros);
        let first: Vec<bool> = (0..6).map(|_| rate.allows("a", at(0))).collect();
        assert_eq!(first, [true, true, true, true, false, false]);
        assert!(rate.allows("b", at(0)), "others are not held up");
        assert!(rate.is_over("a", at(0)) && !rate.is_over("b", at(0)) && !rate.is_over("c", at(0)));
        assert!(!rate.allows("a", at(SECOND / 4 - 1)));
        assert!(rate.allows("a", at(SECOND / 4)));
        assert!(!rate.allows("a", at(SECOND / 4)));
        let later: Vec<bool> = (0..5).map(|_| rate.allows("a", at(9 * SECOND))).collect();
        assert_eq!(
            later,
            [true, true, true, true, false],
            "a pause saves no more up"
        );
        assert!(Rate::new(0, SECOND).is_none());
    }

    #[test]
    fn memory_is_bounded() {
        let rate = Rate::new(1, SECOND).unwrap();
        for number in 0..=REMEMBERED_MAX {
            assert!(rate.allows(&number.to_string(), Instant::from_micros(1)));
        }
        assert!(rate.lock().len() <= REMEMBERED_MAX);
    }
}
