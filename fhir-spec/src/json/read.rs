//! Text to tree: strict JSON (RFC 8259), UTF-8, unique keys, bounded depth.

use std::fmt;

use super::{Data, Object, Text, Value, place};

/// How deep objects and arrays may nest. A FHIR element inside a list costs two levels; the deepest example of the
/// specification has 22.
pub const DEPTH_MAX: usize = 64;

/// Why a text is not a document, and where: line, column and the path of the members that led there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed {
    pub at: u32,
    pub line: u32,
    pub column: u32,
    /// Such as `Patient.name[0].given`; empty at the top.
    pub path: String,
    pub problem: Problem,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    NotUtf8,
    TooDeep(usize),
    TooLong,
    /// More of something than a caller takes: what, and how many.
    TooMuch(&'static str, usize),
    DuplicateKey(String),
    Expected(&'static str),
    Escape,
    Surrogate,
    ControlCharacter,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotUtf8 => f.write_str("the text is not UTF-8"),
            Self::TooDeep(depth) => write!(f, "nested deeper than {depth} levels"),
            Self::TooLong => f.write_str("the text is longer than 4 GiB"),
            Self::TooMuch(what, max) => write!(f, "more than {max} {what}"),
            Self::DuplicateKey(key) => {
                write!(f, "the property `{key}` stands twice in the same object")
            }
            Self::Expected(what) => write!(f, "expected {what}"),
            Self::Escape => {
                f.write_str("expected one of the escapes \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\uXXXX")
            }
            Self::Surrogate => {
                f.write_str("half of a surrogate pair in a \\u escape: no character")
            }
            Self::ControlCharacter => {
                f.write_str("a control character in a string must be escaped")
            }
        }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            line,
            column,
            path,
            problem,
            ..
        } = self;
        write!(f, "line {line}, column {column}")?;
        if !path.is_empty() {
            write!(f, ", at {path}")?;
        }
        write!(f, ": {problem}")
    }
}

impl std::error::Error for Malformed {}

impl Malformed {
    /// Whether it may be sound, but is more than a caller takes.
    pub fn is_too_much(&self) -> bool {
        matches!(self.problem, Problem::TooLong | Problem::TooMuch(..))
    }
}

/// Reads one JSON document.
pub fn parse(source: &[u8]) -> Result<Value, Malformed> {
    let text = std::str::from_utf8(source).map_err(|error| {
        let valid = source.get(..error.valid_up_to()).unwrap_or_default();
        let text = String::from_utf8_lossy(valid);
        let at = u32::try_from(valid.len()).unwrap_or(u32::MAX);
        let (line, column) = place(&text, at);
        Malformed {
            at,
            line,
            column,
            path: String::new(),
            problem: Problem::NotUtf8,
        }
    })?;
    read(text, Reader::document)
}

/// Reads a whole text.
pub(super) fn read<'t>(
    text: &'t str,
    read: impl FnOnce(&mut Reader<'t>) -> Read<Value>,
) -> Result<Value, Malformed> {
    let mut reader = Reader::new(text);
    let parsed = if u32::try_from(text.len()).is_err() {
        Err(reader.stop(Problem::TooLong))
    } else {
        read(&mut reader)
    };
    parsed.map_err(|stop| {
        let (line, column) = place(text, stop.at);
        let mut path = String::new();
        for step in stop.steps.iter().rev() {
            match step {
                Step::Member(name) if path.is_empty() => path.push_str(name),
                Step::Member(name) => {
                    path.push('.');
                    path.push_str(name);
                }
                Step::Item(index) => path.push_str(&format!("[{index}]")),
            }
        }
        Malformed {
            at: stop.at,
            line,
            column,
            path,
            problem: stop.problem,
        }
    })
}

/// A failure on its way out; every object and array it passes adds its step. Boxed: it is large and rare.
pub(super) struct Stop {
    at: u32,
    problem: Problem,
    steps: Vec<Step>,
}

enum Step {
    Member(String),
    Item(usize),
}

pub(super) type Read<T> = Result<T, Box<Stop>>;

pub(super) struct Reader<'a> {
    text: &'a str,
    bytes: &'a [u8],
    pub(super) at: usize,
    pub(super) levels_left: usize,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            text,
            bytes: text.as_bytes(),
            at: if text.starts_with('\u{feff}') { 3 } else { 0 },
            levels_left: DEPTH_MAX,
        }
    }
    pub(super) fn stop(&self, problem: Problem) -> Box<Stop> {
        Box::new(Stop {
            at: u32::try_from(self.at).unwrap_or(u32::MAX),
            problem,
            steps: Vec::new(),
        })
    }

    pub(super) fn expected<T>(&self, what: &'static str) -> Read<T> {
        Err(self.stop(Problem::Expected(what)))
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    fn document(&mut self) -> Read<Value> {
        self.document_of(Self::value)
    }

    pub(super) fn document_of(
        &mut self,
        read: impl FnOnce(&mut Self) -> Read<Value>,
    ) -> Read<Value> {
        self.skip_space();
        let value = read(self)?;
        self.skip_space();
        if self.peek().is_some() {
            return self.expected("nothing after the document");
        }
        Ok(value)
    }

    pub(super) fn value(&mut self) -> Read<Value> {
        let at = u32::try_from(self.at).unwrap_or(u32::MAX);
        let data = match self.peek() {
            Some(b'"') => Data::String(self.string()?),
            Some(b'{') => self.nested(Self::object)?,
            Some(b'[') => self.nested(Self::array)?,
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b't') => self.word("true", Data::Bool(true))?,
            Some(b'f') => self.word("false", Data::Bool(false))?,
            Some(b'n') => self.word("null", Data::Null)?,
            Some(_) => return self.expected("a JSON value"),
            None => return self.expected("a JSON value, the text ends here"),
        };
        Ok(Value { at, data })
    }

    pub(super) fn nested(&mut self, read: impl FnOnce(&mut Self) -> Read<Data>) -> Read<Data> {
        if self.levels_left == 0 {
            return Err(self.stop(Problem::TooDeep(DEPTH_MAX)));
        }
        self.levels_left -= 1;
        self.at += 1; // the opening bracket
        let data = read(self)?;
        self.levels_left += 1;
        Ok(data)
    }

    fn object(&mut self) -> Read<Data> {
        self.object_of(|reader, _| reader.value().map(Some))
    }

    /// An object whose members are read in a way of their own; None: the member is not kept.
    pub(super) fn object_of(
        &mut self,
        mut read: impl FnMut(&mut Self, &str) -> Read<Option<Value>>,
    ) -> Read<Data> {
        let mut members: Vec<(Text, Value)> = Vec::new();
        let mut seen = SeenKeys::default();
        self.skip_space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Data::Object(Object { members }));
        }
        loop {
            self.skip_space();
            let key_at = self.at;
            if self.peek() != Some(b'"') {
                return self.expected("a property name in double quotes");
            }
            let key = self.string()?;
            if seen.stands_in(&members, &key) {
                self.at = key_at;
                return Err(self.stop(Problem::DuplicateKey(key.into())));
            }
            self.skip_space();
            if self.peek() != Some(b':') {
                return self.expected("`:` after the property name");
            }
            self.at += 1;
            self.skip_space();
            match read(self, &key) {
                Ok(Some(value)) => members.push((key, value)),
                Ok(None) => {}
                Err(mut stop) => {
                    stop.steps.push(Step::Member(key.into()));
                    return Err(stop);
                }
            }
            self.skip_space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(Data::Object(Object { members }));
                }
                _ => return self.expected("`,` or `}`"),
            }
        }
    }

    fn array(&mut self) -> Read<Data> {
        self.array_of(Self::value)
    }

    pub(super) fn array_of(
        &mut self,
        mut read: impl FnMut(&mut Self) -> Read<Value>,
    ) -> Read<Data> {
        let mut items = Vec::new();
        self.skip_space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Data::Array(items));
        }
        loop {
            self.skip_space();
            match read(self) {
                Ok(value) => items.push(value),
                Err(mut stop) => {
                    stop.steps.push(Step::Item(items.len()));
                    return Err(stop);
                }
            }
            self.skip_space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(Data::Array(items));
                }
                _ => return self.expected("`,` or `]`"),
            }
        }
    }

    fn word(&mut self, word: &'static str, data: Data) -> Read<Data> {
        let end = self.at + word.len();
        if self.bytes.get(self.at..end) != Some(word.as_bytes()) {
            return self.expected("a JSON value");
        }
        self.at = end;
        Ok(data)
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        self.at - start
    }

    fn number(&mut self) -> Read<Data> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        let leading_zero = self.peek() == Some(b'0');
        let whole = self.digits();
        if whole == 0 {
            return self.expected("a digit");
        }
        if leading_zero && whole > 1 {
            self.at = start;
            return self.expected("a number without leading zeros");
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            if self.digits() == 0 {
                return self.expected("a digit after the decimal point");
            }
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            if self.digits() == 0 {
                return self.expected("a digit in the exponent");
            }
        }
        Ok(Data::Number(self.slice(start)))
    }

    fn slice(&self, start: usize) -> Text {
        self.text.get(start..self.at).unwrap_or_default().into()
    }

    fn string(&mut self) -> Read<Text> {
        self.at += 1; // the opening quote
        let start = self.at;
        self.skip_plain();
        if self.peek() == Some(b'"') {
            let text = self.slice(start);
            self.at += 1;
            return Ok(text);
        }
        let mut text = String::from(self.text.get(start..self.at).unwrap_or_default());
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(text.into());
                }
                Some(b'\\') => text.push(self.escape()?),
                Some(_) => return Err(self.stop(Problem::ControlCharacter)),
                None => return self.expected("`\"` at the end of the string"),
            }
            let start = self.at;
            self.skip_plain();
            text.push_str(self.text.get(start..self.at).unwrap_or_default());
        }
    }

    /// Moves to the next quote, backslash or control character.
    pub(super) fn skip_plain(&mut self) {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let plain = rest
            .iter()
            .position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1F))
            .unwrap_or(rest.len());
        self.at += plain;
    }

    fn escape(&mut self) -> Read<char> {
        let escaped = match self.bytes.get(self.at + 1) {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode_escape(),
            _ => return Err(self.stop(Problem::Escape)),
        };
        self.at += 2;
        Ok(escaped)
    }

    fn unicode_escape(&mut self) -> Read<char> {
        let Some(high) = self.hex4(self.at) else {
            return Err(self.stop(Problem::Escape));
        };
        if let Some(character) = char::from_u32(high) {
            self.at += 6;
            return Ok(character);
        }
        let low = self.hex4(self.at + 6).unwrap_or_default();
        if !(0xD800..0xDC00).contains(&high) || !(0xDC00..0xE000).contains(&low) {
            return Err(self.stop(Problem::Surrogate));
        }
        let code = 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
        self.at += 12;
        Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    /// The four hex digits of a `\uXXXX` that begins at `at`.
    fn hex4(&self, at: usize) -> Option<u32> {
        let digits = self.text.get(at..at + 6)?.strip_prefix("\\u")?;
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        u32::from_str_radix(digits, 16).ok()
    }
}

/// Finds duplicate keys: by looking at the few members there are, by a set once they are many (so that an object of a
/// million keys costs no square).
#[derive(Default)]
struct SeenKeys {
    set: Option<std::collections::HashSet<Text>>,
}

impl SeenKeys {
    const FEW: usize = 32;

    fn stands_in(&mut self, members: &[(Text, Value)], key: &Text) -> bool {
        if members.len() < Self::FEW {
            return members.iter().any(|(name, _)| name == key);
        }
        let set = self
            .set
            .get_or_insert_with(|| members.iter().map(|(name, _)| name.clone()).collect());
        !set.insert(key.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> (String, u32, u32, String) {
        let malformed = parse(text.as_bytes()).unwrap_err();
        (
            malformed.problem.to_string(),
            malformed.line,
            malformed.column,
            malformed.path,
        )
    }

    #[test]
    fn numbers_keep_their_digits() {
        for digits in ["1.0", "0.010", "-1.50e+10", "0", "12345678901234567890.123"] {
            let value = parse(digits.as_bytes()).unwrap();
            assert_eq!(value.as_number(), Some(digits));
        }
    }

    #[test]
    fn duplicate_keys_are_named_with_their_place() {
        let (problem, line, column, path) =
            problem("{\"name\": [{\"family\": \"A\",\n  \"family\": \"B\"}]}");
        assert!(problem.contains("`family`"), "{problem}");
        assert_eq!((line, column, path.as_str()), (2, 3, "name[0]"));
    }

    #[test]
    fn duplicates_are_found_in_wide_objects_too() {
        let mut text = String::from("{");
        for index in 0..5000 {
            text.push_str(&format!("\"k{index}\":1,"));
        }
        assert!(parse(format!("{text}\"k\":1}}").as_bytes()).is_ok());
        assert!(problem(&format!("{text}\"k4999\":1}}")).0.contains("k4999"));
        assert!(problem(&format!("{text}\"k31\":1}}")).0.contains("k31"));
    }

    #[test]
    fn a_million_levels_are_refused() {
        for open in ["[", "{\"a\":"] {
            let text = open.repeat(1_000_000);
            assert!(problem(&text).0.contains("nested deeper"));
        }
    }

    #[test]
    fn escapes_and_surrogates() {
        let value = parse(br#""a\u00e9\ud83d\ude00\n\/""#).unwrap();
        assert_eq!(value.as_str(), Some("aé😀\n/"));
        for lone in [
            r#""\ud83d""#,
            r#""\ude00""#,
            r#""\ud83dx""#,
            r#""\ud83d\u0041""#,
        ] {
            assert!(problem(lone).0.contains("surrogate"), "{lone}");
        }
        assert!(problem(r#""\u+123""#).0.contains("escapes"));
        assert!(problem(r#""\x""#).0.contains("escapes"));
    }

    #[test]
    fn what_is_not_json_is_refused() {
        for text in [
            "",
            " ",
            "{",
            "}",
            "[1,]",
            "{\"a\":1,}",
            "01",
            "1.",
            ".5",
            "+1",
            "1e",
            "tru",
            "nul",
            "'a'",
            "\"a",
            "\"a\nb\"",
            "{} {}",
            "{a:1}",
            "NaN",
            "[1 2]",
            "\u{feff}\u{feff}1",
        ] {
            assert!(parse(text.as_bytes()).is_err(), "{text:?}");
        }
        assert!(parse(&[b'"', 0xff, b'"']).is_err());
        assert!(parse("\u{feff}1".as_bytes()).is_ok());
    }

    #[test]
    fn values_know_their_place() {
        let text = "{\n  \"ä\": \"ß\", \"b\": 1}";
        let value = parse(text.as_bytes()).unwrap();
        let at = value.get("b").unwrap().at;
        assert_eq!(place(text, at), (2, 18));
    }
}
