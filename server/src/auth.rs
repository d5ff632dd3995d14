//! Who calls, and what they may do.

mod permit;

pub use permit::{Action, Forbidden, Permit, may, may_all};

/// Who is calling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// Anyone who can reach a server that was started with `--auth open`, which listens on loopback only.
    Open,
}

impl Caller {
    /// By whom links are bound to the caller.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
        }
    }
}
