//! How fast clinical documents become resources: `cargo bench -p interop --bench cda`. One core, no threads. Documents are the
//! golden one made as long as real ones are, and those of the shared material of 100 to 300 KB where it is at hand.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::as_conversions,
    reason = "a measurement, not a part of the server"
)]

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use interop::formats::cda::Converter;
use interop::mapping::{Mapped, Occasion, Zone, bundle};

const GOLDEN: &str = include_str!("../tests/cda/golden/everything/input.xml");
const ROUND: Duration = Duration::from_secs(3);

fn convert(converter: &Converter, bytes: &[u8]) -> Mapped {
    let occasion = Occasion {
        now: "2026-01-01T00:00:00Z",
        seed: "bench",
        trace: false,
    };
    converter.convert(bytes, occasion).unwrap().mapped
}

/// The golden document with its sections repeated, their ids told apart, up to so many bytes.
fn long(bytes: usize) -> String {
    let from = GOLDEN.find("<structuredBody>").unwrap() + "<structuredBody>".len();
    let to = GOLDEN.find("</structuredBody>").unwrap();
    let (before, sections, after) = (
        GOLDEN.get(..from).unwrap(),
        GOLDEN.get(from..to).unwrap(),
        GOLDEN.get(to..).unwrap(),
    );
    let mut made = before.to_owned();
    let mut copy = 0;
    while made.len() < bytes {
        made.push_str(&sections.replace(
            "2.16.840.1.113883.3.9999.1\"",
            &format!("2.16.840.1.113883.3.9999.1.{copy}\""),
        ));
        copy += 1;
    }
    made + after
}

fn measure(name: &str, converter: &Converter, documents: &[Vec<u8>]) {
    if documents.is_empty() {
        println!("{name}: not at hand");
        return;
    }
    for is_written in [false, true] {
        let (started, mut count, mut bytes, mut out) = (Instant::now(), 0usize, 0usize, 0usize);
        let used = processor();
        while started.elapsed() < ROUND {
            for document in documents {
                let mapped = convert(converter, document);
                if is_written {
                    out += bundle([mapped]).to_string().len();
                }
                count += 1;
                bytes += document.len();
            }
        }
        let seconds = started.elapsed().as_secs_f64();
        println!(
            "{name}, {}: {:.0} documents a second of processor time ({:.0} by the clock) of {} KB, {:.1} MB/s in, {:.1} MB/s out",
            if is_written {
                "converted, bundled and written"
            } else {
                "converted"
            },
            count as f64 / (processor() - used).max(0.001),
            count as f64 / seconds,
            bytes / count / 1000,
            bytes as f64 / seconds / 1e6,
            out as f64 / seconds / 1e6,
        );
    }
}

/// Seconds that this process was on a processor (Linux): a machine that is shared with others says little by the clock.
fn processor() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks = fields.split_whitespace().skip(11).take(2);
    let ticks: f64 = ticks.filter_map(|ticks| ticks.parse::<f64>().ok()).sum();
    ticks / 100.0
}

/// The most memory the process ever held, in megabytes (Linux).
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM"));
    let words = line.and_then(|line| line.split_whitespace().nth(1));
    words
        .and_then(|kilobytes| kilobytes.parse::<u64>().ok())
        .unwrap_or(0)
        / 1000
}

fn main() {
    let started = Instant::now();
    let converter = Converter::shipped(Zone::utc()).unwrap();
    println!("maps read and compiled in {:?}", started.elapsed());
    measure(
        "golden document of 150 KB",
        &converter,
        &[long(150_000).into_bytes()],
    );
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/testdata");
    let mut real = Vec::new();
    for folder in [
        "ccda-documents/sample-ccdas",
        "ccda-documents/emerge",
        "ccda-onc/positive",
    ] {
        for file in fs::read_dir(shared.join(folder)).into_iter().flatten() {
            let document = fs::read(file.unwrap().path()).unwrap();
            if (100_000..300_000).contains(&document.len()) {
                real.push(document);
            }
        }
    }
    measure("real documents", &converter, &real);
    let before = peak();
    let large = long(30_000_000).into_bytes();
    let started = Instant::now();
    let mapped = convert(&converter, &large);
    println!(
        "{} MB: {:?}, {} resources, peak {} MB (before {before} MB)",
        large.len() / 1_000_000,
        started.elapsed(),
        mapped.entries.len(),
        peak()
    );
}
