//! Characters and their escapes. <https://www.w3.org/TR/xml/#sec-references>
//!
//! Only the five entities that XML itself has are known; no others can be declared, because no DOCTYPE is taken.

use std::borrow::Cow;

pub(crate) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// Whether a character can stand in XML 1.0. <https://www.w3.org/TR/xml/#charsets>
pub(crate) fn is_character(character: char) -> bool {
    !matches!(character, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}')
}

/// The first character that cannot stand in XML, and where.
pub(crate) fn forbidden_character(text: &str) -> Option<(usize, char)> {
    // U+FFFE and U+FFFF are EF BF BE and EF BF BF; nothing else needs a look at more than a byte.
    let is_suspect = |byte: &u8| *byte == 0xEF || (*byte < b' ' && !is_space(*byte));
    if !text.as_bytes().iter().any(is_suspect) {
        return None;
    }
    text.char_indices()
        .find(|(_, character)| !is_character(*character))
}

/// A name of an element or attribute, prefix included. Characters beyond ASCII are taken as they come: names are only
/// ever compared.
pub(crate) fn is_name(name: &str) -> bool {
    let mut is_start = true;
    let mut colons = 0;
    for byte in name.bytes() {
        let may_start = byte.is_ascii_alphabetic() || byte == b'_' || !byte.is_ascii();
        let is_good = match byte {
            b':' => {
                colons += 1;
                !is_start && colons == 1
            }
            b'0'..=b'9' | b'-' | b'.' => !is_start,
            _ => may_start,
        };
        if !is_good {
            return false;
        }
        // After the colon another name starts.
        is_start = byte == b':';
    }
    !is_start
}

/// The value of an attribute: references resolved, white space that is written plainly turned into spaces.
pub(crate) fn attribute(raw: &str) -> Result<Cow<'_, str>, String> {
    if !raw
        .bytes()
        .any(|byte| matches!(byte, b'&' | b'\t' | b'\r' | b'\n'))
    {
        return Ok(Cow::Borrowed(raw));
    }
    let spaced = raw.replace("\r\n", " ").replace(['\t', '\r', '\n'], " ");
    Ok(Cow::Owned(text(&spaced)?.into_owned()))
}

/// Text with its references resolved; the error says what is wrong with one.
pub(crate) fn text(raw: &str) -> Result<Cow<'_, str>, String> {
    let Some(first) = raw.find('&') else {
        return Ok(Cow::Borrowed(raw));
    };
    let (plain, mut rest) = raw.split_at_checked(first).unwrap_or_default();
    let mut resolved = String::with_capacity(raw.len());
    resolved.push_str(plain);
    while let Some(after) = rest.strip_prefix('&') {
        let Some((name, after)) = after.split_once(';') else {
            return Err("a `&` that begins no reference must be written &amp;".to_owned());
        };
        resolved.push(reference(name)?);
        let next = after.find('&').unwrap_or(after.len());
        let (plain, more) = after.split_at_checked(next).unwrap_or_default();
        resolved.push_str(plain);
        rest = more;
    }
    Ok(Cow::Owned(resolved))
}

/// The character of a reference, `name` being what stands between `&` and `;`.
pub(crate) fn reference(name: &str) -> Result<char, String> {
    match name {
        "amp" => return Ok('&'),
        "lt" => return Ok('<'),
        "gt" => return Ok('>'),
        "quot" => return Ok('"'),
        "apos" => return Ok('\''),
        _ => {}
    }
    let Some(number) = name.strip_prefix('#') else {
        let name: String = name.chars().take(32).collect();
        return Err(format!(
            "the entity `&{name};` is not known: XML has &amp; &lt; &gt; &quot; &apos;, and numbers such as &#160;"
        ));
    };
    let (digits, radix) = match number.strip_prefix('x') {
        Some(digits) => (digits, 16),
        None => (number, 10),
    };
    let is_number = !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(radix));
    is_number
        .then(|| u32::from_str_radix(digits, radix).ok())
        .flatten()
        .and_then(char::from_u32)
        .filter(|character| is_character(*character))
        .ok_or_else(|| {
            let name: String = name.chars().take(32).collect();
            format!("the reference `&{name};` names no character of XML")
        })
}

/// Appends text as the value of an attribute, so that white space survives.
pub(crate) fn push_attribute(text: &str, out: &mut String) {
    let mut plain_from = 0;
    for (at, byte) in text.bytes().enumerate() {
        let escape = match byte {
            b'&' => "&amp;",
            b'<' => "&lt;",
            b'>' => "&gt;",
            b'"' => "&quot;",
            b'\t' => "&#9;",
            b'\n' => "&#10;",
            b'\r' => "&#13;",
            _ => continue,
        };
        out.push_str(text.get(plain_from..at).unwrap_or_default());
        out.push_str(escape);
        plain_from = at + 1;
    }
    out.push_str(text.get(plain_from..).unwrap_or_default());
}
