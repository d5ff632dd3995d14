//! After the rows: who contains whom, how each resource is to be found again, what is missing, and what was not carried.

use std::collections::HashMap;

use fhir_spec::json::{Data, Object, Text, Value};

use super::super::functions::encode;
use super::super::loss::Note;
use super::super::plan::{IdentityPlan, ResourcePlan, index, number};
use super::super::source::Source;
use super::write::at;
use super::{Request, Run};

impl<'r, S: Source> Run<'r, S> {
    pub(super) fn finish(&mut self) {
        for entry in 0..number(self.entries.len()) {
            let Some(plan) = self.resource_plan(entry) else {
                continue;
            };
            self.miss(entry, plan);
            if let Some(identity) = &plan.identity {
                self.identify(entry, plan, identity);
            }
        }
        if self.env.finds.get() {
            self.find_here();
        }
        // From the last on: what is contained in something contained ends up in the outermost all the same.
        for entry in (0..number(self.entries.len())).rev() {
            self.contain(entry);
        }
        self.entries.retain(|entry| !entry.contained);
    }

    /// References by identifier that mean a resource of this very source.
    fn find_here(&mut self) {
        let mut known: HashMap<String, Text> = HashMap::new();
        for entry in &self.entries {
            let resource = &entry.resource;
            let type_name = resource.get("resourceType").and_then(Value::as_str);
            let identifiers = resource.get("identifier").and_then(Value::as_array);
            for identifier in identifiers.into_iter().flatten() {
                let mut query = format!("{}?identifier=", type_name.unwrap_or_default());
                if token(identifier, &mut query) {
                    known.entry(query).or_insert_with(|| entry.full_url.clone());
                }
            }
        }
        for entry in &mut self.entries {
            for (_, value) in entry.resource.iter_mut() {
                follow(value, &known);
            }
        }
    }

    fn resource_plan(&self, entry: u32) -> Option<&'r ResourcePlan> {
        let frame = self
            .frames
            .get(index(self.entries.get(index(entry))?.frame))?;
        self.block(frame.block)?.resource.as_ref()
    }

    fn miss(&mut self, entry: u32, plan: &'r ResourcePlan) {
        let Some(object) = self.entries.get(index(entry)).map(|entry| &entry.resource) else {
            return;
        };
        for names in &plan.required {
            if !names.iter().any(|name| object.contains(name))
                && let Some(name) = names.first()
            {
                self.notes.push(Note::Missing {
                    resource: plan.type_name.clone(),
                    element: name.clone(),
                });
            }
        }
    }

    fn identify(&mut self, entry: u32, plan: &'r ResourcePlan, identity: &'r IdentityPlan) {
        let constants = self.constants;
        let Some(found) = self.entries.get_mut(index(entry)) else {
            return;
        };
        let resource = Value::from(std::mem::take(&mut found.resource));
        let mut query = String::new();
        let mut is_whole = true;
        for (parameter, steps) in &identity.elements {
            if !query.is_empty() {
                query.push('&');
            }
            query.push_str(parameter);
            query.push('=');
            is_whole &=
                at(&resource, steps, constants).is_some_and(|value| token(value, &mut query));
        }
        if let Data::Object(object) = resource.data {
            found.resource = object;
        }
        if !is_whole {
            self.notes.push(Note::NoKey {
                resource: plan.type_name.clone(),
            });
        } else if identity.updates {
            found.request = Request::Put(format!("{}?{query}", plan.type_name));
        } else {
            found.request = Request::PostUnless(query);
        }
    }

    fn contain(&mut self, entry: u32) {
        let Some((true, frame)) = self
            .entries
            .get(index(entry))
            .map(|entry| (entry.contained, entry.frame))
        else {
            return;
        };
        let owner = self.resource_plan(entry).and_then(|plan| plan.contained_in);
        let Some(owner) = owner.and_then(|block| self.nearest(frame, block)) else {
            return;
        };
        let Some(inner) = self.entries.get_mut(index(entry)) else {
            return;
        };
        let mut resource = std::mem::take(&mut inner.resource);
        resource.insert_at(1, "id", inner.full_url.trim_start_matches('#'));
        if let Some(outer) = self
            .entries
            .get_mut(index(owner))
            .map(|entry| &mut entry.resource)
        {
            add(outer, resource);
        }
    }
}

fn follow(value: &mut Value, known: &HashMap<String, Text>) {
    match &mut value.data {
        Data::Array(items) => items.iter_mut().for_each(|item| follow(item, known)),
        Data::Object(object) => {
            for (name, value) in object.iter_mut() {
                let found = value.as_str().and_then(|reference| known.get(reference));
                match found.filter(|_| name == "reference") {
                    Some(there) => *value = there.clone().into(),
                    None => follow(value, known),
                }
            }
        }
        _ => {}
    }
}

fn add(outer: &mut Object, resource: Object) {
    match outer.get_mut("contained").and_then(Value::as_array_mut) {
        Some(items) => items.push(resource.into()),
        None => outer.insert_at(1, "contained", vec![Value::from(resource)]),
    }
}

/// A value as a search would ask for it; false when there is nothing to ask.
fn token(value: &Value, query: &mut String) -> bool {
    if let Some(text) = value.as_str().or_else(|| value.as_number()) {
        encode(text, query);
        return !text.is_empty();
    }
    let value = value.items_of("coding").first().unwrap_or(value);
    let member = |name| value.str_of(name).filter(|text| !text.is_empty());
    let Some(code) = member("value")
        .or_else(|| member("code"))
        .or_else(|| member("reference"))
    else {
        return false;
    };
    if let Some(system) = member("system") {
        encode(system, query);
        query.push('|');
    }
    encode(code, query);
    true
}
