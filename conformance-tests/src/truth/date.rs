//! Date: every value is a range of time, as long as it is vague. <https://hl7.org/fhir/R4/search.html#date>

use fhir_spec::json::Value;

use super::{Found, Wrong};

const DAY: i64 = 86_400_000_000;
const BEGINNING: i64 = i64::MIN / 4;
const END: i64 = i64::MAX / 4;

/// From the first microsecond (UTC) to the one after the last.
pub(super) type Interval = (i64, i64);

pub(super) fn is(now: i64, found: &Found<'_>, wanted: &str) -> Result<bool, Wrong> {
    let (prefix, text) = cut(wanted);
    let (lo, hi) = read(text).ok_or_else(|| format!("{text} is no date"))?;
    let Some((first, end)) = interval(found) else {
        return Ok(false);
    };
    // The range above the search value begins at `hi`, the one below ends at `lo`.
    let contains = lo <= first && end <= hi;
    Ok(match prefix {
        "eq" => contains,
        "ne" => !contains,
        "gt" => end > hi,
        "lt" => first < lo,
        "ge" => end > hi || contains,
        "le" => first < lo || contains,
        "sa" => first >= hi,
        "eb" => end <= lo,
        "ap" => {
            let gap = (lo - now).abs().min((hi - now).abs()) / 10;
            first < hi + gap && end > lo - gap
        }
        _ => return Err(format!("{prefix} is no prefix")),
    })
}

/// The prefix and what follows; `eq` when there is none.
pub(super) fn cut(value: &str) -> (&str, &str) {
    let letters = value.chars().take_while(char::is_ascii_alphabetic).count();
    match value.split_at_checked(letters) {
        Some(("", _)) | None => ("eq", value),
        Some(cut) => cut,
    }
}

/// The range of time of a value of a document; None when it tells none.
pub(super) fn interval(found: &Found<'_>) -> Option<Interval> {
    match found.kind {
        "date" | "dateTime" | "instant" => read(found.value.as_str()?),
        "Period" => period(&found.value),
        "Timing" => timing(&found.value),
        _ => None,
    }
}

/// An end that is not told is open.
fn period(value: &Value) -> Option<Interval> {
    let start = value.str_of("start").and_then(read);
    let end = value.str_of("end").and_then(read);
    if start.is_none() && end.is_none() {
        return None;
    }
    let first = start.map_or(BEGINNING, |(first, _)| first);
    let last = end.map_or(END, |(_, last)| last);
    (first < last).then_some((first, last))
}

/// Only the outer limits matter.
fn timing(value: &Value) -> Option<Interval> {
    let events = value.items_of("event").iter();
    let mut all: Vec<Interval> = events.filter_map(|event| read(event.as_str()?)).collect();
    let bounds = value
        .get("repeat")
        .and_then(|repeat| repeat.get("boundsPeriod"));
    all.extend(bounds.and_then(period));
    let first = all.iter().map(|(first, _)| *first).min()?;
    let last = all.iter().map(|(_, last)| *last).max()?;
    Some((first, last))
}

/// `2024`, `2024-02`, `2024-02-28`, `2024-02-28T13:30`, with seconds, their fractions and a zone.
pub(super) fn read(text: &str) -> Option<Interval> {
    let (date, time) = match text.split_once('T') {
        Some((date, time)) => (date, Some(time)),
        None => (text, None),
    };
    let mut parts = date.split('-').map(str::parse::<i64>);
    let year = parts.next()?.ok()?;
    let (month, day) = (parts.next(), parts.next());
    let first = |month, day| days(year, month, day) * DAY;
    match (month, day) {
        (None, _) => Some((first(1, 1), days(year + 1, 1, 1) * DAY)),
        (Some(month), None) => {
            let month = month.ok().filter(|month| (1..=12).contains(month))?;
            let after = if month == 12 {
                days(year + 1, 1, 1)
            } else {
                days(year, month + 1, 1)
            };
            Some((first(month, 1), after * DAY))
        }
        (Some(month), Some(day)) => {
            let start = first(month.ok()?, day.ok()?);
            match time {
                None => Some((start, start + DAY)),
                Some(time) => clock(time).map(|(from, to)| (start + from, start + to)),
            }
        }
    }
}

/// A time of day with its zone, which may be none (UTC).
fn clock(text: &str) -> Option<Interval> {
    let (time, offset) = if let Some(time) = text.strip_suffix('Z') {
        (time, 0)
    } else if let Some((time, zone)) = text.split_once(['+', '-', ' ']) {
        let (hours, minutes) = zone.split_once(':')?;
        let minutes = hours.parse::<i64>().ok()? * 60 + minutes.parse::<i64>().ok()?;
        (
            time,
            if text.contains('-') {
                -minutes
            } else {
                minutes
            },
        )
    } else {
        (text, 0)
    };
    let mut parts = time.split(':');
    let hours: i64 = parts.next()?.parse().ok()?;
    let minutes: i64 = parts.next()?.parse().ok()?;
    let start = ((hours * 60 + minutes) - offset) * 60_000_000;
    let Some(seconds) = parts.next() else {
        return Some((start, start + 60_000_000));
    };
    let (whole, fraction) = seconds.split_once('.').unwrap_or((seconds, ""));
    let start = start + whole.parse::<i64>().ok()? * 1_000_000;
    // As long as its last digit is worth.
    let mut width = 1_000_000;
    let mut micros = 0;
    for digit in fraction.chars().take(6) {
        width /= 10;
        micros += i64::from(digit.to_digit(10)?) * width;
    }
    Some((start + micros, start + micros + width))
}

/// Days since 1970-01-01, counted year by year and month by month.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let leaps = |year: i64| year / 4 - year / 100 + year / 400;
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let february = if is_leap { 29 } else { 28 };
    let months = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let before: i64 = months.iter().zip(1..month).map(|(length, _)| *length).sum();
    (year - 1970) * 365 + leaps(year - 1) - leaps(1969) + before + day - 1
}

#[test]
fn dates_are_ranges() {
    let day = |days: i64| days * DAY;
    assert_eq!(read("1970"), Some((0, day(365))));
    assert_eq!(read("1972-02"), Some((day(761), day(790))));
    assert_eq!(read("2000-03-01"), Some((day(11017), day(11018))));
    assert_eq!(
        read("1970-01-02T01:30+01:30"),
        Some((day(1), day(1) + 60_000_000))
    );
    assert_eq!(read("1970-01-01T00:00:00.5Z"), Some((500_000, 600_000)));
    assert_eq!(read("1969-12-31T23:00:00-01:00"), Some((0, 1_000_000)));
}
