//! A connection to either database: everything in which SQLite and PostgreSQL differ for the store, on one screen.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::time::Instant;

use diesel::connection::{DefaultLoadingMode, SimpleConnection};
use diesel::pg::PgRowByRowLoadingMode;
use diesel::query_dsl::methods::LoadQuery;
use diesel::result::{DatabaseErrorKind, Error as DieselError};
use diesel::sql_types::BigInt;
use diesel::{Connection as _, PgConnection, RunQueryDsl, SqliteConnection};
use search::sql::IN_TIME;

use super::audited::Chain;
use super::deadline::{Deadline, OVERDUE};
use super::error::Error;
use super::marks::Marks;
use super::statement::Statement;
use super::watch::{self, Watch};
use crate::limits;

/// Keys that a PostgreSQL connection takes at a time: the step of the sequence `versions_key`.
const KEY_BLOCK: i64 = 64;

/// Every connection. A write waits this long for another process that writes to the same file.
const SQLITE_EVERY: &str =
    "PRAGMA busy_timeout = 5000; PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF;
    PRAGMA temp_store = MEMORY; PRAGMA mmap_size = 1073741824;";
/// FULL: an acknowledged write survives a power cut. The cache is in KiB when negative. A file that is made anew can give
/// room back to the system that messages have taken (`auto_vacuum`).
const SQLITE_WRITER: &str =
    "PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -32768;
    PRAGMA wal_autocheckpoint = 4000; PRAGMA journal_size_limit = 67108864;";
/// On top of that for a process that writes much: pages are written into the log by every transaction that changes them
/// and from there into the file, so both happen less often; nothing is mapped, which would look as if it were in memory.
const SQLITE_BULK: &str =
    "PRAGMA cache_size = -65536; PRAGMA wal_autocheckpoint = 16000; PRAGMA mmap_size = 0;";
/// Readers map the file (what is mapped counts as memory of the server, but it is the system's to take back): what they read lies in the system's page cache once, not once more per connection.
const SQLITE_READER: &str = "PRAGMA query_only = ON; PRAGMA cache_size = -4096;";
/// Readers who look before a write: others write between two looks, and who maps the file unmaps all of it after every
/// commit and finds its pages again one by one.
const SQLITE_SCOUT: &str =
    "PRAGMA query_only = ON; PRAGMA cache_size = -2048; PRAGMA mmap_size = 0;";
const NEXT_KEY: &str =
    "SELECT coalesce(max(key), 0) + 1, (SELECT generation FROM search_state) FROM versions";
/// On PostgreSQL who looks whether search parameters have changed keeps them from changing until the transaction ends. A
/// lock on the table would do as well, but who reads all of the store for long would hold it too.
const LOOK: &str =
    "SELECT generation FROM search_state, pg_advisory_xact_lock_shared(7545639) AS shared";
const POSTGRES: &str =
    "SET client_min_messages = warning; SET synchronous_commit = on; SET lock_timeout = '10s';
    SET idle_in_transaction_session_timeout = '60s';";

enum Handle {
    Sqlite(Box<SqliteConnection>),
    Postgres(Box<PgConnection>),
}

/// For the few statements that the two databases want written differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    Sqlite,
    Postgres,
}

pub(super) struct Connection {
    handle: Handle,
    deadline: Deadline,
    /// Keys taken and not yet given to a version: from the first up to, not including, the second.
    keys: (i64, i64),
    /// Of the search index, once this transaction has seen it.
    generation: Option<i64>,
    /// Hashes of the texts that were read with: diesel keeps the prepared statement of each, for ever.
    texts: HashSet<u64>,
    /// What reads do, when somebody wants to know.
    pub(super) watch: Option<Watch>,
    /// Of the one writer of SQLite.
    pub(super) marks: Option<Marks>,
    pub(super) chain: Chain,
}

impl Connection {
    /// `statement_ms`: how long a search may take; None: as long as it takes.
    pub(super) fn sqlite_writer(path: &Path, statement_ms: Option<u64>) -> Result<Self, Error> {
        Self::sqlite(path, SQLITE_WRITER, statement_ms)
    }

    pub(super) fn sqlite_reader(path: &Path, statement_ms: Option<u64>) -> Result<Self, Error> {
        Self::sqlite(path, SQLITE_READER, statement_ms)
    }

    pub(super) fn sqlite_scout(path: &Path, statement_ms: Option<u64>) -> Result<Self, Error> {
        Self::sqlite(path, SQLITE_SCOUT, statement_ms)
    }

    fn sqlite(path: &Path, pragmas: &str, statement_ms: Option<u64>) -> Result<Self, Error> {
        // A path is handed over as it is, never as a URL: `?` and `%` in it are ordinary characters.
        let path = path.to_str().ok_or(Error::Path)?;
        let path = if path.starts_with("file:") || path.starts_with("sqlite:") {
            format!("./{path}")
        } else {
            path.to_owned()
        };
        let mut connection = SqliteConnection::establish(&path)?;
        connection.batch_execute(SQLITE_EVERY)?;
        connection.batch_execute(pragmas)?;
        let deadline = Deadline::on(&mut connection, statement_ms)?;
        Ok(Self::new(Handle::Sqlite(Box::new(connection)), deadline))
    }

    /// `statement_ms`: how long a statement may take; None: as long as it takes.
    pub(super) fn postgres(url: &str, statement_ms: Option<u64>) -> Result<Self, Error> {
        let mut connection = PgConnection::establish(&patient(url))?;
        connection.batch_execute(POSTGRES)?;
        let timeout_ms = statement_ms.unwrap_or_default();
        connection.batch_execute(&format!("SET statement_timeout = {timeout_ms}"))?;
        let deadline = Deadline::new(statement_ms);
        Ok(Self::new(Handle::Postgres(Box::new(connection)), deadline))
    }

    fn new(handle: Handle, deadline: Deadline) -> Self {
        Self {
            handle,
            deadline,
            keys: (0, 0),
            generation: None,
            texts: HashSet::new(),
            watch: None,
            marks: None,
            chain: Chain::default(),
        }
    }

    /// Clients who vary what they search for have filled it with prepared statements: a new one takes its place.
    pub(super) fn is_crowded(&self) -> bool {
        self.texts.len() > limits::STATEMENTS_PREPARED_MAX
    }

    /// Several statements in one text, without values and without caching.
    pub(super) fn batch(&mut self, sql: &str) -> Result<(), DieselError> {
        match &mut self.handle {
            Handle::Sqlite(connection) => connection.batch_execute(sql),
            Handle::Postgres(connection) => connection.batch_execute(sql),
        }
    }

    /// Runs a statement; answers how many rows it touched.
    pub(super) fn execute(&mut self, statement: Statement<'_>) -> Result<usize, DieselError> {
        match &mut self.handle {
            Handle::Sqlite(connection) => statement.execute(&mut **connection),
            Handle::Postgres(connection) => statement.execute(&mut **connection),
        }
    }

    pub(super) fn rows<'q, Row, T>(
        &mut self,
        statement: Statement<'q, Row>,
    ) -> Result<Vec<T>, DieselError>
    where
        Statement<'q, Row>: LoadQuery<'q, SqliteConnection, T> + LoadQuery<'q, PgConnection, T>,
    {
        if let Some(watch) = self.watch.take() {
            return self.rows_watched(statement, watch);
        }
        let mut hasher = DefaultHasher::new();
        statement.sql().hash(&mut hasher);
        self.texts.insert(hasher.finish());
        self.start()?;
        match &mut self.handle {
            Handle::Sqlite(connection) => statement.load(&mut **connection),
            Handle::Postgres(connection) => statement.load(&mut **connection),
        }
    }

    /// The same, and what the statement did is noted.
    fn rows_watched<'q, Row, T>(
        &mut self,
        statement: Statement<'q, Row>,
        mut watch: Watch,
    ) -> Result<Vec<T>, DieselError>
    where
        Statement<'q, Row>: LoadQuery<'q, SqliteConnection, T> + LoadQuery<'q, PgConnection, T>,
    {
        let (sql, binds) = (statement.sql(), statement.binds());
        let begun = Instant::now();
        let rows = self.rows(statement)?;
        let visited = match &self.handle {
            Handle::Sqlite(_) => sql.contains(IN_TIME).then(|| self.deadline.asked()),
            Handle::Postgres(_) => None,
        };
        watch.take(sql, rows.len(), visited, begun);
        watch.plan(watch::plan(self, sql, binds)?);
        self.watch = Some(watch);
        Ok(rows)
    }

    /// The rows one by one, as many as there are: nothing is kept.
    pub(super) fn each<'q, Row, T, E: From<Error>>(
        &mut self,
        statement: Statement<'q, Row>,
        mut take: impl FnMut(T) -> Result<(), E>,
    ) -> Result<(), E>
    where
        Statement<'q, Row>: LoadQuery<'q, SqliteConnection, T>
            + LoadQuery<'q, PgConnection, T, PgRowByRowLoadingMode>,
    {
        let failed = |error: DieselError| E::from(Error::from(error));
        self.start().map_err(failed)?;
        match &mut self.handle {
            Handle::Sqlite(connection) => {
                let rows = statement.load_iter::<T, DefaultLoadingMode>(&mut **connection);
                for row in rows.map_err(failed)? {
                    take(row.map_err(failed)?)?;
                }
            }
            Handle::Postgres(connection) => {
                let rows = statement.load_iter::<T, PgRowByRowLoadingMode>(&mut **connection);
                for row in rows.map_err(failed)? {
                    take(row.map_err(failed)?)?;
                }
            }
        }
        Ok(())
    }

    /// A statement that reads begins.
    fn start(&mut self) -> Result<(), DieselError> {
        match (self.deadline.start()?, &mut self.handle) {
            (Some(left_ms), Handle::Postgres(connection)) => {
                connection.batch_execute(&format!("SET LOCAL statement_timeout = {left_ms}"))
            }
            _ => Ok(()),
        }
    }

    /// For a process that does little else than to write.
    pub(super) fn write_much(&mut self) -> Result<(), DieselError> {
        match self.handle {
            Handle::Sqlite(..) => self.batch(SQLITE_BULK),
            Handle::Postgres(_) => Ok(()),
        }
    }

    /// For a transaction that reads everything: it takes the time it needs; PostgreSQL follows an index where it would
    /// sort it all; SQLite's pages pass through a small cache instead of being mapped one after another, which would look
    /// as if the process held the whole file.
    pub(super) fn take_time(&mut self) -> Result<(), DieselError> {
        self.deadline.lift();
        self.batch(match self.handle {
            Handle::Sqlite(..) => "PRAGMA mmap_size = 0",
            Handle::Postgres(_) => "SET LOCAL statement_timeout = 0; SET LOCAL enable_sort = off",
        })
    }

    /// Opens a transaction that sees one state of the database and whose effect is as if it had run alone.
    pub(super) fn begin(&mut self) -> Result<(), DieselError> {
        self.forget();
        match &mut self.handle {
            Handle::Sqlite(..) => {
                self.execute(Statement::new("BEGIN IMMEDIATE", &[]))?;
            }
            Handle::Postgres(connection) => {
                connection.batch_execute("BEGIN ISOLATION LEVEL SERIALIZABLE")?;
            }
        }
        Ok(())
    }

    /// Opens a transaction of SQLite's one writer.
    pub(super) fn begin_marked(&mut self) -> Result<(), DieselError> {
        self.begin()?;
        // Inside of a transaction nobody else changes it.
        let sql = "SELECT data_version FROM pragma_data_version";
        let versions: Vec<i64> = self.rows(Statement::<BigInt>::new(sql, &[]))?;
        if let (Some(marks), Some(version)) = (&mut self.marks, versions.first()) {
            marks.at_file_version(*version);
        }
        Ok(())
    }

    /// The same on PostgreSQL, for a first attempt: it waits for no other transaction to speak of.
    pub(super) fn begin_at_once(&mut self) -> Result<(), DieselError> {
        self.forget();
        self.batch("BEGIN ISOLATION LEVEL SERIALIZABLE; SET LOCAL lock_timeout = '100ms'")
    }

    /// The same on PostgreSQL, when no other that begins so is under way. `end_turn` lets the next one begin.
    pub(super) fn begin_in_turn(&mut self) -> Result<(), DieselError> {
        self.batch("SELECT pg_advisory_lock(7545638)")?;
        self.begin()
    }

    /// The same once the writes under way have ended, and no other goes on before `end_alone`. The lock is taken before the
    /// transaction begins, so that it sees what those have written; each of them shares it: see `LOOK`.
    pub(super) fn begin_alone(&mut self) -> Result<(), DieselError> {
        if let Handle::Postgres(_) = self.handle {
            self.batch("SELECT pg_advisory_lock(7545638); SELECT pg_advisory_lock(7545639)")?;
        }
        self.begin()
    }

    pub(super) fn end_alone(&mut self) -> Result<(), DieselError> {
        match self.handle {
            Handle::Sqlite(..) => Ok(()),
            Handle::Postgres(_) => {
                self.batch("SELECT pg_advisory_unlock(7545639); SELECT pg_advisory_unlock(7545638)")
            }
        }
    }

    pub(super) fn end_turn(&mut self) -> Result<(), DieselError> {
        self.batch("SELECT pg_advisory_unlock(7545638)")
    }

    /// Opens a transaction that sees one state of the database and changes nothing.
    pub(super) fn begin_read(&mut self) -> Result<(), DieselError> {
        // Work before this one may have ended early.
        self.watch = None;
        let sql = match self.handle {
            Handle::Sqlite(..) => "BEGIN DEFERRED",
            Handle::Postgres(_) => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        };
        self.execute(Statement::new(sql, &[])).map(drop)
    }

    /// The statements of this transaction share the time of one.
    pub(super) fn share_time(&mut self) {
        self.deadline.share();
    }

    pub(super) fn commit(&mut self) -> Result<(), DieselError> {
        self.deadline.unshare();
        self.execute(Statement::new("COMMIT", &[]))?;
        self.chain.committed();
        Ok(())
    }

    pub(super) fn rollback(&mut self) -> Result<(), DieselError> {
        self.deadline.unshare();
        self.execute(Statement::new("ROLLBACK", &[])).map(drop)
    }

    /// What was seen may not be so: a transaction begins, or some of it was taken back. On SQLite another process may have
    /// taken the next key.
    pub(super) fn forget(&mut self) {
        self.generation = None;
        let dialect = self.dialect();
        self.chain.forget(dialect);
        if let Handle::Sqlite(..) = self.handle {
            self.keys = (0, 0);
        }
    }

    /// The generation of the search index, as this transaction sees it.
    pub(super) fn generation(&mut self) -> Result<i64, DieselError> {
        if let Some(generation) = self.generation {
            return Ok(generation);
        }
        let generation = match self.handle {
            Handle::Sqlite(..) => self.number("SELECT generation FROM search_state")?,
            Handle::Postgres(_) => self.number(LOOK)?,
        };
        self.generation = Some(generation);
        Ok(generation)
    }

    /// Some statement has told.
    pub(super) fn sees_generation(&mut self, generation: i64) {
        self.generation = Some(generation);
    }

    pub(super) fn has_seen_generation(&self) -> bool {
        self.generation.is_some()
    }

    /// The next key of a version. Keys grow within a transaction; one that is not used is lost, which is no harm.
    pub(super) fn key(&mut self) -> Result<i64, DieselError> {
        if self.keys.0 >= self.keys.1 {
            self.keys = match &self.handle {
                Handle::Sqlite(..) => {
                    // Once for all writes of a group: no write pays for learning the generation.
                    let rows: Vec<(i64, i64)> =
                        self.rows(Statement::<(BigInt, BigInt)>::new(NEXT_KEY, &[]))?;
                    let (key, generation) = rows.first().copied().ok_or(DieselError::NotFound)?;
                    self.generation = Some(generation);
                    (key, i64::MAX)
                }
                Handle::Postgres(_) => {
                    let first = self.number("SELECT nextval('versions_key')")?;
                    (first, first + KEY_BLOCK)
                }
            };
        }
        let key = self.keys.0;
        self.keys.0 += 1;
        Ok(key)
    }

    /// Whether the database would take a write. SQLite's answer is in a write: see `probe`.
    pub(super) fn check_takes_writes(&mut self) -> Result<(), Error> {
        const IS_READ_ONLY: &str = "SELECT count(*) FROM pg_settings WHERE name = 'transaction_read_only' AND setting <> 'off'";
        let is_read_only = match &self.handle {
            Handle::Sqlite(..) => {
                self.batch("SELECT 1")?;
                false
            }
            Handle::Postgres(_) => self.number(IS_READ_ONLY)? > 0,
        };
        if is_read_only {
            return Err(Error::ReadOnly);
        }
        Ok(())
    }

    /// Whether nothing was ever stored.
    pub(super) fn is_empty(&mut self) -> Result<bool, DieselError> {
        self.number("SELECT count(*) FROM (SELECT 1 FROM versions LIMIT 1) v")
            .map(|versions| versions == 0)
    }

    fn number(&mut self, sql: &str) -> Result<i64, DieselError> {
        let rows: Vec<i64> = self.rows(Statement::<BigInt>::new(sql, &[]))?;
        rows.first().copied().ok_or(DieselError::NotFound)
    }

    pub(super) fn dialect(&self) -> Dialect {
        match self.handle {
            Handle::Sqlite(..) => Dialect::Sqlite,
            Handle::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Empties the log into the database file, so that a copy of the file alone is whole.
    pub(super) fn checkpoint(&mut self) -> Result<(), DieselError> {
        match &mut self.handle {
            Handle::Sqlite(connection) => {
                connection.batch_execute("PRAGMA optimize; PRAGMA wal_checkpoint(TRUNCATE);")
            }
            Handle::Postgres(_) => Ok(()),
        }
    }

    pub(super) fn migrate_with<T>(
        &mut self,
        sqlite: impl FnOnce(&mut SqliteConnection) -> T,
        postgres: impl FnOnce(&mut PgConnection) -> T,
    ) -> T {
        match &mut self.handle {
            Handle::Sqlite(connection) => sqlite(connection),
            Handle::Postgres(connection) => postgres(connection),
        }
    }
}

/// The URL, with an end to waiting for a server that does not answer, unless it says so itself.
fn patient(url: &str) -> String {
    const WAITS: &[(&str, &str)] = &[
        ("connect_timeout", "5"),
        ("keepalives_idle", "15"),
        ("keepalives_interval", "5"),
        ("keepalives_count", "3"),
        ("tcp_user_timeout", "30000"),
    ];
    let mut url = url.to_owned();
    for (name, value) in WAITS {
        if !url.contains(&format!("{name}=")) {
            url.push(if url.contains('?') { '&' } else { '?' });
            url.push_str(&format!("{name}={value}"));
        }
    }
    url
}

/// What a failed statement means for the work that it belongs to.
pub(super) enum Trouble {
    /// Done again, it may succeed: another transaction was in the way.
    Contended,
    /// The connection is gone.
    Lost,
    /// A unique key was taken.
    Taken,
    /// A statement took longer than it may.
    TooSlow,
    /// There is no room left, or the disk does not take what is written.
    Full,
    Other,
}

impl Trouble {
    pub(super) fn of(error: &DieselError) -> Self {
        match error {
            DieselError::DatabaseError(kind, information) => match kind {
                DatabaseErrorKind::SerializationFailure => Self::Contended,
                DatabaseErrorKind::ClosedConnection => Self::Lost,
                DatabaseErrorKind::UniqueViolation => Self::Taken,
                _ => Self::by_message(information.message()),
            },
            _ => Self::Other,
        }
    }

    /// Neither driver gives these a kind of their own.
    fn by_message(message: &str) -> Self {
        const FULL: &[&str] = &[
            "database or disk is full",
            "disk I/O error",
            "No space left on device",
            "could not extend file",
            "could not write to file",
        ];
        const LOST: &[&str] = &[
            "server closed the connection",
            "terminating connection",
            "no connection to the server",
            "could not receive data from server",
            "could not send data to server",
            "the database system is",
        ];
        let is_one_of = |texts: &[&str]| texts.iter().any(|text| message.contains(text));
        match message {
            "database is locked" | "deadlock detected" => Self::Contended,
            _ if message.ends_with("due to lock timeout") => Self::Contended,
            _ if message.ends_with("due to statement timeout") => Self::TooSlow,
            _ if message.contains(OVERDUE) => Self::TooSlow,
            _ if is_one_of(FULL) => Self::Full,
            _ if is_one_of(LOST) => Self::Lost,
            _ => Self::Other,
        }
    }
}
