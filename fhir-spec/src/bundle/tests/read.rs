//! How entries are read: what is taken apart, and what is refused.

use crate::bundle::{Asked, Bundle, Entry, Kind, Method, Reading};
use crate::json::parse;
use crate::outcome::Issue;
use crate::validate::Validator;

fn take(text: &str) -> Result<Bundle, Vec<Issue>> {
    let reading = Reading {
        validator: Validator::r4(),
        source: Some(text),
        base: "http://here/fhir",
        entries_max: 3,
    };
    Bundle::take(parse(text.as_bytes()).unwrap(), &reading)
}

fn bundle(kind: &str, entries: &[&str]) -> Result<Bundle, Vec<Issue>> {
    let entries = entries.join(",");
    take(&format!(
        r#"{{"resourceType":"Bundle","type":"{kind}","entry":[{entries}]}}"#
    ))
}

fn one(entry: &str) -> Result<Entry, Vec<Issue>> {
    let mut taken = bundle("transaction", &[entry]).unwrap();
    taken.entries.pop().unwrap()
}

/// Place and text of all that is wrong.
fn told(issues: &[Issue]) -> Vec<String> {
    issues
        .iter()
        .map(|issue| {
            let place = issue.expression.as_deref().unwrap_or("-");
            format!("{place}: {}", issue.diagnostics)
        })
        .collect()
}

fn refused(entry: &str) -> String {
    told(&one(entry).unwrap_err()).join("\n")
}

fn request(method: &str, url: &str, more: &str) -> String {
    format!(r#""request":{{"method":"{method}","url":"{url}"{more}}}"#)
}

#[test]
fn an_entry_is_taken_apart() {
    let entry = one(
        r#"{"fullUrl":"urn:uuid:05efabf0-4be2-4561-91ce-51548425acb9","resource":{"resourceType":"Patient","active":true},
        "request":{"method":"POST","url":"Patient","ifNoneExist":"?identifier=s|1"}}"#,
    )
    .unwrap();
    assert_eq!(entry.request.method, Method::Post);
    assert_eq!(entry.request.address.asked, Asked::Type("Patient".into()));
    assert_eq!(
        entry.request.if_none_exist.as_deref(),
        Some("identifier=s|1")
    );
    assert!(entry.full_url.unwrap().starts_with("urn:uuid:05"));
    assert_eq!(
        entry.resource.unwrap().to_string(),
        r#"{"resourceType":"Patient","active":true}"#
    );
}

#[test]
fn urls_are_taken_apart() {
    let asked = |url: &str| {
        let entry = one(&format!("{{{}}}", request("GET", url, ""))).unwrap();
        let address = entry.request.address;
        (address.asked, address.query.map(String::from))
    };
    let patient = || "Patient".into();
    for url in ["Patient/1", "/Patient/1", "http://here/fhir/Patient/1"] {
        assert_eq!(
            asked(url),
            (Asked::Instance(patient(), "1".into()), None),
            "{url}"
        );
    }
    for (url, path) in [
        ("Patient", Asked::Type(patient())),
        (
            "Patient/1/_history/2",
            Asked::Version(patient(), "1".into(), "2".into()),
        ),
        ("_history", Asked::History(None, None)),
        ("Patient/_history", Asked::History(Some(patient()), None)),
        (
            "Patient/1/_history",
            Asked::History(Some(patient()), Some("1".into())),
        ),
        (
            "Patient/1/Observation",
            Asked::Compartment(patient(), "1".into(), "Observation".into()),
        ),
        (
            "Patient/1/*",
            Asked::Compartment(patient(), "1".into(), "*".into()),
        ),
        ("Patient/_search", Asked::Search(Some(patient()))),
        ("metadata", Asked::Metadata),
        (
            "Patient/1/$everything",
            Asked::Operation {
                resource_type: Some(patient()),
                id: Some("1".into()),
                code: "everything".into(),
            },
        ),
    ] {
        assert_eq!(asked(url), (path, None), "{url}");
    }
    assert_eq!(
        asked("Patient?identifier=http://a.b/c|d&x=y"),
        (
            Asked::Type(patient()),
            Some("identifier=http://a.b/c|d&x=y".to_owned())
        )
    );
    assert_eq!(asked("?_type=Patient").0, Asked::System);
}

#[test]
fn an_address_that_is_none_is_refused_with_its_place() {
    let patient = r#""resource":{"resourceType":"Patient","id":"1"}"#;
    check([
        (format!("{{{patient}}}"), "request: an entry"),
        (
            format!("{{{},{patient}}}", request("GRAB", "Patient/1", "")),
            "request.method: ",
        ),
        (
            format!("{{{}}}", request("GET", "Elephant/1", "")),
            "request.url: `Elephant` is not a resource type",
        ),
        (
            format!("{{{}}}", request("GET", "Patient/1#name", "")),
            "request.url: `Patient/1#name` has a fragment",
        ),
        (
            format!("{{{}}}", request("GET", "http://there/fhir/Patient/1", "")),
            "request.url: ",
        ),
        (
            format!("{{{}}}", request("GET", "urn:uuid:1", "")),
            "request.url: ",
        ),
        (
            format!("{{{}}}", request("GET", "Patient/a_b", "")),
            "request.url: `a_b` is no id",
        ),
        (
            format!("{{{}}}", request("GET", "Patient/1/x/y/z", "")),
            "request.url: ",
        ),
        (
            format!("{{{}}}", request("POST", "Patient", "")),
            "resource: POST needs a resource",
        ),
        (
            format!("{{{},{patient}}}", request("POST", "Observation", "")),
            "resource: the address is for a Observation",
        ),
        (
            format!("{{{},{patient}}}", request("POST", "Patient/1", "")),
            "request.url: POST goes to a type",
        ),
        (
            format!("{{{},{patient}}}", request("POST", "Patient?a=b", "")),
            "request.url: the criteria",
        ),
        (
            format!("{{{},{patient}}}", request("POST", "", "")),
            "request.url: ",
        ),
    ]);
}

#[test]
fn what_does_not_go_together_is_refused_with_its_place() {
    let patient = r#""resource":{"resourceType":"Patient","id":"1"}"#;
    check([
        (
            format!("{{{},{patient}}}", request("PUT", "Patient/2", "")),
            "resource.id: the resource has the id `1`",
        ),
        (
            format!(
                r#"{{{},"resource":{{"resourceType":"Patient"}}}}"#,
                request("PUT", "Patient/2", "")
            ),
            "resource.id: the resource has no id",
        ),
        (
            format!("{{{},{patient}}}", request("PUT", "Patient", "")),
            "request.url: without an id",
        ),
        (
            format!("{{{},{patient}}}", request("PUT", "Patient/1?a=b", "")),
            "request.url: an address has an id or criteria",
        ),
        (
            format!("{{{},{patient}}}", request("PATCH", "Patient/1", "")),
            "resource: a PATCH has Parameters",
        ),
        (
            format!("{{{}}}", request("DELETE", "Patient/1/_history/2", "")),
            "request.url: PUT, PATCH and DELETE",
        ),
        (
            format!(
                "{{{}}}",
                request("GET", "Patient/1", r#","ifMatch":"W/\"1\"""#)
            ),
            "request.ifMatch: ",
        ),
        (
            format!(
                "{{{},{patient}}}",
                request("POST", "Patient", r#","ifNoneExist":"?""#)
            ),
            "request.ifNoneExist: ifNoneExist has no criteria",
        ),
        (
            format!(
                "{{{},{patient}}}",
                request("PUT", "Patient/1", r#","ifNoneExist":"a=b""#)
            ),
            "request.ifNoneExist: ",
        ),
    ]);
}

#[test]
fn a_full_url_is_absolute_and_agrees() {
    let patient = r#""resource":{"resourceType":"Patient","id":"1"}"#;
    check([
        (
            format!(
                r#"{{"fullUrl":"Patient/1",{},{patient}}}"#,
                request("PUT", "Patient/1", "")
            ),
            "fullUrl: a full url is absolute",
        ),
        (
            format!(
                r#"{{"fullUrl":"http://h/Patient/9",{},{patient}}}"#,
                request("PUT", "Patient/1", "")
            ),
            "fullUrl: the full url `http://h/Patient/9` disagrees",
        ),
        (
            format!(
                r#"{{"fullUrl":"http://h/Patient/1/_history/1",{},{patient}}}"#,
                request("PUT", "Patient/1", "")
            ),
            "fullUrl: a full url names no version",
        ),
        (
            format!(
                r#"{{"whatever":1,{},{patient}}}"#,
                request("PUT", "Patient/1", "")
            ),
            "-: unknown property `whatever`",
        ),
        (
            format!(r#"{{"resource":[],{}}}"#, request("PUT", "Patient/1", "")),
            "resource: expected a resource",
        ),
    ]);
}

/// Entries, and the place and beginning of what is said of them.
fn check<const N: usize>(cases: [(String, &str); N]) {
    for (entry, expected) in cases {
        let found = refused(&entry);
        let expected = match expected.strip_prefix("-: ") {
            Some(expected) => format!("Bundle.entry[0]: {expected}"),
            None => format!("Bundle.entry[0].{expected}"),
        };
        assert!(found.contains(&expected), "{entry}\n{found}\n{expected}");
    }
}

#[test]
fn everything_is_told_at_once_and_a_batch_keeps_what_is_right() {
    let entries = [
        r#"{"request":{"method":"POST","url":"Patient"}}"#,
        r#"{"request":{"method":"GET","url":"Patient/1"}}"#,
        r#"{"resource":{"resourceType":"Patient"},"request":{"method":"PUT","url":"Observation/1","ifMatch":7}}"#,
    ];
    let all = bundle("transaction", &entries).unwrap().all();
    let all = told(&all.unwrap_err());
    assert_eq!(all.len(), 3, "{all:#?}");
    assert!(all[0].starts_with("Bundle.entry[0].resource: "));
    assert!(
        all.iter()
            .any(|issue| issue.starts_with("Bundle.entry[2].request.ifMatch: "))
    );
    assert!(
        all.iter()
            .any(|issue| issue.starts_with("Bundle.entry[2].resource: "))
    );
    let batch = bundle("batch", &entries).unwrap();
    assert_eq!(batch.kind, Kind::Batch);
    let right: Vec<bool> = batch.entries.iter().map(Result::is_ok).collect();
    assert_eq!(right, [false, true, false]);
}

#[test]
fn a_full_url_stands_once() {
    let entry = |url: &str, version: &str| {
        format!(
            r#"{{"fullUrl":"{url}","resource":{{"resourceType":"Patient","meta":{{"versionId":"{version}"}}}},"request":{{"method":"POST","url":"Patient"}}}}"#
        )
    };
    let lower = entry("urn:uuid:05efabf0-4be2-4561-91ce-51548425acb9", "1");
    let upper = entry("URN:UUID:05EFABF0-4be2-4561-91ce-51548425acb9", "2");
    let wrong = bundle("transaction", &[&lower, &upper]).unwrap().all();
    let wrong = told(&wrong.unwrap_err());
    assert!(
        wrong[0].starts_with("Bundle.entry[1].fullUrl: another entry"),
        "{wrong:?}"
    );
    assert!(bundle("batch", &[&lower, &upper]).unwrap().all().is_ok());
    assert!(bundle("batch", &[&lower, &lower]).unwrap().all().is_err());
}

#[test]
fn what_is_no_batch_or_transaction_is_refused_as_a_whole() {
    for (text, expected) in [
        (
            r#"{"resourceType":"Bundle","type":"collection"}"#,
            "Bundle.type: ",
        ),
        (r#"{"resourceType":"Bundle"}"#, "Bundle.type: "),
        (r#"{"resourceType":"Patient"}"#, "-: this address"),
        ("[]", "-: expected a Bundle"),
        (
            r#"{"resourceType":"Bundle","type":"batch","entry":{}}"#,
            "Bundle.entry",
        ),
        (
            r#"{"resourceType":"Bundle","type":"batch","wrong":1}"#,
            "Bundle: unknown property `wrong`",
        ),
    ] {
        let found = told(&take(text).unwrap_err()).join("\n");
        assert!(found.contains(expected), "{text}\n{found}");
    }
    let entry = r#"{"request":{"method":"GET","url":"Patient/1"}}"#;
    assert!(bundle("batch", &[entry; 3]).is_ok());
    let found = told(&bundle("batch", &[entry; 4]).unwrap_err());
    assert_eq!(
        found,
        ["Bundle.entry: the bundle has 4 entries, the limit is 3"]
    );
    let empty = take(r#"{"resourceType":"Bundle","type":"transaction"}"#).unwrap();
    assert!(empty.entries.is_empty());
}

#[test]
fn the_example_of_the_specification_is_understood() {
    let entries = [
        r#"{"request":{"method":"DELETE","url":"Patient?identifier=123456"}}"#,
        r#"{"fullUrl":"urn:uuid:79378cb8-8f58-48e8-a5e8-60ac2755b674","resource":{"resourceType":"Parameters",
            "parameter":[{"name":"coding","valueCoding":{"system":"http://loinc.org","code":"1963-8"}}]},
            "request":{"method":"POST","url":"ValueSet/$lookup"}}"#,
        r#"{"request":{"method":"GET","url":"Patient/12334","ifNoneMatch":"W/\"4\"","ifModifiedSince":"2015-08-31T08:14:33+10:00"}}"#,
    ];
    let entries = bundle("transaction", &entries).unwrap().all().unwrap();
    assert_eq!(
        entries[0].request.address.criteria(),
        Some("identifier=123456")
    );
    assert_eq!(entries[2].request.if_none_match.as_deref(), Some("W/\"4\""));
}
