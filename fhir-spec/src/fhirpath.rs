//! FHIRPath: questions to documents. <http://hl7.org/fhirpath/N1/> and <https://hl7.org/fhir/R4/fhirpath.html>
//!
//! ```text
//! text -> token -> parse -> (bind) -> Expression          once
//! Expression + Context -> eval -> Collection of Item      often, from any thread
//! ```
//!
//! **Reading.** `token` cuts the text, `parse` makes the tree of `ast`, each part with its place. Chains such as
//! `a.b(c).d[0]` are flat lists of steps; functions are looked up here, so an unknown one is an error before anything runs.
//!
//! **Binding.** `bind` follows types through the tree as far as they are known. Bound to `Observation`, the step `value`
//! knows the JSON names to look for, and union branches that begin with other types are gone: search parameters are made so
//! ([`Expression::for_search`]). Binding never changes an answer. The same walk, made strict, is [`Expression::check`].
//!
//! **Evaluating.** `eval` walks the tree; `operator` and `functions` do the work, one file a chapter, a function is a
//! row. An [`Item`] is a [`Node`] (an element: JSON value, its `_` sibling, its type; all borrowed) or a value of
//! FHIRPath's own types. Elements stay elements until an operator needs a value: then a `birthDate` becomes a date and a
//! Quantity a [`Quantity`] (`node`). What a thing is, `type_test` tells. Empty means "not known", and spreads.
//!
//! **The world.** The [`Context`] holds the resource, the resource around it, variables, and the time; everything further
//! away is asked of a [`Host`]: other resources, value sets, profiles. References into the document and the bundle around it
//! are found without (`reference`).
//!
//! **Bounds.** Each evaluation has a budget of steps, items and text ([`limits`]); nesting is bounded when read; regular
//! expressions run in linear time. What exceeds them is an error like others, with its place ([`FhirPathError`]).
//!
//! **Back to the document.** [`locate`] finds where a node stands, as steps down the JSON; [`path_of`] says it in FHIRPath.
//!
//! Where N1 leaves room or others differ:
//! * `as` and `ofType` tell primitives apart exactly (a `code` is no `string` to them), `is` knows the whole ancestry;
//! * `resolve() is Patient` goes by the text of the reference when nobody resolves it, which indexing needs;
//! * a date without a zone beside one with a zone compares only when no zone on earth could change the answer;
//! * two elements that are primitives compare by value; their ids and extensions count when they have no value.

mod ast;
mod bind;
mod context;
mod error;
mod eval;
mod functions;
mod item;
pub mod limits;
mod locate;
mod node;
mod operator;
mod parse;
mod quantity;
mod reference;
mod regular;
mod token;
mod type_test;

use ast::Expr;
use bind::{Binder, Rules};

use crate::definitions::{TypeId, Types};

pub use context::{Context, Host, NoHost};
pub use error::{ErrorKind, FhirPathError};
pub use item::{Collection, Item, Str, TypeInfo};
pub use limits::Limits;
pub use locate::{Place, locate, path_of};
pub use node::Node;
pub use quantity::{Quantity, Unit};

/// An expression, read once, to be evaluated often and from any thread.
#[derive(Debug, Clone)]
pub struct Expression {
    text: Box<str>,
    root: Expr,
}

impl Expression {
    pub fn parse(text: &str) -> std::result::Result<Self, FhirPathError> {
        let root = parse::parse(text).map_err(|error| error.in_text(text))?;
        Ok(Self {
            text: text.into(),
            root,
        })
    }

    /// The same expression, made for resources or elements of one type (or of types derived from it) and no others:
    /// what begins with another type is dropped.
    #[must_use]
    pub fn bound(mut self, types: &Types, type_id: TypeId) -> Self {
        self.bind(types, type_id, Rules::default());
        self
    }

    /// A search parameter's expression for one of the types it applies to. `as` keeps what is of a type, however many
    /// items there are: the parameters of R4 are written so.
    pub fn for_search(
        text: &str,
        types: &Types,
        type_id: TypeId,
    ) -> std::result::Result<Self, FhirPathError> {
        let mut expression = Self::parse(text)?;
        let rules = Rules {
            as_filters: true,
            ..Rules::default()
        };
        expression.bind(types, type_id, rules);
        Ok(expression)
    }

    /// Binding changes how fast the answer comes, never the answer: what cannot be bound stays as it is.
    fn bind(&mut self, types: &Types, type_id: TypeId, rules: Rules) {
        let mut root = self.root.clone();
        if Binder::new(types, rules).bind(&mut root, type_id).is_ok() {
            self.root = root;
        }
    }

    /// Whether the expression can mean something for a type: elements that none of the possible types has are errors,
    /// and with `checks_order` so are functions that depend on the order of collections that have none.
    pub fn check(
        &self,
        types: &Types,
        type_id: TypeId,
        checks_order: bool,
    ) -> std::result::Result<(), FhirPathError> {
        let rules = Rules {
            is_strict: true,
            checks_order,
            as_filters: false,
        };
        let binder = Binder::new(types, rules);
        binder
            .bind(&mut self.root.clone(), type_id)
            .map_err(|error| error.in_text(&self.text))
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// What the expression says of the resource of the context.
    pub fn evaluate<'a>(
        &self,
        context: &Context<'a>,
    ) -> std::result::Result<Collection<'a>, FhirPathError> {
        self.evaluate_on(context, &Item::Node(context.resource()))
    }

    /// What the expression says of one item: an element of the resource, say, that an invariant is about.
    pub fn evaluate_on<'a>(
        &self,
        context: &Context<'a>,
        item: &Item<'a>,
    ) -> std::result::Result<Collection<'a>, FhirPathError> {
        let mut run = eval::Evaluator::new(context, std::slice::from_ref(item));
        run.run(&self.root)
            .map_err(|error| error.in_text(&self.text))
    }

    /// Whether it holds, as an invariant does: nothing is not true, one item that is no boolean is.
    pub fn holds_for<'a>(
        &self,
        context: &Context<'a>,
        item: &Item<'a>,
    ) -> std::result::Result<bool, FhirPathError> {
        let asked = std::slice::from_ref(item);
        let mut run = eval::Evaluator::new(context, asked);
        let truth = run
            .run(&self.root)
            .and_then(|answer| run.truth(self.root.at, &answer));
        truth
            .map(|truth| truth == Some(true))
            .map_err(|error| error.in_text(&self.text))
    }
}

#[cfg(test)]
mod tests;
