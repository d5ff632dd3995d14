//! hl7-parser as a second opinion: wherever it reads the whole of a text, its tree and ours are the same.

use hl7_parser::Message as Other;
use interop::formats::hl7v2::{Intake, Message, Text, Transmission};

use crate::material::files;

/// Whether the library has read all there is: it ends silently where it does not know how to go on, and does not know of
/// five characters in MSH-2.
fn agrees_on_its_size(other: &Other<'_>, text: &str, ours: &Message<'_>) -> bool {
    other.raw_value().len() == text.len()
        && other.segments.len() == ours.segment_count()
        && other.segments[0]
            .fields
            .get(1)
            .map(|field| field.raw_value())
            == ours
                .header()
                .and_then(|header| header.field(2))
                .map(|field| field.raw())
}

fn compare(name: &str, ours: &Message<'_>, other: &Other<'_>) {
    for (segment, other) in ours.segments().zip(&other.segments) {
        assert_eq!(segment.name(), other.name, "{name}");
        // An empty list of fields is one empty field there and here.
        for (number, other) in other
            .fields
            .iter()
            .enumerate()
            .map(|(index, field)| (index + 1, field))
        {
            if segment.name() == "MSH" && number <= 2 {
                continue;
            }
            let field = segment
                .field(number)
                .unwrap_or_else(|| panic!("{name}: {}-{number}", segment.name()));
            assert_eq!(
                field.raw(),
                other.raw_value(),
                "{name}: {}-{number}",
                segment.name()
            );
            assert_eq!(
                field.at(),
                other.range.start,
                "{name}: {}-{number}",
                segment.name()
            );
            let repeats = other
                .repeats
                .iter()
                .filter(|_| !other.raw_value().is_empty());
            for (repetition, other) in field.repetitions().zip(repeats) {
                assert_eq!(repetition.raw(), other.raw_value(), "{name}");
                for (component, other) in repetition.components().zip(&other.components) {
                    assert_eq!(component.raw(), other.raw_value(), "{name}");
                    for (part, other) in component.subcomponents().zip(&other.subcomponents) {
                        assert_eq!(
                            (part.raw(), part.at()),
                            (other.raw_value(), other.range.start),
                            "{name}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn the_library_reads_the_same_where_it_reads_all() {
    let (mut same, mut given_up) = (0, Vec::new());
    for folder in [
        "hl7v2-messages",
        "hl7v2-to-fhir",
        "hl7v2-roundtrip",
        "hl7v2-hostile",
    ] {
        for (name, bytes) in files(folder) {
            let Ok(transmission) = Transmission::open(&bytes, Intake::default()) else {
                continue;
            };
            for index in 0..transmission.message_count() {
                let text = transmission.text(index).unwrap();
                // The library does not know of five characters in MSH-2.
                let lines = text.as_str().replacen("&#|", "&|", 1);
                let lines = lines.trim_end_matches(['\r', '\n']);
                let text = Text::decoded(lines);
                let Ok(ours) = text.message() else {
                    continue;
                };
                match hl7_parser::parse_message_with_lenient_newlines(lines) {
                    Ok(other) if agrees_on_its_size(&other, lines, &ours) => {
                        compare(&name, &ours, &other);
                        same += 1;
                    }
                    _ => given_up.push(name.clone()),
                }
            }
        }
    }
    println!("the same: {same}, read by us alone: {given_up:?}");
    assert!(same == 0 || same > given_up.len() * 5);
}

/// Why its tree is not kept: what it loses without a word, we read.
#[test]
fn what_the_library_loses_is_read() {
    for (text, segments) in [
        ("MSH|^~\\&|A\r\rPID|1\rPV1|1\r", 3),
        ("MSH|^~\\&|A\rPID\rPV1|1\r", 3),
        ("MSH|^~\\&|A\rPID|1\rno segment\rPV1|1\r", 3),
        ("MSH|^~\\&#|A\rPID|1\r", 2),
    ] {
        let ours = Text::decoded(text);
        let ours = ours.message().unwrap();
        assert_eq!(ours.segment_count(), segments, "{text:?}");
        assert_eq!(ours.of_header(3, 1), "A", "{text:?}");
        let lines = text.trim_end_matches('\r');
        let other = hl7_parser::parse_message_with_lenient_newlines(lines).unwrap();
        let fooled = agrees_on_its_size(&other, lines, &ours)
            && other.segments[0].fields[2].raw_value() == "A";
        assert!(!fooled, "{text:?}");
    }
}
