//! Structure definitions: a snapshot can be made of what they say, and what they name is there and fits.
//! <https://hl7.org/fhir/R4/profiling.html>

use std::sync::Arc;

use crate::definitions::{ElementDef, SnapshotError, StructureProblem};
use crate::json::Value;
use crate::outcome::IssueCode;

use super::Validator;
use super::path::Path;
use super::profile::{BASE, Profile};
use super::walk::Walk;

impl Walk<'_> {
    pub(super) fn structure_definition(&mut self, definition: &Value, path: &Path<'_>) {
        self.defined_type(definition, path);
        if definition.str_of("derivation") != Some("constraint")
            || definition.get("differential").is_none()
        {
            return;
        }
        let Some(url) = definition.str_of("url") else {
            return;
        };
        let laid = self
            .validator
            .definitions()
            .with_resources([without_snapshot(definition)]);
        match laid.try_structure(url) {
            Ok(structure) => {
                let validator = Validator::new(Arc::new(laid));
                if let Ok(profile) = validator.profile(&structure.url) {
                    self.elements_fit(&validator, &profile, definition, path);
                }
            }
            // A base that is not known here is no fault of the definition.
            Err(
                StructureProblem::NotLoaded(_)
                | StructureProblem::Snapshot {
                    source: SnapshotError::BaseNotLoaded(_),
                    ..
                },
            ) => {}
            Err(StructureProblem::Snapshot { source, .. }) => {
                self.report
                    .error(path, definition.at, IssueCode::Processing, || {
                        format!("no snapshot can be made: {source}")
                    });
            }
        }
    }

    /// A type without a namespace is one of FHIR's, and a new type is not its own base.
    fn defined_type(&mut self, definition: &Value, path: &Path<'_>) {
        let Some(stated) = definition.get("type") else {
            return;
        };
        let Some(name) = stated.as_str() else {
            return;
        };
        let path = &path.child("type", None, path.type_id);
        // FHIR's own patterns (`Event`, `FiveWs`) define types that no document has.
        let is_fhir = self.types.by_name(name).is_some()
            || definition
                .str_of("url")
                .and_then(|url| url.strip_prefix(BASE))
                == Some(name);
        if !name.contains(':') && !is_fhir {
            self.report.error(path, stated.at, IssueCode::Value, || {
                format!("`{name}` is no type of R4; other types are absolute urls")
            });
        }
        let is_own_base = definition.str_of("derivation") == Some("specialization")
            && definition.str_of("baseDefinition") == Some(name);
        if is_own_base {
            self.report.error(path, stated.at, IssueCode::Value, || {
                format!("`{name}` is specialised from itself")
            });
        }
    }

    fn elements_fit(
        &mut self,
        validator: &Validator,
        profile: &Arc<Profile>,
        definition: &Value,
        path: &Path<'_>,
    ) {
        let request = self.request;
        let walk = Walk::new(validator, request);
        for (index, element) in profile.structure.elements.iter().enumerate() {
            let faults = walk
                .lost_discriminators(profile, index)
                .into_iter()
                .map(|path| format!("the discriminator `{path}` leads to no element"))
                .chain(walk.misfit_profiles(element));
            for fault in faults {
                self.report
                    .error(path, definition.at, IssueCode::BusinessRule, || {
                        format!("{}: {fault}", element.id)
                    });
            }
        }
    }

    /// A profile on a type must be a profile of that type.
    fn misfit_profiles(&self, element: &ElementDef) -> Vec<String> {
        let mut faults = Vec::new();
        for kind in &element.types {
            let Some(wanted) = self.types.by_name(&kind.code) else {
                continue;
            };
            for canonical in &kind.profiles {
                let Ok(profile) = self.validator.profile(canonical) else {
                    continue;
                };
                let found = &profile.structure.type_name;
                // `Resource` may be narrowed to a profile of Patient, Quantity not to one of Count.
                let fits = *found == kind.code
                    || (self.types.get(wanted).is_abstract
                        && self
                            .types
                            .by_name(found)
                            .is_none_or(|found| self.types.is_a(found, wanted)));
                if !fits {
                    faults.push(format!(
                        "the profile {canonical} is for {found}, not for {}",
                        kind.code
                    ));
                }
            }
        }
        faults
    }
}

fn without_snapshot(definition: &Value) -> Value {
    let mut definition = definition.clone();
    if let Some(object) = definition.as_object_mut() {
        object.remove("snapshot");
    }
    definition
}
