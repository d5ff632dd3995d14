//! `if` and `unless`: `or` of `and` of tests, `not` and parentheses.

use super::super::error::Problem;
use super::super::row::{Condition, Expression};
use super::Read;
use super::line::Cursor;

impl Cursor<'_> {
    pub(super) fn condition_clause(&mut self) -> Read<Option<Condition>> {
        if self.take_keyword("if") {
            return self.any().map(Some);
        }
        if self.take_keyword("unless") {
            return Ok(Some(Condition::Not(Box::new(self.any()?))));
        }
        Ok(None)
    }

    fn any(&mut self) -> Read<Condition> {
        self.deeper()?;
        let mut all = vec![self.all()?];
        while self.take_keyword("or") {
            all.push(self.all()?);
        }
        self.depth -= 1;
        Ok(match all.pop() {
            Some(only) if all.is_empty() => only,
            last => {
                all.extend(last);
                Condition::Any(all)
            }
        })
    }

    fn all(&mut self) -> Read<Condition> {
        let mut all = vec![self.test()?];
        while self.take_keyword("and") {
            all.push(self.test()?);
        }
        Ok(match all.pop() {
            Some(only) if all.is_empty() => only,
            last => {
                all.extend(last);
                Condition::All(all)
            }
        })
    }

    fn test(&mut self) -> Read<Condition> {
        if self.take_keyword("not") {
            self.deeper()?;
            let inner = self.test()?;
            self.depth -= 1;
            return Ok(Condition::Not(Box::new(inner)));
        }
        if self.take_sign("(") {
            let inner = self.any()?;
            self.sign(")")?;
            return Ok(inner);
        }
        let left = self.term()?;
        for (sign, is_equal) in [("=", true), ("!=", false)] {
            if self.take_sign(sign) {
                let right = vec![self.term()?];
                return Ok(Condition::Compare {
                    left,
                    is_equal,
                    right,
                });
            }
        }
        if self.take_keyword("in") {
            self.sign("(")?;
            let mut right = vec![self.term()?];
            while self.take_sign(",") {
                right.push(self.term()?);
            }
            self.sign(")")?;
            return Ok(Condition::Compare {
                left,
                is_equal: true,
                right,
            });
        }
        let Expression::Path(path) = left else {
            return Err(self.expected("=, != or in"));
        };
        if self.take_keyword("is") {
            return match self.word("null or valued")?.text.as_str() {
                "null" => Ok(Condition::Null(path)),
                "valued" => Ok(Condition::Valued(path)),
                other => Err(Problem::new(self.at(), "null or valued").found(other)),
            };
        }
        Ok(Condition::Valued(path))
    }
}
