//! Reads the pieces of a date or time from text, without an allocation.

use super::Precision;
use super::calendar::days_in_month;

/// Fields as they stand in the text; those finer than the precision have their lowest value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Clock {
    pub hour: u8,
    pub minute: u8,
    pub second: u8,
    pub micro: u32,
    pub fraction_digits: u8,
    pub precision: Precision,
}

pub(super) struct Scan<'t> {
    rest: &'t [u8],
}

impl<'t> Scan<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self {
            rest: text.as_bytes(),
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn take(&mut self, wanted: u8) -> bool {
        let Some((first, rest)) = self.rest.split_first() else {
            return false;
        };
        if *first == wanted {
            self.rest = rest;
        }
        *first == wanted
    }

    /// Exactly so many digits.
    fn number(&mut self, digits: usize) -> Option<u16> {
        let (taken, rest) = self.rest.split_at_checked(digits)?;
        let mut number = 0_u16;
        for byte in taken {
            number = number * 10 + u16::from(byte.is_ascii_digit().then(|| byte - b'0')?);
        }
        self.rest = rest;
        Some(number)
    }

    fn small(&mut self, max: u8) -> Option<u8> {
        u8::try_from(self.number(2)?).ok().filter(|n| *n <= max)
    }

    /// `YYYY`, `YYYY-MM` or `YYYY-MM-DD`, a day that the calendar has.
    pub(super) fn date(&mut self) -> Option<(u16, u8, u8, Precision)> {
        let year = self.number(4).filter(|year| *year > 0)?;
        if !self.take(b'-') {
            return Some((year, 1, 1, Precision::Year));
        }
        let month = self.small(12).filter(|month| *month > 0)?;
        if !self.take(b'-') {
            return Some((year, month, 1, Precision::Month));
        }
        let day = self
            .small(days_in_month(i64::from(year), month))
            .filter(|day| *day > 0)?;
        Some((year, month, day, Precision::Day))
    }

    /// `hh`, `hh:mm`, `hh:mm:ss` or `hh:mm:ss.f…`. A leap second counts as the second before it.
    pub(super) fn clock(&mut self) -> Option<Clock> {
        let mut clock = Clock {
            hour: self.small(23)?,
            minute: 0,
            second: 0,
            micro: 0,
            fraction_digits: 0,
            precision: Precision::Hour,
        };
        if !self.take(b':') {
            return Some(clock);
        }
        clock.minute = self.small(59)?;
        clock.precision = Precision::Minute;
        if !self.take(b':') {
            return Some(clock);
        }
        clock.second = self.small(60)?.min(59);
        clock.precision = Precision::Second;
        if self.take(b'.') {
            clock.precision = Precision::Fraction;
            self.fraction(&mut clock)?;
        }
        Some(clock)
    }

    /// Microseconds are kept; finer digits are counted but not reckoned with.
    fn fraction(&mut self, clock: &mut Clock) -> Option<()> {
        let mut worth = 100_000;
        let mut digits = 0_u8;
        while let Some((byte, rest)) = self.rest.split_first() {
            if !byte.is_ascii_digit() {
                break;
            }
            clock.micro += u32::from(byte - b'0') * worth;
            worth /= 10;
            digits = digits.saturating_add(1);
            self.rest = rest;
        }
        clock.fraction_digits = digits;
        (digits > 0).then_some(())
    }

    /// `Z` or `+hh:mm`, in minutes; nothing inside when there is none, nothing at all when it is malformed.
    pub(super) fn offset(&mut self) -> Option<Option<i16>> {
        if self.take(b'Z') {
            return Some(Some(0));
        }
        let sign = if self.take(b'+') {
            1
        } else if self.take(b'-') {
            -1
        } else {
            return Some(None);
        };
        let hours = i16::from(self.small(14)?);
        if !self.take(b':') {
            return None;
        }
        let minutes = hours * 60 + i16::from(self.small(59)?);
        (minutes <= 14 * 60).then_some(Some(sign * minutes))
    }
}
