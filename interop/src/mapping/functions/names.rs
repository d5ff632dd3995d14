//! Names and telephone numbers of people.

use fhir_spec::json::{Data, Value};

use super::{Answer, Env, Function, shortened, text_at, text_of};

const FAMILY: &str = "names";

/// Small words inside of family names.
const PARTICLES: &[&str] = &[
    "von", "van", "der", "den", "de", "del", "della", "di", "da", "dos", "du", "la", "le", "ten",
    "ter", "zu", "zur", "bin", "ibn", "al", "el", "y", "e",
];

pub(super) const ALL: &[Function] = &[
    Function::new(
        FAMILY,
        "capitalize",
        &["text"],
        |arguments, _| Ok(capitalize(text_at(arguments, 0)?).into()),
        "Each word with a capital first letter, also behind ' and - and Mc; von, van, de and their like stay small unless they stand first.",
        &[
            (&["o'neil"], "O'Neil"), (&["VAN DER BERG"], "Van der Berg"), (&["anna VAN DER berg"], "Anna van der Berg"),
            (&["smith-jones"], "Smith-Jones"), (&["mcdonald"], "McDonald"), (&["élise"], "Élise"),
            (&["john  smith"], "John  Smith"),
        ],
    ),
    Function::new(
        FAMILY,
        "full_name",
        &["given", "family?", "middle?", "prefix?", "suffix?"],
        full_name,
        "Prefix, given, middle and family name with a space between, the suffix behind a comma; also made of a HumanName.",
        &[
            (&["Jane", "Doe"], "Jane Doe"), (&["Jane", "Doe", "Q.", "Dr."], "Dr. Jane Q. Doe"),
            (&["Jane", "Doe", "", "", "MD"], "Jane Doe, MD"), (&["", "Doe"], "Doe"), (&["", ""], ""),
        ],
    )
    .taking_nothing(),
    Function::new(
        FAMILY,
        "normalize_phone",
        &["text", "country?"],
        normalize_phone,
        "The number in the form of E.164; without a + it is of the country whose calling code is said, 1 when none is.",
        &[
            (&["(555) 123-4567"], "+15551234567"), (&["1-555-123-4567"], "+15551234567"),
            (&["+49 (0)30 1234567"], "+49301234567"), (&["0049 30 1234567", "49"], "+49301234567"),
            (&["030 1234567", "49"], "+49301234567"), (&["123"], "!"), (&["call me"], "!"),
            (&["555-123-4567 x12"], "+15551234567"),
        ],
    ),
    Function::new(
        FAMILY,
        "format_phone_us",
        &["text"],
        format_phone_us,
        "A number of North America as (555) 123-4567.",
        &[
            (&["5551234567"], "(555) 123-4567"), (&["+1 555 123 4567"], "(555) 123-4567"), (&["555 1234"], "!"),
            (&["+49 30 1234567"], "!"),
        ],
    ),
];

fn capitalize(text: &str) -> String {
    let mut made = String::with_capacity(text.len());
    for (place, word) in text.split(' ').enumerate() {
        if place > 0 {
            made.push(' ');
        }
        let small = word.to_lowercase();
        if place > 0 && PARTICLES.contains(&small.as_str()) {
            made.push_str(&small);
            continue;
        }
        let mut is_first = true;
        let mut written = String::new();
        for letter in small.chars() {
            if is_first {
                written.extend(letter.to_uppercase());
            } else {
                written.push(letter);
            }
            is_first =
                matches!(letter, '\'' | '\u{2019}' | '-' | '.' | '/' | '(') || written == "Mc";
        }
        made.push_str(&written);
    }
    made
}

fn full_name(arguments: &[Value], _: &Env<'_>) -> Answer {
    if let Some(Data::Object(_)) = arguments.first().map(|first| &first.data)
        && let [name] = arguments
    {
        let parts = |member: &str| {
            name.items_of(member)
                .iter()
                .filter_map(text_of)
                .collect::<Vec<_>>()
                .join(" ")
        };
        let family = name.str_of("family").unwrap_or_default();
        return Ok(named(
            &[&parts("prefix"), &parts("given"), family],
            &parts("suffix"),
        ));
    }
    let part = |place| text_at(arguments, place).map(str::trim);
    Ok(named(&[part(3)?, part(0)?, part(2)?, part(1)?], part(4)?))
}

fn named(parts: &[&str], suffix: &str) -> Value {
    let said: Vec<&str> = parts
        .iter()
        .copied()
        .filter(|part| !part.is_empty())
        .collect();
    let mut name = said.join(" ");
    if !suffix.is_empty() {
        if !name.is_empty() {
            name.push_str(", ");
        }
        name.push_str(suffix);
    }
    if name.is_empty() {
        super::nothing()
    } else {
        name.into()
    }
}

fn normalize_phone(arguments: &[Value], _: &Env<'_>) -> Answer {
    let text = text_at(arguments, 0)?.trim();
    let country = match text_at(arguments, 1)? {
        "" => "1",
        code => code.trim_start_matches('+'),
    };
    let wrong = || format!("a telephone number instead of '{}'", shortened(text));
    // What stands behind an x is an extension, which E.164 has no place for.
    let main = text
        .split(['x', 'X'])
        .next()
        .unwrap_or_default()
        .replace("(0)", "");
    if !main
        .chars()
        .all(|letter| letter.is_ascii_digit() || " +-()./\u{a0}".contains(letter))
    {
        return Err(wrong());
    }
    let digits: String = main.chars().filter(char::is_ascii_digit).collect();
    let number = if main.trim_start().starts_with('+') {
        digits
    } else if let Some(international) = digits.strip_prefix("00") {
        international.to_owned()
    } else if country == "1" {
        let national = digits
            .strip_prefix('1')
            .filter(|rest| rest.len() == 10)
            .unwrap_or(&digits);
        if national.len() != 10 {
            return Err(wrong());
        }
        format!("1{national}")
    } else {
        format!("{country}{}", digits.strip_prefix('0').unwrap_or(&digits))
    };
    if (8..=15).contains(&number.len()) {
        Ok(format!("+{number}").into())
    } else {
        Err(wrong())
    }
}

fn format_phone_us(arguments: &[Value], env: &Env<'_>) -> Answer {
    let text = text_at(arguments, 0)?;
    let whole = normalize_phone(&[Value::from(text)], env)?;
    let digits = whole
        .as_str()
        .and_then(|whole| whole.strip_prefix("+1"))
        .filter(|digits| digits.len() == 10);
    let parts =
        digits.and_then(|digits| Some((digits.get(..3)?, digits.get(3..6)?, digits.get(6..)?)));
    let (area, exchange, line) = parts
        .ok_or_else(|| format!("a number of North America instead of '{}'", shortened(text)))?;
    Ok(format!("({area}) {exchange}-{line}").into())
}
