//! Every limit of the server: a name and a number, with the reason where it is not plain. Those in `Limits` can be set in
//! the table `[limits]` of the config file; the constants are nobody's to set.

use serde::Deserialize;

/// A limit outside of what makes sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`limits.{name}` is {value}, it may be from {least} to {most}")]
pub struct OutOfRange {
    name: &'static str,
    value: String,
    least: u64,
    most: u64,
}

macro_rules! limits {
    ($($(#[$doc:meta])+ $name:ident: $kind:ty = $default:expr, from $least:expr, to $most:expr;)+) => {
        /// What an operator may set.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct Limits { $($(#[$doc])+ pub $name: $kind,)+ }

        impl Default for Limits {
            fn default() -> Self {
                Self::DEFAULT
            }
        }

        impl Limits {
            pub const DEFAULT: Self = Self { $($name: $default,)+ };

            /// Every name with its default, for the example config to be held against.
            pub const DEFAULTS: &[(&str, u64)] = &[$((stringify!($name), $default),)+];

            pub fn check(&self) -> Result<(), OutOfRange> {
                $(
                    let range: std::ops::RangeInclusive<$kind> = $least..=$most;
                    if !range.contains(&self.$name) {
                        return Err(OutOfRange {
                            name: stringify!($name),
                            value: self.$name.to_string(),
                            least: $least,
                            most: $most,
                        });
                    }
                )+
                Ok(())
            }
        }
    };
}

limits! {
    /// One resource or bundle as sent. A document takes about ten times this in memory while it is read; one made of
    /// empty lists alone up to fifty.
    body_bytes_max: usize = 16 * 1024 * 1024, from 1024, to 1024 * 1024 * 1024;
    /// The content of a Binary that is sent as it is; four times this in memory while it is stored.
    binary_bytes_max: usize = 64 * 1024 * 1024, from 1024, to 512 * 1024 * 1024;
    /// A batch or transaction in JSON, as sent. It is read piece by piece and takes about four times this in memory; each
    /// of its resources, all that is beside them, and a bundle in XML may have `body_bytes_max`.
    bundle_bytes_max: usize = 64 * 1024 * 1024, from 1024, to 1024 * 1024 * 1024;
    /// Entries of a batch or transaction.
    bundle_entries_max: usize = 25_000, from 1, to 1_000_000;
    /// A packed body (Content-Encoding) when it is unpacked, in bytes, and as a multiple of what was sent. It may hold no
    /// more than may be sent plain.
    unpacked_bytes_max: usize = 100 * 1024 * 1024, from 1024, to 1024 * 1024 * 1024;
    /// See `unpacked_bytes_max`.
    unpacked_ratio_max: usize = 100, from 1, to 2000;
    /// Path and query of a request.
    target_bytes_max: usize = 8 * 1024, from 256, to 64 * 1024;
    /// All header lines of a request together.
    header_bytes_max: usize = 32 * 1024, from 1024, to 64 * 1024;
    /// From the first byte of a request, or of a connection, to the end of the request's headers.
    headers_wait_ms: u64 = 10_000, from 100, to 600_000;
    /// From the end of the headers to the end of the body.
    body_wait_ms: u64 = 600_000, from 1, to 3_600_000;
    /// Bytes a second that a body has to come with on the whole, once `body_grace_ms` are over.
    body_rate_min: u64 = 1024, from 1, to 1024 * 1024;
    /// See `body_rate_min`.
    body_grace_ms: u64 = 10_000, from 1, to 600_000;
    /// How long a client may take nothing of an answer.
    answer_wait_ms: u64 = 60_000, from 100, to 600_000;
    /// How long a connection may stay open between two requests.
    keep_alive_ms: u64 = 30_000, from 1, to 600_000;
    /// How long the server goes on after it was told to stop, saying that it is not ready.
    stop_notice_ms: u64 = 0, from 0, to 600_000;
    /// How long requests under way may take to finish when the server stops.
    stop_wait_ms: u64 = 10_000, from 0, to 600_000;
    /// Connections open at a time.
    connections_max: usize = 4_096, from 8, to 1_000_000;
    /// Connections open at a time from one address that is not a trusted proxy.
    connections_per_address_max: usize = 512, from 1, to 1_000_000;
    /// Requests a second of one caller (of one address where everybody is let in) on this node, and as many at once after a
    /// pause; 0: any number.
    requests_per_caller_s_max: u32 = 0, from 0, to 1_000_000;
    /// Requests a minute from one address which show nothing that lets in, and as many at once; 0: any number.
    strangers_per_address_min_max: u32 = 120, from 0, to 1_000_000;
    /// Passwords a minute that are not right, of one name and from one address, and as many at once; 0: any number.
    failed_logins_min_max: u32 = 10, from 0, to 1_000_000;
    /// Entries of a page, of a history or of a search, when the client does not say how many.
    page_size_default: u32 = 50, from 1, to 1_000_000;
    /// Entries of a page at most, whatever the client says.
    page_size_max: u32 = 1_000, from 1, to 1_000_000;
    /// The text of the hits of a search on one page, and of what comes along with them: a page that would be larger ends
    /// before, with one of them at least.
    page_bytes_max: usize = 64 * 1024 * 1024, from 64 * 1024, to 1024 * 1024 * 1024;
    /// The parameters of a search that come in a body.
    search_bytes_max: usize = 1024 * 1024, from 1024, to 16 * 1024 * 1024;
    /// How long the links of a page can be followed.
    page_lifetime_s: u64 = 3_600, from 1, to 2_592_000;
    /// Resources that come along with the hits of a page; when there are more, a link leads to them.
    includes_max: u32 = 1_000, from 1, to 100_000;
    /// Resources of a document that is put together: what it is about, and all that this refers to.
    document_resources_max: usize = 10_000, from 1, to 1_000_000;
    /// Their text.
    document_bytes_max: usize = 64 * 1024 * 1024, from 1024, to 1024 * 1024 * 1024;
    /// Connections of this node to PostgreSQL, whose own default is 100 for all nodes together.
    postgres_connections_max: usize = 20, from 2, to 10_000;
    /// How long a request waits for a connection to the database when all are taken.
    connection_wait_ms: u64 = 5_000, from 1, to 600_000;
    /// Resources that get the rows of new search parameters in one transaction.
    reindex_batch_max: u32 = 128, from 1, to 10_000;
    /// The least pause between two such transactions; each is followed by one that is as long as itself.
    reindex_pause_ms: u64 = 1, from 0, to 5_000;
    /// A node that was going through resources and is not heard of for so long is replaced by another one.
    reindex_lease_ms: u64 = 10_000, from 100, to 600_000;
    /// A search that takes longer is told to the log, without what was looked for.
    search_slow_ms: u64 = 1_000, from 0, to 3_600_000;
    /// How long one read may take in the database, all of its statements together; a statement that writes, on PostgreSQL.
    statement_ms: u64 = 30_000, from 10, to 3_600_000;
    /// Connections of MLLP at a time.
    mllp_connections_max: usize = 256, from 1, to 100_000;
    /// Those from one address.
    mllp_connections_per_address_max: usize = 32, from 1, to 100_000;
    /// A message or batch of HL7 v2, whichever way it comes.
    message_bytes_max: usize = 64 * 1024 * 1024, from 1024, to 256 * 1024 * 1024;
    /// All messages that come by MLLP and are not answered yet.
    mllp_bytes_under_way_max: usize = 256 * 1024 * 1024, from 1024 * 1024, to 1024 * 1024 * 1024;
    /// Messages of one connection that are worked on at a time.
    mllp_ahead_max: usize = 32, from 1, to 1_000;
    /// A message that has begun must end within this time,
    mllp_grace_ms: u64 = 10_000, from 10, to 3_600_000;
    /// and so many bytes a second beyond it.
    mllp_rate_min: u64 = 64 * 1024, from 1, to 1024 * 1024 * 1024;
    /// How long a connection may say nothing: hospitals are quiet at night.
    mllp_idle_ms: u64 = 86_400_000, from 10, to 604_800_000;
    /// Messages acknowledged before they were applied, of different patients, that are worked on at a time.
    message_work_max: usize = 16, from 1, to 1_000;
    /// How often one of them is tried when it is not its own fault.
    message_attempts_max: u32 = 10, from 1, to 1_000_000;
    /// How long others leave them alone without a word from the node that works on them.
    message_lease_ms: u64 = 10_000, from 100, to 600_000;
    /// Notifications that are under way at a time. Endpoints that have failed lately get half of them at most.
    deliveries_max: usize = 256, from 2, to 10_000;
    /// How long others leave alone what a node finds or sends without a word from it.
    delivery_lease_ms: u64 = 15_000, from 100, to 600_000;
    /// A file that is fetched. It is read into memory; of HL7 v2 it may have `message_bytes_max`.
    file_bytes_max: u64 = 256 * 1024 * 1024, from 1024, to 1024 * 1024 * 1024;
    /// Names that are looked at in a folder at a time.
    files_max: usize = 10_000, from 1, to 1_000_000;
    /// How long other nodes leave a folder alone without a word from the one that fetches files from it.
    files_lease_ms: u64 = 10_000, from 100, to 600_000;
    /// How long a server of SFTP may take for an answer.
    sftp_wait_ms: u64 = 30_000, from 100, to 600_000;
}

/// A file that a command reads: what fits into a package, and into memory ten times.
pub const FILE_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// A file of maps, or an overlay.
pub const MAP_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Messages that an overlay is tried out on in one request.
pub const TRIED_MAX: usize = 100;

/// Sets of maps that are kept compiled, for each zone, set of constants and overlay that is asked for.
pub const TRANSLATORS_MAX: usize = 64;

/// Connections that wait to be admitted.
pub const BACKLOG_MAX: u32 = 1024;

/// Files that are open beside connections: those of the database, above all.
pub const FILES_BESIDE_CONNECTIONS: usize = 256;

/// A longer document is parsed on another thread, so that the requests beside it do not wait.
pub const PARSE_AT_ONCE_BYTES_MAX: usize = 64 * 1024;

/// A shorter answer is not packed: it would save less than a packet.
pub const PACKED_BYTES_MIN: u64 = 1024;

/// Writes that may wait for SQLite's writer; further ones are told to come back.
pub const WRITE_QUEUE_MAX: usize = 4_096;
/// Writes committed together at most.
pub const WRITE_GROUP_MAX: usize = 128;
/// Attempts at a write that others are in the way of (PostgreSQL).
pub const WRITE_ATTEMPTS_MAX: u32 = 30;
/// Attempts at a write whose connection was lost before the commit.
pub const LOST_ATTEMPTS_MAX: u32 = 3;
/// The pause after the first attempt at most; it doubles with each,
pub const WRITE_PAUSE_US: u64 = 1_000;
/// up to this.
pub const WRITE_PAUSE_US_MAX: u64 = 16_000;
/// Different statements that a connection has prepared before a new one takes its place: some 10 KiB each.
pub const STATEMENTS_PREPARED_MAX: usize = 500;
/// Connections that read the SQLite file at a time: more than worker threads, so that those never wait.
pub const SQLITE_READERS_MAX: usize = 64;

/// Whoever posts a search parameter is answered when it can be used, but waits no longer than this,
pub const PARAMETER_WAIT_MS: u64 = 2_000;
/// and not at all for types of which there are more resources.
pub const PARAMETER_WAIT_RESOURCES_MAX: u64 = 10_000;
/// The text of resources that get their rows in one transaction, unless one alone has more.
pub const REINDEX_BYTES_MAX: i64 = 8 * 1024 * 1024;
/// How often each node asks whether search parameters have changed elsewhere.
pub const PARAMETER_POLL_MS: u64 = 1_000;
/// How long after the last parameter of a path is gone its rows stay: searches that were begun before end earlier.
pub const FORGOTTEN_AFTER_MS: i64 = 60_000;

/// Patients who were replaced one by another in a row, when a message names the first of them.
pub const REPLACEMENTS_MAX: usize = 16;
/// Resources that are moved from a replaced patient to the survivor in one transaction.
pub const MOVED_MAX: usize = 1_000;

/// How often a transaction is planned when others keep changing what it depends on.
pub const PLANS_MAX: usize = 20;
/// Entries of a batch that are under way at a time.
pub const BATCH_ENTRIES_AT_ONCE_MAX: usize = 64;

/// To ask one resource whether it meets one condition takes at least so long; measured: four times as long and more.
pub const QUESTION_NS_MIN: u64 = 250;

/// Counts of searches that a node keeps, how long the statement of one may be, and for how long it is kept.
pub const COUNTS_KEPT_MAX: usize = 1_000;
pub const COUNT_BYTES_MAX: usize = 4_096;
pub const COUNT_KEPT: std::time::Duration = std::time::Duration::from_secs(10);

/// An estimate of a total is exact up to so many hits.
pub const ESTIMATE_MAX: i64 = 10_000;

/// Resources that come along with a page and were shown before: to show the next ones, all of them are found anew.
pub const INCLUDES_WALKED_MAX: usize = 50_000;

/// How long a search for texts waits until the index of texts holds what was written before it.
pub const TEXT_WAIT_MS: u64 = 2_000;
/// Resources that have a text, among which a search looks for what else it asks for.
pub const TEXT_HITS_MAX: usize = 50_000;

/// Entries of the feed that a follower is given at a time,
pub const FEED_ENTRIES_MAX: u32 = 1_000;
/// and the bodies that it reads together.
pub const FEED_BODIES_MAX: usize = 64;
/// Entries that a follower handles before it makes its work durable.
pub const FOLLOWER_UNSETTLED_MAX: usize = 5_000;
/// How often a follower looks whether this node has written something, unless somebody waits for it;
pub const FOLLOWER_BEAT_MS: u64 = 500;
/// and whether somebody else has.
pub const FOLLOWER_LOOK_MS: u64 = 1_000;
/// While one write comes after the other, it waits so long before it begins, unless somebody waits for it.
pub const FOLLOWER_WAIT_MS: u64 = 10_000;
/// When it has had nothing to do for so long, it gives back what it needs for its work.
pub const FOLLOWER_IDLE_MS: u64 = 5_000;
/// How often an eager one looks again at what it cannot see yet, and how long it waits between.
pub const FOLLOWER_HURRIES: u32 = 40;
pub const FOLLOWER_HURRY_MS: u64 = 5;
/// How long a follower that had nothing to write goes on before it stores its place.
pub const FOLLOWER_PLACE_MS: u64 = 5_000;
/// How much followers stand back where processors are scarce: a tenth of what a request gets.
pub const FOLLOWER_NICENESS: i32 = 10;
/// How long it waits after trouble.
pub const FOLLOWER_PAUSE_MS: u64 = 2_000;

/// Answers that wait for the audit, those of which it keeps together, and how long one waits for a place among them.
pub const AUDIT_QUEUE_MAX: usize = 4_096;
pub const AUDIT_GROUP_MAX: usize = 512;
pub const AUDIT_WAIT_MS: u64 = 10_000;
/// Events that a search in the audit looks at for one page, and how many are read together.
pub const AUDIT_EVENTS_LOOKED_AT_MAX: usize = 50_000;
pub const AUDIT_EVENTS_READ_AT_ONCE: u32 = 500;
/// Consents that are read together, and those that deny something to one caller and can be held to.
pub const CONSENTS_READ_AT_ONCE: u32 = 500;
pub const CONSENTS_OF_CALLER_MAX: usize = 200;
/// Events that are taken out together when they were kept long enough.
pub const AUDIT_EVENTS_CUT_AT_ONCE: i64 = 2_000;

/// Headers of a Subscription, and the bytes of one.
pub const DELIVERY_HEADERS_MAX: usize = 32;
pub const DELIVERY_HEADER_BYTES_MAX: usize = 8 * 1024;
/// Secrets that notifications are signed with: the old one and the new one.
pub const DELIVERY_SECRETS_MAX: usize = 2;
/// How long an endpoint may take for one notification, unless the Subscription says otherwise, and at most.
pub const DELIVERY_TIMEOUT_MS: u64 = 15_000;
pub const DELIVERY_TIMEOUT_MS_MAX: u64 = 60_000;
/// How long a connection to it may take.
pub const DELIVERY_CONNECT_MS: u64 = 5_000;
/// What is read of its answer before the connection is given up.
pub const DELIVERY_ANSWER_BYTES_MAX: usize = 16 * 1024;
/// Events that are sent one by one before it is noted that they arrived: after a crash so many may arrive twice.
pub const DELIVERY_UNSETTLED_MAX: usize = 32;
/// The text of resources that are read together to be sent.
pub const DELIVERY_BYTES_MAX: usize = 8 * 1024 * 1024;
/// How often it is looked for what another node has left, and counted what waits.
pub const DELIVERY_POLL_MS: u64 = 1_000;
/// What an endpoint may ask for with Retry-After, in seconds.
pub const DELIVERY_RETRY_AFTER_S_MAX: u64 = 86_400;

/// Websockets of those who listen, and of one caller (or one address that shows nothing).
pub const SOCKETS_MAX: usize = 1_024;
pub const SOCKETS_PER_CALLER_MAX: usize = 32;
/// Subscriptions that one of them is bound to.
pub const SOCKET_BINDINGS_MAX: usize = 100;
/// What it may send at a time.
pub const SOCKET_FRAME_BYTES_MAX: usize = 64 * 1024;
/// How long a token to bind by holds.
pub const SOCKET_TOKEN_S: u64 = 300;
/// Batches of events that it may be behind before it has to look at all of its subscriptions.
pub const SOCKET_AHEAD_MAX: usize = 256;
/// After how many beats (`DELIVERY_POLL_MS`) it is looked for heartbeats, and asked whether the other side is there;
pub const SOCKET_LOOK_BEATS: u64 = 2;
pub const SOCKET_PING_BEATS: u64 = 20;
/// after so much silence it is closed.
pub const SOCKET_SILENT_MS: u64 = 60_000;

/// How deep `kiln import` looks into folders.
pub const IMPORT_DEPTH_MAX: usize = 64;
/// Files of an archive that are looked at.
pub const IMPORT_MEMBERS_MAX: u64 = 10_000_000;
/// Packed files may become this much,
pub const IMPORT_UNPACKED_BYTES_FREE: u64 = 64 * 1024 * 1024;
/// and beyond that so many times as much as was read: FHIR packs 10 to 100 times, a bomb 1,000 times and more.
pub const IMPORT_EXPANSION_MAX: u64 = 500;
/// The text of documents that are read and not yet written.
pub const IMPORT_AHEAD_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Rows of a table that are written together.
pub const IMPORT_ROWS_MAX: usize = 512;
/// Transactions that are prepared while one before them is written.
pub const IMPORT_TRANSACTIONS_AHEAD_MAX: usize = 3;
/// Resources written together,
pub const IMPORT_GROUP_MAX: usize = 2_000;
/// and their text.
pub const IMPORT_GROUP_BYTES_MAX: usize = 8 * 1024 * 1024;
