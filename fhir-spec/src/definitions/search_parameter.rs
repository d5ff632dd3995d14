//! What can be searched for, as SearchParameter resources say it.
//! <https://hl7.org/fhir/R4/searchparameter.html>

use crate::json::Value;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchParameter {
    pub url: Box<str>,
    /// The name in a query string.
    pub code: Box<str>,
    /// The resource types it applies to; `Resource` and `DomainResource` stand for all of theirs.
    pub base: Vec<Box<str>>,
    /// `string`, `token`, `date` ...
    pub kind: Box<str>,
    pub expression: Box<str>,
    /// For references: the types that may be the target.
    pub target: Vec<Box<str>>,
    /// For composites: each component's parameter (canonical url) and its expression, relative to `expression`.
    pub component: Vec<(Box<str>, Box<str>)>,
    pub modifier: Vec<Box<str>>,
    pub comparator: Vec<Box<str>>,
}

impl SearchParameter {
    /// None when the resource lacks what makes a parameter.
    pub fn from_resource(resource: &Value) -> Option<Self> {
        let text = |name: &str| resource.str_of(name).map(Box::<str>::from);
        let texts = |name: &str| {
            resource
                .items_of(name)
                .iter()
                .filter_map(Value::as_str)
                .map(Into::into)
                .collect()
        };
        Some(Self {
            url: text("url")?,
            code: text("code")?,
            base: texts("base"),
            kind: text("type")?,
            expression: text("expression").unwrap_or_default(),
            target: texts("target"),
            component: resource
                .items_of("component")
                .iter()
                .filter_map(|component| {
                    Some((
                        component.str_of("definition")?.into(),
                        component.str_of("expression")?.into(),
                    ))
                })
                .collect(),
            modifier: texts("modifier"),
            comparator: texts("comparator"),
        })
    }
}
