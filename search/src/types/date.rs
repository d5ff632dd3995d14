//! Date: a moment or a period, as exact as it was written. <https://hl7.org/fhir/R4/search.html#date>
//!
//! Every value is an interval `[lo, hi)` of microseconds in UTC; what names no zone is taken to be in UTC. Periods that
//! are open at an end reach to the end of time. Rows are kept apart by how long they are: whatever ends after a moment
//! begins at most that long before it, which makes a range of the index out of a question about ends.

use fhir_spec::json::Value;
use fhir_spec::time::{DateTime, MICROS_PER_DAY};

use crate::rows::{DateRow, Rows};

/// Before the year 1 and after the year 9999.
pub(crate) const BEGINNING: i64 = -62_135_596_800_000_000;
pub(crate) const END: i64 = 253_402_300_800_000_000;
/// The zone of what names none: UTC.
pub(crate) const ZONE_MINUTES: i16 = 0;
/// The longest interval of each span; the last span has no bound.
pub(crate) const SPANS: [i64; 3] = [MICROS_PER_DAY, 32 * MICROS_PER_DAY, END - BEGINNING];

/// How an element holds a date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// `date`, `dateTime`, `instant`
    Moment,
    Period,
    /// From the first to the last moment that is told: events and bounds.
    Timing,
}

impl Form {
    pub(crate) fn of(type_name: &str) -> Option<Self> {
        Some(match type_name {
            "date" | "dateTime" | "instant" => Self::Moment,
            "Period" => Self::Period,
            "Timing" => Self::Timing,
            _ => return None,
        })
    }
}

pub(crate) fn rows(form: Form, path: i32, value: &Value, rows: &mut Rows) {
    let interval = match form {
        Form::Moment => moment(Some(value)),
        Form::Period => period(value),
        Form::Timing => timing(value),
    };
    if let Some((lo, hi)) = interval {
        let span = span(hi - lo);
        rows.date.push(DateRow { path, span, lo, hi });
    }
}

fn moment(value: Option<&Value>) -> Option<(i64, i64)> {
    Some(DateTime::parse(value?.as_str()?)?.interval(ZONE_MINUTES))
}

/// None when it tells neither end, or ends before it begins.
fn period(value: &Value) -> Option<(i64, i64)> {
    let start = moment(value.get("start"));
    let end = moment(value.get("end"));
    if start.is_none() && end.is_none() {
        return None;
    }
    let lo = start.map_or(BEGINNING, |(lo, _)| lo);
    let hi = end.map_or(END, |(_, hi)| hi);
    (lo < hi).then_some((lo, hi))
}

fn timing(value: &Value) -> Option<(i64, i64)> {
    let events = value
        .items_of("event")
        .iter()
        .map(|event| moment(Some(event)));
    let bounds = value
        .get("repeat")
        .and_then(|repeat| repeat.get("boundsPeriod"));
    let all = events.chain([bounds.and_then(period)]).flatten();
    all.reduce(|one, other| (one.0.min(other.0), one.1.max(other.1)))
}

pub(crate) fn span(width: i64) -> u8 {
    let longer = SPANS.iter().take(2).filter(|max| width > **max).count();
    u8::try_from(longer).unwrap_or_default()
}
