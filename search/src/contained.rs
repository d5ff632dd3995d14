//! Resources within resources: they are found by their own parameters, and with what contains them.
//! <https://hl7.org/fhir/R4/search.html#contained>
//!
//! What is contained has rows as if it were stored, at other paths: ordinary searches never see them and cost nothing more.
//! It has a number of its own, in which the number of its container and its place there are told, so that all criteria hold
//! of one and the same contained resource, and pages, sorting and counting are what they are for any other. A row of
//! tokens more says of each of what type it is, with its id.
//!
//! Only parameters of the definitions are asked of it: for one that is posted, resources of all types would have to be gone
//! through. When the definitions change they are, for this alone ([`marker`]).

use fhir_spec::definitions::Definitions;
use fhir_spec::json::Value;

use crate::condition::{Condition, Probe, Reach, Test};
use crate::plan::Scope;
use crate::registry::{Registry, ResourceType};
use crate::rows::{Rows, TokenRow};
use crate::table::TableKind;
use crate::{extract, folding, hash};

/// Above all numbers of resources that are stored.
const FIRST: i64 = 1 << 62;
/// A resource contains fewer than this; a document of the greatest size that is taken holds fewer.
const PLACES: i64 = 1 << 20;
/// What tells the paths of contained resources from those of stored ones.
const APART: i32 = 0x2C6B_91D3;
/// Grows when the same contained resource yields other rows.
const ROWS_VERSION: u32 = 1;

/// The number of what stands at this place of a container. None: nobody could reckon with it.
pub fn number(container: i64, place: usize) -> Option<i64> {
    let place = i64::try_from(place).ok().filter(|place| *place < PLACES)?;
    let is_room = (0..FIRST / PLACES).contains(&container);
    is_room.then(|| FIRST + container * PLACES + place)
}

/// The container of a contained resource, and its place there; None: it is a resource that is stored.
pub fn container(number: i64) -> Option<(i64, usize)> {
    let inner = number.checked_sub(FIRST).filter(|inner| *inner >= 0)?;
    let place = usize::try_from(inner % PLACES).ok()?;
    Some((inner / PLACES, place))
}

/// The last number that something of this container can have.
pub fn last(container: i64) -> Option<i64> {
    number(container, usize::try_from(PLACES - 1).ok()?)
}

/// In SQL: the number of the container of `rid`.
pub(crate) fn container_sql(rid: &str) -> String {
    format!("({rid} - {FIRST}) / {PLACES}")
}

/// Where the rows of a path are, of resources that are contained.
pub(crate) fn path(path: i32) -> i32 {
    path ^ APART
}

/// Where all contained resources of a type have a row, by their ids.
pub(crate) fn path_of_type(resource_type: &str) -> i32 {
    path(hash::short(&format!("contained {resource_type}")))
}

/// A number for all that may be asked of contained resources. With it goes the path that stands, for each type, for the
/// rows of all that its resources contain ([`marker`]).
pub(crate) fn kind_of_rows(definitions: &Definitions) -> i64 {
    let all = definitions.search_parameters().iter();
    all.fold(i64::from(ROWS_VERSION), |sum, parameter| {
        let text = format!("{} {}", parameter.url, parameter.expression);
        sum.wrapping_add(hash::long(&text))
    })
}

/// The name of that path: another one, once the rows would be others. Nothing has rows there.
pub(crate) fn marker(resource_type: &str, kind_of_rows: i64) -> String {
    format!("{resource_type}:contained {kind_of_rows:x}")
}

/// The rows of all that a resource contains, each at its place.
pub(crate) fn rows(registry: &Registry, resource: &Value, problems: &mut Vec<String>) -> Vec<Rows> {
    let all = resource.items_of("contained").iter();
    let mut contained: Vec<Rows> = all
        .map(|inner| {
            let name = inner.str_of("resourceType").unwrap_or_default();
            let known = registry.given(name);
            known.map_or_else(Rows::default, |known| {
                one(registry, known, (resource, inner), problems)
            })
        })
        .collect();
    while contained.last().is_some_and(Rows::is_empty) {
        contained.pop();
    }
    contained
}

fn one(
    registry: &Registry,
    known: &ResourceType,
    (container, inner): (&Value, &Value),
    problems: &mut Vec<String>,
) -> Rows {
    let scope = Scope {
        resource: container,
        base: registry.base(),
    };
    let mut rows = Rows::default();
    known.root.walk(inner, &scope, &mut rows);
    let told = extract::compute(registry, known, inner, |node, value| {
        node.walk(value, &scope, &mut rows);
    });
    problems.extend(told);
    rows.move_paths(path);
    rows.token.push(TokenRow {
        path: path_of_type(&known.name),
        code: folding::key(inner.str_of("id").unwrap_or_default()),
        system: 0,
    });
    rows.settle();
    rows
}

/// The name of a path of contained resources of a type, for people.
pub fn path_name(known: &ResourceType, number: i32) -> Option<String> {
    if number == path_of_type(&known.name) {
        return Some(format!("contained {}", known.name));
    }
    let name = known.path_name(path(number))?;
    Some(format!("contained {name}"))
}

/// All that is of a type and contained.
pub(crate) fn any(resource_type: &str) -> Condition {
    let path = path_of_type(resource_type);
    let any = Probe::new(TableKind::Token, path, Reach::All, Vec::new());
    Condition::Rows(vec![any])
}

/// A condition on resources of a type, asked of those that are contained.
pub(crate) fn asked(condition: Condition, resource_type: &str) -> Result<Condition, &'static str> {
    let each = |all: Vec<Condition>| {
        let all = all.into_iter().map(|inner| asked(inner, resource_type));
        all.collect::<Result<Vec<Condition>, _>>()
    };
    Ok(match condition {
        Condition::Rows(probes) => {
            let probes = probes.into_iter().map(|probe| Probe {
                path: path(probe.path),
                ..probe
            });
            Condition::Rows(probes.collect())
        }
        Condition::All(all) => Condition::All(each(all)?),
        Condition::Any(all) => Condition::Any(each(all)?),
        Condition::Not(inner) => asked(*inner, resource_type)?.negated(),
        Condition::Id(ids) => {
            let path = path_of_type(resource_type);
            let probes = ids.iter().map(|id| {
                let tests = vec![Test::equal("code", folding::key(id))];
                Probe::new(TableKind::Token, path, Reach::Some, tests)
            });
            Condition::rows(probes.collect())
        }
        // To what is stored.
        Condition::Refers(mut link) => {
            link.paths = link.paths.into_iter().map(path).collect();
            Condition::Refers(link)
        }
        Condition::IsReferred(_) => return Err("only its container refers to what is contained"),
        Condition::Updated(_) => return Err("what is contained has no time of its own"),
        Condition::Text(_) | Condition::Among(_) => {
            return Err("texts are found in whole resources, not in what they contain");
        }
        Condition::Never => Condition::Never,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::Arc;

    use super::*;

    #[test]
    fn numbers_tell_container_and_place() {
        for (container, place) in [(0, 0), (1, 0), (1, 7), (4_000_000_000_000, 1_048_575)] {
            let number = number(container, place).unwrap();
            assert_eq!(super::container(number), Some((container, place)));
        }
        assert_eq!(container(17), None);
        assert_eq!(container(-1), None);
        assert_eq!(number(1, 1 << 20), None);
        assert_eq!(number(1 << 42, 0), None);
        assert_eq!(number(-1, 0), None);
        assert!(last(1) < number(2, 0));
    }

    /// Ordinary searches would see what is contained, and the other way round.
    #[test]
    fn no_path_is_that_of_something_else() {
        let definitions = Definitions::r4().with_packages(Vec::new()).0;
        let registry = Registry::new(Arc::new(definitions));
        let mut seen = HashSet::new();
        for name in registry.definitions().resource_types() {
            let paths = registry.of(name).unwrap().paths();
            for own in &paths {
                assert!(seen.insert(*own), "{name} {own}");
                assert!(seen.insert(path(*own)), "{name} {own}");
            }
            assert!(seen.insert(path_of_type(name)), "{name}");
        }
    }
}
