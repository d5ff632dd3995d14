//! Real messages of others, where they are at hand (`KILN_SHARED` or `../shared`).

use std::fs;
use std::path::{Path, PathBuf};

use interop::formats::hl7v2::{
    Dictionary, Draft, Intake, Leniency, Transmission, Unreadable, grammar,
};

/// Files under a folder of the material; none, with a line that says so, where it is not there.
pub(crate) fn files(folder: &str) -> Vec<(String, Vec<u8>)> {
    let shared = std::env::var_os("KILN_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"),
        PathBuf::from,
    );
    let root = shared.join("testdata").join(folder);
    if !root.is_dir() {
        println!("skipped: {} is not there", root.display());
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(&root).unwrap().display().to_string();
                found.push((name, fs::read(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

fn messages(folder: &str) -> Vec<(String, Vec<u8>)> {
    let mut found = files(folder);
    found.retain(|(name, _)| name.ends_with(".hl7") || name.ends_with(".txt"));
    found
}

/// What is the same in every message that could be read.
fn check(name: &str, bytes: &[u8], dictionary: &Dictionary) -> Result<usize, Unreadable> {
    let transmission = Transmission::open(bytes, Intake::default())?;
    for index in 0..transmission.message_count() {
        let text = transmission.text(index).unwrap();
        let message = text.message()?;
        // Every character is in a segment, in a line end, or a blank that was told.
        let held: usize = message.segments().map(|segment| segment.raw().len()).sum();
        let letters = |text: &str| {
            text.bytes()
                .filter(|byte| !byte.is_ascii_whitespace())
                .count()
        };
        let in_segments: usize = message
            .segments()
            .map(|segment| letters(segment.raw()))
            .sum();
        assert_eq!(in_segments, letters(text.as_str()), "{name}");
        // Written again it is what it was, byte for byte when nothing was forgiven; and reads as the same.
        let written = Draft::of(&message).write();
        let whole = message.forgiven().iter().all(|forgiven| {
            matches!(
                forgiven.what,
                Leniency::Escape | Leniency::CharsetName(_) | Leniency::CharsetWrong { .. }
            )
        });
        if whole {
            assert_eq!(written, text.as_str(), "{name}");
        } else {
            assert_eq!(written.len(), held + message.segment_count(), "{name}");
        }
        let again = interop::formats::hl7v2::Text::decoded(&written);
        assert_eq!(
            Draft::of(&again.message().unwrap()).write(),
            written,
            "{name}"
        );
        // Every segment is in the tree of groups, once, in a group.
        let groups = grammar::group(&message, dictionary);
        let outline = groups.outline();
        for segment in message.segments() {
            let lines = outline
                .lines()
                .filter(|line| line.trim() == segment.name())
                .count();
            assert_eq!(
                lines,
                message.segments_named(segment.name()).count(),
                "{name}: {}",
                segment.name()
            );
        }
    }
    Ok(transmission.message_count())
}

fn check_all(folder: &str, unreadable: &[&str]) {
    let dictionary = Dictionary::shipped().unwrap();
    let mut read = 0;
    for (name, bytes) in messages(folder) {
        match check(&name, &bytes, dictionary) {
            Ok(count) => read += count,
            Err(fault) => assert!(
                unreadable.iter().any(|known| name.ends_with(known)),
                "{name}: {fault}"
            ),
        }
    }
    println!("{folder}: {read} messages");
}

#[test]
fn messages_of_public_health_are_read_and_written() {
    // It begins with three lines of junk.
    check_all("hl7v2-messages", &["genV1_Genv1-Case-TestMessage1.2.hl7"]);
}

#[test]
fn messages_with_known_results_are_read_and_written() {
    check_all("hl7v2-to-fhir", &[]);
    check_all("hl7v2-roundtrip", &[]);
}

#[test]
fn edge_cases_of_interface_engines_are_read_and_written() {
    // A page about messages, and a value without a message.
    check_all("hl7v2-hostile", &["hapi/guide.txt", "hapi/uuencoded.txt"]);
}

#[test]
fn xml_of_interface_engines_says_what_its_text_says() {
    let files = files("hl7v2-hostile");
    let of = |name: &str| {
        files
            .iter()
            .find(|(known, _)| known.ends_with(name))
            .map(|(_, bytes)| bytes)
    };
    for (xml, text) in [
        (
            "test-hl7-missing-components-input.xml",
            "test-hl7-missing-components-output.txt",
        ),
        (
            "test-hl7-missing-subcomponents-input.xml",
            "test-hl7-missing-subcomponents-output.txt",
        ),
        ("test-hl7-output.xml", "test-hl7-input.txt"),
        (
            "test-hl7-repetitions-output.xml",
            "test-hl7-repetitions-input.txt",
        ),
    ] {
        let (Some(xml), Some(text)) = (of(xml), of(text)) else {
            continue;
        };
        let written = |bytes: &[u8]| {
            let text = interop::formats::hl7v2::Text::read(bytes, Intake::default()).unwrap();
            Draft::of(&text.message().unwrap()).write()
        };
        // XML has no place for what is left empty at the end.
        let trimmed = |text: String| -> Vec<String> {
            text.split('\r')
                .map(|line| line.trim_end_matches(['|', '^', '&', '~']).to_owned())
                .collect()
        };
        assert_eq!(trimmed(written(xml)), trimmed(written(text)));
    }
    for (name, bytes) in &files {
        if name.ends_with(".xml") {
            let found = Transmission::open(bytes, Intake::default());
            println!(
                "{name}: {}",
                found.map_or_else(
                    |fault| fault.to_string(),
                    |all| format!("{} messages", all.message_count())
                )
            );
        }
    }
}
