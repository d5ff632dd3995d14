//! Real documents of others: all are converted, what comes out is R4, and the same document twice says the same.

use std::collections::{BTreeMap, HashSet};

use fhir_spec::json::Value;

use crate::harness::{Output, convert, document, errors, files};

/// Converts a file, wrapped when it is a fragment, and holds what comes out against R4.
fn check(folder: &str, name: &str, bytes: &[u8], wrong: &mut Vec<String>) -> Option<Output> {
    let text = String::from_utf8_lossy(bytes);
    let is_fragment = !text.contains("<ClinicalDocument");
    let made = if is_fragment {
        convert(document(&text).as_bytes())
    } else {
        convert(bytes)
    };
    let made = match made {
        Ok(made) => made,
        Err(refused) => {
            wrong.push(format!("{folder}/{name}: refused, {refused}"));
            return None;
        }
    };
    for error in errors(&made.bundle) {
        wrong.push(format!("{folder}/{name}: {error}"));
    }
    // A link within the bundle leads somewhere.
    let urls: HashSet<&str> = made
        .bundle
        .items_of("entry")
        .iter()
        .filter_map(|entry| entry.str_of("fullUrl"))
        .collect();
    dangling(&made.bundle, &urls, &mut |reference| {
        wrong.push(format!("{folder}/{name}: {reference} leads nowhere"));
    });
    // Some examples show the place of their entries alone.
    let kinds = if text.contains("<ClinicalDocument") && !text.contains("patientRole") {
        1
    } else {
        0
    };
    for kind in &["Patient", "Composition", "DocumentReference", "Binary"][kinds..] {
        if made.of_type(kind).is_empty() {
            wrong.push(format!("{folder}/{name}: no {kind}"));
        }
    }
    Some(made)
}

fn dangling(value: &Value, urls: &HashSet<&str>, tell: &mut dyn FnMut(&str)) {
    if let Some(items) = value.as_array() {
        items.iter().for_each(|item| dangling(item, urls, tell));
    }
    if let Some(object) = value.as_object() {
        for (name, value) in object.iter() {
            match value.as_str() {
                Some(text)
                    if name == "reference"
                        && text.starts_with("urn:uuid:")
                        && !urls.contains(text) =>
                {
                    tell(text);
                }
                Some(_) => {}
                None => dangling(value, urls, tell),
            }
        }
    }
}

fn suite(folder: &str, at_least: usize) {
    let all = files(folder);
    let (mut wrong, mut count, mut kinds, mut lost, mut leaves) =
        (Vec::new(), 0, BTreeMap::new(), 0usize, 0usize);
    for (name, bytes) in &all {
        if !name.ends_with(".xml") {
            continue;
        }
        if let Some(made) = check(folder, name, bytes, &mut wrong) {
            count += 1;
            for resource in made.resources() {
                *kinds
                    .entry(resource.str_of("resourceType").unwrap_or("?").to_owned())
                    .or_insert(0usize) += 1;
            }
            lost += made
                .issues
                .iter()
                .filter(|issue| issue.diagnostics.contains("no row takes it"))
                .count();
            leaves += String::from_utf8_lossy(bytes).matches("=\"").count();
        }
    }
    println!(
        "{folder}: {count} documents, {kinds:?}, {lost} values not carried of about {leaves} attributes"
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(all.is_empty() || count >= at_least, "{count}");
}

#[test]
fn documents_of_many_vendors() {
    suite("ccda-documents", 71);
}

#[test]
fn approved_examples() {
    suite("ccda-examples-hl7", 86);
}

#[test]
fn fragments() {
    suite("ccda-fragments", 79);
}

#[test]
fn certification_documents() {
    suite("ccda-onc/positive", 18);
}

#[test]
fn the_inputs_of_other_converters() {
    suite("ccda-to-fhir", 28);
}
