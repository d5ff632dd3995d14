//! Two collections as one. <http://hl7.org/fhirpath/N1/#combining>

use super::invocation::Invocation;
use super::{Function, row};
use crate::fhirpath::error::Result;
use crate::fhirpath::item::Collection;
use crate::fhirpath::operator::combining;

pub(super) const ALL: &[Function] = &[row("union", 1..=1, union), row("combine", 1..=1, combine)];

fn union<'a>(call: &mut Invocation<'_, '_, 'a>) -> Result<Collection<'a>> {
    let others = call.arg(0)?;
    let input = call.taken();
    combining::union(call.run, call.at, input, others)
}

fn combine<'a>(call: &mut Invocation<'_, '_, 'a>) -> Result<Collection<'a>> {
    let others = call.arg(0)?;
    call.input.extend(others);
    Ok(call.taken())
}
