//! Lines of a map as tokens. A comment begins at a `#` that stands first or after a space; a line goes on while a bracket
//! is open.

use std::sync::Arc;

use super::error::Problem;
use super::row::At;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    /// Letters, digits and `_ - . /`; also a whole address such as `http://loinc.org`.
    Word(String),
    /// In quotes.
    Text(String),
    /// In backticks: the name of a column that is no word.
    Name(String),
    /// `$name`
    Constant(String),
    /// `@name`
    Label(String),
    Sign(&'static str),
}

#[derive(Debug, Clone)]
pub(super) struct Placed {
    pub(super) token: Token,
    pub(super) at: At,
    /// Nothing stands between it and the token before.
    pub(super) joined: bool,
}

#[derive(Debug)]
pub(super) struct Line {
    /// Spaces before it.
    pub(super) indent: u32,
    pub(super) at: At,
    pub(super) tokens: Vec<Placed>,
}

/// The longest first.
const SIGNS: &[&str] = &[
    "<->", "->", "<-", "!=", "+=", "-=", "[", "]", "{", "}", "(", ")", ",", "=", "+", "|", ":",
    "*", "?", "^",
];

pub(super) fn lines(file: &str, text: &str, problems: &mut Vec<Problem>) -> Vec<Line> {
    let file: Arc<str> = file.into();
    let mut lines: Vec<Line> = Vec::new();
    let mut depth = 0i32;
    for (number, text) in (1u32..).zip(text.lines()) {
        let mut lexer = Lexer {
            file: &file,
            line: number,
            rest: text,
            column: 1,
            tokens: Vec::new(),
        };
        if let Err(problem) = lexer.run() {
            problems.push(problem);
        }
        let Some(first) = lexer.tokens.first() else {
            continue;
        };
        let (indent, at) = (first.at.column - 1, first.at.clone());
        let was_open = depth > 0;
        for placed in &lexer.tokens {
            match placed.token {
                Token::Sign("{" | "(" | "[") => depth += 1,
                Token::Sign("}" | ")" | "]") => depth -= 1,
                _ => {}
            }
        }
        depth = depth.max(0);
        match lines.last_mut() {
            Some(open) if was_open => open.tokens.append(&mut lexer.tokens),
            _ => lines.push(Line {
                indent,
                at,
                tokens: lexer.tokens,
            }),
        }
    }
    lines
}

struct Lexer<'t> {
    file: &'t Arc<str>,
    line: u32,
    rest: &'t str,
    column: u32,
    tokens: Vec<Placed>,
}

impl Lexer<'_> {
    fn at(&self) -> At {
        At {
            file: Arc::clone(self.file),
            line: self.line,
            column: self.column,
        }
    }

    fn skip(&mut self, bytes: usize) {
        let (gone, rest) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, ""));
        self.column += u32::try_from(gone.chars().count()).unwrap_or(0);
        self.rest = rest;
    }

    fn run(&mut self) -> Result<(), Problem> {
        let mut joined = false;
        loop {
            let spaces = self.rest.len() - self.rest.trim_start().len();
            if spaces > 0 {
                joined = false;
                self.skip(spaces);
            }
            if self.rest.is_empty() || (self.rest.starts_with('#') && !joined) {
                return Ok(());
            }
            let at = self.at();
            let token = self.token()?;
            self.tokens.push(Placed { token, at, joined });
            joined = true;
        }
    }

    fn token(&mut self) -> Result<Token, Problem> {
        let first = self.rest.chars().next().unwrap_or(' ');
        match first {
            '"' => return self.quoted('"').map(Token::Text),
            '`' => return self.quoted('`').map(Token::Name),
            '$' | '@' => {
                self.skip(1);
                let word = self.word();
                if word.is_empty() {
                    return Err(Problem::new(self.at(), format!("a name after '{first}'")));
                }
                return Ok(match first {
                    '$' => Token::Constant(word),
                    _ => Token::Label(word),
                });
            }
            _ => {}
        }
        if let Some(sign) = SIGNS.iter().find(|sign| self.rest.starts_with(**sign)) {
            self.skip(sign.len());
            return Ok(Token::Sign(sign));
        }
        let word = self.word();
        if word.is_empty() {
            let problem = Problem::new(
                self.at(),
                "a word, a text in quotes or a sign such as -> : | { }".to_owned(),
            )
            .found(&first.to_string());
            self.rest = "";
            return Err(problem);
        }
        Ok(Token::Word(word))
    }

    fn word(&mut self) -> String {
        let is_address = ["http://", "https://", "urn:"]
            .iter()
            .any(|scheme| self.rest.starts_with(scheme));
        let mut end = 0;
        for (place, letter) in self.rest.char_indices() {
            let goes_on = if is_address {
                !letter.is_whitespace() && !matches!(letter, ',' | '"' | ')' | ']' | '}')
            } else {
                letter.is_alphanumeric()
                    || matches!(letter, '_' | '.' | '/')
                    || (letter == '-'
                        && !self.rest.get(place..).unwrap_or_default().starts_with("->"))
            };
            if !goes_on {
                break;
            }
            end = place + letter.len_utf8();
        }
        let word = self.rest.get(..end).unwrap_or_default().to_owned();
        self.skip(end);
        word
    }

    fn quoted(&mut self, quote: char) -> Result<String, Problem> {
        let at = self.at();
        let mut text = String::new();
        let mut letters = self.rest.char_indices().skip(1);
        while let Some((place, letter)) = letters.next() {
            match letter {
                '\\' => match letters.next() {
                    Some((_, 'n')) => text.push('\n'),
                    Some((_, 't')) => text.push('\t'),
                    Some((_, other)) => text.push(other),
                    None => break,
                },
                _ if letter == quote => {
                    self.skip(place + 1);
                    return Ok(text);
                }
                _ => text.push(letter),
            }
        }
        self.rest = "";
        Err(Problem::new(
            at,
            format!("a {quote} at the end of this text"),
        ))
    }
}
