//! What laboratories write where a number should be: comparators, ranges, units.

use fhir_spec::json::{Data, Value};
use fhir_spec::ucum;

use super::{Answer, Env, Function, nothing, text_at};
use crate::mapping::value::number;

const FAMILY: &str = "measures";

/// Units of UCUM that people mean something else by: thousands, Celsius, Fahrenheit ...
const MISTAKEN: &[&str] = &["K", "C", "F", "H", "S", "T", "A", "G", "N", "P"];

pub(super) const ALL: &[Function] = &[
    Function::new(
        FAMILY,
        "number_of",
        &["text"],
        |arguments, _| {
            let (_, number) = compared(text_at(arguments, 0)?);
            Ok(number.map_or_else(nothing, |number| Data::Number(number).into()))
        },
        "The number of a text that is one, maybe behind a comparator; nothing for other texts.",
        &[
            (&["7.10"], "7.10"),
            (&[" 007 "], "7"),
            (&["<0.5"], "0.5"),
            (&[">= 60"], "60"),
            (&["<>5"], ""),
            (&["positive"], ""),
            (&["1:40"], ""),
            (&["1e3"], "1e3"),
        ],
    )
    .undone_by("trim"),
    Function::new(
        FAMILY,
        "comparator_of",
        &["text"],
        |arguments, _| {
            let (comparator, _) = compared(text_at(arguments, 0)?);
            Ok(comparator.map_or_else(nothing, Value::from))
        },
        "FHIR's comparator at the beginning of a text; nothing when there is none, or it is =.",
        &[
            (&["<0.5"], "<"),
            (&[">= 60"], ">="),
            (&["=<4"], "<="),
            (&["=5"], ""),
            (&["7"], ""),
            (&[">"], ">"),
        ],
    ),
    Function::new(
        FAMILY,
        "range_low",
        &["text"],
        |arguments, _| Ok(bound(text_at(arguments, 0)?).0),
        "The number that a range begins with; nothing when it has no lower end or is no range.",
        &[
            (&["4.3 to 6.2"], "4.3"),
            (&["3.5-5.50"], "3.5"),
            (&["-1 - 1"], "-1"),
            (&[">=60"], "60"),
            (&["<10"], ""),
            (&["negative"], ""),
        ],
    ),
    Function::new(
        FAMILY,
        "range_high",
        &["text"],
        |arguments, _| Ok(bound(text_at(arguments, 0)?).1),
        "The number that a range ends with; nothing when it has no upper end or is no range.",
        &[
            (&["4.3 to 6.2"], "6.2"),
            (&["3.5-5.50"], "5.50"),
            (&["-1 - 1"], "1"),
            (&["<10"], "10"),
            (&[">=60"], ""),
            (&["1-2-3"], ""),
        ],
    ),
    Function::new(
        FAMILY,
        "ucum",
        &["unit", "system?"],
        ucum_of,
        "The unit when it is one of UCUM; where the sender does not call it UCUM, nothing for letters that people mean otherwise.",
        &[
            (&["mg/dL"], "mg/dL"),
            (&["10*3/uL", "UCUM"], "10*3/uL"),
            (&["K/uL"], ""),
            (&["K", "UCUM"], "K"),
            (&["F"], ""),
            (&["million per drop"], ""),
            (&["%"], "%"),
            (&["mmHg"], ""),
        ],
    ),
];

fn compared(text: &str) -> (Option<&'static str>, Option<compact_str::CompactString>) {
    let text = text.trim();
    let found = [
        ("<>", None),
        ("<=", Some("<=")),
        ("=<", Some("<=")),
        (">=", Some(">=")),
        ("=>", Some(">=")),
        ("<", Some("<")),
        (">", Some(">")),
        ("=", None),
    ]
    .into_iter()
    .find_map(|(sign, comparator)| Some((sign, comparator, text.strip_prefix(sign)?)));
    match found {
        Some(("<>", ..)) => (None, None),
        Some((_, comparator, rest)) => (comparator, number(rest)),
        None => (None, number(text)),
    }
}

fn bound(text: &str) -> (Value, Value) {
    let none = || (nothing(), nothing());
    let made = |number: compact_str::CompactString| Value::from(Data::Number(number));
    match compared(text) {
        (Some("<" | "<="), Some(high)) => return (nothing(), made(high)),
        (Some(_), Some(low)) => return (made(low), nothing()),
        (None, None) => {}
        _ => return none(),
    }
    let text = text.trim();
    let parts = text.split_once(" to ").or_else(|| {
        // The first dash that is not the sign of a number.
        let dash = text
            .char_indices()
            .skip(1)
            .find(|(_, letter)| matches!(letter, '-' | '–'));
        dash.and_then(|(place, letter)| {
            Some((text.get(..place)?, text.get(place + letter.len_utf8()..)?))
        })
    });
    match parts.map(|(low, high)| (number(low), number(high))) {
        Some((Some(low), Some(high))) => (made(low), made(high)),
        _ => none(),
    }
}

fn ucum_of(arguments: &[Value], _: &Env<'_>) -> Answer {
    let unit = text_at(arguments, 0)?.trim();
    let is_declared = matches!(
        text_at(arguments, 1)?.trim(),
        "UCUM" | "http://unitsofmeasure.org" | "2.16.840.1.113883.6.8"
    );
    let is_mistaken = unit
        .split(|letter: char| !letter.is_ascii_alphabetic())
        .any(|atom| MISTAKEN.contains(&atom));
    let is_it = !unit.is_empty() && ucum::parse(unit).is_some() && (is_declared || !is_mistaken);
    Ok(if is_it { unit.into() } else { nothing() })
}
