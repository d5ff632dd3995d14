//! From one type to another. <http://hl7.org/fhirpath/N1/#conversion>

use rust_decimal::Decimal;

use super::invocation::{Invocation, answer, maybe};
use super::{Function, row};
use crate::decimal;
use crate::fhirpath::error::Result;
use crate::fhirpath::item::{Collection, Item};
use crate::fhirpath::quantity::{Quantity, Unit};
use crate::time::{Date, DateTime, Time};

pub(super) const ALL: &[Function] = &[
    row("iif", 2..=3, iif),
    row("toBoolean", 0..=0, |call| convert(call, to_boolean)),
    row("convertsToBoolean", 0..=0, |call| {
        converts(call, to_boolean)
    }),
    row("toInteger", 0..=0, |call| convert(call, to_integer)),
    row("convertsToInteger", 0..=0, |call| {
        converts(call, to_integer)
    }),
    row("toLong", 0..=0, |call| convert(call, to_long)),
    row("convertsToLong", 0..=0, |call| converts(call, to_long)),
    row("toDecimal", 0..=0, |call| convert(call, to_decimal)),
    row("convertsToDecimal", 0..=0, |call| {
        converts(call, to_decimal)
    }),
    row("toDate", 0..=0, |call| convert(call, to_date)),
    row("convertsToDate", 0..=0, |call| converts(call, to_date)),
    row("toDateTime", 0..=0, |call| convert(call, to_date_time)),
    row("convertsToDateTime", 0..=0, |call| {
        converts(call, to_date_time)
    }),
    row("toTime", 0..=0, |call| convert(call, to_time)),
    row("convertsToTime", 0..=0, |call| converts(call, to_time)),
    row("toString", 0..=0, |call| convert(call, to_text)),
    row("convertsToString", 0..=0, |call| converts(call, to_text)),
    row("toQuantity", 0..=1, quantity),
    row("convertsToQuantity", 0..=1, |call| {
        let is_empty = call.input.is_empty();
        let converted = quantity(call)?;
        if is_empty {
            Ok(Vec::new())
        } else {
            answer(!converted.is_empty())
        }
    }),
];

/// Only the branch that is chosen is evaluated.
fn iif<'a>(call: &mut Invocation<'_, '_, 'a>) -> Result<Collection<'a>> {
    call.run
        .single(call.at, "to call `iif()` on", &call.input)?;
    let criterion = call.for_input(0)?;
    if call.run.truth(call.at, &criterion)? == Some(true) {
        call.for_input(1)
    } else if call.has_arg(2) {
        call.for_input(2)
    } else {
        Ok(Vec::new())
    }
}

type Conversion = for<'a> fn(&Item<'a>) -> Option<Item<'a>>;

fn convert<'a>(call: &Invocation<'_, '_, 'a>, conversion: Conversion) -> Result<Collection<'a>> {
    maybe(call.value()?.as_ref().and_then(conversion))
}

fn converts<'a>(call: &Invocation<'_, '_, 'a>, conversion: Conversion) -> Result<Collection<'a>> {
    match call.value()? {
        None => Ok(Vec::new()),
        Some(value) => answer(conversion(&value).is_some()),
    }
}

fn to_boolean<'a>(item: &Item<'a>) -> Option<Item<'a>> {
    const TRUE: &[&str] = &["true", "t", "yes", "y", "1", "1.0"];
    const FALSE: &[&str] = &["false", "f", "no", "n", "0", "0.0"];
    let value = match item {
        Item::Boolean(value) => *value,
        Item::String(text) => {
            let is_one_of =
                |words: &[&str]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
            if !is_one_of(TRUE) && !is_one_of(FALSE) {
                return None;
            }
            is_one_of(TRUE)
        }
        other => match other.number()? {
            number if number == Decimal::ONE => true,
            number if number.is_zero() => false,
            _ => return None,
        },
    };
    Some(Item::Boolean(value))
}

/// Digits with a sign or none.
fn integer_text(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let is_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_digits.then(|| text.parse().ok()).flatten()
}

fn to_long<'a>(item: &Item<'a>) -> Option<Item<'a>> {
    Some(Item::Long(match item {
        Item::Integer(number) => i64::from(*number),
        Item::Long(number) => *number,
        Item::Boolean(value) => i64::from(*value),
        Item::String(text) => integer_text(text)?,
        _ => return None,
    }))
}

fn to_integer<'a>(item: &Item<'a>) -> Option<Item<'a>> {
    match to_long(item)? {
        Item::Long(number) => i32::try_from(number).ok().map(Item::Integer),
        _ => None,
    }
}

fn to_decimal<'a>(item: &Item<'a>) -> Option<Item<'a>> {
    Some(Item::Decimal(match item {
        Item::Boolean(value) => Decimal::new(if *value { 10 } else { 0 }, 1),
        Item::String(text) if !text.contains(['e', 'E']) => {
            decimal::parse(text.strip_prefix('+').unwrap_or(text))?
        }
        other => other.number()?,
    }))
}

fn to_date<'a>(item: &Item<'a>) -> Option<Item<'a>> {
    Some(Item::Date(match item {
        Item::Date(date) => *date,
        Item::DateTime(date_time) => date_time.date(),
        Item::String(text) => match Date::parse(text) {
            Some(date) => date,
            None => DateTime::parse(text)?.date(),
        },
        _ => return None,
    }))
}

fn to_date_time<'a>(item: &Item<'a>) -> Option<Item<'a>> {
    Some(Item::DateTime(match item {
        Item::Date(date) => (*date).into(),
        Item::DateTime(date_time) => *date_time,
        Item::String(text) => DateTime::parse(text)?,
        _ => return None,
    }))
}

fn to_time<'a>(item: &Item<'a>) -> Option<Item<'a>> {
    Some(Item::Time(match item {
        Item::Time(time) => *time,
        Item::String(text) => Time::parse(text.strip_prefix('T').unwrap_or(text))?,
        _ => return None,
    }))
}

fn to_text<'a>(item: &Item<'a>) -> Option<Item<'a>> {
    match item {
        Item::String(_) => Some(item.clone()),
        other => other.text().map(Item::from),
    }
}

fn quantity<'a>(call: &mut Invocation<'_, '_, 'a>) -> Result<Collection<'a>> {
    let unit = if call.has_arg(0) {
        call.text_arg(0)?
    } else {
        None
    };
    let plain = |value| Quantity {
        value,
        unit: Unit::one(),
    };
    let quantity = match call.value()? {
        None => None,
        Some(Item::Quantity(quantity)) => Some(Quantity::clone(&quantity)),
        Some(Item::String(text)) => Quantity::parse(&text),
        Some(Item::Boolean(value)) => Some(plain(Decimal::new(if value { 10 } else { 0 }, 1))),
        Some(Item::Node(node))
            if node
                .value()
                .is_some_and(|value| value.get("comparator").is_some()) =>
        {
            return Err(call.error("a quantity with a comparator is no exact amount"));
        }
        Some(other) => other.number().map(plain),
    };
    let quantity = match (quantity, unit) {
        (Some(quantity), Some(unit)) => quantity.converted(Unit::named(&unit)),
        (quantity, _) => quantity,
    };
    maybe(quantity.map(Item::from))
}
