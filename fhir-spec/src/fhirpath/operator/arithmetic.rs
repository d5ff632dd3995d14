//! `+ - * / div mod &` and signs. <http://hl7.org/fhirpath/N1/#math>
//!
//! What overflows, or is divided by zero, is empty. Integers with integers stay integers, except in `/`.

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use crate::fhirpath::ast::Operator;
use crate::fhirpath::error::{FhirPathError, Result};
use crate::fhirpath::eval::Evaluator;
use crate::fhirpath::item::{Collection, Item};
use crate::fhirpath::quantity::{Quantity, Unit};
use crate::time::CalendarUnit;

pub(in crate::fhirpath) fn combine<'a>(
    run: &mut Evaluator<'_, 'a>,
    at: u32,
    operator: Operator,
    left: &[Item<'a>],
    right: &[Item<'a>],
) -> Result<Collection<'a>> {
    let what = "to reckon with";
    let (left, right) = (
        run.single_value(at, what, left)?,
        run.single_value(at, what, right)?,
    );
    if operator == Operator::Concatenate {
        return concatenate(run, at, left.as_ref(), right.as_ref());
    }
    let (Some(left), Some(right)) = (left, right) else {
        return Ok(Vec::new());
    };
    let result = match (&left, &right) {
        (Item::String(first), Item::String(second)) if operator == Operator::Add => {
            run.spend_text(at, first.len() + second.len())?;
            Some(Item::from(format!("{}{}", &**first, &**second)))
        }
        (Item::Integer(_) | Item::Long(_), Item::Integer(_) | Item::Long(_))
            if operator != Operator::Divide =>
        {
            integers(operator, &left, &right)
        }
        (Item::Date(_) | Item::DateTime(_) | Item::Time(_), Item::Quantity(amount)) => {
            match operator {
                Operator::Add => later(at, &left, amount)?,
                Operator::Subtract => later(at, &left, &amount.negated())?,
                _ => return Err(mismatch(at, operator, &left, &right)),
            }
        }
        (Item::Quantity(amount), Item::Date(_) | Item::DateTime(_) | Item::Time(_))
            if operator == Operator::Add =>
        {
            later(at, &right, amount)?
        }
        _ => match (left.number(), right.number()) {
            (Some(left), Some(right)) => decimals(operator, left, right),
            _ => quantities(at, operator, &left, &right)?,
        },
    };
    Ok(result.into_iter().collect())
}

fn mismatch(at: u32, operator: Operator, left: &Item<'_>, right: &Item<'_>) -> FhirPathError {
    let (left, symbol, right) = (left.described(), operator.symbol(), right.described());
    FhirPathError::execution(
        at,
        format!("`{symbol}` is not defined for {left} and {right}"),
    )
}

/// Nothing counts as the empty text.
fn concatenate<'a>(
    run: &mut Evaluator<'_, 'a>,
    at: u32,
    left: Option<&Item<'a>>,
    right: Option<&Item<'a>>,
) -> Result<Collection<'a>> {
    let mut joined = String::new();
    for item in [left, right].into_iter().flatten() {
        let Item::String(text) = item else {
            let message = format!("`&` joins strings, found {}", item.described());
            return Err(FhirPathError::execution(at, message));
        };
        run.spend_text(at, text.len())?;
        joined.push_str(text);
    }
    Ok(vec![Item::from(joined)])
}

fn integers<'a>(operator: Operator, left: &Item<'a>, right: &Item<'a>) -> Option<Item<'a>> {
    let long = |item: &Item<'a>| match item {
        Item::Integer(number) => Some(i64::from(*number)),
        Item::Long(number) => Some(*number),
        _ => None,
    };
    let (first, second) = (long(left)?, long(right)?);
    let result = match operator {
        Operator::Add => first.checked_add(second),
        Operator::Subtract => first.checked_sub(second),
        Operator::Multiply => first.checked_mul(second),
        Operator::Div => first.checked_div(second),
        Operator::Mod => first.checked_rem(second),
        _ => None,
    }?;
    match (left, right) {
        (Item::Integer(_), Item::Integer(_)) => i32::try_from(result).ok().map(Item::Integer),
        _ => Some(Item::Long(result)),
    }
}

fn decimals<'a>(operator: Operator, left: Decimal, right: Decimal) -> Option<Item<'a>> {
    match operator {
        Operator::Add => left.checked_add(right).map(Item::Decimal),
        Operator::Subtract => left.checked_sub(right).map(Item::Decimal),
        Operator::Multiply => left.checked_mul(right).map(Item::Decimal),
        Operator::Divide => left
            .checked_div(right)
            .map(|quotient| Item::Decimal(quotient.normalize())),
        Operator::Mod => left.checked_rem(right).map(Item::Decimal),
        Operator::Div => whole(left.checked_div(right)?.trunc()),
        _ => None,
    }
}

/// A whole number as an integer, wide when it must be.
pub(in crate::fhirpath) fn whole<'a>(number: Decimal) -> Option<Item<'a>> {
    match number.to_i32() {
        Some(number) => Some(Item::Integer(number)),
        None => number.to_i64().map(Item::Long),
    }
}

fn quantities<'a>(
    at: u32,
    operator: Operator,
    left: &Item<'a>,
    right: &Item<'a>,
) -> Result<Option<Item<'a>>> {
    let quantity = |item: &Item<'a>| match item {
        Item::Quantity(quantity) => Some(Quantity::clone(quantity)),
        _ => item.number().map(|value| Quantity {
            value,
            unit: Unit::one(),
        }),
    };
    let (Some(first), Some(second)) = (quantity(left), quantity(right)) else {
        return Err(mismatch(at, operator, left, right));
    };
    let result = match operator {
        Operator::Add => first.plus(&second),
        Operator::Subtract => first.plus(&second.negated()),
        Operator::Multiply => first.times(&second),
        Operator::Divide => first.over(&second),
        Operator::Div => first.over(&second).map(|quotient| Quantity {
            value: quotient.value.trunc(),
            ..quotient
        }),
        _ => first
            .plain()
            .zip(second.plain())
            .and_then(|(first, second)| first.checked_rem(second))
            .map(|value| Quantity {
                value,
                unit: Unit::one(),
            }),
    };
    Ok(result.map(Item::from))
}

/// A date or time some time later; nothing outside the years 1 to 9999.
fn later<'a>(at: u32, moment: &Item<'a>, amount: &Quantity) -> Result<Option<Item<'a>>> {
    let Some(unit) = amount.unit.duration() else {
        let message = format!(
            "{amount} is no duration that can be added to {}",
            moment.described()
        );
        return Err(FhirPathError::execution(at, message));
    };
    Ok(match moment {
        Item::Date(date) => date.plus(amount.value, unit).map(Item::Date),
        Item::DateTime(date_time) => date_time.plus(amount.value, unit).map(Item::DateTime),
        Item::Time(_) if unit > CalendarUnit::Hour => {
            let message = format!("a time has no date that {} could change", unit.name());
            return Err(FhirPathError::execution(at, message));
        }
        Item::Time(time) => time.plus(amount.value, unit).map(Item::Time),
        _ => None,
    })
}

pub(in crate::fhirpath) fn negate<'a>(
    run: &Evaluator<'_, 'a>,
    at: u32,
    operand: &[Item<'a>],
) -> Result<Collection<'a>> {
    let Some(value) = run.single_value(at, "after `-`", operand)? else {
        return Ok(Vec::new());
    };
    let negated = match &value {
        Item::Integer(number) => number.checked_neg().map(Item::Integer),
        // The least integer is written as its negation, which is no integer.
        Item::Long(number) => match number.checked_neg() {
            Some(number) if i32::try_from(number) == Ok(i32::MIN) => Some(Item::Integer(i32::MIN)),
            number => number.map(Item::Long),
        },
        Item::Decimal(number) => Some(Item::Decimal(-*number)),
        Item::Quantity(quantity) => Some(Item::from(quantity.negated())),
        other => {
            let message = format!("expected a number after `-`, found {}", other.described());
            return Err(FhirPathError::execution(at, message));
        }
    };
    Ok(negated.into_iter().collect())
}

pub(in crate::fhirpath) fn positive<'a>(
    run: &Evaluator<'_, 'a>,
    at: u32,
    operand: Collection<'a>,
) -> Result<Collection<'a>> {
    match run.single_value(at, "after `+`", &operand)? {
        None | Some(Item::Integer(_) | Item::Long(_) | Item::Decimal(_) | Item::Quantity(_)) => {
            Ok(operand)
        }
        Some(other) => {
            let message = format!("expected a number after `+`, found {}", other.described());
            Err(FhirPathError::execution(at, message))
        }
    }
}
