//! Who is calling.

use std::sync::Arc;

use super::{Rights, Visit};

#[derive(Debug, Clone)]
pub enum Caller {
    /// Anyone who can reach a server that was started with `--auth open`, which listens on loopback only.
    Open,
    /// The server itself: its followers, jobs, routes and commands.
    Kiln,
    /// Somebody who has shown who they are.
    Known(Arc<Principal>),
    /// One of these, of whose steps the audit tells.
    Noted(Arc<Visit>),
}

/// Somebody who has shown who they are, and what they may do.
#[derive(Debug, Clone)]
pub struct Principal {
    /// What tells them from all others: `client:app`, `user:anna`, `key:lab`.
    pub name: String,
    /// The resource that stands for the person, such as `Practitioner/1`.
    pub fhir_user: Option<String>,
    /// By what their rights are found again when they are not there: `callers/absent.rs` reads it, nobody else.
    pub standing: String,
    pub rights: Arc<Rights>,
}

impl Caller {
    /// By whom links are bound to the caller.
    pub fn name(&self) -> &str {
        match self {
            Self::Open => "open",
            Self::Kiln => "kiln",
            Self::Known(principal) => &principal.name,
            Self::Noted(visit) => visit.caller.name(),
        }
    }

    /// Whether they have shown who they are.
    pub fn is_known(&self) -> bool {
        self.rights().is_some()
    }

    /// The same caller behind glass that they break; None: they may not.
    pub fn in_emergency(&self) -> Option<Self> {
        let Self::Known(principal) = self else {
            return None;
        };
        let rights = principal.rights.in_emergency()?;
        Some(Self::Known(Arc::new(Principal {
            rights: Arc::new(rights),
            ..(**principal).clone()
        })))
    }

    /// The resource that stands for them.
    pub fn fhir_user(&self) -> Option<&str> {
        match self {
            Self::Open | Self::Kiln => None,
            Self::Known(principal) => principal.fhir_user.as_deref(),
            Self::Noted(visit) => visit.caller.fhir_user(),
        }
    }

    /// None: of what they do nothing is told.
    pub fn visit(&self) -> Option<&Arc<Visit>> {
        match self {
            Self::Noted(visit) => Some(visit),
            _ => None,
        }
    }

    /// By what their rights are found again; None: the server itself, which acts for nobody.
    pub fn standing(&self) -> Option<&str> {
        match self {
            Self::Open => Some("open"),
            Self::Kiln => None,
            Self::Known(principal) => Some(&principal.standing),
            Self::Noted(visit) => visit.caller.standing(),
        }
    }

    /// None: they may do everything.
    pub(super) fn rights(&self) -> Option<&Arc<Rights>> {
        match self {
            Self::Open | Self::Kiln => None,
            Self::Known(principal) => Some(&principal.rights),
            Self::Noted(visit) => visit.caller.rights(),
        }
    }
}
