//! The maps that Kiln comes with, inside the binary.

use std::sync::LazyLock;

use super::error::BadMap;
use super::pack::Pack;

macro_rules! files {
    ($($name:literal),+ $(,)?) => { &[$(($name, include_str!(concat!("../../maps/", $name)))),+] };
}

/// For delimited text: patient lists, appointments, results, immunisations, and the tables of Synthea.
pub const DELIMITED: &[(&str, &str)] = files![
    "delimited/patients.map",
    "delimited/appointments.map",
    "delimited/lab_results.map",
    "delimited/immunisations.map",
    "delimited/synthea.map",
    "delimited/codes.map",
];

/// The pack of delimited text, read once.
pub fn shipped() -> Result<&'static Pack, BadMap> {
    static SHIPPED: LazyLock<Result<Pack, BadMap>> =
        LazyLock::new(|| Pack::read(DELIMITED.iter().copied()));
    SHIPPED.as_ref().map_err(Clone::clone)
}
