//! Text as it is compared: folded strings, and keys that are never too long for an index.
//! <https://hl7.org/fhir/R4/search.html#string>

use fhir_spec::json::Text;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::hash;

/// Longer strings are indexed by their beginning: so many characters, after folding.
pub(crate) const STRING_CHARACTERS_MAX: usize = 200;
/// Longer keys (codes, urls, ids) are cut to so many bytes, and a hash of the whole takes the place of the rest.
pub(crate) const KEY_BYTES_MAX: usize = 400;

/// A string without what search ignores: case, accents, surplus white space.
pub(crate) fn folded(text: &str) -> Text {
    let mut folded = Text::default();
    let mut characters = 0;
    let mut push = |c: char| {
        let is_space = c.is_whitespace() || c.is_control();
        let is_surplus = is_space && (folded.is_empty() || folded.ends_with(' '));
        if characters < STRING_CHARACTERS_MAX && !is_surplus {
            folded.push(if is_space { ' ' } else { c });
            characters += 1;
        }
    };
    // What is cut away need not be folded: four characters of a text never become less than one.
    let text = beginning(text, STRING_CHARACTERS_MAX * 8);
    if text.is_ascii() {
        text.chars().for_each(|c| push(c.to_ascii_lowercase()));
    } else {
        fold(text.chars(), push);
    }
    if folded.ends_with(' ') {
        folded.pop();
    }
    folded
}

/// Characters without case and accents.
pub(crate) fn fold(text: impl Iterator<Item = char>, mut push: impl FnMut(char)) {
    let plain = text.nfkd().filter(|c| !is_combining_mark(*c));
    for lower in plain.flat_map(char::to_lowercase).nfkd() {
        match base_letters(lower) {
            Some(letters) => letters.chars().for_each(&mut push),
            None if is_combining_mark(lower) => {}
            None => push(lower),
        }
    }
}

/// Letters that Unicode does not take apart, though people write them with and without.
fn base_letters(c: char) -> Option<&'static str> {
    Some(match c {
        'ß' => "ss",
        'æ' => "ae",
        'œ' => "oe",
        'ø' => "o",
        'ł' => "l",
        'đ' | 'ð' => "d",
        'þ' => "th",
        'ħ' => "h",
        'ı' => "i",
        'ς' => "σ",
        _ => return None,
    })
}

/// A text to be found as it is: itself, unless it is longer than an index entry may be.
pub(crate) fn key(text: &str) -> Text {
    if text.len() <= KEY_BYTES_MAX && !text.contains('\0') {
        return text.into();
    }
    let start = beginning(text, KEY_BYTES_MAX).replace('\0', "\u{FFFD}");
    if text.len() <= KEY_BYTES_MAX {
        return start.into();
    }
    format!("{start}\u{2026}{:x}", hash::long(text)).into()
}

/// At most so many bytes, never half a character.
pub(crate) fn beginning(text: &str, bytes_max: usize) -> &str {
    let end = (0..=bytes_max.min(text.len()))
        .rev()
        .find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or(0)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_accents_and_spaces_do_not_count() {
        for (text, wanted) in [
            ("Smith", "smith"),
            ("  van  der\tBerg ", "van der berg"),
            ("Müller", "muller"),
            ("MU\u{308}LLER", "muller"),
            ("Straße", "strasse"),
            ("Łódź", "lodz"),
            ("Ångström", "angstrom"),
            ("İstanbul", "istanbul"),
            ("ΟΔΥΣΣΕΥΣ", "οδυσσευσ"),
            ("Ｆｕｌｌ", "full"),
            ("東京", "東京"),
            ("100%_x", "100%_x"),
            ("a\0b", "a b"),
            (" \u{301} ", ""),
        ] {
            assert_eq!(folded(text), wanted, "{text}");
        }
    }

    #[test]
    fn folding_twice_changes_nothing() {
        for text in ["Ǆ", "ŉ", "ﬃ", "ϓ", "ẞ", "K", "ѷ", "\u{1E9B}\u{323}"] {
            assert_eq!(folded(&folded(text)), folded(text), "{text}");
        }
    }

    #[test]
    fn long_texts_are_cut() {
        assert_eq!(folded(&"é".repeat(10_000)).len(), STRING_CHARACTERS_MAX);
        let long = "x".repeat(10_000);
        assert_ne!(key(&long), key(&format!("{long}y")));
        assert!(key(&long).len() < KEY_BYTES_MAX + 32);
        assert!(key(&"é".repeat(5_000)).len() < KEY_BYTES_MAX + 32);
        assert_eq!(key("a\0b"), "a\u{FFFD}b");
    }
}
