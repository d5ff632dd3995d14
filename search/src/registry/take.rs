//! Which elements a type of search can take, and how.

use fhir_spec::definitions::{Binding, Kind, Strength};
use fhir_spec::json::Value;

use super::compile::{Compiler, Place, path_number};
use crate::hash;
use crate::plan::Take;
use crate::table::TableKind;
use crate::types::{SearchType, date, number, position, reference, string, token, uri};

impl<'d> Compiler<'d> {
    /// The table and the form of the rows of an element; nothing when this type of search cannot take it.
    pub(super) fn take(
        &self,
        kind: SearchType,
        place: &Place<'d>,
        text: &str,
    ) -> Option<(TableKind, Take)> {
        let definition = self.types.get(place.type_id);
        let name = &*definition.name;
        let beside = |what: &str| path_number(TableKind::Token, &format!("{text}:{what}"));
        Some(match kind {
            SearchType::Token => {
                let implied = || self.implied_system(place.binding);
                let form = token::Form::of(name, beside(token::OF_TYPE), implied)?;
                (TableKind::Token, Take::Token(form))
            }
            SearchType::String => {
                string::takes(name).then_some((TableKind::String, Take::String))?
            }
            SearchType::Reference => {
                let is_resource = definition.kind == Kind::Resource;
                let form = reference::Form::of(name, beside(reference::IDENTIFIER), is_resource)?;
                (TableKind::Reference, Take::Reference(form))
            }
            SearchType::Date => (TableKind::Date, Take::Date(date::Form::of(name)?)),
            SearchType::Number | SearchType::Quantity => {
                (TableKind::Number, Take::Number(number::Form::of(name)?))
            }
            SearchType::Uri => uri::takes(name).then_some((TableKind::Uri, Take::Uri))?,
            SearchType::Special => {
                position::takes(name).then_some((TableKind::Position, Take::Position))?
            }
            SearchType::Composite => return None,
        })
    }

    /// The system that an element of type `code` has by its binding, when that leaves no choice.
    fn implied_system(&self, binding: Option<&Binding>) -> i64 {
        let system = binding
            .filter(|binding| binding.strength == Strength::Required)
            .and_then(|binding| {
                let canonical = &binding.value_set;
                let value_set = self.definitions.artifact_of_type("ValueSet", canonical)?;
                let included = value_set.get("compose")?.items_of("include");
                let system = included.first()?.str_of("system")?;
                let is_same = |include: &Value| include.str_of("system") == Some(system);
                included.iter().all(is_same).then(|| hash::long(system))
            });
        system.unwrap_or(0)
    }
}

/// Types that are searched by their parts.
pub(super) fn parts_of(kind: SearchType, type_name: &str) -> &'static [&'static str] {
    match (kind, type_name) {
        (SearchType::String, "HumanName") => &["text", "family", "given", "prefix", "suffix"],
        (SearchType::String, "Address") => &[
            "text",
            "line",
            "city",
            "district",
            "state",
            "postalCode",
            "country",
        ],
        (SearchType::String, "CodeableConcept") => &["text"],
        (_, "Extension") => &["value"],
        _ => &[],
    }
}
