//! Narrative: `txt-1` and `txt-2`, with each fault named. <https://hl7.org/fhir/R4/narrative.html>

use crate::narrative::{Rule, check};
use crate::outcome::IssueCode;

use super::node::Node;
use super::path::Path;
use super::walk::Walk;

/// The keys of the rules that this file holds.
pub(super) const NATIVE: &[&str] = &["txt-1", "txt-2"];

impl Walk<'_> {
    pub(super) fn narrative(&mut self, node: Node<'_>, path: &Path<'_>) {
        for child in node.children_named(self.types, "div") {
            let Some(text) = child.as_str() else {
                continue;
            };
            let path = &path.child("div", None, child.type_id);
            for problem in check(text) {
                self.report
                    .error(path, child.at(), IssueCode::Invariant, || {
                        let key = match problem.rule {
                            Rule::Txt1 => "txt-1",
                            Rule::Txt2 => "txt-2",
                        };
                        format!("{key}: {}", problem.message)
                    });
            }
        }
    }
}
