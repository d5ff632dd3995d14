//! Acknowledgements, sections 2.9.2 and 2.9.3 of the standard: which are wanted, how they are written, what they say.
//!
//! *Original mode*: one answer, AA AE or AR. *Enhanced mode*, when MSH-15 or MSH-16 is valued: an accept acknowledgement
//! (CA CE CR) when the message is safely kept, an application acknowledgement (AA AE AR) when it was processed.

mod write;

use std::borrow::Cow;

use super::tree::{Message, Segment};

pub use write::{Answer, Complaint, Location, acknowledge, reject};

/// Table 0008.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// Application accept.
    AA,
    /// Application error: the message is at fault.
    AE,
    /// Application reject: the message is not for us, or we cannot take any.
    AR,
    /// Commit accept: the message is safely kept.
    CA,
    CE,
    CR,
}

impl Code {
    pub const ALL: &[Self] = &[Self::AA, Self::AE, Self::AR, Self::CA, Self::CE, Self::CR];

    pub fn name(self) -> &'static str {
        match self {
            Self::AA => "AA",
            Self::AE => "AE",
            Self::AR => "AR",
            Self::CA => "CA",
            Self::CE => "CE",
            Self::CR => "CR",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.name() == name)
    }

    pub fn is_accepted(self) -> bool {
        matches!(self, Self::AA | Self::CA)
    }

    /// Whether sending the message again, as it is, may help: an error may pass, a rejection will not.
    pub fn may_pass(self) -> bool {
        matches!(self, Self::AE | Self::CE)
    }
}

/// Table 0155: when an acknowledgement is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    Always,
    Never,
    OnError,
    OnSuccess,
}

impl Condition {
    fn read(text: &str) -> Self {
        match text {
            "NE" | "" | "\"\"" => Self::Never,
            "ER" => Self::OnError,
            "SU" => Self::OnSuccess,
            // What is not known is answered: silence makes senders send again.
            _ => Self::Always,
        }
    }

    pub fn holds(self, success: bool) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::OnError => !success,
            Self::OnSuccess => success,
        }
    }
}

/// What the sender of a message wants to hear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Original,
    Enhanced {
        accept: Condition,
        application: Condition,
    },
}

impl Mode {
    /// What MSH-15 and MSH-16 say. An answer is not answered, but for the accept acknowledgement it asks for.
    pub fn of(message: &Message<'_>) -> Self {
        let (accept, application) = (message.of_header(15, 1), message.of_header(16, 1));
        let (accept, application) = (accept.trim(), application.trim());
        let says_nothing = |text: &str| text.is_empty() || text == "\"\"";
        if says_nothing(accept) && says_nothing(application) {
            return Self::Original;
        }
        Self::Enhanced {
            accept: Condition::read(accept),
            application: Condition::read(application),
        }
    }

    pub fn wants_accept(self, success: bool) -> bool {
        matches!(self, Self::Enhanced { accept, .. } if accept.holds(success))
    }

    pub fn wants_application(self, success: bool) -> bool {
        match self {
            Self::Original => true,
            Self::Enhanced { application, .. } => application.holds(success),
        }
    }
}

/// What an acknowledgement says about a message that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said<'t> {
    pub code: Code,
    /// MSA-2: the control id of the message that is answered.
    pub control_id: Cow<'t, str>,
    /// MSA-3 and the texts of ERR, for people.
    pub text: String,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAnAnswer {
    #[error("there is no MSA segment")]
    NoMsa,
    #[error("MSA-1 is '{0}', expected one of AA AE AR CA CE CR")]
    Code(String),
}

impl<'t> Said<'t> {
    pub fn read(message: &Message<'t>) -> Result<Self, NotAnAnswer> {
        let msa = message
            .segments_named("MSA")
            .next()
            .ok_or(NotAnAnswer::NoMsa)?;
        let of = |number: usize| {
            msa.field(number)
                .map(|field| field.text())
                .unwrap_or_default()
        };
        let name = of(1);
        let code = Code::named(name.trim())
            .ok_or_else(|| NotAnAnswer::Code(name.chars().take(20).collect()))?;
        let mut texts = vec![of(3).into_owned()];
        texts.extend(message.segments_named("ERR").map(|segment| told(&segment)));
        texts.retain(|text| !text.is_empty());
        Ok(Self {
            code,
            control_id: of(2),
            text: texts.join("; "),
        })
    }

    /// Whether this answers the message with that control id: an answer that comes late belongs to another one.
    pub fn answers(&self, control_id: &str) -> bool {
        self.control_id.trim() == control_id.trim()
    }
}

/// ERR-8 says it for users, ERR-7 for developers, ERR-3 as a code, ERR-1 did before 2.5.
fn told(segment: &Segment<'_, '_>) -> String {
    let component = |field: usize, component: usize| {
        segment
            .field(field)
            .and_then(|field| field.component(component)?.value())
            .unwrap_or_default()
            .into_owned()
    };
    let old = || {
        let code = segment.field(1).and_then(|field| field.component(4));
        code.and_then(|code| code.subcomponent(2)?.value())
            .unwrap_or_default()
            .into_owned()
    };
    let texts = [
        component(8, 1),
        component(7, 1),
        component(3, 2),
        component(3, 1),
        old(),
    ];
    texts
        .into_iter()
        .find(|text| !text.is_empty())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::hl7v2::{Stamp, Text, Unreadable};

    fn answer(message: &str, answer: &Answer<'_>) -> String {
        let text = Text::decoded(message);
        let now = Stamp::utc(2026, 1, 2, 3, 4, 5);
        acknowledge(&text.message().unwrap(), answer, "K1", &now)
    }

    const NEW: &str =
        "MSH|^~\\&|APP|FAC|US|HERE|20260101||ADT^A08^ADT_A01|id&7|P|2.5.1|||AL|NE||8859/1\rPID|\r";

    #[test]
    fn the_answer_goes_back_the_way_the_message_came() {
        let plain = answer(NEW, &Answer::of(Code::AA));
        assert_eq!(
            plain,
            "MSH|^~\\&|US|HERE|APP|FAC|20260102030405+0000||ACK^A08^ACK|K1|P|2.5.1||||||8859/1\rMSA|AA|id&7\r"
        );
        let odd = "MSH$*~!+$A$B$C$D$1$$ORU*R01$77$T*X$2.2\r";
        assert_eq!(
            answer(odd, &Answer::of(Code::CA)),
            "MSH$*~!+$C$D$A$B$20260102030405+0000$$ACK*R01$K1$T*X$2.2\rMSA$CA$77\r"
        );
    }

    #[test]
    fn what_is_wrong_is_told_in_the_words_of_the_version() {
        let complaint = Complaint {
            location: Some(Location {
                segment: "PID".into(),
                number: 1,
                field: Some(5),
                repetition: Some(2),
                component: Some(1),
                subcomponent: None,
            }),
            code: 101,
            text: "a name|is due".into(),
        };
        let bad = Answer {
            code: Code::AE,
            text: "look & see".into(),
            complaints: vec![complaint],
        };
        let new = answer(NEW, &bad);
        assert!(new.ends_with("\rMSA|AE|id&7|look \\T\\ see\rERR||PID^1^5^2^1|101^Required field missing^HL70357|E||||a name\\F\\is due\r"), "{new}");
        let old = answer(&NEW.replace("2.5.1", "2.4"), &bad);
        assert!(old.ends_with("\rMSA|AE|id&7|look \\T\\ see\rERR|PID^1^5^101&Required field missing&HL70357&&a name\\F\\is due\r"), "{old}");
        let newest = answer(&NEW.replace("2.5.1", "2.8"), &bad);
        assert!(newest.contains("\rMSA|AE|id&7\rERR|"), "{newest}");
        for text in [new, old, newest] {
            let read = Text::decoded(&text);
            let said = Said::read(&read.message().unwrap()).unwrap();
            assert_eq!(said.code, Code::AE);
            assert!(
                said.text.contains("a name") || said.text.contains("Required field missing"),
                "{}",
                said.text
            );
        }
    }

    #[test]
    fn what_cannot_be_read_is_answered_too() {
        let now = Stamp::utc(2026, 1, 2, 3, 4, 5);
        let fault = Unreadable::Delimiters {
            at: 5,
            problem: "MSH-2 names a character twice",
        };
        let text = reject(b"MSH|^^\\&|A|B|C|D|1||ADT^A01|X9|P|2.3", &fault, "K1", &now);
        let wanted = "MSH|^~\\&|C|D|A|B|20260102030405+0000||ACK^A01|K1|P|2.3\rMSA|AR|X9|MSH, byte 5: MSH-2 names a character twice\rERR|MSH^1^2^100&Segment sequence error&HL70357&&MSH, byte 5: MSH-2 names a character twice\r";
        assert_eq!(text, wanted);
        let text = reject(b"\0\xff garbage", &Unreadable::Empty, "K1", &now);
        assert!(
            text.starts_with("MSH|^~\\&|||||20260102030405+0000||ACK|K1|P|2.5.1\rMSA|AR|\""),
            "{text}"
        );
    }

    #[test]
    fn which_answers_are_wanted() {
        let mode = |accept: &str, application: &str| {
            let text = format!("MSH|^~\\&|||||||ADT|1|P|2.3|||{accept}|{application}\r");
            Mode::of(&Text::decoded(&text).message().unwrap())
        };
        assert_eq!(mode("", ""), Mode::Original);
        assert_eq!(mode("\"\"", ""), Mode::Original);
        let wants = |mode: Mode| {
            [true, false]
                .map(|success| (mode.wants_accept(success), mode.wants_application(success)))
        };
        assert_eq!(wants(Mode::Original), [(false, true), (false, true)]);
        assert_eq!(wants(mode("AL", "NE")), [(true, false), (true, false)]);
        assert_eq!(wants(mode("AL", "")), [(true, false), (true, false)]);
        assert_eq!(wants(mode("ER", "SU")), [(false, true), (true, false)]);
        assert_eq!(wants(mode("NE", "AL")), [(false, true), (false, true)]);
        assert_eq!(wants(mode("??", "ER")), [(true, false), (true, true)]);
    }

    #[test]
    fn answers_are_read_and_matched() {
        let read = |text: &str| {
            let text = Text::decoded(text);
            Said::read(&text.message().unwrap())
                .map(|said| (said.code, said.answers("7"), said.text))
        };
        assert_eq!(
            read("MSH|^~\\&|\rMSA|CA|7\r"),
            Ok((Code::CA, true, String::new()))
        );
        assert_eq!(
            read("MSH|^~\\&|\rMSA|AR|8|no\r"),
            Ok((Code::AR, false, "no".to_owned()))
        );
        assert_eq!(read("MSH|^~\\&|\rPID|\r"), Err(NotAnAnswer::NoMsa));
        assert_eq!(
            read("MSH|^~\\&|\rMSA|OK|7\r"),
            Err(NotAnAnswer::Code("OK".to_owned()))
        );
        assert!(Code::AE.may_pass() && !Code::AR.may_pass() && Code::CA.is_accepted());
    }
}
