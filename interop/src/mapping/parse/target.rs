//! Paths in FHIR, and the assignments in braces.

use super::super::error::Problem;
use super::super::lex::{Placed, Token};
use super::super::row::{Assigned, Assignment, Expression, Target, TargetStep, Which, Word};
use super::Read;
use super::line::Cursor;

impl Cursor<'_> {
    pub(super) fn target(&mut self) -> Read<Target> {
        let (begin, at) = (self.next, self.at());
        let mut steps: Vec<TargetStep> = Vec::new();
        while let Some(Placed {
            token: Token::Word(text),
            at,
            joined,
        }) = self.peek()
        {
            let text = match (steps.is_empty(), joined, text.strip_prefix('.')) {
                (true, _, _) => text.as_str(),
                (false, true, Some(text)) => text,
                _ => break,
            };
            self.next += 1;
            steps.extend(text.split('.').map(|name| TargetStep {
                name: Word {
                    text: name.to_owned(),
                    at: at.clone(),
                },
                which: Which::First,
            }));
            if self.joined_sign("[") {
                self.next += 1;
                let which = self.which()?;
                if let Some(last) = steps.last_mut() {
                    last.which = which;
                }
            }
        }
        if steps.is_empty() {
            return Err(self.expected("a path in FHIR, such as name.family"));
        }
        Ok(Target {
            text: self.text_since(begin),
            at,
            steps,
        })
    }

    fn which(&mut self) -> Read<Which> {
        if self.take_sign("]") {
            return Ok(Which::New);
        }
        if let (Some(Token::Word(word)), Some(Token::Sign("]"))) = (
            self.peek().map(|placed| &placed.token),
            self.tokens.get(self.next + 1).map(|placed| &placed.token),
        ) && let Ok(number) = word.parse::<u16>()
        {
            self.next += 2;
            return Ok(Which::Nth(number));
        }
        let is_last = matches!(
            self.peek(),
            Some(Placed { token: Token::Word(word), .. }) if word == "last"
        );
        let closes = self.tokens.get(self.next + 1);
        if is_last && closes.is_some_and(|placed| placed.token == Token::Sign("]")) {
            self.next += 2;
            return Ok(Which::Last);
        }
        self.deeper()?;
        let mut wanted = Vec::new();
        loop {
            let path = self.target()?;
            self.sign("=")?;
            let value = match self.peek().map(|placed| &placed.token) {
                Some(Token::Word(_) | Token::Text(_)) => {
                    Expression::Text(self.word("a value")?.text)
                }
                _ => self.term()?,
            };
            wanted.push((path, value));
            if !self.take_sign(",") {
                break;
            }
        }
        self.sign("]")?;
        self.depth -= 1;
        Ok(Which::Where(wanted))
    }

    pub(super) fn assignments(&mut self) -> Read<Vec<Assignment>> {
        let mut all = Vec::new();
        while !self.take_sign("}") {
            let at = self.at();
            let is_elsewhere = self.take_sign("^");
            let mut target = self.target()?;
            let elsewhere = if is_elsewhere {
                let block = target.steps.remove(0);
                if target.steps.is_empty() {
                    let expected = "a block and an element, such as ^DiagnosticReport.result";
                    return Err(Problem::new(block.name.at, expected).found(&block.name.text));
                }
                Some(block.name)
            } else {
                None
            };
            let is_without = self.take_sign("-=");
            if !is_without && !self.take_sign("+=") {
                self.sign("=")?;
            }
            let value = if is_without {
                Assigned::Without(self.word("a block whose resource is no longer referred to")?)
            } else if self.is_keyword("self") {
                self.next += 1;
                Assigned::Itself
            } else {
                let value = self.expression()?;
                let calls = if self.take_sign(":") {
                    self.conversions()?
                } else {
                    Vec::new()
                };
                Assigned::Value(value, calls)
            };
            all.push(Assignment {
                at,
                target,
                value,
                elsewhere,
            });
            if !self.take_sign(",") {
                self.sign("}")?;
                break;
            }
        }
        Ok(all)
    }
}
