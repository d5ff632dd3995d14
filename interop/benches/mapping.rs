//! How fast maps are compiled and rows become patients: `cargo bench -p interop --bench mapping`. One core, no threads.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::as_conversions,
    reason = "a measurement, not a part of the server"
)]

use std::sync::Arc;
use std::time::Instant;

use fhir_spec::definitions::Definitions;
use interop::formats::delimited::{Columns, Outcome, Rows, TableSchema};
use interop::mapping::{DELIMITED, Pack, Runner, Zone, bundle};

const ROWS: usize = 100_000;

fn main() {
    let definitions = Definitions::r4();
    definitions.types();
    let started = Instant::now();
    let pack = Pack::read(DELIMITED.iter().copied()).unwrap();
    let read = started.elapsed();
    let names: Vec<String> = pack.maps().map(|(name, _)| name.to_owned()).collect();
    for name in &names {
        pack.compile(name, &TableSchema::new(pack.columns(name)), definitions)
            .unwrap();
    }
    println!(
        "read {read:?}, read and compile {} maps {:?}",
        names.len(),
        started.elapsed()
    );

    let mut text = String::from(
        "mrn,last_name,first_name,middle_name,birth_date,sex,phone,email,street,city,state,postal_code,country\n",
    );
    for row in 0..ROWS {
        text.push_str(&format!("{row},Example{row},Ann,Q.,1974-03-15,F,555-{row:07},a{row}@example.org,{row} Main St,Springfield,CA,90001,US\n"));
    }
    let plan = pack
        .compile(
            "patients",
            &TableSchema::new(pack.columns("patients")),
            definitions,
        )
        .unwrap();
    let runner = Runner::new(Arc::new(plan), Zone::utc(), &[]).unwrap();
    let columns = Columns::new(pack.columns("patients"));
    for is_written in [false, true] {
        let started = Instant::now();
        let mut rows = Rows::open(text.as_bytes(), &runner, &columns, None, None).unwrap();
        let (mut count, mut bytes) = (0usize, 0usize);
        let mut held = Vec::new();
        while let Some(outcome) = rows.next_row("2024-01-01T00:00:00Z", "bench").unwrap() {
            let Outcome::Good { mapped, .. } = outcome else {
                continue;
            };
            count += 1;
            if is_written {
                held.push(mapped);
                if held.len() == 500 {
                    bytes += bundle(held.drain(..)).to_string().len();
                }
            }
        }
        let rate = count as f64 / started.elapsed().as_secs_f64();
        let what = if is_written {
            "mapped, bundled, written"
        } else {
            "mapped"
        };
        println!(
            "{what}: {count} rows of {} bytes, {rate:.0} rows/s ({bytes} bytes out)",
            text.len() / ROWS
        );
    }
}
