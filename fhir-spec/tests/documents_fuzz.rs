//! Bounded fuzzing of documents: whatever comes in, nothing panics, and what is taken is written again the same.

use fhir_spec::definitions::Definitions;
use fhir_spec::json::{Data, Value, parse};
use fhir_spec::{narrative, patch, xml};
use proptest::prelude::*;

const XML: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Patient xmlns=\"http://hl7.org/fhir\"><!-- c --><id value=\"1\"/><text><status value=\"generated\"/>\
<div xmlns=\"http://www.w3.org/1999/xhtml\"><p>a &lt; <![CDATA[b]]></p></div></text><contained><Basic><id value=\"b\"/></Basic></contained>\
<extension url=\"u\"><valueDecimal value=\"1.0\"/></extension><active id=\"a\" value=\"true\"/><name><given value=\"A\"><extension url=\"v\">\
<valueString value=\"x&#10;y\"/></extension></given><given value=\"B\"/></name></Patient>";

const JSON: &str = r#"{"resourceType":"Patient","id":"1","text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">a</div>"},"active":true,"_active":{"id":"a"},"name":[{"given":["A",null],"_given":[null,{"id":"g"}]}],"contact":[{"name":{"text":"N"}}],"multipleBirthInteger":2}"#;

/// A change to a text: a piece of it taken out, doubled, or replaced.
#[derive(Debug, Clone)]
struct Mutation {
    at: prop::sample::Index,
    length: usize,
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    Remove,
    Double,
    Replace(&'static str),
    Byte(u8),
}

fn mutations() -> impl Strategy<Value = Vec<Mutation>> {
    let piece = prop::sample::select(vec![
        "<",
        ">",
        "/>",
        "\"",
        "&",
        "&#0;",
        "&#x10ffff;",
        "&lt;",
        "]]>",
        "<![CDATA[",
        "<!--",
        "-->",
        "<!DOCTYPE a [",
        "<?",
        "?>",
        " xmlns=\"\"",
        " xmlns:x=\"http://hl7.org/fhir\"",
        "x:",
        "value",
        "</div>",
        "<div>",
        "é",
        "\u{ffff}",
        "\0",
        "{",
        "}",
        "[",
        "]",
        "null",
        "\\u0001",
        ",",
    ]);
    let kind = prop_oneof![
        Just(Kind::Remove),
        Just(Kind::Double),
        piece.prop_map(Kind::Replace),
        any::<u8>().prop_map(Kind::Byte),
    ];
    let one = (any::<prop::sample::Index>(), 0usize..12, kind);
    let one = one.prop_map(|(at, length, kind)| Mutation { at, length, kind });
    prop::collection::vec(one, 1..6)
}

fn mutated(text: &str, mutations: &[Mutation]) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for mutation in mutations {
        let from = mutation.at.index(bytes.len() + 1);
        let to = (from + mutation.length).min(bytes.len());
        let piece = match &mutation.kind {
            Kind::Remove => Vec::new(),
            Kind::Double => bytes.get(from..to).unwrap_or_default().repeat(2),
            Kind::Replace(piece) => piece.as_bytes().to_vec(),
            Kind::Byte(byte) => vec![*byte],
        };
        bytes.splice(from..to, piece);
    }
    bytes
}

/// Any JSON, in which the words of patches come up often.
fn values() -> impl Strategy<Value = Value> {
    let word = prop::sample::select(vec![
        "op",
        "path",
        "from",
        "value",
        "add",
        "remove",
        "replace",
        "move",
        "copy",
        "test",
        "/name/0",
        "/name/-",
        "",
        "/a~1b",
        "resourceType",
        "Patient",
        "Parameters",
        "name",
        "part",
        "parameter",
        "operation",
        "type",
        "valueCode",
        "valueString",
        "Patient.name[0].given",
        "insert",
        "Patient.name.given",
        "index",
        "valueInteger",
        "valueBoolean",
        "%resource.contact.name.text",
        "delete",
        "source",
        "destination",
    ]);
    let leaf = prop_oneof![
        Just(Value::from(true)),
        Just(Value::from(Data::Null)),
        (-2i64..4).prop_map(Value::from),
        word.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(word.clone(), inner, 0..6)
                .prop_map(|members| Value::from(fhir_spec::json::Object::from_iter(members))),
        ]
    })
}

fn json_operation() -> impl Strategy<Value = Value> {
    let op = prop::sample::select(vec!["add", "remove", "replace", "move", "copy", "test"]);
    let path = prop::sample::select(vec![
        "",
        "/name",
        "/name/0",
        "/name/-",
        "/name/0/given",
        "/name/0/given/1",
        "/active",
        "/_active/id",
        "/contact/0/name",
        "/new",
        "/new/x",
        "/name/00",
    ]);
    (op, path.clone(), path, values()).prop_map(|(op, path, from, value)| {
        let members = [
            ("op", op.into()),
            ("path", path.into()),
            ("from", from.into()),
            ("value", value),
        ];
        fhir_spec::json::Object::from_iter(members).into()
    })
}

fn fhirpath_operation() -> impl Strategy<Value = String> {
    let kind = prop::sample::select(vec!["add", "insert", "delete", "replace", "move"]);
    let path = prop::sample::select(vec![
        "Patient",
        "Patient.name",
        "Patient.name[0].given",
        "Patient.name.given[1]",
        "Patient.active",
        "Patient.contact.name.text",
        "Patient.photo",
        "Patient.multipleBirth",
        "Patient.text.div",
        "Patient.name.given | Patient.contact",
        "1 + 1",
        "Patient.id",
        "Patient.name.given[1].id",
        "(",
    ]);
    let value = prop::sample::select(vec![
        r#"{"name":"value","valueString":"x"}"#,
        r#"{"name":"value","valueHumanName":{"text":"y"}}"#,
        r#"{"name":"value","valueBoolean":false}"#,
        r#"{"name":"value","part":[{"name":"gender","valueCode":"male"}]}"#,
        r#"{"name":"value","_valueString":{"id":"z"}}"#,
        r#"{"name":"value","valueString":["x"]}"#,
    ]);
    let name = prop::sample::select(vec![
        "name",
        "given",
        "extension",
        "deceased",
        "contact",
        "nick",
        "id",
    ]);
    (kind, path, value, name, 0..4, 0..4).prop_map(|(kind, path, value, name, from, to)| {
        format!(
            r#"{{"name":"operation","part":[{{"name":"type","valueCode":"{kind}"}},{{"name":"path","valueString":"{path}"}},{value},{{"name":"name","valueString":"{name}"}},
               {{"name":"index","valueInteger":{from}}},{{"name":"source","valueInteger":{from}}},{{"name":"destination","valueInteger":{to}}}]}}"#
        )
    })
}

/// What the writer takes, the reader gives back.
fn survives_xml(document: &Value) -> Result<(), TestCaseError> {
    let definitions = Definitions::r4();
    let Ok(text) = xml::write(document, definitions) else {
        return Ok(());
    };
    let Ok(read) = xml::read(text.as_bytes(), definitions) else {
        // The shape was wrong in a way that only the reader looks at.
        return Ok(());
    };
    let again = xml::write(&read, definitions);
    prop_assert_eq!(again.ok(), Some(text));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn mutated_xml_is_read_or_refused(mutations in mutations()) {
        if let Ok(document) = xml::read(&mutated(XML, &mutations), Definitions::r4()) {
            survives_xml(&document)?;
            // What XML says, JSON can say too.
            let json = document.to_string();
            prop_assert_eq!(parse(json.as_bytes()).ok(), Some(document));
        }
    }

    #[test]
    fn mutated_json_is_written_or_refused(mutations in mutations()) {
        if let Ok(document) = parse(&mutated(JSON, &mutations)) {
            survives_xml(&document)?;
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        prop_assert!(xml::read(&bytes, Definitions::r4()).is_err());
        let text = String::from_utf8_lossy(&bytes);
        prop_assert!(narrative::check(&narrative::sanitise(&text)).is_empty());
    }

    #[test]
    fn mutated_narratives_are_made_good(mutations in mutations()) {
        let bytes = mutated("<div xmlns=\"http://www.w3.org/1999/xhtml\"><p class='a'>b<!-- c --></p><img src=\"data:image/png,x\"/></div>", &mutations);
        let text = String::from_utf8_lossy(&bytes);
        let safe = narrative::sanitise(&text);
        prop_assert!(narrative::check(&safe).is_empty(), "{} became {}", text, safe);
    }

    #[test]
    fn patches_are_applied_or_refused(patch in values(), operations in prop::collection::vec(json_operation(), 0..8)) {
        let document = parse(JSON.as_bytes()).unwrap();
        let types = Definitions::r4().types();
        prop_assert!(patch.as_array().is_some() || patch::json::apply(&document, &patch).is_err());
        if let Ok(patched) = patch::json::apply(&document, &Value::from(operations)) {
            let text = patched.to_string();
            prop_assert_eq!(parse(text.as_bytes()).ok(), Some(patched));
        }
        let merged = patch::merge::apply(&document, &patch);
        prop_assert!(patch.as_object().is_some() || merged == patch);
        prop_assert!(patch.str_of("resourceType") == Some("Parameters") || patch::fhirpath::apply(&document, &patch, types).is_err());
    }

    #[test]
    fn fhirpath_patches_are_applied_or_refused(operations in prop::collection::vec(fhirpath_operation(), 0..6)) {
        let document = parse(JSON.as_bytes()).unwrap();
        let text = format!(r#"{{"resourceType":"Parameters","parameter":[{}]}}"#, operations.join(","));
        let parameters = parse(text.as_bytes()).unwrap();
        if let Ok(patched) = patch::fhirpath::apply(&document, &parameters, Definitions::r4().types()) {
            let text = patched.to_string();
            prop_assert!(!text.contains("{}") && !text.contains("[]"), "{}", text);
            prop_assert_eq!(parse(text.as_bytes()).ok(), Some(patched));
        }
    }

    #[test]
    fn mutated_xml_patches_are_applied_or_refused(changes in mutations(), damage in mutations()) {
        const PATCH: &str = "<diff xmlns='http://hl7.org/fhir' xmlns:f='http://hl7.org/fhir'><add sel='Patient/name[1]' pos='after'><name>\
            <text value='t'/></name></add><replace sel=\"f:Patient/*[f:given]/f:given[2]/@value\">x</replace><remove sel='f:Patient/comment()[1]' ws='both'/>\
            <add sel=\"Patient/extension[@url='u']\" type='@id'>1</add></diff>";
        let patch = mutated(PATCH, &changes);
        let patch = String::from_utf8_lossy(&patch);
        let document = mutated(XML, &damage);
        for document in [XML, &*String::from_utf8_lossy(&document)] {
            if let Ok(patched) = patch::xml::apply(document, &patch) {
                let again = patch::xml::apply(&patched, "<diff/>");
                prop_assert_eq!(again.ok(), Some(patched));
            }
        }
    }
}
