//! Text without what a string search ignores: case and accents, and how many spaces there are.
//! <https://hl7.org/fhir/R4/search.html#string>
//!
//! A table of letters, so that everybody can see what is done; letters that are not in it are only made small.

const LETTERS: &[(&str, &str)] = &[
    ("àáâãäåāăą", "a"),
    ("çćĉċč", "c"),
    ("ďđð", "d"),
    ("èéêëēĕėęě", "e"),
    ("ĝğġģ", "g"),
    ("ìíîïĩīĭįı", "i"),
    ("ķ", "k"),
    ("ĺļľł", "l"),
    ("ñńņň", "n"),
    ("òóôõöøōŏő", "o"),
    ("ŕŗř", "r"),
    ("śŝşš", "s"),
    ("ţťț", "t"),
    ("ùúûüũūŭůűų", "u"),
    ("ýÿŷ", "y"),
    ("źżž", "z"),
    ("ß", "ss"),
    ("æ", "ae"),
    ("œ", "oe"),
    ("þ", "th"),
    ("ς", "σ"),
    ("άὰ", "α"),
    ("έ", "ε"),
    ("ή", "η"),
    ("ί", "ι"),
    ("ό", "ο"),
    ("ύ", "υ"),
    ("ώ", "ω"),
];

pub(super) fn folded(text: &str) -> String {
    let mut folded = String::new();
    for word in text.split_whitespace() {
        if !folded.is_empty() {
            folded.push(' ');
        }
        for c in word.chars().flat_map(char::to_lowercase) {
            // Accents that stand beside their letter.
            if ('\u{300}'..='\u{36F}').contains(&c) {
                continue;
            }
            match LETTERS.iter().find(|(letters, _)| letters.contains(c)) {
                Some((_, plain)) => folded.push_str(plain),
                None => folded.push(c),
            }
        }
    }
    folded
}

#[test]
fn case_and_accents_do_not_count() {
    assert_eq!(folded("  MÜLLER-Lüdenscheid  "), "muller-ludenscheid");
    assert_eq!(folded("Mu\u{308}ller\tStraße"), "muller strasse");
}
