//! What a resource puts into the index: rows by table, sorted, each of them once.

use std::cmp::Ordering;

use fhir_spec::json::Text;

use crate::contained;
use crate::table::{self, TableKind, Value};

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TokenRow {
    pub path: i32,
    pub code: Text,
    /// Hash of the system's url, 0 for none.
    pub system: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct StringRow {
    pub path: i32,
    pub value: Text,
    pub exact: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReferenceRow {
    pub path: i32,
    pub target: Text,
    pub target_type: i32,
    pub version: Text,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DateRow {
    pub path: i32,
    pub span: u8,
    pub lo: i64,
    pub hi: i64,
}

#[derive(Debug, Clone, PartialEq)]
pub struct NumberRow {
    pub path: i32,
    pub unit: i32,
    pub span: u8,
    pub lo: f64,
    pub hi: f64,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct UriRow {
    pub path: i32,
    pub value: Text,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct CompositeRow {
    pub path: i32,
    pub code: Text,
    pub system: i64,
    pub text: Text,
    pub key: i64,
    pub lo: f64,
    pub hi: f64,
    pub lo2: f64,
    pub hi2: f64,
}

#[derive(Debug, Clone, PartialEq)]
pub struct PositionRow {
    pub path: i32,
    pub z: f64,
    pub x: f64,
    pub y: f64,
}

/// The rows of one resource, without its `rid`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rows {
    pub token: Vec<TokenRow>,
    pub string: Vec<StringRow>,
    pub reference: Vec<ReferenceRow>,
    pub date: Vec<DateRow>,
    pub number: Vec<NumberRow>,
    pub uri: Vec<UriRow>,
    pub composite: Vec<CompositeRow>,
    pub position: Vec<PositionRow>,
    /// Those of the resources that it contains, each at its place: they go under numbers of their own ([`Rows::parts`]).
    pub contained: Vec<Rows>,
}

impl Rows {
    /// With what is contained.
    pub fn len(&self) -> usize {
        let own = table::ALL.iter().map(|table| self.len_of(table.kind));
        let contained = self.contained.iter().map(Self::len);
        own.chain(contained).sum()
    }

    /// The rows of a resource of this number, and those of each that it contains, with the numbers under which they go.
    pub fn parts(&self, rid: i64) -> impl Iterator<Item = (i64, &Self)> {
        let contained = self.contained.iter().enumerate();
        let contained =
            contained.filter_map(move |(place, rows)| Some((contained::number(rid, place)?, rows)));
        [(rid, self)].into_iter().chain(contained)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Without what is contained.
    pub fn len_of(&self, table: TableKind) -> usize {
        match table {
            TableKind::Token => self.token.len(),
            TableKind::String => self.string.len(),
            TableKind::Reference => self.reference.len(),
            TableKind::Date => self.date.len(),
            TableKind::Number => self.number.len(),
            TableKind::Uri => self.uri.len(),
            TableKind::Composite => self.composite.len(),
            TableKind::Position => self.position.len(),
        }
    }

    /// The values that questions can be sorted by ([`crate::condition::Key`]): table, path, value.
    pub fn keys(&self) -> impl Iterator<Item = (TableKind, i32, &str)> {
        let tokens = self.token.iter();
        let tokens = tokens.map(|row| (TableKind::Token, row.path, &*row.code));
        let references = self.reference.iter();
        let references = references.map(|row| (TableKind::Reference, row.path, &*row.target));
        let uris = self.uri.iter();
        let uris = uris.map(|row| (TableKind::Uri, row.path, &*row.value));
        tokens.chain(references).chain(uris)
    }

    /// Each row of a table as the values of its columns, in their order. `rid` is for the store to add.
    pub fn each<'a>(&'a self, table: TableKind, mut row: impl FnMut(&[Value<'a>])) {
        use Value::{Int, Real, Text};
        let int = |number: i32| Int(number.into());
        match table {
            TableKind::Token => {
                for r in &self.token {
                    row(&[int(r.path), Text(&r.code), Int(r.system)]);
                }
            }
            TableKind::String => {
                for r in &self.string {
                    row(&[int(r.path), Text(&r.value), Int(r.exact)]);
                }
            }
            TableKind::Reference => {
                for r in &self.reference {
                    row(&[
                        int(r.path),
                        Text(&r.target),
                        int(r.target_type),
                        Text(&r.version),
                    ]);
                }
            }
            TableKind::Date => {
                for r in &self.date {
                    row(&[int(r.path), Int(r.span.into()), Int(r.lo), Int(r.hi)]);
                }
            }
            TableKind::Number => {
                for r in &self.number {
                    row(&[
                        int(r.path),
                        int(r.unit),
                        Int(r.span.into()),
                        Real(r.lo),
                        Real(r.hi),
                    ]);
                }
            }
            TableKind::Uri => {
                for r in &self.uri {
                    row(&[int(r.path), Text(&r.value)]);
                }
            }
            TableKind::Composite => {
                for r in &self.composite {
                    row(&[
                        int(r.path),
                        Text(&r.code),
                        Int(r.system),
                        Text(&r.text),
                        Int(r.key),
                        Real(r.lo),
                        Real(r.hi),
                        Real(r.lo2),
                        Real(r.hi2),
                    ]);
                }
            }
            TableKind::Position => {
                for r in &self.position {
                    row(&[int(r.path), Real(r.z), Real(r.x), Real(r.y)]);
                }
            }
        }
    }

    /// Takes a row as [`Self::each`] gives it; what has not the columns of the table is left out.
    pub fn push(&mut self, table: TableKind, values: &[Value<'_>]) {
        use Value::{Int, Real, Text as Word};
        let int = |number: i64| i32::try_from(number).unwrap_or_default();
        match (table, values) {
            (TableKind::Token, [Int(path), Word(code), Int(system)]) => self.token.push(TokenRow {
                path: int(*path),
                code: (*code).into(),
                system: *system,
            }),
            (TableKind::String, [Int(path), Word(value), Int(exact)]) => {
                self.string.push(StringRow {
                    path: int(*path),
                    value: (*value).into(),
                    exact: *exact,
                });
            }
            (TableKind::Reference, [Int(path), Word(target), Int(kind), Word(version)]) => {
                self.reference.push(ReferenceRow {
                    path: int(*path),
                    target: (*target).into(),
                    target_type: int(*kind),
                    version: (*version).into(),
                });
            }
            (TableKind::Date, [Int(path), Int(span), Int(lo), Int(hi)]) => {
                self.date.push(DateRow {
                    path: int(*path),
                    span: u8::try_from(*span).unwrap_or_default(),
                    lo: *lo,
                    hi: *hi,
                });
            }
            (TableKind::Number, [Int(path), Int(unit), Int(span), Real(lo), Real(hi)]) => {
                self.number.push(NumberRow {
                    path: int(*path),
                    unit: int(*unit),
                    span: u8::try_from(*span).unwrap_or_default(),
                    lo: *lo,
                    hi: *hi,
                });
            }
            (TableKind::Uri, [Int(path), Word(value)]) => self.uri.push(UriRow {
                path: int(*path),
                value: (*value).into(),
            }),
            (
                TableKind::Composite,
                [
                    Int(path),
                    Word(code),
                    Int(system),
                    Word(text),
                    Int(key),
                    Real(lo),
                    Real(hi),
                    Real(lo2),
                    Real(hi2),
                ],
            ) => self.composite.push(CompositeRow {
                path: int(*path),
                code: (*code).into(),
                system: *system,
                text: (*text).into(),
                key: *key,
                lo: *lo,
                hi: *hi,
                lo2: *lo2,
                hi2: *hi2,
            }),
            (TableKind::Position, [Int(path), Real(z), Real(x), Real(y)]) => {
                self.position.push(PositionRow {
                    path: int(*path),
                    z: *z,
                    x: *x,
                    y: *y,
                });
            }
            _ => {}
        }
    }

    /// The same for what it contains at that place.
    pub fn push_contained(&mut self, place: usize, table: TableKind, values: &[Value<'_>]) {
        if self.contained.len() <= place {
            self.contained.resize_with(place + 1, Self::default);
        }
        if let Some(rows) = self.contained.get_mut(place) {
            rows.push(table, values);
        }
    }

    /// Puts all rows to other paths.
    pub(crate) fn move_paths(&mut self, to: fn(i32) -> i32) {
        let token = self.token.iter_mut().map(|row| &mut row.path);
        let string = self.string.iter_mut().map(|row| &mut row.path);
        let reference = self.reference.iter_mut().map(|row| &mut row.path);
        let date = self.date.iter_mut().map(|row| &mut row.path);
        let number = self.number.iter_mut().map(|row| &mut row.path);
        let uri = self.uri.iter_mut().map(|row| &mut row.path);
        let composite = self.composite.iter_mut().map(|row| &mut row.path);
        let position = self.position.iter_mut().map(|row| &mut row.path);
        let paths = token.chain(string).chain(reference).chain(date);
        let paths = paths.chain(number).chain(uri).chain(composite);
        for path in paths.chain(position) {
            *path = to(*path);
        }
    }

    /// Keeps the rows at some paths only; what is contained stays.
    pub fn keep(&mut self, is_kept: impl Fn(i32) -> bool) {
        self.token.retain(|row| is_kept(row.path));
        self.string.retain(|row| is_kept(row.path));
        self.reference.retain(|row| is_kept(row.path));
        self.date.retain(|row| is_kept(row.path));
        self.number.retain(|row| is_kept(row.path));
        self.uri.retain(|row| is_kept(row.path));
        self.composite.retain(|row| is_kept(row.path));
        self.position.retain(|row| is_kept(row.path));
    }

    /// What must go and what must come for `old` to become `new`.
    pub fn difference(old: Self, new: Self) -> (Self, Self) {
        let (mut gone, mut come) = (Self::default(), Self::default());
        (gone.token, come.token) = apart(old.token, new.token, Ord::cmp);
        (gone.string, come.string) = apart(old.string, new.string, Ord::cmp);
        (gone.reference, come.reference) = apart(old.reference, new.reference, Ord::cmp);
        (gone.date, come.date) = apart(old.date, new.date, Ord::cmp);
        (gone.number, come.number) = apart(old.number, new.number, NumberRow::order);
        (gone.uri, come.uri) = apart(old.uri, new.uri, Ord::cmp);
        (gone.composite, come.composite) = apart(old.composite, new.composite, CompositeRow::order);
        (gone.position, come.position) = apart(old.position, new.position, PositionRow::order);
        let (mut old, mut new) = (old.contained.into_iter(), new.contained.into_iter());
        for _ in 0..old.len().max(new.len()) {
            let (old, new) = (
                old.next().unwrap_or_default(),
                new.next().unwrap_or_default(),
            );
            let (was, comes) = Self::difference(old, new);
            gone.contained.push(was);
            come.contained.push(comes);
        }
        (gone, come)
    }

    /// Sorted, and each row once. What is contained has been.
    pub fn settle(&mut self) {
        settle(&mut self.token, Ord::cmp);
        settle(&mut self.string, Ord::cmp);
        settle(&mut self.reference, Ord::cmp);
        settle(&mut self.date, Ord::cmp);
        settle(&mut self.number, NumberRow::order);
        settle(&mut self.uri, Ord::cmp);
        settle(&mut self.composite, CompositeRow::order);
        settle(&mut self.position, PositionRow::order);
    }
}

fn settle<T>(rows: &mut Vec<T>, order: fn(&T, &T) -> Ordering) {
    if rows.len() > 1 {
        rows.sort_unstable_by(order);
        rows.dedup_by(|a, b| order(a, b) == Ordering::Equal);
    }
}

/// What only the one and what only the other of two sorted lists has.
fn apart<T>(old: Vec<T>, new: Vec<T>, order: fn(&T, &T) -> Ordering) -> (Vec<T>, Vec<T>) {
    let (mut gone, mut come) = (Vec::new(), Vec::new());
    let mut new = new.into_iter().peekable();
    for row in old {
        while let Some(other) = new.next_if(|other| order(other, &row) == Ordering::Less) {
            come.push(other);
        }
        if (new.next_if(|other| order(other, &row) == Ordering::Equal)).is_none() {
            gone.push(row);
        }
    }
    come.extend(new);
    (gone, come)
}

impl NumberRow {
    fn order(&self, other: &Self) -> Ordering {
        (self.path, self.unit, self.span)
            .cmp(&(other.path, other.unit, other.span))
            .then_with(|| reals(&[self.lo, self.hi], &[other.lo, other.hi]))
    }
}

impl CompositeRow {
    fn order(&self, other: &Self) -> Ordering {
        let texts = |row: &Self| (row.path, row.key, row.system);
        (self.path, &self.code, &self.text)
            .cmp(&(other.path, &other.code, &other.text))
            .then_with(|| texts(self).cmp(&texts(other)))
            .then_with(|| {
                reals(
                    &[self.lo, self.hi, self.lo2, self.hi2],
                    &[other.lo, other.hi, other.lo2, other.hi2],
                )
            })
    }
}

impl PositionRow {
    fn order(&self, other: &Self) -> Ordering {
        self.path
            .cmp(&other.path)
            .then_with(|| reals(&[self.z, self.x, self.y], &[other.z, other.x, other.y]))
    }
}

fn reals<const N: usize>(one: &[f64; N], other: &[f64; N]) -> Ordering {
    let orders = one.iter().zip(other).map(|(a, b)| a.total_cmp(b));
    orders
        .into_iter()
        .find(|order| *order != Ordering::Equal)
        .unwrap_or(Ordering::Equal)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(codes: &[&str], numbers: &[f64]) -> Rows {
        let mut rows = Rows::default();
        rows.token.extend(codes.iter().map(|code| TokenRow {
            path: 1,
            code: (*code).into(),
            system: 0,
        }));
        rows.number.extend(numbers.iter().map(|number| NumberRow {
            path: 2,
            unit: 0,
            span: 0,
            lo: *number,
            hi: *number,
        }));
        rows.settle();
        rows
    }

    #[test]
    fn rows_come_once_and_in_order() {
        let settled = rows(&["b", "a", "b"], &[2.0, 1.0, 2.0]);
        assert_eq!(settled, rows(&["a", "b"], &[1.0, 2.0]));
        assert_eq!(settled.len(), 4);
    }

    #[test]
    fn only_the_difference_is_written() {
        let old = rows(&["a", "b", "d"], &[1.0]);
        let new = rows(&["b", "c", "e"], &[1.0]);
        let (gone, come) = Rows::difference(old.clone(), new.clone());
        assert_eq!(gone, rows(&["a", "d"], &[]));
        assert_eq!(come, rows(&["c", "e"], &[]));
        let (gone, come) = Rows::difference(Rows::default(), new.clone());
        assert_eq!((gone, come), (Rows::default(), new));
        let (gone, come) = Rows::difference(old.clone(), old);
        assert!(gone.is_empty() && come.is_empty());
    }
}
