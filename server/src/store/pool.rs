//! Connections that are taken for a while and given back; made when one is wanted and none is idle.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::connection::Connection;
use super::counts::Counts;
use super::error::Error;
use super::meters::Meters;
use super::totals::Totals;

pub(super) struct Pool {
    make: Box<dyn Fn() -> Result<Connection, Error> + Send + Sync>,
    connections_max: usize,
    wait_ms: u64,
    state: Mutex<State>,
    freed: Condvar,
    pub(super) meters: Box<Meters>,
    pub(super) totals: Box<Totals>,
    pub(super) counts: Box<Counts>,
}

#[derive(Default)]
struct State {
    idle: Vec<Connection>,
    /// Taken or idle.
    alive: usize,
    closed: bool,
}

impl Pool {
    pub(super) fn new(
        connections_max: usize,
        wait_ms: u64,
        make: impl Fn() -> Result<Connection, Error> + Send + Sync + 'static,
    ) -> Self {
        Self {
            make: Box::new(make),
            connections_max,
            wait_ms,
            state: Mutex::default(),
            freed: Condvar::new(),
            meters: Box::default(),
            totals: Box::default(),
            counts: Box::default(),
        }
    }

    /// Waits for a connection when all are taken. The one used last is given first: its caches are warm.
    pub(super) fn take(&self) -> Result<Taken<'_>, Error> {
        let wait = Duration::from_millis(self.wait_ms);
        let (mut state, _) = self
            .freed
            .wait_timeout_while(self.lock(), wait, |state| {
                state.idle.is_empty() && state.alive >= self.connections_max
            })
            .unwrap_or_else(PoisonError::into_inner);
        if state.closed {
            return Err(Error::Closed);
        }
        if let Some(connection) = state.idle.pop() {
            return Ok(Taken::new(self, Some(connection)));
        }
        if state.alive >= self.connections_max {
            return Err(Error::NoConnection {
                wait_ms: self.wait_ms,
            });
        }
        state.alive += 1;
        drop(state);
        // From here on `Taken` counts it off again, also when it cannot be made.
        let mut taken = Taken::new(self, None);
        taken.connection = Some((self.make)()?);
        Ok(taken)
    }

    pub(super) fn in_use(&self) -> usize {
        let state = self.lock();
        state.alive - state.idle.len()
    }

    /// Closes what is idle: when one connection is lost, the others most likely are too.
    pub(super) fn forget_idle(&self) {
        let mut state = self.lock();
        let gone = std::mem::take(&mut state.idle);
        state.alive -= gone.len();
    }

    /// Gives out no more connections.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.forget_idle();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection out of the pool. It goes back when this is dropped, unless it is `broken`.
pub(super) struct Taken<'a> {
    pool: &'a Pool,
    connection: Option<Connection>,
    pub(super) broken: bool,
}

impl<'a> Taken<'a> {
    fn new(pool: &'a Pool, connection: Option<Connection>) -> Self {
        Self {
            pool,
            connection,
            broken: false,
        }
    }

    pub(super) fn connection(&mut self) -> Result<&mut Connection, Error> {
        self.connection.as_mut().ok_or(Error::Closed)
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let kept = self.connection.take();
        let kept = kept.filter(|connection| !self.broken && !connection.is_crowded());
        let mut state = self.pool.lock();
        match kept {
            Some(connection) => state.idle.push(connection),
            None => state.alive -= 1,
        }
        drop(state);
        self.pool.freed.notify_one();
    }
}
