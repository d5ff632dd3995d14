//! The official examples, each with parts put where they do not belong, dropped, doubled or renamed: the validator tells
//! what it finds, and never more than its cap.

use fhir_spec::json::{self, Data, Value};
use fhir_spec::validate::{ISSUES_MAX, Request, Validator};

use crate::material::{folder, unpacked};

/// Variants of every example.
const VARIANTS: u64 = 3;
/// Larger examples are left out: there are enough small ones.
const BYTES_MAX: usize = 20_000;

#[test]
fn mutated_examples() {
    let Some(folder) = folder("fhir-r4-examples") else {
        return;
    };
    let mut seed = 0x9E37_79B9_7F4A_7C15_u64;
    let mut roll = move |sides: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        usize::try_from(seed % u64::try_from(sides.max(1)).unwrap()).unwrap()
    };
    for (name, bytes) in unpacked(&folder.join("official-r4-examples-json.tar.zst")) {
        if bytes.len() > BYTES_MAX {
            continue;
        }
        let example = json::parse(&bytes).unwrap();
        let count = size(&example);
        for _ in 0..VARIANTS {
            let mut variant = example.clone();
            for _ in 0..=roll(3) {
                let mut scrap = &Value::from(Data::Null);
                let mut at = roll(count);
                find(&example, &mut at, &mut scrap);
                let kind = roll(4);
                change(&mut variant, &mut roll(count), kind, scrap);
            }
            let issues = Validator::r4().validate(&variant, &Request::default());
            assert!(issues.len() <= ISSUES_MAX + 1, "{name}");
        }
    }
}

/// How many values a document has, itself included.
fn size(value: &Value) -> usize {
    1 + match &value.data {
        Data::Array(items) => items.iter().map(size).sum(),
        Data::Object(object) => object.iter().map(|(_, inner)| size(inner)).sum(),
        _ => 0,
    }
}

/// The value that comes `at` places after this one.
fn find<'v>(value: &'v Value, at: &mut usize, found: &mut &'v Value) {
    if *at == 0 {
        *found = value;
    }
    *at = at.wrapping_sub(1);
    match &value.data {
        Data::Array(items) => items.iter().for_each(|item| find(item, at, found)),
        Data::Object(object) => object.iter().for_each(|(_, inner)| find(inner, at, found)),
        _ => {}
    }
}

/// Changes the value that comes `at` places after this one.
fn change(value: &mut Value, at: &mut usize, kind: usize, scrap: &Value) {
    if *at == 0 {
        match (&mut value.data, kind) {
            (Data::Object(object), 0) => {
                let first = object.names().next().map(str::to_owned);
                first.map(|name| object.remove(&name));
            }
            (Data::Object(object), 1) => object.set("_renamed", scrap.clone()),
            (Data::Array(items), 0 | 1) => items.push(scrap.clone()),
            _ => *value = scrap.clone(),
        }
    }
    *at = at.wrapping_sub(1);
    match &mut value.data {
        Data::Array(items) => {
            for item in items {
                change(item, at, kind, scrap);
            }
        }
        Data::Object(object) => {
            for (_, inner) in object.iter_mut() {
                change(inner, at, kind, scrap);
            }
        }
        _ => {}
    }
}
