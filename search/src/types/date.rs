//! Date: a moment or a period, as exact as it was written. <https://hl7.org/fhir/R4/search.html#date>
//!
//! Every value is an interval `[lo, hi)` of microseconds in UTC; what names no zone is taken to be in UTC. Periods that
//! are open at an end reach to the end of time. Rows are kept apart by how long they are: whatever ends after a moment
//! begins at most that long before it, which makes a range of the index out of a question about ends.

use fhir_spec::json::Value;
use fhir_spec::time::{DateTime, MICROS_PER_DAY};

use super::{Ask, Prefix};
use crate::condition::{Bind, Bounds, Op, Probe, Reach, Test, Window};
use crate::registry::Source;
use crate::rows::{DateRow, Rows};
use crate::table::TableKind;

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

/// What is searched for: `[lo, hi)` and how it is compared.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    prefix: Prefix,
    lo: i64,
    hi: i64,
}

pub(crate) fn probes(ask: &Ask<'_>, source: &Source, value: &str) -> Result<Vec<Probe>, String> {
    let wanted = Wanted::read(value, ask.now)?;
    let reach = match wanted.prefix {
        Prefix::Equal => Reach::Some,
        _ => Reach::Most,
    };
    let mut probe = Probe::new(TableKind::Date, source.path, reach, wanted.tests());
    probe.is_single = !source.element.repeats;
    Ok(vec![probe.within(Window::Date(wanted.bounds()))])
}

impl Wanted {
    /// As exact as it is written; a space stands for the `+` that a query string made of it.
    pub(crate) fn read(value: &str, now: i64) -> Result<Self, String> {
        let (prefix, written) = Prefix::cut(value)?;
        let date = DateTime::parse(&written.replace(' ', "+")).ok_or_else(|| {
            format!("`{written}` is no date; one is `2024`, `2024-02`, `2024-02-28` or `2024-02-28T13:30:00+01:00`")
        })?;
        let (mut lo, mut hi) = date.interval(ZONE_MINUTES);
        if prefix == Prefix::Near {
            // A tenth of the time between then and now.
            let gap = (lo - now).abs().min((hi - now).abs()) / 10;
            (lo, hi) = (lo.saturating_sub(gap), hi.saturating_add(gap));
        }
        Ok(Self { prefix, lo, hi })
    }

    /// For rows: the range of the value against the range of the target.
    pub(crate) fn tests(self) -> Vec<Test> {
        let lo = |op, value: i64| Test::Is("lo", op, Bind::Int(value));
        let hi = |op, value: i64| Test::Is("hi", op, Bind::Int(value));
        match self.prefix {
            Prefix::Equal => vec![lo(Op::AtLeast, self.lo), hi(Op::AtMost, self.hi)],
            Prefix::NotEqual => vec![Test::Either(vec![
                lo(Op::Less, self.lo),
                hi(Op::Greater, self.hi),
            ])],
            Prefix::Greater => vec![hi(Op::Greater, self.hi)],
            Prefix::Less => vec![lo(Op::Less, self.lo)],
            // Beyond, or within: what ends after it, and what begins in it.
            Prefix::AtLeast => vec![Test::Either(vec![
                hi(Op::Greater, self.hi),
                lo(Op::AtLeast, self.lo),
            ])],
            Prefix::AtMost => vec![Test::Either(vec![
                lo(Op::Less, self.lo),
                hi(Op::AtMost, self.hi),
            ])],
            Prefix::StartsAfter => vec![lo(Op::AtLeast, self.hi)],
            Prefix::EndsBefore => vec![hi(Op::AtMost, self.lo)],
            Prefix::Near => vec![lo(Op::Less, self.hi), hi(Op::Greater, self.lo)],
        }
    }

    fn bounds(self) -> Bounds<i64> {
        let all = Bounds {
            begins_from: BEGINNING,
            begins_to: END,
            ends_from: BEGINNING,
            ends_to: END,
        };
        match self.prefix {
            Prefix::Equal => Bounds {
                begins_from: self.lo,
                begins_to: self.hi - 1,
                ends_to: self.hi,
                ..all
            },
            Prefix::NotEqual => all,
            Prefix::Greater => Bounds {
                ends_from: self.hi + 1,
                ..all
            },
            Prefix::Less | Prefix::EndsBefore => Bounds {
                begins_to: self.lo - 1,
                ..all
            },
            Prefix::AtLeast => Bounds {
                ends_from: self.lo + 1,
                ..all
            },
            Prefix::AtMost => Bounds {
                begins_to: self.hi - 1,
                ..all
            },
            Prefix::StartsAfter => Bounds {
                begins_from: self.hi,
                ..all
            },
            Prefix::Near => Bounds {
                begins_to: self.hi - 1,
                ends_from: self.lo + 1,
                ..all
            },
        }
    }

    /// For the moment of a last change, which is no range.
    pub(crate) fn moment_tests(self) -> Vec<Test> {
        let at = |op, value: i64| Test::Is("at", op, Bind::Int(value));
        match self.prefix {
            Prefix::Equal | Prefix::Near => vec![at(Op::AtLeast, self.lo), at(Op::Less, self.hi)],
            Prefix::NotEqual => vec![Test::Either(vec![
                at(Op::Less, self.lo),
                at(Op::AtLeast, self.hi),
            ])],
            Prefix::Greater | Prefix::StartsAfter => vec![at(Op::AtLeast, self.hi)],
            Prefix::Less | Prefix::EndsBefore => vec![at(Op::Less, self.lo)],
            Prefix::AtLeast => vec![at(Op::AtLeast, self.lo)],
            Prefix::AtMost => vec![at(Op::Less, self.hi)],
        }
    }
}
