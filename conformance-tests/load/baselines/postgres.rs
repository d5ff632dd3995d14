//! Raw PostgreSQL: one connection, one statement a table and commit, which is the fastest short of COPY.

use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::sql_types::{Array, Text};
use diesel::{Connection, PgConnection, RunQueryDsl, sql_query};

use super::made_up;
use crate::Fallible;
use crate::crowd::Round;
use crate::patients::Entry;

const SCHEMA: &str =
    "SET client_min_messages = warning; DROP SCHEMA IF EXISTS raw CASCADE; CREATE SCHEMA raw;
    CREATE TABLE raw.resource (type text, id uuid, version int, json text, PRIMARY KEY (type, id));
    CREATE TABLE raw.row (type text, parameter text, value text, id uuid);
    CREATE INDEX row_by_value ON raw.row (type, parameter, value, id);";
const RESOURCES: &str =
    "INSERT INTO raw.resource SELECT t, i::uuid, 1, j FROM unnest($1, $2, $3) AS u (t, i, j)";
const ROWS: &str =
    "INSERT INTO raw.row SELECT t, p, v, i::uuid FROM unnest($1, $2, $3, $4) AS u (t, p, v, i)";

pub(super) fn round(
    url: &str,
    entries: &[Entry],
    per_commit: usize,
    time: Duration,
) -> Fallible<Round> {
    let mut connection = PgConnection::establish(url)?;
    connection.batch_execute(SCHEMA)?;
    let mut entries = entries.iter().cycle();
    let mut written: u64 = 0;
    let started = Instant::now();
    while started.elapsed() < time {
        let mut resources: [Vec<String>; 3] = Default::default();
        let mut rows: [Vec<String>; 4] = Default::default();
        for entry in entries.by_ref().take(per_commit) {
            let kind = entry.resource_type.to_owned();
            let (id, index) = made_up(written);
            for (parameter, value) in index {
                let row = [kind.clone(), parameter, value, id.clone()];
                rows.iter_mut()
                    .zip(row)
                    .for_each(|(column, cell)| column.push(cell));
            }
            let resource = [kind, id, entry.json.clone()];
            resources
                .iter_mut()
                .zip(resource)
                .for_each(|(column, cell)| column.push(cell));
            written += 1;
        }
        let ([types, ids, texts], [row_types, parameters, values, row_ids]) = (resources, rows);
        connection.transaction(|connection| {
            let resources = sql_query(RESOURCES).bind::<Array<Text>, _>(types);
            let resources = resources
                .bind::<Array<Text>, _>(ids)
                .bind::<Array<Text>, _>(texts);
            resources.execute(connection)?;
            let rows = sql_query(ROWS).bind::<Array<Text>, _>(row_types);
            let rows = rows
                .bind::<Array<Text>, _>(parameters)
                .bind::<Array<Text>, _>(values);
            rows.bind::<Array<Text>, _>(row_ids).execute(connection)
        })?;
    }
    let time = started.elapsed();
    connection.batch_execute("DROP SCHEMA raw CASCADE")?;
    Ok(Round {
        units: written,
        time,
        ..Round::default()
    })
}

/// Bytes of the whole database on disk.
pub(crate) fn disk_bytes(url: &str) -> Fallible<u64> {
    use diesel::sql_types::BigInt;
    let mut connection = PgConnection::establish(url)?;
    let size = diesel::select(diesel::dsl::sql::<BigInt>(
        "pg_database_size(current_database())",
    ));
    Ok(u64::try_from(size.get_result::<i64>(&mut connection)?)?)
}
