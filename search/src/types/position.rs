//! Position: where on earth, for `near`. <https://hl7.org/fhir/R4/location.html#positional>
//!
//! A position is kept as a point on a sphere of radius 1, and nearness is the length of the chord between two points:
//! no trigonometry in the database, nothing special at the poles or where the longitudes begin. The earth is taken to be
//! a sphere; it differs from one by a third of a percent.

use fhir_spec::json::Value;

use crate::condition::{Op, Probe, Reach, Test};
use crate::query::escape::{split, unescaped};
use crate::registry::Source;
use crate::rows::{PositionRow, Rows};
use crate::table::TableKind;

const EARTH_RADIUS_KM: f64 = 6_371.008_8;
/// What "near" is when nobody says so.
const NEAR_KM: f64 = 10.0;
/// Kilometres of the units in which distances are told.
const UNITS: &[(&str, f64)] = &[
    ("km", 1.0),
    ("m", 0.001),
    ("[mi_us]", 1.609_347_218_694),
    ("[mi_i]", 1.609_344),
    ("mi", 1.609_344),
    ("[nmi_i]", 1.852),
];

pub(crate) fn takes(type_name: &str) -> bool {
    type_name == "Location.position"
}

pub(crate) fn rows(path: i32, value: &Value, rows: &mut Rows) {
    let degrees = |name: &str| value.get(name)?.as_number()?.parse().ok();
    if let (Some(latitude), Some(longitude)) = (degrees("latitude"), degrees("longitude"))
        && let Some([x, y, z]) = point(latitude, longitude)
    {
        rows.position.push(PositionRow { path, z, x, y });
    }
}

/// On the sphere of radius 1; z points north. None for what is nowhere on earth.
fn point(latitude: f64, longitude: f64) -> Option<[f64; 3]> {
    if latitude.abs() > 90.0 || longitude.abs() > 180.0 {
        return None;
    }
    let (latitude, longitude) = (latitude.to_radians(), longitude.to_radians());
    let around = latitude.cos();
    // Zero has one sign.
    Some([
        around * longitude.cos() + 0.0,
        around * longitude.sin() + 0.0,
        latitude.sin() + 0.0,
    ])
}

/// `latitude|longitude|distance|unit`, the last two with a default.
pub(crate) fn probes(source: &Source, value: &str) -> Result<Vec<Probe>, String> {
    let wanted = || format!("`{value}` should be `latitude|longitude|distance|unit`");
    let parts: Vec<String> = split(value, '|').into_iter().map(unescaped).collect();
    let number = |text: &String| text.parse::<f64>().ok().filter(|number| number.is_finite());
    let (latitude, longitude) = match parts.as_slice() {
        [latitude, longitude, ..] if parts.len() <= 4 => (latitude, longitude),
        _ => return Err(wanted()),
    };
    let place = number(latitude).zip(number(longitude));
    let place = place.and_then(|(latitude, longitude)| point(latitude, longitude));
    let [x, y, z] = place.ok_or_else(wanted)?;
    let unit = match parts.get(3).map_or("km", |unit| unit.as_str()) {
        "" => "km",
        unit => unit,
    };
    let unit = UNITS.iter().find(|(name, _)| *name == unit);
    let (_, kilometres) = unit.ok_or_else(|| {
        let names: Vec<&str> = UNITS.iter().map(|(name, _)| *name).collect();
        format!("distances are told in {}", names.join(", "))
    })?;
    let distance = match parts.get(2).filter(|distance| !distance.is_empty()) {
        Some(distance) => number(distance).ok_or_else(wanted)? * kilometres,
        None => NEAR_KM,
    };
    if distance < 0.0 {
        return Err("no distance is less than nothing".into());
    }
    let angle = (distance / EARTH_RADIUS_KM).min(std::f64::consts::PI);
    let chord = 2.0 * (angle / 2.0).sin();
    let tests = vec![
        // The index is ordered from south to north.
        Test::Is("z", Op::AtLeast, (z - chord).into()),
        Test::Is("z", Op::AtMost, (z + chord).into()),
        Test::Near {
            point: [x, y, z],
            chord,
        },
    ];
    Ok(vec![Probe::new(
        TableKind::Position,
        source.path,
        Reach::Some,
        tests,
    )])
}
