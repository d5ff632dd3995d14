//! Elements of a document that is written: a small tree, and the tree as text.

use std::borrow::Cow;

use quick_xml::escape::{escape, partial_escape};

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Element {
    pub(super) name: Cow<'static, str>,
    pub(super) attributes: Vec<(Cow<'static, str>, String)>,
    pub(super) content: Vec<Content>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Content {
    Element(Element),
    Text(String),
    /// XML as it is.
    Written(String),
}

impl Element {
    pub(super) fn new(name: impl Into<Cow<'static, str>>) -> Self {
        Self {
            name: name.into(),
            ..Self::default()
        }
    }

    pub(super) fn set(&mut self, name: impl Into<Cow<'static, str>>, value: impl Into<String>) {
        let name = name.into();
        let value = value.into();
        match self.attributes.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => self.attributes.push((name, value)),
        }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.attributes.iter().any(|(known, _)| known == name)
    }

    /// The same, in a chain.
    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.set(name, value);
        self
    }

    pub(super) fn containing(mut self, text: impl Into<String>) -> Self {
        self.say(text);
        self
    }

    pub(super) fn push(&mut self, child: Element) {
        self.content.push(Content::Element(child));
    }

    pub(super) fn say(&mut self, text: impl Into<String>) {
        self.content.push(Content::Text(text.into()));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.attributes.is_empty() && self.content.is_empty()
    }

    /// Beginning at that depth of indentation; text stands close to its tags.
    pub(super) fn write(&self, depth: usize, out: &mut String) {
        indent(depth, out);
        out.push('<');
        out.push_str(&self.name);
        for (name, value) in &self.attributes {
            out.push(' ');
            out.push_str(name);
            out.push_str("=\"");
            out.push_str(&escape(&*clean(value)).replace(['\n', '\r', '\t'], " "));
            out.push('"');
        }
        if self.content.is_empty() {
            out.push_str("/>");
            return;
        }
        out.push('>');
        let is_mixed = |part: &Content| !matches!(part, Content::Element(_));
        let is_mixed = self.content.iter().any(is_mixed);
        for part in &self.content {
            match part {
                Content::Element(element) if is_mixed => element.write(0, out),
                Content::Element(element) => element.write(depth + 1, out),
                Content::Text(text) => out.push_str(&partial_escape(&*clean(text))),
                Content::Written(text) => out.push_str(text),
            }
        }
        if !is_mixed {
            indent(depth, out);
        }
        out.push_str("</");
        out.push_str(&self.name);
        out.push('>');
    }
}

fn indent(depth: usize, out: &mut String) {
    if depth > 0 {
        out.push('\n');
        out.extend(std::iter::repeat_n("  ", depth - 1));
    }
}

/// XML has no way to say other control characters.
fn clean(text: &str) -> Cow<'_, str> {
    let is_bad = |letter: char| {
        (letter.is_control() && !matches!(letter, '\n' | '\r' | '\t' | '\u{80}'..='\u{9f}'))
            || matches!(letter, '\u{fffe}' | '\u{ffff}')
    };
    match text.contains(is_bad) {
        true => text.replace(is_bad, "\u{fffd}").into(),
        false => text.into(),
    }
}
