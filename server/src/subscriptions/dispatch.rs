//! What the one who finds events, the one who sends them and those who watch have in common.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Notify, broadcast};

use crate::limits;
use crate::metrics::Counter;
use crate::store::{Counts, Progress};

#[derive(Debug)]
pub struct Dispatch {
    /// Of the follower that finds events.
    pub progress: Arc<Progress>,
    pub delivered: Counter,
    pub failed: Counter,
    /// Subscriptions that were given up.
    pub given_up: Counter,
    counts: Mutex<Counts>,
    bell: Notify,
    /// For whom events were born on this node.
    grown: broadcast::Sender<Arc<[i64]>>,
}

impl Dispatch {
    pub fn new(name: &'static str) -> Self {
        Self {
            progress: Arc::new(Progress::of(name)),
            delivered: Counter::default(),
            failed: Counter::default(),
            given_up: Counter::default(),
            counts: Mutex::new(Counts::default()),
            bell: Notify::new(),
            grown: broadcast::Sender::new(limits::SOCKET_AHEAD_MAX),
        }
    }

    /// There is something to send.
    pub fn wake(&self) {
        self.bell.notify_one();
    }

    /// Events were born for these.
    pub fn told_of(&self, targets: &[i64]) {
        if !targets.is_empty() {
            // Nobody may listen.
            let _listeners = self.grown.send(targets.into());
        }
    }

    /// For whom events are born from now on.
    pub fn grown(&self) -> broadcast::Receiver<Arc<[i64]>> {
        self.grown.subscribe()
    }

    pub async fn woken(&self) {
        self.bell.notified().await;
    }

    /// As it was a moment ago.
    pub fn counts(&self) -> Counts {
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn counted(&self, counts: Counts) {
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner) = counts;
    }
}
