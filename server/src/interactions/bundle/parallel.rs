//! The same work on many entries, on all processors.
//! <https://hl7.org/fhir/R4/http.html#transaction>

use std::sync::{Mutex, PoisonError};
use std::thread::{available_parallelism, scope};

/// So many are taken at a time: enough that taking them costs nothing, few enough that all finish together.
const TAKEN_AT_ONCE: usize = 16;

/// The results, in the order of the things.
pub(crate) fn map<T: Send, R: Send>(things: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    let useful = things.len() / TAKEN_AT_ONCE;
    // Only then is it asked: the system reads files to say it.
    let threads = match useful {
        0 | 1 => 1,
        _ => available_parallelism().map_or(1, usize::from).min(useful),
    };
    if threads < 2 {
        return things.into_iter().map(work).collect();
    }
    let mut slots: Vec<Option<R>> = Vec::new();
    slots.resize_with(things.len(), || None);
    let queue = Mutex::new(things.into_iter().zip(&mut slots));
    let run = || {
        loop {
            let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
            let taken: Vec<_> = queue.by_ref().take(TAKEN_AT_ONCE).collect();
            drop(queue);
            if taken.is_empty() {
                return;
            }
            for (thing, slot) in taken {
                *slot = Some(work(thing));
            }
        }
    };
    // A panic of one of them comes out of here.
    scope(|scope| {
        for _ in 1..threads {
            scope.spawn(run);
        }
        run();
    });
    slots.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::map;

    #[test]
    fn results_come_in_order() {
        for count in [0, 1, 31, 32, 1_000] {
            let things: Vec<usize> = (0..count).collect();
            let doubled: Vec<usize> = (0..count).map(|number| number * 2).collect();
            assert_eq!(map(things, |number| number * 2), doubled);
        }
    }
}
