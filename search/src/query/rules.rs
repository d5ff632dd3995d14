//! What the definition of a parameter allows less than its type does. <https://hl7.org/fhir/R4/searchparameter.html>

use fhir_spec::outcome::{Issue, IssueCode};

use super::{Reader, shown};
use crate::registry::{Parameter, Rules};
use crate::types::{Prefix, SearchType};

/// The modifiers of SearchParameter.modifier that are written otherwise in a search.
const WRITTEN: &[(&str, &str)] = &[("ofType", "of-type")];
/// Stands for the names of all types.
const TYPE: &str = "type";

impl Rules {
    pub(super) fn check(
        &self,
        parameter: &Parameter,
        modifier: Option<&str>,
        values: &[&str],
    ) -> Result<(), String> {
        if let Some(modifier) = modifier {
            self.check_modifier(modifier)?;
        }
        if self.is_of_one_value && values.len() > 1 {
            return Err("its definition allows one value".into());
        }
        let is_compared = matches!(
            parameter.kind,
            SearchType::Number | SearchType::Date | SearchType::Quantity
        );
        if is_compared && modifier.is_none() && !self.comparators.is_empty() {
            for value in values {
                self.check_prefix(value)?;
            }
        }
        Ok(())
    }

    fn check_modifier(&self, modifier: &str) -> Result<(), String> {
        let is_type = modifier.starts_with(|c: char| c.is_ascii_uppercase());
        let is_allowed = |allowed: &str| {
            let written = WRITTEN.iter().find(|(code, _)| *code == allowed);
            let written = written.map_or(allowed, |(_, written)| written);
            written == modifier || (written == TYPE && is_type)
        };
        let allowed = &self.modifiers;
        if allowed.is_empty() || allowed.iter().any(|allowed| is_allowed(allowed)) {
            return Ok(());
        }
        let (modifier, allowed) = (shown(modifier), allowed.join(", :"));
        Err(format!(
            "its definition does not allow `:{modifier}`, only :{allowed}"
        ))
    }

    fn check_prefix(&self, value: &str) -> Result<(), String> {
        // What is no prefix is told by who reads the value.
        let Ok((prefix, _)) = Prefix::cut(value) else {
            return Ok(());
        };
        let (prefix, allowed) = (prefix.code(), &self.comparators);
        if prefix == Prefix::Equal.code() || allowed.iter().any(|allowed| **allowed == *prefix) {
            return Ok(());
        }
        let allowed = allowed.join(", ");
        Err(format!(
            "its definition does not allow the prefix `{prefix}`, only {allowed}"
        ))
    }
}

impl Reader<'_> {
    /// Parameters that are given more often than their definitions allow.
    pub(super) fn repeated(&self, parameters: &[(String, String)]) -> Vec<Issue> {
        let mut issues = Vec::new();
        let own = self.known.parameters().iter();
        for once in own.filter(|parameter| parameter.rules.is_given_once) {
            let is_it = |name: &str| name.split(':').next() == Some(&*once.code);
            let count = parameters.iter().filter(|(name, _)| is_it(name)).count();
            if count > 1 {
                let text = format!("`{}`: its definition allows it once", once.code);
                issues.push(Issue::error(IssueCode::NotSupported, text));
            }
        }
        issues
    }
}
