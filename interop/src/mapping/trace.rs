//! The trace: which element was made by which row from which place of the source, and the way back. Only for who asks.

use super::plan::{Plan, index};
use super::run::Mapped;
use super::source::{Source, Span};

/// One element that a row made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traced {
    /// The entry, counted before contained resources went into theirs.
    pub entry: u32,
    /// Below the resource: `identifier[0].value`.
    pub element: String,
    pub row: u32,
    /// What was read for it; nothing for constants, and for elements that a type map made piece by piece.
    pub sources: Vec<Span>,
}

impl Mapped {
    /// What made an element.
    pub fn made<'m>(&'m self, entry: u32, element: &'m str) -> impl Iterator<Item = &'m Traced> {
        self.trace
            .iter()
            .filter(move |traced| traced.entry == entry && traced.element == element)
    }

    /// What became of a place of the source.
    pub fn became(&self, place: Span) -> impl Iterator<Item = &Traced> {
        let touches = move |span: &Span| span.from < place.to && place.from < span.to;
        self.trace
            .iter()
            .filter(move |traced| traced.sources.iter().any(touches))
    }

    /// The trace for people, a line for each element.
    pub fn trace_text<S: Source>(&self, plan: &Plan, source: &S) -> String {
        let mut text = String::new();
        for traced in &self.trace {
            let row = plan.rows.get(index(traced.row));
            let row = row.map_or_else(String::new, |row| {
                format!("{}:{} {}", row.at.file, row.at.line, row.id)
            });
            let sources: Vec<String> = traced
                .sources
                .iter()
                .map(|span| source.describe(*span))
                .collect();
            let from = if sources.is_empty() {
                "-".to_owned()
            } else {
                sources.join(", ")
            };
            text.push_str(&format!(
                "entry[{}].{} <- {row} <- {from}\n",
                traced.entry, traced.element
            ));
        }
        text
    }
}
