//! The engine as a whole, by tables of expressions and what they find.

mod budget;
mod definitions;
mod fuzz;
mod world;

use super::{Collection, Context, ErrorKind, Expression, FhirPathError};
use crate::definitions::Definitions;
use crate::json::{Value, parse};
use crate::time::DateTime;

const PERSON: &str = r##"{
  "resourceType": "Patient",
  "id": "p1",
  "contained": [{"resourceType": "Organization", "id": "o1", "name": "Ward"}],
  "extension": [{"url": "https://example.org/height", "valueQuantity": {"value": 1.80, "system": "http://unitsofmeasure.org", "code": "m"}}],
  "active": true,
  "name": [
    {"use": "official", "family": "Moss", "given": ["Ada", "Bea"]},
    {"use": "usual", "given": ["Addy", null], "_given": [null, {"extension": [{"url": "https://example.org/masked", "valueBoolean": true}]}]}
  ],
  "telecom": [{"system": "phone", "value": "1", "rank": 2}, {"system": "email", "value": "a@b", "rank": 1}],
  "birthDate": "1970-03-01",
  "_birthDate": {"id": "bd", "extension": [{"url": "https://example.org/time", "valueDateTime": "1970-03-01T10:00:00Z"}]},
  "deceasedBoolean": false,
  "managingOrganization": {"reference": "#o1"},
  "generalPractitioner": [{"reference": "Practitioner/7"}]
}"##;

pub(super) fn document(text: &str) -> Value {
    parse(text.as_bytes()).unwrap()
}

pub(super) fn context(document: &Value) -> Context<'_> {
    Context::new(Definitions::r4().types(), document)
        .at(DateTime::parse("2024-05-06T07:08:09.123+02:00").unwrap())
}

fn evaluate<'a>(context: &Context<'a>, text: &str) -> Result<Collection<'a>, FhirPathError> {
    Expression::parse(text)?.evaluate(context)
}

/// The items as JSON.
fn found(context: &Context<'_>, text: &str) -> String {
    let items = evaluate(context, text).unwrap_or_else(|error| panic!("{text}: {error}"));
    Value::from(items.iter().map(super::Item::to_json).collect::<Vec<_>>()).to_string()
}

#[track_caller]
fn table(rows: &[(&str, &str)]) {
    let document = document(PERSON);
    let context = context(&document);
    let types = Definitions::r4().types();
    let patient = context.resource().type_id().unwrap();
    for (expression, wanted) in rows {
        assert_eq!(found(&context, expression), *wanted, "{expression}");
        // Bound to a type the answer is the same.
        let bound = Expression::parse(expression).unwrap().bound(types, patient);
        let items = bound.evaluate(&context).unwrap();
        let items = Value::from(items.iter().map(super::Item::to_json).collect::<Vec<_>>());
        assert_eq!(items.to_string(), *wanted, "bound: {expression}");
    }
}

#[test]
fn paths() {
    table(&[
        ("name.given", r#"["Ada","Bea","Addy",null]"#),
        ("Patient.name[0].family", r#"["Moss"]"#),
        ("Resource.id", r#"["p1"]"#),
        ("Observation.id", "[]"),
        ("deceased", "[false]"),
        ("deceasedBoolean", "[]"),
        ("birthDate.id", r#"["bd"]"#),
        (
            "birthDate.extension('https://example.org/time').value",
            r#"["1970-03-01T10:00:00Z"]"#,
        ),
        ("contained.name", r#"["Ward"]"#),
        ("contained.ofType(Organization).id", r#"["o1"]"#),
        ("name[7].given", "[]"),
        ("name.children().count()", "[7]"),
        ("`name`.`use`", r#"["official","usual"]"#),
        ("nonsense.more", "[]"),
    ]);
}

#[test]
fn types() {
    table(&[
        ("birthDate is date", "[true]"),
        ("birthDate is System.Date", "[false]"),
        ("id is System.String", "[true]"),
        ("name[0].use is string", "[true]"),
        ("name[0].use.ofType(string)", "[]"),
        ("name[0].use.ofType(code)", r#"["official"]"#),
        (
            "name.given.ofType(System.String)",
            r#"["Ada","Bea","Addy"]"#,
        ),
        ("extension.value is Quantity", "[true]"),
        ("(extension.value as Quantity).value = 1.8", "[true]"),
        ("$this is DomainResource", "[true]"),
        ("contained[0] is Organization", "[true]"),
        ("1 is Integer", "[true]"),
        (
            "birthDate.type().namespace & '.' & birthDate.type().name",
            r#"["FHIR.date"]"#,
        ),
        ("1.5.type().name", r#"["Decimal"]"#),
    ]);
}

#[test]
fn values() {
    table(&[
        ("birthDate < @1970-03-02", "[true]"),
        ("birthDate + 1 month", r#"["1970-04-01"]"#),
        ("now() > birthDate", "[true]"),
        ("today()", r#"["2024-05-06"]"#),
        ("timeOfDay()", r#"["07:08:09.123"]"#),
        ("extension.value > 170 'cm'", "[true]"),
        ("extension.value = 1800 'mm'", "[true]"),
        ("0.1 + 0.2 = 0.3", "[true]"),
        ("7 div 2 | 7 mod 2 | 7 / 2", "[3,1,3.5]"),
        ("2147483647 + 1", "[]"),
        ("1 / 0", "[]"),
        ("'a' & {} & 'b'", r#"["ab"]"#),
        ("'abc'.substring(1, 1)", r#"["b"]"#),
        ("'äöü'.indexOf('ü')", "[2]"),
        ("'x.y'.replaceMatches('(x).(y)', '$2$1')", r#"["yx"]"#),
        ("'abc'.replace('', '-')", r#"["-a-b-c-"]"#),
        ("2.power(0.5).round(3)", "[1.414]"),
        ("100.log(10)", "[2]"),
        (
            "1.587.lowBoundary(2) | 1.587.highBoundary(2)",
            "[1.58,1.59]",
        ),
        ("@T12.lowBoundary(9223372036854775807)", "[]"),
        ("birthDate.highBoundary(6)", r#"["1970-03"]"#),
        (
            "name.given.where($this.hasValue()).join('+')",
            r#"["Ada+Bea+Addy"]"#,
        ),
        ("name.given.hasValue()", "[false]"),
        ("{} = {}", "[]"),
        ("{} ~ {}", "[true]"),
    ]);
}

#[test]
fn collections() {
    table(&[
        ("(1 | 2 | 2).count()", "[2]"),
        ("telecom.sort(rank).value", r#"["a@b","1"]"#),
        ("telecom.sort(-system).value", r#"["1","a@b"]"#),
        ("telecom.rank.aggregate($this + $total, 0)", "[3]"),
        ("telecom.select($index)", "[0,1]"),
        ("name.where(use = 'usual').given.first()", r#"["Addy"]"#),
        ("name.exists(family = 'Moss')", "[true]"),
        ("name.all(family.exists())", "[false]"),
        ("(1 | 2 | 3).exclude(2) = (1 | 3)", "[true]"),
        ("'Ada' in name.given", "[true]"),
        ("name.given contains 'Zoe'", "[false]"),
        ("(1|2|3|4|5|6|7|8|9|10|11|10|1).distinct().count()", "[11]"),
        (
            "defineVariable('n', name.first()).name.where(use != %n.use).given.first()",
            r#"["Addy"]"#,
        ),
        ("iif(active, 'yes', 1 / 'never')", r#"["yes"]"#),
        ("descendants().where($this is Quantity).count()", "[1]"),
        ("name.repeat(given).count()", "[4]"),
    ]);
}

#[test]
fn errors_by_kind() {
    let document = document(PERSON);
    let context = context(&document);
    for (expression, kind) in [
        ("name.", ErrorKind::Syntax),
        ("name.nonsense()", ErrorKind::Semantic),
        ("%nonsense", ErrorKind::Semantic),
        ("name is Nonsense", ErrorKind::Semantic),
        ("name.single()", ErrorKind::Execution),
        ("name.family + 1", ErrorKind::Execution),
        ("'a' < 1", ErrorKind::Execution),
        ("active and name", ErrorKind::Execution),
        ("name.given.startsWith('x')", ErrorKind::Execution),
        ("(1 | 2) + 1", ErrorKind::Execution),
        ("'x'.matches('(' & '')", ErrorKind::Execution),
        (
            "conformsTo('https://example.org/unknown')",
            ErrorKind::Execution,
        ),
        (
            "defineVariable('a').defineVariable('a')",
            ErrorKind::Execution,
        ),
        ("defineVariable('a', 1).active | %a", ErrorKind::Semantic),
    ] {
        let error = evaluate(&context, expression).expect_err(expression);
        assert_eq!(error.kind, kind, "{expression}: {error}");
        assert!(error.line > 0 && error.column > 0, "{expression}: {error}");
    }
}

#[test]
fn places_in_many_lines() {
    let error = Expression::parse("name\n  .nonsense()").unwrap_err();
    assert_eq!((error.line, error.column), (2, 4));
    assert_eq!(
        error.to_string(),
        "there is no function `nonsense()` (line 2, column 4)"
    );
}

/// Elements that a type has not are mistakes when one asks for a check.
#[test]
fn checks() {
    let types = Definitions::r4().types();
    let patient = types.by_name("Patient").unwrap();
    let check = |text: &str| Expression::parse(text).unwrap().check(types, patient, true);
    for sound in [
        "name.given",
        "Patient.contact.name.family",
        "deceased as boolean",
        "contained.anything",
        "name.where(use = 'x').select(given | family)",
        "extension.value.ofType(Quantity).unit",
        "%resource.anything",
        "name.sort(family).first()",
        "Observation.code",
    ] {
        assert_eq!(check(sound), Ok(()), "{sound}");
    }
    for (mistaken, message) in [
        ("name.givn", "HumanName has no element `givn`"),
        (
            "deceasedBoolean",
            "Patient has no element `deceasedBoolean`",
        ),
        (
            "name.where(usage = 'x')",
            "HumanName has no element `usage`",
        ),
        (
            "(deceased as dateTime).unit",
            "dateTime has no element `unit`",
        ),
        ("children().first()", "`first` depends on an order"),
        ("iif('x', 1)", "the criterion of `iif()` is not boolean"),
    ] {
        let error = check(mistaken).expect_err(mistaken);
        assert!(error.message.contains(message), "{mistaken}: {error}");
        assert_eq!(error.kind, ErrorKind::Semantic);
    }
}

#[test]
fn without_types_members_are_what_they_are_called() {
    let document = document(r#"{"a": [{"b": 1}, {"b": 2.50}], "_a": "x", "c": "2024-01-01"}"#);
    let context = Context::untyped(&document);
    assert_eq!(found(&context, "a.b"), "[1,2.50]");
    assert_eq!(found(&context, "a.b.sum()"), "[3.50]");
    assert_eq!(found(&context, "c is String"), "[true]");
    assert!(evaluate(&context, "now()").is_err());
}

/// An expression is made once and used by all threads.
#[test]
fn expressions_are_shared() {
    fn is_shared<T: Send + Sync + 'static>(_: &T) {}
    is_shared(&Expression::parse("name").unwrap());
}

/// Dates of different precision have no order among them: the library's sort panics when it notices.
#[test]
fn what_has_no_order_is_sorted_without_harm() {
    // With this seed it does notice.
    let mut seed: u64 = 32_452_843;
    let dates: Vec<String> = (0..200)
        .map(|_| {
            seed = (seed * 1_103_515_245 + 12_345) % (1 << 31);
            let number = seed >> 8;
            let (month, day) = (number % 12 + 1, number / 12 % 28 + 1);
            match number / 336 % 3 {
                0 => "@2010".to_owned(),
                1 => format!("@2010-{month:02}"),
                _ => format!("@2010-{month:02}-{day:02}"),
            }
        })
        .collect();
    let sorted = format!("({}).sort().count()", dates.join(").combine("));
    table(&[
        (&sorted, "[200]"),
        ("(3 | 1 | 2).combine(1).sort()", "[1,1,2,3]"),
        ("(3 | 1 | 2).sort(-$this)", "[3,2,1]"),
    ]);
    let document = document(PERSON);
    let mixed = format!("({}).sort()", vec!["1).combine('a'"; 40].join(").combine("));
    let error = evaluate(&context(&document), &mixed).unwrap_err();
    assert!(error.to_string().contains("cannot be compared"), "{error}");
}
