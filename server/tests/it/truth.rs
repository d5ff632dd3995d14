//! Thousands of searches made up by chance, over documents made up by chance, against a second evaluator of the
//! specification: `conformance-tests/src/truth.rs`.
//!
//! The seed is fixed, so that the test always asks the same. `KILN_TRUTH_QUERIES` and `KILN_TRUTH_SEED` make long runs.

use std::time::SystemTime;

use conformance_tests::http::Client;
use conformance_tests::truth::World;
use conformance_tests::truth::documents::Maker;
use conformance_tests::truth::load::load;
use conformance_tests::truth::queries::Asker;
use conformance_tests::truth::random::Random;
use fhir_spec::definitions::Definitions;

use crate::databases::Database;
use crate::kiln::Kiln;

on_both_databases!(searches_find_what_the_specification_says);

const BASE: &str = "http://kiln.example/fhir";
const DOCUMENTS: usize = 400;
const QUERIES: u64 = 1_500;
/// A test that fails this often has told enough.
const FAILURES_MAX: usize = 20;

fn setting(name: &str, default: u64) -> u64 {
    let set = std::env::var(name).ok();
    set.map_or(default, |text| text.parse().unwrap())
}

fn searches_find_what_the_specification_says(database: &Database) {
    let (seed, queries) = (
        setting("KILN_TRUTH_SEED", 20_240_229),
        setting("KILN_TRUTH_QUERIES", QUERIES),
    );
    let kiln = Kiln::configured(database, "public_url = \"http://kiln.example\"\n");
    let client = Client::new(&format!("http://{}/fhir", kiln.address));
    let mut maker = Maker::new(Random::new(seed), BASE, DOCUMENTS);
    let documents = load(&client, &mut maker).unwrap();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = i64::try_from(now.unwrap().as_micros()).unwrap();
    let world = World::new(Definitions::r4(), BASE, now, &documents);
    let mut asker = Asker::new(Random::new(seed + 1), &world);
    let mut failures = Vec::new();
    let (mut found, mut empty) = (0, 0);
    for _ in 0..queries {
        let query = asker.query();
        match world.hold(&client, &query) {
            Ok(hits) => {
                found += hits;
                empty += u64::from(hits == 0);
            }
            Err(problem) => {
                let smaller = world.shrunk(&client, &query);
                let problem = world.hold(&client, &smaller).err().unwrap_or(problem);
                failures.push(format!("{query}\n  in short {smaller}\n  {problem}"));
            }
        }
        if failures.len() >= FAILURES_MAX {
            break;
        }
    }
    let mut contained = 0;
    for _ in 0..queries / 5 {
        let query = asker.contained_query();
        match world.hold_contained(&client, &query) {
            Ok(hits) => contained += hits,
            Err(problem) => failures.push(format!("{query}\n  {problem}")),
        }
    }
    println!("{contained} hits for what is contained");
    println!(
        "{queries} searches of {} documents: {found} hits, {empty} searches found none",
        documents.len()
    );
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    // Most of them have to find something, or little would be compared.
    assert!(contained > usize::try_from(queries / 5).unwrap());
    assert!(empty < queries / 2 && found > usize::try_from(queries).unwrap());
}
