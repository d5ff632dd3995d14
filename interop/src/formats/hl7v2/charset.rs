//! Character sets: table 0211, by encoding_rs, and the switching between several by ISO 2022.

mod iso2022;

use std::borrow::Cow;
use std::fmt;

use encoding_rs::{
    BIG5, EUC_JP, EUC_KR, Encoding, GB18030, ISO_8859_2, ISO_8859_3, ISO_8859_4, ISO_8859_5,
    ISO_8859_6, ISO_8859_7, ISO_8859_8, ISO_8859_15, WINDOWS_1252, WINDOWS_1254,
};

use super::forgiven::Leniency;

macro_rules! charsets {
    ($($variant:ident $name:literal [$($other:literal)*] $encoding:expr;)+) => {
        /// A row of table 0211.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Charset { $($variant),+ }

        impl Charset {
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// What MSH-18 calls it.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// Other names that are met, in capitals and digits alone.
            fn other_names(self) -> &'static [&'static str] {
                match self { $(Self::$variant => &[$($other),*]),+ }
            }

            fn encoding(self) -> Option<&'static Encoding> {
                match self { $(Self::$variant => $encoding),+ }
            }
        }
    };
}

// The first and ninth part of ISO 8859 are read as browsers read them: Windows puts characters where ISO has controls,
// and senders who say one mean the other.
charsets! {
    Ascii "ASCII" ["USASCII" "ISO646" "ANSI"] None;
    Latin1 "8859/1" ["ISOIR100" "LATIN1" "WINDOWS1252" "CP1252"] Some(WINDOWS_1252);
    Latin2 "8859/2" ["ISOIR101" "LATIN2"] Some(ISO_8859_2);
    Latin3 "8859/3" ["ISOIR109" "LATIN3"] Some(ISO_8859_3);
    Latin4 "8859/4" ["ISOIR110" "LATIN4"] Some(ISO_8859_4);
    Cyrillic "8859/5" ["ISOIR144"] Some(ISO_8859_5);
    Arabic "8859/6" ["ISOIR127"] Some(ISO_8859_6);
    Greek "8859/7" ["ISOIR126"] Some(ISO_8859_7);
    Hebrew "8859/8" ["ISOIR138"] Some(ISO_8859_8);
    Latin5 "8859/9" ["ISOIR148" "LATIN5" "WINDOWS1254"] Some(WINDOWS_1254);
    Latin9 "8859/15" ["LATIN9"] Some(ISO_8859_15);
    IsoIr6 "ISO IR6" [] None;
    IsoIr14 "ISO IR14" ["ISOIR13" "JISX0201"] None;
    IsoIr87 "ISO IR87" ["JISX0208" "ISO2022JP"] Some(EUC_JP);
    IsoIr159 "ISO IR159" ["JISX0212"] Some(EUC_JP);
    Gb18030 "GB 18030-2000" ["GB18030" "GB2312" "GBK"] Some(GB18030);
    KsX1001 "KS X 1001" ["KSC5601" "EUCKR" "ISOIR149"] Some(EUC_KR);
    Cns11643 "CNS 11643-1992" ["CNS11643"] Some(BIG5);
    Big5 "BIG-5" [] Some(BIG5);
    Unicode "UNICODE" [] None;
    Utf8 "UNICODE UTF-8" ["UTF8" "ISOIR192"] None;
    Utf16 "UNICODE UTF-16" ["UTF16"] None;
    Utf32 "UNICODE UTF-32" ["UTF32"] None;
}

impl fmt::Display for Charset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a value of MSH-18 says, and whether in the words of table 0211.
pub(crate) fn named(name: &str) -> Option<(Charset, bool)> {
    let plain = |text: &str| -> String {
        let letters = text.chars().filter(char::is_ascii_alphanumeric);
        letters.map(|letter| letter.to_ascii_uppercase()).collect()
    };
    let exact = Charset::ALL.iter().find(|charset| charset.name() == name);
    if let Some(&charset) = exact {
        return Some((charset, true));
    }
    let wanted = plain(name);
    let is = |charset: &&Charset| {
        let own = plain(charset.name());
        own == wanted
            || wanted.strip_prefix("ISO") == Some(&own)
            || charset.other_names().contains(&&*wanted)
    };
    Charset::ALL
        .iter()
        .find(is)
        .map(|&charset| (charset, false))
}

/// A decoded text, what it turned out to be written in, and what was forgiven.
#[derive(Debug)]
pub(crate) struct Decoded<'b> {
    pub(crate) text: Cow<'b, str>,
    pub(crate) charset: Charset,
    pub(crate) forgiven: Vec<Leniency>,
}

/// Decodes by what MSH-18 lists; by `usual` where it lists nothing.
pub(crate) fn decode<'b>(bytes: &'b [u8], declared: &[Charset], usual: Charset) -> Decoded<'b> {
    let first = declared.first().copied().unwrap_or(usual);
    if declared.iter().any(|charset| charset.switches()) || declared.len() > 1 {
        return iso2022::decode(bytes, declared);
    }
    let mut forgiven = Vec::new();
    if bytes.is_ascii() && !first.is_wide() {
        return Decoded {
            text: plain(bytes),
            charset: first,
            forgiven,
        };
    }
    let utf8 = std::str::from_utf8(bytes).ok();
    let found = first.found(bytes, utf8.is_some());
    if found != first {
        forgiven.push(Leniency::CharsetWrong {
            declared: first,
            found,
        });
    }
    let text = match (utf8, found) {
        (Some(text), Charset::Utf8 | Charset::Unicode) => Cow::Borrowed(text),
        _ => {
            let (text, lost) = found.decode_all(bytes);
            if lost > 0 {
                forgiven.push(Leniency::Undecodable(lost));
            }
            Cow::Owned(text)
        }
    };
    Decoded {
        text,
        charset: found,
        forgiven,
    }
}

/// Bytes below 128 are the same in all of these.
fn plain(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

impl Charset {
    /// Whether its characters are only reached by escape sequences.
    fn switches(self) -> bool {
        matches!(self, Self::IsoIr87 | Self::IsoIr159)
    }

    fn is_wide(self) -> bool {
        matches!(self, Self::Utf16 | Self::Utf32)
    }

    /// What bytes that are not all ASCII really are in. Text in a set of single bytes that happens to be UTF-8 throughout
    /// is UTF-8; text that is to be UTF-8 and is not comes from a Western desktop.
    fn found(self, bytes: &[u8], is_utf8: bool) -> Self {
        match self {
            Self::Utf8 | Self::Unicode if is_utf8 => self,
            Self::Utf16 | Self::Utf32 | Self::Ascii | Self::IsoIr6 | Self::Utf8 | Self::Unicode => {
                if is_utf8 {
                    Self::Utf8
                } else {
                    Self::Latin1
                }
            }
            Self::Gb18030 | Self::KsX1001 | Self::Cns11643 | Self::Big5 => {
                if is_utf8 && self.decode_all(bytes).1 > 0 {
                    Self::Utf8
                } else {
                    self
                }
            }
            _ if is_utf8 => Self::Utf8,
            _ => self,
        }
    }

    /// The text, and how many sequences mean nothing.
    fn decode_all(self, bytes: &[u8]) -> (String, usize) {
        if self == Self::IsoIr14 {
            return iso2022::katakana(bytes);
        }
        let text = match self.encoding() {
            Some(encoding) => encoding.decode_without_bom_handling(bytes).0,
            None => String::from_utf8_lossy(bytes),
        };
        let lost = text.matches(char::REPLACEMENT_CHARACTER).count();
        (text.into_owned(), lost)
    }

    /// Bytes of an escape: in the message's character set, or else each a character of Latin 1.
    pub(crate) fn decode_escaped(self, bytes: &[u8]) -> String {
        if bytes.is_ascii() || self.encoding().is_none() {
            return std::str::from_utf8(bytes).map_or_else(
                |_| bytes.iter().copied().map(char::from).collect(),
                str::to_owned,
            );
        }
        match self.decode_all(bytes) {
            (text, 0) => text,
            _ => bytes.iter().copied().map(char::from).collect(),
        }
    }
}

/// A character that a message cannot hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{character}' (byte {at}) cannot be written in {charset}")]
pub struct Unencodable {
    pub character: char,
    pub at: usize,
    pub charset: String,
}

/// The bytes of a text in the first of `charsets`, or in several that escape sequences switch between. An empty list is ASCII.
pub fn encode<'t>(text: &'t str, charsets: &[Charset]) -> Result<Cow<'t, [u8]>, Unencodable> {
    let first = charsets.first().copied().unwrap_or(Charset::Ascii);
    if charsets.len() > 1 || first.switches() {
        return iso2022::encode(text, charsets).map(Cow::Owned);
    }
    match first {
        Charset::Utf8 | Charset::Unicode => Ok(Cow::Borrowed(text.as_bytes())),
        Charset::Utf16 => Ok(text.encode_utf16().flat_map(u16::to_be_bytes).collect()),
        Charset::Utf32 => Ok(text
            .chars()
            .map(u32::from)
            .flat_map(u32::to_be_bytes)
            .collect()),
        _ if text.is_ascii() => Ok(Cow::Borrowed(text.as_bytes())),
        _ => one_by_one(text, first),
    }
}

fn one_by_one(text: &str, charset: Charset) -> Result<Cow<'_, [u8]>, Unencodable> {
    let mut bytes = Vec::with_capacity(text.len());
    for (at, character) in text.char_indices() {
        if !push(character, charset, &mut bytes) {
            let charset = charset.name().to_owned();
            return Err(Unencodable {
                character,
                at,
                charset,
            });
        }
    }
    Ok(Cow::Owned(bytes))
}

/// Adds a character's bytes; says when there are none.
fn push(character: char, charset: Charset, bytes: &mut Vec<u8>) -> bool {
    if let (true, Ok(byte)) = (character.is_ascii(), u8::try_from(character)) {
        bytes.push(byte);
        return true;
    }
    if charset == Charset::IsoIr14 {
        return iso2022::push_katakana(character, bytes);
    }
    let Some(encoding) = charset.encoding() else {
        return false;
    };
    let mut buffer = [0u8; 4];
    let (encoded, _, failed) = encoding.encode(character.encode_utf8(&mut buffer));
    if !failed {
        bytes.extend_from_slice(&encoded);
    }
    !failed
}

/// The first of these that holds the text: what was asked for, then UTF-8.
pub fn choose(text: &str, asked_for: &[Charset]) -> Vec<Charset> {
    if encode(text, asked_for).is_ok() {
        asked_for.to_vec()
    } else {
        vec![Charset::Utf8]
    }
}

/// UTF-16 and UTF-32 cannot be searched for MSH-18: they tell by their mark, or by zeros around the M of MSH.
pub(crate) fn wide(bytes: &[u8]) -> Option<(Charset, String, bool)> {
    let (charset, little, mark) = match bytes {
        [0, 0, 0xfe, 0xff, ..] => (Charset::Utf32, false, 4),
        [0xff, 0xfe, 0, 0, ..] => (Charset::Utf32, true, 4),
        [0xfe, 0xff, ..] => (Charset::Utf16, false, 2),
        [0xff, 0xfe, ..] => (Charset::Utf16, true, 2),
        [0, 0, 0, letter, ..] if letter.is_ascii_graphic() => (Charset::Utf32, false, 0),
        [letter, 0, 0, 0, ..] if letter.is_ascii_graphic() => (Charset::Utf32, true, 0),
        [0, letter, 0, next, ..] if letter.is_ascii_graphic() && next.is_ascii_graphic() => {
            (Charset::Utf16, false, 0)
        }
        [letter, 0, next, 0, ..] if letter.is_ascii_graphic() && next.is_ascii_graphic() => {
            (Charset::Utf16, true, 0)
        }
        _ => return None,
    };
    let body = bytes.get(mark..).unwrap_or_default();
    let text = if charset == Charset::Utf16 {
        let units = body.chunks(2).map(|pair| match *pair {
            [low, high] if little => u16::from_le_bytes([low, high]),
            [high, low] => u16::from_be_bytes([high, low]),
            _ => 0xfffd,
        });
        char::decode_utf16(units)
            .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect()
    } else {
        let units = body.chunks(4).map(|four| match *four {
            [a, b, c, d] if little => u32::from_le_bytes([a, b, c, d]),
            [a, b, c, d] => u32::from_be_bytes([a, b, c, d]),
            _ => u32::MAX,
        });
        units
            .map(|unit| char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect()
    };
    Some((charset, text, mark > 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_table_and_of_the_street() {
        for &charset in Charset::ALL {
            assert_eq!(named(charset.name()), Some((charset, true)));
        }
        for (name, charset) in [
            ("UTF-8", Charset::Utf8),
            ("utf8", Charset::Utf8),
            ("ISO-8859-1", Charset::Latin1),
            ("ISO 8859-15", Charset::Latin9),
            ("8859-2", Charset::Latin2),
            ("ISO IR 87", Charset::IsoIr87),
            ("Big5", Charset::Big5),
            ("us-ascii", Charset::Ascii),
        ] {
            assert_eq!(named(name), Some((charset, false)), "{name}");
        }
        assert_eq!(named("EBCDIC"), None);
    }

    #[test]
    fn what_is_written_in_a_set_is_read_from_it() {
        for (charset, text) in [
            (Charset::Latin1, "Müller €"),
            (Charset::Latin2, "Łódź"),
            (Charset::Latin3, "Ħ"),
            (Charset::Latin4, "Ŗ"),
            (Charset::Cyrillic, "Жук"),
            (Charset::Arabic, "سلام"),
            (Charset::Greek, "Ωμέγα"),
            (Charset::Hebrew, "שלום"),
            (Charset::Latin5, "İğ"),
            (Charset::Latin9, "Œuvre €"),
            (Charset::IsoIr14, "ｱｲｳ"),
            (Charset::Gb18030, "王小东𠀀"),
            (Charset::KsX1001, "김희중"),
            (Charset::Big5, "王小東"),
            (Charset::Utf8, "王🎉"),
        ] {
            let bytes = encode(text, &[charset]).unwrap();
            let decoded = decode(&bytes, &[charset], Charset::Ascii);
            assert_eq!(decoded.text, text, "{charset}");
            assert_eq!(
                (decoded.charset, decoded.forgiven),
                (charset, vec![]),
                "{charset}"
            );
        }
        for charset in [Charset::Utf16, Charset::Utf32] {
            let bytes = encode("MSH|王🎉", &[charset]).unwrap();
            assert_eq!(wide(&bytes), Some((charset, "MSH|王🎉".to_owned(), false)));
        }
        assert_eq!(
            wide(b"\xff\xfeM\0S\0").unwrap(),
            (Charset::Utf16, "MS".to_owned(), true)
        );
        assert_eq!(wide(b"MSH|"), None);
    }

    #[test]
    fn wrong_declarations_are_seen_and_told() {
        let wrong = |declared, found| vec![Leniency::CharsetWrong { declared, found }];
        let utf8 = "Müller".as_bytes();
        let latin1 = b"M\xfcller";
        for (bytes, declared, found) in [
            (utf8, Charset::Latin1, Charset::Utf8),
            (&latin1[..], Charset::Utf8, Charset::Latin1),
            (utf8, Charset::Ascii, Charset::Utf8),
            (latin1, Charset::Ascii, Charset::Latin1),
            (latin1, Charset::Utf16, Charset::Latin1),
            (utf8, Charset::Cyrillic, Charset::Utf8),
        ] {
            let decoded = decode(bytes, &[declared], Charset::Ascii);
            assert_eq!(decoded.text, "Müller", "{declared}");
            assert_eq!(decoded.forgiven, wrong(declared, found));
        }
        let decoded = decode(latin1, &[], Charset::Latin1);
        assert_eq!((&*decoded.text, decoded.forgiven.len()), ("Müller", 0));
        let decoded = decode(b"\xa5\xff\xfe", &[Charset::Hebrew], Charset::Ascii);
        assert_eq!(decoded.forgiven, [Leniency::Undecodable(1)]);
    }

    #[test]
    fn what_does_not_fit_is_said() {
        let fault = encode("abc 王", &[Charset::Latin1]).unwrap_err();
        assert_eq!((fault.character, fault.at), ('王', 4));
        assert!(encode("ä", &[]).is_err());
        assert_eq!(choose("ä", &[Charset::Latin1]), [Charset::Latin1]);
        assert_eq!(choose("王", &[Charset::Latin1]), [Charset::Utf8]);
    }
}
