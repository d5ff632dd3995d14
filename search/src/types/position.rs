//! Position: where on earth, for `near`. <https://hl7.org/fhir/R4/location.html#positional>

use fhir_spec::json::Value;

use crate::condition::Probe;
use crate::registry::Source;
use crate::rows::{PositionRow, Rows};

pub(crate) fn takes(type_name: &str) -> bool {
    type_name == "Location.position"
}

pub(crate) fn rows(path: i32, value: &Value, rows: &mut Rows) {
    let degrees = |name: &str, max: f64| {
        let degrees: f64 = value.get(name)?.as_number()?.parse().ok()?;
        (degrees.abs() <= max).then_some(degrees + 0.0)
    };
    if let (Some(latitude), Some(longitude)) =
        (degrees("latitude", 90.0), degrees("longitude", 180.0))
    {
        rows.position.push(PositionRow {
            path,
            latitude,
            longitude,
        });
    }
}

pub(crate) fn probes(_source: &Source, _value: &str) -> Result<Vec<Probe>, String> {
    Err("searching by distance is not supported yet".into())
}
