//! Paths: `PID-3[2].1.2`, `OBX[3]-5`, as hl7-parser reads them, behind guards.
//!
//! The library stops at the first character it does not know and forgets the rest, and panics on a number that no machine
//! word holds: both are asked for before and after.

use std::fmt;
use std::str::FromStr;

use hl7_parser::query::LocationQuery;

/// Digits of a number in a path.
const DIGITS_MAX: usize = 5;

/// A place in a message; numbers are counted from one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Path(LocationQuery);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no path: expected one like PID-3[2].1.2 or OBX[3]-5")]
pub struct BadPath(String);

impl Path {
    pub fn segment(&self) -> &str {
        &self.0.segment
    }

    pub fn occurrence(&self) -> Option<usize> {
        self.0.segment_index
    }

    pub fn field(&self) -> Option<usize> {
        self.0.field
    }

    pub fn repetition(&self) -> Option<usize> {
        self.0.repeat
    }

    pub fn component(&self) -> Option<usize> {
        self.0.component
    }

    pub fn subcomponent(&self) -> Option<usize> {
        self.0.subcomponent
    }
}

impl FromStr for Path {
    type Err = BadPath;

    fn from_str(text: &str) -> Result<Self, BadPath> {
        let bad = || BadPath(text.chars().take(60).collect());
        let digits = text
            .split(|letter: char| !letter.is_ascii_digit())
            .map(str::len)
            .max();
        if !text.is_ascii() || text.contains(' ') || digits.unwrap_or(0) > DIGITS_MAX {
            return Err(bad());
        }
        let query = LocationQuery::parse(text).map_err(|_| bad())?;
        if query.to_string() != text.replace('-', ".") {
            return Err(bad());
        }
        Ok(Self(query))
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |bracket: Option<usize>| bracket.map(|n| format!("[{n}]")).unwrap_or_default();
        write!(f, "{}{}", self.0.segment, number(self.0.segment_index))?;
        if let Some(field) = self.0.field {
            write!(f, "-{field}{}", number(self.0.repeat))?;
        }
        for deeper in [self.0.component, self.0.subcomponent]
            .into_iter()
            .flatten()
        {
            write!(f, ".{deeper}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_and_written() {
        for text in [
            "PID",
            "PID-3",
            "PID-3[2]",
            "PID-3[2].1",
            "PID-3.1.2",
            "OBX[3]-5",
            "ZX1[2]-1[3].4.5",
        ] {
            assert_eq!(text.parse::<Path>().unwrap().to_string(), text);
        }
        assert_eq!("PID.3.1".parse::<Path>().unwrap().to_string(), "PID-3.1");
        let path: Path = "OBX[12]-5[3].2.1".parse().unwrap();
        assert_eq!((path.segment(), path.occurrence()), ("OBX", Some(12)));
        assert_eq!((path.field(), path.repetition()), (Some(5), Some(3)));
        assert_eq!((path.component(), path.subcomponent()), (Some(2), Some(1)));
    }

    #[test]
    fn what_is_no_path() {
        for text in [
            "",
            "PI",
            "PIDX",
            "PID-",
            "PID-0",
            "PID-3[",
            "PID-3[]",
            "PID-3[2].1.2.3",
            "PID-3.1 ",
            "PID 3",
            "PID-3x",
            "PID-99999999999999999999999",
            "PÖD-3",
            "[2]-3",
        ] {
            assert!(text.parse::<Path>().is_err(), "{text}");
        }
    }
}
