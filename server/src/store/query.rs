//! Searches: the SQL comes from the crate `search`, here it is run.

use std::borrow::Cow;
use std::sync::LazyLock;

use diesel::sql_types::{BigInt, Binary, Nullable, SmallInt, Text};
use search::condition;
use search::query::{Answered, Query};
use search::sql::{self, Page, Position, Sorted, SortedPage};

use super::connection::{Connection, Dialect};
use super::error::Error;
use super::resources;
use super::row::{Hit, Referring, Several};
use super::statement::{Bind, Statement};
use super::view::View;
use super::watch::{Watch, Watched};
use crate::auth::Action;

/// The key of a resource's first version is the resource's own number.
const SELECT_ID: &str = "SELECT id FROM versions WHERE key = ?";

/// Bodies up to this come many at a time; of larger ones nobody knows beforehand how many fit into memory.
const SMALL_BYTES_MAX: usize = 64 * 1024;
const LARGE_BODY: &str = "SELECT v.body FROM resources r JOIN versions v ON v.key = r.head WHERE r.type = ? AND r.rid = ?";

/// Types that have, or had, resources: a step for each of them, whatever they have.
const TYPES: &str = "WITH RECURSIVE t(type) AS (SELECT min(type) FROM resources UNION ALL \
     SELECT (SELECT min(r.type) FROM resources r WHERE r.type > t.type) FROM t WHERE t.type IS NOT NULL) \
     SELECT type FROM t WHERE type IS NOT NULL";

/// How many values a list of a statement takes. Shorter lists are filled up with a value that nothing has, so that there
/// are few statements to prepare.
pub(super) const WIDTHS: &[usize] = &[1, 8, 64, 512];

/// A statement for each width.
#[derive(Debug)]
struct Lists {
    sqlite: Vec<String>,
    postgres: Vec<String>,
}

static BODIES_BY_RID: LazyLock<Lists> = LazyLock::new(|| bodies_by("rid"));
static BODIES_BY_ID: LazyLock<Lists> = LazyLock::new(|| bodies_by("id"));
static REFERENCES: LazyLock<Lists> = LazyLock::new(|| {
    let before = "SELECT rid, path, target, type, version FROM search_reference WHERE rid IN (";
    Lists {
        sqlite: lists(before, "?", ")"),
        postgres: lists(before, "?", ")"),
    }
});

/// What contains something, by its number alone: its first version tells its type and id.
static CONTAINERS: LazyLock<Lists> = LazyLock::new(|| {
    let columns = format!(
        "SELECT r.rid, r.type, r.id, v.change, v.codec, CASE WHEN length(v.body) <= {SMALL_BYTES_MAX} THEN v.body END FROM "
    );
    let sqlite = ") w CROSS JOIN versions f ON f.key = w.column1 \
         CROSS JOIN resources r ON r.type = f.type AND r.id = f.id CROSS JOIN versions v ON v.key = r.head";
    let postgres = "versions f JOIN resources r ON r.type = f.type AND r.id = f.id \
         JOIN versions v ON v.key = r.head WHERE f.key IN (";
    Lists {
        sqlite: lists(&format!("{columns}(VALUES "), "(?)", sqlite),
        postgres: lists(&format!("{columns}{postgres}"), "?", ")"),
    }
});

/// SQLite is told to go through the list, and by which index: it thinks that a type has ten resources, and would look at
/// all of them.
fn bodies_by(column: &str) -> Lists {
    let columns = format!(
        "SELECT r.rid, r.id, v.change, v.codec, CASE WHEN length(v.body) <= {SMALL_BYTES_MAX} THEN v.body END FROM "
    );
    let index = match column {
        "rid" => "INDEXED BY resources_of_type",
        _ => "",
    };
    let sqlite = format!(
        ") w CROSS JOIN resources r {index} ON r.type = ? AND r.{column} = w.column1 \
         CROSS JOIN versions v ON v.key = r.head"
    );
    Lists {
        sqlite: lists(&format!("{columns}(VALUES "), "(?)", &sqlite),
        postgres: lists(
            &format!(
                "{columns}resources r JOIN versions v ON v.key = r.head WHERE r.{column} IN ("
            ),
            "?",
            ") AND r.type = ?",
        ),
    }
}

pub(super) fn lists(before: &str, value: &str, after: &str) -> Vec<String> {
    let texts = WIDTHS.iter();
    let others = format!(", {value}");
    texts
        .map(|width| format!("{before}{value}{}{after}", others.repeat(width - 1)))
        .collect()
}

/// The current version of a resource, as a search hands it on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    pub rid: i64,
    pub id: String,
    /// Its stored text, which nobody parses. None: it is a large one, which comes by itself ([`View::large_body`]).
    pub text: Option<Vec<u8>>,
}

/// A resource that contains others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    pub resource_type: String,
    pub body: Body,
}

impl View<'_> {
    /// From here on it is noted what statements do.
    pub fn watch(&mut self) {
        self.connection.watch = Some(Watch::default());
    }

    /// What the statements from here on are for.
    pub fn step(&mut self, step: &'static str) {
        if let Some(watch) = &mut self.connection.watch {
            watch.step(step);
        }
    }

    /// What statements did since `watch`.
    pub fn watched(&mut self) -> Vec<Watched> {
        let watch = self.connection.watch.take();
        watch.map(Watch::into_watched).unwrap_or_default()
    }

    /// Asks how much the conditions of a query find, so that the search begins with the best of them.
    pub fn measure(&mut self, resource_type: &'static str, query: &mut Query) -> Result<(), Error> {
        self.demand(&[Action::Search(resource_type)])?;
        let dialect = dialect(self.connection);
        for measure in sql::measures(query, dialect) {
            let done = number(self.connection, &measure.statement);
            query.measured(measure.criterion, self.noted(done)?);
        }
        Ok(())
    }

    /// The resources of a page, in the order that the query asks for.
    pub fn hits(
        &mut self,
        resource_type: &'static str,
        query: &Query,
        page: &SortedPage,
    ) -> Result<Vec<Position>, Error> {
        self.demand(&[Action::Search(resource_type), Action::Include])?;
        let query = self.fenced(resource_type, query)?;
        let Sorted { first, rest } = sql::sorted(&query, dialect(self.connection), page);
        let done = positions(self.connection, &first);
        let mut hits = self.noted(done)?;
        let length = usize::try_from(page.limit).unwrap_or_default();
        if let Some(rest) = rest.filter(|_| hits.len() < length) {
            let done = positions(self.connection, &rest);
            hits.extend(self.noted(done)?);
            hits.truncate(length);
        }
        Ok(hits)
    }

    /// The number of the resource that so many others come behind, where nothing else is said about their order.
    pub fn hit_from_end(
        &mut self,
        resource_type: &'static str,
        query: &Query,
        behind: i64,
    ) -> Result<Option<i64>, Error> {
        self.demand(&[Action::Search(resource_type)])?;
        let query = self.fenced(resource_type, query)?;
        let statement = sql::select_from_end(&query, dialect(self.connection), behind);
        let done = numbers(self.connection, &statement);
        Ok(self.noted(done)?.first().copied())
    }

    /// How many resources a query finds; counted no further than `hits_max`.
    pub fn hits_count(
        &mut self,
        resource_type: &'static str,
        query: &Query,
        hits_max: Option<i64>,
    ) -> Result<i64, Error> {
        self.demand(&[Action::Search(resource_type)])?;
        let query = self.fenced(resource_type, query)?;
        let dialect = dialect(self.connection);
        let statement = match hits_max {
            None => sql::count(&query, dialect),
            Some(hits_max) => sql::count_up_to(&query, dialect, hits_max),
        };
        let make = |connection: &mut Connection| number(connection, &statement);
        // Who wants to know what a count costs sees it made.
        let kept = self.counts.filter(|_| self.connection.watch.is_none());
        let done = match kept {
            Some(counts) => counts.of(self.connection, &query, &statement, make),
            // What a transaction that writes sees may never have happened.
            None => make(self.connection),
        };
        self.noted(done)
    }

    /// The current versions of resources of a type, in no order; what was deleted is left out.
    pub fn bodies(
        &mut self,
        action: Action,
        resource_type: &'static str,
        rids: &[i64],
    ) -> Result<Vec<Body>, Error> {
        self.demand(&[action])?;
        let rids: Vec<Bind<'_>> = rids.iter().map(|rid| Bind::Int(*rid)).collect();
        let bodies = self.bodies_of(&BODIES_BY_RID, resource_type, &rids, NO_RID)?;
        self.along(action, resource_type, bodies)
    }

    /// The same by their ids.
    pub fn bodies_by_id(
        &mut self,
        action: Action,
        resource_type: &'static str,
        ids: &[&str],
    ) -> Result<Vec<Body>, Error> {
        self.demand(&[action])?;
        let ids: Vec<Bind<'_>> = ids.iter().map(|id| Bind::Text(id)).collect();
        let bodies = self.bodies_of(&BODIES_BY_ID, resource_type, &ids, NO_ID)?;
        self.along(action, resource_type, bodies)
    }

    /// Of what was not searched for itself, what may be seen.
    fn along(
        &mut self,
        action: Action,
        resource_type: &'static str,
        mut bodies: Vec<Body>,
    ) -> Result<Vec<Body>, Error> {
        if self.permit.rights().is_some() && !matches!(action, Action::Search(_)) {
            let rids = bodies.iter().map(|body| body.rid).collect();
            let seen = self.seen_among(resource_type, rids);
            if let Some(seen) = self.noted(seen)? {
                bodies.retain(|body| seen.contains(&body.rid));
            }
        }
        Ok(bodies)
    }

    fn bodies_of(
        &mut self,
        lists: &Lists,
        resource_type: &str,
        values: &[Bind<'_>],
        nothing: Bind<'_>,
    ) -> Result<Vec<Body>, Error> {
        let mut bodies = Vec::with_capacity(values.len());
        let texts = lists.of(self.connection);
        let after = [Bind::Text(resource_type)];
        let done = in_lists(texts, values, nothing, &after, |sql, binds| {
            type BodyRow = (BigInt, Text, SmallInt, SmallInt, Nullable<Binary>);
            type BodyValues = (i64, String, i16, i16, Option<Vec<u8>>);
            let rows: Vec<BodyValues> = self
                .connection
                .rows(Statement::<BodyRow>::new(sql, binds))?;
            for (rid, id, change, codec, text) in rows {
                if !resources::is_deleted(change, codec)? {
                    bodies.push(Body { rid, id, text });
                }
            }
            Ok(())
        });
        self.noted(done)?;
        Ok(bodies)
    }

    /// How many contained resources a query finds, or how many contain them. It is not known from before: whatever is
    /// written may contain some.
    pub fn contained_count(
        &mut self,
        resource_type: &'static str,
        query: &Query,
        answered: Answered,
    ) -> Result<i64, Error> {
        self.demand(&[Action::Search(resource_type)])?;
        self.demand_all()?;
        let dialect = dialect(self.connection);
        let statement = match answered {
            Answered::Container => sql::count_containers(query, dialect),
            Answered::Contained => sql::count(query, dialect),
        };
        let done = number(self.connection, &statement);
        self.noted(done)
    }

    /// The current versions of resources of whatever type.
    pub fn containers(&mut self, action: Action, rids: &[i64]) -> Result<Vec<Container>, Error> {
        self.demand(&[action])?;
        self.demand_all()?;
        let rids: Vec<Bind<'_>> = rids.iter().map(|rid| Bind::Int(*rid)).collect();
        let mut containers = Vec::with_capacity(rids.len());
        let texts = CONTAINERS.of(self.connection);
        let done = in_lists(texts, &rids, NO_RID, &[], |sql, binds| {
            type ContainerRow = (BigInt, Text, Text, SmallInt, SmallInt, Nullable<Binary>);
            type Values = (i64, String, String, i16, i16, Option<Vec<u8>>);
            let statement = Statement::<ContainerRow>::new(sql, binds);
            let rows: Vec<Values> = self.connection.rows(statement)?;
            for (rid, resource_type, id, change, codec, text) in rows {
                if !resources::is_deleted(change, codec)? {
                    containers.push(Container {
                        resource_type,
                        body: Body { rid, id, text },
                    });
                }
            }
            Ok(())
        });
        self.noted(done)?;
        Ok(containers)
    }

    /// The text of one that was too large to come with the others.
    pub fn large_body(
        &mut self,
        action: Action,
        resource_type: &'static str,
        rid: i64,
    ) -> Result<Vec<u8>, Error> {
        self.demand(&[action])?;
        let binds = [Bind::Text(resource_type), Bind::Int(rid)];
        let statement = Statement::<Binary>::new(LARGE_BODY, &binds);
        let done = self.connection.rows(statement).map_err(Error::from);
        let found: Vec<Vec<u8>> = self.noted(done)?;
        Ok(found.into_iter().next().unwrap_or_default())
    }

    /// What these resources refer to.
    pub fn references(&mut self, action: Action, rids: &[i64]) -> Result<Vec<Referring>, Error> {
        self.demand(&[action])?;
        let rids: Vec<Bind<'_>> = rids.iter().map(|rid| Bind::Int(*rid)).collect();
        let mut references = Vec::new();
        let texts = REFERENCES.of(self.connection);
        let done = in_lists(texts, &rids, NO_RID, &[], |sql, binds| {
            let rows: Vec<Referring> = self
                .connection
                .rows(Statement::<Several>::new(sql, binds))?;
            references.extend(rows);
            Ok(())
        });
        self.noted(done)?;
        Ok(references)
    }

    /// The types of which there are resources, or were.
    pub fn types_present(&mut self, action: Action) -> Result<Vec<String>, Error> {
        self.demand(&[action])?;
        let done = self.connection.rows(Statement::<Text>::new(TYPES, &[]));
        let mut types: Vec<String> = self.noted(done.map_err(Error::from))?;
        types.retain(|name| self.has_seen_type(name));
        Ok(types)
    }
}

/// What no resource has.
const NO_RID: Bind<'static> = Bind::Int(-1);
const NO_ID: Bind<'static> = Bind::Text("");

impl Lists {
    fn of(&self, connection: &Connection) -> &[String] {
        match connection.dialect() {
            Dialect::Sqlite => &self.sqlite,
            Dialect::Postgres => &self.postgres,
        }
    }
}

/// Runs a statement over a list of values, some at a time.
pub(super) fn in_lists(
    texts: &[String],
    values: &[Bind<'_>],
    nothing: Bind<'_>,
    after: &[Bind<'_>],
    mut run: impl FnMut(&str, &[Bind<'_>]) -> Result<(), Error>,
) -> Result<(), Error> {
    let widest = WIDTHS.last().copied().unwrap_or(1);
    for some in values.chunks(widest) {
        let mut fitting = WIDTHS.iter().zip(texts);
        let Some((width, text)) = fitting.find(|(width, _)| **width >= some.len()) else {
            continue;
        };
        let mut binds = Vec::with_capacity(width + after.len());
        binds.extend_from_slice(some);
        binds.resize(*width, nothing);
        binds.extend_from_slice(after);
        run(text, &binds)?;
    }
    Ok(())
}

/// The ids of resources that a query finds, at most so many, in the order in which they came to be.
pub(super) fn ids(
    connection: &mut Connection,
    query: &Query,
    ids_max: u32,
) -> Result<Vec<String>, Error> {
    let page = Page {
        after: None,
        limit: i64::from(ids_max),
    };
    let statement = sql::select(query, dialect(connection), page);
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

/// Under watch every resource that comes along is counted, not one in sixteen.
fn text<'s>(connection: &Connection, statement: &'s sql::Statement) -> Cow<'s, str> {
    match connection.watch {
        Some(_) => Cow::Owned(statement.counting()),
        None => Cow::Borrowed(&statement.text),
    }
}

fn number(connection: &mut Connection, statement: &sql::Statement) -> Result<i64, Error> {
    let found = numbers(connection, statement)?;
    Ok(found.first().copied().unwrap_or_default())
}

fn numbers(connection: &mut Connection, statement: &sql::Statement) -> Result<Vec<i64>, Error> {
    let binds: Vec<Bind<'_>> = statement.binds.iter().map(bind).collect();
    let text = text(connection, statement);
    Ok(connection.rows(Statement::<BigInt>::new(&text, &binds))?)
}

pub(super) fn positions(
    connection: &mut Connection,
    statement: &sql::Statement,
) -> Result<Vec<Position>, Error> {
    let binds: Vec<Bind<'_>> = statement.binds.iter().map(bind).collect();
    let text = text(connection, statement);
    let found: Vec<Hit> = connection.rows(Statement::<Several>::new(&text, &binds))?;
    Ok(found.into_iter().map(|hit| hit.0).collect())
}

pub(super) fn dialect(connection: &Connection) -> sql::Dialect {
    match connection.dialect() {
        Dialect::Sqlite => sql::Dialect::Sqlite,
        Dialect::Postgres => sql::Dialect::Postgres,
    }
}

pub(super) fn bind(value: &condition::Bind) -> Bind<'_> {
    match value {
        condition::Bind::Int(number) => Bind::Int(*number),
        condition::Bind::Real(number) => Bind::Real(*number),
        condition::Bind::Text(text) => Bind::Text(text),
    }
}
