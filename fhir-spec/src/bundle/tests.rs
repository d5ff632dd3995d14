mod links;
mod read;

use super::*;

fn methods(codes: &[&str]) -> Vec<Method> {
    codes
        .iter()
        .map(|code| Method::named(code).unwrap())
        .collect()
}

#[test]
fn a_transaction_has_an_order_of_its_own() {
    let order = in_order(methods(&[
        "GET", "PATCH", "POST", "DELETE", "PUT", "POST", "HEAD", "DELETE",
    ]));
    assert_eq!(order, [3, 7, 2, 5, 1, 4, 0, 6]);
    assert_eq!(Method::named("get"), None);
}

#[test]
fn one_resource_has_one_entry() {
    let changed = [
        (0, "Patient", "1"),
        (1, "Observation", "1"),
        (2, "Patient", "2"),
        (5, "Patient", "1"),
    ];
    assert!(overlaps(changed.into_iter().take(3)).is_empty());
    let issues = overlaps(changed);
    assert_eq!(issues.len(), 1);
    let issue = issues.first().unwrap();
    assert_eq!(issue.expression.as_deref(), Some("Bundle.entry[5].request"));
    assert!(issue.diagnostics.contains("entries 0 and 5"));
}

#[test]
fn issues_of_a_resource_are_told_of_the_bundle() {
    let told = |expression: &str| {
        let issue = crate::Issue::error(crate::IssueCode::Value, "x").at(expression);
        within(7, issue).expression.unwrap()
    };
    assert_eq!(
        told("Patient.name[0].given"),
        "Bundle.entry[7].resource.name[0].given"
    );
    assert_eq!(told("Patient"), "Bundle.entry[7].resource");
}

#[test]
fn an_answer_is_a_bundle_of_fhir() {
    let mut bundle = ResponseBundle::new(Kind::Transaction, 0);
    bundle.push(&Response {
        status: "201 Created",
        location: Some("Patient/1/_history/1"),
        version: Some(1),
        last_modified: Some("2024-01-01T00:00:00.000Z"),
        ..Response::default()
    });
    let outcome = crate::outcome::operation_outcome(&[]);
    bundle.push(&Response {
        status: "200 OK",
        full_url: Some("http://h/fhir/Patient/2"),
        resource: Some(r#"{"resourceType":"Patient","id":"2"}"#),
        ..Response::default()
    });
    bundle.push(&Response {
        status: "404 Not Found",
        outcome: Some(&outcome),
        ..Response::default()
    });
    let text = bundle.finish();
    let document = crate::json::parse(text.as_bytes()).unwrap();
    let issues =
        crate::validate::Validator::r4().validate(&document, &crate::validate::Request::default());
    assert!(!issues.iter().any(crate::Issue::is_error), "{issues:?}");
    let etag = document.items_of("entry")[0].get("response").unwrap();
    assert_eq!(etag.str_of("etag"), Some("W/\"1\""));
    assert_eq!(
        ResponseBundle::new(Kind::Batch, 0).finish(),
        r#"{"resourceType":"Bundle","type":"batch-response"}"#
    );
}
