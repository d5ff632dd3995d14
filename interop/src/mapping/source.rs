//! What the engine wants of a format: nodes to walk, a schema to check paths against, and a place to write to in reverse.
//!
//! The engine knows no format. A schema turns the words of a map into numbers once; per message only numbers are looked at.

use std::borrow::Cow;

use fhir_spec::primitive::Primitive;

/// A kind of node, by a number that only its schema understands: a whole message, a segment, a datatype, a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NodeKind(pub u32);

impl NodeKind {
    /// What may be of any kind, such as OBX-5: a type map says itself what it takes the node for.
    pub const ANY: Self = Self(u32::MAX);
}

/// One step down: which child, by the schema's number, and which repetition when the map says so (counted from zero).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    pub number: u16,
    pub repetition: Option<u16>,
}

/// What a schema makes of the words of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub steps: Vec<Step>,
    pub kind: NodeKind,
    /// The last step can lead to several nodes.
    pub repeats: bool,
}

/// Checks the source paths of a map when it is compiled.
pub trait Schema {
    /// The kind of the whole source.
    fn root(&self) -> NodeKind;

    /// The kind that a `segment` or `type` map names.
    fn kind(&self, name: &str) -> Option<NodeKind>;

    /// A path as it stands in a map, seen from a node of kind `from`. The error says what was expected.
    fn path(&self, from: NodeKind, text: &str) -> Result<Found, String>;

    /// Nodes hold nodes of their own kind, so that a type map may lead back to itself.
    fn recurs(&self) -> bool {
        false
    }
}

/// What stands at a node. Three kinds of nothing mean three different things.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell<'s> {
    /// The source has no such place, or nothing stands there: what is known stays.
    Absent,
    /// Nothing, and the sender says that it knows of nothing: `""`, a nullFlavor.
    Null,
    Valued(Cow<'s, str>),
}

/// Where a node stands: offsets of its first byte and past its last, or any numbers that grow and nest like them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    pub from: u32,
    pub to: u32,
}

/// A parsed message, file or row.
pub trait Source {
    type Node: Copy;

    fn root(&self) -> Self::Node;

    /// The first child of that number. A step into what is not divided leads to the whole as its first part.
    fn first(&self, from: Self::Node, number: u16) -> Option<Self::Node>;

    /// The next repetition of a node that [`Source::first`] or this gave.
    fn next(&self, node: Self::Node) -> Option<Self::Node>;

    fn cell(&self, node: Self::Node) -> Cell<'_>;

    /// What stands at a node, and where that stands: both of one look.
    fn read(&self, node: Self::Node) -> (Cell<'_>, Span) {
        (self.cell(node), self.said(node))
    }

    /// Which children there are, a bit for each number below 64. Set as well for those that would have to be looked for.
    fn present(&self, _node: Self::Node) -> u64 {
        u64::MAX
    }

    /// Where a node stands, with all that is in it.
    fn span(&self, node: Self::Node) -> Span;

    /// Where that stands of a node which [`Source::cell`] gives: less than all of it where it has parts.
    fn said(&self, node: Self::Node) -> Span {
        self.span(node)
    }

    /// Nodes elsewhere that say by their ids that they are of the same thing.
    fn twins(&self, _node: Self::Node) -> Vec<Self::Node> {
        Vec::new()
    }

    /// Every valued leaf, in the order of their spans.
    fn leaves(&self, visit: &mut dyn FnMut(Span));

    /// For people: `PID-3[2].1`, `line 7, column mrn`.
    fn describe(&self, span: Span) -> String;

    /// Line and column, both from 1, where the source has such.
    fn place(&self, _span: Span) -> Option<(u32, u32)> {
        None
    }

    /// The node that is reached by steps, each without a repetition taken as its first.
    fn walk(&self, from: Self::Node, steps: &[Step]) -> Option<Self::Node> {
        let mut node = from;
        for step in steps {
            node = self.first(node, step.number)?;
            for _ in 0..step.repetition.unwrap_or(0) {
                node = self.next(node)?;
            }
        }
        Some(node)
    }
}

/// What the reverse run writes to.
pub trait Sink {
    type Node: Copy;

    fn root(&self) -> Self::Node;

    /// The child of that number and repetition, made when there is none.
    fn child(&mut self, from: Self::Node, number: u16, repetition: u16) -> Self::Node;

    /// Writes a text; of a value that FHIR knows as a date, number ... with its type, for the layout that the format wants.
    fn set(&mut self, node: Self::Node, primitive: Option<Primitive>, text: &str);
}
