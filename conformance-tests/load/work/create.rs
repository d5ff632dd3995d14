//! Create: one Observation a request.

use std::sync::Mutex;

use super::{Known, check_equal, gather, gathered, patient_json, place_of, post};
use crate::Fallible;
use crate::bench::{Baseline, Bench, Workload};
use crate::patients::{Dice, heart_rate};
use crate::report::say;
use crate::wire::Connection;

/// Patients that are made where no transaction has made any.
const PATIENTS_MIN: u64 = 50;

pub(super) fn run(bench: &mut Bench, known: &mut Known) -> Fallible<()> {
    if known.patients.is_empty() {
        make_patients(bench, known)?;
    }
    for connections in [1, 16] {
        measure(bench, known, "create".to_owned(), connections)?;
    }
    Ok(())
}

/// Creates and then compares all that was created.
pub(super) fn measure(
    bench: &mut Bench,
    known: &mut Known,
    name: String,
    connections: usize,
) -> Fallible<()> {
    let is_alone = connections == 1;
    let workload = Workload {
        name,
        unit: "requests",
        connections,
        baseline: Baseline::Raw(if is_alone { 1 } else { 100 }),
        ratio_goal: Some(if is_alone { 0.6 } else { 0.4 }),
        cpu_us_goal: Some(200.0),
    };
    let made = create(bench, known, workload)?;
    check(bench, known, &made)
}

fn make_patients(bench: &mut Bench, known: &mut Known) -> Fallible<()> {
    let mut connection = bench.connect()?;
    for number in 0..PATIENTS_MIN {
        let json = patient_json(bench.arguments.seed, number);
        let answer = connection
            .send(&post("/fhir/Patient", "", &json))?
            .expect(201)?;
        let path = place_of(&answer)?;
        check_equal(&mut connection, &path, &json)?;
        bench.report.stored(&json);
        bench.report.checked += 1;
        known.patients.push((number, path.clone()));
        known.paths.push(path);
    }
    Ok(())
}

/// What tells an Observation of a patient.
type Made = (String, String, u64);

fn create(bench: &mut Bench, known: &Known, workload: Workload) -> Fallible<Vec<Made>> {
    let made = Mutex::new(Vec::new());
    // Another seed for each time this runs.
    let first = bench.report.stored;
    bench.measure(workload, |round, index| {
        let index = u64::try_from(index).unwrap_or(0);
        let mut dice = Dice::new(first ^ (u64::from(round) << 48) ^ (index << 40));
        let made = &made;
        move |connection: &mut Connection| {
            let seed = dice.roll();
            let (_, patient) = dice.pick(&known.patients).ok_or("no patients")?;
            let json = heart_rate(patient, &mut Dice::new(seed));
            let answer = connection
                .send(&post("/fhir/Observation", "", &json))?
                .expect(201)?;
            let path = place_of(&answer)?;
            gather(made, (path, patient.clone(), seed));
            Ok(Some(1))
        }
    })?;
    Ok(gathered(&made))
}

fn check(bench: &mut Bench, known: &mut Known, made: &[Made]) -> Fallible<()> {
    let mut connection = bench.connect()?;
    for (path, patient, seed) in made {
        let json = heart_rate(patient, &mut Dice::new(*seed));
        check_equal(&mut connection, path, &json)?;
        bench.report.stored(&json);
        bench.report.checked += 1;
        known.paths.push(path.clone());
        let of_patient = known.created.entry(patient.clone()).or_default();
        of_patient.push(path.clone());
    }
    say(&format!(
        "{} created resources are there and equal",
        made.len()
    ));
    Ok(())
}
