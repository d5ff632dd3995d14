//! Rows of messages in: kept once, settled as often as they are worked on.

use diesel::sql_types::BigInt;

use interop::route::Reply;

use super::{Direction, Message, ORDER, Outcome, PATIENT, VISIT};
use crate::auth::Action;
use crate::store::error::Error;
use crate::store::statement::{Bind, Statement};
use crate::store::tx::Tx;

const INSERT: &str = "INSERT INTO messages (id, direction, route, application, facility, receiver, control_id, type, event, \
     structure, version, event_time, received_at, settled_at, stage, status, code, reason, reused, attempts, size, hash, file) \
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING number";
const INSERT_BODY: &str = "INSERT INTO message_bodies (number, codec, body) VALUES (?, ?, ?)";
const INSERT_RESULT: &str =
    "INSERT INTO message_results (number, answer, touched, codec, report) VALUES (?, ?, ?, ?, ?)";
const INSERT_KEY: &str = "INSERT INTO message_keys (kind, value, number) VALUES (?, ?, ?)";
const SETTLE: &str = "UPDATE messages SET settled_at = ?, stage = ?, status = ?, reason = ?, attempts = attempts + 1 \
     WHERE number = ?";
const SETTLE_RESULT: &str =
    "UPDATE message_results SET touched = ?, codec = ?, report = ? WHERE number = ?";
const ANSWER: &str = "UPDATE messages SET code = ? WHERE number = ?";
const ANSWER_RESULT: &str = "UPDATE message_results SET answer = ? WHERE number = ?";

/// Between acknowledgements of one message.
pub(super) const BETWEEN_ANSWERS: char = '\n';

impl Tx<'_> {
    /// Keeps a message and what became of it; its number. Fails with `Taken` when the same message of the same sender is there.
    pub fn keep_message(&mut self, message: &Message, outcome: &Outcome) -> Result<i64, Error> {
        self.demand(&[Action::Messages])?;
        self.writes();
        let facts = &message.facts;
        let receiver = format!("{}|{}", facts.receiver_application, facts.receiver_facility);
        let reason = outcome.reason();
        let (code, answer) = said(outcome.reply.as_ref());
        let binds = [
            Bind::Text(&message.id),
            Bind::Small(message.direction.number()),
            Bind::Text(&message.route),
            Bind::Text(&facts.sender_application),
            Bind::Text(&facts.sender_facility),
            Bind::Text(&receiver),
            Bind::Text(&facts.control_id),
            Bind::Text(&facts.kind),
            Bind::Text(&facts.event),
            Bind::Text(&facts.structure),
            Bind::Text(&facts.version),
            Bind::Int(facts.event_time_us.unwrap_or_default()),
            Bind::Int(message.received_at.micros()),
            Bind::Int(outcome.at.micros()),
            Bind::Small(outcome.stage.number()),
            Bind::Small(outcome.status.number()),
            Bind::Text(code),
            Bind::Text(&reason),
            Bind::Small(message.reused.into()),
            // What is to be sent was not tried yet.
            Bind::Int((message.direction == Direction::In).into()),
            Bind::Int(i64::try_from(message.size).unwrap_or(i64::MAX)),
            Bind::Bytes(&message.hash),
            Bind::Text(&message.file),
        ];
        let inserted = self
            .connection
            .rows(Statement::<BigInt>::new(INSERT, &binds))
            .map_err(Error::from);
        let numbers: Vec<i64> = self.noted(inserted)?;
        let number = numbers.first().copied().unwrap_or_default();
        let body = [
            Bind::Int(number),
            Bind::Small(message.body.codec),
            Bind::Bytes(&message.body.bytes),
        ];
        self.told(INSERT_BODY, &body)?;
        let touched = outcome.touched();
        let result = [
            Bind::Int(number),
            Bind::Text(&answer),
            Bind::Text(&touched),
            Bind::Small(outcome.report.codec),
            Bind::Bytes(&outcome.report.bytes),
        ];
        self.told(INSERT_RESULT, &result)?;
        let keys = [
            (PATIENT, &facts.patients),
            (VISIT, &facts.visits),
            (ORDER, &facts.orders),
        ];
        for (kind, values) in keys {
            for value in values {
                let binds = [Bind::Small(kind), Bind::Text(value), Bind::Int(number)];
                self.told(INSERT_KEY, &binds)?;
            }
        }
        Ok(number)
    }

    /// What became of a message that is kept already.
    pub fn settle_message(&mut self, number: i64, outcome: &Outcome) -> Result<(), Error> {
        self.demand(&[Action::Messages])?;
        self.writes();
        let reason = outcome.reason();
        let binds = [
            Bind::Int(outcome.at.micros()),
            Bind::Small(outcome.stage.number()),
            Bind::Small(outcome.status.number()),
            Bind::Text(&reason),
            Bind::Int(number),
        ];
        self.told(SETTLE, &binds)?;
        let touched = outcome.touched();
        let result = [
            Bind::Text(&touched),
            Bind::Small(outcome.report.codec),
            Bind::Bytes(&outcome.report.bytes),
            Bind::Int(number),
        ];
        self.told(SETTLE_RESULT, &result)?;
        if outcome.reply.is_some() {
            let (code, answer) = said(outcome.reply.as_ref());
            self.told(ANSWER, &[Bind::Text(code), Bind::Int(number)])?;
            self.told(ANSWER_RESULT, &[Bind::Text(&answer), Bind::Int(number)])?;
        }
        Ok(())
    }

    fn told(&mut self, sql: &str, binds: &[Bind<'_>]) -> Result<(), Error> {
        let done = self.connection.execute(Statement::new(sql, binds));
        self.noted(done.map(drop).map_err(Error::from))
    }
}

/// Code and text of an answer. Segments end with carriage returns: a line feed is in none, and what no database takes is
/// left out.
fn said(reply: Option<&Reply>) -> (&str, String) {
    let Some(reply) = reply else {
        return ("", String::new());
    };
    let answer = reply.texts.join(&BETWEEN_ANSWERS.to_string());
    (&reply.code, answer.replace('\0', ""))
}
