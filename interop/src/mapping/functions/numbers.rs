//! Numbers: exact decimals, the digits as they were written.

use fhir_spec::decimal::{self, Decimal};
use fhir_spec::json::Value;
use fhir_spec::ucum;

use super::{Answer, Env, Function, bool_of, shortened, text_at};
use crate::mapping::value;

const FAMILY: &str = "numbers";

pub(super) const ALL: &[Function] = &[
    Function::new(
        FAMILY,
        "to_boolean",
        &["text"],
        |arguments, _| {
            let text = text_at(arguments, 0)?;
            let bool = bool_of(text);
            bool.map(Value::from)
                .ok_or_else(|| format!("yes or no instead of '{}'", shortened(text)))
        },
        "True for Y, yes, T, true, 1 and on, false for their opposites, in any case of letters.",
        &[
            (&["Y"], "true"),
            (&["n"], "false"),
            (&["1"], "true"),
            (&["0"], "false"),
            (&["TRUE"], "true"),
            (&["maybe"], "!"),
            (&[""], ""),
        ],
    ),
    Function::new(
        FAMILY,
        "to_number",
        &["text", "separator?"],
        to_number,
        "The number with its digits as they are; the separator is what stands before the fraction, a point when nothing is said.",
        &[
            (&["1.50"], "1.50"),
            (&["007"], "7"),
            (&["+3"], "3"),
            (&["1,50", ","], "1.50"),
            (&["1.234,50", ","], "1234.50"),
            (&["1,234.5"], "1234.5"),
            (&["12 mg"], "!"),
            (&["0.10"], "0.10"),
        ],
    ),
    Function::new(
        FAMILY,
        "round",
        &["number", "digits?", "mode?"],
        round,
        "The number with so many digits after the point (0); halves go away from zero, or by mode: up, down, even, floor, ceiling.",
        &[
            (&["2.5"], "3"),
            (&["-2.5"], "-3"),
            (&["2.345", "2"], "2.35"),
            (&["2.5", "0", "even"], "2"),
            (&["3.5", "0", "even"], "4"),
            (&["2.59", "1", "down"], "2.5"),
            (&["2.51", "1", "up"], "2.6"),
            (&["-2.5", "0", "floor"], "-3"),
            (&["-2.5", "0", "ceiling"], "-2"),
            (&["1.5", "0", "x"], "!"),
            (&["1", "2"], "1.00"),
        ],
    ),
    Function::new(
        FAMILY,
        "multiply",
        &["number", "by"],
        |arguments, _| product(arguments, Decimal::checked_mul),
        "The product, exact.",
        &[(&["1.5", "2"], "3.0"), (&["x", "2"], "!")],
    ),
    Function::new(
        FAMILY,
        "add",
        &["number", "more"],
        |arguments, _| product(arguments, Decimal::checked_add),
        "The sum, exact.",
        &[(&["0.1", "0.2"], "0.3"), (&["1", "-1"], "0")],
    ),
    Function::new(
        FAMILY,
        "unit_convert",
        &["number", "from", "to"],
        unit_convert,
        "The number in another unit of the same kind, both as UCUM writes them.",
        &[
            (&["1", "kg", "g"], "1000"),
            (&["72", "[in_i]", "cm"], "182.88"),
            (&["1", "kg", "m"], "!"),
            (&["x", "kg", "g"], "!"),
        ],
    ),
];

fn to_number(arguments: &[Value], _: &Env<'_>) -> Answer {
    let text = text_at(arguments, 0)?.trim();
    let is_comma = text_at(arguments, 1)? == ",";
    let (point, group) = if is_comma { (",", '.') } else { (".", ',') };
    let plain = if grouped(text, point, group) {
        text.replace(group, "")
    } else {
        text.to_owned()
    };
    let plain = if is_comma {
        plain.replace(',', ".")
    } else {
        plain
    };
    let number = value::number(&plain).filter(|_| is_comma || !plain.contains(','));
    number
        .map(Value::number)
        .ok_or_else(|| format!("a number instead of '{}'", shortened(text)))
}

/// Whether the whole part is written in groups of three, as in `1,234`.
fn grouped(text: &str, point: &str, group: char) -> bool {
    let whole = text
        .split(point)
        .next()
        .unwrap_or_default()
        .trim_start_matches(['+', '-']);
    let mut groups = whole.split(group);
    let first = groups.next().map_or(0, str::len);
    let mut count = 0;
    let all_threes = groups.all(|part| {
        count += 1;
        part.len() == 3
    });
    all_threes && count > 0 && (1..=3).contains(&first)
}

fn decimal_at(arguments: &[Value], place: usize) -> Result<Decimal, String> {
    let text = text_at(arguments, place)?;
    value::number(text)
        .and_then(|text| decimal::parse(&text))
        .ok_or_else(|| format!("a number instead of '{}'", shortened(text)))
}

fn round(arguments: &[Value], _: &Env<'_>) -> Answer {
    use rust_decimal::RoundingStrategy as By;
    let number = decimal_at(arguments, 0)?;
    let digits = super::count_at(arguments, 1)?.unwrap_or(0);
    let digits = u32::try_from(digits)
        .ok()
        .filter(|digits| *digits <= decimal::SCALE_MAX);
    let digits = digits.ok_or_else(|| format!("at most {} digits", decimal::SCALE_MAX))?;
    let by = match text_at(arguments, 2)? {
        "" | "half" => By::MidpointAwayFromZero,
        "even" => By::MidpointNearestEven,
        "up" => By::AwayFromZero,
        "down" => By::ToZero,
        "floor" => By::ToNegativeInfinity,
        "ceiling" => By::ToPositiveInfinity,
        _ => return Err("half, even, up, down, floor or ceiling".to_owned()),
    };
    let mut rounded = number.round_dp_with_strategy(digits, by);
    rounded.rescale(digits);
    Ok(Value::number(rounded))
}

fn product(arguments: &[Value], of: impl FnOnce(Decimal, Decimal) -> Option<Decimal>) -> Answer {
    let made = of(decimal_at(arguments, 0)?, decimal_at(arguments, 1)?);
    made.map(Value::number)
        .ok_or_else(|| "numbers within reach".to_owned())
}

fn unit_convert(arguments: &[Value], _: &Env<'_>) -> Answer {
    let (from, to) = (text_at(arguments, 1)?, text_at(arguments, 2)?);
    let made = ucum::convert(decimal_at(arguments, 0)?, from, to);
    made.map(|made| Value::number(made.normalize()))
        .ok_or_else(|| {
            format!(
                "UCUM units of one kind instead of {} and {}",
                shortened(from),
                shortened(to)
            )
        })
}
