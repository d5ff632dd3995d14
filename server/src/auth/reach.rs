//! How far rights reach among the resources of a type.

use std::sync::Arc;

use search::condition::Condition;
use search::matching::{Alone, Subject};

/// What of a type may be reached.
#[derive(Debug, Clone, PartialEq)]
pub enum Reach {
    All,
    Nothing,
    /// What meets the condition. It asks only about the resource itself, never about others.
    Within(Arc<Condition>),
}

impl Reach {
    /// Whether a resource with these rows is within it.
    pub fn has(&self, subject: &Subject<'_>) -> bool {
        match self {
            Self::All => true,
            Self::Nothing => false,
            Self::Within(condition) => condition.holds_for(subject, &Alone),
        }
    }

    pub fn is_all(&self) -> bool {
        matches!(self, Self::All)
    }

    /// What is within one of them.
    pub(super) fn any(all: Vec<Self>) -> Self {
        let mut ways = Vec::new();
        for reach in all {
            match reach {
                Self::All => return Self::All,
                Self::Nothing => {}
                Self::Within(condition) => ways.push(Arc::unwrap_or_clone(condition)),
            }
        }
        match ways.is_empty() {
            true => Self::Nothing,
            false => Self::Within(Arc::new(Condition::any(ways))),
        }
    }

    /// What is within all of them.
    pub(super) fn every(all: Vec<Self>) -> Self {
        let mut conditions = Vec::new();
        for reach in all {
            match reach {
                Self::All => {}
                Self::Nothing => return Self::Nothing,
                Self::Within(condition) => conditions.push(Arc::unwrap_or_clone(condition)),
            }
        }
        match conditions.len() {
            0 => Self::All,
            1 => conditions
                .pop()
                .map_or(Self::All, |only| Self::Within(Arc::new(only))),
            _ => Self::Within(Arc::new(Condition::All(conditions))),
        }
    }

    /// What is not within it.
    pub(super) fn outside(self) -> Self {
        match self {
            Self::All => Self::Nothing,
            Self::Nothing => Self::All,
            Self::Within(condition) => {
                Self::Within(Arc::new(Arc::unwrap_or_clone(condition).negated()))
            }
        }
    }
}
