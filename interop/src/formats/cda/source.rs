//! A document for the mapping engine.

mod security;

pub(super) use security::Handling;

use std::borrow::Cow;

use crate::mapping::source::{Cell, Source, Span, Step};

use super::model::{self, Model};
use super::schema::{Axis, Filter, Test};
use super::tree::Document;
use super::{narrative, wide};

/// An element or attribute, and the test that led to it.
#[derive(Debug, Clone, Copy)]
pub struct Node {
    at: u32,
    is_attribute: bool,
    test: u16,
    /// The first element that is not below what the test was asked of.
    limit: u32,
}

/// A document and the tests of a map's paths.
#[derive(Debug)]
pub struct DocumentSource<'d> {
    pub(super) document: &'d Document<'d>,
    pub(super) tests: &'d [Test],
    names: Names,
}

/// Numbers of the names that the format itself asks for.
#[derive(Debug)]
struct Names {
    template: u16,
    id: u16,
    root: u16,
    extension: u16,
    code: u16,
    value: u16,
    null_flavor: u16,
    section: u16,
    text: u16,
    reference: u16,
    entry: u16,
    silent: Vec<u16>,
    silent_elements: Vec<u16>,
}

/// What says how the document is built and not what it tells: fixed by the standard, or said again in words.
const SILENT: &[&str] = &[
    "nullFlavor",
    "classCode",
    "moodCode",
    "typeCode",
    "determinerCode",
    "contextControlCode",
    "contextConductionInd",
    "inversionInd",
    "institutionSpecified",
    "operator",
    "ID",
    "codeSystemName",
    "codeSystemVersion",
    "valueSet",
    "valueSetVersion",
    "assigningAuthorityName",
    "displayable",
    "isNotOrdered",
    "mediaType",
    "representation",
    "partType",
    "inclusive",
];
const SILENT_ELEMENTS: &[&str] = &["realmCode", "typeId", "templateId"];

/// What an element says in one word, and where.
struct Plain<'t> {
    text: Cow<'t, str>,
    from: u32,
    to: u32,
}

impl<'d> DocumentSource<'d> {
    pub(super) fn new(document: &'d Document<'d>, tests: &'d [Test]) -> Self {
        let model = Model::get();
        let all = |names: &[&str]| names.iter().map(|name| model.name(name)).collect();
        Self {
            document,
            tests,
            names: Names {
                template: model.name("templateId"),
                id: model.name("id"),
                root: model.name("root"),
                extension: model.name("extension"),
                code: model.name("code"),
                value: model.name("value"),
                null_flavor: model.name("nullFlavor"),
                section: model.name("section"),
                text: model.name("text"),
                reference: model.name("reference"),
                entry: model.name("entry"),
                silent: all(SILENT),
                silent_elements: all(SILENT_ELEMENTS),
            },
        }
    }

    /// The same document for other paths.
    pub(super) fn asking<'o>(&self, tests: &'o [Test]) -> DocumentSource<'o>
    where
        'd: 'o,
    {
        DocumentSource::new(self.document, tests)
    }

    pub fn document(&self) -> &'d Document<'d> {
        self.document
    }

    fn name_of(&self, at: u32) -> u16 {
        self.document
            .element(at)
            .map_or(model::UNKNOWN, |element| element.name)
    }

    fn is_narrative(&self, at: u32) -> bool {
        self.name_of(at) == self.names.text
            && self
                .document
                .element(at)
                .is_some_and(|element| at > 0 && self.name_of(element.parent) == self.names.section)
    }

    /// The plain value of an element, when it has one.
    fn plain(&self, at: u32) -> Option<Plain<'d>> {
        let document = self.document;
        let element = document.element(at)?;
        let whole = |text: Cow<'d, str>| Plain {
            text,
            from: element.from,
            to: element.to,
        };
        if self.is_narrative(at) {
            let inner = document.slice(element.inner_from, element.inner_to);
            return narrative::xhtml(inner).map(|text| whole(text.into()));
        }
        for name in [
            self.names.value,
            self.names.code,
            self.names.extension,
            self.names.root,
        ] {
            if let Some(place) = document.attribute(at, name) {
                let text = document.value(place);
                if text.trim().is_empty() {
                    continue;
                }
                let attribute = document.attributes.get(wide(place))?;
                if name == self.names.code {
                    // Its system and its words are the same statement.
                    return Some(Plain {
                        text,
                        from: element.from,
                        to: element.inner_from,
                    });
                }
                return Some(Plain {
                    text,
                    from: attribute.from,
                    to: attribute.to,
                });
            }
        }
        let own = document.own_text(at);
        if !own.is_empty() {
            return Some(Plain {
                text: own,
                from: element.inner_from,
                to: element.inner_to,
            });
        }
        let reference = document.child(at, self.names.reference)?;
        let target = document.value_of(reference, self.names.value)?;
        let id = target.strip_prefix('#')?;
        let there = document.element(*document.ids.get(id)?)?;
        let text = narrative::plain(document.slice(there.inner_from, there.inner_to));
        (!text.is_empty()).then(|| whole(text))
    }

    fn passes(&self, at: u32, test: &Test) -> bool {
        test.filters.iter().all(|filter| self.holds(at, filter))
    }

    fn holds(&self, at: u32, filter: &Filter) -> bool {
        let document = self.document;
        match filter {
            Filter::Template(template) => {
                let by_id = document
                    .children(at)
                    .filter(|child| self.name_of(*child) == self.names.template)
                    .filter_map(|child| document.value_of(child, self.names.root))
                    .any(|root| template.roots.iter().any(|known| *known == root));
                by_id
                    || (!template.codes.is_empty()
                        && document
                            .child(at, self.names.code)
                            .and_then(|code| document.value_of(code, self.names.code))
                            .is_some_and(|code| template.codes.iter().any(|known| *known == code)))
            }
            Filter::Type(types) => document.value_of(at, model::XSI_TYPE).is_some_and(|said| {
                let said = said.rsplit(':').next().unwrap_or_default();
                types.iter().any(|wanted| wanted == said)
            }),
            Filter::Has(names) => self.reaches(at, names, &|says| says.is_some()),
            Filter::Says {
                names,
                values,
                is_equal,
            } => {
                let says = |said: Option<&str>| {
                    said.is_some_and(|said| values.iter().any(|value| value == said))
                };
                self.reaches(at, names, &says) == *is_equal
            }
        }
    }

    /// Whether something at the end of the names is as asked; what is there and has no plain value says the empty text.
    fn reaches(&self, at: u32, names: &[u16], asked: &dyn Fn(Option<&str>) -> bool) -> bool {
        let document = self.document;
        let Some((name, deeper)) = names.split_first() else {
            let plain = self.plain(at);
            let said = plain.as_ref().map(|plain| plain.text.trim());
            let says = said.or_else(|| self.has_parts(at).then_some(""));
            return asked(says);
        };
        if deeper.is_empty()
            && let Some(place) = document.attribute(at, *name)
        {
            return asked(Some(document.value(place).trim()));
        }
        document
            .children(at)
            .filter(|child| self.name_of(*child) == *name)
            .any(|child| self.reaches(child, deeper, asked))
    }

    /// Something stands below that is more than a template.
    fn has_parts(&self, at: u32) -> bool {
        self.document
            .children(at)
            .any(|child| !self.names.silent_elements.contains(&self.name_of(child)))
    }

    fn find(&self, mut at: u32, limit: u32, number: u16) -> Option<Node> {
        let test = self.tests.get(usize::from(number))?;
        let document = self.document;
        match test.axis {
            Axis::Child => {
                while at < limit {
                    let element = document.element(at)?;
                    if element.name == test.name && self.passes(at, test) {
                        return Some(Node {
                            at,
                            is_attribute: false,
                            test: number,
                            limit,
                        });
                    }
                    at = element.end;
                }
                None
            }
            Axis::Descendant => {
                let all = document.by_name.get(usize::from(test.name))?;
                let from = all.partition_point(|place| *place < at);
                let found = all
                    .get(from..)?
                    .iter()
                    .take_while(|place| **place < limit)
                    .find(|place| self.passes(**place, test))?;
                Some(Node {
                    at: *found,
                    is_attribute: false,
                    test: number,
                    limit,
                })
            }
            Axis::Parent | Axis::Itself => None,
        }
    }
}

impl Source for DocumentSource<'_> {
    type Node = Node;

    fn root(&self) -> Node {
        Node {
            at: 0,
            is_attribute: false,
            test: u16::MAX,
            limit: 0,
        }
    }

    fn first(&self, from: Node, number: u16) -> Option<Node> {
        let test = self.tests.get(usize::from(number))?;
        let lone = |at: u32| {
            self.passes(at, test).then_some(Node {
                at,
                is_attribute: false,
                test: number,
                limit: 0,
            })
        };
        match test.axis {
            Axis::Itself if from.is_attribute => Some(from),
            Axis::Itself => lone(from.at),
            Axis::Parent if from.at == 0 || from.is_attribute => None,
            Axis::Parent => lone(self.document.element(from.at)?.parent),
            Axis::Child | Axis::Descendant if from.is_attribute => None,
            Axis::Child | Axis::Descendant => {
                let limit = self.document.element(from.at)?.end;
                self.find(from.at + 1, limit, number).or_else(|| {
                    if test.axis == Axis::Descendant {
                        return None;
                    }
                    let place = self.document.attribute(from.at, test.name)?;
                    let passes = test.filters.is_empty();
                    passes.then_some(Node {
                        at: place,
                        is_attribute: true,
                        test: number,
                        limit: 0,
                    })
                })
            }
        }
    }

    fn next(&self, node: Node) -> Option<Node> {
        if node.is_attribute || node.limit == 0 {
            return None;
        }
        let is_deep = self
            .tests
            .get(usize::from(node.test))
            .is_some_and(|test| test.axis == Axis::Descendant);
        let after = if is_deep {
            node.at + 1
        } else {
            self.document.element(node.at)?.end
        };
        self.find(after, node.limit, node.test)
    }

    fn cell(&self, node: Node) -> Cell<'_> {
        if node.is_attribute {
            let text = self.document.value(node.at);
            return if text.trim().is_empty() {
                Cell::Absent
            } else {
                Cell::Valued(text)
            };
        }
        if let Some(plain) = self.plain(node.at) {
            return Cell::Valued(plain.text);
        }
        if self.is_narrative(node.at) {
            return Cell::Absent;
        }
        if self.has_parts(node.at) {
            return Cell::Valued(Cow::Borrowed(""));
        }
        if self
            .document
            .attribute(node.at, self.names.null_flavor)
            .is_some()
        {
            Cell::Null
        } else {
            Cell::Absent
        }
    }

    fn said(&self, node: Node) -> Span {
        let nothing = Span { from: 0, to: 0 };
        if node.is_attribute {
            return self
                .document
                .attributes
                .get(wide(node.at))
                .map_or(nothing, |attribute| Span {
                    from: attribute.from,
                    to: attribute.to,
                });
        }
        match self.plain(node.at) {
            Some(plain) => Span {
                from: plain.from,
                to: plain.to,
            },
            None => self
                .document
                .element(node.at)
                .map_or(nothing, |element| Span {
                    from: element.from,
                    to: element.from,
                }),
        }
    }

    fn span(&self, node: Node) -> Span {
        if node.is_attribute {
            return self.said(node);
        }
        let element = self.document.element(node.at);
        element.map_or(Span { from: 0, to: 0 }, |element| Span {
            from: element.from,
            to: element.to,
        })
    }

    fn walk(&self, from: Node, steps: &[Step]) -> Option<Node> {
        let Some((step, deeper)) = steps.split_first() else {
            return Some(from);
        };
        let mut node = self.first(from, step.number);
        while let Some(found) = node {
            // One that leads further is wanted, not the first that leads nowhere.
            if let Some(end) = self.walk(found, deeper) {
                return Some(end);
            }
            node = self.next(found);
        }
        None
    }

    fn twins(&self, node: Node) -> Vec<Node> {
        if node.is_attribute {
            return Vec::new();
        }
        let names = [self.names.id, self.names.root, self.names.extension];
        let same = self.document.same_as(node.at, names).into_iter();
        same.map(|at| Node {
            at,
            is_attribute: false,
            test: u16::MAX,
            limit: 0,
        })
        .collect()
    }

    fn leaves(&self, visit: &mut dyn FnMut(Span)) {
        let document = self.document;
        let mut at = 0;
        while let Some(element) = document.element(at) {
            let here = at;
            at += 1;
            if self.names.silent_elements.contains(&element.name) {
                at = element.end;
                continue;
            }
            if self.is_narrative(here) {
                at = element.end;
                let inner = document.slice(element.inner_from, element.inner_to);
                if narrative::xhtml(inner).is_some() {
                    visit(Span {
                        from: element.from,
                        to: element.to,
                    });
                }
                continue;
            }
            for (_, attribute) in document.attributes_of(here) {
                let is_silent = attribute.name == model::XSI_TYPE
                    || self.names.silent.contains(&attribute.name);
                if !is_silent && attribute.from < attribute.to {
                    visit(Span {
                        from: attribute.from,
                        to: attribute.to,
                    });
                }
            }
            if element.end == here + 1 && !document.own_text(here).is_empty() {
                visit(Span {
                    from: element.inner_from,
                    to: element.inner_to,
                });
            }
        }
    }

    fn describe(&self, span: Span) -> String {
        let document = self.document;
        let after = document
            .elements
            .partition_point(|element| element.from <= span.from);
        let mut here = super::narrow(after.saturating_sub(1));
        // The last one that begins before; the innermost that holds the place is it or one around it.
        while let Some(element) = document.element(here) {
            if span.from < element.to || here == 0 {
                break;
            }
            here = element.parent;
        }
        let mut end = String::new();
        for (_, attribute) in document.attributes_of(here) {
            if attribute.from == span.from {
                end = format!("/@{}", Model::get().text(attribute.name));
            }
        }
        let mut names: Vec<String> = Vec::new();
        while let Some(element) = document.element(here) {
            names.push(self.named(here));
            if here == 0 {
                break;
            }
            here = element.parent;
        }
        names.reverse();
        format!("{}{end}", names.join("/"))
    }

    fn place(&self, span: Span) -> Option<(u32, u32)> {
        Some(self.document.place(span.from))
    }
}

impl DocumentSource<'_> {
    /// The name of an element, with its number among those of its name when there are several.
    fn named(&self, at: u32) -> String {
        let Some(element) = self.document.element(at) else {
            return String::new();
        };
        let tag = self.document.slice(element.from, element.inner_from);
        let name = tag
            .trim_start_matches('<')
            .split([' ', '>', '/', '\n', '\r', '\t'])
            .next()
            .unwrap_or_default();
        if at == 0 || (element.name != self.names.entry && element.name == model::UNKNOWN) {
            return name.to_owned();
        }
        let before = self
            .document
            .children(element.parent)
            .take_while(|child| *child < at)
            .filter(|child| self.name_of(*child) == element.name)
            .count();
        if before == 0 {
            name.to_owned()
        } else {
            format!("{name}[{}]", before + 1)
        }
    }
}
