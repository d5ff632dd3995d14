//! The first key to the store: a permit says that the caller may do one thing.
//!
//! Only `may` makes one. Code that forgets to ask has no permit, and without one the store opens neither way.

use super::Caller;

/// What someone may be permitted to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Create(&'static str),
    Read(&'static str),
    /// An operation, by its code.
    Invoke(&'static str),
}

/// Proof that the caller may do the action. Not to be copied: it opens the door once.
#[derive(Debug)]
pub struct Permit {
    action: Action,
}

#[derive(Debug, thiserror::Error)]
#[error("the caller may not do this: {0:?}")]
pub struct Forbidden(pub Action);

/// Asks for a permit.
pub fn may(caller: Caller, action: Action) -> Result<Permit, Forbidden> {
    match caller {
        Caller::Open => Ok(Permit { action }),
    }
}

impl Permit {
    pub fn covers(&self, action: Action) -> bool {
        self.action == action
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permit_covers_what_it_was_given_for_and_nothing_else() {
        let permit = may(Caller::Open, Action::Create("Patient")).unwrap();
        assert!(permit.covers(Action::Create("Patient")));
        assert!(!permit.covers(Action::Create("Observation")));
        assert!(!permit.covers(Action::Read("Patient")));
    }
}
