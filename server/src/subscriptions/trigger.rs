//! What a change must be like for somebody to be told of it.

use fhir_spec::{Issue, IssueCode};
use search::Registry;
use search::condition::{Condition, Key};
use search::matching::{Alone, Subject};
use search::query::{self, Handling, Query, Settings};

use super::Criteria;
use crate::accept::resource_type;
use crate::instant::Instant;
use crate::store::Change;

/// Of one type of resources.
#[derive(Debug, Clone)]
pub struct Trigger {
    pub resource_type: &'static str,
    /// Which changes count.
    pub on: On,
    /// What held before,
    pub previous: Option<Question>,
    /// and what holds now.
    pub current: Option<Question>,
    /// Both, not one of them.
    pub wants_both: bool,
    /// Whether `previous` holds for what was not there before, and `current` for what is no longer there.
    pub holds_for_nothing: (bool, bool),
    /// Hold in any case.
    pub filters: Vec<Question>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct On {
    pub create: bool,
    pub update: bool,
    pub delete: bool,
}

/// Criteria that a resource meets or not.
#[derive(Debug, Clone)]
pub struct Question {
    query: Query,
    /// Its own rows answer it; else the database is asked.
    is_about_one: bool,
}

/// A change of a resource; what is not there is None.
#[derive(Debug, Clone, Copy)]
pub struct Changed<'a> {
    pub change: Change,
    pub before: Option<Subject<'a>>,
    pub after: Option<Subject<'a>>,
}

/// Whether a query finds a current resource of its type by its id.
pub type Ask<'f, E> = dyn FnMut(&Query, &str) -> Result<bool, E> + 'f;

impl Trigger {
    /// `Subscription.criteria` of R4: whatever is created or changed so that it meets them.
    pub fn of_criteria(
        registry: &Registry,
        criteria: &Criteria,
        now: Instant,
    ) -> Result<Self, Vec<Issue>> {
        Ok(Self {
            resource_type: criteria.resource_type,
            on: On {
                create: true,
                update: true,
                delete: false,
            },
            previous: None,
            current: Some(Question::read(registry, criteria, now)?),
            wants_both: false,
            holds_for_nothing: (false, false),
            filters: Vec::new(),
        })
    }

    /// Whether the state before is looked at.
    pub fn looks_back(&self) -> bool {
        self.previous.is_some() || self.on.delete
    }

    pub fn fires<E>(&self, changed: &Changed<'_>, ask: &mut Ask<'_, E>) -> Result<bool, E> {
        let counts = match changed.change {
            Change::Created | Change::Placed => self.on.create,
            Change::Updated => self.on.update,
            Change::Deleted => self.on.delete,
        };
        if !counts {
            return Ok(false);
        }
        let (for_new, for_gone) = self.holds_for_nothing;
        let mut held =
            |question: &Option<Question>, subject: &Option<Subject<'_>>, otherwise| match (
                question, subject,
            ) {
                (None, _) => Ok(None),
                (Some(_), None) => Ok(Some(otherwise)),
                (Some(question), Some(subject)) => question.holds(subject, ask).map(Some),
            };
        let previous = held(&self.previous, &changed.before, for_new)?;
        let current = held(&self.current, &changed.after, for_gone)?;
        let is_met = match (previous, current, self.wants_both) {
            (Some(previous), Some(current), true) => previous && current,
            (Some(previous), Some(current), false) => previous || current,
            (Some(one), None, _) | (None, Some(one), _) => one,
            (None, None, _) => true,
        };
        if !is_met {
            return Ok(false);
        }
        let Some(subject) = changed.after.or(changed.before) else {
            return Ok(self.filters.is_empty());
        };
        for filter in &self.filters {
            if !filter.holds(&subject, ask)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The types that one must be able to see to be told of this.
    pub fn asks_about(&self) -> Vec<&'static str> {
        let mut types = vec![self.resource_type];
        let asked = [&self.previous, &self.current].into_iter().flatten();
        for question in asked.chain(&self.filters) {
            for criterion in &question.query.criteria {
                asks_about(&criterion.condition, &mut types);
            }
        }
        types
    }

    /// Values of which a change that fires has one at least, before or after it; None: any change may.
    pub fn keys(&self) -> Option<Vec<Key>> {
        let needed = match (&self.previous, self.holds_for_nothing) {
            (None, (_, false)) => self.current.as_ref(),
            (Some(_), (_, false)) if self.wants_both => self.current.as_ref(),
            _ => None,
        };
        let all = self.filters.iter().chain(needed);
        let conditions = all.flat_map(|question| &question.query.criteria);
        let keys = conditions.filter_map(|criterion| criterion.condition.keys());
        keys.min_by_key(|(reach, _)| *reach).map(|(_, keys)| keys)
    }
}

/// Of a choice any one will do: what may not be asked about is left out of it where it is asked.
fn asks_about(condition: &Condition, types: &mut Vec<&'static str>) {
    match condition {
        Condition::Refers(link) | Condition::IsReferred(link) => {
            types.extend(resource_type(&link.other_type));
            asks_about(&link.condition, types);
        }
        Condition::Not(inner) => asks_about(inner, types),
        Condition::All(all) => {
            for one in all {
                asks_about(one, types);
            }
        }
        _ => {}
    }
}

impl Question {
    /// What search understands, as far as it is about resources and not about an answer.
    pub fn read(
        registry: &Registry,
        criteria: &Criteria,
        now: Instant,
    ) -> Result<Self, Vec<Issue>> {
        let settings = Settings {
            handling: Handling::Strict,
            now: now.micros(),
        };
        let query = query::parse(
            registry,
            criteria.resource_type,
            &criteria.parameters,
            settings,
        )?;
        let told = |told: String| Err(vec![Issue::error(IssueCode::NotSupported, told)]);
        if let Some(name) = query.asks_for_text() {
            return told(format!(
                "`{name}`: texts are for searches, they decide about no notification"
            ));
        }
        let is_about_answers = !query.sort.is_empty()
            || !query.includes.is_empty()
            || query.count.is_some()
            || query.total.is_some();
        if is_about_answers {
            return told("_sort, _include, _revinclude, _count and _total are about an answer, there is none here".to_owned());
        }
        let mut conditions = query.criteria.iter();
        let is_about_one = conditions.all(|criterion| criterion.condition.is_about_one());
        Ok(Self {
            query,
            is_about_one,
        })
    }

    pub fn into_query(self) -> Query {
        self.query
    }

    fn holds<E>(&self, subject: &Subject<'_>, ask: &mut Ask<'_, E>) -> Result<bool, E> {
        if !self.is_about_one {
            return ask(&self.query, subject.id);
        }
        let mut conditions = self.query.criteria.iter();
        Ok(conditions.all(|criterion| criterion.condition.holds_for(subject, &Alone)))
    }
}
