//! Raw SQLite: WAL, `synchronous=FULL`, prepared statements on the raw driver.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::made_up;
use crate::crowd::Round;
use crate::patients::Entry;
use crate::{Fallible, usage};

const SCHEMA: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
    CREATE TABLE resource (type TEXT, id TEXT, version INT, json TEXT, PRIMARY KEY (type, id)) WITHOUT ROWID;
    CREATE TABLE row (type TEXT, parameter TEXT, value TEXT, id TEXT);
    CREATE INDEX row_by_value ON row (type, parameter, value, id);";

/// What this process spends is the server's here.
pub(super) fn round(
    path: &Path,
    entries: &[Entry],
    per_commit: usize,
    time: Duration,
) -> Fallible<Round> {
    for ending in ["", "-wal", "-shm"] {
        let path = format!("{}{ending}", path.display());
        if let Err(error) = std::fs::remove_file(path)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            return Err(error.into());
        }
    }
    let mut connection = Connection::open(path)?;
    connection.execute_batch(SCHEMA)?;
    let mut entries = entries.iter().cycle();
    let mut written: u64 = 0;
    let own = [std::process::id()];
    let cpu_before = usage::cpu(&own);
    let started = Instant::now();
    while started.elapsed() < time {
        let transaction = connection.transaction()?;
        {
            let mut resource = transaction.prepare("INSERT INTO resource VALUES (?, ?, 1, ?)")?;
            let mut row = transaction.prepare("INSERT INTO row VALUES (?, ?, ?, ?)")?;
            for entry in entries.by_ref().take(per_commit) {
                let (id, rows) = made_up(written);
                resource.execute((entry.resource_type, &id, &entry.json))?;
                for (parameter, value) in rows {
                    row.execute((entry.resource_type, parameter, value, &id))?;
                }
                written += 1;
            }
        }
        transaction.commit()?;
    }
    Ok(Round {
        units: written,
        time: started.elapsed(),
        server_cpu: usage::cpu(&own).saturating_sub(cpu_before),
        ..Round::default()
    })
}
