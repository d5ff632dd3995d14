//! The official examples of R4, there and back in both notations. <https://hl7.org/fhir/R4/formats.html>

use fhir_spec::definitions::Definitions;
use fhir_spec::json::{self, Value};
use fhir_spec::narrative;
use fhir_spec::xml;

use crate::material::{files, folder, unpacked};
use crate::results::Tally;

fn examples() -> Option<Vec<(String, Vec<u8>)>> {
    let folder = folder("fhir-r4-examples")?;
    let mut examples = unpacked(&folder.join("official-r4-examples-json.tar.zst"));
    examples.extend(files(&folder.join("loose"), ".json"));
    assert!(!examples.is_empty());
    Some(examples)
}

fn tree(bytes: &[u8]) -> Result<Value, String> {
    json::parse(bytes).map_err(|malformed| malformed.to_string())
}

fn told(issues: &[fhir_spec::Issue]) -> String {
    issues
        .iter()
        .map(|issue| {
            let path = issue.expression.as_deref().unwrap_or_default();
            format!("[{:?} {path}: {}]", issue.place, issue.diagnostics)
        })
        .collect()
}

/// JSON without the white space between its tokens.
fn minified(text: &str) -> String {
    let mut in_string = false;
    let mut is_escaped = false;
    text.chars()
        .filter(|character| {
            if in_string {
                in_string = is_escaped || *character != '"';
                is_escaped = !is_escaped && *character == '\\';
                return true;
            }
            in_string = *character == '"';
            !character.is_ascii_whitespace()
        })
        .collect()
}

fn json_to_json(bytes: &[u8]) -> Result<(), String> {
    let source = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    let (before, after) = (minified(source), tree(bytes)?.to_string());
    let differs = before.bytes().zip(after.bytes()).position(|(a, b)| a != b);
    match differs {
        None if before.len() == after.len() => Ok(()),
        at => {
            let at = at.unwrap_or_default();
            let around = |text: &str| {
                text.chars()
                    .skip(at.saturating_sub(20))
                    .take(60)
                    .collect::<String>()
            };
            Err(format!("{} / {}", around(&before), around(&after)))
        }
    }
}

fn json_to_xml_to_json(bytes: &[u8], definitions: &Definitions) -> Result<(), String> {
    let before = tree(bytes)?;
    let text = xml::write(&before, definitions).map_err(|issue| told(&[issue]))?;
    let after = xml::read(text.as_bytes(), definitions).map_err(|issues| told(&issues))?;
    // XML has the order of the definitions; in JSON the order of members says nothing (a few examples are alphabetical).
    if let Some(difference) = difference("", &before, &after) {
        return Err(difference);
    }
    let pretty = xml::write_pretty(&before, definitions).map_err(|issue| told(&[issue]))?;
    let from_pretty = xml::read(pretty.as_bytes(), definitions).map_err(|issues| told(&issues))?;
    if from_pretty != after {
        return Err("pretty XML reads differently".to_owned());
    }
    let again = xml::write(&after, definitions).map_err(|issue| told(&[issue]))?;
    if again != text {
        return Err("XML -> JSON -> XML differs".to_owned());
    }
    Ok(())
}

/// The first place where two documents differ, order of members aside.
fn difference(path: &str, before: &Value, after: &Value) -> Option<String> {
    if let (Some(before), Some(after)) = (before.as_object(), after.as_object()) {
        let names = before.names().chain(after.names());
        return names
            .map(|name| (format!("{path}.{name}"), before.get(name), after.get(name)))
            .find_map(|(path, before, after)| match (before, after) {
                (Some(before), Some(after)) => difference(&path, before, after),
                _ => Some(format!("{path}: before {before:?}, after {after:?}")),
            });
    }
    if let (Some(before), Some(after)) = (before.as_array(), after.as_array())
        && before.len() == after.len()
    {
        return before
            .iter()
            .zip(after)
            .enumerate()
            .find_map(|(index, (before, after))| {
                difference(&format!("{path}[{index}]"), before, after)
            });
    }
    (before != after).then(|| format!("{path}: before {before:?}, after {after:?}"))
}

#[test]
fn json_is_written_as_it_was_read() {
    let Some(examples) = examples() else { return };
    let mut tally = Tally::new("fhir-r4-examples: JSON -> JSON", &[]);
    for (name, bytes) in &examples {
        tally.count(name, json_to_json(bytes));
    }
    tally.finish();
}

#[test]
fn json_survives_xml() {
    let Some(examples) = examples() else { return };
    let mut tally = Tally::new("fhir-r4-examples: JSON -> XML -> JSON", &[]);
    for (name, bytes) in &examples {
        tally.count(name, json_to_xml_to_json(bytes, Definitions::r4()));
    }
    tally.finish();
}

/// The twin of an XML example is the JSON example with its type and id.
#[test]
fn xml_says_what_json_says() {
    let Some(folder) = folder("fhir-r4-examples") else {
        return;
    };
    let examples = examples().unwrap_or_default();
    let mut tally = Tally::new(
        "fhir-r4-examples: XML -> JSON -> XML",
        &[(
            "observation-decimal.xml",
            "the two files of the origin write the same number differently, 1.0e0 in XML and 1.0 in JSON; both keep their digits",
        )],
    );
    for (name, bytes) in files(&folder.join("xml"), ".xml") {
        tally.count(&name, xml_and_twin(&bytes, &examples));
    }
    tally.finish();
}

fn xml_and_twin(bytes: &[u8], examples: &[(String, Vec<u8>)]) -> Result<(), String> {
    let definitions = Definitions::r4();
    let read = xml::read(bytes, definitions).map_err(|issues| told(&issues))?;
    let text = xml::write(&read, definitions).map_err(|issue| told(&[issue]))?;
    let again = xml::read(text.as_bytes(), definitions).map_err(|issues| told(&issues))?;
    if read != again {
        return Err("XML -> JSON -> XML differs".to_owned());
    }
    let id = |value: &Value| {
        let text = |name| value.str_of(name).unwrap_or_default().to_owned();
        format!("{}-{}.json", text("resourceType"), text("id"))
    };
    let twin_name = id(&read);
    let twin = examples.iter().find(|(name, _)| name.ends_with(&twin_name));
    match twin {
        None => {
            println!("{twin_name}: no twin in JSON");
            Ok(())
        }
        Some((_, bytes)) => match difference("", &tree(bytes)?, &read) {
            None => Ok(()),
            Some(difference) => Err(format!("differs from {twin_name}: {difference}")),
        },
    }
}

/// Every narrative of the examples is allowed, and stays byte for byte when it is made safe.
#[test]
fn narratives_are_left_alone() {
    let Some(examples) = examples() else { return };
    let mut tally = Tally::new(
        "fhir-r4-examples: narratives",
        &[(
            "ActivityDefinition-heart-valve-replacement.json 0",
            "its div has nothing but white space, which txt-2 forbids",
        )],
    );
    for (name, bytes) in &examples {
        let mut divs = Vec::new();
        collect_divs(&tree(bytes).unwrap(), &mut divs);
        for (index, div) in divs.iter().enumerate() {
            tally.count(&format!("{name} {index}"), narrative_is_good(div));
        }
    }
    tally.finish();
}

fn collect_divs(value: &Value, divs: &mut Vec<String>) {
    for item in value.as_array().unwrap_or_default() {
        collect_divs(item, divs);
    }
    for (name, member) in value.as_object().into_iter().flat_map(json::Object::iter) {
        match member.as_str() {
            Some(text) if name == "div" => divs.push(text.to_owned()),
            _ => collect_divs(member, divs),
        }
    }
}

fn narrative_is_good(div: &str) -> Result<(), String> {
    if let Some(problem) = narrative::check(div).first() {
        return Err(problem.message.clone());
    }
    let safe = narrative::sanitise(div);
    if !narrative::check(&safe).is_empty() {
        return Err("the sanitised narrative is not allowed".to_owned());
    }
    let differs = safe.bytes().zip(div.bytes()).position(|(a, b)| a != b);
    let is_rewritten = ["/>", "<!--", "&#"].iter().any(|part| div.contains(part));
    match differs {
        Some(at) if !is_rewritten => Err(format!("changed at {at}")),
        _ => Ok(()),
    }
}

/// Examples with bytes knocked out of place: refused or read, never a panic, and what is read is written again.
#[test]
fn damaged_examples_are_refused_or_read() {
    const EVERY: usize = 15;
    const ROUNDS: usize = 4;
    let Some(examples) = examples() else { return };
    let definitions = Definitions::r4();
    let mut random = 0x2545_F491_4F6C_DD1D_u64;
    let mut below = |bound: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        usize::try_from(random % u64::try_from(bound).unwrap()).unwrap()
    };
    let (mut read, mut refused) = (0, 0);
    for (_, bytes) in examples.iter().step_by(EVERY) {
        let document = tree(bytes).unwrap();
        let text = xml::write(&document, definitions).unwrap();
        for _ in 0..ROUNDS {
            let mut damaged = text.clone().into_bytes();
            let (from, to) = (below(damaged.len()), below(damaged.len()));
            let (length, piece) = (below(8), below(40));
            let piece = damaged.get(from..from + piece).unwrap_or_default().to_vec();
            let end = (to + length).min(damaged.len());
            damaged.splice(to..end, piece);
            match xml::read(&damaged, definitions) {
                Ok(document) => {
                    let text = xml::write(&document, definitions).unwrap();
                    let again = xml::read(text.as_bytes(), definitions);
                    assert_eq!(again.as_ref(), Ok(&document));
                    read += 1;
                }
                Err(issues) => {
                    assert!(
                        issues.iter().all(|issue| issue.place.is_some()),
                        "{issues:?}"
                    );
                    refused += 1;
                }
            }
        }
    }
    println!("damaged examples: {read} read, {refused} refused");
    assert!(read > 0 && refused > 0);
}
