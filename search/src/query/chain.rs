//! Chains: conditions on what a resource refers to, and on what refers to it.
//! <https://hl7.org/fhir/R4/search.html#chaining>

use fhir_spec::outcome::{Issue, IssueCode};

use super::{Reader, shown, spelling};
use crate::condition::{Condition, Link};
use crate::hash;
use crate::registry::{Only, Parameter, ResourceType, Source};
use crate::types::SearchType;

/// Steps from one resource to the next in one parameter.
pub const CHAIN_STEPS_MAX: usize = 8;
/// Types that a step without a type may lead to.
pub const CHAIN_TYPES_MAX: usize = 16;
/// Ways from the first resource to the last one, when steps without a type follow each other. What is made of a chain is
/// this times its steps, where without a bound it would be types to the power of steps.
pub const CHAIN_WAYS_MAX: usize = 64;

/// A name of a parameter that leads to another resource.
pub(super) enum Step<'n> {
    /// `subject:Patient.name`, `subject.name`
    Forward {
        code: &'n str,
        target: Option<&'n str>,
        rest: &'n str,
    },
    /// `_has:Observation:patient:code`
    Back {
        source: &'n str,
        code: &'n str,
        rest: &'n str,
    },
}

impl<'n> Step<'n> {
    /// None: the name leads nowhere else.
    pub(super) fn cut(name: &'n str) -> Option<Result<Self, String>> {
        if let Some(rest) = name.strip_prefix("_has:") {
            let mut parts = rest.splitn(3, ':');
            let parts = (parts.next(), parts.next(), parts.next());
            return Some(match parts {
                (Some(source), Some(code), Some(rest)) if !rest.is_empty() => {
                    Ok(Self::Back { source, code, rest })
                }
                _ => Err("`_has` is written `_has:Type:reference:parameter`".into()),
            });
        }
        let (first, rest) = name.split_once('.')?;
        let (code, target) = match first.split_once(':') {
            Some((code, target)) => (code, Some(target)),
            None => (first, None),
        };
        Some(Ok(Self::Forward { code, target, rest }))
    }
}

impl<'r> Reader<'r> {
    /// A chain, one step and what follows it.
    pub(super) fn chained(
        &self,
        step: &Step<'_>,
        name: &str,
        values: &[&str],
    ) -> Result<Condition, Issue> {
        let wrong = |text: String| {
            Issue::error(
                IssueCode::NotSupported,
                format!("`{}`: {text}", shown(name)),
            )
        };
        if self.steps >= CHAIN_STEPS_MAX {
            let text = format!("more than {CHAIN_STEPS_MAX} steps from resource to resource");
            return Err(Issue::error(
                IssueCode::TooCostly,
                format!("`{}`: {text}", shown(name)),
            ));
        }
        match step {
            Step::Forward { code, target, rest } => {
                let parameter = self.reference(code).map_err(&wrong)?;
                let targets = self.targets(parameter, *target, rest).map_err(&wrong)?;
                let ways = self.ways.saturating_mul(targets.len());
                if ways > CHAIN_WAYS_MAX {
                    let text = format!(
                        "more than {CHAIN_WAYS_MAX} ways through the types that may be referred to; name some, as in `{code}:Patient`"
                    );
                    let text = format!("`{}`: {text}", shown(name));
                    return Err(Issue::error(IssueCode::TooCostly, text));
                }
                let links = targets.into_iter().map(|known| {
                    let beyond = Self {
                        ways,
                        ..self.beyond(known)
                    };
                    let condition = beyond.condition(rest, values)?;
                    let link = link(parameter, &known.name, known, condition);
                    Ok(link.map_or(Condition::Never, Condition::Refers))
                });
                let links: Result<Vec<Condition>, Issue> = links.collect();
                links.map(Condition::any)
            }
            Step::Back { source, code, rest } => {
                let known = self.registry.of(source);
                let known = known
                    .ok_or_else(|| wrong(format!("`{}` is no resource type", shown(source))))?;
                let beyond = self.beyond(known);
                let parameter = beyond.reference(code).map_err(&wrong)?;
                let own = &*self.known.name;
                let is_target = parameter.targets.iter().any(|target| **target == *own);
                if !is_target && !parameter.targets.is_empty() {
                    let text = format!("`{code}` of {source} never refers to a {own}");
                    return Err(wrong(text));
                }
                let condition = beyond.condition(rest, values)?;
                let link = link(parameter, own, known, condition);
                Ok(link.map_or(Condition::Never, Condition::IsReferred))
            }
        }
    }

    /// The same reader, one step further.
    fn beyond(&self, known: &'r ResourceType) -> Self {
        Self {
            known,
            steps: self.steps + 1,
            ..*self
        }
    }

    pub(super) fn reference(&self, code: &str) -> Result<&'r Parameter, String> {
        let parameter = self.parameter(code)?;
        if parameter.kind == SearchType::Reference {
            return Ok(parameter);
        }
        let kind = parameter.kind.code();
        Err(format!("`{code}` is a {kind} and refers to nothing"))
    }

    /// The types that a step may lead to: the one that is named, or all that know what follows.
    fn targets(
        &self,
        parameter: &Parameter,
        named: Option<&str>,
        rest: &str,
    ) -> Result<Vec<&'r ResourceType>, String> {
        let is_target = |name: &str| {
            parameter.targets.is_empty() || parameter.targets.iter().any(|target| **target == *name)
        };
        if let Some(name) = named {
            let known = self.registry.of(name);
            let known = known.ok_or_else(|| format!("`{}` is no resource type", shown(name)))?;
            return is_target(name)
                .then(|| vec![known])
                .ok_or_else(|| format!("`{}` never refers to a {name}", parameter.code));
        }
        let first = rest.split(['.', ':']).next().unwrap_or_default();
        let knows = |known: &&ResourceType| {
            matches!(first, "_id" | "_lastUpdated" | "_has" | "_content")
                || known.parameter(first).is_some()
        };
        let reachable =
            |known: &&ResourceType| !paths_to(&parameter.sources, &known.name).is_empty();
        let targets: Vec<&ResourceType> = (parameter.targets.iter())
            .filter_map(|target| self.registry.of(target))
            .filter(reachable)
            .collect();
        let known: Vec<&ResourceType> = targets.iter().copied().filter(|k| knows(k)).collect();
        if known.is_empty() {
            let codes = targets.iter().flat_map(|target| target.parameters());
            let nearest = spelling::nearest(first, codes.map(|parameter| &*parameter.code));
            let meant = nearest.map_or(String::new(), |name| format!("; `{name}` may be meant"));
            let first = shown(first);
            return Err(format!(
                "nothing that is referred to has a parameter `{first}`{meant}"
            ));
        }
        if known.len() > CHAIN_TYPES_MAX {
            let count = known.len();
            let code = &parameter.code;
            return Err(format!(
                "{count} types may be referred to; name one, as in `{code}:Patient.{first}`"
            ));
        }
        Ok(known)
    }
}

/// By the paths that lead to a type. None: R4 names targets that the expression rules out, as in `patient` of Groups.
fn link(
    parameter: &Parameter,
    target: &str,
    other: &ResourceType,
    condition: Condition,
) -> Option<Box<Link>> {
    let paths = paths_to(&parameter.sources, target);
    (!paths.is_empty()).then(|| {
        Box::new(Link {
            paths,
            other_type: other.name.clone(),
            condition,
        })
    })
}

/// The paths by which resources of a type can be reached.
fn paths_to(sources: &[Source], target: &str) -> Vec<i32> {
    let wanted = hash::short(target);
    let paths = sources.iter().filter_map(|source| match source.only {
        Only::Any => Some(source.path),
        Only::Target(only) => (only == wanted).then_some(source.path),
        Only::System(_) => None,
    });
    paths.collect()
}
