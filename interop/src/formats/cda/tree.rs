//! The tree of a document: elements and attributes as offsets into its text, in the order in which they stand there.

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::OnceLock;

use quick_xml::escape::unescape;

use super::wide;

/// Elements that may have one id and still be taken for the same thing.
const SAME_MAX: usize = 16;
/// Between two places that are remembered, to count lines from.
const BLOCK_BYTES: usize = 4_096;

/// An element. Its children are the elements right behind it, up to `end`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Element {
    /// By the model; zero for a name that CDA does not have.
    pub(super) name: u16,
    pub(super) attribute_count: u16,
    pub(super) parent: u32,
    /// The first element that is not inside.
    pub(super) end: u32,
    pub(super) attributes_from: u32,
    pub(super) from: u32,
    pub(super) inner_from: u32,
    pub(super) inner_to: u32,
    pub(super) to: u32,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Attribute {
    pub(super) name: u16,
    /// Of the value, without its quotes.
    pub(super) from: u32,
    pub(super) to: u32,
}

/// A document that was read. Borrows its text.
#[derive(Debug)]
pub struct Document<'t> {
    pub(super) text: &'t str,
    pub(super) elements: Vec<Element>,
    pub(super) attributes: Vec<Attribute>,
    /// By the number of a name: the elements that have it.
    pub(super) by_name: Vec<Vec<u32>>,
    /// What the narrative can be referred to by.
    pub(super) ids: HashMap<&'t str, u32>,
    /// Line and column at which each block of the text begins.
    pub(super) places: OnceLock<Vec<(u32, u32)>>,
    /// Elements by the ids that they have: root and extension, hashed.
    pub(super) identified: OnceLock<HashMap<u64, Vec<u32>>>,
}

impl<'t> Document<'t> {
    pub fn text(&self) -> &'t str {
        self.text
    }

    pub fn element_count(&self) -> usize {
        self.elements.len()
    }

    pub(super) fn element(&self, at: u32) -> Option<&Element> {
        self.elements.get(wide(at))
    }

    pub(super) fn slice(&self, from: u32, to: u32) -> &'t str {
        self.text.get(wide(from)..wide(to)).unwrap_or_default()
    }

    /// The elements right below.
    pub(super) fn children(&self, at: u32) -> impl Iterator<Item = u32> + '_ {
        let end = self.element(at).map_or(0, |element| element.end);
        let mut next = at + 1;
        std::iter::from_fn(move || {
            let here = next;
            if here >= end {
                return None;
            }
            next = self.element(here)?.end;
            Some(here)
        })
    }

    pub(super) fn child(&self, at: u32, name: u16) -> Option<u32> {
        self.children(at).find(|child| {
            self.element(*child)
                .is_some_and(|element| element.name == name)
        })
    }

    /// The places of an element's attributes.
    pub(super) fn attributes_of(&self, at: u32) -> impl Iterator<Item = (u32, &Attribute)> {
        let (from, count) = self.element(at).map_or((0, 0), |element| {
            (element.attributes_from, element.attribute_count)
        });
        let all = self
            .attributes
            .get(wide(from)..wide(from) + usize::from(count))
            .unwrap_or_default();
        (from..).zip(all)
    }

    pub(super) fn attribute(&self, at: u32, name: u16) -> Option<u32> {
        self.attributes_of(at)
            .find(|(_, attribute)| attribute.name == name)
            .map(|(place, _)| place)
    }

    /// The value of an attribute, by its place.
    pub(super) fn value(&self, place: u32) -> Cow<'t, str> {
        self.attributes
            .get(wide(place))
            .map_or(Cow::Borrowed(""), |attribute| {
                unescaped(self.slice(attribute.from, attribute.to))
            })
    }

    pub(super) fn value_of(&self, at: u32, name: u16) -> Option<Cow<'t, str>> {
        self.attribute(at, name).map(|place| self.value(place))
    }

    /// The text that stands in an element itself, not in those below, without the spaces around it.
    pub(super) fn own_text(&self, at: u32) -> Cow<'t, str> {
        let Some(element) = self.element(at) else {
            return Cow::Borrowed("");
        };
        if element.end == at + 1 {
            return content(self.slice(element.inner_from, element.inner_to));
        }
        let mut from = element.inner_from;
        let mut made = String::new();
        let mut add = |raw: &'t str| {
            let part = content(raw);
            if !part.is_empty() {
                if !made.is_empty() {
                    made.push(' ');
                }
                made.push_str(&part);
            }
        };
        for child in self.children(at) {
            if let Some(child) = self.element(child) {
                add(self.slice(from, child.from));
                from = child.to;
            }
        }
        add(self.slice(from, element.inner_to));
        Cow::Owned(made)
    }

    /// The elements that have the same id as this one.
    pub(super) fn same_as(&self, at: u32, names: [u16; 3]) -> Vec<u32> {
        let [id, ..] = names;
        let identified = self.identified.get_or_init(|| self.by_id(names));
        let ids = self.children(at).filter(|child| {
            self.element(*child)
                .is_some_and(|element| element.name == id)
        });
        // An id that everything has says nothing.
        let same = ids
            .filter_map(|id| identified.get(&self.identity(id, names)?))
            .filter(|same| same.len() <= SAME_MAX)
            .flatten();
        same.copied().filter(|other| *other != at).collect()
    }

    fn by_id(&self, names: [u16; 3]) -> HashMap<u64, Vec<u32>> {
        let [id, ..] = names;
        let mut found: HashMap<_, Vec<u32>> = HashMap::new();
        for at in self.by_name.get(usize::from(id)).into_iter().flatten() {
            if let (Some(identity), Some(element)) = (self.identity(*at, names), self.element(*at))
            {
                found.entry(identity).or_default().push(element.parent);
            }
        }
        found
    }

    /// Root and extension in a number; nothing of an id that is null.
    fn identity(&self, at: u32, [_, root, extension]: [u16; 3]) -> Option<u64> {
        let raw = |name: u16| {
            let attribute = self.attributes.get(wide(self.attribute(at, name)?))?;
            Some(self.slice(attribute.from, attribute.to))
        };
        let root = raw(root).filter(|root| !root.is_empty())?;
        let mut hasher = DefaultHasher::new();
        (root, raw(extension).unwrap_or_default()).hash(&mut hasher);
        Some(hasher.finish())
    }

    /// Line and column of an offset, both from 1.
    pub(super) fn place(&self, offset: u32) -> (u32, u32) {
        let text = self.text.as_bytes();
        let places = self.places.get_or_init(|| {
            let blocks = text.chunks(BLOCK_BYTES).scan((1, 1), |here, block| {
                let begins = *here;
                *here = behind(begins, block);
                Some(begins)
            });
            blocks.collect()
        });
        let block = wide(offset) / BLOCK_BYTES;
        let rest = text.get(block * BLOCK_BYTES..wide(offset));
        let begins = places.get(block).copied().unwrap_or((1, 1));
        behind(begins, rest.unwrap_or_default())
    }
}

/// Where one stands behind some bytes: what begins a character is a column.
fn behind((line, column): (u32, u32), bytes: &[u8]) -> (u32, u32) {
    let columns = |bytes: &[u8]| bytes.iter().filter(|byte| **byte & 0xC0 != 0x80).count();
    let ends = bytes.iter().filter(|byte| **byte == b'\n').count();
    match bytes.rsplit(|byte| *byte == b'\n').next() {
        Some(last) if ends > 0 => (line + super::narrow(ends), 1 + super::narrow(columns(last))),
        _ => (line, column + super::narrow(columns(bytes))),
    }
}

/// A value as it is meant. What cannot be undone was refused when the document was read.
fn unescaped(raw: &str) -> Cow<'_, str> {
    if raw.contains('&') {
        unescape(raw).unwrap_or(Cow::Borrowed(raw))
    } else {
        Cow::Borrowed(raw)
    }
}

/// Text between tags: entities undone, CDATA opened, comments and instructions left out, trimmed.
fn content(raw: &str) -> Cow<'_, str> {
    let trimmed = raw.trim();
    if !trimmed.contains(['<', '&']) {
        return Cow::Borrowed(trimmed);
    }
    let mut made = String::with_capacity(trimmed.len());
    let mut rest = trimmed;
    while let Some((before, after)) = rest.split_once('<') {
        made.push_str(&unescaped(before));
        let (verbatim, end) = if after.starts_with("![CDATA[") {
            (after.get(8..).unwrap_or_default(), "]]>")
        } else if after.starts_with("!--") {
            ("", "-->")
        } else {
            ("", ">")
        };
        let (inside, next) = match verbatim {
            "" => after.split_once(end).unwrap_or(("", "")),
            text => text.split_once(end).unwrap_or((text, "")),
        };
        if !verbatim.is_empty() {
            made.push_str(inside);
        }
        rest = next;
    }
    made.push_str(&unescaped(rest));
    Cow::Owned(made.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::{BLOCK_BYTES, Document, content};

    #[test]
    fn a_place_is_a_line_and_a_column_wherever_blocks_end() {
        let filler = "ü\n".repeat(BLOCK_BYTES);
        let text = format!("<ClinicalDocument>{filler}ää<title/></ClinicalDocument>");
        let document = Document::read(&text).unwrap();
        let title = u32::try_from(text.find("<title").unwrap()).unwrap();
        assert_eq!(document.place(title), (4_097, 3));
        assert_eq!(document.place(2), (1, 3));
        let long = format!(
            "<ClinicalDocument>{}<title/></ClinicalDocument>",
            "é".repeat(BLOCK_BYTES)
        );
        let document = Document::read(&long).unwrap();
        let title = u32::try_from(long.find("<title").unwrap()).unwrap();
        assert_eq!(document.place(title), (1, 4_115));
    }

    #[test]
    fn text_is_what_it_means() {
        for (raw, text) in [
            ("  plain ", "plain"),
            ("a &lt; b &#x41;", "a < b A"),
            ("<![CDATA[a < &amp; b]]> c", "a < &amp; b c"),
            ("a<!-- no > this -->b", "ab"),
            ("<![CDATA[]]>", ""),
            ("<?x y?>a", "a"),
        ] {
            assert_eq!(content(raw), text, "{raw}");
        }
    }
}
