//! Every limit of the server: a name and a number, with the reason where it is not plain.

/// One resource or bundle as sent. A document takes about ten times this in memory while it is
/// read; one made of empty lists alone up to fifty.
pub const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;
/// A file that a command reads: what fits into a package, and into memory ten times.
pub const FILE_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Path and query of a request.
pub const TARGET_BYTES_MAX: usize = 8 * 1024;
/// All header lines of a request together.
pub const HEADER_BYTES_MAX: usize = 32 * 1024;
/// From the first byte of a connection to the end of a request's headers.
pub const HEADERS_WAIT_MS: u64 = 10_000;
/// From the end of the headers to the end of the body.
pub const BODY_WAIT_MS: u64 = 60_000;
/// How long a connection may stay open between two requests.
pub const KEEP_ALIVE_S: u64 = 30;
/// How long requests under way may take to finish when the server stops.
pub const DRAIN_S: u64 = 10;
/// Connections open at a time, per worker thread.
pub const CONNECTIONS_MAX: usize = 4_096;

/// A longer document is parsed on another thread, so that the requests beside it do not wait.
pub const PARSE_AT_ONCE_BYTES_MAX: usize = 64 * 1024;

/// Writes that may wait for SQLite's writer; further ones are told to come back.
pub const WRITE_QUEUE_MAX: usize = 4_096;
/// Writes committed together at most.
pub const WRITE_GROUP_MAX: usize = 128;
/// Attempts at a write that others are in the way of (PostgreSQL).
pub const WRITE_ATTEMPTS_MAX: u32 = 8;
/// The pause after the first attempt; it doubles with each.
pub const WRITE_PAUSE_MS: u64 = 1;
/// Connections that read the SQLite file at a time: more than worker threads, so that those never wait.
pub const SQLITE_READERS_MAX: usize = 64;
/// Connections of this node to PostgreSQL, whose own default is 100 for all nodes together.
pub const POSTGRES_CONNECTIONS_MAX: usize = 20;
/// How long a request waits for a connection when all are taken.
pub const CONNECTION_WAIT_MS: u64 = 5_000;
