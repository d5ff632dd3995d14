//! XML as a tree that can be changed and written again.

use super::Problem;
use crate::xml::escape;
use crate::xml::pull::{Broken, Event, Pull};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node {
    Element(Element),
    Text(String),
    /// What stands between `<!--` and `-->`.
    Comment(String),
    /// What stands between `<?` and `?>`.
    Instruction(String),
}

/// An element; the document itself is one without a name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Element {
    pub(super) prefix: String,
    pub(super) local: String,
    pub(super) uri: String,
    /// Prefixes and the namespaces that they stand for.
    pub(super) declarations: Vec<(String, String)>,
    pub(super) attributes: Vec<Attribute>,
    pub(super) children: Vec<Node>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Attribute {
    prefix: String,
    pub(super) local: String,
    pub(super) uri: String,
    pub(super) value: String,
}

impl Attribute {
    pub(super) fn named(
        name: &str,
        value: String,
        uri: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, Problem> {
        if !escape::is_name(name) {
            return Err(Problem::malformed(format!("`{name}` is no name")));
        }
        let (prefix, local) = name.split_once(':').unwrap_or(("", name));
        let uri = match prefix {
            "" => String::new(),
            _ => uri(prefix).ok_or_else(|| unknown_prefix(prefix))?,
        };
        Ok(Self {
            prefix: prefix.to_owned(),
            local: local.to_owned(),
            uri,
            value,
        })
    }

    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.uri == other.uri && self.local == other.local
    }
}

pub(super) fn unknown_prefix(prefix: &str) -> Problem {
    Problem::Malformed(format!("the prefix `{prefix}` has no namespace"))
}

impl Node {
    pub(super) fn is_space(&self) -> bool {
        matches!(self, Self::Text(text) if text.bytes().all(escape::is_space))
    }

    pub(super) fn as_element(&self) -> Option<&Element> {
        match self {
            Self::Element(element) => Some(element),
            _ => None,
        }
    }
}

impl Element {
    pub(super) fn elements(&self) -> impl Iterator<Item = &Self> {
        self.children.iter().filter_map(Node::as_element)
    }

    /// The attribute of that name in no namespace.
    pub(super) fn attribute(&self, local: &str) -> Option<&str> {
        self.attribute_in("", local)
    }

    pub(super) fn attribute_in(&self, uri: &str, local: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|attribute| attribute.uri == uri && attribute.local == local)
            .map(|attribute| attribute.value.as_str())
    }

    pub(super) fn attribute_mut(&mut self, uri: &str, local: &str) -> Option<&mut Attribute> {
        self.attributes
            .iter_mut()
            .find(|attribute| attribute.uri == uri && attribute.local == local)
    }

    /// The namespace that this element itself declares for a prefix.
    pub(super) fn declared(&self, prefix: &str) -> Option<&str> {
        self.declarations
            .iter()
            .find(|(own, _)| own == prefix)
            .map(|(_, uri)| uri.as_str())
    }

    /// All text in it, in the order of the document.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        self.push_text(&mut text);
        text
    }

    fn push_text(&self, out: &mut String) {
        for child in &self.children {
            match child {
                Node::Text(text) => out.push_str(text),
                Node::Element(element) => element.push_text(out),
                _ => {}
            }
        }
    }

    pub(super) fn depth(&self) -> usize {
        1 + self.elements().map(Self::depth).max().unwrap_or(0)
    }

    /// Joins the texts that a change at this place left side by side.
    pub(super) fn join_texts(&mut self, steps: &[usize]) {
        let mut here = Some(self);
        let mut steps = steps.iter();
        while let Some(element) = here {
            element
                .children
                .dedup_by(|after, before| match (before, after) {
                    (Node::Text(before), Node::Text(after)) => {
                        before.push_str(after);
                        true
                    }
                    _ => false,
                });
            let index = steps.next().copied().unwrap_or(usize::MAX);
            here = match element.children.get_mut(index) {
                Some(Node::Element(element)) => Some(element),
                _ => None,
            };
        }
    }

    fn push(&mut self, node: Node) {
        match (self.children.last_mut(), node) {
            (Some(Node::Text(before)), Node::Text(text)) => before.push_str(&text),
            (_, node) => self.children.push(node),
        }
    }
}

pub(super) fn parse(text: &str) -> Result<Element, Problem> {
    read(text)
        .map_err(|broken| Problem::Malformed(format!("no well-formed XML: {}", broken.problem)))
}

fn read(text: &str) -> Result<Element, Broken> {
    let mut pull = Pull::new(text)?;
    let mut open = vec![Element::default()];
    loop {
        let from = pull.position();
        match pull.next()? {
            Event::Start(tag) => {
                let element = element(&pull, &open, tag.prefix, tag.local)?;
                open.push(element);
            }
            Event::End => {
                if let Some(element) = open.pop()
                    && let Some(parent) = open.last_mut()
                {
                    parent.push(Node::Element(element));
                }
            }
            Event::Text { raw, at } => {
                let text = escape::text(raw).map_err(|problem| Broken::new(at, problem))?;
                push(&mut open, Node::Text(text.into_owned()));
            }
            Event::CData { text, .. } => push(&mut open, Node::Text(text.to_owned())),
            Event::Aside => {
                let written = pull.slice(from, pull.position());
                let inside = |open: &str, close: &str| {
                    let text = written.strip_prefix(open)?.strip_suffix(close)?;
                    Some(text.to_owned())
                };
                if let Some(comment) = inside("<!--", "-->") {
                    push(&mut open, Node::Comment(comment));
                } else if let Some(text) =
                    inside("<?", "?>").filter(|_| !written.starts_with("<?xml "))
                {
                    push(&mut open, Node::Instruction(text));
                }
            }
            Event::Done => return Ok(open.pop().unwrap_or_default()),
        }
    }
}

fn push(open: &mut [Element], node: Node) {
    if let Some(parent) = open.last_mut() {
        parent.push(node);
    }
}

/// The element of the start tag that came last, still without content.
fn element(
    pull: &Pull<'_>,
    open: &[Element],
    prefix: &str,
    local: &str,
) -> Result<Element, Broken> {
    let mut element = Element {
        prefix: prefix.to_owned(),
        local: local.to_owned(),
        ..Element::default()
    };
    for (prefix, uri) in pull.declared() {
        let uri = escape::text(uri).unwrap_or_default().into_owned();
        element.declarations.push((prefix.to_owned(), uri));
    }
    let uri = |prefix: &str| {
        let inner = element.declared(prefix);
        let around = || {
            open.iter()
                .rev()
                .find_map(|element| element.declared(prefix))
        };
        inner.or_else(around).unwrap_or_default().to_owned()
    };
    let own = uri(prefix);
    let mut attributes = Vec::new();
    for attribute in pull.attributes() {
        let prefix = attribute.prefix;
        attributes.push(Attribute {
            prefix: prefix.to_owned(),
            local: attribute.local.to_owned(),
            uri: if prefix.is_empty() {
                String::new()
            } else {
                uri(prefix)
            },
            value: attribute.value()?.into_owned(),
        });
    }
    element.uri = own;
    element.attributes = attributes;
    Ok(element)
}

/// The document as text. Prefixes that moved away from their declarations get new ones.
pub(super) fn write(document: &Element) -> String {
    let mut out = String::new();
    let mut scope = Vec::new();
    write_children(document, &mut scope, &mut out);
    out
}

type Scope = Vec<(String, String)>;

fn write_children(element: &Element, scope: &mut Scope, out: &mut String) {
    for child in &element.children {
        match child {
            Node::Element(element) => write_element(element, scope, out),
            Node::Text(text) => out.push_str(
                &text
                    .replace('&', "&amp;")
                    .replace('<', "&lt;")
                    .replace('>', "&gt;")
                    .replace('\r', "&#13;"),
            ),
            Node::Comment(text) => out.push_str(&format!("<!--{text}-->")),
            Node::Instruction(text) => out.push_str(&format!("<?{text}?>")),
        }
    }
}

fn write_element(element: &Element, scope: &mut Scope, out: &mut String) {
    let outer = scope.len();
    scope.extend(element.declarations.iter().cloned());
    let mut need = |prefix: &str, uri: &str| {
        let bound = scope.iter().rev().find(|(own, _)| own == prefix);
        let bound = bound.map_or("", |(_, uri)| uri);
        if bound != uri && prefix != "xml" {
            scope.push((prefix.to_owned(), uri.to_owned()));
        }
    };
    need(&element.prefix, &element.uri);
    for attribute in &element.attributes {
        if !attribute.prefix.is_empty() {
            need(&attribute.prefix, &attribute.uri);
        }
    }
    let name = qualified(&element.prefix, &element.local);
    out.push('<');
    out.push_str(&name);
    let declared: Vec<(String, String)> = scope.get(outer..).unwrap_or_default().to_vec();
    for (index, (prefix, uri)) in declared.iter().enumerate() {
        // Only the last declaration of a prefix counts, and only one may be written.
        let later = declared.get(index + 1..).unwrap_or_default();
        if later.iter().any(|(other, _)| other == prefix) {
            continue;
        }
        let name = match prefix.as_str() {
            "" => "xmlns".to_owned(),
            prefix => format!("xmlns:{prefix}"),
        };
        write_attribute(&name, uri, out);
    }
    for attribute in &element.attributes {
        write_attribute(
            &qualified(&attribute.prefix, &attribute.local),
            &attribute.value,
            out,
        );
    }
    if element.children.is_empty() {
        out.push_str("/>");
    } else {
        out.push('>');
        write_children(element, scope, out);
        out.push_str(&format!("</{name}>"));
    }
    scope.truncate(outer);
}

fn qualified(prefix: &str, local: &str) -> String {
    if prefix.is_empty() {
        local.to_owned()
    } else {
        format!("{prefix}:{local}")
    }
}

fn write_attribute(name: &str, value: &str, out: &mut String) {
    out.push(' ');
    out.push_str(name);
    out.push_str("=\"");
    escape::push_attribute(value, out);
    out.push('"');
}
