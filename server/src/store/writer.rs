//! SQLite's one writer: a thread that owns the only connection that writes.
//!
//! Group commit: writes that wait are taken together, each in its own savepoint, and committed once. The flush to disk,
//! which costs far more than the writing, is paid once per group; while it lasts the next group gathers. Nobody is told
//! of success before the flush is done.
//!
//! After a commit that failed nobody knows what the connection's caches hold and what the system has flushed: the group
//! is told that nothing was written, and the next one gets a new connection.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use diesel::result::Error as DieselError;

use super::connection::Connection;
use super::error::Error;
use super::job::Job;
use super::meters::Meters;
use super::statement::Statement;
use crate::limits;

pub(super) struct Writer {
    /// Gone once the writer is closed.
    queue: Mutex<Option<SyncSender<Box<dyn Job>>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    pub(super) meters: Arc<Meters>,
}

impl Writer {
    /// `open` opens the connection anew when it has failed.
    pub(super) fn start(
        connection: Connection,
        open: impl Fn() -> Result<Connection, Error> + Send + 'static,
    ) -> Result<Self, Error> {
        let (queue, jobs) = sync_channel(limits::WRITE_QUEUE_MAX);
        let meters = Arc::<Meters>::default();
        let of_thread = Arc::clone(&meters);
        let thread = std::thread::Builder::new()
            .name("writer".to_owned())
            .spawn(move || write_all(Some(connection), &open, &jobs, &of_thread))
            .map_err(Error::Thread)?;
        Ok(Self {
            queue: Mutex::new(Some(queue)),
            thread: Mutex::new(Some(thread)),
            meters,
        })
    }

    pub(super) fn submit(&self, job: Box<dyn Job>) -> Result<(), Error> {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let queue = queue.as_ref().ok_or(Error::Closed)?;
        self.meters.waiting.up();
        queue.try_send(job).map_err(|error| {
            self.meters.waiting.down();
            match error {
                TrySendError::Full(_) => Error::QueueFull,
                TrySendError::Disconnected(_) => Error::Closed,
            }
        })
    }

    /// Writes what waits, then stops.
    pub(super) fn close(&self) {
        drop(
            self.queue
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("the writer thread ended in a panic");
        }
    }
}

fn write_all(
    mut connection: Option<Connection>,
    open: &impl Fn() -> Result<Connection, Error>,
    jobs: &Receiver<Box<dyn Job>>,
    meters: &Meters,
) {
    while let Ok(first) = jobs.recv() {
        meters.waiting.down();
        let mut opened = match connection.take().map_or_else(open, Ok) {
            Ok(opened) => opened,
            Err(error) => {
                first.settle(Err(error));
                continue;
            }
        };
        let mut group = Group::default();
        let committed = group.write(&mut opened, first, jobs, meters);
        if committed.is_ok() {
            connection = Some(opened);
        }
        group.settle(&committed);
    }
    if let Some(Err(error)) = connection.map(|mut connection| connection.checkpoint()) {
        tracing::warn!(error = %error, "the log was not emptied into the database file; the next start will do it");
    }
}

/// Writes that are committed together.
#[derive(Default)]
struct Group {
    done: Vec<Box<dyn Job>>,
    /// Rolled back on their own; they know why.
    failed: Vec<Box<dyn Job>>,
}

impl Group {
    fn write(
        &mut self,
        connection: &mut Connection,
        first: Box<dyn Job>,
        jobs: &Receiver<Box<dyn Job>>,
        meters: &Meters,
    ) -> Result<(), DieselError> {
        if let Err(error) = connection.begin() {
            self.done.push(first);
            return Err(error);
        }
        let mut next = Some(first);
        let mut result = Ok(());
        while let Some(job) = next {
            result = self.one(connection, job);
            if result.is_err() || self.done.len() + self.failed.len() >= limits::WRITE_GROUP_MAX {
                break;
            }
            next = jobs.try_recv().ok();
            if next.is_some() {
                meters.waiting.down();
            }
        }
        let writes = self.done.len();
        let result = result.and_then(|()| meters.commit(writes, || connection.commit()));
        if result.is_err()
            && let Err(error) = connection.rollback()
        {
            // SQLite has rolled back by itself when the error was grave; then there is nothing left to do.
            tracing::debug!(error = %error, "no transaction to roll back");
        }
        result
    }

    /// One write in its savepoint. `Err` when the group as a whole is lost.
    fn one(
        &mut self,
        connection: &mut Connection,
        mut job: Box<dyn Job>,
    ) -> Result<(), DieselError> {
        if let Err(error) = connection.execute(Statement::new("SAVEPOINT one", &[])) {
            self.done.push(job);
            return Err(error);
        }
        if job.run(connection) {
            self.done.push(job);
        } else {
            self.failed.push(job);
            connection.execute(Statement::new("ROLLBACK TO one", &[]))?;
        }
        connection.execute(Statement::new("RELEASE one", &[]))?;
        Ok(())
    }

    fn settle(self, committed: &Result<(), DieselError>) {
        if let Err(error) = committed {
            tracing::error!(error = %error, writes = self.done.len(), "a group of writes was not committed");
        }
        for job in self.failed {
            job.settle(Ok(()));
        }
        for job in self.done {
            job.settle(match committed {
                Ok(()) => Ok(()),
                Err(error) => Err(Error::of_a_group(error)),
            });
        }
    }
}
