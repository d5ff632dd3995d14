//! Each rule looks at one source text and names what breaks it. A text that was made up to break it shows that it can.

pub(crate) const FILE_LINES_MAX: usize = 600;
pub(crate) const FUNCTION_LINES_MAX: usize = 80;
const BANNED_NAMES: &[&str] = &[
    "utils", "util", "helpers", "helper", "common", "misc", "manager",
];

/// Which libraries only some places may name.
const LIBRARIES: &[(&str, &[&str])] = &[
    ("actix", &["server/src/http", "server/src/console"]),
    ("diesel", &["server/src/store"]),
    ("openidconnect", &["server/src/auth"]),
];

/// The storeys of the server, from the ground up. A file may use what is on its own storey or below.
const STOREYS: &[&[&str]] = &[
    &[
        "config",
        "conversion",
        "documents",
        "limits",
        "maps",
        "packages",
        "schedule",
        "telemetry",
        "instant",
        "metrics",
        "rate",
        "tls",
    ],
    &["auth", "accept"],
    &["store"],
    &[
        "app",
        "audit",
        "callers",
        "consents",
        "policies",
        "cx",
        "destinations",
        "fault",
        "entries",
        "kept",
        "shelf",
        "texts",
        "subscriptions",
    ],
    &["interactions"],
    &["operations", "smart"],
    &[
        "http", "console", "facade", "feed", "deliver", "folders", "jobs", "hub", "messages",
        "mllp", "arranged", "outbound",
    ],
    // `crate::run` is in lib.rs.
    &["lib", "run"],
    &["cli"],
    &["main"],
];

/// What the crates may depend on, of the workspace's own.
const CRATES: &[(&str, &[&str])] = &[
    ("fhir-spec", &[]),
    ("search", &["fhir-spec"]),
    ("interop", &["fhir-spec"]),
    ("server", &["fhir-spec", "search", "interop"]),
    (
        "conformance-tests",
        &["fhir-spec", "search", "interop", "server"],
    ),
];

/// What the pure room may not reach for.
const IMPURE: &[&str] = &[
    "std::net",
    "std::env",
    "std::process",
    "SystemTime",
    "Instant::now",
];

pub(crate) fn libraries_stay_in_their_rooms(path: &str, source: &str) -> Vec<String> {
    let mut broken = Vec::new();
    for (library, rooms) in LIBRARIES {
        if rooms.iter().any(|room| is_in(path, room)) {
            continue;
        }
        // `diesel::result::Error` is what a store error holds; only the store makes and looks into one.
        for line in code(source).filter(|line| names_library(line, library)) {
            broken.push(format!(
                "{path}: `{library}` may not be named here: {}",
                line.trim()
            ));
        }
    }
    broken
}

/// A module is `room.rs` and what lies in the folder beside it.
fn is_in(path: &str, room: &str) -> bool {
    path.strip_prefix(room)
        .is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
}

/// `actix` is named by `actix_web::x` and `use actix_rt;`, not by `activate`.
fn names_library(line: &str, library: &str) -> bool {
    let in_name = |c: char| c.is_alphanumeric() || c == '_';
    let parts: Vec<&str> = line.split(library).collect();
    parts.windows(2).any(|pair| {
        let rest = pair[1].trim_start_matches(in_name);
        !pair[0].ends_with(in_name)
            && (rest.starts_with("::") || line.trim_start().starts_with("use "))
    })
}

/// `module` is the file's place among the server's modules, such as `http/reply`.
pub(crate) fn nobody_calls_upstairs(module: &str, source: &str) -> Vec<String> {
    let own = module.split('/').next().unwrap_or_default();
    let Some(storey) = storey(own) else {
        return vec![format!(
            "{module}: `{own}` has no storey yet: give it one in STOREYS"
        )];
    };
    let mut broken = Vec::new();
    for used in modules_used(source) {
        match self::storey(&used) {
            None if used.starts_with(char::is_lowercase) => {
                broken.push(format!(
                    "{module}: uses crate::{used}, which has no storey yet"
                ));
            }
            Some(other) if other > storey => {
                broken.push(format!("{module}: uses crate::{used}, which is above it"));
            }
            _ => {}
        }
    }
    broken
}

fn storey(module: &str) -> Option<usize> {
    STOREYS.iter().position(|storey| storey.contains(&module))
}

/// The names that come after `crate::` and in `crate::{...}`.
fn modules_used(source: &str) -> Vec<String> {
    let text: String = code(source).map(|line| line.to_owned() + " ").collect();
    let mut used = Vec::new();
    for part in text.split("crate::").skip(1) {
        match part.strip_prefix('{') {
            Some(list) => {
                let list = list.split(';').next().unwrap_or_default();
                used.extend(outermost_names(list));
            }
            None => used.push(first_name(part)),
        }
    }
    used
}

fn outermost_names(list: &str) -> Vec<String> {
    let mut depth = 0;
    let mut names = vec![String::new()];
    for c in list.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => names.push(String::new()),
            _ if depth == 0 => names.last_mut().unwrap().push(c),
            _ => {}
        }
    }
    names
        .iter()
        .map(|name| first_name(name.trim()))
        .filter(|name| !name.is_empty())
        .collect()
}

fn first_name(text: &str) -> String {
    text.chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect()
}

/// The lines of a source that are neither comments nor tests.
fn code(source: &str) -> impl Iterator<Item = &str> {
    source
        .lines()
        .take_while(|line| *line != "#[cfg(test)]")
        .filter(|line| !line.trim_start().starts_with("//"))
}

pub(crate) fn crates_depend_downwards(name: &str, manifest: &str) -> Vec<String> {
    let Some((_, allowed)) = CRATES.iter().find(|(known, _)| *known == name) else {
        return vec![format!("{name}: no such room is planned")];
    };
    let ours = |line: &&str| {
        CRATES
            .iter()
            .any(|(known, _)| line.starts_with(&format!("{known}.")))
    };
    // A room may be tested with what stands above it.
    manifest
        .split("[dev-dependencies]")
        .next()
        .unwrap_or_default()
        .lines()
        .filter(ours)
        .filter_map(|line| line.split('.').next())
        .filter(|used| !allowed.contains(used))
        .map(|used| format!("{name}: may not depend on {used}"))
        .collect()
}

pub(crate) fn files_are_short(path: &str, source: &str) -> Vec<String> {
    let lines = source.lines().count();
    if lines <= FILE_LINES_MAX {
        return Vec::new();
    }
    vec![format!(
        "{path}: {lines} lines, the limit is {FILE_LINES_MAX}"
    )]
}

/// rustfmt puts the closing brace of a function where its `fn` begins.
pub(crate) fn functions_are_short(path: &str, source: &str) -> Vec<String> {
    let lines: Vec<&str> = source.lines().collect();
    let mut broken = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let indent = line.len() - line.trim_start().len();
        if !is_function(line.trim_start()) {
            continue;
        }
        let end = format!("{}}}", " ".repeat(indent));
        let length = lines[start..]
            .iter()
            .position(|line| *line == end)
            .map_or(1, |n| n + 1);
        if length > FUNCTION_LINES_MAX && !ends_at_once(&lines[start..]) {
            broken.push(format!(
                "{path}:{}: a function of {length} lines",
                start + 1
            ));
        }
    }
    broken
}

fn is_function(line: &str) -> bool {
    let mut words = line.split_whitespace();
    words.by_ref().take(6).any(|word| word == "fn") && !line.starts_with("//")
}

/// A declaration without a body, or a body on the same line.
fn ends_at_once(lines: &[&str]) -> bool {
    lines
        .iter()
        .find(|line| line.trim_end().ends_with([';', '}', '{']))
        .is_none_or(|line| !line.trim_end().ends_with('{'))
}

pub(crate) fn names_say_something(path: &str) -> Vec<String> {
    path.split(['/', '.'])
        .filter(|part| BANNED_NAMES.contains(part))
        .map(|part| format!("{path}: `{part}` says nothing about what is in it"))
        .collect()
}

/// A file called `tests.rs` holds the tests of the module beside it, and its name says so.
pub(crate) fn files_say_what_they_are(path: &str, source: &str) -> Vec<String> {
    if path.ends_with("/tests.rs") || source.starts_with("//! ") {
        return Vec::new();
    }
    vec![format!(
        "{path}: does not begin with a `//!` line that says what it is"
    )]
}

/// Interactions and operations: one sentence, and the section of the specification.
pub(crate) fn interactions_name_their_section(path: &str, source: &str) -> Vec<String> {
    let head: Vec<&str> = source
        .lines()
        .take_while(|line| line.starts_with("//!"))
        .collect();
    let sentence = head.first().is_some_and(|line| line.ends_with('.'));
    let link = head
        .iter()
        .any(|line| line.starts_with("//! <https://hl7.org/fhir/"));
    if sentence && link {
        return Vec::new();
    }
    vec![format!(
        "{path}: does not open with a sentence and a link to its section"
    )]
}

/// Nothing below the doors knows how questions travel.
pub(crate) fn interactions_know_no_http(path: &str, source: &str) -> Vec<String> {
    code(source)
        .filter(|line| {
            line.contains("crate::http") || line.contains("HttpRe") || line.contains("StatusCode")
        })
        .map(|line| format!("{path}: knows HTTP: {}", line.trim()))
        .collect()
}

pub(crate) fn the_specification_is_pure(path: &str, source: &str) -> Vec<String> {
    code(source)
        .filter(|line| IMPURE.iter().any(|name| line.contains(name)))
        .map(|line| format!("{path}: reaches for the world: {}", line.trim()))
        .collect()
}

/// Paths in a page: words in backticks or link targets that look like a file of ours.
pub(crate) fn paths_named(page: &str, markdown: &str) -> Vec<String> {
    let mut fenced = false;
    let mut paths = Vec::new();
    for line in markdown.lines() {
        if line.starts_with("```") {
            fenced = !fenced;
            continue;
        }
        if fenced {
            continue;
        }
        let quoted = line.split('`').skip(1).step_by(2);
        let linked = line
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next());
        paths.extend(
            quoted
                .chain(linked)
                .filter(|word| is_path(word))
                .map(str::to_owned),
        );
    }
    let folder = page.rsplit_once('/').map_or("", |(folder, _)| folder);
    paths
        .iter()
        .map(|path| {
            if folder.is_empty() {
                path.clone()
            } else {
                format!("{folder}/{path}")
            }
        })
        .collect()
}

fn is_path(word: &str) -> bool {
    const ENDINGS: &[&str] = &[".rs", ".md", ".toml", ".sql", ".lock", ".bin", "/"];
    const ROOTS: &[&str] = &["/", "http", "$", "~", "./", "../"];
    let plain = word
        .chars()
        .all(|c| c.is_alphanumeric() || "._-/".contains(c));
    let rooted = ROOTS.iter().any(|root| word.starts_with(root));
    plain
        && !rooted
        && (ENDINGS.iter().any(|ending| word.ends_with(ending)) || word.starts_with(".ci"))
}

/// Every kind of a table `Kind` is named as `Kind::Name` in some test.
pub(crate) fn kinds_without_a_test(kinds: &[String], tests: &str) -> Vec<String> {
    let named = |kind: &str| {
        tests
            .split(&format!("Kind::{kind}"))
            .skip(1)
            .any(|rest| !rest.starts_with(char::is_alphanumeric))
    };
    kinds
        .iter()
        .filter(|kind| !named(kind))
        .map(|kind| format!("no test names Kind::{kind}"))
        .collect()
}

/// Migrations that are in one folder and not in the other.
pub(crate) fn without_a_twin(one: &[String], other: &[String]) -> Vec<String> {
    let missing = |from: &[String], of: &[String]| -> Vec<String> {
        of.iter()
            .filter(|name| !from.contains(name))
            .cloned()
            .collect()
    };
    [missing(one, other), missing(other, one)].concat()
}

/// Tables that migrations leave behind of which it is not said whether they go along with a backup, and the other way round.
pub(crate) fn tables_without_a_fate(scripts: &[&str], named: &[&str]) -> Vec<String> {
    const PLACE: &str = "`TABLES` of server/src/store/carried.rs";
    let mut made: Vec<String> = Vec::new();
    let lines = scripts.iter().flat_map(|script| script.lines());
    for line in lines {
        let words: Vec<&str> = line
            .split(|letter: char| letter.is_whitespace() || "(;\"".contains(letter))
            .filter(|word| !word.is_empty() && !["IF", "NOT", "EXISTS"].contains(word))
            .collect();
        match words.as_slice() {
            ["CREATE", "TABLE", name, ..] => made.push((*name).to_owned()),
            ["DROP", "TABLE", name, ..] => made.retain(|table| table != name),
            ["ALTER", "TABLE", from, "RENAME", "TO", to, ..] => {
                made.retain(|table| table != from);
                made.push((*to).to_owned());
            }
            _ => {}
        }
    }
    let unnamed = made.iter().filter(|table| !named.contains(&table.as_str()));
    let unnamed = unnamed.map(|table| {
        format!("the table {table} is not in {PLACE}: name it there, as one whose rows go along with a backup (and which of its columns are numbers of resources), or as one that is made anew or left")
    });
    let gone = named
        .iter()
        .filter(|name| !made.iter().any(|table| table == *name));
    let gone = gone.map(|name| format!("{PLACE} names {name}, which no migration makes"));
    let twice = named
        .iter()
        .enumerate()
        .filter(|(place, name)| named[..*place].contains(name));
    let twice = twice
        .map(|(_, name)| format!("{PLACE} names {name} twice: its rows would be carried twice"));
    unnamed.chain(gone).chain(twice).collect()
}
