//! Three-valued logic: what is empty is not known. <http://hl7.org/fhirpath/N1/#boolean-logic>

use crate::fhirpath::ast::Operator;
use crate::fhirpath::error::Result;
use crate::fhirpath::eval::Evaluator;
use crate::fhirpath::item::{Collection, Item};

/// The answer when the left side alone decides: the right one is not evaluated then.
pub(in crate::fhirpath) fn decided_by_left<'a>(
    run: &Evaluator<'_, 'a>,
    at: u32,
    operator: Operator,
    left: &[Item<'a>],
) -> Result<Option<Collection<'a>>> {
    let decided = match operator {
        Operator::And => (run.truth(at, left)? == Some(false)).then_some(false),
        Operator::Or => (run.truth(at, left)? == Some(true)).then_some(true),
        Operator::Implies => (run.truth(at, left)? == Some(false)).then_some(true),
        _ => None,
    };
    Ok(decided.map(|value| vec![Item::Boolean(value)]))
}

pub(in crate::fhirpath) fn combine<'a>(
    run: &Evaluator<'_, 'a>,
    at: u32,
    operator: Operator,
    left: &[Item<'a>],
    right: &[Item<'a>],
) -> Result<Collection<'a>> {
    let (left, right) = (run.truth(at, left)?, run.truth(at, right)?);
    let result = match operator {
        Operator::And => and(left, right),
        Operator::Or => or(left, right),
        Operator::Implies => or(left.map(|left| !left), right),
        _ => left.zip(right).map(|(left, right)| left != right),
    };
    Ok(result.map(Item::Boolean).into_iter().collect())
}

fn and(left: Option<bool>, right: Option<bool>) -> Option<bool> {
    match (left, right) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        _ => None,
    }
}

fn or(left: Option<bool>, right: Option<bool>) -> Option<bool> {
    match (left, right) {
        (Some(true), _) | (_, Some(true)) => Some(true),
        (Some(false), Some(false)) => Some(false),
        _ => None,
    }
}
