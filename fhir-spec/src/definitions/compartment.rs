//! Compartments: which resources belong to a patient, an encounter, a practitioner ...
//! <https://hl7.org/fhir/R4/compartmentdefinition.html>

use std::collections::HashMap;

use crate::json::Value;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compartment {
    /// `Patient`, `Encounter`, `RelatedPerson`, `Practitioner` or `Device`.
    pub code: Box<str>,
    /// Resource type -> the search parameters that tie it to the compartment.
    members: HashMap<Box<str>, Vec<Box<str>>>,
}

impl Compartment {
    pub fn from_resource(resource: &Value) -> Option<Self> {
        let members = resource
            .items_of("resource")
            .iter()
            .filter_map(|member| {
                let parameters: Vec<Box<str>> = member
                    .items_of("param")
                    .iter()
                    .filter_map(Value::as_str)
                    .map(Into::into)
                    .collect();
                (!parameters.is_empty()).then_some((member.str_of("code")?.into(), parameters))
            })
            .collect();
        Some(Self {
            code: resource.str_of("code")?.into(),
            members,
        })
    }

    /// The parameters by which resources of this type belong; none when they never do.
    pub fn parameters(&self, resource_type: &str) -> &[Box<str>] {
        self.members
            .get(resource_type)
            .map(Vec::as_slice)
            .unwrap_or_default()
    }
}
