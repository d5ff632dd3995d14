//! Rows whose columns only their statement knows: how many there are, and what they hold.

use diesel::backend::Backend;
use diesel::deserialize::{FromSql, FromSqlRow, Result};
use diesel::pg::{Pg, PgValue};
use diesel::row::{Field, Row};
use diesel::sql_types::{BigInt, Double, Integer, SmallInt, SqlType, Text};
use diesel::sqlite::{Sqlite, SqliteType, SqliteValue};
use search::condition::Bind;
use search::rows::ReferenceRow;
use search::sql::Position;

/// The types named here stand for whatever comes.
#[derive(Debug, SqlType)]
#[diesel(sqlite_type(name = "Binary"))]
#[diesel(postgres_type(oid = 17, array_oid = 1001))]
pub(super) struct Several;

/// `rid` and the values by which the hits are sorted.
pub(super) struct Hit(pub(super) Position);

/// A reference as it stands in the index, and the resource that holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Referring {
    pub rid: i64,
    pub row: ReferenceRow,
}

/// A database whose values say what they are.
pub(super) trait Tells: Backend {
    fn tell(value: Self::RawValue<'_>) -> Result<Bind>;
}

impl Tells for Sqlite {
    fn tell(value: SqliteValue<'_, '_, '_>) -> Result<Bind> {
        Ok(match value.value_type() {
            Some(SqliteType::Text) => Bind::Text(FromSql::<Text, Self>::from_sql(value)?),
            Some(SqliteType::Float | SqliteType::Double) => {
                Bind::Real(FromSql::<Double, Self>::from_sql(value)?)
            }
            _ => Bind::Int(FromSql::<BigInt, Self>::from_sql(value)?),
        })
    }
}

impl Tells for Pg {
    fn tell(value: PgValue<'_>) -> Result<Bind> {
        const INT2: u32 = 21;
        const INT4: u32 = 23;
        const TEXT: u32 = 25;
        const FLOAT8: u32 = 701;
        Ok(match value.get_oid().get() {
            TEXT => Bind::Text(FromSql::<Text, Self>::from_sql(value)?),
            FLOAT8 => Bind::Real(FromSql::<Double, Self>::from_sql(value)?),
            INT2 => {
                let number: i16 = FromSql::<SmallInt, Self>::from_sql(value)?;
                Bind::Int(number.into())
            }
            INT4 => {
                let number: i32 = FromSql::<Integer, Self>::from_sql(value)?;
                Bind::Int(number.into())
            }
            _ => Bind::Int(FromSql::<BigInt, Self>::from_sql(value)?),
        })
    }
}

impl Hit {
    fn read<'a, DB: Tells>(row: &impl Row<'a, DB>) -> Result<Self> {
        let Some(Bind::Int(rid)) = value(row, 0)? else {
            return Err("a hit has a number".into());
        };
        let keys = (1..row.field_count()).map(|index| value(row, index));
        Ok(Self(Position {
            keys: keys.collect::<Result<_>>()?,
            rid,
        }))
    }
}

impl Referring {
    fn read<'a, DB: Tells>(row: &impl Row<'a, DB>) -> Result<Self> {
        let number = |index| match value(row, index)? {
            Some(Bind::Int(number)) => Ok(number),
            _ => Result::Err("a number of a reference is missing".into()),
        };
        let text = |index| match value(row, index)? {
            Some(Bind::Text(text)) => Ok(text.as_str().into()),
            _ => Result::Err("a text of a reference is missing".into()),
        };
        Ok(Self {
            rid: number(0)?,
            row: ReferenceRow {
                path: number(1)?.try_into()?,
                target: text(2)?,
                target_type: number(3)?.try_into()?,
                version: text(4)?,
            },
        })
    }
}

pub(super) fn value<'a, DB: Tells>(row: &impl Row<'a, DB>, index: usize) -> Result<Option<Bind>> {
    let field = row.get(index).ok_or("a column is missing")?;
    field.value().map(DB::tell).transpose()
}

macro_rules! read_from {
    ($($database:ty: $($row:ty),+;)+) => {$($(
        impl FromSqlRow<Several, $database> for $row {
            fn build_from_row<'a>(row: &impl Row<'a, $database>) -> Result<Self> {
                Self::read(row)
            }
        }
    )+)+};
}

read_from! {
    Sqlite: Hit, Referring;
    Pg: Hit, Referring;
}
