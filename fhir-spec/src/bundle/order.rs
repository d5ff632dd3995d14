//! The order in which a transaction is processed, whatever the order of its entries, and what must not meet in one.
//! <https://hl7.org/fhir/R4/http.html#trules>

use std::collections::HashMap;

use super::entry::Method;
use crate::outcome::{Issue, IssueCode};

impl Method {
    /// When it is its turn: what is deleted comes first, what only looks comes last.
    pub fn turn(self) -> u8 {
        match self {
            Self::Delete => 0,
            Self::Post => 1,
            Self::Put | Self::Patch => 2,
            Self::Get | Self::Head => 3,
        }
    }
}

/// The places of the entries, in the order in which they are processed.
pub fn in_order(methods: impl IntoIterator<Item = Method>) -> Vec<usize> {
    let mut places: Vec<(u8, usize)> = methods
        .into_iter()
        .enumerate()
        .map(|(place, method)| (method.turn(), place))
        .collect();
    places.sort_unstable();
    places.into_iter().map(|(_, place)| place).collect()
}

/// What is wrong when entries change the same resource: `changed` has the place of each entry that deletes, creates,
/// updates or patches, with the type and id that it resolves to.
pub fn overlaps<'a>(changed: impl IntoIterator<Item = (usize, &'a str, &'a str)>) -> Vec<Issue> {
    let mut first = HashMap::new();
    let mut issues = Vec::new();
    for (place, resource_type, id) in changed {
        let earlier = *first.entry((resource_type, id)).or_insert(place);
        if earlier != place {
            issues.push(
                Issue::error(
                    IssueCode::Duplicate,
                    format!(
                        "entries {earlier} and {place} both change {resource_type}/{id}: \
                         in a transaction each resource has one entry"
                    ),
                )
                .at(format!("Bundle.entry[{place}].request")),
            );
        }
    }
    issues
}
