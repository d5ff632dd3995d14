//! The searches that mock.health compared servers with, over patients of Synthea. What other servers answered stands in the
//! file; here it is the specification's answer that counts.

use conformance_tests::truth::World;
use conformance_tests::truth::queries::Query;
use fhir_spec::definitions::Definitions;
use fhir_spec::json::{self, Value};

use super::loaded;
use crate::kiln::{Kiln, told};
use crate::material::{files, folder};
use crate::results::Tally;

/// Values that are taken from the data, of each kind.
const SAMPLES: usize = 3;
/// What the second evaluator does not know: words in texts have no exact answer.
const WORDS: &[&str] = &["_content", "_text", ":text"];

#[test]
fn queries_of_mock_health() {
    let (Some(suites), Some(synthea)) = (folder("peer-suites"), folder("synthea-r4")) else {
        return;
    };
    let text = std::fs::read(suites.join("search-queries-mock-health.json")).unwrap();
    let queries = json::parse(&text).unwrap();
    let kiln = Kiln::known_as(Some(super::PUBLIC_URL), Vec::new());
    let mut paths = Vec::new();
    let mut bundles = files(&synthea.join("candle"), ".json");
    // Patients refer to hospitals and practitioners by what identifies them.
    bundles.sort_by_key(|(name, _)| !name.contains("Hospital") && !name.contains("Practitioner"));
    bundles.extend(files(&synthea.join("loose"), ".json"));
    for (name, bytes) in bundles {
        match loaded::transaction(&kiln.client, &bytes) {
            Ok(made) => paths.extend(made),
            Err(problem) => println!("{name}: {problem}"),
        }
    }
    let documents = loaded::read(&kiln.client, &paths).unwrap();
    let world = World::new(
        Definitions::r4(),
        super::BASE,
        super::now_micros(),
        &documents,
    );
    let mut tally = Tally::new("peer-suites: search queries of mock.health", &[]);
    for query in queries.items_of("queries") {
        let name = query.str_of("name").unwrap();
        for (number, asked) in filled(query, &documents).iter().enumerate() {
            let case = if number == 0 {
                name.to_owned()
            } else {
                format!("{name} {}", number + 1)
            };
            match hold(&kiln, &world, asked) {
                Ok(outcome) => tally.count(&case, outcome),
                Err(need) => tally.wait(&case, &need),
            }
        }
    }
    tally.finish();
}

/// A path with its parameters.
struct Asked {
    path: String,
    parameters: Vec<(String, String)>,
}

/// The query, once for each value that it takes from the data.
fn filled(query: &Value, documents: &[Value]) -> Vec<Asked> {
    let parameters = query.get("params").and_then(Value::as_object);
    let parameters = parameters.into_iter().flat_map(|object| object.iter());
    let asked = Asked {
        path: query.str_of("path").unwrap().to_owned(),
        parameters: parameters
            .map(|(name, value)| (name.to_owned(), value.as_str().unwrap().to_owned()))
            .collect(),
    };
    let sample = query.get("sample").and_then(Value::as_object);
    let Some((name, kind)) = sample.and_then(|sample| sample.iter().next()) else {
        return vec![asked];
    };
    let values = sampled(kind.as_str().unwrap(), documents);
    let fill = |text: &str, value: &str| text.replace(&format!("{{{{{name}}}}}"), value);
    values
        .iter()
        .map(|value| Asked {
            path: fill(&asked.path, value),
            parameters: asked
                .parameters
                .iter()
                .map(|(name, text)| (name.clone(), fill(text, value)))
                .collect(),
        })
        .collect()
}

fn sampled(kind: &str, documents: &[Value]) -> Vec<String> {
    let (resource_type, expression) = match kind {
        "patient_id" => ("Patient", "id"),
        "patient_family" => ("Patient", "name.family"),
        "condition_code" => ("Condition", "code.coding.code"),
        "procedure_code" => ("Procedure", "code.coding.code"),
        "practitioner_id" => ("Practitioner", "id"),
        "location_id" => ("Location", "id"),
        other => panic!("no sample of {other}"),
    };
    let mut values: Vec<String> = Vec::new();
    for document in documents {
        if document.str_of("resourceType") == Some(resource_type) && values.len() < SAMPLES {
            let found = crate::testscript::evaluate(document, expression).unwrap();
            let found = found.first().and_then(Value::as_str).map(str::to_owned);
            values.extend(found.filter(|value| !values.contains(value)));
        }
    }
    assert!(!values.is_empty(), "no {kind} in the data");
    values
}

/// The error is what the server would have to offer first.
fn hold(kiln: &Kiln, world: &World<'_>, asked: &Asked) -> Result<Result<(), String>, String> {
    let path = format!("/{}", asked.path);
    if let Some(need) = kiln.lacks("GET", &path, b"") {
        return Err(need);
    }
    let resource_type = &asked.path;
    if resource_type == "metadata" || resource_type.contains('/') {
        let answer = kiln.client.send("GET", &path, &[], b"")?;
        let is_done = answer.status == 200;
        return Ok(is_done.then_some(()).ok_or_else(|| told(&answer)));
    }
    let query = Query {
        resource_type: resource_type.clone(),
        compartment: None,
        parameters: asked.parameters.clone(),
    };
    let words = WORDS.iter().find(|word| {
        let mut names = asked.parameters.iter();
        names.any(|(name, _)| name == *word || name.ends_with(*word))
    });
    if let Some(words) = words {
        return Err(format!("an answer that is exact to {words}"));
    }
    Ok(world.hold(&kiln.client, &query).map(|_| ()))
}
