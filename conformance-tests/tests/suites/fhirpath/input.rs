//! Reads the inputs of the suites, XML among them whose elements stand in no lawful order: Kiln's own reader refuses
//! those, but what a path finds does not depend on it.

use fhir_spec::definitions::{Definitions, Kind, TypeDef};
use fhir_spec::json::{self, Data, Object, Value};
use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;

pub(super) fn from_xml(text: &str) -> Value {
    let mut reader = Reader::from_str(text);
    loop {
        match reader.read_event().unwrap() {
            Event::Start(element) => {
                let element = element.into_owned();
                return resource(&mut reader, &element);
            }
            Event::Eof => panic!("no element"),
            _ => {}
        }
    }
}

fn named(name: &str) -> &'static TypeDef {
    Definitions::r4()
        .types()
        .named(name)
        .unwrap_or_else(|| panic!("{name}"))
}

fn resource(reader: &mut Reader<&[u8]>, element: &BytesStart<'_>) -> Value {
    let name = element.local_name().as_ref().to_owned();
    let mut object = Object::new();
    object.set("resourceType", name.as_str());
    children(reader, element, named(&name), &mut object);
    object.into()
}

/// Attributes and children up to the end of the element.
fn children(
    reader: &mut Reader<&[u8]>,
    element: &BytesStart<'_>,
    own: &TypeDef,
    object: &mut Object,
) {
    for attribute in element.attributes() {
        let attribute = attribute.unwrap();
        let name: &str = attribute.key.as_ref();
        if matches!(name, "id" | "url") {
            object.set(
                name,
                attribute
                    .normalized_value(XmlVersion::Implicit1_0)
                    .unwrap()
                    .into_owned(),
            );
        }
    }
    loop {
        match reader.read_event().unwrap() {
            Event::Start(child) => {
                let child = child.into_owned();
                add(reader, &child, false, own, object);
            }
            Event::Empty(child) => {
                let child = child.into_owned();
                add(reader, &child, true, own, object);
            }
            Event::End(_) | Event::Eof => return,
            _ => {}
        }
    }
}

fn add(
    reader: &mut Reader<&[u8]>,
    child: &BytesStart<'_>,
    is_empty: bool,
    own: &TypeDef,
    object: &mut Object,
) {
    let name = child.local_name().as_ref().to_owned();
    let (element, type_ref) = own
        .property(&name)
        .unwrap_or_else(|| panic!("{} has no {name}", own.name));
    let definition = Definitions::r4().types().get(type_ref.id);
    let (value, sibling) = if &*definition.name == "xhtml" {
        let text = reader.read_text(child.name()).unwrap();
        (
            Some(Value::from(format!(
                "<div xmlns=\"http://www.w3.org/1999/xhtml\">{}</div>",
                &*text
            ))),
            None,
        )
    } else if definition.kind == Kind::Resource {
        (Some(nested(reader)), None)
    } else {
        let mut inner = Object::new();
        let written = child.try_get_attribute("value").unwrap();
        let written = written.map(|written| {
            written
                .normalized_value(XmlVersion::Implicit1_0)
                .unwrap()
                .into_owned()
        });
        if is_empty {
            for attribute in child
                .attributes()
                .flatten()
                .filter(|attribute| attribute.key.as_ref() == "id")
            {
                inner.set("id", &*attribute.value);
            }
        } else {
            children(reader, child, definition, &mut inner);
        }
        if definition.kind == Kind::Primitive {
            let sibling = (!inner.is_empty()).then(|| Value::from(inner));
            (
                written.map(|written| primitive(&definition.name, written)),
                sibling,
            )
        } else {
            (Some(inner.into()), None)
        }
    };
    if !element.is_list() {
        for (name, value) in [(name.clone(), value), (format!("_{name}"), sibling)] {
            if let Some(value) = value {
                object.set(&name, value);
            }
        }
        return;
    }
    let count = push(object, &name, value);
    if let Some(sibling) = sibling {
        let name = format!("_{name}");
        let before = object
            .get(&name)
            .map_or(0, |items| items.as_array().unwrap().len());
        for _ in before + 1..count {
            push(object, &name, None);
        }
        push(object, &name, Some(sibling));
    }
}

/// Adds to a list and tells how long it is then.
fn push(object: &mut Object, name: &str, value: Option<Value>) -> usize {
    if object.get(name).is_none() {
        object.set(name, Vec::<Value>::new());
    }
    let items = object.get_mut(name).and_then(Value::as_array_mut).unwrap();
    items.push(value.unwrap_or_else(|| Data::Null.into()));
    items.len()
}

fn nested(reader: &mut Reader<&[u8]>) -> Value {
    let mut found = None;
    loop {
        match reader.read_event().unwrap() {
            Event::Start(element) => {
                let element = element.into_owned();
                found = Some(resource(reader, &element));
            }
            Event::End(_) | Event::Eof => return found.unwrap_or_else(|| Data::Null.into()),
            _ => {}
        }
    }
}

fn primitive(type_name: &str, written: String) -> Value {
    match type_name {
        "boolean" => Value::from(written == "true"),
        "integer" | "positiveInt" | "unsignedInt" | "decimal" => {
            json::parse(written.as_bytes()).unwrap_or_else(|_| written.into())
        }
        _ => written.into(),
    }
}
