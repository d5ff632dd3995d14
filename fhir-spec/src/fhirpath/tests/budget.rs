//! Nothing costs more than it may.

use super::{context, document, evaluate};
use crate::fhirpath::{Context, ErrorKind, Limits};

const SMALL: Limits = Limits {
    steps_max: 5_000,
    items_max: 500,
    text_bytes_max: 10_000,
};

#[test]
fn what_would_cost_too_much_is_refused() {
    let patient = document(super::PERSON);
    let context = context(&patient).with_limits(SMALL);
    let long = format!("'{}'", "x".repeat(4_000));
    for expression in [
        // Steps: loops within loops.
        "(1|2|3|4|5|6|7|8|9).select((1|2|3|4|5|6|7|8|9).select((1|2|3|4|5|6|7|8|9).select($this + 1))).count()",
        // Items: a collection doubled again and again.
        "name.combine(name).repeat($this.given)\u{20}.combine(name).select(%context.descendants()).select(%context.descendants()).select(%context.descendants())",
        // A sequence that never ends.
        "1.repeat($this + 1)",
        // Text that doubles.
        &format!("{long}.replace('x', 'xxxx')"),
        &format!("{long}.replaceMatches('x', '$0$0$0$0$0')"),
        &format!("({long} & {long}) & ({long} & {long})"),
        &format!("{long}.toChars()"),
        &format!("{long}.split('x')"),
        &format!("{long}.encode('hex').encode('hex')"),
    ] {
        let error = evaluate(&context, expression).expect_err(expression);
        assert_eq!(error.kind, ErrorKind::Budget, "{expression}: {error}");
    }
}

/// The deepest expression that is read is also evaluated, on the smallest stack that a thread has.
#[test]
fn the_deepest_expressions_fit_a_small_stack() {
    let deepest = |open: &str, middle: &str, close: &str| {
        let nested = |levels: usize| open.repeat(levels) + middle + &close.repeat(levels);
        (1..200)
            .map(nested)
            .take_while(|text| crate::fhirpath::Expression::parse(text).is_ok())
            .last()
            .unwrap()
    };
    let expressions = [
        deepest("(", "1", ")"),
        deepest("-", "1", ""),
        deepest("iif(true, ", "1", ")"),
        deepest("name.where(", "true", ")"),
        deepest("name.select(given.where(", "$this = 'x'", "))"),
        deepest("1 + (", "1", ")"),
        deepest("name.aggregate(", "1", ", 0)"),
        deepest("(1 | ", "1", ").count()"),
    ];
    let run = move || {
        let patient = document(super::PERSON);
        let context = context(&patient);
        for expression in &expressions {
            // A value or an error, either is fine: the stack holds.
            drop(evaluate(&context, expression));
        }
    };
    std::thread::Builder::new()
        .stack_size(1024 * 1024)
        .spawn(run)
        .unwrap()
        .join()
        .unwrap();
}

#[test]
fn regular_expressions_take_linear_time() {
    let document = document("{}");
    let context = Context::untyped(&document);
    let text = "a".repeat(30_000);
    assert!(evaluate(&context, &format!("'{text}!'.matches('^(a+)+$')")).is_ok());
    for pattern in [r"a{1000}{1000}{1000}", r"(\\1)", "(?=x)"] {
        assert!(
            evaluate(&context, &format!("'x'.matches('{pattern}')")).is_err(),
            "{pattern}"
        );
    }
}
