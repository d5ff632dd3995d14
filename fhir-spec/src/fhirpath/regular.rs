//! Regular expressions of the functions that take one. The engine works in time linear in the text, whatever the
//! pattern; what it does not know (looking around, back references) is refused with a message.

use regex::{Regex, RegexBuilder};

use super::limits::{REGEX_SIZE_MAX, REGEX_TEXT_MAX};

/// In FHIRPath a dot matches line breaks too. `matchesFull` wants the whole text, the others any part of it.
pub(super) fn compile(function: &str, pattern: &str) -> Result<Regex, String> {
    if pattern.len() > REGEX_TEXT_MAX {
        return Err(format!(
            "the regular expression is longer than {REGEX_TEXT_MAX} bytes"
        ));
    }
    let whole;
    let pattern = if function == "matchesFull" {
        whole = format!(r"\A(?:{pattern})\z");
        &whole
    } else {
        pattern
    };
    RegexBuilder::new(pattern)
        .dot_matches_new_line(true)
        .size_limit(REGEX_SIZE_MAX)
        .build()
        .map_err(|error| {
            let reason = error.to_string();
            let last = reason.lines().last().unwrap_or_default().trim();
            format!(
                "the regular expression is not valid: {}",
                last.trim_start_matches("error: ")
            )
        })
}
