//! Queries made up by chance from what documents hold, so that most of them find something and many nearly do.

use std::collections::HashSet;

use fhir_spec::definitions::SearchParameter;
use fhir_spec::json::Value;

use super::random::Random;
use super::{World, id_of, reference, type_of};

mod values;

/// Parameters that are answered by other means than values of documents.
const ELSEWHERE: &[&str] = &[
    "_text", "_content", "_query", "_filter", "_list", "_has", "_type",
];
const SORTED_BY: &[&str] = &[
    "string",
    "token",
    "date",
    "number",
    "quantity",
    "uri",
    "reference",
];
/// Chains that are longer cost the naive evaluator minutes.
const STEPS_MAX: usize = 3;

/// A search of one type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    pub resource_type: String,
    /// `Patient/1`, whose compartment is searched.
    pub compartment: Option<(String, String)>,
    pub parameters: Vec<(String, String)>,
}

impl std::fmt::Display for Query {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some((kind, id)) = &self.compartment {
            write!(f, "{kind}/{id}/")?;
        }
        write!(f, "{}", self.resource_type)?;
        for (number, (name, value)) in self.parameters.iter().enumerate() {
            write!(f, "{}{name}={value}", if number == 0 { "?" } else { "&" })?;
        }
        Ok(())
    }
}

/// Makes queries about a world.
#[derive(Debug)]
pub struct Asker<'w, 'a> {
    pub random: Random,
    world: &'w World<'a>,
}

impl<'w, 'a> Asker<'w, 'a> {
    pub fn new(random: Random, world: &'w World<'a>) -> Self {
        Self { random, world }
    }

    pub fn query(&mut self) -> Query {
        let types = self.world.types();
        let resource_type = self.random.pick(&types);
        let mut parameters = Vec::new();
        for _ in 0..self.random.pick(&[0, 1, 1, 1, 1, 2, 2, 3]) {
            parameters.extend(self.criterion(resource_type, 0));
        }
        if self.random.is(40) {
            let keys = self.random.below(3) + 1;
            let mut keys: Vec<String> = (0..keys).map(|_| self.sort_key(resource_type)).collect();
            // After a key the same one has nothing more to say.
            let mut seen = HashSet::new();
            keys.retain(|key| seen.insert(key.trim_start_matches('-').to_owned()));
            parameters.push(("_sort".into(), keys.join(",")));
        }
        for _ in 0..self.random.pick(&[0, 0, 0, 0, 0, 1, 1, 2]) {
            parameters.extend(self.include(resource_type));
        }
        if self.random.is(50) {
            let count = self.random.pick(&["1", "2", "3", "7", "50"]);
            parameters.push(("_count".into(), count.into()));
        }
        if self.random.is(30) {
            parameters.push(("_total".into(), "accurate".into()));
        }
        Query {
            compartment: self.compartment(),
            resource_type: resource_type.into(),
            parameters,
        }
    }

    fn compartment(&mut self) -> Option<(String, String)> {
        if !self.random.is(8) {
            return None;
        }
        let kind = self.random.pick(&["Patient", "Encounter", "Practitioner"]);
        let id = id_of(self.any(kind)?).to_owned();
        Some((kind.into(), id))
    }

    fn any(&mut self, resource_type: &str) -> Option<&'a Value> {
        let all = self.world.of_type(resource_type);
        all.get(self.random.below(all.len())).copied()
    }

    /// A parameter with what it asks for.
    pub(super) fn criterion(
        &mut self,
        resource_type: &str,
        steps: usize,
    ) -> Option<(String, String)> {
        match self.random.below(20) {
            0..=2 if steps < STEPS_MAX => self.chain(resource_type, steps),
            3 | 4 if steps < STEPS_MAX => self.has(resource_type, steps),
            5 | 6 => {
                let parameter = self.parameter(resource_type)?;
                let value = self.random.pick(&["true", "false"]);
                let has_missing = &*parameter.code != "_id" && &*parameter.code != "_lastUpdated";
                has_missing.then(|| (format!("{}:missing", parameter.code), value.into()))
            }
            _ => self.plain(resource_type),
        }
    }

    fn plain(&mut self, resource_type: &str) -> Option<(String, String)> {
        const TRIES: usize = 8;
        for _ in 0..TRIES {
            let parameter = self.parameter(resource_type)?;
            let modifier = self.modifier(parameter);
            let mut values = Vec::new();
            for _ in 0..self.random.pick(&[1, 1, 1, 2, 3]) {
                values.extend(self.value(resource_type, parameter, modifier.as_deref()));
            }
            if !values.is_empty() {
                let modifier = modifier.map(|m| format!(":{m}")).unwrap_or_default();
                return Some((format!("{}{modifier}", parameter.code), values.join(",")));
            }
        }
        None
    }

    /// A value of one of the documents, as a query of that parameter would name it.
    pub fn value(
        &mut self,
        resource_type: &str,
        parameter: &'a SearchParameter,
        modifier: Option<&str>,
    ) -> Option<String> {
        let document = self.any(resource_type)?;
        let found = self.world.values(document, parameter);
        let found = found.get(self.random.below(found.len()))?;
        // What a canonical or the url of a stranger leads to is not told by it.
        let is_type =
            modifier.is_some_and(|modifier| self.world.definitions.is_resource_type(modifier));
        if is_type && found.kind != "Reference" {
            return None;
        }
        self.value_of(document, parameter, modifier, found)
    }

    fn modifier(&mut self, parameter: &SearchParameter) -> Option<String> {
        let is_id = &*parameter.code == "_id";
        let modifier = match &*parameter.kind {
            "token" if is_id => self.random.pick(&["", "", "not"]),
            "token" => self.random.pick(&[
                "", "", "", "", "not", "not", "of-type", "in", "not-in", "below", "above",
            ]),
            "string" => self.random.pick(&["", "", "exact", "contains"]),
            "uri" => self.random.pick(&["", "", "below", "above"]),
            "reference" => match self.random.below(6) {
                0 => "identifier",
                1 | 2 if !parameter.target.is_empty() => {
                    return Some(self.random.pick(&parameter.target).into());
                }
                _ => "",
            },
            _ => "",
        };
        (!modifier.is_empty()).then(|| modifier.to_owned())
    }

    fn parameters(&self, resource_type: &str) -> Vec<&'a SearchParameter> {
        let definitions = self.world.definitions;
        let all = definitions.search_parameters_for(resource_type);
        all.filter(|parameter| {
            !ELSEWHERE.contains(&&*parameter.code) && !parameter.expression.is_empty()
        })
        .collect()
    }

    fn parameter(&mut self, resource_type: &str) -> Option<&'a SearchParameter> {
        let all = self.parameters(resource_type);
        all.get(self.random.below(all.len())).copied()
    }

    fn reference(&mut self, resource_type: &str) -> Option<&'a SearchParameter> {
        let mut all = self.parameters(resource_type);
        all.retain(|parameter| &*parameter.kind == "reference" && !parameter.target.is_empty());
        all.get(self.random.below(all.len())).copied()
    }

    /// `subject:Patient.name`, by a reference that is there.
    fn chain(&mut self, resource_type: &str, steps: usize) -> Option<(String, String)> {
        let (parameter, kind) = self.link(resource_type)?;
        let (name, value) = self.criterion(&kind, steps + 1)?;
        // Where only one type is meant the type may be left out.
        let is_one = parameter.target.len() == 1 && self.random.is(60);
        let code = &parameter.code;
        let first = if is_one {
            code.to_string()
        } else {
            format!("{code}:{kind}")
        };
        Some((format!("{first}.{name}"), value))
    }

    /// A reference of a document of that type to one that is there.
    fn link(&mut self, resource_type: &str) -> Option<(&'a SearchParameter, String)> {
        const TRIES: usize = 8;
        for _ in 0..TRIES {
            let parameter = self.reference(resource_type)?;
            let document = self.any(resource_type)?;
            let found = self.world.values(document, parameter);
            let mut targets = found
                .iter()
                .filter_map(|found| reference::local(self.world, found));
            let target = targets.find(|(kind, _)| parameter.target.iter().any(|t| **t == **kind));
            if let Some((kind, _)) = target.filter(|(kind, _)| !self.world.of_type(kind).is_empty())
            {
                return Some((parameter, kind));
            }
        }
        None
    }

    fn has(&mut self, resource_type: &str, steps: usize) -> Option<(String, String)> {
        let types = self.world.types();
        const TRIES: usize = 12;
        for _ in 0..TRIES {
            let source = self.random.pick(&types);
            let Some(parameter) = self.reference(source) else {
                continue;
            };
            if parameter
                .target
                .iter()
                .any(|target| **target == *resource_type)
            {
                let (name, value) = self.criterion(source, steps + 1)?;
                return Some((format!("_has:{source}:{}:{name}", parameter.code), value));
            }
        }
        None
    }

    pub(super) fn sort_key(&mut self, resource_type: &str) -> String {
        let mut all = self.parameters(resource_type);
        all.retain(|parameter| SORTED_BY.contains(&&*parameter.kind));
        let code = match self.random.below(8) {
            0 => "_id",
            1 => "_lastUpdated",
            _ => all
                .get(self.random.below(all.len()))
                .map_or("_id", |p| &*p.code),
        };
        let sign = if self.random.is(50) { "-" } else { "" };
        format!("{sign}{code}")
    }

    fn include(&mut self, resource_type: &str) -> Option<(String, String)> {
        let iterate = if self.random.is(30) { ":iterate" } else { "" };
        if self.random.is(60) {
            let source = match self.random.below(10) {
                0 => "*".to_owned(),
                1 => format!("{resource_type}:*"),
                2 if iterate.is_empty() => return None,
                _ => {
                    let parameter = self.reference(resource_type)?;
                    let target = match self.random.below(4) {
                        0 => format!(":{}", self.random.pick(&parameter.target)),
                        _ => String::new(),
                    };
                    format!("{resource_type}:{}{target}", parameter.code)
                }
            };
            return Some((format!("_include{iterate}"), source));
        }
        let types = self.world.types();
        let source = self.random.pick(&types);
        let parameter = self.reference(source)?;
        let is_target = parameter
            .target
            .iter()
            .any(|target| **target == *resource_type);
        is_target.then(|| {
            (
                format!("_revinclude{iterate}"),
                format!("{source}:{}", parameter.code),
            )
        })
    }
}
