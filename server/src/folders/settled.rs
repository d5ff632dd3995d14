//! Which files have stopped to change: whoever writes one still must not find it gone.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::place::Found;

/// What was seen of files that are there.
#[derive(Debug, Default)]
pub(super) struct Settled {
    seen: HashMap<String, Seen>,
}

#[derive(Debug)]
struct Seen {
    size: u64,
    modified_us: i64,
    since: Instant,
}

impl Settled {
    /// Of these files those that are the same as `wait` ago, and how many others there are. A file without a byte is no
    /// file yet.
    pub(super) fn ready(
        &mut self,
        found: &[Found],
        now: Instant,
        wait: Duration,
    ) -> (Vec<Found>, usize) {
        let mut seen = HashMap::with_capacity(found.len());
        let mut ready = Vec::new();
        let mut waiting = 0;
        for file in found.iter().filter(|file| file.size > 0) {
            let before = self.seen.remove(&file.name);
            let same = before
                .filter(|seen| (seen.size, seen.modified_us) == (file.size, file.modified_us));
            let since = same.map_or(now, |seen| seen.since);
            match now.duration_since(since) >= wait {
                true => ready.push(file.clone()),
                false => waiting += 1,
            }
            let (size, modified_us) = (file.size, file.modified_us);
            seen.insert(
                file.name.clone(),
                Seen {
                    size,
                    modified_us,
                    since,
                },
            );
        }
        self.seen = seen;
        (ready, waiting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_ready_when_it_has_not_changed_for_a_while() {
        let file = |size| Found {
            name: "a".to_owned(),
            size,
            modified_us: 1,
        };
        let (begun, wait) = (Instant::now(), Duration::from_secs(2));
        let mut settled = Settled::default();
        let mut at = |seconds, files: &[Found]| {
            let (ready, waiting) = settled.ready(files, begun + Duration::from_secs(seconds), wait);
            (ready.len(), waiting)
        };
        assert_eq!(at(0, &[file(1)]), (0, 1));
        assert_eq!(at(1, &[file(1)]), (0, 1));
        assert_eq!(at(2, &[file(2)]), (0, 1), "it has grown");
        assert_eq!(at(3, &[file(2)]), (0, 1));
        assert_eq!(at(4, &[file(2)]), (1, 0));
        assert_eq!(at(5, &[]), (0, 0));
        assert_eq!(at(6, &[file(2)]), (0, 1), "it was gone");
        assert_eq!(at(60, &[file(0)]), (0, 0), "it is empty");
    }
}
