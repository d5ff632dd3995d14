//! TestScript resources, run against the server. <https://hl7.org/fhir/R4/testscript.html>

mod assert;
mod operation;
mod run;

use std::path::Path;

use fhir_spec::definitions::Definitions;
use fhir_spec::format::Format;
use fhir_spec::json::Value;

pub(crate) use run::evaluate;

use crate::kiln::Kiln;
use crate::material::{explained, files, folder};
use crate::results::Tally;

const EXPLAINED: &str = include_str!("testscript/explained.tsv");

#[test]
fn of_mock_health() {
    suite(
        "peer-suites: TestScripts of mock.health",
        "testscripts-mock-health",
    );
}

#[test]
fn of_crucible() {
    suite(
        "peer-suites: TestScripts of Crucible's engine",
        "testscripts-crucible-engine",
    );
}

#[test]
fn of_plan_executor() {
    suite(
        "peer-suites: TestScripts of Crucible's plan executor",
        "testscripts-plan-executor",
    );
}

fn suite(name: &'static str, place: &str) {
    let Some(folder) = folder("peer-suites") else {
        return;
    };
    let (fixtures, mut scripts) = material(&folder.join(place));
    let mut tally = Tally::new(name, explained(EXPLAINED));
    // Sets of scripts begin with one that brings what the others look for.
    scripts.sort_by_key(|(file, _)| !file.contains("_LoadResources"));
    let kiln = Kiln::start();
    for (file, script) in &scripts {
        for (test, verdict) in run::script(&kiln, script, &fixtures) {
            let case = format!("{file}: {test}");
            match verdict {
                run::Verdict::Passed => tally.count(&case, Ok(())),
                run::Verdict::Failed(problem) => tally.count(&case, Err(problem)),
                run::Verdict::Waits(need) => tally.wait(&case, &need),
            }
        }
    }
    tally.finish();
}

/// Files by name, and of them the TestScripts.
type Material = (Vec<(String, Vec<u8>)>, Vec<(String, Value)>);

fn material(folder: &Path) -> Material {
    let all = [files(folder, ".json"), files(folder, ".xml")].concat();
    let scripts = all
        .iter()
        .filter_map(|(name, bytes)| {
            let bytes = ported(bytes);
            let document = Format::of(&bytes).read(&bytes, Definitions::r4()).ok()?;
            let is_script = document.str_of("resourceType") == Some("TestScript");
            is_script.then(|| (name.clone(), document))
        })
        .collect();
    (all, scripts)
}

/// `capabilities` was a Reference in STU3 and is a canonical in R4: the one thing that keeps the older scripts from being
/// R4's.
fn ported(bytes: &[u8]) -> Vec<u8> {
    let older =
        regex::Regex::new(r#"<capabilities>\s*<reference value="([^"]*)"\s*/>\s*</capabilities>"#);
    let text = String::from_utf8_lossy(bytes);
    let ported = older
        .unwrap()
        .replace_all(&text, r#"<capabilities value="$1"/>"#);
    ported.into_owned().into_bytes()
}
