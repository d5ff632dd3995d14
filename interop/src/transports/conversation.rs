//! The speaking side of MLLP: a message is said, and of what comes back the answer to it is known by MSA-2. Answers that come
//! late belong to messages that were given up, and are dropped.
//! <https://www.hl7.org/implement/standards/product_brief.cfm?product_id=55>

use crate::formats::hl7v2::acknowledgement::{Code, Said};
use crate::formats::hl7v2::mllp::{Event, Frames, frame};
use crate::formats::hl7v2::{Intake, Transmission};

/// Control ids of messages that were given up and may be answered yet.
const GIVEN_UP_MAX: usize = 64;

/// What the receiver made of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    pub code: Code,
    /// MSA-3 and the texts of ERR.
    pub text: String,
    /// The answer as it came.
    pub answer: Vec<u8>,
}

impl Verdict {
    pub fn is_accepted(&self) -> bool {
        self.code.is_accepted()
    }

    /// AE and CE: the same message may be taken another time. AR and CR: it will not.
    pub fn may_pass(&self) -> bool {
        self.code.may_pass()
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// The answer to the message that was said last.
    Verdict(Verdict),
    /// It is safely kept there; what becomes of it is said later.
    Kept,
    /// The answer to a message that was given up.
    Late(String),
    /// Something that answers no message of ours.
    Stray(String),
    /// What comes is no MLLP: the connection is of no use.
    NotMllp,
}

/// One connection to a receiver.
#[derive(Debug)]
pub struct Conversation {
    frames: Frames,
    awaited: Option<Awaited>,
    given_up: Vec<String>,
}

#[derive(Debug)]
struct Awaited {
    control_id: String,
    /// MSH-16 asks what became of it: CA alone is no end.
    wants_application: bool,
}

impl Conversation {
    pub fn new(answer_bytes_max: usize) -> Self {
        Self {
            frames: Frames::new(answer_bytes_max),
            awaited: None,
            given_up: Vec::new(),
        }
    }

    /// The bytes to be sent for a message. A message that is still awaited is given up.
    pub fn say(&mut self, message: &[u8], control_id: &str, wants_application: bool) -> Vec<u8> {
        self.give_up();
        self.given_up.retain(|given_up| given_up != control_id);
        self.awaited = Some(Awaited {
            control_id: control_id.to_owned(),
            wants_application,
        });
        frame(message)
    }

    /// The answer does not come in time: should it come later, it is known as late.
    pub fn give_up(&mut self) {
        let Some(awaited) = self.awaited.take() else {
            return;
        };
        if self.given_up.len() >= GIVEN_UP_MAX {
            self.given_up.remove(0);
        }
        self.given_up.push(awaited.control_id);
    }

    /// Takes bytes off the front of `input` until there is something to be said of them.
    pub fn hear(&mut self, input: &mut &[u8]) -> Option<Heard> {
        loop {
            let heard = match self.frames.next(input)? {
                Event::Frame(bytes) => self.answer(bytes),
                Event::NotMllp { .. } => Some(Heard::NotMllp),
                Event::TooLarge { max, .. } => {
                    Some(Heard::Stray(format!("an answer of more than {max} bytes")))
                }
                Event::Unended(_) => Some(Heard::Stray("an answer that does not end".to_owned())),
                Event::Junk { .. } => None,
            };
            if heard.is_some() {
                return heard;
            }
        }
    }

    fn answer(&mut self, bytes: Vec<u8>) -> Option<Heard> {
        let said = match read(&bytes) {
            Ok(said) => said,
            Err(told) => return Some(Heard::Stray(told)),
        };
        let (code, control_id, text) = said;
        let is_awaited = |awaited: &&Awaited| awaited.control_id.trim() == control_id.trim();
        let Some(awaited) = self.awaited.as_ref().filter(is_awaited) else {
            let is_late = self
                .given_up
                .iter()
                .any(|id| id.trim() == control_id.trim());
            return Some(match is_late {
                true => Heard::Late(control_id),
                false => Heard::Stray(format!("an answer to '{control_id}'")),
            });
        };
        if code == Code::CA && awaited.wants_application {
            return Some(Heard::Kept);
        }
        self.awaited = None;
        Some(Heard::Verdict(Verdict {
            code,
            text,
            answer: bytes,
        }))
    }
}

/// Code, control id and text of an acknowledgement.
fn read(bytes: &[u8]) -> Result<(Code, String, String), String> {
    let opened = Transmission::open(bytes, Intake::default()).map_err(|error| error.to_string())?;
    let text = opened.text(0).ok_or_else(|| "no message".to_owned())?;
    let message = text.message().map_err(|error| error.to_string())?;
    let said = Said::read(&message).map_err(|error| error.to_string())?;
    Ok((said.code, said.control_id.into_owned(), said.text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ack(code: &str, id: &str) -> Vec<u8> {
        frame(
            format!("MSH|^~\\&|A|B|C|D|20240101||ACK|1|P|2.5.1\rMSA|{code}|{id}|why\r").as_bytes(),
        )
    }

    fn heard(conversation: &mut Conversation, bytes: &[u8]) -> Vec<Heard> {
        let mut input = bytes;
        std::iter::from_fn(|| conversation.hear(&mut input)).collect()
    }

    #[test]
    fn an_answer_is_known_by_the_control_id() {
        let mut conversation = Conversation::new(1_000);
        let sent = conversation.say(b"MSH|x\r", "7", false);
        assert_eq!(sent, b"\x0bMSH|x\r\x1c\r");
        assert!(
            matches!(&heard(&mut conversation, &ack("AA", "6"))[..], [Heard::Stray(told)] if told.contains("'6'"))
        );
        // In pieces, as they come.
        let bytes = ack("AE", "7");
        let (one, two) = bytes.split_at(30);
        assert_eq!(heard(&mut conversation, one), []);
        let [Heard::Verdict(verdict)] = &heard(&mut conversation, two)[..] else {
            panic!("no verdict");
        };
        assert_eq!((verdict.code, verdict.text.as_str()), (Code::AE, "why"));
        assert!(verdict.may_pass() && !verdict.is_accepted());
        // It was answered: another answer to it is nobody's.
        assert!(matches!(
            heard(&mut conversation, &ack("AA", "7"))[..],
            [Heard::Stray(_)]
        ));
    }

    #[test]
    fn late_answers_are_dropped_and_never_taken_for_others() {
        let mut conversation = Conversation::new(1_000);
        conversation.say(b"a", "1", false);
        conversation.give_up();
        conversation.say(b"b", "2", false);
        let both = [ack("AA", "1"), ack("AR", "2")].concat();
        let all = heard(&mut conversation, &both);
        assert_eq!(all[0], Heard::Late("1".to_owned()));
        assert!(
            matches!(&all[1], Heard::Verdict(verdict) if verdict.code == Code::AR && !verdict.may_pass())
        );
        // What is sent again is awaited again.
        conversation.say(b"a", "1", false);
        assert!(matches!(
            heard(&mut conversation, &ack("AA", "1"))[..],
            [Heard::Verdict(_)]
        ));
    }

    #[test]
    fn of_two_answers_the_last_counts_where_it_is_wanted() {
        let mut conversation = Conversation::new(1_000);
        conversation.say(b"a", "1", true);
        let both = [ack("CA", "1"), ack("AA", "1")].concat();
        let all = heard(&mut conversation, &both);
        assert!(
            matches!(&all[..], [Heard::Kept, Heard::Verdict(verdict)] if verdict.is_accepted())
        );
        conversation.say(b"a", "2", false);
        assert!(matches!(
            heard(&mut conversation, &ack("CA", "2"))[..],
            [Heard::Verdict(_)]
        ));
    }

    #[test]
    fn garbage_is_told() {
        let mut conversation = Conversation::new(100);
        conversation.say(b"a", "1", false);
        let large = frame(&[b'x'; 200]);
        assert!(
            matches!(&heard(&mut conversation, &large)[..], [Heard::Stray(told)] if told.contains("100 bytes"))
        );
        assert!(matches!(
            heard(&mut conversation, &frame(b"PID|1"))[..],
            [Heard::Stray(_)]
        ));
        let junk = vec![b'.'; 200 * 1024];
        assert!(heard(&mut conversation, &junk).contains(&Heard::NotMllp));
    }
}
