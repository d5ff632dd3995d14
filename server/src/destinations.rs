//! Those who are sent messages of HL7 v2, in memory: how each is written to, and how it goes there at the moment.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use tokio::sync::futures::Notified;
use tokio::sync::{Notify, watch};

use crate::config::{BadDestination, DestinationSettings, Understood};
use crate::instant::Instant;
use crate::metrics::Counter;

/// A destination, and how it goes there.
#[derive(Debug)]
pub struct Destination {
    pub settings: DestinationSettings,
    pub understood: Understood,
    pub sent: Counter,
    /// Attempts that were not taken.
    pub failed: Counter,
    /// Messages that will not be sent again by themselves.
    pub given_up: Counter,
    /// Messages that wait, parked ones among them, as it was a moment ago.
    waiting: AtomicU64,
    /// Answers that came when nobody waited for them any more.
    pub late: Counter,
    /// Why it cannot be reached, and since when.
    outage: Mutex<Option<(String, Instant)>>,
    /// It was taken out, or another stands in its place.
    is_over: AtomicBool,
    bell: Notify,
}

impl Destination {
    fn of(settings: &DestinationSettings) -> Result<Self, BadDestination> {
        Ok(Self {
            understood: settings.understood()?,
            settings: settings.clone(),
            sent: Counter::default(),
            failed: Counter::default(),
            given_up: Counter::default(),
            waiting: AtomicU64::new(0),
            late: Counter::default(),
            outage: Mutex::default(),
            is_over: AtomicBool::new(false),
            bell: Notify::new(),
        })
    }

    pub fn name(&self) -> &str {
        &self.settings.name
    }

    /// There is something to send.
    pub fn wake(&self) {
        self.bell.notify_one();
    }

    pub async fn woken(&self) {
        self.bell.notified().await;
    }

    pub fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed)
    }

    pub fn counted(&self, waiting: u64) {
        self.waiting.store(waiting, Ordering::Relaxed);
    }

    pub fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }

    pub fn outage(&self) -> Option<(String, Instant)> {
        let outage = self.outage.lock().unwrap_or_else(PoisonError::into_inner);
        outage.clone()
    }

    /// It cannot be reached, or can be again (None). Whether that is news.
    pub fn tell_outage(&self, why: Option<&str>, now: Instant) -> bool {
        let mut outage = self.outage.lock().unwrap_or_else(PoisonError::into_inner);
        let since = outage.as_ref().map(|(_, since)| *since);
        let is_news = since.is_some() != why.is_some();
        *outage = why.map(|why| (why.to_owned(), since.unwrap_or(now)));
        is_news
    }

    fn end(&self) {
        self.is_over.store(true, Ordering::Release);
        self.bell.notify_one();
    }
}

/// All of them by name.
#[derive(Debug)]
pub struct Destinations {
    all: RwLock<BTreeMap<String, Arc<Destination>>>,
    /// Whether there are no others: a command that fills a store does not know which its server will have.
    is_complete: AtomicBool,
    changed: watch::Sender<u64>,
    /// Rung whenever something became of a message, for those who wait for it.
    settled: Notify,
}

impl Default for Destinations {
    fn default() -> Self {
        Self {
            all: RwLock::default(),
            is_complete: AtomicBool::new(false),
            changed: watch::Sender::new(0),
            settled: Notify::new(),
        }
    }
}

impl Destinations {
    /// Adds one, or puts it in the place of the one with its name.
    pub fn put(&self, settings: &DestinationSettings) -> Result<(), BadDestination> {
        let destination = Arc::new(Destination::of(settings)?);
        let mut all = self.all.write().unwrap_or_else(PoisonError::into_inner);
        let before = all.insert(settings.name.clone(), destination);
        drop(all);
        if let Some(before) = before {
            before.end();
        }
        self.changed.send_modify(|count| *count += 1);
        Ok(())
    }

    /// Takes one out; what waits for it stays until it is there again.
    pub fn remove(&self, name: &str) -> bool {
        let mut all = self.all.write().unwrap_or_else(PoisonError::into_inner);
        let removed = all.remove(name);
        drop(all);
        if let Some(removed) = &removed {
            removed.end();
            self.changed.send_modify(|count| *count += 1);
        }
        removed.is_some()
    }

    /// From now on there are no others.
    pub fn complete(&self) {
        self.is_complete.store(true, Ordering::Release);
    }

    /// Whether it is certain that there is none of that name.
    pub fn lacks(&self, name: &str) -> bool {
        self.is_complete.load(Ordering::Acquire) && self.get(name).is_none()
    }

    pub fn get(&self, name: &str) -> Option<Arc<Destination>> {
        let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
        all.get(name).map(Arc::clone)
    }

    pub fn all(&self) -> Vec<Arc<Destination>> {
        let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
        all.values().map(Arc::clone).collect()
    }

    pub fn wake(&self, name: &str) {
        if let Some(destination) = self.get(name) {
            destination.wake();
        }
    }

    /// Tells of every one that comes or goes.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    pub fn settled(&self) {
        self.settled.notify_waiters();
    }

    /// Until something became of some message, on this node, from now on.
    pub fn any_settled(&self) -> Notified<'_> {
        self.settled.notified()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> DestinationSettings {
        toml::from_str("name = 'ward'\ntransport = 'mllp'\naddress = 'h:1'").unwrap()
    }

    #[test]
    fn they_come_go_and_tell_of_outages_once() {
        let all = Destinations::default();
        let mut changes = all.changes();
        all.put(&settings()).unwrap();
        assert!(changes.has_changed().unwrap());
        changes.mark_unchanged();
        let first = all.get("ward").unwrap();
        let at = Instant::from_micros;
        assert!(first.tell_outage(Some("no route"), at(1)));
        assert!(!first.tell_outage(Some("refused"), at(2)));
        assert_eq!(first.outage(), Some(("refused".to_owned(), at(1))));
        assert!(first.tell_outage(None, at(3)) && !first.tell_outage(None, at(4)));
        all.put(&settings()).unwrap();
        assert!(first.is_over() && !all.get("ward").unwrap().is_over());
        assert!(all.remove("ward") && !all.remove("ward"));
        assert!(changes.has_changed().unwrap());
    }
}
