//! Reference: what an element points at. <https://hl7.org/fhir/R4/search.html#reference>
//!
//! A target on this server is kept by its id, any other by its whole url. Contained resources are no targets: they are
//! parts of what contains them.

use fhir_spec::json::{Text, Value};
use fhir_spec::reference::Literal;

use super::token;
use crate::hash;
use crate::rows::{ReferenceRow, Rows};
use crate::text;

/// The path of the identifiers of targets, beside that of the targets.
pub(crate) const IDENTIFIER: &str = "identifier";

/// How an element points.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// `identifier`: the path of rows for references that name an identifier.
    Reference { identifier: i32 },
    /// A canonical may name a version after `|`.
    Canonical,
    /// The element is the resource itself: the first entry of a document or message.
    Resource,
}

impl Form {
    /// `identifier`: the path of rows for `:identifier`.
    pub(crate) fn of(type_name: &str, identifier: i32, is_resource: bool) -> Option<Self> {
        Some(match type_name {
            "Reference" => Self::Reference { identifier },
            "canonical" | "uri" | "url" => Self::Canonical,
            _ if is_resource => Self::Resource,
            _ => return None,
        })
    }
}

pub(crate) fn rows(form: Form, path: i32, value: &Value, base: Option<&str>, rows: &mut Rows) {
    match form {
        Form::Reference { identifier } => {
            if let Some(literal) = value.str_of("reference") {
                literal_row(path, literal, value.str_of("type"), base, rows);
            }
            if let Some(logical) = value.get("identifier") {
                token::identifier(identifier, identifier, logical, rows);
            }
        }
        Form::Canonical => {
            if let Some(canonical) = value.as_str() {
                let (url, version) = canonical.split_once('|').unwrap_or((canonical, ""));
                push(path, url, 0, version, rows);
            }
        }
        Form::Resource => {
            if let (Some(kind), Some(id)) = (value.str_of("resourceType"), value.str_of("id")) {
                push(path, id, hash::short(kind), "", rows);
            }
        }
    }
}

fn literal_row(
    path: i32,
    literal: &str,
    stated_type: Option<&str>,
    base: Option<&str>,
    rows: &mut Rows,
) {
    let own = base.and_then(|base| literal.strip_prefix(base)?.strip_prefix('/'));
    match Literal::parse(own.unwrap_or(literal)) {
        Some(Literal::Relative(target)) => {
            let target_type = hash::short(target.resource_type);
            let version = target.version.unwrap_or_default();
            push(path, target.id, target_type, version, rows);
        }
        Some(Literal::Absolute { base, target }) => {
            let url = format!("{base}/{}/{}", target.resource_type, target.id);
            let target_type = hash::short(target.resource_type);
            push(
                path,
                &url,
                target_type,
                target.version.unwrap_or_default(),
                rows,
            );
        }
        Some(Literal::Urn(url) | Literal::Other(url)) => {
            push(path, url, stated_type.map_or(0, hash::short), "", rows);
        }
        Some(Literal::Contained(_)) | None => {}
    }
}

fn push(path: i32, target: &str, target_type: i32, version: &str, rows: &mut Rows) {
    if target.is_empty() {
        return;
    }
    rows.reference.push(ReferenceRow {
        path,
        target: text::key(target),
        target_type,
        version: if version.is_empty() {
            Text::default()
        } else {
            text::key(version)
        },
    });
}
