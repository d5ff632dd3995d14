//! When it is looked again: every so often, or as a cron expression says, in the zone of the route. What was missed is
//! not made up for: the next time always lies ahead.
//! <https://pubs.opengroup.org/onlinepubs/9799919799/utilities/crontab.html>

use cronexpr::{Crontab, MakeTimestamp, parse_crontab};
use interop::mapping::{Stamp, Zone};

use crate::instant::Instant;

const SECOND_US: i64 = 1_000_000;
const MINUTE_US: i64 = 60 * SECOND_US;
/// Fields of an expression: minute, hour, day of the month, month, day of the week.
const FIELDS: usize = 5;
/// What is certainly over: an expression that finds no time after it finds none at all.
const LONG_AGO_US: i64 = 1_700_000_000_000_000;
/// A schedule looks a week ahead at most, in whole units.
const EVERY_US_MAX: i64 = 7 * 24 * 60 * MINUTE_US;

#[derive(Debug, Clone)]
pub struct Schedule {
    text: String,
    times: Times,
}

#[derive(Debug, Clone)]
enum Times {
    /// Microseconds.
    Every(i64),
    /// In a zone, or in UTC with the hands of the clock moved forward by so many microseconds.
    Cron(Box<Crontab>, i64),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{text}' is no schedule: expected `every 30s` (or m, h; a week at most) or the five fields of cron, such as `*/5 6-20 * * MON-FRI`{why}"
)]
pub struct BadSchedule {
    text: String,
    why: String,
}

impl Schedule {
    pub fn parse(text: &str, zone: &Zone) -> Result<Self, BadSchedule> {
        let bad = |why: String| BadSchedule {
            text: text.chars().take(60).collect(),
            why,
        };
        let words: Vec<&str> = text.split_whitespace().collect();
        let times = match words.as_slice() {
            ["every", span] => Times::Every(every(span).ok_or_else(|| bad(String::new()))?),
            fields if fields.len() == FIELDS => {
                let fields = fields.join(" ");
                let cron = cron(&fields, zone).map_err(|why| bad(format!("; {why}")))?;
                let (crontab, _) = &cron;
                if next(crontab, LONG_AGO_US).is_none() {
                    return Err(bad("; that never comes".to_owned()));
                }
                Times::Cron(Box::new(cron.0), cron.1)
            }
            _ => return Err(bad(String::new())),
        };
        Ok(Self {
            text: format!("{} in {}", words.join(" "), zone.name()),
            times,
        })
    }

    /// Tells one schedule from another, the zone with it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// When it is looked for the first time.
    pub fn first(&self, now: Instant) -> Instant {
        match self.times {
            Times::Every(_) => now,
            Times::Cron(..) => self.next(now),
        }
    }

    /// The next time after that one.
    pub fn next(&self, now: Instant) -> Instant {
        let now_us = now.micros();
        let next_us = match &self.times {
            Times::Every(span_us) => Some(now_us.saturating_add(*span_us)),
            Times::Cron(crontab, ahead_us) => {
                next(crontab, now_us.saturating_add(*ahead_us)).map(|next_us| next_us - ahead_us)
            }
        };
        Instant::from_micros(next_us.unwrap_or(i64::MAX))
    }
}

fn every(span: &str) -> Option<i64> {
    let (digits, unit_us) = [("s", SECOND_US), ("m", MINUTE_US), ("h", 60 * MINUTE_US)]
        .into_iter()
        .find_map(|(unit, unit_us)| Some((span.strip_suffix(unit)?, unit_us)))?;
    let count: i64 = digits.parse().ok().filter(|_| !digits.starts_with('+'))?;
    let span_us = count.checked_mul(unit_us)?;
    (1..=EVERY_US_MAX).contains(&span_us).then_some(span_us)
}

/// A zone that is an offset and no name has its hands moved.
fn cron(fields: &str, zone: &Zone) -> Result<(Crontab, i64), String> {
    let offset = Stamp::parse(&format!("2000-01-01T00:00:00{}", zone.name()));
    let minutes = offset.and_then(|stamp| stamp.offset);
    let name = match minutes {
        Some(_) => "UTC",
        None => zone.name(),
    };
    let crontab = parse_crontab(&format!("{fields} {name}")).map_err(|error| {
        let told = error.to_string();
        told.lines().last().unwrap_or_default().trim().to_owned()
    })?;
    Ok((crontab, i64::from(minutes.unwrap_or(0)) * MINUTE_US))
}

fn next(crontab: &Crontab, after_us: i64) -> Option<i64> {
    let after = MakeTimestamp::from_microsecond(after_us).ok()?;
    let found = crontab.find_next(after).ok()?;
    Some(found.timestamp().as_microsecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-03-28T12:00:00Z, the day before clocks in Berlin go forward.
    const NOW: Instant = Instant::from_micros(1_774_699_200_000_000);

    fn next(text: &str, zone: &str) -> String {
        let schedule = Schedule::parse(text, &Zone::parse(zone).unwrap()).unwrap();
        schedule.next(NOW).to_string().replace(".000000Z", "Z")
    }

    #[test]
    fn the_next_time_is_reckoned_in_the_zone() {
        for (text, zone, at) in [
            ("every 30s", "UTC", "2026-03-28T12:00:30Z"),
            ("every 2h", "Europe/Berlin", "2026-03-28T14:00:00Z"),
            ("*/5 * * * *", "UTC", "2026-03-28T12:05:00Z"),
            ("0 6 * * *", "Europe/Berlin", "2026-03-29T04:00:00Z"),
            ("0 6 * * *", "+05:30", "2026-03-29T00:30:00Z"),
            (
                "30 7 * * MON-FRI",
                "America/New_York",
                "2026-03-30T11:30:00Z",
            ),
        ] {
            assert_eq!(next(text, zone), at, "{text} {zone}");
        }
    }

    #[test]
    fn the_first_time_is_now_where_no_clock_is_named() {
        let utc = Zone::utc();
        assert_eq!(Schedule::parse("every 1s", &utc).unwrap().first(NOW), NOW);
        let daily = Schedule::parse("0 0 * * *", &utc).unwrap();
        assert!(daily.first(NOW) > NOW);
        let moved = Schedule::parse("0 0 * * *", &Zone::parse("+01:00").unwrap()).unwrap();
        assert_ne!(daily.text(), moved.text());
    }

    #[test]
    fn what_is_no_schedule_is_refused() {
        for wrong in [
            "",
            "every",
            "every 0s",
            "every -1s",
            "every +1s",
            "every 1 s",
            "every 30",
            "every 200h",
            "* * * *",
            "* * * * * *",
            "61 * * * *",
            "0 0 30 2 *",
            "a b c d e",
            "every 99999999999999999h",
        ] {
            let error = Schedule::parse(wrong, &Zone::utc()).unwrap_err();
            assert!(error.to_string().contains("is no schedule"), "{wrong}");
        }
    }
}
