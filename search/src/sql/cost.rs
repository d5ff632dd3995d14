//! What a search cannot do without, told before it runs.
//!
//! A page may be full after a few resources, whatever the conditions are; nobody knows before. A count, or a sort by what
//! no index has in order, is different: without a condition that leads to what it wants, it asks every resource of the type.

use super::conditions;
use super::drive::best;
use super::sort::is_collected;
use crate::query::Query;

/// How many conditions a count asks of every resource of the type; None: an index leads to those that it counts.
pub fn asked_of_all_by_count(query: &Query) -> Option<usize> {
    let conditions = conditions(query);
    let is_led = best(&conditions).is_some();
    (!is_led && !conditions.is_empty()).then_some(conditions.len())
}

/// The same for a page, in the order that the query wants; None as well where the page may be full before.
pub fn asked_of_all_by_page(query: &Query) -> Option<usize> {
    match is_collected(query) {
        true => asked_of_all_by_count(query),
        false => None,
    }
}
