//! Search parameters: consistent with the one they derive from, and with an expression that can be read.
//! <https://hl7.org/fhir/R4/searchparameter-definitions.html#SearchParameter.derivedFrom>

use crate::fhirpath::Expression;
use crate::json::Value;
use crate::outcome::IssueCode;

use super::path::Path;
use super::walk::Walk;

impl Walk<'_> {
    pub(super) fn search_parameter(&mut self, parameter: &Value, path: &Path<'_>) {
        if let Some(stated) = parameter.get("expression")
            && let Some(text) = stated.as_str()
            && let Err(problem) = Expression::parse(text)
        {
            let path = &path.child("expression", None, path.type_id);
            self.report
                .error(path, stated.at, IssueCode::Value, || problem.to_string());
        }
        let origin = parameter
            .str_of("derivedFrom")
            .and_then(|canonical| self.validator.definitions().artifact(canonical));
        let Some(origin) = origin else {
            return;
        };
        if parameter.str_of("type") != origin.str_of("type") {
            self.inconsistent(parameter, path, "has another type");
        }
        let is_resource = |base: &str| matches!(base, "Resource" | "DomainResource");
        let bases: Vec<&str> = texts(&origin, "base").collect();
        let is_any = bases.iter().copied().any(is_resource);
        let is_wider = texts(parameter, "base").any(|base| !bases.contains(&base));
        if is_wider && !is_any {
            self.inconsistent(parameter, path, "is for other resources");
        }
    }

    fn inconsistent(&mut self, parameter: &Value, path: &Path<'_>, fault: &str) {
        self.report
            .error(path, parameter.at, IssueCode::BusinessRule, || {
                format!("the search parameter {fault} than the one it derives from")
            });
    }
}

fn texts<'v>(value: &'v Value, name: &str) -> impl Iterator<Item = &'v str> {
    value.items_of(name).iter().filter_map(Value::as_str)
}
