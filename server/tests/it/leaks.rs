//! Two patients whose records refer to each other, and every way there is to ask: who may see the one learns nothing of the
//! other. (T-1, T-2, T-4, T-5, T-11, F18)

use std::collections::BTreeSet;

use fhir_spec::json::{Value, parse};

use crate::authorised::{Holder, guarded, key};
use crate::client::Answer;
use crate::databases::Database;

on_both_databases!(no_way_to_ask_leads_to_another_s_record);

/// Only the record of the other patient has it.
pub(crate) const MARK: &str = "zebra";
/// What nobody has.
const ABSENT: &str = "okapi";

/// The record of OWN, which refers to OTHER's; WORD stands in all of it.
const RECORD: &[(&str, &str, &str)] = &[
    (
        "Patient",
        "",
        r#""name":[{"family":"WORD"}],"link":[{"other":{"reference":"Patient/OTHER"},"type":"seealso"}],
        "generalPractitioner":[{"reference":"Practitioner/p"}],NAMED"#,
    ),
    (
        "Encounter",
        "-enc",
        r#""status":"finished","class":{"code":"AMB"},SUBJECT,"reasonCode":[CODE],NAMED"#,
    ),
    (
        "Observation",
        "-obs2",
        r#""status":"final","code":CODE,SUBJECT,NAMED"#,
    ),
    (
        "Observation",
        "-obs",
        r#""status":"final","code":CODE,SUBJECT,"hasMember":[LINKS],"valueString":"WORD",NAMED,
        "encounter":{"reference":"Encounter/OTHER-enc"},"performer":[{"reference":"Practitioner/p"}]"#,
    ),
    (
        "Condition",
        "-con",
        r#""code":CODE,SUBJECT,"evidence":[{"detail":[LINKS]}],NAMED"#,
    ),
    (
        "Procedure",
        "-pro",
        r#""status":"completed","code":CODE,SUBJECT,"reasonReference":[{"reference":"Condition/OTHER-con"}],NAMED"#,
    ),
    (
        "MedicationRequest",
        "-med",
        r#""status":"active","intent":"order","medicationReference":{"reference":"Medication/m"},
        SUBJECT,"reasonReference":[{"reference":"Condition/OTHER-con"}],NAMED"#,
    ),
    (
        "AllergyIntolerance",
        "-all",
        r#""patient":{"reference":"Patient/OWN"},"code":CODE,NAMED,"clinicalStatus":{"coding":[{
        "system":"http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical","code":"active"}]}"#,
    ),
    (
        "DiagnosticReport",
        "-rep",
        r#""status":"final","code":CODE,SUBJECT,"result":[LINKS],NAMED"#,
    ),
    (
        "DocumentReference",
        "-doc",
        r#""status":"current",SUBJECT,"description":"WORD","content":[{"attachment":{
        "url":"Binary/OWN-bin"}}],"context":{"related":[LINKS]},NAMED"#,
    ),
    (
        "CarePlan",
        "-car",
        r#""status":"active","intent":"plan","title":"WORD",SUBJECT,
        "addresses":[{"reference":"Condition/OTHER-con"}],NAMED"#,
    ),
    (
        "Provenance",
        "-prv",
        r#""target":[{"reference":"Patient/OWN"},{"reference":"Observation/OWN-obs"}],
        "recorded":"2026-01-01T00:00:00Z","reason":[CODE],"agent":[{"who":{"reference":"Patient/OWN"}}]"#,
    ),
    (
        "List",
        "-lis",
        r#""status":"current","mode":"working","title":"WORD",SUBJECT,
        "entry":[{"item":{"reference":"Observation/OTHER-obs"}}],NAMED"#,
    ),
    (
        "Composition",
        "-com",
        r#""status":"final","type":CODE,SUBJECT,"date":"2026-01-01",
        "author":[{"reference":"Practitioner/p"}],"title":"WORD","section":[{"title":"WORD","entry":[LINKS]}]"#,
    ),
    (
        "Binary",
        "-bin",
        r#""contentType":"text/plain","data":"emVicmE=","securityContext":{"reference":"Patient/OWN"}"#,
    ),
];

pub(crate) fn record(own: &str, other: &str, word: &str) -> Vec<String> {
    let resource = |(kind, id, rest): &(&str, &str, &str)| {
        format!(r#"{{"resourceType":"{kind}","id":"OWN{id}",{rest}}}"#)
            .replace(
                "NAMED",
                r#""identifier":[{"system":"urn:ids","value":"WORD"}]"#,
            )
            .replace("SUBJECT", r#""subject":{"reference":"Patient/OWN"}"#)
            .replace(
                "CODE",
                r#"{"coding":[{"system":"urn:codes","code":"WORD"}],"text":"WORD"}"#,
            )
            .replace(
                "LINKS",
                r#"{"reference":"Observation/OTHER-obs"},{"reference":"Observation/OWN-obs2"}"#,
            )
            .replace("OWN", own)
            .replace("OTHER", other)
            .replace("WORD", word)
    };
    RECORD.iter().map(resource).collect()
}

const TYPES: &[&str] = &[
    "Patient",
    "Encounter",
    "Observation",
    "Condition",
    "Procedure",
    "MedicationRequest",
    "AllergyIntolerance",
    "DiagnosticReport",
    "DocumentReference",
    "CarePlan",
    "Provenance",
    "List",
    "Composition",
    "Practitioner",
    "Medication",
];

/// Ways to ask of every type.
const OF_EACH: &[&str] = &[
    "",
    "?_count=1",
    "?_sort=-_lastUpdated",
    "?_sort=_id&_count=3",
    "?_total=accurate",
    "?_summary=count",
    "?_summary=text",
    "?_elements=id",
    "?_id=a,b,b-obs,b-con,b-enc,b-rep",
    "?_lastUpdated=gt2000-01-01",
    "?_include=*",
    "?_include=*&_include:iterate=*",
    "?_revinclude=*",
    "?_revinclude=*&_include:iterate=*&_revinclude:iterate=*",
    "/_history",
    "/_history?_count=2",
    "?_content=WORD",
    "?_text=WORD",
];

/// Of one type, and of all that are not named here.
pub(crate) const OF_ONE: &[(&str, &[&str])] = &[
    (
        "Patient",
        &[
            "?family=WORD",
            "?identifier=WORD",
            "?link:Patient.family=WORD",
            "?link=Patient/b",
            "?_has:Observation:patient:code=WORD",
            "?_has:Condition:patient:identifier=WORD",
            "?_has:Observation:patient:_has:DiagnosticReport:result:identifier=WORD",
            "?_has:Composition:patient:title=WORD",
        ],
    ),
    (
        "Observation",
        &[
            "?code=WORD",
            "?patient.family=WORD",
            "?subject:Patient.name=WORD",
            "?has-member.code=WORD",
            "?has-member:Observation.subject:Patient.name=WORD",
            "?encounter.identifier=WORD",
            "?_has:DiagnosticReport:result:identifier=WORD",
            "?_list=b-lis",
            "?patient=b",
            "?_filter=code%20eq%20WORD",
            "?has-member=Observation/b-obs",
            "?value-string=WORD",
            "?_has:List:item:title=WORD",
            "?has-member.has-member.code=WORD",
        ],
    ),
    (
        "Practitioner",
        &[
            "?_has:Observation:performer:code=WORD",
            "?_has:Patient:general-practitioner:family=WORD",
            "?_has:Composition:author:title=WORD",
        ],
    ),
    (
        "Medication",
        &["?_has:MedicationRequest:medication:identifier=WORD"],
    ),
    (
        "Encounter",
        &[
            "?patient=b",
            "?_has:Observation:encounter:code=WORD",
            "?identifier=WORD",
        ],
    ),
    (
        "DiagnosticReport",
        &[
            "?result.code=WORD",
            "?patient=b",
            "?result.subject:Patient.family=WORD",
        ],
    ),
    (
        "Condition",
        &[
            "?patient=b",
            "?code=WORD",
            "?evidence-detail:Observation.code=WORD",
        ],
    ),
    (
        "Composition",
        &[
            "?entry:Observation.code=WORD",
            "?subject=Patient/b",
            "?title=WORD",
        ],
    ),
    (
        "Provenance",
        &[
            "?target=Observation/b-obs",
            "?patient=b",
            "?target:Observation.code=WORD",
        ],
    ),
    (
        "List",
        &[
            "?item:Observation.code=WORD",
            "?subject=Patient/b",
            "?title=WORD",
        ],
    ),
    ("", &["?patient=b", "?identifier=WORD"]),
];

/// Every way to ask of a type.
fn ways(kind: &str, word: &str) -> Vec<String> {
    let mut own = OF_ONE
        .iter()
        .filter(|(name, _)| *name == kind || name.is_empty());
    let own = own.next().map_or(&[][..], |(_, ways)| ways);
    let all = OF_EACH.iter().chain(own);
    let path = |way: &&str| format!("/fhir/{kind}{}", way.replace("WORD", word));
    all.map(path).collect()
}

/// What was answered of the record of the other one.
fn foreign(answer: &Answer) -> Vec<String> {
    let text = answer.text();
    if !text.starts_with('{') {
        return Vec::new();
    }
    let mut found = Vec::new();
    let json = answer.json();
    let entries = json.items_of("entry").iter();
    let resources = entries.filter_map(|entry| entry.get("resource"));
    for resource in resources.chain(std::iter::once(&json)) {
        let id = resource.str_of("id").unwrap_or_default();
        if id == "b" || id.starts_with("b-") {
            found.push(id.to_owned());
        }
    }
    // What was asked is told in the links.
    let told = text
        .replace(&format!("={MARK}"), "")
        .replace(&format!("%20{MARK}"), "");
    if told.contains(MARK) && answer.status == 200 {
        found.push(format!("the word: {text}"));
    }
    found
}

/// All that tells one answer from another, but for what was asked and when.
fn told(answer: &Answer) -> (u16, Vec<String>, Option<u64>) {
    if answer.status != 200 {
        return (answer.status, Vec::new(), None);
    }
    let json = answer.json();
    let ids = json.items_of("entry").iter();
    let ids = ids.filter_map(|entry| entry.get("resource")?.str_of("id").map(str::to_owned));
    (
        200,
        ids.collect(),
        json.get("total").and_then(Value::as_u64),
    )
}

fn asked_of(holder: &Holder<'_>) -> usize {
    let mut asked = 0;
    for kind in TYPES {
        let (of_word, of_nothing) = (ways(kind, MARK), ways(kind, ABSENT));
        for (path, same) in of_word.iter().zip(&of_nothing) {
            let answer = holder.get(path);
            asked += 1;
            assert_eq!(foreign(&answer), Vec::<String>::new(), "{path}");
            // What is hidden is found as little as what is not there.
            assert_eq!(told(&answer), told(&holder.get(same)), "{path}");
        }
    }
    asked
}

fn no_way_to_ask_leads_to_another_s_record(database: &Database) {
    let kiln = guarded(database);
    let holder = |name: &str, arguments: &[&str]| Holder {
        kiln: &kiln,
        key: key(database, name, arguments),
    };
    let admin = holder("admin", &["--role", "admin"]);
    seed(&admin);
    let own = holder("own", &["--scope", "patient/*.rs", "--patient", "a"]);
    let of_role = holder("role", &["--role", "patient", "--patient", "a"]);
    let asked =
        asked_of(&own) + one_by_one(&[&own, &of_role]) + in_compartments(&own) + in_bundles(&own);
    assert!(asked >= 200, "{asked} ways were asked");
    pages_are_for_one_only(&own, &admin);
    // They see their own, or all of the above would prove nothing.
    let types = TYPES.join(",");
    let everything = told(&own.get(&format!("/fhir?_count=1000&_type={types}")));
    let seen: BTreeSet<String> = everything.1.into_iter().collect();
    for (kind, id, _) in RECORD.iter().filter(|(kind, _, _)| *kind != "Binary") {
        assert!(seen.contains(&format!("a{id}")), "{kind} {id}: {seen:?}");
    }
}

pub(crate) fn seed(admin: &Holder<'_>) {
    let shared = [
        r#"{"resourceType":"Practitioner","id":"p","name":[{"family":"Doctor"}]}"#.to_owned(),
        r#"{"resourceType":"Medication","id":"m","code":{"text":"pills"}}"#.to_owned(),
    ];
    let all = [record("a", "b", "lion"), record("b", "a", MARK)].concat();
    let entry = |resource: &String| {
        let json = parse(resource.as_bytes()).unwrap();
        let (kind, id) = (
            json.str_of("resourceType").unwrap(),
            json.str_of("id").unwrap(),
        );
        format!(r#"{{"resource":{resource},"request":{{"method":"PUT","url":"{kind}/{id}"}}}}"#)
    };
    let entries: Vec<String> = shared.iter().chain(&all).map(entry).collect();
    let entries = entries.join(",");
    let bundle = format!(r#"{{"resourceType":"Bundle","type":"transaction","entry":[{entries}]}}"#);
    let seeded = admin.ask("POST", "/fhir", &bundle);
    assert_eq!(seeded.status, 200, "{}", seeded.text());
}

/// Each resource of the other one, by its id.
fn one_by_one(holders: &[&Holder<'_>]) -> usize {
    let mut asked = 0;
    for (kind, id, _) in RECORD {
        for way in ["", "/_history/1", "/_history"] {
            let path = format!("/fhir/{kind}/b{id}{way}");
            for holder in holders {
                let absent = holder.get(&format!("/fhir/{kind}/b-gone"));
                let answer = holder.get(&path);
                let (answer, absent) = (
                    (answer.status, answer.text()),
                    (absent.status, absent.text()),
                );
                assert_eq!(answer, absent, "{path}");
                asked += 1;
            }
        }
    }
    asked
}

fn in_compartments(holder: &Holder<'_>) -> usize {
    let paths = [
        "Patient/b/Observation",
        "Patient/b/*",
        "Patient/a/*",
        "_history",
        "Encounter/b-enc/Observation",
        "Encounter/b-enc/*",
        "Practitioner/p/*",
        "?_type=Patient,Observation,Condition",
        "Composition/a-com/$document",
        "Composition/b-com/$document",
        "Patient/b/$ccd",
    ];
    for path in paths {
        let answer = holder.get(&format!("/fhir/{path}"));
        assert_eq!(foreign(&answer), Vec::<String>::new(), "{path}");
    }
    paths.len()
}

/// The same asked in a batch.
fn in_bundles(holder: &Holder<'_>) -> usize {
    let ways: Vec<String> = TYPES.iter().flat_map(|kind| ways(kind, MARK)).collect();
    let entries = ways.iter().map(|way| {
        let url = way.trim_start_matches("/fhir/");
        format!(r#"{{"request":{{"method":"GET","url":"{url}"}}}}"#)
    });
    let entries: Vec<String> = entries.collect();
    let bundle = format!(
        r#"{{"resourceType":"Bundle","type":"batch","entry":[{}]}}"#,
        entries.join(",")
    );
    let answer = holder.ask("POST", "/fhir", &bundle);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let json = answer.json();
    for (entry, way) in json.items_of("entry").iter().zip(&ways) {
        let Some(resource) = entry.get("resource") else {
            continue;
        };
        for inner in resource.items_of("entry") {
            let id = inner.get("resource").and_then(|inner| inner.str_of("id"));
            assert!(
                !id.is_some_and(|id| id == "b" || id.starts_with("b-")),
                "{way} {id:?}"
            );
        }
    }
    ways.len()
}

/// T-5: a link to a page is of use only to whom it was given.
fn pages_are_for_one_only(own: &Holder<'_>, admin: &Holder<'_>) {
    let page = admin.get("/fhir/Observation?_count=1").json();
    let links = page.items_of("link").iter();
    let mut next = links.filter(|link| link.str_of("relation") == Some("next"));
    let url = next.next().unwrap().str_of("url").unwrap().to_owned();
    let (_, path) = url.split_once("/fhir/").unwrap();
    let path = format!("/fhir/{path}");
    assert_eq!(admin.get(&path).status, 200);
    let stolen = own.get(&path);
    assert!((400..500).contains(&stolen.status), "{}", stolen.text());
}
