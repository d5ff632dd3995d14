//! Where an element of a differential belongs: the steps from the root, each with the slice it goes through.
//! <https://hl7.org/fhir/R4/elementdefinition.html#id>

use super::tree::is_choice_with_type;
use super::{PATH_STEPS_MAX, SnapshotError};
use crate::json::{Text, Value};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) name: Text,
    pub(super) slice: Option<Text>,
}

/// The steps of an element: from its id where that agrees with the path, else from the path, in which an element stays
/// in the slices that the previous one was in.
pub(super) fn steps(element: &Value, previous: &[Step]) -> Result<Vec<Step>, SnapshotError> {
    let path = element.str_of("path").unwrap_or_default();
    if path.split('.').count() > PATH_STEPS_MAX {
        return Err(SnapshotError::PathTooLong(path.into()));
    }
    let mut steps = element
        .str_of("id")
        .and_then(|id| from_id(id, path))
        .unwrap_or_else(|| from_path(path, previous));
    if let (Some(last), Some(slice)) = (steps.last_mut(), element.str_of("sliceName")) {
        last.slice = Some(slice.into());
    }
    Ok(steps)
}

fn from_id(id: &str, path: &str) -> Option<Vec<Step>> {
    let names: Vec<&str> = path.split('.').collect();
    let parts: Vec<&str> = id.split('.').collect();
    if names.len() != parts.len() {
        return None;
    }
    names
        .iter()
        .zip(parts)
        .map(|(name, part)| {
            let (id_name, slice) = match part.split_once(':') {
                Some((id_name, slice)) => (id_name, Some(Text::from(slice))),
                None => (part, None),
            };
            let agrees = id_name == *name || is_choice_with_type(id_name, name);
            agrees.then(|| Step {
                name: id_name.into(),
                slice,
            })
        })
        .collect()
}

fn from_path(path: &str, previous: &[Step]) -> Vec<Step> {
    let last = path.split('.').count() - 1;
    let mut is_same_way = true;
    path.split('.')
        .enumerate()
        .map(|(index, name)| {
            let before = previous.get(index).filter(|step| step.name == name);
            is_same_way &= before.is_some();
            let slice = before.filter(|_| is_same_way && index != last);
            Step {
                name: name.into(),
                slice: slice.and_then(|step| step.slice.clone()),
            }
        })
        .collect()
}
