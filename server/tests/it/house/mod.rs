//! The rules of the house, looked after by a test: the shape that `ARCHITECTURE.md` describes is the shape there is.

mod rules;
mod rules_can_fail;

use std::fs;
use std::path::{Path, PathBuf};

use server::fault::Kind;
use server::store::carried::TABLES;

const ROOMS: &[&str] = &[
    "fhir-spec",
    "search",
    "interop",
    "server",
    "conformance-tests",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// Files under a folder of the repository with that ending, as paths from its root, with their texts.
fn files(folder: &str, ending: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root()).unwrap().display().to_string();
            if path.is_dir() && !path.ends_with("target") && !path.ends_with("data") {
                folders.push(path);
            } else if name.ends_with(ending) {
                found.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

fn sources() -> Vec<(String, String)> {
    let sources: Vec<_> = ROOMS.iter().flat_map(|room| files(room, ".rs")).collect();
    assert!(sources.len() > ROOMS.len(), "the sources were found");
    sources
}

fn assert_none(broken: &[String]) {
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

fn check(sources: &[(String, String)], rule: impl Fn(&str, &str) -> Vec<String>) {
    assert!(!sources.is_empty());
    let broken: Vec<String> = sources
        .iter()
        .flat_map(|(path, text)| rule(path, text))
        .collect();
    assert_none(&broken);
}

fn under(folder: &str) -> Vec<(String, String)> {
    let mut sources = sources();
    sources.retain(|(path, _)| path.starts_with(folder));
    sources
}

#[test]
fn every_source_is_short_says_what_it_is_and_has_a_name() {
    let sources = sources();
    check(&sources, rules::files_are_short);
    check(&sources, rules::functions_are_short);
    check(&sources, rules::files_say_what_they_are);
    check(&sources, |path, _| rules::names_say_something(path));
}

#[test]
fn libraries_and_layers() {
    let mut sources = sources();
    sources.retain(|(path, _)| path.contains("/src/"));
    check(&sources, rules::libraries_stay_in_their_rooms);
    check(&under("server/src/"), |path, source| {
        let module = path
            .trim_start_matches("server/src/")
            .trim_end_matches(".rs");
        rules::nobody_calls_upstairs(module, source)
    });
    check(
        &under("server/src/interactions/"),
        rules::interactions_know_no_http,
    );
    let mut pure = under("fhir-spec/src/");
    // The generator is a program of its own: it reads a package and writes a file.
    pure.retain(|(path, _)| !path.contains("/bin/"));
    check(&pure, rules::the_specification_is_pure);
}

#[test]
fn crates_depend_on_what_is_below() {
    for room in ROOMS {
        let manifest = fs::read_to_string(root().join(room).join("Cargo.toml")).unwrap();
        assert_none(&rules::crates_depend_downwards(room, &manifest));
    }
}

#[test]
fn interactions_open_with_their_section() {
    check(
        &under("server/src/interactions/"),
        rules::interactions_name_their_section,
    );
}

#[test]
fn migrations_have_twins() {
    let names = |database: &str| -> Vec<String> {
        let folder = format!("migrations/{database}");
        files(&folder, ".sql")
            .into_iter()
            .map(|(path, _)| path.replacen(&folder, "", 1))
            .collect()
    };
    let (sqlite, postgres) = (names("sqlite"), names("postgres"));
    assert!(!sqlite.is_empty());
    assert_none(&rules::without_a_twin(&sqlite, &postgres));
    let missing: Vec<String> = sqlite
        .iter()
        .filter_map(|name| name.strip_suffix("/up.sql"))
        .map(|name| format!("{name}/down.sql"))
        .filter(|down| !sqlite.contains(down))
        .collect();
    assert_none(&missing);
}

#[test]
fn every_table_goes_along_with_a_backup_or_is_known_not_to() {
    let named: Vec<&str> = TABLES.iter().map(|(name, _)| *name).collect();
    for database in ["sqlite", "postgres"] {
        let mut scripts = files(&format!("migrations/{database}"), "/up.sql");
        scripts.sort();
        let texts: Vec<&str> = scripts.iter().map(|(_, text)| text.as_str()).collect();
        assert!(texts.len() > 10);
        assert_none(&rules::tables_without_a_fate(&texts, &named));
    }
}

#[test]
fn every_path_in_the_pages_exists() {
    let mut pages = files("", ".md");
    pages.retain(|(path, _)| path.ends_with("README.md") || path.ends_with("ARCHITECTURE.md"));
    assert!(pages.len() >= 2);
    let mut missing = Vec::new();
    for (page, text) in &pages {
        let paths = rules::paths_named(page, text);
        missing.extend(paths.into_iter().filter(|path| !root().join(path).exists()));
    }
    assert_none(&missing);
}

#[test]
fn every_kind_of_fault_is_named_by_a_test() {
    let mut tests: String = files("server/tests", ".rs")
        .into_iter()
        .map(|(_, text)| text)
        .collect();
    for (_, source) in under("server/src/") {
        tests.extend(
            source
                .split_once("#[cfg(test)]")
                .map(|(_, tests)| tests.to_owned()),
        );
    }
    let kinds: Vec<String> = Kind::ALL.iter().map(|kind| format!("{kind:?}")).collect();
    assert_none(&rules::kinds_without_a_test(&kinds, &tests));
}

/// The first column of the last one is a list of tests: each of them is there.
#[test]
fn every_test_that_the_page_on_security_names_is_there() {
    let page = std::fs::read_to_string(root().join("conformance-tests/SECURITY.md")).unwrap();
    let mut tests = files("server/tests", ".rs");
    tests.extend(under("server/src/"));
    let all: String = tests.into_iter().map(|(_, text)| text).collect();
    let rows = page
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| |"));
    let mut missing = Vec::new();
    let mut named = 0;
    for row in rows {
        let proof = row
            .trim_end_matches('|')
            .rsplit('|')
            .next()
            .unwrap_or_default();
        let tests: Vec<&str> = proof.split('`').skip(1).step_by(2).collect();
        if tests.is_empty() {
            missing.push(format!("no test: {row}"));
        }
        for test in tests {
            named += 1;
            if !all.contains(&format!("fn {test}(")) {
                missing.push(test.to_owned());
            }
        }
    }
    assert!(named > 40);
    assert_none(&missing);
}
