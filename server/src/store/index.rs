//! The search index: rows that say by what a current version is found. What they mean is the business of the crate
//! `search`; here they are columns and values.

use std::sync::{Arc, OnceLock};

use fhir_spec::json::{Value as Document, parse};
use search::table::{self, Table, TableKind, Value};
use search::{Registry, Rows, extract};

use super::connection::{Connection, Dialect};
use super::error::Error;
use super::resources::{Found, Rid};
use super::statement::{Bind, Statement};

/// How many rows a statement inserts: as many as fit of the largest, then of the next. Few sizes, so that the database
/// prepares each statement once.
const CHUNKS: [usize; 4] = [64, 16, 4, 1];

/// What the index holds of a version. Made before the door opens, of the version that is current then; inside it counts
/// only if that is still the one.
#[derive(Debug, Clone)]
pub struct Before {
    rid: Rid,
    version: u64,
    rows: Rows,
    /// By what they were made.
    registry: Arc<Registry>,
}

impl Before {
    pub fn of(registry: &Arc<Registry>, found: &Found) -> Result<Self, Error> {
        let rows = match found.is_deleted() {
            true => Rows::default(),
            false => rows(registry, &found.body)?,
        };
        Ok(Self {
            rid: found.rid,
            version: found.version,
            rows,
            registry: Arc::clone(registry),
        })
    }

    /// The same of a version that is there as a document already.
    pub fn of_document(registry: &Arc<Registry>, found: &Found, document: &Document) -> Self {
        Self {
            rid: found.rid,
            version: found.version,
            rows: extract::rows(registry, document).rows,
            registry: Arc::clone(registry),
        }
    }

    pub fn is_of(&self, current: &Found) -> bool {
        self.rid == current.rid && self.version == current.version
    }

    pub fn rows(&self) -> &Rows {
        &self.rows
    }

    pub(super) fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }
}

/// What a stored version is found by.
pub(super) fn rows(registry: &Registry, body: &[u8]) -> Result<Rows, Error> {
    let document = parse(body).map_err(|malformed| Error::Body(malformed.to_string()))?;
    Ok(extract::rows(registry, &document).rows)
}

/// Rows that wait to be written: those of many resources go into one statement.
#[derive(Debug, Default)]
pub(super) struct Pending(Vec<(Rid, Arc<Rows>)>);

impl Pending {
    pub(super) fn insert(&mut self, rid: Rid, rows: &Arc<Rows>) {
        if !rows.is_empty() {
            self.0.push((rid, Arc::clone(rows)));
        }
    }

    /// Writes what waits.
    pub(super) fn flush(&mut self, connection: &mut Connection) -> Result<(), Error> {
        let pending = std::mem::take(&mut self.0);
        for table in table::ALL {
            insert(connection, table, &pending)?;
        }
        Ok(())
    }
}

fn insert(
    connection: &mut Connection,
    table: &Table,
    pending: &[(Rid, Arc<Rows>)],
) -> Result<(), Error> {
    let parts = || pending.iter().flat_map(|(rid, rows)| rows.parts(rid.0));
    let mut rest: usize = parts().map(|(_, rows)| rows.len_of(table.kind)).sum();
    if rest == 0 {
        return Ok(());
    }
    let texts = texts(connection.dialect(), table.kind).ok_or(Error::NoTable(table.name))?;
    let width = table.columns.len() + 1;
    let mut binds = Vec::with_capacity(rest.min(largest()) * width);
    let mut chunk = chunk(rest);
    let mut outcome = Ok(());
    for (rid, rows) in parts() {
        rows.each(table.kind, |values| {
            if outcome.is_err() {
                return;
            }
            binds.extend(values.iter().map(bind));
            binds.push(Bind::Int(rid));
            if binds.len() == chunk * width {
                let sql = texts.insert(chunk);
                outcome = connection.execute(Statement::new(sql, &binds)).map(drop);
                binds.clear();
                rest -= chunk;
                chunk = self::chunk(rest);
            }
        });
        std::mem::replace(&mut outcome, Ok(()))?;
    }
    Ok(())
}

/// Takes the rows of a version out of the index, each by its key.
pub(super) fn remove(connection: &mut Connection, rid: Rid, rows: &Rows) -> Result<(), Error> {
    for (rid, rows) in rows.parts(rid.0) {
        remove_part(connection, rid, rows)?;
    }
    Ok(())
}

fn remove_part(connection: &mut Connection, rid: i64, rows: &Rows) -> Result<(), Error> {
    for table in table::ALL {
        if rows.len_of(table.kind) == 0 {
            continue;
        }
        let texts = texts(connection.dialect(), table.kind).ok_or(Error::NoTable(table.name))?;
        let mut outcome = Ok(());
        rows.each(table.kind, |values| {
            if outcome.is_err() {
                return;
            }
            let mut binds: Vec<Bind<'_>> = values.iter().map(bind).collect();
            binds.push(Bind::Int(rid));
            let sql = &texts.delete;
            outcome = connection.execute(Statement::new(sql, &binds)).map(drop);
        });
        outcome?;
    }
    Ok(())
}

fn bind<'a>(value: &Value<'a>) -> Bind<'a> {
    match *value {
        Value::Int(number) => Bind::Int(number),
        Value::Real(number) => Bind::Real(number),
        Value::Text(text) => Bind::Text(text),
    }
}

fn largest() -> usize {
    CHUNKS.iter().copied().max().unwrap_or(1)
}

fn chunk(rest: usize) -> usize {
    CHUNKS
        .iter()
        .copied()
        .find(|size| *size <= rest)
        .unwrap_or(1)
}

/// The statements of a table, written once.
struct Texts {
    dialect: Dialect,
    kind: TableKind,
    inserts: Vec<(usize, String)>,
    delete: String,
}

fn texts(dialect: Dialect, kind: TableKind) -> Option<&'static Texts> {
    static ALL: OnceLock<Vec<Texts>> = OnceLock::new();
    ALL.get_or_init(|| {
        let both = [Dialect::Sqlite, Dialect::Postgres].into_iter();
        both.flat_map(|dialect| {
            table::ALL
                .iter()
                .map(move |table| Texts::of(dialect, table))
        })
        .collect()
    })
    .iter()
    .find(|texts| texts.dialect == dialect && texts.kind == kind)
}

impl Texts {
    fn of(dialect: Dialect, table: &Table) -> Self {
        let columns = table.columns.join(", ");
        let row = format!("({}?)", "?, ".repeat(table.columns.len()));
        // A row that is there already is fine. For SQLite this also means that the statement cannot fail half-way: it
        // need not copy every page it touches to be able to undo it.
        let (verb, end) = match dialect {
            Dialect::Sqlite => ("INSERT OR IGNORE", ""),
            Dialect::Postgres => ("INSERT", " ON CONFLICT DO NOTHING"),
        };
        let insert = |rows: usize| {
            let rows = vec![row.as_str(); rows].join(", ");
            format!(
                "{verb} INTO {} ({columns}, rid) VALUES {rows}{end}",
                table.name
            )
        };
        let key: String = table
            .columns
            .iter()
            .map(|column| format!("{column} = ? AND "))
            .collect();
        Self {
            dialect,
            kind: table.kind,
            inserts: CHUNKS.iter().map(|size| (*size, insert(*size))).collect(),
            delete: format!("DELETE FROM {} WHERE {key}rid = ?", table.name),
        }
    }

    fn insert(&self, rows: usize) -> &str {
        let known = self.inserts.iter().find(|(size, _)| *size == rows);
        known.map_or("", |(_, sql)| sql)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_name_every_column_once() {
        let uri = texts(Dialect::Sqlite, TableKind::Uri).unwrap();
        assert_eq!(
            uri.insert(4),
            "INSERT OR IGNORE INTO search_uri (path, value, rid) VALUES (?, ?, ?), (?, ?, ?), (?, ?, ?), (?, ?, ?)"
        );
        assert_eq!(
            uri.delete,
            "DELETE FROM search_uri WHERE path = ? AND value = ? AND rid = ?"
        );
        for table in table::ALL {
            let texts = texts(Dialect::Postgres, table.kind).unwrap();
            assert!(CHUNKS.iter().all(|size| !texts.insert(*size).is_empty()));
        }
    }

    #[test]
    fn any_number_of_rows_is_cut_into_the_sizes_there_are() {
        for mut rest in [0, 1, 3, 4, 17, 64, 129, 1000] {
            let mut statements = 0;
            while rest > 0 {
                rest -= chunk(rest);
                statements += 1;
            }
            assert!(statements <= 1000 / 64 + 3 + 3 + 3);
        }
    }
}
