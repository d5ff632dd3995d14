//! The characters that a message says it is delimited by: MSH-1 and MSH-2.

use super::forgiven::{Leniency, Unreadable};

/// One byte each; zero stands for one that the message does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delimiters {
    pub field: u8,
    pub component: u8,
    pub repetition: u8,
    pub escape: u8,
    pub subcomponent: u8,
    /// Since 2.7: marks a value that was cut off.
    pub truncation: u8,
}

impl Default for Delimiters {
    fn default() -> Self {
        Self {
            field: b'|',
            component: b'^',
            repetition: b'~',
            escape: b'\\',
            subcomponent: b'&',
            truncation: 0,
        }
    }
}

impl Delimiters {
    /// Of what is not to be taken apart: MSH-1 and MSH-2 themselves.
    pub(crate) const NONE: Self = Self {
        field: 0,
        component: 0,
        repetition: 0,
        escape: 0,
        subcomponent: 0,
        truncation: 0,
    };

    /// Whether a byte stands between two values, for each byte.
    pub(super) fn dividing(&self) -> [bool; 256] {
        let mut divides = [false; 256];
        for delimiter in [
            self.field,
            self.component,
            self.repetition,
            self.subcomponent,
        ] {
            if let Some(place) = divides.get_mut(usize::from(delimiter)) {
                *place = delimiter != 0;
            }
        }
        divides
    }

    /// With the truncation character of 2.7 and later.
    pub fn with_truncation(self, truncation: u8) -> Self {
        Self { truncation, ..self }
    }

    /// Reads the beginning of MSH, FHS or BHS: `header` starts with the name of the segment.
    pub(crate) fn read(header: &[u8]) -> Result<(Self, Option<Leniency>), Unreadable> {
        let fault = |at, problem| Unreadable::Delimiters { at, problem };
        let Some(&field) = header.get(3) else {
            return Err(fault(3, "the message ends before MSH-1"));
        };
        if !can_delimit(field) {
            return Err(fault(
                3,
                "MSH-1 must be a character of ASCII that is no letter, digit or line end",
            ));
        }
        let rest = header.get(4..).unwrap_or_default();
        let length = rest
            .iter()
            .position(|&byte| byte == field || byte == b'\r' || byte == b'\n')
            .unwrap_or(rest.len());
        let named = rest.get(..length).unwrap_or_default();
        if let [component, repetition, escape, twice, subcomponent] = *named
            && escape == twice
        {
            // Somebody has escaped the escape character, as programs and databases do.
            let once = [component, repetition, escape, subcomponent];
            let (delimiters, _) = Self::read(&[b"MSH", &[field][..], &once].concat())?;
            return Ok((delimiters, Some(Leniency::EscapeCharacterTwice)));
        }
        if named.is_empty() {
            let usual = Self {
                field,
                ..Self::default()
            };
            let clash = usual.encoding_characters().as_bytes().contains(&field);
            return if clash {
                Err(fault(4, "MSH-2 is empty"))
            } else {
                Ok((usual, Some(Leniency::NoEncodingCharacters)))
            };
        }
        let mut all = [0u8; 5];
        for (index, (&byte, place)) in named.iter().zip(&mut all).enumerate() {
            if !can_delimit(byte) {
                return Err(fault(
                    4 + index,
                    "MSH-2 must be characters of ASCII that are no letters, digits or line ends",
                ));
            }
            if named.iter().take(index).any(|&other| other == byte) {
                return Err(fault(4 + index, "MSH-2 names a character twice"));
            }
            *place = byte;
        }
        let [component, repetition, escape, subcomponent, truncation] = all;
        let delimiters = Self {
            field,
            component,
            repetition,
            escape,
            subcomponent,
            truncation,
        };
        let forgiven = (named.len() > all.len()).then_some(Leniency::EncodingCharactersTooMany);
        Ok((delimiters, forgiven))
    }

    /// What MSH-2 says.
    pub fn encoding_characters(&self) -> String {
        [
            self.component,
            self.repetition,
            self.escape,
            self.subcomponent,
            self.truncation,
        ]
        .into_iter()
        .filter(|&byte| byte != 0)
        .map(char::from)
        .collect()
    }

    /// The letter by which an escape stands for a byte.
    pub(crate) fn letter(&self, byte: u8) -> Option<char> {
        if byte == 0 {
            return None;
        }
        let letters = [
            (self.field, 'F'),
            (self.component, 'S'),
            (self.subcomponent, 'T'),
            (self.repetition, 'R'),
            (self.escape, 'E'),
            (self.truncation, 'P'),
        ];
        letters
            .into_iter()
            .find(|(delimiter, _)| *delimiter == byte)
            .map(|(_, letter)| letter)
    }

    /// The byte that a letter stands for.
    pub(crate) fn of_letter(&self, letter: &str) -> Option<char> {
        let (byte, usual) = match letter {
            "F" => (self.field, b'|'),
            "S" => (self.component, b'^'),
            "T" => (self.subcomponent, b'&'),
            "R" => (self.repetition, b'~'),
            "E" => (self.escape, b'\\'),
            "P" => (self.truncation, b'#'),
            _ => return None,
        };
        Some(char::from(if byte == 0 { usual } else { byte }))
    }
}

fn can_delimit(byte: u8) -> bool {
    byte.is_ascii() && !byte.is_ascii_alphanumeric() && !matches!(byte, 0 | b'\r' | b'\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(header: &str) -> Result<(Delimiters, Option<Leniency>), Unreadable> {
        Delimiters::read(header.as_bytes())
    }

    #[test]
    fn usual_and_unusual_ones() {
        let (usual, forgiven) = read(r"MSH|^~\&|A").unwrap();
        assert_eq!((usual, forgiven), (Delimiters::default(), None));
        let (other, _) = read("MSH$%!?*$A").unwrap();
        assert_eq!(
            (other.field, other.component, other.subcomponent),
            (b'$', b'%', b'*')
        );
        assert_eq!(other.encoding_characters(), "%!?*");
        let (fewer, _) = read("MSH|^~|A").unwrap();
        assert_eq!((fewer.escape, fewer.subcomponent), (0, 0));
        let (seven, forgiven) = read(r"MSH|^~\&#|A").unwrap();
        assert_eq!((seven.truncation, forgiven), (b'#', None));
        let (_, forgiven) = read(r"MSH|^~\&#@|A").unwrap();
        assert_eq!(forgiven, Some(Leniency::EncodingCharactersTooMany));
        let (usual, forgiven) = read(r"MSH|^~\\&|A").unwrap();
        assert_eq!(usual, Delimiters::default());
        assert_eq!(forgiven, Some(Leniency::EscapeCharacterTwice));
        let (usual, forgiven) = read("MSH||A").unwrap();
        assert_eq!(usual, Delimiters::default());
        assert_eq!(forgiven, Some(Leniency::NoEncodingCharacters));
    }

    #[test]
    fn what_cannot_delimit() {
        for (header, place) in [
            ("MSH", 3),
            ("MSHA^~", 3),
            ("MSH|^^", 5),
            ("MSH|^a", 5),
            ("MSH^^", 4),
            ("MSH\r", 3),
        ] {
            let Err(Unreadable::Delimiters { at, .. }) = read(header) else {
                panic!("{header} was read");
            };
            assert_eq!(at, place, "{header}");
        }
    }
}
