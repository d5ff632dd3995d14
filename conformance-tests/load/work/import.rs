//! Import: transactions of a patient each, as an ETL job sends them.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use fhir_spec::json::parse;

use super::{Known, check_equal, gather, gathered, path_of, post, unresolved};
use crate::Fallible;
use crate::bench::{Baseline, Bench, Workload};
use crate::patients::{self, Entry};
use crate::report::say;
use crate::wire::Connection;

/// Connections, and which part of the patients (in eighths) they import.
const CROWDS: &[(usize, u64)] = &[(1, 1), (4, 3), (16, 4)];

/// A transaction ready to be sent.
struct Sending {
    number: u64,
    resources: u64,
    request: Vec<u8>,
}

pub(super) fn run(bench: &mut Bench, known: &mut Known) -> Fallible<()> {
    if !bench.offers(None, "transaction") {
        bench.skip("import");
        return Ok(());
    }
    let mut first = 0;
    for (connections, eighths) in CROWDS {
        let patients = bench.arguments.patients() * eighths / 8;
        let answers = import(bench, *connections, first, patients.max(1))?;
        first += patients.max(1);
        check(bench, known, &answers)?;
    }
    Ok(())
}

/// The numbers of the patients with what was answered to each.
type Answers = Vec<(u64, Vec<u8>)>;

fn import(bench: &mut Bench, connections: usize, first: u64, patients: u64) -> Fallible<Answers> {
    let seed = bench.arguments.seed;
    let sendings: Vec<Sending> = (first..first + patients)
        .map(|number| {
            let entries = patients::entries(seed, number);
            bench.report.stored += u64::try_from(entries.len()).unwrap_or(0);
            bench.report.stored_bytes += bytes(&entries);
            Sending {
                number,
                resources: u64::try_from(entries.len()).unwrap_or(0),
                request: post("/fhir", "", &patients::transaction(&entries)),
            }
        })
        .collect();
    let rounds = usize::try_from(bench.arguments.rounds())?;
    let per_round = sendings.len().div_ceil(rounds);
    let (next, answers) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let workload = Workload {
        name: "import, transactions of a patient",
        unit: "resources",
        connections,
        baseline: Baseline::Raw(100),
        ratio_goal: (connections > 1).then_some(0.6),
        cpu_us_goal: Some(100.0),
    };
    bench.measure_all(workload, |round, _| {
        let end = per_round * (usize::try_from(round).unwrap_or(0) + 1);
        let (next, answers, sendings) = (&next, &answers, &sendings);
        move |connection: &mut Connection| {
            let taken = next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |at| {
                (at < end).then_some(at + 1)
            });
            let Some(sending) = taken.ok().and_then(|at| sendings.get(at)) else {
                return Ok(None);
            };
            let answer = connection.send(&sending.request)?.expect(200)?;
            gather(answers, (sending.number, answer.body.to_vec()));
            Ok(Some(sending.resources))
        }
    })?;
    Ok(gathered(&answers))
}

fn bytes(entries: &[Entry]) -> u64 {
    entries
        .iter()
        .map(|entry| u64::try_from(entry.json.len()).unwrap_or(0))
        .sum()
}

/// Every entry was created in its place and is there, equal to what was sent, with its references rewritten.
fn check(bench: &mut Bench, known: &mut Known, answers: &Answers) -> Fallible<()> {
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
        for entry in &entries {
            let path = paths
                .get(&format!("urn:uuid:{}", entry.uuid))
                .ok_or("a lost entry")?;
            let sent = rewritten(&entry.json, &paths);
            if let Some(reference) = unresolved(&parse(sent.as_bytes())?) {
                return Err(format!("the kit left {reference} as it was").into());
            }
            check_equal(&mut connection, path, &sent)?;
            bench.report.checked += 1;
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
