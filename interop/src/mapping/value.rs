//! A text of the source as a value of a FHIR primitive type: the same for every format.

use compact_str::CompactString;
use fhir_spec::json::{Data, Value};
use fhir_spec::primitive::Primitive;

use super::env::Env;
use super::functions::bool_of;
use super::stamp::Stamp;

/// The value, or what was expected. Digits and precision are kept.
pub(super) fn coerce(
    primitive: Primitive,
    value: Value,
    env: &Env<'_>,
) -> Result<Value, &'static str> {
    let text = match value.data {
        Data::String(text) => text,
        Data::Number(text) => text,
        Data::Bool(bool) => CompactString::const_new(if bool { "true" } else { "false" }),
        _ => return Err(primitive.expected()),
    };
    let fail = || primitive.expected();
    let made = match primitive {
        Primitive::Boolean => return bool_of(&text).map(Value::from).ok_or_else(fail),
        Primitive::Date => Stamp::parse(&text).ok_or_else(fail)?.to_date().into(),
        Primitive::DateTime => env.date_time(&Stamp::parse(&text).ok_or_else(fail)?).into(),
        Primitive::Instant => {
            let stamp = Stamp::parse(&text).ok_or_else(fail)?;
            let text = env.date_time(&stamp);
            text.into()
        }
        Primitive::Time => time(&text).ok_or_else(fail)?.into(),
        Primitive::Decimal
        | Primitive::Integer
        | Primitive::PositiveInt
        | Primitive::UnsignedInt => Data::Number(number(&text).ok_or_else(fail)?).into(),
        Primitive::String | Primitive::Markdown => {
            // Senders pad with spaces; FHIR allows no string of nothing else.
            Value::from(trimmed(text))
        }
        _ => Value::from(trimmed(text)),
    };
    primitive.check(&made).map(|()| made)
}

fn trimmed(text: CompactString) -> CompactString {
    let bytes = text.as_bytes();
    let ends = [bytes.first(), bytes.last()];
    if ends.iter().flatten().all(|byte| byte.is_ascii_graphic()) {
        return text;
    }
    let inner = text.trim();
    if inner.len() == text.len() {
        text
    } else {
        inner.into()
    }
}

fn time(text: &str) -> Option<CompactString> {
    let clock = text.trim();
    let joined = format!("2000-01-01T{clock}");
    let stamp = Stamp::parse(&joined).or_else(|| Stamp::parse(&format!("20000101{clock}")))?;
    stamp.hour.map(|_| stamp.to_time())
}

/// A decimal as JSON writes it: no plus, no needless zeros before the point, digits after it as they are.
pub(super) fn number(text: &str) -> Option<CompactString> {
    let text = text.trim();
    let (sign, digits) = match text.strip_prefix(['+', '-']) {
        Some(digits) if text.starts_with('-') => ("-", digits),
        Some(digits) => ("", digits),
        None => ("", text),
    };
    let (whole, fraction) = digits
        .split_once('.')
        .map_or((digits, None), |(whole, fraction)| (whole, Some(fraction)));
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let exponent_free = all_digits(whole) && fraction.is_none_or(all_digits);
    if !exponent_free {
        return fhir_spec::decimal::parse(text).map(|_| text.into());
    }
    if whole.is_empty() && fraction.is_none_or(str::is_empty) {
        return None;
    }
    let whole = whole.trim_start_matches('0');
    let mut made = CompactString::new(sign);
    made.push_str(if whole.is_empty() { "0" } else { whole });
    if let Some(fraction) = fraction.filter(|fraction| !fraction.is_empty()) {
        made.push('.');
        made.push_str(fraction);
    }
    Some(made)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::env::Zone;

    #[test]
    fn texts_become_primitives() {
        let zone = Zone::parse("Europe/Berlin").unwrap();
        let env = Env::new("2024-01-01T00:00:00Z", &zone);
        for (primitive, text, made) in [
            (Primitive::Boolean, "Y", "true"),
            (Primitive::Decimal, "+001.50", "1.50"),
            (Primitive::Decimal, "-.5", "-0.5"),
            (Primitive::Decimal, "7.", "7"),
            (Primitive::Decimal, "1e3", "1e3"),
            (Primitive::Integer, "007", "7"),
            (Primitive::PositiveInt, "0", "!"),
            (Primitive::Integer, "1.5", "!"),
            (Primitive::Decimal, "1,5", "!"),
            (Primitive::Decimal, ".", "!"),
            (Primitive::Date, "20240131120000", "\"2024-01-31\""),
            (Primitive::Date, "31.01.2024", "!"),
            (
                Primitive::DateTime,
                "202407011200",
                "\"2024-07-01T12:00:00+02:00\"",
            ),
            (
                Primitive::DateTime,
                "202401011200",
                "\"2024-01-01T12:00:00+01:00\"",
            ),
            (Primitive::Instant, "2024", "!"),
            (Primitive::Time, "0930", "\"09:30:00\""),
            (Primitive::Time, "9:30", "!"),
            (Primitive::Code, " final ", "\"final\""),
            (Primitive::Id, "a b", "!"),
            (Primitive::String, "  ", "!"),
            (Primitive::Uri, "urn:a b", "!"),
        ] {
            let coerced = coerce(primitive, text.into(), &env);
            let told = coerced.map_or_else(|_| "!".to_owned(), |value| value.to_string());
            assert_eq!(told, made, "{primitive:?} {text}");
        }
        assert!(env.zone_assumed.get());
    }
}
