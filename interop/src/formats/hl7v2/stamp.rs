//! Points in time (DTM, TS): read by hl7-parser, as exact as they are written, no more.
//!
//! The library takes any two digits for a month or an hour, and forgets the sign of an offset of less than an hour.

use std::fmt;
use std::str::FromStr;

use hl7_parser::datetime::parse_timestamp;

/// `20260102030405.678+0100`, of which all but the year may be missing from the right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// Year, month, day, hour, minute, second, as far as they are there.
    parts: Vec<u16>,
    /// Digits after the point.
    fraction: String,
    offset_minutes: Option<i16>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no date or time: expected YYYY[MM[DD[HH[MM[SS[.S]]]]]][+ZZZZ]")]
pub struct BadStamp(String);

impl Stamp {
    /// For the clock of who writes messages: exact to the second, in UTC.
    pub fn utc(year: u16, month: u16, day: u16, hour: u16, minute: u16, second: u16) -> Self {
        Self {
            parts: vec![year, month, day, hour, minute, second],
            fraction: String::new(),
            offset_minutes: Some(0),
        }
    }

    pub fn offset_minutes(&self) -> Option<i16> {
        self.offset_minutes
    }

    /// How many of year, month, day, hour, minute, second are said.
    pub fn precision(&self) -> usize {
        self.parts.len()
    }

    /// As FHIR writes a date; a time of day is left out.
    pub fn date(&self) -> String {
        let parts: Vec<_> = self
            .parts
            .iter()
            .take(3)
            .map(|part| format!("{part:02}"))
            .collect();
        let (year, rest) = parts.split_at(1);
        let mut text = format!("{:0>4}", year.concat());
        for part in rest {
            text.push('-');
            text.push_str(part);
        }
        text
    }

    /// As FHIR writes a dateTime, and whether the offset was taken from `zone_minutes`. FHIR has no time without minutes and
    /// seconds: those that are not said are zero.
    pub fn date_time(&self, zone_minutes: i16) -> (String, bool) {
        let date = self.date();
        let Some(hour) = self.parts.get(3) else {
            return (date, false);
        };
        let of = |index: usize| self.parts.get(index).copied().unwrap_or_default();
        let fraction = if self.fraction.is_empty() {
            String::new()
        } else {
            format!(".{}", self.fraction)
        };
        let offset = self.offset_minutes.unwrap_or(zone_minutes);
        let text = format!(
            "{date}T{hour:02}:{:02}:{:02}{fraction}{}",
            of(4),
            of(5),
            zone(offset, ":")
        );
        (text, self.offset_minutes.is_none())
    }
}

fn zone(minutes: i16, between: &str) -> String {
    let sign = if minutes < 0 { '-' } else { '+' };
    let minutes = minutes.unsigned_abs();
    format!("{sign}{:02}{between}{:02}", minutes / 60, minutes % 60)
}

impl FromStr for Stamp {
    type Err = BadStamp;

    fn from_str(text: &str) -> Result<Self, BadStamp> {
        let bad = || BadStamp(text.chars().take(40).collect());
        let read = parse_timestamp(text, false).map_err(|_| bad())?;
        let finer = [read.month, read.day, read.hour, read.minute, read.second];
        let mut parts = vec![read.year];
        parts.extend(finer.iter().map_while(|part| part.map(u16::from)));
        let said = finer.iter().flatten().count();
        let time = text.split(['+', '-']).next().unwrap_or_default();
        let fraction = time.split_once('.').map_or("", |(_, digits)| digits);
        let offset_minutes = match read.offset {
            None => None,
            Some(offset) => {
                let minutes =
                    i16::from(offset.hours.unsigned_abs()) * 60 + i16::from(offset.minutes);
                let in_bounds = offset.hours.unsigned_abs() <= 14 && offset.minutes < 60;
                let signed = if text.contains('-') {
                    -minutes
                } else {
                    minutes
                };
                Some(in_bounds.then_some(signed).ok_or_else(bad)?)
            }
        };
        let stamp = Self {
            fraction: fraction.to_owned(),
            offset_minutes,
            parts,
        };
        let whole = stamp.to_string() == text;
        (whole && said + 1 == stamp.parts.len() && stamp.in_calendar())
            .then_some(stamp)
            .ok_or_else(bad)
    }
}

impl Stamp {
    fn in_calendar(&self) -> bool {
        let of = |index: usize, otherwise: u16| self.parts.get(index).copied().unwrap_or(otherwise);
        let year = of(0, 1);
        let leap =
            year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        let days = match of(1, 1) {
            2 => 28 + u16::from(leap),
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        (1..=12).contains(&of(1, 1))
            && (1..=days).contains(&of(2, 1))
            && of(3, 0) < 24
            && of(4, 0) < 60
            && of(5, 0) < 60
            && (self.fraction.is_empty() || self.parts.len() == 6)
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, part) in self.parts.iter().enumerate() {
            if index == 0 {
                write!(f, "{part:04}")?;
            } else {
                write!(f, "{part:02}")?;
            }
        }
        if !self.fraction.is_empty() {
            write!(f, ".{}", self.fraction)?;
        }
        self.offset_minutes
            .map_or(Ok(()), |minutes| f.write_str(&zone(minutes, "")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_exact_as_written() {
        for (text, date_time) in [
            ("2026", "2026"),
            ("202602", "2026-02"),
            ("20240229", "2024-02-29"),
            ("2026020304", "2026-02-03T04:00:00+01:00"),
            ("202602030405", "2026-02-03T04:05:00+01:00"),
            ("20260203040506", "2026-02-03T04:05:06+01:00"),
            ("20260203040506.7", "2026-02-03T04:05:06.7+01:00"),
            ("20260203040506.1230-0500", "2026-02-03T04:05:06.1230-05:00"),
            ("202602030405-0030", "2026-02-03T04:05:00-00:30"),
            ("20260203040506+0000", "2026-02-03T04:05:06+00:00"),
        ] {
            let stamp: Stamp = text.parse().unwrap();
            assert_eq!(stamp.to_string(), text);
            assert_eq!(stamp.date_time(60).0, date_time, "{text}");
        }
        assert_eq!(
            "20260203040506".parse::<Stamp>().unwrap().date(),
            "2026-02-03"
        );
        assert_eq!(
            Stamp::utc(2026, 1, 2, 3, 4, 5).to_string(),
            "20260102030405+0000"
        );
    }

    #[test]
    fn what_is_no_time() {
        for text in [
            "",
            "26",
            "20261",
            "20261301",
            "20260230",
            "2026020324",
            "202602030460",
            "2026-02-03",
            "20260203T0405",
            "20260203040506.",
            "20260203.5",
            "20260203+2500",
            "20260203040506 ",
            "abcd",
            "20260203040506+01",
        ] {
            assert!(text.parse::<Stamp>().is_err(), "{text}");
        }
    }
}
