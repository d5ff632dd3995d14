//! `kiln export`, `kiln backup` and `kiln restore`, as a user types them.

use std::collections::BTreeMap;
use std::fs;
use std::process::Output;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::client::{FHIR_JSON, get, post, send};
use crate::commands::{Files, stderr, stdout};
use crate::databases::Database;
use crate::kiln::{Kiln, command, output};

on_both_databases!(
    an_export_is_what_is_stored,
    an_export_of_changes_tells_deletions,
    an_export_is_not_mixed_with_another,
    a_backup_taken_while_a_client_writes_is_one_moment,
    a_damaged_backup_restores_nothing,
    a_backup_is_restored_into_an_empty_store_only,
);

pub(crate) fn run(database: &Database, arguments: &[&str]) -> Output {
    command()
        .args(arguments)
        .args(["--database", &database.url])
        .output()
        .unwrap()
}

pub(crate) fn assert_done(output: &Output) {
    assert_eq!(output.status.code(), Some(0), "{}", stderr(output));
}

/// One line on stderr that says why.
fn assert_refused(output: &Output, why: &str) {
    assert_eq!(output.status.code(), Some(1), "{}", stdout(output));
    let said = stderr(output);
    assert!(said.lines().count() == 1 && said.contains(why), "{said}");
}

/// A patient with three versions, one that was deleted, and an Observation.
fn fill(kiln: &Kiln) {
    for family in ["A", "B", "C"] {
        let body =
            format!(r#"{{"resourceType":"Patient","id":"p","name":[{{"family":"{family}"}}]}}"#);
        put(kiln, "Patient/p", &body);
    }
    put(
        kiln,
        "Patient/gone",
        r#"{"resourceType":"Patient","id":"gone"}"#,
    );
    assert_eq!(
        send(kiln.address, "DELETE", "/fhir/Patient/gone", &[], b"")
            .unwrap()
            .status,
        204
    );
    put(
        kiln,
        "Observation/o",
        r#"{"resourceType":"Observation","id":"o","status":"final","code":{"text":"t"},"valueQuantity":{"value":1.50}}"#,
    );
}

fn put(kiln: &Kiln, address: &str, body: &str) {
    let path = format!("/fhir/{address}");
    let answer = send(kiln.address, "PUT", &path, &[FHIR_JSON], body.as_bytes()).unwrap();
    assert!(answer.status < 300, "{}", answer.text());
}

fn files_in(folder: &std::path::Path) -> BTreeMap<String, Vec<u8>> {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            (
                path.file_name().unwrap().to_str().unwrap().to_owned(),
                fs::read(&path).unwrap(),
            )
        })
        .collect()
}

fn an_export_is_what_is_stored(database: &Database) {
    let files = Files::new();
    let kiln = Kiln::start(database);
    fill(&kiln);
    let line = |path: &str| get(kiln.address, path).text() + "\n";
    let (patient, observation) = (line("/fhir/Patient/p"), line("/fhir/Observation/o"));
    let folder = files.0.join("out");
    let out = folder.display().to_string();
    let done = run(database, &["export", "--out", &out]);
    assert_done(&done);
    assert!(
        stdout(&done).contains("exported 2 resources"),
        "{}",
        stdout(&done)
    );
    let expected = [
        (
            "Observation.ndjson".to_owned(),
            observation.clone().into_bytes(),
        ),
        ("Patient.ndjson".to_owned(), patient.clone().into_bytes()),
    ];
    assert_eq!(files_in(&folder), BTreeMap::from(expected));

    let one = files.0.join("all.ndjson.gz").display().to_string();
    assert_done(&run(database, &["export", "--out", &one]));
    let mut unpacked = String::new();
    let packed = fs::File::open(&one).unwrap();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(packed), &mut unpacked)
        .unwrap();
    assert_eq!(unpacked, format!("{observation}{patient}"));
    let printed = run(database, &["export", "--out", "-", "--type", "Patient"]);
    assert_eq!(stdout(&printed), patient);

    let zst = files.0.join("zst");
    let out = zst.display().to_string();
    assert_done(&run(
        database,
        &[
            "export",
            "--out",
            &out,
            "--type",
            "Patient",
            "--compress",
            "zst",
        ],
    ));
    let packed = &files_in(&zst)["Patient.ndjson.zst"];
    assert_eq!(zstd::decode_all(&packed[..]).unwrap(), patient.as_bytes());

    assert_refused(
        &run(database, &["export", "--out", "-", "--type", "Patiens"]),
        "`Patiens` is no resource type",
    );
    assert_eq!(
        output(&["export", "--out", "x", "--since", "lately"])
            .status
            .code(),
        Some(2)
    );
    let absent = output(&["export", "--out", "-", "--data", "/no/such/place"]);
    assert_refused(&absent, "there is no store at /no/such/place/kiln.sqlite");
}

fn an_export_of_changes_tells_deletions(database: &Database) {
    let files = Files::new();
    let kiln = Kiln::start(database);
    fill(&kiln);
    let folder = files.0.join("out");
    let out = folder.display().to_string();
    assert_done(&run(
        database,
        &["export", "--out", &out, "--history", "--type", "Patient"],
    ));
    let written = files_in(&folder);
    let versions = String::from_utf8(written["Patient.ndjson"].clone()).unwrap();
    let numbers: Vec<_> = versions
        .lines()
        .map(|line| fhir_spec::json::parse(line.as_bytes()).unwrap())
        .map(|version| {
            version
                .get("meta")
                .unwrap()
                .str_of("versionId")
                .unwrap()
                .to_owned()
        })
        .collect();
    assert_eq!(numbers, ["1", "2", "3", "1"]);
    let deletion = r#"{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"DELETE","url":"Patient/gone"}}]}"#;
    assert_eq!(
        written["deleted-Patient.ndjson"],
        format!("{deletion}\n").as_bytes()
    );

    let observation = get(kiln.address, "/fhir/Observation/o").json();
    let at = observation
        .get("meta")
        .unwrap()
        .str_of("lastUpdated")
        .unwrap()
        .to_owned();
    let since = run(database, &["export", "--out", "-", "--since", &at]);
    assert!(stdout(&since).contains("Observation") && !stdout(&since).contains("Patient"));
    let later = run(database, &["export", "--out", "-", "--since", "2999"]);
    assert_done(&later);
    assert_eq!(stdout(&later), "");
}

fn an_export_is_not_mixed_with_another(database: &Database) {
    let files = Files::new();
    fill(&Kiln::start(database));
    let folder = files.0.join("out");
    let out = folder.display().to_string();
    assert_done(&run(database, &["export", "--out", &out]));
    let first = files_in(&folder);
    assert_refused(
        &run(database, &["export", "--out", &out]),
        "holds an export already",
    );
    // One that was killed left its marker: what it wrote is no export.
    fs::write(folder.join("export.partial"), "").unwrap();
    fs::write(folder.join("Stale.ndjson"), "{}\n").unwrap();
    fs::write(folder.join("Patient.ndjson.partial"), "{").unwrap();
    assert_done(&run(database, &["export", "--out", &out]));
    assert_eq!(files_in(&folder), first);
}

fn a_backup_taken_while_a_client_writes_is_one_moment(database: &Database) {
    let files = Files::new();
    let kiln = Kiln::start(database);
    fill(&kiln);
    let file = files.0.join("kiln.backup").display().to_string();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for client in 0..3 {
            let (kiln, is_over) = (&kiln, &is_over);
            scope.spawn(move || {
                for number in 0.. {
                    let body = format!(r#"{{"resourceType":"Patient","id":"c{client}","multipleBirthInteger":{number}}}"#);
                    put(kiln, &format!("Patient/c{client}"), &body);
                    if is_over.load(Ordering::SeqCst) {
                        return;
                    }
                }
            });
        }
        while !matches!(
            get(kiln.address, "/fhir/Patient/c0/_history/50").status,
            200
        ) {
            std::thread::yield_now();
        }
        let done = run(database, &["backup", &file]);
        assert_done(&done);
        is_over.store(true, Ordering::SeqCst);
    });
    assert_refused(&run(database, &["backup", &file]), "is there already");
    // Into the other kind of database, where there is one.
    let target = match database.is_postgres() {
        true => crate::databases::sqlite(),
        false => crate::databases::postgres().unwrap_or_else(crate::databases::sqlite),
    };
    let done = run(&target, &["restore", &file]);
    assert_done(&done);
    let restored = Kiln::start(&target);
    for path in [
        "/fhir/Patient/p",
        "/fhir/Patient/p/_history/1",
        "/fhir/Observation/o",
    ] {
        assert_eq!(
            get(restored.address, path).body,
            get(kiln.address, path).body,
            "{path}"
        );
    }
    assert_eq!(get(restored.address, "/fhir/Patient/gone").status, 410);
    for client in 0..3 {
        let path = format!("/fhir/Patient/c{client}");
        let newest = get(restored.address, &path);
        let version = newest
            .header("ETag")
            .unwrap()
            .trim_matches(['W', '/', '"'])
            .to_owned();
        let same = get(kiln.address, &format!("{path}/_history/{version}"));
        assert_eq!(newest.body, same.body);
    }
    // It goes on from there.
    let next = post(
        restored.address,
        "/fhir/Patient",
        r#"{"resourceType":"Patient"}"#,
    );
    assert_eq!(next.status, 201, "{}", next.text());
}

fn a_damaged_backup_restores_nothing(database: &Database) {
    let files = Files::new();
    fill(&Kiln::start(database));
    let file = files.0.join("kiln.backup");
    let name = file.display().to_string();
    assert_done(&run(database, &["backup", &name]));
    let good = fs::read(&file).unwrap();
    let target = match database.is_postgres() {
        true => crate::databases::postgres().unwrap(),
        false => crate::databases::sqlite(),
    };
    let mut damaged: Vec<Vec<u8>> = vec![
        b"no backup".to_vec(),
        good[..good.len() / 2].to_vec(),
        good[..good.len() - 1].to_vec(),
        [&good[..], b"x"].concat(),
    ];
    // Packed anew, so that it is not the packing that finds it.
    let (title, packed) = good.split_at(14);
    let plain = zstd::decode_all(packed).unwrap();
    for at in (0..plain.len()).step_by(plain.len() / 20) {
        let mut flipped = plain.clone();
        flipped[at] ^= 0x10;
        damaged.push([title, &zstd::encode_all(&flipped[..], 1).unwrap()].concat());
    }
    for (index, bytes) in damaged.iter().enumerate() {
        fs::write(&file, bytes).unwrap();
        let refused = run(&target, &["restore", &name]);
        assert_eq!(refused.status.code(), Some(1), "{index}");
        assert_eq!(stderr(&refused).lines().count(), 1, "{}", stderr(&refused));
    }
    if !target.is_postgres() {
        let left: Vec<_> = files_in(&target.directory).into_keys().collect();
        assert!(!left.contains(&"kiln.sqlite".to_owned()), "{left:?}");
    }
    fs::write(&file, &good).unwrap();
    assert_done(&run(&target, &["restore", &name]));
    assert_eq!(
        get(Kiln::start(&target).address, "/fhir/Patient/p").status,
        200
    );
}

fn a_backup_is_restored_into_an_empty_store_only(database: &Database) {
    let files = Files::new();
    let kiln = Kiln::start(database);
    let name = files.0.join("kiln.backup").display().to_string();
    assert_done(&run(database, &["backup", &name]));
    // Empty, with the tables made.
    assert_done(&run(database, &["restore", &name]));
    fill(&kiln);
    assert_refused(
        &run(database, &["restore", &name]),
        "there is something in this store already",
    );
    assert_eq!(get(kiln.address, "/fhir/Patient/p").status, 200);
}
