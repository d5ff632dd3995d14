//! Values of a query string: `,` `$` and `|` separate, `\` takes their meaning away.
//! <https://hl7.org/fhir/R4/search.html#escaping>

/// Cuts at a separator that is not escaped. The parts keep their escapes.
pub(crate) fn split(text: &str, separator: char) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut start = 0;
    let mut is_escaped = false;
    for (at, c) in text.char_indices() {
        if c == separator && !is_escaped {
            parts.extend(text.get(start..at));
            start = at + c.len_utf8();
        }
        is_escaped = c == '\\' && !is_escaped;
    }
    parts.extend(text.get(start..));
    parts
}

/// The text that is meant. Only separators and `\` itself can be escaped; any other `\` is one.
pub(crate) fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let escaped = chars.next_if(|next| c == '\\' && matches!(next, ',' | '$' | '|' | '\\'));
        plain.push(escaped.unwrap_or(c));
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_can_be_escaped() {
        assert_eq!(split("a,b", ','), ["a", "b"]);
        assert_eq!(split(r"a\,b,c", ','), [r"a\,b", "c"]);
        assert_eq!(split(r"a\\,b", ','), [r"a\\", "b"]);
        assert_eq!(split(",", ','), ["", ""]);
        assert_eq!(split("é|ü", '|'), ["é", "ü"]);
    }

    #[test]
    fn escapes_are_undone_once() {
        assert_eq!(unescaped(r"a\,b\$c\|d\\e"), r"a,b$c|d\e");
        assert_eq!(unescaped(r"\\,"), r"\,");
        assert_eq!(unescaped(r"C:\dir\"), r"C:\dir\");
    }
}
