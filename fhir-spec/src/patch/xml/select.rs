//! Selectors: the part of XPath that section 4.1 of the RFC takes. They must select exactly one node.

use super::Problem;
use super::tree::{Element, Node, unknown_prefix};
use crate::xml::escape;

/// What a selector ends at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    Element,
    Attribute {
        uri: String,
        local: String,
    },
    Namespace(String),
    /// `text()[2]`: which one, from 1.
    Text(Option<usize>),
    Comment(Option<usize>),
    Instruction(Option<usize>),
}

#[derive(Debug)]
pub(super) struct Selector {
    steps: Vec<Step>,
    end: End,
}

#[derive(Debug)]
struct Step {
    /// None: `*`.
    name: Option<Name>,
    predicates: Vec<Predicate>,
}

#[derive(Debug)]
struct Name {
    uri: String,
    local: String,
}

#[derive(Debug)]
enum Predicate {
    /// From 1.
    Position(usize),
    Attribute(Name, String),
    Child(Name, String),
    Itself(String),
}

/// A node that was selected: indices of children from the document down, and what of that node is meant.
#[derive(Debug)]
pub(super) struct Spot {
    pub(super) steps: Vec<usize>,
    pub(super) end: End,
}

pub(super) fn nothing() -> Problem {
    Problem::target("the selector finds nothing")
}

impl Spot {
    pub(super) fn element_mut<'t>(
        &self,
        document: &'t mut Element,
    ) -> Result<&'t mut Element, Problem> {
        let is_inside = matches!(
            self.end,
            End::Element | End::Attribute { .. } | End::Namespace(_)
        );
        if !is_inside {
            return Err(Problem::target("the selector must select an element here"));
        }
        descend(document, &self.steps)
    }

    pub(super) fn node_mut<'t>(&self, document: &'t mut Element) -> Result<&'t mut Node, Problem> {
        let (parent, index) = self.parent_mut(document)?;
        parent.children.get_mut(index).ok_or_else(nothing)
    }

    /// The element around the node, and where the node stands in it.
    pub(super) fn parent_mut<'t>(
        &self,
        document: &'t mut Element,
    ) -> Result<(&'t mut Element, usize), Problem> {
        let (last, parents) = self.steps.split_last().ok_or_else(nothing)?;
        if matches!(self.end, End::Attribute { .. } | End::Namespace(_)) {
            return Err(Problem::target("an attribute has no place among nodes"));
        }
        Ok((descend(document, parents)?, *last))
    }
}

fn descend<'t>(document: &'t mut Element, steps: &[usize]) -> Result<&'t mut Element, Problem> {
    steps
        .iter()
        .try_fold(document, |element, index| {
            match element.children.get_mut(*index) {
                Some(Node::Element(element)) => Some(element),
                _ => None,
            }
        })
        .ok_or_else(nothing)
}

impl Selector {
    /// `uri` knows the prefixes of the patch; names without a prefix are in its default namespace.
    pub(super) fn parse(text: &str, uri: &dyn Fn(&str) -> Option<String>) -> Result<Self, Problem> {
        let mut selector = Self {
            steps: Vec::new(),
            end: End::Element,
        };
        let text = text.trim();
        let parts = split(text.strip_prefix('/').unwrap_or(text));
        let last = parts.len().saturating_sub(1);
        for (index, part) in parts.iter().enumerate() {
            if let Some(end) = end(part, uri)? {
                if index != last {
                    return Err(malformed(text));
                }
                selector.end = end;
            } else {
                let step = step(part, uri)?.ok_or_else(|| malformed(text))?;
                selector.steps.push(step);
            }
        }
        if selector.steps.is_empty() && matches!(selector.end, End::Element) {
            return Err(malformed(text));
        }
        Ok(selector)
    }

    /// The one node it selects.
    pub(super) fn find(&self, document: &Element) -> Result<Spot, Problem> {
        let mut found: Vec<(Vec<usize>, &Element)> = vec![(Vec::new(), document)];
        for step in &self.steps {
            let inner = found.iter().flat_map(|(path, parent)| {
                step.of(parent).into_iter().map(|(index, element)| {
                    let path = path.iter().copied().chain([index]).collect();
                    (path, element)
                })
            });
            found = inner.collect();
        }
        let mut spots: Vec<Vec<usize>> = Vec::new();
        for (path, element) in found {
            let under = |index: usize| path.iter().copied().chain([index]).collect();
            match &self.end {
                End::Element => spots.push(path),
                End::Attribute { uri, local } if element.attribute_in(uri, local).is_some() => {
                    spots.push(path);
                }
                End::Namespace(prefix) if element.declared(prefix).is_some() => spots.push(path),
                End::Attribute { .. } | End::Namespace(_) => {}
                End::Text(number) => {
                    let is_text = |node: &Node| matches!(node, Node::Text(_));
                    spots.extend(numbered(element, is_text, *number).into_iter().map(under));
                }
                End::Comment(number) => {
                    let is_comment = |node: &Node| matches!(node, Node::Comment(_));
                    spots.extend(
                        numbered(element, is_comment, *number)
                            .into_iter()
                            .map(under),
                    );
                }
                End::Instruction(number) => {
                    let is_instruction = |node: &Node| matches!(node, Node::Instruction(_));
                    spots.extend(
                        numbered(element, is_instruction, *number)
                            .into_iter()
                            .map(under),
                    );
                }
            }
        }
        match (spots.len(), spots.pop()) {
            (1, Some(steps)) => Ok(Spot {
                steps,
                end: self.end.clone(),
            }),
            (0, _) => Err(nothing()),
            (count, _) => Err(Problem::Target(format!(
                "the selector finds {count} nodes, expected one"
            ))),
        }
    }
}

impl Step {
    /// The children of an element that it selects, with their places.
    fn of<'t>(&self, parent: &'t Element) -> Vec<(usize, &'t Element)> {
        let children = parent.children.iter().enumerate();
        let mut found: Vec<(usize, &Element)> = children
            .filter_map(|(index, node)| Some((index, node.as_element()?)))
            .filter(|(_, element)| self.name.as_ref().is_none_or(|name| name.is_of(element)))
            .collect();
        for predicate in &self.predicates {
            found = match predicate {
                Predicate::Position(number) => {
                    let place = number
                        .checked_sub(1)
                        .and_then(|index| found.get(index).copied());
                    place.into_iter().collect()
                }
                _ => {
                    found.retain(|(_, element)| predicate.holds_for(element));
                    found
                }
            };
        }
        found
    }
}

impl Name {
    fn is_of(&self, element: &Element) -> bool {
        element.local == self.local && element.uri == self.uri
    }
}

impl Predicate {
    fn holds_for(&self, element: &Element) -> bool {
        match self {
            Self::Position(_) => true,
            Self::Attribute(name, value) => {
                element.attribute_in(&name.uri, &name.local) == Some(value)
            }
            Self::Child(name, value) => {
                let mut children = element.elements().filter(|child| name.is_of(child));
                children.any(|child| child.text() == *value)
            }
            Self::Itself(value) => element.text() == *value,
        }
    }
}

fn numbered(element: &Element, is_it: impl Fn(&Node) -> bool, number: Option<usize>) -> Vec<usize> {
    let children = element.children.iter().enumerate();
    let all: Vec<usize> = children
        .filter(|(_, node)| is_it(node))
        .map(|(index, _)| index)
        .collect();
    match number {
        None => all,
        Some(number) => {
            let index = number
                .checked_sub(1)
                .and_then(|index| all.get(index).copied());
            index.into_iter().collect()
        }
    }
}

fn malformed(text: &str) -> Problem {
    Problem::Malformed(format!("`{text}` is no selector that XML Patch has"))
}

/// Splits at the slashes that are in no predicate.
fn split(text: &str) -> Vec<&str> {
    let mut depth = 0usize;
    let mut quote = None;
    text.split(|character: char| {
        match (quote, character) {
            (Some(open), _) if open == character => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(character),
            (None, '[') => depth += 1,
            (None, ']') => depth = depth.saturating_sub(1),
            (None, _) => {}
        }
        quote.is_none() && depth == 0 && character == '/'
    })
    .collect()
}

fn name(
    text: &str,
    uri: &dyn Fn(&str) -> Option<String>,
    is_attribute: bool,
) -> Result<Name, Problem> {
    if !escape::is_name(text) {
        return Err(malformed(text));
    }
    let (prefix, local) = text.split_once(':').unwrap_or(("", text));
    let uri = match prefix {
        "" if is_attribute => String::new(),
        "" => uri("").unwrap_or_default(),
        _ => uri(prefix).ok_or_else(|| unknown_prefix(prefix))?,
    };
    Ok(Name {
        uri,
        local: local.to_owned(),
    })
}

/// The last part of a selector, when it is about something else than an element.
fn end(part: &str, uri: &dyn Fn(&str) -> Option<String>) -> Result<Option<End>, Problem> {
    if let Some(text) = part.strip_prefix('@') {
        let Name { uri, local } = name(text, uri, true)?;
        return Ok(Some(End::Attribute { uri, local }));
    }
    if let Some(prefix) = part.strip_prefix("namespace::") {
        return Ok(Some(End::Namespace(prefix.to_owned())));
    }
    let (test, rest) = part
        .split_at_checked(part.find('[').unwrap_or(part.len()))
        .unwrap_or_default();
    let of: fn(Option<usize>) -> End = match test {
        "text()" => End::Text,
        "comment()" => End::Comment,
        "processing-instruction()" => End::Instruction,
        _ => return Ok(None),
    };
    if rest.is_empty() {
        return Ok(Some(of(None)));
    }
    let number = rest
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let number = number.and_then(|number| number.trim().parse().ok());
    number
        .map(|number| Some(of(Some(number))))
        .ok_or_else(|| malformed(part))
}

/// An element's name or `*`, with predicates. None: it is neither.
fn step(part: &str, uri: &dyn Fn(&str) -> Option<String>) -> Result<Option<Step>, Problem> {
    let (test, mut rest) = part
        .split_at_checked(part.find('[').unwrap_or(part.len()))
        .unwrap_or_default();
    let mut step = Step {
        name: match test.trim() {
            "*" => None,
            test => Some(name(test, uri, false)?),
        },
        predicates: Vec::new(),
    };
    while let Some(inside) = rest.strip_prefix('[') {
        let mut quote = None;
        let close = inside.find(|character: char| {
            match (quote, character) {
                (Some(open), _) if open == character => quote = None,
                (None, '"' | '\'') => quote = Some(character),
                _ => {}
            }
            quote.is_none() && character == ']'
        });
        let Some((predicate_text, after)) = close.and_then(|at| inside.split_at_checked(at)) else {
            return Ok(None);
        };
        step.predicates.push(predicate(predicate_text.trim(), uri)?);
        rest = after.strip_prefix(']').unwrap_or_default();
    }
    Ok(rest.trim().is_empty().then_some(step))
}

fn predicate(text: &str, uri: &dyn Fn(&str) -> Option<String>) -> Result<Predicate, Problem> {
    if let Ok(number) = text.parse() {
        return Ok(Predicate::Position(number));
    }
    let (left, right) = text.split_once('=').ok_or_else(|| malformed(text))?;
    let (left, right) = (left.trim(), right.trim());
    let literal = ['"', '\''].into_iter().find_map(|quote| {
        let inside = right.strip_prefix(quote)?.strip_suffix(quote)?;
        (!inside.contains(quote)).then(|| inside.to_owned())
    });
    let literal = literal.ok_or_else(|| malformed(text))?;
    Ok(match (left, left.strip_prefix('@')) {
        (".", _) => Predicate::Itself(literal),
        (_, Some(attribute)) => Predicate::Attribute(name(attribute, uri, true)?, literal),
        (child, None) => Predicate::Child(name(child, uri, false)?, literal),
    })
}
