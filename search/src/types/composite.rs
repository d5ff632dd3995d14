//! Composite: values that belong together. <https://hl7.org/fhir/R4/search.html#composite>
//!
//! When the element that holds them is there at most once, "together" means no more than "both": such parameters have no
//! rows and are asked as two. An element that repeats has a row for each tuple: one textual component first, then at
//! most one more textual one, then at most two numbers (or one with a unit, which takes the place of a text's system).

use fhir_spec::json::{Text, Value};

use crate::plan::{Node, Scope};
use crate::rows::{CompositeRow, Rows};

/// Tuples that one element may make: codings times codings times units stay far below.
pub(crate) const TUPLES_MAX: usize = 256;

/// How the tuples of an element are made.
#[derive(Debug)]
pub(crate) struct Form {
    pub components: Vec<Component>,
}

#[derive(Debug)]
pub(crate) struct Component {
    /// `%resource...`: looked up from the resource, not from the element.
    pub from_resource: bool,
    pub node: Node,
}

/// One value of a component.
enum Part {
    Text(Text, i64),
    Number { unit: i64, lo: f64, hi: f64 },
}

pub(crate) fn rows(form: &Form, path: i32, value: &Value, scope: &Scope<'_>, rows: &mut Rows) {
    let start = CompositeRow {
        path,
        ..CompositeRow::default()
    };
    let mut tuples = vec![(start, Filled::default())];
    for component in &form.components {
        let mut scratch = Rows::default();
        let from = if component.from_resource {
            scope.resource
        } else {
            value
        };
        component.node.walk(from, scope, &mut scratch);
        let parts = parts(scratch);
        let made = tuples.iter().flat_map(|(row, filled)| {
            let with = |part| filled.with(row, part);
            parts.iter().filter_map(with)
        });
        tuples = made.take(TUPLES_MAX).collect();
    }
    rows.composite
        .extend(tuples.into_iter().map(|(row, _)| row));
}

fn parts(rows: Rows) -> Vec<Part> {
    let mut parts = Vec::new();
    parts.extend((rows.token.into_iter()).map(|row| Part::Text(row.code, row.system)));
    parts.extend((rows.string.into_iter()).map(|row| Part::Text(row.value, row.exact)));
    let references = rows.reference.into_iter();
    parts.extend(references.map(|row| Part::Text(row.target, row.target_type.into())));
    parts.extend((rows.uri.into_iter()).map(|row| Part::Text(row.value, 0)));
    parts.extend(rows.number.into_iter().map(|row| Part::Number {
        unit: row.unit.into(),
        lo: row.lo,
        hi: row.hi,
    }));
    parts.extend(rows.date.into_iter().filter_map(|row| {
        Some(Part::Number {
            unit: 0,
            lo: moment(row.lo)?,
            hi: moment(row.hi)?,
        })
    }));
    parts
}

/// A moment as a floating point number: exact to the microsecond for three centuries around 1970.
pub(crate) fn moment(micros: i64) -> Option<f64> {
    use rust_decimal::prelude::ToPrimitive;
    micros.to_f64()
}

/// How many places of a row are taken.
#[derive(Debug, Default, Clone, Copy)]
struct Filled {
    texts: u8,
    numbers: u8,
}

impl Filled {
    fn with(self, row: &CompositeRow, part: &Part) -> Option<(CompositeRow, Self)> {
        let mut row = row.clone();
        let mut filled = self;
        match part {
            Part::Text(text, key) => {
                match self.texts {
                    0 => (row.code, row.system) = (text.clone(), *key),
                    1 => (row.text, row.key) = (text.clone(), *key),
                    _ => return None,
                }
                filled.texts += 1;
            }
            Part::Number { unit, lo, hi } => {
                match self.numbers {
                    0 => {
                        (row.lo, row.hi) = (*lo, *hi);
                        row.key = if *unit == 0 { row.key } else { *unit };
                    }
                    1 if *unit == 0 => (row.lo2, row.hi2) = (*lo, *hi),
                    _ => return None,
                }
                filled.numbers += 1;
            }
        }
        Some((row, filled))
    }
}
