//! The library of functions, for maps and for the transforms of integrations: one file a family, one line each in [`ALL`].
//!
//! A function takes values and gives one; `null` is nothing, and what is nothing goes through every function that does not
//! say otherwise. The examples are its documentation and its tests.

mod clinical;
mod codes;
mod dates;
mod documents;
mod json;
mod measures;
mod names;
mod numbers;
mod systems;
mod text;

use fhir_spec::json::{Data, Value};

pub(crate) use clinical::{is_oid, is_uuid, uri_to_oid};
pub(super) use codes::encode;

use super::env::Env;

/// What a function gives, or what it expected.
pub type Answer = Result<Value, String>;

/// Arguments and what becomes of them; `!` when they are refused, an empty text for nothing.
pub type Example = (&'static [&'static str], &'static str);

#[derive(Debug)]
pub struct Function {
    pub name: &'static str,
    pub family: &'static str,
    /// `?` behind one that may be left out, `...` behind the last when there may be more of it.
    pub arguments: &'static [&'static str],
    /// What it gives, in one sentence.
    pub summary: &'static str,
    pub examples: &'static [Example],
    /// The FHIR type of what it gives; empty for plain values.
    pub gives: &'static str,
    /// The function that undoes it, with the same further arguments.
    pub inverse: Option<&'static str>,
    /// It is asked even when its first argument is nothing.
    pub takes_nothing: bool,
    pub run: fn(&[Value], &Env<'_>) -> Answer,
    /// How many arguments it takes: at least, and at most.
    arity: (usize, usize),
}

impl Function {
    const fn new(
        family: &'static str,
        name: &'static str,
        arguments: &'static [&'static str],
        run: fn(&[Value], &Env<'_>) -> Answer,
        summary: &'static str,
        examples: &'static [Example],
    ) -> Self {
        Self {
            name,
            family,
            arguments,
            summary,
            examples,
            gives: "",
            inverse: None,
            takes_nothing: false,
            run,
            arity: arity(arguments),
        }
    }

    const fn undone_by(mut self, inverse: &'static str) -> Self {
        self.inverse = Some(inverse);
        self
    }

    const fn giving(mut self, gives: &'static str) -> Self {
        self.gives = gives;
        self
    }

    const fn taking_nothing(mut self) -> Self {
        self.takes_nothing = true;
        self
    }

    /// How many arguments it takes: at least, and at most.
    pub fn arity(&self) -> (usize, usize) {
        self.arity
    }

    /// `substring(text, from, length?)`
    pub fn signature(&self) -> String {
        format!("{}({})", self.name, self.arguments.join(", "))
    }

    /// Asks it; nothing gives nothing, unless it makes something of that.
    pub fn call(&self, arguments: &[Value], env: &Env<'_>) -> Answer {
        let (least, most) = self.arity;
        if arguments.len() < least || arguments.len() > most {
            return Err(format!("{} with other arguments", self.signature()));
        }
        if !self.takes_nothing && arguments.first().is_some_and(Value::is_null) {
            return Ok(nothing());
        }
        (self.run)(arguments, env)
    }
}

const fn arity(arguments: &[&str]) -> (usize, usize) {
    let (mut least, mut most) = (0, arguments.len());
    let mut rest = arguments;
    while let [name, more @ ..] = rest {
        match name.as_bytes() {
            [.., b'.', b'.', b'.'] => {
                most = usize::MAX;
                if arguments.len() == 1 {
                    least += 1;
                }
            }
            [.., b'?'] => {}
            _ => least += 1,
        }
        rest = more;
    }
    (least, most)
}

/// All of them.
pub const ALL: &[&[Function]] = &[
    dates::ALL,
    documents::ALL,
    text::ALL,
    numbers::ALL,
    measures::ALL,
    names::ALL,
    codes::ALL,
    systems::ALL,
    json::ALL,
    clinical::ALL,
];

pub fn all() -> impl Iterator<Item = &'static Function> {
    ALL.iter().copied().flatten()
}

pub fn named(name: &str) -> Option<&'static Function> {
    all().find(|function| function.name == name)
}

fn nothing() -> Value {
    Data::Null.into()
}

/// A plain value as text; nothing for lists and objects.
fn text_of(value: &Value) -> Option<&str> {
    match &value.data {
        Data::String(text) | Data::Number(text) => Some(text),
        Data::Bool(true) => Some("true"),
        Data::Bool(false) => Some("false"),
        _ => None,
    }
}

fn text_at(arguments: &[Value], place: usize) -> Result<&str, String> {
    match arguments.get(place) {
        None => Ok(""),
        Some(value) if value.is_null() => Ok(""),
        Some(value) => {
            text_of(value).ok_or_else(|| format!("a plain value instead of {}", value.kind()))
        }
    }
}

fn count_at(arguments: &[Value], place: usize) -> Result<Option<usize>, String> {
    let text = text_at(arguments, place)?;
    if text.is_empty() {
        return Ok(None);
    }
    text.parse()
        .map(Some)
        .map_err(|_| format!("a whole number instead of '{}'", shortened(text)))
}

/// Never a long text in a message.
fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}

/// `Y`, `yes`, `1`, `true`, `t`, `on` and their opposites.
pub(super) fn bool_of(text: &str) -> Option<bool> {
    let text = text.trim();
    let is_one_of = |words: &[&str]| words.iter().any(|word| word.eq_ignore_ascii_case(text));
    if is_one_of(&["true", "t", "yes", "y", "1", "on"]) {
        return Some(true);
    }
    is_one_of(&["false", "f", "no", "n", "0", "off"]).then_some(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::env::Zone;

    #[test]
    fn every_example_is_true() {
        let zone = Zone::parse("America/New_York").unwrap();
        for function in all() {
            assert!(
                !function.examples.is_empty(),
                "{} has no example",
                function.name
            );
            for (arguments, expected) in function.examples {
                let env = Env::new("2024-03-05T06:07:08Z", &zone);
                let arguments: Vec<Value> = arguments
                    .iter()
                    .map(|text| {
                        if text.is_empty() {
                            nothing()
                        } else {
                            Value::from(*text)
                        }
                    })
                    .collect();
                let told = match function.call(&arguments, &env) {
                    Err(_) => "!".to_owned(),
                    Ok(value) if value.is_null() => String::new(),
                    Ok(value) => text_of(&value).map_or_else(|| value.to_string(), str::to_owned),
                };
                assert_eq!(told, *expected, "{} of {arguments:?}", function.name);
            }
        }
    }

    #[test]
    fn the_names_that_users_rely_on_are_there_once() {
        let mut names: Vec<&str> = all().map(|function| function.name).collect();
        for name in [
            "date_to_iso",
            "date_from_iso",
            "date_to_unix",
            "trim",
            "lowercase",
            "uppercase",
            "capitalize",
            "normalize_phone",
            "format_phone_us",
            "to_boolean",
            "to_number",
            "round",
            "normalize_gender",
            "json_parse",
            "json_stringify",
            "full_name",
            "map_code",
            "split",
            "concat",
            "default",
            "regex_replace",
            "pad",
            "substring",
            "hash",
            "unit_convert",
            "date_add",
            "coalesce",
        ] {
            assert!(names.contains(&name), "{name}");
        }
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
        for function in all() {
            if let Some(inverse) = function.inverse {
                assert!(named(inverse).is_some(), "{inverse}");
            }
        }
    }

    #[test]
    fn no_argument_makes_a_function_panic() {
        let zone = Zone::utc();
        let env = Env::new("2024-03-05T06:07:08Z", &zone);
        let texts = [
            "",
            "0",
            "-1",
            "99999999999999999999",
            "é",
            "[",
            "{}",
            "\u{0}",
            "2024-02-30",
            "(",
            "\\",
        ];
        for function in all() {
            for first in texts {
                for second in texts {
                    for third in texts {
                        let arguments = [first, second, third].map(Value::from);
                        for count in 0..=3 {
                            drop(function.call(&arguments[..count], &env));
                        }
                    }
                }
            }
        }
    }
}
