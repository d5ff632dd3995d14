//! One call of a function: what it was called on, and with what.

use crate::fhirpath::ast::{Call, Expr, ExprKind, TypeName};
use crate::fhirpath::error::{FhirPathError, Result};
use crate::fhirpath::eval::{Evaluator, Focus};
use crate::fhirpath::item::{Collection, Item, Str};

pub(in crate::fhirpath) struct Invocation<'c, 'e, 'a> {
    pub run: &'c mut Evaluator<'e, 'a>,
    pub at: u32,
    pub input: Collection<'a>,
    pub call: &'e Call,
    pub focus: &'c Focus<'c, 'a>,
}

impl<'e, 'a> Invocation<'_, 'e, 'a> {
    pub(super) fn name(&self) -> &'static str {
        self.call.function.name
    }

    /// The input, which the invocation no longer needs.
    pub(super) fn taken(&mut self) -> Collection<'a> {
        std::mem::take(&mut self.input)
    }

    pub(super) fn error(&self, message: impl Into<String>) -> FhirPathError {
        FhirPathError::execution(self.at, message)
    }

    pub(super) fn has_arg(&self, index: usize) -> bool {
        self.call.args.len() > index
    }

    fn arg_expr(&self, index: usize) -> Result<&'e Expr> {
        let message = || self.error(format!("`{}()` lacks an argument", self.name()));
        self.call.args.get(index).ok_or_else(message)
    }

    /// An argument evaluated once, seen from where the function is called.
    pub(super) fn arg(&mut self, index: usize) -> Result<Collection<'a>> {
        let expr = self.arg_expr(index)?;
        self.run.eval_scoped(expr, self.focus)
    }

    /// An argument evaluated for one item: `$this` is the item.
    pub(super) fn for_item(
        &mut self,
        index: usize,
        item: &Item<'a>,
        position: usize,
    ) -> Result<Collection<'a>> {
        self.for_item_and_total(index, item, position, self.focus.total)
    }

    pub(super) fn for_item_and_total(
        &mut self,
        index: usize,
        item: &Item<'a>,
        position: usize,
        total: Option<&[Item<'a>]>,
    ) -> Result<Collection<'a>> {
        let expr = self.arg_expr(index)?;
        let focus = Focus {
            this: std::slice::from_ref(item),
            index: Some(position),
            total,
        };
        self.run.eval_scoped(expr, &focus)
    }

    /// An argument evaluated for the whole input: `$this` is the input.
    pub(super) fn for_input(&mut self, index: usize) -> Result<Collection<'a>> {
        let expr = self.arg_expr(index)?;
        let focus = Focus {
            this: &self.input,
            ..*self.focus
        };
        Evaluator::eval_scoped(self.run, expr, &focus)
    }

    /// What the argument says of an item: true, or anything else.
    pub(super) fn holds(&mut self, index: usize, item: &Item<'a>, position: usize) -> Result<bool> {
        let answer = self.for_item(index, item, position)?;
        Ok(self.run.truth(self.at, &answer)? == Some(true))
    }

    /// Whether an argument begins with a minus, and what it negates: `sort(-family)`.
    pub(super) fn is_descending(&self, index: usize) -> bool {
        matches!(
            self.call.args.get(index).map(|arg| &arg.kind),
            Some(ExprKind::Negate(_))
        )
    }

    pub(super) fn negated_for_item(
        &mut self,
        index: usize,
        item: &Item<'a>,
        position: usize,
    ) -> Result<Collection<'a>> {
        let expr = self.arg_expr(index)?;
        let expr = match &expr.kind {
            ExprKind::Negate(operand) => operand,
            _ => expr,
        };
        let focus = Focus {
            this: std::slice::from_ref(item),
            index: Some(position),
            total: self.focus.total,
        };
        self.run.eval_scoped(expr, &focus)
    }

    pub(super) fn type_arg(&self) -> Result<&'e TypeName> {
        match &self.arg_expr(0)?.kind {
            ExprKind::Type(name) => Ok(name),
            _ => Err(self.error("expected the name of a type")),
        }
    }

    pub(super) fn value_arg(&mut self, index: usize) -> Result<Option<Item<'a>>> {
        let items = self.arg(index)?;
        self.run.single_value(self.at, "as an argument", &items)
    }

    pub(super) fn text_arg(&mut self, index: usize) -> Result<Option<Str<'a>>> {
        let value = self.value_arg(index)?;
        self.as_text(value, "as an argument")
    }

    pub(super) fn integer_arg(&mut self, index: usize) -> Result<Option<i64>> {
        match self.value_arg(index)? {
            None => Ok(None),
            Some(Item::Integer(number)) => Ok(Some(number.into())),
            Some(Item::Long(number)) => Ok(Some(number)),
            Some(other) => {
                let message = format!(
                    "`{}()` takes an integer, not {}",
                    self.name(),
                    other.described()
                );
                Err(self.error(message))
            }
        }
    }

    /// The one value the function is called on.
    pub(super) fn value(&self) -> Result<Option<Item<'a>>> {
        let what = "to call the function on";
        self.run.single_value(self.at, what, &self.input)
    }

    pub(super) fn text(&self) -> Result<Option<Str<'a>>> {
        self.as_text(self.value()?, "to be called on")
    }

    fn as_text(&self, value: Option<Item<'a>>, role: &str) -> Result<Option<Str<'a>>> {
        match value {
            None => Ok(None),
            Some(Item::String(text)) => Ok(Some(text)),
            Some(other) => {
                let message = format!(
                    "`{}()` wants a string {role}, found {}",
                    self.name(),
                    other.described()
                );
                Err(self.error(message))
            }
        }
    }

    /// An answer of text, its length paid for.
    pub(super) fn answer_text(&mut self, text: String) -> Result<Collection<'a>> {
        self.run.spend_text(self.at, text.len())?;
        Ok(vec![Item::from(text)])
    }
}

pub(super) fn answer<'a>(value: impl Into<Item<'a>>) -> Result<Collection<'a>> {
    Ok(vec![value.into()])
}

pub(super) fn maybe<'a>(value: Option<Item<'a>>) -> Result<Collection<'a>> {
    Ok(value.into_iter().collect())
}
