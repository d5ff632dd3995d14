//! A piece of work for the writer, with its types hidden and its answer kept back until the commit.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tokio::sync::oneshot;

use super::connection::Connection;
use super::error::Error;
use super::tx::Tx;
use crate::auth::Permit;

/// What the writer knows of a write.
pub(super) trait Job: Send {
    /// Does the work, once more when it is asked to.
    fn run(&mut self, connection: &mut Connection) -> Ran;

    /// Tells the caller. `Err` when the database did not commit what the work had done.
    fn settle(self: Box<Self>, committed: Result<(), Error>);
}

/// How a piece of work ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ran {
    /// It wants to be committed.
    Done,
    /// It failed and has written nothing.
    Nothing,
    /// It failed, and what it has written must go.
    Torn,
}

pub(super) struct Write<W, T, E> {
    permit: Permit,
    work: W,
    outcome: Option<Result<T, E>>,
    reply: oneshot::Sender<Result<T, E>>,
}

impl<W, T, E> Write<W, T, E> {
    pub(super) fn new(permit: Permit, work: W) -> (Self, oneshot::Receiver<Result<T, E>>) {
        let (reply, answer) = oneshot::channel();
        let job = Self {
            permit,
            work,
            outcome: None,
            reply,
        };
        (job, answer)
    }
}

impl<W, T, E> Job for Write<W, T, E>
where
    W: Fn(&mut Tx<'_>) -> Result<T, E> + Send,
    T: Send,
    E: From<Error> + Send,
{
    fn run(&mut self, connection: &mut Connection) -> Ran {
        let mut tx = Tx::new(connection, &self.permit);
        let outcome = attempt(&self.work, &mut tx);
        let ran = match (&outcome, tx.has_written()) {
            (Ok(_), _) => Ran::Done,
            (Err(_), false) => Ran::Nothing,
            (Err(_), true) => Ran::Torn,
        };
        self.outcome = Some(outcome);
        ran
    }

    fn settle(self: Box<Self>, committed: Result<(), Error>) {
        let outcome = match (committed, self.outcome) {
            (_, Some(Err(error))) => Err(error),
            (Ok(()), Some(Ok(value))) => Ok(value),
            (Err(error), _) => Err(E::from(error)),
            (Ok(()), None) => Err(E::from(Error::Closed)),
        };
        if self.reply.send(outcome).is_err() {
            tracing::debug!("the caller of a write went away before its answer");
        }
    }
}

/// Runs work inside a transaction. A panic in it costs that write, not the writer.
pub(super) fn attempt<T, E: From<Error>>(
    work: &impl Fn(&mut Tx<'_>) -> Result<T, E>,
    tx: &mut Tx<'_>,
) -> Result<T, E> {
    let value = catch_unwind(AssertUnwindSafe(|| work(&mut *tx)))
        .unwrap_or_else(|_| Err(E::from(Error::Panicked)))?;
    tx.finish()?;
    if tx.failed {
        return Err(E::from(Error::Ignored));
    }
    Ok(value)
}
