//! A rule that cannot fail guards nothing: each is shown a text that breaks it and one that does not.

use super::rules::*;

#[test]
fn libraries() {
    let broken = |path, source| !libraries_stay_in_their_rooms(path, source).is_empty();
    assert!(broken("server/src/store.rs", "use actix_web::web;"));
    assert!(broken("server/src/httpd.rs", "use actix_web::web;"));
    assert!(broken(
        "server/src/app.rs",
        "let c = diesel::PgConnection::establish(u);"
    ));
    assert!(broken("server/src/http.rs", "use openidconnect;"));
    assert!(broken("search/src/lib.rs", "use diesel::prelude::*;"));
    assert!(!broken("server/src/http.rs", "use actix_web::web;"));
    assert!(!broken("server/src/store/tx.rs", "use diesel::prelude::*;"));
    assert!(!broken(
        "server/src/app.rs",
        "// diesel::x is not named here\nlet diesel = 1;"
    ));
}

#[test]
fn storeys() {
    let broken = |module, source| !nobody_calls_upstairs(module, source).is_empty();
    assert!(broken("store", "use crate::fault::Fault;"));
    assert!(broken("store", "use crate::{limits, http};"));
    assert!(broken(
        "store",
        "use crate::{\n    limits,\n    interactions::{create, read},\n};"
    ));
    assert!(broken("auth/permit", "fn f(s: &crate::store::Store) {}"));
    assert!(broken("interactions/create", "use crate::cli;"));
    assert!(broken("attic", ""), "a module without a storey");
    assert!(broken("http", "use crate::attic::Chest;"));
    assert!(!broken(
        "http",
        "use crate::{Error, limits};\nuse crate::store::{Entry, Error};"
    ));
    assert!(!broken(
        "store",
        "// crate::http is far above\nuse crate::auth::Permit;"
    ));
}

#[test]
fn crates() {
    let broken = |name, manifest| !crates_depend_downwards(name, manifest).is_empty();
    assert!(broken("fhir-spec", "search.workspace = true"));
    assert!(broken("search", "interop.workspace = true"));
    assert!(broken("attic", ""));
    assert!(!broken(
        "server",
        "fhir-spec.workspace = true\nserde.workspace = true"
    ));
}

#[test]
fn lengths() {
    let lines = |n| "let x = 1;\n".repeat(n);
    assert!(!files_are_short("f", &lines(FILE_LINES_MAX + 1)).is_empty());
    assert!(files_are_short("f", &lines(FILE_LINES_MAX)).is_empty());
    let function = |n| {
        format!(
            "impl X {{\n    pub async fn f() {{\n{}    }}\n}}\n",
            lines(n)
        )
    };
    assert!(!functions_are_short("f", &function(FUNCTION_LINES_MAX - 1)).is_empty());
    assert!(functions_are_short("f", &function(FUNCTION_LINES_MAX - 2)).is_empty());
    let declared = format!(
        "trait T {{\n    fn f(&self);\n{}    fn g() {{\n    }}\n}}\n",
        lines(90)
    );
    assert!(functions_are_short("f", &declared).is_empty());
}

#[test]
fn names() {
    assert!(!names_say_something("server/src/utils.rs").is_empty());
    assert!(!names_say_something("server/src/common/mod.rs").is_empty());
    assert!(names_say_something("server/src/permit.rs").is_empty());
}

#[test]
fn headings() {
    assert!(!files_say_what_they_are("f", "use x;").is_empty());
    assert!(files_say_what_they_are("f", "//! What it is.\n").is_empty());
    let link = "//! <https://hl7.org/fhir/R4/http.html#create>\n";
    assert!(!interactions_name_their_section("f", "//! Create.\n").is_empty());
    assert!(!interactions_name_their_section("f", &format!("//! create\n{link}")).is_empty());
    assert!(interactions_name_their_section("f", &format!("//! Create.\n{link}")).is_empty());
}

#[test]
fn worlds() {
    assert!(!interactions_know_no_http("f", "fn f(r: HttpResponse) {}").is_empty());
    assert!(interactions_know_no_http("f", "//! <https://hl7.org/fhir/R4/http.html>").is_empty());
    assert!(!the_specification_is_pure("f", "let now = SystemTime::now();").is_empty());
    assert!(the_specification_is_pure("f", "let time: Time = given;").is_empty());
}

#[test]
fn pages() {
    let page = "See `server/src/app.rs`, [this](ARCHITECTURE.md), `cargo test`, `/fhir` and `.ci/run`.\n\
                ```\nno/path.rs\n```\n`migrations/sqlite/`";
    let expected = [
        "server/src/app.rs",
        ".ci/run",
        "ARCHITECTURE.md",
        "migrations/sqlite/",
    ];
    assert_eq!(paths_named("README.md", page), expected);
    assert_eq!(
        paths_named("server/README.md", "`src/app.rs`"),
        ["server/src/app.rs"]
    );
}

#[test]
fn kinds_and_twins() {
    let kinds = ["Gone".to_owned(), "GoneAway".to_owned()];
    assert_eq!(kinds_without_a_test(&kinds, "Kind::GoneAway").len(), 1);
    assert!(kinds_without_a_test(&kinds, "Kind::Gone, Kind::GoneAway)").is_empty());
    let names = |list: &[&str]| {
        list.iter()
            .map(|name| (*name).to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        without_a_twin(&names(&["1", "2"]), &names(&["1", "3"])),
        ["3", "2"]
    );
}

#[test]
fn tables() {
    let scripts = [
        "CREATE TABLE a (\n  x TEXT\n);\nCREATE TABLE IF NOT EXISTS b(x TEXT);",
        "DROP TABLE a;\nALTER TABLE b RENAME TO c;",
    ];
    assert!(tables_without_a_fate(&scripts, &["c"]).is_empty());
    assert_eq!(tables_without_a_fate(&scripts, &["c", "c"]).len(), 1);
    let broken = tables_without_a_fate(&scripts, &["b"]);
    assert!(broken[0].contains("the table c is not in") && broken[1].contains("names b"));
}
