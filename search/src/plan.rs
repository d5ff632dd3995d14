//! What to look at in a resource of one type: all paths of its search parameters as one tree, walked once.
//!
//! The names are those of JSON (`valueQuantity`), so that a walk looks at each member of the document once and at
//! nothing that no parameter asks for.

use fhir_spec::json::{Data, Object, Value};

use crate::rows::Rows;
use crate::types::{composite, date, number, position, reference, string, token, uri};

/// What a walk needs to know besides the place it stands at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scope<'a> {
    pub resource: &'a Value,
    /// The url of this server: references that begin with it are local ones.
    pub base: Option<&'a str>,
}

#[derive(Debug, Default)]
pub(crate) struct Node {
    edges: Vec<(Box<str>, Node)>,
    guarded: Vec<(Guard, Node)>,
    leaves: Vec<Leaf>,
}

/// What must hold for a walk to go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Guard {
    /// `where(name='text')`
    Has(Box<str>, Box<str>),
    /// `[n]`
    Nth(usize),
}

#[derive(Debug)]
pub(crate) struct Leaf {
    pub path: i32,
    pub take: Take,
}

/// How an element becomes rows.
#[derive(Debug)]
pub(crate) enum Take {
    Token(token::Form),
    String,
    Reference(reference::Form),
    Date(date::Form),
    Number(number::Form),
    Uri,
    Position,
    Composite(composite::Form),
}

impl Node {
    /// Puts a leaf behind these steps, unless there is one of the same path.
    pub(crate) fn add(&mut self, steps: &[Edge], leaf: Leaf) {
        match steps.split_first() {
            Some((Edge::Member(name), rest)) => grow(&mut self.edges, name, rest, leaf),
            Some((Edge::Guard(guard), rest)) => grow(&mut self.guarded, guard, rest, leaf),
            None if self.leaves.iter().any(|known| known.path == leaf.path) => {}
            None => self.leaves.push(leaf),
        }
    }

    pub(crate) fn walk(&self, value: &Value, scope: &Scope<'_>, rows: &mut Rows) {
        self.visit(value, &mut |leaf, value| {
            leaf.take.rows(leaf.path, value, scope, rows);
        });
    }

    /// Each element of the document that a leaf takes.
    pub(crate) fn visit(&self, value: &Value, seen: &mut impl FnMut(&Leaf, &Value)) {
        match &value.data {
            Data::Null => {}
            Data::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.item(item, Some(index), seen);
                }
            }
            _ => self.item(value, None, seen),
        }
    }

    fn item(&self, value: &Value, index: Option<usize>, seen: &mut impl FnMut(&Leaf, &Value)) {
        for leaf in &self.leaves {
            seen(leaf, value);
        }
        for (guard, node) in &self.guarded {
            let holds = match guard {
                Guard::Has(name, text) => value.str_of(name) == Some(text),
                Guard::Nth(wanted) => index.unwrap_or(0) == *wanted,
            };
            if holds {
                node.item(value, None, seen);
            }
        }
        if let Data::Object(object) = &value.data
            && !self.edges.is_empty()
        {
            self.members(object, seen);
        }
    }

    fn members(&self, object: &Object, seen: &mut impl FnMut(&Leaf, &Value)) {
        for (name, value) in object.iter() {
            let edge = self.edges.iter().find(|(known, _)| **known == *name);
            if let Some((_, node)) = edge {
                node.visit(value, seen);
            }
        }
    }
}

/// A step down: into a member, or past a guard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Edge {
    Member(Box<str>),
    Guard(Guard),
}

fn grow<K: PartialEq + Clone>(nodes: &mut Vec<(K, Node)>, key: &K, rest: &[Edge], leaf: Leaf) {
    if let Some((_, node)) = nodes.iter_mut().find(|(known, _)| known == key) {
        return node.add(rest, leaf);
    }
    let mut node = Node::default();
    node.add(rest, leaf);
    nodes.push((key.clone(), node));
}

impl Take {
    /// The names of paths of tokens that it fills besides its own.
    pub(crate) fn beside(&self) -> &'static [&'static str] {
        match self {
            Self::Token(token::Form::Identifier { .. }) => &[token::OF_TYPE],
            Self::Reference(reference::Form::Reference { .. }) => &[reference::IDENTIFIER],
            _ => &[],
        }
    }

    pub(crate) fn rows(&self, path: i32, value: &Value, scope: &Scope<'_>, rows: &mut Rows) {
        match self {
            Self::Token(form) => token::rows(*form, path, value, rows),
            Self::String => string::rows(path, value, rows),
            Self::Reference(form) => reference::rows(*form, path, value, scope, rows),
            Self::Date(form) => date::rows(*form, path, value, rows),
            Self::Number(form) => number::rows(*form, path, value, rows),
            Self::Uri => uri::rows(path, value, rows),
            Self::Position => position::rows(path, value, rows),
            Self::Composite(form) => composite::rows(form, path, value, scope, rows),
        }
    }
}
