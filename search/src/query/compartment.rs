//! Compartments: what belongs to a patient, an encounter, a practitioner ...
//! <https://hl7.org/fhir/R4/compartmentdefinition.html>

use crate::condition::{Condition, Probe, Reach, Test};
use crate::hash;
use crate::registry::{Only, Registry};
use crate::table::TableKind;

/// What must hold of resources of a type to be in the compartment of that resource. None: they never are.
pub fn compartment(
    registry: &Registry,
    compartment: &str,
    id: &str,
    resource_type: &str,
) -> Option<Condition> {
    let definition = registry.definitions().compartment(compartment)?;
    let known = registry.of(resource_type)?;
    let kind = hash::short(compartment);
    let codes = definition.parameters(resource_type).iter();
    let parameters = codes.filter_map(|code| known.parameter(code));
    let sources = parameters.flat_map(|parameter| &parameter.sources);
    let counts = sources.filter(|source| match source.only {
        Only::Any => source.table == TableKind::Reference,
        Only::Target(only) => only == kind,
        Only::System(_) => false,
    });
    let probes = counts.map(|source| {
        let tests = vec![Test::equal("target", id), Test::equal("type", kind)];
        Probe::new(TableKind::Reference, source.path, Reach::Few, tests)
    });
    let mut probes: Vec<Probe> = probes.collect();
    probes.dedup();
    let mut ways = Vec::new();
    if !probes.is_empty() {
        ways.push(Condition::Rows(probes));
    }
    // Whose compartment it is, is in it.
    if compartment == resource_type {
        ways.push(Condition::Id(vec![id.into()]));
    }
    (!ways.is_empty()).then(|| Condition::any(ways))
}
