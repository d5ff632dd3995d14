//! Composite: values that belong together. <https://hl7.org/fhir/R4/search.html#composite>
//!
//! When the element that holds them is there at most once, "together" means no more than "both": such parameters have no
//! rows and are asked as two. An element that repeats has a row for each tuple: one textual component first, then at
//! most one more textual one, then at most two numbers (or one with a unit, which takes the place of a text's system).

use fhir_spec::json::{Text, Value};

use super::{Ask, SearchType, token};
use crate::condition::{Bind, Condition, Probe, Reach, Test};
use crate::plan::{Node, Scope};
use crate::query::escape::split;
use crate::registry::{ElementFacts, Only, Source, Tuple};
use crate::rows::{CompositeRow, Rows, TokenRow};
use crate::table::TableKind;

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
    // Its own paths: identifiers have more of them, for questions that tuples are not asked.
    let own = |row: &TokenRow| row.path == 0 || row.path == token::bare(0);
    parts.extend((rows.token.into_iter().filter(own)).map(|row| Part::Text(row.code, row.system)));
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

/// `code$value`: any of the values, found in any of the ways that the parameter has.
pub(crate) fn condition(ask: &Ask<'_>, values: &[&str]) -> Result<Condition, String> {
    let mut ways = Vec::new();
    for tuple in &ask.parameter.tuples {
        match tuple {
            Tuple::Each(parts) => {
                for value in values {
                    let components = components(value, parts.len())?;
                    let each = parts.iter().zip(components).map(|(part, component)| {
                        let probes = ask.any_of(part.kind, &part.sources, &[component])?;
                        Ok(Condition::rows(probes))
                    });
                    ways.push(Condition::All(each.collect::<Result<_, String>>()?));
                }
            }
            Tuple::Rows { path, kinds } => {
                let mut probes = Vec::new();
                for value in values {
                    let components = components(value, kinds.len())?;
                    probes.extend(row_probes(ask, *path, kinds, &components)?);
                }
                ways.push(Condition::rows(probes));
            }
        }
    }
    Ok(Condition::any(ways))
}

fn components(value: &str, count: usize) -> Result<Vec<&str>, String> {
    let components = split(value, '$');
    if components.len() != count || components.iter().any(|component| component.is_empty()) {
        return Err(format!("`{value}` should be {count} values, joined by `$`"));
    }
    Ok(components)
}

/// Every combination of what the components look for, in the columns that each of them has.
fn row_probes(
    ask: &Ask<'_>,
    path: i32,
    kinds: &[SearchType],
    components: &[&str],
) -> Result<Vec<Probe>, String> {
    let mut combined: Vec<Vec<Test>> = vec![Vec::new()];
    let mut columns = Columns::default();
    for (kind, component) in kinds.iter().zip(components) {
        let source = Source {
            table: TableKind::Composite,
            path,
            only: Only::Any,
            element: ElementFacts::default(),
        };
        let probes = kind.probes(ask, &source, component)?;
        let renamed = probes.into_iter().map(|probe| {
            let tests = probe.tests.into_iter();
            tests
                .filter_map(|test| columns.renamed(*kind, test))
                .collect()
        });
        let renamed: Vec<Vec<Test>> = renamed.collect();
        columns.advance(*kind);
        let with = |tests: &Vec<Test>| {
            let tests = tests.clone();
            renamed
                .iter()
                .map(move |more| [tests.as_slice(), more].concat())
        };
        combined = combined.iter().flat_map(with).collect();
    }
    // The key begins with both texts: a number beside one text has none there.
    let no_text = (columns.texts < 2).then(|| Test::equal("text", ""));
    let probe = |tests: Vec<Test>| {
        let tests = tests.into_iter().chain(no_text.clone()).collect();
        Probe::new(TableKind::Composite, path, Reach::Some, tests)
    };
    Ok(combined.into_iter().map(probe).collect())
}

/// Where the next component stands in a row.
#[derive(Debug, Default)]
struct Columns {
    texts: u8,
    numbers: u8,
}

impl Columns {
    fn advance(&mut self, kind: SearchType) {
        match kind {
            SearchType::Number | SearchType::Quantity | SearchType::Date => self.numbers += 1,
            _ => self.texts += 1,
        }
    }

    /// The same test of the column where this component is kept. None: rows of tuples do not tell.
    fn renamed(&self, kind: SearchType, test: Test) -> Option<Test> {
        let (column, op, bind) = match test {
            Test::Either(tests) => {
                let tests = tests.into_iter();
                let renamed = tests.filter_map(|test| self.renamed(kind, test));
                return Some(Test::Either(renamed.collect()));
            }
            Test::Near { .. } => return None,
            Test::Is(column, op, bind) => (column, op, bind),
        };
        let column = match (column, self.texts, self.numbers) {
            ("code" | "value" | "target", 0, _) => "code",
            ("code" | "value" | "target", ..) => "text",
            ("system" | "exact" | "type", 0, _) => "system",
            ("system" | "exact" | "type" | "unit", ..) => "key",
            ("lo", _, 0) => "lo",
            ("hi", _, 0) => "hi",
            ("lo", ..) => "lo2",
            ("hi", ..) => "hi2",
            _ => return None,
        };
        // Only a quantity has a unit; elsewhere the key may be that of a text.
        if column == "key" && kind == SearchType::Number {
            return None;
        }
        let bind = match (kind, bind) {
            (SearchType::Date, Bind::Int(micros)) => Bind::Real(moment(micros)?),
            (_, bind) => bind,
        };
        Some(Test::Is(column, op, bind))
    }
}
