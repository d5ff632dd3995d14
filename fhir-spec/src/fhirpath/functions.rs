//! All functions, one file for each chapter of the specification: a new function is one row in its chapter.
//! <http://hl7.org/fhirpath/N1/#functions>

mod aggregate;
mod boundaries;
mod combining;
mod conversion;
mod existence;
mod fhir;
mod filtering;
mod invocation;
mod math;
mod strings;
pub(super) mod subsetting;
mod temporal;
mod text_codes;
mod tree;
mod types;
mod utility;

use std::collections::HashMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::LazyLock;

use super::error::Result;
use super::item::Collection;

pub(super) use invocation::Invocation;

pub(super) type Run = for<'c, 'e, 'a> fn(&mut Invocation<'c, 'e, 'a>) -> Result<Collection<'a>>;

pub(super) struct Function {
    pub name: &'static str,
    pub arity: RangeInclusive<usize>,
    pub takes: Takes,
    pub run: Run,
}

/// What the arguments are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    /// Expressions, evaluated once or for every item.
    Expressions,
    /// The name of a type.
    Type,
    /// A regular expression first.
    Regex,
}

const fn row(name: &'static str, arity: RangeInclusive<usize>, run: Run) -> Function {
    Function {
        name,
        arity,
        takes: Takes::Expressions,
        run,
    }
}

const fn type_row(name: &'static str, run: Run) -> Function {
    Function {
        name,
        arity: 1..=1,
        takes: Takes::Type,
        run,
    }
}

const fn regex_row(name: &'static str, arity: RangeInclusive<usize>, run: Run) -> Function {
    Function {
        name,
        arity,
        takes: Takes::Regex,
        run,
    }
}

pub(super) const CHAPTERS: &[&[Function]] = &[
    existence::ALL,
    filtering::ALL,
    subsetting::ALL,
    combining::ALL,
    conversion::ALL,
    strings::ALL,
    text_codes::ALL,
    math::ALL,
    tree::ALL,
    utility::ALL,
    boundaries::ALL,
    temporal::ALL,
    types::ALL,
    aggregate::ALL,
    fhir::ALL,
];

static BY_NAME: LazyLock<HashMap<&'static str, &'static Function>> = LazyLock::new(|| {
    CHAPTERS
        .iter()
        .flat_map(|chapter| chapter.iter())
        .map(|row| (row.name, row))
        .collect()
});

pub(super) fn find(name: &str) -> Option<&'static Function> {
    BY_NAME.get(name).copied()
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}()", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_twice() {
        let rows: usize = CHAPTERS.iter().map(|chapter| chapter.len()).sum();
        assert_eq!(BY_NAME.len(), rows);
    }
}
