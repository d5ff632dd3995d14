//! The order of what goes to one receiver: one message after the other; when one is set aside, those that come behind it about
//! the same patients wait for it, and nobody else does.

use std::collections::BTreeSet;

/// What is waited for by later messages.
#[derive(Debug, Default)]
pub struct Row {
    held: BTreeSet<String>,
}

impl Row {
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether a message about these patients has to wait; then all that it is about waits too.
    pub fn must_wait(&mut self, patients: &[String]) -> bool {
        let waits = patients.iter().any(|patient| self.held.contains(patient));
        if waits {
            self.set_aside(patients);
        }
        waits
    }

    /// A message about these patients is set aside.
    pub fn set_aside(&mut self, patients: &[String]) {
        self.held.extend(patients.iter().cloned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patients(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn those_about_the_same_patients_wait() {
        let mut row = Row::new();
        assert!(!row.must_wait(&patients(&["a"])));
        row.set_aside(&patients(&["a"]));
        assert!(row.must_wait(&patients(&["a", "b"])));
        // A merge that waits holds the other patient too.
        assert!(row.must_wait(&patients(&["b"])));
        assert!(!row.must_wait(&patients(&["c"])));
        assert!(!row.must_wait(&[]));
    }
}
