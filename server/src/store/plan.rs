//! Which paths the index has rows of for all resources, and what is to be done about the others.
//!
//! Parameters come and go: with packages, with versions of Kiln, as SearchParameter resources. All of that is one thing
//! here: the paths that a registry has of a type are held against those that are there. What is missing becomes a job for
//! `jobs::reindex` (or is there at once, when there are no resources of the type); what no parameter has any more is
//! forgotten. The generation counts these changes. It is read by every transaction that writes, and written with
//! each change, so on PostgreSQL no two of them overlap unnoticed: whoever writes rows by an older state is done again.

use std::collections::{BTreeSet, HashMap};

use diesel::sql_types::{BigInt, Binary, SmallInt, Text};
use fhir_spec::json::parse;
use search::Registry;
use search::registry::own::OwnParameter;
use search::registry::unready::{Remake, Unready};

use super::catalogue::Work;
use super::connection::{Connection, Trouble};
use super::error::Error;
use super::statement::{Bind, Statement};
use crate::instant::Instant;
use crate::limits;

const STATE: &str = "SELECT generation, fingerprint FROM search_state";
const ADVANCE: &str = "UPDATE search_state SET generation = ?, fingerprint = ?";
const OWN: &str = "SELECT r.id, v.change, v.body FROM resources r JOIN versions v ON v.key = r.head \
     WHERE r.type = 'SearchParameter' ORDER BY r.rid";
const MAKER: &str = "SELECT maker FROM search_paths LIMIT 1";
const PATHS: &str = "SELECT type, maker, paths FROM search_paths";
const SET_PATHS: &str = "INSERT INTO search_paths (type, maker, paths) VALUES (?, ?, ?) \
     ON CONFLICT (type) DO UPDATE SET maker = excluded.maker, paths = excluded.paths";
const JOBS: &str = "SELECT type, paths, done, total FROM reindex";
const SET_JOB: &str = "INSERT INTO reindex (type, paths, cursor, done, total, repaired, node, until) \
     VALUES (?, ?, 0, 0, ?, 0, '', 0) ON CONFLICT (type) DO UPDATE SET paths = excluded.paths, cursor = 0, \
     done = 0, total = excluded.total";
const LESS_JOB: &str = "UPDATE reindex SET paths = ? WHERE type = ?";
const DROP_JOB: &str = "DELETE FROM reindex WHERE type = ?";
const COUNT: &str = "SELECT count(*) FROM resources WHERE type = ?";
const FORGET: &str =
    "INSERT INTO search_forgotten (path, since) VALUES (?, ?) ON CONFLICT (path) DO NOTHING";
const REMEMBER: &str = "DELETE FROM search_forgotten WHERE path = ?";
const FORGOTTEN: &str = "SELECT path FROM search_forgotten";
const WORK: &str = "SELECT (SELECT count(*) FROM reindex), (SELECT count(*) FROM search_forgotten)";

/// The generation of a registry by which nothing can be written.
pub(super) const NONE: i64 = i64::MAX;

pub(super) type Paths = BTreeSet<i32>;

/// Generation and fingerprint.
pub(super) fn state(connection: &mut Connection) -> Result<(i64, i64), Error> {
    let rows: Vec<(i64, i64)> = connection.rows(Statement::<(BigInt, BigInt)>::new(STATE, &[]))?;
    let state = rows.first().copied().unwrap_or_default();
    connection.sees_generation(state.0);
    Ok(state)
}

/// What users have posted and not deleted.
pub(super) fn own(connection: &mut Connection) -> Result<Vec<OwnParameter>, Error> {
    let rows: Vec<(String, i16, Vec<u8>)> =
        connection.rows(Statement::<(Text, SmallInt, Binary)>::new(OWN, &[]))?;
    let parameters = rows.into_iter().filter_map(|(id, _, body)| {
        // A deletion has no body.
        let resource = parse(&body).ok()?;
        OwnParameter::of(&id, &resource)
    });
    Ok(parameters.collect())
}

/// What this transaction finds resources by, with the definitions of `base`.
pub(super) fn registry(connection: &mut Connection, base: &Registry) -> Result<Registry, Error> {
    let (generation, fingerprint) = state(connection)?;
    if base.generation() == generation {
        return Ok(base.with_unready(unready(connection)?));
    }
    let registry = base.with_own(own(connection)?).of_generation(generation);
    // 0: nobody has said anything yet.
    if generation > 0 && registry.fingerprint() != fingerprint {
        return Err(Error::Disagrees);
    }
    Ok(registry.with_unready(unready(connection)?))
}

/// What can be found on a node whose definitions are not those of the others: only what they keep up. Its generation is
/// none, so that nothing can be written by it.
pub(super) fn disagreeing(connection: &mut Connection, base: &Registry) -> Result<Registry, Error> {
    let registry = base.with_own(own(connection)?).of_generation(NONE);
    let there = there(connection, &registry.maker())?;
    let mut unready = Unready::new();
    for name in registry.definitions().resource_types() {
        let all = registry.of(name).map(|known| known.paths());
        let all = all.unwrap_or_default();
        let paths: Paths = match there.get(name) {
            Some(there) => all.difference(there).copied().collect(),
            None => all,
        };
        if !paths.is_empty() {
            let remake = Remake {
                paths,
                ..Remake::default()
            };
            unready.insert(name.into(), remake);
        }
    }
    Ok(registry.with_unready(unready))
}

/// What is in the making.
fn unready(connection: &mut Connection) -> Result<Unready, Error> {
    let jobs = jobs(connection)?.into_iter();
    let jobs = jobs.filter(|(_, remake)| !remake.paths.is_empty());
    Ok(jobs.collect())
}

fn jobs(connection: &mut Connection) -> Result<Unready, Error> {
    let rows: Vec<(String, String, i64, i64)> =
        connection.rows(Statement::<(Text, Text, BigInt, BigInt)>::new(JOBS, &[]))?;
    let remakes = rows.into_iter().map(|(name, paths, done, total)| {
        let remake = Remake {
            paths: numbers(&paths),
            done: u64::try_from(done).unwrap_or_default(),
            total: u64::try_from(total).unwrap_or_default(),
        };
        (name.into(), remake)
    });
    Ok(remakes.collect())
}

pub(super) fn work(connection: &mut Connection) -> Result<Work, Error> {
    let rows: Vec<(i64, i64)> = connection.rows(Statement::<(BigInt, BigInt)>::new(WORK, &[]))?;
    let (types, forgotten) = rows.first().copied().unwrap_or_default();
    let count = |number: i64| usize::try_from(number).unwrap_or_default();
    Ok(Work {
        types: count(types),
        forgotten: count(forgotten),
    })
}

pub(super) fn forgotten(connection: &mut Connection) -> Result<Paths, Error> {
    let rows: Vec<i64> = connection.rows(Statement::<BigInt>::new(FORGOTTEN, &[]))?;
    Ok(rows
        .into_iter()
        .filter_map(|path| i32::try_from(path).ok())
        .collect())
}

/// The paths of a type of which the index has rows for all resources, and who has made them.
struct There {
    maker: String,
    paths: Paths,
}

fn recorded(connection: &mut Connection) -> Result<HashMap<String, There>, Error> {
    let rows: Vec<(String, String, String)> =
        connection.rows(Statement::<(Text, Text, Text)>::new(PATHS, &[]))?;
    let there = rows.into_iter().map(|(name, maker, paths)| {
        let paths = numbers(&paths);
        (name, There { maker, paths })
    });
    Ok(there.collect())
}

/// The paths of each type that are there, as this maker makes them.
pub(super) fn there(
    connection: &mut Connection,
    maker: &str,
) -> Result<HashMap<String, Paths>, Error> {
    let own = recorded(connection)?.into_iter();
    let own = own.filter(|(_, there)| there.maker == maker);
    Ok(own.map(|(name, there)| (name, there.paths)).collect())
}

/// That these paths of a type are there.
pub(super) fn set_there(
    connection: &mut Connection,
    resource_type: &str,
    maker: &str,
    paths: &Paths,
) -> Result<(), Error> {
    let paths = text(paths);
    let binds = [
        Bind::Text(resource_type),
        Bind::Text(maker),
        Bind::Text(&paths),
    ];
    connection.execute(Statement::new(SET_PATHS, &binds))?;
    Ok(())
}

/// What a store is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opened {
    /// To be served: what its index lacks of these definitions will be made.
    ToServe,
    /// For a command that works beside: definitions other than the server's are refused.
    ToFill,
}

/// A command need not know under which url the server is found: the database says by which its index is made.
pub(super) fn like_server(connection: &mut Connection, base: &Registry) -> Result<Registry, Error> {
    let makers: Vec<String> = connection.rows(Statement::<Text>::new(MAKER, &[]))?;
    let maker = makers.first();
    Ok(maker.map_or_else(|| base.clone(), |maker| base.like(maker)))
}

/// Brings a database and definitions together, when it is opened.
pub(super) fn open(
    connection: &mut Connection,
    base: &Registry,
    opened: Opened,
    now: Instant,
) -> Result<Registry, Error> {
    let likened;
    let base = match opened {
        Opened::ToServe => base,
        Opened::ToFill => {
            likened = like_server(connection, base)?;
            &likened
        }
    };
    connection.begin_read()?;
    let known = registry(connection, base);
    let is_planned = state(connection).map(|(generation, _)| generation > 0);
    connection.rollback()?;
    match (known, is_planned?) {
        (Ok(known), true) => return Ok(known),
        (Err(Error::Disagrees), true) if opened == Opened::ToServe => {}
        (Err(error), _) => return Err(error),
        (Ok(_), false) => {}
    }
    let mut attempts = 1;
    loop {
        let planned = anew(connection, base, now);
        match planned {
            Err(Error::Contended(_)) if attempts < limits::WRITE_ATTEMPTS_MAX => attempts += 1,
            planned => return planned,
        }
    }
}

fn anew(connection: &mut Connection, base: &Registry, now: Instant) -> Result<Registry, Error> {
    connection.begin_alone()?;
    let planned = planned(connection, base, now);
    connection.end_alone()?;
    planned
}

fn planned(connection: &mut Connection, base: &Registry, now: Instant) -> Result<Registry, Error> {
    let done = (|| {
        let (generation, fingerprint) = state(connection)?;
        let own = own(connection)?;
        let known = base.with_own(own).of_generation(generation);
        // Another node may have said so meanwhile.
        let is_said = generation > 0 && known.fingerprint() == fingerprint;
        let known = match is_said {
            true => known,
            false => known.of_generation(generation + 1),
        };
        if !is_said {
            plan(connection, &known, now)?;
        }
        Ok(known.with_unready(unready(connection)?))
    })();
    match done {
        Ok(registry) => match connection.commit() {
            Ok(()) => Ok(registry),
            Err(error) => {
                if !matches!(Trouble::of(&error), Trouble::Contended) {
                    return Err(error.into());
                }
                Err(Error::Contended(error))
            }
        },
        Err(error) => {
            connection.rollback()?;
            Err(error)
        }
    }
}

/// In a database that was filled with the rows of one registry: notes that they are there, and what is lacking.
pub(super) fn fill(
    connection: &mut Connection,
    filled: &Registry,
    now: Instant,
) -> Result<(), Error> {
    let maker = filled.maker();
    for name in filled.definitions().resource_types() {
        if let Some(known) = filled.of(name) {
            set_there(connection, name, &maker, &known.paths())?;
        }
    }
    let (generation, _) = state(connection)?;
    let own = own(connection)?;
    let next = filled.with_own(own).of_generation(generation + 1);
    plan(connection, &next, now)
}

/// Notes what is to be done so that the index has what a registry asks for, and that its generation counts.
pub(super) fn plan(
    connection: &mut Connection,
    registry: &Registry,
    now: Instant,
) -> Result<(), Error> {
    let maker = registry.maker();
    let recorded = recorded(connection)?;
    let jobs = jobs(connection)?;
    let (mut forgotten, mut wanted) = (Paths::new(), Paths::new());
    let nothing = Paths::new();
    for name in registry.definitions().resource_types() {
        let Some(known) = registry.of(name) else {
            continue;
        };
        let all = known.paths();
        let before = recorded.get(name);
        let own = before.filter(|before| before.maker == maker);
        let there = own.map_or(&nothing, |own| &own.paths);
        let job = jobs.get(name);
        let made = job.map_or(&nothing, |job| &job.paths);
        let known_once = before.map_or(&nothing, |before| &before.paths);
        forgotten.extend(known_once.union(made).filter(|path| !all.contains(path)));
        let missing: Paths = all.difference(there).copied().collect();
        wanted.extend(&missing);
        let kept: Paths = there.intersection(&all).copied().collect();
        if missing.is_empty() {
            // A job without paths was asked for by somebody.
            if job.is_some_and(|job| !job.paths.is_empty()) {
                connection.execute(Statement::new(DROP_JOB, &[Bind::Text(name)]))?;
            }
            if own.is_none() || kept != *there {
                set_there(connection, name, &maker, &kept)?;
            }
            continue;
        }
        let count = count(connection, name)?;
        if count == 0 {
            set_there(connection, name, &maker, &all)?;
            connection.execute(Statement::new(DROP_JOB, &[Bind::Text(name)]))?;
            continue;
        }
        set_there(connection, name, &maker, &kept)?;
        let paths = text(&missing);
        let goes_on = own.is_some() && !made.is_empty() && missing.is_subset(made);
        if goes_on {
            let binds = [Bind::Text(&paths), Bind::Text(name)];
            connection.execute(Statement::new(LESS_JOB, &binds))?;
        } else {
            let binds = [Bind::Text(name), Bind::Text(&paths), Bind::Int(count)];
            connection.execute(Statement::new(SET_JOB, &binds))?;
        }
    }
    for path in &forgotten {
        let binds = [Bind::Int(i64::from(*path)), Bind::Int(now.micros())];
        connection.execute(Statement::new(FORGET, &binds))?;
    }
    let again = self::forgotten(connection)?;
    for path in again.intersection(&wanted) {
        connection.execute(Statement::new(REMEMBER, &[Bind::Int(i64::from(*path))]))?;
    }
    let binds = [
        Bind::Int(registry.generation()),
        Bind::Int(registry.fingerprint()),
    ];
    connection.execute(Statement::new(ADVANCE, &binds))?;
    connection.sees_generation(registry.generation());
    Ok(())
}

fn count(connection: &mut Connection, resource_type: &str) -> Result<i64, Error> {
    let binds = [Bind::Text(resource_type)];
    let rows: Vec<i64> = connection.rows(Statement::<BigInt>::new(COUNT, &binds))?;
    Ok(rows.first().copied().unwrap_or_default())
}

pub(super) fn numbers(text: &str) -> Paths {
    let numbers = text.split(',').filter(|number| !number.is_empty());
    numbers.filter_map(|number| number.parse().ok()).collect()
}

pub(super) fn text(paths: &Paths) -> String {
    let numbers: Vec<String> = paths.iter().map(i32::to_string).collect();
    numbers.join(",")
}
