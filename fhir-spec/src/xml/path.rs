//! Where in a document we are, as a FHIRPath that names the element.

/// One element of the way down; list items have an index.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step<'a> {
    pub(super) name: &'a str,
    pub(super) index: Option<usize>,
}

/// Such as `Patient.name[0].given[1]`.
pub(super) fn expression(steps: &[Step<'_>]) -> String {
    let mut path = String::new();
    for step in steps {
        if !path.is_empty() {
            path.push('.');
        }
        path.push_str(step.name);
        if let Some(index) = step.index {
            path.push_str(&format!("[{index}]"));
        }
    }
    path
}
