//! Messages found: by what they are about, by who sent them, by what became of them.

use diesel::backend::Backend;
use diesel::deserialize::{self, FromSqlRow};
use diesel::pg::Pg;
use diesel::row::Row;
use diesel::sql_types::{BigInt, Binary, SmallInt, Text};
use diesel::sqlite::Sqlite;
use interop::host::{Effect, Touched};
use interop::route::Facts;
use search::condition::Bind as Told;

use super::settle::BETWEEN_ANSWERS;
use super::{Direction, ORDER, PATIENT, Packed, Stage, Status, VISIT};
use crate::auth::{Action, Permit};
use crate::instant::Instant;
use crate::store::connection::Connection;
use crate::store::error::Error;
use crate::store::row::{self, Several, Tells};
use crate::store::statement::{Bind, Statement};
use crate::store::view::View;
use crate::store::{Engine, Store, attempts};

const COLUMNS: &str = "SELECT number, id, direction, route, application, facility, receiver, control_id, type, event, structure, \
     version, event_time, received_at, settled_at, stage, status, code, reason, reused, attempts, size, file FROM messages";
const EARLIER: &str = "SELECT number, id, status FROM messages WHERE control_id = ? AND application = ? AND facility = ? \
     AND direction = 1 AND hash = ?";
const REUSED: &str = "SELECT number FROM messages WHERE control_id = ? AND application = ? AND facility = ? AND direction = 1 \
     AND status NOT IN (4, 6) LIMIT 1";
const BODY: &str = "SELECT codec, body FROM message_bodies WHERE number = ?";
const RESULT: &str = "SELECT answer, touched, codec, report FROM message_results WHERE number = ?";

/// A message of the same sender with the same control id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Earlier {
    /// There is none.
    None,
    /// This very message, and what was answered.
    Same {
        number: i64,
        id: String,
        status: Status,
        answers: Vec<String>,
    },
    /// One that says something else, and was accepted.
    Other,
}

/// What is looked for; what is None or empty does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    pub control_id: Option<String>,
    /// A type, or a type and an event.
    pub kind: Option<(String, Option<String>)>,
    pub patient: Option<String>,
    pub visit: Option<String>,
    pub order: Option<String>,
    /// An application, or an application and a facility.
    pub sender: Option<(String, Option<String>)>,
    pub route: Option<String>,
    pub direction: Option<Direction>,
    pub statuses: Vec<Status>,
    pub since: Option<Instant>,
    pub until: Option<Instant>,
    /// Only those that were kept before this one.
    pub before: Option<i64>,
}

/// A message as a list shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    pub number: i64,
    pub id: String,
    pub direction: Direction,
    pub route: String,
    /// Without patients, visits and orders.
    pub facts: Facts,
    pub received_at: Instant,
    pub settled_at: Instant,
    pub stage: Stage,
    pub status: Status,
    pub code: String,
    pub reason: String,
    pub reused: bool,
    pub attempts: i64,
    pub size: i64,
    /// The file that it came in; empty: it came by itself.
    pub file: String,
}

/// All that is known of one.
#[derive(Debug, Clone)]
pub struct Whole {
    pub listed: Listed,
    pub raw: Vec<u8>,
    pub answers: Vec<String>,
    pub touched: Vec<Touched>,
    /// The loss report; empty: there is none.
    pub report: Vec<u8>,
}

impl Store {
    /// Whether a message was here before.
    pub async fn earlier_message(
        &self,
        permit: &Permit,
        facts: &Facts,
        hash: [u8; 16],
    ) -> Result<Earlier, Error> {
        if !permit.covers(Action::Messages) {
            return Err(Error::NotPermitted);
        }
        match &*self.engine {
            // On the caller's thread: see `find`.
            Engine::Sqlite { scouts, .. } => attempts::look(scouts, &|connection| {
                // Two statements, one look.
                connection.begin_read()?;
                let found = earlier(connection, facts, hash);
                connection.rollback()?;
                found
            }),
            Engine::Postgres(_) => {
                let facts = Facts {
                    sender_application: facts.sender_application.clone(),
                    sender_facility: facts.sender_facility.clone(),
                    control_id: facts.control_id.clone(),
                    ..Facts::default()
                };
                self.with_reader(move |connection| earlier(connection, &facts, hash))
                    .await
            }
        }
    }
}

fn earlier(connection: &mut Connection, facts: &Facts, hash: [u8; 16]) -> Result<Earlier, Error> {
    let binds = [
        Bind::Text(&facts.control_id),
        Bind::Text(&facts.sender_application),
        Bind::Text(&facts.sender_facility),
        Bind::Bytes(&hash),
    ];
    let rows: Vec<(i64, String, i16)> =
        connection.rows(Statement::<(BigInt, Text, SmallInt)>::new(EARLIER, &binds))?;
    if let Some((number, id, status)) = rows.into_iter().next() {
        let (answers, ..) = result(connection, number)?;
        return Ok(Earlier::Same {
            number,
            id,
            status: Status::of_number(status.into()).unwrap_or(Status::Held),
            answers,
        });
    }
    if facts.control_id.is_empty() {
        return Ok(Earlier::None);
    }
    let binds = binds.get(..3).unwrap_or_default();
    let others: Vec<i64> = connection.rows(Statement::<BigInt>::new(REUSED, binds))?;
    Ok(match others.is_empty() {
        true => Earlier::None,
        false => Earlier::Other,
    })
}

type Result_ = (Vec<String>, Vec<Touched>, Vec<u8>);

fn result(connection: &mut Connection, number: i64) -> Result<Result_, Error> {
    let binds = [Bind::Int(number)];
    let statement = Statement::<(Text, Text, SmallInt, Binary)>::new(RESULT, &binds);
    let rows: Vec<(String, String, i16, Vec<u8>)> = connection.rows(statement)?;
    let Some((answer, touched, codec, report)) = rows.into_iter().next() else {
        return Ok(Result_::default());
    };
    let answers = answer.split(BETWEEN_ANSWERS).map(str::to_owned);
    let answers = answers.filter(|answer| !answer.is_empty()).collect();
    let touched = touched.lines().filter_map(touched_of).collect();
    Ok((answers, touched, Packed::unpacked(codec, report)?))
}

fn touched_of(line: &str) -> Option<Touched> {
    let mut words = line.split(' ');
    Some(Touched {
        resource_type: words.next()?.to_owned(),
        id: words.next()?.to_owned(),
        version: words.next()?.parse().ok()?,
        effect: Effect::named(words.next()?)?,
    })
}

impl View<'_> {
    /// Messages, the newest first.
    pub fn messages(&mut self, filter: &Filter, most: u32) -> Result<Vec<Listed>, Error> {
        self.demand(&[Action::Messages])?;
        let mut sql = COLUMNS.to_owned();
        let mut binds = Vec::new();
        filter.write(&mut sql, &mut binds);
        sql.push_str(" ORDER BY number DESC LIMIT ? + 0");
        binds.push(Bind::Int(most.into()));
        let rows = self
            .connection
            .rows(Statement::<Several>::new(&sql, &binds));
        self.noted(rows.map_err(Error::from))
    }

    pub fn message(&mut self, id: &str) -> Result<Option<Whole>, Error> {
        self.demand(&[Action::Messages])?;
        let sql = format!("{COLUMNS} WHERE id = ?");
        let done = one(self.connection, &sql, Bind::Text(id));
        self.noted(done)
    }

    /// Bytes alone, of a message by its number.
    pub fn message_bytes(&mut self, number: i64) -> Result<Option<Vec<u8>>, Error> {
        self.demand(&[Action::Messages])?;
        let done = body(self.connection, number);
        self.noted(done)
    }
}

fn one(connection: &mut Connection, sql: &str, key: Bind<'_>) -> Result<Option<Whole>, Error> {
    let binds = [key];
    let rows: Vec<Listed> = connection.rows(Statement::<Several>::new(sql, &binds))?;
    let Some(listed) = rows.into_iter().next() else {
        return Ok(None);
    };
    let raw = body(connection, listed.number)?.unwrap_or_default();
    let (answers, touched, report) = result(connection, listed.number)?;
    Ok(Some(Whole {
        listed,
        raw,
        answers,
        touched,
        report,
    }))
}

fn body(connection: &mut Connection, number: i64) -> Result<Option<Vec<u8>>, Error> {
    let binds = [Bind::Int(number)];
    let rows: Vec<(i16, Vec<u8>)> =
        connection.rows(Statement::<(SmallInt, Binary)>::new(BODY, &binds))?;
    let body = rows.into_iter().next();
    body.map(|(codec, bytes)| Packed::unpacked(codec, bytes))
        .transpose()
}

impl Filter {
    /// Adds what is asked for to a statement about `messages`.
    pub(super) fn write<'f>(&'f self, sql: &mut String, binds: &mut Vec<Bind<'f>>) {
        let mut ask = |text: &str, values: &[Bind<'f>]| {
            sql.push_str(if binds.is_empty() { " WHERE " } else { " AND " });
            sql.push_str(text);
            binds.extend_from_slice(values);
        };
        // Something is always asked for, so that what follows may be told apart by the values that are there.
        let direction = self.direction.map(Direction::number);
        ask(
            "number <= ?",
            &[Bind::Int(self.before.map_or(i64::MAX, |before| before - 1))],
        );
        if let Some(direction) = direction {
            let text = match self.direction {
                Some(Direction::Out) => "direction = 2 AND direction = ?",
                _ => "direction = ?",
            };
            ask(text, &[Bind::Small(direction)]);
        }
        let keys = [
            (PATIENT, &self.patient),
            (VISIT, &self.visit),
            (ORDER, &self.order),
        ];
        for (kind, value) in keys {
            if let Some(value) = value {
                ask(
                    "number IN (SELECT k.number FROM message_keys k WHERE k.kind = ? AND k.value = ?)",
                    &[Bind::Small(kind), Bind::Text(value)],
                );
            }
        }
        if let Some(control_id) = &self.control_id {
            ask("control_id = ?", &[Bind::Text(control_id)]);
        }
        if let Some((application, facility)) = &self.sender {
            ask("application = ?", &[Bind::Text(application)]);
            if let Some(facility) = facility {
                ask("facility = ?", &[Bind::Text(facility)]);
            }
        }
        if let Some((kind, event)) = &self.kind {
            ask("type = ?", &[Bind::Text(kind)]);
            if let Some(event) = event {
                ask("event = ?", &[Bind::Text(event)]);
            }
        }
        if let Some(route) = &self.route {
            ask("route = ?", &[Bind::Text(route)]);
        }
        if !self.statuses.is_empty() {
            let marks = vec!["?"; self.statuses.len()].join(", ");
            let numbers: Vec<_> = self.statuses.iter().map(|status| status.number()).collect();
            let numbers: Vec<_> = numbers.into_iter().map(Bind::Small).collect();
            ask(&format!("status IN ({marks})"), &numbers);
        }
        if let Some(since) = self.since {
            ask("received_at >= ?", &[Bind::Int(since.micros())]);
        }
        if let Some(until) = self.until {
            ask("received_at < ?", &[Bind::Int(until.micros())]);
        }
    }
}

impl Listed {
    fn read<'a, DB: Tells>(row: &impl Row<'a, DB>) -> deserialize::Result<Self> {
        let number = |index| match row::value(row, index)? {
            Some(Told::Int(number)) => Ok(number),
            _ => deserialize::Result::Err("a number of a message is missing".into()),
        };
        let text = |index| match row::value(row, index)? {
            Some(Told::Text(text)) => Ok(text.as_str().to_owned()),
            _ => deserialize::Result::Err("a text of a message is missing".into()),
        };
        let receiver = text(6)?;
        let (receiver_application, receiver_facility) =
            receiver.split_once('|').unwrap_or((&receiver, ""));
        let event_time = number(12)?;
        Ok(Self {
            number: number(0)?,
            id: text(1)?,
            direction: Direction::of_number(number(2)?).ok_or("no such direction")?,
            route: text(3)?,
            facts: Facts {
                sender_application: text(4)?,
                sender_facility: text(5)?,
                receiver_application: receiver_application.to_owned(),
                receiver_facility: receiver_facility.to_owned(),
                control_id: text(7)?,
                kind: text(8)?,
                event: text(9)?,
                structure: text(10)?,
                version: text(11)?,
                event_time_us: (event_time != 0).then_some(event_time),
                ..Facts::default()
            },
            received_at: Instant::from_micros(number(13)?),
            settled_at: Instant::from_micros(number(14)?),
            stage: Stage::of_number(number(15)?).ok_or("no such stage")?,
            status: Status::of_number(number(16)?).ok_or("no such status")?,
            code: text(17)?,
            reason: text(18)?,
            reused: number(19)? != 0,
            attempts: number(20)?,
            size: number(21)?,
            file: text(22)?,
        })
    }
}

/// Both databases read it alike.
macro_rules! listed_from {
    ($($database:ty),+) => {$(
        impl FromSqlRow<Several, $database> for Listed {
            fn build_from_row<'a>(row: &impl Row<'a, $database>) -> deserialize::Result<Self>
            where
                $database: Backend,
            {
                Self::read(row)
            }
        }
    )+};
}

listed_from!(Sqlite, Pg);
