//! The index against what the current bodies yield.
//!
//! The rows of all resources do not fit into memory. So rows are summed up by hash, in many sums chosen by resource: what
//! bodies yield is added, what tables hold is taken away. A sum that is not zero names some resources, and only those are
//! looked at row by row.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};

use fhir_spec::json::parse;
use search::table::{self, Table, TableKind, Value};
use search::{Rows, contained};

use super::{Error, body};
use crate::auth::Permit;
use crate::store::{self, Made, Store, View};

const SUMS: usize = 1 << 14;
/// Sums that are looked into; the others are only counted.
const LOOKED_INTO_MAX: usize = 8;

#[derive(Debug)]
pub(super) struct Sums(Vec<AtomicU64>);

impl Default for Sums {
    fn default() -> Self {
        Self((0..SUMS).map(|_| AtomicU64::new(0)).collect())
    }
}

impl Sums {
    /// What a body yields.
    pub(super) fn add(&self, rid: i64, rows: &Rows, made: &Made) {
        for (rid, rows) in rows.parts(rid) {
            let Some(sum) = self.0.get(place(rid)) else {
                continue;
            };
            for table in table::ALL {
                rows.each(table.kind, |values| {
                    if !made.counts(rid, values) {
                        return;
                    }
                    sum.fetch_add(hash(table.kind, rid, values), Ordering::Relaxed);
                });
            }
        }
    }

    /// What the tables hold.
    pub(super) fn take_index(&self, view: &mut View<'_>, made: &Made) -> Result<(), store::Error> {
        for table in table::ALL {
            view.each_index_row(table.kind, |rid, values| {
                if let Some(sum) = self.0.get(place(rid))
                    && made.counts(rid, values)
                {
                    sum.fetch_sub(hash(table.kind, rid, values), Ordering::Relaxed);
                }
                Ok::<(), store::Error>(())
            })?;
        }
        Ok(())
    }

    /// Where the two differ.
    fn places(&self) -> Vec<usize> {
        let sums = self.0.iter().map(|sum| sum.load(Ordering::Relaxed));
        sums.enumerate()
            .filter(|(_, sum)| *sum != 0)
            .map(|(place, _)| place)
            .collect()
    }
}

fn place(rid: i64) -> usize {
    let container = contained::container(rid).map_or(rid, |(container, _)| container);
    let mut hasher = DefaultHasher::new();
    container.hash(&mut hasher);
    usize::try_from(hasher.finish() % (1 << 14)).unwrap_or_default()
}

fn hash(kind: TableKind, rid: i64, values: &[Value<'_>]) -> u64 {
    let mut hasher = DefaultHasher::new();
    kind.hash(&mut hasher);
    rid.hash(&mut hasher);
    for value in values {
        match value {
            Value::Int(number) => number.hash(&mut hasher),
            // Both zeros are one to a database.
            Value::Real(number) => (number + 0.0).to_bits().hash(&mut hasher),
            Value::Text(text) => text.hash(&mut hasher),
        }
    }
    hasher.finish()
}

/// How often a row is yielded, less how often it is there: by resource and the text of the row.
type Balance = BTreeMap<i64, BTreeMap<String, i64>>;

/// Names the rows in which the two differ.
pub(super) fn name(
    store: &Store,
    permit: &Permit,
    made: &Made,
    sums: &Sums,
    add: &impl Fn(String),
) -> Result<(), Error> {
    let places = sums.places();
    if places.is_empty() {
        return Ok(());
    }
    let looked_into: Vec<usize> = places.iter().copied().take(LOOKED_INTO_MAX).collect();
    let mut balance = Balance::new();
    let mut names = BTreeMap::new();
    store.survey(permit, |view| -> Result<(), store::Error> {
        // What is contained goes with its container.
        let is_meant = |rid| looked_into.contains(&place(rid));
        view.each_version_row(|row| {
            if row.head != row.key || !is_meant(row.rid) {
                return Ok::<(), store::Error>(());
            }
            names.insert(row.rid, format!("{}/{}", row.resource_type, row.id));
            if let Ok(document) = parse(&row.body) {
                let rows = body::rows(&made.registry, &document);
                for (rid, rows) in rows.parts(row.rid) {
                    for table in table::ALL {
                        rows.each(table.kind, |values| {
                            if made.counts(rid, values) {
                                count(&mut balance, rid, table, values, 1);
                            }
                        });
                    }
                }
            }
            Ok(())
        })?;
        for table in table::ALL {
            view.each_index_row(table.kind, |rid, values| {
                if is_meant(rid) && made.counts(rid, values) {
                    count(&mut balance, rid, table, values, -1);
                }
                Ok::<(), store::Error>(())
            })?;
        }
        Ok(())
    })?;
    for (rid, rows) in &balance {
        let (container, what) = match contained::container(*rid) {
            Some((container, place)) => (container, format!(".contained[{place}]")),
            None => (*rid, String::new()),
        };
        let name = match names.get(&container) {
            Some(name) => format!("{name}{what}"),
            None => format!("resource {rid}, which is not there"),
        };
        for (row, balance) in rows {
            let what = if *balance > 0 {
                "lacks"
            } else {
                "has too much"
            };
            add(format!("{name}: the index {what}: {row}"));
        }
    }
    for _ in places.iter().skip(LOOKED_INTO_MAX) {
        add("further resources are not what the index says".to_owned());
    }
    Ok(())
}

/// Keeps only what is out of balance.
fn count(balance: &mut Balance, rid: i64, table: &Table, values: &[Value<'_>], by: i64) {
    let columns = table.columns.iter().zip(values);
    let columns: Vec<String> = columns
        .map(|(column, value)| match value {
            Value::Int(number) => format!("{column} {number}"),
            Value::Real(number) => format!("{column} {}", number + 0.0),
            Value::Text(text) => format!("{column} `{text}`"),
        })
        .collect();
    let row = format!("{} {}", table.name, columns.join(", "));
    let rows = balance.entry(rid).or_default();
    match rows.entry(row) {
        Entry::Vacant(vacant) => {
            vacant.insert(by);
        }
        Entry::Occupied(mut occupied) => {
            *occupied.get_mut() += by;
            if *occupied.get() == 0 {
                occupied.remove();
            }
        }
    }
    if rows.is_empty() {
        balance.remove(&rid);
    }
}
