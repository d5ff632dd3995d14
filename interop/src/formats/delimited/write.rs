//! Rows out: from the reverse run, and those that did not go in with the reason behind them.

use std::io::{self, Write};

use fhir_spec::primitive::Primitive;

use crate::mapping::source::Sink;

use super::convert::{BadRow, Header};
use super::dialect::{Dialect, Layout};

/// Where the reverse run writes a row: values in the order of the map's columns.
#[derive(Debug, Clone, Default)]
pub struct RowSink {
    pub values: Vec<String>,
}

impl Sink for RowSink {
    /// The row, or one of its values.
    type Node = Option<u16>;

    fn root(&self) -> Option<u16> {
        None
    }

    fn child(&mut self, from: Option<u16>, number: u16, _: u16) -> Option<u16> {
        from.or(Some(number))
    }

    fn set(&mut self, node: Option<u16>, _: Option<Primitive>, text: &str) {
        let Some(place) = node.map(usize::from) else {
            return;
        };
        if self.values.len() <= place {
            self.values.resize(place + 1, String::new());
        }
        if let Some(value) = self.values.get_mut(place) {
            text.clone_into(value);
        }
    }
}

/// Writes values as a line; those with delimiters, quotes or line ends in quotes.
pub fn write_row<'v>(
    out: &mut impl Write,
    dialect: &Dialect,
    values: impl IntoIterator<Item = &'v str>,
) -> io::Result<()> {
    let mut line = String::new();
    for (place, value) in values.into_iter().enumerate() {
        match &dialect.layout {
            Layout::Delimiter { delimiter, quote } => {
                if place > 0 {
                    line.push(*delimiter);
                }
                push_value(&mut line, value, *delimiter, *quote);
            }
            Layout::Widths(widths) => {
                let width = widths.get(place).copied().unwrap_or(value.chars().count());
                line.extend(value.chars().chain(std::iter::repeat(' ')).take(width));
            }
        }
    }
    line.push('\n');
    out.write_all(line.as_bytes())
}

fn push_value(line: &mut String, value: &str, delimiter: char, quote: Option<char>) {
    let needs = |letter: char| {
        letter == delimiter || letter == '\n' || letter == '\r' || Some(letter) == quote
    };
    match quote {
        Some(quote) if value.contains(needs) => {
            line.push(quote);
            line.push_str(&value.replace(quote, &format!("{quote}{quote}")));
            line.push(quote);
        }
        _ => line.push_str(value),
    }
}

/// The column that says why a row was refused.
pub const REASON: &str = "refused_because";

/// The file of bad rows: each as it was, and one more column with what is wrong. Mended, it can be sent again.
#[derive(Debug)]
pub struct BadRows<W> {
    out: W,
    dialect: Dialect,
}

impl<W: Write> BadRows<W> {
    pub fn new(mut out: W, dialect: &Dialect, header: &Header) -> io::Result<Self> {
        if dialect.has_header {
            let names = header.names().iter().map(String::as_str).chain([REASON]);
            write_row(&mut out, dialect, names)?;
        }
        Ok(Self {
            out,
            dialect: dialect.clone(),
        })
    }

    /// Adds to a file that has its header.
    pub fn going_on(out: W, dialect: &Dialect) -> Self {
        Self {
            out,
            dialect: dialect.clone(),
        }
    }

    pub fn write(&mut self, row: &BadRow) -> io::Result<()> {
        let told: Vec<&str> = row
            .issues
            .iter()
            .map(|issue| issue.diagnostics.as_str())
            .collect();
        let reason = told.join("; ").replace(['\r', '\n'], " ");
        let mut line = row.raw.clone();
        match &self.dialect.layout {
            Layout::Delimiter { delimiter, quote } => {
                line.push(*delimiter);
                push_value(&mut line, &reason, *delimiter, *quote);
            }
            Layout::Widths(_) => {
                line.push(' ');
                line.push_str(&reason);
            }
        }
        line.push('\n');
        self.out.write_all(line.as_bytes())
    }

    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
