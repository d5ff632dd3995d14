//! The subscriptions that are followed, by the resources they are about.

use std::collections::HashMap;

use search::{Registry, Rows};

use crate::app::App;
use crate::store::Target;
use crate::subscriptions::Subscription;
use crate::subscriptions::index::Index;
use crate::subscriptions::topic::{self, Topic};
use crate::subscriptions::trigger::Trigger;

#[derive(Debug, Default)]
pub(super) struct Book {
    all: HashMap<i64, Followed>,
    index: Index<i64>,
    /// Types of which the version before is looked at, and by how many.
    looking_back: HashMap<&'static str, usize>,
    /// How many follow a topic, and the topics that there are.
    topics: usize,
    known: Vec<Topic>,
}

#[derive(Debug)]
pub(super) struct Followed {
    pub(super) target: Target,
    pub(super) triggers: Vec<Trigger>,
    /// Whose rights count; None: nobody knows.
    pub(super) author: Option<String>,
    has_topic: bool,
}

impl Book {
    /// What cannot be understood any more, because a search parameter is gone, fires for nothing until it can.
    pub(super) fn put(
        &mut self,
        app: &App,
        registry: &Registry,
        target: Target,
        author: Option<String>,
        subscription: &Subscription,
    ) {
        if subscription.topic().is_some() && self.topics == 0 {
            // While nobody follows one, nobody looks whether they change.
            self.known = topic::all_of(app).unwrap_or_else(|fault| {
                tracing::warn!(kind = ?fault.kind, "topics cannot be read");
                Vec::new()
            });
        }
        let triggers = match subscription.triggers(registry, &self.known, (app.clock)()) {
            Ok(triggers) => triggers,
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
        let has_topic = subscription.topic().is_some();
        self.topics += usize::from(has_topic);
        let followed = Followed {
            target,
            triggers,
            author,
            has_topic,
        };
        self.all.insert(followed.target.rid, followed);
    }

    pub(super) fn take(&mut self, rid: i64) -> Option<Followed> {
        let followed = self.all.remove(&rid)?;
        self.topics = self.topics.saturating_sub(usize::from(followed.has_topic));
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

    /// Whether it matters what topics say.
    pub(super) fn has_topics(&self) -> bool {
        self.topics > 0
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
