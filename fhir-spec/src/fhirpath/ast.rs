//! An expression as a tree, every part with its place in the text.

use std::fmt;

use regex::Regex;

use super::functions::Function;
use super::item::Item;
use super::node::NodeKind;
use crate::definitions::TypeId;

#[derive(Debug, Clone)]
pub(super) struct Expr {
    pub at: u32,
    /// Levels below and including this one: evaluation goes as deep, and no deeper.
    pub depth: u16,
    pub kind: ExprKind,
}

#[derive(Debug, Clone)]
pub(super) enum ExprKind {
    /// `{}`
    Empty,
    Literal(Item<'static>),
    /// `%name`
    Variable(Box<str>),
    This,
    Index,
    Total,
    /// `a.b().c[0]`
    Chain(Chain),
    Negate(Box<Expr>),
    /// `+a`: a check that it is a number.
    Plus(Box<Expr>),
    Binary(Operator, Box<(Expr, Expr)>),
    Is(Box<Expr>, TypeName),
    As(Box<Expr>, TypeName),
    /// The argument of `is(...)`, `as(...)` and `ofType(...)`.
    Type(TypeName),
}

/// What a chain of invocations begins with, and the invocations one by one.
#[derive(Debug, Clone)]
pub(super) struct Chain {
    /// Without one the chain begins at `$this`.
    pub base: Option<Box<Expr>>,
    pub steps: Vec<Step>,
}

#[derive(Debug, Clone)]
pub(super) struct Step {
    pub at: u32,
    pub kind: StepKind,
}

#[derive(Debug, Clone)]
pub(super) enum StepKind {
    Member(Member),
    Call(Call),
    Index(Expr),
}

#[derive(Debug, Clone)]
pub(super) struct Member {
    pub name: Box<str>,
    /// Where to look in an object of a type known beforehand.
    pub plan: Option<Plan>,
    /// A type that is known to be meant by the name, at the beginning of a chain.
    pub names_type: Option<TypeId>,
}

/// The JSON names that an element of one type may have, worked out once.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub owner: TypeId,
    pub names: Vec<PlannedName>,
}

#[derive(Debug, Clone)]
pub(super) struct PlannedName {
    pub json_name: Box<str>,
    /// Whether there may be a `_` sibling.
    pub is_primitive: bool,
    pub kind: NodeKind,
}

#[derive(Debug, Clone)]
pub(super) struct Call {
    pub function: &'static Function,
    pub args: Vec<Expr>,
    /// The first argument as a regular expression, when the function takes one and it is a literal.
    pub regex: Option<Regex>,
}

/// `Patient`, `FHIR.Patient`, `System.String`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TypeName {
    pub namespace: Option<Box<str>>,
    pub name: Box<str>,
}

impl fmt::Display for TypeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(namespace) = &self.namespace {
            write!(f, "{namespace}.")?;
        }
        f.write_str(&self.name)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Multiply,
    Divide,
    Div,
    Mod,
    Add,
    Subtract,
    Concatenate,
    Union,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
    Equivalent,
    NotEqual,
    NotEquivalent,
    In,
    Contains,
    And,
    Or,
    Xor,
    Implies,
}

impl Operator {
    /// Symbol or word, operator, how tightly it binds. `is` and `as` (9) stand between addition and union.
    pub(super) const ALL: &'static [(&'static str, Self, u8)] = &[
        ("*", Self::Multiply, 11),
        ("/", Self::Divide, 11),
        ("div", Self::Div, 11),
        ("mod", Self::Mod, 11),
        ("+", Self::Add, 10),
        ("-", Self::Subtract, 10),
        ("&", Self::Concatenate, 10),
        ("|", Self::Union, 8),
        ("<=", Self::LessOrEqual, 7),
        ("<", Self::Less, 7),
        (">", Self::Greater, 7),
        (">=", Self::GreaterOrEqual, 7),
        ("=", Self::Equal, 6),
        ("~", Self::Equivalent, 6),
        ("!=", Self::NotEqual, 6),
        ("!~", Self::NotEquivalent, 6),
        ("in", Self::In, 5),
        ("contains", Self::Contains, 5),
        ("and", Self::And, 4),
        ("or", Self::Or, 3),
        ("xor", Self::Xor, 3),
        ("implies", Self::Implies, 2),
    ];

    /// How tightly `is` and `as` bind.
    pub(super) const TYPE_BINDING: u8 = 9;

    pub(super) fn symbol(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(_, operator, _)| *operator == self)
            .map_or("", |(symbol, ..)| symbol)
    }
}
