//! The way out: documents in, out and in again keep their core values. How many is told for each section. With
//! KILN_OUT=DIR what was written is put there, for those who check it otherwise.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::Path;

use fhir_spec::json::{Value, parse};
use interop::formats::cda::Writer;

use crate::harness::convert;
use crate::leaves::{best, leaves};

const NOW: &str = "2026-01-01T00:00:00Z";

/// Of our own documents so much of the core values comes back; those of others are a suite of `conformance-tests`.
const KEPT_PERCENT_MIN: f64 = 97.0;

fn writer() -> Writer {
    match Writer::shipped() {
        Ok(writer) => writer,
        Err(bad) => {
            let all: Vec<String> = bad.iter().map(ToString::to_string).collect();
            panic!("{}", all.join("\n"));
        }
    }
}

/// In which section a resource is told, by its address.
fn places(bundle: &Value) -> HashMap<String, String> {
    let mut places = HashMap::new();
    let entries = bundle.items_of("entry").iter();
    let resources = entries.filter_map(|entry| entry.get("resource"));
    for resource in resources.filter(|one| one.str_of("resourceType") == Some("Composition")) {
        let mut sections: Vec<&Value> = resource.items_of("section").iter().collect();
        while let Some(section) = sections.pop() {
            sections.extend(section.items_of("section"));
            let codings = section.get("code").map(|code| code.items_of("coding"));
            let code = codings.and_then(|codings| codings.first()?.str_of("code"));
            for entry in section.items_of("entry") {
                let to = entry.str_of("reference").unwrap_or_default().to_owned();
                places.insert(to, code.unwrap_or("no code").to_owned());
            }
        }
    }
    places
}

/// How many of the core values of a section were kept, of how many.
#[derive(Debug, Default)]
struct Kept {
    by_section: BTreeMap<String, (usize, usize)>,
    lacking: BTreeMap<String, usize>,
}

impl Kept {
    fn compare(&mut self, before: &Value, after: &Value) {
        let places = places(before);
        let mut ours: HashMap<&str, Vec<_>> = HashMap::new();
        for resource in after
            .items_of("entry")
            .iter()
            .filter_map(|entry| entry.get("resource"))
        {
            let mut all = Vec::new();
            leaves(resource, "", &mut all);
            let kind = resource.str_of("resourceType").unwrap();
            ours.entry(kind).or_default().push(all);
        }
        for entry in before.items_of("entry") {
            let resource = entry.get("resource").unwrap();
            let kind = resource.str_of("resourceType").unwrap();
            // What is there for the document alone: it is another one now.
            if matches!(kind, "Binary" | "DocumentReference" | "Provenance") {
                continue;
            }
            let mut wanted = Vec::new();
            leaves(resource, "", &mut wanted);
            let (found, lacking) = best(&wanted, ours.get(kind).map_or(&[], Vec::as_slice));
            let place = entry.str_of("fullUrl").and_then(|url| places.get(url));
            let place = place.map_or("header and others", String::as_str);
            let sum = self.by_section.entry(place.to_owned()).or_default();
            sum.0 += found;
            sum.1 += wanted.len();
            for lack in lacking {
                let path = lack.split(" = ").next().unwrap_or_default().to_owned();
                *self.lacking.entry(format!("{kind}{path}")).or_default() += 1;
            }
        }
    }

    fn percent(&self) -> f64 {
        let (found, all) = self
            .by_section
            .values()
            .fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        100.0 * f64::from(u32::try_from(found).unwrap())
            / f64::from(u32::try_from(all.max(1)).unwrap())
    }

    fn print(&self, name: &str) {
        println!(
            "{name}: {:.2} % of the core values are kept",
            self.percent()
        );
        for (section, (found, all)) in &self.by_section {
            println!("  {section}: {found} of {all}");
        }
        let mut lacking: Vec<_> = self.lacking.iter().collect();
        lacking.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        for (path, count) in lacking.iter().take(40) {
            println!("  lacks {count}: {path}");
        }
    }
}

/// In, out and in again.
fn round(name: &str, bytes: &[u8], kept: &mut Kept, told: &mut BTreeSet<String>) {
    let Ok(before) = convert(bytes) else { return };
    if before.of_type("Patient").is_empty() {
        return;
    }
    let written = writer().write(&before.bundle, NOW).unwrap();
    told.extend(written.issues.into_iter().map(|issue| {
        issue
            .diagnostics
            .split('/')
            .next()
            .unwrap_or_default()
            .to_owned()
    }));
    if let Some(folder) = std::env::var_os("KILN_OUT") {
        let file = name.replace(['/', ' '], "_");
        fs::write(Path::new(&folder).join(file), &written.xml).unwrap();
    }
    let after = convert(written.xml.as_bytes()).unwrap_or_else(|error| panic!("{name}: {error}"));
    kept.compare(&before.bundle, &after.bundle);
    // What went out once goes out alike.
    let again = writer().write(&after.bundle, NOW).unwrap();
    let twice = convert(again.xml.as_bytes()).unwrap();
    assert_eq!(
        after.bundle.items_of("entry").len(),
        twice.bundle.items_of("entry").len(),
        "{name}: it grows or shrinks"
    );
}

/// Many references to one resource, each of which is written anew; two resources that hold each other.
#[test]
fn what_would_grow_without_a_bound_is_refused() {
    let observation = |id: &str, members: &str| {
        format!(
            r#"{{"resource":{{"resourceType":"Observation","id":"{id}","status":"final","code":{{"text":"Test {id}"}},"subject":{{"reference":"Patient/p"}},
            "category":[{{"coding":[{{"code":"laboratory"}}]}}],"hasMember":[{members}]}}}}"#
        )
    };
    let bundle = |a: &str, b: &str| {
        let (a, b) = (observation("a", a), observation("b", b));
        let text = format!(
            r#"{{"resourceType":"Bundle","type":"collection","entry":[{{"resource":{{"resourceType":"Patient","id":"p"}}}},{a},{b}]}}"#
        );
        parse(text.as_bytes()).unwrap()
    };
    let (to_a, to_b) = (
        r#"{"reference":"Observation/a"}"#,
        r#"{"reference":"Observation/b"}"#,
    );
    let many = vec![to_b; 2_000].join(",");
    let refused = writer()
        .bounded(10_000)
        .write(&bundle(&many, to_a), NOW)
        .unwrap_err();
    assert!(
        refused.diagnostics.contains("10000 elements"),
        "{}",
        refused.diagnostics
    );
    let written = writer().write(&bundle(to_b, to_a), NOW).unwrap().xml;
    assert!(written.contains("<td>Test b</td>"), "{written}");
}

#[test]
fn documents_of_our_own_keep_their_core_values() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cda/golden");
    let (mut kept, mut told) = (Kept::default(), BTreeSet::new());
    for case in fs::read_dir(root).unwrap() {
        let case = case.unwrap().path();
        let name = case.file_name().unwrap().to_string_lossy().into_owned();
        let bytes = fs::read(case.join("input.xml")).unwrap();
        round(&format!("{name}.xml"), &bytes, &mut kept, &mut told);
    }
    kept.print("our own");
    println!("{told:#?}");
    assert!(kept.percent() >= KEPT_PERCENT_MIN, "{}", kept.percent());
}
