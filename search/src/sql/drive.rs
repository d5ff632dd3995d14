//! Which condition drives, and the statement around it.

use super::group::{Group, groups};
pub(super) use super::hold::Scope;
use super::{Dialect, Writer};
use crate::condition::{Bind, Bounds, Condition, Link, Probe, Reach, Test, Window};
use crate::hash;
use crate::table;
use crate::types::date;

/// SQLite takes 500 parts of one `UNION`, and texts nested a thousand deep.
pub(super) const PARTS_MAX: usize = 100;

/// The joint that keeps the order of a join: SQLite asks from left to right, PostgreSQL decides by itself.
fn then(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Sqlite => " CROSS JOIN ",
        Dialect::Postgres => " JOIN ",
    }
}

impl Writer {
    /// `SELECT d.rid FROM ... d ...`, each resource once.
    pub(super) fn select(
        &mut self,
        resource_type: &str,
        conditions: &[&Condition],
        after: Option<i64>,
    ) {
        let mut all = Vec::new();
        for condition in conditions {
            flatten(condition, &mut all);
        }
        let driver = best(&all).map(|(_, index)| all.remove(index));
        let scope = self.from(resource_type, driver);
        if let Some(after) = after {
            self.push(" AND d.rid > ");
            self.bind(Bind::Int(after));
        }
        for condition in all {
            self.push(" AND ");
            self.hold(condition, &scope);
        }
    }

    /// Up to and with the conditions of the driver.
    fn from<'s>(&mut self, resource_type: &'s str, driver: Option<&Condition>) -> Scope<'s> {
        let found = Scope::of(resource_type);
        match driver {
            Some(Condition::Rows(probes)) => {
                let parts = parts_of(probes);
                match parts.as_slice() {
                    [] => self.push("SELECT d.rid FROM resources d WHERE 1 = 0"),
                    [only] => {
                        self.push("SELECT DISTINCT d.rid FROM ");
                        self.push(name_of(only));
                        self.push(" d WHERE ");
                        self.group(only, "d", true);
                    }
                    _ => {
                        self.push("SELECT d.rid FROM (");
                        self.union(&parts, |writer, part| {
                            writer.push("SELECT rid FROM ");
                            writer.push(name_of(part));
                            writer.push(" WHERE ");
                            writer.group(part, "", true);
                        });
                        self.push(") d WHERE 1 = 1");
                    }
                }
                found
            }
            Some(Condition::Any(any)) => {
                let parts: Vec<&Condition> = any.iter().collect();
                self.push("SELECT d.rid FROM (");
                self.union(&parts, |writer, part| {
                    writer.select(resource_type, &[part], None);
                });
                self.push(") d WHERE 1 = 1");
                found
            }
            Some(Condition::Refers(link)) => {
                self.referring(link);
                found
            }
            Some(Condition::IsReferred(link)) => {
                self.referred(resource_type, link);
                found
            }
            Some(Condition::Never | Condition::Text(_)) => {
                self.push("SELECT d.rid FROM resources d WHERE 1 = 0");
                found
            }
            other => {
                self.push("SELECT d.rid FROM resources d WHERE d.type = ");
                self.bind(Bind::Text(resource_type.into()));
                self.in_time("d.rid");
                self.push(" AND ");
                self.is_current("d");
                let scope = Scope {
                    head: Some("d.head"),
                    ..found
                };
                match other {
                    Some(Condition::Id(ids)) => {
                        self.push(" AND ");
                        self.any_of("d.id", &texts(ids));
                    }
                    Some(other) => {
                        self.push(" AND ");
                        self.hold(other, &scope);
                    }
                    None => {}
                }
                scope
            }
        }
    }

    /// From what is referred to, to what refers.
    fn referring(&mut self, link: &Link) {
        let then = then(self.dialect);
        self.push("SELECT DISTINCT d.rid FROM (");
        self.select(&link.other_type, &[&link.condition], None);
        self.push(&format!(") i{then}resources t ON t.type = "));
        self.bind(Bind::Text(link.other_type.clone().into()));
        self.push(&format!(" AND t.rid = i.rid{then}search_reference d ON "));
        self.paths("d.path", &link.paths);
        let target_type = hash::short(&link.other_type);
        self.push(&format!(
            " AND d.target = t.id AND d.type = {target_type} WHERE 1 = 1"
        ));
        self.in_time("d.rid");
    }

    /// From what refers, to what is referred to.
    fn referred(&mut self, resource_type: &str, link: &Link) {
        let then = then(self.dialect);
        self.push("SELECT DISTINCT d.rid FROM (");
        self.select(&link.other_type, &[&link.condition], None);
        self.push(&format!(
            ") i{then}search_reference e ON e.rid = i.rid AND "
        ));
        self.paths("e.path", &link.paths);
        let target_type = hash::short(resource_type);
        self.push(&format!(
            " AND e.type = {target_type}{then}resources d ON d.type = "
        ));
        self.bind(Bind::Text(resource_type.into()));
        self.push(" AND d.id = e.target WHERE ");
        self.is_current("d");
        self.in_time("d.rid");
    }

    /// The resource is there, and not deleted.
    pub(super) fn is_current(&mut self, resource: &str) {
        self.push(&format!(
            "EXISTS (SELECT 1 FROM versions v WHERE v.key = {resource}.head AND v.change <> 3)"
        ));
    }

    /// Parts joined by `UNION`, in subqueries of few parts each.
    fn union<T>(&mut self, parts: &[T], mut write: impl FnMut(&mut Self, &T)) {
        let chunks = parts.chunks(PARTS_MAX);
        let is_nested = chunks.len() > 1;
        for (number, chunk) in chunks.enumerate() {
            if number > 0 {
                self.push(" UNION ");
            }
            if is_nested {
                self.push("SELECT rid FROM (");
            }
            for (index, part) in chunk.iter().enumerate() {
                if index > 0 {
                    self.push(" UNION ");
                }
                write(self, part);
            }
            if is_nested {
                self.push(") u");
                self.push(&number.to_string());
            }
        }
    }
}

/// The condition that would find least, and where it stands; none when no condition can drive.
pub(super) fn best(conditions: &[&Condition]) -> Option<(Reach, usize)> {
    let ranked = conditions.iter().enumerate();
    ranked
        .filter_map(|(index, condition)| Some((rank(condition)?, index)))
        .min()
}

fn flatten<'c>(condition: &'c Condition, all: &mut Vec<&'c Condition>) {
    match condition {
        Condition::All(inner) => inner.iter().for_each(|inner| flatten(inner, all)),
        other => all.push(other),
    }
}

/// Ranges of the index that hold all rows that can pass.
pub(super) fn parts_of(probes: &[Probe]) -> Vec<Group> {
    groups(probes).iter().flat_map(spans).collect()
}

/// How much a condition would find when it drives; nothing when it cannot.
pub(super) fn rank(condition: &Condition) -> Option<Reach> {
    match condition {
        Condition::Never | Condition::Id(_) | Condition::Text(_) => Some(Reach::One),
        Condition::Among(rids) => Some(match rids.len() {
            0..=1 => Reach::One,
            2..=100 => Reach::Few,
            101..=2_000 => Reach::Some,
            _ => Reach::Many,
        }),
        Condition::Rows(probes) => probes.iter().map(|probe| probe.reach).max(),
        Condition::All(all) => all.iter().filter_map(rank).min(),
        // Where most of the others will do, what comes along is asked for its own: the first page is soon found.
        Condition::Refers(link) | Condition::IsReferred(link) => rank(&link.condition)
            .map(|reach| reach.max(Reach::Few))
            .filter(|reach| *reach < Reach::Most),
        Condition::Any(any) => any
            .iter()
            .map(rank)
            .try_fold(Reach::One, |most, reach| Some(most.max(reach?))),
        Condition::Not(_) | Condition::Updated(_) => None,
    }
}

pub(super) fn name_of(group: &Group) -> &'static str {
    let table = table::ALL.iter().find(|table| table.kind == group.table);
    table.map_or("", |table| table.name)
}

pub(super) fn texts(ids: &[String]) -> Vec<Bind> {
    ids.iter().map(|id| Bind::Text(id.clone())).collect()
}

/// A range of intervals as ranges of the index, one for each span that can hold them.
fn spans(group: &Group) -> Vec<Group> {
    let with = |span: usize, window: Window| {
        let span = i64::try_from(span).unwrap_or_default();
        let tests = [vec![Test::equal("span", span)], group.tests.clone()].concat();
        Group {
            tests,
            window: Some(window),
            ..group.clone()
        }
    };
    match group.window {
        None => vec![group.clone()],
        Some(Window::Date(bounds)) => {
            let spans = date::SPANS
                .iter()
                .enumerate()
                .filter_map(|(span, longest)| {
                    let shorter = span.checked_sub(1).and_then(|span| date::SPANS.get(span));
                    let room = bounds.ends_to.saturating_sub(bounds.begins_from);
                    if shorter.is_some_and(|shorter| room <= *shorter) {
                        return None;
                    }
                    let earliest = bounds.ends_from.saturating_sub(*longest);
                    let begins_from = bounds.begins_from.max(earliest);
                    let window = Bounds {
                        begins_from,
                        ..bounds
                    };
                    (begins_from <= bounds.begins_to).then(|| with(span, Window::Date(window)))
                });
            spans.collect()
        }
        Some(Window::Number(bounds)) => {
            let point = Bounds {
                begins_from: bounds.begins_from.max(bounds.ends_from),
                begins_to: bounds.begins_to.min(bounds.ends_to),
                ..bounds
            };
            let point = (point.begins_from <= point.begins_to).then_some((0, point));
            let range = (bounds.begins_from <= bounds.begins_to).then_some((1, bounds));
            let spans = [point, range].into_iter().flatten();
            spans
                .map(|(span, bounds)| with(span, Window::Number(bounds)))
                .collect()
        }
    }
}
