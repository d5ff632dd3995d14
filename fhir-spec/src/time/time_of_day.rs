//! A time of day, without a date and without a zone. <https://hl7.org/fhir/R4/datatypes.html#time>

use std::cmp::Ordering;
use std::fmt;

use rust_decimal::Decimal;

use super::duration::{Shift, shift};
use super::scan::{Clock, Scan};
use super::{
    CalendarUnit, MICROS_PER_DAY, MICROS_PER_HOUR, MICROS_PER_MINUTE, MICROS_PER_SECOND, Precision,
    Span,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Time {
    pub(super) clock: Clock,
}

impl Time {
    /// `14`, `14:30`, `14:30:00` or `14:30:00.123`: FHIRPath's times. FHIR's always have seconds.
    pub fn parse(text: &str) -> Option<Self> {
        let mut scan = Scan::new(text);
        let clock = scan.clock()?;
        scan.is_done().then_some(Self { clock })
    }

    /// A time as FHIR resources have it: to the second or finer.
    pub fn parse_fhir(text: &str) -> Option<Self> {
        Self::parse(text).filter(|time| time.clock.precision >= Precision::Second)
    }

    pub fn precision(self) -> Precision {
        self.clock.precision
    }

    pub fn hour(self) -> u8 {
        self.clock.hour
    }

    pub fn minute(self) -> Option<u8> {
        (self.precision() >= Precision::Minute).then_some(self.clock.minute)
    }

    pub fn second(self) -> Option<u8> {
        (self.precision() >= Precision::Second).then_some(self.clock.second)
    }

    pub fn millisecond(self) -> Option<u32> {
        (self.precision() >= Precision::Fraction).then_some(self.clock.micro / 1_000)
    }

    pub fn compare(self, other: Self) -> Option<Ordering> {
        self.span().compare(other.span())
    }

    fn span(self) -> Span {
        let first = self.clock.micros();
        let last = first + self.clock.precision.width_micros() - 1;
        Span {
            first,
            last,
            precision: self.clock.precision.min(Precision::Second),
        }
    }

    /// Some time later, round the clock.
    #[must_use]
    pub fn plus(self, amount: Decimal, unit: CalendarUnit) -> Option<Self> {
        match shift(amount, unit, self.clock.precision)? {
            Shift::Months(_) => None,
            Shift::Micros(micros) => {
                let sum = self
                    .clock
                    .micros()
                    .checked_add(micros)?
                    .rem_euclid(MICROS_PER_DAY);
                Some(Self {
                    clock: self.clock.set(sum)?,
                })
            }
        }
    }

    /// The earliest and the latest moment this may mean, to the millisecond.
    pub fn boundary(self, is_high: bool) -> Option<Self> {
        Some(Self {
            clock: self.clock.boundary(is_high)?,
        })
    }

    #[must_use]
    pub fn truncated(self, precision: Precision) -> Self {
        Self {
            clock: self.clock.truncated(precision),
        }
    }
}

impl Clock {
    pub(super) fn micros(self) -> i64 {
        i64::from(self.hour) * MICROS_PER_HOUR
            + i64::from(self.minute) * MICROS_PER_MINUTE
            + i64::from(self.second) * MICROS_PER_SECOND
            + i64::from(self.micro)
    }

    /// The same precision at another moment of the day; a fraction of a second that appears is shown.
    pub(super) fn set(self, micros: i64) -> Option<Self> {
        let field = |step: i64, count: i64| u8::try_from(micros / step % count).ok();
        let micro = u32::try_from(micros % MICROS_PER_SECOND).ok()?;
        let needed = match micro {
            0 => 0,
            _ if micro % 1_000 == 0 => 3,
            _ => 6,
        };
        let shows_fraction = self.precision >= Precision::Second && needed > 0;
        Some(Self {
            hour: field(MICROS_PER_HOUR, 24)?,
            minute: field(MICROS_PER_MINUTE, 60)?,
            second: field(MICROS_PER_SECOND, 60)?,
            micro,
            fraction_digits: self.fraction_digits.max(needed),
            precision: if shows_fraction {
                Precision::Fraction
            } else {
                self.precision
            },
        })
    }

    /// An hour without minutes counts as its first minute: so FHIRPath's own example of `highBoundary` has it.
    pub(super) fn boundary(self, is_high: bool) -> Option<Self> {
        let mut micros = self.micros();
        if is_high && self.precision < Precision::Second {
            micros += MICROS_PER_MINUTE - 1_000;
        } else if is_high && self.precision == Precision::Second {
            micros += MICROS_PER_SECOND - 1_000;
        }
        let clock = self.set(micros)?;
        Some(Self {
            fraction_digits: 3,
            precision: Precision::Fraction,
            ..clock
        })
    }

    pub(super) fn truncated(self, precision: Precision) -> Self {
        let keep = |field: u8, at: Precision| if precision >= at { field } else { 0 };
        let has_fraction = precision >= Precision::Fraction;
        Self {
            hour: self.hour,
            minute: keep(self.minute, Precision::Minute),
            second: keep(self.second, Precision::Second),
            micro: if has_fraction { self.micro } else { 0 },
            fraction_digits: if has_fraction {
                self.fraction_digits
            } else {
                0
            },
            precision: self.precision.min(precision),
        }
    }
}

impl Precision {
    /// How many microseconds a value of this precision leaves open; a value exact to the second leaves none.
    pub(super) fn width_micros(self) -> i64 {
        match self {
            Self::Year | Self::Month | Self::Day => MICROS_PER_DAY,
            Self::Hour => MICROS_PER_HOUR,
            Self::Minute => MICROS_PER_MINUTE,
            Self::Second | Self::Fraction => 1,
        }
    }
}

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}", self.hour)?;
        if self.precision >= Precision::Minute {
            write!(f, ":{:02}", self.minute)?;
        }
        if self.precision >= Precision::Second {
            write!(f, ":{:02}", self.second)?;
        }
        if self.precision >= Precision::Fraction {
            let digits = usize::from(self.fraction_digits.clamp(1, 6));
            let micro = format!("{:06}", self.micro);
            write!(f, ".{}", micro.get(..digits).unwrap_or(&micro))?;
        }
        Ok(())
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.clock.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Time {
        Time::parse(text).unwrap_or_else(|| panic!("{text}"))
    }

    #[test]
    fn what_a_time_is() {
        for text in ["00", "14:30", "23:59:59", "14:34:28.123", "14:34:28.1"] {
            assert_eq!(time(text).to_string(), text);
        }
        for text in [
            "24:00",
            "14:60",
            "14:30:61",
            "14:30:00.",
            "14:30:00Z",
            "1:00",
            "",
        ] {
            assert_eq!(Time::parse(text), None, "{text}");
        }
        assert_eq!(Time::parse_fhir("14:30"), None);
    }

    #[test]
    fn what_is_not_known_is_not_said() {
        assert_eq!(time("10:30").compare(time("10:30:00")), None);
        assert_eq!(
            time("10:30").compare(time("10:31:00")),
            Some(Ordering::Less)
        );
        assert_eq!(
            time("10:30:00").compare(time("10:30:00.0")),
            Some(Ordering::Equal)
        );
        assert_eq!(time("10:30").compare(time("10:30")), Some(Ordering::Equal));
    }

    #[test]
    fn round_the_clock() {
        let half = Decimal::new(15, 1);
        assert_eq!(
            time("23:59:23")
                .plus(half, CalendarUnit::Second)
                .unwrap()
                .to_string(),
            "23:59:24.500"
        );
        assert_eq!(
            time("23:59")
                .plus(Decimal::new(29, 1), CalendarUnit::Minute)
                .unwrap()
                .to_string(),
            "00:01"
        );
        assert_eq!(
            time("00:00")
                .plus(Decimal::from(-1), CalendarUnit::Minute)
                .unwrap()
                .to_string(),
            "23:59"
        );
        assert_eq!(time("00:00").plus(Decimal::ONE, CalendarUnit::Month), None);
    }
}
