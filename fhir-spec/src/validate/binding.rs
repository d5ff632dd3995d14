//! Bindings: codes that come from value sets. <https://hl7.org/fhir/R4/terminologies.html#strength>
//!
//! A code outside of a required value set is an error, outside of an extensible one a warning (only a person can tell
//! whether the value set has a code for the concept), outside of a maximum value set an error again. Where the code
//! system is not known here, that is noted and nothing is claimed.

use std::sync::{Arc, OnceLock};

use crate::definitions::{Binding, Definitions, Strength};
use crate::json::Value;
use crate::outcome::{IssueCode, Severity};
use crate::reference::is_absolute;
use crate::terminology::{CodeSystem, Content, Membership, ValueSet, follows_grammar};

use super::node::Node;
use super::path::Path;
use super::walk::Walk;

/// Code systems that have a life of their own beside the editions of FHIR.
const TERMINOLOGY: &str = "http://terminology.hl7.org/";

/// A binding that can be broken, with its value sets at hand.
#[derive(Debug)]
pub(super) struct Bound {
    strength: Strength,
    value_set: LazyValueSet,
    max_value_set: Option<LazyValueSet>,
    /// Further ones that are required (true) or extensible.
    additional: Vec<(bool, LazyValueSet)>,
    /// Where a choice has concepts and quantities, the value set is about the concepts: no value set is about both.
    is_for_concepts: bool,
}

#[derive(Debug)]
struct LazyValueSet {
    canonical: Box<str>,
    loaded: OnceLock<Option<Arc<ValueSet>>>,
}

/// What a node says in codes.
pub(super) struct Said<'d> {
    pub(super) system: Option<&'d str>,
    pub(super) version: Option<&'d str>,
    pub(super) code: &'d str,
}

pub(super) enum Verdict {
    In,
    NotIn,
    Unknown(String),
    /// There is text, but no code.
    NoCode,
}

impl Bound {
    /// None for bindings that only give examples or preferences.
    pub(super) fn of<'t>(
        binding: &Binding,
        mut types: impl Iterator<Item = &'t str>,
    ) -> Option<Self> {
        let is_weak = binding.strength < Strength::Extensible || binding.value_set.is_empty();
        let additional: Vec<(bool, LazyValueSet)> = binding
            .additional
            .iter()
            .filter(|(strength, _)| *strength >= Strength::Extensible)
            .map(|(strength, url)| (*strength == Strength::Required, LazyValueSet::new(url)))
            .collect();
        if is_weak && binding.max_value_set.is_none() && additional.is_empty() {
            return None;
        }
        Some(Self {
            strength: binding.strength,
            value_set: LazyValueSet::new(&binding.value_set),
            max_value_set: binding.max_value_set.as_deref().map(LazyValueSet::new),
            additional,
            is_for_concepts: types.any(|name| matches!(name, "CodeableConcept" | "Coding")),
        })
    }

    /// Whether a node is in the value set for certain.
    pub(super) fn holds(&self, node: Node<'_>, walk: &Walk<'_>) -> bool {
        let said = said(node, &walk.types.get(node.type_id).name);
        matches!(self.value_set.judge(&said, walk), Verdict::In)
    }

    pub(super) fn is_required(&self) -> bool {
        self.strength == Strength::Required
    }
}

impl LazyValueSet {
    fn new(canonical: &str) -> Self {
        Self {
            canonical: canonical.into(),
            loaded: OnceLock::new(),
        }
    }

    fn get(&self, definitions: &Definitions) -> Option<&ValueSet> {
        self.loaded
            .get_or_init(|| definitions.value_set(&self.canonical))
            .as_deref()
    }

    fn judge(&self, said: &[Said<'_>], walk: &Walk<'_>) -> Verdict {
        let value_set = self.get(walk.validator.definitions());
        walk.membership(value_set, &self.canonical, said)
    }
}

impl Walk<'_> {
    /// Whether one of these codes is in a value set: as the definitions say, or else as the host knows.
    pub(super) fn membership(
        &self,
        value_set: Option<&ValueSet>,
        canonical: &str,
        said: &[Said<'_>],
    ) -> Verdict {
        let mut verdict = Verdict::NoCode;
        for said in said {
            let known = match value_set {
                Some(value_set) => match value_set.contains(said.system, said.code, said.version) {
                    Membership::In { .. } => Ok(true),
                    Membership::NotIn => Ok(false),
                    Membership::Unknown(reason) => Err(reason.to_string()),
                },
                None => Err(format!("the value set `{canonical}` is not loaded")),
            };
            let host = self.request.host;
            let known = known.or_else(|reason| {
                let answer = host.is_in_value_set(canonical, said.system, said.code);
                answer.ok_or(reason)
            });
            verdict = match (known, verdict) {
                (Ok(true), _) => return Verdict::In,
                (Err(reason), _) => Verdict::Unknown(reason),
                (Ok(false), unknown @ Verdict::Unknown(_)) => unknown,
                (Ok(false), _) => Verdict::NotIn,
            };
        }
        verdict
    }

    pub(super) fn binding(&mut self, bound: &Bound, node: Node<'_>, path: &Path<'_>) {
        let type_name = &*self.types.get(node.type_id).name;
        if bound.is_for_concepts && type_name == "Quantity" {
            return;
        }
        let said = said(node, type_name);
        if bound.strength >= Strength::Extensible && !bound.value_set.canonical.is_empty() {
            self.bound_to(&bound.value_set, bound.is_required(), &said, node, path);
        }
        for (is_required, value_set) in &bound.additional {
            self.bound_to(value_set, *is_required, &said, node, path);
        }
        if let Some(max) = &bound.max_value_set
            && let Verdict::NotIn = max.judge(&said, self)
        {
            self.outside(max, Severity::Error, &said, node, path);
        }
    }

    fn bound_to(
        &mut self,
        value_set: &LazyValueSet,
        is_required: bool,
        said: &[Said<'_>],
        node: Node<'_>,
        path: &Path<'_>,
    ) {
        match value_set.judge(said, self) {
            Verdict::In => {}
            Verdict::NotIn if is_required => {
                self.outside(value_set, Severity::Error, said, node, path);
            }
            Verdict::NotIn => self.outside(value_set, Severity::Warning, said, node, path),
            Verdict::Unknown(reason) => {
                self.report
                    .note(path, node.at(), IssueCode::NotSupported, || {
                        format!(
                            "{} could not be held against the value set `{}`: {reason}",
                            told(said),
                            value_set.canonical
                        )
                    });
            }
            Verdict::NoCode if is_required => self.no_code(value_set, node, path),
            Verdict::NoCode => {}
        }
    }

    fn outside(
        &mut self,
        value_set: &LazyValueSet,
        severity: Severity,
        said: &[Said<'_>],
        node: Node<'_>,
        path: &Path<'_>,
    ) {
        self.report
            .tell(severity, path, node.at(), IssueCode::CodeInvalid, || {
                let wish = match severity {
                    Severity::Error => "is not in the value set",
                    _ => "is not in the extensible value set",
                };
                format!("{} {wish} `{}`", told(said), value_set.canonical)
            });
    }

    fn no_code(&mut self, value_set: &LazyValueSet, node: Node<'_>, path: &Path<'_>) {
        self.report
            .error(path, node.at(), IssueCode::CodeInvalid, || {
                format!(
                    "a code from the value set `{}` is required",
                    value_set.canonical
                )
            });
    }

    /// A Coding or Quantity whose system is known entirely: its code exists, and its display is the code's.
    pub(super) fn coding(&mut self, node: Node<'_>, path: &Path<'_>) {
        let Some(coding) = node.value else {
            return;
        };
        let Some(stated) = coding.get("system") else {
            return;
        };
        let Some(system) = stated.as_str() else {
            return; // told already
        };
        if !is_absolute(system) {
            self.report
                .error(path, stated.at, IssueCode::CodeInvalid, || {
                    format!("the system of a coding is absolute, `{system}` is not")
                });
            return;
        }
        let Some(code) = coding.get("code") else {
            return;
        };
        let Some(text) = code.as_str() else {
            return; // told already
        };
        let known = self.validator.definitions().code_system(system);
        let is_supplement = |known: &Arc<CodeSystem>| known.content == Content::Supplement;
        if known.as_ref().is_some_and(is_supplement) {
            self.report
                .error(path, stated.at, IssueCode::CodeInvalid, || {
                    format!(
                        "`{system}` is a supplement: codes are of the system that it supplements"
                    )
                });
            return;
        }
        let concept = known.as_ref().and_then(|known| known.concept(text));
        let is_complete = known.as_ref().is_some_and(|known| known.is_complete());
        let is_no_code =
            (is_complete && concept.is_none()) || follows_grammar(system, text) == Some(false);
        if is_no_code {
            // Units that are none (`ea`, `mcg`) are everywhere, in the examples of the specification too.
            let severity = match &*self.types.get(node.type_id).name {
                "Coding" if system.starts_with(TERMINOLOGY) => self.request.unlisted_code,
                "Coding" => Severity::Error,
                _ => Severity::Warning,
            };
            self.report
                .tell(severity, path, code.at, IssueCode::CodeInvalid, || {
                    format!("the code system `{system}` has no code `{text}`")
                });
        }
        let Some(concept) = concept else {
            return;
        };
        if let (Some(stated), Some(expected)) = (coding.get("display"), &concept.display)
            && let Some(display) = stated.as_str()
            && !is_same_text(display, expected)
        {
            let severity = self.request.wrong_display;
            self.report
                .tell(severity, path, stated.at, IssueCode::CodeInvalid, || {
                    format!("the display of `{text}` is `{expected}`, found `{display}`")
                });
        }
    }
}

/// The codes of a node: one, several of a CodeableConcept, or none.
pub(super) fn said<'d>(node: Node<'d>, type_name: &str) -> Vec<Said<'d>> {
    let coded = |value: &'d Value| {
        Some(Said {
            system: value.str_of("system"),
            version: value.str_of("version"),
            code: value.str_of("code")?,
        })
    };
    let Some(value) = node.value else {
        return Vec::new();
    };
    if let Some(code) = value.as_str() {
        return vec![Said {
            system: None,
            version: None,
            code,
        }];
    }
    match type_name {
        "CodeableConcept" => value.items_of("coding").iter().filter_map(coded).collect(),
        _ => coded(value).into_iter().collect(),
    }
}

fn told(said: &[Said<'_>]) -> String {
    let codes: Vec<String> = said
        .iter()
        .map(|said| match said.system {
            Some(system) => format!("`{}` of `{system}`", said.code),
            None => format!("`{}`", said.code),
        })
        .collect();
    codes.join(", ")
}

/// Displays are compared without regard to case and white space.
fn is_same_text(a: &str, b: &str) -> bool {
    let mut a = a.split_whitespace();
    let mut b = b.split_whitespace();
    loop {
        match (a.next(), b.next()) {
            (None, None) => return true,
            (Some(a), Some(b)) if a.to_lowercase() == b.to_lowercase() => {}
            _ => return false,
        }
    }
}
