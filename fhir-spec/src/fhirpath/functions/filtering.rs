//! Some of them, something of each, and all that can be reached. <http://hl7.org/fhirpath/N1/#filtering-and-projection>

use std::cmp::Ordering;

use super::invocation::Invocation;
use super::{Function, row, type_row};
use crate::fhirpath::error::Result;
use crate::fhirpath::item::{Collection, Item};
use crate::fhirpath::operator::combining::Set;
use crate::fhirpath::operator::comparison::order;
use crate::fhirpath::type_test;

pub(super) const ALL: &[Function] = &[
    row("where", 1..=1, filter),
    row("select", 1..=1, select),
    row("repeat", 1..=1, repeat),
    type_row("ofType", of_type),
    row("sort", 0..=16, sort),
];

fn filter<'a>(call: &mut Invocation<'_, '_, 'a>) -> Result<Collection<'a>> {
    let mut kept = Vec::new();
    for (position, item) in call.taken().into_iter().enumerate() {
        if call.holds(0, &item, position)? {
            kept.push(item);
        }
    }
    Ok(kept)
}

fn select<'a>(call: &mut Invocation<'_, '_, 'a>) -> Result<Collection<'a>> {
    let mut selected = Vec::new();
    for (position, item) in call.taken().iter().enumerate() {
        selected.extend(call.for_item(0, item, position)?);
        call.run.check_size(call.at, selected.len())?;
    }
    Ok(selected)
}

/// Level by level, until nothing new turns up.
fn repeat<'a>(call: &mut Invocation<'_, '_, 'a>) -> Result<Collection<'a>> {
    let mut found = Set::default();
    let mut level = call.taken();
    while !level.is_empty() {
        let mut next = Vec::new();
        for (position, item) in level.iter().enumerate() {
            for child in call.for_item(0, item, position)? {
                if found.insert(call.run, call.at, child.clone())? {
                    next.push(child);
                }
            }
        }
        level = next;
    }
    Ok(found.items)
}

fn of_type<'a>(call: &mut Invocation<'_, '_, 'a>) -> Result<Collection<'a>> {
    let name = call.type_arg()?;
    let items = call.taken();
    type_test::of_type(call.run, call.at, items, name)
}

/// By `$this`, or by each argument in turn; a minus before it turns the order round. What has no value comes
/// first in any case.
fn sort<'a>(call: &mut Invocation<'_, '_, 'a>) -> Result<Collection<'a>> {
    let items = call.taken();
    let mut keyed = Vec::with_capacity(items.len());
    for (position, item) in items.into_iter().enumerate() {
        let mut keys = Vec::new();
        for index in 0..call.call.args.len() {
            let key = call.negated_for_item(index, &item, position)?;
            keys.push(call.run.single_value(call.at, "to sort by", &key)?);
        }
        if keys.is_empty() {
            keys.push(
                call.run
                    .single_value(call.at, "to sort by", std::slice::from_ref(&item))?,
            );
        }
        keyed.push((keys, item));
    }
    let descending: Vec<bool> = (0..call.call.args.len())
        .map(|index| call.is_descending(index))
        .collect();
    call.run.spend(call.at, keyed.len().saturating_mul(16))?;
    let keyed = merge_sort(keyed, &|(left, _), (right, _)| {
        compare_keys(call.at, left, right, &descending)
    })?;
    Ok(keyed.into_iter().map(|(_, item)| item).collect())
}

/// The sort of the standard library panics when it finds an order that is none: `2020` is neither before nor after
/// `2020-05` nor `2020-06`, and a text and a number have no order at all.
fn merge_sort<T>(
    mut items: Vec<T>,
    compare: &impl Fn(&T, &T) -> Result<Ordering>,
) -> Result<Vec<T>> {
    if items.len() < 2 {
        return Ok(items);
    }
    let right = items.split_off(items.len() / 2);
    let mut sorted = Vec::with_capacity(items.len() + right.len());
    let mut left = merge_sort(items, compare)?.into_iter().peekable();
    let mut right = merge_sort(right, compare)?.into_iter().peekable();
    while let (Some(first), Some(second)) = (left.peek(), right.peek()) {
        let is_in_order = compare(first, second)?.is_le();
        sorted.extend(if is_in_order {
            left.next()
        } else {
            right.next()
        });
    }
    sorted.extend(left.chain(right));
    Ok(sorted)
}

type Keys<'a> = [Option<Item<'a>>];

fn compare_keys(
    at: u32,
    left: &Keys<'_>,
    right: &Keys<'_>,
    descending: &[bool],
) -> Result<Ordering> {
    for (index, (left, right)) in left.iter().zip(right).enumerate() {
        let is_descending = descending.get(index).copied().unwrap_or_default();
        let ordering = match (left, right) {
            (Some(left), Some(right)) if is_descending => order(at, right, left)?,
            (Some(left), Some(right)) => order(at, left, right)?,
            (left, right) => Some(left.is_some().cmp(&right.is_some())),
        };
        if let Some(ordering) = ordering.filter(|ordering| ordering.is_ne()) {
            return Ok(ordering);
        }
    }
    Ok(Ordering::Equal)
}
