//! Tokens to tree. <http://hl7.org/fhirpath/N1/grammar.html>
//!
//! Operators are read by precedence climbing; chains of invocations are kept flat, however long they are.

use super::ast::{Call, Chain, Expr, ExprKind, Member, Operator, Step, StepKind, TypeName};
use super::error::{FhirPathError, Result};
use super::functions::{self, Takes};
use super::item::Item;
use super::limits::DEPTH_MAX;
use super::quantity::{Quantity, Unit};
use super::regular;
use super::token::{Token, TokenKind, tokens};
use crate::time::CalendarUnit;

/// Words that are operators where an operator can stand, and names everywhere else.
const NAMES_TOO: &[&str] = &["as", "contains", "in", "is"];
/// Words that are never names without backticks.
const KEYWORDS: &[&str] = &["and", "div", "false", "implies", "mod", "or", "true", "xor"];

pub(super) fn parse(text: &str) -> Result<Expr> {
    let tokens = tokens(text)?;
    let mut parser = Parser {
        tokens,
        next: 0,
        depth: 0,
    };
    let expression = parser.expression(0)?;
    match parser.peek() {
        TokenKind::End => Ok(expression),
        _ => Err(parser.expected("an operator or the end of the expression")),
    }
}

struct Parser {
    tokens: Vec<Token>,
    next: usize,
    depth: u16,
}

impl Parser {
    fn peek(&self) -> &TokenKind {
        self.tokens
            .get(self.next)
            .map_or(&TokenKind::End, |token| &token.kind)
    }

    fn at(&self) -> u32 {
        self.tokens
            .get(self.next)
            .or(self.tokens.last())
            .map_or(0, |token| token.at)
    }

    fn advance(&mut self) -> TokenKind {
        let kind = self.peek().clone();
        self.next += 1;
        kind
    }

    fn is_symbol(&self, symbol: &str) -> bool {
        matches!(self.peek(), TokenKind::Symbol(found) if *found == symbol)
    }

    fn take_symbol(&mut self, symbol: &str) -> bool {
        let found = self.is_symbol(symbol);
        if found {
            self.next += 1;
        }
        found
    }

    fn expect_symbol(&mut self, symbol: &str) -> Result<()> {
        if self.take_symbol(symbol) {
            Ok(())
        } else {
            Err(self.expected(&format!("`{symbol}`")))
        }
    }

    fn expected(&self, what: &str) -> FhirPathError {
        let found = match self.peek() {
            TokenKind::End => "the end".to_owned(),
            TokenKind::Word(word) => format!("`{word}`"),
            TokenKind::Symbol(symbol) => format!("`{symbol}`"),
            TokenKind::String(_) => "a string".to_owned(),
            TokenKind::Delimited(name) => format!("``{name}``"),
            TokenKind::External(name) => format!("`%{name}`"),
            TokenKind::Special(name) => format!("`${name}`"),
            TokenKind::Integer(_) | TokenKind::Long(_) | TokenKind::Decimal(_) => {
                "a number".to_owned()
            }
            TokenKind::Date(_) | TokenKind::DateTime(_) | TokenKind::Time(_) => {
                "a date or time".to_owned()
            }
        };
        FhirPathError::syntax(self.at(), format!("expected {what}, found {found}"))
    }

    /// An operator that stands here, and how tightly it binds.
    fn operator(&self) -> Option<(Operator, u8)> {
        let name = match self.peek() {
            TokenKind::Symbol(symbol) => symbol,
            TokenKind::Word(word) => &**word,
            _ => return None,
        };
        Operator::ALL
            .iter()
            .find(|(symbol, ..)| *symbol == name)
            .map(|(_, operator, binding)| (*operator, *binding))
    }

    /// An expression whose operators bind more tightly than `above`.
    fn expression(&mut self, above: u8) -> Result<Expr> {
        self.deeper()?;
        let mut left = self.unary()?;
        loop {
            let at = self.at();
            if let Some(is_test) = self
                .type_operator()
                .filter(|_| Operator::TYPE_BINDING > above)
            {
                self.next += 1;
                let name = self.type_name()?;
                let depth = left.depth;
                let left_box = Box::new(left);
                let kind = if is_test {
                    ExprKind::Is(left_box, name)
                } else {
                    ExprKind::As(left_box, name)
                };
                left = node(at, kind, depth)?;
            } else if let Some((operator, binding)) =
                self.operator().filter(|(_, binding)| *binding > above)
            {
                self.next += 1;
                let right = self.expression(binding)?;
                let depth = left.depth.max(right.depth);
                left = node(
                    at,
                    ExprKind::Binary(operator, Box::new((left, right))),
                    depth,
                )?;
            } else {
                self.depth -= 1;
                return Ok(left);
            }
        }
    }

    /// `is` or `as`: whether it is a test.
    fn type_operator(&self) -> Option<bool> {
        match self.peek() {
            TokenKind::Word(word) if **word == *"is" => Some(true),
            TokenKind::Word(word) if **word == *"as" => Some(false),
            _ => None,
        }
    }

    fn deeper(&mut self) -> Result<()> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(too_deep(self.at()));
        }
        Ok(())
    }

    fn unary(&mut self) -> Result<Expr> {
        let at = self.at();
        let is_minus = self.is_symbol("-");
        if !is_minus && !self.is_symbol("+") {
            return self.chain();
        }
        self.next += 1;
        self.deeper()?;
        let operand = self.unary()?;
        self.depth -= 1;
        let depth = operand.depth;
        let operand = Box::new(operand);
        node(
            at,
            if is_minus {
                ExprKind::Negate(operand)
            } else {
                ExprKind::Plus(operand)
            },
            depth,
        )
    }

    /// A term and the invocations and indexes that follow it.
    fn chain(&mut self) -> Result<Expr> {
        let at = self.at();
        let mut steps = Vec::new();
        let mut base = None;
        match self.term()? {
            Term::Value(expr) => base = Some(expr),
            Term::Step(step) => steps.push(step),
        }
        let is_bare = |steps: &Vec<Step>| steps.is_empty();
        loop {
            let at = self.at();
            if self.take_symbol(".") {
                match self.invocation(false)? {
                    Term::Step(step) => steps.push(step),
                    Term::Value(_) => {
                        return Err(FhirPathError::syntax(at, "expected a name after `.`"));
                    }
                }
            } else if self.take_symbol("[") {
                let index = self.expression(0)?;
                self.expect_symbol("]")?;
                steps.push(Step {
                    at,
                    kind: StepKind::Index(index),
                });
            } else {
                break;
            }
        }
        match base {
            Some(base) if is_bare(&steps) => Ok(base),
            base => {
                let depth = steps
                    .iter()
                    .map(step_depth)
                    .chain(base.iter().map(|base| base.depth))
                    .max();
                let chain = Chain {
                    base: base.map(Box::new),
                    steps,
                };
                node(at, ExprKind::Chain(chain), depth.unwrap_or(0))
            }
        }
    }

    fn term(&mut self) -> Result<Term> {
        let at = self.at();
        let kind = match self.peek().clone() {
            TokenKind::Symbol("(") => {
                self.next += 1;
                let inner = self.expression(0)?;
                self.expect_symbol(")")?;
                // Kept as a base of its own: `(a).b` is not `a.b` where `a` may name a type.
                return Ok(Term::Value(inner));
            }
            TokenKind::Symbol("{") => {
                self.next += 1;
                self.expect_symbol("}")?;
                return Ok(Term::Value(node(at, ExprKind::Empty, 0)?));
            }
            TokenKind::Word(_) | TokenKind::Delimited(_) | TokenKind::Special(_) => {
                return self.invocation(true);
            }
            TokenKind::External(name) => {
                self.next += 1;
                ExprKind::Variable(name)
            }
            _ => ExprKind::Literal(self.literal()?),
        };
        Ok(Term::Value(node(at, kind, 0)?))
    }

    fn literal(&mut self) -> Result<Item<'static>> {
        let item = match self.peek().clone() {
            TokenKind::String(text) => Item::from(String::from(text)),
            TokenKind::Integer(number) => match i32::try_from(number) {
                Ok(number) => Item::Integer(number),
                Err(_) => Item::Long(number),
            },
            TokenKind::Long(number) => Item::Long(number),
            TokenKind::Decimal(number) => Item::Decimal(number),
            TokenKind::Date(date) => Item::Date(date),
            TokenKind::DateTime(date_time) => Item::DateTime(date_time),
            TokenKind::Time(time) => Item::Time(time),
            _ => return Err(self.expected("an expression")),
        };
        self.next += 1;
        let value = match item {
            Item::Integer(number) => Some(number.into()),
            Item::Long(number) => Some(number.into()),
            Item::Decimal(number) => Some(number),
            _ => None,
        };
        match (value, self.unit()) {
            (Some(value), Some(unit)) => Ok(Item::from(Quantity { value, unit })),
            _ => Ok(item),
        }
    }

    /// A unit after a number: `'mg'`, or a calendar duration.
    fn unit(&mut self) -> Option<Unit> {
        let unit = match self.peek() {
            TokenKind::String(code) => Some(Unit::Ucum((&**code).into())),
            TokenKind::Word(word) => CalendarUnit::parse(word).map(Unit::Calendar),
            _ => None,
        };
        if unit.is_some() {
            self.next += 1;
        }
        unit
    }

    /// A member, a function call, or one of `$this`, `$index`, `$total`, `true`, `false`.
    fn invocation(&mut self, is_first: bool) -> Result<Term> {
        let at = self.at();
        let (name, is_delimited) = match self.peek().clone() {
            TokenKind::Special(name) => {
                self.next += 1;
                return Ok(Term::Value(node(at, special(at, &name)?, 0)?));
            }
            TokenKind::Word(word) => (word, false),
            TokenKind::Delimited(name) => (name, true),
            _ => return Err(self.expected("the name of an element or a function")),
        };
        if !is_delimited && is_first && matches!(&*name, "true" | "false") {
            self.next += 1;
            let literal = ExprKind::Literal(Item::Boolean(&*name == "true"));
            return Ok(Term::Value(node(at, literal, 0)?));
        }
        if !is_delimited && KEYWORDS.contains(&&*name) {
            return Err(self.expected("the name of an element or a function"));
        }
        self.next += 1;
        let kind = if self.take_symbol("(") {
            StepKind::Call(self.call(at, &name)?)
        } else {
            StepKind::Member(Member {
                name,
                plan: None,
                names_type: None,
            })
        };
        Ok(Term::Step(Step { at, kind }))
    }

    fn call(&mut self, at: u32, name: &str) -> Result<Call> {
        let Some(function) = functions::find(name) else {
            return Err(FhirPathError::semantic(
                at,
                format!("there is no function `{name}()`"),
            ));
        };
        let mut args = Vec::new();
        if !self.take_symbol(")") {
            loop {
                args.push(if function.takes == Takes::Type {
                    self.type_argument()?
                } else {
                    self.expression(0)?
                });
                if !self.take_symbol(",") {
                    break;
                }
            }
            self.expect_symbol(")")?;
        }
        if !function.arity.contains(&args.len()) {
            let (least, most) = (function.arity.start(), function.arity.end());
            let wanted = if least == most {
                least.to_string()
            } else {
                format!("{least} to {most}")
            };
            let message = format!("`{name}()` takes {wanted} arguments, not {}", args.len());
            return Err(FhirPathError::semantic(at, message));
        }
        let regex = match args.first() {
            Some(Expr {
                at,
                kind: ExprKind::Literal(Item::String(pattern)),
                ..
            }) if function.takes == Takes::Regex => Some(
                regular::compile(name, pattern)
                    .map_err(|message| FhirPathError::semantic(*at, message))?,
            ),
            _ => None,
        };
        Ok(Call {
            function,
            args,
            regex,
        })
    }

    fn type_argument(&mut self) -> Result<Expr> {
        let at = self.at();
        let kind = ExprKind::Type(self.type_name()?);
        node(at, kind, 0)
    }

    fn type_name(&mut self) -> Result<TypeName> {
        let first = self.type_word()?;
        if !self.is_symbol(".") || !self.name_follows() {
            return Ok(TypeName {
                namespace: None,
                name: first,
            });
        }
        // `value is Quantity.unit` cannot be meant: types have one dot at most, and a function may follow a type.
        self.next += 1;
        Ok(TypeName {
            namespace: Some(first),
            name: self.type_word()?,
        })
    }

    /// Whether the dot here is followed by a name that is no function call.
    fn name_follows(&self) -> bool {
        let kind = |ahead: usize| self.tokens.get(self.next + ahead).map(|token| &token.kind);
        matches!(kind(1), Some(TokenKind::Word(_) | TokenKind::Delimited(_)))
            && kind(2) != Some(&TokenKind::Symbol("("))
    }

    fn type_word(&mut self) -> Result<Box<str>> {
        match self.peek() {
            TokenKind::Word(word)
                if !KEYWORDS.contains(&&**word) || NAMES_TOO.contains(&&**word) => {}
            TokenKind::Delimited(_) => {}
            _ => return Err(self.expected("the name of a type")),
        }
        match self.advance() {
            TokenKind::Word(name) | TokenKind::Delimited(name) => Ok(name),
            _ => Err(self.expected("the name of a type")),
        }
    }
}

enum Term {
    Value(Expr),
    Step(Step),
}

fn special(at: u32, name: &str) -> Result<ExprKind> {
    match name {
        "this" => Ok(ExprKind::This),
        "index" => Ok(ExprKind::Index),
        "total" => Ok(ExprKind::Total),
        _ => Err(FhirPathError::syntax(
            at,
            format!("expected $this, $index or $total, found `${name}`"),
        )),
    }
}

fn step_depth(step: &Step) -> u16 {
    match &step.kind {
        StepKind::Member(_) => 0,
        StepKind::Index(index) => index.depth,
        StepKind::Call(call) => call.args.iter().map(|arg| arg.depth).max().unwrap_or(0),
    }
}

fn node(at: u32, kind: ExprKind, depth_below: u16) -> Result<Expr> {
    let depth = depth_below + 1;
    if depth > DEPTH_MAX {
        return Err(too_deep(at));
    }
    Ok(Expr { at, depth, kind })
}

fn too_deep(at: u32) -> FhirPathError {
    FhirPathError::budget(at, "levels of nesting", usize::from(DEPTH_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_expected_and_where() {
        for (text, at, message) in [
            ("", 0, "expected an expression, found the end"),
            (
                "a.",
                2,
                "expected the name of an element or a function, found the end",
            ),
            (
                "a b",
                2,
                "expected an operator or the end of the expression, found `b`",
            ),
            ("(a", 2, "expected `)`, found the end"),
            ("a is 'x'", 5, "expected the name of a type, found a string"),
            ("a.b(1).nonsense()", 2, "there is no function `b()`"),
            ("a.first(1)", 2, "`first()` takes 0 arguments, not 1"),
            (
                "a and and",
                6,
                "expected the name of an element or a function, found `and`",
            ),
            (
                "$that",
                0,
                "expected $this, $index or $total, found `$that`",
            ),
            ("matches('(')", 8, "the regular expression is not valid"),
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!(error.at, at, "{text}: {error}");
            assert!(error.message.contains(message), "{text}: {error}");
        }
    }

    #[test]
    fn names_that_are_also_operators() {
        for text in [
            "contains.is.as.in",
            "a.contains('b')",
            "ValueSet.expansion.contains.contains",
            "a contains b",
            "is",
            "`div`.x",
            "a is FHIR.`Patient`",
            "a is System.String and b",
            "(a as Quantity).unit",
        ] {
            assert!(parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn nesting_is_bounded_and_length_is_not() {
        for deep in [
            "(".repeat(5000) + "1" + &")".repeat(5000),
            "-".repeat(5000) + "1",
            "a[".repeat(5000),
            "1".to_owned() + &"+1".repeat(5000),
            "iif(true,".repeat(5000),
        ] {
            assert_eq!(
                parse(&deep).unwrap_err().kind,
                super::super::ErrorKind::Budget
            );
        }
        assert!(parse(&("a".to_owned() + &".a".repeat(5000))).is_ok());
    }
}
