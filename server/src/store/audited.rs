//! What the audit tells, event by event, in chains: each event carries a hash of what it says and of the hash before it.
//!
//! SQLite has one writer and one chain. On PostgreSQL every connection has a chain of its own, which it keeps by a lock of its
//! session: so nobody waits for anybody, and of how many nodes there are the chains know nothing.

use diesel::sql_types::{BigInt, Binary, Bool, Text};
use sha2::{Digest, Sha256};

use super::connection::{Connection, Dialect};
use super::error::Error;
use super::statement::{Bind, Statement};
use super::tx::Tx;
use super::view::View;
use crate::auth::{AUDITED, Action, Record};
use crate::instant::Instant;

/// An event as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    pub chain: i64,
    pub seq: i64,
    pub at: Instant,
    /// The id; empty: of none.
    pub patient: String,
    /// JSON.
    pub body: String,
    pub hash: Vec<u8>,
}

/// Where a chain ends, and where it was cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainEnd {
    pub chain: i64,
    pub seq: i64,
    pub hash: Vec<u8>,
    /// 0: it is whole.
    pub cut_seq: i64,
    pub cut_hash: Vec<u8>,
}

/// What a chain begins with.
pub const ORIGIN: [u8; 32] = [0; 32];

/// Which events are wanted, newest first or oldest first.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sought<'a> {
    pub patient: Option<&'a str>,
    /// From this moment on,
    pub from: Option<i64>,
    /// and before that one.
    pub until: Option<i64>,
    /// Behind the event of that time, chain and number.
    pub after: Option<(i64, i64, i64)>,
    pub oldest_first: bool,
    pub events_max: u32,
}

/// The end of the chain that a connection adds to.
#[derive(Debug, Default)]
pub(super) struct Chain {
    number: Option<i64>,
    head: Option<(i64, [u8; 32])>,
    committed: Option<(i64, [u8; 32])>,
}

impl Chain {
    /// Something may have been taken back.
    pub(super) fn forget(&mut self, dialect: Dialect) {
        self.head = match dialect {
            // Another process may have added to it.
            Dialect::Sqlite => None,
            Dialect::Postgres => self.committed,
        };
    }

    pub(super) fn committed(&mut self) {
        self.committed = self.head;
    }
}

const COLUMNS: &str = "SELECT chain, seq, at, patient, body, hash FROM audit_events";
const END: &str = "SELECT seq, hash FROM chain_heads WHERE chain = ?";
const ENDS: &str = "SELECT chain, seq, hash, cut_seq, cut_hash FROM chain_heads ORDER BY chain";
const MOVE: &str = "INSERT INTO chain_heads (chain, seq, hash, cut_seq, cut_hash) VALUES (?, ?, ?, 0, ?) \
     ON CONFLICT (chain) DO UPDATE SET seq = excluded.seq, hash = excluded.hash";
const CUT: &str = "UPDATE chain_heads SET cut_seq = ?, cut_hash = ? WHERE chain = ?";
const DROP: &str = "DELETE FROM audit_events WHERE chain = ? AND seq <= ?";
const TAKE: &str = "SELECT pg_try_advisory_lock(7545640, CAST(? AS INTEGER))";
const INSERT: [(usize, &str); 3] = [
    (
        16,
        "INSERT INTO audit_events (chain, seq, at, patient, body, hash) VALUES (?, ?, ?, ?, ?, ?), (?, ?, ?, ?, ?, ?), \
         (?, ?, ?, ?, ?, ?), (?, ?, ?, ?, ?, ?), (?, ?, ?, ?, ?, ?), (?, ?, ?, ?, ?, ?), (?, ?, ?, ?, ?, ?), \
         (?, ?, ?, ?, ?, ?), (?, ?, ?, ?, ?, ?), (?, ?, ?, ?, ?, ?), (?, ?, ?, ?, ?, ?), (?, ?, ?, ?, ?, ?), \
         (?, ?, ?, ?, ?, ?), (?, ?, ?, ?, ?, ?), (?, ?, ?, ?, ?, ?), (?, ?, ?, ?, ?, ?)",
    ),
    (
        4,
        "INSERT INTO audit_events (chain, seq, at, patient, body, hash) VALUES (?, ?, ?, ?, ?, ?), (?, ?, ?, ?, ?, ?), \
         (?, ?, ?, ?, ?, ?), (?, ?, ?, ?, ?, ?)",
    ),
    (
        1,
        "INSERT INTO audit_events (chain, seq, at, patient, body, hash) VALUES (?, ?, ?, ?, ?, ?)",
    ),
];
/// Chains of PostgreSQL: no server has more connections.
const CHAINS_MAX: i64 = 100_000;

/// What an event and all before it in its chain come to.
pub fn chained(
    before: &[u8],
    (chain, seq): (i64, i64),
    at: Instant,
    patient: &str,
    body: &str,
) -> [u8; 32] {
    let mut digest = Sha256::new();
    digest.update(before);
    digest.update(chain.to_le_bytes());
    digest.update(seq.to_le_bytes());
    digest.update(at.micros().to_le_bytes());
    digest.update(
        u64::try_from(patient.len())
            .unwrap_or(u64::MAX)
            .to_le_bytes(),
    );
    digest.update(patient.as_bytes());
    digest.update(body.as_bytes());
    digest.finalize().into()
}

/// Adds events to the chain of the connection.
pub(super) fn append(connection: &mut Connection, records: &[Record]) -> Result<(), Error> {
    if records.is_empty() {
        return Ok(());
    }
    let (chain, (mut seq, mut hash)) = end(connection)?;
    let mut links = Vec::with_capacity(records.len());
    for record in records {
        seq += 1;
        hash = chained(
            &hash,
            (chain, seq),
            record.at,
            &record.patient,
            &record.body,
        );
        links.push((seq, hash));
    }
    let mut rest: Vec<_> = records.iter().zip(&links).collect();
    while !rest.is_empty() {
        let fitting = INSERT.iter().find(|(width, _)| *width <= rest.len());
        let Some((width, sql)) = fitting else {
            break;
        };
        let binds: Vec<Bind<'_>> = rest
            .drain(..*width)
            .flat_map(|(record, (seq, hash))| {
                [
                    Bind::Int(chain),
                    Bind::Int(*seq),
                    Bind::Int(record.at.micros()),
                    Bind::Text(&record.patient),
                    Bind::Text(&record.body),
                    Bind::Bytes(hash),
                ]
            })
            .collect();
        connection.execute(Statement::new(sql, &binds))?;
    }
    let binds = [
        Bind::Int(chain),
        Bind::Int(seq),
        Bind::Bytes(&hash),
        Bind::Bytes(&ORIGIN),
    ];
    connection.execute(Statement::new(MOVE, &binds))?;
    connection.chain.head = Some((seq, hash));
    Ok(())
}

/// The chain of the connection, and where it ends.
fn end(connection: &mut Connection) -> Result<(i64, (i64, [u8; 32])), Error> {
    let chain = match (connection.chain.number, connection.dialect()) {
        (Some(number), _) => number,
        (None, Dialect::Sqlite) => 1,
        (None, Dialect::Postgres) => free(connection)?,
    };
    connection.chain.number = Some(chain);
    if let Some(head) = connection.chain.head {
        return Ok((chain, head));
    }
    let binds = [Bind::Int(chain)];
    let rows: Vec<(i64, Vec<u8>)> =
        connection.rows(Statement::<(BigInt, Binary)>::new(END, &binds))?;
    let head = rows.into_iter().next();
    let head = head.and_then(|(seq, hash)| Some((seq, hash.try_into().ok()?)));
    Ok((chain, head.unwrap_or((0, ORIGIN))))
}

/// A chain that no other session adds to.
fn free(connection: &mut Connection) -> Result<i64, Error> {
    for chain in 1..CHAINS_MAX {
        let binds = [Bind::Int(chain)];
        let taken: Vec<bool> = connection.rows(Statement::<Bool>::new(TAKE, &binds))?;
        if taken.first() == Some(&true) {
            return Ok(chain);
        }
    }
    Err(Error::QueueFull)
}

type ToldRow = (BigInt, BigInt, BigInt, Text, Text, Binary);
type ToldValues = (i64, i64, i64, String, String, Vec<u8>);

fn told((chain, seq, at, patient, body, hash): ToldValues) -> Told {
    Told {
        chain,
        seq,
        at: Instant::from_micros(at),
        patient,
        body,
        hash,
    }
}

impl View<'_> {
    /// Events, in the order of time.
    pub fn audit_events(&mut self, sought: Sought<'_>) -> Result<Vec<Told>, Error> {
        self.demand(&[Action::Search(AUDITED), Action::Maintain])?;
        let mut sql = format!("{COLUMNS} WHERE 1 = 1");
        let mut binds = Vec::new();
        if let Some(patient) = sought.patient {
            sql.push_str(" AND patient = ? AND patient <> ''");
            binds.push(Bind::Text(patient));
        }
        if let Some(from) = sought.from {
            sql.push_str(" AND at >= ?");
            binds.push(Bind::Int(from));
        }
        if let Some(until) = sought.until {
            sql.push_str(" AND at < ?");
            binds.push(Bind::Int(until));
        }
        if let Some((at, chain, seq)) = sought.after {
            sql.push_str(match sought.oldest_first {
                true => " AND (at, chain, seq) > (?, ?, ?)",
                false => " AND (at, chain, seq) < (?, ?, ?)",
            });
            binds.extend([at, chain, seq].map(Bind::Int));
        }
        sql.push_str(match sought.oldest_first {
            true => " ORDER BY at, chain, seq LIMIT ? + 0",
            false => " ORDER BY at DESC, chain DESC, seq DESC LIMIT ? + 0",
        });
        binds.push(Bind::Int(i64::from(sought.events_max)));
        let done = self
            .connection
            .rows(Statement::<ToldRow>::new(&sql, &binds));
        let rows: Vec<ToldValues> = self.noted(done.map_err(Error::from))?;
        Ok(rows.into_iter().map(told).collect())
    }

    /// The event of that number.
    pub fn audit_event(&mut self, chain: i64, seq: i64) -> Result<Option<Told>, Error> {
        self.demand(&[Action::Read(AUDITED), Action::Search(AUDITED)])?;
        let sql = format!("{COLUMNS} WHERE chain = ? AND seq = ?");
        let binds = [Bind::Int(chain), Bind::Int(seq)];
        let done = self
            .connection
            .rows(Statement::<ToldRow>::new(&sql, &binds));
        let rows: Vec<ToldValues> = self.noted(done.map_err(Error::from))?;
        Ok(rows.into_iter().next().map(told))
    }

    /// All of them, chain by chain.
    pub fn each_audit_event<E: From<Error>>(
        &mut self,
        mut take: impl FnMut(Told) -> Result<(), E>,
    ) -> Result<(), E> {
        self.demand(&[Action::Maintain])?;
        let sql = format!("{COLUMNS} ORDER BY chain, seq");
        self.connection
            .each(Statement::<ToldRow>::new(&sql, &[]), |row: ToldValues| {
                take(told(row))
            })
    }

    pub fn chain_ends(&mut self) -> Result<Vec<ChainEnd>, Error> {
        self.demand(&[Action::Maintain, Action::Note])?;
        type Row = (BigInt, BigInt, Binary, BigInt, Binary);
        type Values = (i64, i64, Vec<u8>, i64, Vec<u8>);
        let done = self.connection.rows(Statement::<Row>::new(ENDS, &[]));
        let rows: Vec<Values> = self.noted(done.map_err(Error::from))?;
        let ends = rows
            .into_iter()
            .map(|(chain, seq, hash, cut_seq, cut_hash)| ChainEnd {
                chain,
                seq,
                hash,
                cut_seq,
                cut_hash,
            });
        Ok(ends.collect())
    }
}

impl Tx<'_> {
    /// Keeps what the audit tells.
    pub fn keep_audit(&mut self, records: &[Record]) -> Result<(), Error> {
        self.demand(&[Action::Note])?;
        self.writes();
        let done = append(self.connection, records);
        self.noted(done)
    }

    /// Takes out of a chain what is older than that, some at a time, and notes where the chain was cut. Answers up to which
    /// number.
    pub fn cut_audit(
        &mut self,
        end: &ChainEnd,
        before: Instant,
        events_max: i64,
    ) -> Result<Option<i64>, Error> {
        self.demand(&[Action::Note])?;
        let sql =
            format!("{COLUMNS} WHERE chain = ? AND seq <= ? AND at < ? ORDER BY seq DESC LIMIT 1");
        let last = end.cut_seq.saturating_add(events_max).min(end.seq);
        let binds = [
            Bind::Int(end.chain),
            Bind::Int(last),
            Bind::Int(before.micros()),
        ];
        let done = self
            .connection
            .rows(Statement::<ToldRow>::new(&sql, &binds));
        let rows: Vec<ToldValues> = self.noted(done.map_err(Error::from))?;
        let Some(cut) = rows.into_iter().next().map(told) else {
            return Ok(None);
        };
        self.writes();
        let drop = [Bind::Int(end.chain), Bind::Int(cut.seq)];
        let done = self.connection.execute(Statement::new(DROP, &drop));
        self.noted(done.map_err(Error::from))?;
        let note = [
            Bind::Int(cut.seq),
            Bind::Bytes(&cut.hash),
            Bind::Int(end.chain),
        ];
        let done = self.connection.execute(Statement::new(CUT, &note));
        self.noted(done.map_err(Error::from))?;
        Ok(Some(cut.seq))
    }
}
