//! A moment, as integer microseconds UTC; written as FHIR's `instant`.
//! <https://hl7.org/fhir/R4/datatypes.html#instant>

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fhir_spec::time::{
    Date, MICROS_PER_DAY, MICROS_PER_HOUR, MICROS_PER_MINUTE, MICROS_PER_SECOND,
};

/// FHIR's dates end with the year 9999.
const LAST: &str = "9999-12-31T23:59:59.999999Z";

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(i64);

impl Instant {
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    pub fn micros(self) -> i64 {
        self.0
    }

    #[must_use]
    pub fn plus(self, time: Duration) -> Self {
        let micros = i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(micros))
    }

    /// For headers and ids; a moment before 1970 counts as 1970.
    pub fn since_epoch(self) -> Duration {
        Duration::from_micros(u64::try_from(self.0).unwrap_or_default())
    }
}

impl From<SystemTime> for Instant {
    fn from(time: SystemTime) -> Self {
        let micros = time
            .duration_since(UNIX_EPOCH)
            .map(|since| since.as_micros())
            .unwrap_or_default();
        Self(i64::try_from(micros).unwrap_or(i64::MAX))
    }
}

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(date) = Date::from_days(self.0.div_euclid(MICROS_PER_DAY)) else {
            return f.write_str(LAST);
        };
        let of_day = self.0.rem_euclid(MICROS_PER_DAY);
        let (hour, minute) = (of_day / MICROS_PER_HOUR, of_day / MICROS_PER_MINUTE % 60);
        let (second, micros) = (of_day / MICROS_PER_SECOND % 60, of_day % MICROS_PER_SECOND);
        write!(f, "{date}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_as_fhir_writes_instants() {
        for (micros, text) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (-1, "1969-12-31T23:59:59.999999Z"),
            (951_782_400_000_000, "2000-02-29T00:00:00.000000Z"),
            (1_709_251_199_123_456, "2024-02-29T23:59:59.123456Z"),
            (1_767_225_599_000_000, "2025-12-31T23:59:59.000000Z"),
            (4_107_542_400_000_000, "2100-03-01T00:00:00.000000Z"),
            (i64::MAX, LAST),
        ] {
            assert_eq!(Instant::from_micros(micros).to_string(), text);
        }
    }
}
