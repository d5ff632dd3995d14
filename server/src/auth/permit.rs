//! The first key to the store: a permit says what the caller may do in one go.
//!
//! Only `may` and `may_all` make one. Code that forgets to ask has no permit, and without one the store opens neither way.

use std::sync::Arc;

use super::{Caller, Letters, Reach, Rights, Visit};

/// What someone may be permitted to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Create(&'static str),
    Read(&'static str),
    Update(&'static str),
    Delete(&'static str),
    /// To find resources of the type by what is in them.
    Search(&'static str),
    /// To see what comes along with what was found, of whatever type.
    Include,
    /// To see how searches are done.
    Explain,
    /// To see the versions of a resource.
    Versions(&'static str),
    /// To see the versions of a type; None: of all types.
    History(Option<&'static str>),
    /// To handle the feed: the server's own followers.
    Follow,
    /// To deliver events, to see them and to steer that.
    Deliver,
    /// An operation, by its code.
    Invoke(&'static str),
    /// To hand in messages and documents of others.
    Submit,
    /// To keep messages of others, to see them and what became of them.
    Messages,
    /// To arrange how messages come in and what single senders do differently.
    Arrange,
    /// To see the metrics.
    Watch,
    /// To ask what the tokens of others are good for.
    Introspect,
    /// To see and change who may come in.
    Admit,
    /// To keep what the audit tells.
    Note,
    /// To read and write the store as a whole: export, import, backup, restore, verify.
    Maintain,
}

/// Proof that the caller may do these things. Not to be copied: it opens the door once.
#[derive(Debug)]
pub struct Permit {
    actions: Vec<Action>,
    /// Which resources it reaches; None: all.
    rights: Option<Arc<Rights>>,
    /// Whose it is.
    caller: Caller,
}

/// Whose resources nobody writes where there is an audit: it tells what has happened and nothing else.
pub const AUDITED: &str = "AuditEvent";

#[derive(Debug, thiserror::Error)]
#[error("the caller may not do this: {0:?}")]
pub struct Forbidden(pub Action);

/// Asks for a permit.
pub fn may(caller: &Caller, action: Action) -> Result<Permit, Forbidden> {
    may_all(caller, [action])
}

/// Asks for a permit to do all of these, or none.
pub fn may_all(
    caller: &Caller,
    wanted: impl IntoIterator<Item = Action>,
) -> Result<Permit, Forbidden> {
    let rights = caller.rights();
    let mut actions = Vec::new();
    for action in wanted {
        let is_of_audit = matches!(
            action,
            Action::Create(AUDITED) | Action::Update(AUDITED) | Action::Delete(AUDITED)
        );
        if is_of_audit && caller.visit().is_some() {
            return Err(Forbidden(action));
        }
        if rights.is_some_and(|rights| !rights.allow(action)) {
            return Err(Forbidden(action));
        }
        if !actions.contains(&action) {
            actions.push(action);
        }
    }
    Ok(Permit {
        actions,
        rights: rights.cloned(),
        caller: caller.clone(),
    })
}

impl Permit {
    pub fn covers(&self, action: Action) -> bool {
        self.actions.contains(&action)
    }

    /// How far it reaches among the resources of a type, for one of these purposes.
    pub fn reach(&self, resource_type: &'static str, letters: Letters) -> Reach {
        match &self.rights {
            None => Reach::All,
            Some(rights) => rights.reach(resource_type, letters),
        }
    }

    /// The same for what is about to be written.
    pub fn reach_of_new(&self, resource_type: &'static str, letters: Letters) -> Reach {
        match &self.rights {
            None => Reach::All,
            Some(rights) => rights.reach_of_new(resource_type, letters),
        }
    }

    /// What limits it; None: nothing does.
    pub fn rights(&self) -> Option<&Rights> {
        self.rights.as_deref()
    }

    /// By what the rights of whoever writes with it are found again; None: the server itself.
    pub fn standing(&self) -> Option<&str> {
        self.caller.standing()
    }

    /// Of whose steps the audit tells; None: of nobody's.
    pub fn visit(&self) -> Option<&Arc<Visit>> {
        self.caller.visit()
    }

    /// Whether it lets resources of this type be changed.
    pub fn concerns(&self, resource_type: &str) -> bool {
        self.actions.iter().any(|action| match action {
            Action::Create(name) | Action::Update(name) | Action::Delete(name) => {
                *name == resource_type
            }
            _ => false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permit_covers_what_it_was_given_for_and_nothing_else() {
        let permit = may(&Caller::Open, Action::Create("Patient")).unwrap();
        assert!(permit.covers(Action::Create("Patient")));
        assert!(!permit.covers(Action::Create("Observation")));
        assert!(!permit.covers(Action::Read("Patient")));
        let actions = [Action::Create("Patient"), Action::Update("Patient")];
        let permit = may_all(&Caller::Open, actions).unwrap();
        assert!(actions.iter().all(|action| permit.covers(*action)));
        assert!(!permit.covers(Action::Delete("Patient")));
    }
}
