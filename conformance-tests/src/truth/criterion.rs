//! Whether one parameter of a query holds for one document.

use fhir_spec::definitions::SearchParameter;
use fhir_spec::json::Value;

use super::{
    Ask, Found, World, Wrong, amount, composite, date, id_of, near, reference, split, string,
    token, type_of, unescaped, uri,
};

/// Parameters about the answer and not about what is found.
const ABOUT_THE_ANSWER: &[&str] = &[
    "_sort",
    "_count",
    "_total",
    "_include",
    "_revinclude",
    "_summary",
    "_elements",
    "_format",
    "_contained",
    "_containedType",
];

impl<'a> World<'a> {
    pub(super) fn holds(
        &self,
        resource_type: &'a str,
        document: &'a Value,
        name: &str,
        value: &str,
    ) -> Result<bool, Wrong> {
        if let Some(rest) = name.strip_prefix("_has:") {
            return self.is_referred(resource_type, document, rest, value);
        }
        if let Some((first, rest)) = name.split_once('.') {
            return self.chained(resource_type, document, (first, rest), value);
        }
        let (code, modifier) = match name.split_once(':') {
            Some((code, modifier)) => (code, Some(modifier)),
            None => (name, None),
        };
        if ABOUT_THE_ANSWER.contains(&code) {
            return Ok(true);
        }
        if code == "_list" {
            return Ok(self.is_listed(document, value));
        }
        let parameters = self.parameters(resource_type, code);
        if parameters.is_empty() {
            return Err(format!("{resource_type} has no parameter {code}"));
        }
        // A code that is said twice finds what either finds.
        let is_all = matches!(
            (modifier, value),
            (Some("not" | "not-in"), _) | (Some("missing"), "true")
        );
        let mut holds = is_all;
        for parameter in parameters {
            let ask = Ask {
                world: self,
                parameter,
                resource_type,
                modifier,
            };
            let one = ask.holds(document, value)?;
            holds = if is_all { holds && one } else { holds || one };
        }
        Ok(holds)
    }

    /// `subject:Patient.name`
    fn chained(
        &self,
        resource_type: &'a str,
        document: &'a Value,
        (first, rest): (&str, &str),
        value: &str,
    ) -> Result<bool, Wrong> {
        let (code, wanted) = match first.split_once(':') {
            Some((code, wanted)) => (code, Some(wanted)),
            None => (first, None),
        };
        for parameter in self.references(resource_type, code)? {
            for found in self.values(document, parameter).iter() {
                let Some((kind, id)) = reference::local(self, found) else {
                    continue;
                };
                let is_target = parameter.target.is_empty()
                    || parameter.target.iter().any(|target| **target == *kind);
                if !is_target || wanted.is_some_and(|wanted| wanted != kind) {
                    continue;
                }
                let Some(target) = self.find(&kind, &id) else {
                    continue;
                };
                // Without a type those are meant that know what follows.
                if wanted.is_none() && !self.knows(type_of(target), rest) {
                    continue;
                }
                if self.holds(type_of(target), target, rest, value)? {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    fn knows(&self, resource_type: &str, name: &str) -> bool {
        let code = name.split(['.', ':']).next().unwrap_or_default();
        code == "_has" || !self.parameters(resource_type, code).is_empty()
    }

    /// `_has:Observation:patient:code`, without `_has:`
    fn is_referred(
        &self,
        resource_type: &str,
        document: &'a Value,
        rest: &str,
        value: &str,
    ) -> Result<bool, Wrong> {
        let mut parts = rest.splitn(3, ':');
        let (Some(source), Some(code), Some(rest)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err("_has:Type:reference:parameter".into());
        };
        for parameter in self.references(source, code)? {
            for other in self.of_type(source) {
                let found = self.values(other, parameter);
                let mut targets = found
                    .iter()
                    .filter_map(|found| reference::local(self, found));
                let refers =
                    targets.any(|(kind, id)| kind == resource_type && id == id_of(document));
                if refers && self.holds(type_of(other), other, rest, value)? {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    pub(super) fn references(
        &self,
        resource_type: &str,
        code: &str,
    ) -> Result<Vec<&'a SearchParameter>, Wrong> {
        let mut parameters = self.parameters(resource_type, code);
        parameters.retain(|parameter| &*parameter.kind == "reference");
        if parameters.is_empty() {
            return Err(format!("{resource_type}: {code} is no reference"));
        }
        Ok(parameters)
    }

    /// Whether one of these lists has it.
    fn is_listed(&self, document: &Value, ids: &str) -> bool {
        let ids = split(ids, ',');
        let lists = self.of_type("List").iter();
        let mut wanted = lists.filter(|list| ids.iter().any(|id| id == id_of(list)));
        wanted.any(|list| {
            list.items_of("entry").iter().any(|entry| {
                let literal = entry.get("item").and_then(|item| item.str_of("reference"));
                let target = literal.and_then(|literal| reference::local_literal(self, literal));
                target.is_some_and(|(kind, id)| kind == type_of(document) && id == id_of(document))
            })
        })
    }
}

impl<'a> Ask<'_, 'a> {
    /// Whether one of the values is found, or none of them (`:not`).
    fn holds(&self, document: &'a Value, values: &str) -> Result<bool, Wrong> {
        let found = self.world.values(document, self.parameter);
        if self.modifier == Some("missing") {
            return match values {
                "true" => Ok(!self.has_value(document, &found)),
                "false" => Ok(self.has_value(document, &found)),
                _ => Err(":missing is true or false".into()),
            };
        }
        let mut is_found = false;
        for value in split(values, ',') {
            if value.is_empty() {
                return Err("a value is missing".into());
            }
            is_found |= self.finds(document, &found, &value)?;
        }
        let is_negated = matches!(self.modifier, Some("not" | "not-in"));
        Ok(is_found != is_negated)
    }

    fn finds(&self, document: &'a Value, found: &[Found<'a>], value: &str) -> Result<bool, Wrong> {
        if &*self.parameter.kind == "composite" {
            return composite::finds(self, document, found, value);
        }
        let mut is_found = false;
        for found in found {
            is_found |= self.is(&self.parameter.kind, found, value)?;
        }
        Ok(is_found)
    }

    /// Whether a value of the document is what a value of the query means, by the rules of a type of parameter.
    pub(super) fn is(&self, kind: &str, found: &Found<'a>, value: &str) -> Result<bool, Wrong> {
        match kind {
            "string" => Ok(string::is(self, found, &unescaped(value))),
            "token" => token::is(self, found, value),
            "reference" => reference::is(self, found, value),
            "date" => date::is(self.world.now, found, value),
            "number" | "quantity" => amount::is(kind, found, value),
            "uri" => Ok(uri::is(self, found, &unescaped(value))),
            "special" => near::is(found, value),
            _ => Err(format!("{kind} is no type of parameter")),
        }
    }

    /// Whether the parameter has a value of a kind that it can be asked about.
    fn has_value(&self, document: &'a Value, found: &[Found<'a>]) -> bool {
        match &*self.parameter.kind {
            "composite" => composite::has_value(self, document, found),
            kind => found.iter().any(|found| can_be(kind, found)),
        }
    }
}

/// Whether a type of parameter can be asked about such a value.
pub(super) fn can_be(kind: &str, found: &Found<'_>) -> bool {
    const NO_TOKENS: &[&str] = &["Quantity", "Range", "Reference", "Period", "SampledData"];
    match kind {
        "string" => !string::texts(found).is_empty(),
        "date" => date::interval(found).is_some(),
        "number" | "quantity" => amount::amount(found).is_some(),
        "special" => found.kind == "Location.position",
        "token" => !NO_TOKENS.contains(&found.kind),
        // The element is there, whatever it says.
        _ => true,
    }
}
