//! People: from the command line that lets them in.

use std::io::Write;
use std::process::{Output, Stdio};

use crate::authorised::{cli, guarded};
use crate::databases::Database;
use crate::kiln::command;

on_both_databases!(people_come_and_go_beside_a_running_server);

/// A command that reads a password.
pub(crate) fn with_password(database: &Database, arguments: &[&str], password: &str) -> Output {
    piped(
        database,
        &[arguments, &["--password-stdin"]].concat(),
        password,
    )
}

/// A command that reads a line.
pub(crate) fn piped(database: &Database, arguments: &[&str], line: &str) -> Output {
    let mut kiln = command();
    kiln.args(arguments);
    kiln.arg("--data").arg(&database.directory);
    kiln.args(["--database", &database.url]);
    let piped = kiln.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut process = piped.stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = process.stdin.take().unwrap();
    // What is refused before it is read closes the pipe.
    let _written = writeln!(stdin, "{line}");
    drop(stdin);
    process.wait_with_output().unwrap()
}

/// Lets somebody in.
pub(crate) fn person(database: &Database, name: &str, password: &str, arguments: &[&str]) {
    let added = with_password(
        database,
        &[&["user", "add", name], arguments].concat(),
        password,
    );
    let told = String::from_utf8_lossy(&added.stderr).into_owned();
    assert!(added.status.success(), "{told}");
    assert_eq!(String::from_utf8_lossy(&added.stdout), "");
}

fn refused(answer: &Output) -> String {
    assert_eq!(answer.status.code(), Some(1));
    String::from_utf8_lossy(&answer.stderr).into_owned()
}

fn people_come_and_go_beside_a_running_server(database: &Database) {
    let _kiln = guarded(database);
    person(
        database,
        "anna",
        "correct horse",
        &["--fhir-user", "Practitioner/1"],
    );
    person(
        database,
        "paul@home",
        "correct horse",
        &["--fhir-user", "Patient/p1"],
    );
    person(
        database,
        "ines",
        "correct horse",
        &["--role", "integrator", "--role", "auditor"],
    );
    let listed = || {
        let listed = cli(database, &["user", "list"]);
        String::from_utf8(listed.stdout).unwrap()
    };
    assert_eq!(
        listed(),
        "anna comes in  roles=\"clinician\"  fhir-user=Practitioner/1\n\
         ines comes in  roles=\"integrator auditor\"\n\
         paul@home comes in  roles=\"patient\"  fhir-user=Patient/p1\n"
    );
    what_makes_no_sense_lets_nobody_in(database);
    let kept = "SELECT COUNT(*) FROM people WHERE password LIKE '$argon2id$%' AND password NOT LIKE '%horse%'";
    assert_eq!(database.number(kept), 3);
    assert!(
        with_password(database, &["user", "password", "anna"], "another horse")
            .status
            .success()
    );
    assert!(cli(database, &["user", "disable", "ines"]).status.success());
    assert!(listed().contains("ines disabled"));
    assert!(refused(&cli(database, &["user", "disable", "ines"])).contains("nobody"));
    let gone = with_password(database, &["user", "password", "ines"], "another horse");
    assert!(refused(&gone).contains("nobody of that name"));
}

fn what_makes_no_sense_lets_nobody_in(database: &Database) {
    for (arguments, password, told) in [
        (
            &["user", "add", "anna", "--role", "admin"][..],
            "correct horse",
            "already",
        ),
        (
            &["user", "add", "x y", "--role", "admin"],
            "correct horse",
            "a name has",
        ),
        (
            &["user", "add", "max", "--role", "root"],
            "correct horse",
            "--role root",
        ),
        (&["user", "add", "max"], "correct horse", "--role is needed"),
        (
            &["user", "add", "max", "--fhir-user", "Group/1"],
            "correct horse",
            "Group/1",
        ),
        (
            &["user", "add", "max", "--fhir-user", "Patient/a b"],
            "correct horse",
            "Patient/a b",
        ),
        (
            &["user", "add", "max", "--role", "admin"],
            "short",
            "8 to 1024 bytes",
        ),
        (
            &["user", "password", "max"],
            "correct horse",
            "nobody of that name",
        ),
    ] {
        let said = refused(&with_password(database, arguments, password));
        assert!(said.contains(told), "{said}");
        assert!(!said.contains("horse"), "{said}");
    }
}
