//! How often an element may be there. <https://hl7.org/fhir/R4/conformance-rules.html#cardinality>

use crate::definitions::{Element, TypeDef};
use crate::json::Object;
use crate::outcome::IssueCode;

use super::path::Path;
use super::plan::TypePlan;
use super::walk::Walk;

impl Walk<'_> {
    pub(super) fn missing(
        &mut self,
        object: &Object,
        at: u32,
        definition: &TypeDef,
        plan: &TypePlan,
        path: &Path<'_>,
    ) {
        let required = plan
            .required
            .iter()
            .filter_map(|place| definition.elements.get(*place));
        for element in required {
            if !is_there(object, element) {
                self.report.error(path, at, IssueCode::Required, || {
                    let choice = if element.is_choice { "[x]" } else { "" };
                    format!(
                        "`{}{choice}` is required: at least {} expected, found none",
                        element.name, element.min
                    )
                });
            }
        }
    }

    /// `valueString` and `valueInteger` are one element: only one of them may be there.
    pub(super) fn one_of_each_choice(
        &mut self,
        object: &Object,
        definition: &TypeDef,
        plan: &TypePlan,
        path: &Path<'_>,
    ) {
        let choices = plan
            .choices
            .iter()
            .filter_map(|place| definition.elements.get(*place));
        for element in choices {
            let mut seen: Option<&str> = None;
            for (name, value) in object.iter() {
                let plain = name.strip_prefix('_').unwrap_or(name);
                if !plain.starts_with(&*element.name)
                    || !element.types.iter().any(|kind| *kind.json_name == *plain)
                {
                    continue;
                }
                match seen {
                    Some(first) if first != plain => {
                        self.report.error(path, value.at, IssueCode::Structure, || {
                            format!(
                                "`{first}` and `{plain}` are both there: `{}[x]` is one value of one type",
                                element.name
                            )
                        });
                    }
                    _ => seen = Some(plain),
                }
            }
        }
    }
}

/// Under any of its names; a primitive may be there by its extensions alone.
fn is_there(object: &Object, element: &Element) -> bool {
    element.types.iter().any(|kind| {
        object.names().any(|name| {
            name == &*kind.json_name || name.strip_prefix('_') == Some(&*kind.json_name)
        })
    })
}
