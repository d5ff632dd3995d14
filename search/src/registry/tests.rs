//! What the registry makes of R4.

use std::collections::{BTreeSet, HashMap};

use fhir_spec::json::Value;

use super::*;

pub(crate) fn r4() -> Registry {
    Registry::new(Arc::new(Definitions::r4().with_packages(Vec::new()).0))
}

fn sources(registry: &Registry, resource_type: &str, code: &str) -> Vec<String> {
    let known = registry.of(resource_type).unwrap();
    let parameter = known.parameter(code).unwrap();
    let shown = parameter.sources.iter().map(|source| {
        let name = known.path_name(source.path).unwrap();
        match source.only {
            Only::Any => name.to_owned(),
            Only::Target(kind) if kind == crate::hash::short("Patient") => {
                format!("{name} to a Patient")
            }
            only => format!("{name} {only:?}"),
        }
    });
    let shown: BTreeSet<String> = shown.collect();
    shown.into_iter().collect()
}

#[test]
fn all_of_r4_is_served() {
    let registry = r4();
    // R4 gives these no expression: extensions that it does not define, and what other means answer.
    let without = [
        "_content",
        "_filter",
        "_id",
        "_lastUpdated",
        "_query",
        "_text",
        "age",
        "birthOrderBoolean",
    ];
    for name in Definitions::r4().resource_types() {
        let known = registry.of(name).unwrap();
        assert_eq!(known.problems, Vec::new(), "{name}");
        for parameter in known.parameters() {
            let has_rows = !parameter.sources.is_empty() || !parameter.tuples.is_empty();
            let is_without = without.contains(&&*parameter.code);
            assert_eq!(has_rows, !is_without, "{name}.{}", parameter.code);
        }
    }
}

#[test]
fn no_two_paths_have_one_number() {
    let registry = r4();
    let mut all: HashMap<i32, Box<str>> = HashMap::new();
    for name in Definitions::r4().resource_types() {
        for (path, text) in &registry.of(name).unwrap().paths {
            assert_eq!(all.insert(*path, text.clone()), None, "{text}");
        }
    }
    assert!(all.len() > 2_000, "{}", all.len());
}

#[test]
fn parameters_share_paths() {
    let registry = r4();
    let observation = |code| sources(&registry, "Observation", code);
    assert_eq!(observation("subject"), ["Observation.subject"]);
    assert_eq!(observation("patient"), ["Observation.subject to a Patient"]);
    assert_eq!(
        observation("combo-code"),
        ["Observation.code", "Observation.component.code"]
    );
    assert_eq!(
        observation("value-quantity"),
        [
            "Observation.value.ofType(Quantity)",
            "Observation.value.ofType(SampledData)"
        ]
    );
    assert_eq!(observation("date"), ["Observation.effective"]);
    let patient = |code| sources(&registry, "Patient", code);
    assert_eq!(patient("family"), ["Patient.name.family"]);
    assert_eq!(
        patient("name"),
        [
            "Patient.name.family",
            "Patient.name.given",
            "Patient.name.prefix",
            "Patient.name.suffix",
            "Patient.name.text"
        ]
    );
    assert_eq!(patient("phonetic"), patient("name"));
    let phone = format!(
        "Patient.telecom {:?}",
        Only::System(crate::hash::long("phone"))
    );
    assert_eq!(patient("phone"), [phone]);
    assert_eq!(patient("telecom"), ["Patient.telecom"]);
}

#[test]
fn composites_have_rows_only_where_elements_repeat() {
    let registry = r4();
    let observation = registry.of("Observation").unwrap();
    let tuples = |code| &observation.parameter(code).unwrap().tuples;
    let [Tuple::Each(parts)] = tuples("code-value-quantity").as_slice() else {
        panic!("{:?}", tuples("code-value-quantity"))
    };
    assert_eq!(
        parts[0].sources,
        observation.parameter("code").unwrap().sources
    );
    let own = tuples("component-code-value-quantity");
    assert!(matches!(own.as_slice(), [Tuple::Rows { .. }]));
    let both = tuples("combo-code-value-quantity");
    assert_eq!(both[0], tuples("code-value-quantity")[0]);
    assert_eq!(both[1], own[0]);

    // R4 has its components crossed.
    let documents = registry.of("DocumentReference").unwrap();
    let [Tuple::Rows { kinds, .. }] = &*documents.parameter("relationship").unwrap().tuples else {
        panic!("no rows")
    };
    assert_eq!(kinds, &[SearchType::Token, SearchType::Reference]);
}

fn with(parameters: &[&str]) -> Registry {
    let parse = |text: &&str| fhir_spec::json::parse(text.as_bytes()).unwrap();
    let resources = parameters.iter().map(parse);
    Registry::new(Arc::new(Definitions::r4().with_resources(resources)))
}

#[test]
fn parameters_of_users_and_packages() {
    let registry = with(&[
        r#"{"resourceType": "SearchParameter", "url": "http://x/race", "code": "race", "type": "token",
            "base": ["Patient"], "expression": "Patient.extension('http://x/race').value"}"#,
        r#"{"resourceType": "SearchParameter", "url": "http://x/name", "code": "name", "type": "string",
            "base": ["Patient"], "expression": "Patient.contact.name"}"#,
        r#"{"resourceType": "SearchParameter", "url": "http://x/gender", "code": "gender", "type": "string",
            "base": ["Patient"], "expression": "Patient.gender"}"#,
        r#"{"resourceType": "SearchParameter", "url": "http://x/nonsense", "code": "nonsense", "type": "string",
            "base": ["Patient"], "expression": "Patient.nonsense"}"#,
        r#"{"resourceType": "SearchParameter", "url": "http://x/broken", "code": "broken", "type": "string",
            "base": ["Patient"], "expression": "Patient.name.where("}"#,
        r#"{"resourceType": "SearchParameter", "url": "http://x/odd", "code": "odd", "type": "odd", "base": ["Patient"]}"#,
    ]);
    let patient = registry.of("Patient").unwrap();
    assert!(!patient.parameter("race").unwrap().sources.is_empty());
    // A package may say a code again: both are found.
    let name = sources(&registry, "Patient", "name");
    assert!(name.contains(&"Patient.name.family".into()));
    assert!(name.contains(&"Patient.contact.name.family".into()));
    assert_eq!(patient.parameter("gender").unwrap().kind, SearchType::Token);
    let problems: Vec<&str> = patient
        .problems
        .iter()
        .map(|problem| &*problem.code)
        .collect();
    assert_eq!(problems, ["gender", "nonsense", "broken", "odd"]);
}

/// The packages of US Core, where they are: whatever they say is served, as a package and when somebody posts it.
#[test]
fn all_of_us_core_is_served() {
    let shared = std::env::var_os("KILN_SHARED").map_or_else(
        || std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"),
        Into::into,
    );
    for file in ["us-core-610.tgz", "us-core-700.tgz", "us-core-800.tgz"] {
        let path = shared.join("packages").join(file);
        let Ok(archive) = std::fs::File::open(&path) else {
            println!("SKIPPED: {} is not here", path.display());
            continue;
        };
        let package = fhir_spec::package::Package::read(archive).unwrap();
        let parameters: Vec<Value> = package
            .resources
            .iter()
            .filter(|resource| resource.str_of("resourceType") == Some("SearchParameter"))
            .cloned()
            .collect();
        assert!(parameters.len() > 100, "{file}");
        let (definitions, _) = Definitions::r4().with_packages(vec![package]);
        let packaged = Registry::new(Arc::new(definitions));
        for name in Definitions::r4().resource_types() {
            assert_eq!(packaged.of(name).unwrap().problems, Vec::new(), "{file}");
        }
        for code in ["race", "ethnicity"] {
            let patient = packaged.of("Patient").unwrap();
            assert!(patient.parameter(code).unwrap().is_served(), "{file}");
        }
        let mut posted = r4();
        for (id, parameter) in parameters.iter().enumerate() {
            let id = id.to_string();
            assert_eq!(posted.check(&id, parameter), Vec::new(), "{file}");
            let mut own = posted.own().to_vec();
            own.extend(own::OwnParameter::of(&id, parameter));
            posted = posted.with_own(own);
        }
        assert_eq!(posted.own_problems(), Vec::new(), "{file}");
        for name in Definitions::r4().resource_types() {
            let (one, other) = (packaged.of(name).unwrap(), posted.of(name).unwrap());
            // Contained resources are asked what packages say, not what is posted.
            let paths = |known: &ResourceType| {
                let mut paths = known.paths();
                paths.retain(|path| Some(*path) != known.contained());
                paths
            };
            assert_eq!(paths(one), paths(other), "{file} {name}");
        }
    }
}
