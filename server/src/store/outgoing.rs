//! Messages that go out: each destination has its row of them. They stand in `messages` like those that came, and beside
//! that in `outgoing`, where their place is.

use diesel::sql_types::{BigInt, SmallInt, Text};

use super::error::Error;
use super::messages::{Message, Outcome, Packed, Stage, Status};
use super::statement::{Bind, Statement};
use super::tx::Tx;
use super::view::View;
use crate::auth::Action;
use crate::instant::Instant;

const KNOWN: &str = "SELECT m.id, m.status, m.reason, r.answer FROM outgoing o JOIN messages m ON m.number = o.number \
     JOIN message_results r ON r.number = o.number WHERE o.destination = ? AND o.key = ?";
const PLACE: &str = "INSERT INTO outgoing_places (destination, last) VALUES (?, 1) \
     ON CONFLICT (destination) DO UPDATE SET last = outgoing_places.last + 1 RETURNING last";
const INSERT: &str = "INSERT INTO outgoing (number, destination, key, place, waits, attempts, due_at, subjects) \
     VALUES (?, ?, ?, ?, 1, 0, 0, ?)";
const WAITING: &str = "SELECT o.number, o.place, o.attempts, o.due_at, m.status, m.control_id, o.subjects, o.key FROM outgoing o \
     JOIN messages m ON m.number = o.number WHERE o.destination = ? AND o.waits = 1 AND o.place > ? \
     ORDER BY o.place LIMIT ? + 0";
const SETTLE: &str =
    "UPDATE outgoing SET waits = ?, attempts = ?, due_at = ? WHERE number = ? AND waits >= ?";
const SETTLE_MESSAGE: &str = "UPDATE messages SET settled_at = ?, stage = ?, status = ?, code = ?, reason = ?, \
     attempts = attempts + ? WHERE number = ?";
const ANSWER: &str = "UPDATE message_results SET answer = ? WHERE number = ?";
const AGAIN: &str = "UPDATE outgoing SET waits = 1, attempts = 0, due_at = 0 WHERE number = ?";
const AGAIN_MESSAGE: &str =
    "UPDATE messages SET status = ?, settled_at = ?, reason = '', code = '' WHERE number = ?";
const PASSED_ON: &str = "UPDATE messages SET status = CASE WHEN stage = 4 THEN 2 ELSE 8 END, reason = '', settled_at = ? \
     WHERE id = ? AND status IN (4, 7)";
const OF_ID: &str = "SELECT o.number, o.destination FROM outgoing o JOIN messages m ON m.number = o.number WHERE m.id = ?";
const COUNTS: &str = "SELECT o.destination, count(*), sum(CASE WHEN m.status = ? THEN 1 ELSE 0 END) + 0, min(m.received_at) \
     FROM outgoing o JOIN messages m ON m.number = o.number WHERE o.waits = 1 GROUP BY o.destination";

/// A message that is to be sent.
#[derive(Debug, Clone)]
pub struct NewOutgoing {
    pub destination: String,
    /// What it is made of: that is sent once.
    pub key: String,
    pub message: Message,
    /// What did not go out with it.
    pub report: Packed,
    pub touched: Vec<interop::host::Touched>,
    /// Its bytes, where its place is written into them (MSH-13).
    pub numbered: Option<Vec<u8>>,
}

/// A message that waits for its turn, or is set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queued {
    pub number: i64,
    pub place: i64,
    pub attempts: u32,
    pub due_at: Instant,
    pub is_parked: bool,
    pub control_id: String,
    pub subjects: Vec<String>,
    /// What it was made of.
    pub key: String,
}

/// What an attempt led to.
#[derive(Debug, Clone)]
pub struct Sent {
    pub status: Status,
    pub attempts: u32,
    pub due_at: Instant,
    /// Of the answer; empty: there was none.
    pub code: String,
    pub answer: String,
    pub reason: String,
    pub at: Instant,
    /// Whether something was sent.
    pub is_attempt: bool,
}

/// What became of a message so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Followed {
    pub id: String,
    pub status: Status,
    /// Of what was wrong the last time.
    pub reason: String,
    pub answer: String,
}

/// What waits for a destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueLength {
    pub destination: String,
    pub waiting: u64,
    /// Of these.
    pub parked: u64,
    pub oldest: Instant,
}

impl Tx<'_> {
    /// Puts a message into the row of its destination. Its id, which is that of before when it is there already.
    pub fn enqueue(&mut self, new: &NewOutgoing) -> Result<String, Error> {
        self.demand(&[Action::Messages])?;
        if let Some(known) = self.followed(&new.destination, &new.key)? {
            return Ok(known.id);
        }
        self.writes();
        let binds = [Bind::Text(&new.destination)];
        let rows = self
            .connection
            .rows(Statement::<BigInt>::new(PLACE, &binds))
            .map_err(Error::from);
        let places: Vec<i64> = self.noted(rows)?;
        let place = places.first().copied().unwrap_or_default();
        let mut message = new.message.clone();
        if let Some(bytes) = &new.numbered {
            let bytes = numbered(bytes, place);
            message.size = bytes.len();
            message.body = Packed::of(&bytes);
        }
        let outcome = Outcome {
            stage: Stage::Mapped,
            status: Status::Waiting,
            reason: String::new(),
            reply: None,
            touched: new.touched.clone(),
            report: new.report.clone(),
            at: message.received_at,
        };
        let number = self.keep_message(&message, &outcome)?;
        let subjects = message.facts.subjects.join("\n");
        let binds = [
            Bind::Int(number),
            Bind::Text(&new.destination),
            Bind::Text(&new.key),
            Bind::Int(place),
            Bind::Text(&subjects),
        ];
        self.did(INSERT, &binds)?;
        Ok(message.id)
    }

    /// The same of what somebody waits for: what was not taken yet is tried at once, and again.
    pub fn pass_on(&mut self, new: &NewOutgoing, now: Instant) -> Result<(), Error> {
        match self.followed(&new.destination, &new.key)? {
            None => self.enqueue(new).map(drop),
            Some(known) if known.status == Status::Sent => Ok(()),
            Some(known) => self.resend(&known.id, now).map(drop),
        }
    }

    /// What was passed on has been taken: who waited for that is done. An answer of before stays as it is.
    pub fn settle_passed_on(&mut self, id: &str, at: Instant) -> Result<(), Error> {
        self.demand(&[Action::Messages])?;
        self.writes();
        let binds = [Bind::Int(at.micros()), Bind::Text(id)];
        self.did(PASSED_ON, &binds).map(drop)
    }

    /// What an attempt led to. False: it was skipped meanwhile, and stays so unless it was taken.
    pub fn settle_outgoing(&mut self, number: i64, sent: &Sent) -> Result<bool, Error> {
        self.demand(&[Action::Messages])?;
        self.writes();
        let waits = matches!(sent.status, Status::Waiting | Status::Parked);
        // What arrived has arrived.
        let least = i16::from(sent.status != Status::Sent);
        let binds = [
            Bind::Small(waits.into()),
            Bind::Int(sent.attempts.into()),
            Bind::Int(sent.due_at.micros()),
            Bind::Int(number),
            Bind::Small(least),
        ];
        if self.did(SETTLE, &binds)? == 0 {
            return Ok(false);
        }
        let stage = match sent.status {
            Status::Sent => Stage::Sent,
            _ => Stage::Mapped,
        };
        let reason = super::messages::shortened(&sent.reason);
        let binds = [
            Bind::Int(sent.at.micros()),
            Bind::Small(stage.number()),
            Bind::Small(sent.status.number()),
            Bind::Text(&sent.code),
            Bind::Text(&reason),
            Bind::Int(sent.is_attempt.into()),
            Bind::Int(number),
        ];
        self.did(SETTLE_MESSAGE, &binds)?;
        if !sent.answer.is_empty() {
            let answer = sent.answer.replace(['\0', '\n'], "");
            self.did(ANSWER, &[Bind::Text(&answer), Bind::Int(number)])?;
        }
        Ok(true)
    }

    /// Has a message sent again, at its old place in the row. Its destination; None: there is no such message.
    pub fn resend(&mut self, id: &str, now: Instant) -> Result<Option<String>, Error> {
        self.demand(&[Action::Messages])?;
        let Some((number, destination)) = self.outgoing_of_id(id)? else {
            return Ok(None);
        };
        self.writes();
        self.did(AGAIN, &[Bind::Int(number)])?;
        let binds = [
            Bind::Small(Status::Waiting.number()),
            Bind::Int(now.micros()),
            Bind::Int(number),
        ];
        self.did(AGAIN_MESSAGE, &binds)?;
        Ok(Some(destination))
    }

    /// Takes a message out of the row that was not sent. Its destination and whether it stood there.
    pub fn skip_outgoing(
        &mut self,
        id: &str,
        now: Instant,
    ) -> Result<Option<(String, bool)>, Error> {
        let Some((number, destination)) = self.outgoing_of_id(id)? else {
            return Ok(None);
        };
        let skipped = Sent {
            status: Status::Skipped,
            attempts: 0,
            due_at: now,
            code: String::new(),
            answer: String::new(),
            reason: String::new(),
            at: now,
            is_attempt: false,
        };
        let did = self.settle_outgoing(number, &skipped)?;
        Ok(Some((destination, did)))
    }

    fn did(&mut self, sql: &str, binds: &[Bind<'_>]) -> Result<usize, Error> {
        let done = self.connection.execute(Statement::new(sql, binds));
        self.noted(done.map_err(Error::from))
    }
}

impl View<'_> {
    /// What waits for a destination behind that place, in order.
    pub fn queued(
        &mut self,
        destination: &str,
        after: i64,
        most: i64,
    ) -> Result<Vec<Queued>, Error> {
        self.demand(&[Action::Messages])?;
        let binds = [Bind::Text(destination), Bind::Int(after), Bind::Int(most)];
        type Kinds = (BigInt, BigInt, BigInt, BigInt, SmallInt, Text, Text, Text);
        let rows = self
            .connection
            .rows(Statement::<Kinds>::new(WAITING, &binds));
        type Values = (i64, i64, i64, i64, i16, String, String, String);
        let rows: Vec<Values> = self.noted(rows.map_err(Error::from))?;
        let queued =
            |(number, place, attempts, due_at, status, control_id, subjects, key): Values| Queued {
                number,
                place,
                attempts: u32::try_from(attempts).unwrap_or(u32::MAX),
                due_at: Instant::from_micros(due_at),
                is_parked: status == Status::Parked.number(),
                control_id,
                key,
                subjects: subjects
                    .split('\n')
                    .filter(|subject| !subject.is_empty())
                    .map(str::to_owned)
                    .collect(),
            };
        Ok(rows.into_iter().map(queued).collect())
    }

    /// What became of what was made of that.
    pub fn followed(&mut self, destination: &str, key: &str) -> Result<Option<Followed>, Error> {
        self.demand(&[Action::Messages])?;
        let binds = [Bind::Text(destination), Bind::Text(key)];
        type Kinds = (Text, SmallInt, Text, Text);
        let rows = self.connection.rows(Statement::<Kinds>::new(KNOWN, &binds));
        let rows: Vec<(String, i16, String, String)> = self.noted(rows.map_err(Error::from))?;
        let followed = |(id, status, reason, answer): (String, i16, String, String)| Followed {
            id,
            status: Status::of_number(status.into()).unwrap_or(Status::Waiting),
            reason,
            answer,
        };
        Ok(rows.into_iter().next().map(followed))
    }

    fn outgoing_of_id(&mut self, id: &str) -> Result<Option<(i64, String)>, Error> {
        self.demand(&[Action::Messages])?;
        let binds = [Bind::Text(id)];
        let rows = self
            .connection
            .rows(Statement::<(BigInt, Text)>::new(OF_ID, &binds));
        let rows: Vec<(i64, String)> = self.noted(rows.map_err(Error::from))?;
        Ok(rows.into_iter().next())
    }

    /// What waits, by destination.
    pub fn queue_lengths(&mut self) -> Result<Vec<QueueLength>, Error> {
        self.demand(&[Action::Messages])?;
        let binds = [Bind::Small(Status::Parked.number())];
        type Kinds = (Text, BigInt, BigInt, BigInt);
        let rows = self
            .connection
            .rows(Statement::<Kinds>::new(COUNTS, &binds));
        let rows: Vec<(String, i64, i64, i64)> = self.noted(rows.map_err(Error::from))?;
        let length = |(destination, waiting, parked, oldest)| QueueLength {
            destination,
            waiting: u64::try_from(waiting).unwrap_or_default(),
            parked: u64::try_from(parked).unwrap_or_default(),
            oldest: Instant::from_micros(oldest),
        };
        Ok(rows.into_iter().map(length).collect())
    }
}

/// The message with its number in MSH-13.
fn numbered(bytes: &[u8], number: i64) -> Vec<u8> {
    let end = bytes.iter().position(|byte| *byte == b'\r');
    let (header, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
    let Some(separator) = header.get(3).copied() else {
        return bytes.to_vec();
    };
    let mut fields: Vec<&[u8]> = header.split(|byte| *byte == separator).collect();
    // The separator itself is MSH-1: MSH-13 is the 13th behind the name.
    if fields.len() < 13 {
        fields.resize(13, b"");
    }
    let number = number.to_string();
    if let Some(field) = fields.get_mut(12) {
        *field = number.as_bytes();
    }
    let mut all = fields.join(&separator);
    all.extend_from_slice(rest);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_written_where_it_belongs() {
        let short = numbered(b"MSH|^~\\&|A||||2024||ADT^A08|1|P|2.5\rPID|1\r", 7);
        assert_eq!(short, b"MSH|^~\\&|A||||2024||ADT^A08|1|P|2.5|7\rPID|1\r");
        let long = numbered(
            b"MSH|^~\\&|A||||2024||ADT^A08|1|P|2.5|||AL|NE||UNICODE UTF-8\r",
            12,
        );
        assert_eq!(
            long,
            b"MSH|^~\\&|A||||2024||ADT^A08|1|P|2.5|12||AL|NE||UNICODE UTF-8\r"
        );
    }
}
