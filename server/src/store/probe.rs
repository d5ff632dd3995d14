//! A write that changes nothing, to see whether the database takes one.

use tokio::sync::oneshot;

use super::connection::Connection;
use super::error::Error;
use super::job::{Job, Ran};

/// Goes to the disk like other writes.
const PROBE: &str = "PRAGMA user_version = 0";

pub(super) struct Probe {
    outcome: Result<(), Error>,
    reply: oneshot::Sender<Result<(), Error>>,
}

impl Probe {
    pub(super) fn new() -> (Self, oneshot::Receiver<Result<(), Error>>) {
        let (reply, answer) = oneshot::channel();
        let probe = Self {
            outcome: Ok(()),
            reply,
        };
        (probe, answer)
    }
}

impl Job for Probe {
    fn run(&mut self, connection: &mut Connection) -> Ran {
        self.outcome = connection.batch(PROBE).map_err(Error::from);
        match self.outcome {
            Ok(()) => Ran::Done,
            Err(_) => Ran::Torn,
        }
    }

    fn settle(self: Box<Self>, committed: Result<(), Error>) {
        if self.reply.send(self.outcome.and(committed)).is_err() {
            tracing::debug!("nobody waits for the probe any more");
        }
    }
}
