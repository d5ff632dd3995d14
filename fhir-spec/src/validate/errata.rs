//! What R4 4.0.1 says and cannot mean: invariants and contexts of extensions that its own resources break, with what
//! later versions say instead.

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

/// Extensions that the resources of the specification have in a place which their definition does not name, and that
/// place as the extension pack of HL7 names it since.
const WIDER_CONTEXTS: &[(&str, &str)] = &[
    (
        "http://hl7.org/fhir/StructureDefinition/structuredefinition-fhir-type",
        "ElementDefinition.type",
    ),
    (
        "http://hl7.org/fhir/StructureDefinition/regex",
        "ElementDefinition.type",
    ),
    // On every kind of conformance resource, and on the elements of structures.
    (
        "http://hl7.org/fhir/StructureDefinition/structuredefinition-normative-version",
        "DomainResource",
    ),
    (
        "http://hl7.org/fhir/StructureDefinition/structuredefinition-normative-version",
        "ElementDefinition",
    ),
];

pub(super) fn wider_contexts(extension: &str) -> impl Iterator<Item = &'static str> {
    WIDER_CONTEXTS
        .iter()
        .filter(move |(url, _)| *url == extension)
        .map(|(_, context)| *context)
}
