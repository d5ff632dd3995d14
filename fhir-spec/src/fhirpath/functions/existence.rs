//! Is there something, and is it so of all? <http://hl7.org/fhirpath/N1/#existence>

use super::invocation::{Invocation, answer};
use super::{Function, row};
use crate::fhirpath::error::Result;
use crate::fhirpath::eval::index_item;
use crate::fhirpath::item::{Collection, Item};
use crate::fhirpath::operator::combining::Set;

pub(super) const ALL: &[Function] = &[
    row("empty", 0..=0, |call| answer(call.input.is_empty())),
    row("exists", 0..=1, exists),
    row("all", 1..=1, all),
    row("allTrue", 0..=0, |call| every(call, true)),
    row("anyTrue", 0..=0, |call| any(call, true)),
    row("allFalse", 0..=0, |call| every(call, false)),
    row("anyFalse", 0..=0, |call| any(call, false)),
    row("subsetOf", 1..=1, subset_of),
    row("supersetOf", 1..=1, superset_of),
    row("count", 0..=0, |call| answer(index_item(call.input.len()))),
    row("distinct", 0..=0, distinct),
    row("isDistinct", 0..=0, is_distinct),
    row("not", 0..=0, not),
];

fn exists<'a>(call: &mut Invocation<'_, '_, 'a>) -> Result<Collection<'a>> {
    if !call.has_arg(0) {
        return answer(!call.input.is_empty());
    }
    for (position, item) in call.taken().iter().enumerate() {
        if call.holds(0, item, position)? {
            return answer(true);
        }
    }
    answer(false)
}

fn all<'a>(call: &mut Invocation<'_, '_, 'a>) -> Result<Collection<'a>> {
    for (position, item) in call.taken().iter().enumerate() {
        if !call.holds(0, item, position)? {
            return answer(false);
        }
    }
    answer(true)
}

fn booleans(call: &Invocation<'_, '_, '_>) -> Result<Vec<bool>> {
    let boolean = |item| match call.run.system(item) {
        Item::Boolean(value) => Ok(value),
        other => Err(call.error(format!(
            "`{}()` wants booleans, found {}",
            call.name(),
            other.described()
        ))),
    };
    call.input.iter().map(boolean).collect()
}

fn every<'a>(call: &Invocation<'_, '_, 'a>, wanted: bool) -> Result<Collection<'a>> {
    answer(booleans(call)?.iter().all(|value| *value == wanted))
}

fn any<'a>(call: &Invocation<'_, '_, 'a>, wanted: bool) -> Result<Collection<'a>> {
    answer(booleans(call)?.contains(&wanted))
}

fn subset_of<'a>(call: &mut Invocation<'_, '_, 'a>) -> Result<Collection<'a>> {
    let others = call.arg(0)?;
    let input = call.taken();
    contains_all(call, &others, &input)
}

fn superset_of<'a>(call: &mut Invocation<'_, '_, 'a>) -> Result<Collection<'a>> {
    let others = call.arg(0)?;
    let input = call.taken();
    contains_all(call, &input, &others)
}

fn contains_all<'a>(
    call: &mut Invocation<'_, '_, 'a>,
    whole: &[Item<'a>],
    part: &[Item<'a>],
) -> Result<Collection<'a>> {
    let whole = Set::of(call.run, call.at, whole)?;
    for item in part {
        if !whole.has(call.run, call.at, item)? {
            return answer(false);
        }
    }
    answer(true)
}

fn distinct<'a>(call: &mut Invocation<'_, '_, 'a>) -> Result<Collection<'a>> {
    Ok(Set::of(call.run, call.at, &call.input)?.items)
}

fn is_distinct<'a>(call: &mut Invocation<'_, '_, 'a>) -> Result<Collection<'a>> {
    let mut set = Set::default();
    for item in &call.input {
        if !set.insert(call.run, call.at, item.clone())? {
            return answer(false);
        }
    }
    answer(true)
}

fn not<'a>(call: &mut Invocation<'_, '_, 'a>) -> Result<Collection<'a>> {
    let truth = call.run.truth(call.at, &call.input)?;
    Ok(truth
        .map(|truth| Item::Boolean(!truth))
        .into_iter()
        .collect())
}
