//! What the machine can do at most: bare actix-web, and the raw database.

mod postgres;
mod sqlite;

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use actix_web::{App, HttpResponse, HttpServer, web};

pub(crate) use postgres::disk_bytes;

use crate::Fallible;
use crate::crowd::Round;
use crate::patients::Entry;

/// Index rows of a resource: about what the search parameters of FHIR take.
const INDEX_ROWS: usize = 8;

/// Rows that go in as fast as the database takes them, durable, on one connection, without anything around it.
pub(crate) struct Raw {
    entries: Vec<Entry>,
    place: Place,
}

enum Place {
    Sqlite(PathBuf),
    Postgres(String),
}

impl Raw {
    /// Feeds these resources over and over: into a file of this folder, or into a PostgreSQL.
    pub(crate) fn new(entries: Vec<Entry>, folder: &Path, database: Option<&str>) -> Self {
        let place = match database {
            None => Place::Sqlite(folder.join("raw.sqlite")),
            Some(url) => Place::Postgres(url.to_owned()),
        };
        Self { entries, place }
    }

    /// Resources into empty tables for that long.
    pub(crate) fn round(&self, per_commit: u32, time: Duration) -> Fallible<Round> {
        let per_commit = usize::try_from(per_commit)?;
        match &self.place {
            Place::Sqlite(path) => sqlite::round(path, &self.entries, per_commit, time),
            Place::Postgres(url) => postgres::round(url, &self.entries, per_commit, time),
        }
    }
}

/// What makes up one more resource: its id, and its index rows as parameter and value.
fn made_up(number: u64) -> (String, Vec<(String, String)>) {
    let (hundred, rest) = (number / 100, number % 100);
    let rows = (0..INDEX_ROWS).map(|row| (format!("p{row}"), format!("value-{hundred}-{row}")));
    (
        format!("{hundred:08x}-0000-4000-8000-{rest:012x}"),
        rows.collect(),
    )
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
