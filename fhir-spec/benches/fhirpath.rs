//! What FHIRPath costs: all search parameters of an Observation, a Patient and a bundle, invariants, single expressions.
//!
//! `cargo bench -p fhir-spec --bench fhirpath`

#![expect(
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a benchmark prints, and stops when what it measures is not there"
)]

use std::collections::HashMap;
use std::hint::black_box;
use std::time::{Duration, Instant};

use fhir_spec::definitions::{Definitions, TypeId, Types};
use fhir_spec::fhirpath::{Context, Expression};
use fhir_spec::json::{Value, parse};

const ROUNDS: u32 = 20_000;
const WARM_UP: Duration = Duration::from_millis(100);
const BUNDLE_ENTRIES: usize = 100;

const PATIENT: &str = r#"{
  "resourceType": "Patient", "id": "p-9", "active": true,
  "identifier": [{"system": "https://example.org/mrn", "value": "77120"}, {"system": "https://example.org/ssn", "value": "9-8-7"}],
  "name": [{"use": "official", "family": "Person", "given": ["Ann", "Beth"]}, {"use": "maiden", "family": "Somebody"}],
  "telecom": [{"system": "phone", "value": "+49 30 1234567"}, {"system": "email", "value": "ann@example.org"}],
  "gender": "female", "birthDate": "1970-03-30", "deceasedBoolean": false,
  "address": [{"line": ["Street 1"], "city": "Town", "state": "ST", "postalCode": "12345", "country": "DE"}],
  "generalPractitioner": [{"reference": "Practitioner/dr-1"}], "managingOrganization": {"reference": "Organization/o-1"}
}"#;

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
    let types = Definitions::r4().types();
    let document = parse(OBSERVATION.as_bytes()).unwrap();
    let context = Context::new(types, &document);
    let observation = types.by_name("Observation").unwrap();

    extraction("Observation", &[&document]);
    let patient = parse(PATIENT.as_bytes()).unwrap();
    extraction("Patient", &[&patient]);
    let bundle: Vec<&Value> = (0..BUNDLE_ENTRIES)
        .map(|entry| if entry % 10 == 0 { &patient } else { &document })
        .collect();
    extraction("a bundle of 100", &bundle);

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

/// All search parameters of each resource's type, evaluated on it.
fn extraction(what: &str, resources: &[&Value]) {
    let types = Definitions::r4().types();
    let start = Instant::now();
    let mut compiled: HashMap<&str, Vec<Expression>> = HashMap::new();
    for resource in resources {
        let name = resource.str_of("resourceType").unwrap();
        compiled.entry(name).or_insert_with(|| parameters(name));
    }
    println!("{what}: compiled in {:?}", start.elapsed());
    let all: Vec<(Context<'_>, &Vec<Expression>)> = resources
        .iter()
        .map(|resource| {
            let name = resource.str_of("resourceType").unwrap();
            (Context::new(types, resource), &compiled[name])
        })
        .collect();
    let extract = || -> usize {
        let values = all.iter().flat_map(|(context, parameters)| {
            parameters
                .iter()
                .map(|parameter| parameter.evaluate(context).unwrap().len())
        });
        values.sum()
    };
    let evaluated: usize = all.iter().map(|(_, parameters)| parameters.len()).sum();
    let values = extract();
    each(
        &format!("{what}: {evaluated} parameters evaluated, {values} values"),
        extract,
    );
}

fn parameters(resource_type: &str) -> Vec<Expression> {
    let definitions = Definitions::r4();
    let types = definitions.types();
    let id = types.by_name(resource_type).unwrap();
    definitions
        .search_parameters()
        .iter()
        .filter(|parameter| {
            let bases = [resource_type, "DomainResource", "Resource"];
            parameter.base.iter().any(|base| bases.contains(&&**base))
                && !parameter.expression.is_empty()
        })
        .map(|parameter| Expression::for_search(&parameter.expression, types, id).unwrap())
        .collect()
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
    let warm = Instant::now();
    let mut rounds = 0;
    while warm.elapsed() < WARM_UP {
        black_box(run());
        rounds += 1;
    }
    // As long again, five times over: a bundle takes a hundred times what a resource does.
    let rounds = (rounds * 5).clamp(1, ROUNDS);
    let start = Instant::now();
    for _ in 0..rounds {
        black_box(run());
    }
    let spent = start.elapsed() / rounds;
    println!("{what}: {spent:?}");
    spent
}
