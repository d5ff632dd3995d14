//! Dates and times as senders write them: with what they said and nothing more. FHIR's own text comes out of it.

use compact_str::{CompactString, format_compact};
use fhir_spec::time::Date;

/// A date or time of any precision from the year to fractions of a second.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stamp {
    pub year: u16,
    pub month: Option<u8>,
    pub day: Option<u8>,
    pub hour: Option<u8>,
    pub minute: Option<u8>,
    pub second: Option<u8>,
    /// The digits after the point.
    pub fraction: CompactString,
    /// Minutes east of UTC.
    pub offset: Option<i16>,
}

const MONTHS: &[&str] = &[
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];

struct Scan<'t>(&'t str);

impl Scan<'_> {
    fn take(&mut self, sign: char) -> bool {
        match self.0.strip_prefix(sign) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }

    /// A number of at least `min` and at most `max` digits.
    fn digits(&mut self, min: usize, max: usize) -> Option<u16> {
        let all = self.0.bytes().take_while(u8::is_ascii_digit).count();
        let (digits, rest) = self.0.split_at_checked(all.min(max))?;
        if digits.len() < min {
            return None;
        }
        self.0 = rest;
        digits.parse().ok()
    }

    fn small(&mut self) -> Option<u8> {
        self.digits(2, 2)
            .and_then(|number| u8::try_from(number).ok())
    }

    fn is_digit(&self) -> bool {
        self.0.starts_with(|letter: char| letter.is_ascii_digit())
    }

    fn fraction(&mut self) -> CompactString {
        let end = self.0.bytes().take_while(u8::is_ascii_digit).count();
        let (digits, rest) = self.0.split_at_checked(end).unwrap_or_default();
        self.0 = rest;
        digits.into()
    }

    fn offset(&mut self) -> Option<Option<i16>> {
        if self.take('Z') || self.take('z') {
            return Some(Some(0));
        }
        let sign = if self.take('+') {
            1
        } else if self.take('-') {
            -1
        } else {
            return Some(None);
        };
        let hours = i16::from(self.small()?);
        self.take(':');
        let minutes = if self.is_digit() {
            i16::from(self.small()?)
        } else {
            0
        };
        (hours <= 14 && minutes < 60).then_some(Some(sign * (hours * 60 + minutes)))
    }
}

impl Stamp {
    /// `20240131`, `202401311205+0100`, `2024-01-31`, `2024-01-31T12:05:00Z`, `2024-01-31 12:05`, and less of each.
    pub fn parse(text: &str) -> Option<Self> {
        let mut scan = Scan(text.trim());
        let mut stamp = Self {
            year: scan.digits(4, 4)?,
            ..Self::default()
        };
        if scan.is_digit() {
            stamp.month = Some(scan.small()?);
            stamp.day = scan.is_digit().then(|| scan.small()).flatten();
            if stamp.day.is_some() && scan.is_digit() {
                stamp.clock(&mut scan, false)?;
            } else if stamp.day.is_some() {
                // A day has no zone in FHIR; documents give it one.
                scan.offset()?;
            }
        } else if scan.take('-') {
            stamp.month = Some(scan.small()?);
            if scan.take('-') {
                stamp.day = Some(scan.small()?);
                if (scan.take('T') || scan.take('t') || scan.take(' ')) && !scan.0.is_empty() {
                    stamp.clock(&mut scan, true)?;
                }
            }
        }
        (scan.0.is_empty() && stamp.exists()).then_some(stamp)
    }

    fn clock(&mut self, scan: &mut Scan<'_>, colons: bool) -> Option<()> {
        self.hour = Some(scan.small()?);
        if (colons && scan.take(':')) || (!colons && scan.is_digit()) {
            self.minute = Some(scan.small()?);
            if (colons && scan.take(':')) || (!colons && scan.is_digit()) {
                self.second = Some(scan.small()?);
                if scan.take('.') {
                    self.fraction = scan.fraction();
                    if self.fraction.is_empty() {
                        return None;
                    }
                }
            }
        }
        self.offset = scan.offset()?;
        Some(())
    }

    /// By a pattern of `yyyy yy MMM MM M dd d HH H hh h a mm m ss s S Z`; anything else stands for itself.
    pub fn parse_pattern(pattern: &str, text: &str) -> Option<Self> {
        let mut scan = Scan(text.trim());
        let mut stamp = Self::default();
        let mut afternoon = None;
        for (letter, count) in runs(pattern) {
            let number = |scan: &mut Scan<'_>| {
                let min = if count == 1 { 1 } else { 2 };
                scan.digits(min, 2)
                    .and_then(|number| u8::try_from(number).ok())
            };
            match letter {
                'y' if count == 2 => {
                    // The century that POSIX takes: 69 to 99 are of the last one.
                    let year = scan.digits(2, 2)?;
                    stamp.year = year + if year < 69 { 2000 } else { 1900 };
                }
                'y' => stamp.year = scan.digits(4, 4)?,
                'M' if count >= 3 => {
                    let (name, rest) = scan.0.split_at_checked(3)?;
                    let place = MONTHS
                        .iter()
                        .position(|month| month.eq_ignore_ascii_case(name))?;
                    stamp.month = u8::try_from(place + 1).ok();
                    scan.0 = rest;
                }
                'M' => stamp.month = Some(number(&mut scan)?),
                'd' => stamp.day = Some(number(&mut scan)?),
                'H' | 'h' => stamp.hour = Some(number(&mut scan)?),
                'm' => stamp.minute = Some(number(&mut scan)?),
                's' => stamp.second = Some(number(&mut scan)?),
                'S' => stamp.fraction = scan.fraction(),
                'a' => {
                    let (half, rest) = scan.0.split_at_checked(2)?;
                    afternoon = Some(half.eq_ignore_ascii_case("pm"));
                    scan.0 = rest;
                }
                'Z' => stamp.offset = scan.offset()?,
                literal => {
                    for _ in 0..count {
                        scan.take(literal).then_some(())?;
                    }
                }
            }
        }
        if let (Some(afternoon), Some(hour)) = (afternoon, stamp.hour) {
            if !(1..=12).contains(&hour) {
                return None;
            }
            stamp.hour = Some(hour % 12 + if afternoon { 12 } else { 0 });
        }
        (scan.0.is_empty() && stamp.exists()).then_some(stamp)
    }

    /// Written by the same patterns; nothing when a part is wanted that the date does not have.
    pub fn format(&self, pattern: &str) -> Option<String> {
        let mut text = String::new();
        let two = |number: u8, count: usize| {
            if count == 1 {
                number.to_string()
            } else {
                format!("{number:02}")
            }
        };
        for (letter, count) in runs(pattern) {
            let part = match letter {
                'y' if count == 2 => format!("{:02}", self.year % 100),
                'y' => format!("{:04}", self.year),
                'M' if count >= 3 => {
                    let name = MONTHS.get(usize::from(self.month?).checked_sub(1)?)?;
                    let mut letters = name.chars();
                    let first = letters.next().map(|first| first.to_ascii_uppercase());
                    first.into_iter().chain(letters).collect()
                }
                'M' => two(self.month?, count),
                'd' => two(self.day?, count),
                'H' => two(self.hour?, count),
                'h' => two((self.hour? + 11) % 12 + 1, count),
                'a' => if self.hour? < 12 { "AM" } else { "PM" }.to_owned(),
                'm' => two(self.minute?, count),
                's' => two(self.second?, count),
                'S' => self
                    .fraction
                    .chars()
                    .chain("000000000".chars())
                    .take(count)
                    .collect(),
                'Z' => offset_text(self.offset?).into(),
                literal => std::iter::repeat_n(literal, count).collect(),
            };
            text.push_str(&part);
        }
        Some(text)
    }

    fn exists(&self) -> bool {
        Date::parse(&self.to_date()).is_some()
            && self.hour.is_none_or(|hour| hour < 24)
            && self.minute.is_none_or(|minute| minute < 60)
            && self.second.is_none_or(|second| second < 60)
    }

    /// The date in FHIR's text, as exact as it is.
    pub fn to_date(&self) -> CompactString {
        match (self.month, self.day) {
            (Some(month), Some(day)) => format_compact!("{:04}-{month:02}-{day:02}", self.year),
            (Some(month), None) => format_compact!("{:04}-{month:02}", self.year),
            _ => format_compact!("{:04}", self.year),
        }
    }

    /// FHIR's dateTime; `offset` serves where none is written. Seconds that were not said are zero: FHIR has no dateTime
    /// without them.
    pub fn to_date_time(&self, offset: i16) -> CompactString {
        let mut text = self.to_date();
        if self.hour.is_some() && self.day.is_some() {
            text.push('T');
            text.push_str(&self.to_time());
            text.push_str(&offset_text(self.offset.unwrap_or(offset)));
        }
        text
    }

    pub fn to_time(&self) -> CompactString {
        let mut text = format_compact!(
            "{:02}:{:02}:{:02}",
            self.hour.unwrap_or(0),
            self.minute.unwrap_or(0),
            self.second.unwrap_or(0)
        );
        if !self.fraction.is_empty() {
            text.push('.');
            text.push_str(&self.fraction);
        }
        text
    }

    /// The layout of HL7 v2: `20240131120500.5+0100`.
    pub fn to_compact(&self) -> String {
        let mut text = format!("{:04}", self.year);
        let parts = [self.month, self.day, self.hour, self.minute, self.second];
        for part in parts.into_iter().map_while(|part| part) {
            text.push_str(&format_compact!("{part:02}"));
        }
        if !self.fraction.is_empty() {
            text.push('.');
            text.push_str(&self.fraction);
        }
        if let (Some(offset), Some(_)) = (self.offset, self.hour) {
            let sign = if offset < 0 { '-' } else { '+' };
            let minutes = offset.unsigned_abs();
            text.push_str(&format_compact!(
                "{sign}{:02}{:02}",
                minutes / 60,
                minutes % 60
            ));
        }
        text
    }
}

fn offset_text(offset: i16) -> CompactString {
    if offset == 0 {
        return CompactString::const_new("Z");
    }
    let sign = if offset < 0 { '-' } else { '+' };
    let minutes = offset.unsigned_abs();
    format_compact!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
}

/// `yyyy-MM` as `y` four times, `-` once, `M` twice.
fn runs(pattern: &str) -> impl Iterator<Item = (char, usize)> {
    let mut letters = pattern.chars().peekable();
    std::iter::from_fn(move || {
        let letter = letters.next()?;
        let mut count = 1;
        while letters.next_if_eq(&letter).is_some() {
            count += 1;
        }
        Some((letter, count))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn precision_is_kept() {
        for (text, date_time) in [
            ("2024", "2024"),
            ("202401", "2024-01"),
            ("20240131", "2024-01-31"),
            ("2024013112", "2024-01-31T12:00:00+01:00"),
            ("202401311205", "2024-01-31T12:05:00+01:00"),
            ("20240131120509.1234-0530", "2024-01-31T12:05:09.1234-05:30"),
            ("2024-01-31", "2024-01-31"),
            ("2024-01-31 12:05", "2024-01-31T12:05:00+01:00"),
            ("2024-01-31T12:05:09Z", "2024-01-31T12:05:09Z"),
            ("20240131-0500", "2024-01-31"),
        ] {
            assert_eq!(
                Stamp::parse(text).unwrap().to_date_time(60),
                date_time,
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_date() {
        for text in [
            "",
            "24",
            "20241301",
            "20230229",
            "2024-02-30",
            "2024013125",
            "2024-1-1",
            "20240131x",
            "202401311260",
            "2024-01-31T12:05:09.",
            "20240131120500+9900",
            "today",
        ] {
            assert_eq!(Stamp::parse(text), None, "{text}");
        }
    }

    #[test]
    fn patterns_read_and_write() {
        for (pattern, text, date) in [
            ("MM/dd/yyyy", "02/29/2024", "2024-02-29"),
            ("M/d/yy", "2/9/74", "1974-02-09"),
            (
                "dd.MM.yyyy HH:mm",
                "31.12.1999 23:59",
                "1999-12-31T23:59:00Z",
            ),
            ("dd-MMM-yyyy", "05-Mar-2020", "2020-03-05"),
            (
                "MM/dd/yyyy hh:mm a",
                "01/02/2020 12:30 AM",
                "2020-01-02T00:30:00Z",
            ),
        ] {
            let stamp = Stamp::parse_pattern(pattern, text).unwrap();
            assert_eq!(stamp.to_date_time(0), date);
            assert_eq!(stamp.format(pattern).unwrap(), text);
        }
        assert_eq!(Stamp::parse_pattern("MM/dd/yyyy", "13/01/2024"), None);
        assert_eq!(Stamp::parse("2024").unwrap().format("dd.MM.yyyy"), None);
    }
}
