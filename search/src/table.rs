//! The index tables: one for each way to compare. Their columns in order, without `rid`, which the store knows.
//!
//! `path` says which element of which resource type a row is about ([`crate::registry`]); keys begin with what is
//! searched for and go on with `rid`, so that one b-tree both finds resources by value and tells of one resource
//! whether it has the value. The migrations `0003_search` make the tables; a test holds them together.

/// A table of rows `(columns..., rid)`. All columns and `rid` are the primary key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Table {
    pub kind: TableKind,
    pub name: &'static str,
    pub columns: &'static [&'static str],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TableKind {
    Token,
    String,
    Reference,
    Date,
    Number,
    Uri,
    Composite,
    Position,
}

const fn table(kind: TableKind, name: &'static str, columns: &'static [&'static str]) -> Table {
    Table {
        kind,
        name,
        columns,
    }
}

pub const ALL: &[Table] = &[
    table(
        TableKind::Token,
        "search_token",
        &["path", "code", "system"],
    ),
    table(
        TableKind::String,
        "search_string",
        &["path", "value", "exact"],
    ),
    table(
        TableKind::Reference,
        "search_reference",
        &["path", "target", "type", "version"],
    ),
    table(
        TableKind::Date,
        "search_date",
        &["path", "span", "lo", "hi"],
    ),
    table(
        TableKind::Number,
        "search_number",
        &["path", "unit", "span", "lo", "hi"],
    ),
    table(TableKind::Uri, "search_uri", &["path", "value"]),
    table(
        TableKind::Composite,
        "search_composite",
        &[
            "path", "code", "system", "text", "key", "lo", "hi", "lo2", "hi2",
        ],
    ),
    table(
        TableKind::Position,
        "search_position",
        &["path", "z", "x", "y"],
    ),
];

/// A value to bind.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    Int(i64),
    Real(f64),
    Text(&'a str),
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The columns of a table and of its primary key, as a migration makes them.
    fn made(migration: &str, name: &str) -> (Vec<String>, Vec<String>) {
        let start = format!("CREATE TABLE {name} (");
        let (_, rest) = migration.split_once(&start).unwrap();
        let (body, _) = rest.split_once("\n)").unwrap();
        let (columns, key) = body.split_once("PRIMARY KEY (").unwrap();
        let columns = columns
            .lines()
            .filter_map(|line| line.split_whitespace().next());
        let key = key.trim_end_matches(')').split(", ");
        (
            columns.map(str::to_owned).collect(),
            key.map(str::to_owned).collect(),
        )
    }

    #[test]
    fn the_migrations_make_these_tables() {
        for migration in [
            include_str!("../../migrations/sqlite/0003_search/up.sql"),
            include_str!("../../migrations/postgres/0003_search/up.sql"),
        ] {
            for table in ALL {
                let (columns, mut key) = made(migration, table.name);
                let mut wanted = [table.columns, &["rid"]].concat();
                assert_eq!(columns, wanted, "{}", table.name);
                key.sort();
                wanted.sort_unstable();
                assert_eq!(key, wanted, "{}", table.name);
            }
            assert_eq!(migration.matches("CREATE TABLE").count(), ALL.len());
        }
    }

    #[test]
    fn rows_have_a_value_for_each_column() {
        let mut rows = crate::Rows::default();
        let full = r#"{"resourceType": "Location", "name": "x", "status": "active", "position": {"latitude": 1, "longitude": 2},
            "partOf": {"reference": "Location/1"}, "meta": {"profile": ["http://x"]}}"#;
        let definitions = fhir_spec::definitions::Definitions::r4()
            .with_packages(Vec::new())
            .0;
        let registry = crate::Registry::new(std::sync::Arc::new(definitions));
        let document = fhir_spec::json::parse(full.as_bytes()).unwrap();
        rows.clone_from(&crate::extract::rows(&registry, &document).rows);
        let zero = crate::rows::DateRow {
            path: 1,
            span: 0,
            lo: 0,
            hi: 1,
        };
        rows.date.push(zero);
        rows.number.push(crate::rows::NumberRow {
            path: 1,
            unit: 0,
            span: 0,
            lo: 0.0,
            hi: 0.0,
        });
        rows.composite.push(crate::rows::CompositeRow::default());
        for table in ALL {
            let mut count = 0;
            rows.each(table.kind, |values| {
                assert_eq!(values.len(), table.columns.len(), "{}", table.name);
                count += 1;
            });
            assert!(count > 0, "{}", table.name);
            assert_eq!(count, rows.len_of(table.kind));
        }
        let mut again = crate::Rows::default();
        for table in ALL {
            rows.each(table.kind, |values| again.push(table.kind, values));
        }
        assert_eq!(again, rows);
        again.keep(|path| path == 1);
        assert_eq!((again.len(), again.date.len()), (2, 1));
    }
}
