//! What a sender is told: acknowledgements in the mode that its message asks for, with what is wrong and where.

use fhir_spec::{Issue, IssueCode};

use crate::formats::hl7v2::acknowledgement::{
    Answer, Code, Complaint, Location, Mode, acknowledge,
};
use crate::formats::hl7v2::{Message, Path, Stamp};

/// Things that are wrong that an acknowledgement names; the message store has all of them.
pub const COMPLAINTS_MAX: usize = 20;

/// What is to be said of a message.
#[derive(Debug, Clone, Copy)]
pub enum Verdict<'i> {
    /// As the route's policy has it: it is kept, or applied.
    Accepted,
    /// It was not applied. It may be when it is sent again: the fault may be ours, or be mended.
    Error(&'i [Issue]),
    /// Sending it again as it is does not help: it is of a kind that is not known here.
    Rejected(&'i [Issue]),
}

/// One or two acknowledgements, or none: what the sender wants.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reply {
    /// Of the last of them, wanted or not.
    pub code: String,
    pub texts: Vec<String>,
}

impl Reply {
    /// `control_id` is that of the acknowledgement itself; the second of two has a 2 behind it.
    pub fn to(message: &Message<'_>, verdict: Verdict<'_>, control_id: &str, now: &Stamp) -> Self {
        let mode = Mode::of(message);
        let (accept, application, issues) = match verdict {
            Verdict::Accepted => (Code::CA, Code::AA, &[][..]),
            Verdict::Error(issues) => (Code::CE, Code::AE, issues),
            Verdict::Rejected(issues) => (Code::CR, Code::AR, issues),
        };
        let is_accepted = accept.is_accepted();
        let is_accept_wanted = mode.wants_accept(is_accepted);
        // What was not accepted is not processed: there is no second answer to that.
        let is_application_wanted =
            mode.wants_application(is_accepted) && (is_accepted || !is_accept_wanted);
        let code = match (is_application_wanted, is_accept_wanted, mode) {
            (true, ..) | (false, false, Mode::Original) => application,
            _ => accept,
        };
        let complaints: Vec<Complaint<'_>> = issues
            .iter()
            .filter(|issue| issue.is_error())
            .take(COMPLAINTS_MAX)
            .map(complaint)
            .collect();
        let text = complaints.first();
        let text = text.map_or_else(String::new, |complaint| complaint.text.to_string());
        let say = |code, control_id: &str| {
            let answer = Answer {
                code,
                text: text.clone(),
                complaints: complaints.clone(),
            };
            acknowledge(message, &answer, control_id, now)
        };
        let mut texts = Vec::new();
        if is_accept_wanted {
            texts.push(say(accept, control_id));
        }
        if is_application_wanted {
            let second = match is_accept_wanted {
                true => format!("{control_id}2"),
                false => control_id.to_owned(),
            };
            texts.push(say(application, &second));
        }
        Self {
            code: code.name().to_owned(),
            texts,
        }
    }
}

/// `PID-7: expected a date` is about PID-7; codes are those of table 0357.
fn complaint(issue: &Issue) -> Complaint<'_> {
    let place = issue.diagnostics.split_once(": ");
    let path = place.and_then(|(place, _)| place.parse::<Path>().ok());
    let location = path.map(|path| Location {
        segment: path.segment().to_owned().into(),
        number: path.occurrence().unwrap_or(1),
        field: path.field(),
        repetition: path.repetition(),
        component: path.component(),
        subcomponent: path.subcomponent(),
    });
    Complaint {
        location,
        code: match issue.code {
            IssueCode::Structure => 100,
            IssueCode::Required => 101,
            IssueCode::Value | IssueCode::Invalid => 102,
            IssueCode::CodeInvalid => 103,
            IssueCode::TooLong => 104,
            IssueCode::NotSupported => 200,
            IssueCode::NotFound => 204,
            IssueCode::Duplicate => 205,
            IssueCode::LockError => 206,
            _ => 207,
        },
        text: issue.diagnostics.as_str().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::hl7v2::Text;

    fn codes(modes: &str, verdict: Verdict<'_>) -> (String, Vec<String>) {
        let text = format!("MSH|^~\\&|A|B|C|D|1||ADT^A08|7|P|2.5|||{modes}\r");
        let text = Text::decoded(&text);
        let now = Stamp::utc(2026, 1, 2, 3, 4, 5);
        let reply = Reply::to(&text.message().unwrap(), verdict, "K", &now);
        let said = reply.texts.iter().map(|text| {
            let (_, msa) = text.split_once("MSA|").unwrap();
            msa.chars().take(2).collect()
        });
        (reply.code, said.collect())
    }

    #[test]
    fn what_the_sender_wants_to_hear() {
        let issues = [Issue::error(IssueCode::Value, "PID-7: expected a date")];
        let all = |modes: &str| {
            let verdicts = [
                Verdict::Accepted,
                Verdict::Error(&issues),
                Verdict::Rejected(&issues),
            ];
            verdicts.map(|verdict| codes(modes, verdict).1.join(" "))
        };
        assert_eq!(all("|"), ["AA", "AE", "AR"]);
        assert_eq!(all("AL|NE"), ["CA", "CE", "CR"]);
        assert_eq!(all("AL|AL"), ["CA AA", "CE", "CR"]);
        assert_eq!(all("NE|AL"), ["AA", "AE", "AR"]);
        assert_eq!(all("ER|SU"), ["AA", "CE", "CR"]);
        assert_eq!(all("NE|NE"), ["", "", ""]);
        assert_eq!(codes("NE|NE", Verdict::Accepted).0, "CA");
    }

    #[test]
    fn the_field_is_named() {
        let text = Text::decoded("MSH|^~\\&|A|B|C|D|1||ADT^A08|7|P|2.5\r");
        let now = Stamp::utc(2026, 1, 2, 3, 4, 5);
        let issues = [
            Issue::error(IssueCode::Required, "PID[2]-3[2].1: expected an identifier"),
            Issue::error(IssueCode::Conflict, "the store: is of another mind"),
        ];
        let reply = Reply::to(&text.message().unwrap(), Verdict::Error(&issues), "K", &now);
        let text = reply.texts.concat();
        assert!(text.contains("MSA|AE|7|PID[2]-3[2].1: expected"), "{text}");
        assert!(text.contains("\rERR||PID^2^3^2^1|101^"), "{text}");
        assert!(text.contains("\rERR|||207^"), "{text}");
    }
}
