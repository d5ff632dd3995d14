//! Text. Positions count characters. <http://hl7.org/fhirpath/N1/#string-manipulation>

use regex::Regex;

use super::invocation::{Invocation, answer};
use super::{Function, regex_row, row};
use crate::fhirpath::error::Result;
use crate::fhirpath::eval::index_item;
use crate::fhirpath::item::{Collection, Item};
use crate::fhirpath::regular;

pub(super) const ALL: &[Function] = &[
    row("indexOf", 1..=1, |call| {
        position(call, |text, part| text.find(part))
    }),
    row("lastIndexOf", 1..=1, |call| {
        position(call, |text, part| text.rfind(part))
    }),
    row("substring", 1..=2, substring),
    row("startsWith", 1..=1, |call| {
        test(call, |text, part| text.starts_with(part))
    }),
    row("endsWith", 1..=1, |call| {
        test(call, |text, part| text.ends_with(part))
    }),
    row("contains", 1..=1, |call| {
        test(call, |text, part| text.contains(part))
    }),
    row("upper", 0..=0, |call| change(call, str::to_uppercase)),
    row("lower", 0..=0, |call| change(call, str::to_lowercase)),
    row("trim", 0..=0, |call| {
        change(call, |text| text.trim().to_owned())
    }),
    row("replace", 2..=2, replace),
    regex_row("matches", 1..=1, matches),
    regex_row("matchesFull", 1..=1, matches),
    regex_row("replaceMatches", 2..=2, replace_matches),
    row("length", 0..=0, length),
    row("toChars", 0..=0, to_chars),
    row("split", 1..=1, split),
    row("join", 0..=1, join),
];

/// A regular expression that is not known beforehand costs as many steps to compile as this, and its length.
const COMPILING_STEPS: usize = 1_000;

fn position<'a>(
    call: &mut Invocation<'_, '_, 'a>,
    find: fn(&str, &str) -> Option<usize>,
) -> Result<Collection<'a>> {
    let (Some(text), Some(part)) = (call.text()?, call.text_arg(0)?) else {
        return Ok(Vec::new());
    };
    match find(&text, &part).and_then(|at| text.get(..at)) {
        Some(before) => answer(index_item(before.chars().count())),
        None => answer(Item::Integer(-1)),
    }
}

fn substring<'a>(call: &mut Invocation<'_, '_, 'a>) -> Result<Collection<'a>> {
    let (Some(text), Some(start)) = (call.text()?, call.integer_arg(0)?) else {
        return Ok(Vec::new());
    };
    let length = if call.has_arg(1) {
        call.integer_arg(1)?
    } else {
        None
    };
    let Ok(start) = usize::try_from(start) else {
        return Ok(Vec::new());
    };
    let mut rest = text.chars().skip(start).peekable();
    if rest.peek().is_none() {
        return Ok(Vec::new());
    }
    let length = length.map_or(usize::MAX, |length| usize::try_from(length).unwrap_or(0));
    let part = rest.take(length).collect();
    call.answer_text(part)
}

fn test<'a>(
    call: &mut Invocation<'_, '_, 'a>,
    test: fn(&str, &str) -> bool,
) -> Result<Collection<'a>> {
    let (Some(text), Some(part)) = (call.text()?, call.text_arg(0)?) else {
        return Ok(Vec::new());
    };
    answer(test(&text, &part))
}

fn change<'a>(
    call: &mut Invocation<'_, '_, 'a>,
    change: fn(&str) -> String,
) -> Result<Collection<'a>> {
    match call.text()? {
        None => Ok(Vec::new()),
        Some(text) => call.answer_text(change(&text)),
    }
}

fn replace<'a>(call: &mut Invocation<'_, '_, 'a>) -> Result<Collection<'a>> {
    let (Some(text), Some(part), Some(by)) = (call.text()?, call.text_arg(0)?, call.text_arg(1)?)
    else {
        return Ok(Vec::new());
    };
    // Paid before it is made: every place between two characters may be one.
    let places = text.matches(&*part).count();
    call.run
        .spend_text(call.at, places.saturating_mul(by.len()))?;
    call.answer_text(text.replace(&*part, &by))
}

fn regex(call: &mut Invocation<'_, '_, '_>) -> Result<Option<Regex>> {
    if let Some(regex) = &call.call.regex {
        return Ok(Some(regex.clone()));
    }
    let Some(pattern) = call.text_arg(0)? else {
        return Ok(None);
    };
    call.run.spend(call.at, COMPILING_STEPS + pattern.len())?;
    let regex = regular::compile(call.name(), &pattern).map_err(|message| call.error(message))?;
    Ok(Some(regex))
}

fn matches<'a>(call: &mut Invocation<'_, '_, 'a>) -> Result<Collection<'a>> {
    let (Some(text), Some(regex)) = (call.text()?, regex(call)?) else {
        return Ok(Vec::new());
    };
    call.run.spend(call.at, 1 + text.len() / 16)?;
    answer(regex.is_match(&text))
}

fn replace_matches<'a>(call: &mut Invocation<'_, '_, 'a>) -> Result<Collection<'a>> {
    let (Some(text), Some(regex), Some(by)) = (call.text()?, regex(call)?, call.text_arg(1)?)
    else {
        return Ok(Vec::new());
    };
    let by = braced(&by);
    let places = regex.find_iter(&text).count();
    // A substitution may repeat the whole match for each of its references.
    let references = 1 + by.matches('$').count();
    let longest = by.len() + references.saturating_mul(text.len() / places.max(1));
    call.run
        .spend_text(call.at, places.saturating_mul(longest))?;
    call.answer_text(regex.replace_all(&text, &*by).into_owned())
}

/// `$1st` means group 1 and then `st`: FHIRPath's groups end with the digits.
fn braced(by: &str) -> String {
    let mut text = String::with_capacity(by.len());
    let mut rest = by;
    while let Some((before, after)) = rest.split_once('$') {
        text.push_str(before);
        let end = after
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(after.len());
        let (digits, others) = after.split_at_checked(end).unwrap_or((after, ""));
        if digits.is_empty() {
            text.push('$');
        } else {
            text.push_str("${");
            text.push_str(digits);
            text.push('}');
        }
        rest = others;
    }
    text.push_str(rest);
    text
}

fn length<'a>(call: &mut Invocation<'_, '_, 'a>) -> Result<Collection<'a>> {
    let text = call.text()?;
    Ok(text
        .map(|text| index_item(text.chars().count()))
        .into_iter()
        .collect())
}

fn to_chars<'a>(call: &mut Invocation<'_, '_, 'a>) -> Result<Collection<'a>> {
    let Some(text) = call.text()? else {
        return Ok(Vec::new());
    };
    call.run.check_size(call.at, text.len())?;
    call.run.spend_text(call.at, text.len())?;
    Ok(text.chars().map(|c| Item::from(c.to_string())).collect())
}

fn split<'a>(call: &mut Invocation<'_, '_, 'a>) -> Result<Collection<'a>> {
    let (Some(text), Some(separator)) = (call.text()?, call.text_arg(0)?) else {
        return Ok(Vec::new());
    };
    if separator.is_empty() {
        return to_chars(call);
    }
    call.run
        .check_size(call.at, 1 + text.matches(&*separator).count())?;
    call.run.spend_text(call.at, text.len())?;
    Ok(text
        .split(&*separator)
        .map(|part| Item::from(part.to_owned()))
        .collect())
}

fn join<'a>(call: &mut Invocation<'_, '_, 'a>) -> Result<Collection<'a>> {
    let separator = if call.has_arg(0) {
        call.text_arg(0)?
    } else {
        None
    };
    let separator = separator.as_deref().unwrap_or_default();
    let mut joined = String::new();
    for (index, item) in call.input.iter().enumerate() {
        let text = match call.run.system(item) {
            Item::String(text) => text,
            Item::Node(node) if node.value().is_none() => continue,
            other => {
                return Err(call.error(format!(
                    "`join()` joins strings, found {}",
                    other.described()
                )));
            }
        };
        call.run.spend_text(call.at, text.len() + separator.len())?;
        if index > 0 {
            joined.push_str(separator);
        }
        joined.push_str(&text);
    }
    if call.input.is_empty() {
        Ok(Vec::new())
    } else {
        answer(Item::from(joined))
    }
}
