//! One SQL statement with its values: text with a `?` for each, the same for both databases.
//!
//! diesel's query builder costs twice as much per read as the database itself, and `sql_query` prepares anew each time.
//! A hand-written `QueryFragment` is prepared once per connection and cached by its text.

use std::marker::PhantomData;

use diesel::backend::Backend;
use diesel::pg::Pg;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::result::QueryResult;
use diesel::serialize::ToSql;
use diesel::sql_types::{BigInt, Binary, Double, HasSqlType, SmallInt, Text};
use diesel::sqlite::Sqlite;

/// A value for a `?`.
#[derive(Debug, Clone, Copy)]
pub(super) enum Bind<'a> {
    Small(i16),
    Int(i64),
    Real(f64),
    Text(&'a str),
    Bytes(&'a [u8]),
}

/// `Row` is the tuple of SQL types that comes back.
#[derive(Debug)]
pub(super) struct Statement<'a, Row = ()> {
    sql: &'a str,
    binds: &'a [Bind<'a>],
    row: PhantomData<Row>,
}

impl<'a, Row> Statement<'a, Row> {
    pub(super) fn new(sql: &'a str, binds: &'a [Bind<'a>]) -> Self {
        Self {
            sql,
            binds,
            row: PhantomData,
        }
    }

    pub(super) fn sql(&self) -> &'a str {
        self.sql
    }

    pub(super) fn binds(&self) -> &'a [Bind<'a>] {
        self.binds
    }

    fn walk<'b, DB>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()>
    where
        DB: Backend + HasSqlType<SmallInt> + HasSqlType<BigInt> + HasSqlType<Text>,
        DB: HasSqlType<Double>,
        f64: ToSql<Double, DB>,
        DB: HasSqlType<Binary>,
        i16: ToSql<SmallInt, DB>,
        i64: ToSql<BigInt, DB>,
        str: ToSql<Text, DB>,
        [u8]: ToSql<Binary, DB>,
    {
        let mut binds = self.binds.iter();
        for (index, text) in self.sql.split('?').enumerate() {
            if index > 0 {
                match binds.next() {
                    Some(Bind::Small(value)) => out.push_bind_param::<SmallInt, _>(value)?,
                    Some(Bind::Int(value)) => out.push_bind_param::<BigInt, _>(value)?,
                    Some(Bind::Real(value)) => out.push_bind_param::<Double, _>(value)?,
                    Some(Bind::Text(value)) => out.push_bind_param::<Text, str>(value)?,
                    Some(Bind::Bytes(value)) => out.push_bind_param::<Binary, [u8]>(value)?,
                    None => out.push_sql("?"),
                }
            }
            out.push_sql(text);
        }
        Ok(())
    }
}

impl<Row> QueryFragment<Sqlite> for Statement<'_, Row> {
    fn walk_ast<'b>(&'b self, out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        self.walk(out)
    }
}

impl<Row> QueryFragment<Pg> for Statement<'_, Row> {
    fn walk_ast<'b>(&'b self, out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        self.walk(out)
    }
}

impl<Row> QueryId for Statement<'_, Row> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Row> Query for Statement<'_, Row> {
    type SqlType = Row;
}

impl<Row, Connection> diesel::RunQueryDsl<Connection> for Statement<'_, Row> {}
