use super::*;
use crate::definitions::Definitions;
use crate::json::{Value, parse};

const ANIMALS: &str = r#"{"resourceType":"CodeSystem","url":"http://x/animals","version":"1","content":"complete","caseSensitive":true,
    "hierarchyMeaning":"is-a","property":[{"code":"legs","type":"integer"}],"concept":[
    {"code":"animal","display":"Animal","property":[{"code":"notSelectable","valueBoolean":true}],"concept":[
        {"code":"bird","display":"Bird","property":[{"code":"legs","valueInteger":2}],"concept":[{"code":"owl","display":"Owl"}]},
        {"code":"cat","display":"House cat","property":[{"code":"legs","valueInteger":4}]},
        {"code":"dodo","property":[{"code":"status","valueCode":"retired"},{"code":"parent","valueCode":"pet"}]}]},
    {"code":"pet","display":"Pet","property":[{"code":"child","valueCode":"cat"}]}]}"#;

fn laid(value_sets: &[(&str, &str)]) -> Definitions {
    let systems = [
        ANIMALS.to_owned(),
        r#"{"resourceType":"CodeSystem","url":"http://x/part","content":"fragment","concept":[{"code":"a"}]}"#.to_owned(),
        r#"{"resourceType":"CodeSystem","url":"http://x/loose","content":"complete","caseSensitive":false,"concept":[{"code":"Abc","display":"D"}]}"#.to_owned(),
    ];
    let value_sets = value_sets.iter().map(|(name, rest)| {
        format!(
            r#"{{"resourceType":"ValueSet","url":"http://x/vs/{name}","name":"{name}",{rest}}}"#
        )
    });
    let resources: Vec<Value> = systems
        .into_iter()
        .chain(value_sets)
        .map(|text| parse(text.as_bytes()).unwrap())
        .collect();
    Definitions::r4().with_resources(resources)
}

fn composed(compose: &str) -> std::sync::Arc<ValueSet> {
    let compose = format!(r#""compose":{{{compose}}}"#);
    laid(&[("v", &compose)]).value_set("http://x/vs/v").unwrap()
}

/// The animals that a filter takes.
fn filtered(property: &str, op: &str, value: &str) -> Vec<String> {
    let value_set = composed(&format!(
        r#""include":[{{"system":"http://x/animals","filter":[{{"property":"{property}","op":"{op}","value":"{value}"}}]}}]"#
    ));
    let expansion = value_set.expand(Page::default()).unwrap();
    for contained in &expansion.contains {
        assert!(
            value_set
                .contains(Some("http://x/animals"), &contained.code, None)
                .is_in()
        );
    }
    expansion
        .contains
        .iter()
        .map(|contained| contained.code.to_string())
        .collect()
}

fn has(value_set: &ValueSet, system: &str, code: &str) -> Option<bool> {
    match value_set.contains(Some(system), code, None) {
        Membership::In { .. } => Some(true),
        Membership::NotIn => Some(false),
        Membership::Unknown(_) => None,
    }
}

#[test]
fn hierarchies_have_several_parents() {
    let laid = laid(&[]);
    let animals = laid.code_system("http://x/animals").unwrap();
    assert_eq!(animals.subsumes("animal", "owl"), Some(true));
    assert_eq!(animals.subsumes("owl", "animal"), Some(false));
    assert_eq!(animals.subsumes("pet", "cat"), Some(true));
    assert_eq!(animals.subsumes("pet", "dodo"), Some(true));
    assert_eq!(animals.subsumes("pet", "unicorn"), None);
    assert!(animals.concept("animal").unwrap().is_abstract);
    assert!(animals.concept("dodo").unwrap().is_inactive);
    assert!(animals.concept("Cat").is_none());
    let loose = laid.code_system("http://x/loose").unwrap();
    assert_eq!(&*loose.concept("ABC").unwrap().code, "Abc");
    assert!(animals.is_complete() && !laid.code_system("http://x/part").unwrap().is_complete());
}

#[test]
fn filters_select_by_hierarchy_and_property() {
    assert_eq!(filtered("concept", "is-a", "bird"), ["bird", "owl"]);
    assert_eq!(filtered("concept", "descendent-of", "bird"), ["owl"]);
    assert_eq!(filtered("concept", "is-a", "pet"), ["cat", "dodo", "pet"]);
    assert_eq!(filtered("concept", "is-not-a", "animal"), ["pet"]);
    assert_eq!(
        filtered("concept", "generalizes", "owl"),
        ["animal", "bird", "owl"]
    );
    assert_eq!(
        filtered("code", "regex", "[a-c].*"),
        ["animal", "bird", "cat"]
    );
    assert_eq!(filtered("code", "regex", "a"), [""; 0]);
    assert_eq!(filtered("legs", "=", "4"), ["cat"]);
    assert_eq!(filtered("legs", "exists", "true"), ["bird", "cat"]);
    assert_eq!(
        filtered("legs", "exists", "false"),
        ["animal", "owl", "dodo", "pet"]
    );
    assert_eq!(filtered("concept", "in", "owl, cat"), ["owl", "cat"]);
    assert_eq!(
        filtered("concept", "not-in", "owl,cat,pet"),
        ["animal", "bird", "dodo"]
    );
    assert_eq!(filtered("parent", "=", "pet"), ["cat", "dodo"]);
    assert_eq!(filtered("concept", "is-a", "unicorn"), [""; 0]);
}

#[test]
fn includes_unite_and_excludes_take_away() {
    let value_set = composed(
        r#""include":[{"system":"http://x/animals"},{"system":"http://loinc.org","concept":[{"code":"1-8","display":"one"}]}],
        "exclude":[{"system":"http://x/animals","concept":[{"code":"owl"}]}]"#,
    );
    assert_eq!(has(&value_set, "http://x/animals", "cat"), Some(true));
    assert_eq!(has(&value_set, "http://x/animals", "owl"), Some(false));
    assert_eq!(has(&value_set, "http://x/animals", "horse"), Some(false));
    // A system that is not loaded: its listed codes decide.
    assert_eq!(has(&value_set, "http://loinc.org", "1-8"), Some(true));
    assert_eq!(has(&value_set, "http://loinc.org", "2-6"), Some(false));
    assert_eq!(
        has(&value_set, "http://snomed.info/sct", "1-8"),
        Some(false)
    );
    assert_eq!(
        value_set.contains(None, "1-8", None),
        Membership::In {
            display: Some("one")
        }
    );
    assert_eq!(
        value_set.contains(None, "cat", None),
        Membership::In {
            display: Some("House cat")
        }
    );
}

#[test]
fn what_is_not_loaded_is_unknown() {
    let whole = composed(r#""include":[{"system":"http://snomed.info/sct"}]"#);
    assert_eq!(
        whole.contains(Some("http://snomed.info/sct"), "1", None),
        Membership::Unknown(Reason::SystemNotLoaded("http://snomed.info/sct".into()))
    );
    let part = composed(r#""include":[{"system":"http://x/part"}]"#);
    assert_eq!(has(&part, "http://x/part", "a"), Some(true));
    assert_eq!(has(&part, "http://x/part", "b"), None);
    let strange = composed(
        r#""include":[{"system":"http://x/animals","filter":[{"property":"concept","op":"resembles","value":"cat"}]}]"#,
    );
    assert_eq!(has(&strange, "http://x/animals", "cat"), None);
    assert_eq!(has(&strange, "http://x/animals", "horse"), Some(false));
    let bad_regex = composed(
        r#""include":[{"system":"http://x/animals","filter":[{"property":"code","op":"regex","value":"("}]}]"#,
    );
    assert_eq!(has(&bad_regex, "http://x/animals", "cat"), None);
    assert!(matches!(
        whole.expand(Page::default()),
        Err(ExpandError::Undecided(Reason::SystemNotLoaded(_)))
    ));
    let pinned = composed(r#""include":[{"system":"http://x/animals","version":"7"}]"#);
    assert_eq!(has(&pinned, "http://x/animals", "cat"), None);
    let empty = laid(&[("e", r#""status":"active""#)])
        .value_set("http://x/vs/e")
        .unwrap();
    assert_eq!(
        empty.contains(None, "a", None),
        Membership::Unknown(Reason::NoContent)
    );
}

#[test]
fn versions_count_where_they_are_pinned() {
    let pinned = composed(r#""include":[{"system":"http://x/animals","version":"1"}]"#);
    let system = Some("http://x/animals");
    assert!(pinned.contains(system, "cat", None).is_in());
    assert!(pinned.contains(system, "cat", Some("1")).is_in());
    assert_eq!(pinned.contains(system, "cat", Some("2")), Membership::NotIn);
}

#[test]
fn imports_intersect_within_an_include() {
    let laid = laid(&[
        (
            "birds",
            r#""compose":{"include":[{"system":"http://x/animals","filter":[{"property":"concept","op":"is-a","value":"bird"}]}]}"#,
        ),
        (
            "owls",
            r#""compose":{"include":[{"system":"http://x/animals","concept":[{"code":"owl"},{"code":"cat"}]}]}"#,
        ),
        (
            "both",
            r#""compose":{"include":[{"valueSet":["http://x/vs/birds","http://x/vs/owls"]}]}"#,
        ),
        (
            "either",
            r#""compose":{"include":[{"valueSet":["http://x/vs/birds"]},{"valueSet":["http://x/vs/owls"]}]}"#,
        ),
        (
            "some",
            r#""compose":{"include":[{"system":"http://x/animals","valueSet":["http://x/vs/owls"]}]}"#,
        ),
        (
            "gone",
            r#""compose":{"include":[{"valueSet":["http://x/vs/nowhere"]}]}"#,
        ),
    ]);
    let codes = |name: &str| -> Vec<String> {
        let value_set = laid.value_set(&format!("http://x/vs/{name}")).unwrap();
        let expansion = value_set.expand(Page::default()).unwrap();
        expansion
            .contains
            .iter()
            .map(|contained| contained.code.to_string())
            .collect()
    };
    assert_eq!(codes("both"), ["owl"]);
    assert_eq!(codes("either"), ["bird", "owl", "cat"]);
    assert_eq!(codes("some"), ["owl", "cat"]);
    let gone = laid.value_set("http://x/vs/gone").unwrap();
    assert!(matches!(
        gone.contains(None, "a", None),
        Membership::Unknown(Reason::ValueSetNotLoaded(_))
    ));
}

#[test]
fn imports_may_not_go_in_circles_or_too_deep() {
    let circle = laid(&[
        (
            "a",
            r#""compose":{"include":[{"valueSet":["http://x/vs/b"]}]}"#,
        ),
        (
            "b",
            r#""compose":{"include":[{"valueSet":["http://x/vs/a"]}]}"#,
        ),
    ]);
    let a = circle.value_set("http://x/vs/a").unwrap();
    assert!(matches!(
        a.contains(None, "x", None),
        Membership::Unknown(Reason::ImportCycle(_))
    ));
    // Each imports the next one twice: asked naively, the last is asked 2^28 times.
    let names: Vec<String> = (0..30).map(|number| format!("n{number}")).collect();
    let sets: Vec<(&str, String)> = (0..29)
        .map(|number| {
            let next = format!(r#"{{"valueSet":["http://x/vs/n{}"]}}"#, number + 1);
            (
                names[number].as_str(),
                format!(r#""compose":{{"include":[{next},{next}]}}"#),
            )
        })
        .chain([(
            "n29",
            r#""compose":{"include":[{"system":"http://x/animals"}]}"#.to_owned(),
        )])
        .collect();
    let sets: Vec<(&str, &str)> = sets
        .iter()
        .map(|(name, rest)| (*name, rest.as_str()))
        .collect();
    let doubled = laid(&sets).value_set("http://x/vs/n0").unwrap();
    assert_eq!(
        doubled.contains(None, "horse", None),
        Membership::Unknown(Reason::TooCostly)
    );
    assert_eq!(doubled.expand(Page::default()), Err(ExpandError::TooCostly));
    let chain: Vec<(String, String)> = (0..100)
        .map(|number| {
            let import = format!(
                r#""compose":{{"include":[{{"valueSet":["http://x/vs/c{}"]}}]}}"#,
                number + 1
            );
            (format!("c{number}"), import)
        })
        .collect();
    let chain: Vec<(&str, &str)> = chain
        .iter()
        .map(|(name, rest)| (name.as_str(), rest.as_str()))
        .collect();
    let deep = laid(&chain).value_set("http://x/vs/c0").unwrap();
    assert_eq!(
        deep.contains(None, "x", None),
        Membership::Unknown(Reason::ImportsTooDeep)
    );
}

#[test]
fn expansions_that_came_along_decide_what_compose_cannot() {
    let sets = |expansion: &str| {
        let rest = format!(
            r#""compose":{{"include":[{{"system":"http://snomed.info/sct","filter":[{{"property":"concept","op":"is-a","value":"9"}}]}}]}},"expansion":{{{expansion}}}"#
        );
        laid(&[("v", &rest)]).value_set("http://x/vs/v").unwrap()
    };
    let contains = r#""contains":[{"system":"http://snomed.info/sct","abstract":true,"code":"8","contains":[{"system":"http://snomed.info/sct","code":"9","display":"nine"}]}]"#;
    let whole = sets(contains);
    let sct = "http://snomed.info/sct";
    assert_eq!(has(&whole, sct, "9"), Some(true));
    assert_eq!(has(&whole, sct, "8"), Some(false));
    assert_eq!(whole.expand(Page::default()).unwrap().total, 1);
    let part = sets(&format!(r#""total":5,{contains}"#));
    assert_eq!(has(&part, sct, "9"), Some(true));
    assert_eq!(has(&part, sct, "7"), None);
}

#[test]
fn retired_codes_may_be_left_out() {
    let without = composed(r#""inactive":false,"include":[{"system":"http://x/animals"}]"#);
    assert_eq!(has(&without, "http://x/animals", "dodo"), Some(false));
    let with = composed(r#""include":[{"system":"http://x/animals"}]"#);
    assert_eq!(has(&with, "http://x/animals", "dodo"), Some(true));
}

#[test]
fn expansions_come_in_pages_and_by_words() {
    let value_set = composed(r#""include":[{"system":"http://x/animals"}]"#);
    let page = |filter, offset, count| {
        let expansion = value_set
            .expand(Page {
                filter,
                offset,
                count,
            })
            .unwrap();
        let codes: Vec<String> = expansion
            .contains
            .iter()
            .map(|code| code.code.to_string())
            .collect();
        (expansion.total, codes.join(" "))
    };
    assert_eq!(page(None, 1, Some(2)), (6, "bird owl".to_owned()));
    assert_eq!(page(None, 9, None), (6, String::new()));
    assert_eq!(page(Some("CAT house"), 0, None), (1, "cat".to_owned()));
}

#[test]
fn case_is_as_the_system_says() {
    let value_set =
        composed(r#""include":[{"system":"http://x/loose","concept":[{"code":"abc"}]}]"#);
    assert_eq!(
        value_set.contains(Some("http://x/loose"), "ABC", None),
        Membership::In { display: Some("D") }
    );
}

#[test]
fn value_sets_of_the_specification() {
    let r4 = Definitions::r4();
    let languages = r4
        .value_set("http://hl7.org/fhir/ValueSet/all-languages|4.0.1")
        .unwrap();
    assert_eq!(has(&languages, "urn:ietf:bcp:47", "de-CH"), Some(true));
    assert_eq!(has(&languages, "urn:ietf:bcp:47", "de_CH"), Some(false));
    assert!(matches!(
        languages.expand(Page::default()),
        Err(ExpandError::NotEnumerable(_))
    ));
    let types = r4
        .value_set("http://hl7.org/fhir/ValueSet/mimetypes")
        .unwrap();
    assert!(types.contains(None, "application/fhir+json", None).is_in());
    let encounters = r4
        .value_set("http://terminology.hl7.org/ValueSet/v3-ActEncounterCode")
        .unwrap();
    let act = "http://terminology.hl7.org/CodeSystem/v3-ActCode";
    assert_eq!(has(&encounters, act, "AMB"), Some(true));
    assert_eq!(has(&encounters, act, "BILL"), Some(false));
    let currencies = r4
        .value_set("http://hl7.org/fhir/ValueSet/currencies")
        .unwrap();
    assert_eq!(has(&currencies, "urn:iso:std:iso:4217", "CHF"), Some(true));
    assert_eq!(has(&currencies, "urn:iso:std:iso:4217", "chf"), Some(false));
    let countries = r4
        .value_set("http://hl7.org/fhir/ValueSet/iso3166-1-2")
        .unwrap();
    assert_eq!(has(&countries, "urn:iso:std:iso:3166", "CH"), Some(true));
    assert_eq!(has(&countries, "urn:iso:std:iso:3166", "CHE"), Some(false));
    assert_eq!(has(&countries, "urn:iso:std:iso:3166", "XX"), Some(false));
    let durations = r4
        .value_set("http://hl7.org/fhir/ValueSet/all-time-units")
        .unwrap();
    assert_eq!(
        has(&durations, "http://unitsofmeasure.org", "mo"),
        Some(true)
    );
    assert_eq!(
        has(&durations, "http://unitsofmeasure.org", "kg"),
        Some(false)
    );
}
