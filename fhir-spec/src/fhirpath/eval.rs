//! Evaluates a tree. Everything costs steps, and the budget is checked as they are taken.
//! <http://hl7.org/fhirpath/N1/#expressions>

use std::cell::Cell;

use super::ast::{Call, Chain, Expr, ExprKind, Member, Operator, Step, StepKind};
use super::context::Context;
use super::error::{FhirPathError, Result};
use super::functions::Invocation;
use super::item::{Collection, Item};
use super::node::Node;
use super::operator::{arithmetic, combining, comparison, equality, logic};
use super::reference;
use super::type_test;
use crate::json::{Object, Value};

/// So many bytes of text are read or compared in one step.
const TEXT_BYTES_PER_STEP: usize = 64;
/// So many members of an object are looked through in one step.
const MEMBERS_PER_STEP: usize = 16;

pub(super) struct Evaluator<'e, 'a> {
    pub context: &'e Context<'a>,
    /// `%context`: what the expression was asked of.
    asked: &'e [Item<'a>],
    /// What `defineVariable` defined, innermost last.
    defined: Vec<(Box<str>, Collection<'a>)>,
    steps_left: Cell<usize>,
    text_bytes_left: Cell<usize>,
}

/// What `$this`, `$index` and `$total` are here.
#[derive(Clone, Copy)]
pub(super) struct Focus<'f, 'a> {
    pub this: &'f [Item<'a>],
    pub index: Option<usize>,
    pub total: Option<&'f [Item<'a>]>,
}

impl<'e, 'a> Evaluator<'e, 'a> {
    pub(super) fn new(context: &'e Context<'a>, asked: &'e [Item<'a>]) -> Self {
        Self {
            context,
            asked,
            defined: Vec::new(),
            steps_left: Cell::new(context.limits.steps_max),
            text_bytes_left: Cell::new(context.limits.text_bytes_max),
        }
    }

    pub(super) fn run(&mut self, expr: &'e Expr) -> Result<Collection<'a>> {
        let asked = self.asked;
        self.eval(
            expr,
            &Focus {
                this: asked,
                index: None,
                total: None,
            },
        )
    }

    /// Takes so many steps.
    pub(super) fn spend(&self, at: u32, steps: usize) -> Result<()> {
        match self.steps_left.get().checked_sub(steps) {
            Some(left) => {
                self.steps_left.set(left);
                Ok(())
            }
            None => Err(FhirPathError::budget(
                at,
                "steps",
                self.context.limits.steps_max,
            )),
        }
    }

    /// Reads text of so many bytes: long ones cost more steps.
    pub(super) fn spend_reading(&self, at: u32, bytes: usize) -> Result<()> {
        self.spend(at, bytes / TEXT_BYTES_PER_STEP)
    }

    /// Makes text of so many bytes.
    pub(super) fn spend_text(&self, at: u32, bytes: usize) -> Result<()> {
        match self.text_bytes_left.get().checked_sub(bytes) {
            Some(left) => {
                self.text_bytes_left.set(left);
                self.spend_reading(at, bytes)
            }
            None => Err(FhirPathError::budget(
                at,
                "bytes of text",
                self.context.limits.text_bytes_max,
            )),
        }
    }

    /// A collection is about to have so many items.
    pub(super) fn check_size(&self, at: u32, items: usize) -> Result<()> {
        let max = self.context.limits.items_max;
        if items > max {
            Err(FhirPathError::budget(at, "items in a collection", max))
        } else {
            Ok(())
        }
    }

    pub(super) fn eval(&mut self, expr: &'e Expr, focus: &Focus<'_, 'a>) -> Result<Collection<'a>> {
        self.spend(expr.at, 1)?;
        match &expr.kind {
            ExprKind::Empty => Ok(Vec::new()),
            ExprKind::Literal(item) => Ok(vec![item.clone()]),
            ExprKind::Variable(name) => self.variable(name, expr.at),
            ExprKind::This => {
                self.spend(expr.at, focus.this.len())?;
                Ok(focus.this.to_vec())
            }
            ExprKind::Index => Ok(focus.index.into_iter().map(index_item).collect()),
            ExprKind::Total => Ok(focus.total.unwrap_or_default().to_vec()),
            ExprKind::Chain(chain) => {
                // Variables that a chain defines are seen by the rest of that chain only.
                let outside = self.defined.len();
                let result = self.chain(chain, focus);
                self.defined.truncate(outside);
                result
            }
            ExprKind::Negate(operand) => {
                let operand = self.eval(operand, focus)?;
                arithmetic::negate(self, expr.at, &operand)
            }
            ExprKind::Plus(operand) => {
                let operand = self.eval(operand, focus)?;
                arithmetic::positive(self, expr.at, operand)
            }
            ExprKind::Binary(operator, operands) => {
                self.binary(expr.at, *operator, operands, focus)
            }
            ExprKind::Is(operand, name) => {
                let operand = self.type_operand(operand, focus)?;
                type_test::is(self, expr.at, &operand, name)
            }
            ExprKind::As(operand, name) => {
                let operand = self.eval(operand, focus)?;
                type_test::cast(self, expr.at, operand, name)
            }
            ExprKind::Type(name) => Err(FhirPathError::execution(
                expr.at,
                format!("`{name}` is a type, no value"),
            )),
        }
    }

    /// `resolve() is Patient` asks what a reference points at: its text tells, also when nobody resolves it.
    fn type_operand(&mut self, operand: &'e Expr, focus: &Focus<'_, 'a>) -> Result<Collection<'a>> {
        if let ExprKind::Chain(chain) = &operand.kind
            && let Some((last, before)) = chain.steps.split_last()
            && matches!(&last.kind, StepKind::Call(call) if is_named(call, "resolve"))
        {
            let input = self.chain_steps(chain.base.as_deref(), before, focus)?;
            return reference::resolve_or_stub(self, last.at, &input);
        }
        self.eval(operand, focus)
    }

    fn binary(
        &mut self,
        at: u32,
        operator: Operator,
        operands: &'e (Expr, Expr),
        focus: &Focus<'_, 'a>,
    ) -> Result<Collection<'a>> {
        let left = self.eval(&operands.0, focus)?;
        if let Some(decided) = logic::decided_by_left(self, at, operator, &left)? {
            return Ok(decided);
        }
        let right = self.eval(&operands.1, focus)?;
        self.spend(at, 1)?;
        match operator {
            Operator::And | Operator::Or | Operator::Xor | Operator::Implies => {
                logic::combine(self, at, operator, &left, &right)
            }
            Operator::Union => combining::union(self, at, left, right),
            Operator::In => combining::is_in(self, at, &left, &right),
            Operator::Contains => combining::is_in(self, at, &right, &left),
            Operator::Equal
            | Operator::NotEqual
            | Operator::Equivalent
            | Operator::NotEquivalent => equality::compare(self, at, operator, &left, &right),
            Operator::Less
            | Operator::LessOrEqual
            | Operator::Greater
            | Operator::GreaterOrEqual => comparison::compare(self, at, operator, &left, &right),
            Operator::Multiply
            | Operator::Divide
            | Operator::Div
            | Operator::Mod
            | Operator::Add
            | Operator::Subtract
            | Operator::Concatenate => arithmetic::combine(self, at, operator, &left, &right),
        }
    }

    fn chain(&mut self, chain: &'e Chain, focus: &Focus<'_, 'a>) -> Result<Collection<'a>> {
        self.chain_steps(chain.base.as_deref(), &chain.steps, focus)
    }

    fn chain_steps(
        &mut self,
        base: Option<&'e Expr>,
        steps: &'e [Step],
        focus: &Focus<'_, 'a>,
    ) -> Result<Collection<'a>> {
        let Some(base) = base else {
            return self.steps_from_this(steps, focus);
        };
        let items = self.eval(base, focus)?;
        self.steps_from(items, steps, focus)
    }

    /// The first step takes `$this` as it stands, without a copy.
    fn steps_from_this(
        &mut self,
        steps: &'e [Step],
        focus: &Focus<'_, 'a>,
    ) -> Result<Collection<'a>> {
        let Some((first, rest)) = steps.split_first() else {
            return Ok(focus.this.to_vec());
        };
        if let StepKind::Member(member) = &first.kind {
            let mut items = Vec::new();
            for item in focus.this {
                if self.is_type_of(member, item) {
                    items.push(item.clone());
                } else {
                    self.push_children(first, item, &mut items)?;
                }
            }
            return self.steps_from(items, rest, focus);
        }
        self.steps_from(focus.this.to_vec(), steps, focus)
    }

    fn steps_from(
        &mut self,
        mut items: Collection<'a>,
        steps: &'e [Step],
        focus: &Focus<'_, 'a>,
    ) -> Result<Collection<'a>> {
        let mut steps = steps.iter().peekable();
        while let Some(step) = steps.next() {
            items = match &step.kind {
                StepKind::Member(_) => {
                    if items.is_empty() {
                        continue;
                    }
                    let mut children = Vec::new();
                    for item in &items {
                        self.push_children(step, item, &mut children)?;
                    }
                    children
                }
                StepKind::Index(index) => {
                    let index = self.eval(index, focus)?;
                    super::functions::subsetting::at_index(self, step.at, items, &index)?
                }
                StepKind::Call(call)
                    if is_named(call, "resolve")
                        && steps.peek().is_some_and(|next| is_type_test(next)) =>
                {
                    reference::resolve_or_stub(self, step.at, &items)?
                }
                StepKind::Call(call) => {
                    self.spend(step.at, 1)?;
                    let mut invocation = Invocation {
                        run: self,
                        at: step.at,
                        input: items,
                        call,
                        focus,
                    };
                    (call.function.run)(&mut invocation)?
                }
            };
            self.check_size(step.at, items.len())?;
        }
        Ok(items)
    }

    fn push_children(
        &mut self,
        step: &'e Step,
        item: &Item<'a>,
        children: &mut Collection<'a>,
    ) -> Result<()> {
        let StepKind::Member(member) = &step.kind else {
            return Ok(());
        };
        let before = children.len();
        match item {
            Item::Node(node) => {
                let members = node
                    .value()
                    .and_then(Value::as_object)
                    .map_or(0, Object::len);
                self.spend(step.at, members / MEMBERS_PER_STEP)?;
                let mut push = |node: Node<'a>| children.push(Item::Node(node));
                node.children_named(
                    self.context.types,
                    &member.name,
                    member.plan.as_ref(),
                    &mut push,
                );
            }
            Item::Type(info) => match &*member.name {
                "name" => children.push(Item::from(String::from(info.name.clone()))),
                "namespace" => children.push(Item::from(String::from(info.namespace.clone()))),
                _ => {}
            },
            Item::Quantity(quantity) => children.extend(quantity.member(&member.name)),
            _ => {}
        }
        self.check_size(step.at, children.len())?;
        self.spend(step.at, 1 + children.len() - before)
    }

    /// A path may begin with the type it is asked of: `Patient.name`, `Resource.id`.
    fn is_type_of(&self, member: &Member, item: &Item<'a>) -> bool {
        let Item::Node(node) = item else {
            return false;
        };
        if member.names_type.is_some() && member.names_type == node.type_id() {
            return true;
        }
        let name = &*member.name;
        if !name.starts_with(|c: char| c.is_ascii_uppercase()) {
            return false;
        }
        match (self.context.types, node.type_id()) {
            (Some(types), Some(own)) => types
                .by_name(name)
                .is_some_and(|wanted| types.is_a(own, wanted)),
            _ => node.value().and_then(|value| value.str_of("resourceType")) == Some(name),
        }
    }

    fn variable(&mut self, name: &str, at: u32) -> Result<Collection<'a>> {
        let known = self.defined.iter().rev().chain(&self.context.variables);
        if let Some((_, items)) = known.into_iter().find(|(known, _)| **known == *name) {
            let items = items.clone();
            self.spend(at, items.len())?;
            return Ok(items);
        }
        let text = |text: &'static str| Ok(vec![Item::from(text)]);
        match name {
            "context" => Ok(self.asked.to_vec()),
            "resource" => Ok(vec![Item::Node(self.context.resource)]),
            "rootResource" => Ok(vec![Item::Node(self.context.root_resource)]),
            "ucum" => text("http://unitsofmeasure.org"),
            "sct" => text("http://snomed.info/sct"),
            "loinc" => text("http://loinc.org"),
            _ => match (name.strip_prefix("vs-"), name.strip_prefix("ext-")) {
                (Some(id), _) => Ok(vec![Item::from(format!(
                    "http://hl7.org/fhir/ValueSet/{id}"
                ))]),
                (_, Some(id)) => Ok(vec![Item::from(format!(
                    "http://hl7.org/fhir/StructureDefinition/{id}"
                ))]),
                _ => Err(FhirPathError::semantic(
                    at,
                    format!("there is no variable `%{name}`"),
                )),
            },
        }
    }

    /// Adds a variable to the chain that is being evaluated.
    pub(super) fn define(&mut self, at: u32, name: &str, items: Collection<'a>) -> Result<()> {
        let is_taken = self
            .defined
            .iter()
            .chain(&self.context.variables)
            .any(|(known, _)| **known == *name)
            || matches!(
                name,
                "context" | "resource" | "rootResource" | "ucum" | "sct" | "loinc"
            );
        if is_taken {
            return Err(FhirPathError::execution(
                at,
                format!("the variable `%{name}` is defined already"),
            ));
        }
        self.defined.push((name.into(), items));
        Ok(())
    }

    /// An argument is a scope of its own.
    pub(super) fn eval_scoped(
        &mut self,
        expr: &'e Expr,
        focus: &Focus<'_, 'a>,
    ) -> Result<Collection<'a>> {
        let outside = self.defined.len();
        let result = self.eval(expr, focus);
        self.defined.truncate(outside);
        result
    }

    /// The value of an item: primitives and quantities of the document become FHIRPath's own.
    pub(super) fn system(&self, item: &Item<'a>) -> Item<'a> {
        match item {
            Item::Node(node) => node.system(self.context.types),
            other => other.clone(),
        }
    }

    /// The one item of a collection; an error when there are more.
    pub(super) fn single<'i>(
        &self,
        at: u32,
        what: &str,
        items: &'i [Item<'a>],
    ) -> Result<Option<&'i Item<'a>>> {
        match items {
            [] => Ok(None),
            [item] => Ok(Some(item)),
            more => Err(FhirPathError::execution(
                at,
                format!("expected one item {what}, found {}", more.len()),
            )),
        }
    }

    /// The value of the one item, if it has one: an element with extensions only counts as empty.
    pub(super) fn single_value(
        &self,
        at: u32,
        what: &str,
        items: &[Item<'a>],
    ) -> Result<Option<Item<'a>>> {
        let value = self.single(at, what, items)?.map(|item| self.system(item));
        if let Some(Item::String(text)) = &value {
            self.spend_reading(at, text.len())?;
        }
        Ok(value.filter(|value| !matches!(value, Item::Node(node) if node.value().is_none())))
    }

    /// Empty, true or false; one item of another kind counts as true.
    pub(super) fn truth(&self, at: u32, items: &[Item<'a>]) -> Result<Option<bool>> {
        Ok(match self.single_value(at, "as a condition", items)? {
            None => None,
            Some(Item::Boolean(value)) => Some(value),
            Some(_) => Some(true),
        })
    }
}

fn is_named(call: &Call, name: &str) -> bool {
    call.function.name == name
}

fn is_type_test(step: &Step) -> bool {
    matches!(&step.kind, StepKind::Call(call) if is_named(call, "is"))
}

pub(super) fn index_item<'a>(index: usize) -> Item<'a> {
    i32::try_from(index).map_or(Item::Long(i64::MAX), Item::Integer)
}
