//! The commands that work on files, as a user types them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use fhir_spec::json::{Value, parse};

use crate::client::post;
use crate::databases;
use crate::kiln::{Kiln, command, output};

const GOOD: &str =
    r#"{"resourceType":"Patient","name":[{"family":"Potter","given":["Harry","James"]}]}"#;
const BAD: &str = "{\"resourceType\":\"Patient\",\n \"gender\":\"m\"}";
const PROFILE: &str = "http://example.org/fhir/StructureDefinition/named-patient";

/// A folder of files for one test.
pub(crate) struct Files(pub(crate) PathBuf);

impl Files {
    pub(crate) fn new() -> Self {
        let directory = std::env::temp_dir().join(format!("kiln-{}", uuid::Uuid::now_v7()));
        fs::create_dir_all(&directory).unwrap();
        Self(directory)
    }

    pub(crate) fn put(&self, name: &str, text: &[u8]) -> String {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn outcomes(output: &Output) -> Vec<Value> {
    stdout(output)
        .lines()
        .map(|line| parse(line.as_bytes()).unwrap())
        .collect()
}

/// The expressions of the issues that are errors.
fn errors(outcome: &Value) -> Vec<String> {
    outcome
        .items_of("issue")
        .iter()
        .filter(|issue| issue.str_of("severity") == Some("error"))
        .map(|issue| issue.items_of("expression")[0].as_str().unwrap().to_owned())
        .collect()
}

/// A package of our own: one profile, in which a patient must have a name.
fn package(files: &Files) -> String {
    let manifest = r#"{"name":"org.example.named","version":"1.0.0","fhirVersions":["4.0.1"],"dependencies":{"hl7.fhir.r4.core":"4.0.1","org.example.absent":"2.0.0"}}"#;
    let profile = format!(
        r#"{{"resourceType":"StructureDefinition","id":"named-patient","url":"{PROFILE}","name":"NamedPatient","status":"active",
        "kind":"resource","abstract":false,"type":"Patient","baseDefinition":"http://hl7.org/fhir/StructureDefinition/Patient",
        "derivation":"constraint","differential":{{"element":[{{"id":"Patient.name","path":"Patient.name","min":1}}]}}}}"#
    );
    let mut archive = tar::Builder::new(flate2::write::GzEncoder::new(
        Vec::new(),
        flate2::Compression::fast(),
    ));
    for (name, text) in [
        ("package/package.json", manifest),
        ("package/StructureDefinition-named-patient.json", &profile),
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_size(u64::try_from(text.len()).unwrap());
        header.set_mode(0o644);
        header.set_cksum();
        archive
            .append_data(&mut header, Path::new(name), text.as_bytes())
            .unwrap();
    }
    files.put(
        "named.tgz",
        &archive.into_inner().unwrap().finish().unwrap(),
    )
}

#[test]
fn validate_judges_every_file_and_says_so_in_its_exit_status() {
    let files = Files::new();
    let (good, bad) = (
        files.put("good.json", GOOD.as_bytes()),
        files.put("bad.json", BAD.as_bytes()),
    );
    let xml = files.put(
        "bad.xml",
        b"<Patient xmlns=\"http://hl7.org/fhir\">\n <birthDate value=\"x\"/>\n</Patient>",
    );
    let alone = output(&["validate", &good]);
    assert_eq!(alone.status.code(), Some(0), "{}", stderr(&alone));

    let all = output(&["validate", &good, &bad, &xml, "/no/such/file.json"]);
    assert_eq!(all.status.code(), Some(1));
    let outcomes = outcomes(&all);
    assert_eq!(outcomes.len(), 4);
    let file = |outcome: &Value| {
        let extension = &outcome.items_of("extension")[0];
        extension.str_of("valueString").unwrap().to_owned()
    };
    assert_eq!(file(&outcomes[1]), bad);
    assert!(errors(&outcomes[0]).is_empty());
    assert_eq!(errors(&outcomes[1]), ["Patient.gender"]);
    assert_eq!(errors(&outcomes[2]), ["Patient.birthDate"]);
    for outcome in &outcomes[1..3] {
        assert!(
            outcome
                .to_string()
                .contains(r#"issue-line","valueInteger":2"#),
            "{outcome}"
        );
    }
    assert!(outcomes[3].to_string().contains("No such file"));
    assert!(stderr(&all).contains("bad.json: 1 errors"));
}

#[test]
fn validate_takes_packages_and_profiles() {
    let files = Files::new();
    let nameless = files.put("nameless.json", br#"{"resourceType":"Patient"}"#);
    let good = files.put("good.json", GOOD.as_bytes());
    let package = package(&files);
    let known = output(&[
        "validate",
        "--package",
        &package,
        "--profile",
        PROFILE,
        &nameless,
        &good,
    ]);
    assert_eq!(known.status.code(), Some(1));
    assert!(
        stderr(&known).contains("org.example.absent"),
        "{}",
        stderr(&known)
    );
    let known = outcomes(&known);
    assert!(known[0].to_string().contains("name"), "{}", known[0]);
    assert_eq!((errors(&known[0]).len(), errors(&known[1]).len()), (1, 0));

    let unknown = output(&["validate", "--profile", PROFILE, &good]);
    assert_eq!(
        unknown.status.code(),
        Some(1),
        "a profile that nobody knows"
    );
    let broken = files.put("broken.tgz", b"no archive");
    let refused = output(&["validate", "--package", &broken, &good]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        stderr(&refused).contains("is no FHIR package"),
        "{}",
        stderr(&refused)
    );
}

#[test]
fn the_server_takes_packages() {
    let files = Files::new();
    let database = databases::sqlite();
    let mut started = command();
    started.arg("--data").arg(&database.directory);
    started.args(["--listen", "127.0.0.1:0", "--package", &package(&files)]);
    let kiln = Kiln::from_command(&mut started);
    let claiming = |rest: &str| {
        let body =
            format!(r#"{{"resourceType":"Patient","meta":{{"profile":["{PROFILE}"]}}{rest}}}"#);
        post(kiln.address, "/fhir/Patient", &body).status
    };
    assert_eq!(claiming(""), 422);
    assert_eq!(claiming(r#","name":[{"family":"Potter"}]"#), 201);
}

#[test]
fn fhirpath_prints_what_an_expression_says() {
    let files = Files::new();
    let good = files.put("good.json", GOOD.as_bytes());
    let given = output(&["fhirpath", "Patient.name.given", &good]);
    assert_eq!(given.status.code(), Some(0), "{}", stderr(&given));
    assert_eq!(
        parse(&given.stdout).unwrap().to_string(),
        r#"["Harry","James"]"#
    );
    let typed = output(&["fhirpath", "--types", "name.given.count()", &good]);
    assert_eq!(
        parse(&typed.stdout).unwrap().to_string(),
        r#"[{"type":"System.Integer","value":2}]"#
    );
}

#[test]
fn a_wrong_expression_is_wrong_usage_and_a_wrong_file_is_not() {
    let files = Files::new();
    let good = files.put("good.json", GOOD.as_bytes());
    let wrong = output(&["fhirpath", "name.given.(", &good]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(stderr(&wrong).contains("column 12"), "{}", stderr(&wrong));
    for path in [
        files.put("text.json", b"{"),
        "/no/such/file.json".to_owned(),
    ] {
        let failed = output(&["fhirpath", "name", &path]);
        assert_eq!(failed.status.code(), Some(1));
        assert_eq!(stderr(&failed).lines().count(), 1, "{}", stderr(&failed));
    }
}

#[test]
fn every_command_has_help_with_an_example() {
    for arguments in [
        &["--help"][..],
        &["serve", "--help"],
        &["validate", "--help"],
        &["fhirpath", "--help"],
        &["import", "--help"],
        &["export", "--help"],
        &["backup", "--help"],
        &["restore", "--help"],
        &["verify", "--help"],
        &["migrate", "--help"],
    ] {
        let help = output(arguments);
        assert_eq!(help.status.code(), Some(0));
        assert!(stdout(&help).contains("Example:\n  kiln "), "{arguments:?}");
    }
}
