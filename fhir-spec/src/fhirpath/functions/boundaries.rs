//! How exact a value is, and between which values it lies. <http://hl7.org/fhirpath/#lowboundary>
//!
//! Precision counts digits: after the point for numbers, all of them for dates (`2014-01` has six) and times.

use rust_decimal::{Decimal, RoundingStrategy};

use super::invocation::{Invocation, answer, maybe};
use super::{Function, row};
use crate::fhirpath::error::Result;
use crate::fhirpath::item::{Collection, Item};
use crate::fhirpath::quantity::Quantity;
use crate::time::{Date, DateTime, Precision};

pub(super) const ALL: &[Function] = &[
    row("lowBoundary", 0..=1, |call| boundary(call, false)),
    row("highBoundary", 0..=1, |call| boundary(call, true)),
    row("precision", 0..=0, precision),
    row("comparable", 1..=1, comparable),
];

/// Digits after the point that a boundary may be asked for.
const DECIMAL_DIGITS_MAX: i64 = 28;
const DECIMAL_DIGITS_DEFAULT: i64 = 8;
const DATE_DIGITS_DEFAULT: i64 = 8;
const DATE_TIME_DIGITS_DEFAULT: i64 = 17;
const TIME_DIGITS_DEFAULT: i64 = 9;

fn boundary<'a>(call: &mut Invocation<'_, '_, 'a>, is_high: bool) -> Result<Collection<'a>> {
    let digits = if call.has_arg(0) {
        call.integer_arg(0)?
    } else {
        None
    };
    let Some(value) = call.value()? else {
        return Ok(Vec::new());
    };
    maybe(match value {
        Item::Date(date) => of_date(date, digits.unwrap_or(DATE_DIGITS_DEFAULT), is_high),
        Item::DateTime(moment) => {
            of_date_time(moment, digits.unwrap_or(DATE_TIME_DIGITS_DEFAULT), is_high)
        }
        Item::Time(time) => time_precision(digits.unwrap_or(TIME_DIGITS_DEFAULT))
            .and_then(|precision| Some(Item::Time(time.boundary(is_high)?.truncated(precision)))),
        Item::Quantity(quantity) => of_decimal(quantity.value, digits, is_high).map(|value| {
            Item::from(Quantity {
                value,
                unit: quantity.unit.clone(),
            })
        }),
        value => value
            .number()
            .and_then(|number| of_decimal(number, digits, is_high))
            .map(Item::Decimal),
    })
}

/// Half of the last digit more or less, rounded outward to the digits asked for.
fn of_decimal(number: Decimal, digits: Option<i64>, is_high: bool) -> Option<Decimal> {
    let digits = digits.unwrap_or(DECIMAL_DIGITS_DEFAULT);
    if !(0..=DECIMAL_DIGITS_MAX).contains(&digits) {
        return None;
    }
    let digits = u32::try_from(digits).ok()?;
    let half = Decimal::try_new(5, number.scale() + 1).ok()?;
    let edge = if is_high {
        number.checked_add(half)?
    } else {
        number.checked_sub(half)?
    };
    // Digits that do not reach the first one that is not zero show nothing but zero.
    let strategy = if number.trunc_with_scale(digits).is_zero() && number.scale() > digits {
        RoundingStrategy::ToZero
    } else if is_high {
        RoundingStrategy::ToPositiveInfinity
    } else {
        RoundingStrategy::ToNegativeInfinity
    };
    let mut rounded = edge.round_dp_with_strategy(digits, strategy);
    rounded.rescale(digits);
    if rounded.is_zero() {
        rounded.set_sign_positive(true);
    }
    Some(rounded)
}

fn of_date<'a>(date: Date, digits: i64, is_high: bool) -> Option<Item<'a>> {
    let precision = date_precision(digits)?;
    if precision > Precision::Day {
        return of_date_time(date.into(), digits, is_high);
    }
    let edge = DateTime::from(date).boundary(is_high)?;
    Some(Item::Date(edge.date().truncated(precision)))
}

fn of_date_time<'a>(moment: DateTime, digits: i64, is_high: bool) -> Option<Item<'a>> {
    let precision = date_precision(digits)?;
    let edge = moment.boundary(is_high)?.truncated(precision);
    Some(Item::DateTime(edge))
}

fn date_precision(digits: i64) -> Option<Precision> {
    Some(match digits {
        4 => Precision::Year,
        6 => Precision::Month,
        8 => Precision::Day,
        10 => Precision::Hour,
        12 => Precision::Minute,
        14 => Precision::Second,
        17 => Precision::Fraction,
        _ => return None,
    })
}

fn time_precision(digits: i64) -> Option<Precision> {
    date_precision(digits.checked_add(8)?).filter(|precision| *precision >= Precision::Hour)
}

fn precision<'a>(call: &mut Invocation<'_, '_, 'a>) -> Result<Collection<'a>> {
    let digits = |text: String| text.bytes().filter(u8::is_ascii_digit).count();
    let count = match call.value()? {
        None => return Ok(Vec::new()),
        Some(Item::Date(date)) => digits(date.to_string()),
        Some(Item::DateTime(moment)) => {
            // The zone is no part of the precision.
            let time = moment
                .time()
                .map(|time| time.to_string())
                .unwrap_or_default();
            digits(moment.date().to_string()) + digits(time)
        }
        Some(Item::Time(time)) => digits(time.to_string()),
        Some(Item::Quantity(quantity)) => {
            usize::try_from(quantity.value.scale()).unwrap_or_default()
        }
        Some(value) => match value.number() {
            Some(number) => usize::try_from(number.scale()).unwrap_or_default(),
            None => {
                return Err(call.error(format!(
                    "`precision()` is not defined for {}",
                    value.described()
                )));
            }
        },
    };
    answer(crate::fhirpath::eval::index_item(count))
}

/// Whether the units of two quantities have something in common.
fn comparable<'a>(call: &mut Invocation<'_, '_, 'a>) -> Result<Collection<'a>> {
    match (call.value()?, call.value_arg(0)?) {
        (Some(Item::Quantity(own)), Some(Item::Quantity(other))) => {
            answer(own.is_comparable(&other))
        }
        (Some(_), Some(_)) => Err(call.error("`comparable()` wants two quantities")),
        _ => Ok(Vec::new()),
    }
}
