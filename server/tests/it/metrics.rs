//! What `/metrics` tells, and that it is text as Prometheus wants it.

use std::collections::{BTreeMap, BTreeSet};

use crate::client::{Answer, get, post};
use crate::databases::Database;
use crate::kiln::Kiln;

on_both_databases!(what_happened_is_counted, the_text_is_well_formed);

const PATIENT: &str = r#"{"resourceType":"Patient","id":"marker","name":[{"family":"marker"}]}"#;

/// Some of everything: what succeeds, what fails, what is refused.
fn used(database: &Database) -> Kiln {
    let kiln = Kiln::start(database);
    for _ in 0..3 {
        let created = post(kiln.address, "/fhir/Patient?marker=marker", PATIENT).json();
        let path = format!("/fhir/Patient/{}", created.str_of("id").unwrap());
        assert_eq!(get(kiln.address, &path).status, 200);
    }
    assert_eq!(get(kiln.address, "/fhir/Patient/marker").status, 404);
    assert_eq!(get(kiln.address, "/fhir/marker/marker").status, 404);
    kiln
}

fn metrics(kiln: &Kiln) -> Answer {
    let answer = get(kiln.address, "/metrics");
    assert_eq!(answer.status, 200);
    let media = answer.header("Content-Type").unwrap();
    assert!(media.starts_with("text/plain; version=0.0.4"), "{media}");
    answer
}

fn what_happened_is_counted(database: &Database) {
    let kiln = used(database);
    // Connections end a little later than their clients see.
    let alone = "\nkiln_http_connections_open 1\n";
    let text = (0..500)
        .map(|_| metrics(&kiln).text())
        .find(|text| text.contains(alone))
        .unwrap();
    let value = |series: &str| -> f64 {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {series} in\n{text}"))
            .parse()
            .unwrap()
    };
    let requests = |interaction: &str, status: &str| {
        let labels = format!("interaction=\"{interaction}\",status=\"{status}\"");
        value(&format!("kiln_http_request_seconds_count{{{labels}}}"))
    };
    assert_eq!(requests("create", "2xx"), 3.0);
    assert_eq!(requests("read", "2xx"), 3.0);
    assert_eq!(requests("read", "4xx"), 1.0);
    assert_eq!(requests("unknown", "4xx"), 1.0);
    assert_eq!(value("kiln_http_requests_under_way"), 1.0, "this one");
    assert!(value("kiln_http_received_bytes_total") > 3.0 * 70.0);
    assert!(value("kiln_http_sent_bytes_total") > 6.0 * 100.0);
    assert_eq!(value("kiln_store_writes_total{outcome=\"committed\"}"), 3.0);
    assert_eq!(value("kiln_store_writes_total{outcome=\"failed\"}"), 0.0);
    let commits = value("kiln_store_commit_seconds_count");
    assert!((1.0..=3.0).contains(&commits), "{commits}");
    assert_eq!(value("kiln_store_group_writes_sum"), 3.0);
    assert_eq!(value("kiln_store_writes_waiting"), 0.0);
    assert!(value("process_resident_memory_bytes") > 1e6);
    assert!(value("process_start_time_seconds") > 1.7e9);
    let kind = if database.is_postgres() {
        "postgres"
    } else {
        "sqlite"
    };
    let version = env!("CARGO_PKG_VERSION");
    let facts = format!("kiln_build_info{{version=\"{version}\",database=\"{kind}\"}}");
    assert_eq!(value(&facts), 1.0);
    assert!(!text.contains("marker"), "nothing of what clients sent");
}

fn the_text_is_well_formed(database: &Database) {
    let kiln = used(database);
    let text = metrics(&kiln).text();
    assert!(text.ends_with('\n'));
    let mut families: BTreeMap<&str, &str> = BTreeMap::new();
    let mut family = "";
    let mut series = BTreeSet::new();
    let mut buckets: BTreeMap<String, (f64, u64)> = BTreeMap::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            assert!(help.ends_with('.'), "{line}");
            family = name;
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert_eq!(name, family, "HELP and TYPE stand together");
            assert!(families.insert(name, kind).is_none(), "{name} stands once");
        } else {
            let (of, value) = line.rsplit_once(' ').unwrap();
            assert!(series.insert(of), "{of} stands once");
            let value: f64 = value.parse().unwrap();
            let (name, labels) = of.split_once('{').unwrap_or((of, "}"));
            check_name(name, family, families[family]);
            let bound = check_labels(labels.strip_suffix('}').unwrap());
            if let Some((others, bound)) = bound {
                let (last_bound, last) = buckets
                    .entry(format!("{name}{others}"))
                    .or_insert((-1.0, 0));
                let count = value.to_string().parse().unwrap();
                assert!(bound > *last_bound && count >= *last, "{line}");
                (*last_bound, *last) = (bound, count);
            }
        }
    }
    assert!(families.len() > 10);
    assert!(buckets.values().all(|(bound, _)| bound.is_infinite()));
}

fn check_name(name: &str, family: &str, kind: &str) {
    let rest = name
        .strip_prefix(family)
        .unwrap_or_else(|| panic!("{name} is in {family}"));
    match kind {
        "counter" => assert!(rest.is_empty() && name.ends_with("_total"), "{name}"),
        "gauge" => assert!(rest.is_empty() && !name.ends_with("_total"), "{name}"),
        "histogram" => assert!(matches!(rest, "_bucket" | "_sum" | "_count"), "{name}"),
        _ => panic!("{name} is a {kind}"),
    }
    assert!(
        name.bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    );
}

/// The labels but `le`, and the bound that `le` is.
fn check_labels(labels: &str) -> Option<(String, f64)> {
    const KNOWN: &[&str] = &[
        "interaction",
        "status",
        "outcome",
        "version",
        "database",
        "follower",
        "le",
    ];
    let mut bound = None;
    let mut others = Vec::new();
    for label in labels.split(',').filter(|label| !label.is_empty()) {
        let (name, value) = label.split_once('=').unwrap();
        assert!(KNOWN.contains(&name), "{label}");
        let value = value.strip_prefix('"').unwrap().strip_suffix('"').unwrap();
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-$.+".contains(&byte);
        assert!(!value.is_empty() && value.bytes().all(is_plain), "{label}");
        match name {
            "le" => bound = Some(value.replace('+', "").parse().unwrap()),
            _ => others.push(label),
        }
    }
    bound.map(|bound| (others.join(","), bound))
}
