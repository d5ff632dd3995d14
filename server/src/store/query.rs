//! Searches: the SQL comes from the crate `search`, here it is run.

use diesel::sql_types::{BigInt, Text};
use search::condition;
use search::query::Query;
use search::sql::{self, Page};

use super::connection::{Connection, Dialect};
use super::error::Error;
use super::statement::{Bind, Statement};

/// The key of a resource's first version is the resource's own number.
const SELECT_ID: &str = "SELECT id FROM versions WHERE key = ?";

/// The ids of resources that a query finds, at most so many, in the order in which they came to be.
pub(super) fn ids(
    connection: &mut Connection,
    query: &Query,
    ids_max: u32,
) -> Result<Vec<String>, Error> {
    let dialect = match connection.dialect() {
        Dialect::Sqlite => sql::Dialect::Sqlite,
        Dialect::Postgres => sql::Dialect::Postgres,
    };
    let page = Page {
        after: None,
        limit: i64::from(ids_max),
    };
    let statement = sql::select(query, dialect, page);
    let binds: Vec<Bind<'_>> = statement.binds.iter().map(bind).collect();
    let rids: Vec<i64> = connection.rows(Statement::<BigInt>::new(&statement.text, &binds))?;
    let mut ids = Vec::with_capacity(rids.len());
    for rid in rids {
        let found: Vec<String> =
            connection.rows(Statement::<Text>::new(SELECT_ID, &[Bind::Int(rid)]))?;
        ids.extend(found);
    }
    Ok(ids)
}

fn bind(value: &condition::Bind) -> Bind<'_> {
    match value {
        condition::Bind::Int(number) => Bind::Int(*number),
        condition::Bind::Real(number) => Bind::Real(*number),
        condition::Bind::Text(text) => Bind::Text(text),
    }
}
