//! A visit that is over: who does not say that its end is no more does not open it again.

use std::borrow::Cow;

use fhir_spec::json::Value;

/// The status of a visit that somebody is in, or is to be in.
const OPEN: [&str; 5] = ["planned", "arrived", "triaged", "in-progress", "onleave"];

/// What a message says of a visit that is over. An update (A08) tells of the patient, and where the patient was; it has no
/// word for "still discharged". A cancelled discharge and a new admission say that the end is no more, and are heard whole.
pub(super) fn over<'s>(
    stored: &Value,
    said: Cow<'s, Value>,
    deletes: &[Box<str>],
) -> Cow<'s, Value> {
    let is_over = stored.str_of("resourceType") == Some("Encounter")
        && stored.str_of("status") == Some("finished");
    let opens = said
        .str_of("status")
        .is_some_and(|status| OPEN.contains(&status));
    if !is_over || !opens || deletes.iter().any(|path| &**path == "period.end") {
        return said;
    }
    let mut said = said.into_owned();
    if let Some(visit) = said.as_object_mut() {
        visit.remove("status");
        let places = visit.get_mut("location").and_then(Value::as_array_mut);
        for place in places.into_iter().flatten() {
            let is_there = matches!(place.str_of("status"), Some("active" | "planned"));
            if let (true, Some(place)) = (is_there, place.as_object_mut()) {
                place.set("status", "completed");
            }
        }
    }
    Cow::Owned(said)
}

#[cfg(test)]
mod tests {
    use fhir_spec::json::parse;

    use super::*;

    fn said(stored: &str, said: &str, deletes: &[&str]) -> String {
        let read = |text: &str| parse(text.as_bytes()).unwrap();
        let deletes: Vec<Box<str>> = deletes.iter().map(|path| (*path).into()).collect();
        let stored = read(stored);
        over(&stored, Cow::Owned(read(said)), &deletes).to_string()
    }

    #[test]
    fn only_who_takes_the_end_away_opens_a_visit() {
        let finished = r#"{"resourceType":"Encounter","status":"finished"}"#;
        let open = r#"{"resourceType":"Encounter","status":"in-progress","location":[{"status":"active"}]}"#;
        assert_eq!(
            said(finished, open, &[]),
            r#"{"resourceType":"Encounter","location":[{"status":"completed"}]}"#
        );
        assert_eq!(said(finished, open, &["period.end"]), open);
        assert_eq!(said(open, open, &[]), open);
        let wrong = r#"{"resourceType":"Encounter","status":"entered-in-error"}"#;
        assert_eq!(said(finished, wrong, &[]), wrong);
    }
}
