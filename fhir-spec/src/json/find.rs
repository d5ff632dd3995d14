//! One member of an object in its text, without a tree.

/// The text of the value that a member of the outermost object has. The text must be JSON that was read before, such as
/// what is stored: nothing is checked, and of what is no object nothing is found.
pub fn find<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let bytes = text.as_bytes();
    let mut depth = 0usize;
    // Where the value of the wanted member begins, once it was met.
    let mut from = None;
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => {
                let end = string_end(bytes, at)?;
                let is_wanted = depth == 1 && from.is_none() && text.get(at + 1..end)? == name;
                at = end + 1;
                if is_wanted && let Some(colon) = behind_colon(bytes, at) {
                    from = Some(colon);
                    at = colon;
                }
                continue;
            }
            b'{' | b'[' => depth += 1,
            b',' if depth == 1 && from.is_some() => break,
            b'}' | b']' if depth == 1 => break,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        at += 1;
    }
    text.get(from?..at).map(str::trim)
}

/// Where the quote stands that ends the string which begins at `at`.
fn string_end(bytes: &[u8], at: usize) -> Option<usize> {
    let mut at = at + 1;
    loop {
        let rest = bytes.get(at..)?;
        at += rest.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
        match bytes.get(at)? {
            b'"' => return Some(at),
            _ => at += 2,
        }
    }
}

/// What follows the colon behind a name; None behind a string that is a value.
fn behind_colon(bytes: &[u8], at: usize) -> Option<usize> {
    let rest = bytes.get(at..)?;
    let colon = rest.iter().position(|byte| !byte.is_ascii_whitespace())?;
    (rest.get(colon) == Some(&b':')).then_some(at + colon + 1)
}

#[cfg(test)]
mod tests {
    use super::find;

    #[test]
    fn members_of_the_outermost_object_are_found() {
        let text = r#" {"a" : "x\"}{,", "b":{"c":[1,{"d":"e"}],"a":2},"c": [ "a", {"a":3} ] ,"d":"a","f":1.50} "#;
        for (name, value) in [
            ("a", Some(r#""x\"}{,""#)),
            ("b", Some(r#"{"c":[1,{"d":"e"}],"a":2}"#)),
            ("c", Some(r#"[ "a", {"a":3} ]"#)),
            ("d", Some(r#""a""#)),
            ("f", Some("1.50")),
            ("e", None),
            ("x", None),
        ] {
            assert_eq!(find(text, name), value, "{name}");
        }
    }

    #[test]
    fn nothing_is_found_where_there_is_none() {
        for text in [
            "",
            "{}",
            "[]",
            "[\"a\",1]",
            "\"a\"",
            "7",
            "{\"a",
            "{\"a\\",
            "{\"b\":\"a\"",
        ] {
            assert_eq!(find(text, "a"), None, "{text}");
        }
    }
}
