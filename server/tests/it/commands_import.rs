//! `kiln import`, as a user types it.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Output, Stdio};

use fhir_spec::json::{Value, parse};

use crate::client::{Answer, get, post};
use crate::commands::{Files, stderr, stdout};
use crate::databases::Database;
use crate::kiln::{Kiln, command};

on_both_databases!(
    every_form_of_file_is_read,
    what_is_refused_is_reported_and_the_rest_is_there,
    collections_are_taken_apart,
    transactions_are_done_as_a_whole_and_batches_are_not,
    transactions_follow_each_other,
    transactions_are_not_done_twice,
    what_was_imported_is_not_imported_again,
    an_import_that_is_killed_goes_on,
    a_server_and_an_import_work_side_by_side,
    archives_are_not_trusted,
);

/// Runs `kiln import` on the database, in a folder for its report.
fn import(database: &Database, files: &Files, arguments: &[&str]) -> Output {
    importing(database, files, arguments).output().unwrap()
}

fn importing(database: &Database, files: &Files, arguments: &[&str]) -> std::process::Command {
    let mut command = command();
    command
        .current_dir(&files.0)
        .args(["import", "--database", &database.url])
        .args(arguments);
    command
}

/// The lines of the report.
fn refused(files: &Files) -> Vec<Value> {
    fs::read_to_string(files.0.join("kiln-refused.ndjson"))
        .unwrap_or_default()
        .lines()
        .map(|line| parse(line.as_bytes()).unwrap())
        .collect()
}

fn assert_done(output: &Output, says: &str) {
    assert_eq!(output.status.code(), Some(0), "{}", stderr(output));
    assert!(stdout(output).contains(says), "{}", stdout(output));
}

fn patient(id: &str) -> String {
    format!(r#"{{"resourceType":"Patient","id":"{id}","name":[{{"family":"Potter"}}]}}"#)
}

fn gz(text: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(text).unwrap();
    packed.finish().unwrap()
}

fn zst(text: &[u8]) -> Vec<u8> {
    zstd::encode_all(text, 1).unwrap()
}

fn tar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, text) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(u64::try_from(text.len()).unwrap());
        header.set_mode(0o644);
        header.set_cksum();
        archive
            .append_data(&mut header, Path::new(name), *text)
            .unwrap();
    }
    archive.into_inner().unwrap()
}

fn read(kiln: &Kiln, id: &str) -> Answer {
    get(kiln.address, &format!("/fhir/Patient/{id}"))
}

fn every_form_of_file_is_read(database: &Database) {
    let files = Files::new();
    let lines = |ids: &[&str]| {
        let lines: Vec<String> = ids.iter().map(|id| patient(id)).collect();
        lines.join("\n\n").into_bytes()
    };
    fs::create_dir_all(files.0.join("folder/deep")).unwrap();
    files.put("folder/a.json", patient("json").as_bytes());
    files.put(
        "folder/deep/b.xml",
        br#"<Patient xmlns="http://hl7.org/fhir"><id value="xml"/></Patient>"#,
    );
    files.put("folder/c.ndjson", &lines(&["line-1", "line-2"]));
    files.put("folder/d.ndjson.gz", &gz(&lines(&["gz-1", "gz-2"])));
    files.put("folder/e.json.zst", &zst(patient("zst").as_bytes()));
    files.put("folder/README.md", b"nothing for us");
    let archive = tar(&[
        ("./x/a.json", patient("tar").as_bytes()),
        ("x/b.ndjson.gz", &gz(&lines(&["tar-gz-1", "tar-gz-2"]))),
        ("x/notes.txt", b"nothing for us"),
    ]);
    files.put("folder/f.tar", &archive);
    let packed = files.put("g.tar.zst", &zst(&archive));
    // Without an ending, the content tells.
    let strange = files.put("strange", &lines(&["by-content-1", "by-content-2"]));
    let mut command = importing(database, &files, &["folder", &packed, &strange, "-"]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let input = gz(&lines(&["stdin-1", "stdin-2"]));
    child.stdin.take().unwrap().write_all(&input).unwrap();
    let output = child.wait_with_output().unwrap();
    // What is in the archive twice is imported once more and found unchanged.
    assert_done(&output, "14 created, 0 updated, 3 unchanged");
    assert!(stderr(&output).contains("passed over in folders: 1 "));
    let kiln = Kiln::start(database);
    for id in [
        "json",
        "xml",
        "line-1",
        "line-2",
        "gz-1",
        "gz-2",
        "zst",
        "tar",
        "tar-gz-1",
        "tar-gz-2",
        "by-content-1",
        "by-content-2",
        "stdin-1",
        "stdin-2",
    ] {
        assert_eq!(read(&kiln, id).status, 200, "{id}");
    }
}

fn what_is_refused_is_reported_and_the_rest_is_there(database: &Database) {
    let files = Files::new();
    let wrong = r#"{"resourceType":"Patient","id":"wrong","gender":"m","birthDate":"x"}"#;
    let text = [&patient("good-1"), wrong, "{no json", &patient("good-2")].join("\n");
    let lines = files.put("all.ndjson", text.as_bytes());
    let history = br#"{"resourceType":"Bundle","type":"history"}"#;
    let archive = files.put("all.tar", &tar(&[("a/history.json", history)]));
    let mut cut = gz(&[patient("cut").as_bytes(), b"\n"].concat().repeat(50_000));
    cut.truncate(cut.len() / 2);
    let cut = files.put("cut.ndjson.gz", &cut);
    let output = import(database, &files, &[&lines, &archive, &cut, &lines]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout(&output).contains("3 created"), "{}", stdout(&output));
    assert!(stderr(&output).contains("refused: 4, see kiln-refused.ndjson"));
    let report = refused(&files);
    let of = |value: &Value, name: &str| value.get(name).map(|value| value.to_string());
    let places: Vec<_> = report
        .iter()
        .map(|line| (of(line, "line"), of(line, "member")))
        .collect();
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(
        places,
        [
            (text("2"), None),
            (text("3"), None),
            (None, text(r#""a/history.json""#)),
            (None, None),
        ]
    );
    let outcome = report[0].get("outcome").unwrap();
    let expressions: Vec<&str> = outcome
        .items_of("issue")
        .iter()
        .map(|issue| issue.items_of("expression")[0].as_str().unwrap())
        .collect();
    assert_eq!(expressions, ["Patient.gender", "Patient.birthDate"]);
    let real = fs::canonicalize(&lines).unwrap();
    assert_eq!(report[0].str_of("source"), real.to_str());
    let kiln = Kiln::start(database);
    for (id, status) in [
        ("good-1", 200),
        ("good-2", 200),
        ("cut", 200),
        ("wrong", 404),
    ] {
        assert_eq!(read(&kiln, id).status, status, "{id}");
    }
}

fn collections_are_taken_apart(database: &Database) {
    let files = Files::new();
    let collection = files.put(
        "collection.json",
        br#"{"resourceType":"Bundle","type":"collection","entry":[
            {"fullUrl":"urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0","resource":{"resourceType":"Patient","id":"p"}},
            {"fullUrl":"urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e1","resource":{"resourceType":"Patient","id":"bad","gender":"?"}},
            {"fullUrl":"urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e2","resource":{"resourceType":"Basic","id":"b","code":{"text":"t"},
             "subject":{"reference":"urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"}}}]}"#,
    );
    let found = files.put(
        "searchset.json",
        br#"{"resourceType":"Bundle","type":"searchset","total":1,"entry":[
            {"fullUrl":"http://old.example.org/fhir/Patient/q","resource":{"resourceType":"Patient","id":"q"},"search":{"mode":"match"}},
            {"resource":{"resourceType":"OperationOutcome","issue":[{"severity":"warning","code":"informational"}]},"search":{"mode":"outcome"}}]}"#,
    );
    let output = import(database, &files, &[&collection, &found]);
    assert_eq!(output.status.code(), Some(1));
    let report = refused(&files);
    assert!(stdout(&output).contains("3 created"), "{report:?}");
    assert_eq!(report.len(), 1);
    assert_eq!(report[0].get("entry").and_then(Value::as_u64), Some(1));
    let kiln = Kiln::start(database);
    assert_eq!(read(&kiln, "p").status, 200);
    assert_eq!(read(&kiln, "q").status, 200);
    let basic = get(kiln.address, "/fhir/Basic/b").text();
    assert!(basic.contains(r#""reference":"Patient/p""#), "{basic}");
}

fn what_was_imported_is_not_imported_again(database: &Database) {
    let files = Files::new();
    let nameless = r#"{"resourceType":"Patient","name":[{"family":"Nobody"}]}"#;
    let first = [patient("a").as_str(), nameless].join("\n");
    let path = files.put("log.ndjson", first.as_bytes());
    assert_done(&import(database, &files, &[&path]), "2 created");
    assert_done(
        &import(database, &files, &[&path]),
        "0 created, 0 updated, 0 unchanged",
    );

    // A file that has grown goes on, one that has changed begins anew.
    files.put("log.ndjson", [&first, "\n", nameless].concat().as_bytes());
    assert_done(
        &import(database, &files, &[&path]),
        "1 created, 0 updated, 0 unchanged",
    );
    files.put(
        "log.ndjson",
        [&patient("b"), "\n", &patient("a")].concat().as_bytes(),
    );
    assert_done(
        &import(database, &files, &[&path]),
        "1 created, 0 updated, 1 unchanged",
    );
    assert_done(
        &import(database, &files, &["--again", &path]),
        "0 created, 0 updated, 2 unchanged",
    );
    assert_done(
        &import(database, &files, &[&path]),
        "0 created, 0 updated, 0 unchanged",
    );
}

fn an_import_that_is_killed_goes_on(database: &Database) {
    const LINES: usize = 30_000;
    let files = Files::new();
    // Without ids, so that whatever is applied twice is there twice.
    let text: String = (0..LINES)
        .map(|number| {
            format!("{{\"resourceType\":\"Basic\",\"code\":{{\"text\":\"{number}\"}}}}\n")
        })
        .collect();
    let path = files.put("many.ndjson", text.as_bytes());
    // The tables are made before the first look at them.
    assert!(Kiln::start(database).stop("TERM").0.success());
    let total = || database.number("SELECT count(*) FROM versions");
    let mut stored = 0;
    let mut kills = 0;
    loop {
        let mut child = importing(database, &files, &[&path])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Killed as soon as something more is there; at last it is done before.
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break Some(status);
            }
            if kills < 3 && total() > stored {
                child.kill().unwrap();
                child.wait().unwrap();
                break None;
            }
        };
        if let Some(status) = status {
            assert!(status.success());
            break;
        }
        stored = total();
        kills += 1;
    }
    assert!(kills > 0, "it was never killed in the middle");
    assert_eq!(total(), i64::try_from(LINES).unwrap());
    let again = import(database, &files, &[&path]);
    assert_done(&again, "0 created, 0 updated, 0 unchanged");
}

fn a_server_and_an_import_work_side_by_side(database: &Database) {
    let files = Files::new();
    let lines: Vec<String> = (0..20_000)
        .map(|number| patient(&format!("p-{number}")))
        .collect();
    let path = files.put("many.ndjson", lines.join("\n").as_bytes());
    let kiln = Kiln::start(database);
    let mut child = importing(database, &files, &[&path])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut created = 0;
    while child.try_wait().unwrap().is_none() {
        let answer = post(kiln.address, "/fhir/Patient", &patient("x"));
        assert_eq!(answer.status, 201, "{}", answer.text());
        created += 1;
    }
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(created > 0, "the server had no turn");
    assert_eq!(read(&kiln, "p-19999").status, 200);
}

fn archives_are_not_trusted(database: &Database) {
    let files = Files::new();
    // Names that lead out, links, archives in archives, a size that lies, a bomb.
    let mut escaping = tar(&[("aaaaaaaaaaaaaaaa/out.json", patient("out").as_bytes())]);
    escaping[..16].copy_from_slice(b"../../../../../.");
    let sum: u32 = escaping[..512]
        .iter()
        .enumerate()
        .map(|(index, byte)| match index {
            148..156 => u32::from(b' '),
            _ => u32::from(*byte),
        })
        .sum();
    escaping[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let escaping = files.put("escaping.tar", &escaping);
    let mut linking = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    linking
        .append_link(&mut header, "passwd.json", "/etc/passwd")
        .unwrap();
    let linking = files.put("linking.tar", &linking.into_inner().unwrap());
    let inner = tar(&[("a.json", patient("inner").as_bytes())]);
    let nested = files.put("nested.tar", &tar(&[("inner.tar", &inner)]));
    let mut lying = tar(&[("a.json", patient("lying").as_bytes())]);
    lying.truncate(600);
    let lying = files.put("lying.tar", &lying);
    let bomb = files.put("bomb.json.zst", &zst(&vec![b' '; 200 * 1024 * 1024]));
    std::os::unix::fs::symlink("/etc", files.0.join("link")).unwrap();
    fs::create_dir(files.0.join("folder")).unwrap();
    std::os::unix::fs::symlink("..", files.0.join("folder/up.json")).unwrap();

    let output = import(
        database,
        &files,
        &[&escaping, &linking, &nested, &lying, &bomb, "folder"],
    );
    assert_eq!(output.status.code(), Some(1));
    let report: Vec<String> = refused(&files).iter().map(Value::to_string).collect();
    assert_eq!(report.len(), 3, "{report:?}");
    assert!(
        report[0].contains("an archive inside an archive"),
        "{}",
        report[0]
    );
    assert!(report[1].contains("lying.tar"), "{}", report[1]);
    assert!(report[2].contains("more than 500 times"), "{}", report[2]);
    let kiln = Kiln::start(database);
    assert_eq!(
        read(&kiln, "out").status,
        200,
        "a name in an archive leads nowhere"
    );
    assert_eq!(read(&kiln, "inner").status, 404);
    let mut left: Vec<_> = fs::read_dir(&files.0)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    assert_eq!(
        left,
        [
            "bomb.json.zst",
            "escaping.tar",
            "folder",
            "kiln-refused.ndjson",
            "link",
            "lying.tar",
            "linking.tar",
            "nested.tar"
        ]
        .map(str::to_owned)
        .into_iter()
        .collect::<std::collections::BTreeSet<_>>()
        .into_iter()
        .collect::<Vec<_>>()
    );
}

/// A transaction of a patient without an id and something that refers to it.
fn transaction(kind: &str, number: usize, gender: &str) -> String {
    let patient = format!("urn:uuid:0c3151bd-1cbf-4d64-b04d-{number:012}");
    format!(
        r#"{{"resourceType":"Bundle","type":"{kind}","entry":[
        {{"fullUrl":"{patient}","resource":{{"resourceType":"Patient","gender":"{gender}"}},"request":{{"method":"POST","url":"Patient"}}}},
        {{"resource":{{"resourceType":"Basic","id":"of-{kind}-{number}","code":{{"text":"t"}}{}}},
         "request":{{"method":"PUT","url":"Basic/of-{kind}-{number}"}}}}]}}"#,
        match kind {
            "transaction" => format!(r#","subject":{{"reference":"{patient}"}}"#),
            _ => String::new(),
        }
    )
}

fn transactions_are_done_as_a_whole_and_batches_are_not(database: &Database) {
    let files = Files::new();
    fs::create_dir(files.0.join("folder")).unwrap();
    files.put(
        "folder/1.json",
        transaction("transaction", 1, "male").as_bytes(),
    );
    files.put(
        "folder/2.json",
        transaction("transaction", 2, "?").as_bytes(),
    );
    files.put("folder/3.json", transaction("batch", 3, "?").as_bytes());
    let xml = br#"<Bundle xmlns="http://hl7.org/fhir"><type value="transaction"/><entry>
        <resource><Patient><id value="xml"/></Patient></resource>
        <request><method value="PUT"/><url value="Patient/xml"/></request></entry></Bundle>"#;
    files.put("folder/4.xml", xml);
    files.put(
        "folder/5.json",
        br#"{"resourceType":"Bundle","type":"person","entry":[]}"#,
    );
    files.put("folder/6.json", patient("alone").as_bytes());
    let output = import(database, &files, &["folder"]);
    assert_eq!(output.status.code(), Some(1));
    let report = refused(&files);
    assert!(
        stdout(&output).contains("5 created, 0 updated"),
        "{} {report:?}",
        stdout(&output)
    );
    let of = |line: &Value| {
        let source = line
            .str_of("source")
            .unwrap()
            .rsplit('/')
            .next()
            .unwrap()
            .to_owned();
        (source, line.get("entry").and_then(Value::as_u64))
    };
    let mut places: Vec<_> = report.iter().map(of).collect();
    // A transaction is judged when its turn comes, other documents when they are read.
    places.sort();
    let expected = [("2.json", None), ("3.json", Some(0)), ("5.json", None)];
    assert_eq!(
        places,
        expected.map(|(name, entry)| (name.to_owned(), entry))
    );
    let whole = report.iter().find(|line| of(line).0 == "2.json").unwrap();
    let issues = whole.get("outcome").unwrap().items_of("issue");
    let expression = &issues[0].items_of("expression")[0];
    assert_eq!(expression.as_str(), Some("Bundle.entry[0].resource.gender"));
    let kiln = Kiln::start(database);
    for (id, status) in [
        ("of-transaction-1", 200),
        ("of-transaction-2", 404),
        ("of-batch-3", 200),
    ] {
        assert_eq!(
            get(kiln.address, &format!("/fhir/Basic/{id}")).status,
            status,
            "{id}"
        );
    }
    assert_eq!(read(&kiln, "xml").status, 200);
    assert_eq!(read(&kiln, "alone").status, 200);
    let basic = get(kiln.address, "/fhir/Basic/of-transaction-1").json();
    let subject = basic
        .get("subject")
        .unwrap()
        .str_of("reference")
        .unwrap()
        .to_owned();
    assert_eq!(get(kiln.address, &format!("/fhir/{subject}")).status, 200);
}

fn transactions_follow_each_other(database: &Database) {
    let files = Files::new();
    // Each refers by criteria to what the one before it has brought.
    let link = |number: usize| {
        let before = match number {
            0 => String::new(),
            _ => {
                let before = number - 1;
                format!(
                    r#","link":[{{"other":{{"reference":"Patient?identifier=urn:n|{before}"}},"type":"seealso"}}]"#
                )
            }
        };
        format!(
            r#"{{"resourceType":"Bundle","type":"transaction","entry":[{{"resource":{{"resourceType":"Patient",
            "identifier":[{{"system":"urn:n","value":"{number}"}}]{before}}},"request":{{"method":"POST","url":"Patient",
            "ifNoneExist":"identifier=urn:n|{number}"}}}}]}}"#
        )
        .replace('\n', " ")
    };
    let lines: Vec<String> = (0..40).map(link).collect();
    let path = files.put("chain.ndjson", lines.join("\n").as_bytes());
    assert_done(
        &import(database, &files, &[&path]),
        "40 created, 0 updated, 0 unchanged",
    );
    assert_done(
        &import(database, &files, &["--again", &path]),
        "0 created, 0 updated, 40 unchanged",
    );
}

fn transactions_are_not_done_twice(database: &Database) {
    const BUNDLES: usize = 1_500;
    let files = Files::new();
    let lines: Vec<String> = (0..BUNDLES)
        .map(|number| transaction("transaction", number, "male").replace('\n', " "))
        .collect();
    let path = files.put("bundles.ndjson", lines.join("\n").as_bytes());
    assert!(Kiln::start(database).stop("TERM").0.success());
    let total = || database.number("SELECT count(*) FROM versions");
    let whole = i64::try_from(2 * BUNDLES).unwrap();
    for part in 1..=3 {
        let mut child = importing(database, &files, &[&path])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        while total() < whole * part / 4 {
            assert!(child.try_wait().unwrap().is_none(), "it ended too early");
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let rest = import(database, &files, &[&path]);
    assert_eq!(rest.status.code(), Some(0), "{}", stderr(&rest));
    assert_eq!(total(), whole);
}
