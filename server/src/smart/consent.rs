//! What a person is asked before an app may do something for them, in words that people use.

use super::authorize::Asked;
use super::registration::{within, word};
use crate::auth::{Letters, Level, Scope};

/// One thing that may be allowed or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    pub scope: String,
    pub words: String,
    /// That it is more than it may seem.
    pub warning: Option<&'static str>,
}

const WIDE: &str = "This is everything, also kinds of data that are added later.";

/// What is asked, one by one.
pub fn offers(asked: &Asked) -> Vec<Offer> {
    let words = asked.words.iter().filter_map(|word| of_word(word));
    words.chain(asked.scopes.iter().map(of_scope)).collect()
}

/// The same of what was allowed.
pub fn words(scope: &str) -> Vec<String> {
    let offer = |text: &str| match word(text) {
        Some(word) => of_word(word),
        None => Scope::parse(text).ok().as_ref().map(of_scope),
    };
    let offers = scope.split_whitespace().filter_map(offer);
    offers.map(|offer| offer.words).collect()
}

fn of_word(word: &str) -> Option<Offer> {
    let words = match word {
        "openid" => "Know that it is you who signed in",
        "fhirUser" | "profile" => "Know who you are: your name and your record as a user",
        "offline_access" => "Keep access when you are not there, until you take it back",
        "online_access" => "Keep access as long as you are signed in",
        // What is in context is no access.
        _ => return None,
    };
    Some(Offer {
        scope: word.to_owned(),
        words: words.to_owned(),
        warning: None,
    })
}

fn of_scope(scope: &Scope) -> Offer {
    let does = |letters: Letters| scope.letters.has_any(letters);
    let verbs = [
        (does(Letters::READ), "read"),
        (does(Letters::SEARCH), "search"),
        (does(Letters::CREATE), "add"),
        (does(Letters::UPDATE), "change"),
        (does(Letters::DELETE), "delete"),
    ];
    let verbs: Vec<&str> = verbs
        .iter()
        .filter(|(does, _)| *does)
        .map(|(_, verb)| *verb)
        .collect();
    let verbs = match verbs.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
        None => String::new(),
    };
    let what = scope
        .resource_type
        .map_or_else(|| "All data".to_owned(), spaced);
    let whose = match scope.level {
        Level::Patient => "of the patient",
        Level::User | Level::System => "that you may see yourself",
    };
    let mut words = format!("{what} {whose}: {verbs}");
    for (name, value) in &scope.filter {
        let code = value.rsplit('|').next().unwrap_or(value);
        words += &format!(", only where {name} is {code}");
    }
    Offer {
        scope: scope.to_string(),
        words,
        warning: scope.resource_type.is_none().then_some(WIDE),
    }
}

/// `MedicationRequest`: `Medication request`.
fn spaced(name: &str) -> String {
    let mut words = String::new();
    for (index, c) in name.chars().enumerate() {
        if index > 0 && c.is_ascii_uppercase() {
            words.push(' ');
            words.push(c.to_ascii_lowercase());
        } else {
            words.push(c);
        }
    }
    words
}

/// What was ticked of it, or something narrower. What was not offered does not count.
pub fn chosen<'t>(
    asked: &Asked,
    ticked: impl Iterator<Item = &'t str>,
) -> (Vec<Scope>, Vec<&'static str>) {
    // What is in context is no access: it goes with the rest.
    let context = asked.words.iter().copied();
    let mut words: Vec<&'static str> = context.filter(|word| of_word(word).is_none()).collect();
    let mut scopes = Vec::new();
    for text in ticked {
        if let Some(word) = word(text) {
            if asked.words.contains(&word) && !words.contains(&word) {
                words.push(word);
            }
        } else if let Ok(scope) = Scope::parse(text)
            && within(&asked.scopes, std::slice::from_ref(&scope)).contains(&scope)
            && !scopes.contains(&scope)
        {
            scopes.push(scope);
        }
    }
    (scopes, words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_asked_in_words() {
        let words = |text: &str| of_scope(&Scope::parse(text).unwrap()).words;
        assert_eq!(
            words("patient/MedicationRequest.rs"),
            "Medication request of the patient: read and search"
        );
        assert_eq!(
            words("user/Observation.cud?category=http://x|laboratory"),
            "Observation that you may see yourself: add, change and delete, only where category is laboratory"
        );
        let all = of_scope(&Scope::parse("patient/*.r").unwrap());
        assert_eq!(
            (all.words.as_str(), all.warning),
            ("All data of the patient: read", Some(WIDE))
        );
    }
}
