//! An expression meets the type it will be asked of: paths are planned, dead branches cut, mistakes found.
//!
//! Types are followed through the tree as far as they are known. Where one type is known, a step learns the JSON names
//! to look for (`value` of an Observation is `valueQuantity`, `valueString` ...). A path that begins with another type
//! can find nothing and is cut: most search parameters are unions over many types. In strict mode an element that none
//! of the possible types has is an error.

use super::ast::{Call, Chain, Expr, ExprKind, Member, Operator, Plan, Step, StepKind, TypeName};
use super::error::{FhirPathError, Result};
use super::functions;
use super::node::{NodeKind, planned_names};
use super::type_test::{self, is_system_type};
use crate::definitions::{Kind, TypeId, Types};

/// What is known of a collection before anything is evaluated.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Shape {
    Unknown,
    /// Only items of these types; of none at all when there are none.
    Types(Vec<Known>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Known {
    Fhir(TypeId),
    System(&'static str),
}

/// How strict to be, and what to change.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Rules {
    /// Elements that no type has are errors.
    pub is_strict: bool,
    /// So are functions that depend on the order of collections that have none.
    pub checks_order: bool,
    /// `as` keeps the items of a type, however many there are, as search parameters mean it.
    pub as_filters: bool,
}

pub(super) struct Binder<'t> {
    types: &'t Types,
    rules: Rules,
}

/// Functions that answer items of their input.
const SAME: &[&str] = &[
    "where",
    "first",
    "last",
    "tail",
    "skip",
    "take",
    "single",
    "exclude",
    "intersect",
    "distinct",
    "trace",
    "sort",
    "defineVariable",
    "checkModifiers",
    "slice",
];
/// Functions whose arguments are evaluated for each item of the input, or for the input.
const FOR_ITEMS: &[&str] = &[
    "where",
    "select",
    "all",
    "exists",
    "repeat",
    "iif",
    "aggregate",
    "sort",
    "coalesce",
];
/// Functions whose first argument is evaluated outside and the second one for items.
const SECOND_FOR_ITEMS: &[&str] = &["trace", "defineVariable"];
const ORDERED: &[&str] = &["first", "last", "tail", "skip", "take"];
const UNORDERED: &[&str] = &["children", "descendants"];
const BOOLEAN: &[&str] = &[
    "empty",
    "exists",
    "all",
    "allTrue",
    "anyTrue",
    "allFalse",
    "anyFalse",
    "subsetOf",
    "supersetOf",
    "isDistinct",
    "not",
    "hasValue",
    "matches",
    "matchesFull",
    "startsWith",
    "endsWith",
    "contains",
    "is",
];

impl<'t> Binder<'t> {
    pub(super) fn new(types: &'t Types, rules: Rules) -> Self {
        Self { types, rules }
    }

    pub(super) fn bind(&self, expr: &mut Expr, type_id: TypeId) -> Result<()> {
        let focus = Shape::Types(vec![Known::Fhir(type_id)]);
        self.expr(expr, &focus).map(|_| ())
    }

    fn expr(&self, expr: &mut Expr, focus: &Shape) -> Result<Shape> {
        let shape = match &mut expr.kind {
            ExprKind::Empty => Shape::nothing(),
            ExprKind::Literal(item) => item.system_type().map_or(Shape::Unknown, Shape::system),
            ExprKind::This => focus.clone(),
            ExprKind::Index => Shape::system("Integer"),
            ExprKind::Variable(_) | ExprKind::Total | ExprKind::Type(_) => Shape::Unknown,
            ExprKind::Negate(operand) | ExprKind::Plus(operand) => self.expr(operand, focus)?,
            ExprKind::Is(operand, name) => {
                type_test::check(Some(self.types), expr.at, name)?;
                self.expr(operand, focus)?;
                Shape::system("Boolean")
            }
            ExprKind::As(operand, name) => {
                type_test::check(Some(self.types), expr.at, name)?;
                let before = self.expr(operand, focus)?;
                self.narrowed(&before, name)
            }
            ExprKind::Binary(operator, operands) => {
                let left = self.expr(&mut operands.0, focus)?;
                let right = self.expr(&mut operands.1, focus)?;
                binary(*operator, left, right)
            }
            ExprKind::Chain(chain) => self.chain(chain, focus)?,
        };
        self.simplify(expr, &shape);
        Ok(shape)
    }

    /// Cuts what can find nothing, and reads `as` as a filter where that is the rule.
    fn simplify(&self, expr: &mut Expr, shape: &Shape) {
        if *shape == Shape::nothing()
            && matches!(&expr.kind, ExprKind::Chain(chain) if begins_elsewhere(self.types, chain))
        {
            expr.kind = ExprKind::Empty;
            return;
        }
        let is_empty = |expr: &Expr| matches!(expr.kind, ExprKind::Empty);
        let is_cut = |expr: &Expr| matches!(&expr.kind, ExprKind::Binary(Operator::Union, sides) if is_empty(&sides.1));
        match std::mem::replace(&mut expr.kind, ExprKind::Empty) {
            ExprKind::Binary(Operator::Union, sides) => {
                let (left, right) = *sides;
                expr.kind = match (is_empty(&left), is_empty(&right)) {
                    (true, true) => ExprKind::Empty,
                    // Duplicates must still go: the union stays, with nothing on its right.
                    (true, false) => ExprKind::Binary(Operator::Union, Box::new((right, left))),
                    (false, true) if is_cut(&left) => left.kind,
                    _ => ExprKind::Binary(Operator::Union, Box::new((left, right))),
                };
            }
            ExprKind::As(operand, name) if self.rules.as_filters => {
                let Some(function) = functions::find("ofType") else {
                    return;
                };
                let arg = Expr {
                    at: expr.at,
                    depth: 1,
                    kind: ExprKind::Type(name),
                };
                let call = Call {
                    function,
                    args: vec![arg],
                    regex: None,
                };
                let step = Step {
                    at: expr.at,
                    kind: StepKind::Call(call),
                };
                expr.kind = ExprKind::Chain(Chain {
                    base: Some(operand),
                    steps: vec![step],
                });
            }
            kind => expr.kind = kind,
        }
    }

    fn chain(&self, chain: &mut Chain, focus: &Shape) -> Result<Shape> {
        let mut steps = chain.steps.iter_mut().peekable();
        let mut shape = match &mut chain.base {
            Some(base) => self.expr(base, focus)?,
            None => match steps.peek_mut().map(|step| &mut step.kind) {
                Some(StepKind::Member(member)) => match self.type_begun_with(member, focus) {
                    Some(shape) => {
                        steps.next();
                        shape
                    }
                    None => focus.clone(),
                },
                _ => focus.clone(),
            },
        };
        let mut is_ordered = true;
        for step in steps {
            shape = match &mut step.kind {
                StepKind::Member(member) => self.member(step.at, member, &shape)?,
                StepKind::Index(index) => {
                    self.expect_order(step.at, is_ordered, "[]")?;
                    self.expr(index, focus)?;
                    shape
                }
                StepKind::Call(call) => {
                    let name = call.function.name;
                    if ORDERED.contains(&name) {
                        self.expect_order(step.at, is_ordered, name)?;
                    }
                    is_ordered =
                        !UNORDERED.contains(&name) && (is_ordered || !SAME.contains(&name));
                    self.call(step.at, call, shape, focus)?
                }
            };
        }
        Ok(shape)
    }

    fn expect_order(&self, at: u32, is_ordered: bool, name: &str) -> Result<()> {
        if is_ordered || !self.rules.checks_order {
            return Ok(());
        }
        Err(FhirPathError::semantic(
            at,
            format!("`{name}` depends on an order that this collection has not"),
        ))
    }

    /// A chain may begin with the type of its focus; with another type it finds nothing.
    fn type_begun_with(&self, member: &mut Member, focus: &Shape) -> Option<Shape> {
        let Shape::Types(known) = focus else {
            return None;
        };
        if !member.name.starts_with(|c: char| c.is_ascii_uppercase()) {
            return None;
        }
        let named = self.types.by_name(&member.name)?;
        if let [Known::Fhir(own)] = known.as_slice()
            && self.types.is_a(*own, named)
        {
            member.names_type = Some(*own);
        }
        let kept = known.iter().filter_map(|known| match known {
            Known::Fhir(own) if self.types.is_a(*own, named) => Some(known.clone()),
            // What is only known to be some resource may turn out to be the one that is named.
            Known::Fhir(own) if self.types.is_a(named, *own) => Some(Known::Fhir(named)),
            _ => None,
        });
        Some(Shape::Types(kept.collect()))
    }

    fn member(&self, at: u32, member: &mut Member, shape: &Shape) -> Result<Shape> {
        let Shape::Types(known) = shape else {
            return Ok(Shape::Unknown);
        };
        let mut found = Vec::new();
        let mut is_open = known.is_empty();
        let mut has_element = false;
        for known in known {
            let Known::Fhir(own) = known else {
                is_open = true;
                continue;
            };
            let definition = self.types.get(*own);
            // What may be any resource has the elements of whichever it turns out to be.
            is_open |= definition.is_abstract && definition.kind == Kind::Resource
                || &*member.name == "resourceType";
            let Some(element) = definition.element(&member.name) else {
                continue;
            };
            has_element = true;
            let names = planned_names(self.types, element);
            for planned in &names {
                let known = match planned.kind {
                    NodeKind::System(_) => Known::System("String"),
                    NodeKind::Typed(id) => Known::Fhir(id),
                    NodeKind::Untyped => continue,
                };
                if !found.contains(&known) {
                    found.push(known);
                }
            }
            member.plan = Some(Plan { owner: *own, names });
        }
        if known.len() != 1 {
            member.plan = None;
        }
        if self.rules.is_strict && !has_element && !is_open {
            let names: Vec<&str> = known
                .iter()
                .filter_map(|known| self.name_of(known))
                .collect();
            let message = format!("{} has no element `{}`", names.join(" or "), member.name);
            return Err(FhirPathError::semantic(at, message));
        }
        let is_any_resource = |known: &Known| matches!(known, Known::Fhir(id) if self.types.get(*id).kind == Kind::Resource);
        if is_open && !known.is_empty() || found.iter().any(is_any_resource) {
            return Ok(Shape::Unknown);
        }
        Ok(Shape::Types(found))
    }

    fn name_of(&self, known: &Known) -> Option<&str> {
        match known {
            Known::Fhir(id) => Some(&self.types.get(*id).name),
            Known::System(_) => None,
        }
    }

    fn call(&self, at: u32, call: &mut Call, input: Shape, focus: &Shape) -> Result<Shape> {
        let name = call.function.name;
        if let Some(ExprKind::Type(type_name)) = call.args.first().map(|arg| &arg.kind) {
            type_test::check(Some(self.types), at, type_name)?;
            let narrowed = self.narrowed(&input, type_name);
            if name == "as"
                && self.rules.as_filters
                && let Some(of_type) = functions::find("ofType")
            {
                call.function = of_type;
            }
            return Ok(if name == "is" {
                Shape::system("Boolean")
            } else {
                narrowed
            });
        }
        let mut shapes = Vec::new();
        for (index, arg) in call.args.iter_mut().enumerate() {
            let is_for_items =
                FOR_ITEMS.contains(&name) || SECOND_FOR_ITEMS.contains(&name) && index == 1;
            // What an inner level of `repeat` or a total is of is not known.
            let inner = if name == "aggregate" {
                &Shape::Unknown
            } else {
                &input
            };
            shapes.push(self.expr(arg, if is_for_items { inner } else { focus })?);
        }
        if name == "iif" && self.rules.is_strict {
            check_criterion(at, shapes.first())?;
        }
        Ok(match name {
            "select" => shapes.into_iter().next().unwrap_or(Shape::Unknown),
            "iif" | "coalesce" => {
                let skipped = usize::from(name == "iif");
                shapes
                    .into_iter()
                    .skip(skipped)
                    .reduce(Shape::or)
                    .unwrap_or(Shape::Unknown)
            }
            "union" | "combine" => shapes.into_iter().fold(input, Shape::or),
            "extension" => self
                .types
                .by_name("Extension")
                .map_or(Shape::Unknown, |id| Shape::Types(vec![Known::Fhir(id)])),
            _ if SAME.contains(&name) => input,
            _ if BOOLEAN.contains(&name) => Shape::system("Boolean"),
            _ => Shape::Unknown,
        })
    }

    /// What is left of a collection when only items of a type are kept.
    fn narrowed(&self, shape: &Shape, name: &TypeName) -> Shape {
        let is_system = name.namespace.as_deref() == Some("System");
        let Some(wanted) = self.types.by_name(&name.name).filter(|_| !is_system) else {
            return Shape::Unknown;
        };
        if is_system_type(&name.name) && name.namespace.is_none() {
            return Shape::Unknown;
        }
        match shape {
            Shape::Unknown => Shape::Types(vec![Known::Fhir(wanted)]),
            Shape::Types(known) => {
                let is_kept = |known: &&Known| match known {
                    Known::Fhir(own) => {
                        self.types.is_a(*own, wanted) || self.types.is_a(wanted, *own)
                    }
                    Known::System(_) => true,
                };
                // A subtype stays what it is; a supertype becomes what was asked for.
                let kept = known.iter().filter(is_kept).map(|known| match known {
                    Known::Fhir(own) if self.types.is_a(*own, wanted) => known.clone(),
                    _ => Known::Fhir(wanted),
                });
                Shape::Types(kept.collect())
            }
        }
    }
}

impl Shape {
    fn nothing() -> Self {
        Self::Types(Vec::new())
    }

    fn system(name: &'static str) -> Self {
        Self::Types(vec![Known::System(name)])
    }

    fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Types(mut known), Self::Types(others)) => {
                let new: Vec<Known> = others
                    .into_iter()
                    .filter(|other| !known.contains(other))
                    .collect();
                known.extend(new);
                Self::Types(known)
            }
            _ => Self::Unknown,
        }
    }
}

fn binary(operator: Operator, left: Shape, right: Shape) -> Shape {
    match operator {
        Operator::Union => left.or(right),
        Operator::Concatenate => Shape::system("String"),
        Operator::Multiply
        | Operator::Divide
        | Operator::Div
        | Operator::Mod
        | Operator::Add
        | Operator::Subtract => Shape::Unknown,
        _ => Shape::system("Boolean"),
    }
}

/// Whether a chain begins with the name of a type.
fn begins_elsewhere(types: &Types, chain: &Chain) -> bool {
    let first = chain.steps.first().map(|step| &step.kind);
    chain.base.is_none()
        && matches!(first, Some(StepKind::Member(member)) if types.by_name(&member.name).is_some())
        && is_plain(chain)
}

/// A chain of which nothing remains when its beginning finds nothing: no function answers of its own.
fn is_plain(chain: &Chain) -> bool {
    chain.steps.iter().all(|step| match &step.kind {
        StepKind::Member(_) | StepKind::Index(_) => true,
        StepKind::Call(call) => {
            SAME.contains(&call.function.name)
                || matches!(call.function.name, "ofType" | "as" | "extension" | "select")
        }
    })
}

fn check_criterion(at: u32, shape: Option<&Shape>) -> Result<()> {
    let is_other = |known: &Known| matches!(known, Known::System(name) if *name != "Boolean");
    match shape {
        Some(Shape::Types(known)) if !known.is_empty() && known.iter().all(is_other) => Err(
            FhirPathError::semantic(at, "the criterion of `iif()` is not boolean"),
        ),
        _ => Ok(()),
    }
}
