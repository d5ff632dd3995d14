//! Conditions that do not drive: each is looked up for the resource that comes along.

use super::drive::{PARTS_MAX, name_of, texts};
use super::group::{Group, groups, index_by_resource, key_column};
use super::{Dialect, Writer};
use crate::condition::{Bind, Condition, Link, Op, Test, Window};
use crate::hash;
use crate::table::TableKind;
use crate::types::date;

/// The resource that conditions are about.
#[derive(Debug)]
pub(super) struct Scope<'s> {
    /// Its number: `d.rid`.
    pub rid: String,
    /// Its current version, where that is at hand.
    pub head: Option<&'s str>,
    pub resource_type: &'s str,
    /// How many resources away from the one that is searched; names of tables differ by it.
    pub depth: u32,
}

impl<'s> Scope<'s> {
    /// `d`, which drives.
    pub(super) fn of(resource_type: &'s str) -> Self {
        Self {
            rid: "d.rid".into(),
            head: None,
            resource_type,
            depth: 1,
        }
    }
}

impl Writer {
    /// A condition on a resource that comes along.
    pub(super) fn hold(&mut self, condition: &Condition, scope: &Scope<'_>) {
        match condition {
            Condition::Rows(probes) => {
                let groups = groups(probes);
                self.any(&groups, |writer, group| writer.exists(group, scope));
            }
            Condition::All(all) => {
                self.push("(");
                for (index, condition) in all.iter().enumerate() {
                    self.push(if index > 0 { " AND " } else { "" });
                    self.hold(condition, scope);
                }
                self.push(")");
            }
            Condition::Any(any) => {
                self.any(any, |writer, condition| writer.hold(condition, scope));
            }
            Condition::Not(inner) => {
                self.push("NOT ");
                self.hold(inner, scope);
            }
            Condition::Refers(link) => self.refers(link, scope),
            Condition::IsReferred(link) => self.is_referred(link, scope),
            Condition::Id(ids) => {
                let alias = format!("r{}", scope.depth);
                self.resource_of(scope, &alias);
                self.push(" AND ");
                self.any_of(&format!("{alias}.id"), &texts(ids));
                self.push(")");
            }
            Condition::Updated(tests) => {
                self.push("EXISTS (SELECT 1 FROM versions v WHERE ");
                match scope.head {
                    Some(head) => self.push(&format!("v.key = {head}")),
                    None => self.push(&format!(
                        "v.rid = {rid} AND v.version = (SELECT MAX(version) FROM versions WHERE rid = {rid})",
                        rid = scope.rid
                    )),
                }
                self.tests(tests, "v");
                self.push(")");
            }
            Condition::Among(rids) => self.among(&scope.rid, rids),
            // What nobody has asked the text index for finds nothing.
            Condition::Text(_) | Condition::Never => self.push("1 = 0"),
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

    /// The entry of the resource in `resources`, open for more conditions.
    fn resource_of(&mut self, scope: &Scope<'_>, alias: &str) {
        self.push(&format!(
            "EXISTS (SELECT 1 FROM resources {alias} WHERE {alias}.type = "
        ));
        self.bind(Bind::Text(scope.resource_type.into()));
        self.push(&format!(" AND {alias}.rid = {}", scope.rid));
    }

    /// The resource refers to another one that meets the condition.
    fn refers(&mut self, link: &Link, scope: &Scope<'_>) {
        let depth = scope.depth;
        self.push("EXISTS (SELECT 1 FROM search_reference ");
        self.by_resource(TableKind::Reference, &format!("e{depth}"));
        self.push(&format!(
            " CROSS JOIN resources t{depth} WHERE e{depth}.rid = {} AND ",
            scope.rid
        ));
        self.paths(&format!("e{depth}.path"), &link.paths);
        let target_type = hash::short(&link.other_type);
        self.push(&format!(
            " AND e{depth}.type = {target_type} AND t{depth}.type = "
        ));
        self.bind(Bind::Text(link.other_type.clone().into()));
        self.push(&format!(" AND t{depth}.id = e{depth}.target AND "));
        self.is_current(&format!("t{depth}"));
        let head = format!("t{depth}.head");
        let inner = Scope {
            rid: format!("t{depth}.rid"),
            head: Some(&head),
            resource_type: &link.other_type,
            depth: depth + 1,
        };
        self.push(" AND ");
        self.hold(&link.condition, &inner);
        self.push(")");
    }

    /// Another resource that meets the condition refers to this one.
    fn is_referred(&mut self, link: &Link, scope: &Scope<'_>) {
        let depth = scope.depth;
        self.push(&format!(
            "EXISTS (SELECT 1 FROM resources t{depth} CROSS JOIN search_reference e{depth} WHERE t{depth}.type = "
        ));
        self.bind(Bind::Text(scope.resource_type.into()));
        self.push(&format!(" AND t{depth}.rid = {} AND ", scope.rid));
        self.paths(&format!("e{depth}.path"), &link.paths);
        let target_type = hash::short(scope.resource_type);
        self.push(&format!(
            " AND e{depth}.target = t{depth}.id AND e{depth}.type = {target_type}"
        ));
        // Very many may refer to one.
        self.in_time(&format!("e{depth}.rid"));
        self.push(" AND ");
        let inner = Scope {
            rid: format!("e{depth}.rid"),
            head: None,
            resource_type: &link.other_type,
            depth: depth + 1,
        };
        self.hold(&link.condition, &inner);
        self.push(")");
    }

    /// Names a table, to be looked at by resource.
    fn by_resource(&mut self, table: TableKind, alias: &str) {
        self.push(alias);
        if self.dialect == Dialect::Sqlite {
            self.push(" INDEXED BY ");
            self.push(index_by_resource(table));
        }
    }

    /// Whether the resource has a row of the group.
    fn exists(&mut self, group: &Group, scope: &Scope<'_>) {
        let alias = format!("e{}", scope.depth);
        self.push("EXISTS (SELECT 1 FROM ");
        self.push(name_of(group));
        self.push(" ");
        self.by_resource(group.table, &alias);
        self.push(&format!(" WHERE {alias}.rid = {} AND ", scope.rid));
        self.group(group, &alias, false);
        self.push(")");
    }

    pub(super) fn paths(&mut self, column: &str, paths: &[i32]) {
        self.push(column);
        match paths {
            [path] => self.push(&format!(" = {path}")),
            paths => {
                let paths: Vec<String> = paths.iter().map(ToString::to_string).collect();
                self.push(&format!(" IN ({})", paths.join(", ")));
            }
        }
    }

    /// The conditions of a group on the rows of `alias`; `is_range` with the bounds that lead through the index.
    pub(super) fn group(&mut self, group: &Group, alias: &str, is_range: bool) {
        let column = |name: &str| match alias {
            "" => name.to_owned(),
            alias => format!("{alias}.{name}"),
        };
        self.paths(&column("path"), &group.paths);
        if let Some(key) = key_column(group.table).filter(|_| !group.keys.is_empty()) {
            self.push(" AND ");
            self.any_of(&column(key), &group.keys);
        }
        if is_range {
            self.window(group.window, &column);
            // Before the tests, of which many rows may pass none.
            self.in_time(&column("rid"));
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

    pub(super) fn any_of(&mut self, column: &str, values: &[Bind]) {
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

    /// One value to bind, however many they are.
    pub(super) fn among(&mut self, rid: &str, rids: &[i64]) {
        let rids: Vec<String> = rids.iter().map(ToString::to_string).collect();
        let rids = rids.join(",");
        let (before, after, rids) = match self.dialect {
            Dialect::Sqlite => (
                " IN (SELECT value FROM json_each(",
                "))",
                format!("[{rids}]"),
            ),
            Dialect::Postgres => (" = ANY(CAST(", " AS bigint[]))", format!("{{{rids}}}")),
        };
        self.push(rid);
        self.push(before);
        self.bind(Bind::Text(rids));
        self.push(after);
    }

    pub(super) fn tests(&mut self, tests: &[Test], alias: &str) {
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
            Test::Near { point, chord } => return self.near(*point, *chord, alias),
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

    fn near(&mut self, point: [f64; 3], chord: f64, alias: &str) {
        for (index, (name, wanted)) in ["x", "y", "z"].into_iter().zip(point).enumerate() {
            let column = match alias {
                "" => name.to_owned(),
                alias => format!("{alias}.{name}"),
            };
            self.push(if index > 0 { " + " } else { "" });
            self.push(&format!("({column} - "));
            self.bind(Bind::Real(wanted));
            self.push(&format!(") * ({column} - "));
            self.bind(Bind::Real(wanted));
            self.push(")");
        }
        self.push(" <= ");
        self.bind(Bind::Real(chord * chord));
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
