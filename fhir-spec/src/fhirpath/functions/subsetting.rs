//! The first, the last, and some between. <http://hl7.org/fhirpath/N1/#subsetting>

use super::invocation::Invocation;
use super::{Function, row};
use crate::fhirpath::error::{FhirPathError, Result};
use crate::fhirpath::eval::Evaluator;
use crate::fhirpath::item::{Collection, Item};
use crate::fhirpath::operator::combining::Set;

pub(super) const ALL: &[Function] = &[
    row("single", 0..=0, single),
    row("first", 0..=0, |call| {
        Ok(call.taken().into_iter().take(1).collect())
    }),
    row("last", 0..=0, |call| {
        Ok(call.input.pop().into_iter().collect())
    }),
    row("tail", 0..=0, |call| {
        Ok(call.taken().into_iter().skip(1).collect())
    }),
    row("skip", 1..=1, skip),
    row("take", 1..=1, take),
    row("intersect", 1..=1, intersect),
    row("exclude", 1..=1, exclude),
];

/// `items[index]`
pub(in crate::fhirpath) fn at_index<'a>(
    run: &Evaluator<'_, 'a>,
    at: u32,
    items: Collection<'a>,
    index: &[Item<'a>],
) -> Result<Collection<'a>> {
    let number = match run.single_value(at, "as an index", index)? {
        None => return Ok(Vec::new()),
        Some(Item::Integer(number)) => i64::from(number),
        Some(Item::Long(number)) => number,
        Some(other) => {
            let message = format!(
                "expected an integer as an index, found {}",
                other.described()
            );
            return Err(FhirPathError::execution(at, message));
        }
    };
    let index = usize::try_from(number).ok();
    Ok(index
        .and_then(|index| items.into_iter().nth(index))
        .into_iter()
        .collect())
}

fn single<'a>(call: &mut Invocation<'_, '_, 'a>) -> Result<Collection<'a>> {
    call.run
        .single(call.at, "to call `single()` on", &call.input)?;
    Ok(call.taken())
}

fn counted(call: &mut Invocation<'_, '_, '_>) -> Result<Option<usize>> {
    let number = call.integer_arg(0)?;
    Ok(number.map(|number| usize::try_from(number.max(0)).unwrap_or(usize::MAX)))
}

fn skip<'a>(call: &mut Invocation<'_, '_, 'a>) -> Result<Collection<'a>> {
    let number = counted(call)?;
    Ok(call.taken().into_iter().skip(number.unwrap_or(0)).collect())
}

fn take<'a>(call: &mut Invocation<'_, '_, 'a>) -> Result<Collection<'a>> {
    let number = counted(call)?;
    Ok(call.taken().into_iter().take(number.unwrap_or(0)).collect())
}

fn intersect<'a>(call: &mut Invocation<'_, '_, 'a>) -> Result<Collection<'a>> {
    let others = call.arg(0)?;
    let others = Set::of(call.run, call.at, &others)?;
    let mut shared = Set::default();
    for item in call.taken() {
        if others.has(call.run, call.at, &item)? {
            shared.insert(call.run, call.at, item)?;
        }
    }
    Ok(shared.items)
}

/// Duplicates and order are kept.
fn exclude<'a>(call: &mut Invocation<'_, '_, 'a>) -> Result<Collection<'a>> {
    let others = call.arg(0)?;
    let others = Set::of(call.run, call.at, &others)?;
    let mut kept = Vec::new();
    for item in call.taken() {
        if !others.has(call.run, call.at, &item)? {
            kept.push(item);
        }
    }
    Ok(kept)
}
