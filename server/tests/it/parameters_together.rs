//! Search parameters where several things happen at once: writers, nodes, restarts, commands, packages.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant as Clock};

use fhir_spec::json::Value;
use server::auth::{Action, Caller, may};
use server::config::Settings;
use server::instant::Instant;
use server::store::{Error, Store};

use crate::client::{get, send};
use crate::commands::{Files, stderr, stdout};
use crate::databases::{self, Database};
use crate::kiln::{Kiln, command, output};
use crate::parameters::{
    NICK, PATIENCE, SLOWLY, extended, matches, parameter, posted, put, ready, stored, verified,
};

on_both_databases!(
    nobody_slips_through_while_parameters_change,
    a_node_that_dies_is_replaced,
    packages_bring_and_take_parameters,
    an_index_is_put_right_beside_its_server,
    imports_and_restores_bring_parameters,
    a_store_of_before_is_gone_through,
    rows_that_nobody_wants_go,
);

/// Whoever loads an implementation guide by posting what is in it can search by it.
#[test]
fn all_of_us_core_can_be_posted() {
    let shared = std::env::var_os("KILN_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"),
        Into::into,
    );
    let database = databases::sqlite();
    for file in ["us-core-610.tgz", "us-core-800.tgz"] {
        let path = shared.join("packages").join(file);
        let Ok(archive) = std::fs::File::open(&path) else {
            println!("SKIPPED: {} is not here", path.display());
            return;
        };
        let kiln = Kiln::start(&database);
        let package = fhir_spec::package::Package::read(archive).unwrap();
        let is_parameter =
            |resource: &&Value| resource.str_of("resourceType") == Some("SearchParameter");
        let parameters: Vec<&Value> = package.resources.iter().filter(is_parameter).collect();
        assert!(parameters.len() > 100);
        for parameter in parameters {
            // The package holds no more of it than is needed to know what it says.
            let mut whole = parameter.clone();
            let members = whole.as_object_mut().unwrap();
            members.set("description", Value::from("d"));
            let id = parameter.str_of("id").unwrap();
            stored(kiln.address, "SearchParameter", id, &whole.to_string());
        }
        let patient = r#"{"resourceType":"Patient","id":"p","extension":[{"url":"http://hl7.org/fhir/us/core/StructureDefinition/us-core-race","extension":[
            {"url":"ombCategory","valueCoding":{"system":"urn:oid:2.16.840.1.113883.6.238","code":"2106-3"}},{"url":"text","valueString":"x"}]}]}"#;
        stored(kiln.address, "Patient", "p", patient);
        assert_eq!(ready(kiln.address, "race=2106-3"), ["p"]);
        assert!(ready(kiln.address, "ethnicity=2106-3").is_empty());
    }
    verified(&database);
}

/// The number that a page of metrics has.
fn metric(address: SocketAddr, name: &str) -> u64 {
    let page = get(address, "/metrics").text();
    let line = page.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap().trim().parse().unwrap()
}

/// Nodes of a cluster; SQLite has one.
fn nodes(database: &Database, settings: &str) -> Vec<Kiln> {
    let count = if database.is_postgres() { 2 } else { 1 };
    (0..count)
        .map(|_| Kiln::configured(database, settings))
        .collect()
}

fn nobody_slips_through_while_parameters_change(database: &Database) {
    const BETWEEN: usize = 25;
    let nodes = nodes(database, "");
    let (stops, count) = (AtomicBool::new(false), AtomicUsize::new(0));
    let addresses: Vec<SocketAddr> = nodes.iter().map(|node| node.address).collect();
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let (stops, count, address) = (&stops, &count, addresses[writer % addresses.len()]);
            scope.spawn(move || {
                for round in 0.. {
                    if stops.load(Ordering::Relaxed) {
                        return;
                    }
                    let id = format!("w{writer}-{round}");
                    stored(
                        address,
                        "Patient",
                        &id,
                        &extended(&id, r#""valueString":"a""#),
                    );
                    // Every third is changed once more.
                    if round % 3 == 0 {
                        stored(
                            address,
                            "Patient",
                            &id,
                            &extended(&id, r#""valueString":"b""#),
                        );
                    }
                    count.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for code in ["one", "two", "three"] {
            some_more(&count, BETWEEN);
            posted(
                addresses[0],
                code,
                "string",
                &format!("{NICK} | Patient.{}", element(code)),
            );
        }
        some_more(&count, BETWEEN);
        stops.store(true, Ordering::Relaxed);
    });
    let all = count.load(Ordering::Relaxed);
    for code in ["one", "two", "three"] {
        for address in &addresses {
            known(*address, code);
            // A list ends after a thousand; counts do not.
            let total = |value: &str| {
                ready(*address, &format!("{code}={value}"));
                let path = format!("/fhir/Patient?{code}={value}&_summary=count");
                let total = get(*address, &path)
                    .json()
                    .get("total")
                    .and_then(Value::as_u64);
                usize::try_from(total.unwrap()).unwrap()
            };
            assert_eq!(total("a") + total("b"), all, "{code}");
        }
    }
    verified(database);
}

/// Waits until so many more were counted; when nobody counts any more, somebody has something to say.
fn some_more(count: &AtomicUsize, more: usize) {
    let (before, until) = (count.load(Ordering::Relaxed), Clock::now() + PATIENCE);
    while count.load(Ordering::Relaxed) < before + more && Clock::now() < until {
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Something that makes paths of its own.
fn element(code: &str) -> &'static str {
    match code {
        "one" => "contact.name",
        "two" => "contact.address",
        _ => "contact.organization.display",
    }
}

/// Waits until a node has heard of a parameter that was posted to another one.
fn known(address: SocketAddr, code: &str) {
    let until = Clock::now() + PATIENCE;
    while matches(address, &format!("{code}=a")).is_err_and(|answer| answer.status == 400) {
        assert!(Clock::now() < until, "{code} is not known");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn a_node_that_dies_is_replaced(database: &Database) {
    const COUNT: usize = 50;
    let mut nodes = nodes(database, SLOWLY);
    let address = nodes[0].address;
    for number in 0..COUNT {
        let id = format!("p{number}");
        stored(
            address,
            "Patient",
            &id,
            &extended(&id, r#""valueString":"a""#),
        );
    }
    posted(address, "nick", "string", NICK);
    assert_eq!(matches(address, "nick=a").unwrap_err().status, 503);
    nodes.remove(0).kill();
    let other = nodes
        .pop()
        .unwrap_or_else(|| Kiln::configured(database, SLOWLY));
    known(other.address, "nick");
    assert_eq!(matches(other.address, "nick=a").unwrap_err().status, 503);
    assert_eq!(ready(other.address, "nick=a").len(), COUNT);
    // None was done twice: what was done before counts.
    assert_eq!(metric(other.address, "kiln_reindex_resources "), 0);
    verified(database);
}

/// A FHIR package with one search parameter.
fn package(files: &Files, code: &str, expression: &str) -> String {
    let manifest = format!(
        r#"{{"name":"org.example.{code}","version":"1.0.0","fhirVersions":["4.0.1"],"dependencies":{{}}}}"#
    );
    let resource = parameter(code, "string", expression);
    let gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut archive = tar::Builder::new(gzip);
    for (name, text) in [
        ("package/package.json", &manifest),
        ("package/SearchParameter-one.json", &resource),
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_size(u64::try_from(text.len()).unwrap());
        header.set_mode(0o644);
        header.set_cksum();
        archive
            .append_data(&mut header, Path::new(name), text.as_bytes())
            .unwrap();
    }
    let bytes = archive.into_inner().unwrap().finish().unwrap();
    files.put(&format!("{code}.tgz"), &bytes)
}

fn packages_bring_and_take_parameters(database: &Database) {
    let files = Files::new();
    let (one, other) = (
        package(&files, "one", NICK),
        package(&files, "other", "Patient.contact.name"),
    );
    let start = |packages: &[&str]| {
        let mut command = command();
        command.arg("--data").arg(&database.directory).args([
            "--database",
            &database.url,
            "--listen",
            "127.0.0.1:0",
        ]);
        for package in packages {
            command.args(["--package", package]);
        }
        Kiln::from_command(&mut command)
    };
    let kiln = start(&[]);
    stored(
        kiln.address,
        "Patient",
        "p",
        &extended("p", r#""valueString":"a""#),
    );
    drop(kiln);
    let kiln = start(&[&one]);
    assert_eq!(ready(kiln.address, "one=a"), ["p"]);
    // A command with other packages does not disturb it.
    let file = files.put(
        "more.ndjson",
        extended("q", r#""valueString":"a""#).as_bytes(),
    );
    let refused = command()
        .args(["import", "--database", &database.url, &file])
        .current_dir(&files.0)
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(1), "{}", stdout(&refused));
    assert!(
        stderr(&refused).contains("same packages"),
        "{}",
        stderr(&refused)
    );
    if database.is_postgres() {
        the_last_node_to_start_is_right(&kiln, &start(&[&one, &other]));
    }
    drop(kiln);
    let kiln = start(&[&other]);
    assert_eq!(matches(kiln.address, "one=a").unwrap_err().status, 400);
    assert!(ready(kiln.address, "other=a").is_empty());
    drop(kiln);
    let kiln = start(&[&other, &one]);
    assert_eq!(ready(kiln.address, "one=a")[0], "p");
    let verified = output(&[
        "verify",
        "--database",
        &database.url,
        "--package",
        &other,
        "--package",
        &one,
    ]);
    assert!(verified.status.success(), "{}", stdout(&verified));
}

/// A node with other packages wins: the first one writes nothing any more, instead of rows that are not those of the others.
fn the_last_node_to_start_is_right(kiln: &Kiln, second: &Kiln) {
    let until = Clock::now() + PATIENCE;
    let body = extended("r", r#""valueString":"a""#);
    let answer = loop {
        let answer = put(kiln.address, "Patient", "r", &body);
        if answer.status == 503 || Clock::now() > until {
            break answer;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    assert_eq!(answer.status, 503, "{}", answer.text());
    // Nobody is sent here any more, as soon as it has looked.
    while get(kiln.address, "/health/ready").status != 503 {
        assert!(Clock::now() < until, "it says that it is ready");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(
        answer.text().contains("other definitions"),
        "{}",
        answer.text()
    );
    stored(second.address, "Patient", "r", &body);
    assert_eq!(ready(second.address, "one=a"), ["p", "r"]);
}

fn an_index_is_put_right_beside_its_server(database: &Database) {
    let kiln = Kiln::start(database);
    let address = kiln.address;
    for number in 0..200 {
        let id = format!("p{number}");
        stored(
            address,
            "Patient",
            &id,
            &extended(&id, r#""valueString":"a""#),
        );
    }
    database.execute("DELETE FROM search_string WHERE value = 'fox'");
    assert!(matches(address, "family=fox").unwrap().is_empty());
    let run = |arguments: &[&str]| {
        command()
            .args(arguments)
            .args(["--database", &database.url])
            .output()
            .unwrap()
    };
    assert_eq!(run(&["verify"]).status.code(), Some(1));
    let nothing = run(&["reindex"]);
    assert_eq!(nothing.status.code(), Some(0), "{}", stderr(&nothing));
    assert!(
        stdout(&nothing).starts_with("reindexed 0 resources"),
        "{}",
        stdout(&nothing)
    );
    let right = run(&["reindex", "--type", "Patient"]);
    assert_eq!(right.status.code(), Some(0), "{}", stderr(&right));
    verified(database);
    assert_eq!(matches(address, "family=fox").unwrap().len(), 200);
    drop(kiln);
    database.execute("DELETE FROM search_string WHERE value = 'fox'");
    let right = run(&["reindex", "--all"]);
    assert!(
        stdout(&right).starts_with("reindexed 200 resources")
            && stdout(&right).contains(": 200 index rows"),
        "{}",
        stdout(&right)
    );
    verified(database);
    let wrong = run(&["reindex", "--type", "Patent"]);
    assert_eq!(wrong.status.code(), Some(1));
    assert!(stderr(&wrong).contains("`Patent` is no resource type"));
    let nowhere = output(&["reindex", "--data", "/nonexistent/kiln"]);
    assert_eq!(nowhere.status.code(), Some(1));
    assert!(stderr(&nowhere).contains("there is no store"));
}

fn imports_and_restores_bring_parameters(database: &Database) {
    let files = Files::new();
    let patient = |id: &str| extended(id, r#""valueString":"a""#);
    let lines = [
        patient("before"),
        parameter("nick", "string", NICK).replace('\n', " "),
        parameter("nick", "string", "Patient.nam")
            .replace(r#""id":"nick""#, r#""id":"bad""#)
            .replace('\n', " "),
        parameter("nick", "token", "Patient.active")
            .replace(r#""id":"nick""#, r#""id":"twin""#)
            .replace('\n', " "),
        patient("after"),
    ];
    let file = files.put("all.ndjson", lines.join("\n").as_bytes());
    let imported = command()
        .args(["import", "--database", &database.url, &file])
        .current_dir(&files.0)
        .output()
        .unwrap();
    assert!(
        stdout(&imported).contains("3 created"),
        "{}{}",
        stdout(&imported),
        stderr(&imported)
    );
    assert!(
        stderr(&imported).contains("refused: 2"),
        "{}",
        stderr(&imported)
    );
    let kiln = Kiln::start(database);
    assert_eq!(ready(kiln.address, "nick=a"), ["after", "before"]);
    drop(kiln);
    verified(database);
    let backup = files.0.join("all.backup").display().to_string();
    let backed_up = output(&["backup", "--database", &database.url, &backup]);
    assert!(backed_up.status.success(), "{}", stderr(&backed_up));
    let fresh = databases::sqlite();
    let restored = output(&["restore", "--database", &fresh.url, &backup]);
    assert!(restored.status.success(), "{}", stderr(&restored));
    verified(&fresh);
    let kiln = Kiln::start(&fresh);
    assert_eq!(ready(kiln.address, "nick=a"), ["after", "before"]);
    drop(kiln);
    let moved = databases::sqlite();
    let migrated = output(&["migrate", "--database", &database.url, "--to", &moved.url]);
    assert!(migrated.status.success(), "{}", stderr(&migrated));
    assert_eq!(moved.number("SELECT count(*) FROM reindex"), 0);
    let kiln = Kiln::start(&moved);
    assert_eq!(
        matches(kiln.address, "nick=a").unwrap(),
        ["after", "before"]
    );
}

fn a_store_of_before_is_gone_through(database: &Database) {
    let kiln = Kiln::start(database);
    for number in 0..20 {
        let id = format!("p{number}");
        stored(
            kiln.address,
            "Patient",
            &id,
            &extended(&id, r#""valueString":"a""#),
        );
    }
    assert!(kiln.stop("TERM").0.success());
    // As if it had been written before there was a plan, by a version that knew another path.
    let migration = database.migrations().join("0007_reindex");
    for script in ["down.sql", "up.sql"] {
        database.execute(&std::fs::read_to_string(migration.join(script)).unwrap());
    }
    database.execute("DELETE FROM search_string WHERE value = 'fox'");
    database.execute(
        "INSERT INTO search_uri (path, value, rid) SELECT 12345, 'http://old', rid FROM resources",
    );
    let kiln = Kiln::start(database);
    assert_eq!(ready(kiln.address, "family=fox").len(), 20);
    assert_eq!(
        database.number("SELECT count(*) FROM search_uri WHERE path = 12345"),
        0
    );
    verified(database);
}

fn rows_that_nobody_wants_go(database: &Database) {
    let kiln = Kiln::start(database);
    for number in 0..20 {
        let id = format!("p{number}");
        stored(
            kiln.address,
            "Patient",
            &id,
            &extended(&id, r#""valueString":"a""#),
        );
    }
    let rows = "SELECT count(*) FROM search_string WHERE value = 'a'";
    let before = database.number(rows);
    posted(kiln.address, "nick", "string", NICK);
    assert_eq!(ready(kiln.address, "nick=a").len(), 20);
    assert_eq!(database.number(rows), before + 20);
    let deleted = send(
        kiln.address,
        "DELETE",
        "/fhir/SearchParameter/nick",
        &[],
        b"",
    )
    .unwrap();
    assert_eq!(deleted.status, 204);
    // They stay for a moment, for searches that were begun before.
    assert_eq!(database.number(rows), before + 20);
    assert!(kiln.stop("TERM").0.success());
    let settings = Settings {
        database: Some(database.url.parse().unwrap()),
        ..Settings::default()
    };
    let config = settings.resolve().unwrap();
    let store = Store::open(&config.database, &config.limits).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let late = Instant::from_micros(i64::MAX);
    let mut steps = 0;
    loop {
        let permit = may(&Caller::Open, Action::Maintain).unwrap();
        let swept = runtime.block_on(store.write(permit, move |tx| tx.sweep(late, 8)));
        match swept {
            Ok(is_more) if is_more => steps += 1,
            Ok(_) => break,
            Err(error) => panic!("{}", Error::to_string(&error)),
        }
    }
    store.close();
    assert!(steps > 2, "{steps}");
    assert_eq!(database.number(rows), before);
    assert_eq!(database.number("SELECT count(*) FROM search_forgotten"), 0);
    verified(database);
}
