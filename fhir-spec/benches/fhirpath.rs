//! What FHIRPath costs: all search parameters of an Observation, all invariants of a Patient, and reading expressions.
//!
//! `cargo bench -p fhir-spec --bench fhirpath`

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints, and stops when what it measures is not there"
)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use fhir_spec::definitions::{Definitions, TypeId, Types};
use fhir_spec::fhirpath::{Context, Expression};
use fhir_spec::json::parse;

const ROUNDS: u32 = 20_000;

const OBSERVATION: &str = r#"{
  "resourceType": "Observation", "id": "weight-1",
  "meta": {"versionId": "3", "lastUpdated": "2024-02-03T04:05:06.789Z", "profile": ["http://hl7.org/fhir/StructureDefinition/bodyweight"]},
  "text": {"status": "generated", "div": "<div xmlns=\"http://www.w3.org/1999/xhtml\"><p>Body weight: 71.4 kg, measured on the ward scale.</p></div>"},
  "identifier": [{"system": "https://example.org/observations", "value": "w-77120"}],
  "status": "final",
  "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs", "display": "Vital Signs"}]}],
  "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7", "display": "Body Weight"}, {"system": "http://snomed.info/sct", "code": "27113001", "display": "Body weight"}], "text": "weight"},
  "subject": {"reference": "Patient/p-9", "display": "A. Person"},
  "encounter": {"reference": "Encounter/e-12"},
  "effectiveDateTime": "2024-02-03T05:00:00+01:00",
  "issued": "2024-02-03T04:05:06.789Z",
  "performer": [{"reference": "Practitioner/dr-1"}, {"reference": "Organization/ward-2"}],
  "valueQuantity": {"value": 71.4, "unit": "kg", "system": "http://unitsofmeasure.org", "code": "kg"},
  "interpretation": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation", "code": "N"}]}],
  "method": {"coding": [{"system": "http://snomed.info/sct", "code": "39857003", "display": "Weighing patient"}]},
  "device": {"reference": "Device/scale-4"},
  "component": [
    {"code": {"coding": [{"system": "http://loinc.org", "code": "8352-7"}]}, "valueCodeableConcept": {"coding": [{"system": "http://loinc.org", "code": "LA11874-5"}]}},
    {"code": {"coding": [{"system": "http://loinc.org", "code": "8350-1"}]}, "valueQuantity": {"value": 72.0, "unit": "kg", "system": "http://unitsofmeasure.org", "code": "kg"}}
  ]
}"#;

fn main() {
    let definitions = Definitions::r4();
    let types = definitions.types();
    let document = parse(OBSERVATION.as_bytes()).unwrap();
    let context = Context::new(types, &document);
    let observation = types.by_name("Observation").unwrap();

    let texts: Vec<&str> = definitions
        .search_parameters()
        .iter()
        .filter(|parameter| {
            let bases = ["Observation", "DomainResource", "Resource"];
            parameter.base.iter().any(|base| bases.contains(&&**base))
                && !parameter.expression.is_empty()
        })
        .map(|parameter| &*parameter.expression)
        .collect();
    let compile = || -> Vec<Expression> {
        let compiled = texts
            .iter()
            .map(|text| Expression::for_search(text, types, observation));
        compiled.collect::<Result<_, _>>().unwrap()
    };
    let start = Instant::now();
    let parameters = compile();
    println!(
        "{} search parameters of Observation compiled in {:?}",
        parameters.len(),
        start.elapsed()
    );
    let values: usize = parameters
        .iter()
        .map(|parameter| parameter.evaluate(&context).unwrap().len())
        .sum();
    let spent = each(&format!("all of them evaluated, {values} values"), || {
        for parameter in &parameters {
            black_box(parameter.evaluate(&context).unwrap());
        }
    });
    println!(
        "  {:?} for each parameter",
        spent / u32::try_from(parameters.len()).unwrap()
    );

    let invariants = invariants(types, observation);
    each(
        &format!("{} invariants of the resource itself", invariants.len()),
        || {
            for invariant in &invariants {
                black_box(invariant.evaluate(&context).unwrap());
            }
        },
    );
    one(
        types,
        &context,
        "name by path",
        "Observation.code.coding.where(system = 'http://loinc.org').code",
    );
    one(types, &context, "descendants", "descendants().count()");
    one(types, &context, "quantity", "value > 154 '[lb_av]'");
}

fn invariants(types: &Types, id: TypeId) -> Vec<Expression> {
    let parse = |text| Expression::parse(text).unwrap().bound(types, id);
    types
        .get(id)
        .constraints
        .iter()
        .map(|constraint| parse(&*constraint.expression))
        .collect()
}

fn one(types: &Types, context: &Context<'_>, what: &str, text: &str) {
    let expression = Expression::parse(text)
        .unwrap()
        .bound(types, context.resource().type_id().unwrap());
    each(&format!("{what}: {text}"), || {
        black_box(expression.evaluate(context).unwrap())
    });
}

fn each<T>(what: &str, mut run: impl FnMut() -> T) -> Duration {
    for _ in 0..ROUNDS / 10 {
        black_box(run());
    }
    let start = Instant::now();
    for _ in 0..ROUNDS {
        black_box(run());
    }
    let spent = start.elapsed() / ROUNDS;
    println!("{what}: {spent:?}");
    spent
}
