//! Text: spaces, letters, parts, patterns. Places are counted in characters, from one.

use std::cell::RefCell;
use std::collections::HashMap;

use fhir_spec::json::{Data, Value};
use regex::{Regex, RegexBuilder};
use sha2::{Digest, Sha256};

use super::{Answer, Env, Function, count_at, nothing, shortened, text_at, text_of};

const FAMILY: &str = "text";

/// A pattern that compiles to more than this many bytes is refused.
const REGEX_BYTES_MAX: usize = 256 * 1024;

/// Patterns kept compiled by one thread.
const REGEXES_MAX: usize = 64;

/// `pad` makes nothing longer than this.
const PAD_CHARACTERS_MAX: usize = 1_000;

pub(super) const ALL: &[Function] = &[
    Function::new(
        FAMILY,
        "trim",
        &["text"],
        |arguments, _| Ok(text_at(arguments, 0)?.trim().into()),
        "The text without the space at its ends, whatever kind of space Unicode calls it.",
        &[
            (&["  a b "], "a b"),
            (&["\u{a0}\u{2003}x\u{3000}"], "x"),
            (&["\t\n"], ""),
        ],
    ),
    Function::new(
        FAMILY,
        "lowercase",
        &["text"],
        |arguments, _| Ok(text_at(arguments, 0)?.to_lowercase().into()),
        "The text in small letters.",
        &[(&["ÄÖ Bcd"], "äö bcd"), (&["ΑΣ"], "ας")],
    ),
    Function::new(
        FAMILY,
        "uppercase",
        &["text"],
        |arguments, _| Ok(text_at(arguments, 0)?.to_uppercase().into()),
        "The text in capital letters.",
        &[(&["straße"], "STRASSE"), (&["é"], "É")],
    ),
    Function::new(
        FAMILY,
        "split",
        &["text", "separator", "place?"],
        split,
        "The parts between separators as a list, or the part at a place; a place before the first counts from the end.",
        &[
            (&["a,b,c", ","], "[\"a\",\"b\",\"c\"]"),
            (&["a,b,c", ",", "2"], "b"),
            (&["a,b,c", ",", "-1"], "c"),
            (&["a", ",", "2"], ""),
            (&["a", ","], "[\"a\"]"),
            (&["a", ",", "x"], "!"),
        ],
    ),
    Function::new(
        FAMILY,
        "concat",
        &["text..."],
        |arguments, _| Ok(joined("", arguments)?.into()),
        "The texts one after the other.",
        &[(&["a", "b", "", "c"], "abc"), (&["a"], "a")],
    )
    .taking_nothing(),
    Function::new(
        FAMILY,
        "join",
        &["separator", "text..."],
        |arguments, _| {
            let separator = text_at(arguments, 0)?;
            let made = joined(separator, arguments.get(1..).unwrap_or_default())?;
            Ok(if made.is_empty() {
                nothing()
            } else {
                made.into()
            })
        },
        "The texts that say something, with the separator between them.",
        &[(&[", ", "a", "", "c"], "a, c"), (&[", ", "", ""], "")],
    )
    .taking_nothing(),
    Function::new(
        FAMILY,
        "coalesce",
        &["value..."],
        |arguments, _| {
            Ok(arguments
                .iter()
                .find(|value| says_something(value))
                .cloned()
                .unwrap_or_else(nothing))
        },
        "The first that says something.",
        &[(&["", "b", "c"], "b"), (&["", ""], "")],
    )
    .taking_nothing(),
    Function::new(
        FAMILY,
        "default",
        &["value", "otherwise"],
        |arguments, _| {
            Ok(arguments
                .iter()
                .find(|value| says_something(value))
                .cloned()
                .unwrap_or_else(nothing))
        },
        "The value, or the other when there is none.",
        &[(&["a", "b"], "a"), (&["", "b"], "b")],
    )
    .taking_nothing(),
    Function::new(
        FAMILY,
        "when",
        &["value", "others..."],
        |arguments, _| {
            let others = arguments.get(1..).unwrap_or_default();
            let holds = others.iter().all(says_something);
            let value = arguments.first().filter(|_| holds);
            Ok(value.cloned().unwrap_or_else(nothing))
        },
        "The value, when all the others say something.",
        &[
            (&["a", "b"], "a"),
            (&["a", ""], ""),
            (&["", "b"], ""),
            (&["a", "b", ""], ""),
        ],
    ),
    Function::new(
        FAMILY,
        "replace",
        &["text", "what", "by"],
        |arguments, _| {
            let what = text_at(arguments, 1)?;
            if what.is_empty() {
                return Err("a text to replace".to_owned());
            }
            Ok(text_at(arguments, 0)?
                .replace(what, text_at(arguments, 2)?)
                .into())
        },
        "The text with every occurrence of one text replaced by another.",
        &[(&["a-b-c", "-", ""], "abc"), (&["a", "", "b"], "!")],
    ),
    Function::new(
        FAMILY,
        "regex_replace",
        &["text", "pattern", "by"],
        |arguments, _| {
            let text = text_at(arguments, 0)?;
            let by = text_at(arguments, 2)?;
            with_regex(text_at(arguments, 1)?, |regex| {
                regex.replace_all(text, by).into_owned().into()
            })
        },
        "The text with every match of the pattern replaced; $1 stands for its first group.",
        &[
            (&["12-34", "[^0-9]", ""], "1234"),
            (&["Doe, Jane", "^(\\w+), (\\w+)$", "$2 $1"], "Jane Doe"),
            (&["a", "(", ""], "!"),
        ],
    ),
    Function::new(
        FAMILY,
        "regex_find",
        &["text", "pattern"],
        |arguments, _| {
            let text = text_at(arguments, 0)?;
            with_regex(text_at(arguments, 1)?, |regex| {
                let found = regex
                    .captures(text)
                    .and_then(|groups| groups.get(1).or(groups.get(0)));
                found.map_or_else(nothing, |found| found.as_str().into())
            })
        },
        "The first match of the pattern, or of its first group.",
        &[
            (&["MRN 0815 x", "[0-9]+"], "0815"),
            (&["a=b", "a=(.)"], "b"),
            (&["a", "[0-9]"], ""),
        ],
    ),
    Function::new(
        FAMILY,
        "unless_said",
        &["part", "text"],
        |arguments, _| {
            let (part, text) = (text_at(arguments, 0)?, text_at(arguments, 1)?);
            let is_said = text.to_lowercase().contains(&part.to_lowercase());
            Ok(if is_said { nothing() } else { part.into() })
        },
        "The part, where the text does not say it already.",
        &[
            (&["Elm St", "12 elm st"], ""),
            (&["Elm St", "12"], "Elm St"),
            (&["", "12"], ""),
        ],
    )
    .taking_nothing(),
    Function::new(
        FAMILY,
        "substring",
        &["text", "from", "length?"],
        substring,
        "The characters from a place on, as many as are said.",
        &[
            (&["abcdef", "2", "3"], "bcd"),
            (&["äöü", "2"], "öü"),
            (&["abc", "9"], ""),
            (&["abc", "0"], "!"),
        ],
    ),
    Function::new(
        FAMILY,
        "pad",
        &["text", "width", "with?"],
        pad,
        "The text with zeros (or another character) before it until it is that wide.",
        &[
            (&["7", "3"], "007"),
            (&["1234", "3"], "1234"),
            (&["x", "3", "*"], "**x"),
            (&["x", "1000000"], "!"),
        ],
    ),
    Function::new(
        FAMILY,
        "digits",
        &["text"],
        |arguments, _| {
            let digits: String = text_at(arguments, 0)?
                .chars()
                .filter(char::is_ascii_digit)
                .collect();
            Ok(if digits.is_empty() {
                nothing()
            } else {
                digits.into()
            })
        },
        "The digits of the text.",
        &[(&["(555) 12-3"], "555123"), (&["none"], "")],
    ),
    Function::new(
        FAMILY,
        "hash",
        &["text", "salt?"],
        |arguments, _| {
            let mut hasher = Sha256::new();
            hasher.update(text_at(arguments, 1)?);
            hasher.update(text_at(arguments, 0)?);
            let hex: String = hasher
                .finalize()
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            Ok(hex.into())
        },
        "SHA-256 of salt and text, as hexadecimal digits.",
        &[(
            &["abc"],
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        )],
    ),
];

fn says_something(value: &Value) -> bool {
    !matches!(&value.data, Data::Null) && value.as_str() != Some("")
}

fn joined(separator: &str, arguments: &[Value]) -> Result<String, String> {
    let mut made = String::new();
    for value in arguments.iter().filter(|value| says_something(value)) {
        if !made.is_empty() {
            made.push_str(separator);
        }
        made.push_str(text_of(value).ok_or_else(|| "plain values to join".to_owned())?);
    }
    Ok(made)
}

fn split(arguments: &[Value], _: &Env<'_>) -> Answer {
    let (text, separator) = (text_at(arguments, 0)?, text_at(arguments, 1)?);
    if separator.is_empty() {
        return Err("a separator".to_owned());
    }
    let place = text_at(arguments, 2)?;
    if place.is_empty() {
        return Ok(text
            .split(separator)
            .map(Value::from)
            .collect::<Vec<_>>()
            .into());
    }
    let place: isize = place
        .parse()
        .map_err(|_| "the number of a part".to_owned())?;
    let part = match place {
        0 => return Err("a part's number from 1, or from -1 backwards".to_owned()),
        1.. => text.split(separator).nth(place.unsigned_abs() - 1),
        _ => text.rsplit(separator).nth(place.unsigned_abs() - 1),
    };
    Ok(part.map_or_else(nothing, Value::from))
}

fn substring(arguments: &[Value], _: &Env<'_>) -> Answer {
    let text = text_at(arguments, 0)?;
    let from = count_at(arguments, 1)?
        .filter(|from| *from > 0)
        .ok_or_else(|| "a place from 1".to_owned())?;
    let length = count_at(arguments, 2)?.unwrap_or(usize::MAX);
    let part: String = text.chars().skip(from - 1).take(length).collect();
    Ok(if part.is_empty() {
        nothing()
    } else {
        part.into()
    })
}

fn pad(arguments: &[Value], _: &Env<'_>) -> Answer {
    let text = text_at(arguments, 0)?;
    let width = count_at(arguments, 1)?
        .filter(|width| *width <= PAD_CHARACTERS_MAX)
        .ok_or_else(|| format!("a width of at most {PAD_CHARACTERS_MAX}"))?;
    let with = text_at(arguments, 2)?.chars().next().unwrap_or('0');
    let missing = width.saturating_sub(text.chars().count());
    Ok(std::iter::repeat_n(with, missing)
        .chain(text.chars())
        .collect::<String>()
        .into())
}

thread_local! {
    static REGEXES: RefCell<HashMap<String, Regex>> = RefCell::default();
}

fn with_regex(pattern: &str, answer: impl FnOnce(&Regex) -> Value) -> Answer {
    REGEXES.with_borrow_mut(|kept| {
        if !kept.contains_key(pattern) {
            let regex = RegexBuilder::new(pattern)
                .size_limit(REGEX_BYTES_MAX)
                .build()
                .map_err(|_| format!("a regular expression instead of '{}'", shortened(pattern)))?;
            if kept.len() >= REGEXES_MAX {
                kept.clear();
            }
            kept.insert(pattern.to_owned(), regex);
        }
        kept.get(pattern).map(answer).ok_or_else(String::new)
    })
}
