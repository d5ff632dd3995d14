//! Read by id, spread over everything there is.

use super::Known;
use crate::Fallible;
use crate::bench::{Baseline, Bench, Workload};
use crate::patients::Dice;
use crate::wire::{Connection, request};

pub(super) fn run(bench: &mut Bench, known: &Known) -> Fallible<()> {
    imitate(bench, known)?;
    for connections in [1, 8, 16] {
        let workload = Workload {
            name: "read by id".to_owned(),
            unit: "requests",
            connections,
            baseline: Baseline::Bare,
            ratio_goal: Some(0.6),
            cpu_us_goal: Some(20.0),
        };
        measure(bench, known, workload)?;
    }
    Ok(())
}

/// Has the bare server answer a stored Observation.
pub(super) fn imitate(bench: &mut Bench, known: &Known) -> Fallible<()> {
    let mut observations = known
        .paths
        .iter()
        .filter(|path| path.starts_with("Observation/"));
    let observation = observations.next().ok_or("no Observation was stored")?;
    bench.imitate(&format!("/fhir/{observation}"))
}

pub(super) fn measure(bench: &mut Bench, known: &Known, workload: Workload) -> Fallible<()> {
    bench.measure(workload, |round, index| {
        let seed = (u64::from(round) << 32) | u64::try_from(index).unwrap_or(0);
        reader(known, seed)
    })
}

/// Each answer is a resource with the id that was asked for; `check_equal` has compared the whole of it before.
fn reader(
    known: &Known,
    seed: u64,
) -> impl FnMut(&mut Connection) -> Fallible<Option<u64>> + use<'_> {
    let mut dice = Dice::new(seed);
    move |connection| {
        let path = dice.pick(&known.paths).ok_or("nothing is stored")?;
        let answer = connection
            .send(&request("GET", &format!("/fhir/{path}"), "", ""))?
            .expect(200)?;
        let (resource_type, id) = path.split_once('/').unwrap_or_default();
        let opening = format!(r#"{{"resourceType":"{resource_type}","id":"{id}","#);
        if !answer.text().starts_with(&opening) {
            return Err(format!("{path} was answered by {}", answer.text()).into());
        }
        Ok(Some(1))
    }
}
