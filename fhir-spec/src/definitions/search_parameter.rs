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
    /// Whether a search may give it several values, and give it several times; None: it does not say.
    pub multiple_or: Option<bool>,
    pub multiple_and: Option<bool>,
    /// The canonical url of the parameter that it narrows.
    pub derived_from: Option<Box<str>>,
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
            multiple_or: resource.get("multipleOr").and_then(Value::as_bool),
            multiple_and: resource.get("multipleAnd").and_then(Value::as_bool),
            derived_from: text("derivedFrom"),
        })
    }
}
