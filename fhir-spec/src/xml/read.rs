//! XML to tree, led by the type graph.

mod div;
mod member;

use std::borrow::Cow;

use self::member::{Read, add_item, count, set_single};
use super::escape;
use super::path::{Step, expression};
use super::pull::{Broken, Event, FHIR, Pull, Space, Tag, XHTML};
use crate::definitions::{Definitions, Element, Kind, TypeDef, Types};
use crate::json::{DEPTH_MAX, Data, Object, Text, Value, place};
use crate::outcome::{Issue, IssueCode, Severity};
use crate::primitive::{Primitive, Written};

/// After so many issues the reader stops looking for more.
pub const ISSUES_MAX: usize = 100;

/// Reads one resource. Everything that is wrong with its shape is told at once, except that a text which is not
/// well-formed ends the reading where it breaks.
pub fn read(source: &[u8], definitions: &Definitions) -> Result<Value, Vec<Issue>> {
    let text = utf8(source).map_err(|issue| vec![issue])?;
    let fatal = |broken: Broken| {
        Issue::new(Severity::Fatal, IssueCode::Structure, broken.problem)
            .placed(place(text, broken.at))
    };
    let mut reader = Reader {
        pull: Pull::new(text).map_err(|broken| vec![fatal(broken)])?,
        text,
        types: definitions.types(),
        steps: Vec::new(),
        issues: Vec::new(),
    };
    let outcome = reader.document();
    let mut issues = std::mem::take(&mut reader.issues);
    match outcome {
        Ok(Some(value)) if issues.is_empty() => return Ok(value),
        Ok(_) | Err(Stop::Enough) => {}
        Err(Stop::Broken(broken)) => {
            let path = expression(&reader.steps);
            let issue = fatal(broken);
            issues.push(if path.is_empty() {
                issue
            } else {
                issue.at(path)
            });
        }
    }
    Err(issues)
}

fn utf8(source: &[u8]) -> Result<&str, Issue> {
    let is_utf16 = matches!(
        source,
        [0xFE, 0xFF, ..] | [0xFF, 0xFE, ..] | [0, b'<', ..] | [b'<', 0, ..]
    );
    if is_utf16 {
        return Err(Issue::new(
            Severity::Fatal,
            IssueCode::Structure,
            "the encoding of FHIR is UTF-8, this text is UTF-16",
        ));
    }
    std::str::from_utf8(source).map_err(|error| {
        let valid = source.get(..error.valid_up_to()).unwrap_or_default();
        let at = u32::try_from(valid.len()).unwrap_or(u32::MAX);
        Issue::new(
            Severity::Fatal,
            IssueCode::Structure,
            "the text is not UTF-8",
        )
        .placed(place(&String::from_utf8_lossy(valid), at))
    })
}

/// Why the reading ends early.
enum Stop {
    Broken(Broken),
    /// So many issues were found that more would help nobody.
    Enough,
}

impl From<Broken> for Stop {
    fn from(broken: Broken) -> Self {
        Self::Broken(broken)
    }
}

struct Reader<'s, 'd> {
    pull: Pull<'s>,
    text: &'s str,
    types: &'d Types,
    steps: Vec<Step<'d>>,
    issues: Vec<Issue>,
}

impl<'s, 'd> Reader<'s, 'd> {
    fn issue(&mut self, code: IssueCode, at: u32, problem: String) -> Result<(), Stop> {
        let issue = Issue::error(code, problem).placed(place(self.text, at));
        let path = expression(&self.steps);
        self.issues.push(if path.is_empty() {
            issue
        } else {
            issue.at(path)
        });
        if self.issues.len() < ISSUES_MAX {
            Ok(())
        } else {
            Err(Stop::Enough)
        }
    }

    fn document(&mut self) -> Result<Option<Value>, Stop> {
        let mut root = None;
        loop {
            match self.pull.next()? {
                Event::Start(tag) => root = self.resource(tag, 1)?,
                Event::Done => return Ok(root),
                _ => {}
            }
        }
    }

    fn resource(&mut self, tag: Tag<'s>, level: usize) -> Result<Option<Value>, Stop> {
        let is_fhir = tag.space == Space::Fhir;
        let definition = self.types.named(tag.local).filter(|definition| {
            is_fhir && definition.kind == Kind::Resource && !definition.is_abstract
        });
        let Some(definition) = definition else {
            let problem = if is_fhir {
                format!("`{}` is no resource type of R4", shortened(tag.local))
            } else {
                wrong_space(tag.local, FHIR)
            };
            self.issue(IssueCode::Structure, tag.at, problem)?;
            self.skip()?;
            return Ok(None);
        };
        let is_root = self.steps.is_empty();
        if is_root {
            let name = &*definition.name;
            self.steps.push(Step { name, index: None });
        }
        let mut object = Object::new();
        let name = Value {
            at: tag.at,
            data: Data::String(Text::new(&definition.name)),
        };
        object.set("resourceType", name);
        self.attributes(definition, &mut object)?;
        self.content(definition, &mut object, level)?;
        if is_root {
            self.steps.pop();
        }
        Ok(Some(Value {
            at: tag.at,
            data: Data::Object(object),
        }))
    }

    /// Takes the attributes of the tag just read into the object; gives back `value`, which only primitives have.
    fn attributes(
        &mut self,
        definition: &'d TypeDef,
        object: &mut Object,
    ) -> Result<Option<(u32, Cow<'s, str>)>, Stop> {
        let mut value = None;
        for index in 0..self.pull.attributes().len() {
            let Some(attribute) = self.pull.attributes().get(index).copied() else {
                break;
            };
            let is_plain = attribute.prefix.is_empty();
            let is_schema_location = attribute.space == Space::SchemaInstance
                && matches!(
                    attribute.local,
                    "schemaLocation" | "noNamespaceSchemaLocation"
                );
            if is_plain && attribute.local == "value" && definition.kind == Kind::Primitive {
                value = Some((attribute.at, attribute.value()?));
            } else if is_plain && is_attribute_of(definition, attribute.local) {
                let text = Data::String(Text::new(attribute.value()?));
                let value = Value {
                    at: attribute.at,
                    data: text,
                };
                object.set(attribute.local, value);
            } else if !is_schema_location {
                let problem = format!("unknown attribute `{}`", shortened(attribute.local));
                self.issue(IssueCode::Structure, attribute.at, problem)?;
            }
        }
        Ok(value)
    }

    /// Reads the children of an element into the object, up to its end.
    fn content(
        &mut self,
        definition: &'d TypeDef,
        object: &mut Object,
        level: usize,
    ) -> Result<(), Stop> {
        let mut latest = Latest { index: 0, name: "" };
        loop {
            match self.pull.next()? {
                Event::Start(tag) => self.child(definition, tag, object, level, &mut latest)?,
                Event::End | Event::Done => return Ok(()),
                Event::Aside => {}
                Event::Text { raw: text, at } | Event::CData { text, at } => {
                    self.stray_text(text, at)?;
                }
            }
        }
    }

    fn child(
        &mut self,
        parent: &'d TypeDef,
        tag: Tag<'s>,
        object: &mut Object,
        level: usize,
        latest: &mut Latest<'d>,
    ) -> Result<(), Stop> {
        let known = parent
            .ordered_property(tag.local)
            .filter(|(_, element, _)| !element.is_xml_attribute);
        let Some((index, element, kind)) = known else {
            let name = shortened(tag.local);
            let problem = format!("unknown element `{name}` in {}", parent.name);
            self.issue(IssueCode::Structure, tag.at, problem)?;
            return self.skip();
        };
        let definition = self.types.get(kind.id);
        let is_xhtml = Primitive::named(&definition.name) == Some(Primitive::Xhtml);
        let (space, uri) = if is_xhtml {
            (Space::Xhtml, XHTML)
        } else {
            (Space::Fhir, FHIR)
        };
        if tag.space != space {
            self.issue(IssueCode::Structure, tag.at, wrong_space(tag.local, uri))?;
            return self.skip();
        }
        let name = &*kind.json_name;
        let item = element.is_list().then(|| count(object, name));
        self.steps.push(Step {
            name: &element.name,
            index: item,
        });
        self.check_order(element, index, tag, latest)?;
        latest.index = latest.index.max(index);
        latest.name = name;
        // JSON nests a list in the object, and its items in the list.
        let level = level + 1 + usize::from(element.is_list());
        if level > DEPTH_MAX {
            let problem = format!("nested deeper than {DEPTH_MAX} levels");
            return Err(Broken::new(tag.at, problem).into());
        }
        let read = match definition.kind {
            _ if is_xhtml => self.div(tag)?,
            Kind::Primitive => self.primitive(definition, tag, level)?,
            Kind::Resource => self.inner_resource(tag, level)?,
            Kind::Complex | Kind::Backbone => self.complex(definition, tag, level)?,
        };
        self.steps.pop();
        match item {
            Some(item) => add_item(object, name, item, read),
            None => set_single(object, name, read),
        }
        Ok(())
    }

    fn check_order(
        &mut self,
        element: &'d Element,
        index: usize,
        tag: Tag<'s>,
        latest: &Latest<'d>,
    ) -> Result<(), Stop> {
        if latest.name.is_empty() || index > latest.index {
            return Ok(());
        }
        let name = tag.local;
        if index < latest.index {
            let problem = format!(
                "`{name}` stands after `{}`, it must come before",
                latest.name
            );
            return self.issue(IssueCode::Structure, tag.at, problem);
        }
        if element.is_list() {
            return Ok(());
        }
        let problem = if element.is_choice && name != latest.name {
            format!(
                "`{name}` stands beside `{}`, only one value is allowed",
                latest.name
            )
        } else {
            format!("`{name}` stands twice, it must not repeat")
        };
        self.issue(IssueCode::Structure, tag.at, problem)
    }

    fn complex(
        &mut self,
        definition: &'d TypeDef,
        tag: Tag<'s>,
        level: usize,
    ) -> Result<Read, Stop> {
        let mut object = Object::new();
        self.attributes(definition, &mut object)?;
        self.content(definition, &mut object, level)?;
        // Attributes come first in XML; JSON has an extension's url where the definition has it, after inner extensions.
        if &*definition.name == "Extension"
            && object.contains("extension")
            && let Some(url) = object.remove("url")
        {
            let index = object.position("extension").map_or(0, |index| index + 1);
            object.insert_at(index, "url", url);
        }
        Ok(Read {
            value: Some(Value {
                at: tag.at,
                data: Data::Object(object),
            }),
            beside: None,
        })
    }

    fn primitive(
        &mut self,
        definition: &'d TypeDef,
        tag: Tag<'s>,
        level: usize,
    ) -> Result<Read, Stop> {
        let mut beside = Object::new();
        let value = self.attributes(definition, &mut beside)?;
        self.content(definition, &mut beside, level)?;
        if value.is_none() && beside.is_empty() {
            let problem = format!("`{}` is empty: expected a value or extensions", tag.local);
            self.issue(IssueCode::Structure, tag.at, problem)?;
        }
        Ok(Read {
            value: value.map(|(at, text)| Value {
                at,
                data: typed(&definition.name, &text),
            }),
            beside: (!beside.is_empty()).then(|| Value {
                at: tag.at,
                data: Data::Object(beside),
            }),
        })
    }

    /// `contained` and `resource`: an element around one resource.
    fn inner_resource(&mut self, tag: Tag<'s>, level: usize) -> Result<Read, Stop> {
        let mut found = None;
        let mut count = 0usize;
        for attribute in self.pull.attributes().to_vec() {
            let problem = format!("unknown attribute `{}`", shortened(attribute.local));
            self.issue(IssueCode::Structure, attribute.at, problem)?;
        }
        loop {
            match self.pull.next()? {
                Event::Start(inner) => {
                    count += 1;
                    found = self.resource(inner, level)?;
                }
                Event::End | Event::Done => break,
                Event::Aside => {}
                Event::Text { raw: text, at } | Event::CData { text, at } => {
                    self.stray_text(text, at)?;
                }
            }
        }
        if count != 1 {
            let problem = format!("`{}` holds {count} resources, expected one", tag.local);
            self.issue(IssueCode::Structure, tag.at, problem)?;
        }
        Ok(Read {
            value: found,
            beside: None,
        })
    }

    /// Between elements only white space may stand.
    fn stray_text(&mut self, text: &str, at: u32) -> Result<(), Stop> {
        if text.bytes().all(escape::is_space) {
            return Ok(());
        }
        let problem = format!("text `{}` outside of an attribute", shortened(text));
        self.issue(IssueCode::Structure, at, problem)
    }

    /// Passes over the element that was just opened.
    fn skip(&mut self) -> Result<(), Stop> {
        let mut open = 1usize;
        while open > 0 {
            match self.pull.next()? {
                Event::Start(_) => open += 1,
                Event::End => open -= 1,
                Event::Done => break,
                _ => {}
            }
        }
        Ok(())
    }
}

/// The last child that was read.
struct Latest<'d> {
    index: usize,
    name: &'d str,
}

fn is_attribute_of(definition: &TypeDef, name: &str) -> bool {
    definition
        .property(name)
        .is_some_and(|(element, _)| element.is_xml_attribute)
}

fn wrong_space(name: &str, uri: &str) -> String {
    format!(
        "`{}` is not in the namespace that was expected here, {uri}",
        shortened(name)
    )
}

/// Foreign text in a message: not more than a line of it.
fn shortened(text: &str) -> String {
    const CHARACTERS_MAX: usize = 60;
    let mut short: String = text.trim().chars().take(CHARACTERS_MAX).collect();
    if short.len() < text.trim().len() {
        short.push('…');
    }
    short
}

/// A value as JSON has it. Text that is no number where a number belongs stays text, for the validator to name.
fn typed(type_name: &str, text: &str) -> Data {
    match Primitive::named(type_name).map(Primitive::written) {
        Some(Written::Boolean) if text == "true" => Data::Bool(true),
        Some(Written::Boolean) if text == "false" => Data::Bool(false),
        Some(Written::Number) if Primitive::Decimal.accepts(text) => Data::Number(Text::new(text)),
        _ => Data::String(Text::new(text)),
    }
}
