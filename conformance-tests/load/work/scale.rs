//! Whether it stays as fast: read and create at ten thousand resources and at a great many more.

use super::{Known, create, import, read};
use crate::Fallible;
use crate::bench::{Baseline, Bench, Workload};
use crate::report::say;

/// The size that the greater one is compared with.
pub(super) const SMALL: u64 = 10_000;
const CONNECTIONS: usize = 16;

/// Fills the store up to a size and measures there.
pub(super) fn at(bench: &mut Bench, known: &mut Known, resources: u64) -> Fallible<()> {
    if bench.arguments.scale.is_none() {
        return Ok(());
    }
    say(&format!("filling the store up to {resources} resources"));
    import::fill(bench, known, resources)?;
    let there = known.paths.len();
    let workload = Workload {
        name: format!("read by id at {there} resources"),
        unit: "requests",
        connections: CONNECTIONS,
        baseline: Baseline::Bare,
        ratio_goal: Some(0.6),
        cpu_us_goal: Some(20.0),
    };
    read::imitate(bench, known)?;
    read::measure(bench, known, workload)?;
    let name = format!("create at {there} resources");
    create::measure(bench, known, name, CONNECTIONS)
}
