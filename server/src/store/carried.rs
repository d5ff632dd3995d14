//! What goes along with a backup, a restore and a migration beside versions: the rows of tables that stand for themselves.
//! Every table of `migrations` is named here, once; a test fails for one that is not.
//!
//! Rows are carried as they are, whatever columns their table has. Resources have other numbers in another store, so
//! columns that hold such a number are carried as the address of the resource; leases (`node`, `until`) stay behind.

use std::sync::Arc;

use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::pg::{Pg, PgValue};
use diesel::row::{Field, Row};
use diesel::sql_types::{BigInt, Binary, Text};
use diesel::sqlite::{Sqlite, SqliteType, SqliteValue};
use search::condition::Bind as Told;

use super::connection::{Connection, Dialect};
use super::error::Error;
use super::row::{Several, Tells};
use super::statement::{Bind, Statement};
use super::view::View;
use crate::auth::Action;

/// Whether the rows of a table go along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// As they are. In these columns are numbers of resources (`rid`).
    Carried(&'static [&'static str]),
    /// In a way of their own: versions, and how far followers are.
    Apart,
    /// They are made anew of what is carried.
    Derived,
    /// They are about the nodes that run, or end soon, or are worth something in this database only.
    Left,
}

use Fate::{Apart, Carried as Goes, Derived, Left};

/// Every table, in the order in which the rows of those that go along are carried.
pub const TABLES: &[(&str, Fate)] = &[
    ("versions", Apart),
    ("resources", Apart),
    ("followers", Apart),
    ("search_token", Derived),
    ("search_string", Derived),
    ("search_reference", Derived),
    ("search_date", Derived),
    ("search_number", Derived),
    ("search_uri", Derived),
    ("search_composite", Derived),
    ("search_position", Derived),
    ("search_state", Derived),
    ("search_paths", Derived),
    ("search_forgotten", Derived),
    ("reindex", Derived),
    // Of links of pages, which lead nowhere in another store.
    ("sealing_keys", Left),
    ("long_searches", Left),
    // Sealed by the key of those links: another store makes its own, and clients ask for them again.
    ("signing_keys", Left),
    ("message_worker", Left),
    ("leases", Left),
    // Wrapped: without the master key they open nothing.
    ("seals", Goes(&[])),
    ("imports", Goes(&[])),
    ("arrangements", Goes(&[])),
    ("messages", Goes(&[])),
    ("message_keys", Goes(&[])),
    ("message_bodies", Goes(&[])),
    ("message_results", Goes(&[])),
    ("outgoing", Goes(&[])),
    ("outgoing_places", Goes(&[])),
    ("polls", Goes(&[])),
    ("api_keys", Goes(&[])),
    ("clients", Goes(&[])),
    ("access_tokens", Goes(&[])),
    ("people", Goes(&[])),
    ("sessions", Left),
    ("grants", Goes(&[])),
    ("vouchers", Goes(&[])),
    ("launches", Left),
    // Until they end, they must not count again in the other store either.
    ("assertions", Goes(&[])),
    // The ends of chains go with what they are the ends of.
    ("audit_events", Goes(&[])),
    ("chain_heads", Goes(&[])),
    ("authors", Goes(&["rid"])),
    ("snapshots", Goes(&["rid"])),
    ("targets", Goes(&["rid"])),
    ("events", Goes(&["target"])),
];

/// A value of a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Null,
    Int(i64),
    Real(f64),
    Text(String),
    Bytes(Vec<u8>),
}

/// A table that goes along, with the columns that it has where it comes from.
#[derive(Debug, PartialEq, Eq)]
pub struct Table {
    pub name: &'static str,
    pub columns: Vec<String>,
}

/// A row of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Carried {
    pub table: Arc<Table>,
    pub values: Vec<Value>,
}

const COLUMNS_SQLITE: &str = "SELECT name FROM pragma_table_info(?) ORDER BY cid";
const COLUMNS_POSTGRES: &str = "SELECT column_name::text FROM information_schema.columns \
     WHERE table_schema = current_schema() AND table_name = ? ORDER BY ordinal_position";
/// PostgreSQL gives the next numbers behind those that were carried.
const IDENTITIES: &str = "SELECT column_name::text FROM information_schema.columns \
     WHERE table_schema = current_schema() AND table_name = ? AND is_identity = 'YES'";

impl Table {
    /// None: no such table goes along, or such a column cannot be.
    pub fn new(name: &str, columns: Vec<String>) -> Option<Self> {
        let (name, _) = carried().find(|(table, _)| *table == name)?;
        let is_plain = |column: &String| {
            column
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b == b'_' || b.is_ascii_digit())
        };
        columns
            .iter()
            .all(is_plain)
            .then_some(Self { name, columns })
    }

    fn resources(&self) -> &'static [&'static str] {
        let found = carried().find(|(name, _)| *name == self.name);
        found.map_or(&[], |(_, resources)| resources)
    }

    fn select(&self) -> String {
        let resources = self.resources();
        let column = |column: &String| match column.as_str() {
            "node" => "''".to_owned(),
            "until" => "0".to_owned(),
            // The number of a resource is the key of its first version.
            rid if resources.contains(&rid) => {
                format!("(SELECT v.type || '/' || v.id FROM versions v WHERE v.key = t.\"{rid}\")")
            }
            other => format!("t.\"{other}\""),
        };
        let columns: Vec<String> = self.columns.iter().map(column).collect();
        format!("SELECT {} FROM {} t", columns.join(", "), self.name)
    }
}

impl Carried {
    /// Roughly, what it takes in memory.
    pub fn bytes(&self) -> usize {
        let of = |value: &Value| match value {
            Value::Null | Value::Int(_) | Value::Real(_) => size_of::<Value>(),
            Value::Text(text) => text.len(),
            Value::Bytes(bytes) => bytes.len(),
        };
        self.values.iter().map(of).sum()
    }
}

fn carried() -> impl Iterator<Item = (&'static str, &'static [&'static str])> {
    TABLES.iter().filter_map(|(name, fate)| match fate {
        Goes(resources) => Some((*name, *resources)),
        Apart | Derived | Left => None,
    })
}

fn columns(connection: &mut Connection, table: &str) -> Result<Vec<String>, Error> {
    let sql = match connection.dialect() {
        Dialect::Sqlite => COLUMNS_SQLITE,
        Dialect::Postgres => COLUMNS_POSTGRES,
    };
    let binds = [Bind::Text(table)];
    Ok(connection.rows(Statement::<Text>::new(sql, &binds))?)
}

struct Values(Vec<Value>);

impl View<'_> {
    /// Every row that goes along, table by table.
    pub fn each_carried<E: From<Error>>(
        &mut self,
        mut take: impl FnMut(Carried) -> Result<(), E>,
    ) -> Result<(), E> {
        self.demand(&[Action::Maintain])?;
        for (name, _) in carried() {
            let columns = columns(self.connection, name)?;
            let table = Arc::new(Table { name, columns });
            let sql = table.select();
            let statement = Statement::<Several>::new(&sql, &[]);
            self.connection.each(statement, |Values(values)| {
                let table = Arc::clone(&table);
                take(Carried { table, values })
            })?;
        }
        Ok(())
    }
}

/// What a server that has only been started leaves behind gives way.
const GIVES_WAY: &[&str] = &["polls", "seals"];

/// Whether nothing that goes along was ever stored.
pub(super) fn is_empty(connection: &mut Connection) -> Result<bool, Error> {
    for name in GIVES_WAY {
        connection.batch(&format!("DELETE FROM {name}"))?;
    }
    for (name, _) in carried() {
        let sql = format!("SELECT CAST(1 AS BIGINT) FROM {name} LIMIT 1");
        let found: Vec<i64> = connection.rows(Statement::<BigInt>::new(&sql, &[]))?;
        if !found.is_empty() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Into a store that is being filled; its resources are there already.
pub(super) fn insert(connection: &mut Connection, carried: &Carried) -> Result<(), Error> {
    const RID: &str = "(SELECT rid FROM resources WHERE type = ? AND id = ?)";
    let resources = carried.table.resources();
    let (mut columns, mut marks, mut binds) = (Vec::new(), Vec::new(), Vec::new());
    for (column, value) in carried.table.columns.iter().zip(&carried.values) {
        let bind = match value {
            // As it is left out.
            Value::Null => continue,
            Value::Int(number) => Bind::Int(*number),
            Value::Real(number) => Bind::Real(*number),
            Value::Text(text) => Bind::Text(text),
            Value::Bytes(bytes) => Bind::Bytes(bytes),
        };
        columns.push(format!("\"{column}\""));
        match bind {
            Bind::Text(address) if resources.contains(&column.as_str()) => {
                let (kind, id) = address.split_once('/').unwrap_or((address, ""));
                marks.push(RID);
                binds.extend([Bind::Text(kind), Bind::Text(id)]);
            }
            bind => {
                marks.push("?");
                binds.push(bind);
            }
        }
    }
    // Numbers are those that they had.
    let over = match connection.dialect() {
        Dialect::Postgres => "OVERRIDING SYSTEM VALUE ",
        Dialect::Sqlite => "",
    };
    let (columns, marks) = (columns.join(", "), marks.join(", "));
    let table = carried.table.name;
    let sql = format!("INSERT INTO {table} ({columns}) {over}VALUES ({marks})");
    connection.execute(Statement::new(&sql, &binds))?;
    Ok(())
}

/// All is there: what is written next is counted on.
pub(super) fn end(connection: &mut Connection) -> Result<(), Error> {
    if connection.dialect() == Dialect::Sqlite {
        return Ok(());
    }
    for (table, _) in carried() {
        let binds = [Bind::Text(table)];
        let identities: Vec<String> =
            connection.rows(Statement::<Text>::new(IDENTITIES, &binds))?;
        for column in identities {
            connection.batch(&format!(
                "SELECT setval(pg_get_serial_sequence('{table}', '{column}'), \
                 coalesce((SELECT max({column}) FROM {table}), 0) + 1, false)"
            ))?;
        }
    }
    Ok(())
}

/// Both databases read it alike, each in its own types.
macro_rules! values_from {
    ($($database:ty, $is_bytes:expr;)+) => {$(
        impl FromSqlRow<Several, $database> for Values {
            fn build_from_row<'a>(row: &impl Row<'a, $database>) -> deserialize::Result<Self> {
                let value = |index| {
                    let field = row.get(index).ok_or("a column is missing")?;
                    let Some(value) = field.value() else {
                        return Ok(Value::Null);
                    };
                    if $is_bytes(&value) {
                        return Ok(Value::Bytes(FromSql::<Binary, $database>::from_sql(value)?));
                    }
                    Ok(match <$database as Tells>::tell(value)? {
                        Told::Int(number) => Value::Int(number),
                        Told::Real(number) => Value::Real(number),
                        Told::Text(text) => Value::Text(text),
                    })
                };
                let values = (0..row.field_count()).map(value);
                Ok(Self(values.collect::<deserialize::Result<_>>()?))
            }
        }
    )+};
}

const BYTEA: u32 = 17;

values_from! {
    Sqlite, |value: &SqliteValue<'_, '_, '_>| value.value_type() == Some(SqliteType::Binary);
    Pg, |value: &PgValue<'_>| value.get_oid().get() == BYTEA;
}
