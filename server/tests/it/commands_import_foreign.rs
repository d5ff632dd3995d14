//! `kiln import` of tables and of HL7 v2, as a user types it.

use std::fs;
use std::path::PathBuf;
use std::process::Output;

use fhir_spec::json::{Value, parse};

use crate::client::{get, post};
use crate::commands::{Files, stderr, stdout};
use crate::databases::Database;
use crate::kiln::{Kiln, command};

on_both_databases!(
    rows_are_merged_into_what_is_there,
    bad_rows_come_back_and_go_in_mended,
    every_shipped_table_goes_in,
    messages_of_a_file_are_applied_in_their_order,
    an_import_of_rows_that_is_killed_goes_on,
    tables_of_synthea_go_in,
    clinical_documents_of_a_folder_are_merged_into_what_is_there,
);

pub(crate) fn importing(
    database: &Database,
    files: &Files,
    arguments: &[&str],
) -> std::process::Command {
    let mut command = command();
    command
        .current_dir(&files.0)
        .args(["import", "--database", &database.url])
        .args(arguments);
    command
}

pub(crate) fn import(database: &Database, files: &Files, arguments: &[&str]) -> Output {
    importing(database, files, arguments).output().unwrap()
}

pub(crate) fn done(output: &Output, says: &str) {
    assert_eq!(output.status.code(), Some(0), "{}", stderr(output));
    assert!(stdout(output).contains(says), "{}", stdout(output));
}

fn report(files: &Files) -> Vec<Value> {
    let text = fs::read_to_string(files.0.join("kiln-refused.ndjson")).unwrap_or_default();
    let lines = text.lines();
    lines.map(|line| parse(line.as_bytes()).unwrap()).collect()
}

/// What is in the store of a type.
fn all(kiln: &Kiln, query: &str) -> Vec<Value> {
    let bundle = get(kiln.address, &format!("/fhir/{query}"));
    assert_eq!(bundle.status, 200, "{}", bundle.text());
    let bundle = bundle.json();
    let entries = bundle.items_of("entry").iter();
    entries
        .map(|entry| entry.get("resource").unwrap().clone())
        .collect()
}

pub(crate) fn count(kiln: &Kiln, query: &str) -> u64 {
    let answer = get(kiln.address, &format!("/fhir/{query}_summary=count"));
    let total = answer.json().get("total").and_then(Value::as_u64);
    total.unwrap_or_else(|| panic!("{}", answer.text()))
}

fn rows_are_merged_into_what_is_there(database: &Database) {
    let kiln = Kiln::start(database);
    let known = r#"{"resourceType":"Patient","identifier":[{"system":"urn:h","value":"77"}],"name":[{"use":"official","family":"Old"}],"photo":[{"title":"kept"}]}"#;
    assert_eq!(post(kiln.address, "/fhir/Patient", known).status, 201);
    let files = Files::new();
    files.put(
        "patients.csv",
        "mrn,last_name,first_name,birth_date,sex\n77,Müller,Zoë,1974-03-15,F\n78,Doe,Jo,1980,M\n"
            .as_bytes(),
    );
    let arguments = ["patients.csv", "--const", "mrn_system=urn:h"];
    done(
        &import(database, &files, &arguments),
        "1 created, 1 updated",
    );
    // It is not done twice, and done again it changes nothing.
    done(
        &import(database, &files, &arguments),
        "0 created, 0 updated, 0 unchanged",
    );
    let again = [&arguments[..], &["--again"]].concat();
    done(
        &import(database, &files, &again),
        "0 created, 0 updated, 2 unchanged",
    );
    let found = all(&kiln, "Patient?identifier=urn:h%7C77");
    assert_eq!(found.len(), 1);
    let text = found[0].to_string();
    assert!(text.contains("Müller") && text.contains("kept"), "{text}");
    assert_eq!(count(&kiln, "Patient?"), 2);
    let told = all(&kiln, "Provenance").first().unwrap().to_string();
    assert!(told.contains("patients.csv lines 2 to 3"), "{told}");

    files.put("beds.csv", b"bed,ward\n1,2\n");
    let output = import(database, &files, &["beds.csv"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        report(&files)[0]
            .to_string()
            .contains("no map fits the columns bed, ward")
    );
}

fn bad_rows_come_back_and_go_in_mended(database: &Database) {
    let files = Files::new();
    let mut text = "mrn;last_name;first_name;birth_date;sex;active\n".to_owned();
    for row in 0..1_200 {
        let birth = if row % 400 == 7 {
            "someday"
        } else {
            "1980-01-02"
        };
        // Only the store knows that a name must say something.
        let name = if row == 650 { "\u{7}" } else { "Doe" };
        text.push_str(&format!("{row};{name};\"a;b\";{birth};F;true\n"));
    }
    text.push_str("1;2;3\n");
    files.put("patients.csv", text.as_bytes());
    let output = import(database, &files, &["patients.csv"]);
    assert_eq!(output.status.code(), Some(1));
    let bad = 4 + usize::from(stdout(&output).contains("1,196 created"));
    assert!(
        stderr(&output).contains("patients.refused.csv"),
        "{}",
        stderr(&output)
    );
    let lines = report(&files);
    assert_eq!(lines.len(), bad, "{lines:?}");
    assert_eq!(lines[0].get("line").and_then(Value::as_u64), Some(9));
    assert_eq!(lines[0].str_of("returned"), Some("patients.refused.csv"));
    assert!(
        lines[0].to_string().contains("column birth_date"),
        "{}",
        lines[0]
    );

    let returned = fs::read_to_string(files.0.join("patients.refused.csv")).unwrap();
    assert!(
        returned.starts_with("mrn;last_name;first_name;birth_date;sex;active;refused_because\n")
    );
    assert_eq!(returned.lines().count(), bad + 1, "{returned}");
    let mended = returned
        .replace("someday", "1980")
        .replace('\u{7}', "Roe")
        .replace("1;2;3;3 values instead of 6", "1;2;3;1990;M;true");
    fs::write(files.0.join("patients.refused.csv"), mended).unwrap();
    let output = import(database, &files, &["patients.refused.csv"]);
    done(&output, &format!("{} created, 1 updated", bad - 1));
    let kiln = Kiln::start(database);
    assert_eq!(count(&kiln, "Patient?"), 1_200);
    assert_eq!(count(&kiln, "Patient?birthdate=1980&"), 1_199);
}

fn every_shipped_table_goes_in(database: &Database) {
    let files = Files::new();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../interop/tests/golden");
    for (map, case) in [
        ("patients", "all_columns"),
        ("appointments", "two"),
        ("lab_results", "one_order"),
        ("immunisations", "given_and_refused"),
        ("synthea_patients", "two"),
    ] {
        let text = fs::read(format!("{folder}/{map}/{case}/input.csv")).unwrap();
        files.put(&format!("{map}.csv"), &text);
    }
    // What refers to patients needs them.
    let known = files.put(
        "patients-known.csv",
        b"mrn,last_name,first_name,birth_date,sex\n1,A,B,2000,F\n",
    );
    done(&import(database, &files, &[&known]), "1 created");
    let practitioner = r#"{"resourceType":"Practitioner","identifier":[{"system":"http://hl7.org/fhir/sid/us-npi","value":"1234567893"}]}"#;
    let practitioner = files.put("practitioner.json", practitioner.as_bytes());
    done(&import(database, &files, &[&practitioner]), "1 created");
    for map in [
        "patients",
        "synthea_patients",
        "appointments",
        "lab_results",
        "immunisations",
    ] {
        let output = import(database, &files, &[&format!("{map}.csv")]);
        let lines = report(&files);
        // One result of the laboratory is no number: its file says so on purpose.
        let bad = usize::from(map == "lab_results");
        assert_eq!(lines.len(), bad, "{map} {lines:?} {}", stderr(&output));
        assert_eq!(output.status.code(), Some(i32::from(bad > 0)), "{map}");
        fs::remove_file(files.0.join("kiln-refused.ndjson")).unwrap_or_default();
    }
    let kiln = Kiln::start(database);
    for (kind, least) in [
        ("Appointment", 2),
        ("Observation", 2),
        ("DiagnosticReport", 1),
        ("Immunization", 2),
    ] {
        assert!(count(&kiln, &format!("{kind}?")) >= least, "{kind}");
    }
}

pub(crate) fn message(id: u32, name: &str, second: u32) -> String {
    format!(
        "MSH|^~\\&|APP|FAC|||202401011200{second:02}||ADT^A08^ADT_A01|{id}-{second}|P|2.5.1\r\
         EVN|A08|202401011200{second:02}\rPID|1||{id}^^^HOSP^MR||{name}^Jane||19740315|F\rPV1|1|I\r"
    )
}

fn messages_of_a_file_are_applied_in_their_order(database: &Database) {
    let files = Files::new();
    let all_of_them: String = (0..30)
        .map(|number| message(number % 3, &format!("Name{number}"), number))
        .collect();
    // Who comes last and speaks of earlier overwrites nothing.
    let all_of_them = all_of_them + &message(0, "Stale", 0).replace("0-0|P", "0-late|P");
    let bad = "MSH|^~\\&|APP|FAC|||20240101120000||XYZ^Z99|x|P|2.5.1\rPID|1\r";
    let text = format!("FHS|^~\\&|A\rBHS|^~\\&|A\r{all_of_them}{bad}BTS|32\rFTS|1\r");
    files.put("adt.hl7", text.as_bytes());
    let output = import(database, &files, &["adt.hl7"]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let lines = report(&files);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(
        lines[0].get("line").and_then(Value::as_u64),
        Some(2 + 31 * 4 + 1)
    );
    assert!(lines[0].to_string().contains("XYZ^Z99"), "{}", lines[0]);
    let returned = fs::read_to_string(files.0.join("adt.refused.hl7")).unwrap();
    assert_eq!(returned, bad);
    let kiln = Kiln::start(database);
    assert_eq!(count(&kiln, "Patient?"), 3);
    for (id, name) in [(0, "Name27"), (1, "Name28"), (2, "Name29")] {
        let found = all(&kiln, &format!("Patient?family=Name&identifier={id}"));
        assert_eq!(found.len(), 1);
        assert!(found[0].to_string().contains(name), "{}", found[0]);
    }
}

/// However often it is killed, every row is there once: these have no key that would find them again.
fn an_import_of_rows_that_is_killed_goes_on(database: &Database) {
    let files = Files::new();
    let map = "map notes : csv\n  columns note\n  row -> Basic\n    \"note\" -> code.text\n    note -> identifier[].value { system = \"urn:note\" }\n";
    files.put("notes.map", map.as_bytes());
    let mut text = "note\n".to_owned();
    for row in 0..20_000 {
        text.push_str(&format!("{row}\n"));
    }
    files.put("notes.csv", text.as_bytes());
    let arguments = ["notes.csv", "--maps", "notes.map"];
    for wait_ms in [150, 300, 500] {
        let mut running = importing(database, &files, &arguments)
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(wait_ms));
        running.kill().unwrap();
        running.wait().unwrap();
    }
    let output = import(database, &files, &arguments);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let kiln = Kiln::start(database);
    assert_eq!(count(&kiln, "Basic?"), 20_000);
    for row in [0, 511, 512, 19_999] {
        assert_eq!(
            count(&kiln, &format!("Basic?identifier=urn:note%7C{row}&")),
            1
        );
    }
}

/// Real tables, where they are at hand.
fn tables_of_synthea_go_in(database: &Database) {
    let folder = std::env::var_os("KILN_TESTDATA")
        .map_or_else(|| PathBuf::from("../../shared/testdata"), PathBuf::from)
        .join("csv/synthea-csv");
    if !folder.is_dir() {
        println!("skipped: no {}", folder.display());
        return;
    }
    let files = Files::new();
    let table = fs::canonicalize(folder.join("patients.csv")).unwrap();
    let rows = fs::read_to_string(&table).unwrap().lines().count() - 1;
    let output = import(database, &files, &[table.to_str().unwrap()]);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{:?}",
        report(&files).first()
    );
    let kiln = Kiln::start(database);
    assert_eq!(count(&kiln, "Patient?"), u64::try_from(rows).unwrap());
}

pub(crate) const DOCUMENT: &str =
    include_str!("../../../interop/tests/cda/golden/everything/input.xml");

fn clinical_documents_of_a_folder_are_merged_into_what_is_there(database: &Database) {
    let files = Files::new();
    fs::create_dir(files.0.join("in")).unwrap();
    let put = |name: &str, text: &str| fs::write(files.0.join("in").join(name), text).unwrap();
    put("a.xml", DOCUMENT);
    put(
        "bad.xml",
        &DOCUMENT.replacen("<recordTarget>", "<recordTarget><", 1),
    );
    put(
        "fhir.xml",
        "<Basic xmlns=\"http://hl7.org/fhir\"><code><text value=\"x\"/></code></Basic>",
    );
    let output = import(database, &files, &["in"]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let refused = report(&files);
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert!(refused[0].str_of("source").unwrap().ends_with("bad.xml"));
    assert!(refused[0].to_string().contains("line "), "{}", refused[0]);
    // The same once more changes nothing.
    fs::remove_file(files.0.join("in/bad.xml")).unwrap();
    let output = import(database, &files, &["in/a.xml", "--again"]);
    done(&output, "");
    let kiln = Kiln::start(database);
    assert_eq!(count(&kiln, "Patient?"), 1);
    assert_eq!(count(&kiln, "Basic?"), 1);
    assert_eq!(count(&kiln, "Composition?"), 1);
    assert!(count(&kiln, "AllergyIntolerance?") > 0);
    let all = all(&kiln, "Composition?");
    assert_eq!(all[0].get("meta").unwrap().str_of("versionId"), Some("1"));
}
