//! `kiln convert`, `/api/convert` and `/api/maps`: what files of others say, as FHIR.

use fhir_spec::json::Value;

use crate::client::{Answer, get, send};
use crate::commands::{Files, stderr, stdout};
use crate::databases::Database;
use crate::kiln::{Kiln, output};

on_both_databases!(
    bodies_are_converted,
    what_is_wrong_is_told_with_its_place,
    maps_are_listed,
    rows_come_back_out_of_resources,
    messages_come_back_out_of_resources,
    messages_go_out_as_asked_for,
    clinical_documents_are_converted,
    bundles_become_clinical_documents,
);

const PATIENTS: &str = "mrn,last_name,first_name,birth_date,sex,phone\n\
    77,Müller,Zoë,1974-03-15,F,555-1\n78,Doe,Jo,1980,M,\n";
const BAD: &str = "mrn,last_name,first_name,birth_date,sex\n1,A,B,2000,F\n2,C,D,someday,M\n3,F\n";
const ADT: &str = "MSH|^~\\&|APP|FAC|||20240101120000||ADT^A08^ADT_A01|1|P|2.5.1\r\
    EVN|A08|20240101120000\rPID|1||77^^^HOSP^MR||Doe^Jane||19740315|F\rPV1|1|I\r";

fn converted(kiln: &Kiln, query: &str, body: &[u8]) -> Answer {
    let path = format!("/api/convert{query}");
    send(kiln.address, "POST", &path, &[], body).unwrap()
}

fn resources(bundle: &Value) -> Vec<&Value> {
    let entries = bundle.items_of("entry").iter();
    entries
        .map(|entry| entry.get("resource").unwrap())
        .collect()
}

fn families(bundle: &Value) -> Vec<&str> {
    let patients = resources(bundle).into_iter();
    let patients = patients.filter(|found| found.str_of("resourceType") == Some("Patient"));
    patients
        .map(|patient| patient.items_of("name")[0].str_of("family").unwrap())
        .collect()
}

fn bodies_are_converted(database: &Database) {
    let kiln = Kiln::start(database);
    let answer = converted(&kiln, "?from=csv&to=fhir", PATIENTS.as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("Content-Type"), Some("application/fhir+json"));
    assert_eq!(families(&answer.json()), ["Müller", "Doe"]);

    let answer = converted(
        &kiln,
        "?loss=true&trace=true&zone=Europe/Berlin",
        ADT.as_bytes(),
    );
    assert_eq!(answer.status, 200, "{}", answer.text());
    let json = answer.json();
    assert_eq!(families(json.get("bundle").unwrap()), ["Doe"]);
    let loss = json.get("loss").unwrap();
    assert_eq!(loss.str_of("resourceType"), Some("OperationOutcome"));
    let trace = answer.text();
    assert!(trace.contains("PID-5"), "{trace}");

    // A batch is one bundle, and constants and delimiters are as the caller says.
    let batch = format!(
        "{ADT}{}",
        ADT.replace("Doe^Jane", "Roe^Rita").replace("|77^", "|78^")
    );
    let answer = converted(&kiln, "", batch.as_bytes());
    assert_eq!(families(&answer.json()), ["Doe", "Roe"]);
    let strange = "mrn~last_name~first_name~birth_date~sex\n1~A~B~2000~F\n";
    let query = "?from=csv&delimiter=~&const=mrn_system%3Durn:own";
    let answer = converted(&kiln, query, strange.as_bytes());
    assert!(answer.text().contains("urn:own"), "{}", answer.text());
    // Nothing of it is stored.
    let found = get(kiln.address, "/fhir/Patient?_summary=count").json();
    assert_eq!(found.get("total").unwrap().to_string(), "0");
}

fn what_is_wrong_is_told_with_its_place(database: &Database) {
    let kiln = Kiln::start(database);
    let answer = converted(&kiln, "?from=csv", BAD.as_bytes());
    assert_eq!(answer.status, 422);
    assert_eq!(
        answer.header("Content-Type"),
        Some("application/problem+json")
    );
    let problem = answer.json();
    let place = |error: &Value| {
        let number = |name| error.get(name).unwrap().to_string();
        (number("line"), number("column"))
    };
    let places: Vec<_> = problem.items_of("errors").iter().map(place).collect();
    let at = |line: &str, column: &str| (line.to_owned(), column.to_owned());
    assert_eq!(places, [at("3", "7"), at("4", "1")], "{}", answer.text());
    // Who reads the loss report gets what is good.
    let answer = converted(&kiln, "?from=csv&loss=true", BAD.as_bytes());
    assert_eq!(families(answer.json().get("bundle").unwrap()), ["A"]);
    assert!(answer.text().contains("2 values instead of 5"));

    for (query, body, status, told) in [
        ("?from=csv", "", 422, "the file is empty"),
        (
            "?from=csv",
            "a,b\n1,2\n",
            422,
            "no map fits the columns a, b",
        ),
        (
            "?from=csv&map=nobody",
            "a,b\n1,2\n",
            422,
            "there is no map nobody",
        ),
        ("", "{}", 422, "neither HL7 v2 nor a clinical document"),
        ("?from=hl7v2", "garbage", 422, "expected"),
        (
            "?from=hl7v2",
            "MSH|^~\\&|A|B|||||XYZ^Z99|1|P|2.5\r",
            422,
            "XYZ^Z99",
        ),
        ("?form=csv", "", 400, "`form` is no parameter here"),
        (
            "?from=x12",
            "",
            400,
            "`from`: expected hl7v2, ccda, csv or fhir",
        ),
        ("?zone=Nowhere", "", 400, "Nowhere"),
        (
            "?const=nothing%3D1&from=csv",
            PATIENTS,
            400,
            "no map has the constant `nothing`",
        ),
        ("?sender=nobody", "", 400, "there is no overlay `nobody`"),
        (
            "?from=fhir&to=csv",
            "{\"resourceType\":\"Patient\"}",
            400,
            "`map`",
        ),
    ] {
        let answer = converted(&kiln, query, body.as_bytes());
        assert_eq!(answer.status, status, "{query} {}", answer.text());
        assert!(answer.text().contains(told), "{query} {}", answer.text());
    }
    assert_eq!(get(kiln.address, "/api/convert").status, 405);
}

fn maps_are_listed(database: &Database) {
    let own = "map beds : csv\n  columns bed, ward\n  constant beds\n  row -> Location  key identifier\n    bed -> identifier[].value { system = $beds }\n    ward -> name\n";
    let file = database.directory.join("beds.map");
    std::fs::write(&file, own).unwrap();
    let settings = format!("maps = [{:?}]", file.display().to_string());
    let kiln = Kiln::configured(database, &settings);
    let answer = get(kiln.address, "/api/maps");
    assert_eq!(answer.status, 200);
    let json = answer.json();
    let maps = json.items_of("maps");
    let named = |name: &str| {
        maps.iter()
            .find(|map| map.str_of("name") == Some(name))
            .unwrap()
    };
    assert_eq!(named("ADT_A01").str_of("format"), Some("hl7v2"));
    assert!(named("ADT_A01").items_of("serves").len() > 2);
    assert_eq!(named("beds").items_of("columns").len(), 2);
    assert_eq!(
        named("beds").items_of("constants")[0].str_of("name"),
        Some("beds")
    );
    let table = "bed,ward\n7,West\n";
    let answer = converted(&kiln, "?const=beds%3Durn:beds", table.as_bytes());
    let bundle = answer.json();
    assert_eq!(resources(&bundle)[0].str_of("name"), Some("West"));
    let answer = converted(&kiln, "", table.as_bytes());
    assert!(
        answer
            .text()
            .contains("wants a value for the constant beds")
    );
}

fn rows_come_back_out_of_resources(database: &Database) {
    let kiln = Kiln::start(database);
    let bundle = converted(&kiln, "?from=csv", PATIENTS.as_bytes());
    let back = converted(&kiln, "?from=fhir&to=csv&map=patients", &bundle.body);
    assert_eq!(back.status, 200, "{}", back.text());
    assert_eq!(back.header("Content-Type"), Some("text/csv; charset=utf-8"));
    let again = converted(&kiln, "?from=csv&map=patients", &back.body);
    let (first, second) = (bundle.json(), again.json());
    assert_eq!(resources(&first), resources(&second));
}

fn messages_come_back_out_of_resources(database: &Database) {
    let kiln = Kiln::start(database);
    let bundle = converted(&kiln, "", ADT.as_bytes());
    let back = converted(
        &kiln,
        "?from=fhir&to=hl7v2&type=ADT&event=A08&version=2.8&control-id=C1",
        &bundle.body,
    );
    assert_eq!(back.status, 200, "{}", back.text());
    assert_eq!(
        back.header("Content-Type"),
        Some("x-application/hl7-v2+er7")
    );
    let text = back.text();
    assert!(text.contains("|ADT^A08^ADT_A01|C1|P|2.8\r"), "{text}");
    assert!(
        text.contains("\rPID|1||77^^^HOSP^MR||Doe^Jane||19740315|F\r"),
        "{text}"
    );
    assert!(text.contains("\rPV1|1|I\r"), "{text}");
    let again = converted(&kiln, "", &back.body);
    assert_eq!(families(&again.json()), ["Doe"]);

    for (query, body, status, told) in [
        (
            "?from=fhir&to=hl7v2",
            "{}",
            422,
            "no definition makes messages",
        ),
        (
            "?from=fhir&to=hl7v2&type=ADT&event=Z99",
            "{}",
            422,
            "ADT^A08",
        ),
        (
            "?from=fhir&to=hl7v2&version=2.2",
            "{}",
            400,
            "`version`: expected a version of HL7 v2 from 2.3",
        ),
        (
            "?from=fhir&to=hl7v2&type=ADT&event=A28",
            "{\"resourceType\":\"Patient\",\"identifier\":[{\"value\":\"1\"}]}",
            422,
            "PID-5 (Patient Name) is required: expected Patient.name",
        ),
    ] {
        let answer = converted(&kiln, query, body.as_bytes());
        assert_eq!(answer.status, status, "{query} {}", answer.text());
        assert!(answer.text().contains(told), "{query} {}", answer.text());
    }
}

/// Written in Latin-1, as asked for; with what did not go out.
fn messages_go_out_as_asked_for(database: &Database) {
    let kiln = Kiln::start(database);
    let person = "{\"resourceType\":\"Patient\",\"identifier\":[{\"value\":\"1\"}],\"name\":[{\"family\":\"M\u{fc}ller\"}],\"photo\":[{\"title\":\"x\"}]}";
    let query = "?from=fhir&to=hl7v2&type=ADT&event=A31&charset=8859/1";
    let latin = converted(&kiln, query, person.as_bytes());
    assert_eq!(latin.status, 200, "{}", latin.text());
    assert!(
        latin
            .body
            .windows(7)
            .any(|bytes| bytes == b"M\xfcller|" || bytes == b"M\xfcller\r"),
        "{}",
        latin.text()
    );
    let told = converted(
        &kiln,
        "?from=fhir&to=hl7v2&type=ADT&event=A31&loss=true",
        person.as_bytes(),
    )
    .json();
    let message = told.items_of("messages")[0].as_str().unwrap();
    assert!(message.contains("\rPV1|1|N\r"), "{message}");
    assert!(
        told.get("loss")
            .unwrap()
            .to_string()
            .contains("Patient.photo[0].title has no place")
    );
}

pub(crate) const DOCUMENT: &str =
    include_str!("../../../interop/tests/cda/golden/everything/input.xml");

fn clinical_documents_are_converted(database: &Database) {
    let kiln = Kiln::start(database);
    for query in ["", "?from=ccda&to=fhir", "?from=cda&map=ccda"] {
        let answer = converted(&kiln, query, DOCUMENT.as_bytes());
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("Content-Type"), Some("application/fhir+json"));
        let bundle = answer.json();
        for kind in ["Patient", "Composition", "AllergyIntolerance", "Binary"] {
            let all = resources(&bundle).into_iter();
            let mut all = all.filter(|found| found.str_of("resourceType") == Some(kind));
            assert!(all.next().is_some(), "{kind} {query}");
        }
    }
    let answer = converted(&kiln, "?loss=true&trace=true", DOCUMENT.as_bytes()).json();
    let loss = answer.get("loss").unwrap();
    assert_eq!(loss.str_of("resourceType"), Some("OperationOutcome"));
    let made = |line: &&Value| {
        line.as_str()
            .is_some_and(|line| line.contains("recordTarget"))
    };
    assert!(answer.items_of("trace").iter().find(made).is_some());

    let broken = DOCUMENT.replacen("<recordTarget>", "<recordTarget></b>", 1);
    let (before, _) = DOCUMENT.split_once("<recordTarget>").unwrap();
    let line = 1 + before.matches('\n').count();
    let answer = converted(&kiln, "", broken.as_bytes());
    assert_eq!(answer.status, 422);
    let error = answer.json().items_of("errors")[0].clone();
    assert_eq!(error.get("line").unwrap().to_string(), line.to_string());
    for (query, body, status, told) in [
        (
            "?from=ccda",
            "<html/>",
            422,
            "the root of a clinical document is ClinicalDocument",
        ),
        ("?from=ccda&map=patients", DOCUMENT, 422, "there is no map"),
        (
            "?from=fhir&to=ccda",
            "{}",
            422,
            "expected a bundle with a Composition, or with one Patient",
        ),
    ] {
        let answer = converted(&kiln, query, body.as_bytes());
        assert_eq!(answer.status, status, "{query} {}", answer.text());
        assert!(answer.text().contains(told), "{query} {}", answer.text());
    }
    let maps = get(kiln.address, "/api/maps").json();
    let mut maps = maps.items_of("maps").iter();
    let map = maps.find(|map| map.str_of("name") == Some("ccda")).unwrap();
    assert_eq!(map.str_of("format"), Some("cda"));
}

#[test]
fn files_are_converted() {
    let files = Files::new();
    let good = files.put("patients.csv", PATIENTS.as_bytes());
    let message = files.put("adt.hl7", ADT.as_bytes());
    let bad = files.put("bad.csv", BAD.as_bytes());
    let document = files.put("summary.xml", DOCUMENT.as_bytes());
    let done = output(&["convert", &document]);
    assert!(done.status.success(), "{}", stderr(&done));
    assert!(stdout(&done).contains("\"Composition\""));
    let done = output(&["convert", &good, &message]);
    assert!(done.status.success(), "{}", stderr(&done));
    let bundle = fhir_spec::json::parse(&done.stdout).unwrap();
    assert_eq!(families(&bundle), ["Müller", "Doe", "Doe"]);
    assert_eq!(stderr(&done), "");

    let done = output(&["convert", "--loss", &bad]);
    assert_eq!(done.status.code(), Some(1));
    let json = fhir_spec::json::parse(&done.stdout).unwrap();
    assert_eq!(families(json.get("bundle").unwrap()), ["A"]);
    let told = stderr(&done);
    assert!(
        told.contains("bad.csv:3:7: line 3, column birth_date: expected a date"),
        "{told}"
    );
    assert!(
        told.contains("bad.csv:4:1: 2 values instead of 5"),
        "{told}"
    );

    let people = files.put("people.json", &output(&["convert", &good]).stdout);
    let rows = output(&["convert", &people, "--to", "csv", "--map", "patients"]);
    assert!(stdout(&rows).contains("77,"), "{}", stdout(&rows));

    // And back to a clinical document, which says what it leaves out.
    let bundle = files.put("document.json", &output(&["convert", &document]).stdout);
    let written = output(&["convert", &bundle, "--to", "cda"]);
    assert!(written.status.success(), "{}", stderr(&written));
    let text = stdout(&written);
    assert!(text.starts_with("<?xml version"), "{text}");
    assert!(
        text.contains("<ClinicalDocument xmlns=\"urn:hl7-org:v3\""),
        "{text}"
    );
    let again = files.put("again.xml", text.as_bytes());
    let again = output(&["convert", &again]);
    assert!(again.status.success(), "{}", stderr(&again));
    let names = |bytes: &[u8]| {
        let bundle = fhir_spec::json::parse(bytes).unwrap();
        let found = families(&bundle).into_iter().map(str::to_owned);
        found.collect::<Vec<_>>()
    };
    let first = output(&["convert", &document]);
    assert_eq!(names(&again.stdout), names(&first.stdout));

    for (arguments, told) in [
        (&["convert", &message, "--to", "cda"][..], "expected"),
        (
            &["convert", &good, "--map", "nobody"][..],
            "there is no map nobody",
        ),
        (
            &["convert", &good, "--const", "no=1"],
            "no map has the constant no",
        ),
        (&["convert", "/nowhere.csv"], "cannot read /nowhere.csv"),
        (&["convert", &people, "--to", "csv"], "--to csv needs --map"),
    ] {
        let done = output(arguments);
        assert_eq!(done.status.code(), Some(1), "{arguments:?}");
        assert!(stderr(&done).contains(told), "{}", stderr(&done));
        assert_eq!(stderr(&done).lines().count(), 1, "{}", stderr(&done));
    }
    assert_eq!(
        output(&["convert", &good, "--zone", "Nowhere"])
            .status
            .code(),
        Some(2)
    );
}

fn bundles_become_clinical_documents(database: &Database) {
    let kiln = Kiln::start(database);
    let bundle = converted(&kiln, "?from=ccda", DOCUMENT.as_bytes());
    let made = converted(&kiln, "?from=fhir&to=cda", &bundle.body);
    assert_eq!(made.status, 200, "{}", made.text());
    let media = made.header("Content-Type").unwrap();
    assert_eq!(media, "application/cda+xml; charset=utf-8");
    let text = made.text();
    for said in [
        "<templateId root=\"2.16.840.1.113883.10.20.22.1.2\" extension=\"2015-08-01\"/>",
        "<templateId root=\"2.16.840.1.113883.10.20.22.4.7\" extension=\"2014-06-09\"/>",
        "codeSystem=\"2.16.840.1.113883.6.1\"",
    ] {
        assert!(text.contains(said), "{said}");
    }
    let again = converted(&kiln, "?from=ccda", text.as_bytes());
    let names = |answer: &Answer| {
        let bundle = answer.json();
        families(&bundle)
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&again), names(&bundle));
    // Of what is no document one is made: a summary of its patient.
    let patient = r#"{"resourceType":"Bundle","type":"collection","entry":[{"fullUrl":"urn:uuid:67265ed2-35bb-43f8-b9de-91c5935625e0",
        "resource":{"resourceType":"Patient","name":[{"family":"Muster","given":["Erika"]}]}},
        {"resource":{"resourceType":"Condition","id":"c","subject":{"reference":"urn:uuid:67265ed2-35bb-43f8-b9de-91c5935625e0"},
        "code":{"coding":[{"system":"http://a.example","code":"7","display":"Seven"}]}}}]}"#;
    let made = converted(&kiln, "?from=fhir&to=cda&loss=true", patient.as_bytes());
    let answer = made.json();
    let text = answer.str_of("cda").unwrap();
    assert!(text.contains("<family>Muster</family>"), "{text}");
    assert!(text.contains("<td>Seven</td>"), "{text}");
    assert!(
        text.contains("codeSystemName=\"http://a.example\""),
        "{text}"
    );
    assert!(answer.get("loss").is_some());
}
