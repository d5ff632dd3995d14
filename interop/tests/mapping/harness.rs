//! What all tests of maps need.

use std::sync::Arc;

use fhir_spec::Issue;
use fhir_spec::definitions::Definitions;
use fhir_spec::json::Value;
use interop::formats::delimited::{Columns, Dialect, Outcome, Rows, TableSchema};
use interop::mapping::{Pack, Plan, Runner, Zone, bundle};

pub(crate) const NOW: &str = "2024-06-01T08:00:00Z";

pub(crate) fn schema(pack: &Pack, map: &str) -> TableSchema {
    TableSchema::new(pack.columns(map))
}

pub(crate) fn plan(pack: &Pack, map: &str) -> Arc<Plan> {
    let plan = pack.check(map, &schema(pack, map), Definitions::r4());
    Arc::new(plan.unwrap_or_else(|bad| panic!("{bad}")))
}

pub(crate) fn runner(pack: &Pack, map: &str) -> Runner {
    Runner::new(
        plan(pack, map),
        Zone::parse("America/New_York").unwrap(),
        &[],
    )
    .unwrap()
}

pub(crate) struct Converted {
    pub(crate) bundle: Value,
    pub(crate) issues: Vec<Issue>,
    pub(crate) bad: Vec<(u32, String)>,
    pub(crate) good: usize,
}

pub(crate) fn convert(pack: &Pack, map: &str, text: &[u8], dialect: Option<Dialect>) -> Converted {
    let runner = runner(pack, map);
    let columns = Columns::new(pack.columns(map));
    let mut rows = Rows::open(text, &runner, &columns, None, dialect).unwrap();
    let (mut all, mut issues, mut bad) = (Vec::new(), Vec::new(), Vec::new());
    while let Some(outcome) = rows.next_row(NOW, "test").unwrap() {
        match outcome {
            Outcome::Good { mapped, .. } => {
                issues.extend(mapped.issues(runner.plan(), &rows.source()));
                all.push(mapped);
            }
            Outcome::Bad(row) => {
                let told: Vec<String> = row
                    .issues
                    .into_iter()
                    .map(|issue| issue.diagnostics)
                    .collect();
                bad.push((row.line, told.join("; ")));
            }
        }
    }
    let good = all.len();
    Converted {
        bundle: bundle(all),
        issues,
        bad,
        good,
    }
}

pub(crate) fn resources(bundle: &Value) -> Vec<Value> {
    bundle
        .items_of("entry")
        .iter()
        .map(|entry| entry.get("resource").unwrap().clone())
        .collect()
}
