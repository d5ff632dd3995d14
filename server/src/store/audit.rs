//! The rows as they are, for whoever checks whether they agree: nothing here takes anything for granted.

use diesel::sql_types::{BigInt, Binary, Double, SmallInt, Text};
use search::table::{self, TableKind, Value};

use super::connection::{Connection, Dialect};
use super::error::Error;
use super::statement::{Bind, Statement};
use super::view::View;
use crate::auth::Action;

/// A row of `versions`, with what `resources` says of its resource.
#[derive(Debug, Clone)]
pub struct VersionRow {
    pub key: i64,
    pub rid: i64,
    pub resource_type: String,
    pub id: String,
    pub version: i64,
    pub at: i64,
    pub change: i16,
    pub codec: i16,
    pub body: Vec<u8>,
    /// In the order of the feed; 0 in SQLite.
    pub xact: i64,
    /// Which version is the current one; 0 when there is no such resource.
    pub head: i64,
    /// Which resource that is; 0 when there is none.
    pub head_rid: i64,
}

type Columns = (
    BigInt,
    BigInt,
    Text,
    Text,
    BigInt,
    BigInt,
    SmallInt,
    SmallInt,
    Binary,
    BigInt,
    BigInt,
    BigInt,
);

type Values = (
    i64,
    i64,
    String,
    String,
    i64,
    i64,
    i16,
    i16,
    Vec<u8>,
    i64,
    i64,
    i64,
);

/// Heads that lead to no version of their resource.
const ASTRAY: &str = "SELECT r.type, r.id FROM resources r WHERE NOT EXISTS (SELECT 1 FROM versions v \
     WHERE v.key = r.head AND v.rid = r.rid AND v.type = r.type AND v.id = r.id)";

impl View<'_> {
    /// All versions, resource by resource, each in the order of its versions.
    pub fn each_version_row<E: From<Error>>(
        &mut self,
        mut take: impl FnMut(VersionRow) -> Result<(), E>,
    ) -> Result<(), E> {
        self.demand(&[Action::Maintain])?;
        let xact = match self.connection.dialect() {
            Dialect::Sqlite => "0",
            Dialect::Postgres => "v.xact",
        };
        let head = |column: &str| {
            format!(
                "coalesce((SELECT r.{column} FROM resources r WHERE r.type = v.type AND r.id = v.id), 0)"
            )
        };
        let sql = format!(
            "SELECT v.key, v.rid, v.type, v.id, v.version, v.at, v.change, v.codec, v.body, {xact}, {}, {} \
             FROM versions v ORDER BY v.rid, v.version",
            head("head"),
            head("rid")
        );
        self.connection
            .each(Statement::<Columns>::new(&sql, &[]), |row: Values| {
                let (
                    key,
                    rid,
                    resource_type,
                    id,
                    version,
                    at,
                    change,
                    codec,
                    body,
                    xact,
                    head,
                    head_rid,
                ) = row;
                take(VersionRow {
                    key,
                    rid,
                    resource_type,
                    id,
                    version,
                    at,
                    change,
                    codec,
                    body,
                    xact,
                    head,
                    head_rid,
                })
            })
    }

    /// Type and id of resources whose current version is not there.
    pub fn each_head_astray<E: From<Error>>(
        &mut self,
        mut take: impl FnMut(String, String) -> Result<(), E>,
    ) -> Result<(), E> {
        self.demand(&[Action::Maintain])?;
        self.connection.each(
            Statement::<(Text, Text)>::new(ASTRAY, &[]),
            |(name, id): (String, String)| take(name, id),
        )
    }

    /// The rows of an index table: the resource, and the columns in the order of the table.
    pub fn each_index_row<E: From<Error>>(
        &mut self,
        kind: TableKind,
        take: impl FnMut(i64, &[Value<'_>]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.demand(&[Action::Maintain])?;
        each_row(self.connection, kind, ("", &[]), take)
    }
}

/// The rows of an index table of which that holds.
pub(super) fn each_row<E: From<Error>>(
    connection: &mut Connection,
    kind: TableKind,
    (condition, binds): (&str, &[Bind<'_>]),
    mut take: impl FnMut(i64, &[Value<'_>]) -> Result<(), E>,
) -> Result<(), E> {
    let sql = format!("{}{condition}", select(kind));
    /// Reads rows of these types into values of these kinds; `rid` comes last.
    macro_rules! rows {
        ($($name:ident: $sql:ident $rust:ty => $value:expr),+) => {
            connection.each(
                Statement::<($($sql,)+ BigInt)>::new(&sql, binds),
                |($($name,)+ rid): ($($rust,)+ i64)| take(rid, &[$($value),+]),
            )
        };
    }
    use Value::{Int, Real, Text as Word};
    match kind {
        TableKind::Token | TableKind::String => rows!(
            a: BigInt i64 => Int(a), b: Text String => Word(&b), c: BigInt i64 => Int(c)
        ),
        TableKind::Reference => rows!(
            a: BigInt i64 => Int(a), b: Text String => Word(&b), c: BigInt i64 => Int(c),
            d: Text String => Word(&d)
        ),
        TableKind::Date => rows!(
            a: BigInt i64 => Int(a), b: BigInt i64 => Int(b), c: BigInt i64 => Int(c),
            d: BigInt i64 => Int(d)
        ),
        TableKind::Number => rows!(
            a: BigInt i64 => Int(a), b: BigInt i64 => Int(b), c: BigInt i64 => Int(c),
            d: Double f64 => Real(d), e: Double f64 => Real(e)
        ),
        TableKind::Uri => rows!(a: BigInt i64 => Int(a), b: Text String => Word(&b)),
        TableKind::Composite => rows!(
            a: BigInt i64 => Int(a), b: Text String => Word(&b), c: BigInt i64 => Int(c),
            d: Text String => Word(&d), e: BigInt i64 => Int(e), f: Double f64 => Real(f),
            g: Double f64 => Real(g), h: Double f64 => Real(h), i: Double f64 => Real(i)
        ),
        TableKind::Position => rows!(
            a: BigInt i64 => Int(a), b: Double f64 => Real(b), c: Double f64 => Real(c),
            d: Double f64 => Real(d)
        ),
    }
}

/// PostgreSQL keeps some numbers in fewer bytes: all are read alike.
fn select(kind: TableKind) -> String {
    const TEXTS: &[&str] = &["code", "value", "target", "version", "text"];
    const REALS: &[&str] = &["z", "x", "y"];
    let Some(table) = table::ALL.iter().find(|table| table.kind == kind) else {
        return String::new();
    };
    let has_reals = matches!(kind, TableKind::Number | TableKind::Composite);
    let columns: Vec<String> = table
        .columns
        .iter()
        .map(|column| {
            let is_bound = has_reals && (column.starts_with("lo") || column.starts_with("hi"));
            match TEXTS.contains(column) || REALS.contains(column) || is_bound {
                true => (*column).to_owned(),
                false => format!("CAST({column} AS BIGINT)"),
            }
        })
        .collect();
    format!("SELECT {}, rid FROM {}", columns.join(", "), table.name)
}
