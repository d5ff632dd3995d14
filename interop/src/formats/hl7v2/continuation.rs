//! Messages too long for one: ADD goes on with the segment before, DSC and MSH-14 with the message before.

use std::borrow::Cow;
use std::collections::HashMap;

use super::forgiven::{Leniency, Told, Unreadable};
use super::{Text, slice};

/// Unfinished messages that are waited for.
pub const WAITING_MAX: usize = 100;
/// Bytes of all of them.
pub const WAITING_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Joins ADD segments to the segments that they continue.
pub(crate) fn join_added<'t>(text: Cow<'t, str>, told: &mut Told) -> Cow<'t, str> {
    let start = text.len() - text.trim_start().len();
    let Some(&separator) = text.as_bytes().get(start + 3) else {
        return text;
    };
    let begins = |at: usize| {
        let byte = |at: usize| text.as_bytes().get(at).copied();
        at > 0 && matches!(byte(at - 1), Some(b'\r' | b'\n')) && byte(at + 3) == Some(separator)
    };
    let mut joined = String::new();
    let (mut from, mut count) = (0, 0);
    for (at, _) in text.match_indices("ADD").filter(|(at, _)| begins(*at)) {
        joined.push_str(slice(&text, from, at).trim_end_matches(['\r', '\n']));
        from = at + 4;
        count += 1;
    }
    if count == 0 {
        return text;
    }
    joined.push_str(slice(&text, from, text.len()));
    told.tell(Leniency::Joined(count), 1, 0);
    Cow::Owned(joined)
}

/// Messages that are not whole yet, each waiting under its sender and the pointer of its DSC.
#[derive(Debug, Default)]
pub struct Continued {
    waiting: HashMap<(String, String, String), String>,
    bytes: usize,
}

/// What became of a message that was handed in.
#[derive(Debug, PartialEq, Eq)]
pub enum Part {
    /// It is whole; the text is another one than was handed in when parts were joined.
    Whole(Option<String>),
    /// It goes on in a message to come.
    Waiting,
}

impl Continued {
    pub fn take_in(&mut self, text: &Text<'_>) -> Result<Part, Unreadable> {
        let message = text.message()?;
        let key = |pointer: &str| {
            (
                message.of_header(3, 1).into_owned(),
                message.of_header(4, 1).into_owned(),
                pointer.to_owned(),
            )
        };
        let last = message.segments_named("DSC").last();
        let goes_on = last.and_then(|segment| {
            let pointer = segment.field(1)?.value()?.into_owned();
            let interactive = segment.field(2).is_some_and(|style| style.raw() == "I");
            (!interactive).then_some((segment.at(), pointer))
        });
        let before = message.of_header(14, 1);
        if before.is_empty() && goes_on.is_none() {
            return Ok(Part::Whole(None));
        }
        let mut whole = String::new();
        let mut from = 0;
        if !before.is_empty() {
            let Some(begun) = self.waiting.remove(&key(&before)) else {
                return Err(Unreadable::Continuation(format!(
                    "no message waits for '{before}'"
                )));
            };
            self.bytes -= begun.len();
            whole = begun;
            from = message
                .segment(1)
                .map_or(message.text().len(), |second| second.at());
        }
        let to = goes_on.as_ref().map_or(message.text().len(), |(at, _)| *at);
        whole.push_str(slice(message.text(), from, to.max(from)));
        let Some((_, pointer)) = goes_on else {
            let joined = join_added(Cow::Owned(whole), &mut Told::default()).into_owned();
            return Ok(Part::Whole(Some(joined)));
        };
        let room =
            self.waiting.len() < WAITING_MAX && self.bytes + whole.len() <= WAITING_BYTES_MAX;
        if !room {
            return Err(Unreadable::Continuation(
                "too many unfinished messages wait".to_owned(),
            ));
        }
        self.bytes += whole.len();
        if let Some(older) = self.waiting.insert(key(&pointer), whole) {
            self.bytes -= older.len();
        }
        Ok(Part::Waiting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn added_segments_are_joined() {
        let text = Text::read(
            b"MSH|^~\\&|A|||||||1\rOBX|1|FT|||a lo\rADD|ng te\r\nADD|xt||F\rNTE|1\r",
            Default::default(),
        )
        .unwrap();
        let message = text.message().unwrap();
        assert_eq!(message.segment_count(), 3);
        assert_eq!(
            message.value(&"OBX-5".parse().unwrap()).unwrap(),
            "a long text"
        );
        assert_eq!(message.value(&"OBX-7".parse().unwrap()).unwrap(), "F");
        assert!(
            message
                .forgiven()
                .iter()
                .any(|forgiven| forgiven.what == Leniency::Joined(2))
        );
        // Letters that only look like one.
        let text = Text::decoded("MSH|^~\\&|ADD|x\rOBX|ADD|\rADDX|\r");
        assert!(matches!(
            join_added(text.as_str().into(), &mut Told::default()),
            Cow::Borrowed(_)
        ));
    }

    #[test]
    fn continued_messages_are_joined() {
        let mut continued = Continued::default();
        let first = Text::decoded("MSH|^~\\&|A|B||||||1\rOBX|1|FT|||begin\rDSC|p1|F\r");
        let second = Text::decoded("MSH|^~\\&|A|B||||||2||||p9\rADD| and go on\rOBX|2\rDSC|p2|F\r");
        let third = Text::decoded("MSH|^~\\&|A|B||||||3||||p2\rOBX|3\r");
        let alone = Text::decoded("MSH|^~\\&|A|B||||||4\rQRD|\rDSC|q|I\r");
        assert_eq!(continued.take_in(&first), Ok(Part::Waiting));
        assert_eq!(continued.take_in(&alone), Ok(Part::Whole(None)));
        assert!(matches!(
            continued.take_in(&second),
            Err(Unreadable::Continuation(_))
        ));
        let second = Text::decoded("MSH|^~\\&|A|B||||||2||||p1\rADD| and go on\rOBX|2\rDSC|p2|F\r");
        assert_eq!(continued.take_in(&second), Ok(Part::Waiting));
        let whole = "MSH|^~\\&|A|B||||||1\rOBX|1|FT|||begin and go on\rOBX|2\rOBX|3\r";
        assert_eq!(
            continued.take_in(&third),
            Ok(Part::Whole(Some(whole.to_owned())))
        );
        assert!(continued.take_in(&third).is_err());
        assert_eq!((continued.waiting.len(), continued.bytes), (0, 0));
    }
}
