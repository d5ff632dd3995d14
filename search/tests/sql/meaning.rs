//! What is found, form by form and modifier by modifier.

use fhir_spec::outcome::{IssueCode, Severity};
use search::query::{Handling, Settings, parse};

use super::database::{Database, NOW, R4, STRICT, pairs};
use super::documents::{OBSERVATIONS, OTHERS, PATIENTS};

fn database() -> Database {
    Database::of(&[PATIENTS, OBSERVATIONS, OTHERS].concat())
}

fn check(resource_type: &str, cases: &[(&str, &[&str])]) {
    let database = database();
    for (query, wanted) in cases {
        let found = database.search(resource_type, query);
        assert_eq!(found, *wanted, "{resource_type}?{query}");
    }
}

#[test]
fn tokens() {
    check(
        "Patient",
        &[
            ("identifier=http://mrn|1", &["anna"]),
            ("identifier=1", &["anna", "bert"]),
            ("identifier=|1", &["bert"]),
            ("identifier=http://mrn|", &["anna", "bert"]),
            ("identifier=http://mrn|1,http://mrn|2", &["anna", "bert"]),
            ("identifier=http://other|1", &[]),
            (
                "identifier:of-type=http://terminology.hl7.org/CodeSystem/v2-0203|MR|1",
                &["anna"],
            ),
            (
                "identifier:of-type=http://terminology.hl7.org/CodeSystem/v2-0203|MR|2",
                &[],
            ),
            ("gender=female", &["anna"]),
            ("gender=|female", &["anna"]),
            (
                "gender=http://hl7.org/fhir/administrative-gender|female",
                &["anna"],
            ),
            ("gender=http://other|female", &[]),
            ("gender:not=female", &["bert", "carl", "dora"]),
            ("gender:not=female,male", &["carl", "dora"]),
            ("gender=FEMALE", &[]),
            ("active=true", &["anna"]),
            (
                "active=http://terminology.hl7.org/CodeSystem/special-values|false",
                &["bert"],
            ),
            ("deceased=true", &["bert"]),
            ("deceased=false", &["anna", "carl", "dora"]),
            ("phone=555", &["anna"]),
            ("email=555", &["bert"]),
            ("telecom=555", &["anna", "bert"]),
            ("phone=email|555", &[]),
            ("_tag=http://t|a", &["anna"]),
            ("gender:missing=true", &["carl", "dora"]),
            ("gender:missing=false", &["anna", "bert"]),
            ("phone:missing=false", &["anna"]),
            ("phone:missing=true", &["bert", "carl", "dora"]),
        ],
    );
}

#[test]
fn strings() {
    check(
        "Patient",
        &[
            ("family=mull", &["anna", "bert"]),
            ("family=MÜLLER", &["anna", "bert"]),
            ("family:exact=Müller", &["anna"]),
            ("family:exact=muller", &[]),
            ("family:exact=MULLER", &["bert"]),
            ("name=ev", &["anna"]),
            ("name=a", &["anna"]),
            ("name:contains=LL", &["anna", "bert"]),
            ("name=100%", &["bert"]),
            ("name=10%_", &[]),
            ("name=%", &[]),
            ("name:contains=_", &["bert"]),
            (r"family=o\,n\|e\$i\\l", &["carl"]),
            (r"family=o\,n,eva", &["carl"]),
            ("given=anna,bert", &["anna", "bert"]),
            ("given=anna&given=eva", &["anna"]),
            ("address=kol", &["anna"]),
            ("address-city=KOLN", &["anna"]),
            ("name:missing=true", &["dora"]),
        ],
    );
}

#[test]
fn references() {
    check(
        "Patient",
        &[
            ("organization=o1", &["anna", "bert"]),
            ("organization=Organization/o1", &["anna", "bert"]),
            (
                "organization=https://kiln.example/fhir/Organization/o1",
                &["anna", "bert"],
            ),
            ("organization=http://other/Organization/o1", &["carl"]),
            ("organization:Organization=o1", &["anna", "bert"]),
            ("organization=o2", &[]),
            ("general-practitioner=Practitioner/dr", &["carl"]),
            ("general-practitioner=Practitioner/dr/_history/2", &["carl"]),
            ("general-practitioner=Practitioner/dr/_history/1", &[]),
            ("general-practitioner:identifier=http://npi|9", &["carl"]),
            ("general-practitioner:identifier=9", &["carl"]),
            ("general-practitioner:identifier=|9", &[]),
            ("organization:missing=true", &["dora"]),
        ],
    );
    check(
        "Observation",
        &[
            ("subject=anna", &["height", "pressure"]),
            ("subject:Group=anna", &["pressure"]),
            ("patient=anna", &["height"]),
            ("patient=Group/anna", &[]),
            ("patient=Patient/anna,Patient/bert", &["height", "smoker"]),
            ("patient:missing=true", &["pressure", "less", "weight"]),
        ],
    );
    check(
        "CarePlan",
        &[
            ("instantiates-canonical=http://x/plan", &["c1"]),
            ("instantiates-canonical=http://x/plan|1", &["c1"]),
            ("instantiates-canonical=http://x/plan|2", &[]),
        ],
    );
}

#[test]
fn dates() {
    check(
        "Patient",
        &[
            ("birthdate=1970-03-30", &["anna"]),
            ("birthdate=1970-03", &["anna", "bert"]),
            ("birthdate=1970", &["anna", "bert"]),
            ("birthdate=ne1970-03-30", &["bert", "carl"]),
            ("birthdate=lt1970-03-30", &["bert"]),
            ("birthdate=gt1970-03-30", &["bert", "carl"]),
            ("birthdate=le1970-03-30", &["anna", "bert"]),
            ("birthdate=ge1970-03-30", &["anna", "bert", "carl"]),
            ("birthdate=sa1970-03-30", &["carl"]),
            ("birthdate=eb1971", &["anna", "bert"]),
            ("birthdate=ge1970-03-30&birthdate=lt1971", &["anna", "bert"]),
            ("birthdate=1970-03-30,1971", &["anna", "carl"]),
            ("death-date=2020-01-01T11:00:00+01:00", &["bert"]),
            ("death-date=2020-01-01T11:00:00 01:00", &["bert"]),
            ("death-date=2020-01-01T10:00", &["bert"]),
            ("birthdate:missing=true", &["dora"]),
        ],
    );
    check(
        "Observation",
        &[
            ("date=2024-02-28", &["height"]),
            ("date=2024", &["height", "pressure", "smoker"]),
            ("date=2024-02-28T12:30:00Z", &["height"]),
            ("date=gt2024-03-31", &["smoker", "less"]),
            ("date=gt2025", &["less"]),
            ("date=lt2024", &["weight"]),
            ("date=lt2024-02-28", &["pressure", "smoker", "weight"]),
            ("date=sa2024-02-28", &["less"]),
            ("date=eb2024-03-01", &["height", "weight"]),
            (
                "date=ge2024-02-01&date=le2024-03-31",
                &["height", "pressure", "smoker", "less"],
            ),
            (
                "date=ap2024-02-28",
                &["height", "pressure", "smoker", "less"],
            ),
        ],
    );
}

#[test]
fn numbers_and_quantities() {
    check(
        "RiskAssessment",
        &[
            ("probability=0.25", &["r1", "r2"]),
            ("probability=0.250", &["r1"]),
            ("probability=1e2", &["r1"]),
            ("probability=lt0.25", &["r2"]),
            ("probability=le0.25", &["r1", "r2"]),
            ("probability=gt0.25", &["r1"]),
            ("probability=ge0.25&probability=lt1", &["r1"]),
            ("probability=ne0.249", &["r1"]),
            ("probability=ap0.27", &["r1", "r2"]),
            ("probability=lt50&probability=gt50", &["r1"]),
        ],
    );
    let ucum = "http://unitsofmeasure.org";
    check(
        "Observation",
        &[
            ("value-quantity=170", &["height"]),
            (
                &format!("value-quantity=1.7|{ucum}|m"),
                &["height", "weight"],
            ),
            (
                &format!("value-quantity=gt169|{ucum}|cm"),
                &["height", "weight"],
            ),
            (&format!("value-quantity=gt170|{ucum}|cm"), &[]),
            (&format!("value-quantity=170|{ucum}|mg"), &[]),
            ("value-quantity=170||cm", &["height", "weight"]),
            ("value-quantity=170||centimetre", &["height"]),
            ("value-quantity=lt5", &["less", "weight"]),
            ("value-quantity=lt4||mg/l", &["less"]),
            ("value-quantity=sa1&value-quantity=eb2", &["weight"]),
            ("component-value-quantity=80||mmHg", &["pressure"]),
            ("combo-value-quantity=ge120", &["height", "pressure"]),
            ("value-quantity:missing=true", &["pressure", "smoker"]),
        ],
    );
}

#[test]
fn uris() {
    check(
        "ValueSet",
        &[
            ("url=http://acme.org/fhir", &["v2"]),
            ("url=http://acme.org", &[]),
            ("url=HTTP://acme.org/fhir", &[]),
            ("url:below=http://acme.org/fhir", &["v1", "v2"]),
            ("url:below=http://acme.org/fhir/", &["v1"]),
            ("url:above=http://acme.org/fhir/ValueSet/1/x", &["v1", "v2"]),
            ("url:above=http://acme.org/fhirs", &[]),
            ("url=urn:oid:1.2.3,http://acme.org/fhir", &["v2", "v3"]),
            ("url:missing=false", &["v1", "v2", "v3"]),
        ],
    );
    check(
        "Patient",
        &[
            ("_profile=http://x/p", &["anna", "bert"]),
            ("_profile=http://x/p|1", &["anna"]),
        ],
    );
}

#[test]
fn composites() {
    check(
        "Observation",
        &[
            (
                "code-value-quantity=http://loinc.org|8302-2$gt160",
                &["height"],
            ),
            ("code-value-quantity=height$170", &["height"]),
            ("code-value-quantity=8480-6$120", &[]),
            ("code-value-concept=72166-2$266919005", &["smoker"]),
            ("component-code-value-quantity=8480-6$gt100", &["pressure"]),
            ("component-code-value-quantity=8462-4$gt100", &[]),
            (
                "component-code-value-quantity=8480-6$120||mmHg",
                &["pressure"],
            ),
            (
                "component-code-value-quantity=8480-6$16.0|http://unitsofmeasure.org|kPa",
                &["pressure"],
            ),
            (
                "combo-code-value-quantity=8480-6$gt100,8302-2$gt100",
                &["height", "pressure"],
            ),
            ("component-code-value-quantity:missing=false", &["pressure"]),
            ("code-value-quantity:missing=true", &["pressure", "smoker"]),
        ],
    );
    check(
        "Measure",
        &[
            ("context-type-quantity=age$ge60", &["m1"]),
            ("context-type-quantity=http://u|age$gt65", &[]),
            ("context-type-value=sex$f", &["m1"]),
            ("context-type-value=age$f", &[]),
        ],
    );
    check(
        "DocumentReference",
        &[
            ("relationship=replaces$DocumentReference/d0", &["d1"]),
            ("relationship=replaces$d0", &["d1"]),
            ("relationship=appends$d0", &[]),
        ],
    );
}

#[test]
fn ids_and_times() {
    check(
        "Patient",
        &[
            ("", &["anna", "bert", "carl", "dora"]),
            ("_id=anna", &["anna"]),
            ("_id=anna,dora,height", &["anna", "dora"]),
            ("_id:not=anna", &["bert", "carl", "dora"]),
            ("_id:missing=true", &[]),
            (
                "_lastUpdated:missing=false",
                &["anna", "bert", "carl", "dora"],
            ),
            ("_id=anna&gender=male", &[]),
            ("gender=male&_lastUpdated=gt2023", &["bert"]),
            ("_lastUpdated=2024-06-01T00:00:02Z", &["bert"]),
            (
                "_lastUpdated=ge2024-06-01T00:00:02Z",
                &["bert", "carl", "dora"],
            ),
            ("_lastUpdated=lt2024-06-01T00:00:02Z", &["anna"]),
            ("_lastUpdated=lt2020", &[]),
            (
                "_lastUpdated=ne2024-06-01T00:00:02Z",
                &["anna", "carl", "dora"],
            ),
            ("_lastUpdated=2020,2024", &["anna", "bert", "carl", "dora"]),
        ],
    );
}

#[test]
fn what_is_deleted_is_not_found() {
    let mut database = database();
    database.delete(1);
    assert_eq!(database.search("Patient", ""), ["bert", "carl", "dora"]);
    assert_eq!(database.search("Patient", "_id=anna,bert"), ["bert"]);
    assert_eq!(
        database.search("Patient", "gender:not=male"),
        ["carl", "dora"]
    );
    assert_eq!(database.search("Patient", "name:missing=true"), ["dora"]);
}

/// Questions about patients that are not understood, and what is said to them.
const NOT_UNDERSTOOD: &[(&str, &str)] = &[
    (
        "familiy=x",
        "`familiy`: Patient has no search parameter `familiy`; `family` may be meant",
    ),
    (
        "zzzzz=x",
        "`zzzzz`: Patient has no search parameter `zzzzz`",
    ),
    (
        "family:exakt=x",
        "`family:exakt`: a string has no modifier `:exakt`, only :exact, :contains, :missing; `:exact` may be meant",
    ),
    (
        "gender:exact=x",
        "`gender:exact`: a token has no modifier `:exact`, only :not, :text, :of-type, :in, :not-in, :above, :below, :missing",
    ),
    (
        "birthdate=2020-13-01",
        "`birthdate`: `2020-13-01` is no date; one is `2024`, `2024-02`, `2024-02-28` or `2024-02-28T13:30:00+01:00`",
    ),
    (
        "birthdate=xx2020",
        "`birthdate`: `xx` is no prefix; prefixes are eq, ne, gt, lt, ge, le, sa, eb, ap",
    ),
    (
        "organization:Patient=x",
        "`organization:Patient`: no Patient is referred to here, only Organization",
    ),
    (
        "organization=a b",
        "`organization`: `a b` is no reference; one is `id`, `Type/id` or a url",
    ),
    (
        "organization=Nonsense/1",
        "`organization`: `Nonsense` is no resource type",
    ),
    (
        "identifier=a|b|c",
        "`identifier`: a token is `code`, `system|code`, `|code` or `system|`",
    ),
    (
        "identifier=|",
        "`identifier`: neither a system nor a code is given",
    ),
    ("gender=", "`gender`: a value is missing"),
    ("gender=a,,b", "`gender`: a value is missing"),
    (
        "gender:missing=maybe",
        "`gender:missing`: `:missing` is `true` or `false`",
    ),
    (
        "name=\u{301}",
        "`name`: nothing of `\u{301}` can be searched for",
    ),
    ("name=a\0", "`name`: a character of code 0 is in no text"),
    ("_id=a/b", "`_id`: `a/b` is no id"),
    (
        "gender:of-type=a|b|c",
        "`gender:of-type`: `gender` is no identifier",
    ),
];

const AMOUNTS_NOT_UNDERSTOOD: &[(&str, &str)] = &[
    (
        "value-quantity=x",
        "`value-quantity`: `x` is no prefix; prefixes are eq, ne, gt, lt, ge, le, sa, eb, ap",
    ),
    (
        "value-quantity=1|http://unitsofmeasure.org|widgets",
        "`value-quantity`: `widgets` is no unit of UCUM",
    ),
    (
        "value-quantity=1|mg",
        "`value-quantity`: a quantity is `number`, `number|system|code` or `number||unit`",
    ),
    (
        "value-quantity=1e400",
        "`value-quantity`: `1e400` is no number within range",
    ),
    (
        "value-quantity=1e+28|http://unitsofmeasure.org|Ym",
        "`value-quantity`: `10000000000000000000000000000` is out of range in that unit",
    ),
    (
        "code-value-quantity=a",
        "`code-value-quantity`: `a` should be 2 values, joined by `$`",
    ),
];

#[test]
fn what_is_not_understood_is_told() {
    for (resource_type, cases) in [
        ("Patient", NOT_UNDERSTOOD),
        ("Observation", AMOUNTS_NOT_UNDERSTOOD),
    ] {
        for (query, wanted) in cases {
            let issues = parse(&R4, resource_type, &pairs(query), STRICT).unwrap_err();
            let told: Vec<&str> = issues.iter().map(|issue| &*issue.diagnostics).collect();
            assert_eq!(told, [*wanted]);
        }
    }
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let query = pairs("familiy=x&birthdate=never&gender=male");
    let issues = parse(&R4, "Patient", &query, STRICT).unwrap_err();
    assert_eq!(issues.len(), 2);
    assert_eq!(issues[0].code, IssueCode::NotSupported);
    assert_eq!(issues[1].code, IssueCode::Value);
    let lenient = Settings {
        handling: Handling::Lenient,
        now: NOW,
    };
    let query = parse(&R4, "Patient", &query, lenient).unwrap();
    assert_eq!(query.criteria.len(), 1);
    assert_eq!(query.ignored.len(), 2);
    assert!(
        query
            .ignored
            .iter()
            .all(|issue| issue.severity == Severity::Warning)
    );
}

#[test]
fn there_are_bounds() {
    let code_of = |name: &str, value: String| {
        let query = [(name.to_owned(), value)];
        parse(&R4, "Patient", &query, STRICT).unwrap_err()[0].code
    };
    assert_eq!(
        code_of("name", vec!["x"; 10_000].join(",")),
        IssueCode::TooCostly
    );
    assert_eq!(code_of("name", "x".repeat(100_000)), IssueCode::TooCostly);
    let many = vec![("name".to_owned(), "x".to_owned()); 1_000];
    let issues = parse(&R4, "Patient", &many, STRICT).unwrap_err();
    assert_eq!(issues[0].code, IssueCode::TooCostly);
    let long = parse(&R4, "Patient", &[("x".repeat(10_000), "1".into())], STRICT);
    assert!(long.unwrap_err()[0].diagnostics.len() < 300);
}

#[test]
fn a_thousand_values_are_one_statement() {
    let database = database();
    let numbers: Vec<String> = (0..1_000).map(|number| number.to_string()).collect();
    let all =
        |each: &dyn Fn(&String) -> String| numbers.iter().map(each).collect::<Vec<_>>().join(",");
    let found = |query: String| database.search("Patient", &query);
    assert_eq!(
        found(format!("identifier={}", all(&|n| n.clone()))),
        ["anna", "bert"]
    );
    assert_eq!(
        found(format!(
            "identifier={}",
            all(&|n| format!("http://s{n}|{n}"))
        )),
        [""; 0]
    );
    assert_eq!(
        found(format!(
            "gender=female&identifier={}",
            all(&|n| format!("http://mrn|{n}"))
        )),
        ["anna"]
    );
    assert_eq!(
        found(format!("name={}", all(&|n| format!("a{n}")))),
        [""; 0]
    );
    assert_eq!(
        found(format!(
            "gender=male&name=bert,{}",
            all(&|n| format!("a{n}")).replacen(",a9", "", 1)
        )),
        ["bert"]
    );
}
