//! Composite: values that belong together, in one element. <https://hl7.org/fhir/R4/search.html#composite>

use fhir_spec::fhirpath::Context;
use fhir_spec::json::Value;

use super::criterion::can_be;
use super::{Ask, Found, Wrong, split};

/// Whether one of the elements has all components.
pub(super) fn finds<'a>(
    ask: &Ask<'_, 'a>,
    document: &'a Value,
    elements: &[Found<'a>],
    wanted: &str,
) -> Result<bool, Wrong> {
    let components = &ask.parameter.component;
    let wanted = split(wanted, '$');
    if wanted.len() != components.len() {
        return Err(format!("{} values, joined by $", components.len()));
    }
    let plain = Ask {
        modifier: None,
        ..*ask
    };
    let context = Context::new(ask.world.definitions.types(), document);
    let mut is_found = false;
    for element in elements {
        let mut has_all = true;
        for ((url, expression), wanted) in components.iter().zip(&wanted) {
            let kind = kind_of(ask, url).ok_or_else(|| format!("no {url}"))?;
            let values = ask.world.evaluate(&context, &element.item, expression);
            let mut is_one = false;
            for value in &values {
                is_one |= plain.is(fitting(kind, value), value, wanted)?;
            }
            has_all &= is_one;
        }
        is_found |= has_all;
    }
    Ok(is_found)
}

/// R4 has the components of `relationship` of a DocumentReference crossed.
fn fitting<'k>(kind: &'k str, value: &Found<'_>) -> &'k str {
    match (kind, value.kind) {
        ("token", "Reference") => "reference",
        ("reference", "code") => "token",
        _ => kind,
    }
}

/// The type of the parameter that a component is asked by.
fn kind_of<'a>(ask: &Ask<'_, 'a>, url: &str) -> Option<&'a str> {
    let all = ask.world.definitions.search_parameters().iter();
    let parameter = all.into_iter().find(|parameter| *parameter.url == *url)?;
    Some(&parameter.kind)
}

/// Whether one of the elements has a value for each component.
pub(super) fn has_value<'a>(
    ask: &Ask<'_, 'a>,
    document: &'a Value,
    elements: &[Found<'a>],
) -> bool {
    elements.iter().any(|element| {
        let components = &ask.parameter.component;
        let found = tuples(ask, document, element);
        let is_there = |(kind, values): &(&str, Vec<Found<'_>>)| {
            values.iter().any(|value| can_be(kind, value))
        };
        found.len() == components.len() && found.iter().all(is_there)
    })
}

/// The components of an element: the type of each, and its values.
pub(super) fn tuples<'a>(
    ask: &Ask<'_, 'a>,
    document: &'a Value,
    element: &Found<'a>,
) -> Vec<(&'a str, Vec<Found<'a>>)> {
    let context = Context::new(ask.world.definitions.types(), document);
    let components = ask.parameter.component.iter();
    components
        .filter_map(|(url, expression)| {
            let values = ask.world.evaluate(&context, &element.item, expression);
            let kind = kind_of(ask, url)?;
            let kind = values.first().map_or(kind, |value| fitting(kind, value));
            Some((kind, values))
        })
        .collect()
}
