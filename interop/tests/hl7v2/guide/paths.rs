//! Paths of fields and components, as the maps and the guide write them.

use interop::formats::hl7v2::{Dictionary, Version};

/// Datatypes of one kind under one name: what stood as CE in one version stands as CWE in the next.
pub(super) fn family(path: &str) -> String {
    let (name, rest) = path.split_at(path.find(['.', '-', '[']).unwrap_or(path.len()));
    let name = match name {
        "CE" | "CNE" | "CF" | "IS" | "ID" => "CWE",
        "PPN" => "XCN",
        "TS" | "DT" => "DTM",
        "FT" | "TX" => "ST",
        other => other,
    };
    format!("{name}{rest}")
}

/// A path without groups before the segment, and without the numbers of repetitions.
pub(super) fn plain(path: &str) -> String {
    let from = path.find('-').map_or(0, |dash| dash.saturating_sub(3));
    let mut text = String::new();
    let mut within = false;
    for letter in path.get(from..).unwrap_or(path).chars() {
        match letter {
            '[' => within = true,
            ']' => within = false,
            letter if !within => text.push(letter),
            _ => {}
        }
    }
    family(&text)
}

/// One is the other, or a part of it.
pub(super) fn covers(one: &str, other: &str) -> bool {
    let within = |long: &str, short: &str| {
        long.strip_prefix(short)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '-']))
    };
    within(one, other)
        || within(other, one) && other.contains(['-', '.']) && one.contains(['-', '.'])
}

pub(super) fn segment(path: &str) -> &str {
    path.split(['-', '.']).next().unwrap_or_default()
}

/// The same component as its datatypes call it: `PID-3.4.1` is `CX.4.1` and `HD.1` too.
pub(super) fn aliases(path: &str) -> Vec<String> {
    let mut found = Vec::new();
    let Ok(dictionary) = Dictionary::shipped() else {
        return found;
    };
    let numbers = |text: &str| -> Vec<usize> {
        text.split(['-', '.'])
            .skip(1)
            .filter_map(|number| number.parse().ok())
            .collect()
    };
    let (name, numbers) = (segment(path), numbers(path));
    for version in Version::ALL {
        let mut names: Vec<&str> = Vec::new();
        let mut left = numbers.as_slice();
        if path.contains('-') {
            let Some((field, rest)) = left.split_first() else {
                continue;
            };
            let Some(fact) = dictionary.field(*version, name, *field) else {
                continue;
            };
            (names, left) = (vec![fact.datatype], rest);
        } else {
            names.push(name);
        }
        // What a path says as one may be a composite in the next version: its first component.
        loop {
            let kind = names.last().copied().unwrap_or_default();
            let tail: String = left.iter().map(|number| format!(".{number}")).collect();
            found.push(family(&format!("{kind}{tail}")));
            let Some((number, rest)) = left.split_first() else {
                break;
            };
            let Some(fact) = dictionary.component(*version, kind, *number) else {
                break;
            };
            names.push(fact.datatype);
            left = rest;
        }
    }
    found.sort();
    found.dedup();
    found
}

/// `PID[Patient]` as source and type, without the word for its use.
pub(super) fn named(table: &str) -> (String, &str) {
    let (source, kind) = table.split_once('[').unwrap_or((table, ""));
    let kind = kind
        .trim_end_matches(']')
        .split(['-', '.'])
        .next()
        .unwrap_or_default();
    (family(source), kind)
}

/// Types in brackets: `participant.individual(Practitioner)`.
pub(super) fn types_within(target: &str) -> Vec<&str> {
    let words = target.split(['(', ')', '.', '[', ']', '|', ' ']).skip(1);
    words
        .filter(|word| word.starts_with(|letter: char| letter.is_ascii_uppercase()))
        .collect()
}

/// The elements that a target of the guide names, without the numbers of occurrences and the type it may begin with.
pub(super) fn elements(target: &str) -> Vec<&str> {
    let outside = target.split('(').next().unwrap_or_default();
    let mut steps: Vec<&str> = outside
        .split('.')
        .map(|step| step.split(['[', '=', ':']).next().unwrap_or_default())
        .filter(|step| !step.is_empty())
        .collect();
    if steps.len() > 1 && steps[0].starts_with(|letter: char| letter.is_ascii_uppercase()) {
        steps.remove(0);
    }
    steps
}
