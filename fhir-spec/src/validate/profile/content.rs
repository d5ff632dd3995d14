//! What a profile says of a value itself: fixed, patterned, bounded.

use std::sync::LazyLock;

use crate::definitions::ElementDef;
use crate::fhirpath::{self, Context, Expression, Item};
use crate::json::Value;
use crate::outcome::IssueCode;

use super::demand::Profile;
use super::fixed;
use crate::validate::node::Node;
use crate::validate::path::Path;
use crate::validate::walk::Walk;

/// Bounds are compared as FHIRPath compares: dates by their precision, quantities by their units.
static NOT_BELOW: LazyLock<Option<Expression>> =
    LazyLock::new(|| Expression::parse("$this >= %bound").ok());
static NOT_ABOVE: LazyLock<Option<Expression>> =
    LazyLock::new(|| Expression::parse("$this <= %bound").ok());

impl Walk<'_> {
    pub(super) fn content(
        &mut self,
        profile: &Profile,
        element: &ElementDef,
        node: Node<'_>,
        path: &Path<'_>,
    ) {
        if let Some(wanted) = &element.fixed
            && !node
                .value
                .is_some_and(|value| fixed::is_equal(wanted, value))
        {
            self.report.error(path, node.at(), IssueCode::Value, || {
                format!("{} fixes this value as {wanted}", profile.url())
            });
        }
        if let Some(wanted) = &element.pattern
            && !node.value.is_some_and(|value| fixed::fits(wanted, value))
        {
            self.report.error(path, node.at(), IssueCode::Value, || {
                format!("{} wants the pattern {wanted} here", profile.url())
            });
        }
        if let (Some(max), Some(text)) = (element.max_length, node.as_str())
            && text.chars().count() > usize::try_from(max).unwrap_or(usize::MAX)
        {
            self.report.error(path, node.at(), IssueCode::TooLong, || {
                format!(
                    "longer than the {max} characters that {} allows",
                    profile.url()
                )
            });
        }
        let bounds = [
            (&element.min_value, &NOT_BELOW, "less than the least"),
            (&element.max_value, &NOT_ABOVE, "more than the most"),
        ];
        for (bound, test, fault) in bounds {
            if let Some(bound) = bound
                && let Some(test) = &**test
                && self.is_beyond(bound, test, node)
            {
                self.report.error(path, node.at(), IssueCode::Value, || {
                    format!("{fault} that {} allows, {bound}", profile.url())
                });
            }
        }
    }

    fn is_beyond(&self, bound: &Value, test: &Expression, node: Node<'_>) -> bool {
        let Some(value) = node.value else {
            return false;
        };
        let item = |value| Item::Node(fhirpath::Node::typed(Some(value), None, node.type_id));
        let context = Context::new(self.types, value).with_variable("bound", vec![item(bound)]);
        let answer = test.evaluate_on(&context, &item(value));
        matches!(answer.as_deref(), Ok([Item::Boolean(false)]))
    }
}
