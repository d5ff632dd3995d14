//! Going through the resources of a type to make the rows that the index lacks, some in each transaction.
//!
//! How far that is stands in the database and moves on in the transactions that write the rows: a server that was killed
//! goes on exactly there, on whichever node. Who is at it holds a lease, which each of these transactions renews.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use diesel::sql_types::{BigInt, Binary, SmallInt, Text};
use search::table::{self, Value};
use search::{Registry, Rows, contained};

use super::audit::each_row;
use super::connection::Connection;
use super::error::Error;
use super::index;
use super::plan::{self, Paths};
use super::resources::{Change, Rid};
use super::statement::{Bind, Statement};
use super::tx::Tx;
use super::view::View;
use crate::auth::Action;
use crate::instant::Instant;
use crate::limits;

/// Resources whose rows are read with one statement.
const TOGETHER: usize = 64;

const SELECT: &str = "SELECT type, paths, cursor, done, total, repaired, node, until FROM reindex ORDER BY total, type";
const TAKE: &str = "UPDATE reindex SET node = ?, until = ? WHERE type = ?";
const ASK: &str = "INSERT INTO reindex (type, paths, cursor, done, total, repaired, node, until) \
     SELECT ?, '', 0, 0, count(*), 0, '', 0 FROM resources WHERE type = ? ON CONFLICT (type) DO NOTHING";
const NEXT: &str = "SELECT r.rid, CAST(length(v.body) AS BIGINT) FROM resources r JOIN versions v ON v.key = r.head \
     WHERE r.type = ? AND r.rid > ? ORDER BY r.rid LIMIT ? + 0";
const HEADS: &str = "SELECT r.rid, v.change, v.body FROM resources r JOIN versions v ON v.key = r.head \
     WHERE r.type = ? AND r.rid > ? AND r.rid <= ? ORDER BY r.rid";
const ADVANCE: &str =
    "UPDATE reindex SET cursor = ?, done = ?, repaired = ?, node = ?, until = ? WHERE type = ?";
const FINISH: &str = "DELETE FROM reindex WHERE type = ?";
const OLDEST: &str = "SELECT path FROM search_forgotten WHERE since < ? ORDER BY path LIMIT 1";
const GONE: &str = "DELETE FROM search_forgotten WHERE path = ?";

/// A type whose resources are being gone through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remaking {
    pub resource_type: String,
    /// Whose rows are made; empty: all are looked at again.
    paths: Paths,
    cursor: i64,
    pub done: u64,
    /// That there were when it began.
    pub total: u64,
    /// Rows that were put in or taken out.
    pub repaired: u64,
    node: String,
    until: Instant,
    pub is_finished: bool,
}

/// Who does it, and until when the others leave it alone.
#[derive(Debug, Clone)]
pub struct Lease {
    pub node: String,
    pub now: Instant,
    pub until: Instant,
}

type Row = (Text, Text, BigInt, BigInt, BigInt, BigInt, Text, BigInt);
type Columns = (String, String, i64, i64, i64, i64, String, i64);

impl View<'_> {
    /// The types whose resources are to be gone through.
    pub fn remakings(&mut self) -> Result<Vec<Remaking>, Error> {
        self.demand(&[Action::Maintain])?;
        let all = remakings(self.connection);
        self.noted(all)
    }
}

fn remakings(connection: &mut Connection) -> Result<Vec<Remaking>, Error> {
    let rows: Vec<Columns> = connection.rows(Statement::<Row>::new(SELECT, &[]))?;
    let natural = |number: i64| u64::try_from(number).unwrap_or_default();
    let remaking = |row: Columns| {
        let (resource_type, paths, cursor, done, total, repaired, node, until) = row;
        Remaking {
            resource_type,
            paths: plan::numbers(&paths),
            cursor,
            done: natural(done),
            total: natural(total),
            repaired: natural(repaired),
            node,
            until: Instant::from_micros(until),
            is_finished: false,
        }
    };
    Ok(rows.into_iter().map(remaking).collect())
}

impl Remaking {
    fn is_free_for(&self, lease: &Lease) -> bool {
        self.node == lease.node || self.until < lease.now
    }
}

impl Tx<'_> {
    /// Asks for all resources of a type to be gone through, whatever the index has of them.
    pub fn ask_reindex(&mut self, resource_type: &str) -> Result<(), Error> {
        let binds = [Bind::Text(resource_type), Bind::Text(resource_type)];
        self.change(ASK, &binds)
    }

    /// Takes one of these types (or of all) that is nobody's, the smallest first.
    pub fn take_reindex(
        &mut self,
        only: &[String],
        lease: &Lease,
    ) -> Result<Option<Remaking>, Error> {
        let all = self.remakings()?;
        let is_wanted = |job: &Remaking| only.is_empty() || only.contains(&job.resource_type);
        let free = all
            .into_iter()
            .find(|job| is_wanted(job) && job.is_free_for(lease));
        if let Some(job) = &free {
            let binds = [
                Bind::Text(&lease.node),
                Bind::Int(lease.until.micros()),
                Bind::Text(&job.resource_type),
            ];
            self.change(TAKE, &binds)?;
        }
        Ok(free)
    }

    /// Makes the rows of the next resources of a type. None: somebody else has taken it, or nothing is left to do.
    pub fn go_on(
        &mut self,
        resource_type: &str,
        base: &Arc<Registry>,
        lease: &Lease,
        resources_max: u32,
    ) -> Result<Option<Remaking>, Error> {
        let all = self.remakings()?;
        let own = all
            .into_iter()
            .find(|job| job.resource_type == resource_type);
        let Some(mut job) = own.filter(|job| job.is_free_for(lease)) else {
            return Ok(None);
        };
        let registry = self.newer(base)?.unwrap_or_else(|| Arc::clone(base));
        let heads = heads(self.connection, &job, resources_max);
        let (heads, is_last) = self.noted(heads)?;
        for heads in heads.chunks(TOGETHER) {
            job.repaired += self.make(&job, heads, &registry)?;
        }
        job.done += u64::try_from(heads.len()).unwrap_or_default();
        job.is_finished = is_last;
        if let Some(last) = heads.last() {
            job.cursor = last.rid;
        }
        if job.is_finished {
            let done = finish(self.connection, &job, &registry);
            self.noted(done)?;
        } else {
            let number = |number: u64| Bind::Int(i64::try_from(number).unwrap_or(i64::MAX));
            let binds = [
                Bind::Int(job.cursor),
                number(job.done),
                number(job.repaired),
                Bind::Text(&lease.node),
                Bind::Int(lease.until.micros()),
                Bind::Text(&job.resource_type),
            ];
            self.change(ADVANCE, &binds)?;
        }
        Ok(Some(job))
    }

    /// Puts in what these resources lack at the paths that are made, and takes out what they have too much.
    fn make(&mut self, job: &Remaking, heads: &[Head], registry: &Registry) -> Result<u64, Error> {
        let known = registry.of(&job.resource_type).map(|known| known.paths());
        // Where nothing is known of what is there, everything is looked at.
        let is_whole = job.paths.is_empty() || known.is_some_and(|known| known == job.paths);
        let counts = |path: i32| is_whole || job.paths.contains(&path);
        let has_contained = known_contained(registry, job).is_some_and(counts);
        let there = there(self.connection, heads, has_contained);
        let mut there = self.noted(there)?;
        let mut repaired = 0;
        for head in heads {
            let mut wanted = match head.is_deleted {
                true => Rows::default(),
                false => match index::rows(registry, &head.body) {
                    Ok(rows) => rows,
                    Err(error) => {
                        tracing::error!(error = %error, rid = head.rid, "a resource cannot be indexed");
                        Rows::default()
                    }
                },
            };
            let mut has = there.remove(&head.rid).unwrap_or_default();
            has.keep(counts);
            has.settle();
            has.contained.iter_mut().for_each(Rows::settle);
            wanted.keep(counts);
            if !has_contained {
                wanted.contained.clear();
            }
            let (gone, come) = Rows::difference(has, wanted);
            repaired += gone.len() + come.len();
            let done = index::remove(self.connection, Rid(head.rid), &gone);
            self.noted(done)?;
            self.add_rows(Rid(head.rid), come);
        }
        Ok(u64::try_from(repaired).unwrap_or_default())
    }

    /// Takes out rows of paths that were forgotten before then, some at a time. Whether there may be more.
    pub fn sweep(&mut self, before: Instant, resources_max: u32) -> Result<bool, Error> {
        self.demand(&[Action::Maintain])?;
        self.writes();
        let done = sweep(self.connection, before, resources_max);
        self.noted(done)
    }

    fn change(&mut self, sql: &str, binds: &[Bind<'_>]) -> Result<(), Error> {
        self.demand(&[Action::Maintain])?;
        self.writes();
        let done = self.connection.execute(Statement::new(sql, binds));
        self.noted(done.map(drop).map_err(Error::from))
    }
}

/// The current version of a resource.
struct Head {
    rid: i64,
    is_deleted: bool,
    body: Vec<u8>,
}

/// The next resources, as many as fit, and whether these are the last.
fn heads(
    connection: &mut Connection,
    job: &Remaking,
    resources_max: u32,
) -> Result<(Vec<Head>, bool), Error> {
    let (of_type, after) = (Bind::Text(&job.resource_type), Bind::Int(job.cursor));
    let binds = [of_type, after, Bind::Int(i64::from(resources_max))];
    let next: Vec<(i64, i64)> =
        connection.rows(Statement::<(BigInt, BigInt)>::new(NEXT, &binds))?;
    let (mut last, mut bytes, mut count) = (job.cursor, 0, 0_usize);
    for (rid, length) in &next {
        if count > 0 && bytes + length > limits::REINDEX_BYTES_MAX {
            break;
        }
        (last, bytes, count) = (*rid, bytes + length, count + 1);
    }
    let wanted = usize::try_from(resources_max).unwrap_or(usize::MAX);
    let is_last = count == next.len() && count < wanted;
    let binds = [of_type, after, Bind::Int(last)];
    let rows: Vec<(i64, i16, Vec<u8>)> =
        connection.rows(Statement::<(BigInt, SmallInt, Binary)>::new(HEADS, &binds))?;
    let head = |(rid, change, body)| Head {
        rid,
        is_deleted: change == Change::Deleted.number(),
        body,
    };
    Ok((rows.into_iter().map(head).collect(), is_last))
}

/// The path that stands for the rows of what the resources contain.
fn known_contained(registry: &Registry, job: &Remaking) -> Option<i32> {
    registry.of(&job.resource_type)?.contained()
}

/// What the index holds of some resources, and of what they contain.
fn there(
    connection: &mut Connection,
    heads: &[Head],
    has_contained: bool,
) -> Result<BTreeMap<i64, Rows>, Error> {
    let mut there: BTreeMap<i64, Rows> = BTreeMap::new();
    // Always as many, so that the database prepares one statement; no resource has this number.
    let mut binds = vec![Bind::Int(-1); TOGETHER];
    for (bind, head) in binds.iter_mut().zip(heads) {
        *bind = Bind::Int(head.rid);
    }
    let condition = format!(" WHERE rid IN ({}?)", "?, ".repeat(TOGETHER - 1));
    for table in table::ALL {
        each_row(
            connection,
            table.kind,
            (&condition, &binds),
            |rid, values| {
                there.entry(rid).or_default().push(table.kind, values);
                Ok::<(), Error>(())
            },
        )?;
    }
    if has_contained {
        contained_there(connection, heads, &mut there)?;
    }
    Ok(there)
}

/// The rows of what these resources contain: those between the numbers that it can have.
fn contained_there(
    connection: &mut Connection,
    heads: &[Head],
    there: &mut BTreeMap<i64, Rows>,
) -> Result<(), Error> {
    let mut binds = vec![Bind::Int(-1); TOGETHER * 2];
    let ranges = heads.iter().filter_map(|head| {
        let first = contained::number(head.rid, 0)?;
        Some([first, contained::last(head.rid)?])
    });
    for (bind, number) in binds.iter_mut().zip(ranges.flatten()) {
        *bind = Bind::Int(number);
    }
    let others = " OR rid BETWEEN ? AND ?".repeat(TOGETHER - 1);
    let condition = format!(" WHERE rid BETWEEN ? AND ?{others}");
    for table in table::ALL {
        each_row(
            connection,
            table.kind,
            (&condition, &binds),
            |number, values| {
                if let Some((rid, place)) = contained::container(number) {
                    let rows = there.entry(rid).or_default();
                    rows.push_contained(place, table.kind, values);
                }
                Ok::<(), Error>(())
            },
        )?;
    }
    Ok(())
}

/// All resources were seen: from here on the rows are there.
fn finish(connection: &mut Connection, job: &Remaking, registry: &Registry) -> Result<(), Error> {
    if !job.paths.is_empty() {
        let maker = registry.maker();
        let mut there = plan::there(connection, &maker)?;
        let mut paths = there.remove(&job.resource_type).unwrap_or_default();
        paths.extend(&job.paths);
        plan::set_there(connection, &job.resource_type, &maker, &paths)?;
    }
    connection.execute(Statement::new(FINISH, &[Bind::Text(&job.resource_type)]))?;
    Ok(())
}

fn sweep(connection: &mut Connection, before: Instant, resources_max: u32) -> Result<bool, Error> {
    let binds = [Bind::Int(before.micros())];
    let oldest: Vec<i64> = connection.rows(Statement::<BigInt>::new(OLDEST, &binds))?;
    let Some(path) = oldest.first().copied() else {
        return Ok(false);
    };
    let binds = [
        Bind::Int(path),
        Bind::Int(path),
        Bind::Int(i64::from(resources_max)),
    ];
    for table in table::ALL {
        let name = table.name;
        let sql = format!(
            "DELETE FROM {name} WHERE path = ? AND rid IN (SELECT rid FROM {name} WHERE path = ? LIMIT ? + 0)"
        );
        if connection.execute(Statement::new(&sql, &binds))? > 0 {
            return Ok(true);
        }
    }
    connection.execute(Statement::new(GONE, &[Bind::Int(path)]))?;
    Ok(true)
}

/// What an index is made by, and which of its rows count.
#[derive(Debug, Clone)]
pub struct Made {
    pub registry: Registry,
    /// Paths in the making, and forgotten ones: their rows say nothing.
    unsettled: BTreeSet<i32>,
    /// Nor do those of contained resources.
    is_making_contained: bool,
}

impl View<'_> {
    /// The same definitions with what users have posted into this store, whatever its index is made by.
    pub fn own_registry(&mut self, base: &Registry) -> Result<Registry, Error> {
        self.demand(&[Action::Maintain])?;
        let own = plan::own(self.connection);
        Ok(base.with_own(self.noted(own)?))
    }

    /// By what the index of this store is made, with these definitions.
    pub fn made(&mut self, base: &Registry) -> Result<Made, Error> {
        self.demand(&[Action::Maintain])?;
        let connection = &mut *self.connection;
        let looked = plan::like_server(connection, base)
            .and_then(|base| plan::registry(connection, &base))
            .and_then(|registry| Ok((registry, plan::forgotten(connection)?)));
        let (registry, mut unsettled) = self.noted(looked)?;
        let making = registry.unready().values().flat_map(|remake| &remake.paths);
        unsettled.extend(making);
        let types = registry.unready().keys();
        let mut contained = types.filter_map(|name| registry.of(name)?.contained());
        let is_making_contained = contained.any(|path| unsettled.contains(&path));
        Ok(Made {
            registry,
            unsettled,
            is_making_contained,
        })
    }
}

impl Made {
    /// Whether a row of the index counts; its path comes first.
    pub fn counts(&self, rid: i64, values: &[Value<'_>]) -> bool {
        if self.is_making_contained && contained::container(rid).is_some() {
            return false;
        }
        match values.first() {
            Some(Value::Int(path)) => {
                !i32::try_from(*path).is_ok_and(|path| self.unsettled.contains(&path))
            }
            _ => true,
        }
    }
}
