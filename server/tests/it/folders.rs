//! Routes that fetch files: what is put into a folder is applied and archived, what is refused comes back with its reason.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fhir_spec::json::Value;

use crate::client::{get, send};
use crate::databases::Database;
use crate::kiln::Kiln;
use crate::mllp::{adt, messages};

on_both_databases!(
    messages_in_files_are_applied_and_archived,
    what_is_refused_comes_back_with_its_reason,
    a_file_that_is_being_written_is_left_alone,
    rows_go_in_and_bad_ones_come_back,
    killed_in_the_middle_nothing_is_lost_and_nothing_done_twice,
    a_route_is_paused_started_and_told_to_look,
    routes_that_are_arranged_keep_to_what_the_config_allows,
);

/// A folder of a test.
pub(crate) fn folder(database: &Database) -> PathBuf {
    let path = database.directory.join("in");
    fs::create_dir_all(&path).unwrap();
    path
}

/// A route that fetches files from it.
pub(crate) fn route(path: &Path, schedule: &str, more: &str) -> String {
    format!(
        "[limits]\nfiles_lease_ms = 1000\n[[routes]]\nname = 'lab'\ntransport = 'folder'\nschedule = '{schedule}'\n{more}\n\
         folder = {{ path = '{}', settle_ms = 300 }}\n",
        path.display()
    )
}

/// A file as others deliver it: whole at once, under its name.
pub(crate) fn deliver(path: &Path, name: &str, text: &str) {
    let beside = path.join(format!(".{name}"));
    fs::write(&beside, text).unwrap();
    fs::rename(beside, path.join(name)).unwrap();
}

pub(crate) fn until(what: &str, mut is: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is() {
        assert!(begun.elapsed() < Duration::from_secs(120), "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

pub(crate) fn names(path: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(path) else {
        return Vec::new();
    };
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string();
    let mut names: Vec<String> = entries.map(|entry| name(entry).unwrap()).collect();
    names.sort();
    names
}

fn shown(kiln: &Kiln) -> Value {
    get(kiln.address, "/api/routes/lab").json()
}

fn count(value: &Value, name: &str) -> u64 {
    let last = value.get("poll").and_then(|poll| poll.get("last"));
    last.and_then(|last| last.get(name)?.as_u64()).unwrap_or(0)
}

/// A text of the last report.
pub(crate) fn last(kiln: &Kiln, name: &str) -> Option<String> {
    let shown = shown(kiln);
    let last = shown.get("poll")?.get("last")?;
    last.str_of(name).map(str::to_owned)
}

fn total(kiln: &Kiln, query: &str) -> u64 {
    let found = get(kiln.address, &format!("/fhir/{query}&_summary=count")).json();
    found.get("total").and_then(Value::as_u64).unwrap()
}

fn messages_in_files_are_applied_and_archived(database: &Database) {
    let path = folder(database);
    deliver(&path, "b.hl7", &adt("1", "P1"));
    deliver(&path, "a.hl7", &(adt("2", "P2") + &adt("3", "P3")));
    let kiln = Kiln::configured(database, &route(&path, "every 1s", ""));
    let archive = path.join("archive");
    until("both are archived", || {
        names(&archive) == ["a.hl7", "b.hl7"]
    });
    let kept = messages(&kiln, "route=lab");
    assert_eq!(kept.len(), 3);
    assert!(
        kept.iter()
            .all(|one| one.str_of("status") == Some("applied"))
    );
    let files: Vec<_> = kept.iter().filter_map(|one| one.str_of("file")).collect();
    assert_eq!(files.iter().filter(|file| **file == "a.hl7").count(), 2);
    // The newest is listed first: b came after a, as its name does.
    assert_eq!(files.first(), Some(&"b.hl7"));
    assert_eq!(total(&kiln, "Patient?identifier=P1,P2,P3"), 3);

    // The same name once more is another file; the same message is known.
    deliver(&path, "a.hl7", &adt("1", "P1"));
    until("it is archived beside", || names(&archive).len() == 3);
    assert_eq!(messages(&kiln, "route=lab").len(), 3);

    // An overlay may be for files of a name.
    let overlay = "{\"sender\":{\"file\":\"special-*\"},\"text\":\"overlay app : ADT_A01\\n  in Patient\\n    add PID-3.1 -> photo[].title\\n\"}";
    let put = send(
        kiln.address,
        "PUT",
        "/api/overlays/app",
        &[],
        overlay.as_bytes(),
    );
    assert_eq!(put.unwrap().status, 201);
    deliver(&path, "usual-1.hl7", &adt("4", "P4"));
    deliver(&path, "special-1.hl7", &adt("5", "P5"));
    until("they are archived", || names(&archive).len() == 5);
    let photo = |number: &str| {
        let found = get(kiln.address, &format!("/fhir/Patient?identifier={number}"));
        found.text().contains("photo")
    };
    assert_eq!((photo("P4"), photo("P5")), (false, true));
    let kept = messages(&kiln, "controlId=5");
    let id = kept[0].str_of("id").unwrap().to_owned();
    let again = send(
        kiln.address,
        "POST",
        &format!("/api/messages/{id}/reprocess"),
        &[],
        b"",
    );
    assert!(again.unwrap().status < 300);
    assert!(photo("P5"), "the file is remembered");
}

fn what_is_refused_comes_back_with_its_reason(database: &Database) {
    let path = folder(database);
    let unknown = adt("2", "P2").replace("ADT^A08^ADT_A01", "ZZZ^Z99");
    deliver(&path, "garbage.hl7", "no message at all");
    deliver(
        &path,
        "mixed.hl7",
        &(adt("1", "P1") + &unknown + &adt("3", "P3")),
    );
    deliver(&path, "unknown.hl7", &unknown.replace("|2|", "|4|"));
    std::os::unix::fs::symlink("/etc/passwd", path.join("link.hl7")).unwrap();
    let settings =
        route(&path, "every 1s", "").replace("[limits]", "[limits]\nmessage_bytes_max = 4096");
    let kiln = Kiln::configured(database, &settings);
    deliver(&path, "large.hl7", &adt("5", "P5").repeat(100));
    let errors = path.join("errors");
    let expected = [
        "garbage.hl7",
        "garbage.hl7.txt",
        "large.hl7",
        "large.hl7.txt",
        "mixed.refused.hl7",
        "mixed.refused.hl7.txt",
        "unknown.hl7",
        "unknown.hl7.txt",
    ];
    until("all that is refused is there", || {
        names(&errors) == expected
    });
    until("the rest is archived", || {
        names(&path.join("archive")) == ["mixed.hl7"]
    });
    assert_eq!(names(&path), ["archive", "errors", "link.hl7"]);
    let read = |name: &str| fs::read_to_string(errors.join(name)).unwrap();
    assert_eq!(read("garbage.hl7"), "no message at all");
    assert_eq!(read("mixed.refused.hl7"), unknown);
    let reason = read("mixed.refused.hl7.txt");
    assert!(
        reason.starts_with("mixed.hl7, fetched by the route lab, "),
        "{reason}"
    );
    for told in [
        "1 of 3 refused",
        "2: control id '2', AR: ",
        "MSH-9",
        "/api/messages/",
    ] {
        assert!(reason.contains(told), "{told} in {reason}");
    }
    assert!(read("large.hl7.txt").contains("at most 4096 are taken"));
    // The same name once more: nothing is written over, nothing left behind.
    deliver(&path, "garbage.hl7", "no message either");
    until("it is put beside", || {
        names(&errors).len() == expected.len() + 2
    });
    assert_eq!(read("garbage.hl7"), "no message at all");
    // What was refused is kept, too.
    assert_eq!(messages(&kiln, "route=lab&status=dead").len(), 4);
    assert_eq!(messages(&kiln, "route=lab&status=applied").len(), 2);
}

fn a_file_that_is_being_written_is_left_alone(database: &Database) {
    let path = folder(database);
    let kiln = Kiln::configured(database, &route(&path, "every 1s", ""));
    until("it was looked", || path.join("archive").is_dir());
    fs::write(path.join("later.hl7.part"), adt("1", "P1")).unwrap();
    let text = adt("2", "P2");
    let segments: Vec<&str> = text.split_inclusive('\r').collect();
    let mut written = String::new();
    for segment in &segments {
        let (one, other) = segment.split_at(segment.len() / 2);
        for half in [one, other] {
            written.push_str(half);
            fs::write(path.join("slow.hl7"), &written).unwrap();
            // Less than it takes to have settled.
            std::thread::sleep(Duration::from_millis(150));
            assert!(path.join("slow.hl7").exists() || written == text);
        }
    }
    until("it is archived", || {
        names(&path.join("archive")) == ["slow.hl7"]
    });
    let kept = messages(&kiln, "route=lab");
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert_eq!(kept[0].str_of("status"), Some("applied"));
    assert!(path.join("later.hl7.part").exists());
    fs::rename(path.join("later.hl7.part"), path.join("later.hl7")).unwrap();
    until("the other too", || {
        names(&path.join("archive")) == ["later.hl7", "slow.hl7"]
    });
}

const HEADER: &str = "mrn,last_name,first_name,birth_date,sex\n";
const TABLE: &str = "format = 'csv'\nmap = 'patients'\nconstants = { mrn_system = 'urn:mrn' }";

fn rows_go_in_and_bad_ones_come_back(database: &Database) {
    let path = folder(database);
    let rows = "1,Doe,Jane,1974-03-15,F\n2,Roe,Ann,the day before,F\n3,Poe,Edgar,1909-01-19\n4,Coe,Max,1980-01-01,M\n";
    deliver(&path, "people.csv", &format!("{HEADER}{rows}"));
    deliver(&path, "other.csv", "a,b\n1,2\n");
    let kiln = Kiln::configured(database, &route(&path, "every 1s", TABLE));
    let errors = path.join("errors");
    let expected = [
        "other.csv",
        "other.csv.txt",
        "people.refused.csv",
        "people.refused.csv.txt",
    ];
    until("what is refused is there", || names(&errors) == expected);
    until("the rest is archived", || {
        names(&path.join("archive")) == ["people.csv"]
    });
    assert_eq!(total(&kiln, "Patient?identifier=urn:mrn|"), 2);
    let refused = fs::read_to_string(errors.join("people.refused.csv")).unwrap();
    let lines: Vec<&str> = refused.lines().collect();
    assert_eq!(lines.len(), 3, "{refused}");
    assert!(lines[0].ends_with(",refused_because") && lines[1].starts_with("2,Roe,Ann,"));
    let reason = fs::read_to_string(errors.join("other.csv.txt")).unwrap();
    assert!(reason.contains("has no columns mrn"), "{reason}");

    // Mended it is sent again, with the column of reasons.
    let mended = refused
        .replace("the day before", "1980-02-02")
        .replace("1909-01-19,", "1909-01-19,M,");
    deliver(&path, "people.refused.csv", &mended);
    until("it is archived", || names(&path.join("archive")).len() == 2);
    assert_eq!(total(&kiln, "Patient?identifier=urn:mrn|"), 4);
    // The same rows once more change nothing.
    deliver(
        &path,
        "people.csv",
        &format!("{HEADER}1,Doe,Jane,1974-03-15,F\n"),
    );
    until("it is archived, too", || {
        names(&path.join("archive")).len() == 3
    });
    let found = get(kiln.address, "/fhir/Patient?identifier=urn:mrn|1").text();
    assert!(found.contains("\"versionId\":\"1\""), "{found}");
}

fn killed_in_the_middle_nothing_is_lost_and_nothing_done_twice(database: &Database) {
    const ROWS: usize = 4_000;
    const MESSAGES: usize = 200;
    let path = folder(database);
    let (tables, letters) = (path.join("tables"), path.join("letters"));
    fs::create_dir_all(&tables).unwrap();
    fs::create_dir_all(&letters).unwrap();
    let settings = route(&tables, "every 1s", TABLE)
        + &route(&letters, "every 1s", "")
            .replace("[limits]\nfiles_lease_ms = 1000\n", "")
            .replace("'lab'", "'adt'");
    let mut table = HEADER.to_owned();
    for row in 0..ROWS {
        // One in a thousand is wrong.
        let born = if row % 1_000 == 999 {
            "never"
        } else {
            "1974-03-15"
        };
        table.push_str(&format!("{row},Doe{row},Jane,{born},F\n"));
    }
    let batch: String = (0..MESSAGES)
        .map(|number| adt(&format!("m{number}"), &format!("Q{number}")))
        .collect();
    deliver(&tables, "t.csv", &table);
    deliver(&letters, "l.hl7", &batch);
    let mut kills = 0;
    for wanted in [1, 1_500, 3_000] {
        let kiln = Kiln::configured(database, &settings);
        until("rows come in", || {
            total(&kiln, "Patient?identifier=urn:mrn|") >= wanted
                || tables.join("archive/t.csv").exists()
        });
        kills += usize::from(!tables.join("archive/t.csv").exists());
        kiln.kill();
    }
    assert!(kills > 0, "it was never killed in the middle");
    let kiln = Kiln::configured(database, &settings);
    until("both are archived", || {
        tables.join("archive/t.csv").exists() && letters.join("archive/l.hl7").exists()
    });
    assert_eq!(total(&kiln, "Patient?identifier=urn:mrn|"), 3_996);
    let versions =
        database.number("SELECT count(*) FROM versions WHERE version > 1 AND type = 'Patient'");
    assert_eq!(versions, 0, "nothing was applied twice");
    let refused = fs::read_to_string(tables.join("errors/t.refused.csv")).unwrap();
    for row in [999, 1_999, 2_999, 3_999] {
        assert!(
            refused.contains(&format!("\n{row},Doe{row},Jane,never")),
            "{row} in {refused}"
        );
    }
    let kept = messages(&kiln, "route=adt&limit=1000");
    assert_eq!(kept.len(), MESSAGES);
    assert!(
        kept.iter()
            .all(|one| one.str_of("status") == Some("applied"))
    );
}

fn a_route_is_paused_started_and_told_to_look(database: &Database) {
    let path = folder(database);
    deliver(&path, "a.hl7", &adt("1", "P1"));
    // Next year, and never in this test.
    let kiln = Kiln::configured(
        database,
        &route(&path, "0 0 1 1 *", "zone = 'Europe/Berlin'"),
    );
    let ask = |what: &str| {
        let asked = send(
            kiln.address,
            "POST",
            &format!("/api/routes/lab/{what}"),
            &[],
            b"",
        );
        asked.unwrap()
    };
    until("it is planned", || shown(&kiln).get("poll").is_some());
    let due = shown(&kiln)
        .get("poll")
        .unwrap()
        .str_of("due")
        .unwrap()
        .to_owned();
    assert!(due.contains("-12-31T23:00:00"), "{due}");
    assert_eq!(ask("poll").status, 200);
    until("it is archived", || {
        names(&path.join("archive")) == ["a.hl7"]
    });
    until("the report is there", || count(&shown(&kiln), "files") == 1);
    let told = shown(&kiln);
    assert_eq!((count(&told, "accepted"), count(&told, "refused")), (1, 0));
    assert_eq!(told.str_of("schedule"), Some("0 0 1 1 *"));
    let poll = told.get("poll").unwrap();
    assert_eq!(
        poll.str_of("due"),
        Some(due.as_str()),
        "the next time lies ahead"
    );

    assert_eq!(ask("pause").json().str_of("state"), Some("paused"));
    deliver(&path, "b.hl7", &adt("2", "P2"));
    assert_eq!(ask("poll").status, 200);
    std::thread::sleep(Duration::from_millis(2_500));
    assert!(path.join("b.hl7").exists());
    assert_eq!(ask("start").json().str_of("state"), Some("started"));
    until("it is archived", || {
        names(&path.join("archive")) == ["a.hl7", "b.hl7"]
    });
    let http = send(kiln.address, "POST", "/api/routes/http/poll", &[], b"").unwrap();
    assert_eq!(http.status, 409);

    // What cannot be done is told.
    fs::rename(&path, database.directory.join("elsewhere")).unwrap();
    assert_eq!(ask("poll").status, 200);
    until("the trouble is told", || {
        last(&kiln, "error").is_some_and(|error| error.contains("No such file"))
    });
}

/// Settings of a route, and what is told of them.
fn wrong(root: &str) -> Vec<(String, &'static str)> {
    let sftp = "\"sftp\":{\"host\":\"h\",\"user\":\"u\",\"host_key\":\"SHA256:x\"";
    vec![
        (
            "{\"transport\":\"folder\"}".to_owned(),
            "`folder` is missing",
        ),
        (
            "{\"transport\":\"folder\",\"folder\":{\"path\":\"/etc\"}}".to_owned(),
            "below one of `folders`",
        ),
        (
            format!("{{\"transport\":\"folder\",\"folder\":{{\"path\":\"{root}/etc\"}}}}"),
            "below one of `folders`",
        ),
        (
            format!("{{\"transport\":\"folder\",\"folder\":{{\"path\":\"{root}/lab/../..\"}}}}"),
            "below one of `folders`",
        ),
        (
            format!(
                "{{\"transport\":\"folder\",\"folder\":{{\"path\":\"{root}/lab\",\"archive\":\"../a\"}}}}"
            ),
            "folder.archive",
        ),
        (
            format!(
                "{{\"transport\":\"folder\",\"schedule\":\"often\",\"folder\":{{\"path\":\"{root}/lab\"}}}}"
            ),
            "is no schedule",
        ),
        (
            "{\"transport\":\"folder\",\"folder\":{\"path\":\"lab\"}}".to_owned(),
            "an absolute path",
        ),
        (
            format!(
                "{{\"transport\":\"folder\",\"acknowledge\":\"stored\",\"folder\":{{\"path\":\"{root}/lab\"}}}}"
            ),
            "nobody is there",
        ),
        (
            format!("{{\"transport\":\"sftp\",\"folder\":{{\"path\":\"in\"}},{sftp}}}}}"),
            "expected one of `password_file`",
        ),
        (
            format!(
                "{{\"transport\":\"sftp\",\"folder\":{{\"path\":\"in\"}},{sftp},\"password_file\":\"/etc/passwd\"}}}}"
            ),
            "`secrets`",
        ),
        (
            format!(
                "{{\"transport\":\"sftp\",\"folder\":{{\"path\":\"in\"}},{sftp},\"password_env\":\"HOME\"}}}}"
            ),
            "secrets of the environment",
        ),
        (
            "{\"transport\":\"mllp\",\"listen\":\"127.0.0.1:0\",\"schedule\":\"every 1s\"}"
                .to_owned(),
            "for the transports folder and sftp",
        ),
        (
            "{\"transport\":\"mllp\",\"listen\":\"127.0.0.1:0\",\"format\":\"csv\"}".to_owned(),
            "tables come by",
        ),
    ]
}

fn routes_that_are_arranged_keep_to_what_the_config_allows(database: &Database) {
    let path = folder(database);
    let root = path.display();
    let kiln = Kiln::configured(database, &format!("folders = ['{root}']\n"));
    let put = |name: &str, body: &str| {
        let path = format!("/api/routes/{name}");
        send(kiln.address, "PUT", &path, &[], body.as_bytes()).unwrap()
    };
    fs::create_dir(path.join("lab")).unwrap();
    std::os::unix::fs::symlink("/etc", path.join("etc")).unwrap();
    for (body, told) in wrong(&root.to_string()) {
        let answer = put("lab", &body);
        assert_eq!(answer.status, 422, "{body} {}", answer.text());
        assert!(answer.text().contains(told), "{told}: {}", answer.text());
    }
    let good = format!(
        "{{\"transport\":\"folder\",\"schedule\":\"every 1s\",\"folder\":{{\"path\":\"{root}/lab\",\"settle_ms\":200}}}}"
    );
    let made = put("lab", &good);
    assert_eq!(made.status, 201, "{}", made.text());
    deliver(&path.join("lab"), "a.hl7", &adt("1", "P1"));
    until("it is archived", || {
        names(&path.join("lab/archive")) == ["a.hl7"]
    });
    let stopped = send(kiln.address, "POST", "/api/routes/lab/stop", &[], b"").unwrap();
    let folder = stopped.json().get("folder").cloned().unwrap();
    assert_eq!(folder.get("settle_ms").and_then(Value::as_u64), Some(200));
    // It is stopped still after a restart, and taken out it is gone.
    kiln.stop("TERM");
    let kiln = Kiln::configured(database, &format!("folders = ['{root}']\n"));
    assert_eq!(shown(&kiln).str_of("state"), Some("stopped"));
    deliver(&path.join("lab"), "b.hl7", &adt("2", "P2"));
    let deleted = send(kiln.address, "DELETE", "/api/routes/lab", &[], b"").unwrap();
    assert_eq!(deleted.status, 204);
    std::thread::sleep(Duration::from_millis(1_500));
    assert!(path.join("lab/b.hl7").exists());
}
