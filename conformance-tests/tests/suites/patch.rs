//! JSON Patch, FHIRPath Patch and XML Patch cases. <https://hl7.org/fhir/R4/http.html#patch>

use fhir_spec::definitions::Definitions;
use fhir_spec::json::{self, Value};
use fhir_spec::{patch, xml};

use crate::material::folder;
use crate::results::Tally;

const SPACE: &str = "http://hl7.org/fhir";

#[test]
fn json_patch() {
    let Some(folder) = folder("fhir-patch") else {
        return;
    };
    let bytes = std::fs::read(folder.join("json-patch-tests.json")).unwrap();
    let cases = json::parse(&bytes).unwrap();
    let mut tally = Tally::new("fhir-patch: JSON Patch", &[]);
    for case in cases.as_array().unwrap() {
        let name = case.str_of("comment").unwrap_or_default();
        tally.count(name, json_patch_case(case));
    }
    tally.finish();
}

fn json_patch_case(case: &Value) -> Result<(), String> {
    let part = |name: &str| case.get(name).ok_or(format!("no {name}"));
    let outcome = patch::json::apply(part("doc")?, part("patch")?);
    match (outcome, case.get("expected")) {
        (Ok(patched), Some(expected)) => same(&patched, expected),
        (Ok(_), None) => Err("expected an error".to_owned()),
        (Err(_), None) => Ok(()),
        (Err(refused), Some(_)) => Err(refused.to_string()),
    }
}

/// Equality of JSON, where the order of members says nothing.
fn same(patched: &Value, expected: &Value) -> Result<(), String> {
    let test = format!("[{{\"op\":\"test\",\"path\":\"\",\"value\":{expected}}}]");
    let test = json::parse(test.as_bytes()).map_err(|error| error.to_string())?;
    patch::json::apply(patched, &test)
        .map(drop)
        .map_err(|_| format!("expected {expected}, found {patched}"))
}

#[test]
fn fhirpath_patch() {
    let Some(folder) = folder("fhir-patch") else {
        return;
    };
    let text = std::fs::read_to_string(folder.join("fhir-patch-tests.xml")).unwrap();
    let mut tally = Tally::new("fhir-patch: FHIRPath Patch", &[]);
    for (name, case) in cases(&text) {
        tally.count(name, fhirpath_patch_case(case));
    }
    tally.finish();
}

/// The name and the inside of every `<case>`.
fn cases(text: &str) -> Vec<(&str, &str)> {
    text.split("<case name=\"")
        .skip(1)
        .map(|rest| {
            let (name, rest) = rest.split_once('"').unwrap();
            let (_, inside) = rest.split_once('>').unwrap();
            (name, inside.split("</case>").next().unwrap())
        })
        .collect()
}

fn inside<'t>(text: &'t str, tag: &str) -> Option<&'t str> {
    let (_, rest) = text.split_once(&format!("<{tag}>"))?;
    Some(rest.split_once(&format!("</{tag}>"))?.0)
}

/// The resource in that part of the case; the namespace is declared around all of them, in the suite's root.
fn resource(case: &str, tag: &str) -> Result<Value, String> {
    let text = inside(case, tag).ok_or(format!("no {tag}"))?;
    let declared = text
        .trim()
        .replacen('>', &format!(" xmlns=\"{SPACE}\">"), 1);
    xml::read(declared.as_bytes(), Definitions::r4()).map_err(|issues| format!("{tag}: {issues:?}"))
}

fn fhirpath_patch_case(case: &str) -> Result<(), String> {
    let types = Definitions::r4().types();
    let (input, diff) = (resource(case, "input")?, resource(case, "diff")?);
    let expected = resource(case, "output")?;
    let patched =
        patch::fhirpath::apply(&input, &diff, types).map_err(|error| error.to_string())?;
    same(&patched, &expected)?;
    // The same patch as a JSON body.
    let diff = json::parse(diff.to_string().as_bytes()).map_err(|error| error.to_string())?;
    let patched =
        patch::fhirpath::apply(&input, &diff, types).map_err(|error| error.to_string())?;
    same(&patched, &expected)
}

#[test]
fn xml_patch() {
    let Some(folder) = folder("fhir-patch") else {
        return;
    };
    let text = std::fs::read_to_string(folder.join("xml-patch-tests.xml")).unwrap();
    let mut tally = Tally::new(
        "fhir-patch: XML Patch",
        &[(
            "A.9.  Replacing a Comment Node",
            "the comments were lost from target, patch and result; a selector that finds nothing is an error",
        )],
    );
    for (name, case) in cases(&text) {
        tally.count(name, xml_patch_case(case));
    }
    tally.finish();
}

const DECLARED: &str = "xmlns=\"http://hl7.org/fhir\" xmlns:f=\"http://hl7.org/fhir\" xmlns:html=\"http://www.w3.org/1999/xhtml\"";

fn xml_patch_case(case: &str) -> Result<(), String> {
    let part = |tag: &str| inside(case, tag).ok_or(format!("no {tag}"));
    let document = |tag: &str| {
        part(tag).map(|text| text.trim().replacen("<doc", &format!("<doc {DECLARED}"), 1))
    };
    let changes = format!("<patch {DECLARED}>{}</patch>", part("patch")?);
    let outcome = patch::xml::apply(&document("target")?, &changes);
    match (outcome, document("patched")) {
        (Ok(patched), Ok(expected)) if plain(&patched) == plain(&expected) => Ok(()),
        (Ok(patched), Ok(expected)) => Err(format!(
            "expected {}, found {}",
            plain(&expected),
            plain(&patched)
        )),
        (Ok(_), Err(_)) => Err("expected an error".to_owned()),
        (Err(_), Err(_)) => Ok(()),
        (Err(refused), Ok(_)) => Err(refused.to_string()),
    }
}

/// XML without declarations of namespaces and without white space between tags, empty elements written one way.
fn plain(text: &str) -> String {
    let empty_patch = format!("<patch {DECLARED}/>");
    let text = patch::xml::apply(text, &empty_patch).unwrap();
    let mut parts = text.split(" xmlns");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        plain.push_str(part.splitn(3, '"').nth(2).unwrap_or_default());
    }
    let trimmed: Vec<&str> = plain.split('>').map(str::trim).collect();
    let joined = trimmed.join(">");
    joined
        .split('<')
        .map(str::trim)
        .collect::<Vec<_>>()
        .join("<")
        .replace("<doc></doc>", "<doc/>")
}
