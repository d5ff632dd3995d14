//! A SQLite database in memory with the tables of the store, and what a search finds in it.

use std::cmp::Ordering;
use std::sync::{Arc, LazyLock};

use fhir_spec::definitions::Definitions;
use fhir_spec::json::{self, Value};
use rusqlite::functions::FunctionFlags;
use rusqlite::types::Value as Column;
use rusqlite::{Connection, params_from_iter};
use search::condition::{Bind, Test};
use search::matching::{Subject, World};
use search::query::{Handling, Query, Settings, SortBy, SortKey, parse};
use search::sql::{
    Dialect, Page, Position, Sorted, SortedPage, Statement, count, measures, select, sorted,
};
use search::{Registry, Rows, extract, table};

pub(super) static R4: LazyLock<Registry> = LazyLock::new(|| {
    let definitions = Arc::new(Definitions::r4().with_packages(Vec::new()).0);
    Registry::new(definitions).at("https://kiln.example/fhir")
});

/// 2024-06-01
pub(super) const NOW: i64 = 1_717_200_000_000_000;
pub(super) const STRICT: Settings = Settings {
    handling: Handling::Strict,
    now: NOW,
};

pub(super) struct Database {
    connection: Connection,
    /// rid, type, id, time of the last change, rows
    pub resources: Vec<Resource>,
}

pub(super) fn pairs(query: &str) -> Vec<(String, String)> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (name.into(), value.into())
        })
        .collect()
}

impl Database {
    pub(super) fn new() -> Self {
        let connection = Connection::open_in_memory().unwrap();
        let always = FunctionFlags::SQLITE_UTF8;
        connection
            .create_scalar_function(search::sql::IN_TIME, 1, always, |_| Ok(true))
            .unwrap();
        for migration in [
            include_str!("../../../migrations/sqlite/0001_resources/up.sql"),
            include_str!("../../../migrations/sqlite/0002_history/up.sql"),
            include_str!("../../../migrations/sqlite/0003_search/up.sql"),
        ] {
            connection.execute_batch(migration).unwrap();
        }
        Self {
            connection,
            resources: Vec::new(),
        }
    }

    pub(super) fn of(documents: &[&str]) -> Self {
        let mut database = Self::new();
        for document in documents {
            database.add(&json::parse(document.as_bytes()).unwrap());
        }
        database
    }

    /// Adds a resource, changed a second after the one before.
    pub(super) fn add(&mut self, document: &Value) {
        let extracted = extract::rows(&R4, document);
        assert_eq!(extracted.problems, Vec::<String>::new());
        let rid = i64::try_from(self.resources.len()).unwrap() + 1;
        let at = NOW + rid * 1_000_000;
        let name = document.str_of("resourceType").unwrap().to_owned();
        let id = document.str_of("id").unwrap().to_owned();
        let execute = |sql: &str, values: Vec<Column>| {
            let mut statement = self.connection.prepare(sql).unwrap();
            statement.execute(params_from_iter(values)).unwrap();
        };
        // An old version that must not be looked at.
        for (key, version, at) in [(rid * 10, 1, 0), (rid * 10 + 1, 2, at)] {
            execute(
                "INSERT INTO versions VALUES (?, ?, ?, ?, ?, ?, 2, 0, '')",
                vec![
                    key.into(),
                    rid.into(),
                    name.clone().into(),
                    id.clone().into(),
                    version.into(),
                    at.into(),
                ],
            );
        }
        let head = rid * 10 + 1;
        execute(
            "INSERT INTO resources VALUES (?, ?, ?, ?)",
            vec![
                name.clone().into(),
                id.clone().into(),
                rid.into(),
                head.into(),
            ],
        );
        for table in table::ALL {
            let columns = [table.columns, &["rid"]].concat();
            let sql = format!(
                "INSERT INTO {} ({}) VALUES ({})",
                table.name,
                columns.join(", "),
                vec!["?"; columns.len()].join(", ")
            );
            extracted.rows.each(table.kind, |values| {
                let values = values.iter().map(|value| column(*value));
                execute(&sql, values.chain([rid.into()]).collect());
            });
        }
        self.resources.push((rid, name, id, at, extracted.rows));
    }

    pub(super) fn delete(&mut self, rid: i64) {
        let sql = "UPDATE versions SET change = 3 WHERE key = ?";
        self.connection.execute(sql, [rid * 10 + 1]).unwrap();
        for table in table::ALL {
            let sql = format!("DELETE FROM {} WHERE rid = ?", table.name);
            self.connection.execute(&sql, [rid]).unwrap();
        }
        self.resources.retain(|(own, ..)| *own != rid);
    }

    pub(super) fn run(&self, statement: &Statement) -> Vec<i64> {
        let mut prepared = self
            .connection
            .prepare(&statement.text)
            .unwrap_or_else(|error| panic!("{error}: {}", statement.text));
        let values = statement.binds.iter().map(|bind| column(bind.value()));
        let rows = prepared.query_map(params_from_iter(values), |row| row.get(0));
        rows.unwrap().map(Result::unwrap).collect()
    }

    pub(super) fn plan(&self, statement: &Statement) -> String {
        let text = format!("EXPLAIN QUERY PLAN {}", statement.text);
        let mut prepared = self.connection.prepare(&text).unwrap();
        let values = statement.binds.iter().map(|bind| column(bind.value()));
        let rows = prepared.query_map(params_from_iter(values), |row| row.get::<_, String>(3));
        let lines: Vec<String> = rows.unwrap().map(Result::unwrap).collect();
        lines.join("\n")
    }

    /// The ids of what is found, in all ways there are to find it: they must agree.
    pub(super) fn search(&self, resource_type: &str, query: &str) -> Vec<String> {
        let query = parse(&R4, resource_type, &pairs(query), STRICT)
            .unwrap_or_else(|issues| panic!("{query}: {issues:?}"));
        self.found(&query)
    }

    pub(super) fn found(&self, query: &Query) -> Vec<String> {
        let all = Page {
            after: None,
            limit: 10_000,
        };
        let statement = select(query, Dialect::Sqlite, all);
        let rids = self.run(&statement);
        assert_eq!(rids, self.meant(query), "{query:?}\n{}", statement.text);
        let counted = self.run(&count(query, Dialect::Sqlite));
        assert_eq!(counted, [i64::try_from(rids.len()).unwrap()], "{query:?}");
        let mut paged = Vec::new();
        loop {
            let after = paged.last().copied();
            let page = self.run(&select(query, Dialect::Sqlite, Page { after, limit: 3 }));
            paged.extend(&page);
            if page.len() < 3 {
                break;
            }
        }
        assert_eq!(paged, rids, "{query:?}");
        let id = |rid: &i64| self.resources.iter().find(|resource| resource.0 == *rid);
        rids.iter().map(|rid| id(rid).unwrap().2.clone()).collect()
    }

    /// The query, knowing how much its conditions find.
    pub(super) fn measured(&self, query: &Query) -> Query {
        let mut measured = query.clone();
        for measure in measures(query, Dialect::Sqlite) {
            let counted = self.run(&measure.statement);
            measured.measured(measure.criterion, counted[0]);
        }
        measured
    }

    /// The numbers of what is found, in the order that is asked for, page by page.
    pub(super) fn sorted(&self, query: &Query, limit: usize) -> Vec<i64> {
        let mut found: Vec<Position> = Vec::new();
        loop {
            let page = SortedPage {
                after: found.last().cloned(),
                limit: i64::try_from(limit).unwrap(),
            };
            let Sorted { first, rest } = sorted(query, Dialect::Sqlite, &page);
            let mut hits = self.positions(&first);
            if let Some(rest) = rest.filter(|_| hits.len() < limit) {
                hits.extend(self.positions(&rest));
                hits.truncate(limit);
            }
            let is_last = hits.len() < limit;
            found.extend(hits);
            if is_last {
                return found.into_iter().map(|position| position.rid).collect();
            }
        }
    }

    pub(super) fn positions(&self, statement: &Statement) -> Vec<Position> {
        let mut prepared = self
            .connection
            .prepare(&statement.text)
            .unwrap_or_else(|error| panic!("{error}: {}", statement.text));
        let width = prepared.column_count();
        let values = statement.binds.iter().map(|bind| column(bind.value()));
        let rows = prepared.query_map(params_from_iter(values), |row| {
            let keys = (1..width).map(|index| {
                Ok(match row.get(index)? {
                    Column::Integer(number) => Some(Bind::Int(number)),
                    Column::Real(number) => Some(Bind::Real(number)),
                    Column::Text(text) => Some(Bind::Text(text)),
                    _ => None,
                })
            });
            Ok(Position {
                keys: keys.collect::<rusqlite::Result<_>>()?,
                rid: row.get(0)?,
            })
        });
        rows.unwrap().map(Result::unwrap).collect()
    }

    /// The same without the database.
    pub(super) fn meant_in_order(&self, query: &Query) -> Vec<i64> {
        let mut found = self.meant(query);
        found.sort_by(|one, other| {
            let resource = |rid: &i64| self.resources.iter().find(|r| r.0 == *rid).unwrap();
            let (one, other) = (resource(one), resource(other));
            let keys = query.sort.iter().map(|key| compare(key, one, other));
            keys.fold(Ordering::Equal, Ordering::then)
                .then(one.0.cmp(&other.0))
        });
        found
    }

    /// Without the database.
    fn meant(&self, query: &Query) -> Vec<i64> {
        let found = self.resources.iter().filter(|resource| {
            let subject = subject(resource);
            let mut criteria = query.criteria.iter();
            *resource.1 == *query.resource_type
                && criteria.all(|criterion| criterion.condition.holds_for(&subject, self))
        });
        found.map(|(rid, ..)| *rid).collect()
    }
}

type Resource = (i64, String, String, i64, Rows);

fn subject((_, resource_type, id, at, rows): &Resource) -> Subject<'_> {
    Subject {
        resource_type,
        id,
        at: *at,
        rows,
    }
}

/// What has no value is behind what has one.
fn compare(key: &SortKey, one: &Resource, other: &Resource) -> Ordering {
    match (key_of(key, one), key_of(key, other)) {
        (Some(one), Some(other)) if key.is_descending => order(&other, &one),
        (Some(one), Some(other)) => order(&one, &other),
        (one, other) => other.is_some().cmp(&one.is_some()),
    }
}

fn order(one: &Bind, other: &Bind) -> Ordering {
    match (one, other) {
        (Bind::Int(one), Bind::Int(other)) => one.cmp(other),
        (Bind::Real(one), Bind::Real(other)) => one.total_cmp(other),
        (Bind::Text(one), Bind::Text(other)) => one.cmp(other),
        _ => panic!("{one:?} and {other:?}"),
    }
}

fn key_of(key: &SortKey, resource: &Resource) -> Option<Bind> {
    let rows = match &key.by {
        SortBy::Id => return Some(Bind::Text(resource.2.clone())),
        SortBy::Updated => return Some(Bind::Int(resource.3)),
        SortBy::Rows(rows) => rows,
    };
    let table = table::ALL.iter().find(|table| table.kind == rows.table)?;
    let place = |name: &str| {
        table
            .columns
            .iter()
            .position(|column| *column == name)
            .unwrap()
    };
    let mut found: Vec<Bind> = Vec::new();
    resource.4.each(table.kind, |values| {
        let counts = |test: &Test| match test {
            Test::Is(name, _, bind) => values[place(name)] == bind.value(),
            Test::Either(_) | Test::Near { .. } => panic!("no key has such a test"),
        };
        let is_path = |path: &i32| values[0] == table::Value::Int((*path).into());
        if rows.paths.iter().any(is_path) && rows.tests.iter().all(counts) {
            found.push(match values[place(rows.column)] {
                table::Value::Int(number) => Bind::Int(number),
                table::Value::Real(number) => Bind::Real(number),
                table::Value::Text(text) => Bind::Text(text.into()),
            });
        }
    });
    found.sort_by(order);
    if key.is_descending {
        found.pop()
    } else {
        found.into_iter().next()
    }
}

impl World for Database {
    fn find(&self, resource_type: &str, id: &str) -> Option<Subject<'_>> {
        let mut all = self.resources.iter();
        let found = all.find(|resource| resource.1 == resource_type && resource.2 == id);
        found.map(subject)
    }

    fn all(&self, resource_type: &str) -> Vec<Subject<'_>> {
        let all = self.resources.iter();
        let wanted = all.filter(|resource| resource.1 == resource_type);
        wanted.map(subject).collect()
    }
}

fn column(value: table::Value<'_>) -> Column {
    match value {
        table::Value::Int(number) => number.into(),
        table::Value::Real(number) => number.into(),
        table::Value::Text(text) => text.to_owned().into(),
    }
}
