//! Whatever is written, the answer is a value or an error: nothing panics, nothing hangs.

use proptest::prelude::*;
use proptest::sample::select;

use super::{PERSON, context};
use crate::definitions::Definitions;
use crate::fhirpath::functions::CHAPTERS;
use crate::fhirpath::{Expression, Item, Limits};
use crate::json::{Data, Value};

/// Enough to go wrong, little enough to be quick.
const LIMITS: Limits = Limits {
    steps_max: 20_000,
    items_max: 2_000,
    text_bytes_max: 100_000,
};

const LEAVES: &[&str] = &[
    "$this",
    "name",
    "name.given",
    "birthDate",
    "extension.value",
    "telecom.rank",
    "deceased",
    "id",
    "contained",
    "{}",
    "true",
    "false",
    "0",
    "1",
    "2147483647",
    "-1",
    "1L",
    "9223372036854775807",
    "0.1",
    "79228162514264337593543950335.0",
    "1.5",
    "''",
    "'abc'",
    "'%'",
    "'1'",
    "'(a)'",
    "'2024-02-30'",
    "'1 \\'mg\\''",
    "@2024-02-29",
    "@0001",
    "@9999-12-31",
    "@T23:59:59.999",
    "@2024-02-29T10:30:00+14:00",
    "@2024-01-01T00:00:00Z",
    "4 'mg'",
    "1 year",
    "300 months",
    "37 'Cel'",
    "1 'B'",
    "2 '%'",
    "0 'm'",
    "%context",
    "%resource",
    "$index",
    "$total",
    "descendants()",
    "now()",
    "1 'widget'",
];

const OPERATORS: &[&str] = &[
    "+", "-", "*", "/", "div", "mod", "&", "|", "<", "<=", ">", ">=", "=", "~", "!=", "!~", "in",
    "contains", "and", "or", "xor", "implies",
];

const TYPES: &[&str] = &[
    "Patient",
    "FHIR.string",
    "System.String",
    "Quantity",
    "date",
    "Element",
    "HumanName",
    "Integer",
    "Nonsense",
];

fn expression() -> impl Strategy<Value = String> {
    let functions: Vec<_> = CHAPTERS
        .iter()
        .flat_map(|chapter| chapter.iter())
        .map(|function| {
            (
                function.name,
                *function.arity.start(),
                *function.arity.end(),
                function.takes,
            )
        })
        .collect();
    let leaf = select(LEAVES).prop_map(str::to_owned);
    leaf.prop_recursive(5, 40, 4, move |inner| {
        let call = (
            inner.clone(),
            select(functions.clone()),
            prop::collection::vec(inner.clone(), 0..4),
            select(TYPES),
        );
        let call = call.prop_map(|(input, (name, least, most, takes), args, type_name)| {
            let mut args: Vec<String> = args.into_iter().take(most).collect();
            while args.len() < least {
                args.push("1".to_owned());
            }
            let is_type = takes == crate::fhirpath::functions::Takes::Type;
            let args = if is_type {
                type_name.to_owned()
            } else {
                args.join(", ")
            };
            format!("({input}).{name}({args})")
        });
        let binary = (inner.clone(), select(OPERATORS), inner.clone());
        let binary =
            binary.prop_map(|(left, operator, right)| format!("({left} {operator} {right})"));
        let typed = (inner.clone(), select(&["is", "as"][..]), select(TYPES));
        let typed = typed.prop_map(|(operand, word, name)| format!("({operand} {word} {name})"));
        let index =
            (inner.clone(), inner).prop_map(|(operand, index)| format!("({operand})[{index}]"));
        prop_oneof![4 => call, 3 => binary, 1 => typed, 1 => index]
    })
}

/// A document with something changed: a value of another kind, or gone.
fn mutated() -> impl Strategy<Value = Value> {
    (0..60_usize, 0..6_usize).prop_map(|(at, kind)| {
        let mut document = super::document(PERSON);
        let mut left = at;
        mutate(&mut document, &mut left, kind);
        document
    })
}

fn mutate(value: &mut Value, left: &mut usize, kind: usize) {
    if *left == 0 {
        value.data = match kind {
            0 => Data::Null,
            1 => Data::Bool(true),
            2 => Data::Number("1e400".into()),
            3 => Data::String("9999-99-99".into()),
            4 => Data::Array(Vec::new()),
            _ => Data::Array(vec![Data::Array(vec![Data::Null.into()]).into()]),
        };
    }
    *left = left.wrapping_sub(1);
    match &mut value.data {
        Data::Array(items) => items.iter_mut().for_each(|item| mutate(item, left, kind)),
        Data::Object(object) => object
            .iter_mut()
            .for_each(|(_, item)| mutate(item, left, kind)),
        _ => {}
    }
}

/// Bound to a type an expression says the same, unless the one or the other was cut short.
fn try_it(text: &str, document: &Value) {
    let Ok(expression) = Expression::parse(text) else {
        return;
    };
    let types = Definitions::r4().types();
    let patient = types.by_name("Patient").unwrap();
    let context = context(document).with_limits(LIMITS);
    let checked = expression.check(types, patient, true);
    assert!(checked.is_ok() || checked.is_err_and(|error| error.line > 0));
    let plain = expression.evaluate(&context);
    let bound = expression.clone().bound(types, patient).evaluate(&context);
    if let (Ok(plain), Ok(bound)) = (plain, bound) {
        let json = |items: Vec<Item<'_>>| items.iter().map(Item::to_json).collect::<Vec<_>>();
        assert_eq!(json(plain), json(bound), "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn expressions_of_the_grammar(text in expression(), document in mutated()) {
        prop_assert!(Expression::parse(&text).is_ok() || text.contains("matches") || text.contains("replaceMatches"), "{text}");
        try_it(&text, &document);
    }

    #[test]
    fn any_text(text in "\\PC{0,60}") {
        try_it(&text, &super::document(PERSON));
    }

    #[test]
    fn broken_expressions(text in expression(), cut in 0..200_usize, put in select(&["'", "(", ")", ".", "@", "%", "`", "/*", "\\", "é", "1", " "][..])) {
        let cut = text.char_indices().map(|(at, _)| at).take_while(|at| *at <= cut).last().unwrap_or(0);
        let (before, after) = text.split_at(cut);
        let skipped: String = after.chars().skip(1).collect();
        try_it(&format!("{before}{put}{after}"), &super::document(PERSON));
        try_it(&format!("{before}{skipped}"), &super::document(PERSON));
        try_it(before, &super::document(PERSON));
    }
}
