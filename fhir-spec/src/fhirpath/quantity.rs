//! Quantities: a decimal and a unit. <http://hl7.org/fhirpath/N1/#quantity>

use std::cmp::Ordering;
use std::fmt;

use rust_decimal::{Decimal, RoundingStrategy};

use super::item::Item;
use crate::decimal::fraction_digits;
use crate::time::CalendarUnit;
use crate::ucum::{self, Scale};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quantity {
    pub value: Decimal,
    pub unit: Unit,
}

/// UCUM's years are not the calendar's: `1 'a'` and `1 year` are not known to be equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unit {
    Ucum(Box<str>),
    Calendar(CalendarUnit),
    /// A time in a FHIR Quantity. FHIR reads `a` as a calendar year, but it is written in UCUM: it goes with both.
    Either(CalendarUnit),
}

/// How two quantities are brought to one unit.
enum Ground {
    Ucum(ucum::Unit, ucum::Unit),
    Calendar(CalendarUnit, CalendarUnit),
    /// The same unit, whatever it may be.
    Same,
}

impl Unit {
    pub(super) fn one() -> Self {
        Self::Ucum("1".into())
    }

    /// `'mg'` or `days`, as the text of a quantity and the argument of `toQuantity` have it.
    pub(super) fn named(text: &str) -> Self {
        CalendarUnit::parse(text).map_or_else(|| Self::Ucum(text.into()), Self::Calendar)
    }

    fn code(&self) -> &str {
        match self {
            Self::Ucum(code) => code,
            Self::Calendar(unit) | Self::Either(unit) => unit.ucum(),
        }
    }

    fn calendar(&self) -> Option<CalendarUnit> {
        match self {
            Self::Ucum(_) => None,
            Self::Calendar(unit) | Self::Either(unit) => Some(*unit),
        }
    }

    /// What may be added to a date: a calendar duration, or one of UCUM that has the same length.
    pub(super) fn duration(&self) -> Option<CalendarUnit> {
        match self {
            Self::Ucum(code) => CalendarUnit::from_ucum(code).filter(|unit| unit.is_definite()),
            Self::Calendar(unit) | Self::Either(unit) => Some(*unit),
        }
    }

    /// The unit as UCUM, where it is one: a calendar month is not.
    fn ucum(&self) -> Option<ucum::Unit> {
        match self {
            Self::Calendar(_) => None,
            Self::Ucum(code) => ucum::parse(code),
            Self::Either(unit) => ucum::parse(unit.ucum()),
        }
    }

    fn is_dimensionless(&self) -> bool {
        self.ucum().is_some_and(|unit| unit.is_dimensionless())
    }

    /// `is_lenient`: as for equivalence, where a calendar month counts as UCUM's.
    fn ground(&self, other: &Self, is_lenient: bool) -> Option<Ground> {
        if self == other {
            return Some(Ground::Same);
        }
        let is_calendar = |unit: &Self| matches!(unit, Self::Calendar(_));
        if let (true, Some(own), Some(others)) = (
            is_calendar(self) || is_calendar(other),
            self.calendar(),
            other.calendar(),
        ) {
            return Some(Ground::Calendar(own, others));
        }
        let is_indefinite = |unit: &Self| {
            CalendarUnit::from_ucum(unit.code()).is_some_and(|unit| !unit.is_definite())
        };
        let is_mixed = is_calendar(self) != is_calendar(other);
        if is_mixed && !is_lenient && (is_indefinite(self) || is_indefinite(other)) {
            return None;
        }
        let (own, others) = (ucum::parse(self.code())?, ucum::parse(other.code())?);
        own.is_comparable(&others)
            .then_some(Ground::Ucum(own, others))
    }
}

impl Quantity {
    /// Both values in the finer of the two units; nothing when they have nothing in common.
    fn aligned(&self, other: &Self, is_lenient: bool) -> Option<(Decimal, Decimal, Unit)> {
        let finer_is_own = match self.unit.ground(&other.unit, is_lenient)? {
            Ground::Same => return Some((self.value, other.value, self.unit.clone())),
            Ground::Calendar(own, others) => own < others,
            Ground::Ucum(own, others) => own.factor.is_below(&others.factor)?,
        };
        if finer_is_own {
            let value = other.value_in(&self.unit, is_lenient)?;
            Some((self.value, value, self.unit.settled(&other.unit)))
        } else {
            let value = self.value_in(&other.unit, is_lenient)?;
            Some((value, other.value, other.unit.settled(&self.unit)))
        }
    }

    fn value_in(&self, unit: &Unit, is_lenient: bool) -> Option<Decimal> {
        match self.unit.ground(unit, is_lenient)? {
            Ground::Same => Some(self.value),
            Ground::Ucum(from, to) => from.convert(self.value, &to),
            Ground::Calendar(from, to) => convert_calendar(self.value, from, to),
        }
    }

    pub(super) fn converted(&self, unit: Unit) -> Option<Self> {
        let is_known = unit.calendar().is_some() || unit.ucum().is_some();
        let value = self.value_in(&unit, false).filter(|_| is_known)?;
        Some(Self { value, unit })
    }

    pub(super) fn compare(&self, other: &Self) -> Option<Ordering> {
        let (own, others, _) = self.aligned(other, false)?;
        Some(own.cmp(&others))
    }

    pub(super) fn is_comparable(&self, other: &Self) -> bool {
        self.unit.ground(&other.unit, false).is_some()
    }

    pub(super) fn is_equivalent(&self, other: &Self) -> bool {
        self.aligned(other, true)
            .is_some_and(|(own, others, _)| are_equivalent(own, others))
    }

    /// In the finer of the two units. Degrees above a freezing point and decibels cannot be added.
    pub(super) fn plus(&self, other: &Self) -> Option<Self> {
        let is_ratio = |unit: &Unit| unit.ucum().is_none_or(|unit| unit.scale == Scale::Ratio);
        let (own, others, unit) = self.aligned(other, false)?;
        let value = own
            .checked_add(others)
            .filter(|_| is_ratio(&self.unit) && is_ratio(&other.unit))?;
        Some(Self { value, unit })
    }

    pub(super) fn negated(&self) -> Self {
        Self {
            value: -self.value,
            unit: self.unit.clone(),
        }
    }

    /// Times a number keeps the unit; times another unit gives base units. Calendar durations only take numbers.
    pub(super) fn times(&self, other: &Self) -> Option<Self> {
        if other.unit.is_dimensionless() {
            return self.scaled(other.plain()?, Decimal::checked_mul);
        }
        if self.unit.is_dimensionless() {
            return other.scaled(self.plain()?, Decimal::checked_mul);
        }
        let (own, others) = (self.unit.ucum()?, other.unit.ucum()?);
        let value = own
            .to_base(self.value)?
            .checked_mul(others.to_base(other.value)?)?;
        in_base(value, &own.checked_mul(&others)?)
    }

    pub(super) fn over(&self, other: &Self) -> Option<Self> {
        if other.unit.is_dimensionless() {
            return self.scaled(other.plain()?, Decimal::checked_div);
        }
        let (own, others) = (self.unit.ucum()?, other.unit.ucum()?);
        let value = own
            .to_base(self.value)?
            .checked_div(others.to_base(other.value)?)?;
        in_base(value, &own.checked_div(&others)?)
    }

    fn scaled(
        &self,
        by: Decimal,
        operation: fn(Decimal, Decimal) -> Option<Decimal>,
    ) -> Option<Self> {
        if self
            .unit
            .ucum()
            .is_some_and(|unit| unit.scale != Scale::Ratio)
        {
            return None;
        }
        Some(Self {
            value: operation(self.value, by)?,
            unit: self.unit.clone(),
        })
    }

    /// The number that a quantity without dimension is: `50 '%'` is 0.5.
    pub(super) fn plain(&self) -> Option<Decimal> {
        let unit = self.unit.ucum()?;
        unit.is_dimensionless()
            .then(|| unit.to_base(self.value))
            .flatten()
    }

    /// `value` and `unit`, as a path may ask for them.
    pub(super) fn member(&self, name: &str) -> Option<Item<'static>> {
        match (name, &self.unit) {
            ("value", _) => Some(Item::Decimal(self.value)),
            ("unit", Unit::Calendar(unit)) => Some(Item::from(unit.name())),
            ("unit", unit) => Some(Item::from(unit.code().to_owned())),
            _ => None,
        }
    }

    /// `4 'mg'`, `4 days`, or a bare number: what `toQuantity` reads.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let number_end = text
            .find(|c: char| !(c.is_ascii_digit() || matches!(c, '+' | '-' | '.')))
            .unwrap_or(text.len());
        let (number, unit) = text.split_at_checked(number_end)?;
        let value = crate::decimal::parse(number.strip_prefix('+').unwrap_or(number))?;
        let unit = unit.trim_start();
        if unit.is_empty() {
            return Some(Self {
                value,
                unit: Unit::one(),
            });
        }
        let quoted = unit
            .strip_prefix('\'')
            .and_then(|unit| unit.strip_suffix('\''));
        let unit = match quoted {
            Some(code) if !code.is_empty() && !code.contains('\'') => Unit::Ucum(code.into()),
            _ => Unit::Calendar(CalendarUnit::parse(unit)?),
        };
        Some(Self { value, unit })
    }
}

impl Unit {
    /// What becomes of a unit that could be two things once the other operand has said which.
    fn settled(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Either(unit), Self::Calendar(_)) => Self::Calendar(*unit),
            (Self::Either(unit), Self::Ucum(_)) => Self::Ucum(unit.ucum().into()),
            _ => self.clone(),
        }
    }
}

fn in_base(value: Decimal, unit: &ucum::Unit) -> Option<Quantity> {
    let code = unit.dimension.to_string();
    (unit.scale == Scale::Ratio).then(|| Quantity {
        value: value.normalize(),
        unit: Unit::Ucum(code.into()),
    })
}

fn convert_calendar(value: Decimal, from: CalendarUnit, to: CalendarUnit) -> Option<Decimal> {
    let (over, under) = match (from, to) {
        (CalendarUnit::Year, CalendarUnit::Month) => (12, 1),
        (CalendarUnit::Month, CalendarUnit::Year) => (1, 12),
        _ => (from.micros(), to.micros()),
    };
    value.checked_mul(over.into())?.checked_div(under.into())
}

/// Whether two numbers agree to the precision of the less exact one.
pub(super) fn are_equivalent(left: Decimal, right: Decimal) -> bool {
    let digits = fraction_digits(left).min(fraction_digits(right));
    let rounded = |number: Decimal| {
        number.round_dp_with_strategy(digits, RoundingStrategy::MidpointAwayFromZero)
    };
    rounded(left) == rounded(right)
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.unit {
            Unit::Calendar(unit) => {
                let plural = if self.value == Decimal::ONE { "" } else { "s" };
                write!(f, "{} {}{plural}", self.value, unit.name())
            }
            unit => write!(f, "{} '{}'", self.value, unit.code()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quantity(text: &str) -> Quantity {
        Quantity::parse(text).unwrap_or_else(|| panic!("{text}"))
    }

    #[test]
    fn calendar_and_ucum() {
        let compare = |a, b| quantity(a).compare(&quantity(b));
        assert_eq!(compare("1 year", "12 months"), Some(Ordering::Equal));
        assert_eq!(compare("1 year", "1 'a'"), None);
        assert_eq!(compare("1 month", "30 'd'"), None);
        assert_eq!(compare("7 days", "1 'wk'"), Some(Ordering::Equal));
        assert_eq!(compare("6 days", "1 week"), Some(Ordering::Less));
        assert!(quantity("1 month").is_equivalent(&quantity("1 'mo'")));
        assert!(quantity("30 days").is_equivalent(&quantity("1 'mo'")));
    }

    #[test]
    fn arithmetic_keeps_to_units() {
        let told = |quantity: Option<Quantity>| quantity.map(|quantity| quantity.to_string());
        let (cm, m) = (quantity("2.0 'cm'"), quantity("2.0 'm'"));
        assert_eq!(told(cm.times(&m)).as_deref(), Some("0.04 'm2'"));
        assert_eq!(told(m.over(&m)).as_deref(), Some("1 '1'"));
        assert_eq!(told(cm.plus(&m)).as_deref(), Some("202.0 'cm'"));
        assert_eq!(
            told(quantity("7 days").plus(&quantity("12 hours"))).as_deref(),
            Some("180 hours")
        );
        assert_eq!(cm.plus(&quantity("1 'g'")), None);
        assert_eq!(quantity("1 year").times(&quantity("1 'm'")), None);
        assert_eq!(quantity("1 'B'").times(&quantity("2")), None);
        assert_eq!(m.over(&quantity("0 'm'")), None);
    }

    #[test]
    fn the_text_of_a_quantity() {
        for text in ["1", "+1.5 'mg'", "-1 day", "1 'wk'", "1days"] {
            assert!(Quantity::parse(text).is_some(), "{text}");
        }
        for text in ["", "1 wk", "1.a", "a", "1 ''", "1 'a", "1 'a' b"] {
            assert_eq!(Quantity::parse(text), None, "{text}");
        }
    }
}
