//! FHIRPath. <http://hl7.org/fhirpath/N1/> and <https://hl7.org/fhir/R4/fhirpath.html>

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

    /// The same expression, made for resources or elements of one type: faster there, and still right elsewhere.
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
