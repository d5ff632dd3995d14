//! Codes of value sets and hierarchies, as far as the definitions tell them one by one.

use fhir_spec::definitions::Definitions;
use fhir_spec::json::Value;

use super::Ask;

/// The codes that a value set includes: named ones, or all of a code system.
pub(super) fn codes_in(definitions: &Definitions, url: &str) -> Vec<(String, String)> {
    let Some(value_set) = definitions.artifact_of_type("ValueSet", url) else {
        return Vec::new();
    };
    let mut codes = Vec::new();
    let includes = value_set.get("compose").map(|c| c.items_of("include"));
    for include in includes.unwrap_or_default() {
        let system = include.str_of("system").unwrap_or_default();
        let named = include.items_of("concept").iter();
        let named: Vec<&str> = named.filter_map(|concept| concept.str_of("code")).collect();
        if named.is_empty() {
            let tree = tree(definitions, system);
            codes.extend(tree.into_iter().map(|(code, _)| (system.into(), code)));
        } else {
            codes.extend(named.into_iter().map(|code| (system.into(), code.into())));
        }
    }
    codes
}

/// A code with those above it, or those below it.
pub(super) fn related(
    definitions: &Definitions,
    system: &str,
    code: &str,
    is_above: bool,
) -> Vec<(String, String)> {
    let tree = tree(definitions, system);
    let above = |code: &str| {
        let found = tree.iter().find(|(own, _)| own == code);
        found.map(|(_, above)| above.clone()).unwrap_or_default()
    };
    let codes: Vec<String> = if is_above {
        above(code)
    } else {
        let below = tree
            .iter()
            .filter(|(_, above)| above.iter().any(|a| a == code));
        below.map(|(own, _)| own.clone()).collect()
    };
    let all = codes.into_iter().chain([code.to_owned()]);
    all.map(|code| (system.to_owned(), code)).collect()
}

/// The codes of a system, each with those that it stands under.
fn tree(definitions: &Definitions, system: &str) -> Vec<(String, Vec<String>)> {
    let mut tree = Vec::new();
    if let Some(known) = definitions.artifact_of_type("CodeSystem", system) {
        walk(known.items_of("concept"), &[], &mut tree);
    }
    tree
}

fn walk(concepts: &[Value], above: &[String], tree: &mut Vec<(String, Vec<String>)>) {
    for concept in concepts {
        let code = concept.str_of("code").unwrap_or_default().to_owned();
        tree.push((code.clone(), above.to_vec()));
        let above = [above, &[code]].concat();
        walk(concept.items_of("concept"), &above, tree);
    }
}

/// The system of the codes of an element, when its value set has one system only.
pub(super) fn implied_system(ask: &Ask<'_, '_>) -> Option<String> {
    let definitions = ask.world.definitions;
    let types = definitions.types();
    let branches = ask.parameter.expression.split('|').map(str::trim);
    let own = format!("{}.", ask.resource_type);
    let mut branches = branches.filter_map(|branch| branch.strip_prefix(&own));
    let mut element = None;
    let mut kind = types.named(ask.resource_type);
    for name in branches.next()?.split('.') {
        element = kind?.element(name);
        kind = element?
            .types
            .first()
            .map(|type_ref| types.get(type_ref.id));
    }
    let binding = element?.binding.as_ref()?;
    let value_set = definitions.artifact_of_type("ValueSet", &binding.value_set)?;
    let includes = value_set.get("compose")?.items_of("include");
    let system = includes.first()?.str_of("system")?;
    let is_one = includes
        .iter()
        .all(|include| include.str_of("system") == Some(system));
    is_one.then(|| system.to_owned())
}
