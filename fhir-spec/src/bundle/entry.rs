//! A bundle taken apart. <https://hl7.org/fhir/R4/bundle-definitions.html#Bundle.entry>

use super::address::Address;
use crate::json::{Text, Value};
use crate::outcome::Issue;
use crate::validate::ISSUES_MAX;

/// What holds the entries together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Nothing: each is on its own.
    Batch,
    /// All of them happen, or none.
    Transaction,
}

impl Kind {
    pub fn code(self) -> &'static str {
        match self {
            Self::Batch => "batch",
            Self::Transaction => "transaction",
        }
    }

    pub fn response_code(self) -> &'static str {
        match self {
            Self::Batch => "batch-response",
            Self::Transaction => "transaction-response",
        }
    }
}

/// <https://hl7.org/fhir/R4/valueset-http-verb.html>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Delete,
    Patch,
}

impl Method {
    pub const ALL: &[Self] = &[
        Self::Get,
        Self::Head,
        Self::Post,
        Self::Put,
        Self::Delete,
        Self::Patch,
    ];

    pub fn code(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
            Self::Patch => "PATCH",
        }
    }

    pub fn named(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|verb| verb.code() == code)
    }

    /// Whether a resource goes with it.
    pub fn has_resource(self) -> bool {
        matches!(self, Self::Post | Self::Put | Self::Patch)
    }
}

/// A batch or a transaction.
#[derive(Debug)]
pub struct Bundle {
    pub kind: Kind,
    /// In the order of the request; an entry that cannot be understood is what is wrong with it.
    pub entries: Vec<Result<Entry, Vec<Issue>>>,
}

impl Bundle {
    /// The entries of a transaction: all of them are understood, or everything that is wrong comes back at once
    /// (as much of it as is worth telling).
    pub fn all(self) -> Result<Vec<Entry>, Vec<Issue>> {
        let mut entries = Vec::with_capacity(self.entries.len());
        let mut issues = Vec::new();
        for entry in self.entries {
            match entry {
                Ok(entry) => entries.push(entry),
                Err(wrong) => issues.extend(wrong),
            }
        }
        if issues.iter().any(Issue::is_error) {
            issues.truncate(ISSUES_MAX);
            Err(issues)
        } else {
            Ok(entries)
        }
    }
}

/// One thing that is asked for.
#[derive(Debug, Clone)]
pub struct Entry {
    pub full_url: Option<Text>,
    pub request: Request,
    pub resource: Option<Value>,
}

#[derive(Debug, Clone)]
pub struct Request {
    pub method: Method,
    pub address: Address,
    pub if_match: Option<Text>,
    pub if_none_match: Option<Text>,
    pub if_modified_since: Option<Text>,
    pub if_none_exist: Option<Text>,
}

/// An issue of the resource in an entry, told of the bundle: `Patient.name[0]` is `Bundle.entry[3].resource.name[0]`.
#[must_use]
pub fn within(index: usize, mut issue: Issue) -> Issue {
    let inside = issue
        .expression
        .as_deref()
        .and_then(|expression| expression.split_once('.'))
        .map(|(_, inside)| inside);
    issue.expression = Some(match inside {
        Some(inside) => format!("Bundle.entry[{index}].resource.{inside}"),
        None => format!("Bundle.entry[{index}].resource"),
    });
    issue
}
