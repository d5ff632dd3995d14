//! `<`, `<=`, `>`, `>=`. <http://hl7.org/fhirpath/N1/#comparison>

use std::cmp::Ordering;

use super::equality::moment;
use crate::fhirpath::ast::Operator;
use crate::fhirpath::error::{FhirPathError, Result};
use crate::fhirpath::eval::Evaluator;
use crate::fhirpath::item::{Collection, Item};
use crate::fhirpath::quantity::{Quantity, Unit};

pub(in crate::fhirpath) fn compare<'a>(
    run: &Evaluator<'_, 'a>,
    at: u32,
    operator: Operator,
    left: &[Item<'a>],
    right: &[Item<'a>],
) -> Result<Collection<'a>> {
    let what = "to compare";
    let (left, right) = (
        run.single_value(at, what, left)?,
        run.single_value(at, what, right)?,
    );
    let (Some(left), Some(right)) = (left, right) else {
        return Ok(Vec::new());
    };
    let Some(ordering) = order(at, &left, &right)? else {
        return Ok(Vec::new());
    };
    let answer = match operator {
        Operator::Less => ordering.is_lt(),
        Operator::LessOrEqual => ordering.is_le(),
        Operator::Greater => ordering.is_gt(),
        _ => ordering.is_ge(),
    };
    Ok(vec![Item::Boolean(answer)])
}

/// Which comes first; nothing when it cannot be known; an error when the two are of kinds that have no order.
pub(in crate::fhirpath) fn order(
    at: u32,
    left: &Item<'_>,
    right: &Item<'_>,
) -> Result<Option<Ordering>> {
    if let (Some(left), Some(right)) = (left.number(), right.number()) {
        return Ok(Some(left.cmp(&right)));
    }
    if let (Some(left), Some(right)) = (moment(left), moment(right)) {
        return Ok(left.compare(right));
    }
    let plain = |value| Quantity {
        value,
        unit: Unit::one(),
    };
    match (left, right, left.number(), right.number()) {
        (Item::String(left), Item::String(right), ..) => Ok(Some(left.cmp(right))),
        (Item::Time(left), Item::Time(right), ..) => Ok(left.compare(*right)),
        (Item::Quantity(left), Item::Quantity(right), ..) => Ok(left.compare(right)),
        (Item::Quantity(left), _, _, Some(right)) => Ok(left.compare(&plain(right))),
        (_, Item::Quantity(right), Some(left), _) => Ok(plain(left).compare(right)),
        _ => {
            let message = format!(
                "{} and {} cannot be compared",
                left.described(),
                right.described()
            );
            Err(FhirPathError::execution(at, message))
        }
    }
}
