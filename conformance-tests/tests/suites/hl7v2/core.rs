//! The core values of a resource: what any converter should get out of the same message.

use fhir_spec::json::{Data, Value as Json};

/// Elements that say nothing about the message, but about who converted it.
const OWN: &[&str] = &[
    "resourceType",
    "id",
    "meta",
    "text",
    "extension",
    "modifierExtension",
    "contained",
    "implicitRules",
    "reference",
    "display",
    "fullUrl",
];

/// Systems that converters make up, by how they begin.
const MADE_UP: &[&str] = &[
    "http://example.com/",
    "https://reportstream.cdc.gov/",
    "urn:ietf:rfc:3986",
    "urn:id:",
];

/// A value at a place of a resource.
pub(super) struct Core {
    pub(super) kind: String,
    /// Names from the resource down, without numbers: `name.given`.
    pub(super) place: String,
    pub(super) value: Value,
}

impl Core {
    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.value.keys()
    }
}

/// A value in all the ways in which others may write the same.
pub(super) struct Value(Vec<String>);

impl Value {
    fn new(text: &str) -> Self {
        let text = text.trim();
        let mut keys = vec![text.to_owned()];
        // An assigner is `2.16.840.1.113883.4.6` to one and `urn:oid:2.16.840.1.113883.4.6` to another.
        for scheme in ["urn:oid:", "urn:uuid:", "urn:id:"] {
            if let Some(id) = text.strip_prefix(scheme) {
                keys.push(percent_decoded(id));
            }
        }
        if let Some((instant, local)) = time(text) {
            keys.push(instant);
            keys.push(local);
        } else if let Some(number) = number(text) {
            keys.push(number);
        }
        Self(keys)
    }

    /// A text of a segment, which may be a date in digits alone.
    pub(super) fn of_segment(text: &str) -> Self {
        let mut value = Self::new(text);
        let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
        if digits.len() >= 8 {
            let part = |from: usize, to: usize| digits.get(from..to).unwrap_or_default();
            value
                .0
                .push(format!("{}-{}-{}", part(0, 4), part(4, 6), part(6, 8)));
            let clock: String = format!("{}000000", part(8, digits.len().min(14)));
            value.0.push(format!(
                "local {}{}",
                part(0, 8),
                clock.get(..6).unwrap_or_default()
            ));
        }
        value
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    pub(super) fn text(&self) -> &str {
        self.0.first().map_or("", String::as_str)
    }
}

fn percent_decoded(text: &str) -> String {
    let mut parts = text.split('%');
    let mut decoded = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let byte = part
            .get(..2)
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match byte {
            Some(byte) => {
                decoded.push(byte);
                decoded.extend(part.bytes().skip(2));
            }
            None => decoded.extend(part.bytes()),
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// A point in time as seconds in UTC, and as the digits of the clock that it was read from: converters assume zones.
fn time(text: &str) -> Option<(String, String)> {
    let (date, clock) = text.split_once('T')?;
    let is_date = date.len() == 10
        && date
            .chars()
            .all(|letter| letter.is_ascii_digit() || letter == '-');
    if !is_date || !clock.starts_with(|letter: char| letter.is_ascii_digit()) {
        return None;
    }
    let digits = |text: &str| -> String { text.chars().filter(char::is_ascii_digit).collect() };
    let zone_at = clock.find(['Z', '+', '-']).unwrap_or(clock.len());
    let (clock, zone) = clock.split_at(zone_at);
    let clock = digits(clock.split('.').next().unwrap_or_default());
    let day = digits(date);
    let number = |text: &str, from: usize, to: usize| -> i64 {
        text.get(from..to)
            .and_then(|part| part.parse().ok())
            .unwrap_or(0)
    };
    let minutes = match zone.split_at_checked(1) {
        Some(("+", zone)) => offset(zone),
        Some(("-", zone)) => -offset(zone),
        _ => 0,
    };
    let seconds = days(number(&day, 0, 4), number(&day, 4, 6), number(&day, 6, 8)) * 86_400
        + number(&clock, 0, 2) * 3600
        + (number(&clock, 2, 4) - minutes) * 60
        + number(&clock, 4, 6);
    Some((
        format!("instant {seconds}"),
        format!("local {day}{clock:0<6}"),
    ))
}

fn offset(zone: &str) -> i64 {
    let mut parts = zone.split(':').map(|part| part.parse::<i64>().unwrap_or(0));
    parts.next().unwrap_or(0) * 60 + parts.next().unwrap_or(0)
}

/// Days since 1970 in the Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn number(text: &str) -> Option<String> {
    let decimal: rust_decimal::Decimal = text.parse().ok()?;
    Some(format!("number {}", decimal.normalize()))
}

/// The core values that others have in their resources, each once.
pub(super) fn cores<'r>(resources: impl Iterator<Item = &'r Json>) -> Vec<Core> {
    let mut cores = every(resources);
    cores.retain(|core| {
        let mut names = core.place.split('.');
        // What a Coding or Identifier has for a system is not in a message, unless it is an OID or a system that all know.
        let is_made_up = MADE_UP
            .iter()
            .any(|begin| core.value.text().starts_with(begin));
        let is_own = names.any(|name| OWN.contains(&name) || name.starts_with('_'));
        let is_system = core.place.ends_with("system");
        !(is_own || is_system && is_made_up)
    });
    cores
}

/// All values of resources, each once.
pub(super) fn every<'r>(resources: impl Iterator<Item = &'r Json>) -> Vec<Core> {
    let mut cores = Vec::new();
    for resource in resources {
        let kind = resource.str_of("resourceType").unwrap_or_default();
        collect(kind, "", resource, &mut cores);
    }
    cores.sort_by(|one, other| one.order().cmp(&other.order()));
    cores.dedup_by(|one, other| one.order() == other.order());
    cores
}

impl Core {
    fn order(&self) -> (&str, &str, &str) {
        (&self.kind, &self.place, self.value.text())
    }
}

fn collect(kind: &str, place: &str, value: &Json, cores: &mut Vec<Core>) {
    match &value.data {
        Data::Object(object) => {
            for (name, value) in object.iter() {
                let below = match place {
                    "" => name.to_string(),
                    place => format!("{place}.{name}"),
                };
                collect(kind, &below, value, cores);
            }
        }
        Data::Array(items) => {
            for item in items {
                collect(kind, place, item, cores);
            }
        }
        Data::Null => {}
        Data::String(text) => push(kind, place, text, cores),
        Data::Number(text) => push(kind, place, text, cores),
        Data::Bool(bool) => push(kind, place, if *bool { "true" } else { "false" }, cores),
    }
}

fn push(kind: &str, place: &str, text: &str, cores: &mut Vec<Core>) {
    if text.trim().is_empty() {
        return;
    }
    let mut value = Value::new(text);
    if place.ends_with("display") {
        // Who has no number is named where he takes part, in one line.
        let words = text.split(char::is_whitespace).map(str::to_owned);
        value.0.extend(words.filter(|word| word != text));
    }
    if (kind, place) == ("Location", "identifier.value") {
        // A place is known by all that it is in, from the site down to the bed.
        value.0.extend(text.split('/').map(str::to_owned));
    }
    if let Some((_, number)) = text.split_once("?identifier=") {
        // Who is looked for when the message is applied.
        value.0.extend(number.rsplit('|').next().map(str::to_owned));
    }
    cores.push(Core {
        kind: kind.to_owned(),
        place: place.to_owned(),
        value,
    });
}
