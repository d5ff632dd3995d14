//! What was acknowledged is there after the process was killed in the middle of its work, and nothing is there by half.
//!
//! Clients create, update, delete and send transactions until the server is killed, and keep a ledger of what it has
//! acknowledged. After the restart everything in the ledger is held against what is stored. `KILN_TEST_KILLS` says how
//! often (a few times without it).

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use fhir_spec::json::Value;

use crate::client::{Answer, FHIR_JSON, get, send};
use crate::databases::Database;
use crate::kiln::Kiln;

on_both_databases!(nothing_acknowledged_is_lost_and_nothing_is_half_done);

const CLIENTS: usize = 8;
const KILLS: usize = 3;
/// Acknowledgements before a kill, and up to how many more, so that kills fall into every moment of the work.
const BEFORE_A_KILL: usize = 150;
const SPREAD: usize = 97;
const ENTRIES: usize = 4;

/// Something that the server has said it did.
#[derive(Debug)]
enum Acknowledged {
    Stored {
        path: String,
        version: u64,
        marker: String,
    },
    Deleted {
        path: String,
        version: u64,
    },
    /// A transaction, all of whose resources bear the marker.
    Together(String),
}

fn nothing_acknowledged_is_lost_and_nothing_is_half_done(database: &Database) {
    let kills = std::env::var("KILN_TEST_KILLS").map_or(KILLS, |kills| kills.parse().unwrap());
    let mut ledger = Vec::new();
    for kill in 0..kills {
        let kiln = Kiln::start(database);
        ledger.extend(work_until_killed(kiln, kill));
        let kiln = Kiln::start(database);
        let stored = everything(kiln.address);
        assert_eq!(
            missing(&ledger, &stored),
            Vec::<String>::new(),
            "after kill {kill}"
        );
        assert_eq!(
            half_done(&stored),
            Vec::<String>::new(),
            "after kill {kill}"
        );
        let wanted = (kill + 1) * BEFORE_A_KILL;
        assert!(ledger.len() >= wanted, "{} acknowledged", ledger.len());
    }
}

/// Lets several clients work, and kills the server while they are at it.
fn work_until_killed(kiln: Kiln, kill: usize) -> Vec<Acknowledged> {
    let ledger = Mutex::new(Vec::new());
    let count = AtomicUsize::new(0);
    let address = kiln.address;
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (ledger, count) = (&ledger, &count);
            scope.spawn(move || {
                for number in 0.. {
                    let name = format!("{kill}-{client}-{number}");
                    let Some(acknowledged) = round(address, &name) else {
                        break;
                    };
                    count.fetch_add(acknowledged.len(), Ordering::SeqCst);
                    ledger.lock().unwrap().extend(acknowledged);
                }
            });
        }
        let enough = BEFORE_A_KILL + kill * 31 % SPREAD;
        while count.load(Ordering::SeqCst) < enough {
            std::thread::yield_now();
        }
        kiln.kill();
    });
    ledger.into_inner().unwrap()
}

/// What one client does again and again. None: the server is gone; what it did not acknowledge does not count.
fn round(address: SocketAddr, name: &str) -> Option<Vec<Acknowledged>> {
    let mut acknowledged = Vec::new();
    let path = format!("/fhir/Basic/r-{name}");
    for (version, verb) in [(1, "PUT"), (2, "PUT"), (3, "DELETE")] {
        // One in two resources stays.
        if verb == "DELETE" && name.len().is_multiple_of(2) {
            continue;
        }
        let marker = format!("marker-{name}-{version}");
        let body = match verb {
            "DELETE" => String::new(),
            _ => format!(
                r#"{{"resourceType":"Basic","id":"r-{name}","code":{{"text":"{marker}"}}}}"#
            ),
        };
        let answer = send(address, verb, &path, &[FHIR_JSON], body.as_bytes());
        let Some(answer) = answer else {
            return (!acknowledged.is_empty()).then_some(acknowledged);
        };
        assert!(
            matches!(answer.status, 200 | 201 | 204),
            "{}",
            answer.text()
        );
        acknowledged.push(match verb {
            "DELETE" => Acknowledged::Deleted {
                path: path.clone(),
                version,
            },
            _ => Acknowledged::Stored {
                path: path.clone(),
                version,
                marker,
            },
        });
    }
    let together = format!("together-{name}");
    match transaction(address, &together) {
        Some(answer) => {
            assert_eq!(answer.status, 200, "{}", answer.text());
            acknowledged.push(Acknowledged::Together(together));
            Some(acknowledged)
        }
        None => Some(acknowledged),
    }
}

fn transaction(address: SocketAddr, marker: &str) -> Option<Answer> {
    let entries: Vec<String> = (0..ENTRIES)
        .map(|_| {
            format!(
                r#"{{"resource":{{"resourceType":"Basic","code":{{"text":"{marker}"}}}},"request":{{"method":"POST","url":"Basic"}}}}"#
            )
        })
        .collect();
    let bundle = format!(
        r#"{{"resourceType":"Bundle","type":"transaction","entry":[{}]}}"#,
        entries.join(",")
    );
    send(address, "POST", "/fhir", &[FHIR_JSON], bundle.as_bytes())
}

/// Every version that is stored: its path and number, and the marker in it (None: a deletion).
fn everything(address: SocketAddr) -> HashMap<(String, u64), Option<String>> {
    let mut stored = HashMap::new();
    let mut next = Some("/fhir/_history?_count=1000".to_owned());
    while let Some(path) = next {
        let page = get(address, &path).json();
        for entry in page.items_of("entry") {
            let (path, version, marker) = version_of(entry);
            let before = stored.insert((path, version), marker);
            assert!(before.is_none(), "a version stands twice in the history");
        }
        next = page
            .items_of("link")
            .iter()
            .find(|link| link.str_of("relation") == Some("next"))
            .map(|link| path_of(link.str_of("url").unwrap()));
    }
    stored
}

fn version_of(entry: &Value) -> (String, u64, Option<String>) {
    let path = path_of(entry.str_of("fullUrl").unwrap());
    let etag = entry.get("response").unwrap().str_of("etag").unwrap();
    let version = etag.trim_matches(['W', '/', '"']).parse().unwrap();
    let code = entry.get("resource").and_then(|basic| basic.get("code"));
    let marker = code.and_then(|code| code.str_of("text")).map(str::to_owned);
    (path, version, marker)
}

fn path_of(url: &str) -> String {
    let (_, rest) = url.split_once("://").unwrap();
    let (_, path) = rest.split_once('/').unwrap();
    format!("/{path}")
}

fn missing(
    ledger: &[Acknowledged],
    stored: &HashMap<(String, u64), Option<String>>,
) -> Vec<String> {
    let markers: Vec<&String> = stored.values().flatten().collect();
    let is_there = |acknowledged: &Acknowledged| match acknowledged {
        Acknowledged::Stored {
            path,
            version,
            marker,
        } => stored.get(&(path.clone(), *version)) == Some(&Some(marker.clone())),
        Acknowledged::Deleted { path, version } => {
            stored.get(&(path.clone(), *version)) == Some(&None)
        }
        Acknowledged::Together(marker) => {
            markers.iter().filter(|other| **other == marker).count() == ENTRIES
        }
    };
    ledger
        .iter()
        .filter(|acknowledged| !is_there(acknowledged))
        .map(|acknowledged| format!("{acknowledged:?}"))
        .collect()
}

/// Transactions of which some is stored and some is not, and resources with a gap in their versions.
fn half_done(stored: &HashMap<(String, u64), Option<String>>) -> Vec<String> {
    let mut together: HashMap<&str, usize> = HashMap::new();
    for marker in stored.values().flatten() {
        if marker.starts_with("together-") {
            *together.entry(marker).or_default() += 1;
        }
    }
    let torn = together
        .into_iter()
        .filter(|(_, count)| *count != ENTRIES)
        .map(|(marker, count)| format!("{marker}: {count} of {ENTRIES}"));
    let gaps = stored
        .keys()
        .filter(|(path, version)| {
            *version > 1 && !stored.contains_key(&(path.clone(), version - 1))
        })
        .map(|(path, version)| format!("{path} has version {version} and not the one before"));
    torn.chain(gaps).collect()
}
