//! Number and quantity: amounts, with or without a unit. <https://hl7.org/fhir/R4/search.html#quantity>
//!
//! Both live in one table. An amount has a row as it was written (unit 0), and one for each way to name its unit: in the
//! base units of UCUM, so that 5 mg and 0.005 g are the same, or by code when it is none of UCUM's, or by what people
//! read when that says something else.

use fhir_spec::decimal::{self, Decimal};
use fhir_spec::json::Value;
use fhir_spec::ucum;
use rust_decimal::prelude::ToPrimitive;

use super::Prefix;
use crate::condition::{Bind, Bounds, Op, Probe, Reach, Test, Window};
use crate::hash;
use crate::query::escape::{split, unescaped};
use crate::registry::Source;
use crate::rows::{NumberRow, Rows};
use crate::table::TableKind;

pub(crate) const UCUM: &str = "http://unitsofmeasure.org";
const CURRENCIES: &str = "urn:iso:std:iso:4217";

/// How an element holds an amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// `decimal`, `integer` ...
    Plain,
    /// Quantity, Age, Duration ...
    Quantity,
    Money,
    Range,
    /// From its lower to its upper limit, when it tells them.
    SampledData,
}

impl Form {
    pub(crate) fn of(type_name: &str) -> Option<Self> {
        Some(match type_name {
            "decimal" | "integer" | "positiveInt" | "unsignedInt" => Self::Plain,
            "Quantity" | "Age" | "Distance" | "Duration" | "Count" | "SimpleQuantity"
            | "MoneyQuantity" => Self::Quantity,
            "Money" => Self::Money,
            "Range" => Self::Range,
            "SampledData" => Self::SampledData,
            _ => return None,
        })
    }
}

/// As many of its own sort of rows as a unit has names.
struct Amount<'a> {
    lo: f64,
    hi: f64,
    /// In base units, and which those are.
    canonical: Option<(f64, f64, i32)>,
    system: Option<&'a str>,
    code: Option<&'a str>,
    label: Option<&'a str>,
}

pub(crate) fn rows(form: Form, path: i32, value: &Value, rows: &mut Rows) {
    let amount = match form {
        Form::Plain => plain(value),
        Form::Quantity => quantity(value),
        Form::Money => money(value),
        Form::Range => range(value.get("low"), value.get("high")),
        Form::SampledData => sampled(value),
    };
    if let Some(amount) = amount {
        amount.push(path, rows);
    }
}

impl Amount<'_> {
    fn push(&self, path: i32, rows: &mut Rows) {
        let mut push = |unit: i32, lo: f64, hi: f64| {
            let span = u8::from(lo < hi);
            // Zero has one sign.
            let (lo, hi) = (lo + 0.0, hi + 0.0);
            rows.number.push(NumberRow {
                path,
                unit,
                span,
                lo,
                hi,
            });
        };
        push(0, self.lo, self.hi);
        match (self.canonical, self.code) {
            (Some((lo, hi, unit)), _) => push(unit, lo, hi),
            (None, Some(code)) => {
                push(named(code), self.lo, self.hi);
                if let Some(system) = self.system {
                    push(named_in(system, code), self.lo, self.hi);
                }
            }
            (None, None) => {}
        }
        if let Some(label) = self.label.filter(|label| Some(*label) != self.code) {
            push(named(label), self.lo, self.hi);
        }
    }
}

/// The key of base units.
pub(crate) fn base_units(dimension: &str) -> i32 {
    hash::short(&format!("={dimension}"))
}

/// The key of a unit by its code or label alone.
pub(crate) fn named(unit: &str) -> i32 {
    hash::short(&format!("|{unit}"))
}

/// The key of a unit by its system and code.
pub(crate) fn named_in(system: &str, code: &str) -> i32 {
    hash::short(&format!("{system}|{code}"))
}

fn plain(value: &Value) -> Option<Amount<'_>> {
    let number = real(value)?;
    Some(Amount {
        lo: number,
        hi: number,
        canonical: None,
        system: None,
        code: None,
        label: None,
    })
}

/// The nearest number in floating point; digits beyond it do not count in searches.
fn real(value: &Value) -> Option<f64> {
    let number: f64 = value.as_number()?.parse().ok()?;
    number.is_finite().then_some(number)
}

fn quantity(value: &Value) -> Option<Amount<'_>> {
    let number = real(value.get("value")?)?;
    let comparator = value.str_of("comparator");
    let ends = |number: f64| match comparator {
        Some("<") => (f64::MIN, number.next_down()),
        Some("<=") => (f64::MIN, number),
        Some(">=") => (number, f64::MAX),
        Some(">") => (number.next_up(), f64::MAX),
        _ => (number, number),
    };
    let (lo, hi) = ends(number);
    let mut amount = Amount {
        lo,
        hi,
        canonical: None,
        system: value.str_of("system"),
        code: value.str_of("code"),
        label: value.str_of("unit"),
    };
    if let (Some(UCUM), Some(code)) = (amount.system, amount.code)
        && let Some((number, unit)) = canonical(value.get("value")?, code)
    {
        let (lo, hi) = ends(number);
        amount.canonical = Some((lo, hi, unit));
    }
    Some(amount)
}

fn canonical(number: &Value, code: &str) -> Option<(f64, i32)> {
    let number = decimal::parse(number.as_number()?)?;
    let (number, dimension) = ucum::canonical(number, code)?;
    Some((number.to_f64()?, base_units(&dimension)))
}

fn money(value: &Value) -> Option<Amount<'_>> {
    let mut amount = plain(value.get("value")?)?;
    amount.code = value.str_of("currency");
    amount.system = amount.code.map(|_| CURRENCIES);
    Some(amount)
}

/// An end that is not told is open. The unit is that of the end that has one.
fn range<'a>(low: Option<&'a Value>, high: Option<&'a Value>) -> Option<Amount<'a>> {
    let low = low.and_then(quantity);
    let high = high.and_then(quantity);
    match (low, high) {
        (Some(low), Some(high)) if low.lo <= high.hi => {
            let canonical = match (low.canonical, high.canonical) {
                (Some((lo, _, unit)), Some((_, hi, other))) if unit == other => {
                    Some((lo, hi, unit))
                }
                _ => None,
            };
            Some(Amount {
                hi: high.hi,
                canonical,
                ..low
            })
        }
        (Some(low), None) => Some(Amount {
            hi: f64::MAX,
            canonical: low.canonical.map(|(lo, _, unit)| (lo, f64::MAX, unit)),
            ..low
        }),
        (None, Some(high)) => Some(Amount {
            lo: f64::MIN,
            canonical: high.canonical.map(|(_, hi, unit)| (f64::MIN, hi, unit)),
            ..high
        }),
        _ => None,
    }
}

fn sampled(value: &Value) -> Option<Amount<'_>> {
    let origin = quantity(value.get("origin")?)?;
    let (lower, upper) = (value.get("lowerLimit")?, value.get("upperLimit")?);
    let (lo, hi) = (real(lower)?, real(upper)?);
    let convert = |limit| canonical(limit, origin.code?);
    let canonical = match (origin.canonical.and(convert(lower)), convert(upper)) {
        (Some((lo, unit)), Some((hi, _))) => Some((lo, hi, unit)),
        _ => None,
    };
    (lo <= hi).then_some(Amount {
        lo,
        hi,
        canonical,
        ..origin
    })
}

/// What is searched for: the number, and the half-open range that its digits leave open.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    prefix: Prefix,
    value: Decimal,
    from: Decimal,
    to: Decimal,
}

/// `5.4`, `lt5e-3`
pub(crate) fn number_probes(source: &Source, value: &str) -> Result<Vec<Probe>, String> {
    let wanted = Wanted::read(&unescaped(value))?;
    Ok(vec![wanted.probe(source, 0, Some)?])
}

/// `5.4`, `5.4|system|code`, `5.4||unit`
pub(crate) fn quantity_probes(source: &Source, value: &str) -> Result<Vec<Probe>, String> {
    let parts: Vec<String> = split(value, '|').into_iter().map(unescaped).collect();
    let (number, system, code) = match parts.as_slice() {
        [number] => (number, "", ""),
        [number, system, code] => (number, system.as_str(), code.as_str()),
        _ => return Err("a quantity is `number`, `number|system|code` or `number||unit`".into()),
    };
    let wanted = Wanted::read(number)?;
    if code.is_empty() {
        if !system.is_empty() {
            return Err(format!(
                "a code of `{system}` is missing after the last `|`"
            ));
        }
        return Ok(vec![wanted.probe(source, 0, Some)?]);
    }
    let dimension = ucum::parse(code).map(|unit| base_units(&unit.dimension.to_string()));
    let convert = |value: Decimal| ucum::canonical(value, code).map(|(value, _)| value);
    match (system, dimension) {
        (UCUM, Some(unit)) => Ok(vec![wanted.probe(source, unit, convert)?]),
        (UCUM, None) => Err(format!("`{code}` is no unit of UCUM")),
        // Either the code or what people read.
        ("", Some(unit)) => Ok(vec![
            wanted.probe(source, unit, convert)?,
            wanted.probe(source, named(code), Some)?,
        ]),
        ("", None) => Ok(vec![wanted.probe(source, named(code), Some)?]),
        _ => Ok(vec![wanted.probe(source, named_in(system, code), Some)?]),
    }
}

impl Wanted {
    fn read(value: &str) -> Result<Self, String> {
        // `e` begins an exponent only after a digit: prefixes come first.
        let (prefix, written) = Prefix::cut(value)?;
        let number = decimal::parse(written.strip_prefix('+').unwrap_or(written));
        let out = || format!("`{written}` is no number within range");
        let number = number.ok_or_else(out)?;
        let half = if prefix == Prefix::Near {
            number.abs().checked_div(Decimal::TEN)
        } else {
            half_of_last_digit(written)
        };
        let half = half.ok_or_else(out)?;
        Ok(Self {
            prefix,
            value: number,
            from: number.checked_sub(half).ok_or_else(out)?,
            to: number.checked_add(half).ok_or_else(out)?,
        })
    }

    /// In the rows of one unit, into which `convert` brings the number.
    fn probe(
        self,
        source: &Source,
        unit: i32,
        convert: impl Fn(Decimal) -> Option<Decimal>,
    ) -> Result<Probe, String> {
        let real = |value: Decimal| {
            let converted = convert(value).and_then(|value| value.to_f64());
            converted.ok_or_else(|| format!("`{value}` is out of range in that unit"))
        };
        let (value, from, to) = (real(self.value)?, real(self.from)?, real(self.to)?);
        let lo = |op, value: f64| Test::Is("lo", op, Bind::Real(value));
        let hi = |op, value: f64| Test::Is("hi", op, Bind::Real(value));
        let bounds = |begins_from, begins_to, ends_from| Bounds {
            begins_from,
            begins_to,
            ends_from,
            ends_to: f64::MAX,
        };
        let (min, max) = (f64::MIN, f64::MAX);
        let (tests, bounds) = match self.prefix {
            Prefix::Equal => (
                vec![lo(Op::AtLeast, from), hi(Op::Less, to)],
                bounds(from, to, from),
            ),
            Prefix::NotEqual => (
                vec![Test::Either(vec![lo(Op::Less, from), hi(Op::AtLeast, to)])],
                bounds(min, max, min),
            ),
            Prefix::Greater => (vec![hi(Op::Greater, value)], bounds(min, max, value)),
            Prefix::AtLeast => (vec![hi(Op::AtLeast, value)], bounds(min, max, value)),
            Prefix::Less => (vec![lo(Op::Less, value)], bounds(min, value, min)),
            Prefix::AtMost => (vec![lo(Op::AtMost, value)], bounds(min, value, min)),
            Prefix::StartsAfter => (vec![lo(Op::Greater, value)], bounds(value, max, min)),
            Prefix::EndsBefore => (vec![hi(Op::Less, value)], bounds(min, value, min)),
            Prefix::Near => (
                vec![lo(Op::AtMost, to), hi(Op::AtLeast, from)],
                bounds(min, to, from),
            ),
        };
        let tests = [vec![Test::equal("unit", unit)], tests].concat();
        let reach = match self.prefix {
            Prefix::Equal => Reach::Some,
            _ => Reach::Most,
        };
        let mut probe = Probe::new(TableKind::Number, source.path, reach, tests);
        probe.is_single = !source.element.repeats;
        Ok(probe.within(Window::Number(bounds)))
    }
}

/// Half of what the last written digit is worth: `5.40` means 5.395 up to 5.405, `1e2` means 50 up to 150.
fn half_of_last_digit(written: &str) -> Option<Decimal> {
    let (mantissa, exponent) = match written.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse().ok()?),
        None => (written, 0_i32),
    };
    let digits = mantissa
        .split_once('.')
        .map_or(0, |(_, digits)| digits.len());
    let digits = i32::try_from(digits).ok()?;
    decimal::shift(
        Decimal::new(5, 0),
        exponent.checked_sub(digits)?.checked_sub(1)?,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_tell_how_exact_a_number_is() {
        for (written, half) in [
            ("5.40", "0.005"),
            ("100", "0.5"),
            ("1e2", "50"),
            ("1.5e-3", "0.00005"),
            ("-2.0", "0.05"),
        ] {
            assert_eq!(half_of_last_digit(written), half.parse().ok(), "{written}");
        }
    }
}
