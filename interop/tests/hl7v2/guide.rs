//! How much of the HL7 v2-to-FHIR guide the shipped maps carry: its tables are read where they are at hand
//! (`$KILN_SHARED/maps` or `../shared/maps`), and every row that has a FHIR target is carried or has a reason in
//! `guide/reasons.tsv`. `KILN_RECORD=1` writes down how many are carried; fewer than that is a failure.
//!
//! A row counts as carried when a row, block or brace of ours reads the same field (or a part of it, or the whole of which
//! it is a part) and writes the same element of the same type. Whether the value that comes out is right is for the golden
//! cases and the suite `hl7v2-to-fhir` to say.

mod facts;
mod paths;
mod reasons;
mod tables;

use std::collections::BTreeMap;
use std::path::PathBuf;

use facts::Facts;
use reasons::Reasons;
use tables::Guide;

const RECORDED: &str = include_str!("guide/recorded.tsv");

/// What was found of one kind of tables.
#[derive(Default)]
struct Count {
    rows: usize,
    carried: usize,
    /// Of those: the row can be run backwards.
    inverted: usize,
    reasoned: usize,
    open: Vec<String>,
}

#[test]
fn the_guide_is_carried_or_answered() {
    let Some(guide) = Guide::read() else { return };
    let mut facts = Facts::of_shipped();
    facts.choose_tables(&guide.rows);
    let mut reasons = Reasons::read();
    let mut counts: BTreeMap<&str, Count> = BTreeMap::new();
    for row in &guide.rows {
        let count = counts.entry(row.kind).or_default();
        count.rows += 1;
        match facts.carries(row) {
            Some(inverts) => {
                count.carried += 1;
                count.inverted += usize::from(inverts);
            }
            None if reasons.answer(row) => count.reasoned += 1,
            None => count.open.push(row.told()),
        }
    }
    let mut lines = String::from(
        "# Rows of the guide with a FHIR target: tables, carried, carried or with a reason.\n",
    );
    for (kind, count) in &counts {
        println!(
            "{kind}: {} rows with a target, {} carried ({} of them both ways), {} left out with a reason, {} open",
            count.rows,
            count.carried,
            count.inverted,
            count.reasoned,
            count.open.len()
        );
        for open in &count.open {
            println!("  open {open}");
        }
        let answered = count.carried + count.reasoned;
        lines.push_str(&format!("{kind}\t{}\t{answered}\n", count.carried));
    }
    if std::env::var_os("KILN_RECORD").is_some() {
        let place =
            PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/hl7v2/guide/recorded.tsv");
        std::fs::write(place, lines).unwrap();
        return;
    }
    for (kind, carried, answered) in recorded() {
        let count = &counts[kind];
        assert!(
            count.carried >= carried && count.carried + count.reasoned >= answered,
            "{kind}: {} carried and {} with a reason, recorded are {carried} carried and {answered} in all",
            count.carried,
            count.reasoned
        );
    }
    for (kind, count) in &counts {
        assert!(
            count.open.is_empty(),
            "{kind}: neither carried nor with a reason: {:#?}",
            count.open
        );
    }
    let idle = reasons.idle();
    assert!(
        idle.is_empty(),
        "reasons for rows that are carried, or that the guide does not have: {idle:#?}"
    );
}

fn recorded() -> Vec<(&'static str, usize, usize)> {
    let lines = RECORDED.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let cells: Vec<&'static str> = line.split('\t').collect();
            let [kind, carried, answered] = cells[..] else {
                panic!("recorded.tsv: {line}");
            };
            (kind, carried.parse().unwrap(), answered.parse().unwrap())
        })
        .collect()
}
