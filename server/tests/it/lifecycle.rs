//! Starting, settings and stopping: what scripts and operators rely on.

use std::fs;
use std::io::{Read, Write};
use std::process::Output;
use std::sync::Mutex;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};

use crate::client::{FHIR_JSON, connect, get, post, receive, send};
use crate::databases::{Database, sqlite};
use crate::kiln::{Kiln, command, output};

const PATIENT: &str = r#"{"resourceType":"Patient"}"#;
const CONTINUE: [u8; 25] = *b"HTTP/1.1 100 Continue\r\n\r\n";

on_both_databases!(
    it_stops_cleanly_when_told,
    a_request_under_way_is_finished,
    it_says_when_it_is_ready,
    it_is_not_ready_when_the_database_takes_no_writes,
    it_says_that_it_stops_before_it_does,
    a_stop_under_load_breaks_no_promise,
);

fn it_stops_cleanly_when_told(database: &Database) {
    for signal in ["TERM", "INT"] {
        let kiln = Kiln::start(database);
        // A client that keeps its connection open does not keep the server from stopping.
        let mut idle = connect(kiln.address).unwrap();
        write!(idle, "GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let (status, printed) = kiln.stop(signal);
        assert_eq!(status.code(), Some(0), "{signal}");
        assert_eq!(printed, "", "one line on stdout, and that was the address");
    }
    let leftover = database.directory.join("kiln.sqlite-wal");
    assert!(
        !leftover.exists(),
        "the log was emptied into the database file"
    );
}

fn a_request_under_way_is_finished(database: &Database) {
    let kiln = Kiln::start(database);
    let body = r#"{"resourceType":"Patient"}"#;
    let mut slow = connect(kiln.address).unwrap();
    write!(
        slow,
        "POST /fhir/Patient HTTP/1.1\r\nHost: x\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Type: {}\r\nContent-Length: {}\r\n\r\n",
        FHIR_JSON.1,
        body.len()
    )
    .unwrap();
    slow.flush().unwrap();
    // The server asks for the body: now the request is under way.
    let mut go_on = [0; CONTINUE.len()];
    slow.read_exact(&mut go_on).unwrap();
    assert_eq!(go_on, CONTINUE);
    kiln.signal("TERM");
    write!(slow, "{body}").unwrap();
    assert_eq!(receive(&mut slow).unwrap().status, 201);
    assert_eq!(kiln.stop("TERM").0.code(), Some(0));
}

fn it_says_when_it_is_ready(database: &Database) {
    let kiln = Kiln::start(database);
    assert_eq!(get(kiln.address, "/health/live").text(), "live");
    let ready = get(kiln.address, "/health/ready");
    assert_eq!((ready.status, ready.text().as_str()), (200, "ready"));
    let page = get(kiln.address, "/");
    assert!(page.text().contains("/fhir/metadata"));
    assert!(!page.text().contains("<script"));
    let policy = page.header("Content-Security-Policy").unwrap();
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    assert_eq!(get(kiln.address, "/page.css").status, 200);
}

fn it_is_not_ready_when_the_database_takes_no_writes(database: &Database) {
    let kiln = Kiln::start(database);
    if database.is_postgres() {
        // New connections only; the server's own are ended.
        database.execute(
            "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on', current_database()); END $$;
             SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()",
        );
        let ready = get(kiln.address, "/health/ready");
        assert_eq!(ready.status, 503, "{}", ready.text());
    } else {
        let file = database.directory.join("kiln.sqlite");
        let mut other = SqliteConnection::establish(&file.to_string_lossy()).unwrap();
        other.batch_execute("BEGIN IMMEDIATE").unwrap();
        let ready = get(kiln.address, "/health/ready");
        assert_eq!(ready.status, 503, "{}", ready.text());
        other.batch_execute("ROLLBACK").unwrap();
        assert_eq!(get(kiln.address, "/health/ready").status, 200);
    }
    assert_eq!(get(kiln.address, "/health/live").status, 200);
}

fn it_says_that_it_stops_before_it_does(database: &Database) {
    let kiln = Kiln::configured(database, "[limits]\nstop_notice_ms = 60000");
    kiln.signal("TERM");
    let is_told = (0..500).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        get(kiln.address, "/health/ready").status == 503
    });
    assert!(is_told);
    let created = post(kiln.address, "/fhir/Patient", PATIENT);
    assert_eq!(created.status, 201, "until the notice is over it works on");
}

/// While clients write as fast as they can the server is told to stop. Whoever gets an answer gets a good one, and what
/// was acknowledged is there.
fn a_stop_under_load_breaks_no_promise(database: &Database) {
    let kiln = Kiln::start(database);
    let address = kiln.address;
    let acknowledged = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let headers = [FHIR_JSON];
                while let Some(answer) = send(
                    address,
                    "POST",
                    "/fhir/Patient",
                    &headers,
                    PATIENT.as_bytes(),
                ) {
                    assert_eq!(answer.status, 201, "{}", answer.text());
                    let id = answer.json().str_of("id").unwrap().to_owned();
                    acknowledged.lock().unwrap().push(id);
                }
            });
        }
        while acknowledged.lock().unwrap().len() < 100 {
            std::thread::yield_now();
        }
        assert_eq!(kiln.stop("TERM").0.code(), Some(0));
    });
    let kiln = Kiln::start(database);
    for id in acknowledged.into_inner().unwrap() {
        assert_eq!(
            get(kiln.address, &format!("/fhir/Patient/{id}")).status,
            200
        );
    }
}

#[test]
fn settings_come_from_flags_environment_and_file_in_that_order() {
    let database = sqlite();
    let file = database.directory.join("kiln.toml");
    let elsewhere = database.directory.join("elsewhere");
    fs::write(
        &file,
        "listen = '127.0.0.1:1'\ndata = '/nonexistent/kiln'\n",
    )
    .unwrap();
    let mut start = command();
    start
        .arg("serve")
        .args(["--listen", "127.0.0.1:0"])
        .env("KILN_LISTEN", "127.0.0.1:2")
        .env("KILN_DATA", &elsewhere)
        .env("KILN_CONFIG", &file);
    let kiln = Kiln::from_command(&mut start);
    assert_eq!(get(kiln.address, "/health/ready").status, 200);
    assert!(elsewhere.join("kiln.sqlite").exists());
}

#[test]
fn without_settings_the_data_are_below_the_current_directory() {
    let database = sqlite();
    let mut start = command();
    start
        .args(["--listen", "127.0.0.1:0"])
        .current_dir(&database.directory);
    let kiln = Kiln::from_command(&mut start);
    assert_eq!(get(kiln.address, "/health/ready").status, 200);
    assert!(database.directory.join("kiln-data/kiln.sqlite").exists());
}

/// One line on stderr that holds these words, and this exit status.
fn assert_refused(output: &Output, status: i32, words: &str) {
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{complaint}");
    assert!(
        complaint.contains(words),
        "{words:?} is not in {complaint:?}"
    );
    assert!(output.stdout.is_empty());
    if status == 1 {
        assert_eq!(complaint.lines().count(), 1, "{complaint}");
    }
}

#[test]
fn wrong_usage_is_told_with_status_2() {
    assert_refused(
        &output(&["--database", "mysql://h/d"]),
        2,
        "expected `sqlite:PATH`",
    );
    assert_refused(&output(&["--listen", "nowhere"]), 2, "nowhere");
    assert_refused(&output(&["--mllp", "nowhere"]), 2, "--mllp");
    assert_refused(&output(&["fly"]), 2, "fly");
    assert_refused(&output(&["--auth", "maybe"]), 2, "maybe");
    assert_refused(&output(&["--public-url", "x.org"]), 2, "https://");
    assert_refused(&output(&["--trusted-proxies", "x"]), 2, "IP address");
    assert_refused(&output(&["--cors-origins", "x"]), 2, "origin");
}

#[test]
fn what_cannot_be_done_is_told_with_status_1() {
    let database = sqlite();
    let path = |name: &str| database.directory.join(name).display().to_string();
    assert_refused(&output(&["--listen", "0.0.0.0:0"]), 1, "loopback");
    let open_to_all = ["--auth", "smart", "--listen", "0.0.0.0:0"];
    assert_refused(&output(&open_to_all), 1, "in the clear");
    assert_refused(
        &output(&["--config", &path("absent.toml")]),
        1,
        "absent.toml",
    );
    fs::write(path("wrong.toml"), "lissten = '127.0.0.1:1'").unwrap();
    assert_refused(&output(&["--config", &path("wrong.toml")]), 1, "lissten");
    fs::write(path("limit.toml"), "[limits]\nkeep_alive_ms = 0").unwrap();
    let arguments = ["--config", &path("limit.toml")];
    assert_refused(&output(&arguments), 1, "limits.keep_alive_ms");
    fs::write(path("text"), "no database").unwrap();
    let arguments = [
        "--database",
        &format!("sqlite:{}", path("text")),
        "--listen",
        "127.0.0.1:0",
    ];
    assert_refused(&output(&arguments), 1, "not a database");
    let arguments = [
        "--database",
        "postgres://u:secret@127.0.0.1:1/d",
        "--listen",
        "127.0.0.1:0",
    ];
    let refused = output(&arguments);
    assert_refused(&refused, 1, "cannot be reached");
    assert!(!String::from_utf8_lossy(&refused.stderr).contains("secret"));
}

#[test]
fn an_address_in_use_is_told() {
    let (one, two) = (sqlite(), sqlite());
    let kiln = Kiln::start(&one);
    let address = kiln.address.to_string();
    assert_refused(
        &output(&["--database", &two.url, "--listen", &address]),
        1,
        &address,
    );
}

#[test]
fn every_command_has_help_with_an_example() {
    for arguments in [&["--help"][..], &["serve", "--help"]] {
        let help = output(arguments);
        assert!(help.status.success());
        assert!(String::from_utf8_lossy(&help.stdout).contains("Example:"));
    }
}
