//! Preconditions: what must hold of the current version for a write to happen.
//! <https://hl7.org/fhir/R4/http.html#concurrency>

use crate::fault::{Fault, Kind};
use crate::store::Found;

/// What `If-Match` and `If-None-Match` demand. The default demands nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Precondition {
    pub if_match: Option<Versions>,
    pub if_none_match: Option<Versions>,
}

/// The versions that a header names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Versions {
    /// `*`: any version that there is.
    Any,
    Listed(Vec<u64>),
}

impl Versions {
    /// A header's value: `W/"3"`, several of them, or `*`. None: it is nothing of the kind.
    pub fn parse(text: &str) -> Option<Self> {
        if text.trim() == "*" {
            return Some(Self::Any);
        }
        // Some clients forget the quotes, some the `W/`; what is meant is plain.
        text.split(',')
            .map(|tag| {
                let tag = tag.trim();
                let opaque = tag.strip_prefix("W/").unwrap_or(tag);
                let quoted = opaque
                    .strip_prefix('"')
                    .and_then(|rest| rest.strip_suffix('"'));
                let digits = quoted.unwrap_or(opaque);
                // One version has one name: `01` and `+1` are none.
                digits
                    .parse()
                    .ok()
                    .filter(|version: &u64| version.to_string() == digits)
            })
            .collect::<Option<Vec<u64>>>()
            .map(Self::Listed)
    }

    pub fn include(&self, version: u64) -> bool {
        match self {
            Self::Any => true,
            Self::Listed(versions) => versions.contains(&version),
        }
    }
}

impl Precondition {
    /// To be asked inside the transaction that writes.
    pub fn check(&self, current: Option<&Found>) -> Result<(), Fault> {
        let version = current
            .filter(|found| !found.is_deleted())
            .map(|found| found.version);
        if let Some(wanted) = &self.if_match
            && !version.is_some_and(|version| wanted.include(version))
        {
            return Err(failed(version));
        }
        if let (Some(unwanted), Some(version)) = (&self.if_none_match, version)
            && unwanted.include(version)
        {
            return Err(failed(Some(version)));
        }
        Ok(())
    }
}

fn failed(version: Option<u64>) -> Fault {
    let is = match version {
        Some(version) => format!("the current version is {version}"),
        None => "there is no current version".to_owned(),
    };
    Fault::new(
        Kind::PreconditionFailed,
        format!("the precondition does not hold: {is}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instant::Instant;
    use crate::store::{Change, Found};

    #[test]
    fn etags_are_read_as_clients_write_them() {
        let listed = |versions: &[u64]| Some(Versions::Listed(versions.to_vec()));
        for (text, expected) in [
            ("W/\"3\"", listed(&[3])),
            ("\"3\"", listed(&[3])),
            ("3", listed(&[3])),
            ("W/\"1\", W/\"2\"", listed(&[1, 2])),
            (" * ", Some(Versions::Any)),
            ("W/\"a\"", None),
            ("", None),
            ("W/\"\"", None),
        ] {
            assert_eq!(Versions::parse(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_demanded_is_held_against_the_current_version() {
        let found = |version, change| Found::example(version, Instant::from_micros(0), change);
        let (second, gone) = (found(2, Change::Updated), found(3, Change::Deleted));
        let holds = |if_match: Option<&str>, if_none_match: Option<&str>, current| {
            let precondition = Precondition {
                if_match: if_match.and_then(Versions::parse),
                if_none_match: if_none_match.and_then(Versions::parse),
            };
            let checked = precondition.check(current);
            if let Err(fault) = &checked {
                assert_eq!(fault.kind, Kind::PreconditionFailed);
            }
            checked.is_ok()
        };
        assert!(holds(None, None, None) && holds(Some("2"), None, Some(&second)));
        assert!(!holds(Some("1"), None, Some(&second)) && !holds(Some("*"), None, None));
        assert!(!holds(Some("3"), None, Some(&gone)) && holds(Some("*"), None, Some(&second)));
        assert!(!holds(None, Some("*"), Some(&second)) && holds(None, Some("*"), Some(&gone)));
        assert!(holds(None, Some("1"), Some(&second)) && !holds(None, Some("2"), Some(&second)));
    }
}
