//! Dates and times as FHIR writes them: as exact as the author was, and no more.
//! <https://hl7.org/fhir/R4/datatypes.html#dateTime>
//!
//! A value keeps the precision of its text. For searching it is an interval `[from, until)` of microseconds since 1970
//! in UTC; for FHIRPath it compares with "not known" as a possible answer, and takes calendar durations.
//! No clock and no time zone data are needed: what has no offset is asked for one.

mod calendar;
mod date;
mod date_time;
mod duration;
mod scan;
mod time_of_day;

pub use date::Date;
pub use date_time::DateTime;
pub use duration::CalendarUnit;
pub use time_of_day::Time;

/// How exact a date or time is. Seconds and their fractions count as one precision when comparing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Precision {
    Year,
    Month,
    Day,
    Hour,
    Minute,
    Second,
    Fraction,
}

pub const MICROS_PER_SECOND: i64 = 1_000_000;
pub const MICROS_PER_MINUTE: i64 = 60 * MICROS_PER_SECOND;
pub const MICROS_PER_HOUR: i64 = 60 * MICROS_PER_MINUTE;
pub const MICROS_PER_DAY: i64 = 24 * MICROS_PER_HOUR;

/// First and last moment a value may mean, both inclusive; a value exact to the second is one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    first: i64,
    last: i64,
    precision: Precision,
}

impl Span {
    /// Which comes first; nothing when the precision does not tell.
    pub(crate) fn compare(self, other: Self) -> Option<std::cmp::Ordering> {
        use std::cmp::Ordering;
        if self.last < other.first {
            Some(Ordering::Less)
        } else if self.first > other.last {
            Some(Ordering::Greater)
        } else if self.first == other.first
            && self.last == other.last
            && self.precision == other.precision
        {
            Some(Ordering::Equal)
        } else {
            None
        }
    }
}
