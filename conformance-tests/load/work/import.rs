//! Import: transactions of a patient each, as an ETL job sends them.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fhir_spec::json::parse;

use super::{Known, check_equal, gather, gathered, path_of, post, unresolved};
use crate::Fallible;
use crate::bench::{Baseline, Bench, Workload};
use crate::patients::{self, Entry};
use crate::report::say;
use crate::wire::Connection;

/// Connections, and which part of the patients (in eighths) they import.
const CROWDS: &[(usize, u64)] = &[(1, 1), (4, 3), (16, 4)];

/// Patients that are made at a time on the way to a great number.
const CHUNK: u64 = 200;
/// Of these one in so many is read and compared.
const COMPARED_EVERY: u64 = 50;

/// A transaction ready to be sent.
struct Sending {
    number: u64,
    resources: u64,
    request: Vec<u8>,
}

/// The numbers of the patients with what was answered to each.
type Answers = Vec<(u64, Vec<u8>)>;

pub(super) fn run(bench: &mut Bench, known: &mut Known) -> Fallible<()> {
    if !bench.offers(None, "transaction") {
        bench.skip("import");
        return Ok(());
    }
    for (connections, eighths) in CROWDS {
        let patients = (bench.arguments.patients() * eighths / 8).max(1);
        let sendings = sendings(bench, known, patients);
        let answers = measured(bench, *connections, &sendings)?;
        check(bench, known, &answers, 1)?;
    }
    Ok(())
}

/// Imports until there are so many resources, without measuring.
pub(super) fn fill(bench: &mut Bench, known: &mut Known, resources: u64) -> Fallible<()> {
    while u64::try_from(known.paths.len())? < resources {
        let sendings = sendings(bench, known, CHUNK);
        let (next, answers) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        let mut crowd = bench.crowd(16);
        crowd.time = Duration::MAX;
        crowd.work(|_| sender(&sendings, &next, sendings.len(), &answers))?;
        check(bench, known, &gathered(&answers), COMPARED_EVERY)?;
    }
    Ok(())
}

/// The patients that come next.
fn sendings(bench: &mut Bench, known: &mut Known, patients: u64) -> Vec<Sending> {
    let first = known.next_patient;
    known.next_patient += patients;
    let sending = |number| {
        let entries = patients::entries(bench.arguments.seed, number);
        bench.report.stored += u64::try_from(entries.len()).unwrap_or(0);
        bench.report.stored_bytes += bytes(&entries);
        Sending {
            number,
            resources: u64::try_from(entries.len()).unwrap_or(0),
            request: post("/fhir", "", &patients::transaction(&entries)),
        }
    };
    (first..first + patients).map(sending).collect()
}

fn measured(bench: &mut Bench, connections: usize, sendings: &[Sending]) -> Fallible<Answers> {
    let rounds = usize::try_from(bench.arguments.rounds())?;
    let per_round = sendings.len().div_ceil(rounds);
    let (next, answers) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let workload = Workload {
        name: "import, transactions of a patient".to_owned(),
        unit: "resources",
        connections,
        baseline: Baseline::Raw(100),
        ratio_goal: (connections > 1).then_some(0.6),
        cpu_us_goal: Some(100.0),
    };
    bench.measure_all(workload, |round, _| {
        let end = per_round * (usize::try_from(round).unwrap_or(0) + 1);
        sender(sendings, &next, end, &answers)
    })?;
    Ok(gathered(&answers))
}

/// Sends what nobody has sent yet, up to the end.
fn sender<'s>(
    sendings: &'s [Sending],
    next: &'s AtomicUsize,
    end: usize,
    answers: &'s Mutex<Answers>,
) -> impl FnMut(&mut Connection) -> Fallible<Option<u64>> + use<'s> {
    move |connection| {
        let ours = |at| (at < end).then_some(at + 1);
        let taken = next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, ours);
        let Some(sending) = taken.ok().and_then(|at| sendings.get(at)) else {
            return Ok(None);
        };
        let answer = connection.send(&sending.request)?.expect(200)?;
        gather(answers, (sending.number, answer.body.to_vec()));
        Ok(Some(sending.resources))
    }
}

fn bytes(entries: &[Entry]) -> u64 {
    entries
        .iter()
        .map(|entry| u64::try_from(entry.json.len()).unwrap_or(0))
        .sum()
}

/// Every entry was created in its place; of every so many patients all is read, and is what was sent, with the references
/// rewritten.
fn check(bench: &mut Bench, known: &mut Known, answers: &Answers, every: u64) -> Fallible<()> {
    let mut connection = bench.connect()?;
    let before = bench.report.checked;
    for (number, answer) in answers {
        let entries = patients::entries(bench.arguments.seed, *number);
        let answer = parse(answer)?;
        let made = answer.items_of("entry");
        if made.len() != entries.len() {
            return Err(
                format!("{} entries were answered to {}", made.len(), entries.len()).into(),
            );
        }
        let mut paths = HashMap::new();
        for (entry, made) in entries.iter().zip(made) {
            let response = made.get("response").ok_or("an entry without a response")?;
            let status = response.str_of("status").unwrap_or_default();
            let path = path_of(response.str_of("location").unwrap_or_default())?;
            let in_place = path.split('/').next() == Some(entry.resource_type);
            if !status.starts_with("201") || !in_place {
                return Err(format!("{} was answered by {response}", entry.resource_type).into());
            }
            paths.insert(format!("urn:uuid:{}", entry.uuid), path);
        }
        known.begins.insert(*number, known.paths.len());
        for entry in &entries {
            let path = paths
                .get(&format!("urn:uuid:{}", entry.uuid))
                .ok_or("a lost entry")?;
            let sent = rewritten(&entry.json, &paths);
            if let Some(reference) = unresolved(&parse(sent.as_bytes())?) {
                return Err(format!("the kit left {reference} as it was").into());
            }
            if number % every == 0 {
                check_equal(&mut connection, path, &sent)?;
                bench.report.checked += 1;
            }
            if entry.resource_type == "Patient" {
                known.patients.push((*number, path.clone()));
            }
            known.paths.push(path.clone());
        }
    }
    say(&format!(
        "{} imported resources are there and equal",
        bench.report.checked - before
    ));
    Ok(())
}

/// The resource with every `urn:uuid:` replaced by where it went.
fn rewritten(json: &str, paths: &HashMap<String, String>) -> String {
    let mut parts = json.split("\"urn:uuid:");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (uuid, rest) = part.split_once('"').unwrap_or((part, ""));
        let urn = format!("urn:uuid:{uuid}");
        let target = paths.get(&urn).unwrap_or(&urn);
        text.push_str(&format!("\"{target}\"{rest}"));
    }
    text
}
