//! A database is brought up to date when the server starts, and one from the future is left alone.

use std::fs;

use crate::client::{get, post};
use crate::databases::Database;
use crate::kiln::{Kiln, output};

on_both_databases!(
    every_migration_can_be_taken_back_and_done_again,
    a_database_from_the_future_is_refused,
    two_nodes_may_start_together,
);

fn every_migration_can_be_taken_back_and_done_again(database: &Database) {
    assert!(Kiln::start(database).stop("TERM").0.success());
    let mut names: Vec<_> = fs::read_dir(database.migrations())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    names.sort();
    for migration in names.iter().rev() {
        database.execute(&fs::read_to_string(migration.join("down.sql")).unwrap());
    }
    database.execute("DELETE FROM __diesel_schema_migrations");
    let kiln = Kiln::start(database);
    assert_eq!(
        post(
            kiln.address,
            "/fhir/Patient",
            r#"{"resourceType":"Patient"}"#
        )
        .status,
        201
    );
}

fn a_database_from_the_future_is_refused(database: &Database) {
    assert!(Kiln::start(database).stop("TERM").0.success());
    database.execute("INSERT INTO __diesel_schema_migrations (version) VALUES ('9999')");
    let refused = output(&["--database", &database.url, "--listen", "127.0.0.1:0"]);
    assert_eq!(refused.status.code(), Some(1));
    let complaint = String::from_utf8_lossy(&refused.stderr);
    assert!(
        complaint.contains("newer Kiln") && complaint.contains("9999"),
        "{complaint}"
    );
}

fn two_nodes_may_start_together(database: &Database) {
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let kiln = Kiln::start(database);
                assert_eq!(get(kiln.address, "/health/ready").status, 200);
            });
        }
    });
}
