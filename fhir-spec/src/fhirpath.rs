//! FHIRPath. <http://hl7.org/fhirpath/N1/> and <https://hl7.org/fhir/R4/fhirpath.html>

mod ast;
mod context;
mod error;
mod eval;
mod functions;
mod item;
pub mod limits;
mod node;
mod operator;
mod parse;
mod quantity;
mod reference;
mod regular;
mod token;
mod type_test;

use ast::Expr;

pub use context::{Context, Host, NoHost};
pub use error::{ErrorKind, FhirPathError};
pub use item::{Collection, Item, Str, TypeInfo};
pub use limits::Limits;
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
