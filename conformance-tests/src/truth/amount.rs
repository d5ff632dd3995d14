//! Number and quantity. <https://hl7.org/fhir/R4/search.html#number> <https://hl7.org/fhir/R4/search.html#quantity>
//!
//! Reckoned in exact decimals. Units are converted by a table of those that the documents use.

use std::cmp::Ordering;

use fhir_spec::json::Value;
use rust_decimal::Decimal;

use super::{Found, SortKey, Wrong, date::cut, split, unescaped};

pub(super) const UCUM: &str = "http://unitsofmeasure.org";
const CURRENCIES: &str = "urn:iso:std:iso:4217";

/// Units of UCUM: what they measure, and what one of them is in the first unit of that kind (times, divided by).
const UNITS: &[(&str, &str, i64, i64)] = &[
    ("kg", "mass", 1000, 1),
    ("g", "mass", 1, 1),
    ("mg", "mass", 1, 1000),
    ("ug", "mass", 1, 1_000_000),
    ("m", "length", 1, 1),
    ("cm", "length", 1, 100),
    ("mm", "length", 1, 1000),
    ("[in_i]", "length", 254, 10_000),
    ("mm[Hg]", "pressure", 133_322, 1000),
    ("kPa", "pressure", 1000, 1),
    ("/min", "rate", 1, 60),
    ("{beats}/min", "rate", 1, 60),
    ("{score}", "one", 1, 1),
    ("1", "one", 1, 1),
    ("%", "one", 1, 100),
    ("mg/dL", "concentration", 10, 1),
    ("g/L", "concentration", 1000, 1),
    ("h", "time", 3600, 1),
    ("min", "time", 60, 1),
];

/// An end of a range: None is open to that side; the flag tells that the number itself does not belong to it.
type End = Option<(Decimal, bool)>;

#[derive(Debug, Clone)]
pub(super) struct Amount {
    low: End,
    high: End,
    pub(super) system: Option<String>,
    pub(super) code: Option<String>,
    pub(super) label: Option<String>,
}

pub(super) fn is(kind: &str, found: &Found<'_>, wanted: &str) -> Result<bool, Wrong> {
    let Some(amount) = amount(found) else {
        return Ok(false);
    };
    if kind == "number" {
        return amount.compares(wanted, Some(Decimal::ONE));
    }
    let parts: Vec<String> = split(wanted, '|').iter().map(|p| unescaped(p)).collect();
    match parts.as_slice() {
        [number] => amount.compares(number, Some(Decimal::ONE)),
        [number, system, code] => {
            let (system, code) = (system.as_str(), code.as_str());
            if code.is_empty() {
                return amount.compares(number, Some(Decimal::ONE));
            }
            let is_same_code = amount.code.as_deref() == Some(code);
            let is_same_system = amount.system.as_deref() == Some(system);
            let mut is_found = false;
            if (system.is_empty() && (is_same_code || amount.label.as_deref() == Some(code)))
                || (is_same_code && is_same_system)
            {
                is_found |= amount.compares(number, Some(Decimal::ONE))?;
            }
            // The same in another unit.
            if (system.is_empty() || system == UCUM) && amount.system.as_deref() == Some(UCUM) {
                let factor = amount.code.as_deref().map(|own| factor(own, code));
                if let Some(Some(factor)) = factor {
                    is_found |= amount.compares(number, Some(factor))?;
                }
            }
            Ok(is_found)
        }
        _ => Err("number, number|system|code or number||code".into()),
    }
}

/// What one of a unit is in another one.
fn factor(of: &str, into: &str) -> Option<Decimal> {
    let unit = |code: &str| UNITS.iter().find(|(own, ..)| *own == code);
    let ((_, kind, times, by), (_, other, other_times, other_by)) = (unit(of)?, unit(into)?);
    (kind == other).then(|| {
        Decimal::from(*times) * Decimal::from(*other_by)
            / (Decimal::from(*by) * Decimal::from(*other_times))
    })
}

impl Amount {
    /// What it is sorted by: its lower end.
    pub(super) fn least(&self) -> SortKey {
        let (number, is_open) = self.low.unwrap_or((Decimal::MIN, false));
        SortKey::Number(number, is_open)
    }

    /// Held against a number with a prefix, after the own one was brought into its unit.
    fn compares(&self, wanted: &str, factor: Option<Decimal>) -> Result<bool, Wrong> {
        let Some(factor) = factor else {
            return Ok(false);
        };
        let (prefix, text) = cut(wanted);
        let (number, half) = read(text).ok_or_else(|| format!("{text} is no number"))?;
        let convert = |end: End| end.map(|(number, is_open)| (number * factor, is_open));
        let (low, high) = (convert(self.low), convert(self.high));
        let tenth = number.abs() / Decimal::TEN;
        let is_within = at_least(low, number - half) && below(high, number + half);
        Ok(match prefix {
            "eq" => is_within,
            "ne" => !is_within,
            "gt" => high.is_none_or(|(high, _)| high > number),
            "lt" => low.is_none_or(|(low, _)| low < number),
            "ge" => reaches(high, number, Ordering::Greater),
            "le" => reaches(low, number, Ordering::Less),
            "sa" => low.is_some_and(|(low, is_open)| low > number || (low == number && is_open)),
            "eb" => {
                high.is_some_and(|(high, is_open)| high < number || (high == number && is_open))
            }
            "ap" => {
                reaches(high, number - tenth, Ordering::Greater)
                    && reaches(low, number + tenth, Ordering::Less)
            }
            _ => return Err(format!("{prefix} is no prefix")),
        })
    }
}

/// Whether all above a lower end is at least that number.
fn at_least(low: End, number: Decimal) -> bool {
    low.is_some_and(|(low, _)| low >= number)
}

/// Whether all below an upper end is less than that number.
fn below(high: End, number: Decimal) -> bool {
    high.is_some_and(|(high, is_open)| high < number || (high == number && is_open))
}

/// Whether an end lies beyond a number, or at it.
fn reaches(end: End, number: Decimal, beyond: Ordering) -> bool {
    end.is_none_or(|(end, is_open)| {
        let order = end.cmp(&number);
        order == beyond || (order == Ordering::Equal && !is_open)
    })
}

/// A number, and half of what its last digit is worth.
pub(super) fn read(text: &str) -> Option<(Decimal, Decimal)> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let digits = mantissa
        .split_once('.')
        .map_or(0, |(_, digits)| digits.len());
    let mut number: Decimal = mantissa.parse().ok()?;
    let mut half = Decimal::new(5, 1);
    for _ in 0..digits {
        half /= Decimal::TEN;
    }
    for _ in 0..exponent.abs() {
        let times = |value: Decimal| match exponent > 0 {
            true => value.checked_mul(Decimal::TEN),
            false => value.checked_div(Decimal::TEN),
        };
        (number, half) = (times(number)?, times(half)?);
    }
    Some((number, half))
}

/// What a value of a document says of a number and its unit.
pub(super) fn amount(found: &Found<'_>) -> Option<Amount> {
    let value = &*found.value;
    match found.kind {
        "decimal" | "integer" | "positiveInt" | "unsignedInt" => plain(value),
        "Money" => {
            let mut amount = plain(value.get("value")?)?;
            amount.code = value.str_of("currency").map(str::to_owned);
            amount.system = amount.code.is_some().then(|| CURRENCIES.into());
            Some(amount)
        }
        "Range" => range(value.get("low"), value.get("high")),
        "SampledData" => {
            let origin = quantity(value.get("origin")?)?;
            let low = plain(value.get("lowerLimit")?)?.low;
            let high = plain(value.get("upperLimit")?)?.high;
            Some(Amount {
                low,
                high,
                ..origin
            })
        }
        "Quantity" | "Age" | "Distance" | "Duration" | "Count" | "SimpleQuantity"
        | "MoneyQuantity" => quantity(value),
        _ => None,
    }
}

fn plain(value: &Value) -> Option<Amount> {
    let (number, _) = read(value.as_number()?)?;
    let end = Some((number, false));
    Some(Amount {
        low: end,
        high: end,
        system: None,
        code: None,
        label: None,
    })
}

fn quantity(value: &Value) -> Option<Amount> {
    let mut amount = plain(value.get("value")?)?;
    match value.str_of("comparator") {
        Some("<") => (amount.low, amount.high) = (None, amount.high.map(|(n, _)| (n, true))),
        Some("<=") => amount.low = None,
        Some(">") => (amount.low, amount.high) = (amount.low.map(|(n, _)| (n, true)), None),
        Some(">=") => amount.high = None,
        _ => {}
    }
    let text = |name: &str| value.str_of(name).map(str::to_owned);
    (amount.system, amount.code, amount.label) = (text("system"), text("code"), text("unit"));
    Some(amount)
}

/// The unit is that of the end that is told.
fn range(low: Option<&Value>, high: Option<&Value>) -> Option<Amount> {
    let (low, high) = (low.and_then(quantity), high.and_then(quantity));
    let end = high.as_ref().map(|high| high.high);
    let mut amount = low.clone().or(high)?;
    amount.low = low.and_then(|low| low.low);
    amount.high = end.flatten();
    Some(amount)
}

#[test]
fn digits_tell_how_exact_a_number_is() {
    let decimal = |text: &str| text.parse::<Decimal>().unwrap();
    assert_eq!(read("5.40"), Some((decimal("5.4"), decimal("0.005"))));
    assert_eq!(read("1e2"), Some((decimal("100"), decimal("50"))));
    assert_eq!(read("1.5e-1"), Some((decimal("0.15"), decimal("0.005"))));
}
