//! Who must wait for whom: messages about the same patient go one after another, in the order in which they came; all
//! others side by side. A merge is about two patients and waits for both, and both wait for it.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// The rows in which messages wait, one for each subject.
#[derive(Debug, Default)]
pub struct Order {
    rows: Mutex<Rows>,
}

type Rows = HashMap<Arc<str>, VecDeque<Arc<Waiter>>>;

#[derive(Debug, Default)]
struct Waiter {
    /// Rows in which somebody is before it.
    behind: AtomicUsize,
    come: Notify,
}

/// A place in the rows of some subjects, left when it is dropped.
#[derive(Debug)]
pub struct Ticket {
    order: Arc<Order>,
    subjects: Vec<Arc<str>>,
    waiter: Arc<Waiter>,
}

impl Order {
    /// Takes its place behind all who came before and have a subject in common with it. Nobody waits in two rows in
    /// different orders, as the places in all of them are taken at once.
    pub fn enter<'s>(self: &Arc<Self>, subjects: impl IntoIterator<Item = &'s str>) -> Ticket {
        let subjects: BTreeSet<&str> = subjects.into_iter().collect();
        let waiter = Arc::<Waiter>::default();
        let mut rows = self.rows();
        let mut taken = Vec::with_capacity(subjects.len());
        for subject in subjects {
            let subject: Arc<str> = match rows.get_key_value(subject) {
                Some((known, _)) => Arc::clone(known),
                None => subject.into(),
            };
            let row = rows.entry(Arc::clone(&subject)).or_default();
            if !row.is_empty() {
                waiter.behind.fetch_add(1, Ordering::AcqRel);
            }
            row.push_back(Arc::clone(&waiter));
            taken.push(subject);
        }
        drop(rows);
        Ticket {
            order: Arc::clone(self),
            subjects: taken,
            waiter,
        }
    }

    /// Messages that wait or are worked on.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.rows().values().map(VecDeque::len).sum()
    }

    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ticket {
    /// Waits until nobody is before it any more.
    pub async fn turn(&self) {
        while self.waiter.behind.load(Ordering::Acquire) > 0 {
            self.waiter.come.notified().await;
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut rows = self.order.rows();
        for subject in &self.subjects {
            let Some(row) = rows.get_mut(subject) else {
                continue;
            };
            let place = row
                .iter()
                .position(|waiter| Arc::ptr_eq(waiter, &self.waiter));
            if let Some(place) = place {
                row.remove(place);
            }
            // Who was second is first now; who left from further behind lets nobody by.
            if let (Some(0), Some(next)) = (place, row.front())
                && next.behind.fetch_sub(1, Ordering::AcqRel) == 1
            {
                next.come.notify_one();
            }
            if row.is_empty() {
                rows.remove(subject);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::{Context, Poll, Waker};

    fn is_first(ticket: &Ticket) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        let turn = std::pin::pin!(ticket.turn());
        turn.poll(&mut context) == Poll::Ready(())
    }

    #[test]
    fn the_same_patient_waits_and_others_do_not() {
        let order = Arc::<Order>::default();
        let first = order.enter(["a"]);
        let second = order.enter(["a", "a"]);
        let other = order.enter(["b"]);
        assert!(is_first(&first) && !is_first(&second) && is_first(&other));
        drop(first);
        assert!(is_first(&second));
        drop((second, other));
        assert_eq!(order.len(), 0);
    }

    #[test]
    fn a_merge_is_a_barrier_for_both() {
        let order = Arc::<Order>::default();
        let (a, b) = (order.enter(["a"]), order.enter(["b"]));
        let merge = order.enter(["b", "a"]);
        let (later_a, later_b) = (order.enter(["a"]), order.enter(["b"]));
        drop(a);
        assert!(!is_first(&merge) && !is_first(&later_a));
        drop(b);
        assert!(is_first(&merge) && !is_first(&later_a) && !is_first(&later_b));
        drop(merge);
        assert!(is_first(&later_a) && is_first(&later_b));
    }

    #[test]
    fn who_gives_up_lets_nobody_past_who_was_before() {
        let order = Arc::<Order>::default();
        let (first, second, third) = (order.enter(["a"]), order.enter(["a"]), order.enter(["a"]));
        drop(second);
        assert!(is_first(&first) && !is_first(&third));
        drop(first);
        assert!(is_first(&third));
    }
}
