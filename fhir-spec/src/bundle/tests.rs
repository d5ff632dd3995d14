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
