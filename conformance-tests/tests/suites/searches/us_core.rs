//! Every search parameter of US Core, asked with values of its own examples, on a server that was started with the package.

use std::fs::File;
use std::sync::Arc;

use conformance_tests::truth::queries::{Asker, Query};
use conformance_tests::truth::random::Random;
use conformance_tests::truth::{World, type_of};
use fhir_spec::definitions::{Definitions, SearchParameter};
use fhir_spec::json::{self, Value};
use fhir_spec::package::Package;

use super::loaded;
use crate::kiln::Kiln;
use crate::material::{files, folder};
use crate::results::Tally;

/// Questions to one parameter.
const QUESTIONS: usize = 12;
const US_CORE: &str = "http://hl7.org/fhir/us/core/";

#[test]
fn every_parameter_of_us_core() {
    let Some(folder) = folder("us-core-examples") else {
        return;
    };
    let path = folder.join("../../packages/us-core-800.tgz");
    let Ok(tgz) = File::open(&path) else {
        println!("SKIPPED: no package {}", path.display());
        return;
    };
    let package = Package::read(tgz).unwrap();
    let (definitions, _) = Definitions::r4().with_packages(vec![package]);
    let definitions = Arc::new(definitions);
    let kiln = Kiln::known_as(Some(super::PUBLIC_URL), vec![path]);
    let examples = files(&folder, ".json");
    let examples = examples
        .iter()
        .map(|(_, bytes)| json::parse(bytes).unwrap());
    let examples: Vec<Value> = examples
        .filter(|example| example.str_of("id").is_some())
        .collect();
    let paths = loaded::put(&kiln.client, &examples).unwrap();
    let documents = loaded::read(&kiln.client, &paths).unwrap();
    let world = World::new(&definitions, super::BASE, super::now_micros(), &documents);
    let mut asker = Asker::new(Random::new(1), &world);
    let mut tally = Tally::new("us-core-examples: search parameters of US Core 8.0.0", &[]);
    let mut types: Vec<&str> = documents.iter().map(type_of).collect();
    types.sort_unstable();
    types.dedup();
    for resource_type in types {
        let all = definitions.search_parameters_for(resource_type);
        let own: Vec<_> = all
            .filter(|parameter| parameter.url.starts_with(US_CORE))
            .collect();
        for parameter in own {
            let case = format!("{resource_type} {}", parameter.code);
            match ask(&kiln, &world, &mut asker, resource_type, parameter) {
                Ok(outcome) => tally.count(&case, outcome),
                Err(need) => tally.wait(&case, &need),
            }
        }
    }
    tally.finish();
}

/// The error is what the examples lack.
fn ask<'a>(
    kiln: &Kiln,
    world: &World<'a>,
    asker: &mut Asker<'_, 'a>,
    resource_type: &str,
    parameter: &'a SearchParameter,
) -> Result<Result<(), String>, String> {
    let code = &parameter.code;
    let mut asked = vec![
        format!("{code}:missing=true"),
        format!("{code}:missing=false"),
    ];
    for _ in 0..QUESTIONS {
        let value = asker.value(resource_type, parameter, None);
        asked.extend(value.map(|value| format!("{code}={value}")));
    }
    let is_composite = &*parameter.kind == "composite";
    if asked.len() == 2 && !is_composite {
        return Err("an example that has it".to_owned());
    }
    for asked in asked {
        let (name, value) = asked.split_once('=').unwrap();
        let query = Query {
            resource_type: resource_type.to_owned(),
            compartment: None,
            parameters: vec![(name.to_owned(), value.to_owned())],
        };
        if let Err(problem) = world.hold(&kiln.client, &query) {
            return Ok(Err(format!("{query}: {problem}")));
        }
    }
    Ok(Ok(()))
}
