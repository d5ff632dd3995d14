//! The notation: every example of the page that teaches it compiles, and every kind of mistake is told with its place.

use fhir_spec::definitions::Definitions;
use interop::formats::delimited::TableSchema;
use interop::mapping::source::Schema;
use interop::mapping::{BadMap, Pack, shipped};

use crate::harness::{convert, plan, resources, schema};

const PAGE: &str = include_str!("../../maps/README.md");

fn examples(kind: &str) -> Vec<&'static str> {
    let fence = format!("```{kind}\n");
    PAGE.split(&fence)
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect()
}

#[test]
fn every_example_of_the_page_compiles() {
    let all = examples("map");
    assert!(all.len() >= 8);
    for example in all {
        let pack =
            Pack::read([("README.md", example)]).unwrap_or_else(|bad| panic!("{bad}\n{example}"));
        let names: Vec<&str> = pack.maps().map(|(name, _)| name).collect();
        for name in names {
            plan(&pack, name);
        }
    }
    for example in examples("overlay") {
        let laid = shipped()
            .unwrap()
            .with_overlay("README.md", example)
            .unwrap();
        let gone: Vec<String> = laid.gone.iter().map(ToString::to_string).collect();
        assert_eq!(
            gone,
            [
                "README.md:4:5: expected the id of a row that is there, found 'fax -> telecom[].value'"
            ]
        );
        plan(&laid.pack, "patients");
    }
    // The one that is not of a table can be read, at least.
    let hl7 = PAGE
        .split("```\nmap ORU_R01")
        .nth(1)
        .unwrap()
        .split("```")
        .next()
        .unwrap();
    Pack::read([("README.md", format!("map ORU_R01{hl7}").as_str())]).unwrap();
}

fn problems(text: &str) -> Vec<String> {
    let told = |bad: BadMap| bad.0.iter().map(ToString::to_string).collect();
    let pack = match Pack::read([("m", text)]) {
        Ok(pack) => pack,
        Err(bad) => return told(bad),
    };
    let names: Vec<String> = pack.maps().map(|(name, _)| name.to_owned()).collect();
    let schemas: Vec<(String, TableSchema)> = names
        .iter()
        .map(|name| (name.clone(), schema(&pack, name)))
        .collect();
    let all = pack.check_all(
        |name| {
            schemas
                .iter()
                .find(|(known, _)| known == name)
                .map(|(_, schema)| -> &dyn Schema { schema })
        },
        Definitions::r4(),
    );
    all.map_or_else(told, |_| Vec::new())
}

/// A map of one row in a Patient, on line 4.
fn problem_of_row(row: &str) -> String {
    let text =
        format!("map m : csv\n  columns a, b\n  row -> Patient\n    {row}\n    b -> name.text\n");
    problems(&text).join("\n")
}

/// Rows, and what is wrong with them.
const MISTAKES: &[(&str, &str)] = &[
    (
        "c -> name.family",
        "m:4:5: expected a column of the map, found 'c'",
    ),
    (
        "a -> nam.family",
        "m:4:10: expected an element of Patient, such as name, found 'nam'",
    ),
    (
        "a -> name.famly",
        "m:4:10: expected an element of HumanName, such as family, found 'famly'",
    ),
    (
        "a -> deceased",
        "m:4:10: expected deceased with its type: deceasedBoolean, deceasedDateTime, found 'deceased'",
    ),
    (
        "a -> gender[]",
        "m:4:10: expected no brackets: Patient.gender comes once at most",
    ),
    (
        "a -> maritalStatus",
        "m:4:5: expected a type map, code table or function that gives a CodeableConcept, found 'Patient.maritalStatus'",
    ),
    (
        "a -> gender : find(\"Patient\")",
        "m:4:5: expected a code, not a Reference, found 'Patient.gender'",
    ),
    (
        "a -> gender : code nowhere",
        "m:4:24: expected a code table of the pack, found 'nowhere'",
    ),
    (
        "a -> birthDate : no_such(1)",
        "m:4:22: expected a function of the library, a type map, or code and a table, found 'no_such'",
    ),
    (
        "a -> birthDate : substring()",
        "m:4:22: expected the arguments of substring(text, from, length?)",
    ),
    (
        "\"2024-13\" -> birthDate",
        "m:4:5: expected a date such as 2015, 2015-02 or 2015-02-07, found '2024-13'",
    ),
    (
        "\"man\" -> gender",
        "m:4:5: expected a code of http://hl7.org/fhir/ValueSet/administrative-gender|4.0.1, found 'man'",
    ),
    (
        "$c -> name.family",
        "m:4:5: expected a constant that the map declares, found 'c'",
    ),
    (
        "a -> name.family if c",
        "m:4:25: expected a column of the map, found 'c'",
    ),
    (
        "a -> name.family if a is something",
        "m:4:30: expected null or valued, found 'something'",
    ),
    (
        "a -> name.family { use = \"x\" }",
        "m:4:24: expected a code of http://hl7.org/fhir/ValueSet/name-use|4.0.1, found 'x'",
    ),
    (
        "a <-> name.family : trim",
        "m:4:5: expected -> alone: this row does not invert, nothing undoes trim, found '<->'",
    ),
    (
        "a + b <-> name.family",
        "m:4:5: expected -> alone: this row does not invert, its source is not one path, found '<->'",
    ),
    (
        "a -> name[use=wrong].family",
        "m:4:15: expected a code of http://hl7.org/fhir/ValueSet/name-use|4.0.1, found 'wrong'",
    ),
    (
        "a -> ",
        "m:4:7: expected a path in FHIR, such as name.family, found the end of the line",
    ),
    ("a name", "m:4:7: expected ->, <- or <->, found 'name'"),
    (
        "a -> name.family ;",
        "m:4:22: expected a word, a text in quotes or a sign such as -> : | { }, found ';'",
    ),
    ("a -> \"x", "m:4:10: expected a \" at the end of this text"),
];

#[test]
fn mistakes_are_told_with_line_column_and_what_was_expected() {
    let mut wrong = Vec::new();
    for (row, told) in MISTAKES {
        let found =
            problem_of_row(row).replace("found 'the end of the line'", "found the end of the line");
        if !found.lines().any(|line| line == *told) {
            wrong.push(format!("{row}\n  told: {found}\n  want: {told}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn all_problems_come_at_once() {
    let text = "map m : csv\n  columns a, b\n  constant unused = \"x\"\n  row -> Patience\n    a -> b\n  row -> Patient\n    c -> name.text\n    \
                a -> gendre\n    \"x\" -> id\n    a -> id\n    a -> id\n\ncodes never\n  a = b\n";
    let told = problems(text);
    let lines: Vec<u32> = told
        .iter()
        .map(|line| line.split(':').nth(1).unwrap().parse().unwrap())
        .collect();
    assert_eq!(lines, [4, 7, 8, 10, 11, 11, 3], "{told:#?}");
    assert!(
        told.iter()
            .any(|line| line.contains("a row that can be reached"))
    );
    assert!(
        told.iter()
            .any(|line| line.contains("a name of its own (@name)"))
    );
}

#[test]
fn what_is_not_used_is_an_error() {
    let text = "map m : csv\n  columns a\n  row -> Patient\n    a -> id\ncodes never\n  a = b\ntype CX -> Identifier\n  CX.1 -> value\n";
    assert_eq!(
        problems(text),
        [
            "m:5:7: expected a row that uses this code table, found 'never'",
            "m:7:6: expected a row or block that uses this map, found 'CX'",
        ]
    );
}

#[test]
fn the_page_does_what_it_says() {
    let is_it = |example: &&str| example.starts_with("map blocks");
    let example = examples("map").into_iter().find(is_it).unwrap();
    let pack = Pack::read([("README.md", example)]).unwrap();
    let converted = convert(
        &pack,
        "blocks",
        b"mrn,order,code,value,lab\n1,2,GLU,5.4,City Lab\n",
        None,
    );
    let all = resources(&converted.bundle);
    let kinds: Vec<&str> = all
        .iter()
        .map(|resource| resource.str_of("resourceType").unwrap())
        .collect();
    assert_eq!(kinds, ["Patient", "DiagnosticReport", "Observation"]);
    let report = &all[1];
    assert_eq!(
        report.items_of("contained")[0].str_of("name"),
        Some("City Lab")
    );
    let performer = report.items_of("performer")[0]
        .str_of("reference")
        .unwrap()
        .to_owned();
    assert_eq!(
        performer,
        format!("#{}", report.items_of("contained")[0].str_of("id").unwrap())
    );
    let urls: Vec<&str> = converted
        .bundle
        .items_of("entry")
        .iter()
        .map(|entry| entry.str_of("fullUrl").unwrap())
        .collect();
    assert_eq!(
        report.get("subject").unwrap().str_of("reference"),
        Some(urls[0])
    );
    assert_eq!(
        report.items_of("result")[0].str_of("reference"),
        Some(urls[2])
    );
    let request = converted.bundle.items_of("entry")[0]
        .get("request")
        .unwrap();
    assert_eq!(request.str_of("ifNoneExist"), Some("identifier=urn:mrn|1"));
}

/// Whatever stands in a file of maps, it is told and nothing falls over.
#[test]
fn broken_maps_are_told_and_never_panic() {
    let whole: String = interop::mapping::DELIMITED
        .iter()
        .map(|(_, text)| *text)
        .collect();
    let pieces: Vec<&str> = whole
        .split_inclusive([' ', '\n', '[', ']', '{', '}', '='])
        .collect();
    let mut seed = 7u64;
    let mut random = move |below: usize| {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(seed >> 33).unwrap() % below
    };
    for _ in 0..1_500 {
        let from = random(pieces.len());
        let mut text: Vec<&str> = pieces[from..(from + 60).min(pieces.len())].to_vec();
        for _ in 0..4 {
            let place = random(text.len());
            match random(4) {
                0 => drop(text.remove(place)),
                1 => text.insert(place, pieces[random(pieces.len())]),
                2 => {
                    text[place] = [
                        "((((",
                        "[[",
                        "\"",
                        "`",
                        "<->",
                        "->",
                        "^x.y",
                        "\u{0}é",
                        "9999999999",
                        "\n\n   ",
                    ][random(10)];
                }
                _ => text.swap(place, 0),
            }
            if text.is_empty() {
                text.push("x");
            }
        }
        let text = format!("map m : csv\n  columns a\n{}", text.concat());
        drop(problems(&text));
    }
    let deep = format!(
        "map m : csv\n  columns a\n  row -> Patient\n    a -> id if {}a{}\n",
        "(".repeat(9_000),
        ")".repeat(9_000)
    );
    assert!(problems(&deep)[0].contains("no more than 32 brackets"));
    let deep: String = (0..200)
        .map(|depth| format!("{}G\n", " ".repeat(depth + 1)))
        .collect();
    assert!(
        problems(&format!("map m : csv\n{deep}"))
            .iter()
            .any(|told| told.contains("no more than 32 blocks"))
    );
}
