//! MLLP: HL7 v2 over TCP, on threads of its own. Each route listens where it says; what it is told (start, pause, stop) it
//! does at once.
//! <https://www.hl7.org/implement/standards/product_brief.cfm?product_id=55>

mod admission;
mod connection;
mod listener;
pub mod sender;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::watch;

use crate::config::Transport;
use crate::messages::{Desk, Running};
use crate::tls;
use admission::Admission;

/// The listeners, and the threads that they run on.
pub struct Listeners {
    runtime: Runtime,
    stop: watch::Sender<bool>,
    /// Dropped by everything that runs.
    ended: tokio::sync::mpsc::Receiver<()>,
    wait: Duration,
}

/// What all listeners share.
#[derive(Debug)]
struct Shared {
    desk: Arc<Desk>,
    admission: Arc<Admission>,
    /// True when the server has been told to stop.
    stopping: watch::Receiver<bool>,
    alive: tokio::sync::mpsc::Sender<()>,
}

impl std::fmt::Debug for Listeners {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listeners").finish_non_exhaustive()
    }
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the threads for MLLP cannot be started")]
    Threads(#[source] std::io::Error),
    #[error("cannot listen on {0} for MLLP")]
    Listen(SocketAddr, #[source] std::io::Error),
    #[error("the route {route}")]
    Tls {
        route: String,
        #[source]
        source: tls::Error,
    },
}

/// Starts to listen for every route that is there, and follows those that come and go. Answers the addresses.
/// `unasked`: where nobody has asked for MLLP; when that is taken by another program, the server goes without.
pub fn start(
    desk: &Arc<Desk>,
    unasked: Option<SocketAddr>,
) -> Result<(Listeners, Vec<SocketAddr>), Error> {
    let limits = desk.app.limits;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .thread_name("mllp")
        .enable_all()
        .build()
        .map_err(Error::Threads)?;
    let (stop, stopping) = watch::channel(false);
    let (alive, ended) = tokio::sync::mpsc::channel(1);
    let shared = Arc::new(Shared {
        desk: Arc::clone(desk),
        admission: Admission::new(&limits),
        stopping,
        alive,
    });
    let changes = desk.routes.changes();
    let mut addresses = Vec::new();
    let mut known = HashMap::new();
    for running in desk.routes.all() {
        if running.settings.transport != Transport::Mllp {
            continue;
        }
        let bound = runtime.block_on(listener::bind(&running));
        let bound = match bound {
            Err(Error::Listen(address, error)) if Some(address) == unasked => {
                tracing::warn!(%address, %error, "the usual address for MLLP is taken: nobody listens there");
                continue;
            }
            bound => bound?,
        };
        addresses.push(bound.address);
        known.insert(running.name().to_owned(), Arc::clone(&running));
        runtime.spawn(listener::run(Arc::clone(&shared), running, Some(bound)));
    }
    runtime.spawn(follow(shared, known, changes));
    let listeners = Listeners {
        runtime,
        stop,
        ended,
        wait: Duration::from_millis(limits.stop_wait_ms),
    };
    Ok((listeners, addresses))
}

/// Starts listeners for routes that come; those that go are told by their mode.
async fn follow(
    shared: Arc<Shared>,
    mut known: HashMap<String, Arc<Running>>,
    mut changes: watch::Receiver<u64>,
) {
    let mut stopping = shared.stopping.clone();
    loop {
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return },
            _ = stopping.wait_for(|stopping| *stopping) => return,
        }
        let mut now = HashMap::new();
        for running in shared.desk.routes.all() {
            if running.settings.transport != Transport::Mllp {
                continue;
            }
            let before = known.get(running.name());
            if before.is_none_or(|before| !Arc::ptr_eq(before, &running)) {
                tokio::spawn(listener::run(
                    Arc::clone(&shared),
                    Arc::clone(&running),
                    None,
                ));
            }
            now.insert(running.name().to_owned(), running);
        }
        known = now;
    }
}

impl Listeners {
    /// Takes nothing more, answers what is under way, and ends.
    pub fn stop(mut self) {
        self.stop.send_replace(true);
        let ended = self
            .runtime
            .block_on(async { tokio::time::timeout(self.wait, self.ended.recv()).await });
        if ended.is_err() {
            tracing::warn!("messages were still under way when the time to stop was over");
        }
        self.runtime.shutdown_timeout(Duration::from_millis(100));
    }
}
