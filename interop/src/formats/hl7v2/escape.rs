//! Escapes, section 2.7 of the standard: undone when a value is asked for, made when one is written.
//!
//! `\F\ \S\ \T\ \R\ \E\ \P\` stand for delimiters, `\X0D0A\` for bytes, `\H\ \N\` for highlighting, `\.br\` and its kin for
//! layout, `\C2842\ \M2442\` for a change of character set, `\Z..\` for what two parties agree upon.

use std::borrow::Cow;

use super::{Charset, Delimiters, find_byte, slice};

/// Blank lines or blanks that one layout command makes at most.
const REPEAT_MAX: usize = 200;
/// Letters and digits in the body of a local escape.
const LOCAL_MAX: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'t> {
    Text(&'t str),
    /// A delimiter that is meant as a character.
    Character(char),
    /// Hexadecimal digits, two a byte, in the character set of the message.
    Bytes(&'t str),
    /// `\H\` begins, `\N\` ends.
    Highlight(bool),
    Layout(Layout),
    /// What decoding has already followed: the digits of `\C..\` or `\M..\`.
    Charset(&'t str),
    /// `\Z..\`, with its Z.
    Local(&'t str),
}

/// Commands of formatted text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// `.br`
    Break,
    /// `.sp`: end the line, leave lines blank.
    Space(usize),
    /// `.sk`: blanks.
    Skip(usize),
    /// `.in`, `.ti`: indent from now on, or once.
    Indent,
    /// `.ce`
    Centre,
    /// `.fi`, `.nf`
    Wrap(bool),
}

/// Takes a value apart into text and escapes; what is no escape is text.
pub(crate) fn pieces<'t>(raw: &'t str, delimiters: &Delimiters) -> Pieces<'t> {
    Pieces {
        rest: raw,
        delimiters: *delimiters,
        at: 0,
        misused: None,
    }
}

#[derive(Debug, Clone)]
pub struct Pieces<'t> {
    rest: &'t str,
    delimiters: Delimiters,
    at: usize,
    /// Where an escape character was met that begins no escape.
    misused: Option<usize>,
}

impl<'t> Pieces<'t> {
    fn take(&mut self, length: usize) -> &'t str {
        let taken = slice(self.rest, 0, length);
        self.rest = slice(self.rest, length, self.rest.len());
        self.at += length;
        taken
    }
}

impl<'t> Iterator for Pieces<'t> {
    type Item = Piece<'t>;

    fn next(&mut self) -> Option<Piece<'t>> {
        if self.rest.is_empty() {
            return None;
        }
        let mark = char::from(self.delimiters.escape);
        let begin = match self.delimiters.escape {
            0 => None,
            _ => self.rest.find(mark),
        };
        match begin {
            None => Some(Piece::Text(self.take(self.rest.len()))),
            Some(0) => {
                let after = slice(self.rest, 1, self.rest.len());
                let found = after.find(mark).and_then(|end| {
                    read(slice(after, 0, end), &self.delimiters).map(|piece| (piece, end))
                });
                if let Some((piece, end)) = found {
                    self.take(end + 2);
                    return Some(piece);
                }
                self.misused = Some(self.at);
                Some(Piece::Text(self.take(1)))
            }
            Some(length) => Some(Piece::Text(self.take(length))),
        }
    }
}

/// Where escape characters stand that begin no escape.
pub(crate) fn misused(raw: &str, delimiters: &Delimiters) -> impl Iterator<Item = usize> {
    let mut pieces = pieces(raw, delimiters);
    std::iter::from_fn(move || {
        loop {
            pieces.next()?;
            if let Some(at) = pieces.misused.take() {
                return Some(at);
            }
        }
    })
}

fn read<'t>(body: &'t str, delimiters: &Delimiters) -> Option<Piece<'t>> {
    if let Some(character) = delimiters.of_letter(body) {
        return Some(Piece::Character(character));
    }
    let rest = body.get(1..)?;
    let hexadecimal = !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_hexdigit());
    match body.as_bytes().first()? {
        b'H' if rest.is_empty() => Some(Piece::Highlight(true)),
        b'N' if rest.is_empty() => Some(Piece::Highlight(false)),
        b'X' if hexadecimal && rest.len() % 2 == 0 => Some(Piece::Bytes(rest)),
        b'C' if hexadecimal && rest.len() == 4 => Some(Piece::Charset(rest)),
        b'M' if hexadecimal && matches!(rest.len(), 4 | 6) => Some(Piece::Charset(rest)),
        b'.' => layout(rest).map(Piece::Layout),
        b'Z' if rest.len() <= LOCAL_MAX
            && rest.bytes().all(|byte| byte.is_ascii_alphanumeric()) =>
        {
            Some(Piece::Local(body))
        }
        _ => None,
    }
}

fn layout(command: &str) -> Option<Layout> {
    let number = command.get(2..)?.trim_start_matches(['+', ' ']);
    let count = match number {
        "" => Some(1),
        digits => digits
            .parse()
            .ok()
            .map(|count: usize| count.min(REPEAT_MAX)),
    };
    match command.get(..2)? {
        "br" if number.is_empty() => Some(Layout::Break),
        "ce" if number.is_empty() => Some(Layout::Centre),
        "fi" if number.is_empty() => Some(Layout::Wrap(true)),
        "nf" if number.is_empty() => Some(Layout::Wrap(false)),
        "sp" => count.map(Layout::Space),
        "sk" => count.map(Layout::Skip),
        "in" | "ti" => number
            .trim_start_matches('-')
            .bytes()
            .all(|byte| byte.is_ascii_digit())
            .then_some(Layout::Indent),
        _ => None,
    }
}

/// The value as people read it: breaks are line feeds, highlighting is gone, what only two parties know stays.
pub(crate) fn unescape<'t>(
    raw: &'t str,
    delimiters: &Delimiters,
    charset: Charset,
) -> Cow<'t, str> {
    let mark = delimiters.escape;
    if find_byte(raw.as_bytes(), mark, 0).is_none() {
        return Cow::Borrowed(raw);
    }
    let mut text = String::with_capacity(raw.len());
    for piece in pieces(raw, delimiters) {
        match piece {
            Piece::Text(plain) => text.push_str(plain),
            Piece::Character(character) => text.push(character),
            Piece::Bytes(digits) => text.push_str(&charset.decode_escaped(&bytes(digits))),
            Piece::Layout(Layout::Break | Layout::Centre) => text.push('\n'),
            Piece::Layout(Layout::Space(lines)) => text.extend(std::iter::repeat_n('\n', lines)),
            Piece::Layout(Layout::Skip(blanks)) => text.extend(std::iter::repeat_n(' ', blanks)),
            Piece::Highlight(_)
            | Piece::Charset(_)
            | Piece::Layout(Layout::Indent | Layout::Wrap(_)) => {}
            Piece::Local(body) => {
                text.push(char::from(mark));
                text.push_str(body);
                text.push(char::from(mark));
            }
        }
    }
    Cow::Owned(text)
}

pub(crate) fn bytes(digits: &str) -> Vec<u8> {
    let value = |digit: &u8| {
        char::from(*digit)
            .to_digit(16)
            .and_then(|value| u8::try_from(value).ok())
    };
    digits
        .as_bytes()
        .chunks(2)
        .filter_map(|pair| Some(value(pair.first()?)? * 16 + value(pair.get(1)?)?))
        .collect()
}

/// The value cannot be written: it needs an escape and the message has no escape character.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' needs an escape, and MSH-2 names no escape character")]
pub struct NoEscape(pub char);

/// What stands for the value between delimiters, so that reading it gives the value again. Line feeds become breaks where
/// `formatted` text has them, and bytes elsewhere.
pub fn escape<'t>(
    value: &'t str,
    delimiters: &Delimiters,
    formatted: bool,
) -> Result<Cow<'t, str>, NoEscape> {
    // Two quotes alone would be the explicit null.
    let null = value == "\"\"";
    let special = |character: char| {
        u8::try_from(character)
            .is_ok_and(|byte| byte < 0x20 || byte == 0x7f || delimiters.letter(byte).is_some())
    };
    let Some(first) = value.chars().find(|&character| null || special(character)) else {
        return Ok(Cow::Borrowed(value));
    };
    if delimiters.escape == 0 {
        return Err(NoEscape(first));
    }
    let mark = char::from(delimiters.escape);
    let mut text = String::with_capacity(value.len() + 8);
    for character in value.chars() {
        if !(null || special(character)) {
            text.push(character);
            continue;
        }
        text.push(mark);
        match u8::try_from(character)
            .ok()
            .and_then(|byte| delimiters.letter(byte))
        {
            Some(letter) => text.push(letter),
            None if formatted && character == '\n' && delimiters.letter(b'.').is_none() => {
                text.push_str(".br");
            }
            None => {
                let code = u32::from(character);
                text.push('X');
                text.extend(
                    char::from_digit(code / 16, 16).map(|digit| digit.to_ascii_uppercase()),
                );
                text.extend(
                    char::from_digit(code % 16, 16).map(|digit| digit.to_ascii_uppercase()),
                );
            }
        }
        text.push(mark);
    }
    Ok(Cow::Owned(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    const USUAL: Delimiters = Delimiters {
        field: b'|',
        component: b'^',
        repetition: b'~',
        escape: b'\\',
        subcomponent: b'&',
        truncation: b'#',
    };

    fn undone(raw: &str) -> String {
        unescape(raw, &USUAL, Charset::Utf8).into_owned()
    }

    #[test]
    fn every_escape_of_the_standard_is_undone() {
        for (raw, text) in [
            ("plain", "plain"),
            (r"a\F\b\S\c\T\d\R\e\E\f\P\g", r"a|b^c&d~e\f#g"),
            (r"\X0D0A\|", "\r\n|"),
            (r"\XC3A4\", "ä"),
            (r"äöü\T\", "äöü&"),
            (r"\H\bold\N\ plain", "bold plain"),
            (
                r"one\.br\two\.sp\three\.sp+2\four",
                "one\ntwo\nthree\n\nfour",
            ),
            (r"\.fi\a\.sk3\b\.ce\c\.nf\\.in+4\d\.ti-2\", "a   b\ncd"),
            (r"\C2842\a\M2442\b\M242844\", "ab"),
            (r"\Zcolour1\x", r"\Zcolour1\x"),
        ] {
            assert_eq!(undone(raw), text, "{raw}");
            assert_eq!(misused(raw, &USUAL).count(), 0, "{raw}");
        }
        assert_eq!(undone(r"\.sp999999999\").len(), REPEAT_MAX);
    }

    #[test]
    fn what_is_no_escape_stays_and_is_told() {
        for (raw, text, places) in [
            (r"C:\temp\x", r"C:\temp\x", vec![2, 7]),
            (r"a\", r"a\", vec![1]),
            (r"\\", r"\\", vec![0, 1]),
            (r"\X0\F\", r"\X0|", vec![0]),
            (r"\XZZ\", r"\XZZ\", vec![0, 4]),
            (r"\.xy\", r"\.xy\", vec![0, 4]),
            (r"\Z with blanks\", r"\Z with blanks\", vec![0, 14]),
        ] {
            assert_eq!(undone(raw), text, "{raw}");
            assert_eq!(misused(raw, &USUAL).collect::<Vec<_>>(), places, "{raw}");
        }
    }

    #[test]
    fn layout_is_kept_for_who_wants_it() {
        let found: Vec<_> = pieces(r"\H\a\N\\.br\\.in+4\", &USUAL).collect();
        let wanted = [
            Piece::Highlight(true),
            Piece::Text("a"),
            Piece::Highlight(false),
            Piece::Layout(Layout::Break),
            Piece::Layout(Layout::Indent),
        ];
        assert_eq!(found, wanted);
    }

    #[test]
    fn written_and_read_again_it_is_the_same() {
        let odd = Delimiters {
            field: b'!',
            component: b'"',
            repetition: b'.',
            escape: b'/',
            subcomponent: b' ',
            truncation: 0,
        };
        for delimiters in [USUAL, Delimiters::default(), odd] {
            for value in [
                r"|^~\&#",
                "\"\"",
                "a b",
                "ä|\u{1f600}",
                "\r\n\t\0\u{7f}",
                r"\F\",
                "! . / \"",
                "#",
            ] {
                for formatted in [false, true] {
                    let raw = escape(value, &delimiters, formatted).unwrap();
                    assert_eq!(unescape(&raw, &delimiters, Charset::Utf8), value);
                    assert_ne!(raw, "\"\"");
                }
            }
        }
        assert_eq!(escape("a\nb", &USUAL, true).unwrap(), r"a\.br\b");
        assert_eq!(escape("a\nb", &USUAL, false).unwrap(), r"a\X0A\b");
        let none = Delimiters { escape: 0, ..USUAL };
        assert_eq!(escape("a|b", &none, false), Err(NoEscape('|')));
    }
}
