//! Reference: what an element points at. <https://hl7.org/fhir/R4/search.html#reference>
//!
//! A target on this server is kept by its id, any other by its whole url. Contained resources are no targets: they are
//! parts of what contains them.

use fhir_spec::json::{Text, Value};
use fhir_spec::reference::{Literal, is_id};

use super::{Ask, token};
use crate::condition::{Probe, Reach, Test};
use crate::folding;
use crate::hash;
use crate::plan::Scope;
use crate::query::escape::unescaped;
use crate::registry::{Only, Source};
use crate::rows::{ReferenceRow, Rows};
use crate::table::TableKind;

/// And each type that the target may have.
pub(crate) const MODIFIERS: &[&str] = &[IDENTIFIER, "text"];

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

pub(crate) fn rows(form: Form, path: i32, value: &Value, scope: &Scope<'_>, rows: &mut Rows) {
    match form {
        Form::Reference { identifier } => {
            if value.as_object().is_none() {
                return;
            }
            let stated = value.str_of("type");
            let literal = value.str_of("reference").unwrap_or_default();
            match literal.strip_prefix('#') {
                None if !literal.is_empty() => literal_row(path, literal, stated, scope.base, rows),
                // It is there, though it leads to nothing that is stored.
                inner => {
                    let kind = inner
                        .and_then(|id| contained(scope.resource, id))
                        .or(stated);
                    token::push_bare(path, kind.map_or(0, hash::short).into(), rows);
                }
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

/// The type of a resource inside another one.
fn contained<'v>(resource: &'v Value, id: &str) -> Option<&'v str> {
    let mut all = resource.items_of("contained").iter();
    let inner = all.find(|inner| inner.str_of("id") == Some(id))?;
    inner.str_of("resourceType")
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
        target: folding::key(target),
        target_type,
        version: if version.is_empty() {
            Text::default()
        } else {
            folding::key(version)
        },
    });
}

/// `id`, `Type/id`, `Type/id/_history/version`, a url, a canonical with or without a version.
pub(crate) fn probes(ask: &Ask<'_>, source: &Source, value: &str) -> Result<Vec<Probe>, String> {
    if ask.modifier == Some(IDENTIFIER) {
        let path = ask.known.path_beside(source.path, IDENTIFIER);
        return path.map_or(Ok(Vec::new()), |path| token::identifier_probes(path, value));
    }
    let written = unescaped(value);
    let wanted = Wanted::read(&written, ask)?;
    let types = [
        match source.only {
            Only::Target(only) => Some(only),
            _ => None,
        },
        ask.modifier.map(hash::short),
        wanted.target_type,
    ];
    let mut types = types.into_iter().flatten();
    let first = types.next();
    if types.any(|other| Some(other) != first) {
        return Ok(Vec::new());
    }
    let mut tests = vec![Test::equal("target", folding::key(&wanted.target))];
    tests.extend(first.map(|target_type| Test::equal("type", target_type)));
    tests.extend(
        wanted
            .version
            .map(|version| Test::equal("version", folding::key(version))),
    );
    let probe = Probe::new(TableKind::Reference, source.path, Reach::Few, tests);
    Ok(vec![probe])
}

/// A target as a search names it.
struct Wanted<'v> {
    target: String,
    target_type: Option<i32>,
    version: Option<&'v str>,
}

impl<'v> Wanted<'v> {
    fn read(written: &'v str, ask: &Ask<'_>) -> Result<Self, String> {
        if is_id(written) {
            return Ok(Self {
                target: written.into(),
                target_type: None,
                version: None,
            });
        }
        let base = ask.registry.base();
        let own = base.and_then(|base| written.strip_prefix(base)?.strip_prefix('/'));
        match Literal::parse(own.unwrap_or(written)) {
            Some(Literal::Relative(target)) => {
                if ask.registry.of(target.resource_type).is_none() {
                    return Err(format!("`{}` is no resource type", target.resource_type));
                }
                Ok(Self {
                    target: target.id.into(),
                    target_type: Some(hash::short(target.resource_type)),
                    version: target.version,
                })
            }
            Some(Literal::Absolute { base, target }) => Ok(Self {
                target: format!("{base}/{}/{}", target.resource_type, target.id),
                target_type: None,
                version: target.version,
            }),
            Some(Literal::Urn(_) | Literal::Other(_)) => {
                let (url, version) = match written.split_once('|') {
                    Some((url, version)) => (url, Some(version)),
                    None => (written, None),
                };
                Ok(Self {
                    target: url.into(),
                    target_type: None,
                    version,
                })
            }
            Some(Literal::Contained(_)) | None => Err(format!(
                "`{written}` is no reference; one is `id`, `Type/id` or a url"
            )),
        }
    }
}
