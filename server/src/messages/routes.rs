//! The routes that there are, in memory: each with what it was told to do.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use interop::route::Route;
use tokio::sync::watch;

use crate::config::{BadRoute, Format, RouteSettings, Transport};

/// What a route does at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Messages are taken.
    Started,
    /// Senders stay connected and wait; what is under way is finished.
    Paused,
    /// Nobody is listened to.
    Stopped,
}

impl Mode {
    pub fn word(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
        }
    }
}

/// A route, and what it is told.
#[derive(Debug)]
pub struct Running {
    pub settings: RouteSettings,
    pub route: Route,
    mode: watch::Sender<Mode>,
}

impl Running {
    fn of(settings: &RouteSettings) -> Result<Self, BadRoute> {
        Ok(Self {
            route: settings.route()?,
            settings: settings.clone(),
            mode: watch::Sender::new(Mode::Started),
        })
    }

    pub fn name(&self) -> &str {
        &self.route.name
    }

    /// Whether documents come by it, and no messages.
    pub fn is_of_documents(&self) -> bool {
        self.settings.format == Format::Cda
    }

    pub fn mode(&self) -> Mode {
        *self.mode.borrow()
    }

    /// Whoever listens for it hears of the change at once.
    pub fn tell(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    pub fn modes(&self) -> watch::Receiver<Mode> {
        self.mode.subscribe()
    }

    /// Waits while it is paused. Whether it goes on.
    pub async fn goes_on(&self) -> bool {
        let mut modes = self.modes();
        let mode = modes.wait_for(|mode| *mode != Mode::Paused).await;
        mode.is_ok_and(|mode| *mode == Mode::Started)
    }
}

/// All routes by name. Who listens for them is told of every change of the list.
#[derive(Debug)]
pub struct Routes {
    all: RwLock<BTreeMap<String, Arc<Running>>>,
    changed: watch::Sender<u64>,
}

impl Routes {
    pub fn of(settings: &[RouteSettings]) -> Result<Self, BadRoute> {
        let routes = Self {
            all: RwLock::default(),
            changed: watch::Sender::new(0),
        };
        for settings in settings {
            routes.put(settings)?;
        }
        Ok(routes)
    }

    /// Adds a route, or puts it in the place of the one with its name, which is stopped. It is started.
    pub fn put(&self, settings: &RouteSettings) -> Result<Arc<Running>, BadRoute> {
        let running = Arc::new(Running::of(settings)?);
        let name = settings.name.clone();
        let mut all = self.all.write().unwrap_or_else(PoisonError::into_inner);
        let before = all.insert(name, Arc::clone(&running));
        drop(all);
        if let Some(before) = before {
            before.tell(Mode::Stopped);
        }
        self.changed.send_modify(|count| *count += 1);
        Ok(running)
    }

    /// Takes a route out and stops it.
    pub fn remove(&self, name: &str) -> Option<Arc<Running>> {
        let mut all = self.all.write().unwrap_or_else(PoisonError::into_inner);
        let removed = all.remove(name);
        drop(all);
        if let Some(removed) = &removed {
            removed.tell(Mode::Stopped);
            self.changed.send_modify(|count| *count += 1);
        }
        removed
    }

    pub fn get(&self, name: &str) -> Option<Arc<Running>> {
        let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
        all.get(name).map(Arc::clone)
    }

    pub fn all(&self) -> Vec<Arc<Running>> {
        let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
        all.values().map(Arc::clone).collect()
    }

    /// The first route of a transport for a format.
    pub fn of_transport(&self, transport: Transport, format: Format) -> Option<Arc<Running>> {
        let mut all = self.all().into_iter();
        all.find(|running| {
            running.settings.transport == transport && running.settings.format == format
        })
    }

    /// Tells of every route that comes or goes.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn routes_come_go_and_wait() {
        let settings = RouteSettings::usual("a", Transport::Http, None);
        let routes = Routes::of(std::slice::from_ref(&settings)).unwrap();
        let changes = routes.changes();
        let first = routes.get("a").unwrap();
        assert_eq!(first.mode(), Mode::Started);
        assert!(first.goes_on().await);
        let second = routes.put(&settings).unwrap();
        assert_eq!(
            (first.mode(), second.mode()),
            (Mode::Stopped, Mode::Started)
        );
        assert!(!first.goes_on().await);
        assert!(changes.has_changed().unwrap());
        second.tell(Mode::Paused);
        let waits = second.goes_on();
        second.tell(Mode::Started);
        assert!(waits.await);
        assert!(routes.remove("a").is_some() && routes.remove("a").is_none());
        assert!(
            routes
                .of_transport(Transport::Http, Format::Hl7v2)
                .is_none()
        );
    }
}
