//! The text of a `_filter`, read. <https://hl7.org/fhir/R4/search_filter.html>

use super::{COMPARISONS_MAX, DEPTH_MAX};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Filter {
    And(Vec<Filter>),
    Or(Vec<Filter>),
    Not(Box<Filter>),
    Compares(Comparison),
}

/// `path op value`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Comparison {
    pub path: Box<str>,
    pub op: Box<str>,
    pub value: Value,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// In quotes.
    Text(Box<str>),
    Plain(Box<str>),
}

const OPS: &[&str] = &[
    "eq", "ne", "co", "sw", "ew", "gt", "lt", "ge", "le", "ap", "sa", "eb", "pr", "po", "ss", "sb",
    "in", "re",
];

/// The character where it is wrong, and what is.
type Wrong = (usize, String);

pub(super) fn read(text: &str) -> Result<Filter, Wrong> {
    let mut reader = Text {
        chars: text.chars().collect(),
        at: 0,
        comparisons: 0,
    };
    let filter = reader.joined(0)?;
    match reader.peek() {
        None => Ok(filter),
        Some(c) => Err(reader.wrong(format!("expected `and`, `or` or the end, found `{c}`"))),
    }
}

struct Text {
    chars: Vec<char>,
    at: usize,
    comparisons: usize,
}

impl Text {
    /// The next character that is no blank.
    fn peek(&mut self) -> Option<char> {
        while self.chars.get(self.at) == Some(&' ') {
            self.at += 1;
        }
        self.chars.get(self.at).copied()
    }

    fn wrong(&self, text: impl Into<String>) -> Wrong {
        (self.at, text.into())
    }

    /// Up to a blank or a parenthesis.
    fn word(&mut self) -> String {
        self.peek();
        let rest = self.chars.get(self.at..).unwrap_or_default();
        let word: String = rest
            .iter()
            .take_while(|c| !matches!(c, ' ' | '(' | ')'))
            .collect();
        self.at += word.chars().count();
        word
    }

    /// Whether that word comes next; then it is passed.
    fn passes(&mut self, wanted: &str) -> bool {
        self.peek();
        let before = self.at;
        if self.word() == wanted {
            return true;
        }
        self.at = before;
        false
    }

    fn joined(&mut self, depth: usize) -> Result<Filter, Wrong> {
        if depth > DEPTH_MAX {
            return Err(self.wrong(format!("nested deeper than {DEPTH_MAX}")));
        }
        let first = self.one(depth)?;
        let mut parts = vec![first];
        let mut joint: Option<&str> = None;
        while let Some(next) = ["and", "or"].into_iter().find(|word| self.passes(word)) {
            if joint.is_some_and(|joint| joint != next) {
                let text = "`and` beside `or`: put one of them into parentheses";
                return Err(self.wrong(text));
            }
            joint = Some(next);
            parts.push(self.one(depth)?);
        }
        Ok(match (joint, parts.pop()) {
            (None, Some(only)) => only,
            (joint, last) => {
                parts.extend(last);
                match joint {
                    Some("or") => Filter::Or(parts),
                    _ => Filter::And(parts),
                }
            }
        })
    }

    fn one(&mut self, depth: usize) -> Result<Filter, Wrong> {
        if self.peek() == Some('(') {
            return self.within(depth);
        }
        let before = self.at;
        if self.passes("not") {
            if self.peek() != Some('(') {
                return Err(self.wrong("expected `(` behind `not`"));
            }
            return Ok(Filter::Not(Box::new(self.within(depth)?)));
        }
        self.at = before;
        self.comparisons += 1;
        if self.comparisons > COMPARISONS_MAX {
            return Err(self.wrong(format!("more than {COMPARISONS_MAX} comparisons")));
        }
        self.comparison().map(Filter::Compares)
    }

    /// What stands in parentheses.
    fn within(&mut self, depth: usize) -> Result<Filter, Wrong> {
        self.at += 1;
        let inner = self.joined(depth + 1)?;
        match self.peek() {
            Some(')') => {
                self.at += 1;
                Ok(inner)
            }
            _ => Err(self.wrong("expected `)`")),
        }
    }

    fn comparison(&mut self) -> Result<Comparison, Wrong> {
        self.peek();
        let begins = self.at;
        let path = self.word();
        if path.is_empty() {
            return Err((begins, "expected the name of a search parameter".into()));
        }
        if path.contains(['[', ']']) {
            let text = "filters within a path are not supported: say it with `and`";
            return Err((begins, text.into()));
        }
        self.peek();
        let at = self.at;
        let op = self.word();
        if !OPS.contains(&&*op) {
            let shown: String = op.chars().take(20).collect();
            let text = format!("expected one of {}, found `{shown}`", OPS.join(", "));
            return Err((at, text));
        }
        let value = self.value()?;
        Ok(Comparison {
            path: path.into(),
            op: op.into(),
            value,
        })
    }

    fn value(&mut self) -> Result<Value, Wrong> {
        if self.peek() != Some('"') {
            let word = self.word();
            return match word.is_empty() {
                true => Err(self.wrong("expected a value")),
                false => Ok(Value::Plain(word.into())),
            };
        }
        let begins = self.at;
        let mut text = String::new();
        loop {
            self.at += 1;
            match self.chars.get(self.at) {
                None => return Err((begins, "the quote is never closed".into())),
                Some('"') => break,
                Some('\\') => {
                    self.at += 1;
                    match self.chars.get(self.at) {
                        Some('n') => text.push('\n'),
                        Some('t') => text.push('\t'),
                        Some('r') => text.push('\r'),
                        Some(c @ ('"' | '\\' | '/')) => text.push(*c),
                        _ => return Err(self.wrong("expected one of \\\" \\\\ \\/ \\n \\r \\t")),
                    }
                }
                Some(c) => text.push(*c),
            }
        }
        self.at += 1;
        match text.is_empty() {
            true => Err((begins, "the text is empty".into())),
            false => Ok(Value::Text(text.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comparison(path: &str, op: &str, value: Value) -> Filter {
        Filter::Compares(Comparison {
            path: path.into(),
            op: op.into(),
            value,
        })
    }

    #[test]
    fn filters_are_read() {
        let a = || comparison("given", "eq", Value::Text("a \"b\"".into()));
        let b = || comparison("birthdate", "ge", Value::Plain("2014-10-10".into()));
        let given = r#"given eq "a \"b\"""#;
        let birth = "birthdate ge 2014-10-10";
        for (text, wanted) in [
            (given.to_owned(), a()),
            (format!("{given} and {birth}"), Filter::And(vec![a(), b()])),
            (
                format!("({given} or ({birth}))"),
                Filter::Or(vec![a(), b()]),
            ),
            (
                format!("not ({given}) and {birth}"),
                Filter::And(vec![Filter::Not(Box::new(a())), b()]),
            ),
            (
                format!("{birth} and ({given} or {birth})"),
                Filter::And(vec![b(), Filter::Or(vec![a(), b()])]),
            ),
        ] {
            assert_eq!(read(&text), Ok(wanted), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        for (text, at, told) in [
            ("", 0, "the name of a search parameter"),
            ("given", 5, "expected one of eq"),
            ("given eq", 8, "expected a value"),
            ("given is x", 6, "found `is`"),
            ("given eq \"x", 9, "never closed"),
            (
                "given eq x birthdate eq y",
                11,
                "expected `and`, `or` or the end",
            ),
            ("(given eq x", 11, "expected `)`"),
            ("not given eq x", 4, "expected `(`"),
            ("a eq 1 and b eq 2 or c eq 3", 20, "parentheses"),
            ("a[b eq 1].c eq 2", 0, "not supported"),
            ("a eq \"\\x\"", 7, "expected one of"),
        ] {
            let (place, text_told) = read(text).unwrap_err();
            assert!(text_told.contains(told), "{text}: {text_told}");
            assert_eq!(place, at, "{text}");
        }
        let deep = format!("{}a eq 1{}", "(".repeat(10_000), ")".repeat(10_000));
        assert!(read(&deep).unwrap_err().1.contains("nested"));
        let long = vec!["a eq 1"; 1_000].join(" or ");
        assert!(read(&long).unwrap_err().1.contains("more than"));
    }
}
