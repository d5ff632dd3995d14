//! The time, the log, and names for what was found. <http://hl7.org/fhirpath/N1/#utility-functions>

use super::invocation::{Invocation, answer};
use super::{Function, row};
use crate::fhirpath::error::Result;
use crate::fhirpath::item::{Collection, Item};
use crate::time::DateTime;

pub(super) const ALL: &[Function] = &[
    row("trace", 1..=2, trace),
    row("now", 0..=0, |call| answer(Item::DateTime(now(call)?))),
    row("today", 0..=0, |call| answer(Item::Date(now(call)?.date()))),
    row("timeOfDay", 0..=0, |call| {
        Ok(now(call)?.time().map(Item::Time).into_iter().collect())
    }),
    row("defineVariable", 1..=2, define_variable),
    row("coalesce", 1..=32, coalesce),
];

/// The same for a whole evaluation, however long it takes.
fn now(call: &Invocation<'_, '_, '_>) -> Result<DateTime> {
    let message = || call.error(format!("`{}()` has no clock to ask here", call.name()));
    call.run.context.now.ok_or_else(message)
}

fn trace<'a>(call: &mut Invocation<'_, '_, 'a>) -> Result<Collection<'a>> {
    let Some(name) = call.text_arg(0)? else {
        return Err(call.error("`trace()` wants a name"));
    };
    if !call.has_arg(1) {
        call.run.context.host.trace(&name, &call.input);
        return Ok(call.taken());
    }
    let input = call.taken();
    let mut shown = Vec::new();
    for (position, item) in input.iter().enumerate() {
        shown.extend(call.for_item(1, item, position)?);
        call.run.check_size(call.at, shown.len())?;
    }
    call.run.context.host.trace(&name, &shown);
    Ok(input)
}

fn define_variable<'a>(call: &mut Invocation<'_, '_, 'a>) -> Result<Collection<'a>> {
    let Some(name) = call.text_arg(0)? else {
        return Err(call.error("`defineVariable()` wants a name"));
    };
    let items = if call.has_arg(1) {
        call.for_input(1)?
    } else {
        call.input.clone()
    };
    call.run.spend(call.at, items.len())?;
    call.run.define(call.at, &name, items)?;
    Ok(call.taken())
}

/// The first argument that is not empty; the others after it are not evaluated.
fn coalesce<'a>(call: &mut Invocation<'_, '_, 'a>) -> Result<Collection<'a>> {
    for index in 0..call.call.args.len() {
        let items = call.for_input(index)?;
        if !items.is_empty() {
            return Ok(items);
        }
    }
    Ok(Vec::new())
}
