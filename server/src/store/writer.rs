//! SQLite's one writer: a thread that owns the only connection that writes.
//!
//! Group commit: writes that wait are taken together and committed once. The flush to disk, which costs far more than the writing, is paid once per group; while it lasts the next group gathers. Nobody is told
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
use super::job::{Job, Ran};
use super::marks::{Level, Marks};
use super::meters::Meters;
use super::statement::Statement;
use crate::limits;

pub(super) struct Writer {
    /// Gone once the writer is closed.
    queue: Mutex<Option<SyncSender<Box<dyn Job>>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    pub(super) meters: Arc<Meters>,
    /// What all can see of the writes.
    pub(super) level: Level,
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
        let level = Level::default();
        let marks = Marks::new(level.clone());
        let thread = std::thread::Builder::new()
            .name("writer".to_owned())
            .spawn(move || write_all(Some(connection), &open, &jobs, &of_thread, marks))
            .map_err(Error::Thread)?;
        Ok(Self {
            queue: Mutex::new(Some(queue)),
            thread: Mutex::new(Some(thread)),
            meters,
            level,
        })
    }

    /// Of a store that was opened to be read.
    pub(super) fn closed() -> Self {
        Self {
            queue: Mutex::default(),
            thread: Mutex::default(),
            meters: Arc::default(),
            level: Level::default(),
        }
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
    marks: Marks,
) {
    let mut marks = Some(marks);
    while let Ok(first) = jobs.recv() {
        meters.waiting.down();
        let mut opened = match connection.take().map_or_else(open, Ok) {
            Ok(opened) => opened,
            Err(error) => {
                first.settle(Err(error));
                continue;
            }
        };
        opened.marks = marks.take();
        let mut group = Group::default();
        let committed = group.write(&mut opened, first, jobs, meters);
        marks = opened.marks.take();
        if committed.is_ok() && !opened.is_crowded() {
            connection = Some(opened);
        } else if let Some(marks) = &mut marks {
            marks.forget_file();
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
    /// They know why, and have left nothing behind.
    failed: Vec<Box<dyn Job>>,
}

impl Group {
    /// `Err` when the group as a whole is lost.
    fn write(
        &mut self,
        connection: &mut Connection,
        first: Box<dyn Job>,
        jobs: &Receiver<Box<dyn Job>>,
        meters: &Meters,
    ) -> Result<(), DieselError> {
        let result = self.work(connection, first, jobs, meters);
        let writes = self.done.len();
        let result = result.and_then(|()| meters.commit(writes, || connection.commit()));
        if let (Ok(()), Some(marks)) = (&result, &connection.marks) {
            marks.commit();
        }
        if result.is_err()
            && let Err(error) = connection.rollback()
        {
            // SQLite has rolled back by itself when the error was grave; then there is nothing left to do.
            tracing::debug!(error = %error, "no transaction to roll back");
        }
        result
    }

    /// Most writes succeed, and most that fail do so before they have written anything. So they run without savepoints,
    /// which would have SQLite copy every page it touches. When one has left something behind, all are done again, each
    /// in a savepoint of its own.
    fn work(
        &mut self,
        connection: &mut Connection,
        first: Box<dyn Job>,
        jobs: &Receiver<Box<dyn Job>>,
        meters: &Meters,
    ) -> Result<(), DieselError> {
        if let Err(error) = connection.begin_marked() {
            self.done.push(first);
            return Err(error);
        }
        let mut next = Some(first);
        while let Some(mut job) = next {
            match job.run(connection) {
                Ran::Done => self.done.push(job),
                Ran::Nothing => self.failed.push(job),
                Ran::Torn => {
                    self.done.push(job);
                    connection.rollback()?;
                    connection.begin_marked()?;
                    return self.again_with_savepoints(connection);
                }
            }
            if self.done.len() + self.failed.len() >= limits::WRITE_GROUP_MAX {
                break;
            }
            next = jobs.try_recv().ok();
            if next.is_some() {
                meters.waiting.down();
            }
        }
        Ok(())
    }

    fn again_with_savepoints(&mut self, connection: &mut Connection) -> Result<(), DieselError> {
        let mut jobs = std::mem::take(&mut self.done).into_iter();
        while let Some(mut job) = jobs.next() {
            let done = in_savepoint(connection, &mut *job);
            match done {
                Ok(true) => self.done.push(job),
                Ok(false) => self.failed.push(job),
                Err(error) => {
                    self.done.push(job);
                    self.done.extend(jobs);
                    return Err(error);
                }
            }
        }
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

/// Whether the write wants to be committed; when it does not, nothing of it is left.
fn in_savepoint(connection: &mut Connection, job: &mut dyn Job) -> Result<bool, DieselError> {
    connection.execute(Statement::new("SAVEPOINT one", &[]))?;
    let done = job.run(connection) == Ran::Done;
    if !done {
        connection.execute(Statement::new("ROLLBACK TO one", &[]))?;
        connection.forget();
    }
    connection.execute(Statement::new("RELEASE one", &[]))?;
    Ok(done)
}
