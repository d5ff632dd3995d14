//! What comes along by canonical urls: the reference names a url, and the resource that is meant says that url of itself.
//! <https://hl7.org/fhir/R4/references.html#canonical>

use super::{Criterion, Direction, Include, Query};
use crate::condition::{Condition, Probe, Reach, Test};
use crate::folding::key;
use crate::registry::{Parameter, Registry, Source};
use crate::rows::Rows;
use crate::table::TableKind;
use crate::types::SearchType;

/// A url with the version that is meant; none: any.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Canonical {
    pub url: Box<str>,
    pub version: Option<Box<str>>,
}

impl Include {
    /// What a resource of this type, with these rows, refers to by canonical urls.
    pub fn canonicals(
        &self,
        registry: &Registry,
        resource_type: &str,
        rows: &Rows,
    ) -> Vec<Canonical> {
        let is_source = (self.source_type.as_ref()).is_none_or(|source| **source == *resource_type);
        if self.direction != Direction::To || !is_source {
            return Vec::new();
        }
        let sources = self.canonical_sources(registry, resource_type);
        let is_canonical = |path: i32| sources.iter().any(|source| source.path == path);
        let rows = rows.reference.iter();
        rows.filter(|row| row.target_type == 0 && is_canonical(row.path))
            .map(|row| Canonical {
                url: row.target.as_str().into(),
                version: (!row.version.is_empty()).then(|| row.version.as_str().into()),
            })
            .collect()
    }

    /// The search for resources of a type that say one of these urls of themselves; none when nothing can.
    pub fn bearing(
        &self,
        registry: &Registry,
        resource_type: &str,
        canonicals: &[Canonical],
    ) -> Option<Query> {
        if (self.target_type.as_ref()).is_some_and(|wanted| **wanted != *resource_type) {
            return None;
        }
        let known = registry.of(resource_type)?;
        let probe = |code: &str, table: TableKind, column, value: &str| {
            let sources = known.parameter(code)?.sources.iter();
            let sources = sources.filter(|source| source.table == table);
            let probes = sources.map(|source| {
                let tests = vec![Test::equal(column, key(value))];
                Probe::new(table, source.path, Reach::One, tests)
            });
            Some(Condition::rows(probes.collect()))
        };
        let any = canonicals.iter().map(|Canonical { url, version }| {
            let bears = probe("url", TableKind::Uri, "value", url)?;
            Some(match version {
                None => bears,
                Some(version) => Condition::All(vec![
                    bears,
                    probe("version", TableKind::Token, "code", version)?,
                ]),
            })
        });
        let any: Vec<Condition> = any.flatten().collect();
        (!any.is_empty()).then(|| along(resource_type, Condition::any(any)))
    }

    /// The search for what refers to resources that say these urls of themselves; none when nothing can.
    pub fn referring_by(&self, registry: &Registry, canonicals: &[Canonical]) -> Option<Query> {
        let source_type = self.source_type.as_ref()?;
        let sources = self.canonical_sources(registry, source_type);
        let probes = canonicals.iter().flat_map(|Canonical { url, version }| {
            let is_any = Test::equal("version", "");
            let is_this = version.iter().map(|own| Test::equal("version", key(own)));
            let version = Test::Either([is_any].into_iter().chain(is_this).collect());
            let tests = vec![
                Test::equal("target", key(url)),
                Test::equal("type", 0),
                version,
            ];
            let probes = sources.iter().map(move |source| {
                Probe::new(TableKind::Reference, source.path, Reach::Few, tests.clone())
            });
            probes.collect::<Vec<_>>()
        });
        let probes: Vec<Probe> = probes.collect();
        (self.direction == Direction::From && !probes.is_empty())
            .then(|| along(source_type, Condition::Rows(probes)))
    }

    /// The paths of a type that hold canonical urls, of those that count.
    fn canonical_sources(&self, registry: &Registry, resource_type: &str) -> Vec<Source> {
        let mut sources = match (&self.sources, registry.of(resource_type)) {
            (Some(sources), _) => sources.clone(),
            (None, Some(known)) => {
                let references = |parameter: &&Parameter| parameter.kind == SearchType::Reference;
                let all = known.parameters().iter().filter(references);
                all.flat_map(|parameter| parameter.sources.clone())
                    .collect()
            }
            (None, None) => Vec::new(),
        };
        sources.retain(|source| source.element.is_canonical);
        sources.sort_unstable();
        sources.dedup();
        sources
    }
}

fn along(resource_type: &str, condition: Condition) -> Query {
    Query {
        criteria: vec![Criterion {
            name: "_include".into(),
            condition,
        }],
        ..Query::of(resource_type)
    }
}
