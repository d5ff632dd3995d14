//! The answer to "is this code in that value set?", which may be that nobody here can tell.

use super::value_set::{IMPORT_DEPTH_MAX, STEPS_MAX};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Membership<'a> {
    /// With the display that the value set or code system gives it.
    In {
        display: Option<&'a str>,
    },
    NotIn,
    Unknown(Reason),
}

/// Why a membership cannot be decided.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    #[error("the code system `{0}` is not loaded")]
    SystemNotLoaded(Box<str>),
    #[error("only part of the code system `{0}` is loaded")]
    SystemIncomplete(Box<str>),
    #[error("the value set `{0}` is not loaded")]
    ValueSetNotLoaded(Box<str>),
    #[error("the value set `{0}` imports itself")]
    ImportCycle(Box<str>),
    #[error("value sets import each other more than {IMPORT_DEPTH_MAX} levels deep")]
    ImportsTooDeep,
    #[error("the answer takes more than {STEPS_MAX} steps")]
    TooCostly,
    #[error("the filter `{property} {operator} {value}` over `{system}` cannot be computed")]
    Filter {
        system: Box<str>,
        property: Box<str>,
        operator: Box<str>,
        value: Box<str>,
    },
    #[error("the value set says no codes: it has neither a compose nor an expansion")]
    NoContent,
    #[error("the value set carries only part of its expansion")]
    ExpansionIncomplete,
}

impl Membership<'_> {
    pub fn is_in(&self) -> bool {
        matches!(self, Self::In { .. })
    }
}
