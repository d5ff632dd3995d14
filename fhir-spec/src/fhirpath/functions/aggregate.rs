//! Many to one. <http://hl7.org/fhirpath/N1/#aggregates>

use super::invocation::Invocation;
use super::{Function, row};
use crate::fhirpath::ast::Operator;
use crate::fhirpath::error::Result;
use crate::fhirpath::eval::index_item;
use crate::fhirpath::item::{Collection, Item};
use crate::fhirpath::operator::arithmetic;
use crate::fhirpath::operator::comparison::order;

pub(super) const ALL: &[Function] = &[
    row("aggregate", 1..=2, aggregate),
    row("sum", 0..=0, sum),
    row("min", 0..=0, |call| extreme(call, std::cmp::Ordering::Less)),
    row("max", 0..=0, |call| {
        extreme(call, std::cmp::Ordering::Greater)
    }),
    row("avg", 0..=0, avg),
];

fn aggregate<'a>(call: &mut Invocation<'_, '_, 'a>) -> Result<Collection<'a>> {
    let mut total = if call.has_arg(1) {
        call.arg(1)?
    } else {
        Vec::new()
    };
    for (position, item) in call.taken().iter().enumerate() {
        total = call.for_item_and_total(0, item, position, Some(&total))?;
    }
    Ok(total)
}

/// Empty when one of the items has no value.
fn sum<'a>(call: &mut Invocation<'_, '_, 'a>) -> Result<Collection<'a>> {
    let Some((first, rest)) = call.input.split_first() else {
        return Ok(Vec::new());
    };
    let mut total: Collection<'a> = call
        .run
        .single_value(call.at, "to add", std::slice::from_ref(first))?
        .into_iter()
        .collect();
    for item in rest {
        total = arithmetic::combine(
            call.run,
            call.at,
            Operator::Add,
            &total,
            std::slice::from_ref(item),
        )?;
    }
    Ok(total)
}

fn avg<'a>(call: &mut Invocation<'_, '_, 'a>) -> Result<Collection<'a>> {
    let count = [index_item(call.input.len())];
    let total = sum(call)?;
    arithmetic::combine(call.run, call.at, Operator::Divide, &total, &count)
}

fn extreme<'a>(
    call: &Invocation<'_, '_, 'a>,
    wanted: std::cmp::Ordering,
) -> Result<Collection<'a>> {
    let mut best: Option<Item<'a>> = None;
    for item in &call.input {
        let Some(value) =
            call.run
                .single_value(call.at, "to compare", std::slice::from_ref(item))?
        else {
            return Ok(Vec::new());
        };
        best = match best {
            None => Some(value),
            Some(known) => match order(call.at, &value, &known)? {
                None => return Ok(Vec::new()),
                Some(ordering) if ordering == wanted => Some(value),
                Some(_) => Some(known),
            },
        };
    }
    Ok(best.into_iter().collect())
}
