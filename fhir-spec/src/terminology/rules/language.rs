//! Language tags as RFC 5646 section 2.1 writes them: `en`, `de-CH`, `zh-Hant-TW`, `x-klingon`.

/// Tags that were registered whole, before the grammar (the `irregular` ones; the regular ones follow it).
const IRREGULAR: &[&str] = &[
    "en-gb-oed",
    "i-ami",
    "i-bnn",
    "i-default",
    "i-enochian",
    "i-hak",
    "i-klingon",
    "i-lux",
    "i-mingo",
    "i-navajo",
    "i-pwn",
    "i-tao",
    "i-tay",
    "i-tsu",
    "sgn-be-fr",
    "sgn-be-nl",
    "sgn-ch-de",
];

/// Whether it is well-formed; whether each subtag is registered is not known here.
pub(super) fn is_tag(tag: &str) -> bool {
    let tag = tag.to_ascii_lowercase();
    let is_subtag = |part: &&str| {
        (1..=8).contains(&part.len()) && part.bytes().all(|letter| letter.is_ascii_alphanumeric())
    };
    let parts: Vec<&str> = tag.split('-').collect();
    if !parts.iter().all(is_subtag) {
        return false;
    }
    if IRREGULAR.contains(&tag.as_str()) {
        return true;
    }
    match parts.split_first() {
        Some((&"x", private)) => !private.is_empty(),
        Some((language, rest)) => is_language(language) && follows(rest),
        None => false,
    }
}

fn is_language(part: &str) -> bool {
    (2..=8).contains(&part.len()) && is_alpha(part)
}

fn is_alpha(part: &str) -> bool {
    part.bytes().all(|letter| letter.is_ascii_alphabetic())
}

/// What may stand after the language, each kind in its turn: extended languages, script, region, variants, extensions,
/// private use.
fn follows(mut rest: &[&str]) -> bool {
    let mut take = |is_kind: &dyn Fn(&str) -> bool, count_max: usize| {
        let count = rest
            .iter()
            .take(count_max)
            .take_while(|part| is_kind(part))
            .count();
        rest = rest.get(count..).unwrap_or_default();
    };
    take(&|part| part.len() == 3 && is_alpha(part), 3);
    take(&|part| part.len() == 4 && is_alpha(part), 1);
    take(&is_region, 1);
    take(&is_variant, usize::MAX);
    while let Some((singleton, after)) = rest.split_first() {
        if singleton.len() != 1 {
            return false;
        }
        let length_min = if *singleton == "x" { 1 } else { 2 };
        let is_private = *singleton == "x";
        let count = after
            .iter()
            .take_while(|part| is_private || part.len() >= length_min)
            .count();
        if count == 0 {
            return false;
        }
        rest = after.get(count..).unwrap_or_default();
    }
    true
}

fn is_region(part: &str) -> bool {
    part.len() == 2 && is_alpha(part)
        || part.len() == 3 && part.bytes().all(|digit| digit.is_ascii_digit())
}

fn is_variant(part: &str) -> bool {
    part.len() >= 5 || part.len() == 4 && part.starts_with(|digit: char| digit.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::is_tag;

    #[test]
    fn tags_of_the_rfc() {
        for good in [
            "en",
            "de-CH",
            "zh-Hant-TW",
            "sl-rozaj-biske",
            "de-CH-1901",
            "es-419",
            "zh-cmn-Hans-CN",
            "x-whatever",
            "en-US-u-islamcal",
            "de-CH-x-phonebk",
            "i-klingon",
            "i-enochian",
            "zh-gan",
            "en-a-myext-b-another",
        ] {
            assert!(is_tag(good), "{good}");
        }
        for bad in [
            "",
            "e",
            "en_US",
            "de-419-DE",
            "a-DE",
            "en-",
            "en--US",
            "x",
            "english language",
            "en-a",
            "12",
        ] {
            assert!(!is_tag(bad), "{bad}");
        }
    }
}
