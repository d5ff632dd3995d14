//! Which of many subscriptions a change may be for: found by the values that they ask for, so that ten thousand of them,
//! each for another patient, cost hardly more than one.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use search::Rows;
use search::condition::Key;
use search::table::TableKind;

use super::trigger::Trigger;

/// `T` names a subscription.
#[derive(Debug)]
pub struct Index<T> {
    /// By a value that a resource must have,
    by_key: HashMap<(TableKind, i32), HashMap<Box<str>, Vec<T>>>,
    /// and those of a type that cannot be found so.
    by_type: HashMap<&'static str, Vec<T>>,
    /// How many there are for each type.
    types: HashMap<&'static str, usize>,
}

impl<T> Default for Index<T> {
    fn default() -> Self {
        Self {
            by_key: HashMap::new(),
            by_type: HashMap::new(),
            types: HashMap::new(),
        }
    }
}

impl<T: Copy + Eq + Hash + Ord> Index<T> {
    pub fn insert(&mut self, of: T, trigger: &Trigger) {
        *self.types.entry(trigger.resource_type).or_default() += 1;
        match trigger.keys() {
            Some(keys) => {
                for Key { table, path, value } in keys {
                    let values = self.by_key.entry((table, path)).or_default();
                    values.entry(value).or_default().push(of);
                }
            }
            None => self
                .by_type
                .entry(trigger.resource_type)
                .or_default()
                .push(of),
        }
    }

    pub fn remove(&mut self, of: T, trigger: &Trigger) {
        if let Some(count) = self.types.get_mut(trigger.resource_type) {
            *count = count.saturating_sub(1);
        }
        self.types.retain(|_, count| *count > 0);
        let Some(keys) = trigger.keys() else {
            if let Some(all) = self.by_type.get_mut(trigger.resource_type) {
                all.retain(|other| *other != of);
            }
            return;
        };
        for Key { table, path, value } in keys {
            let Some(values) = self.by_key.get_mut(&(table, path)) else {
                continue;
            };
            if let Some(all) = values.get_mut(&value) {
                all.retain(|other| *other != of);
                if all.is_empty() {
                    values.remove(&value);
                }
            }
        }
    }

    /// Whether anybody wants to know of resources of a type.
    pub fn has(&self, resource_type: &str) -> bool {
        self.types.contains_key(resource_type)
    }

    pub fn is_empty(&self) -> bool {
        self.types.is_empty()
    }

    /// Those that a change may be for, in their order, by the rows of the resource before and after it.
    pub fn candidates<'r>(
        &self,
        resource_type: &str,
        rows: impl IntoIterator<Item = &'r Rows>,
    ) -> Vec<T> {
        let mut found: HashSet<T> = HashSet::new();
        found.extend(self.by_type.get(resource_type).into_iter().flatten());
        for rows in rows {
            for (table, path, value) in rows.keys() {
                let values = self.by_key.get(&(table, path));
                let all = values.and_then(|values| values.get(value));
                found.extend(all.into_iter().flatten());
            }
        }
        let mut found: Vec<T> = found.into_iter().collect();
        found.sort_unstable();
        found
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use fhir_spec::definitions::Definitions;
    use fhir_spec::json::parse;
    use search::matching::Subject;
    use search::{Registry, extract};

    use super::super::Criteria;
    use super::super::trigger::Changed;
    use super::*;
    use crate::instant::Instant;
    use crate::store::Change;

    fn registry() -> Registry {
        let definitions = Definitions::r4().with_packages(Vec::new()).0;
        Registry::new(Arc::new(definitions))
    }

    fn trigger(registry: &Registry, criteria: &str) -> Trigger {
        let criteria = Criteria::parse(criteria).unwrap();
        Trigger::of_criteria(registry, &criteria, Instant::from_micros(0)).unwrap()
    }

    /// The index never leaves out one that fires, and of those with distinct values it offers few.
    #[test]
    fn candidates_are_those_that_may_fire() {
        let registry = registry();
        let mut all: Vec<Trigger> = (0..1_000)
            .map(|n| trigger(&registry, &format!("Observation?patient=p{n}&status=final")))
            .collect();
        for criteria in [
            "Observation",
            "Observation?status=final",
            "Observation?status:not=final",
            "Observation?code=http://x|a,http://x|b",
            "Observation?date=ge2020",
            "Observation?value-quantity=gt5",
            "Observation?_id=o",
            "Observation?subject=Patient/p7",
            "Observation?patient=p7,p8",
            "Observation?code:missing=true",
            "Observation?_tag=t",
            "Patient?name=x",
            "Observation?_filter=status eq final or code eq a",
        ] {
            all.push(trigger(&registry, criteria));
        }
        let mut index = Index::default();
        for (n, trigger) in all.iter().enumerate() {
            index.insert(n, trigger);
        }
        let document = parse(
            br#"{"resourceType":"Observation","id":"o","meta":{"tag":[{"code":"t"}]},"status":"final","subject":{"reference":"Patient/p7"},
            "code":{"coding":[{"system":"http://x","code":"b"}]},"effectiveDateTime":"2024-01-01","valueQuantity":{"value":7}}"#,
        )
        .unwrap();
        let rows = extract::rows(&registry, &document).rows;
        let subject = Subject {
            resource_type: "Observation",
            id: "o",
            at: 0,
            rows: &rows,
        };
        let changed = Changed {
            change: Change::Created,
            before: None,
            after: Some(subject),
        };
        let mut ask = |_: &search::query::Query, _: &str| Ok::<_, ()>(false);
        let firing = |n: &usize| all[*n].resource_type == "Observation";
        let mut fires = Vec::new();
        for n in (0..all.len()).filter(|n| firing(n)) {
            if all[n].fires(&changed, &mut ask).unwrap() {
                fires.push(n);
            }
        }
        let candidates = index.candidates("Observation", [&rows]);
        assert!(fires.len() >= 9, "{fires:?}");
        assert!(
            fires.iter().all(|n| candidates.contains(n)),
            "{fires:?} {candidates:?}"
        );
        assert!(candidates.len() < 20, "{candidates:?}");
        for (n, trigger) in all.iter().enumerate() {
            index.remove(n, trigger);
        }
        assert!(index.is_empty() && index.candidates("Observation", [&rows]).is_empty());
    }

    #[test]
    fn what_cannot_be_decided_of_a_change_is_refused() {
        let registry = registry();
        for criteria in [
            "Observation?_text=x",
            "Observation?_sort=date",
            "Observation?_count=1",
            "Observation?elephant=1",
            "Observation?_include=Observation:subject",
        ] {
            let criteria = Criteria::parse(criteria).unwrap();
            assert!(Trigger::of_criteria(&registry, &criteria, Instant::from_micros(0)).is_err());
        }
    }
}
