//! What a client looks for in text: words, phrases, beginnings, and how they go together.
//!
//! R4 leaves the language to the server and gives `(bone OR liver) and metastases`. Here it is this: all of several words,
//! in whatever form and order; `"these words"`, one after the other as they are written; `chol*`; `AND`, `OR`, `NOT` in upper
//! or lower case, `NOT` before `AND` before `OR`, and parentheses. Whatever cannot be understood so is an error that names
//! its place.

use std::iter::Peekable;

use super::words::{Words, stands_alone};

/// Words of one parameter.
pub const WORDS_MAX: usize = 64;
/// Parentheses and negations within each other.
pub const DEPTH_MAX: usize = 16;

/// Where text stands in a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// `_text`
    Narrative,
    /// `_content`
    Content,
    /// `:text`: what stands beside the codes or references of one of these paths.
    Beside(Vec<i32>),
}

/// A question to the text index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sought {
    pub place: Place,
    pub wanted: Wanted,
}

/// All words are folded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// In any of its forms.
    Word(String),
    /// Any word that begins so.
    Beginning(String),
    /// One after the other, as they are.
    Phrase(Vec<String>),
    All(Vec<Wanted>),
    Any(Vec<Wanted>),
    Not(Box<Wanted>),
}

impl Wanted {
    pub fn parse(text: &str) -> Result<Self, String> {
        let pieces = pieces(text)?;
        let words = pieces.iter().map(|(_, piece)| piece.words());
        let count: usize = words.sum();
        if count > WORDS_MAX {
            return Err(format!(
                "{count} words, {WORDS_MAX} can be searched for at once"
            ));
        }
        let mut parser = Parser {
            pieces: pieces.into_iter().peekable(),
            depth: 0,
        };
        let wanted = parser.any()?;
        match parser.pieces.next() {
            None => Ok(wanted),
            Some((at, piece)) => Err(format!("{piece} at character {at} belongs to nothing")),
        }
    }

    /// The same where words are searched for as strings are: by their beginnings.
    #[must_use]
    pub fn by_beginnings(self) -> Self {
        let all = |wanted: Vec<Self>| wanted.into_iter().map(Self::by_beginnings).collect();
        match self {
            Self::Word(word) => Self::Any(vec![Self::Word(word.clone()), Self::Beginning(word)]),
            Self::All(wanted) => Self::All(all(wanted)),
            Self::Any(wanted) => Self::Any(all(wanted)),
            Self::Not(wanted) => Self::Not(Box::new(wanted.by_beginnings())),
            other => other,
        }
    }

    /// Any of these.
    pub fn any(mut wanted: Vec<Self>) -> Self {
        match (wanted.pop(), wanted.is_empty()) {
            (Some(only), true) => only,
            (last, _) => {
                wanted.extend(last);
                Self::Any(wanted)
            }
        }
    }

    fn all(mut wanted: Vec<Self>) -> Self {
        match (wanted.pop(), wanted.is_empty()) {
            (Some(only), true) => only,
            (last, _) => {
                wanted.extend(last);
                Self::All(wanted)
            }
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Open,
    Close,
    And,
    Or,
    Not,
    Text(Wanted),
}

impl Piece {
    fn words(&self) -> usize {
        match self {
            Self::Text(Wanted::Phrase(words)) => words.len(),
            Self::Text(_) => 1,
            _ => 0,
        }
    }
}

impl std::fmt::Display for Piece {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Open => "`(`",
            Self::Close => "`)`",
            Self::And => "`AND`",
            Self::Or => "`OR`",
            Self::Not => "`NOT`",
            Self::Text(_) => "the text",
        })
    }
}

/// The pieces and at which character each begins, counted from 1.
fn pieces(text: &str) -> Result<Vec<(usize, Piece)>, String> {
    let mut pieces = Vec::new();
    let mut chars = text.chars().zip(1..).peekable();
    while let Some((c, at)) = chars.next() {
        let piece = match c {
            c if c.is_whitespace() => continue,
            '(' => Piece::Open,
            ')' => Piece::Close,
            '"' => {
                let mut inner = String::new();
                loop {
                    match chars.next() {
                        Some(('"', _)) => break,
                        Some((c, _)) => inner.push(c),
                        None => {
                            return Err(format!(
                                "the quotation that begins at character {at} has no end (a comma within it is written `\\,`)"
                            ));
                        }
                    }
                }
                Piece::Text(phrase(&inner, at)?)
            }
            c => {
                let mut word = String::from(c);
                let is_inside = |c: char| !c.is_whitespace() && !matches!(c, '(' | ')' | '"');
                while let Some((c, _)) = chars.next_if(|(c, _)| is_inside(*c)) {
                    word.push(c);
                }
                piece(&word, at)?
            }
        };
        pieces.push((at, piece));
    }
    Ok(pieces)
}

fn piece(written: &str, at: usize) -> Result<Piece, String> {
    if written.eq_ignore_ascii_case("and") {
        return Ok(Piece::And);
    }
    if written.eq_ignore_ascii_case("or") {
        return Ok(Piece::Or);
    }
    if written.eq_ignore_ascii_case("not") {
        return Ok(Piece::Not);
    }
    let Some(beginning) = written.strip_suffix('*') else {
        return match written.contains('*') {
            true => Err(format!(
                "the `*` within the word at character {at}: it can only stand at its end"
            )),
            false => Ok(Piece::Text(phrase_or_word(written, at)?)),
        };
    };
    let mut words: Vec<String> = Words::of(beginning).collect();
    match (words.pop(), words.is_empty()) {
        _ if beginning.contains('*') => Err(format!(
            "more than one `*` in the word at character {at}: one stands at its end"
        )),
        (None, _) => Err(format!("the `*` at character {at} stands behind no word")),
        // Each character is a word: whatever begins so is found by them.
        (Some(last), _) if last.chars().all(stands_alone) => {
            Ok(Piece::Text(phrase_or_word(beginning, at)?))
        }
        (Some(word), true) => Ok(Piece::Text(Wanted::Beginning(word))),
        (Some(_), false) => Err(format!(
            "the `*` at the end of several words at character {at}: it can only stand behind one"
        )),
    }
}

/// What is written together stands together: `COVID-19`.
fn phrase_or_word(written: &str, at: usize) -> Result<Wanted, String> {
    let mut words: Vec<String> = Words::of(written).collect();
    match words.as_slice() {
        [_] => Ok(Wanted::Word(words.remove(0))),
        _ => phrase(written, at),
    }
}

fn phrase(written: &str, at: usize) -> Result<Wanted, String> {
    let words: Vec<String> = Words::of(written).collect();
    if words.is_empty() {
        return Err(format!(
            "nothing of what stands at character {at} can be searched for: there is no letter or digit in it"
        ));
    }
    Ok(Wanted::Phrase(words))
}

struct Parser<I: Iterator<Item = (usize, Piece)>> {
    pieces: Peekable<I>,
    depth: usize,
}

impl<I: Iterator<Item = (usize, Piece)>> Parser<I> {
    fn any(&mut self) -> Result<Wanted, String> {
        let mut any = vec![self.all()?];
        while self
            .pieces
            .next_if(|(_, piece)| *piece == Piece::Or)
            .is_some()
        {
            any.push(self.all()?);
        }
        Ok(Wanted::any(any))
    }

    fn all(&mut self) -> Result<Wanted, String> {
        let mut all = vec![self.one()?];
        loop {
            match self.pieces.peek() {
                None | Some((_, Piece::Or | Piece::Close)) => return Ok(Wanted::all(all)),
                Some((_, Piece::And)) => {
                    self.pieces.next();
                }
                Some(_) => {}
            }
            all.push(self.one()?);
        }
    }

    fn one(&mut self) -> Result<Wanted, String> {
        match self.pieces.next() {
            Some((_, Piece::Text(wanted))) => Ok(wanted),
            Some((at, Piece::Not)) => {
                let inner = self.deeper(at, Self::one)?;
                Ok(Wanted::Not(Box::new(inner)))
            }
            Some((at, Piece::Open)) => {
                let inner = self.deeper(at, Self::any)?;
                match self.pieces.next() {
                    Some((_, Piece::Close)) => Ok(inner),
                    _ => Err(format!("the `(` at character {at} is not closed")),
                }
            }
            Some((at, piece)) => Err(format!(
                "a word is missing before {piece} at character {at}"
            )),
            None => Err("a word is missing at the end".into()),
        }
    }

    fn deeper(
        &mut self,
        at: usize,
        read: fn(&mut Self) -> Result<Wanted, String>,
    ) -> Result<Wanted, String> {
        if self.depth >= DEPTH_MAX {
            return Err(format!(
                "more than {DEPTH_MAX} parentheses within each other at character {at}"
            ));
        }
        self.depth += 1;
        let read = read(self);
        self.depth -= 1;
        read
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(wanted: &Wanted) -> String {
        let all = |wanted: &[Wanted], joint: &str| {
            let all: Vec<String> = wanted.iter().map(shown).collect();
            format!("({})", all.join(joint))
        };
        match wanted {
            Wanted::Word(word) => word.clone(),
            Wanted::Beginning(word) => format!("{word}*"),
            Wanted::Phrase(words) => format!("{words:?}"),
            Wanted::All(wanted) => all(wanted, " & "),
            Wanted::Any(wanted) => all(wanted, " | "),
            Wanted::Not(wanted) => format!("!{}", shown(wanted)),
        }
    }

    #[test]
    fn words_go_together_as_they_are_said_to() {
        for (text, wanted) in [
            ("Cancer", "cancer"),
            (
                "(bone OR liver) and metastases",
                "((bone | liver) & metastases)",
            ),
            ("a b OR c AND NOT d", "((a & b) | (c & !d))"),
            ("not (a or b)", "!(a | b)"),
            ("\"Bone and Liver\"", r#"["bone", "and", "liver"]"#),
            ("\"liver\"", r#"["liver"]"#),
            ("a\"b c\"d", r#"(a & ["b", "c"] & d)"#),
            ("COVID-19", r#"["covid", "19"]"#),
            ("Chol* HDL", "(chol* & hdl)"),
            ("東京*", r#"["東", "京"]"#),
            ("NOT NOT a", "!!a"),
        ] {
            let parsed = Wanted::parse(text).map(|wanted| shown(&wanted));
            assert_eq!(parsed.as_deref(), Ok(wanted), "{text}");
        }
    }

    #[test]
    fn what_is_not_understood_is_told_with_its_place() {
        for (text, wanted) in [
            ("", "missing at the end"),
            ("a AND", "missing at the end"),
            ("OR a", "before `OR` at character 1"),
            ("a OR AND b", "before `AND` at character 6"),
            ("(a", "the `(` at character 1 is not closed"),
            ("a) b", "`)` at character 2 belongs to nothing"),
            ("()", "before `)` at character 2"),
            ("é \"a b", "begins at character 3 has no end"),
            ("*", "`*` at character 1 stands behind no word"),
            ("a*b", "at character 1: it can only stand at its end"),
            ("a**", "more than one `*`"),
            ("x COVID-1*", "at character 3: it can only stand behind one"),
            ("a & b", "what stands at character 3"),
            ("\"\"", "what stands at character 1"),
            ("NOT", "missing at the end"),
        ] {
            let error = Wanted::parse(text).unwrap_err();
            assert!(error.contains(wanted), "{text}: {error}");
        }
    }

    #[test]
    fn much_is_refused() {
        assert!(Wanted::parse(&"a ".repeat(WORDS_MAX)).is_ok());
        for much in [
            "a ".repeat(10_000),
            format!("\"{}\"", "a ".repeat(WORDS_MAX + 1)),
            format!("{}a{}", "(".repeat(10_000), ")".repeat(10_000)),
            format!("{}a", "NOT ".repeat(10_000)),
        ] {
            assert!(Wanted::parse(&much).is_err());
        }
    }

    #[test]
    fn words_can_be_taken_for_beginnings() {
        let wanted = Wanted::parse("head \"pain\" NOT a*").unwrap();
        let wanted = shown(&wanted.by_beginnings());
        assert_eq!(wanted, r#"((head | head*) & ["pain"] & !a*)"#);
    }
}
