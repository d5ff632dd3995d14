//! What is kept of who did what, and what the house denies whoever grants it.

use serde::Deserialize;

/// Whether it is kept who did what, and for how long.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Audit {
    /// None: where people and apps sign in. Where everyone may do everything nobody could say who it was.
    pub enabled: Option<bool>,
    /// None: for ever.
    pub retain_days: Option<u32>,
}

/// What some may not do whatever they were given, and to what they are held.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// `role:clinician`, `client:app`, `user:anna`, `key:lab`, `*`.
    pub who: Vec<String>,
    #[serde(default)]
    pub deny: Vec<String>,
    #[serde(default)]
    pub allow: Vec<String>,
}

/// The same, decided.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Auditing {
    pub is_on: bool,
    pub retain_days: Option<u32>,
}
