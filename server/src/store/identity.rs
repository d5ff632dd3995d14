//! What criteria find, with all that is needed to write on: one statement for each.

use diesel::sql_types::{BigInt, Binary, Nullable, SmallInt, Text};
use search::query::Query;
use search::sql::{self, Page};

use super::connection::Connection;
use super::error::Error;
use super::query::{bind, dialect, in_lists, lists};
use super::resources::{self, Found, Rid};
use super::statement::{Bind, Statement};
use super::view::View;
use crate::auth::Action;
use crate::instant::Instant;

/// Which version of a resource is the current one, and when what messages said of it was so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    pub id: String,
    pub rid: Rid,
    pub version: u64,
    pub told: Option<Instant>,
}

/// The key of a resource's first version is the resource's own number.
const HEADS: &str = "SELECT w.id, f.rid, v.version, s.at FROM (";
const WHOLE: &str = "SELECT w.id, f.rid, v.version, s.at, v.at, v.change, v.codec, v.body FROM (";
const JOINED: &str = ") f JOIN versions w ON w.key = f.rid JOIN resources r ON r.type = w.type AND r.id = w.id \
     JOIN versions v ON v.key = r.head LEFT JOIN snapshots s ON s.rid = f.rid ORDER BY f.rid";

type HeadRow = (Text, BigInt, BigInt, Nullable<BigInt>);
type HeadValues = (String, i64, i64, Option<i64>);
type WholeRow = (
    Text,
    BigInt,
    BigInt,
    Nullable<BigInt>,
    BigInt,
    SmallInt,
    SmallInt,
    Binary,
);
type WholeValues = (String, i64, i64, Option<i64>, i64, i16, i16, Vec<u8>);

impl View<'_> {
    /// The resources that a query finds, at most so many, in the order in which they came to be.
    pub fn matching(
        &mut self,
        resource_type: &'static str,
        query: &Query,
        found_max: u32,
    ) -> Result<Vec<(Head, Found)>, Error> {
        self.demand(&[Action::Search(resource_type)])?;
        let query = self.fenced(resource_type, query)?;
        let done = whole(self.connection, &query, found_max);
        self.noted(done)
    }

    /// The same without the documents.
    pub fn matching_heads(
        &mut self,
        resource_type: &'static str,
        query: &Query,
        found_max: u32,
    ) -> Result<Vec<Head>, Error> {
        self.demand(&[Action::Search(resource_type)])?;
        let query = self.fenced(resource_type, query)?;
        let done = heads(self.connection, &query, found_max);
        self.noted(done)
    }

    /// Type and id of what refers to something of that id at one of these paths.
    pub fn referring(
        &mut self,
        action: Action,
        paths: &[i32],
        target_id: &str,
    ) -> Result<Vec<(String, String)>, Error> {
        self.demand(&[action])?;
        self.demand_all()?;
        let texts = lists(
            "SELECT DISTINCT w.type, w.id FROM search_reference s JOIN versions w ON w.key = s.rid WHERE s.path IN (",
            "?",
            ") AND s.target = ?",
        );
        let paths: Vec<Bind<'_>> = paths.iter().map(|path| Bind::Int((*path).into())).collect();
        let mut referring = Vec::new();
        let after = [Bind::Text(target_id)];
        let done = in_lists(&texts, &paths, Bind::Int(0), &after, |sql, binds| {
            let statement = Statement::<(Text, Text)>::new(sql, binds);
            let rows: Vec<(String, String)> = self.connection.rows(statement)?;
            referring.extend(rows);
            Ok(())
        });
        self.noted(done)?;
        referring.sort_unstable();
        referring.dedup();
        Ok(referring)
    }
}

fn select(connection: &Connection, query: &Query, found_max: u32) -> sql::Statement {
    let page = Page {
        after: None,
        limit: i64::from(found_max),
    };
    let mut inner = sql::select(query, dialect(connection), page);
    // SQLite looks at the value of a bound limit when it plans, and so prepares such a statement anew each time: that took
    // longer than all the rest.
    if let Some(rest) = inner.text.strip_suffix('?') {
        inner.text = format!("{rest}{found_max}");
        inner.binds.pop();
    }
    inner
}

fn heads(connection: &mut Connection, query: &Query, found_max: u32) -> Result<Vec<Head>, Error> {
    let inner = select(connection, query, found_max);
    let text = [HEADS, &inner.text, JOINED].concat();
    let binds: Vec<Bind<'_>> = inner.binds.iter().map(bind).collect();
    let rows: Vec<HeadValues> = connection.rows(Statement::<HeadRow>::new(&text, &binds))?;
    rows.into_iter().map(head).collect()
}

fn whole(
    connection: &mut Connection,
    query: &Query,
    found_max: u32,
) -> Result<Vec<(Head, Found)>, Error> {
    let inner = select(connection, query, found_max);
    let text = [WHOLE, &inner.text, JOINED].concat();
    let binds: Vec<Bind<'_>> = inner.binds.iter().map(bind).collect();
    let rows: Vec<WholeValues> = connection.rows(Statement::<WholeRow>::new(&text, &binds))?;
    let rows = rows.into_iter();
    rows.map(|(id, rid, version, told, at, change, codec, body)| {
        let found = resources::found((rid, version, at, change, codec, body))?;
        Ok((head((id, rid, version, told))?, found))
    })
    .collect()
}

fn head((id, rid, version, told): HeadValues) -> Result<Head, Error> {
    Ok(Head {
        id,
        rid: Rid(rid),
        version: u64::try_from(version).map_err(|_| Error::Version(version))?,
        told: told.map(Instant::from_micros),
    })
}
