//! What Synthea wrote is loaded: every entry gets its place, the counts are those of the files, and every reference that
//! is stored leads to something that is stored.
//!
//! A slice of each archive is loaded; `KILN_WHOLE=1` loads all of it: 240,000 resources.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use fhir_spec::json::{self, Data, Value};

use crate::kiln::{Kiln, told};
use crate::material::{files, folder, unpacked};
use crate::results::Tally;

/// What others refer to comes first.
const FIRST: &[&str] = &["ospital", "ractitioner"];
/// Bundles of each archive that a slice holds, besides those that come first.
const SLICE: usize = 4;

/// Bundles that were written together, by name.
type Set = Vec<(String, Vec<u8>)>;

#[test]
fn loads_completely() {
    let Some(folder) = folder("synthea-r4") else {
        return;
    };
    let suite = match is_whole() {
        true => "synthea-r4: bundles loaded whole (all of them)",
        false => "synthea-r4: bundles loaded whole",
    };
    let mut tally = Tally::new(
        suite,
        &[
            (
                "Setsuko_Stanton_f214e514-b1e8-45bb-b4eb-8a08dffb8853.json",
                "languages must be of BCP 47: the binding has a maximum value set",
            ),
            (
                "4fa27f17-62da-04b8-fcb6-81ba9f5e15af.json",
                "languages must be of BCP 47: the binding has a maximum value set",
            ),
        ],
    );
    for set in sets(&folder) {
        // The same hospitals are in several sets: each has a server of its own.
        let kiln = Kiln::start();
        if let Some(need) = kiln.lacks("POST", "/", br#""transaction""#) {
            println!("SKIPPED: synthea-r4 needs {need}");
            return;
        }
        let mut loaded = Loaded::default();
        for (name, bytes) in &set {
            tally.count(name, loaded.load(&kiln, bytes));
        }
        loaded.check(&kiln);
    }
    tally.finish();
}

/// Whether all is loaded, and not a slice.
fn is_whole() -> bool {
    std::env::var_os("KILN_WHOLE").is_some()
}

/// The sets, in each those first that others refer to.
fn sets(folder: &Path) -> Vec<Set> {
    let first = unpacked(&folder.join("first-load.tar.zst"));
    let mut sets = vec![
        files(&folder.join("candle"), ".json"),
        files(&folder.join("loose"), ".json"),
    ];
    for name in [
        "smart-r4",
        "bulk-data-server",
        "synthea-2021",
        "synthea-hiv",
    ] {
        let of_set = first.iter().filter(|(file, _)| file.starts_with(name));
        let archive = unpacked(&folder.join(format!("bundles-{name}.tar.zst")));
        sets.push(of_set.cloned().chain(archive).collect());
    }
    let rank = |name: &str| {
        let found = FIRST.iter().position(|word| name.contains(word));
        found.unwrap_or(FIRST.len())
    };
    for set in &mut sets {
        set.sort_by_key(|(name, _)| rank(name));
        let first = set
            .iter()
            .filter(|(name, _)| rank(name) < FIRST.len())
            .count();
        if !is_whole() {
            set.truncate(first + SLICE);
        }
    }
    sets
}

/// What the server says it holds.
#[derive(Default)]
struct Loaded {
    /// Resources made, by type.
    counts: BTreeMap<String, usize>,
    /// `Type/id` of everything.
    paths: HashSet<String>,
    /// Where the references of the stored resources lead.
    references: HashSet<String>,
}

impl Loaded {
    fn load(&mut self, kiln: &Kiln, bytes: &[u8]) -> Result<(), String> {
        let document = json::parse(bytes).map_err(|error| error.to_string())?;
        let is_bundle = document.str_of("resourceType") == Some("Bundle");
        let sent = match document.str_of("type") {
            Some("collection") if is_bundle => as_transaction(&document),
            _ => document,
        };
        let headers = [
            ("Content-Type", "application/fhir+json"),
            ("Prefer", "return=representation"),
        ];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let answer = kiln
            .client
            .send("POST", "/", &headers, sent.to_string().as_bytes())?;
        // One file is a Group and no bundle.
        let wanted = if is_bundle { 200 } else { 400 };
        if answer.status != wanted {
            return Err(format!("wanted {wanted}, answered {}", told(&answer)));
        }
        if !is_bundle {
            return Ok(());
        }
        let answered = json::parse(&answer.body).map_err(|error| error.to_string())?;
        let (sent, answered) = (sent.items_of("entry"), answered.items_of("entry"));
        if sent.len() != answered.len() {
            return Err(format!(
                "{} entries were answered to {}",
                answered.len(),
                sent.len()
            ));
        }
        sent.iter()
            .zip(answered)
            .try_for_each(|(sent, answered)| self.entry(sent, answered))
    }

    fn entry(&mut self, sent: &Value, answered: &Value) -> Result<(), String> {
        let resource_type = sent
            .get("resource")
            .and_then(|resource| resource.str_of("resourceType"));
        let resource_type = resource_type.unwrap_or_default();
        let response = answered
            .get("response")
            .ok_or("an entry without a response")?;
        let status = response.str_of("status").unwrap_or_default();
        let may_exist = sent
            .get("request")
            .is_some_and(|request| request.str_of("ifNoneExist").is_some());
        if !(status.starts_with("201") || may_exist && status.starts_with("200")) {
            return Err(format!("a {resource_type} was answered by {answered}"));
        }
        let location = response.str_of("location").unwrap_or_default();
        let plain = location.split("/_history/").next().unwrap_or_default();
        let parts: Vec<&str> = plain.rsplit('/').take(2).collect();
        let [id, kind] = parts[..] else {
            return Err(format!("a {resource_type} has the location {location:?}"));
        };
        if kind != resource_type {
            return Err(format!("a {resource_type} became a {kind}"));
        }
        if self.paths.insert(format!("{kind}/{id}")) {
            *self.counts.entry(kind.to_owned()).or_default() += 1;
        }
        references(
            answered.get("resource").unwrap_or(&Value::from("")),
            &mut self.references,
        );
        Ok(())
    }

    /// Every reference leads to something, and what was answered is what is stored.
    fn check(&self, kiln: &Kiln) {
        let lost = self
            .references
            .iter()
            .filter(|to| !self.paths.contains(*to));
        let lost: Vec<&String> = lost.collect();
        println!(
            "synthea-r4: {} resources, {} references: {:?}",
            self.paths.len(),
            self.references.len(),
            self.counts
        );
        assert!(
            lost.is_empty(),
            "{} references lead nowhere: {:?}",
            lost.len(),
            &lost[..lost.len().min(5)]
        );
        const READ_MAX: usize = 2000;
        let mut stored = HashSet::new();
        for path in self.paths.iter().take(READ_MAX) {
            let answer = kiln
                .client
                .send("GET", &format!("/{path}"), &[], b"")
                .unwrap();
            assert_eq!(answer.status, 200, "{path}");
            references(&json::parse(&answer.body).unwrap(), &mut stored);
        }
        let strange: Vec<_> = stored.difference(&self.references).collect();
        assert!(strange.is_empty(), "{strange:?}");
    }
}

/// The same resources, each to be created.
fn as_transaction(collection: &Value) -> Value {
    let mut bundle = collection.clone();
    let Data::Object(object) = &mut bundle.data else {
        return bundle;
    };
    object.set("type", "transaction");
    for entry in object
        .get_mut("entry")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        let kind = entry
            .get("resource")
            .and_then(|resource| resource.str_of("resourceType"));
        let kind = kind.unwrap_or_default().to_owned();
        let request = json::Object::from_iter([("method", "POST".to_owned()), ("url", kind)]);
        if let Some(entry) = entry.as_object_mut() {
            entry.set("request", request);
        }
    }
    bundle
}

/// Where references lead, but for those within the resource.
fn references(value: &Value, found: &mut HashSet<String>) {
    match &value.data {
        Data::Array(items) => items.iter().for_each(|item| references(item, found)),
        Data::Object(object) => {
            for (name, value) in object.iter() {
                match value.as_str() {
                    Some(to) if name == "reference" && !to.starts_with('#') => {
                        found.insert(to.to_owned());
                    }
                    _ => references(value, found),
                }
            }
        }
        _ => {}
    }
}
