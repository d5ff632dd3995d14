//! Profiles: what a StructureDefinition demands of a type beyond what the type itself demands.
//! <https://hl7.org/fhir/R4/profiling.html>
//!
//! A value is held against a profile element by element, children before slices of children. Whether it *conforms* is
//! asked silently where a choice hangs on it: which slice an item belongs to, which of several profiles a type or a
//! reference target meets.

mod content;
mod demand;
mod discriminator;
mod element;
mod fixed;
mod slicing;
mod target;

use std::sync::Arc;

use crate::definitions::StructureProblem;
use crate::json::Value;
use crate::outcome::{IssueCode, Severity};

use super::node::Node;
use super::path::Path;
use super::report::Report;
use super::scope::Scope;
use super::walk::Walk;

pub(super) use demand::Profile;

/// The base types' own definitions are called `http://hl7.org/fhir/StructureDefinition/Patient`.
pub(super) const BASE: &str = "http://hl7.org/fhir/StructureDefinition/";

impl Walk<'_> {
    /// The profiles that a resource says it conforms to.
    pub(super) fn claimed_profiles<'d>(
        &mut self,
        resource: &'d Value,
        path: &Path<'_>,
        scope: &Scope<'d>,
    ) {
        let Some(meta) = resource.get("meta") else {
            return;
        };
        for claimed in meta.items_of("profile") {
            if let Some(canonical) = claimed.as_str() {
                let node = Node::new(resource, path.type_id);
                self.asked_profile(canonical, Severity::Warning, node, path, scope);
            }
        }
    }

    /// A profile that the caller wants: it must be known.
    pub(super) fn requested_profile<'d>(
        &mut self,
        canonical: &str,
        node: Node<'d>,
        path: &Path<'_>,
        scope: &Scope<'d>,
    ) {
        self.asked_profile(canonical, Severity::Error, node, path, scope);
    }

    fn asked_profile<'d>(
        &mut self,
        canonical: &str,
        unknown: Severity,
        node: Node<'d>,
        path: &Path<'_>,
        scope: &Scope<'d>,
    ) {
        match self.validator.profile(canonical) {
            Ok(profile) => self.hold(&profile, node, path, scope),
            Err(problem) => {
                let code = match problem {
                    StructureProblem::NotLoaded(_) => IssueCode::NotFound,
                    StructureProblem::Snapshot { .. } => IssueCode::Processing,
                };
                self.report
                    .tell(unknown, path, node.at(), code, || problem.to_string());
            }
        }
    }

    /// Everything a profile demands of a value is checked and told.
    pub(super) fn hold<'d>(
        &mut self,
        profile: &Arc<Profile>,
        node: Node<'d>,
        path: &Path<'_>,
        scope: &Scope<'d>,
    ) {
        let key = (node.identity(), Arc::as_ptr(profile).addr());
        if self.report.is_probe() {
            if !self.conforms(profile, node, path, scope) {
                self.report
                    .error(path, node.at(), IssueCode::Invariant, String::new);
            }
        } else if self.held.insert(key) {
            self.whole(profile, node, path, scope);
        }
    }

    /// Whether a value conforms to a profile; nothing is told. While the question is open (profiles may refer to each
    /// other in circles) the answer is yes.
    pub(super) fn conforms<'d>(
        &mut self,
        profile: &Arc<Profile>,
        node: Node<'d>,
        path: &Path<'_>,
        scope: &Scope<'d>,
    ) -> bool {
        let key = (node.identity(), Arc::as_ptr(profile).addr());
        if let Some(verdict) = self.verdicts.get(&key) {
            return *verdict;
        }
        self.verdicts.insert(key, true);
        let verdict = self.probe(|walk| walk.whole(profile, node, path, scope));
        self.verdicts.insert(key, verdict);
        verdict
    }

    /// Runs checks silently; true when none of them found an error.
    fn probe(&mut self, check: impl FnOnce(&mut Self)) -> bool {
        let report = std::mem::replace(&mut self.report, Report::probe());
        check(self);
        let probe = std::mem::replace(&mut self.report, report);
        probe.errors() == 0
    }

    fn whole<'d>(
        &mut self,
        profile: &Arc<Profile>,
        node: Node<'d>,
        path: &Path<'_>,
        scope: &Scope<'d>,
    ) {
        let is_of_type = profile
            .type_id
            .is_none_or(|type_id| self.types.is_a(node.type_id, type_id));
        if is_of_type {
            self.demanded(profile, 0, node, path, scope);
        } else {
            self.report
                .error(path, node.at(), IssueCode::Structure, || {
                    format!(
                        "the profile {} is for {}, this is a {}",
                        profile.url(),
                        profile.structure.type_name,
                        self.types.get(node.type_id).name
                    )
                });
        }
    }
}
