//! What an item is. <http://hl7.org/fhirpath/N1/#types-2>

use std::sync::Arc;

use super::invocation::Invocation;
use super::{Function, row, type_row};
use crate::fhirpath::error::Result;
use crate::fhirpath::item::{Collection, Item};
use crate::fhirpath::type_test;

pub(super) const ALL: &[Function] = &[
    row("type", 0..=0, types),
    type_row("is", |call| {
        type_test::is(call.run, call.at, &call.input, call.type_arg()?)
    }),
    type_row("as", |call| {
        let items = call.taken();
        type_test::cast(call.run, call.at, items, call.type_arg()?)
    }),
];

fn types<'a>(call: &mut Invocation<'_, '_, 'a>) -> Result<Collection<'a>> {
    let describe = |item| Item::Type(Arc::new(type_test::describe(call.run, item)));
    Ok(call.input.iter().map(describe).collect())
}
