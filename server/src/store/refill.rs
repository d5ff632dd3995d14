//! Versions that were stored elsewhere go into an empty store as they are, in the order of the feed: restore and migrate.
//!
//! All or nothing. A SQLite file that is not there yet is made beside its place without a log and renamed when it is whole;
//! everywhere else it is one transaction. Keys are given anew, so that their order is that of the feed.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use fhir_spec::json::parse;
use search::{Registry, Rows, extract};

use super::carried::{self, Carried};
use super::connection::{Connection, Dialect};
use super::error::Error;
use super::index::Pending;
use super::resources::{self, Change, Version};
use super::scan::Stored;
use super::{followers, make_directory, migrate, plan};
use crate::auth::{Action, Permit};
use crate::config::Database;
use crate::instant::Instant;

/// A version on its way from one store to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    pub resource_type: String,
    pub id: String,
    pub version: u64,
    pub at: Instant,
    pub change: Change,
    /// Whether it is the current version.
    pub is_head: bool,
    pub body: Vec<u8>,
}

impl From<Stored> for Copied {
    fn from(stored: Stored) -> Self {
        Self {
            resource_type: stored.resource_type,
            id: stored.id,
            version: stored.found.version,
            at: stored.found.at,
            change: stored.found.change,
            is_head: stored.is_head,
            body: stored.found.body,
        }
    }
}

impl Copied {
    /// What the index has to say of it; nothing of a version that is not current.
    pub fn rows(&self, registry: &Registry) -> Result<Arc<Rows>, Error> {
        if !self.is_head || self.change == Change::Deleted {
            return Ok(Arc::default());
        }
        let document = parse(&self.body).map_err(|error| Error::Body(error.to_string()))?;
        Ok(Arc::new(extract::rows(registry, &document).rows))
    }
}

/// Index rows of so many versions are written together.
const TOGETHER: u32 = 512;
/// A file that is not in its place yet needs no log: when it does not become whole it is thrown away.
const BUILDING: &str =
    "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE;
    PRAGMA cache_size = -65536; PRAGMA mmap_size = 0;";
const LOCK: &str =
    "SET LOCAL statement_timeout = 0; LOCK TABLE versions IN SHARE ROW EXCLUSIVE MODE";

/// A store that is being filled.
pub struct Refill {
    connection: Connection,
    pending: Pending,
    waiting: u32,
    /// Of a file that is made beside its place: both.
    beside: Option<(PathBuf, PathBuf)>,
}

impl std::fmt::Debug for Refill {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Refill").finish_non_exhaustive()
    }
}

impl Refill {
    pub fn begin(database: &Database, permit: &Permit) -> Result<Self, Error> {
        if !permit.covers(Action::Maintain) {
            return Err(Error::NotPermitted);
        }
        let mut beside = None;
        let mut connection = match database {
            Database::Sqlite(path) if path.exists() => Connection::sqlite_writer(path, None)?,
            Database::Sqlite(path) => {
                make_directory(path)?;
                let building = building(path)?;
                let mut connection = Connection::sqlite_writer(&building, None)?;
                connection.batch(BUILDING)?;
                beside = Some((building, path.clone()));
                connection
            }
            Database::Postgres(url) => Connection::postgres(url.as_str(), None)?,
        };
        migrate::up(&mut connection)?;
        connection.begin()?;
        if connection.dialect() == Dialect::Postgres {
            connection.batch(LOCK)?;
        }
        if !connection.is_empty()? || !carried::is_empty(&mut connection)? {
            return Err(Error::NotEmpty);
        }
        Ok(Self {
            connection,
            pending: Pending::default(),
            waiting: 0,
            beside,
        })
    }

    /// The next version in the order of the feed.
    pub fn add(&mut self, copied: &Copied, rows: &Arc<Rows>) -> Result<(), Error> {
        let version = Version {
            resource_type: &copied.resource_type,
            id: &copied.id,
            number: copied.version,
            at: copied.at,
            change: copied.change,
            body: &copied.body,
        };
        let head = match copied.version {
            1 => None,
            _ => resources::head(&mut self.connection, &copied.resource_type, &copied.id)?,
        };
        let rid = match head {
            None if copied.version == 1 => resources::insert(&mut self.connection, version)?,
            Some((rid, number)) if i64::try_from(copied.version) == Ok(number + 1) => {
                resources::advance(&mut self.connection, rid, version)?;
                rid
            }
            _ => {
                return Err(Error::Gap {
                    resource_type: copied.resource_type.clone(),
                    id: copied.id.clone(),
                    version: copied.version,
                });
            }
        };
        self.pending.insert(rid, rows);
        self.waiting += 1;
        if self.waiting == TOGETHER {
            self.waiting = 0;
            self.pending.flush(&mut self.connection)?;
        }
        Ok(())
    }

    /// A row of what goes along; the resources that it is about are there already.
    pub fn carry(&mut self, carried: &Carried) -> Result<(), Error> {
        carried::insert(&mut self.connection, carried)
    }

    /// How many versions a follower of the feed had handled.
    pub fn note_follower(&mut self, name: &str, handled: u64) -> Result<(), Error> {
        followers::place(&mut self.connection, name, handled)
    }

    /// All is there, with the rows that this registry makes: from here on it counts. What search parameters among what
    /// is there want beyond is noted, for the server to make.
    pub fn finish(mut self, registry: &Registry) -> Result<(), Error> {
        self.pending.flush(&mut self.connection)?;
        carried::end(&mut self.connection)?;
        plan::fill(&mut self.connection, registry, SystemTime::now().into())?;
        self.connection.commit()?;
        let Some((building, place)) = self.beside.take() else {
            return Ok(());
        };
        // Closed before it is moved.
        drop(self);
        let failed = |source| Error::File {
            path: place.display().to_string(),
            source,
        };
        let folder = place
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        if place.exists() {
            // Somebody was faster.
            return Err(Error::NotEmpty);
        }
        fs::File::open(&building)
            .and_then(|file| file.sync_all())
            .and_then(|()| fs::rename(&building, &place))
            .and_then(|()| fs::File::open(folder.unwrap_or(Path::new("."))))
            .and_then(|folder| folder.sync_all())
            .map_err(failed)
    }
}

/// Where the file is made; what an attempt that was killed has left there goes.
fn building(path: &Path) -> Result<PathBuf, Error> {
    let mut name = path.as_os_str().to_owned();
    name.push("-restoring");
    let building = PathBuf::from(name);
    match fs::remove_file(&building) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::File {
            path: building.display().to_string(),
            source: error,
        }),
        _ => Ok(building),
    }
}
