//! Random messages over all delimiters and escapes: what is built is read, what is read is written, byte for byte.

use interop::formats::hl7v2::{
    Charset, Delimiters, Draft, Intake, Text, Transmission, charset, escape,
};

/// A generator with a seed: the same messages in every run.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn throw(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap() % below
    }

    pub(crate) fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.throw(all.len())]
    }

    fn delimiters(&mut self) -> Delimiters {
        let mut marks: Vec<u8> = (33..127)
            .filter(|byte: &u8| byte.is_ascii_punctuation())
            .collect();
        let mut take = |dice: &mut Self| marks.swap_remove(dice.throw(marks.len()));
        let mut all = [0; 6];
        for place in &mut all {
            *place = take(self);
        }
        let [
            field,
            component,
            repetition,
            escape,
            subcomponent,
            truncation,
        ] = all;
        let truncation = if self.throw(2) == 0 { 0 } else { truncation };
        match self.throw(3) {
            0 => Delimiters::default(),
            _ => Delimiters {
                field,
                component,
                repetition,
                escape,
                subcomponent,
                truncation,
            },
        }
    }

    fn value(&mut self, delimiters: &Delimiters) -> String {
        let marks = [
            delimiters.field,
            delimiters.component,
            delimiters.repetition,
            delimiters.escape,
            delimiters.subcomponent,
        ];
        let length = self.throw(12);
        let letters = (0..length).map(|_| match self.throw(8) {
            0 | 1 => char::from(self.one_of(&marks)),
            2 => self.one_of(&['"', '\r', '\n', '\t', '\0', '\u{7f}', '\u{b}', '\u{1c}']),
            3 => self.one_of(&['ä', '王', '🎉', 'Ж', '\u{85}', '\u{feff}']),
            4 => self.one_of(&['F', 'S', 'T', 'X', '0', 'D', '.', 'b', 'r']),
            _ => char::from(u8::try_from(32 + self.throw(95)).unwrap()),
        });
        letters.collect()
    }
}

#[test]
fn values_survive_building_writing_and_reading() {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    for round in 0..3000 {
        let delimiters = dice.delimiters();
        let mut draft = Draft::new(delimiters);
        let mut values = Vec::new();
        for segment in 1..=1 + dice.throw(3) {
            draft.add("ZAA");
            for field in 1..=1 + dice.throw(4) {
                let path = format!(
                    "ZAA[{segment}]-{field}[{}].{}.{}",
                    1 + dice.throw(3),
                    1 + dice.throw(4),
                    1 + dice.throw(3)
                );
                let value = dice.value(&delimiters);
                let at = path.parse().unwrap();
                if dice.throw(2) == 0 {
                    draft.set(&at, &value).unwrap();
                } else {
                    draft.set_formatted(&at, &value).unwrap();
                }
                values.push((path, value));
            }
        }
        let written = draft.write();
        let text = Text::read(
            written.as_bytes(),
            Intake {
                charset: Charset::Utf8,
                ..Intake::default()
            },
        )
        .unwrap();
        let message = text.message().unwrap();
        assert_eq!(message.forgiven(), [], "round {round}: {written:?}");
        for (path, value) in &values {
            let part = message.part(&path.parse().unwrap()).unwrap();
            assert_eq!(part.text(), &**value, "round {round}, {path}: {written:?}");
        }
        assert_eq!(Draft::of(&message).write(), written, "round {round}");
        assert_eq!(Draft::of(&message), draft, "round {round}");
    }
}

#[test]
fn escaping_is_undone_by_reading_whatever_the_text_is() {
    let mut dice = Dice(77);
    for _ in 0..20_000 {
        let delimiters = dice.delimiters();
        let value = dice.value(&delimiters);
        for formatted in [false, true] {
            let raw = escape::escape(&value, &delimiters, formatted).unwrap();
            let message = format!(
                "MSH{}{}\rZAA{}{raw}\r",
                char::from(delimiters.field),
                delimiters.encoding_characters(),
                char::from(delimiters.field)
            );
            let text = Text::decoded(&message);
            let message = text.message().unwrap();
            assert_eq!(
                message
                    .part(&"ZAA-1[1].1.1".parse().unwrap())
                    .unwrap()
                    .text(),
                value
            );
        }
    }
}

#[test]
fn lines_of_nothing_but_noise_are_kept_to_the_last_letter() {
    let mut dice = Dice(4242);
    for round in 0..3000 {
        let mut text = String::from("MSH|^~\\&|A\r");
        for _ in 0..dice.throw(40) {
            text.push_str(dice.one_of(&[
                "PID|", "OBX|1", "|", "^", "~", "&", "\\", "\\F\\", "\r", "\n", " ", "\t", "ä",
                "Z", "ab", "MSH", "ADD", "\0", "\u{2028}",
            ]));
        }
        let Ok(transmission) = Transmission::open(
            text.as_bytes(),
            Intake {
                charset: Charset::Utf8,
                ..Intake::default()
            },
        ) else {
            panic!("round {round}: {text:?}");
        };
        let mut letters = 0;
        for index in 0..transmission.message_count() {
            let decoded = transmission.text(index).unwrap();
            let Ok(message) = decoded.message() else {
                letters += decoded
                    .as_str()
                    .bytes()
                    .filter(|byte| !byte.is_ascii_whitespace())
                    .count();
                continue;
            };
            for segment in message.segments() {
                letters += segment
                    .raw()
                    .bytes()
                    .filter(|byte| !byte.is_ascii_whitespace())
                    .count();
                for field in segment.fields() {
                    assert_eq!(
                        decoded
                            .as_str()
                            .get(field.at()..field.at() + field.raw().len()),
                        Some(field.raw())
                    );
                    field.text();
                }
            }
        }
        // ADD at the beginning of a line is joined away, name and separator.
        if !text.contains("ADD") {
            assert_eq!(
                letters,
                text.bytes()
                    .filter(|byte| !byte.is_ascii_whitespace())
                    .count(),
                "round {round}: {text:?}"
            );
        }
    }
}

#[test]
fn random_bytes_are_read_or_refused() {
    let mut dice = Dice(99);
    for _ in 0..5000 {
        let mut bytes: Vec<u8> = match dice.throw(3) {
            0 => Vec::new(),
            1 => b"MSH|^~\\&|A|||||||1||2.5|||||8859/1~ISO IR87\r".to_vec(),
            _ => b"\x0bMSH|^~\\&|A\rFHS|^~\\&\r".to_vec(),
        };
        bytes.extend(
            (0..dice.throw(200))
                .map(|_| u8::try_from(dice.throw(256)).unwrap())
                .collect::<Vec<_>>(),
        );
        if let Ok(transmission) = Transmission::open(&bytes, Intake::default()) {
            for index in 0..transmission.message_count() {
                let text = transmission.text(index).unwrap();
                if let Ok(message) = text.message() {
                    assert!(Draft::of(&message).write().len() <= text.as_str().len() + 1);
                }
            }
        }
    }
}

#[test]
fn every_set_of_one_byte_is_read_and_written_back() {
    for &set in Charset::ALL {
        let all: Vec<u8> = (0x80..=0xff).collect();
        let header = format!("MSH|^~\\&|||||||||||||||||{}\rZAA|", set.name());
        for &byte in &all {
            let bytes = [header.as_bytes(), &[byte], b"\r"].concat();
            let text = Text::read(&bytes, Intake::default()).unwrap();
            let message = text.message().unwrap();
            if message.forgiven().is_empty() {
                assert_eq!(
                    *charset::encode(text.as_str(), text.declared()).unwrap(),
                    bytes,
                    "{set} {byte:x}"
                );
            }
        }
    }
}
