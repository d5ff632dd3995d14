//! A date: year, month or day. <https://hl7.org/fhir/R4/datatypes.html#date>

use std::fmt;

use rust_decimal::Decimal;

use super::calendar::{date_from_days, days_from_date, plus_months};
use super::duration::{Shift, shift};
use super::scan::Scan;
use super::{CalendarUnit, DateTime, MICROS_PER_DAY, Precision};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Date {
    pub(super) year: u16,
    pub(super) month: u8,
    pub(super) day: u8,
    pub(super) precision: Precision,
}

impl Date {
    /// `2012`, `2012-04` or `2012-04-15`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut scan = Scan::new(text);
        let (year, month, day, precision) = scan.date()?;
        scan.is_done().then_some(Self {
            year,
            month,
            day,
            precision,
        })
    }

    /// The day so many days after 1970-01-01; nothing outside the years 1 to 9999.
    pub fn from_days(days: i64) -> Option<Self> {
        let (year, month, day) = date_from_days(days)?;
        Some(Self {
            year,
            month,
            day,
            precision: Precision::Day,
        })
    }

    pub fn year(self) -> u16 {
        self.year
    }

    pub fn month(self) -> Option<u8> {
        (self.precision >= Precision::Month).then_some(self.month)
    }

    pub fn day(self) -> Option<u8> {
        (self.precision >= Precision::Day).then_some(self.day)
    }

    pub fn precision(self) -> Precision {
        self.precision
    }

    /// `[from, until)` in microseconds since 1970 UTC, in a zone so many minutes east of it.
    pub fn interval(self, offset_minutes: i16) -> (i64, i64) {
        DateTime::from(self).interval(offset_minutes)
    }

    /// Some time later; nothing outside the years 1 to 9999.
    #[must_use]
    pub fn plus(self, amount: Decimal, unit: CalendarUnit) -> Option<Self> {
        let (year, month, day) = match shift(amount, unit, self.precision)? {
            Shift::Months(months) => plus_months(self.year, self.month, self.day, months)?,
            Shift::Micros(micros) => {
                let days = days_from_date(i64::from(self.year), self.month, self.day);
                date_from_days(days.checked_add(micros / MICROS_PER_DAY)?)?
            }
        };
        Some(Self {
            year,
            month,
            day,
            ..self
        })
    }

    /// The same date, less exact.
    #[must_use]
    pub fn truncated(self, precision: Precision) -> Self {
        Self {
            month: if precision < Precision::Month {
                1
            } else {
                self.month
            },
            day: if precision < Precision::Day {
                1
            } else {
                self.day
            },
            precision: self.precision.min(precision),
            ..self
        }
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}", self.year)?;
        if self.precision >= Precision::Month {
            write!(f, "-{:02}", self.month)?;
        }
        if self.precision >= Precision::Day {
            write!(f, "-{:02}", self.day)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_date_is() {
        for text in [
            "0001",
            "2012",
            "2012-04",
            "2012-04-15",
            "2016-02-29",
            "9999-12-31",
        ] {
            assert_eq!(Date::parse(text).unwrap().to_string(), text);
        }
        for text in [
            "0000",
            "12",
            "2012-",
            "2012-13",
            "2012-00",
            "2015-02-29",
            "1900-02-29",
            "2012-4-1",
            "2012-04-15T",
            "२०१२",
        ] {
            assert_eq!(Date::parse(text), None, "{text}");
        }
    }

    #[test]
    fn amounts_count_in_units_of_the_precision() {
        let plus = |date: &str, amount: i64, unit| {
            Date::parse(date)
                .unwrap()
                .plus(amount.into(), unit)
                .unwrap()
                .to_string()
        };
        assert_eq!(plus("2016", 364, CalendarUnit::Day), "2016");
        assert_eq!(plus("2016", 365, CalendarUnit::Day), "2017");
        assert_eq!(plus("2016", -365, CalendarUnit::Day), "2015");
        assert_eq!(plus("2016", 11, CalendarUnit::Month), "2016");
        assert_eq!(plus("2016-01", 30, CalendarUnit::Day), "2016-02");
        assert_eq!(plus("2016-01-01", 47, CalendarUnit::Hour), "2016-01-02");
        assert_eq!(plus("2016-02-28", 1, CalendarUnit::Week), "2016-03-06");
        assert_eq!(
            Date::parse("9999-12-31")
                .unwrap()
                .plus(1.into(), CalendarUnit::Day),
            None
        );
        assert_eq!(
            Date::parse("2000")
                .unwrap()
                .plus(Decimal::MAX, CalendarUnit::Day),
            None
        );
    }
}
