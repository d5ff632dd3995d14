//! What is kept and said of a message, whatever became of it.

use fhir_spec::Issue;
use fhir_spec::outcome::operation_outcome;
use interop::formats::hl7v2::acknowledgement::reject;
use interop::formats::hl7v2::{Message as Read, Stamp};
use interop::route::{Reply, Verdict};

use super::Arrival;
use super::arrival::Unread;
use crate::instant::Instant;
use crate::store::{Direction, Message, Outcome, Packed, Stage, Status};

/// Characters of a control id: what 2.1 has room for, less one for the second of two answers.
const CONTROL_ID_MAX: usize = 19;

/// What becomes of a message, before it is written down.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fate<'i> {
    pub(super) stage: Stage,
    pub(super) status: Status,
    pub(super) verdict: Verdict<'i>,
    /// The loss report, or what is wrong.
    pub(super) issues: &'i [Issue],
}

impl Arrival {
    /// A control id for its acknowledgement: the beginning of its own id, which is the time and a little chance.
    fn answer_id(&self) -> String {
        let digits = self.id.chars().filter(|letter| *letter != '-');
        digits.take(CONTROL_ID_MAX).collect()
    }

    /// What is answered to what was read.
    pub(super) fn reply(&self, message: &Read<'_>, verdict: Verdict<'_>, now: Instant) -> Reply {
        Reply::to(message, verdict, &self.answer_id(), &stamp(now))
    }

    /// To a document there is no acknowledgement but its code.
    pub(super) fn coded(verdict: Verdict<'_>) -> Reply {
        let code = match verdict {
            Verdict::Accepted => "AA",
            Verdict::Error(_) => "AE",
            Verdict::Rejected(_) => "AR",
        };
        Reply {
            code: code.to_owned(),
            texts: Vec::new(),
        }
    }

    pub(super) fn rejection(&self, fault: &Unread, now: Instant) -> Reply {
        let Unread::Message(fault) = fault else {
            return Self::coded(Verdict::Rejected(&[]));
        };
        Reply {
            code: "AR".to_owned(),
            texts: vec![reject(&self.bytes, fault, &self.answer_id(), &stamp(now))],
        }
    }

    /// The row that keeps it.
    pub(super) fn row(&self, reused: bool) -> Message {
        Message {
            id: self.id.clone(),
            direction: Direction::In,
            route: self.running.name().to_owned(),
            file: self.file.as_deref().unwrap_or_default().to_owned(),
            facts: self.facts.clone(),
            received_at: self.at,
            size: self.bytes.len(),
            hash: self.hash,
            body: Packed::of(&self.bytes),
            reused,
        }
    }
}

impl Fate<'_> {
    /// Without a reply what was answered before stays.
    pub(super) fn outcome(self, reply: Option<Reply>, now: Instant) -> Outcome {
        let wrong = self.issues.iter().find(|issue| issue.is_error());
        Outcome {
            stage: self.stage,
            status: self.status,
            reason: wrong.map_or_else(String::new, |issue| issue.diagnostics.clone()),
            reply,
            touched: Vec::new(),
            report: report(self.issues),
            at: now,
        }
    }
}

/// The issues as an OperationOutcome; nothing when there are none.
pub(super) fn report(issues: &[Issue]) -> Packed {
    match issues.is_empty() {
        true => Packed::default(),
        false => Packed::of(operation_outcome(issues).to_string().as_bytes()),
    }
}

/// The time of an acknowledgement.
pub(super) fn stamp(now: Instant) -> Stamp {
    let text = now.to_string();
    let digits: String = text.chars().filter(char::is_ascii_digit).take(14).collect();
    let stamp = format!("{digits}+0000").parse();
    stamp.unwrap_or_else(|_| Stamp::utc(1970, 1, 1, 0, 0, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_an_answer() {
        let stamp = stamp(Instant::from_micros(1_767_323_045_678_901));
        assert_eq!(stamp.to_string(), "20260102030405+0000");
    }
}
