//! What the machine can do at most: bare actix-web, raw SQLite.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use actix_web::{App, HttpResponse, HttpServer, web};
use rusqlite::Connection;

use crate::Fallible;
use crate::crowd::real;
use crate::patients::Entry;

/// Index rows of a resource: about what the search parameters of FHIR take.
const INDEX_ROWS: u32 = 8;

const SCHEMA: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
    CREATE TABLE resource (type TEXT, id TEXT, version INT, json TEXT, PRIMARY KEY (type, id)) WITHOUT ROWID;
    CREATE TABLE row (type TEXT, parameter TEXT, value TEXT, id TEXT);
    CREATE INDEX row_by_value ON row (type, parameter, value, id);";

/// Rows that go in as fast as SQLite takes them, durable, on one connection.
pub(crate) struct RawSqlite {
    path: PathBuf,
    entries: Vec<Entry>,
}

impl RawSqlite {
    pub(crate) fn new(folder: &Path, entries: Vec<Entry>) -> Self {
        Self {
            path: folder.join("raw.sqlite"),
            entries,
        }
    }

    /// Resources per second into an empty file.
    pub(crate) fn rate(&self, per_commit: u32, time: Duration) -> Fallible<f64> {
        for ending in ["", "-wal", "-shm"] {
            let path = format!("{}{ending}", self.path.display());
            if let Err(error) = std::fs::remove_file(path)
                && error.kind() != std::io::ErrorKind::NotFound
            {
                return Err(error.into());
            }
        }
        let mut connection = Connection::open(&self.path)?;
        connection.execute_batch(SCHEMA)?;
        let mut entries = self.entries.iter().cycle();
        let mut written: u64 = 0;
        let started = Instant::now();
        while started.elapsed() < time {
            let transaction = connection.transaction()?;
            {
                let mut resource =
                    transaction.prepare("INSERT INTO resource VALUES (?, ?, 1, ?)")?;
                let mut row = transaction.prepare("INSERT INTO row VALUES (?, ?, ?, ?)")?;
                for entry in entries.by_ref().take(usize::try_from(per_commit)?) {
                    let kind = entry.resource_type;
                    let id = format!(
                        "{:08x}-0000-4000-8000-{:012x}",
                        written / 100,
                        written % 100
                    );
                    resource.execute((kind, &id, &entry.json))?;
                    for number in 0..INDEX_ROWS {
                        let value = format!("value-{}-{number}", written / 100);
                        row.execute((kind, format!("p{number}"), value, &id))?;
                    }
                    written += 1;
                }
            }
            transaction.commit()?;
        }
        Ok(real(written) / started.elapsed().as_secs_f64())
    }
}

/// The bare server: answers what it was given on stdin to every request, until it is killed.
pub(crate) fn answer_stdin() -> Fallible<()> {
    let mut body = Vec::new();
    std::io::stdin().read_to_end(&mut body)?;
    let body = web::Bytes::from(body);
    actix_web::rt::System::new().block_on(async move {
        let server = HttpServer::new(move || {
            let body = body.clone();
            App::new().default_service(web::to(move || {
                let body = body.clone();
                async move {
                    HttpResponse::Ok()
                        .content_type("application/fhir+json")
                        .body(body)
                }
            }))
        })
        .bind(("127.0.0.1", 0))?;
        for address in server.addrs() {
            let mut out = std::io::stdout().lock();
            writeln!(out, "http://{address}")?;
            out.flush()?;
        }
        server.run().await?;
        Ok(())
    })
}
