//! The parts of dates and times. <http://hl7.org/fhirpath/#extract-datetime-components>

use rust_decimal::Decimal;

use super::invocation::{Invocation, maybe};
use super::{Function, row};
use crate::fhirpath::error::Result;
use crate::fhirpath::item::{Collection, Item};
use crate::time::{Date, DateTime, Precision, Time};

pub(super) const ALL: &[Function] = &[
    row("yearOf", 0..=0, |call| {
        of_date(call, |date| Some(date.year().into()))
    }),
    row("monthOf", 0..=0, |call| {
        of_date(call, |date| date.month().map(i32::from))
    }),
    row("dayOf", 0..=0, |call| {
        of_date(call, |date| date.day().map(i32::from))
    }),
    row("hourOf", 0..=0, |call| {
        of_time(call, |time| Some(time.hour().into()))
    }),
    row("minuteOf", 0..=0, |call| {
        of_time(call, |time| time.minute().map(i32::from))
    }),
    row("secondOf", 0..=0, |call| {
        of_time(call, |time| time.second().map(i32::from))
    }),
    row("millisecondOf", 0..=0, |call| {
        of_time(call, |time| i32::try_from(time.millisecond()?).ok())
    }),
    row("timezoneOffsetOf", 0..=0, offset),
    row("dateOf", 0..=0, |call| maybe(date(call)?.map(Item::Date))),
    row("timeOf", 0..=0, |call| {
        maybe(moment(call)?.and_then(DateTime::time).map(Item::Time))
    }),
];

/// A text that is a dateTime serves as one.
fn moment(call: &Invocation<'_, '_, '_>) -> Result<Option<DateTime>> {
    Ok(match call.value()? {
        Some(Item::DateTime(moment)) => Some(moment),
        Some(Item::Date(date)) => Some(date.into()),
        Some(Item::String(text)) => DateTime::parse(&text),
        _ => None,
    })
}

fn date(call: &Invocation<'_, '_, '_>) -> Result<Option<Date>> {
    Ok(moment(call)?.map(DateTime::date))
}

fn time(call: &Invocation<'_, '_, '_>) -> Result<Option<Time>> {
    match call.value()? {
        Some(Item::Time(time)) => Ok(Some(time)),
        _ => Ok(moment(call)?.and_then(DateTime::time)),
    }
}

fn of_date<'a>(
    call: &Invocation<'_, '_, 'a>,
    part: fn(Date) -> Option<i32>,
) -> Result<Collection<'a>> {
    maybe(date(call)?.and_then(part).map(Item::Integer))
}

fn of_time<'a>(
    call: &Invocation<'_, '_, 'a>,
    part: fn(Time) -> Option<i32>,
) -> Result<Collection<'a>> {
    maybe(time(call)?.and_then(part).map(Item::Integer))
}

/// In hours.
fn offset<'a>(call: &mut Invocation<'_, '_, 'a>) -> Result<Collection<'a>> {
    let moment = moment(call)?.filter(|moment| moment.precision() >= Precision::Hour);
    let hours = moment
        .and_then(DateTime::offset_minutes)
        .map(|minutes| Decimal::from(minutes) / Decimal::from(60));
    maybe(hours.map(Item::Decimal))
}
