//! The suite of FHIR itself: XML, one `<test>` a case. <https://github.com/FHIR/fhir-test-cases>

use std::collections::HashMap;
use std::path::Path;

use fhir_spec::definitions::{Definitions, Types};
use fhir_spec::fhirpath::{Collection, Context, Expression, Item};
use fhir_spec::json::{Data, Value};
use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;

use super::explained::OFFICIAL;
use super::{document, now};
use crate::material::folder;
use crate::results::Tally;

#[derive(Default, Debug)]
struct Case {
    group: String,
    name: String,
    input: Option<String>,
    is_predicate: bool,
    is_ordered: bool,
    /// `syntax`, `semantic` or `execution`: an error is wanted.
    invalid: Option<String>,
    /// Functions that depend on order are mistakes where there is none.
    checks_order: bool,
    expression: String,
    outputs: Vec<(Option<String>, String)>,
}

fn attribute(element: &BytesStart<'_>, name: &str) -> Option<String> {
    let attribute = element.try_get_attribute(name).unwrap()?;
    Some(
        attribute
            .normalized_value(XmlVersion::Implicit1_0)
            .unwrap()
            .into_owned(),
    )
}

fn cases(text: &str) -> Vec<Case> {
    let mut reader = Reader::from_str(text);
    let (mut cases, mut group, mut case, mut in_text) =
        (Vec::new(), String::new(), Case::default(), "");
    loop {
        match reader.read_event().unwrap() {
            Event::Eof => return cases,
            Event::Start(element) => match element.name().as_ref() {
                "group" => group = attribute(&element, "name").unwrap_or_default(),
                "test" => {
                    case = Case {
                        group: group.clone(),
                        name: attribute(&element, "name").unwrap_or_default(),
                        input: attribute(&element, "inputfile"),
                        is_predicate: attribute(&element, "predicate").as_deref() == Some("true"),
                        is_ordered: attribute(&element, "ordered").as_deref() != Some("false"),
                        invalid: attribute(&element, "invalid"),
                        checks_order: attribute(&element, "checkOrderedFunctions").as_deref()
                            == Some("true"),
                        ..Case::default()
                    };
                }
                "expression" => {
                    in_text = "expression";
                    case.invalid = attribute(&element, "invalid").or(case.invalid.take());
                }
                "output" => {
                    in_text = "output";
                    case.outputs
                        .push((attribute(&element, "type"), String::new()));
                }
                _ => {}
            },
            Event::Text(text) => append(&mut case, in_text, &text),
            Event::GeneralRef(reference) => {
                let name: &str = &reference;
                let resolved = reference.resolve_char_ref().unwrap().map(String::from);
                let resolved = resolved
                    .or_else(|| quick_xml::escape::resolve_xml_entity(name).map(str::to_owned));
                append(&mut case, in_text, &resolved.unwrap());
            }
            Event::End(element) => match element.name().as_ref() {
                "test" => cases.push(std::mem::take(&mut case)),
                "expression" | "output" => in_text = "",
                _ => {}
            },
            _ => {}
        }
    }
}

fn append(case: &mut Case, in_text: &str, text: &str) {
    match in_text {
        "expression" => case.expression.push_str(text),
        "output" => {
            if let Some((_, output)) = case.outputs.last_mut() {
                output.push_str(text);
            }
        }
        _ => {}
    }
}

fn run(case: &Case, document: &Value, types: &Types) -> Result<(), String> {
    let context = Context::new(types, document).at(now());
    let evaluated = Expression::parse(&case.expression).and_then(|expression| {
        let type_id = context.resource().type_id();
        if case.input.is_some()
            && let Some(type_id) = type_id
        {
            expression.check(types, type_id, case.checks_order)?;
        }
        expression.evaluate(&context)
    });
    let items = match (evaluated, &case.invalid) {
        (Err(_), Some(_)) => return Ok(()),
        (Err(error), None) => return Err(format!("{}: {error}", case.expression)),
        (Ok(items), Some(kind)) => {
            return Err(format!(
                "{}: expected a {kind} error, found {}",
                case.expression,
                shown(&items, types)
            ));
        }
        (Ok(items), None) => items,
    };
    let items = if case.is_predicate {
        vec![Item::Boolean(!items.is_empty())]
    } else {
        items
    };
    let matches = items.len() == case.outputs.len()
        && if case.is_ordered {
            items
                .iter()
                .zip(&case.outputs)
                .all(|(item, output)| is_meant(item, output, types))
        } else {
            case.outputs
                .iter()
                .all(|output| items.iter().any(|item| is_meant(item, output, types)))
        };
    if matches {
        return Ok(());
    }
    Err(format!(
        "{}: expected {:?}, found {}",
        case.expression,
        case.outputs,
        shown(&items, types)
    ))
}

fn shown(items: &Collection<'_>, types: &Types) -> String {
    let shown: Vec<String> = items
        .iter()
        .map(|item| format!("{} {}", type_name(item, types), text(item)))
        .collect();
    format!("[{}]", shown.join(", "))
}

fn text(item: &Item<'_>) -> String {
    match item {
        Item::Node(node) => match node.value().map(|value| &value.data) {
            Some(Data::String(text)) => text.to_string(),
            _ => item.to_json().to_string(),
        },
        _ => item.text().unwrap_or_default(),
    }
}

fn type_name(item: &Item<'_>, types: &Types) -> String {
    match item {
        Item::Node(node) => node
            .type_id()
            .map_or_else(String::new, |id| types.get(id).name.to_string()),
        Item::Boolean(_) => "boolean".to_owned(),
        Item::Integer(_) | Item::Long(_) => "integer".to_owned(),
        Item::Decimal(_) => "decimal".to_owned(),
        Item::String(_) => "string".to_owned(),
        Item::Date(_) => "date".to_owned(),
        Item::DateTime(_) => "dateTime".to_owned(),
        Item::Time(_) => "time".to_owned(),
        Item::Quantity(_) => "Quantity".to_owned(),
        Item::Type(_) => "TypeInfo".to_owned(),
    }
}

fn is_meant(
    item: &Item<'_>,
    (wanted_type, wanted): &(Option<String>, String),
    types: &Types,
) -> bool {
    let wanted = wanted.strip_prefix('@').unwrap_or(wanted);
    let wanted = wanted
        .strip_prefix('T')
        .filter(|_| matches!(item, Item::Time(_)))
        .unwrap_or(wanted);
    let is_typed = wanted_type
        .as_ref()
        .is_none_or(|wanted_type| *wanted_type == type_name(item, types));
    let is_zero = |text: &str| text.bytes().all(|byte| matches!(byte, b'-' | b'0' | b'.'));
    let found = text(item);
    // Zero has no sign here.
    is_typed
        && (found == wanted
            || is_zero(wanted) && is_zero(&found) && wanted.trim_start_matches('-') == found)
}

#[test]
fn official_suite() {
    let Some(folder) = folder("fhirpath") else {
        return;
    };
    let types = Definitions::r4().types();
    let nothing = Value::from(fhir_spec::json::Object::new());
    let mut documents: HashMap<String, Value> = HashMap::new();
    let mut tally = Tally::new("fhirpath: official suite", OFFICIAL);
    let mut runs = |path: &Path| {
        let text = std::fs::read_to_string(path).unwrap();
        for case in cases(&text) {
            let input = match &case.input {
                None => &nothing,
                Some(name) => documents
                    .entry(name.clone())
                    .or_insert_with(|| document(&folder.join("input").join(name))),
            };
            tally.count(
                &format!("{}/{}", case.group, case.name),
                run(&case, input, types),
            );
        }
    };
    runs(&folder.join("tests-fhir-r4.shared.xml"));
    tally.finish();
}
