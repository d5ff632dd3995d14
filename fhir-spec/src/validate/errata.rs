//! Invariants of R4 4.0.1 whose expressions cannot mean what they say, with the expression that does.

/// The expression as published, and as later versions of FHIR corrected it.
const CORRECTED: &[(&str, &str)] = &[
    // que-12: its own words are "if there are more than one enableWhen"; R5 says `> 1`.
    (
        "enableWhen.count() > 2 implies enableBehavior.exists()",
        "enableWhen.count() > 1 implies enableBehavior.exists()",
    ),
    // que-7: no FHIR element is a System.Boolean; R4B and R5 say `boolean`.
    (
        "operator = 'exists' implies (answer is Boolean)",
        "operator = 'exists' implies (answer is boolean)",
    ),
];

pub(super) fn corrected(expression: &str) -> &str {
    CORRECTED
        .iter()
        .find(|(published, _)| *published == expression)
        .map_or(expression, |(_, corrected)| corrected)
}
