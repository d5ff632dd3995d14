//! Pages in an order: the statement, the place where the next one begins.
//!
//! Few hits are sorted. Where most of a type may be hit, an index is walked in the order that is wanted and every
//! resource on the way is asked whether it is meant: the first page is there long before all hits are known. What has no
//! value to sort by comes after the walk, from a statement of its own.

use super::drive::{Scope, best};
use super::group::index_by_resource;
use super::{Dialect, Page, Statement, Writer, conditions, select};
use crate::condition::{Bind, Reach, Test};
use crate::query::{BINDS_MAX, Query, SortBy, SortKey, SortRows};
use crate::table::{self, TableKind};

/// Walks through an index that one statement joins.
const WALKS_MAX: usize = 60;

/// Where a page ends: the keys of its last resource, `None` for a value that is not there.
#[derive(Debug, Clone, PartialEq)]
pub struct Position {
    pub keys: Vec<Option<Bind>>,
    pub rid: i64,
}

/// Which page of a sorted search.
#[derive(Debug, Clone, PartialEq)]
pub struct SortedPage {
    pub after: Option<Position>,
    pub limit: i64,
}

/// Statements of which each row is `rid` and then a value for each key.
#[derive(Debug, Clone, PartialEq)]
pub struct Sorted {
    pub first: Statement,
    /// To be run when the first gives less than the limit; what it gives comes behind.
    pub rest: Option<Statement>,
}

/// A page of what a query finds, in the order it asks for.
pub fn sorted(query: &Query, dialect: Dialect, page: &SortedPage) -> Sorted {
    if query.sort.is_empty() {
        let plain = Page {
            after: page.after.as_ref().map(|after| after.rid),
            limit: page.limit,
        };
        return Sorted {
            first: select(query, dialect, plain),
            rest: None,
        };
    }
    match walk(query).map(|key| (key, &key.by)) {
        Some((key, SortBy::Rows(rows))) => walked(query, dialect, page, key, rows),
        Some((key, SortBy::Updated)) => Sorted {
            first: walked_by_time(query, dialect, page, key),
            rest: None,
        },
        _ => Sorted {
            first: collected(query, dialect, page, None),
            rest: None,
        },
    }
}

/// The key in whose order an index is walked; None: all hits are collected and sorted.
fn walk(query: &Query) -> Option<&SortKey> {
    let first = query.sort.first().filter(|_| is_broad(query));
    first.filter(|key| match &key.by {
        SortBy::Rows(rows) => is_walkable(query, rows),
        SortBy::Updated => true,
        _ => false,
    })
}

/// Whether all hits must be known before the first page is.
pub(super) fn is_collected(query: &Query) -> bool {
    !query.sort.is_empty() && walk(query).is_none()
}

/// Whether there may be more hits than anybody would sort for a page.
fn is_broad(query: &Query) -> bool {
    best(&conditions(query)).is_none_or(|(reach, _)| reach >= Reach::Many)
}

/// Whether the walks through all paths together are few enough for one statement.
fn is_walkable(query: &Query, rows: &SortRows) -> bool {
    let walks = rows.paths.len() * spans(rows.table).len();
    // Each of them asks for all conditions.
    walks <= WALKS_MAX && walks * query.binds() <= BINDS_MAX
}

/// The parts in which a table has its rows in the order of their values.
fn spans(table: TableKind) -> &'static [Option<i64>] {
    match table {
        TableKind::Date => &[Some(0), Some(1), Some(2)],
        TableKind::Number => &[Some(0), Some(1)],
        _ => &[None],
    }
}

/// All hits with their keys, sorted. `missing`: only those without a value of the first key.
fn collected(
    query: &Query,
    dialect: Dialect,
    page: &SortedPage,
    missing: Option<&SortRows>,
) -> Statement {
    let mut writer = Writer::new(dialect);
    writer.push("SELECT s.rid");
    for (number, _) in query.sort.iter().enumerate() {
        writer.push(&format!(", s.k{number}"));
    }
    writer.push(" FROM (SELECT d.rid");
    writer.keys(query, 0, "d");
    writer.push(" FROM (");
    writer.select(&query.resource_type, &conditions(query), None);
    if let Some(rows) = missing {
        writer.push(" AND NOT EXISTS (SELECT 1 FROM ");
        writer.rows_of(rows, "d.rid");
        writer.push(")");
    }
    writer.push(") d) s");
    writer.end(query, page, false);
    writer.finish()
}

fn walked(
    query: &Query,
    dialect: Dialect,
    page: &SortedPage,
    key: &SortKey,
    rows: &SortRows,
) -> Sorted {
    let is_past =
        (page.after.as_ref()).is_some_and(|after| matches!(after.keys.first(), Some(None)));
    let rest = collected(query, dialect, page, Some(rows));
    if is_past {
        return Sorted {
            first: rest,
            rest: None,
        };
    }
    let mut writer = Writer::new(dialect);
    let scope = Scope::of(&query.resource_type);
    let name = table::ALL.iter().find(|table| table.kind == rows.table);
    let name = name.map_or("", |table| table.name);
    let walks = rows.paths.iter();
    let walks = walks.flat_map(|path| spans(rows.table).iter().map(move |span| (*path, *span)));
    let walks: Vec<(i32, Option<i64>)> = walks.collect();
    // PostgreSQL merges no walks of which each must still be sorted by more than its index: it is given the page of each.
    let is_each_cut = dialect == Dialect::Postgres && walks.len() > 1;
    for (index, (path, span)) in walks.into_iter().enumerate() {
        writer.push(if index > 0 { " UNION ALL " } else { "" });
        writer.push(if is_each_cut {
            "(SELECT s.* FROM ("
        } else {
            ""
        });
        writer.push(&format!("SELECT d.rid AS rid, d.{} AS k0", rows.column));
        writer.keys(query, 1, "d");
        writer.push(&format!(" FROM {name} d WHERE "));
        writer.paths("d.path", &[path]);
        let span = span.map(|span| Test::equal("span", span));
        writer.tests(
            &[rows.tests.clone(), span.into_iter().collect()].concat(),
            "d",
        );
        writer.bound(page, key, &format!("d.{}", rows.column));
        writer.in_time("d.rid");
        if !rows.is_single {
            writer.is_first(key, rows);
        }
        for condition in conditions(query) {
            writer.push(" AND ");
            writer.hold(condition, &scope);
        }
        if is_each_cut {
            writer.push(") s");
            writer.end(query, page, true);
            writer.push(")");
        }
    }
    Sorted {
        first: writer.wrapped(query, page),
        // The place where the page begins lies in the walk: all that has no value is still to come.
        rest: Some(collected(
            query,
            dialect,
            &SortedPage {
                after: None,
                limit: page.limit,
            },
            Some(rows),
        )),
    }
}

fn walked_by_time(query: &Query, dialect: Dialect, page: &SortedPage, key: &SortKey) -> Statement {
    let mut writer = Writer::new(dialect);
    // PostgreSQL thinks that a join by three columns finds one row, and would make all of them to sort it.
    let (walked, from, is_current) = match dialect {
        Dialect::Sqlite => (
            "w",
            "versions w CROSS JOIN resources d",
            "d.type = w.type AND d.id = w.id AND d.head = w.key",
        ),
        Dialect::Postgres => (
            "d",
            "versions d",
            "d.key = (SELECT r.head FROM resources r WHERE r.type = d.type AND r.id = d.id)",
        ),
    };
    writer.push(&format!("SELECT d.rid AS rid, {walked}.at AS k0"));
    writer.keys(query, 1, "d");
    writer.push(&format!(" FROM {from} WHERE {walked}.type = "));
    writer.bind(Bind::Text(query.resource_type.clone().into()));
    writer.push(&format!(" AND {walked}.change <> 3 AND {is_current}"));
    writer.bound(page, key, &format!("{walked}.at"));
    writer.in_time("d.rid");
    let scope = Scope::of(&query.resource_type);
    for condition in conditions(query) {
        writer.push(" AND ");
        writer.hold(condition, &scope);
    }
    writer.wrapped(query, page)
}

impl Writer {
    /// What was walked, cut at the place where the page begins.
    fn wrapped(mut self, query: &Query, page: &SortedPage) -> Statement {
        let walk = std::mem::take(&mut self.text);
        self.push(&format!("SELECT s.* FROM ({walk}) s"));
        self.end(query, page, true);
        self.finish()
    }

    /// Of many rows of a resource only the first in the order counts.
    fn is_first(&mut self, key: &SortKey, rows: &SortRows) {
        let table = table::ALL.iter().find(|table| table.kind == rows.table);
        let columns = table.map(|table| table.columns).unwrap_or_default();
        let others = columns.iter().filter(|column| **column != rows.column);
        let all: Vec<&str> = [rows.column].into_iter().chain(others.copied()).collect();
        let of = |alias: &str| {
            let columns: Vec<String> = all.iter().map(|name| format!("{alias}.{name}")).collect();
            columns.join(", ")
        };
        let op = if key.is_descending { ">" } else { "<" };
        self.push(" AND NOT EXISTS (SELECT 1 FROM ");
        self.rows_of(rows, "d.rid");
        self.push(&format!(" AND ({}) {op} ({}))", of("k"), of("d")));
    }

    /// A bound for the first key that the index can use; the exact place is decided outside.
    fn bound(&mut self, page: &SortedPage, key: &SortKey, column: &str) {
        let first = page.after.as_ref().and_then(|after| after.keys.first());
        if let Some(Some(value)) = first {
            let op = if key.is_descending { "<=" } else { ">=" };
            self.push(&format!(" AND {column} {op} "));
            self.bind(value.clone());
        }
    }

    /// `, (SELECT ...) AS k1` for each key from the given one on.
    fn keys(&mut self, query: &Query, from: usize, alias: &str) {
        for (number, key) in query.sort.iter().enumerate().skip(from) {
            self.push(", ");
            self.key(key, &query.resource_type, &format!("{alias}.rid"));
            self.push(&format!(" AS k{number}"));
        }
    }

    fn key(&mut self, key: &SortKey, resource_type: &str, rid: &str) {
        match &key.by {
            SortBy::Id => {
                self.push("(SELECT r.id FROM resources r WHERE r.type = ");
                self.bind(Bind::Text(resource_type.into()));
                self.push(&format!(" AND r.rid = {rid})"));
            }
            SortBy::Updated => self.push(&format!(
                "(SELECT v.at FROM versions v WHERE v.rid = {rid} ORDER BY v.version DESC LIMIT 1)"
            )),
            SortBy::Rows(rows) => {
                let first = if key.is_descending { "MAX" } else { "MIN" };
                self.push(&format!("(SELECT {first}(k.{}) FROM ", rows.column));
                self.rows_of(rows, rid);
                self.push(")");
            }
        }
    }

    /// The rows by which a resource is sorted, as `k`.
    fn rows_of(&mut self, rows: &SortRows, rid: &str) {
        let name = table::ALL.iter().find(|table| table.kind == rows.table);
        self.push(name.map_or("", |table| table.name));
        self.push(" k");
        if self.dialect == Dialect::Sqlite {
            self.push(" INDEXED BY ");
            self.push(index_by_resource(rows.table));
        }
        self.push(&format!(" WHERE k.rid = {rid} AND "));
        self.paths("k.path", &rows.paths);
        self.tests(&rows.tests, "k");
    }

    /// Where the page begins, its order and its length. In a walk every row has the first key.
    fn end(&mut self, query: &Query, page: &SortedPage, is_walk: bool) {
        if let Some(after) = &page.after {
            self.push(" WHERE ");
            self.after(&query.sort, 0, after);
        }
        self.push(" ORDER BY ");
        for (number, key) in query.sort.iter().enumerate() {
            let direction = if key.is_descending { " DESC" } else { "" };
            // Said only where it matters: it keeps the databases from using an index.
            let nulls = if is_walk && number == 0 {
                ""
            } else {
                " NULLS LAST"
            };
            self.push(&format!("s.k{number}{direction}{nulls}, "));
        }
        self.push("s.rid LIMIT ? + 0");
        self.binds.push(Bind::Int(page.limit));
    }

    /// Behind the place: by the first key that differs, at last by `rid`. What has no value is behind what has one.
    fn after(&mut self, sort: &[SortKey], number: usize, after: &Position) {
        let Some(key) = sort.get(number) else {
            self.push("s.rid > ");
            return self.bind(Bind::Int(after.rid));
        };
        match after.keys.get(number).cloned().flatten() {
            Some(value) => {
                let op = if key.is_descending { "<" } else { ">" };
                self.push(&format!("(s.k{number} {op} "));
                self.bind(value.clone());
                self.push(&format!(" OR s.k{number} IS NULL OR (s.k{number} = "));
                self.bind(value);
                self.push(" AND ");
                self.after(sort, number + 1, after);
                self.push("))");
            }
            None => {
                self.push(&format!("(s.k{number} IS NULL AND "));
                self.after(sort, number + 1, after);
                self.push(")");
            }
        }
    }
}
