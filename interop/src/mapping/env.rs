//! What a run is handed besides the source: time, zone, constants. Nothing here is reached for.

use std::cell::Cell;

use jiff::civil;
use jiff::tz::TimeZone;

use super::stamp::Stamp;

/// A time zone of the route: an offset, or a name of the tz database.
#[derive(Debug, Clone)]
pub struct Zone {
    name: String,
    zone: TimeZone,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no time zone: expected a name such as Europe/Berlin or an offset such as +01:00")]
pub struct BadZone(String);

impl Zone {
    pub fn parse(text: &str) -> Result<Self, BadZone> {
        let bad = || BadZone(text.chars().take(60).collect());
        let offset = Stamp::parse(&format!("2000-01-01T00:00:00{text}"));
        let zone = match offset.and_then(|stamp| stamp.offset) {
            Some(minutes) => {
                let seconds = i32::from(minutes) * 60;
                TimeZone::fixed(jiff::tz::Offset::from_seconds(seconds).map_err(|_| bad())?)
            }
            None => TimeZone::get(text).map_err(|_| bad())?,
        };
        Ok(Self {
            name: text.to_owned(),
            zone,
        })
    }

    pub fn utc() -> Self {
        Self {
            name: "UTC".to_owned(),
            zone: TimeZone::UTC,
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Minutes east of UTC at that local time. An hour that a clock shows twice is the first of the two, one that it
    /// never shows is read by the offset before the change.
    pub fn offset_at(&self, stamp: &Stamp) -> i16 {
        let part = |part: Option<u8>, least: i8| {
            part.map_or(least, |part| i8::try_from(part).unwrap_or(least))
        };
        let local = i16::try_from(stamp.year).ok().and_then(|year| {
            civil::DateTime::new(
                year,
                part(stamp.month, 1),
                part(stamp.day, 1),
                part(stamp.hour, 0),
                part(stamp.minute, 0),
                part(stamp.second, 0),
                0,
            )
            .ok()
        });
        local
            .and_then(|local| self.zone.to_zoned(local).ok())
            .and_then(|zoned| i16::try_from(zoned.offset().seconds() / 60).ok())
            .unwrap_or(0)
    }
}

/// What functions may know.
#[derive(Debug)]
pub struct Env<'e> {
    /// The time of the run as FHIR writes an instant.
    pub now: &'e str,
    /// For times that say none.
    pub zone: &'e Zone,
    /// Whether that was needed.
    pub zone_assumed: Cell<bool>,
    /// Whether a reference by identifier was made.
    pub finds: Cell<bool>,
}

impl<'e> Env<'e> {
    pub fn new(now: &'e str, zone: &'e Zone) -> Self {
        Self {
            now,
            zone,
            zone_assumed: Cell::new(false),
            finds: Cell::new(false),
        }
    }

    /// FHIR's dateTime; what zone was assumed is remembered.
    pub fn date_time(&self, stamp: &Stamp) -> compact_str::CompactString {
        if stamp.offset.is_some() || stamp.hour.is_none() {
            return stamp.to_date_time(0);
        }
        self.zone_assumed.set(true);
        stamp.to_date_time(self.zone.offset_at(stamp))
    }
}
