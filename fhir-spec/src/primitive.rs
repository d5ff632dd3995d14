//! The formats of primitive values. <https://hl7.org/fhir/R4/datatypes.html#primitive>
//!
//! Handwritten checks that say the same as the regular expressions of the specification (a test holds them side by
//! side), and what its prose adds: days that exist, 32 bits, a megabyte, single spaces in codes.

use crate::json::{Data, Value};

/// A string may have this many characters. <https://hl7.org/fhir/R4/datatypes.html#string>
pub const STRING_CHARACTERS_MAX: usize = 1024 * 1024;

const ID_CHARACTERS_MAX: usize = 64;

/// The primitive types of R4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Primitive {
    Base64Binary,
    Boolean,
    Canonical,
    Code,
    Date,
    DateTime,
    Decimal,
    Id,
    Instant,
    Integer,
    Markdown,
    Oid,
    PositiveInt,
    String,
    Time,
    UnsignedInt,
    Uri,
    Url,
    Uuid,
    Xhtml,
}

/// How JSON writes the values of a primitive type. <https://hl7.org/fhir/R4/json.html#primitive>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    Boolean,
    Number,
    String,
}

/// Checks a JSON value against the primitive type of that name; the error says what was expected. Names of other types
/// pass, and so does `null`: where a value may be missing is a question of shape.
pub fn check(type_name: &str, value: &Value) -> Result<(), &'static str> {
    Primitive::named(type_name).map_or(Ok(()), |primitive| primitive.check(value))
}

impl Primitive {
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "base64Binary" => Self::Base64Binary,
            "boolean" => Self::Boolean,
            "canonical" => Self::Canonical,
            "code" => Self::Code,
            "date" => Self::Date,
            "dateTime" => Self::DateTime,
            "decimal" => Self::Decimal,
            "id" => Self::Id,
            "instant" => Self::Instant,
            "integer" => Self::Integer,
            "markdown" => Self::Markdown,
            "oid" => Self::Oid,
            "positiveInt" => Self::PositiveInt,
            "string" => Self::String,
            "time" => Self::Time,
            "unsignedInt" => Self::UnsignedInt,
            "uri" => Self::Uri,
            "url" => Self::Url,
            "uuid" => Self::Uuid,
            "xhtml" => Self::Xhtml,
            _ => return None,
        })
    }

    pub fn written(self) -> Written {
        match self {
            Self::Boolean => Written::Boolean,
            Self::Decimal | Self::Integer | Self::PositiveInt | Self::UnsignedInt => {
                Written::Number
            }
            _ => Written::String,
        }
    }

    /// What a value of this type must look like, to stand after "expected".
    pub fn expected(self) -> &'static str {
        match self {
            Self::Base64Binary => "base64 text: groups of four characters, padded with =",
            Self::Boolean => "true or false",
            Self::Canonical | Self::Uri | Self::Url => "a URI without whitespace",
            Self::Code => "a code: no space at either end, single spaces within",
            Self::Date => "a date such as 2015, 2015-02 or 2015-02-07",
            Self::DateTime => {
                "a date such as 2015, 2015-02 or 2015-02-07, or with seconds and zone 2015-02-07T13:28:17Z"
            }
            Self::Decimal => "a decimal number such as 1.50",
            Self::Id => "an id: 1 to 64 letters, digits, - or .",
            Self::Instant => {
                "an instant with seconds and zone, such as 2015-02-07T13:28:17.239+02:00"
            }
            Self::Integer => "a whole number of 32 bits",
            Self::PositiveInt => "a whole number from 1 to 2147483647",
            Self::UnsignedInt => "a whole number from 0 to 2147483647",
            Self::Markdown | Self::String => {
                "a string of 1 to 1048576 characters without control characters"
            }
            Self::Oid => "an OID such as urn:oid:1.2.3.4",
            Self::Time => "a time such as 13:28:17",
            Self::Uuid => {
                "a UUID in lower case such as urn:uuid:c757873d-ec9a-4326-a141-556f43239520"
            }
            Self::Xhtml => "a string that holds an XHTML div",
        }
    }

    pub fn check(self, value: &Value) -> Result<(), &'static str> {
        let is_good = match (self.written(), &value.data) {
            (_, Data::Null) | (Written::Boolean, Data::Bool(_)) => true,
            (Written::Number, Data::Number(text)) | (Written::String, Data::String(text)) => {
                self.accepts(text)
            }
            _ => false,
        };
        if is_good {
            Ok(())
        } else {
            Err(self.expected())
        }
    }

    /// Whether a text has this type's format, as XML writes it in a `value` attribute.
    pub fn accepts(self, text: &str) -> bool {
        match self {
            Self::Base64Binary => is_base64(text),
            Self::Boolean => matches!(text, "true" | "false"),
            Self::Canonical | Self::Uri | Self::Url => {
                !text.is_empty() && !text.bytes().any(is_space)
            }
            Self::Code => is_code(text),
            Self::Date => is_date_time(text, DatePrecision::Day),
            Self::DateTime => is_date_time(text, DatePrecision::Second),
            Self::Decimal => is_decimal(text),
            Self::Id => is_id(text),
            Self::Instant => {
                text.as_bytes().get(10) == Some(&b'T') && is_date_time(text, DatePrecision::Second)
            }
            Self::Integer => is_integer(text, i32::MIN),
            Self::PositiveInt => is_integer(text, 1),
            Self::UnsignedInt => !text.starts_with('-') && is_integer(text, 0),
            Self::Markdown | Self::String => is_string(text),
            Self::Oid => is_oid(text),
            Self::Time => clock(text.as_bytes()).is_some_and(<[u8]>::is_empty),
            Self::Uuid => is_uuid(text),
            Self::Xhtml => !text.is_empty(),
        }
    }
}

/// Whitespace as the specification's expressions and XML mean it.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// Whitespace may stand between the groups of four, nowhere else.
fn is_base64(text: &str) -> bool {
    let mut characters = 0usize;
    let mut padding = 0usize;
    for byte in text.bytes() {
        match byte {
            b'=' => padding += 1,
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' if padding == 0 => {}
            _ if is_space(byte) && characters.is_multiple_of(4) => continue,
            _ => return false,
        }
        characters += 1;
    }
    characters > 0 && characters.is_multiple_of(4) && padding <= 2
}

fn is_code(text: &str) -> bool {
    !text.is_empty()
        && text
            .split(' ')
            .all(|word| !word.is_empty() && !word.bytes().any(is_space))
}

fn is_id(text: &str) -> bool {
    (1..=ID_CHARACTERS_MAX).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
}

fn is_string(text: &str) -> bool {
    !text.is_empty()
        && (text.len() <= STRING_CHARACTERS_MAX || text.chars().count() <= STRING_CHARACTERS_MAX)
        && !text.bytes().any(|byte| byte < b' ' && !is_space(byte))
}

fn is_oid(text: &str) -> bool {
    let Some(arcs) = text.strip_prefix("urn:oid:") else {
        return false;
    };
    let Some((root, rest)) = arcs.split_once('.') else {
        return false;
    };
    matches!(root, "0" | "1" | "2") && rest.split('.').all(is_whole_number)
}

fn is_uuid(text: &str) -> bool {
    const GROUPS: [usize; 5] = [8, 4, 4, 4, 12];
    let Some(groups) = text.strip_prefix("urn:uuid:") else {
        return false;
    };
    let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    groups.split('-').map(str::len).eq(GROUPS)
        && groups.split('-').all(|group| group.bytes().all(is_hex))
}

/// Digits without a leading zero.
fn is_whole_number(text: &str) -> bool {
    text == "0" || (!text.starts_with('0') && is_digits(text))
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_integer(text: &str, min: i32) -> bool {
    is_whole_number(text.strip_prefix('-').unwrap_or(text))
        && text.parse::<i32>().is_ok_and(|number| number >= min)
}

/// What JSON calls a number.
fn is_decimal(text: &str) -> bool {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    is_whole_number(whole.strip_prefix('-').unwrap_or(whole))
        && fraction.is_none_or(is_digits)
        && exponent.is_none_or(|text| is_digits(text.strip_prefix(['+', '-']).unwrap_or(text)))
}

/// How far a date may go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum DatePrecision {
    Day,
    Second,
}

fn is_date_time(text: &str, finest: DatePrecision) -> bool {
    date_time(text.as_bytes(), finest).is_some()
}

/// `Some` when all of the text is a date (and time, when those are allowed).
fn date_time(text: &[u8], finest: DatePrecision) -> Option<()> {
    let (year, rest) = number(text, 4)?;
    if year == 0 {
        return None;
    }
    if rest.is_empty() {
        return Some(());
    }
    let (month, rest) = number(rest.strip_prefix(b"-")?, 2)?;
    if !(1..=12).contains(&month) {
        return None;
    }
    if rest.is_empty() {
        return Some(());
    }
    let (day, rest) = number(rest.strip_prefix(b"-")?, 2)?;
    if day == 0 || day > days_in(year, month) {
        return None;
    }
    if rest.is_empty() {
        return Some(());
    }
    if finest == DatePrecision::Day {
        return None;
    }
    zone(clock(rest.strip_prefix(b"T")?)?)
}

/// Reads `hh:mm:ss` with or without a fraction, and gives back what follows. Leap seconds exist.
fn clock(text: &[u8]) -> Option<&[u8]> {
    let (hour, rest) = number(text, 2)?;
    let (minute, rest) = number(rest.strip_prefix(b":")?, 2)?;
    let (second, rest) = number(rest.strip_prefix(b":")?, 2)?;
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let Some(fraction) = rest.strip_prefix(b".") else {
        return Some(rest);
    };
    let digits = fraction
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    if digits == 0 {
        return None;
    }
    fraction.get(digits..)
}

/// `Some` when the text is `Z` or an offset of at most 14 hours.
fn zone(text: &[u8]) -> Option<()> {
    if text == b"Z" {
        return Some(());
    }
    let offset = text
        .strip_prefix(b"+")
        .or_else(|| text.strip_prefix(b"-"))?;
    let (hour, rest) = number(offset, 2)?;
    let (minute, rest) = number(rest.strip_prefix(b":")?, 2)?;
    let is_good = rest.is_empty() && minute < 60 && (hour < 14 || (hour == 14 && minute == 0));
    is_good.then_some(())
}

/// A number of exactly so many digits, and what follows.
fn number(text: &[u8], digits: usize) -> Option<(u32, &[u8])> {
    let (head, rest) = text.split_at_checked(digits)?;
    let mut number = 0;
    for byte in head {
        if !byte.is_ascii_digit() {
            return None;
        }
        number = number * 10 + u32::from(byte - b'0');
    }
    Some((number, rest))
}

fn days_in(year: u32, month: u32) -> u32 {
    let is_leap = year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap => 29,
        2 => 28,
        _ => 31,
    }
}

#[cfg(test)]
mod tests;
