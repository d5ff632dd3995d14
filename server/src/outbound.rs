//! Sends messages of HL7 v2 to their destinations. Each has a row of its own and a worker for it: one that hangs keeps
//! nobody else waiting, and of several nodes one works on it.

mod files;
pub mod forward;
mod gather;
mod line;
pub mod speak;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{Id, JoinSet};

use crate::app::App;
use crate::auth::{Action, Caller, may};
use crate::destinations::Destination;
use crate::store::{Error, QueueLength};

/// How often it is counted what waits, for those who watch.
const COUNT: Duration = Duration::from_secs(5);

/// As long as the server runs.
pub async fn run(app: Arc<App>) {
    let mut changes = app.destinations.changes();
    // Dropped with this future: what is under way is sent again by whoever comes next.
    let mut lines = JoinSet::new();
    let mut known: HashMap<String, (Id, Arc<Destination>)> = HashMap::new();
    loop {
        changes.borrow_and_update();
        for destination in app.destinations.all() {
            // Who stood in its place finishes first: there is one worker for each row.
            if known.contains_key(destination.name()) {
                continue;
            }
            let handle = lines.spawn(line::run(Arc::clone(&app), Arc::clone(&destination)));
            known.insert(destination.name().to_owned(), (handle.id(), destination));
        }
        tokio::select! {
            changed = changes.changed() => {
                if changed.is_err() {
                    return;
                }
            }
            () = tokio::time::sleep(COUNT) => count(&app).await,
            Some(ended) = lines.join_next_with_id(), if !lines.is_empty() => {
                let id = match ended {
                    Ok((id, ())) => id,
                    Err(error) => {
                        tracing::error!("the worker of a destination ended in a panic; it begins anew");
                        tokio::time::sleep(line::PAUSE).await;
                        error.id()
                    }
                };
                known.retain(|_, (own, _)| *own != id);
            }
        }
    }
}

async fn count(app: &App) {
    let all = app.destinations.all();
    let Ok(permit) = may(&Caller::Kiln, Action::Messages) else {
        return;
    };
    if all.is_empty() {
        return;
    }
    let read = app.store.read(permit, |view| view.queue_lengths());
    let lengths: Result<Vec<QueueLength>, Error> = read.await;
    // It is counted again soon.
    let Ok(lengths) = lengths else { return };
    for destination in all {
        let own = lengths
            .iter()
            .find(|length| length.destination == destination.name());
        destination.counted(own.map_or(0, |length| length.waiting));
    }
}
