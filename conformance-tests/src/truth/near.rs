//! `near`: how far away a place is. <https://hl7.org/fhir/R4/location.html#positional>

use super::{Found, Wrong};

const EARTH_RADIUS_KM: f64 = 6371.0088;

pub(super) fn is(found: &Found<'_>, wanted: &str) -> Result<bool, Wrong> {
    let mut parts = wanted.split('|');
    let mut number = || parts.next().and_then(|part| part.parse::<f64>().ok());
    let (Some(latitude), Some(longitude)) = (number(), number()) else {
        return Err("latitude|longitude|distance|unit".into());
    };
    let distance = number().unwrap_or(10.0);
    let kilometres = match parts.next() {
        None | Some("" | "km") => distance,
        Some("m") => distance / 1000.0,
        Some("mi" | "[mi_i]") => distance * 1.609_344,
        Some(unit) => return Err(format!("{unit} is no unit")),
    };
    let degrees = |name: &str| found.value.get(name)?.as_number()?.parse::<f64>().ok();
    let (Some(own_latitude), Some(own_longitude)) = (degrees("latitude"), degrees("longitude"))
    else {
        return Ok(false);
    };
    let half = |one: f64, other: f64| ((one - other).to_radians() / 2.0).sin().powi(2);
    let across = latitude.to_radians().cos() * own_latitude.to_radians().cos();
    let haversine = half(latitude, own_latitude) + across * half(longitude, own_longitude);
    let between = 2.0 * EARTH_RADIUS_KM * haversine.sqrt().asin();
    Ok(between <= kilometres)
}
