//! Work on a stream, on all processors: results come in the order of what went in, and only so much is under way.
//!
//! Things are dealt out in turn and results collected in the same turn, so that nothing has to be sorted.

use std::panic::resume_unwind;
use std::sync::mpsc::sync_channel;
use std::thread::{available_parallelism, scope};

/// Things, and results, that may wait for each worker.
const WAITING_MAX: usize = 2;

/// `feed` hands out things until it is told `false`: then nobody wants more.
pub(super) fn run<T: Send, R: Send, E: Send>(
    feed: impl FnOnce(&mut dyn FnMut(T) -> bool) -> Result<(), E> + Send,
    work: impl Fn(T) -> R + Sync,
    mut take: impl FnMut(R) -> Result<(), E>,
) -> Result<(), E> {
    let workers = available_parallelism().map_or(1, usize::from);
    scope(|scope| {
        let (mut inlets, mut outlets) = (Vec::new(), Vec::new());
        for _ in 0..workers {
            let (inlet, things) = sync_channel::<T>(WAITING_MAX);
            let (results, outlet) = sync_channel::<R>(WAITING_MAX);
            let work = &work;
            scope.spawn(move || {
                for thing in things {
                    if results.send(work(thing)).is_err() {
                        return;
                    }
                }
            });
            inlets.push(inlet);
            outlets.push(outlet);
        }
        let feeder = scope.spawn(move || {
            let mut turns = inlets.iter().cycle();
            feed(&mut |thing| turns.next().is_some_and(|inlet| inlet.send(thing).is_ok()))
        });
        let mut taken = Ok(());
        for outlet in outlets.iter().cycle() {
            // The first that has no more ends the round: those behind it were not given any either.
            let Ok(result) = outlet.recv() else { break };
            taken = take(result);
            if taken.is_err() {
                break;
            }
        }
        drop(outlets);
        let fed = feeder.join().unwrap_or_else(|panic| resume_unwind(panic));
        taken.and(fed)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_order() {
        let mut seen = Vec::new();
        let feed = |give: &mut dyn FnMut(u64) -> bool| {
            assert!((0..1_000).all(give));
            Ok::<(), ()>(())
        };
        let take = |result| {
            seen.push(result);
            Ok(())
        };
        run(feed, |number| number * 2, take).unwrap();
        assert_eq!(
            seen,
            (0..1_000).map(|number| number * 2).collect::<Vec<_>>()
        );
    }

    #[test]
    fn whoever_fails_stops_all() {
        let endless = |give: &mut dyn FnMut(u64) -> bool| {
            assert!(!(0..).all(give));
            Ok(())
        };
        let full = run(
            endless,
            |number| number,
            |result| match result {
                7 => Err("full"),
                _ => Ok(()),
            },
        );
        assert_eq!(full, Err("full"));
        let broken = run(
            |give: &mut dyn FnMut(u64) -> bool| {
                give(1);
                Err("broken")
            },
            |number| number,
            |_| Ok(()),
        );
        assert_eq!(broken, Err("broken"));
    }
}
