//! Dates and times. Precision is kept; a time that says no zone is in the route's, and the run remembers that it was asked.

use fhir_spec::decimal;
use fhir_spec::json::Value;
use fhir_spec::time::{CalendarUnit, DateTime, MICROS_PER_SECOND};

use super::{Answer, Env, Function, nothing, shortened, text_at};
use crate::mapping::stamp::Stamp;

const FAMILY: &str = "dates";

pub(super) const ALL: &[Function] = &[
    Function::new(
        FAMILY,
        "date_to_iso",
        &["text", "pattern?"],
        date_to_iso,
        "The date or time in FHIR's text, read by the pattern or else as ISO 8601 or HL7 v2 write it.",
        &[
            (&["19740315"], "1974-03-15"),
            (&["1974"], "1974"),
            (&["197403"], "1974-03"),
            (&["03/15/1974", "MM/dd/yyyy"], "1974-03-15"),
            (&["202407011330"], "2024-07-01T13:30:00-04:00"),
            (&["202401011330"], "2024-01-01T13:30:00-05:00"),
            (&["2024-01-01T13:30:00+01:00"], "2024-01-01T13:30:00+01:00"),
            (&["31/12/2024", "MM/dd/yyyy"], "!"),
            (&["20230229"], "!"),
            (&[""], ""),
        ],
    )
    .undone_by("date_from_iso"),
    Function::new(
        FAMILY,
        "instant",
        &["text"],
        |arguments, env| {
            let stamp = Stamp::parse(text_at(arguments, 0)?);
            let stamp = stamp.ok_or_else(|| "a date or time".to_owned())?;
            let is_exact = stamp.hour.is_some();
            Ok(if is_exact {
                env.date_time(&stamp).into()
            } else {
                nothing()
            })
        },
        "The moment that a text says; nothing when it says no more than a day.",
        &[
            (&["202407011330"], "2024-07-01T13:30:00-04:00"),
            (&["20240701"], ""),
            (&["2024-01-01T13:30:00+01:00"], "2024-01-01T13:30:00+01:00"),
            (&["x"], "!"),
        ],
    )
    .undone_by("date_from_iso"),
    Function::new(
        FAMILY,
        "date_from_iso",
        &["date", "pattern?"],
        date_from_iso,
        "A FHIR date written by the pattern, or as HL7 v2 writes it.",
        &[
            (&["1974-03-15", "MM/dd/yyyy"], "03/15/1974"),
            (&["1974-03", "yyyyMM"], "197403"),
            (&["1974-03", "MM/dd/yyyy"], "!"),
            (&["2024-01-01T13:30:00+01:00"], "20240101133000+0100"),
            (&["2024-01-01T13:30:00Z", "d MMM yyyy, h:mm a"], "1 Jan 2024, 1:30 PM"),
        ],
    )
    .undone_by("date_to_iso"),
    Function::new(
        FAMILY,
        "date_to_unix",
        &["date"],
        date_to_unix,
        "Seconds since 1970 began in UTC; a date is its first moment in the route's zone.",
        &[
            (&["1970-01-01T00:00:00Z"], "0"),
            (&["2024-01-01T13:30:00+01:00"], "1704112200"),
            (&["2024-07-01"], "1719806400"),
            (&["2024-01-01"], "1704085200"),
            (&["2024-11-03T01:30:00"], "1730611800"),
            (&["yesterday"], "!"),
        ],
    )
    .undone_by("unix_to_date"),
    Function::new(
        FAMILY,
        "unix_to_date",
        &["seconds"],
        unix_to_date,
        "The moment so many seconds after 1970 began, in UTC.",
        &[(&["1704112200"], "2024-01-01T12:30:00Z"), (&["-1"], "1969-12-31T23:59:59Z"), (&["x"], "!")],
    )
    .undone_by("date_to_unix"),
    Function::new(
        FAMILY,
        "date_add",
        &["date", "amount", "unit"],
        date_add,
        "The date so many years, months, weeks, days, hours, minutes or seconds later.",
        &[
            (&["2024-01-31", "1", "month"], "2024-02-29"),
            (&["2024-01-31", "-1", "days"], "2024-01-30"),
            (&["2024", "1", "year"], "2025"),
            (&["2024-01-01T23:30:00Z", "45", "minutes"], "2024-01-02T00:15:00Z"),
            (&["2024-01-31", "1", "moon"], "!"),
        ],
    ),
    Function::new(
        FAMILY,
        "date_part",
        &["date"],
        date_part,
        "The date alone, without its time.",
        &[(&["202401011330"], "2024-01-01"), (&["2024-01"], "2024-01")],
    ),
    Function::new(
        FAMILY,
        "now",
        &[],
        now,
        "The time of the run, as it was handed in.",
        &[(&[], "2024-03-05T06:07:08Z")],
    ),
];

fn read(text: &str, pattern: &str) -> Result<Stamp, String> {
    let stamp = if pattern.is_empty() {
        Stamp::parse(text)
    } else {
        Stamp::parse_pattern(pattern, text)
    };
    stamp.ok_or_else(|| match pattern {
        "" => format!(
            "a date such as 2024-01-31 or 20240131 instead of '{}'",
            shortened(text)
        ),
        pattern => format!(
            "a date like {} instead of '{}'",
            shortened(pattern),
            shortened(text)
        ),
    })
}

fn date_to_iso(arguments: &[Value], env: &Env<'_>) -> Answer {
    let stamp = read(text_at(arguments, 0)?, text_at(arguments, 1)?)?;
    Ok(env.date_time(&stamp).into())
}

fn date_from_iso(arguments: &[Value], _: &Env<'_>) -> Answer {
    let stamp = read(text_at(arguments, 0)?, "")?;
    match text_at(arguments, 1)? {
        "" => Ok(stamp.to_compact().into()),
        pattern => {
            let text = stamp.format(pattern);
            text.map(Value::from)
                .ok_or_else(|| format!("a date as exact as {}", shortened(pattern)))
        }
    }
}

/// With a time and a zone, whatever it had.
fn moment(text: &str, env: &Env<'_>) -> Result<DateTime, String> {
    let mut stamp = read(text, "")?;
    stamp.month = stamp.month.or(Some(1));
    stamp.day = stamp.day.or(Some(1));
    stamp.hour = stamp.hour.or(Some(0));
    DateTime::parse(&env.date_time(&stamp)).ok_or_else(|| "a time within reach".to_owned())
}

fn date_to_unix(arguments: &[Value], env: &Env<'_>) -> Answer {
    let (from, _) = moment(text_at(arguments, 0)?, env)?.interval(0);
    Ok(Value::number(from.div_euclid(MICROS_PER_SECOND)))
}

fn unix_to_date(arguments: &[Value], _: &Env<'_>) -> Answer {
    let text = text_at(arguments, 0)?;
    let wrong = || format!("a whole number of seconds instead of '{}'", shortened(text));
    let seconds: i64 = text.trim().parse().map_err(|_| wrong())?;
    let micros = seconds.checked_mul(MICROS_PER_SECOND).ok_or_else(wrong)?;
    let moment = DateTime::from_micros(micros, 0).ok_or_else(wrong)?;
    let text = moment.to_string();
    Ok(text.replace(".000", "").into())
}

fn date_add(arguments: &[Value], env: &Env<'_>) -> Answer {
    let stamp = read(text_at(arguments, 0)?, "")?;
    let amount = text_at(arguments, 1)?;
    let unit = text_at(arguments, 2)?;
    let amount = decimal::parse(amount).ok_or_else(|| "a number to add".to_owned())?;
    let unit = CalendarUnit::parse(unit).ok_or_else(|| {
        format!(
            "a unit such as day or months instead of '{}'",
            shortened(unit)
        )
    })?;
    let date_time = DateTime::parse(&env.date_time(&stamp)).ok_or_else(|| "a date".to_owned())?;
    let later = date_time
        .plus(amount, unit)
        .ok_or_else(|| "a date within reach".to_owned())?;
    Ok(later.to_string().into())
}

fn date_part(arguments: &[Value], _: &Env<'_>) -> Answer {
    Ok(read(text_at(arguments, 0)?, "")?.to_date().into())
}

fn now(_: &[Value], env: &Env<'_>) -> Answer {
    Ok(env.now.into())
}
