//! The left side of a row: paths of the source, constants, functions, conditions.

use fhir_spec::json::Value;

use super::super::error::Problem;
use super::super::functions;
use super::super::plan::{Base, ConditionPlan, ExpressionPlan, SourcePath, number};
use super::super::row::{Call, Condition, Expression, Word};
use super::super::source::NodeKind;
use super::Compiler;

/// From where the paths of a row are seen.
#[derive(Clone)]
pub(super) struct Scope {
    /// The node of a type map, when the row is one of it; else blocks are asked, from within.
    pub(super) of_type: Option<NodeKind>,
    /// What the row runs over: paths that begin with it mean the repetition at hand.
    pub(super) each: Option<SourcePath>,
}

impl Scope {
    /// The node whose children the paths begin with.
    pub(super) fn own(&self) -> Base {
        self.of_type.map_or(Base::Block(0), |_| Base::It(0))
    }
}

pub(super) struct Resolved {
    pub(super) path: SourcePath,
    pub(super) kind: NodeKind,
    pub(super) repeats: bool,
}

impl Compiler<'_> {
    pub(super) fn source(&mut self, scope: &Scope, word: &Word) -> Result<Resolved, Problem> {
        let mut resolved = self.plain_source(scope, word)?;
        if let Some(each) = &scope.each {
            let path = &mut resolved.path;
            if path.base == each.base && path.steps.starts_with(&each.steps) {
                path.steps.drain(..each.steps.len());
                path.base = Base::It(0);
            } else if let Base::It(out) = &mut path.base {
                *out += 1;
            }
        }
        Ok(resolved)
    }

    fn plain_source(&mut self, scope: &Scope, word: &Word) -> Result<Resolved, Problem> {
        let told = |expected: String| Problem::new(word.at.clone(), expected).found(&word.text);
        if let Some(kind) = scope.of_type {
            let found = self.schema.path(kind, &word.text).map_err(told)?;
            return Ok(Resolved {
                path: SourcePath {
                    base: Base::It(0),
                    steps: found.steps,
                },
                kind: found.kind,
                repeats: found.repeats,
            });
        }
        let mut first_trouble = None;
        for (out, kind) in (0u8..).zip(self.blocks_around.iter().rev()) {
            match self.schema.path(*kind, &word.text) {
                Ok(found) => {
                    return Ok(Resolved {
                        path: SourcePath {
                            base: Base::Block(out),
                            steps: found.steps,
                        },
                        kind: found.kind,
                        repeats: found.repeats,
                    });
                }
                Err(expected) => first_trouble = first_trouble.or(Some(expected)),
            }
        }
        Err(told(
            first_trouble.unwrap_or_else(|| "a path of the source".to_owned()),
        ))
    }

    pub(super) fn constant(&mut self, name: &Word) -> Result<ExpressionPlan, Problem> {
        let place = self
            .plan
            .constants
            .iter()
            .position(|constant| *constant.name == *name.text);
        match place {
            Some(place) => {
                self.used_constants.insert(place);
                Ok(ExpressionPlan::Constant(number(place)))
            }
            None => Err(
                Problem::new(name.at.clone(), "a constant that the map declares").found(&name.text),
            ),
        }
    }

    pub(super) fn expression(
        &mut self,
        scope: &Scope,
        expression: &Expression,
    ) -> Result<ExpressionPlan, Problem> {
        Ok(match expression {
            Expression::Path(word) => ExpressionPlan::Path(self.source(scope, word)?.path),
            Expression::Text(text) => ExpressionPlan::Literal(Value::from(text.as_str())),
            Expression::Constant(name) => self.constant(name)?,
            Expression::Null => ExpressionPlan::Null,
            Expression::Call(call) => {
                let function = self.function(call, 0)?;
                ExpressionPlan::Call(function, self.expressions(scope, &call.arguments)?)
            }
            Expression::All(path, between) => {
                ExpressionPlan::All(self.source(scope, path)?.path, between.as_str().into())
            }
            Expression::Nth(arguments) => ExpressionPlan::Nth(self.expressions(scope, arguments)?),
            Expression::Concatenation(terms) => {
                ExpressionPlan::Concatenation(self.expressions(scope, terms)?)
            }
        })
    }

    pub(super) fn expressions(
        &mut self,
        scope: &Scope,
        all: &[Expression],
    ) -> Result<Vec<ExpressionPlan>, Problem> {
        all.iter()
            .map(|expression| self.expression(scope, expression))
            .collect()
    }

    /// A function that takes as many arguments as it is given, `piped` of them from the row.
    pub(super) fn function(
        &mut self,
        call: &Call,
        piped: usize,
    ) -> Result<&'static functions::Function, Problem> {
        let name = &call.name;
        let function = functions::named(&name.text).ok_or_else(|| {
            Problem::new(
                name.at.clone(),
                "a function of the library, a type map, or code and a table",
            )
            .found(&name.text)
        })?;
        let (least, most) = function.arity();
        let count = call.arguments.len() + piped;
        if count < least || count > most {
            let expected = format!("the arguments of {}", function.signature());
            return Err(Problem::new(name.at.clone(), expected));
        }
        Ok(function)
    }

    pub(super) fn condition(
        &mut self,
        scope: &Scope,
        condition: &Condition,
    ) -> Result<ConditionPlan, Problem> {
        let several = |compiler: &mut Self, all: &[Condition]| {
            all.iter()
                .map(|condition| compiler.condition(scope, condition))
                .collect::<Result<Vec<_>, _>>()
        };
        Ok(match condition {
            Condition::Valued(path) => ConditionPlan::Valued(self.source(scope, path)?.path),
            Condition::Null(path) => ConditionPlan::Null(self.source(scope, path)?.path),
            Condition::Compare {
                left,
                is_equal,
                right,
            } => ConditionPlan::Compare {
                left: self.expression(scope, left)?,
                is_equal: *is_equal,
                right: self.expressions(scope, right)?,
            },
            Condition::Not(inner) => ConditionPlan::Not(Box::new(self.condition(scope, inner)?)),
            Condition::All(all) => ConditionPlan::All(several(self, all)?),
            Condition::Any(all) => ConditionPlan::Any(several(self, all)?),
        })
    }
}
