//! What a word is: letters and digits, folded as strings are ([`crate::folding`]). Where words are written without spaces
//! between them (Chinese, Japanese) each character is one.

use std::iter::Peekable;
use std::str::Chars;

use tantivy::tokenizer::{Token, TokenStream, Tokenizer};
use unicode_normalization::char::is_combining_mark;

use super::language::{self, Language, MARK};
use crate::folding::fold;

/// Longer words are known by their beginning.
const WORD_BYTES_MAX: usize = 64;

/// The words of a text, one after the other.
pub(super) struct Words<'t> {
    rest: Peekable<Chars<'t>>,
}

impl<'t> Words<'t> {
    pub(super) fn of(text: &'t str) -> Self {
        Self {
            rest: text.chars().peekable(),
        }
    }

    /// The next word; false when there is none.
    pub(super) fn next_into(&mut self, word: &mut String) -> bool {
        word.clear();
        while let Some(c) = self.rest.peek().copied() {
            if stands_alone(c) {
                if word.is_empty() {
                    self.rest.next();
                    push(c, word);
                }
                if !word.is_empty() {
                    return true;
                }
            } else if c.is_alphanumeric() {
                self.rest.next();
                push(c, word);
            } else if word.is_empty() || is_combining_mark(c) || is_silent(c) {
                self.rest.next();
            } else {
                return true;
            }
        }
        !word.is_empty()
    }
}

impl Iterator for Words<'_> {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        let mut word = String::new();
        self.next_into(&mut word).then_some(word)
    }
}

fn push(c: char, word: &mut String) {
    if word.len() >= WORD_BYTES_MAX {
        return;
    }
    if c.is_ascii() {
        return word.push(c.to_ascii_lowercase());
    }
    fold(std::iter::once(c), |c| {
        if c.is_alphanumeric() {
            word.push(c);
        }
    });
}

/// Soft hyphens and joiners: they stand in words and say nothing.
fn is_silent(c: char) -> bool {
    matches!(
        c,
        '\u{AD}' | '\u{200B}'..='\u{200D}' | '\u{2060}' | '\u{FEFF}'
    )
}

pub(super) fn stands_alone(c: char) -> bool {
    matches!(c,
        '\u{3041}'..='\u{30FF}' | '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}'
        | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{323AF}')
}

/// A text with what its words need to be told apart by: a language, and what stands before each of them.
pub(super) fn marked(language: Option<Language>, before: &str, text: &str) -> String {
    let code = language.map_or("", Language::code);
    format!("{code}{MARK}{before}{MARK}{text}")
}

/// Cuts what [`marked`] has made into words, and behind each, at the same place, its stem.
#[derive(Debug, Clone, Default)]
pub(super) struct Cutter {
    token: Token,
}

pub(super) struct Cut<'t> {
    words: Words<'t>,
    before: &'t str,
    stemmer: Option<(Language, frostem::Stemmer)>,
    word: String,
    /// The stem of the word is still to come.
    has_stem: bool,
    token: &'t mut Token,
}

impl Tokenizer for Cutter {
    type TokenStream<'t> = Cut<'t>;

    fn token_stream<'t>(&'t mut self, text: &'t str) -> Cut<'t> {
        self.token.reset();
        let (code, rest) = text.split_once(MARK).unwrap_or(("", text));
        let (before, text) = rest.split_once(MARK).unwrap_or(("", rest));
        let language = Language::of_code(code);
        Cut {
            words: Words::of(text),
            before,
            stemmer: language.map(|language| (language, language.stemmer())),
            word: String::new(),
            has_stem: false,
            token: &mut self.token,
        }
    }
}

impl TokenStream for Cut<'_> {
    fn advance(&mut self) -> bool {
        let Self {
            words,
            before,
            stemmer,
            word,
            has_stem,
            token,
        } = self;
        token.text.clear();
        token.text.push_str(before);
        if let (true, Some((language, stemmer))) = (std::mem::take(has_stem), &stemmer) {
            let stem = language::stem(stemmer, word);
            let is_said = stem.is_empty() || (language.is_plain() && stem == word.as_str());
            if !is_said {
                token.text.push(MARK);
                token.text.push_str(language.code());
                token.text.push_str(&stem);
                return true;
            }
        }
        if !words.next_into(word) {
            return false;
        }
        token.text.push_str(word);
        token.position = token.position.wrapping_add(1);
        *has_stem = stemmer.is_some();
        true
    }

    fn token(&self) -> &Token {
        self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        self.token
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_cut_and_folded() {
        for (text, wanted) in [
            ("COVID-19, severe!", "covid 19 severe"),
            ("L'Hôpital  Général", "l hopital general"),
            ("Straße mu\u{308}de", "strasse mude"),
            ("Ent\u{AD}zündung", "entzundung"),
            ("東京 tower ひと", "東 京 tower ひ と"),
            ("½ 7.2 mg/dL", "12 7 2 mg dl"),
            ("& * \u{FFFD} \u{301}", ""),
            ("", ""),
        ] {
            let words: Vec<String> = Words::of(text).collect();
            assert_eq!(words.join(" "), wanted, "{text}");
        }
        let long = "é".repeat(1000);
        assert_eq!(Words::of(&long).next().unwrap().len(), WORD_BYTES_MAX);
    }

    #[test]
    fn a_stem_stands_where_its_word_stands() {
        let cut = |language, text: &str| {
            let marked = marked(Language::of_tag(language), "7:", text);
            let mut cutter = Cutter::default();
            let mut stream = cutter.token_stream(&marked);
            let mut tokens = Vec::new();
            stream.process(&mut |token| tokens.push((token.position, token.text.clone())));
            tokens
        };
        let token = |position, text: &str| (position, text.to_owned());
        assert_eq!(
            cut(None, "Bone metastases"),
            [
                token(0, "7:bone"),
                token(1, "7:metastases"),
                token(1, "7:\u{1}enmetastas"),
            ]
        );
        let german = [token(0, "7:hand"), token(0, "7:\u{1}dehand")];
        assert_eq!(cut(Some("de"), "Hand"), german);
        assert_eq!(cut(Some("ja"), "Hand"), [token(0, "7:hand")]);
    }
}
