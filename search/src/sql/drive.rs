//! Which condition drives, and the statement around it.

use super::group::{Group, groups, index_by_resource, key_column};
use super::{Dialect, Statement, Writer};
use crate::condition::{Bind, Bounds, Condition, Op, Reach, Test, Window};
use crate::query::Query;
use crate::table;
use crate::types::date;

/// SQLite takes 500 parts of one `UNION`, and texts nested a thousand deep.
const PARTS_MAX: usize = 100;

/// What `d` is while conditions are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Driver {
    /// `resources`, with the current version at hand.
    Resources,
    Index,
}

impl<'q> Writer<'q> {
    pub(super) fn new(query: &'q Query, dialect: Dialect) -> Self {
        Self {
            dialect,
            resource_type: &query.resource_type,
            text: String::new(),
            binds: Vec::new(),
        }
    }

    pub(super) fn finish(self) -> Statement {
        Statement {
            text: self.text,
            binds: self.binds,
        }
    }

    pub(super) fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    fn bind(&mut self, value: Bind) {
        self.push("?");
        self.binds.push(value);
    }

    /// `SELECT d.rid FROM ... d WHERE ...`, each resource once.
    pub(super) fn select(&mut self, conditions: &[&Condition], after: Option<i64>) {
        let mut all = Vec::new();
        for condition in conditions {
            flatten(condition, &mut all);
        }
        let best = (0..)
            .zip(&all)
            .filter_map(|(index, condition)| Some((rank(condition)?, index)));
        let best: Option<(Reach, usize)> = best.min();
        let driver = best.map(|(_, index)| all.remove(index));
        let base = self.from(driver);
        // A union of parts has no conditions of its own yet.
        let mut joints = (self.text.ends_with(") d"))
            .then_some(" WHERE ")
            .into_iter()
            .chain(std::iter::repeat(" AND "));
        let mut joint = || joints.next().unwrap_or(" AND ");
        if let Some(after) = after {
            self.push(joint());
            self.push("d.rid > ");
            self.bind(Bind::Int(after));
        }
        for condition in all {
            self.push(joint());
            self.condition(condition, base);
        }
    }

    /// Up to and with the conditions of the driver.
    fn from(&mut self, driver: Option<&Condition>) -> Driver {
        match driver {
            Some(Condition::Rows(probes)) => {
                let parts: Vec<Group> = groups(probes).iter().flat_map(spans).collect();
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
                        self.push(") d");
                    }
                }
                Driver::Index
            }
            Some(Condition::Any(any)) => {
                let parts: Vec<&Condition> = any.iter().collect();
                self.push("SELECT d.rid FROM (");
                self.union(&parts, |writer, part| writer.select(&[part], None));
                self.push(") d");
                Driver::Index
            }
            Some(Condition::Id(ids)) => {
                self.resources();
                self.push(" AND ");
                self.any_of("d.id", &texts(ids));
                Driver::Resources
            }
            Some(Condition::Never) => {
                self.push("SELECT d.rid FROM resources d WHERE 1 = 0");
                Driver::Resources
            }
            Some(other) => {
                self.resources();
                self.push(" AND ");
                self.condition(other, Driver::Resources);
                Driver::Resources
            }
            None => {
                self.resources();
                Driver::Resources
            }
        }
    }

    /// All current resources of the type.
    fn resources(&mut self) {
        self.push("SELECT d.rid FROM resources d WHERE d.type = ");
        self.bind(Bind::Text(self.resource_type.into()));
        self.push(" AND EXISTS (SELECT 1 FROM versions v WHERE v.key = d.head AND v.change <> 3)");
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

    /// A condition on `d.rid`.
    fn condition(&mut self, condition: &Condition, base: Driver) {
        match condition {
            Condition::Rows(probes) => {
                let groups = groups(probes);
                self.any(&groups, |writer, group| writer.exists(group));
            }
            Condition::All(all) => {
                self.push("(");
                for (index, condition) in all.iter().enumerate() {
                    self.push(if index > 0 { " AND " } else { "" });
                    self.condition(condition, base);
                }
                self.push(")");
            }
            Condition::Any(any) => {
                self.any(any, |writer, condition| writer.condition(condition, base));
            }
            Condition::Not(inner) => {
                self.push("NOT ");
                self.condition(inner, base);
            }
            Condition::Id(ids) => {
                self.push("EXISTS (SELECT 1 FROM resources r WHERE r.type = ");
                self.bind(Bind::Text(self.resource_type.into()));
                self.push(" AND ");
                self.any_of("r.id", &texts(ids));
                self.push(" AND r.rid = d.rid)");
            }
            Condition::Updated(tests) => {
                self.push("EXISTS (SELECT 1 FROM versions v WHERE ");
                self.push(match base {
                    Driver::Resources => "v.key = d.head",
                    Driver::Index => {
                        "v.rid = d.rid AND v.version = (SELECT MAX(version) FROM versions WHERE rid = d.rid)"
                    }
                });
                self.tests(tests, "v");
                self.push(")");
            }
            Condition::Never => self.push("1 = 0"),
        }
    }

    /// Joined by `OR`, never nested too deep.
    fn any<T>(&mut self, parts: &[T], mut write: impl FnMut(&mut Self, &T)) {
        match parts {
            [] => return self.push("1 = 0"),
            [only] => return write(self, only),
            _ => self.push("("),
        }
        let is_nested = parts.len() > PARTS_MAX;
        for (number, chunk) in parts.chunks(PARTS_MAX).enumerate() {
            self.push(if number > 0 { " OR " } else { "" });
            self.push(if is_nested { "(" } else { "" });
            for (index, part) in chunk.iter().enumerate() {
                self.push(if index > 0 { " OR " } else { "" });
                write(self, part);
            }
            self.push(if is_nested { ")" } else { "" });
        }
        self.push(")");
    }

    /// Whether `d.rid` has a row of the group.
    fn exists(&mut self, group: &Group) {
        let by_resource = index_by_resource(group.table);
        if by_resource.is_none() && group.keys.is_empty() {
            // No index leads from the resource to the row: the rows are read once, and remembered.
            self.push("d.rid IN (SELECT rid FROM ");
            self.push(name_of(group));
            self.push(" WHERE ");
            self.group(group, "", true);
            return self.push(")");
        }
        self.push("EXISTS (SELECT 1 FROM ");
        self.push(name_of(group));
        self.push(" e");
        if let (Some(index), Dialect::Sqlite) = (by_resource, self.dialect) {
            self.push(" INDEXED BY ");
            self.push(index);
        }
        self.push(" WHERE e.rid = d.rid AND ");
        self.group(group, "e", false);
        self.push(")");
    }

    /// The conditions of a group on the rows of `alias`; `is_range` with the bounds that lead through the index.
    fn group(&mut self, group: &Group, alias: &str, is_range: bool) {
        let column = |name: &str| match alias {
            "" => name.to_owned(),
            alias => format!("{alias}.{name}"),
        };
        self.push(&column("path"));
        match group.paths.as_slice() {
            [path] => self.push(&format!(" = {path}")),
            paths => {
                let paths: Vec<String> = paths.iter().map(ToString::to_string).collect();
                self.push(&format!(" IN ({})", paths.join(", ")));
            }
        }
        if let Some(key) = key_column(group.table).filter(|_| !group.keys.is_empty()) {
            self.push(" AND ");
            self.any_of(&column(key), &group.keys);
        }
        if is_range {
            self.window(group.window, &column);
        }
        self.tests(&group.tests, alias);
    }

    fn window(&mut self, window: Option<Window>, column: &impl Fn(&str) -> String) {
        let (from, to) = match window {
            Some(Window::Date(bounds)) => (
                (bounds.begins_from > date::BEGINNING).then_some(Bind::Int(bounds.begins_from)),
                (bounds.begins_to < date::END).then_some(Bind::Int(bounds.begins_to)),
            ),
            Some(Window::Number(bounds)) => (
                (bounds.begins_from > f64::MIN).then_some(Bind::Real(bounds.begins_from)),
                (bounds.begins_to < f64::MAX).then_some(Bind::Real(bounds.begins_to)),
            ),
            None => (None, None),
        };
        for (op, bound) in [(">=", from), ("<=", to)] {
            if let Some(bound) = bound {
                self.push(&format!(" AND {} {op} ", column("lo")));
                self.bind(bound);
            }
        }
    }

    fn any_of(&mut self, column: &str, values: &[Bind]) {
        self.push(column);
        if let [value] = values {
            self.push(" = ");
            return self.bind(value.clone());
        }
        self.push(" IN (");
        for (index, value) in values.iter().enumerate() {
            self.push(if index > 0 { ", " } else { "" });
            self.bind(value.clone());
        }
        self.push(")");
    }

    fn tests(&mut self, tests: &[Test], alias: &str) {
        for test in tests {
            self.push(" AND ");
            self.test(test, alias);
        }
    }

    fn test(&mut self, test: &Test, alias: &str) {
        let (name, op, value) = match test {
            Test::Either(tests) => {
                return self.any(tests, |writer, test| writer.test(test, alias));
            }
            Test::Is(name, op, value) => (name, op, value),
        };
        let column = match alias {
            "" => (*name).to_owned(),
            alias => format!("{alias}.{name}"),
        };
        let op = match op {
            Op::Equal => "=",
            Op::NotEqual => "<>",
            Op::Less => "<",
            Op::AtMost => "<=",
            Op::Greater => ">",
            Op::AtLeast => ">=",
            Op::Contains => return self.contains(&column, value),
        };
        self.push(&format!("{column} {op} "));
        match value {
            // Numbers that the program made itself.
            Bind::Int(number) if matches!(*name, "unit" | "type" | "span") => {
                self.push(&number.to_string());
            }
            value => self.bind(value.clone()),
        }
    }

    fn contains(&mut self, column: &str, value: &Bind) {
        match self.dialect {
            Dialect::Sqlite => {
                self.push(&format!("instr({column}, "));
                self.bind(value.clone());
                self.push(") > 0");
            }
            Dialect::Postgres => {
                self.push("position(");
                self.bind(value.clone());
                self.push(&format!(" IN {column}) > 0"));
            }
        }
    }
}

fn flatten<'c>(condition: &'c Condition, all: &mut Vec<&'c Condition>) {
    match condition {
        Condition::All(inner) => inner.iter().for_each(|inner| flatten(inner, all)),
        other => all.push(other),
    }
}

/// How much a condition would find when it drives; nothing when it cannot.
fn rank(condition: &Condition) -> Option<Reach> {
    match condition {
        Condition::Never | Condition::Id(_) => Some(Reach::One),
        Condition::Rows(probes) => probes.iter().map(|probe| probe.reach).max(),
        Condition::All(all) => all.iter().filter_map(rank).min(),
        Condition::Any(any) => any
            .iter()
            .map(rank)
            .try_fold(Reach::One, |most, reach| Some(most.max(reach?))),
        Condition::Not(_) | Condition::Updated(_) => None,
    }
}

fn name_of(group: &Group) -> &'static str {
    let table = table::ALL.iter().find(|table| table.kind == group.table);
    table.map_or("", |table| table.name)
}

fn texts(ids: &[String]) -> Vec<Bind> {
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
