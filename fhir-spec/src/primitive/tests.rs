use proptest::prelude::*;
use regex::Regex;

use super::*;
use crate::definitions::Definitions;
use crate::json::parse;

fn good(type_name: &str, values: &[&str]) {
    for value in values {
        let value = parse(value.as_bytes()).unwrap();
        assert_eq!(check(type_name, &value), Ok(()), "{type_name} {value}");
    }
}

fn bad(type_name: &str, values: &[&str]) {
    for value in values {
        let value = parse(value.as_bytes()).unwrap();
        assert!(check(type_name, &value).is_err(), "{type_name} {value}");
    }
}

#[test]
fn every_primitive_type_of_r4_is_known() {
    let types = Definitions::r4().types();
    let mut count = 0;
    for definition in types.iter() {
        let is_primitive = definition.kind == crate::definitions::Kind::Primitive;
        assert_eq!(
            is_primitive,
            Primitive::named(&definition.name).is_some(),
            "{}",
            definition.name
        );
        count += usize::from(is_primitive);
    }
    assert_eq!(count, 20);
}

#[test]
fn dates_exist() {
    good(
        "date",
        &[
            r#""2015""#,
            r#""2015-02""#,
            r#""2016-02-29""#,
            r#""2000-02-29""#,
            r#""0001-12-31""#,
        ],
    );
    bad(
        "date",
        &[
            r#""0000""#,
            r#""2015-13""#,
            r#""2015-02-29""#,
            r#""1900-02-29""#,
            r#""2015-04-31""#,
            r#""2015-2-1""#,
            r#""2015-02-07T13:28:17Z""#,
            r#""15""#,
            r#""2015-""#,
            r#""""#,
            r#"" 2015""#,
            "2015",
        ],
    );
}

#[test]
fn times_have_seconds_and_zone() {
    good(
        "dateTime",
        &[
            r#""2015-02-07T13:28:17Z""#,
            r#""2015-02-07T13:28:17.2390000000001-05:00""#,
            r#""2015-06-30T23:59:60+14:00""#,
            r#""2015-02""#,
        ],
    );
    bad(
        "dateTime",
        &[
            r#""2015-02-07T13:28:17""#,
            r#""2015-02-07T13:28Z""#,
            r#""2015-02-07T24:00:00Z""#,
            r#""2015-02-07T13:28:17.Z""#,
            r#""2015-02-07T13:28:17+14:01""#,
            r#""2015-02-07T13:28:17z""#,
            r#""2015-02-07 13:28:17Z""#,
            r#""2015-02T13:28:17Z""#,
            r#""2015-02-07T13:28:17Z ""#,
        ],
    );
    good("instant", &[r#""2015-02-07T13:28:17.239+02:00""#]);
    bad(
        "instant",
        &[
            r#""2015-02-07""#,
            r#""2015-02""#,
            r#""2015-02-07T13:28:17""#,
        ],
    );
    good("time", &[r#""13:28:17""#, r#""00:00:00.5""#]);
    bad(
        "time",
        &[
            r#""13:28""#,
            r#""24:00:00""#,
            r#""13:28:17Z""#,
            r#""13:28:17.""#,
            r#""13:28:61""#,
        ],
    );
}

#[test]
fn numbers_are_numbers_and_have_bounds() {
    good("integer", &["0", "-0", "-2147483648", "2147483647"]);
    bad(
        "integer",
        &["2147483648", "-2147483649", "1.0", "1e2", "\"1\"", "true"],
    );
    good("positiveInt", &["1", "2147483647"]);
    bad("positiveInt", &["0", "-1", "\"1\"", "1.0"]);
    good("unsignedInt", &["0", "10000"]);
    bad("unsignedInt", &["-0", "-1", "\"-0\""]);
    good(
        "decimal",
        &["0", "-1.50e+10", "1.00", "12345678901234567890.123456789"],
    );
    bad("decimal", &["\"1.0\"", "true"]);
    good("boolean", &["true", "false"]);
    bad("boolean", &["\"true\"", "0", "1.0"]);
}

#[test]
fn texts_have_their_shapes() {
    good("code", &[r#""a b""#, r#"">=""#]);
    bad(
        "code",
        &[r#"" a""#, r#""a ""#, r#""a  b""#, r#""a\tb""#, r#""""#],
    );
    good("id", &[r#""a-B.9""#]);
    bad("id", &[r#""a_b""#, r#""a b""#, r#""""#, r#""é""#, "1"]);
    good("oid", &[r#""urn:oid:1.2.0.4""#]);
    bad(
        "oid",
        &[
            r#""urn:oid:3.1""#,
            r#""urn:oid:1""#,
            r#""urn:oid:1.02""#,
            r#""1.2.3""#,
        ],
    );
    good(
        "uuid",
        &[r#""urn:uuid:c757873d-ec9a-4326-a141-556f43239520""#],
    );
    bad(
        "uuid",
        &[
            r#""urn:uuid:C757873D-EC9A-4326-A141-556F43239520""#,
            r#""c757873d-ec9a-4326-a141-556f43239520""#,
        ],
    );
    good("uri", &[r#""urn:uuid:x""#, r#""http://é/ö|1""#]);
    bad("uri", &[r#""a b""#, r#""a\n""#, r#""""#, "1"]);
    good(
        "base64Binary",
        &[r#""QUJD""#, r#""QQ==""#, r#"" QUJD\n QUI= ""#],
    );
    bad(
        "base64Binary",
        &[
            r#""QUJ""#,
            r#""Q===""#,
            r#""QQ=A""#,
            r#""QU-_""#,
            r#""""#,
            r#"" ""#,
        ],
    );
    good("string", &[r#"" ""#, r#""a\n\tb\u007f""#]);
    bad("string", &[r#""""#, r#""a\u0000""#, r#""a\u001b""#, "1"]);
}

#[test]
fn strings_have_at_most_a_megabyte_of_characters() {
    let text = "é".repeat(STRING_CHARACTERS_MAX);
    assert!(Primitive::String.accepts(&text));
    assert!(!Primitive::String.accepts(&format!("{text}a")));
}

/// What the specification's expression allows and its prose (or XML Schema, which it names) does not.
fn is_refused_by_prose(primitive: Primitive, text: &str) -> bool {
    match primitive {
        Primitive::Date | Primitive::DateTime | Primitive::Instant => {
            let day = text
                .get(8..10)
                .and_then(|day| day.parse().ok())
                .unwrap_or(0u32);
            day > 28
        }
        Primitive::Integer | Primitive::PositiveInt | Primitive::UnsignedInt => {
            text.parse::<i32>().is_err()
        }
        Primitive::Code => text.bytes().any(|byte| is_space(byte) && byte != b' '),
        // The empty value is no value: `"The value attribute can never be empty"`.
        Primitive::Canonical | Primitive::Uri | Primitive::Url => text.is_empty(),
        // Padding stands at the end and is no data by itself.
        Primitive::Base64Binary => text.contains('='),
        _ => false,
    }
}

fn check_against_expression(text: &str) {
    thread_local! {
        static EXPRESSIONS: Vec<(Primitive, Regex)> = Definitions::r4()
            .types()
            .iter()
            .filter_map(|definition| {
                let primitive = Primitive::named(&definition.name)?;
                let expression = definition.regex.as_ref()?;
                // `\s` of XML Schema is ASCII.
                let ascii = expression.replace("[^\\s]", "[^ \\t\\r\\n]").replace("\\s", "[ \\t\\r\\n]");
                let ascii = ascii.replace("[ \\r\\n\\t\\S]", "[\\x{9}\\x{a}\\x{d}\\x{20}-\\x{10ffff}]").replace("\\S", "[^ \\t\\r\\n]");
                Some((primitive, Regex::new(&format!("^(?:{ascii})$")).unwrap()))
            })
            .collect();
    }
    EXPRESSIONS.with(|expressions| {
        assert_eq!(expressions.len(), 19);
        for (primitive, expression) in expressions {
            let accepted = primitive.accepts(text);
            let matches = expression.is_match(text);
            assert!(
                !accepted || matches,
                "{primitive:?} accepts {text:?}, the expression does not"
            );
            assert!(
                accepted || !matches || is_refused_by_prose(*primitive, text),
                "{primitive:?} refuses {text:?}, the expression does not"
            );
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_expressions_of_the_specification_agree(
        text in prop_oneof![
            "[0-9]{4}(-[0-9]{2}(-[0-9]{2}(T[0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]{0,3})?(Z|[+-][01][0-9]:[0-9]{2})?)?)?)?",
            "[012][0-9]:[0-6][0-9]:[0-6][0-9](\\.[0-9]{0,3})?",
            "-?[0-9]{0,3}(\\.[0-9]{0,3})?([eE][+-]?[0-9]{0,3})?",
            "urn:oid:[0-3](\\.[0-9]{0,2}){0,3}",
            "urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-fA]{11,12}",
            "([A-Z+/]{4}| |[A-Z]{1,3}|=){0,5}",
            "[a-z \\t\\n.]{0,6}",
            ".{0,8}",
        ]
    ) {
        check_against_expression(&text);
    }
}
