//! Invariants: FHIRPath expressions that must be true of a value.
//! <https://hl7.org/fhir/R4/conformance-rules.html#constraints>
//!
//! Each is compiled once, on first use. A few that stand on nearly everything are checked by the code beside them
//! ([`NATIVE`]); a test holds both side by side.

use std::sync::OnceLock;

use crate::definitions::Constraint;
use crate::fhirpath::{self, Context, Expression, FhirPathError, Item};
use crate::json::Value;
use crate::outcome::{IssueCode, Severity};

use super::binding::{Said, Verdict, said};
use super::node::Node;
use super::path::Path;
use super::reference::Found;
use super::scope::Scope;
use super::walk::Walk;
use super::{contained, errata, extension, narrative, reference};

/// The rules that are checked natively, by key.
const NATIVE: &[&[&str]] = &[
    contained::NATIVE,
    extension::NATIVE,
    narrative::NATIVE,
    reference::NATIVE,
    &["ele-1"], // in the walk itself
];

/// How deep `conformsTo()` may lead to profiles whose rules call `conformsTo()`; deeper, the answer is not known.
const CONFORMS_TO_NESTING_MAX: usize = 4;

#[derive(Debug)]
pub(super) struct Rule {
    key: Box<str>,
    level: Level,
    human: Box<str>,
    text: Box<str>,
    compiled: OnceLock<Result<Expression, FhirPathError>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Error,
    Warning,
    BestPractice,
}

impl Rule {
    /// None for a rule that is checked natively.
    pub(super) fn of(constraint: &Constraint) -> Option<Self> {
        let is_native = NATIVE.iter().any(|keys| keys.contains(&&*constraint.key));
        if is_native {
            return None;
        }
        Some(Self {
            key: constraint.key.clone(),
            level: if constraint.is_best_practice {
                Level::BestPractice
            } else if constraint.is_error {
                Level::Error
            } else {
                Level::Warning
            },
            human: constraint.human.clone(),
            text: errata::corrected(&constraint.expression).into(),
            compiled: OnceLock::new(),
        })
    }

    fn expression(&self) -> Result<&Expression, &FhirPathError> {
        self.compiled
            .get_or_init(|| Expression::parse(&self.text))
            .as_ref()
    }
}

impl Walk<'_> {
    pub(super) fn rules(
        &mut self,
        rules: &[Rule],
        node: Node<'_>,
        path: &Path<'_>,
        scope: &Scope<'_>,
    ) {
        if rules.is_empty() || self.report.is_decided() {
            return;
        }
        let world = World { walk: self, scope };
        let context = Context::new(self.types, scope.resource)
            .within(scope.root)
            .with_host(&world);
        let item = Item::Node(fhirpath::Node::typed(node.value, node.extra, node.type_id));
        let mut broken = Vec::new();
        for rule in rules {
            let Some(severity) = rule.severity(self.request.best_practice) else {
                continue;
            };
            match rule.holds(&context, &item) {
                Ok(true) => {}
                Ok(false) => broken.push((rule, severity, None)),
                Err(problem) => broken.push((rule, Severity::Warning, Some(problem))),
            }
        }
        for (rule, severity, problem) in broken {
            self.report
                .tell(severity, path, node.at(), IssueCode::Invariant, || {
                    let Rule {
                        key, human, text, ..
                    } = rule;
                    match problem {
                        None => format!("{key}: {human}"),
                        Some(problem) => {
                            format!("{key} could not be checked: {problem} in `{text}`")
                        }
                    }
                });
        }
    }
}

impl Rule {
    fn severity(&self, best_practice: Option<Severity>) -> Option<Severity> {
        match self.level {
            Level::Error => Some(Severity::Error),
            Level::Warning => Some(Severity::Warning),
            Level::BestPractice => best_practice,
        }
    }

    fn holds<'d>(&self, context: &Context<'d>, item: &Item<'d>) -> Result<bool, String> {
        let expression = self.expression().map_err(ToString::to_string)?;
        let answer = expression
            .evaluate_on(context, item)
            .map_err(|problem| problem.to_string())?;
        Ok(!is_no(&answer))
    }
}

/// Only a plain `false` breaks a rule. No answer is no breach: the rules of R4 count on that (`bdl-8` says
/// `fullUrl.contains('/_history/').not()` of entries that need no full url), and so do comparisons of dates of
/// different precision, which FHIRPath leaves open.
fn is_no(answer: &[Item<'_>]) -> bool {
    match answer {
        [Item::Boolean(truth)] => !truth,
        [Item::Node(node)] => node.value().and_then(Value::as_bool) == Some(false),
        _ => false,
    }
}

/// What expressions may ask about the world around the element.
struct World<'w, 'd> {
    walk: &'w Walk<'w>,
    scope: &'w Scope<'d>,
}

impl<'w, 'd: 'w> fhirpath::Host<'w> for World<'w, 'd> {
    fn resolve(&self, reference: &str) -> Option<&'w Value> {
        match self.walk.find(reference, self.scope) {
            Found::Inside(node) => node.value,
            Found::Missing | Found::Elsewhere(_) => None,
        }
    }

    fn is_member(&self, item: &Item<'w>, value_set: &str) -> Option<bool> {
        let known = self.walk.validator.definitions().value_set(value_set);
        let said = match item {
            Item::String(code) => vec![Said {
                system: None,
                version: None,
                code,
            }],
            Item::Node(node) => {
                let node = Node::new(node.value()?, node.type_id()?);
                said(node, &self.walk.types.get(node.type_id).name)
            }
            _ => return None,
        };
        match self.walk.membership(known.as_deref(), value_set, &said) {
            Verdict::In => Some(true),
            Verdict::NotIn | Verdict::NoCode => Some(false),
            Verdict::Unknown(_) => None,
        }
    }

    fn conforms(&self, node: &fhirpath::Node<'w>, profile: &str) -> Option<bool> {
        if self.walk.nesting >= CONFORMS_TO_NESTING_MAX {
            return None;
        }
        let profile = self.walk.validator.profile(profile).ok()?;
        let (value, type_id) = (node.value()?, node.type_id()?);
        let mut walk = Walk::new(self.walk.validator, self.walk.request);
        walk.nesting = self.walk.nesting + 1;
        let name = &*self.walk.types.get(type_id).name;
        let scope = if value.get("resourceType").is_some() {
            Scope::of(value, type_id)
        } else {
            *self.scope
        };
        let path = Path::root(name, type_id);
        Some(walk.conforms(&profile, Node::new(value, type_id), &path, &scope))
    }
}
