//! What documents become, held against the profiles of US Core that apply to it, loaded as a user loads them.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use fhir_spec::Issue;
use fhir_spec::definitions::Definitions;
use fhir_spec::json::{Value, parse};
use fhir_spec::package::Package;
use fhir_spec::validate::{Request, Validator};

use super::converted;
use crate::results::Tally;

const CORE: &str = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-";
const EXPLAINED: &str = include_str!("us-core-explained.tsv");

/// By the type alone.
const BY_TYPE: &[(&str, &str)] = &[
    ("Patient", "patient"),
    ("AllergyIntolerance", "allergyintolerance"),
    ("CareTeam", "careteam"),
    ("Coverage", "coverage"),
    ("DocumentReference", "documentreference"),
    ("Encounter", "encounter"),
    ("Goal", "goal"),
    ("Immunization", "immunization"),
    ("Location", "location"),
    ("MedicationDispense", "medicationdispense"),
    ("MedicationRequest", "medicationrequest"),
    ("Organization", "organization"),
    ("Practitioner", "practitioner"),
    ("PractitionerRole", "practitionerrole"),
    ("Procedure", "procedure"),
    ("RelatedPerson", "relatedperson"),
    ("ServiceRequest", "servicerequest"),
    ("Specimen", "specimen"),
];

/// Observations with a profile of their own, by their codes.
const BY_CODE: &[(&str, &str)] = &[
    ("72166-2", "smokingstatus"),
    ("85354-9", "blood-pressure"),
    ("39156-5", "bmi"),
    ("8302-2", "body-height"),
    ("8310-5", "body-temperature"),
    ("29463-7", "body-weight"),
    ("9843-4", "head-circumference"),
    ("8867-4", "heart-rate"),
    ("59408-5", "pulse-oximetry"),
    ("9279-1", "respiratory-rate"),
    ("82810-3", "observation-pregnancystatus"),
    ("86645-9", "observation-pregnancyintent"),
    ("11341-5", "observation-occupation"),
    ("76690-7", "observation-sexual-orientation"),
];

/// The profile that applies to a resource by what US Core says about when one does.
fn profile(resource: &Value) -> Option<String> {
    let codes = |name: &str| -> Vec<String> {
        let of = |concept: &Value| -> Vec<String> {
            let codings = concept.items_of("coding").iter();
            codings
                .filter_map(|coding| coding.str_of("code").map(str::to_owned))
                .collect()
        };
        match resource.get(name) {
            Some(value) => match value.as_array() {
                Some(all) => all.iter().flat_map(of).collect(),
                None => of(value),
            },
            None => Vec::new(),
        }
    };
    let is_in = |category: &str| codes("category").iter().any(|code| code == category);
    let kind = resource.str_of("resourceType")?;
    let name = match kind {
        "Condition" if is_in("encounter-diagnosis") => "condition-encounter-diagnosis",
        "Condition" => "condition-problems-health-concerns",
        "DiagnosticReport" if is_in("LAB") => "diagnosticreport-lab",
        "DiagnosticReport" => "diagnosticreport-note",
        "Device" if resource.get("udiCarrier").is_some() => "implantable-device",
        "Observation" => {
            let own = codes("code");
            let by_code = BY_CODE
                .iter()
                .find(|(code, _)| own.iter().any(|own| own == code));
            match by_code {
                Some((_, name)) => name,
                None if is_in("laboratory") => "observation-lab",
                None if is_in("survey") => "observation-screening-assessment",
                None if is_in("vital-signs") => "vital-signs",
                None => "simple-observation",
            }
        }
        _ => BY_TYPE.iter().find(|(own, _)| *own == kind)?.1,
    };
    Some(format!("{CORE}{name}"))
}

/// `profile<TAB>what the validator says, its beginning<TAB>reason`
fn rules() -> Vec<Rule> {
    let lines = EXPLAINED.lines();
    let lines = lines.filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    lines
        .map(|line| {
            let cells: Vec<&'static str> = line.split('\t').collect();
            let [profile, start, reason] = cells[..] else {
                panic!("us-core-explained.tsv: three columns wanted: {line}");
            };
            (profile, start, reason)
        })
        .collect()
}

#[derive(Default)]
struct Count {
    passed: usize,
    all: usize,
}

#[test]
fn what_documents_become_conforms_to_us_core() {
    let shared = std::env::var_os("KILN_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"),
        std::path::PathBuf::from,
    );
    for (suite, file) in [
        ("ccda: resources against US Core 6.1.0", "us-core-610.tgz"),
        ("ccda: resources against US Core 8.0.0", "us-core-800.tgz"),
    ] {
        let path = shared.join("packages").join(file);
        match path.is_file() {
            true => against(suite, &path),
            false => println!("SKIPPED {suite}: no package {}", path.display()),
        }
    }
}

type Rule = (&'static str, &'static str, &'static str);

/// What is not explained of what the validator says, and the reason for what is.
fn judge(
    profile: &str,
    issues: &[Issue],
    rules: &[Rule],
    used: &mut [bool],
) -> (Vec<String>, Option<&'static str>) {
    let (mut unexplained, mut reason) = (Vec::new(), None);
    for issue in issues.iter().filter(|issue| issue.is_error()) {
        let place = issue.expression.clone().unwrap_or_default();
        let place: String = place
            .split('[')
            .map(|part| part.split_once(']').map_or(part, |(_, rest)| rest))
            .collect();
        let told = format!("{place}: {}", issue.diagnostics);
        let rule = rules
            .iter()
            .position(|(of, start, _)| *of == profile && told.starts_with(start));
        match rule {
            Some(place) => {
                used[place] = true;
                reason = Some(rules[place].2);
            }
            None => unexplained.push(told),
        }
    }
    (unexplained, reason)
}

fn against(suite: &'static str, package: &Path) {
    let package = Package::read(File::open(package).unwrap()).unwrap();
    let (definitions, _) = Definitions::r4().with_packages(vec![package]);
    let definitions = Arc::new(definitions);
    let validator = Validator::new(Arc::clone(&definitions));
    let rules = rules();
    let mut used = vec![false; rules.len()];
    let mut tally = Tally::new(suite, &[]);
    let mut by_profile: BTreeMap<String, Count> = BTreeMap::new();
    let mut by_error: BTreeMap<String, usize> = BTreeMap::new();
    for folder in ["ccda-onc/positive", "ccda-documents", "ccda-examples-hl7"] {
        for (name, made) in converted(folder) {
            let Ok(made) = made else { continue };
            for resource in made.resources() {
                let Some(profile) = profile(resource) else {
                    continue;
                };
                if definitions.structure(&profile).is_none() {
                    continue;
                }
                // As a receiver would read it.
                let document = parse(resource.to_string().as_bytes()).unwrap();
                let profiles = [profile.as_str()];
                let request = Request {
                    profiles: &profiles,
                    ..Request::default()
                };
                let short = profile.trim_start_matches(CORE);
                let count = by_profile.entry(short.to_owned()).or_default();
                count.all += 1;
                let issues = validator.validate(&document, &request);
                let (unexplained, reason) = judge(short, &issues, &rules, &mut used);
                match (unexplained.first(), reason) {
                    (Some(error), _) => {
                        for told in &unexplained {
                            *by_error.entry(format!("{short}: {told}")).or_default() += 1;
                        }
                        tally.count(&name, Err(format!("{short}: {error}")));
                    }
                    (None, Some(_)) => {
                        count.passed += 1;
                        tally.explained();
                    }
                    (None, None) => {
                        count.passed += 1;
                        tally.count(&name, Ok(()));
                    }
                }
            }
        }
    }
    if by_profile.is_empty() {
        return;
    }
    for (profile, Count { passed, all }) in &by_profile {
        println!("{suite}: {profile}: {passed} of {all}");
    }
    let mut most: Vec<_> = by_error.into_iter().collect();
    most.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    for (error, count) in most.iter().take(80) {
        println!("{suite}: {count} times {error}");
    }
    for ((profile, start, _), used) in rules.iter().zip(used) {
        if !used {
            println!("{suite}: explains nothing: {profile} {start}");
        }
    }
    tally.finish();
}
