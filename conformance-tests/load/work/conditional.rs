//! Conditional create: what an ETL job sends that does not know what it has sent before.

use std::sync::Mutex;

use super::{Known, gather, gathered, patient_json, place_of, post};
use crate::Fallible;
use crate::bench::{Baseline, Bench, Workload};
use crate::patients::{Dice, MRN, mrn};
use crate::report::say;
use crate::wire::Connection;

const CONNECTIONS: usize = 8;
/// Numbers of patients that nothing else makes.
const FIRST: u64 = 1 << 40;
/// Requests with one key at the same time.
const RACERS: usize = 16;

pub(super) fn run(bench: &mut Bench, known: &Known) -> Fallible<()> {
    if !bench.offers(Some("Patient"), "conditionalCreate") {
        bench.skip("conditional create");
        return Ok(());
    }
    existing(bench, known)?;
    new(bench)?;
    race(bench)
}

fn workload(name: &str, baseline: Baseline) -> Workload {
    Workload {
        name: name.to_owned(),
        unit: "requests",
        connections: CONNECTIONS,
        baseline,
        ratio_goal: None,
        cpu_us_goal: None,
    }
}

fn request(seed: u64, number: u64) -> Vec<u8> {
    let header = format!("If-None-Exist: identifier={MRN}|{}\r\n", mrn(number));
    post("/fhir/Patient", &header, &patient_json(seed, number))
}

/// What is there is found, and nothing is made.
fn existing(bench: &mut Bench, known: &Known) -> Fallible<()> {
    let seed = bench.arguments.seed;
    let workload = workload("conditional create of what is there", Baseline::Bare);
    bench.measure(workload, |round, index| {
        let mut dice = Dice::new(u64::from(round) << 32 | u64::try_from(index).unwrap_or(0));
        move |connection: &mut Connection| {
            let (number, path) = dice.pick(&known.patients).ok_or("no patients")?;
            let answer = connection.send(&request(seed, *number))?.expect(200)?;
            let found = place_of(&answer)?;
            if found == *path {
                Ok(Some(1))
            } else {
                Err(format!("{} is {path}, not {found}", mrn(*number)).into())
            }
        }
    })
}

fn new(bench: &mut Bench) -> Fallible<()> {
    let (seed, made) = (bench.arguments.seed, Mutex::new(Vec::new()));
    let workload = workload("conditional create of what is new", Baseline::Raw(100));
    bench.measure(workload, |round, index| {
        let own = u64::from(round) << 16 | u64::try_from(index).unwrap_or(0);
        let (mut number, made) = (FIRST + (own << 20), &made);
        move |connection: &mut Connection| {
            number += 1;
            let answer = connection.send(&request(seed, number))?.expect(201)?;
            gather(made, (number, place_of(&answer)?));
            Ok(Some(1))
        }
    })?;
    let (made, mut connection) = (gathered(&made), bench.connect()?);
    for (number, path) in &made {
        let answer = connection.send(&request(seed, *number))?.expect(200)?;
        if place_of(&answer)? != *path {
            return Err(format!("{} was made twice", mrn(*number)).into());
        }
        bench.report.stored(&patient_json(seed, *number));
        bench.report.checked += 1;
    }
    say(&format!(
        "{} conditionally created patients are found again",
        made.len()
    ));
    Ok(())
}

/// Of many at once with one key, one makes the patient and all get it.
fn race(bench: &mut Bench) -> Fallible<()> {
    let (seed, address) = (bench.arguments.seed, bench.server.address);
    let answers = std::thread::scope(|scope| {
        let racers: Vec<_> = (0..RACERS)
            .map(|_| {
                scope.spawn(move || -> Fallible<(u16, String)> {
                    let mut connection = Connection::open(address)?;
                    let answer = connection.send(&request(seed, FIRST - 1))?;
                    let path = place_of(&answer)?;
                    Ok((answer.status, path))
                })
            })
            .collect();
        let answers = racers
            .into_iter()
            .map(|racer| racer.join().map_err(|_| "a racer panicked")?);
        answers.collect::<Fallible<Vec<_>>>()
    })?;
    let made = answers.iter().filter(|(status, _)| *status == 201).count();
    let (_, first) = answers.first().ok_or("no racers")?;
    if made != 1 || answers.iter().any(|(_, path)| path != first) {
        return Err(format!(
            "{RACERS} conditional creates with one key were answered by {answers:?}"
        )
        .into());
    }
    bench.report.stored(&patient_json(seed, FIRST - 1));
    bench.report.checked += 1;
    Ok(())
}
