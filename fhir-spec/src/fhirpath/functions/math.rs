//! Functions of numbers. Most keep the unit of a quantity. <http://hl7.org/fhirpath/N1/#math>

use rust_decimal::{Decimal, MathematicalOps, RoundingStrategy};

use super::invocation::{Invocation, maybe};
use super::{Function, row};
use crate::fhirpath::error::Result;
use crate::fhirpath::item::{Collection, Item};
use crate::fhirpath::operator::arithmetic::whole;
use crate::fhirpath::quantity::Quantity;

pub(super) const ALL: &[Function] = &[
    row("abs", 0..=0, |call| {
        map(call, |number| Some(number.abs()), keep)
    }),
    row("ceiling", 0..=0, |call| {
        map(
            call,
            |number| Some(number.ceil()),
            |_, number| whole(number),
        )
    }),
    row("floor", 0..=0, |call| {
        map(
            call,
            |number| Some(number.floor()),
            |_, number| whole(number),
        )
    }),
    row("truncate", 0..=0, |call| {
        map(
            call,
            |number| Some(number.trunc()),
            |_, number| whole(number),
        )
    }),
    row("round", 0..=1, round),
    row("exp", 0..=0, |call| transcendental(call, exp)),
    row("ln", 0..=0, |call| transcendental(call, ln)),
    row("sqrt", 0..=0, |call| {
        transcendental(call, |number| number.sqrt())
    }),
    row("log", 1..=1, log),
    row("power", 1..=1, power),
];

/// What series give is exact to more digits than this, and `16.log(2)` should be 4.
const SERIES_DIGITS: u32 = 16;
/// Beyond these the result is out of range anyway.
const EXPONENT_MAX: Decimal = Decimal::from_parts(70, 0, 0, false, 0);

fn number<'a>(call: &Invocation<'_, '_, 'a>, item: &Item<'a>) -> Result<Decimal> {
    let message = || {
        call.error(format!(
            "`{}()` wants a number, found {}",
            call.name(),
            item.described()
        ))
    };
    item.number().ok_or_else(message)
}

/// The result as an integer where the argument was one.
fn keep<'a>(original: &Item<'a>, number: Decimal) -> Option<Item<'a>> {
    match original {
        Item::Integer(_) | Item::Long(_) => whole(number),
        _ => Some(Item::Decimal(number)),
    }
}

fn map<'a>(
    call: &Invocation<'_, '_, 'a>,
    operation: impl Fn(Decimal) -> Option<Decimal>,
    wrap: fn(&Item<'a>, Decimal) -> Option<Item<'a>>,
) -> Result<Collection<'a>> {
    match call.value()? {
        None => Ok(Vec::new()),
        Some(Item::Quantity(quantity)) => maybe(operation(quantity.value).map(|value| {
            Item::from(Quantity {
                value,
                unit: quantity.unit.clone(),
            })
        })),
        Some(value) => {
            let result = operation(number(call, &value)?);
            maybe(result.and_then(|result| wrap(&value, result)))
        }
    }
}

fn transcendental<'a>(
    call: &Invocation<'_, '_, 'a>,
    operation: fn(Decimal) -> Option<Decimal>,
) -> Result<Collection<'a>> {
    let Some(value) = call.value()? else {
        return Ok(Vec::new());
    };
    let result = operation(number(call, &value)?);
    maybe(result.map(tidy).map(Item::Decimal))
}

fn tidy(number: Decimal) -> Decimal {
    number
        .round_sf(SERIES_DIGITS + 4)
        .unwrap_or(number)
        .round_dp(SERIES_DIGITS)
        .normalize()
}

fn exp(number: Decimal) -> Option<Decimal> {
    if number < -EXPONENT_MAX {
        return Some(Decimal::ZERO);
    }
    if number > EXPONENT_MAX {
        None
    } else {
        number.checked_exp()
    }
}

fn ln(number: Decimal) -> Option<Decimal> {
    if number > Decimal::ZERO {
        number.checked_ln()
    } else {
        None
    }
}

fn round<'a>(call: &mut Invocation<'_, '_, 'a>) -> Result<Collection<'a>> {
    let digits = if call.has_arg(0) {
        call.integer_arg(0)?
    } else {
        None
    };
    let Ok(digits) = u32::try_from(digits.unwrap_or(0)) else {
        return Err(call.error("`round()` wants a number of digits that is not negative"));
    };
    let rounded = |number: Decimal| {
        Some(number.round_dp_with_strategy(digits, RoundingStrategy::MidpointAwayFromZero))
    };
    map(call, rounded, |_, number| Some(Item::Decimal(number)))
}

fn log<'a>(call: &mut Invocation<'_, '_, 'a>) -> Result<Collection<'a>> {
    let (Some(value), Some(base)) = (call.value()?, call.value_arg(0)?) else {
        return Ok(Vec::new());
    };
    let (value, base) = (number(call, &value)?, number(call, &base)?);
    let result = ln(value)
        .zip(ln(base))
        .and_then(|(value, base)| value.checked_div(base));
    maybe(result.map(tidy).map(Item::Decimal))
}

fn power<'a>(call: &mut Invocation<'_, '_, 'a>) -> Result<Collection<'a>> {
    let (Some(value), Some(exponent)) = (call.value()?, call.value_arg(0)?) else {
        return Ok(Vec::new());
    };
    let (base, by) = (number(call, &value)?, number(call, &exponent)?);
    let is_integer = matches!(
        (&value, &exponent),
        (
            Item::Integer(_) | Item::Long(_),
            Item::Integer(_) | Item::Long(_)
        )
    );
    let result = if by.is_integer() {
        // Exact as long as the digits last.
        whole_power(base, by)
    } else if base.is_sign_negative() {
        None
    } else if base.is_zero() {
        Some(Decimal::ZERO)
    } else {
        ln(base)
            .and_then(|ln| ln.checked_mul(by))
            .and_then(exp)
            .map(tidy)
    };
    let is_whole = is_integer && !by.is_sign_negative();
    maybe(result.and_then(|result| {
        if is_whole {
            whole(result)
        } else {
            Some(Item::Decimal(result))
        }
    }))
}

fn whole_power(base: Decimal, by: Decimal) -> Option<Decimal> {
    let by = i64::try_from(by).ok()?;
    if base.abs() == Decimal::ONE {
        return Some(if by % 2 == 0 { Decimal::ONE } else { base });
    }
    base.checked_powi(by)
}
