//! What becomes of parameters that users post.

use fhir_spec::json::{Value, parse};

use super::*;
use crate::extract;
use crate::registry::tests::r4;
use crate::registry::unready::{Remake, Unready};

fn parameter(code: &str, kind: &str, expression: &str) -> Value {
    let text = format!(
        r#"{{"resourceType": "SearchParameter", "url": "http://x/{code}", "status": "active", "code": "{code}",
            "type": "{kind}", "base": ["Patient"], "expression": "{expression}"}}"#
    );
    parse(text.as_bytes()).unwrap()
}

fn with(parameters: &[Value]) -> Registry {
    let own = parameters.iter().enumerate();
    let own = own.filter_map(|(id, resource)| OwnParameter::of(&id.to_string(), resource));
    r4().with_own(own.collect())
}

fn told(registry: &Registry, resource: &Value) -> Vec<String> {
    let issues = registry.check("new", resource).into_iter();
    let told = issues.map(|issue| format!("{}: {}", issue.expression.unwrap(), issue.diagnostics));
    told.collect()
}

#[test]
fn known_paths_need_no_rows() {
    let registry = with(&[parameter("clan", "string", "Patient.name.family")]);
    let patient = registry.of("Patient").unwrap();
    assert_eq!(patient.paths(), r4().of("Patient").unwrap().paths());
    assert_eq!(registry.fingerprint(), r4().fingerprint());
    assert_eq!(
        patient.parameter("clan").unwrap().sources,
        patient.parameter("family").unwrap().sources
    );
    let registry = with(&[parameter("nick", "string", "Patient.contact.name")]);
    assert_ne!(registry.fingerprint(), r4().fingerprint());
}

#[test]
fn any_expression_is_served() {
    let patient = br#"{"resourceType": "Patient", "name": [{"use": "old", "family": "A"}, {"use": "official", "family": "B"}],
        "extension": [{"url": "http://e/s", "valueString": "s"}, {"url": "http://e/q", "valueQuantity": {"value": 3}}],
        "birthDate": "2000-01-01"}"#;
    let patient = parse(patient).unwrap();
    for (kind, expression) in [
        (
            "string",
            "Patient.name.where(use = 'official' and family.exists()).family",
        ),
        ("string", "Patient.extension('http://e/s').value"),
        (
            "string",
            "Patient.extension.where(url = 'http://e/s').value.ofType(string)",
        ),
        (
            "string",
            "Patient.name.first().family | Practitioner.name.first().family",
        ),
        ("quantity", "Patient.extension('http://e/q').value"),
        ("token", "Patient.name.exists()"),
        ("date", "Patient.birthDate.first()"),
        ("number", "Patient.name.count()"),
    ] {
        let resource = parameter("own", kind, expression);
        assert_eq!(told(&r4(), &resource), [""; 0], "{expression}");
        let registry = with(&[resource]);
        let own = registry.of("Patient").unwrap().parameter("own").unwrap();
        let rows = extract::rows(&registry, &patient);
        assert_eq!(rows.problems, [""; 0]);
        let mut found = 0;
        for table in crate::table::ALL {
            rows.rows.each(table.kind, |values| {
                let is_own = |path| values.first() == Some(&crate::table::Value::Int(path));
                found += usize::from(own.sources.iter().any(|own| is_own(own.path.into())));
            });
        }
        assert_eq!(found, 1, "{expression}");
    }
}

#[test]
fn what_cannot_be_served_is_refused() {
    for (code, kind, expression, expected) in [
        (
            "own",
            "string",
            "Patient.nonsense",
            "SearchParameter.expression: `Patient` has no element `nonsense`",
        ),
        (
            "own",
            "date",
            "Patient.gender",
            "SearchParameter.expression: `Patient.gender` is a code, which no date search can take",
        ),
        (
            "own",
            "string",
            "Observation.code",
            "SearchParameter.expression: `Observation.code` leads to nothing in a Patient",
        ),
        (
            "own",
            "string",
            "",
            "SearchParameter.expression: without an expression nothing can be found",
        ),
        (
            "a.b",
            "string",
            "Patient.name",
            "SearchParameter.code: a code that can be asked for has letters, digits, `-` and `_`",
        ),
        (
            "_sort",
            "string",
            "Patient.name",
            "SearchParameter.code: `_sort` means something else in every search",
        ),
    ] {
        let resource = parameter(code, kind, expression);
        assert_eq!(told(&r4(), &resource), [expected]);
    }
    let issues = told(
        &r4(),
        &parameter("own", "string", "Patient.name.where(famly.exists()).given"),
    );
    assert!(
        matches!(&*issues, [one] if one.contains("famly")),
        "{issues:?}"
    );
}

#[test]
fn a_code_has_one_meaning() {
    // The code of another parameter, with another meaning, with the same one, and derived from it.
    let other = parameter("gender", "token", "Patient.active");
    let issues = told(&r4(), &other);
    assert!(
        matches!(&*issues, [one] if one.starts_with("SearchParameter.code") && one.contains("already")),
        "{issues:?}"
    );
    assert_eq!(
        told(&r4(), &parameter("gender", "token", "Patient.gender")),
        [""; 0]
    );
    let mut derived = other.clone();
    let url = r4()
        .of("Patient")
        .unwrap()
        .parameter("gender")
        .unwrap()
        .url
        .clone();
    derived
        .as_object_mut()
        .unwrap()
        .set("derivedFrom", Value::from(&*url));
    assert_eq!(told(&r4(), &derived), [""; 0]);
    // Under the same url it takes the place.
    let mut instead = other;
    instead
        .as_object_mut()
        .unwrap()
        .set("url", Value::from(&*url));
    assert_eq!(told(&r4(), &instead), [""; 0]);
    // Two that were posted.
    let mine = with(&[parameter("own", "token", "Patient.active")]);
    assert_eq!(
        told(&mine, &parameter("own", "token", "Patient.deceased")).len(),
        1
    );
    assert_eq!(
        mine.check("0", &parameter("own", "token", "Patient.deceased")),
        []
    );
}

#[test]
fn drafts_have_no_effect() {
    let mut draft = parameter("own", "string", "Patient.nonsense");
    draft
        .as_object_mut()
        .unwrap()
        .set("status", Value::from("draft"));
    assert_eq!(told(&r4(), &draft), [""; 0]);
    assert_eq!(with(&[draft]).own(), []);
}

#[test]
fn what_is_in_the_making_is_not_searched_by_whatever_road() {
    use crate::query::{Handling, Settings, parse};
    let registry = with(&[
        parameter("nick", "string", "Patient.contact.name"),
        parameter(
            "boss",
            "reference",
            "Patient.extension('http://e/boss').value",
        ),
    ]);
    let known = r4().of("Patient").unwrap().paths();
    let patient = registry.of("Patient").unwrap();
    let remake = Remake {
        paths: patient.paths().difference(&known).copied().collect(),
        done: 1,
        total: 3,
    };
    let registry = registry.with_unready(Unready::from([("Patient".into(), remake)]));
    let ask = |resource_type: &str, name: &str, value: &str, handling| {
        let settings = Settings { handling, now: 0 };
        parse(
            &registry,
            resource_type,
            &[(name.into(), value.into())],
            settings,
        )
    };
    for (resource_type, name, value) in [
        ("Patient", "nick", "a"),
        ("Patient", "nick:missing", "true"),
        ("Patient", "_sort", "-nick"),
        ("Patient", "boss:Patient.name", "a"),
        ("Patient", "_include", "Patient:boss"),
        ("Patient", "_include", "Patient:*"),
        ("Practitioner", "_revinclude", "Patient:boss"),
        ("Practitioner", "_has:Patient:boss:name", "a"),
        (
            "Practitioner",
            "_has:Patient:general-practitioner:nick",
            "a",
        ),
        ("Observation", "subject:Patient.nick", "a"),
    ] {
        for handling in [Handling::Strict, Handling::Lenient] {
            let issues = ask(resource_type, name, value, handling).unwrap_err();
            assert_eq!(issues[0].code, IssueCode::Incomplete, "{name}");
            assert!(
                issues[0].diagnostics.contains("33 %"),
                "{}",
                issues[0].diagnostics
            );
        }
    }
    assert!(ask("Patient", "name", "a", Handling::Strict).is_ok());
    let ready: Vec<&str> = registry
        .ready_parameters(patient)
        .map(|one| &*one.code)
        .collect();
    assert!(ready.contains(&"name") && !ready.contains(&"nick"));
}

#[test]
fn definitions_may_allow_less() {
    use crate::query::{Handling, Settings, parse};
    let mut narrow = parameter("born", "date", "Patient.birthDate");
    let members = narrow.as_object_mut().unwrap();
    members.set("multipleOr", Value::from(false));
    members.set("multipleAnd", Value::from(false));
    members.set("comparator", Value::from(vec![Value::from("gt")]));
    members.set("modifier", Value::from(vec![Value::from("missing")]));
    let registry = with(&[narrow, parameter("word", "string", "Patient.name.text")]);
    let settings = Settings {
        handling: Handling::Strict,
        now: 0,
    };
    let ask = |parameters: &[(&str, &str)]| {
        let owned: Vec<_> = parameters
            .iter()
            .map(|(n, v)| ((*n).into(), (*v).into()))
            .collect();
        parse(&registry, "Patient", &owned, settings).is_ok()
    };
    assert!(
        ask(&[("born", "gt2000")]) && ask(&[("born", "2000")]) && ask(&[("born:missing", "true")])
    );
    assert!(!ask(&[("born", "lt2000")]) && !ask(&[("born", "2000,2001")]));
    assert!(!ask(&[("born", "gt2000"), ("born", "gt2001")]));
    assert!(ask(&[("word:exact", "a,b"), ("word", "c")]));
}
