//! `_include` and `_revinclude`: what comes along. <https://hl7.org/fhir/R4/search.html#include>

use std::collections::BTreeSet;

use fhir_spec::json::Value;

use super::{World, Wrong, id_of, reference, type_of};

impl<'a> World<'a> {
    /// What comes along with hits, without the hits themselves.
    pub fn included(
        &self,
        hits: &[&'a Value],
        parameters: &[(String, String)],
    ) -> Result<BTreeSet<(String, String)>, Wrong> {
        let mut all: Vec<&Value> = hits.to_vec();
        let is_include =
            |name: &str| name.starts_with("_include") || name.starts_with("_revinclude");
        let asked: Vec<_> = parameters
            .iter()
            .filter(|(name, _)| is_include(name))
            .collect();
        for (name, value) in asked.iter().filter(|(name, _)| !name.contains(':')) {
            for hit in hits {
                self.add(name, value, hit, &mut all)?;
            }
        }
        // Those with `:iterate` look at everything that has come along, until nothing new comes.
        let mut at = 0;
        while let Some(resource) = all.get(at).copied() {
            for (name, value) in asked.iter().filter(|(name, _)| name.contains(':')) {
                self.add(name, value, resource, &mut all)?;
            }
            at += 1;
        }
        let added = all.iter().skip(hits.len());
        Ok(added
            .map(|added| (type_of(added).into(), id_of(added).into()))
            .collect())
    }

    fn add(
        &self,
        name: &str,
        value: &str,
        from: &'a Value,
        all: &mut Vec<&'a Value>,
    ) -> Result<(), Wrong> {
        let mut parts = value.split(':');
        let source = parts.next().unwrap_or_default();
        let code = parts.next().unwrap_or("*");
        let target = parts.next();
        let is_wanted = |resource: &Value| target.is_none_or(|target| target == type_of(resource));
        let mut found = Vec::new();
        if name.starts_with("_include") {
            if source == "*" || source == type_of(from) {
                found.extend(self.referred(from, code)?);
                found.retain(|resource| is_wanted(resource));
            }
        } else if is_wanted(from) {
            let types = if source == "*" {
                self.types()
            } else {
                vec![source]
            };
            for other in types.into_iter().flat_map(|source| self.of_type(source)) {
                let referred = self.referred(other, code)?;
                let mut referred = referred.iter();
                if referred.any(|resource| std::ptr::eq(*resource, from)) {
                    found.push(other);
                }
            }
        }
        for resource in found {
            if !all.iter().any(|known| std::ptr::eq(*known, resource)) {
                all.push(resource);
            }
        }
        Ok(())
    }

    /// What is there of what a parameter (`*`: all of them) of a document refers to.
    fn referred(&self, document: &'a Value, code: &str) -> Result<Vec<&'a Value>, Wrong> {
        let definitions = self.definitions;
        let parameters = match code {
            "*" => {
                let all = definitions.search_parameters_for(type_of(document));
                all.filter(|parameter| &*parameter.kind == "reference")
                    .collect()
            }
            code => self.references(type_of(document), code)?,
        };
        let mut found = Vec::new();
        for parameter in parameters {
            for value in self.values(document, parameter).iter() {
                let target = reference::local(self, value);
                found.extend(target.and_then(|(kind, id)| self.find(&kind, &id)));
            }
        }
        Ok(found)
    }
}
