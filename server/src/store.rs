//! The canonical store: one road in for every write, durable when it answers.

mod arrangements;
mod attempts;
mod audit;
mod audited;
pub mod carried;
mod catalogue;
mod clients;
mod connection;
mod counts;
mod deadline;
mod deliveries;
mod error;
mod feed;
mod fence;
mod followers;
mod grants;
mod history;
mod identity;
mod imports;
mod index;
mod job;
mod keys;
mod marks;
mod messages;
mod meters;
mod migrate;
mod outgoing;
mod people;
mod plan;
mod polls;
mod pool;
mod probe;
mod progress;
mod query;
mod refill;
mod reindex;
mod resources;
mod row;
mod scan;
mod sealing;
mod seals;
mod snapshots;
mod statement;
mod totals;
mod tx;
mod view;
mod watch;
mod writer;

use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use search::Registry;

pub use arrangements::{Arranged, Arrangement};
pub use audit::VersionRow;
pub use audited::{ChainEnd, ORIGIN, Sought, Told, chained};
pub use catalogue::Work;
pub use clients::{Client, Token};
pub use deliveries::{
    Counts, Delivery, Event, Fate, Listing, NEVER, NewEvent, Progressed, State, Target, Trouble,
};
pub use error::Error;
pub use feed::{Entry, Position};
pub use grants::{AppGrant, Launch, SigningKey, Voucher};
pub use history::{Mark, Past, Range};
pub use identity::Head;
use imports::Noting;
pub use imports::{Reached, Step, Turn};
pub use index::Before;
pub use keys::{KEYS_OF_NAME_MAX, Key};
pub use marks::Tide;
pub use messages::{
    Direction, Earlier, Filter, Listed, Message, Outcome, Packed, Pruned, Stage, Status, Waiting,
    Whole,
};
pub use meters::Meters;
pub use outgoing::{Followed, NewOutgoing, QueueLength, Queued, Sent};
pub use people::{Person, Session};
pub use plan::Opened;
pub use polls::Poll;
pub use progress::Progress;
pub use query::{Body, Container};
pub use refill::{Copied, Refill};
pub use reindex::{Lease, Made, Remaking};
pub use resources::{Change, Found, Rid};
pub use row::Referring;
pub use scan::{Stored, Wanted};
pub use sealing::{LongSearch, Secret, chance};
pub use seals::{Ring, SealVersion};
pub use tx::{Deletion, Tx};
pub use view::View;
pub use watch::Watched;

use crate::auth::{Action, Permit};
use crate::config::Database;
use crate::instant::Instant;
use crate::limits::{self, Limits};
use catalogue::Catalogue;
use connection::Connection;
use job::Write;
use pool::Pool;
use probe::Probe;
use writer::Writer;

/// A store; cheap to clone, every clone is the same store.
#[derive(Clone)]
pub struct Store {
    engine: Arc<Engine>,
    noting: Option<Arc<Noting>>,
    /// None where the database is only looked at.
    secret: Option<Secret>,
    /// What resources are found by.
    catalogue: Arc<Catalogue>,
    /// The follower that is told of every write, if it wants to.
    rung: Arc<OnceLock<Arc<Progress>>>,
}

enum Engine {
    Sqlite {
        writer: Writer,
        readers: Pool,
        /// Who looks before a write.
        scouts: Box<Pool>,
    },
    Postgres(Arc<Pool>),
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match *self.engine {
            Engine::Sqlite { .. } => "Store(SQLite)",
            Engine::Postgres(_) => "Store(PostgreSQL)",
        })
    }
}

impl Store {
    /// Opens the database, making it when it is a SQLite file that does not exist, and brings it up to date.
    pub fn open(database: &Database, limits: &Limits) -> Result<Self, Error> {
        Self::open_with(database, limits, |_| Ok(Catalogue::of_r4()), |_| Ok(()))
    }

    /// The same, where resources are found by this: what the index lacks of it is noted, for somebody to make.
    pub fn open_to_serve(
        database: &Database,
        limits: &Limits,
        registry: &Registry,
    ) -> Result<Self, Error> {
        Self::open_with(
            database,
            limits,
            |connection| {
                let known = plan::open(connection, registry, Opened::ToServe, now())?;
                Ok(Catalogue::new(known))
            },
            |_| Ok(()),
        )
    }

    /// The same for a process that does little else than to write, beside a server or before there is one.
    pub fn open_to_fill(
        database: &Database,
        limits: &Limits,
        registry: &Registry,
    ) -> Result<Self, Error> {
        Self::open_with(
            database,
            limits,
            |connection| {
                let known = plan::open(connection, registry, Opened::ToFill, now())?;
                Ok(Catalogue::new(known))
            },
            |writer| Ok(writer.write_much()?),
        )
    }

    fn open_with(
        database: &Database,
        limits: &Limits,
        catalogue: impl FnOnce(&mut Connection) -> Result<Catalogue, Error>,
        prepare: fn(&mut Connection) -> Result<(), Error>,
    ) -> Result<Self, Error> {
        let (secret, known);
        let engine = match database {
            Database::Sqlite(path) => {
                make_directory(path)?;
                let statement_ms = Some(limits.statement_ms);
                let mut connection = Connection::sqlite_writer(path, statement_ms)?;
                migrate::up(&mut connection)?;
                secret = sealing::secret(&mut connection)?;
                known = catalogue(&mut connection)?;
                prepare(&mut connection)?;
                let again = path.clone();
                let reopen = move || {
                    let mut connection = Connection::sqlite_writer(&again, statement_ms)?;
                    prepare(&mut connection)?;
                    Ok(connection)
                };
                Engine::Sqlite {
                    writer: Writer::start(connection, reopen)?,
                    readers: pool(path, limits, Connection::sqlite_reader),
                    scouts: Box::new(pool(path, limits, Connection::sqlite_scout)),
                }
            }
            Database::Postgres(url) => {
                // A migration may take as long as it takes.
                let mut connection = Connection::postgres(url.as_str(), None)?;
                migrate::up(&mut connection)?;
                secret = sealing::secret(&mut connection)?;
                known = catalogue(&mut connection)?;
                let url = url.clone();
                let statement_ms = limits.statement_ms;
                Engine::Postgres(Arc::new(Pool::new(
                    limits.postgres_connections_max,
                    limits.connection_wait_ms,
                    move || Connection::postgres(url.as_str(), Some(statement_ms)),
                )))
            }
        };
        Ok(Self {
            engine: Arc::new(engine),
            noting: None,
            secret: Some(secret),
            catalogue: Arc::new(known),
            rung: Arc::default(),
        })
    }

    /// Opens the database to look at it: a server that works on it is not disturbed.
    pub fn open_to_read(database: &Database, limits: &Limits) -> Result<Self, Error> {
        let Database::Sqlite(path) = database else {
            return Self::open(database, limits);
        };
        if !migrate::is_current(&mut Connection::sqlite_reader(path, None)?)? {
            migrate::up(&mut Connection::sqlite_writer(path, None)?)?;
        }
        let engine = Engine::Sqlite {
            writer: Writer::closed(),
            readers: pool(path, limits, Connection::sqlite_reader),
            scouts: Box::new(pool(path, limits, Connection::sqlite_scout)),
        };
        Ok(Self {
            engine: Arc::new(engine),
            noting: None,
            secret: None,
            catalogue: Arc::new(Catalogue::of_r4()),
            rung: Arc::default(),
        })
    }

    /// The same store, where every write also notes this step of an import, in its own transaction, and waits until it
    /// is its turn.
    pub fn noting(&self, permit: &Permit, step: Step, turn: Turn) -> Result<Self, Error> {
        if !permit.covers(Action::Maintain) {
            return Err(Error::NotPermitted);
        }
        let noting = Noting { step, turn };
        Ok(Self {
            noting: Some(Arc::new(noting)),
            ..self.clone()
        })
    }

    /// The one door for writes. The work is plain blocking code: it runs inside one transaction, on another thread, and
    /// more than once when PostgreSQL asks for that. `Ok` means that everything it did is on disk.
    pub async fn write<T, E>(
        &self,
        permit: Permit,
        work: impl Fn(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let concerns_parameters = permit.concerns(tx::PARAMETER);
        let concerns_followed = permit.concerns("Subscription");
        let visit = permit.visit().cloned();
        let noting = self.noting.clone();
        if let Some(noting) = &noting {
            noting.turn.come().await?;
        }
        let work = move |tx: &mut Tx<'_>| {
            let done = work(tx)?;
            if let Some(noting) = &noting {
                tx.note(&noting.step)?;
            }
            Ok(done)
        };
        let written = match &*self.engine {
            Engine::Sqlite { writer, .. } => {
                let (job, answer) = Write::new(permit, work);
                match writer.submit(Box::new(job)) {
                    Ok(()) => answer.await.unwrap_or_else(|_| Err(Error::Closed.into())),
                    Err(error) => Err(error.into()),
                }
            }
            Engine::Postgres(pool) => {
                let pool = Arc::clone(pool);
                tokio::task::spawn_blocking(move || attempts::write(&pool, &permit, &work))
                    .await
                    .unwrap_or_else(|_| Err(Error::Panicked.into()))
            }
        };
        self.meters().count(&written);
        if let Some(visit) = visit {
            visit.settled(written.is_ok());
        }
        if let (Some(rung), true) = (self.rung.get(), written.is_ok())
            && (concerns_followed || rung.is_hurrying())
        {
            rung.ring();
        }
        if concerns_parameters && written.is_ok() {
            self.parameters_changed().await;
        }
        written
    }

    /// From now on that follower is told of every write, if it wants to.
    pub fn rings(&self, progress: &Arc<Progress>) {
        // There is one: the first stays.
        let _first = self.rung.set(Arc::clone(progress));
    }

    /// What links of pages are sealed with, on all nodes.
    pub fn secret(&self) -> Result<&Secret, Error> {
        self.secret.as_ref().ok_or(Error::Closed)
    }

    /// What was counted since it was opened.
    pub fn meters(&self) -> &Meters {
        match &*self.engine {
            Engine::Sqlite { writer, .. } => &writer.meters,
            Engine::Postgres(pool) => &pool.meters,
        }
    }

    /// Connections to the database that somebody holds: on SQLite those that read.
    pub fn connections_in_use(&self) -> usize {
        self.engine.readers().in_use()
    }

    /// Whether writes wait for each other: then what can be done before the door opens is done there.
    pub fn has_one_writer(&self) -> bool {
        matches!(&*self.engine, Engine::Sqlite { .. })
    }

    /// How new what a look shows is at least that begins now; None where it is not known what is written meanwhile.
    pub fn tide(&self) -> Option<Tide> {
        match &*self.engine {
            Engine::Sqlite { writer, .. } => Some(writer.level.tide()),
            Engine::Postgres(_) => None,
        }
    }

    /// `sqlite` or `postgres`.
    pub fn database_kind(&self) -> &'static str {
        match &*self.engine {
            Engine::Sqlite { .. } => "sqlite",
            Engine::Postgres(_) => "postgres",
        }
    }

    /// Looks around in one state of the database. The work is plain blocking code and runs on a thread that may wait; it
    /// may run twice when the connection had died.
    pub async fn read<T, E>(
        &self,
        permit: Permit,
        work: impl Fn(&mut View<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        self.read_by(Engine::readers, permit, work).await
    }

    /// The same before a write that depends on what is found.
    pub async fn scout<T, E>(
        &self,
        permit: Permit,
        work: impl Fn(&mut View<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        self.read_by(Engine::scouts, permit, work).await
    }

    async fn read_by<T, E>(
        &self,
        pool: fn(&Engine) -> &Pool,
        permit: Permit,
        work: impl Fn(&mut View<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let engine = Arc::clone(&self.engine);
        tokio::task::spawn_blocking(move || attempts::read(pool(&engine), &permit, &work))
            .await
            .unwrap_or_else(|_| Err(Error::Panicked.into()))
    }

    /// The same on the caller's thread, which may wait.
    pub fn look<T, E: From<Error>>(
        &self,
        permit: &Permit,
        work: impl Fn(&mut View<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        attempts::read(self.engine.readers(), permit, &work)
    }

    /// What tells this database from all others.
    pub fn identity(&self) -> Result<String, Error> {
        Ok(sealing::identity(self.secret()?))
    }

    /// Looks at much or all of one state of the database, for as long as that takes, on the caller's thread.
    pub fn survey<T, E: From<Error>>(
        &self,
        permit: &Permit,
        work: impl FnOnce(&mut View<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut taken = self.engine.readers().take()?;
        // Whoever is cut short in the middle of its rows does not give the connection back, nor one set up for this.
        taken.broken = true;
        let connection = taken.connection()?;
        let begun = connection.begin_read();
        begun
            .and_then(|()| connection.take_time())
            .map_err(Error::from)?;
        work(&mut View::new(connection, permit))
    }

    /// A version of a resource, or the current one when none is named: the shortest road there is.
    pub async fn find(
        &self,
        permit: &Permit,
        resource_type: &'static str,
        id: &str,
        version: Option<u64>,
    ) -> Result<Option<Found>, Error> {
        let reasons = [
            Action::Read(resource_type),
            Action::Update(resource_type),
            Action::Delete(resource_type),
        ];
        if !reasons.iter().any(|reason| permit.covers(*reason)) {
            return Err(Error::NotPermitted);
        }
        let sight = fence::Sight::of(permit, resource_type);
        let find = move |connection: &mut Connection, id: &str| {
            let found = match version {
                None => resources::current(connection, resource_type, id),
                Some(version) => resources::version(connection, resource_type, id, version),
            };
            match &sight {
                None => found,
                Some(sight) => sight.seen(connection, id, found?),
            }
        };
        match &*self.engine {
            // On the caller's thread: the read takes a few microseconds, handing it over and back takes more than that.
            Engine::Sqlite { readers, .. } => find(readers.take()?.connection()?, id),
            Engine::Postgres(_) => {
                let id = id.to_owned();
                self.with_reader(move |connection| find(connection, &id))
                    .await
            }
        }
    }

    /// The feed after a position, oldest first.
    pub async fn feed_after(
        &self,
        position: Position,
        entries_max: u32,
    ) -> Result<Vec<Entry>, Error> {
        self.with_reader(move |connection| feed::after(connection, position, entries_max))
            .await
    }

    /// Up to where a follower has handled the feed; None: it has not begun.
    pub async fn follower(&self, name: &str) -> Result<Option<Position>, Error> {
        let name = name.to_owned();
        self.with_reader(move |connection| followers::position(connection, &name))
            .await
    }

    /// Whether the database answers and takes writes. What was committed lately has shown that it does: then nothing is
    /// written only to see it.
    pub async fn ping(&self) -> Result<(), Error> {
        if self.registry().generation() == plan::NONE {
            return Err(Error::Disagrees);
        }
        let has_shown = self.meters().has_committed_lately();
        self.with_reader(move |connection| match has_shown {
            true => Ok(connection.batch("SELECT 1")?),
            false => connection.check_takes_writes(),
        })
        .await?;
        match &*self.engine {
            Engine::Sqlite { writer, .. } if !has_shown => {
                let (probe, answer) = Probe::new();
                writer.submit(Box::new(probe))?;
                answer.await.unwrap_or(Err(Error::Closed))
            }
            _ => Ok(()),
        }
    }

    /// Finishes what waits, empties the log and stops; later writes fail.
    pub fn close(&self) {
        match &*self.engine {
            Engine::Sqlite {
                writer,
                readers,
                scouts,
            } => {
                readers.close();
                scouts.close();
                writer.close();
            }
            Engine::Postgres(pool) => pool.close(),
        }
    }

    /// Reads that may take long, on a thread that may wait.
    async fn with_reader<T: Send + 'static>(
        &self,
        work: impl Fn(&mut Connection) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let engine = Arc::clone(&self.engine);
        tokio::task::spawn_blocking(move || attempts::look(engine.readers(), &work))
            .await
            .unwrap_or(Err(Error::Panicked))
    }
}

impl Engine {
    fn readers(&self) -> &Pool {
        match self {
            Self::Sqlite { readers, .. } => readers,
            Self::Postgres(pool) => pool,
        }
    }

    fn scouts(&self) -> &Pool {
        match self {
            Self::Sqlite { scouts, .. } => scouts,
            Self::Postgres(pool) => pool,
        }
    }
}

/// Of the moment when a database is opened: nobody is there yet who could hand it in.
fn now() -> Instant {
    SystemTime::now().into()
}

fn pool(
    path: &Path,
    limits: &Limits,
    open: fn(&Path, Option<u64>) -> Result<Connection, Error>,
) -> Pool {
    let path = path.to_owned();
    let statement_ms = Some(limits.statement_ms);
    Pool::new(
        limits::SQLITE_READERS_MAX,
        limits.connection_wait_ms,
        move || open(&path, statement_ms),
    )
}

fn make_directory(path: &Path) -> Result<(), Error> {
    let Some(directory) = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
    else {
        return Ok(());
    };
    // What is in it is for the server's own user.
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder
        .create(directory)
        .map_err(|source| Error::Directory {
            path: directory.display().to_string(),
            source,
        })
}
