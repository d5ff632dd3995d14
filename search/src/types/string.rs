//! String: a text, found by its beginning, whatever its case and accents. <https://hl7.org/fhir/R4/search.html#string>
//!
//! Names and addresses are found by each of their parts, and each part is a path of its own: `family` and `name` share
//! the rows of `Patient.name.family`.

use fhir_spec::json::Value;

use super::Ask;
use crate::condition::{Op, Probe, Reach, Test};
use crate::folding;
use crate::hash;
use crate::query::escape::unescaped;
use crate::query::filter::WHOLE;
use crate::registry::Source;
use crate::rows::{Rows, StringRow};
use crate::table::TableKind;

pub(crate) const MODIFIERS: &[&str] = &["exact", "contains"];

pub(crate) fn takes(type_name: &str) -> bool {
    matches!(type_name, "string" | "markdown" | "id" | "uri")
}

pub(crate) fn rows(path: i32, value: &Value, rows: &mut Rows) {
    let Some(written) = value.as_str() else {
        return;
    };
    let value = folding::folded(written);
    if !value.is_empty() {
        let exact = exact(written, &value);
        rows.string.push(StringRow { path, value, exact });
    }
}

/// What tells a text from others that fold to the same.
pub(crate) fn exact(written: &str, folded: &str) -> i64 {
    if written == folded {
        0
    } else {
        hash::long(written)
    }
}

/// The beginning of a text, a part of it (`:contains`), or all of it as written (`:exact`).
pub(crate) fn probes(ask: &Ask<'_>, source: &Source, value: &str) -> Result<Vec<Probe>, String> {
    let written = unescaped(value);
    let folded = folding::folded(&written);
    if folded.is_empty() {
        return Err(format!("nothing of `{written}` can be searched for"));
    }
    let (reach, tests) = match ask.modifier {
        Some("exact") => {
            let exact = exact(&written, &folded);
            let tests = vec![Test::equal("value", folded), Test::equal("exact", exact)];
            (Reach::Some, tests)
        }
        // Of a `_filter`.
        Some(WHOLE) => (Reach::Some, vec![Test::equal("value", folded)]),
        Some("contains") => {
            let tests = vec![Test::Is("value", Op::Contains, folded.into())];
            (Reach::Most, tests)
        }
        _ => (Reach::Some, begins_with("value", &folded)),
    };
    let probe = Probe::new(TableKind::String, source.path, reach, tests);
    Ok(vec![probe])
}

/// A prefix is a range: no pattern, so nothing in it can be a wildcard.
pub(crate) fn begins_with(column: &'static str, prefix: &str) -> Vec<Test> {
    let mut tests = vec![Test::Is(column, Op::AtLeast, prefix.into())];
    if let Some(end) = after(prefix) {
        tests.push(Test::Is(column, Op::Less, end.into()));
    }
    tests
}

/// The first text, by bytes, after all those that begin with this one.
fn after(prefix: &str) -> Option<String> {
    let mut chars: Vec<char> = prefix.chars().collect();
    while let Some(last) = chars.pop() {
        // The code points between are no characters.
        let next = match last {
            '\u{D7FF}' => Some('\u{E000}'),
            _ => char::from_u32(u32::from(last) + 1),
        };
        if let Some(next) = next {
            chars.push(next);
            return Some(chars.into_iter().collect());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_a_range() {
        for (prefix, end) in [
            ("a", Some("b")),
            ("az", Some("a{")),
            ("é", Some("ê")),
            ("\u{D7FF}", Some("\u{E000}")),
            ("a\u{10FFFF}", Some("b")),
            ("\u{10FFFF}", None),
        ] {
            assert_eq!(after(prefix).as_deref(), end, "{prefix}");
        }
    }
}
