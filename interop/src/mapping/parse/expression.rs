//! What stands left of an arrow, and what is done with it: paths, texts, constants, functions, conversions.

use super::super::error::Problem;
use super::super::lex::{Placed, Token};
use super::super::row::{Call, Expression, Word};
use super::Read;
use super::line::Cursor;

impl Cursor<'_> {
    pub(super) fn expression(&mut self) -> Read<Expression> {
        let first = self.term()?;
        if !matches!(
            self.peek(),
            Some(Placed {
                token: Token::Sign("+"),
                ..
            })
        ) {
            return Ok(first);
        }
        let mut terms = vec![first];
        while self.take_sign("+") {
            terms.push(self.term()?);
        }
        Ok(Expression::Concatenation(terms))
    }

    pub(super) fn term(&mut self) -> Read<Expression> {
        let Some(placed) = self.peek() else {
            return Err(self.expected("a path, a text in quotes, a $constant or a function"));
        };
        match &placed.token {
            Token::Text(text) => {
                self.next += 1;
                Ok(Expression::Text(text.clone()))
            }
            Token::Constant(name) => {
                self.next += 1;
                Ok(Expression::Constant(Word {
                    text: name.clone(),
                    at: placed.at.clone(),
                }))
            }
            Token::Word(word) if is_number(word) => {
                self.next += 1;
                Ok(Expression::Text(word.clone()))
            }
            Token::Word(_)
                if matches!(
                    self.tokens.get(self.next + 1),
                    Some(Placed {
                        token: Token::Sign("("),
                        joined: true,
                        ..
                    })
                ) =>
            {
                self.asked()
            }
            Token::Word(word) if word == "null" && self.is_before_arrow() => {
                self.next += 1;
                Ok(Expression::Null)
            }
            _ => self.path().map(Expression::Path),
        }
    }

    fn is_before_arrow(&self) -> bool {
        let arrow = self.tokens.get(self.next + 1);
        matches!(
            arrow,
            Some(Placed {
                token: Token::Sign("->"),
                ..
            })
        )
    }

    /// A function of the library, or one of the two that look beyond their arguments.
    fn asked(&mut self) -> Read<Expression> {
        let call = self.call()?;
        match (call.name.text.as_str(), call.arguments.as_slice()) {
            ("all", [Expression::Path(path), Expression::Text(between)]) => {
                Ok(Expression::All(path.clone(), between.clone()))
            }
            ("all", _) => Err(Problem::new(
                call.name.at,
                "all(path, \"text between\"), such as all(NTE-3, \"\\n\")",
            )),
            ("nth", _) => Ok(Expression::Nth(call.arguments)),
            _ => Ok(Expression::Call(call)),
        }
    }

    fn call(&mut self) -> Read<Call> {
        let name = self.word("a function, a type map, or code and a table")?;
        let mut call = Call {
            name,
            arguments: Vec::new(),
            table: None,
        };
        if self.joined_sign("(") {
            self.next += 1;
            self.deeper()?;
            if !self.take_sign(")") {
                loop {
                    call.arguments.push(self.expression()?);
                    if !self.take_sign(",") {
                        break;
                    }
                }
                self.sign(")")?;
            }
            self.depth -= 1;
        } else if call.name.text == "code" {
            call.table = Some(self.word("the name of a code table")?);
        }
        Ok(call)
    }

    pub(super) fn conversions(&mut self) -> Read<Vec<Call>> {
        let mut calls = vec![self.call()?];
        while self.take_sign("|") {
            calls.push(self.call()?);
        }
        Ok(calls)
    }
}

fn is_number(word: &str) -> bool {
    let digits = word.strip_prefix('-').unwrap_or(word);
    digits.starts_with(|first: char| first.is_ascii_digit())
        && digits
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.')
}
