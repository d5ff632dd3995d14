//! Text to tokens. <http://hl7.org/fhirpath/N1/#lexical-elements>

use rust_decimal::Decimal;

use super::error::{FhirPathError, Result};
use super::limits::TEXT_MAX;
use crate::decimal;
use crate::time::{Date, DateTime, Time};

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    pub at: u32,
    pub kind: TokenKind,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum TokenKind {
    /// A plain word; keywords are words too.
    Word(Box<str>),
    /// A word in backticks: never a keyword.
    Delimited(Box<str>),
    String(Box<str>),
    Integer(i64),
    Long(i64),
    Decimal(Decimal),
    Date(Date),
    DateTime(DateTime),
    Time(Time),
    /// `%name`, `%'name'`, `` %`name` ``
    External(Box<str>),
    /// `$this`, `$index`, `$total`
    Special(Box<str>),
    Symbol(&'static str),
    End,
}

/// Longer ones first.
const SYMBOLS: &[&str] = &[
    "<=", ">=", "!=", "!~", ".", ",", "(", ")", "[", "]", "{", "}", "+", "-", "*", "/", "&", "|",
    "<", ">", "=", "~",
];

pub(super) fn tokens(text: &str) -> Result<Vec<Token>> {
    if text.len() > TEXT_MAX {
        return Err(FhirPathError::budget(
            0,
            "bytes in one expression",
            TEXT_MAX,
        ));
    }
    let mut lexer = Lexer { text, at: 0 };
    let mut tokens = Vec::new();
    loop {
        lexer.skip_blanks()?;
        let at = lexer.place();
        let kind = lexer.next()?;
        let is_end = kind == TokenKind::End;
        tokens.push(Token { at, kind });
        if is_end {
            return Ok(tokens);
        }
    }
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Lexer<'t> {
    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn place(&self) -> u32 {
        u32::try_from(self.at).unwrap_or(u32::MAX)
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn take(&mut self, wanted: &str) -> bool {
        let found = self.rest().starts_with(wanted);
        if found {
            self.at += wanted.len();
        }
        found
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'t str {
        let rest = self.rest();
        let end = rest.find(|c| !wanted(c)).unwrap_or(rest.len());
        self.at += end;
        rest.get(..end).unwrap_or_default()
    }

    /// White space and comments.
    fn skip_blanks(&mut self) -> Result<()> {
        loop {
            self.take_while(char::is_whitespace);
            if self.take("//") {
                self.take_while(|c| c != '\n' && c != '\r');
            } else if self.rest().starts_with("/*") {
                let Some(end) = self.rest().find("*/") else {
                    return Err(FhirPathError::syntax(
                        self.place(),
                        "this comment has no end: expected `*/`",
                    ));
                };
                self.at += end + 2;
            } else {
                return Ok(());
            }
        }
    }

    fn next(&mut self) -> Result<TokenKind> {
        let Some(first) = self.peek() else {
            return Ok(TokenKind::End);
        };
        match first {
            '\'' | '"' => Ok(TokenKind::String(self.quoted(first)?)),
            '`' => Ok(TokenKind::Delimited(self.quoted('`')?)),
            '@' => self.moment(),
            '%' => self.external(),
            '$' => {
                self.at += 1;
                Ok(TokenKind::Special(self.word().into()))
            }
            '0'..='9' => self.number(),
            'A'..='Z' | 'a'..='z' | '_' => Ok(TokenKind::Word(self.word().into())),
            _ => self.symbol(first),
        }
    }

    fn word(&mut self) -> &'t str {
        self.take_while(|c| c.is_ascii_alphanumeric() || c == '_')
    }

    fn symbol(&mut self, first: char) -> Result<TokenKind> {
        let symbol = SYMBOLS
            .iter()
            .find(|symbol| self.rest().starts_with(**symbol));
        let Some(symbol) = symbol else {
            let message = format!("expected an expression, found `{first}`");
            return Err(FhirPathError::syntax(self.place(), message));
        };
        self.at += symbol.len();
        Ok(TokenKind::Symbol(symbol))
    }

    fn external(&mut self) -> Result<TokenKind> {
        self.at += 1;
        let name = match self.peek() {
            Some(quote @ ('\'' | '"' | '`')) => self.quoted(quote)?,
            _ => self.word().into(),
        };
        if name.is_empty() {
            return Err(FhirPathError::syntax(
                self.place(),
                "expected the name of a variable after `%`",
            ));
        }
        Ok(TokenKind::External(name))
    }

    fn number(&mut self) -> Result<TokenKind> {
        let at = self.place();
        let from = self.at;
        let is_digit = |c: char| c.is_ascii_digit();
        self.take_while(is_digit);
        let has_fraction = self
            .rest()
            .strip_prefix('.')
            .is_some_and(|rest| rest.starts_with(is_digit));
        if has_fraction {
            self.at += 1;
            self.take_while(is_digit);
        }
        let digits = self.text.get(from..self.at).unwrap_or_default();
        let out_of_range =
            || FhirPathError::syntax(at, format!("the number `{digits}` is out of range"));
        if has_fraction {
            return decimal::parse(digits)
                .map(TokenKind::Decimal)
                .ok_or_else(out_of_range);
        }
        let number = digits.parse().map_err(|_| out_of_range())?;
        Ok(if self.take("L") {
            TokenKind::Long(number)
        } else {
            TokenKind::Integer(number)
        })
    }

    /// `@2015-02-04`, `@2015-02-04T14:34:28Z`, `@T14:34`
    fn moment(&mut self) -> Result<TokenKind> {
        let at = self.place();
        self.at += 1;
        let from = self.at;
        self.take_while(|c| c.is_ascii_digit() || c == '-');
        let date_end = self.at;
        if self.take("T") {
            self.take_while(|c| c.is_ascii_digit() || c == ':');
            if self.fraction_follows() {
                self.at += 1;
                self.take_while(|c| c.is_ascii_digit());
            }
            if !self.take("Z") {
                self.offset();
            }
        }
        let text = self.text.get(from..self.at).unwrap_or_default();
        let found = if self.at == date_end {
            Date::parse(text).map(TokenKind::Date)
        } else if let Some(time) = text.strip_prefix('T') {
            Time::parse(time).map(TokenKind::Time)
        } else {
            DateTime::parse(text).map(TokenKind::DateTime)
        };
        found.ok_or_else(|| FhirPathError::syntax(at, format!("`@{text}` is no date or time")))
    }

    fn fraction_follows(&self) -> bool {
        self.rest()
            .strip_prefix('.')
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    }

    /// `+hh:mm`; a sign that begins none is left for the subtraction it may be.
    fn offset(&mut self) {
        let rest = self.rest().as_bytes();
        let is_offset = matches!(
            rest,
            [
                b'+' | b'-',
                b'0'..=b'9',
                b'0'..=b'9',
                b':',
                b'0'..=b'9',
                b'0'..=b'9',
                ..
            ]
        );
        if is_offset {
            self.at += 6;
        }
    }

    /// The text between quotes, its escapes resolved.
    fn quoted(&mut self, quote: char) -> Result<Box<str>> {
        let from = self.place();
        self.at += quote.len_utf8();
        let mut text = String::new();
        loop {
            text.push_str(self.take_while(|c| c != quote && c != '\\'));
            if !self.take("\\") {
                break;
            }
            text.push(self.escape()?);
        }
        let mut end = [0; 4];
        if !self.take(quote.encode_utf8(&mut end)) {
            return Err(FhirPathError::syntax(
                from,
                format!("this text has no end: expected {quote}"),
            ));
        }
        Ok(text.into())
    }

    fn escape(&mut self) -> Result<char> {
        let at = self.place();
        let Some(escaped) = self.peek() else {
            return Err(FhirPathError::syntax(at, "expected a character after `\\`"));
        };
        self.at += escaped.len_utf8();
        Ok(match escaped {
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'f' => '\u{c}',
            'u' => self.unicode(at)?,
            // Quotes and the backslash itself; of any other character the backslash is ignored.
            other => other,
        })
    }

    fn unicode(&mut self, at: u32) -> Result<char> {
        let broken = || {
            FhirPathError::syntax(
                at,
                "expected four hexadecimal digits of a character after `\\u`",
            )
        };
        let first = self.hexadecimal().ok_or_else(broken)?;
        if !(0xD800..0xDC00).contains(&first) {
            return char::from_u32(first).ok_or_else(broken);
        }
        let second = self
            .take("\\u")
            .then(|| self.hexadecimal())
            .flatten()
            .ok_or_else(broken)?;
        let low = second
            .checked_sub(0xDC00)
            .filter(|low| *low < 0x400)
            .ok_or_else(broken)?;
        char::from_u32(0x1_0000 + ((first - 0xD800) << 10) + low).ok_or_else(broken)
    }

    fn hexadecimal(&mut self) -> Option<u32> {
        let digits = self.rest().get(..4)?;
        let is_hexadecimal = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        self.at += 4;
        is_hexadecimal
            .then(|| u32::from_str_radix(digits, 16).ok())
            .flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<TokenKind> {
        tokens(text)
            .unwrap()
            .into_iter()
            .map(|token| token.kind)
            .collect()
    }

    #[test]
    fn numbers_end_before_an_invocation() {
        assert_eq!(
            kinds("1.5"),
            [TokenKind::Decimal(Decimal::new(15, 1)), TokenKind::End]
        );
        assert_eq!(kinds("5L").first(), Some(&TokenKind::Long(5)));
        assert_eq!(kinds("1.is").len(), 4);
        assert_eq!(kinds("@2015-02-04T14.is").len(), 4);
        assert_eq!(kinds("@2015-02-04T14:30:00.123").len(), 2);
    }

    #[test]
    fn escapes() {
        assert_eq!(
            kinds(r"'a\n\'\u00e9\\\p'"),
            [TokenKind::String("a\n'é\\p".into()), TokenKind::End]
        );
        assert_eq!(
            kinds(r"'\ud83d\ude00'"),
            [TokenKind::String("😀".into()), TokenKind::End]
        );
        assert_eq!(
            kinds(r"`a\`b`"),
            [TokenKind::Delimited("a`b".into()), TokenKind::End]
        );
        assert_eq!(
            kinds("%\"vs-x\""),
            [TokenKind::External("vs-x".into()), TokenKind::End]
        );
    }

    #[test]
    fn what_is_no_token_is_placed() {
        for (text, at) in [
            ("1 + #", 4),
            ("'abc", 0),
            ("a /* b", 2),
            ("@2015-13", 0),
            ("%", 1),
            (r"'\u12g4'", 2),
            (r"'\ud83d'", 2),
            ("@T25", 0),
        ] {
            assert_eq!(tokens(text).unwrap_err().at, at, "{text}");
        }
    }
}
