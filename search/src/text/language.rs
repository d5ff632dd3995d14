//! Languages whose words have forms that are found by each other: `liver` and `livers`, `Entzündung` and `Entzündungen`.
//!
//! A resource says its `language`; where it does not, English is taken, as most of FHIR's own texts, displays above all,
//! are in English. That costs nothing in precision: words are always found as they are written, whatever their language.

use std::borrow::Cow;

use frostem::{Algorithm, Stemmer};

/// A language of [`ALL`], by its code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Language(&'static str, Algorithm);

const ENGLISH: Language = Language("en", Algorithm::English);

const ALL: &[Language] = &[
    ENGLISH,
    Language("ar", Algorithm::Arabic),
    Language("da", Algorithm::Danish),
    Language("de", Algorithm::German),
    Language("el", Algorithm::Greek),
    Language("es", Algorithm::Spanish),
    Language("fi", Algorithm::Finnish),
    Language("fr", Algorithm::French),
    Language("hu", Algorithm::Hungarian),
    Language("it", Algorithm::Italian),
    Language("nl", Algorithm::Dutch),
    Language("no", Algorithm::Norwegian),
    Language("pt", Algorithm::Portuguese),
    Language("ro", Algorithm::Romanian),
    Language("ru", Algorithm::Russian),
    Language("sv", Algorithm::Swedish),
    Language("ta", Algorithm::Tamil),
    Language("tr", Algorithm::Turkish),
];

/// What stands before the code of the language: no word begins with it, so that no beginning of a word finds a stem.
pub(super) const MARK: char = '\u{1}';

impl Language {
    /// Of a tag such as `de-CH`; None: one whose forms nobody knows here.
    pub(super) fn of_tag(tag: Option<&str>) -> Option<Self> {
        let Some(tag) = tag.map(str::trim).filter(|tag| !tag.is_empty()) else {
            return Some(ENGLISH);
        };
        let code = tag.split(['-', '_']).next()?.to_ascii_lowercase();
        let code = match code.as_str() {
            "nb" | "nn" => "no",
            other => other,
        };
        ALL.iter().copied().find(|known| known.0 == code)
    }

    pub(super) fn code(self) -> &'static str {
        self.0
    }

    pub(super) fn of_code(code: &str) -> Option<Self> {
        ALL.iter().copied().find(|known| known.0 == code)
    }

    pub(super) fn stemmer(self) -> Stemmer {
        Stemmer::new(self.1)
    }

    /// Whether the word itself is left out of the index as its own stem. English, which is the most, is: there the word
    /// as it is written does for both.
    pub(super) fn is_plain(self) -> bool {
        self == ENGLISH
    }
}

/// What a word (folded) may stand in the index as, besides itself.
pub(super) fn forms(word: &str) -> Vec<String> {
    let mut forms = Vec::new();
    for language in ALL {
        let stem = language.stemmer().stem(word).into_owned();
        if stem.is_empty() {
            continue;
        }
        if language.is_plain() && stem != word {
            forms.push(stem.clone());
        }
        forms.push(format!("{MARK}{}{stem}", language.code()));
    }
    forms
}

/// The stem of a word, as it stands in the index.
pub(super) fn stem<'w>(stemmer: &Stemmer, word: &'w str) -> Cow<'w, str> {
    stemmer.stem(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_is_known_by_its_tag() {
        let code = |tag| Language::of_tag(tag).map(Language::code);
        for (tag, wanted) in [
            (None, Some("en")),
            (Some(""), Some("en")),
            (Some("en-US"), Some("en")),
            (Some("de-CH"), Some("de")),
            (Some("FR"), Some("fr")),
            (Some("nb"), Some("no")),
            (Some("ja"), None),
            (Some("x"), None),
        ] {
            assert_eq!(code(tag), wanted, "{tag:?}");
        }
    }

    /// Stems are stored: where these change, [`super::super::index::VERSION`] has to.
    #[test]
    fn stems_never_change() {
        for (code, word, wanted) in [
            ("en", "metastases", "metastas"),
            ("en", "running", "run"),
            ("de", "entzundungen", "entzund"),
            ("fr", "operations", "oper"),
            ("es", "corazones", "corazon"),
        ] {
            let language = Language::of_code(code).unwrap();
            assert_eq!(language.stemmer().stem(word), wanted, "{code}");
        }
    }
}
