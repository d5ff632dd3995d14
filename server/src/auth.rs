//! Who calls, and what they may do.
//!
//! A caller has rights (`rights.rs`): layers of grants that all must allow what is asked. A grant is written as SMART writes
//! scopes (`scope.rs`). For a type of resources rights become a reach (`reach.rs`): everything, nothing, or what meets a
//! condition, which the store adds to every search and holds against every resource that leaves it or is written.

mod caller;
mod permit;
mod reach;
mod rights;
pub mod role;
mod scope;
mod visit;

pub use caller::{Caller, Principal};
pub use permit::{AUDITED, Action, Forbidden, Permit, may, may_all};
pub use reach::Reach;
pub use rights::{Grant, Granted, Privilege, Rights};
pub use scope::{BadScope, Letters, Level, Scope};
pub use visit::{Did, Ended, Record, Step, Visit};
