//! Packages laid in order: what others need lies below them.

use super::Package;
use crate::outcome::{Issue, IssueCode, Severity};

/// Names under which the definitions of R4 themselves are published; they are part of the binary.
const BUILT_IN: &[&str] = &[
    "hl7.fhir.r4.core",
    "hl7.fhir.r4.examples",
    "hl7.fhir.r4.expansions",
    "hl7.fhir.r4.elements",
];

/// The packages that can be used, each after those it needs, and what is wrong with the others. A package of another
/// FHIR version is refused; a dependency that is not there is told, for what it defines will be missing.
pub fn in_order(packages: Vec<Package>) -> (Vec<Package>, Vec<Issue>) {
    let mut issues = Vec::new();
    let mut waiting: Vec<Package> = Vec::new();
    for package in packages {
        let twin = waiting.iter().any(|other| {
            other.manifest.name == package.manifest.name
                && other.manifest.version == package.manifest.version
        });
        if !package.manifest.is_r4() {
            issues.push(wrong_version(&package));
        } else if !twin {
            waiting.push(package);
        }
    }
    // Of several versions of a package the newest lies on top.
    waiting.sort_by_cached_key(|package| version_key(&package.manifest.version));
    issues.extend(missing(&waiting));
    let mut ordered: Vec<Package> = Vec::with_capacity(waiting.len());
    while !waiting.is_empty() {
        let is_ready = |package: &Package| {
            !package.manifest.dependencies.iter().any(|(name, _)| {
                *name != package.manifest.name
                    && waiting.iter().any(|other| other.manifest.name == *name)
            })
        };
        // In a circle of dependencies somebody must begin.
        let next = waiting.iter().position(is_ready).unwrap_or(0);
        ordered.push(waiting.remove(next));
    }
    (ordered, issues)
}

fn wrong_version(package: &Package) -> Issue {
    let manifest = &package.manifest;
    Issue::error(
        IssueCode::NotSupported,
        format!(
            "the package {} {} is made for FHIR {}; expected 4.0.1",
            manifest.name,
            manifest.version,
            manifest.fhir_versions.join(", ")
        ),
    )
}

fn missing(packages: &[Package]) -> Vec<Issue> {
    let mut issues = Vec::new();
    for package in packages {
        for (name, version) in &package.manifest.dependencies {
            let is_there = BUILT_IN.contains(&name.as_str())
                || packages.iter().any(|other| other.manifest.name == *name);
            if !is_there {
                let needs = &package.manifest;
                issues.push(Issue::new(
                    Severity::Warning,
                    IssueCode::NotFound,
                    format!(
                        "the package {} {} needs {name} {version}, which is not loaded: what that defines cannot be checked",
                        needs.name, needs.version
                    ),
                ));
            }
        }
    }
    issues
}

/// Numbers compare as numbers; a pre-release (`1.0.0-ballot`) comes before its release.
fn version_key(version: &str) -> (Vec<u64>, bool, String) {
    let (numbers, label) = version.split_once('-').unwrap_or((version, ""));
    let numbers = numbers
        .split('.')
        .map(|number| number.parse().unwrap_or(0))
        .collect();
    (numbers, label.is_empty(), label.to_owned())
}
