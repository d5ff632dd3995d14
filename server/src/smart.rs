//! The authorization server: who gets a token for what.
//! <https://hl7.org/fhir/smart-app-launch/STU2.2/>
//!
//! So far for programs that come by themselves (backend services): they are registered with their public keys
//! (`registration.rs`), sign an assertion with the private one (`assertion.rs`), and get a token for as much of what they ask
//! for as they were registered for (`token.rs`).

mod assertion;
pub mod discovery;
pub mod password;
mod registration;
pub mod token;

pub use registration::{Registration, Unfit};

/// How long a token of a backend service holds. SMART: at most five minutes.
pub const ACCESS_SECONDS: i64 = 300;

/// Trouble as OAuth tells it. <https://www.rfc-editor.org/rfc/rfc6749#section-5.2>
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub error: &'static str,
    /// For whoever set the client up.
    pub told: String,
}

impl Refusal {
    pub fn new(error: &'static str, told: impl Into<String>) -> Self {
        let told = told.into();
        Self { error, told }
    }
}
