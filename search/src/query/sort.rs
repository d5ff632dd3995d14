//! `_sort`: by the values of parameters, one after the other. <https://hl7.org/fhir/R4/search.html#sort>
//!
//! A resource with many values is sorted by the first of them in that order; one without values comes last, in either
//! order. Where all is equal, resources stand in the order in which they came to be.

use fhir_spec::outcome::{Issue, IssueCode};

use super::{Reader, shown};
use crate::condition::Test;
use crate::registry::Only;
use crate::table::TableKind;
use crate::types::SearchType;

/// Keys of one `_sort`.
pub const SORT_KEYS_MAX: usize = 8;

#[derive(Debug, Clone, PartialEq)]
pub struct SortKey {
    pub code: Box<str>,
    pub is_descending: bool,
    pub by: SortBy,
}

/// Where the values of a key are.
#[derive(Debug, Clone, PartialEq)]
pub enum SortBy {
    Id,
    /// The time of the last change.
    Updated,
    Rows(SortRows),
}

#[derive(Debug, Clone, PartialEq)]
pub struct SortRows {
    pub table: TableKind,
    pub paths: Vec<i32>,
    pub column: &'static str,
    /// Which of the rows count.
    pub tests: Vec<Test>,
    /// A resource has at most one such row.
    pub is_single: bool,
}

/// What kind of values a key has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    Int,
    Real,
    Text,
}

impl SortBy {
    pub fn kind(&self) -> KeyKind {
        match self {
            Self::Updated => KeyKind::Int,
            Self::Id => KeyKind::Text,
            Self::Rows(rows) => match rows.table {
                TableKind::Date => KeyKind::Int,
                TableKind::Number => KeyKind::Real,
                _ => KeyKind::Text,
            },
        }
    }
}

impl Reader<'_> {
    /// `-date,family`
    pub(super) fn sort(&self, value: &str) -> Result<Vec<SortKey>, Issue> {
        let wrong =
            |text: String| Issue::error(IssueCode::NotSupported, format!("`_sort`: {text}"));
        let mut keys: Vec<SortKey> = Vec::new();
        for written in value.split(',') {
            let (code, is_descending) = match written.strip_prefix('-') {
                Some(code) => (code, true),
                None => (written, false),
            };
            // A key that came before leaves nothing to this one.
            if keys.iter().any(|key| *key.code == *code) {
                continue;
            }
            let by = self
                .sort_by(code)
                .map_err(|text| wrong(format!("`{}`: {text}", shown(code))))?;
            keys.push(SortKey {
                code: code.into(),
                is_descending,
                by,
            });
        }
        if keys.len() > SORT_KEYS_MAX {
            return Err(wrong(format!(
                "{} keys, {SORT_KEYS_MAX} are allowed",
                keys.len()
            )));
        }
        Ok(keys)
    }

    fn sort_by(&self, code: &str) -> Result<SortBy, String> {
        match code {
            "_id" => return Ok(SortBy::Id),
            "_lastUpdated" => return Ok(SortBy::Updated),
            "" => return Err("a parameter is missing".into()),
            _ => {}
        }
        let parameter = self.parameter(code)?;
        let column = match parameter.kind {
            SearchType::Token => "code",
            SearchType::String | SearchType::Uri => "value",
            SearchType::Reference => "target",
            SearchType::Date | SearchType::Number | SearchType::Quantity => "lo",
            SearchType::Composite | SearchType::Special => {
                return Err(format!("nothing is sorted by a {}", parameter.kind.code()));
            }
        };
        let first = parameter
            .sources
            .first()
            .ok_or("there is nothing to sort by")?;
        let mut tests = Vec::new();
        match first.only {
            Only::Any => {}
            Only::Target(kind) => tests.push(Test::equal("type", kind)),
            Only::System(system) => tests.push(Test::equal("system", system)),
        }
        if first.table == TableKind::Number {
            // The amounts as they were written.
            tests.push(Test::equal("unit", 0_i64));
        }
        let paths = parameter.sources.iter().map(|source| source.path);
        let mut paths: Vec<i32> = paths.collect();
        // Types that are found by one expression have one path.
        paths.sort_unstable();
        paths.dedup();
        let is_single = parameter.sources.len() == 1 && !first.element.repeats;
        let is_code = first.table == TableKind::Token && !first.element.is_primitive;
        Ok(SortBy::Rows(SortRows {
            table: first.table,
            paths,
            column,
            tests,
            // One concept may have many codings.
            is_single: is_single && !is_code,
        }))
    }
}
