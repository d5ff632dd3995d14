//! What can go wrong in the store.

use fhir_spec::Issue;

use super::connection::Trouble;
use crate::limits;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{} writes are waiting already", limits::WRITE_QUEUE_MAX)]
    QueueFull,
    #[error("no database connection came free within {wait_ms} ms")]
    NoConnection { wait_ms: u64 },
    #[error("the database took too long over a statement")]
    TooSlow(#[source] diesel::result::Error),
    #[error("other writes were in the way")]
    Contended(#[source] diesel::result::Error),
    #[error("the database cannot be reached")]
    Unreachable(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error(
        "the connection was lost while the database committed: the write may or may not have happened"
    )]
    Unsure(#[source] diesel::result::Error),
    #[error("what is to be written is there already")]
    Taken(#[source] diesel::result::Error),
    #[error("there is no room for what is to be written")]
    Full(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the database takes no writes")]
    ReadOnly,
    #[error("the store is closed")]
    Closed,
    #[error("the permit is for something else")]
    NotPermitted,
    #[error("the permit does not reach so far")]
    OutOfReach,
    #[error("a statement failed and the write went on as if it had not")]
    Ignored,
    #[error("the work panicked")]
    Panicked,
    #[error("the group of writes that this one was in could not be committed: {0}")]
    Group(String),
    #[error("the body is packed in a way that this version does not know: codec {0}")]
    Codec(i16),
    #[error("a stored body cannot be read: {0}")]
    Body(String),
    #[error("the system gives no random numbers: {0}")]
    Chance(String),
    #[error("a key that secrets or links are sealed with is no such key")]
    Secret,
    #[error("the master key cannot be used: {0}")]
    Master(String),
    #[error("the keys of this store are wrapped by another master key")]
    OtherMaster,
    #[error("nothing is known of the table {0}")]
    NoTable(&'static str),
    #[error("somebody else has moved `{0}` on meanwhile")]
    Overtaken(String),
    #[error("what the index holds of another version was handed in")]
    Stale,
    #[error("search parameters that cannot be served: {}", .0.first().map_or("", |issue| &issue.diagnostics))]
    Parameters(Vec<Issue>),
    #[error(
        "the search index of this store is made by other definitions: start all nodes and commands with the same packages and version of Kiln"
    )]
    Disagrees,
    #[error("version {0} is no version number")]
    Version(i64),
    #[error("there is something in this store already")]
    NotEmpty,
    #[error("version {version} of {resource_type}/{id} does not follow the one before it")]
    Gap {
        resource_type: String,
        id: String,
        version: u64,
    },
    #[error("the file `{path}` cannot be put in its place")]
    File {
        path: String,
        #[source]
        source: std::io::Error,
    },
    #[error("the path of the database is not UTF-8")]
    Path,
    #[error("the directory `{path}` for the database cannot be made")]
    Directory {
        path: String,
        #[source]
        source: std::io::Error,
    },
    #[error(
        "a newer Kiln has used this database: it knows the migrations {0}, which this one does not"
    )]
    Newer(String),
    #[error("the database could not be brought up to date")]
    Migrate(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the writer thread could not be started")]
    Thread(#[source] std::io::Error),
    #[error("the database failed")]
    Database(#[source] diesel::result::Error),
}

impl Error {
    /// Of a write that was fine and whose group was not committed.
    pub(super) fn of_a_group(error: &diesel::result::Error) -> Self {
        match Trouble::of(error) {
            Trouble::Full => Self::Full(error.to_string().into()),
            _ => Self::Group(error.to_string()),
        }
    }
}

impl From<diesel::result::Error> for Error {
    fn from(error: diesel::result::Error) -> Self {
        match Trouble::of(&error) {
            Trouble::Contended => Self::Contended(error),
            Trouble::Lost => Self::Unreachable(Box::new(error)),
            Trouble::Taken => Self::Taken(error),
            Trouble::TooSlow => Self::TooSlow(error),
            Trouble::Full => Self::Full(Box::new(error)),
            Trouble::Other => Self::Database(error),
        }
    }
}

impl From<diesel::ConnectionError> for Error {
    fn from(error: diesel::ConnectionError) -> Self {
        Self::Unreachable(Box::new(error))
    }
}
