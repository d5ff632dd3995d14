//! Update with If-Match, and the history that it leaves.

use std::sync::{Mutex, PoisonError};

use fhir_spec::json::parse;

use super::{Known, check_equal};
use crate::Fallible;
use crate::bench::{Baseline, Bench, Workload};
use crate::patients::{self, Dice};
use crate::report::say;
use crate::wire::{Connection, request};

const CONNECTIONS: usize = 8;

/// A patient with its version, and what tells its content.
struct Current<'k> {
    path: &'k str,
    number: u64,
    version: u64,
    seed: u64,
}

pub(super) fn run(bench: &mut Bench, known: &Known) -> Fallible<()> {
    if !bench.offers(Some("Patient"), "update") {
        bench.skip("update with If-Match");
        return Ok(());
    }
    let current: Vec<Mutex<Current<'_>>> = known
        .patients
        .iter()
        .map(|(number, path)| {
            Mutex::new(Current {
                path,
                number: *number,
                version: 1,
                seed: 0,
            })
        })
        .collect();
    let workload = Workload {
        name: "update with If-Match".to_owned(),
        unit: "requests",
        connections: CONNECTIONS,
        baseline: Baseline::Raw(100),
        ratio_goal: None,
        cpu_us_goal: Some(250.0),
    };
    bench.measure(workload, |round, index| {
        let mut turn = index;
        let (current, mut dice) = (
            &current,
            Dice::new(u64::from(round) << 32 | u64::try_from(index).unwrap_or(0)),
        );
        move |connection: &mut Connection| {
            // Workers do not meet: each has its own patients.
            let Some(patient) = current.get(turn).or_else(|| {
                turn = index;
                current.get(turn)
            }) else {
                return Ok(None);
            };
            turn += CONNECTIONS;
            let mut patient = patient.lock().unwrap_or_else(PoisonError::into_inner);
            patient.seed = dice.roll();
            update(connection, &mut patient)?;
            Ok(Some(1))
        }
    })?;
    for patient in &current {
        let patient = patient.lock().unwrap_or_else(PoisonError::into_inner);
        bench.report.stored += patient.version - 1;
        bench.report.stored_bytes += (patient.version - 1) * u64::try_from(patient.json().len())?;
        check(bench, &patient)?;
    }
    history(bench, &current)?;
    say(&format!(
        "{} updated patients hold what was sent last, stale versions are refused",
        current.len()
    ));
    Ok(())
}

fn history(bench: &mut Bench, current: &[Mutex<Current<'_>>]) -> Fallible<()> {
    if !bench.offers(Some("Patient"), "history-instance") {
        bench.skip("history of a patient");
        return Ok(());
    }
    let workload = Workload {
        name: "history of a patient, first page".to_owned(),
        unit: "requests",
        connections: CONNECTIONS,
        baseline: Baseline::None,
        ratio_goal: None,
        cpu_us_goal: None,
    };
    let paths: Vec<String> = current
        .iter()
        .map(|patient| patient.lock().unwrap_or_else(PoisonError::into_inner))
        .map(|patient| format!("/fhir/{}/_history?_count=10", patient.path))
        .collect();
    bench.measure(workload, |round, index| {
        let seed = u64::from(round) << 32 | u64::try_from(index).unwrap_or(0);
        let (mut dice, paths) = (Dice::new(seed), &paths);
        move |connection: &mut Connection| {
            let path = dice.pick(paths).ok_or("no patients")?;
            let answer = connection.get(path)?.expect(200)?;
            if answer.text().contains(r#""type":"history""#) {
                Ok(Some(1))
            } else {
                Err(format!("{path} was answered by {}", answer.text()).into())
            }
        }
    })
}

impl Current<'_> {
    fn json(&self) -> String {
        let id = self.path.rsplit('/').next().unwrap_or_default();
        let family = format!("Changed{}", self.number);
        let json = patients::patient(&mut Dice::new(self.seed), self.number, &family);
        json.replacen(
            r#""resourceType":"Patient""#,
            &format!(r#""resourceType":"Patient","id":"{id}""#),
            1,
        )
    }

    fn put(&self, version: u64) -> Vec<u8> {
        let headers = format!("If-Match: W/\"{version}\"\r\n");
        request(
            "PUT",
            &format!("/fhir/{}", self.path),
            &headers,
            &self.json(),
        )
    }
}

fn update(connection: &mut Connection, patient: &mut Current<'_>) -> Fallible<()> {
    let answer = connection
        .send(&patient.put(patient.version))?
        .expect(200)?;
    patient.version += 1;
    let tag = format!("W/\"{}\"", patient.version);
    if answer.header("etag") == Some(&*tag) {
        Ok(())
    } else {
        Err(format!(
            "{} became {:?} instead of {tag}",
            patient.path,
            answer.header("etag")
        )
        .into())
    }
}

/// It holds what was sent last, a stale version is refused and changes nothing, and history has every version.
fn check(bench: &mut Bench, patient: &Current<'_>) -> Fallible<()> {
    let Current { path, version, .. } = patient;
    if *version == 1 {
        return Ok(());
    }
    let mut connection = bench.connect()?;
    let stale = Current {
        seed: 1,
        ..*patient
    };
    connection.send(&stale.put(version - 1))?.expect(412)?;
    check_equal(&mut connection, path, &patient.json())?;
    bench.report.checked += 2;
    if bench.offers(Some("Patient"), "history-instance") {
        let answer = connection
            .get(&format!("/fhir/{path}/_history?_count=1"))?
            .expect(200)?;
        let total = parse(answer.body)?
            .get("total")
            .and_then(fhir_spec::json::Value::as_u64);
        if total != Some(*version) {
            return Err(
                format!("the history of {path} counts {total:?} versions, not {version}").into(),
            );
        }
        bench.report.checked += 1;
    }
    Ok(())
}
