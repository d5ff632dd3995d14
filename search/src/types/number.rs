//! Number and quantity: amounts, with or without a unit. <https://hl7.org/fhir/R4/search.html#quantity>
//!
//! Both live in one table. An amount has a row as it was written (unit 0), and one for each way to name its unit: in the
//! base units of UCUM, so that 5 mg and 0.005 g are the same, or by code when it is none of UCUM's, or by what people
//! read when that says something else.

use fhir_spec::decimal;
use fhir_spec::json::Value;
use fhir_spec::ucum;
use rust_decimal::prelude::ToPrimitive;

use crate::hash;
use crate::rows::{NumberRow, Rows};

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
        Some("<" | "<=") => (f64::MIN, number),
        Some(">" | ">=") => (number, f64::MAX),
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
    let lo = value.get("lowerLimit").and_then(real)?;
    let hi = value.get("upperLimit").and_then(real)?;
    (lo <= hi).then_some(Amount {
        lo,
        hi,
        canonical: None,
        system: None,
        code: origin.code,
        label: origin.label,
    })
}
