//! Tree to XML, led by the type graph: it gives the order of elements, which the tree does not have to keep.

use super::escape;
use super::path::{Step, expression};
use super::pull::{FHIR, Pull, Space};
use crate::definitions::{Definitions, Element, Kind, TypeDef, Types};
use crate::json::{DEPTH_MAX, Data, Object, Value};
use crate::outcome::{Issue, IssueCode};
use crate::primitive::Primitive;

/// Writes a resource as compact XML. What XML cannot say (unknown properties, control characters, a narrative that is not
/// well-formed) is an error that names the place.
pub fn write(resource: &Value, definitions: &Definitions) -> Result<String, Issue> {
    Writer::new(definitions, false).document(resource)
}

/// XML for people: two spaces a level.
pub fn write_pretty(resource: &Value, definitions: &Definitions) -> Result<String, Issue> {
    let mut xml = Writer::new(definitions, true).document(resource)?;
    xml.push('\n');
    Ok(xml)
}

struct Writer<'a> {
    types: &'a Types,
    is_pretty: bool,
    out: String,
    steps: Vec<Step<'a>>,
    /// How many elements are open.
    depth: usize,
}

/// A property of the object that is being written, with what stands beside it (`_birthDate`).
struct Member<'a> {
    index: usize,
    element: &'a Element,
    definition: &'a TypeDef,
    name: &'a str,
    value: Option<&'a Value>,
    beside: Option<&'a Value>,
}

impl<'a> Writer<'a> {
    fn new(definitions: &'a Definitions, is_pretty: bool) -> Self {
        Self {
            types: definitions.types(),
            is_pretty,
            out: String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>"),
            steps: Vec::new(),
            depth: 0,
        }
    }

    fn document(mut self, resource: &'a Value) -> Result<String, Issue> {
        self.resource(resource)?;
        Ok(self.out)
    }

    fn refuse<T>(&self, problem: impl Into<String>) -> Result<T, Issue> {
        let issue = Issue::error(IssueCode::Structure, problem);
        let path = expression(&self.steps);
        Err(if path.is_empty() {
            issue
        } else {
            issue.at(path)
        })
    }

    fn new_line(&mut self) {
        if self.is_pretty {
            self.out.push('\n');
            self.out.extend(std::iter::repeat_n("  ", self.depth));
        }
    }

    fn resource(&mut self, resource: &'a Value) -> Result<(), Issue> {
        let Some(object) = resource.as_object() else {
            return self.refuse(format!("expected a resource, found {}", resource.kind()));
        };
        let definition = resource
            .str_of("resourceType")
            .and_then(|name| self.types.named(name))
            .filter(|definition| definition.kind == Kind::Resource && !definition.is_abstract);
        let Some(definition) = definition else {
            return self.refuse("expected `resourceType` to name a resource type of R4");
        };
        let is_root = self.steps.is_empty();
        let name = &*definition.name;
        if is_root {
            self.steps.push(Step { name, index: None });
        }
        let space = if is_root { FHIR } else { "" };
        self.object(name, object, definition, space)
    }

    /// An element with everything in it; `space` is the namespace that it declares.
    fn object(
        &mut self,
        name: &str,
        object: &'a Object,
        definition: &'a TypeDef,
        space: &str,
    ) -> Result<(), Issue> {
        if self.depth >= DEPTH_MAX {
            return self.refuse(format!("nested deeper than {DEPTH_MAX} levels"));
        }
        let members = self.members(object, definition)?;
        self.new_line();
        self.out.push('<');
        self.out.push_str(name);
        if !space.is_empty() {
            self.attribute("xmlns", space)?;
        }
        self.inside(name, &members)
    }

    /// The attributes among the members, then the others as elements, then the end tag.
    fn inside(&mut self, name: &str, members: &[Member<'a>]) -> Result<(), Issue> {
        let mut is_empty = true;
        for member in members {
            if !member.element.is_xml_attribute {
                is_empty = false;
                continue;
            }
            if member.beside.is_some() {
                return self.refuse(format!(
                    "`_{}`: an XML attribute has no extensions",
                    member.name
                ));
            }
            if let Some(text) = member.value.and_then(Value::as_str) {
                self.attribute(member.name, text)?;
            }
        }
        if is_empty {
            self.out.push_str("/>");
            return Ok(());
        }
        self.out.push('>');
        self.depth += 1;
        for member in members
            .iter()
            .filter(|member| !member.element.is_xml_attribute)
        {
            self.member(member)?;
        }
        self.depth -= 1;
        self.new_line();
        self.out.push_str("</");
        self.out.push_str(name);
        self.out.push('>');
        Ok(())
    }

    /// The properties of an object in the order of the definition.
    fn members(
        &mut self,
        object: &'a Object,
        definition: &'a TypeDef,
    ) -> Result<Vec<Member<'a>>, Issue> {
        let mut members: Vec<Member<'a>> = Vec::with_capacity(object.len());
        for (json_name, value) in object.iter() {
            if json_name == "resourceType" && definition.kind == Kind::Resource {
                continue;
            }
            let name = json_name.strip_prefix('_').unwrap_or(json_name);
            let is_beside = name.len() != json_name.len();
            let known = definition.ordered_property(name).filter(|(_, _, kind)| {
                !is_beside || self.types.get(kind.id).kind == Kind::Primitive
            });
            let Some((index, element, kind)) = known else {
                return self.refuse(format!(
                    "unknown property `{json_name}` in {}",
                    definition.name
                ));
            };
            let (value, beside) = if is_beside {
                (
                    object.get(name).filter(|value| !value.is_null()),
                    Some(value),
                )
            } else {
                (Some(value), None)
            };
            if is_beside && value.is_some() {
                // It is written together with its value; that member finds it.
                continue;
            }
            members.push(Member {
                index,
                element,
                definition: self.types.get(kind.id),
                name,
                value: value.filter(|value| !value.is_null()),
                beside,
            });
        }
        for member in &mut members {
            if member.definition.kind == Kind::Primitive && member.value.is_some() {
                member.beside = object.get(&compact_str::format_compact!("_{}", member.name));
            }
        }
        members.sort_by_key(|member| member.index);
        Ok(members)
    }

    fn member(&mut self, member: &Member<'a>) -> Result<(), Issue> {
        let name = &*member.element.name;
        self.steps.push(Step { name, index: None });
        if !member.element.is_list() {
            self.item(member, member.value, member.beside)?;
            self.steps.pop();
            return Ok(());
        }
        let values = self.list(member.value)?;
        let besides = self.list(member.beside)?;
        self.steps.pop();
        for index in 0..values.len().max(besides.len()) {
            let item = |list: &'a [Value]| list.get(index).filter(|item| !item.is_null());
            self.steps.push(Step {
                name,
                index: Some(index),
            });
            self.item(member, item(values), item(besides))?;
            self.steps.pop();
        }
        Ok(())
    }

    fn list(&self, value: Option<&'a Value>) -> Result<&'a [Value], Issue> {
        match value.map(|value| (value, value.as_array())) {
            None => Ok(&[]),
            Some((_, Some(items))) => Ok(items),
            Some((value, None)) => {
                self.refuse(format!("expected an array, found {}", value.kind()))
            }
        }
    }

    fn item(
        &mut self,
        member: &Member<'a>,
        value: Option<&'a Value>,
        beside: Option<&'a Value>,
    ) -> Result<(), Issue> {
        match (member.definition.kind, value) {
            (Kind::Primitive, _) => self.primitive(member, value, beside),
            (_, None) => Ok(()),
            (Kind::Resource, Some(resource)) => {
                self.new_line();
                self.open_tag(member.name);
                self.depth += 1;
                self.resource(resource)?;
                self.depth -= 1;
                self.new_line();
                self.close_tag(member.name);
                Ok(())
            }
            (_, Some(value)) => match value.as_object() {
                Some(object) => self.object(member.name, object, member.definition, ""),
                None => self.refuse(format!("expected an object, found {}", value.kind())),
            },
        }
    }

    fn open_tag(&mut self, name: &str) {
        self.out.push('<');
        self.out.push_str(name);
        self.out.push('>');
    }

    fn close_tag(&mut self, name: &str) {
        self.out.push_str("</");
        self.out.push_str(name);
        self.out.push('>');
    }

    fn primitive(
        &mut self,
        member: &Member<'a>,
        value: Option<&'a Value>,
        beside: Option<&'a Value>,
    ) -> Result<(), Issue> {
        let text = match value.map(|value| &value.data) {
            None | Some(Data::Null) => None,
            Some(Data::Bool(true)) => Some("true"),
            Some(Data::Bool(false)) => Some("false"),
            Some(Data::Number(text) | Data::String(text)) => Some(text.as_str()),
            Some(Data::Array(_)) => return self.refuse("expected a single value, found an array"),
            Some(Data::Object(_)) => return self.refuse("expected a value, found an object"),
        };
        if Primitive::named(&member.definition.name) == Some(Primitive::Xhtml) {
            if beside.is_some() {
                return self.refuse("a narrative has no extensions");
            }
            return self.div(text.unwrap_or_default());
        }
        let members = match beside.map(|beside| (beside, beside.as_object())) {
            None => Vec::new(),
            Some((_, Some(object))) => self.members(object, member.definition)?,
            Some((beside, None)) => {
                let problem = format!(
                    "`_{}`: expected an object, found {}",
                    member.name,
                    beside.kind()
                );
                return self.refuse(problem);
            }
        };
        if text.is_none() && members.is_empty() {
            return Ok(());
        }
        self.new_line();
        self.out.push('<');
        self.out.push_str(member.name);
        if let Some(text) = text {
            self.attribute("value", text)?;
        }
        self.inside(member.name, &members)
    }

    fn attribute(&mut self, name: &str, text: &str) -> Result<(), Issue> {
        if let Some((_, character)) = escape::forbidden_character(text) {
            return self.refuse(format!(
                "the character U+{:04X} cannot be written in XML",
                u32::from(character)
            ));
        }
        self.out.push(' ');
        self.out.push_str(name);
        self.out.push_str("=\"");
        escape::push_attribute(text, &mut self.out);
        self.out.push('"');
        Ok(())
    }

    /// The narrative goes out as it is; a broken one would break the whole document.
    fn div(&mut self, text: &str) -> Result<(), Issue> {
        if let Err(problem) = stands_as_div(text) {
            return self.refuse(format!("the narrative cannot be written in XML: {problem}"));
        }
        self.new_line();
        self.out.push_str(text.trim());
        Ok(())
    }
}

/// Whether a text is one well-formed `div` in the namespace of XHTML, with nothing around it.
fn stands_as_div(text: &str) -> Result<(), String> {
    use super::pull::Event;
    let mut pull = Pull::new(text).map_err(|broken| broken.problem)?;
    if !text.trim_start().starts_with('<') || text.starts_with("<?") {
        return Err("expected a div".to_owned());
    }
    let mut has_div = false;
    loop {
        match pull.next().map_err(|broken| broken.problem)? {
            Event::Start(tag) if !has_div => {
                has_div = tag.local == "div" && tag.space == Space::Xhtml;
                if !has_div {
                    return Err("expected a div in the namespace of XHTML".to_owned());
                }
            }
            Event::Done => return Ok(()),
            _ => {}
        }
    }
}
