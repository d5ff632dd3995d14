//! Composites: tuples of elements that may repeat have rows of their own, others are asked for part by part.

use fhir_spec::definitions::SearchParameter;

use super::compile::{Compiler, Told, Walk};
use super::path;
use super::{Part, Tuple};
use crate::plan::{Leaf, Node, Take};
use crate::table::TableKind;
use crate::types::SearchType;
use crate::types::composite::{Component, Form};

/// How a component says that it is looked up from the resource.
const FROM_RESOURCE: &str = "%resource.";

impl<'d> Compiler<'d> {
    pub(super) fn composite(&mut self, definition: &SearchParameter) -> Result<Vec<Tuple>, Told> {
        let mut components = Vec::new();
        for (url, expression) in &definition.component {
            let posted = self.posted.iter().map(|posted| &posted.definition);
            let kind = posted
                .chain(self.definitions.search_parameters())
                .find(|parameter| parameter.url == *url)
                .and_then(|parameter| SearchType::from_code(&parameter.kind))
                .ok_or_else(|| format!("the component `{url}` is not known"))?;
            components.push((kind, &**expression));
        }
        let mut tuples = Vec::new();
        for branch in path::branches(&definition.expression) {
            let steps = path::steps(branch)
                .ok_or_else(|| format!("`{branch}` is no path that tuples could stand at"))?;
            let Some(steps) = self.own_steps(&steps) else {
                continue;
            };
            let base = self.follow(self.start(), steps, SearchType::Composite)?;
            let components: Vec<(SearchType, &str)> = (components.iter())
                .map(|(kind, expression)| (self.fitting(*kind, expression, &base), *expression))
                .collect();
            tuples.push(if base.repeats {
                self.tuple_rows(&base, &components)?
            } else {
                self.tuple_parts(&base, &components)?
            });
        }
        Ok(tuples)
    }

    /// R4 has the two components of `DocumentReference.relationship` crossed: where the type of search that is named
    /// cannot take the element, the first one that can is meant.
    fn fitting(&self, named: SearchType, expression: &str, base: &Walk<'d>) -> SearchType {
        let fits = |kind: SearchType| {
            let mut branches = self.component_branches(base, expression).into_iter();
            branches.any(|(start, branch)| {
                let walk = self.component_walk(start, branch, kind);
                walk.is_ok_and(|walk| self.leaves(kind, &walk).is_ok())
            })
        };
        let all = [named].into_iter().chain(SearchType::ALL.iter().copied());
        all.into_iter().find(|kind| fits(*kind)).unwrap_or(named)
    }

    fn tuple_parts(
        &mut self,
        base: &Walk<'d>,
        components: &[(SearchType, &str)],
    ) -> Result<Tuple, Told> {
        let mut parts = Vec::new();
        for (kind, expression) in components {
            let mut sources = Vec::new();
            for (start, branch) in self.component_branches(base, expression) {
                let walk = self.component_walk(start, branch, *kind)?;
                sources.extend(self.keep(*kind, &walk)?);
            }
            sources.sort_unstable();
            sources.dedup();
            parts.push(Part {
                kind: *kind,
                sources,
            });
        }
        Ok(Tuple::Each(parts))
    }

    fn tuple_rows(
        &mut self,
        base: &Walk<'d>,
        components: &[(SearchType, &str)],
    ) -> Result<Tuple, Told> {
        let mut names = Vec::new();
        let mut form = Form {
            components: Vec::new(),
        };
        let mut relative = base.clone();
        relative.places.iter_mut().for_each(|p| p.edges.clear());
        for (kind, expression) in components {
            let mut node = Node::default();
            for (start, branch) in self.component_branches(&relative, expression) {
                let walk = self.component_walk(start, branch, *kind)?;
                for found in self.leaves(*kind, &walk)? {
                    let take = found.take;
                    node.add(&found.edges, Leaf { path: 0, take });
                }
            }
            form.components.push(Component {
                from_resource: expression.starts_with(FROM_RESOURCE),
                node,
            });
            names.push(format!("{expression}:{}", kind.code()));
        }
        let text = format!("{}({})", base.text, names.join(", "));
        let path = self.claim(TableKind::Composite, &text)?;
        let [place] = base.places.as_slice() else {
            return Err(format!("`{}` is of many types", base.text));
        };
        let take = Take::Composite(form);
        self.root.add(&place.edges, Leaf { path, take });
        let kinds = components.iter().map(|(kind, _)| *kind).collect();
        Ok(Tuple::Rows { path, kinds })
    }

    fn component_branches<'e>(
        &self,
        base: &Walk<'d>,
        expression: &'e str,
    ) -> Vec<(Walk<'d>, &'e str)> {
        let branches = path::branches(expression).into_iter();
        let started = branches.map(|branch| match branch.strip_prefix(FROM_RESOURCE) {
            Some(branch) => (self.start(), branch),
            None => (base.clone(), branch),
        });
        started.collect()
    }

    fn component_walk(
        &self,
        start: Walk<'d>,
        branch: &str,
        kind: SearchType,
    ) -> Result<Walk<'d>, Told> {
        let steps = path::steps(branch).ok_or_else(|| format!("`{branch}` is no path"))?;
        self.follow(start, &steps, kind)
    }
}
