//! `_include` and `_revinclude`: what comes along with the hits. <https://hl7.org/fhir/R4/search.html#include>
//!
//! What a resource refers to is told by its own rows; what refers to it is a search of its own. Both go one step; whoever
//! fetches takes `:iterate` further, and keeps count of how much comes.

use fhir_spec::outcome::{Issue, IssueCode};

use super::{Criterion, Query, Reader, shown};
use crate::condition::{Condition, Probe, Reach, Test};
use crate::hash;
use crate::registry::{Only, Parameter, Registry, Source};
use crate::rows::Rows;
use crate::table::TableKind;
use crate::types::SearchType;

/// `_include` and `_revinclude` of one search.
pub const INCLUDES_MAX: usize = 32;

#[derive(Debug, Clone, PartialEq)]
pub struct Include {
    /// The type that refers; none for `*`: whatever is there.
    pub source_type: Option<Box<str>>,
    /// The references that count; none for `*`: all.
    pub sources: Option<Vec<Source>>,
    /// Only what is of this type.
    pub target_type: Option<Box<str>>,
    /// What comes along is looked at again.
    pub iterates: bool,
    pub direction: Direction,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// `_include`: what the hits refer to.
    To,
    /// `_revinclude`: what refers to the hits.
    From,
}

/// A resource, by type and id.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Target {
    pub resource_type: Box<str>,
    pub id: Box<str>,
}

impl Include {
    /// What a resource of this type, with these rows, brings along: resources of this server, each once.
    pub fn targets(&self, registry: &Registry, resource_type: &str, rows: &Rows) -> Vec<Target> {
        let is_source = (self.source_type.as_ref()).is_none_or(|source| **source == *resource_type);
        if self.direction != Direction::To || !is_source {
            return Vec::new();
        }
        let wanted = self.target_type.as_deref().map(hash::short);
        let counts = |path: i32, kind: i32| {
            let is_named = self.sources.as_ref().is_none_or(|sources| {
                sources.iter().any(|source| {
                    source.path == path
                        && (source.only == Only::Any || source.only == Only::Target(kind))
                })
            });
            is_named && wanted.is_none_or(|wanted| wanted == kind)
        };
        let local = rows.reference.iter().filter(|row| {
            // Urls of other servers hold a colon, ids never do.
            counts(row.path, row.target_type) && !row.target.contains(':')
        });
        let mut targets: Vec<Target> = local
            .filter_map(|row| {
                Some(Target {
                    resource_type: registry.type_of(row.target_type)?.into(),
                    id: row.target.as_str().into(),
                })
            })
            .collect();
        targets.sort_unstable();
        targets.dedup();
        targets
    }

    /// The same for one of the types that may refer.
    #[must_use]
    pub fn of(&self, source_type: &str) -> Self {
        Self {
            source_type: Some(source_type.into()),
            ..self.clone()
        }
    }

    /// The search for what refers to these resources; none when nothing can. It is of one type: where any may refer, each is
    /// asked by itself ([`Include::of`]).
    pub fn referring(&self, registry: &Registry, hits: &[Target]) -> Option<Query> {
        let source_type = self.source_type.as_ref()?;
        let sources = match &self.sources {
            Some(sources) => sources.clone(),
            None => {
                let known = registry.of(source_type)?;
                let all = known.parameters().iter();
                let leads = |parameter: &&Parameter| {
                    let targets = &parameter.targets;
                    let is_target = |hit: &Target| targets.contains(&hit.resource_type);
                    parameter.kind == SearchType::Reference
                        && (targets.is_empty() || hits.iter().any(is_target))
                };
                let references = all.filter(leads);
                let mut sources: Vec<Source> = references
                    .flat_map(|parameter| parameter.sources.clone())
                    .collect();
                sources.sort_unstable();
                sources.dedup();
                sources
            }
        };
        let mut probes = Vec::new();
        let is_wanted = |hit: &&Target| {
            (self.target_type.as_ref()).is_none_or(|wanted| *wanted == hit.resource_type)
        };
        for hit in hits.iter().filter(is_wanted) {
            let kind = hash::short(&hit.resource_type);
            for source in &sources {
                if source.only == Only::Any || source.only == Only::Target(kind) {
                    let tests = vec![Test::equal("target", &*hit.id), Test::equal("type", kind)];
                    let probe = Probe::new(TableKind::Reference, source.path, Reach::Few, tests);
                    probes.push(probe);
                }
            }
        }
        (self.direction == Direction::From && !probes.is_empty()).then(|| Query {
            criteria: vec![Criterion {
                name: "_revinclude".into(),
                condition: Condition::Rows(probes),
            }],
            ..Query::of(source_type)
        })
    }
}

impl Reader<'_> {
    /// `Type:parameter`, `Type:parameter:Target`, `Type:*`, `*`; the name may end in `:iterate`.
    pub(super) fn include(&self, name: &str, value: &str) -> Result<Include, Issue> {
        let wrong = |text: String| {
            Issue::error(
                IssueCode::NotSupported,
                format!("`{}`: {text}", shown(name)),
            )
        };
        let (kind, modifier) = match name.split_once(':') {
            Some((kind, modifier)) => (kind, Some(modifier)),
            None => (name, None),
        };
        let direction = match kind {
            "_revinclude" => Direction::From,
            _ => Direction::To,
        };
        let iterates = match modifier {
            None => false,
            Some("iterate" | "recurse") => true,
            Some(other) => {
                let text = format!("there is no modifier `:{}`, only :iterate", shown(other));
                return Err(wrong(text));
            }
        };
        let mut parts = value.split(':');
        let (source, code, target, more) = (parts.next(), parts.next(), parts.next(), parts.next());
        let (Some(source), None) = (source, more) else {
            return Err(wrong(
                "is written `Type:parameter` or `Type:parameter:Target`".into(),
            ));
        };
        if source == "*" && code.is_none() {
            return Ok(Include {
                source_type: None,
                sources: None,
                target_type: None,
                iterates,
                direction,
            });
        }
        let no_type = |name: &str| wrong(format!("`{}` is no resource type", shown(name)));
        let known = self.registry.of(source).ok_or_else(|| no_type(source))?;
        let code = code.ok_or_else(|| wrong(format!("a parameter of {source} is missing")))?;
        let target_type = match target {
            Some(target) => Some(
                self.registry
                    .of(target)
                    .ok_or_else(|| no_type(target))?
                    .name
                    .clone(),
            ),
            None => None,
        };
        let sources = match code {
            "*" => None,
            code => {
                let reader = Self { known, ..*self };
                let parameter = reader.reference(code).map_err(wrong)?;
                Some(parameter.sources.clone())
            }
        };
        Ok(Include {
            source_type: Some(known.name.clone()),
            sources,
            target_type,
            iterates,
            direction,
        })
    }
}
