//! Searches over data of others, held against the second evaluator: the exact ids, the order, the totals, what is included.

mod loaded;
mod mock_health;
mod us_core;

/// What the servers of these suites are known as.
const PUBLIC_URL: &str = "http://kiln.example";
const BASE: &str = "http://kiln.example/fhir";

/// For searches for what is about then.
fn now_micros() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH);
    i64::try_from(now.unwrap().as_micros()).unwrap()
}
