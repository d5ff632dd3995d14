//! Small questions before a large one: how much would each condition find, were it to drive?
//!
//! What kind of condition it is tells little: one code is rare, another one is on every tenth observation. Where the choice
//! is open, rows are counted in the index, up to a bound; the answers go into the query ([`Query::measured`]) and decide
//! which condition drives, from which end a chain is followed, and whether hits are sorted or come by in order.

use super::drive::{PARTS_MAX, parts_of, rank};
use super::{Dialect, Statement, Writer};
use crate::condition::{Bind, Condition, Probe, Reach};
use crate::query::Query;

/// Beyond so many rows a condition is not worth driving.
pub const MEASURED_MAX: i64 = 2_000;
/// Conditions that are measured for one search.
const MEASURES_MAX: usize = 8;

/// A question about one criterion of a query: a statement that gives one number.
#[derive(Debug, Clone, PartialEq)]
pub struct Measure {
    pub criterion: usize,
    pub statement: Statement,
}

/// What is worth knowing before the search; nothing when the choice is clear.
pub fn measures(query: &Query, dialect: Dialect) -> Vec<Measure> {
    let ranks = query
        .criteria
        .iter()
        .map(|criterion| rank(&criterion.condition));
    if ranks
        .flatten()
        .min()
        .is_some_and(|least| least <= Reach::Few)
    {
        return Vec::new();
    }
    let candidates = query.criteria.iter().enumerate();
    let candidates: Vec<(usize, &Condition, &[Probe])> = candidates
        .filter_map(|(index, criterion)| {
            let condition = &criterion.condition;
            Some((index, condition, probes_of(condition)?))
        })
        .take(MEASURES_MAX)
        .collect();
    let is_link = |condition: &Condition| !matches!(condition, Condition::Rows(_));
    let has_link = candidates
        .iter()
        .any(|(_, condition, _)| is_link(condition));
    let has_choice = candidates.len() > 1 || has_link || !query.sort.is_empty();
    if !has_choice {
        return Vec::new();
    }
    let measures = candidates.into_iter().filter_map(|(criterion, _, probes)| {
        let statement = counted(probes, dialect)?;
        Some(Measure {
            criterion,
            statement,
        })
    });
    measures.collect()
}

impl Query {
    /// What [`measures`] asked about a criterion, answered.
    pub fn measured(&mut self, criterion: usize, rows: i64) {
        let reach = match rows {
            ..=1 => Reach::One,
            2..=50 => Reach::Few,
            51..MEASURED_MAX => Reach::Some,
            _ => Reach::Most,
        };
        let criterion = self.criteria.get_mut(criterion);
        let probes = match criterion.map(|criterion| &mut criterion.condition) {
            Some(Condition::Rows(probes)) => probes,
            Some(Condition::Refers(link) | Condition::IsReferred(link)) => {
                match &mut link.condition {
                    Condition::Rows(probes) => probes,
                    _ => return,
                }
            }
            _ => return,
        };
        for probe in probes {
            probe.reach = reach;
        }
    }
}

/// The rows that a condition asks for, in its own type or in the one that a chain leads to.
fn probes_of(condition: &Condition) -> Option<&[Probe]> {
    match condition {
        Condition::Rows(probes) => Some(probes),
        Condition::Refers(link) | Condition::IsReferred(link) => match &link.condition {
            Condition::Rows(probes) => Some(probes),
            _ => None,
        },
        _ => None,
    }
}

/// How many rows there are, counted no further than the bound.
fn counted(probes: &[Probe], dialect: Dialect) -> Option<Statement> {
    let parts = parts_of(probes);
    if parts.is_empty() || parts.len() > PARTS_MAX {
        return None;
    }
    let mut writer = Writer::new(dialect);
    writer.push("SELECT COUNT(*) FROM (");
    for (index, part) in parts.iter().enumerate() {
        writer.push(if index > 0 { " UNION ALL " } else { "" });
        writer.push(&format!(
            "SELECT 1 FROM {} WHERE ",
            super::drive::name_of(part)
        ));
        writer.group(part, "", true);
    }
    writer.push(" LIMIT ? + 0) m");
    writer.binds.push(Bind::Int(MEASURED_MAX));
    Some(writer.finish())
}
