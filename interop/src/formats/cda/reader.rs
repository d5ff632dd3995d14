//! XML to the tree, in one pass; whatever a document could be meant to do harm with is refused by name.

use std::collections::HashMap;
use std::sync::OnceLock;

use quick_xml::escape::unescape;
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;

use super::model::{self, Model};
use super::tree::{Attribute, Document, Element};
use super::{
    ATTRIBUTES_MAX, DEPTH_MAX, DOCUMENT_BYTES_MAX, ELEMENTS_MAX, SECTIONS_MAX, STATEMENTS_MAX,
    TAG_BYTES_MAX, narrow,
};

/// Why a document cannot be read at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    #[error("a document of more than {DOCUMENT_BYTES_MAX} bytes")]
    TooLong,
    #[error("bytes that are no text in the encoding {0}")]
    Encoding(String),
    #[error("line {line}, column {column}: {problem}")]
    Xml {
        line: u32,
        column: u32,
        problem: String,
    },
    #[error("the root of a clinical document is ClinicalDocument of urn:hl7-org:v3, not {0}")]
    NoDocument(String),
}

/// The element of the header behind which the body is.
const BODY: &str = "component";
const SECTION: &str = "section";
const STATEMENTS: &[&str] = &[
    "act",
    "encounter",
    "observation",
    "organizer",
    "procedure",
    "substanceAdministration",
    "supply",
];
/// The place of an open element that is not kept.
const NOT_KEPT: u32 = u32::MAX;

const KNOWN_DEFAULT: &str = "urn:hl7-org:v3";
/// The namespaces whose names are the model's.
const KNOWN: &[&str] = &[KNOWN_DEFAULT, "urn:hl7-org:sdtc"];
/// Prefixes that senders forget to declare, and everybody understands.
const UNDERSTOOD: &[&str] = &["sdtc", "hl7", "cda"];

/// A longer document is gone through before anything of it is kept: what is refused at its end costs no memory.
const UNCHECKED_BYTES_MAX: usize = 1024 * 1024;

/// How much of a document is kept; all of it is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keep {
    Root,
    Header,
    All,
}

impl<'t> Document<'t> {
    /// Reads a document whose text [`super::decode`] gave.
    pub fn read(text: &'t str) -> Result<Self, Unreadable> {
        Self::checked(text, Keep::All)
    }

    /// The same without its body, which is checked and not kept.
    pub fn read_header(text: &'t str) -> Result<Self, Unreadable> {
        Self::checked(text, Keep::Header)
    }

    fn checked(text: &'t str, keep: Keep) -> Result<Self, Unreadable> {
        if text.len() > UNCHECKED_BYTES_MAX {
            Self::built(text, Keep::Root)?;
        }
        Self::built(text, keep)
    }

    fn built(text: &'t str, keep: Keep) -> Result<Self, Unreadable> {
        if text.len() > DOCUMENT_BYTES_MAX {
            return Err(Unreadable::TooLong);
        }
        let mut builder = Builder::new(text, keep);
        match builder.run() {
            Ok(()) => builder.finish(),
            Err(problem) => {
                let (line, column) = builder.document.place(builder.at);
                Err(Unreadable::Xml {
                    line,
                    column,
                    problem,
                })
            }
        }
    }
}

struct Builder<'t> {
    document: Document<'t>,
    model: &'static Model,
    keep: Keep,
    /// The body has begun.
    is_in_body: bool,
    /// Elements so far, kept or not; statements and sections among them.
    count: usize,
    statements: usize,
    sections: usize,
    open: Vec<u32>,
    /// Prefixes by whether their names are the model's. They mean the same in the whole document, as in all that are known.
    prefixes: HashMap<&'t str, bool>,
    /// The default namespace of the root is CDA's, or there is none: samples come without.
    is_cda: bool,
    at: u32,
}

impl<'t> Builder<'t> {
    fn new(text: &'t str, keep: Keep) -> Self {
        let model = Model::get();
        let expected = if keep == Keep::All { text.len() } else { 0 };
        Self {
            document: Document {
                text,
                elements: Vec::with_capacity(expected / 64),
                attributes: Vec::with_capacity(expected / 48),
                by_name: vec![Vec::new(); model.name_count()],
                ids: HashMap::new(),
                places: OnceLock::new(),
                identified: OnceLock::new(),
            },
            model,
            keep,
            is_in_body: false,
            count: 0,
            statements: 0,
            sections: 0,
            open: Vec::new(),
            prefixes: HashMap::new(),
            is_cda: true,
            at: 0,
        }
    }

    fn run(&mut self) -> Result<(), String> {
        let mut reader = Reader::from_str(self.document.text);
        let position =
            |reader: &Reader<&[u8]>| u32::try_from(reader.buffer_position()).unwrap_or(u32::MAX);
        loop {
            self.at = position(&reader);
            let event = reader.read_event().map_err(|error| error.to_string())?;
            let after = position(&reader);
            match event {
                Event::Start(start) => self.start(&start, after)?,
                Event::Empty(start) => {
                    self.start(&start, after)?;
                    self.end(after, after);
                }
                Event::End(_) => self.end(self.at, after),
                Event::DocType(_) => {
                    return Err("a document type (DOCTYPE) is not allowed".to_owned());
                }
                Event::GeneralRef(name) => {
                    let is_character = name
                        .resolve_char_ref()
                        .map_err(|error| error.to_string())?
                        .is_some();
                    if !is_character && !matches!(&*name, "amp" | "lt" | "gt" | "quot" | "apos") {
                        return Err("an entity that XML does not have".to_owned());
                    }
                }
                Event::Eof if !self.open.is_empty() => {
                    return Err("it ends while an element is open".to_owned());
                }
                Event::Eof if self.count == 0 => {
                    return Err("there is no element in it".to_owned());
                }
                Event::Eof => return Ok(()),
                Event::Text(text) if self.open.is_empty() && !text.trim().is_empty() => {
                    return Err("text outside of the document".to_owned());
                }
                Event::Text(_)
                | Event::CData(_)
                | Event::Comment(_)
                | Event::Decl(_)
                | Event::PI(_) => {}
            }
        }
    }

    fn start(&mut self, start: &BytesStart<'t>, after: u32) -> Result<(), String> {
        if self.open.len() == DEPTH_MAX {
            return Err(format!("elements nest more than {DEPTH_MAX} deep"));
        }
        if self.count == ELEMENTS_MAX {
            return Err(format!("more than {ELEMENTS_MAX} elements"));
        }
        if start.len() > TAG_BYTES_MAX {
            return Err(format!("a tag of more than {TAG_BYTES_MAX} bytes"));
        }
        if self.open.is_empty() && self.count > 0 {
            return Err("a second root".to_owned());
        }
        let here = narrow(self.document.elements.len());
        let attributes_from = narrow(self.document.attributes.len());
        let qualified = start.name();
        self.is_in_body |= self.open.len() == 1 && qualified.local_name().as_ref() == BODY;
        let is_kept = match self.keep {
            Keep::All => true,
            Keep::Header => !self.is_in_body,
            Keep::Root => self.count == 0,
        };
        self.count += 1;
        self.counted(qualified.local_name().as_ref())?;
        self.attributes(start, here, is_kept)?;
        let is_known = match qualified.prefix() {
            None => true,
            Some(prefix) => {
                let understood = || UNDERSTOOD.contains(&prefix.as_ref()).then_some(true);
                let known = self.prefixes.get(prefix.as_ref()).copied();
                known
                    .or_else(understood)
                    .ok_or_else(|| "a prefix that no namespace was given for".to_owned())?
            }
        };
        if !is_kept {
            self.open.push(NOT_KEPT);
            return Ok(());
        }
        let name = if is_known {
            self.model.name(qualified.local_name().as_ref())
        } else {
            model::UNKNOWN
        };
        let count = self.document.attributes.len() - super::wide(attributes_from);
        self.document.elements.push(Element {
            name,
            attribute_count: u16::try_from(count).unwrap_or(u16::MAX),
            parent: self.open.last().copied().unwrap_or(0),
            end: here + 1,
            attributes_from,
            from: self.at,
            inner_from: after,
            inner_to: after,
            to: after,
        });
        if let Some(all) = self.document.by_name.get_mut(usize::from(name))
            && name != model::UNKNOWN
        {
            all.push(here);
        }
        self.open.push(here);
        Ok(())
    }

    /// What becomes resources and parts of them has bounds of its own.
    fn counted(&mut self, name: &str) -> Result<(), String> {
        let (count, max, what) = match name {
            SECTION => (&mut self.sections, SECTIONS_MAX, "sections"),
            name if STATEMENTS.contains(&name) => {
                (&mut self.statements, STATEMENTS_MAX, "statements")
            }
            _ => return Ok(()),
        };
        *count += 1;
        if *count > max {
            return Err(format!("more than {max} {what}"));
        }
        Ok(())
    }

    fn attributes(
        &mut self,
        start: &BytesStart<'t>,
        here: u32,
        is_kept: bool,
    ) -> Result<(), String> {
        let base = self.document.text.as_ptr().addr();
        for (count, attribute) in start.attributes().enumerate() {
            if count == ATTRIBUTES_MAX {
                return Err(format!("more than {ATTRIBUTES_MAX} attributes"));
            }
            let attribute = attribute.map_err(|error| error.to_string())?;
            let raw: &str = &attribute.value;
            if raw.contains('&') {
                unescape(raw).map_err(|error| error.to_string())?;
            }
            let key = attribute.key;
            // The value is a piece of the text: where it begins there is what is kept of it.
            let from = raw.as_ptr().addr().wrapping_sub(base);
            let value = self
                .document
                .text
                .get(from..from + raw.len())
                .unwrap_or_default();
            let name = match key
                .prefix()
                .map(|prefix| prefix.as_ref().to_owned())
                .as_deref()
            {
                Some("xmlns") => {
                    let full: &str = key.as_ref();
                    let at = full.as_ptr().addr().wrapping_sub(base) + "xmlns:".len();
                    let prefix = self.document.text.get(at..at + full.len() - "xmlns:".len());
                    self.prefixes
                        .insert(prefix.unwrap_or_default(), KNOWN.contains(&value));
                    continue;
                }
                None if key.as_ref() == "xmlns" => {
                    self.is_cda &= here > 0 || value == KNOWN_DEFAULT;
                    continue;
                }
                None => self.model.name(key.local_name().as_ref()),
                Some(_) if key.local_name().as_ref() == "type" => model::XSI_TYPE,
                Some(_) => continue,
            };
            if !is_kept {
                continue;
            }
            if name == self.model.id_attribute() {
                self.document.ids.entry(value).or_insert(here);
            }
            self.document.attributes.push(Attribute {
                name,
                from: narrow(from),
                to: narrow(from + raw.len()),
            });
        }
        Ok(())
    }

    fn end(&mut self, inner_to: u32, to: u32) {
        let end = narrow(self.document.elements.len());
        if let Some(open) = self.open.pop()
            && let Some(element) = self.document.elements.get_mut(super::wide(open))
        {
            element.end = end;
            element.inner_to = inner_to;
            element.to = to;
        }
    }

    fn finish(self) -> Result<Document<'t>, Unreadable> {
        let root = self.document.element(0);
        let tag = root.map_or("", |root| self.document.slice(root.from, root.inner_from));
        let name = tag
            .trim_start_matches('<')
            .split([' ', '>', '/', '\n', '\r', '\t'])
            .next()
            .unwrap_or_default();
        let prefix = name.split_once(':').map(|(prefix, _)| prefix);
        let is_cda = match prefix {
            None => self.is_cda,
            Some(prefix) => self.prefixes.get(prefix).copied().unwrap_or(false),
        };
        if is_cda && name.rsplit(':').next() == Some("ClinicalDocument") {
            Ok(self.document)
        } else {
            Err(Unreadable::NoDocument(name.chars().take(60).collect()))
        }
    }
}
