//! Which of two things that messages say of a resource holds: the later one, and of results the one that is further on.

use fhir_spec::json::Value;

use crate::instant::Instant;

/// What is said, and of when it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told<'t> {
    pub(super) document: &'t Value,
    /// None: nobody knows.
    pub(super) at: Option<Instant>,
}

/// Why what is said comes too late; None: it holds.
pub(super) fn is_late(stored: Told<'_>, said: Told<'_>) -> Option<String> {
    let is_older = match (stored.at, said.at) {
        (Some(stored), Some(said)) => said < stored,
        _ => false,
    };
    let (known, new) = (status(stored.document), status(said.document));
    if let (Some(known), Some(new)) = (known, new) {
        let (rank, new_rank) = (rank(known), rank(new));
        // What could not be obtained was obtained after all.
        let is_obtained = known == "cancelled" && new == "final" && !is_older;
        if new_rank > rank || is_obtained {
            return None;
        }
        if new_rank < rank {
            return Some(format!("what is stored is {known}, this is {new}"));
        }
    }
    match (stored.at, said.at) {
        (Some(stored), Some(said)) if said < stored => Some(format!(
            "what is stored was so at {stored}, this is of {said}"
        )),
        _ => None,
    }
}

/// Of results alone: they go from one status to the next and not back.
fn status(document: &Value) -> Option<&str> {
    let is_result = matches!(
        document.str_of("resourceType"),
        Some("Observation" | "DiagnosticReport")
    );
    document.str_of("status").filter(|_| is_result)
}

/// <https://hl7.org/fhir/R4/valueset-observation-status.html>
fn rank(status: &str) -> u8 {
    match status {
        "registered" => 0,
        "partial" | "preliminary" => 1,
        "final" => 2,
        "amended" | "corrected" | "appended" | "cancelled" | "entered-in-error" => 3,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use fhir_spec::json::parse;

    use super::*;

    fn late(stored: (&str, Option<i64>), said: (&str, Option<i64>)) -> bool {
        let document = |status: &str| {
            let text = format!(r#"{{"resourceType":"Observation","status":"{status}"}}"#);
            parse(text.as_bytes()).unwrap()
        };
        let (known, new) = (document(stored.0), document(said.0));
        let told = |document, at: Option<i64>| Told {
            document,
            at: at.map(Instant::from_micros),
        };
        is_late(told(&known, stored.1), told(&new, said.1)).is_some()
    }

    #[test]
    fn results_go_on_and_not_back() {
        for (stored, said, expected) in [
            ("preliminary", "final", false),
            ("final", "preliminary", true),
            ("final", "corrected", false),
            ("corrected", "final", true),
            ("final", "cancelled", false),
            ("cancelled", "final", false),
            ("entered-in-error", "final", true),
            ("corrected", "corrected", false),
        ] {
            assert_eq!(
                late((stored, Some(1)), (said, Some(2))),
                expected,
                "{stored} {said}"
            );
        }
        // A correction counts however late it comes; of two that are as far on, the later one.
        assert!(!late(("final", Some(2)), ("corrected", Some(1))));
        assert!(late(("final", Some(2)), ("final", Some(1))));
        assert!(late(("cancelled", Some(2)), ("final", Some(1))));
        assert!(!late(("final", Some(2)), ("final", Some(2))));
        assert!(!late(("final", None), ("final", Some(1))));
        assert!(!late(("final", Some(1)), ("final", None)));
    }

    #[test]
    fn the_status_of_others_is_no_order() {
        let visit = parse(br#"{"resourceType":"Encounter","status":"finished"}"#).unwrap();
        let back = parse(br#"{"resourceType":"Encounter","status":"in-progress"}"#).unwrap();
        let told = |document, at| Told {
            document,
            at: Some(Instant::from_micros(at)),
        };
        assert!(is_late(told(&visit, 1), told(&back, 2)).is_none());
        assert!(is_late(told(&visit, 2), told(&back, 1)).is_some());
    }
}
