//! Files of others, fetched: from a folder of this machine or of a server of SFTP, when the schedule of the route says so.
//!
//! A file is taken when it has stopped to change, and goes into the archive when all it says is on disk. What is refused goes
//! into a folder of errors with the reason beside it. Killed at any moment nothing is lost and nothing is done twice:
//! messages are known by what they are (see `messages`), and of a table it is noted with its rows how far it has come.

mod error;
mod local;
mod names;
mod outlet;
mod pieces;
mod place;
mod poll;
mod report;
mod rows;
mod settled;
mod sftp;
mod turns;

use std::collections::HashMap;
use std::sync::Arc;

use tokio::task::JoinSet;

use crate::messages::{Desk, Running};

pub use error::Error;
pub use outlet::Outlet;
pub use report::Report;

/// As long as the server runs: a task for each route that fetches files.
pub async fn run(desk: Arc<Desk>) {
    let mut changes = desk.routes.changes();
    let mut known: HashMap<String, Arc<Running>> = HashMap::new();
    // They end with this function.
    let mut tasks = JoinSet::new();
    loop {
        let mut now = HashMap::new();
        for running in desk.routes.all() {
            if !running.settings.transport.fetches() {
                continue;
            }
            let before = known.get(running.name());
            if before.is_none_or(|before| !Arc::ptr_eq(before, &running)) {
                tasks.spawn(turns::run(Arc::clone(&desk), Arc::clone(&running)));
            }
            now.insert(running.name().to_owned(), running);
        }
        known = now;
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return },
            // Those of routes that are not there any more.
            Some(_) = tasks.join_next() => {}
        }
    }
}
