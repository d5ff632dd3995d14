//! Several character sets in one message: ISO 2022, by escape sequences of bytes or by the escapes `\C..\` and `\M..\`.

use encoding_rs::{EUC_JP, EUC_KR, GB18030};

use super::{Charset, Decoded, Unencodable, push};
use crate::formats::hl7v2::escape;
use crate::formats::hl7v2::forgiven::Leniency;

const ESCAPE: u8 = 0x1b;
/// Half-width katakana of JIS X 0201 begin here.
const KATAKANA: u32 = 0xff61;

/// What bytes below 128 are (G0).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Low {
    Ascii,
    Katakana,
    Kanji,
    MoreKanji,
}

/// What bytes above 127 are (G1).
#[derive(Clone, Copy, PartialEq, Eq)]
enum High {
    Set(Charset),
    Pairs(Charset),
}

struct State {
    low: Low,
    high: High,
}

/// The sequences of ISO 2022 for the sets of table 0211, without the escape byte: how long, and what they change.
fn designation(after: &[u8], state: &mut State) -> Option<usize> {
    match *after {
        [b'(', b'B' | b'J', ..] => state.low = Low::Ascii,
        [b'(', b'I', ..] => state.low = Low::Katakana,
        [b')', b'I', ..] => state.high = High::Set(Charset::IsoIr14),
        [b'$', b'B' | b'@', ..] => state.low = Low::Kanji,
        [b'$', b'(', b'D', ..] => {
            state.low = Low::MoreKanji;
            return Some(3);
        }
        [b'$', b')', b'C', ..] => {
            state.high = High::Pairs(Charset::KsX1001);
            return Some(3);
        }
        [b'$', b')', b'A', ..] => {
            state.high = High::Pairs(Charset::Gb18030);
            return Some(3);
        }
        [b'-', last, ..] => {
            let (_, charset) = PARTS.iter().find(|(letter, _)| *letter == last)?;
            state.high = High::Set(*charset);
        }
        _ => return None,
    }
    Some(2)
}

/// Right halves of ISO 8859, by the last byte of their sequences.
const PARTS: &[(u8, Charset)] = &[
    (b'A', Charset::Latin1),
    (b'B', Charset::Latin2),
    (b'C', Charset::Latin3),
    (b'D', Charset::Latin4),
    (b'L', Charset::Cyrillic),
    (b'G', Charset::Arabic),
    (b'F', Charset::Greek),
    (b'H', Charset::Hebrew),
    (b'M', Charset::Latin5),
    (b'b', Charset::Latin9),
];

fn at_first(declared: &[Charset]) -> State {
    // An empty first repetition is the basic set.
    let first = declared.first().copied().unwrap_or(Charset::Ascii);
    let high = match first {
        Charset::KsX1001 | Charset::Gb18030 | Charset::Big5 | Charset::Cns11643 => {
            High::Pairs(first)
        }
        other => High::Set(other),
    };
    State {
        low: Low::Ascii,
        high,
    }
}

pub(super) fn decode<'b>(bytes: &'b [u8], declared: &[Charset]) -> Decoded<'b> {
    let first = declared.first().copied().unwrap_or(Charset::Ascii);
    let mut forgiven = Vec::new();
    let escapes = bytes.contains(&ESCAPE)
        || bytes
            .windows(2)
            .any(|pair| matches!(pair, [b'\\', b'C' | b'M']));
    if !escapes && !bytes.is_ascii() && std::str::from_utf8(bytes).is_ok() {
        // Unicode where sets were to be switched: the sender has moved on, its configuration has not.
        forgiven.push(Leniency::CharsetWrong {
            declared: first,
            found: Charset::Utf8,
        });
        let text = String::from_utf8_lossy(bytes);
        return Decoded {
            text,
            charset: Charset::Utf8,
            forgiven,
        };
    }
    let mut text = String::with_capacity(bytes.len());
    let mut state = at_first(declared);
    let mut lost = 0;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let rest = bytes.get(at..).unwrap_or_default();
        at += match byte {
            // The sets of the beginning hold again in every line.
            b'\r' | b'\n' => {
                state = at_first(declared);
                text.push(char::from(byte));
                1
            }
            ESCAPE => match designation(rest.get(1..).unwrap_or_default(), &mut state) {
                Some(length) => 1 + length,
                None => {
                    text.push(char::from(byte));
                    1
                }
            },
            b'\\' if matches!(rest, [_, b'C' | b'M', ..]) => escaped(rest, &mut state)
                .unwrap_or_else(|| low(rest, state.low, &mut text, &mut lost)),
            _ if byte < 0x80 => low(rest, state.low, &mut text, &mut lost),
            _ => high(rest, state.high, &mut text, &mut lost),
        };
    }
    if lost > 0 {
        forgiven.push(Leniency::Undecodable(lost));
    }
    Decoded {
        text: text.into(),
        charset: first,
        forgiven,
    }
}

/// `\C2842\` says what the escape byte and `(B` say.
fn escaped(rest: &[u8], state: &mut State) -> Option<usize> {
    let kind = rest.get(1)?;
    let length = rest
        .iter()
        .skip(1)
        .take(8)
        .position(|&byte| byte == b'\\')?;
    let digits = std::str::from_utf8(rest.get(2..=length)?).ok()?;
    let fits = matches!((kind, digits.len()), (b'C', 4) | (b'M', 4 | 6));
    if !fits || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let sequence = escape::bytes(digits);
    (designation(&sequence, state)? == sequence.len()).then_some(length + 2)
}

fn low(rest: &[u8], set: Low, text: &mut String, lost: &mut usize) -> usize {
    let pair = |prefix: &[u8], text: &mut String, lost: &mut usize| {
        let &[first, second, ..] = rest else {
            *lost += 1;
            text.push(char::REPLACEMENT_CHARACTER);
            return rest.len();
        };
        if !(0x21..0x7f).contains(&first) || !(0x21..0x7f).contains(&second) {
            text.push(char::from(first));
            return 1;
        }
        let bytes = [prefix, &[first | 0x80, second | 0x80]].concat();
        decoded(
            EUC_JP.decode_without_bom_handling(&bytes).0.as_ref(),
            text,
            lost,
        );
        2
    };
    match (set, rest.first()) {
        (Low::Kanji, _) => pair(&[], text, lost),
        (Low::MoreKanji, _) => pair(&[0x8f], text, lost),
        (Low::Katakana, Some(&byte)) if (0x21..0x60).contains(&byte) => {
            text.extend(char::from_u32(KATAKANA + u32::from(byte) - 0x21));
            1
        }
        (_, byte) => {
            text.extend(byte.map(|&byte| char::from(byte)));
            1
        }
    }
}

fn high(rest: &[u8], set: High, text: &mut String, lost: &mut usize) -> usize {
    let end = rest
        .iter()
        .position(|byte| *byte < 0x80)
        .unwrap_or(rest.len());
    let bytes = rest.get(..end).unwrap_or_default();
    match set {
        High::Set(charset) => {
            let (part, failed) = charset.decode_all(bytes);
            text.push_str(&part);
            *lost += failed;
            end
        }
        High::Pairs(charset) => {
            let encoding = match charset {
                Charset::KsX1001 => EUC_KR,
                Charset::Gb18030 => GB18030,
                _ => encoding_rs::BIG5,
            };
            // A second byte below 128 belongs to its pair.
            let odd = usize::from(end % 2 == 1 && charset != Charset::KsX1001 && end < rest.len());
            let taken = rest.get(..end + odd).unwrap_or(bytes);
            decoded(
                encoding.decode_without_bom_handling(taken).0.as_ref(),
                text,
                lost,
            );
            taken.len()
        }
    }
}

fn decoded(part: &str, text: &mut String, lost: &mut usize) {
    *lost += part.matches(char::REPLACEMENT_CHARACTER).count();
    text.push_str(part);
}

/// JIS X 0201: ASCII, and katakana above.
pub(super) fn katakana(bytes: &[u8]) -> (String, usize) {
    let mut lost = 0;
    let letters = bytes.iter().map(|&byte| match byte {
        0..0x80 => char::from(byte),
        0xa1..0xe0 => {
            char::from_u32(KATAKANA + u32::from(byte) - 0xa1).unwrap_or(char::REPLACEMENT_CHARACTER)
        }
        _ => {
            lost += 1;
            char::REPLACEMENT_CHARACTER
        }
    });
    let text = letters.collect();
    (text, lost)
}

pub(super) fn push_katakana(character: char, bytes: &mut Vec<u8>) -> bool {
    let byte = u32::from(character)
        .checked_sub(KATAKANA)
        .filter(|place| *place < 0x3f);
    let byte = byte.and_then(|place| u8::try_from(place + 0xa1).ok());
    bytes.extend(byte);
    byte.is_some()
}

/// A set that a character is written in, and the sequence that switches to it.
fn sequence(charset: Charset) -> Option<&'static [u8]> {
    Some(match charset {
        Charset::IsoIr87 => b"\x1b$B",
        Charset::IsoIr14 => b"\x1b)I",
        Charset::KsX1001 => b"\x1b$)C",
        Charset::Gb18030 => b"\x1b$)A",
        Charset::Latin1 => b"\x1b-A",
        Charset::Latin2 => b"\x1b-B",
        Charset::Latin3 => b"\x1b-C",
        Charset::Latin4 => b"\x1b-D",
        Charset::Cyrillic => b"\x1b-L",
        Charset::Arabic => b"\x1b-G",
        Charset::Greek => b"\x1b-F",
        Charset::Hebrew => b"\x1b-H",
        Charset::Latin5 => b"\x1b-M",
        Charset::Latin9 => b"\x1b-b",
        _ => return None,
    })
}

pub(super) fn encode(text: &str, charsets: &[Charset]) -> Result<Vec<u8>, Unencodable> {
    let first = charsets.first().copied().unwrap_or(Charset::Ascii);
    let mut bytes = Vec::with_capacity(text.len());
    let (mut high, mut kanji) = (first, false);
    let mut scratch = Vec::new();
    for (at, character) in text.char_indices() {
        if character.is_ascii() {
            if std::mem::take(&mut kanji) {
                bytes.extend_from_slice(b"\x1b(B");
            }
            // At the end of a line the sets of the beginning hold again.
            if matches!(character, '\r' | '\n') {
                high = first;
            }
            bytes.extend(u8::try_from(character));
            continue;
        }
        let preferred = if kanji { Charset::IsoIr87 } else { high };
        let found = std::iter::once(preferred)
            .chain(charsets.iter().copied())
            .filter(|&charset| charset == high || sequence(charset).is_some())
            .find(|&charset| holds(charset, character, &mut scratch));
        let Some(charset) = found else {
            let names: Vec<_> = charsets.iter().map(|charset| charset.name()).collect();
            return Err(Unencodable {
                character,
                at,
                charset: names.join("~"),
            });
        };
        if charset == Charset::IsoIr87 {
            if !std::mem::replace(&mut kanji, true) {
                bytes.extend_from_slice(b"\x1b$B");
            }
            bytes.extend(scratch.iter().map(|byte| byte & 0x7f));
            continue;
        }
        if std::mem::take(&mut kanji) {
            bytes.extend_from_slice(b"\x1b(B");
        }
        if charset != high {
            bytes.extend_from_slice(sequence(charset).unwrap_or_default());
            high = charset;
        }
        bytes.extend_from_slice(&scratch);
    }
    if kanji {
        bytes.extend_from_slice(b"\x1b(B");
    }
    Ok(bytes)
}

/// Whether a set has the character; its bytes are in `scratch` then.
fn holds(charset: Charset, character: char, scratch: &mut Vec<u8>) -> bool {
    scratch.clear();
    push(character, charset, scratch)
        && (charset != Charset::IsoIr87 || matches!(**scratch, [0xa1..=0xff, _]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8], declared: &[Charset]) -> (String, Vec<Leniency>) {
        let decoded = decode(bytes, declared);
        (decoded.text.into_owned(), decoded.forgiven)
    }

    #[test]
    fn japanese_names_as_they_are_sent() {
        let declared = [Charset::Ascii, Charset::IsoIr87];
        let raw = b"PID|||1||Yamada^Tarou~\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B\rPV1|";
        assert_eq!(
            read(raw, &declared),
            ("PID|||1||Yamada^Tarou~山田^太郎\rPV1|".to_owned(), vec![])
        );
        let escaped = br"PID|||1||\M2442\;3ED\C2842\^x\F\";
        assert_eq!(
            read(escaped, &declared).0,
            r"PID|||1||;3ED^x\F\".replace(";3ED", "山田")
        );
        // A line end ends the kanji too, and a bare escape byte stays.
        assert_eq!(read(b"\x1b$B;3\rab\x1bz", &declared).0, "山\rab\x1bz");
    }

    #[test]
    fn other_sets_beside_ascii() {
        assert_eq!(
            read(
                b"\x1b$)C\xb1\xe8\xc8\xf1",
                &[Charset::Ascii, Charset::KsX1001]
            )
            .0,
            "김희"
        );
        assert_eq!(
            read(
                b"\x1b-L\xb6\xe3\xda|\x1b-F\xd9",
                &[Charset::Latin1, Charset::Cyrillic, Charset::Greek]
            )
            .0,
            "Жук|Ω"
        );
        assert_eq!(
            read(
                b"\xb1\xb2\x1b(I12\x1b(B",
                &[Charset::IsoIr14, Charset::IsoIr87]
            )
            .0,
            "ｱｲｱｲ"
        );
        let (text, forgiven) = read("Müller".as_bytes(), &[Charset::Latin1, Charset::Latin2]);
        assert_eq!((&*text, forgiven.len()), ("Müller", 1));
    }

    #[test]
    fn what_is_written_is_read() {
        for (charsets, text) in [
            (
                vec![Charset::Ascii, Charset::IsoIr87],
                "PID|山田^太郎|x\rPV1|山",
            ),
            (vec![Charset::IsoIr14, Charset::IsoIr87], "ｱｲ^山田ｱ|x"),
            (vec![Charset::IsoIr87], "山田|x山"),
            (
                vec![Charset::Latin1, Charset::Cyrillic, Charset::Latin2],
                "Müller|Жук|Łódź\rMüller",
            ),
            (vec![Charset::Ascii, Charset::KsX1001], "김희중|Hong\r김"),
            (vec![Charset::Ascii, Charset::Gb18030], "王小东|Wang"),
        ] {
            let bytes = encode(text, &charsets).unwrap();
            assert_eq!(
                read(&bytes, &charsets),
                (text.to_owned(), vec![]),
                "{charsets:?} {bytes:x?}"
            );
        }
        let fault = encode("Ж", &[Charset::Ascii, Charset::IsoIr87, Charset::Latin1]);
        assert!(fault.is_ok(), "kanji sets hold Cyrillic");
        let fault = encode("ع", &[Charset::Ascii, Charset::IsoIr87]).unwrap_err();
        assert_eq!((fault.at, &*fault.charset), (0, "ASCII~ISO IR87"));
    }
}
