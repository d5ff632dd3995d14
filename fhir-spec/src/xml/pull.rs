//! XML as a stream of events with resolved namespaces, on quick-xml, strict where that crate leaves it to its caller.
//! <https://www.w3.org/TR/xml/> <https://www.w3.org/TR/xml-names/>
//!
//! quick-xml finds the borders of tags, comments and texts and pairs the tags. This adds what makes the text one
//! well-formed document: one root, nothing but space around it, no tag left open, known prefixes, characters that XML has,
//! and refuses what FHIR has no use for and attackers have: document types and the entities that they declare.

use quick_xml::events::Event as Token;
use quick_xml::reader::Reader;

use super::attribute::{self, Attribute};
use super::escape;

/// How deep elements may nest, narrative included.
pub(crate) const ELEMENT_DEPTH_MAX: usize = 256;

/// How many declarations of namespaces may be in force at a place: every tag looks through them.
const DECLARATIONS_MAX: usize = 256;

pub(crate) const FHIR: &str = "http://hl7.org/fhir";
pub(crate) const XHTML: &str = "http://www.w3.org/1999/xhtml";
const XML: &str = "http://www.w3.org/XML/1998/namespace";
const SCHEMA_INSTANCE: &str = "http://www.w3.org/2001/XMLSchema-instance";

/// A namespace, as far as FHIR cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Space {
    None,
    Fhir,
    Xhtml,
    Xml,
    SchemaInstance,
    Other,
}

impl Space {
    fn named(uri: &str) -> Self {
        match uri {
            "" => Self::None,
            FHIR => Self::Fhir,
            XHTML => Self::Xhtml,
            XML => Self::Xml,
            SCHEMA_INSTANCE => Self::SchemaInstance,
            _ => Self::Other,
        }
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Tag<'s> {
    pub(crate) name: &'s str,
    pub(crate) prefix: &'s str,
    pub(crate) local: &'s str,
    pub(crate) space: Space,
    /// Where its `<` stands.
    pub(crate) at: u32,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Event<'s> {
    Start(Tag<'s>),
    /// An end tag, or the end of an element that has none (`<a/>`).
    End,
    /// Text as it is written, references to characters and entities included.
    Text {
        raw: &'s str,
        at: u32,
    },
    CData {
        text: &'s str,
        at: u32,
    },
    /// A comment or a processing instruction.
    Aside,
    /// The text is at its end, and was well-formed.
    Done,
}

/// Why a text is not well-formed XML, or is more than this reader takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Broken {
    pub(crate) at: u32,
    pub(crate) problem: String,
}

impl Broken {
    pub(crate) fn new(at: u32, problem: impl Into<String>) -> Self {
        Self {
            at,
            problem: problem.into(),
        }
    }
}

struct Binding<'s> {
    depth: usize,
    prefix: &'s str,
    /// As it is written.
    uri: &'s str,
    space: Space,
}

pub(crate) struct Pull<'s> {
    xml: Reader<&'s [u8]>,
    /// Without a byte order mark.
    source: &'s str,
    /// How long that mark was.
    skipped: u32,
    bindings: Vec<Binding<'s>>,
    attributes: Vec<Attribute<'s>>,
    depth: usize,
    has_root: bool,
}

impl<'s> Pull<'s> {
    pub(crate) fn new(text: &'s str) -> Result<Self, Broken> {
        let source = text.strip_prefix('\u{feff}').unwrap_or(text);
        let skipped = u32::try_from(text.len() - source.len()).unwrap_or_default();
        if u32::try_from(text.len()).is_err() {
            return Err(Broken::new(0, "the text is longer than 4 GiB"));
        }
        if let Some((at, character)) = escape::forbidden_character(source) {
            return Err(Broken::new(
                offset(at) + skipped,
                format!(
                    "the character U+{:04X} cannot stand in XML",
                    u32::from(character)
                ),
            ));
        }
        let mut xml = Reader::from_str(source);
        let config = xml.config_mut();
        config.expand_empty_elements = true;
        config.check_comments = true;
        Ok(Self {
            xml,
            source,
            skipped,
            bindings: Vec::new(),
            attributes: Vec::new(),
            depth: 0,
            has_root: false,
        })
    }

    /// The attributes of the start tag that came last; namespace declarations are not among them.
    pub(crate) fn attributes(&self) -> &[Attribute<'s>] {
        &self.attributes
    }

    /// Where the next event will start.
    pub(crate) fn position(&self) -> u32 {
        u32::try_from(self.xml.buffer_position()).unwrap_or(u32::MAX) + self.skipped
    }

    /// The source between two positions.
    pub(crate) fn slice(&self, from: u32, to: u32) -> &'s str {
        let index = |at: u32| usize::try_from(at - self.skipped).unwrap_or(usize::MAX);
        self.source.get(index(from)..index(to)).unwrap_or_default()
    }

    /// Whether the start tag that came last declares the default namespace itself.
    pub(crate) fn declares_default_space(&self) -> bool {
        self.own_bindings().any(|binding| binding.prefix.is_empty())
    }

    /// How many namespaces the start tag that came last declares.
    pub(crate) fn declarations(&self) -> usize {
        self.own_bindings().count()
    }

    /// The prefixes that the start tag that came last declares, each with its namespace.
    pub(crate) fn declared(&self) -> impl Iterator<Item = (&'s str, &'s str)> {
        self.own_bindings()
            .map(|binding| (binding.prefix, binding.uri))
    }

    fn own_bindings(&self) -> impl Iterator<Item = &Binding<'s>> {
        self.bindings
            .iter()
            .rev()
            .take_while(|binding| binding.depth == self.depth)
    }

    pub(crate) fn next(&mut self) -> Result<Event<'s>, Broken> {
        let at = self.position();
        let token = self.xml.read_event().map_err(|error| {
            let at = u32::try_from(self.xml.error_position()).unwrap_or(u32::MAX);
            Broken::new(at.saturating_add(self.skipped), error.to_string())
        })?;
        match token {
            Token::Start(_) => self.start(at).map(Event::Start),
            Token::Empty(_) => Err(Broken::new(at, "an element without its end")),
            Token::End(_) => {
                while self
                    .bindings
                    .last()
                    .is_some_and(|binding| binding.depth == self.depth)
                {
                    self.bindings.pop();
                }
                self.depth = self.depth.saturating_sub(1);
                Ok(Event::End)
            }
            Token::Text(_) | Token::GeneralRef(_) => {
                let raw = self.slice(at, self.position());
                if self.depth > 0 {
                    escape::text(raw).map_err(|problem| Broken::new(at, problem))?;
                    Ok(Event::Text { raw, at })
                } else if raw.bytes().all(escape::is_space) {
                    Ok(Event::Aside)
                } else {
                    Err(Broken::new(at, "text outside of the root element"))
                }
            }
            Token::CData(_) if self.depth == 0 => {
                Err(Broken::new(at, "text outside of the root element"))
            }
            Token::CData(_) => {
                let written = self.slice(at, self.position());
                let text = written
                    .strip_prefix("<![CDATA[")
                    .and_then(|text| text.strip_suffix("]]>"));
                let text = text.unwrap_or_default();
                Ok(Event::CData { text, at })
            }
            Token::Comment(_) | Token::PI(_) => Ok(Event::Aside),
            Token::Decl(declaration) => {
                if at != self.skipped {
                    return Err(Broken::new(
                        at,
                        "the XML declaration must stand at the very start",
                    ));
                }
                let is_utf8 = |encoding: &str| encoding.eq_ignore_ascii_case("utf-8");
                match declaration.encoding() {
                    None => Ok(Event::Aside),
                    Some(Ok(encoding)) if is_utf8(&encoding) => Ok(Event::Aside),
                    _ => Err(Broken::new(
                        at,
                        "the encoding of FHIR is UTF-8, another one is declared",
                    )),
                }
            }
            Token::DocType(_) => Err(Broken::new(
                at,
                "a document type declaration (DOCTYPE) is not allowed",
            )),
            Token::Eof if self.depth > 0 => {
                Err(Broken::new(at, "the text ends while an element is open"))
            }
            Token::Eof if !self.has_root => Err(Broken::new(at, "expected an element")),
            Token::Eof => Ok(Event::Done),
        }
    }

    fn start(&mut self, at: u32) -> Result<Tag<'s>, Broken> {
        if self.depth == 0 && self.has_root {
            return Err(Broken::new(at, "a second root element"));
        }
        if self.depth >= ELEMENT_DEPTH_MAX {
            return Err(Broken::new(
                at,
                format!("nested deeper than {ELEMENT_DEPTH_MAX} elements"),
            ));
        }
        self.has_root = true;
        self.depth += 1;
        let written = self.slice(at, self.position());
        let inner = written
            .strip_prefix('<')
            .and_then(|tag| tag.strip_suffix('>'))
            .unwrap_or_default();
        let inner = inner.strip_suffix('/').unwrap_or(inner);
        let (name, rest) = attribute::split_name(inner);
        if !escape::is_name(name) {
            return Err(Broken::new(
                at,
                format!("`{name}` is no name for an element"),
            ));
        }
        let rest_at = at + 1 + offset(name.len());
        self.attributes.clear();
        attribute::scan(rest, rest_at, &mut self.attributes)?;
        if self.attributes.iter().any(Attribute::is_declaration) {
            self.bind();
        }
        if self.bindings.len() > DECLARATIONS_MAX {
            return Err(Broken::new(
                at,
                format!("more than {DECLARATIONS_MAX} declarations of namespaces around one place"),
            ));
        }
        let (prefix, local) = name.split_once(':').unwrap_or(("", name));
        let space = self.resolve(prefix, at)?;
        for index in 0..self.attributes.len() {
            let Some(attribute) = self.attributes.get(index) else {
                break;
            };
            if attribute.raw.contains('&') {
                attribute.value()?;
            }
            // An attribute without a prefix is in no namespace.
            if !attribute.prefix.is_empty() {
                let space = self.resolve(attribute.prefix, attribute.at)?;
                if let Some(attribute) = self.attributes.get_mut(index) {
                    attribute.space = space;
                }
            }
        }
        Ok(Tag {
            name,
            prefix,
            local,
            space,
            at,
        })
    }

    /// Takes the namespace declarations out of the attributes.
    fn bind(&mut self) {
        let depth = self.depth;
        let bindings = &mut self.bindings;
        self.attributes.retain(|attribute| {
            let Some(prefix) = attribute.declared_prefix() else {
                return true;
            };
            let uri = escape::text(attribute.raw);
            bindings.push(Binding {
                depth,
                prefix,
                uri: attribute.raw,
                space: uri.map_or(Space::Other, |uri| Space::named(&uri)),
            });
            false
        });
    }

    fn resolve(&self, prefix: &str, at: u32) -> Result<Space, Broken> {
        if prefix == "xml" {
            return Ok(Space::Xml);
        }
        let bound = self
            .bindings
            .iter()
            .rev()
            .find(|binding| attribute::is_same_prefix(binding.prefix, prefix));
        match bound {
            Some(binding) => Ok(binding.space),
            None if prefix.is_empty() => Ok(Space::None),
            None => Err(Broken::new(
                at,
                format!("the prefix `{prefix}` has no namespace"),
            )),
        }
    }
}

pub(crate) fn offset(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}
