//! The subscriptions that are followed, by the resources they are about.

use std::collections::HashMap;

use search::{Registry, Rows};

use crate::instant::Instant;
use crate::store::Target;
use crate::subscriptions::Subscription;
use crate::subscriptions::index::Index;
use crate::subscriptions::trigger::Trigger;

#[derive(Debug, Default)]
pub(super) struct Book {
    all: HashMap<i64, Followed>,
    index: Index<i64>,
    /// Types of which the version before is looked at, and by how many.
    looking_back: HashMap<&'static str, usize>,
}

#[derive(Debug)]
pub(super) struct Followed {
    pub(super) target: Target,
    pub(super) triggers: Vec<Trigger>,
}

impl Book {
    /// What cannot be understood any more, because a search parameter is gone, fires for nothing until it can.
    pub(super) fn put(
        &mut self,
        registry: &Registry,
        target: Target,
        subscription: &Subscription,
        now: Instant,
    ) {
        let triggers = match Trigger::of_criteria(registry, &subscription.criteria, now) {
            Ok(trigger) => vec![trigger],
            Err(issues) => {
                let told = issues.first().map_or("", |issue| &issue.diagnostics);
                tracing::warn!(
                    subscription = target.id,
                    "its criteria cannot be served now: {told}"
                );
                Vec::new()
            }
        };
        for trigger in &triggers {
            self.index.insert(target.rid, trigger);
            if trigger.looks_back() {
                *self.looking_back.entry(trigger.resource_type).or_default() += 1;
            }
        }
        self.all.insert(target.rid, Followed { target, triggers });
    }

    pub(super) fn take(&mut self, rid: i64) -> Option<Followed> {
        let followed = self.all.remove(&rid)?;
        for trigger in &followed.triggers {
            self.index.remove(rid, trigger);
            if let (true, Some(count)) = (
                trigger.looks_back(),
                self.looking_back.get_mut(trigger.resource_type),
            ) {
                *count = count.saturating_sub(1);
            }
        }
        Some(followed)
    }

    pub(super) fn get_mut(&mut self, rid: i64) -> Option<&mut Followed> {
        self.all.get_mut(&rid)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    pub(super) fn has(&self, resource_type: &str) -> bool {
        self.index.has(resource_type)
    }

    pub(super) fn looks_back(&self, resource_type: &str) -> bool {
        self.looking_back
            .get(resource_type)
            .is_some_and(|count| *count > 0)
    }

    /// Those that a change may be for, by its rows before and after.
    pub(super) fn candidates(&self, resource_type: &str, rows: [&Option<Rows>; 2]) -> Vec<i64> {
        self.index
            .candidates(resource_type, rows.into_iter().flatten())
    }
}
