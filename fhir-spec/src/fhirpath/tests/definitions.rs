//! Every expression that R4 itself contains can be read, bound and checked.

use crate::definitions::{Definitions, Kind};
use crate::fhirpath::{Context, Expression};
use crate::json::{Object, Value};

#[test]
fn invariants_of_r4() {
    let types = Definitions::r4().types();
    let mut count = 0;
    for definition in types.iter() {
        let own = definition
            .constraints
            .iter()
            .map(|constraint| (definition.id, constraint));
        let of_elements = definition
            .elements
            .iter()
            .flat_map(|element| {
                element
                    .types
                    .iter()
                    .map(move |type_ref| (type_ref.id, element))
            })
            .flat_map(|(id, element)| {
                element
                    .constraints
                    .iter()
                    .map(move |constraint| (id, constraint))
            });
        for (id, constraint) in own.chain(of_elements) {
            let expression = Expression::parse(&constraint.expression).unwrap_or_else(|error| {
                panic!("{}: {}: {error}", constraint.key, constraint.expression)
            });
            drop(expression.bound(types, id));
            count += 1;
        }
    }
    assert!(count > 900, "{count}");
}

#[test]
fn search_parameters_of_r4() {
    let definitions = Definitions::r4();
    let types = definitions.types();
    let nothing = Value::from(Object::new());
    for parameter in definitions
        .search_parameters()
        .iter()
        .filter(|parameter| !parameter.expression.is_empty())
    {
        for base in &parameter.base {
            let id = types.by_name(base).unwrap();
            let expression = Expression::for_search(&parameter.expression, types, id)
                .unwrap_or_else(|error| panic!("{}: {error}", parameter.url));
            assert!(expression.evaluate(&Context::new(types, &nothing)).is_ok());
            assert_eq!(types.get(id).kind, Kind::Resource);
        }
    }
}

/// Bound to an abstract type an expression still finds what the resource itself has.
#[test]
fn an_abstract_type_leaves_it_open() {
    let types = Definitions::r4().types();
    let document = super::document(super::PERSON);
    let expression =
        Expression::parse("Observation.code | Patient.name.family | contained.name").unwrap();
    for name in ["Resource", "DomainResource", "Patient"] {
        let bound = expression
            .clone()
            .bound(types, types.by_name(name).unwrap());
        let found = bound.evaluate(&Context::new(types, &document)).unwrap();
        assert_eq!(found.len(), 2, "{name}");
    }
}

/// `as` filters there: two components with quantities are two values, no error.
#[test]
fn parameters_find_many_values() {
    let types = Definitions::r4().types();
    let document = super::document(
        r#"{"resourceType": "Observation", "component": [
            {"valueQuantity": {"value": 1}}, {"valueString": "x"}, {"valueQuantity": {"value": 2}}],
            "subject": {"reference": "Patient/1"}, "focus": [{"reference": "Group/1"}, {"reference": "https://h.org/Patient/2"}]}"#,
    );
    let id = types.by_name("Observation").unwrap();
    let count = |text: &str| {
        let expression = Expression::for_search(text, types, id).unwrap();
        expression
            .evaluate(&Context::new(types, &document))
            .unwrap()
            .len()
    };
    assert_eq!(count("(Observation.component.value as Quantity)"), 2);
    assert_eq!(count("Observation.component.value.as(Quantity)"), 2);
    assert_eq!(
        count("AllergyIntolerance.patient | Observation.subject.where(resolve() is Patient)"),
        1
    );
    assert_eq!(count("Observation.focus.where(resolve() is Patient)"), 1);
    assert_eq!(count("Observation.focus.where(resolve().is(Group))"), 1);
    assert_eq!(count("Observation.focus.resolve()"), 0);
}
