//! Our validator beside the JSON schema of R4: what the schema objects to, we must call an error too. The schema knows less
//! (no required primitives, no cardinality, no invariants), so the other way round nothing follows.

use conformance_tests::oracle::Oracle;
use fhir_spec::json;
use fhir_spec::validate::{Request, Validator};
use serde_json::{Value, json};

use crate::material::{folder, unpacked};
use crate::results::Tally;

/// One of so many examples is damaged, and each in so many ways: the schema is slow on large documents.
const EVERY: usize = 9;
const DAMAGES: usize = 6;
const BYTES_MAX: usize = 20_000;

#[test]
fn what_the_schema_objects_to_is_an_error() {
    let Some(oracle) = Oracle::from_env() else {
        println!("SKIPPED: the JSON schema of R4 is not here (KILN_FHIR_SCHEMA)");
        return;
    };
    let oracle = oracle.unwrap();
    let Some(folder) = folder("fhir-r4-examples") else {
        return;
    };
    let mut tally = Tally::new("second opinion: damaged examples", &[]);
    let examples = unpacked(&folder.join("official-r4-examples-json.tar.zst"));
    let small = examples.iter().filter(|(_, text)| text.len() <= BYTES_MAX);
    for (number, (name, text)) in small.step_by(EVERY).enumerate() {
        let example: Value = serde_json::from_slice(text).unwrap();
        // A few examples are not what the schema wants to begin with: it takes a no-break space for white space.
        if oracle
            .objections(&example)
            .is_ok_and(|objections| !objections.is_empty())
        {
            continue;
        }
        for damage in 0..DAMAGES {
            let mut random = Random(u64::try_from(number * DAMAGES + damage).unwrap());
            let mut damaged = example.clone();
            let what = random.damage(&mut damaged);
            let objections = oracle.objections(&damaged).unwrap_or_default();
            if let Some(objection) = objections.first() {
                let agrees = has_error(&damaged.to_string());
                tally.count(
                    &format!("{name}: {what}"),
                    agrees.then_some(()).ok_or_else(|| objection.clone()),
                );
            }
        }
    }
    tally.finish();
}

fn has_error(text: &str) -> bool {
    let document = json::parse(text.as_bytes()).unwrap();
    let issues = Validator::r4().validate(&document, &Request::default());
    issues.iter().any(fhir_spec::Issue::is_error)
}

/// Numbers that come again at every run (an LCG of Knuth's).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound.max(1)
    }

    /// Changes one member somewhere; says what it did.
    fn damage(&mut self, document: &mut Value) -> String {
        let mut target = document;
        let mut path = String::new();
        // Down a random way, stopping at some object on it.
        loop {
            let inner: Vec<String> = match &*target {
                Value::Object(object) => object
                    .iter()
                    .filter(|(_, value)| value.is_object() || value.is_array())
                    .map(|(name, _)| format!("/{name}"))
                    .collect(),
                Value::Array(items) => (0..items.len()).map(|index| format!("/{index}")).collect(),
                _ => Vec::new(),
            };
            let stops = target.is_object() && (inner.is_empty() || self.below(3) == 0);
            if stops || inner.is_empty() {
                break;
            }
            let step = &inner[self.below(inner.len())];
            path.push_str(step);
            target = target.pointer_mut(step).unwrap();
        }
        let Value::Object(object) = target else {
            *target = json!("damaged");
            return format!("{path} is a string");
        };
        let names: Vec<String> = object.keys().cloned().collect();
        let name = names[self.below(names.len())].clone();
        match self.below(6) {
            0 => {
                object.insert(format!("{name}X"), json!("x"));
                format!("{path}/{name}X is new")
            }
            1 => {
                object.insert(name.clone(), json!(4.5));
                format!("{path}/{name} is 4.5")
            }
            2 => {
                object.insert(name.clone(), json!([["x"]]));
                format!("{path}/{name} is a list of lists")
            }
            3 => {
                object.insert(name.clone(), Value::Null);
                format!("{path}/{name} is null")
            }
            4 => {
                object.insert(name.clone(), json!({"unknown": true}));
                format!("{path}/{name} is an object of nothing known")
            }
            _ => {
                object.insert(name.clone(), json!(" not a code "));
                format!("{path}/{name} is a text with spaces around")
            }
        }
    }
}
