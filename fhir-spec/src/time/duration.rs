//! Calendar durations, and what becomes of an amount of them at a given precision.
//! <http://hl7.org/fhirpath/N1/#datetime-arithmetic>

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use super::{MICROS_PER_DAY, MICROS_PER_HOUR, MICROS_PER_MINUTE, MICROS_PER_SECOND, Precision};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CalendarUnit {
    Millisecond,
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Year,
}

impl CalendarUnit {
    pub const ALL: &[Self] = &[
        Self::Millisecond,
        Self::Second,
        Self::Minute,
        Self::Hour,
        Self::Day,
        Self::Week,
        Self::Month,
        Self::Year,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Millisecond => "millisecond",
            Self::Second => "second",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Year => "year",
        }
    }

    /// `day` or `days`.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|unit| word == unit.name() || word.strip_suffix('s') == Some(unit.name()))
    }

    /// The unit of UCUM that comes nearest.
    pub fn ucum(self) -> &'static str {
        match self {
            Self::Millisecond => "ms",
            Self::Second => "s",
            Self::Minute => "min",
            Self::Hour => "h",
            Self::Day => "d",
            Self::Week => "wk",
            Self::Month => "mo",
            Self::Year => "a",
        }
    }

    pub fn from_ucum(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|unit| code == unit.ucum())
    }

    /// Months and years have no fixed length: they never equal an amount of UCUM's `mo` and `a`.
    pub fn is_definite(self) -> bool {
        self <= Self::Week
    }

    /// How long one lasts; a month counts 30 days and a year 365, as FHIRPath converts them.
    pub fn micros(self) -> i64 {
        match self {
            Self::Millisecond => 1_000,
            Self::Second => MICROS_PER_SECOND,
            Self::Minute => MICROS_PER_MINUTE,
            Self::Hour => MICROS_PER_HOUR,
            Self::Day => MICROS_PER_DAY,
            Self::Week => 7 * MICROS_PER_DAY,
            Self::Month => 30 * MICROS_PER_DAY,
            Self::Year => 365 * MICROS_PER_DAY,
        }
    }
}

/// What is really added to a value: whole months, or microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shift {
    Months(i64),
    Micros(i64),
}

/// An amount brought to the precision of the value it is added to. Fractions count for seconds only; what is finer than
/// the precision counts in whole units of it: 23 hours leave a day as it is, 24 move it.
pub(super) fn shift(amount: Decimal, unit: CalendarUnit, precision: Precision) -> Option<Shift> {
    let whole = amount.trunc().to_i64()?;
    let micros = if unit <= CalendarUnit::Second {
        amount
            .checked_mul(Decimal::from(unit.micros()))?
            .trunc()
            .to_i64()?
    } else {
        whole.checked_mul(unit.micros())?
    };
    let months = match unit {
        CalendarUnit::Year => Some(whole.checked_mul(12)?),
        CalendarUnit::Month => Some(whole),
        _ => None,
    };
    let by = |step: i64| micros / step * step;
    Some(match (precision, months) {
        (Precision::Year, Some(months)) => Shift::Months(months / 12 * 12),
        (_, Some(months)) => Shift::Months(months),
        (Precision::Year, None) => Shift::Months(micros / CalendarUnit::Year.micros() * 12),
        (Precision::Month, None) => Shift::Months(micros / CalendarUnit::Month.micros()),
        (Precision::Day, None) => Shift::Micros(by(MICROS_PER_DAY)),
        (Precision::Hour, None) => Shift::Micros(by(MICROS_PER_HOUR)),
        (Precision::Minute, None) => Shift::Micros(by(MICROS_PER_MINUTE)),
        (Precision::Second | Precision::Fraction, None) => Shift::Micros(micros),
    })
}
