//! A moment: a date, or a date with a time and a zone, as exact as it was written.
//! <https://hl7.org/fhir/R4/datatypes.html#dateTime>

use std::cmp::Ordering;
use std::fmt;

use rust_decimal::Decimal;

use super::calendar::{date_from_days, days_from_date, plus_months};
use super::duration::{Shift, shift};
use super::scan::{Clock, Scan};
use super::{
    CalendarUnit, Date, MICROS_PER_DAY, MICROS_PER_MINUTE, MICROS_PER_SECOND, Precision, Span, Time,
};

/// Zones lie between 12 hours west and 14 hours east of UTC.
const OFFSET_WEST_MINUTES: i16 = -12 * 60;
const OFFSET_EAST_MINUTES: i16 = 14 * 60;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DateTime {
    date: Date,
    /// Of midnight when the precision is a day or coarser.
    clock: Clock,
    offset_minutes: Option<i16>,
}

const MIDNIGHT: Clock = Clock {
    hour: 0,
    minute: 0,
    second: 0,
    micro: 0,
    fraction_digits: 0,
    precision: Precision::Hour,
};

impl DateTime {
    /// FHIRPath's form: any precision, a zone or none, and a `T` allowed at the end of a mere date.
    pub fn parse(text: &str) -> Option<Self> {
        let mut scan = Scan::new(text);
        let (year, month, day, precision) = scan.date()?;
        let mut date_time = Self::from(Date {
            year,
            month,
            day,
            precision,
        });
        if scan.take(b'T') && !scan.is_done() {
            if precision != Precision::Day {
                return None;
            }
            date_time.clock = scan.clock()?;
            date_time.date.precision = date_time.clock.precision;
            date_time.offset_minutes = scan.offset()?;
        }
        scan.is_done().then_some(date_time)
    }

    /// FHIR's form: a date, or a time to the second with a zone.
    pub fn parse_fhir(text: &str) -> Option<Self> {
        let date_time = Self::parse(text)?;
        let is_whole =
            date_time.precision() >= Precision::Second && date_time.offset_minutes.is_some();
        let is_date = date_time.precision() <= Precision::Day && !text.ends_with('T');
        (is_whole || is_date).then_some(date_time)
    }

    /// FHIR's `instant`: always to the second or finer, always with a zone.
    pub fn parse_instant(text: &str) -> Option<Self> {
        Self::parse_fhir(text).filter(|date_time| date_time.precision() >= Precision::Second)
    }

    /// The moment so many microseconds after 1970 began in UTC, to the millisecond, as a clock in that zone shows it.
    pub fn from_micros(micros: i64, offset_minutes: i16) -> Option<Self> {
        let local = micros.checked_add(i64::from(offset_minutes) * MICROS_PER_MINUTE)?;
        let (year, month, day) = date_from_days(local.div_euclid(MICROS_PER_DAY))?;
        let clock = MIDNIGHT.set(local.rem_euclid(MICROS_PER_DAY) / 1_000 * 1_000)?;
        Some(Self {
            date: Date {
                year,
                month,
                day,
                precision: Precision::Fraction,
            },
            clock: Clock {
                fraction_digits: 3,
                precision: Precision::Fraction,
                ..clock
            },
            offset_minutes: Some(offset_minutes),
        })
    }

    pub fn precision(self) -> Precision {
        self.date.precision
    }

    pub fn offset_minutes(self) -> Option<i16> {
        self.offset_minutes
    }

    pub fn date(self) -> Date {
        self.date.truncated(Precision::Day)
    }

    pub fn time(self) -> Option<Time> {
        (self.precision() >= Precision::Hour).then_some(Time { clock: self.clock })
    }

    /// `[from, until)` in microseconds since 1970 UTC; `offset_minutes` serves where none is written.
    pub fn interval(self, offset_minutes: i16) -> (i64, i64) {
        let offset = i64::from(self.offset_minutes.unwrap_or(offset_minutes)) * MICROS_PER_MINUTE;
        let first = self.local_micros();
        let width = match self.precision() {
            Precision::Second => MICROS_PER_SECOND,
            Precision::Fraction => match self.clock.fraction_digits {
                0..=6 => 10_i64.pow(6 - u32::from(self.clock.fraction_digits)),
                _ => 1,
            },
            _ => self.width_micros(),
        };
        (first - offset, first - offset + width)
    }

    fn local_micros(self) -> i64 {
        days_from_date(i64::from(self.date.year), self.date.month, self.date.day) * MICROS_PER_DAY
            + self.clock.micros()
    }

    fn width_micros(self) -> i64 {
        let year = i64::from(self.date.year);
        let days = |year: i64, month: u8| days_from_date(year, month, 1) * MICROS_PER_DAY;
        match (self.precision(), self.date.month) {
            (Precision::Year, _) => days(year + 1, 1) - days(year, 1),
            (Precision::Month, 12) => days(year + 1, 1) - days(year, 12),
            (Precision::Month, month) => days(year, month + 1) - days(year, month),
            (precision, _) => precision.width_micros(),
        }
    }

    /// Which is earlier; nothing when precision or a missing zone leaves it open.
    pub fn compare(self, other: Self) -> Option<Ordering> {
        let zones_differ = self.offset_minutes.is_some() != other.offset_minutes.is_some();
        self.span(zones_differ).compare(other.span(zones_differ))
    }

    /// A value without a zone beside one with a zone may lie anywhere on earth.
    fn span(self, zones_differ: bool) -> Span {
        let offset = |minutes: i16| i64::from(minutes) * MICROS_PER_MINUTE;
        let first = self.local_micros();
        let last = first + self.width_micros() - 1;
        let precision = self.precision().min(Precision::Second);
        match self.offset_minutes {
            Some(minutes) => Span {
                first: first - offset(minutes),
                last: last - offset(minutes),
                precision,
            },
            None if zones_differ => Span {
                first: first - offset(OFFSET_EAST_MINUTES),
                last: last - offset(OFFSET_WEST_MINUTES),
                precision,
            },
            None => Span {
                first,
                last,
                precision,
            },
        }
    }

    /// Some time later, in the same zone and precision; nothing outside the years 1 to 9999.
    #[must_use]
    pub fn plus(self, amount: Decimal, unit: CalendarUnit) -> Option<Self> {
        match shift(amount, unit, self.precision())? {
            Shift::Months(months) => {
                let (year, month, day) =
                    plus_months(self.date.year, self.date.month, self.date.day, months)?;
                Some(Self {
                    date: Date {
                        year,
                        month,
                        day,
                        ..self.date
                    },
                    ..self
                })
            }
            Shift::Micros(micros) => self.moved_to(self.local_micros().checked_add(micros)?),
        }
    }

    fn moved_to(self, local_micros: i64) -> Option<Self> {
        let (year, month, day) = date_from_days(local_micros.div_euclid(MICROS_PER_DAY))?;
        let clock = if self.precision() >= Precision::Hour {
            self.clock.set(local_micros.rem_euclid(MICROS_PER_DAY))?
        } else {
            MIDNIGHT
        };
        let precision = if clock.precision == Precision::Fraction {
            Precision::Fraction
        } else {
            self.precision()
        };
        Some(Self {
            date: Date {
                year,
                month,
                day,
                precision,
            },
            clock,
            ..self
        })
    }

    /// The earliest or latest moment this may mean, to the millisecond. Without a zone: somewhere on earth.
    pub fn boundary(self, is_high: bool) -> Option<Self> {
        let zone = if is_high {
            OFFSET_WEST_MINUTES
        } else {
            OFFSET_EAST_MINUTES
        };
        let day = if is_high && self.precision() < Precision::Day {
            let until = self.local_micros() + self.width_micros();
            date_from_days(until.div_euclid(MICROS_PER_DAY) - 1)?
        } else {
            (self.date.year, self.date.month, self.date.day)
        };
        let clock = if is_high && self.precision() <= Precision::Day {
            MIDNIGHT.set(MICROS_PER_DAY - 1_000)?
        } else {
            self.clock.boundary(is_high)?
        };
        let (year, month, day) = day;
        Some(Self {
            date: Date {
                year,
                month,
                day,
                precision: Precision::Fraction,
            },
            clock: Clock {
                fraction_digits: 3,
                precision: Precision::Fraction,
                ..clock
            },
            offset_minutes: Some(self.offset_minutes.unwrap_or(zone)),
        })
    }

    /// The same moment, less exact; a mere date has no zone.
    #[must_use]
    pub fn truncated(self, precision: Precision) -> Self {
        if precision <= Precision::Day {
            return Self::from(self.date.truncated(precision));
        }
        Self {
            date: Date {
                precision: self.precision().min(precision),
                ..self.date
            },
            clock: self.clock.truncated(precision),
            ..self
        }
    }
}

impl From<Date> for DateTime {
    fn from(date: Date) -> Self {
        Self {
            date,
            clock: MIDNIGHT,
            offset_minutes: None,
        }
    }
}

impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.date().fmt(f)?;
        if self.precision() < Precision::Hour {
            return Ok(());
        }
        write!(f, "T{}", self.clock)?;
        match self.offset_minutes {
            None => Ok(()),
            Some(0) => f.write_str("Z"),
            Some(minutes) => {
                let sign = if minutes < 0 { '-' } else { '+' };
                write!(
                    f,
                    "{sign}{:02}:{:02}",
                    minutes.abs() / 60,
                    minutes.abs() % 60
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(text: &str) -> DateTime {
        DateTime::parse(text).unwrap_or_else(|| panic!("{text}"))
    }

    #[test]
    fn what_fhir_allows() {
        for text in [
            "2012",
            "2012-04",
            "2012-04-15",
            "2012-04-15T10:00:00Z",
            "2012-04-15T10:00:00.120+02:00",
            "2012-04-15T23:59:60Z",
        ] {
            assert!(DateTime::parse_fhir(text).is_some(), "{text}");
        }
        for text in [
            "2012-04-15T10:00:00",
            "2012-04-15T10:00Z",
            "2012T",
            "2012-04-15T",
            "2012-04T10:00:00Z",
            "2012-04-15T10:00:00+15:00",
            "2012-04-15 10:00:00Z",
        ] {
            assert_eq!(DateTime::parse_fhir(text), None, "{text}");
        }
        assert_eq!(DateTime::parse_instant("2012-04-15"), None);
    }

    #[test]
    fn written_as_it_was() {
        for text in [
            "2012-04-15T10",
            "2012-04-15T10:00-05:00",
            "2012-04-15T10:00:00.1Z",
            "2012-04",
        ] {
            assert_eq!(moment(text).to_string(), text);
        }
    }

    #[test]
    fn intervals() {
        assert_eq!(moment("1970").interval(0), (0, 365 * MICROS_PER_DAY));
        assert_eq!(
            moment("1970-02").interval(60).0,
            31 * MICROS_PER_DAY - 60 * MICROS_PER_MINUTE
        );
        assert_eq!(
            moment("1970-01-01T01:00:00+01:00").interval(0),
            (0, MICROS_PER_SECOND)
        );
        assert_eq!(
            moment("1970-01-01T00:00:00.12Z").interval(0),
            (120_000, 130_000)
        );
        assert_eq!(
            moment("9999-12").interval(0).1,
            days_from_date(10_000, 1, 1) * MICROS_PER_DAY
        );
    }

    #[test]
    fn zones_and_precision_may_leave_it_open() {
        let compare = |a, b| moment(a).compare(moment(b));
        assert_eq!(
            compare("2012-04-15T15:00:00+02:00", "2012-04-15T16:00:00+03:00"),
            Some(Ordering::Equal)
        );
        assert_eq!(compare("2012-04-15T15:00:00Z", "2012-04-15T10:00:00"), None);
        assert_eq!(
            compare("2012-04-15T15:00:00Z", "2012-04-20T10:00:00"),
            Some(Ordering::Less)
        );
        assert_eq!(compare("2018", "2018-02"), None);
        assert_eq!(compare("2018", "2019-02"), Some(Ordering::Less));
        assert_eq!(
            compare("2018-02-02T22-04:00", "2018-02-03T06+04:00"),
            Some(Ordering::Equal)
        );
        assert_eq!(
            compare("2012-04-15T15:30:31", "2012-04-15T15:30:31.1"),
            Some(Ordering::Less)
        );
    }

    #[test]
    fn boundaries() {
        assert_eq!(
            moment("2014-01-01T08").boundary(false).unwrap().to_string(),
            "2014-01-01T08:00:00.000+14:00"
        );
        assert_eq!(
            moment("2014-02").boundary(true).unwrap().to_string(),
            "2014-02-28T23:59:59.999-12:00"
        );
        assert_eq!(
            moment("2014-01-01T08:05-05:00")
                .boundary(true)
                .unwrap()
                .to_string(),
            "2014-01-01T08:05:59.999-05:00"
        );
    }

    #[test]
    fn later() {
        let plus =
            |at: &str, amount: Decimal, unit| moment(at).plus(amount, unit).unwrap().to_string();
        assert_eq!(
            plus(
                "1973-12-25T00:00:00.000+10:00",
                Decimal::TEN,
                CalendarUnit::Millisecond
            ),
            "1973-12-25T00:00:00.010+10:00"
        );
        assert_eq!(
            plus("1973-12-31T23:30", Decimal::from(45), CalendarUnit::Minute),
            "1974-01-01T00:15"
        );
        assert_eq!(
            plus("2018-02-18T12", Decimal::from(59), CalendarUnit::Minute),
            "2018-02-18T12"
        );
        assert_eq!(
            plus("2018-02", Decimal::from(2), CalendarUnit::Month),
            "2018-04"
        );
    }
}
