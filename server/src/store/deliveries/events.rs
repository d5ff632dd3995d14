//! What targets are to be told: events, numbered without a gap.

use std::sync::LazyLock;

use diesel::sql_types::{BigInt, Text};

use crate::auth::Action;
use crate::instant::Instant;
use crate::store::error::Error;
use crate::store::feed::Entry;
use crate::store::query::{WIDTHS, in_lists, lists};
use crate::store::resources::{Change, Found, VersionRow, found};
use crate::store::statement::{Bind, Statement};
use crate::store::tx::Tx;
use crate::store::view::View;

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    None,
    Delivered,
    Skipped,
}

/// A change that a target is to be told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub target: i64,
    pub number: i64,
    pub at: Instant,
    pub resource_type: String,
    pub id: String,
    pub version: u64,
    pub change: Change,
    pub fate: Fate,
    pub settled_at: Instant,
}

/// One that is born.
#[derive(Debug, Clone, Copy)]
pub struct NewEvent<'a> {
    pub target: i64,
    pub number: i64,
    pub entry: &'a Entry,
}

type Kinds = (
    BigInt,
    BigInt,
    BigInt,
    Text,
    Text,
    BigInt,
    BigInt,
    BigInt,
    BigInt,
);
type Values = (i64, i64, i64, String, String, i64, i64, i64, i64);

const COLUMNS: &str = "target, number, at, type, id, version, change, fate, settled_at";
/// In chunks: a list of values has nine for each.
const TOGETHER: usize = 64;
static INSERT: LazyLock<Vec<String>> = LazyLock::new(|| {
    lists(
        &format!("INSERT INTO events ({COLUMNS}) VALUES "),
        "(?, ?, ?, ?, ?, ?, ?, 0, 0)",
        "",
    )
});
static BODIES: LazyLock<Vec<String>> = LazyLock::new(|| {
    lists(
        "SELECT rid, version, at, change, codec, body FROM versions WHERE key IN (",
        "?",
        ")",
    )
});
const VERSION: &str =
    "SELECT rid, version, at, change, codec, body FROM versions WHERE rid = ? AND version = ?";
const SETTLE: &str = "UPDATE events SET fate = ?, settled_at = ? WHERE target = ? AND number > ? AND number <= ? AND fate = 0";

impl Fate {
    pub fn number(self) -> i64 {
        match self {
            Self::None => 0,
            Self::Delivered => 1,
            Self::Skipped => 2,
        }
    }

    fn of_number(number: i64) -> Self {
        match number {
            1 => Self::Delivered,
            2 => Self::Skipped,
            _ => Self::None,
        }
    }
}

fn event(values: Values) -> Result<Event, Error> {
    let (target, number, at, resource_type, id, version, change, fate, settled_at) = values;
    Ok(Event {
        target,
        number,
        at: Instant::from_micros(at),
        resource_type,
        id,
        version: u64::try_from(version).map_err(|_| Error::Version(version))?,
        change: Change::from_number(i16::try_from(change).unwrap_or_default()),
        fate: Fate::of_number(fate),
        settled_at: Instant::from_micros(settled_at),
    })
}

impl View<'_> {
    /// What followers read: versions by their places in the feed, in no order.
    pub fn versions_at(&mut self, keys: &[i64]) -> Result<Vec<Found>, Error> {
        self.demand(&[Action::Follow])?;
        let mut all = Vec::with_capacity(keys.len());
        let keys: Vec<Bind<'_>> = keys.iter().copied().map(Bind::Int).collect();
        let done = in_lists(&BODIES, &keys, Bind::Int(-1), &[], |sql, binds| {
            let rows: Vec<(i64, i64, i64, i16, i16, Vec<u8>)> = self
                .connection
                .rows(Statement::<VersionRow>::new(sql, binds))?;
            for row in rows {
                all.push(found(row)?);
            }
            Ok(())
        });
        self.noted(done)?;
        Ok(all)
    }

    /// A version of the resource of that number.
    pub fn version_of(&mut self, rid: i64, version: u64) -> Result<Option<Found>, Error> {
        self.demand(&[Action::Follow])?;
        let binds = [
            Bind::Int(rid),
            Bind::Int(i64::try_from(version).unwrap_or(i64::MAX)),
        ];
        let done = self
            .connection
            .rows(Statement::<VersionRow>::new(VERSION, &binds));
        let rows: Vec<(i64, i64, i64, i16, i16, Vec<u8>)> =
            self.noted(done.map_err(Error::from))?;
        let done = rows.into_iter().next().map(found).transpose();
        self.noted(done)
    }

    /// Events of a target behind a number, at most so many.
    pub fn events_after(
        &mut self,
        target: i64,
        number: i64,
        most: usize,
    ) -> Result<Vec<Event>, Error> {
        self.events_where(
            "target = ? AND number > ? ORDER BY number LIMIT ? + 0",
            &[
                Bind::Int(target),
                Bind::Int(number),
                Bind::Int(i64::try_from(most).unwrap_or(i64::MAX)),
            ],
        )
    }

    /// Events of a target from a number down, at most so many.
    pub fn events_before(
        &mut self,
        target: i64,
        number: i64,
        most: usize,
    ) -> Result<Vec<Event>, Error> {
        self.events_where(
            "target = ? AND number < ? ORDER BY number DESC LIMIT ? + 0",
            &[
                Bind::Int(target),
                Bind::Int(number),
                Bind::Int(i64::try_from(most).unwrap_or(i64::MAX)),
            ],
        )
    }

    fn events_where(&mut self, condition: &str, binds: &[Bind<'_>]) -> Result<Vec<Event>, Error> {
        self.demand(&[Action::Deliver])?;
        let sql = format!("SELECT {COLUMNS} FROM events WHERE {condition}");
        let done = self.connection.rows(Statement::<Kinds>::new(&sql, binds));
        let rows: Vec<Values> = self.noted(done.map_err(Error::from))?;
        let events: Result<Vec<Event>, Error> = rows.into_iter().map(event).collect();
        self.noted(events)
    }
}

impl Tx<'_> {
    /// Events are born.
    pub fn bear_events(&mut self, events: &[NewEvent<'_>]) -> Result<(), Error> {
        self.demand(&[Action::Follow])?;
        self.writes();
        let mut rest = events;
        while !rest.is_empty() {
            let mut fitting = WIDTHS.iter().zip(&*INSERT).rev();
            let fits = |(width, _): &(&usize, &String)| **width <= rest.len().min(TOGETHER);
            let Some((width, sql)) = fitting.find(fits) else {
                break;
            };
            let (chunk, after) = rest.split_at(*width);
            let binds: Vec<Bind<'_>> = chunk.iter().flat_map(NewEvent::binds).collect();
            let done = self.connection.execute(Statement::new(sql, &binds));
            self.noted(done.map_err(Error::from))?;
            rest = after;
        }
        Ok(())
    }

    /// What became of events of a target, behind one number up to another.
    pub fn settle_events(
        &mut self,
        target: i64,
        (behind, up_to): (i64, i64),
        fate: Fate,
        now: Instant,
    ) -> Result<(), Error> {
        self.demand(&[Action::Deliver])?;
        self.writes();
        let binds = [
            Bind::Int(fate.number()),
            Bind::Int(now.micros()),
            Bind::Int(target),
            Bind::Int(behind),
            Bind::Int(up_to),
        ];
        let done = self.connection.execute(Statement::new(SETTLE, &binds));
        self.noted(done.map_err(Error::from)).map(|_| ())
    }
}

impl NewEvent<'_> {
    fn binds(&self) -> [Bind<'_>; 7] {
        let entry = self.entry;
        [
            Bind::Int(self.target),
            Bind::Int(self.number),
            Bind::Int(entry.at),
            Bind::Text(&entry.resource_type),
            Bind::Text(&entry.id),
            Bind::Int(i64::try_from(entry.version).unwrap_or(i64::MAX)),
            Bind::Int(i64::from(entry.change.number())),
        ]
    }
}
