//! Probes that can be asked together: one `IN` over values or paths instead of many questions.

use crate::condition::{Bind, Op, Probe, Test, Window};
use crate::table::TableKind;

/// How many groups before are looked at for one that is alike. Values come one after the other, each with all its paths:
/// what is alike is near, and thousands of values are not held against each other.
const LOOK_BACK: usize = 32;

/// Probes of one table that differ in nothing but their path or the value of the key.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Group {
    pub table: TableKind,
    pub paths: Vec<i32>,
    /// Any of these values of the column by which the index is ordered.
    pub keys: Vec<Bind>,
    pub tests: Vec<Test>,
    pub window: Option<Window>,
}

/// The first column after the path, where rows are found by equality.
pub(super) fn key_column(table: TableKind) -> Option<&'static str> {
    match table {
        TableKind::Token | TableKind::Composite => Some("code"),
        TableKind::String | TableKind::Uri => Some("value"),
        TableKind::Reference => Some("target"),
        TableKind::Date | TableKind::Number | TableKind::Position => None,
    }
}

/// The index that leads from a resource to its rows.
pub(super) fn index_by_resource(table: TableKind) -> &'static str {
    match table {
        TableKind::Token => "search_token_of",
        TableKind::String => "search_string_of",
        TableKind::Reference => "search_reference_of",
        TableKind::Date => "search_date_of",
        TableKind::Number => "search_number_of",
        TableKind::Uri => "search_uri_of",
        TableKind::Composite => "search_composite_of",
        TableKind::Position => "search_position_of",
    }
}

impl Group {
    fn of(probe: &Probe) -> Self {
        let key = key_column(probe.table);
        let mut keys = Vec::new();
        let mut tests = Vec::new();
        for test in &probe.tests {
            match test {
                Test::Is(column, Op::Equal, value) if Some(*column) == key && keys.is_empty() => {
                    keys.push(value.clone());
                }
                _ => tests.push(test.clone()),
            }
        }
        Self {
            table: probe.table,
            paths: vec![probe.path],
            keys,
            tests,
            window: probe.window,
        }
    }

    fn is_like(&self, other: &Self) -> bool {
        self.table == other.table && self.tests == other.tests && self.window == other.window
    }
}

pub(super) fn groups(probes: &[Probe]) -> Vec<Group> {
    let mut by_path: Vec<Group> = Vec::new();
    for group in probes.iter().map(Group::of) {
        let same = by_path.iter_mut().rev().take(LOOK_BACK).find(|known| {
            known.is_like(&group)
                && known.paths == group.paths
                && !known.keys.is_empty()
                && !group.keys.is_empty()
        });
        match same {
            Some(known) => known.keys.extend(group.keys),
            None => by_path.push(group),
        }
    }
    let mut groups: Vec<Group> = Vec::new();
    for mut group in by_path {
        let mut seen: Vec<Bind> = Vec::new();
        group.keys.retain(|key| {
            let is_new = !seen.contains(key);
            if is_new {
                seen.push(key.clone());
            }
            is_new
        });
        let same = groups
            .iter_mut()
            .rev()
            .take(LOOK_BACK)
            .find(|known| known.is_like(&group) && known.keys == group.keys);
        match same {
            Some(known) => known.paths.extend(group.paths),
            None => groups.push(group),
        }
    }
    groups
}
