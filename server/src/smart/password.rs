//! Passwords of people and secrets of clients: what is kept of them tells nobody what they are.
//! <https://www.rfc-editor.org/rfc/rfc9106>

use std::sync::OnceLock;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use tokio::sync::Semaphore;

use crate::fault::Fault;

/// What people may choose: long enough not to be guessed, and no book.
pub const BYTES_MIN: usize = 8;
pub const BYTES_MAX: usize = 1_024;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("a password has {BYTES_MIN} to {BYTES_MAX} bytes")]
    Length,
    #[error("the password cannot be hashed: {0}")]
    Hash(String),
}

/// As it is kept: Argon2id with 19 MiB, two passes, one lane and a salt of its own.
pub fn kept(password: &str) -> Result<String, Error> {
    match (BYTES_MIN..=BYTES_MAX).contains(&password.len()) {
        true => hashed(password),
        false => Err(Error::Length),
    }
}

fn hashed(password: &str) -> Result<String, Error> {
    let hashed = Argon2::default().hash_password(password.as_bytes());
    let hashed = hashed.map_err(|error| Error::Hash(error.to_string()))?;
    Ok(hashed.to_string())
}

/// Whether it is the one. Without one to compare with it takes as long and is not.
pub fn is(password: &str, kept: Option<&str>) -> bool {
    static NOBODY_S: OnceLock<String> = OnceLock::new();
    let nobody_s = || NOBODY_S.get_or_init(|| hashed("nobody's").unwrap_or_default());
    let Ok(hash) = PasswordHash::new(kept.unwrap_or_else(|| nobody_s())) else {
        return false;
    };
    let same = password.len() <= BYTES_MAX
        && Argon2::default()
            .verify_password(password.as_bytes(), &hash)
            .is_ok();
    same && kept.is_some()
}

/// The same, where others wait: not on their thread, and few at a time, for each takes 19 MiB.
pub async fn compared(password: String, kept: Option<String>) -> Result<bool, Fault> {
    static AT_A_TIME: Semaphore = Semaphore::const_new(4);
    let _turn = AT_A_TIME.acquire().await.map_err(Fault::internal)?;
    let work = move || is(&password, kept.as_deref());
    tokio::task::spawn_blocking(work)
        .await
        .map_err(Fault::internal)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// AU-3, T-36.
    #[test]
    fn a_password_is_known_again_and_not_kept() {
        let first = kept("correct horse").unwrap();
        let second = kept("correct horse").unwrap();
        assert!(
            first.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{first}"
        );
        assert_ne!(first, second, "each has a salt of its own");
        assert!(!first.contains("horse"));
        assert!(is("correct horse", Some(&first)) && is("correct horse", Some(&second)));
        assert!(!is("correct hors", Some(&first)));
        assert!(!is("nobody's", None) && !is("correct horse", Some("nothing")));
        assert!(kept("short").is_err() && kept(&"x".repeat(1_025)).is_err());
    }
}
