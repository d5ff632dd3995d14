//! Clinical documents, one a request: read, mapped and stored in one transaction each, with the original beside.

use std::sync::atomic::{AtomicU64, Ordering};

use fhir_spec::json::parse;

use super::Known;
use crate::Fallible;
use crate::bench::{Baseline, Bench, Workload};
use crate::report::say;
use crate::wire::Connection;

/// The golden case of the maps: every section, 64 resources.
const DOCUMENT: &str = include_str!("../../../interop/tests/cda/golden/everything/input.xml");
/// All of its ids begin so: other digits make it another document about somebody else.
const ROOT: &str = "2.16.840.1.113883.3.9999.";
/// As long as documents of others usually are; most of one is narrative.
const BYTES: usize = 150_000;
/// What the server may spend on one, in microseconds.
const CPU_US_GOAL: f64 = 20_000.0;

/// A document of its own.
fn document(number: u64) -> String {
    let (before, after) = DOCUMENT.split_at(DOCUMENT.find("</tbody>").unwrap_or(0));
    let row = "<tr><td>Aspirin 81 MG Delayed Release Oral Tablet</td><td>81 mg by mouth once daily</td><td>active</td></tr>\n";
    let rows = BYTES.saturating_sub(DOCUMENT.len()) / row.len();
    let text = format!("{before}{}{after}", row.repeat(rows));
    text.replace(ROOT, &format!("{ROOT}{number}."))
}

fn posted(path: &str, document: &str) -> Vec<u8> {
    let length = document.len();
    format!("POST {path} HTTP/1.1\r\nHost: kiln\r\nContent-Type: application/hl7-v3+xml\r\nContent-Length: {length}\r\n\r\n{document}").into_bytes()
}

pub(super) fn run(bench: &mut Bench, known: &mut Known) -> Fallible<()> {
    let mut connection = bench.connect()?;
    let converted = connection.send(&posted("/api/convert?from=ccda", &document(0)))?;
    let converted = converted.expect(200)?;
    let bytes = u64::try_from(converted.body.len())?;
    let resources = parse(converted.body)?.items_of("entry").len();
    say(&format!(
        "a document of {} KB becomes {resources} resources",
        BYTES / 1_000
    ));
    let next = AtomicU64::new(known.next_patient + 1);
    let first = next.load(Ordering::Relaxed);
    for connections in [1, 4, 16] {
        let workload = Workload {
            name: "documents (C-CDA)".to_owned(),
            unit: "documents",
            connections,
            baseline: Baseline::None,
            ratio_goal: None,
            cpu_us_goal: Some(CPU_US_GOAL),
        };
        bench.measure(workload, |_, _| {
            let next = &next;
            move |connection: &mut Connection| {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let request = posted("/api/documents", &document(number));
                let answer = connection.send(&request)?.expect(200)?;
                let told = parse(answer.body)?;
                let is_applied = told.str_of("status") == Some("applied");
                // One more than became of it tells who said so.
                let is_whole = told.items_of("resources").len() == resources + 1;
                match is_applied && is_whole {
                    true => Ok(Some(1)),
                    false => Err(format!("a document became {told}").into()),
                }
            }
        })?;
    }
    let made = next.load(Ordering::Relaxed) - first;
    bench.report.stored += made * u64::try_from(resources + 1)?;
    bench.report.stored_bytes += made * bytes;
    check(bench, first, made)?;
    known.next_patient += made + 1;
    Ok(())
}

/// There is one summary of each, and each is about a patient of its own.
fn check(bench: &mut Bench, first: u64, made: u64) -> Fallible<()> {
    let mut connection = bench.connect()?;
    let answer = connection.get("/fhir/Composition?_summary=count")?;
    let counted = parse(answer.expect(200)?.body)?;
    let total = counted
        .get("total")
        .and_then(fhir_spec::json::Value::as_u64);
    if total != Some(made) {
        return Err(format!("{total:?} summaries of {made} documents").into());
    }
    for number in [first, first + made / 2] {
        let path = format!("/fhir/Patient?identifier=urn:oid:{ROOT}{number}.4%7CMRN-1");
        let answer = connection.get(&path)?.expect(200)?;
        if parse(answer.body)?.items_of("entry").len() != 1 {
            return Err(format!("{path} finds not one patient").into());
        }
    }
    bench.report.checked += made;
    say(&format!("{made} documents are there"));
    Ok(())
}
