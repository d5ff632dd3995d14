//! A row for the mapping engine: the row is one node, its values are others.

use crate::mapping::source::{Cell, Found, NodeKind, Schema, Source, Span, Step};

use super::convert::Header;
use super::records::Record;

const ROW: NodeKind = NodeKind(0);
const VALUE: NodeKind = NodeKind(1);

/// The columns that a map declares. `row` is the whole row.
#[derive(Debug, Clone, Default)]
pub struct TableSchema {
    columns: Vec<String>,
}

impl TableSchema {
    pub fn new<'c>(columns: impl IntoIterator<Item = &'c str>) -> Self {
        let columns = columns
            .into_iter()
            .map(|name| name.trim_end_matches('?').to_owned());
        Self {
            columns: columns.collect(),
        }
    }
}

impl Schema for TableSchema {
    fn root(&self) -> NodeKind {
        ROW
    }

    fn kind(&self, _: &str) -> Option<NodeKind> {
        None
    }

    fn path(&self, from: NodeKind, text: &str) -> Result<Found, String> {
        if from == ROW && text == "row" {
            return Ok(Found {
                steps: Vec::new(),
                kind: ROW,
                repeats: false,
            });
        }
        let place = self
            .columns
            .iter()
            .position(|name| name == text)
            .filter(|_| from == ROW);
        let number = place.and_then(|place| u16::try_from(place).ok());
        let number = number.ok_or_else(|| match nearest(text, &self.columns) {
            Some(near) => format!("a column of the map, such as {near}"),
            None => "a column of the map".to_owned(),
        })?;
        Ok(Found {
            steps: vec![Step {
                number,
                repetition: None,
            }],
            kind: VALUE,
            repeats: false,
        })
    }
}

fn nearest<'c>(text: &str, columns: &'c [String]) -> Option<&'c str> {
    let alike = |name: &str| {
        text.chars()
            .zip(name.chars())
            .take_while(|(a, b)| a.eq_ignore_ascii_case(b))
            .count()
    };
    let best = columns.iter().max_by_key(|name| alike(name))?;
    (alike(best) > 0).then_some(best)
}

#[derive(Debug, Clone, Copy)]
pub enum Node {
    Row,
    /// By its place in the file.
    Value(u32),
}

/// One record under the header of its file.
#[derive(Debug)]
pub struct RowSource<'r> {
    pub record: &'r Record,
    pub header: &'r Header,
    pub null: Option<&'r str>,
}

impl Source for RowSource<'_> {
    type Node = Node;

    fn root(&self) -> Node {
        Node::Row
    }

    fn first(&self, from: Node, number: u16) -> Option<Node> {
        match from {
            Node::Row => self.header.place(number).map(Node::Value),
            Node::Value(_) => (number == 0).then_some(from),
        }
    }

    fn next(&self, _: Node) -> Option<Node> {
        None
    }

    fn cell(&self, node: Node) -> Cell<'_> {
        let Node::Value(place) = node else {
            return Cell::Valued("".into());
        };
        let text = usize::try_from(place)
            .ok()
            .and_then(|place| self.record.get(place));
        match text {
            Some(text) if self.null.is_some_and(|null| null == text) => Cell::Null,
            Some(text) if !text.trim().is_empty() => Cell::Valued(text),
            _ => Cell::Absent,
        }
    }

    fn span(&self, node: Node) -> Span {
        match node {
            Node::Row => Span { from: 0, to: 0 },
            Node::Value(place) => Span {
                from: place,
                to: place + 1,
            },
        }
    }

    fn leaves(&self, visit: &mut dyn FnMut(Span)) {
        for place in 0..u32::try_from(self.record.len()).unwrap_or(0) {
            if matches!(self.cell(Node::Value(place)), Cell::Valued(_)) {
                visit(Span {
                    from: place,
                    to: place + 1,
                });
            }
        }
    }

    fn describe(&self, span: Span) -> String {
        format!(
            "line {}, column {}",
            self.record.line,
            self.header.name(span.from)
        )
    }

    fn place(&self, span: Span) -> Option<(u32, u32)> {
        let column = self.record.column(usize::try_from(span.from).ok()?)?;
        Some((self.record.line, column))
    }
}
