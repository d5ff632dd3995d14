//! There and back: messages to resources to messages. `interop/tests/golden_hl7v2_out/<case>/{message.hl7,back.hl7}`; what a
//! part says must be said again, or its place stands in `differs.tsv` with the reason. KILN_BLESS=1 writes `back.hl7`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use interop::formats::hl7v2::convert::Converter;
use interop::formats::hl7v2::emit::{Destination, Header, Speaker};
use interop::formats::hl7v2::{Intake, Message, Text, Transmission};
use interop::mapping::{Library, Occasion, Zone, bundle};

const NOW: &str = "2024-03-05T09:15:00Z";

/// Every valued part by its place: `OBX[2]-5[1].1.1`.
fn parts(message: &Message<'_>) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for segment in message.segments() {
        let name = segment.name().to_owned();
        let count = counts.entry(name.clone()).or_default();
        *count += 1;
        for (number, field) in (1..).zip(segment.fields()) {
            if name == "MSH" && number != 9 {
                continue;
            }
            for (repetition, value) in (1..).zip(field.repetitions()) {
                for (component, part) in (1..).zip(value.components()) {
                    for (sub, part) in (1..).zip(part.subcomponents()) {
                        let text = part.text().into_owned();
                        let place =
                            format!("{name}[{count}]-{number}[{repetition}].{component}.{sub}");
                        if !text.is_empty() {
                            found.insert(place, text);
                        }
                    }
                }
            }
        }
    }
    found
}

fn back(converter: &Converter, speaker: &Speaker, message: &Message<'_>) -> String {
    let occasion = Occasion {
        now: NOW,
        seed: "back",
        trace: false,
    };
    let converted = converter.convert(message, None, occasion).unwrap();
    let library = Library::of(bundle(vec![converted.mapped]));
    let kind = format!("{}^{}", message.of_header(9, 1), message.of_header(9, 2));
    let header = Header {
        control_id: "1",
        now: NOW,
        sequence: None,
    };
    let starts = speaker.starts(&kind, &library).unwrap();
    let spoken = speaker.speak(&kind, &library, &starts[0], header, &Destination::default());
    let spoken = spoken.unwrap();
    let errors: Vec<String> = (spoken.issues.iter())
        .filter(|issue| issue.is_error())
        .map(|issue| issue.diagnostics.to_string())
        .collect();
    assert_eq!(errors, Vec::<String>::new(), "{kind}");
    spoken.text
}

#[test]
fn there_and_back() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden_hl7v2_out");
    let converter = Converter::shipped(Zone::parse("+01:00").unwrap(), &[]).unwrap();
    let speaker = Speaker::shipped(Zone::utc(), &[]).unwrap();
    let explained = fs::read_to_string(root.join("differs.tsv")).unwrap();
    let rows = explained.lines().filter(|line| !line.starts_with('#'));
    let rules: BTreeMap<&str, &str> = rows.map(|line| line.split_once('\t').unwrap()).collect();
    let (mut used, mut cases) = (BTreeSet::new(), 0);
    let mut wrong = Vec::new();
    for entry in fs::read_dir(&root).unwrap() {
        let case = entry.unwrap().path();
        if !case.is_dir() {
            continue;
        }
        cases += 1;
        let name = case.file_name().unwrap().to_str().unwrap().to_owned();
        let bytes = fs::read_to_string(case.join("message.hl7"))
            .unwrap()
            .replace('\n', "\r");
        let opened = Transmission::open(bytes.as_bytes(), Intake::default()).unwrap();
        let text = opened.text(0).unwrap();
        let message = text.message().unwrap();
        let made = back(&converter, &speaker, &message);
        let shown = made.replace('\r', "\n");
        let file = case.join("back.hl7");
        if std::env::var_os("KILN_BLESS").is_some() {
            fs::write(&file, &shown).unwrap();
        }
        assert_eq!(fs::read_to_string(&file).unwrap(), shown, "{name}");
        let made = Text::decoded(&made);
        let (before, after) = (parts(&message), parts(&made.message().unwrap()));
        let places: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
        for place in places {
            if before.get(place) == after.get(place) {
                continue;
            }
            let rule = format!("{name} {place}");
            match rules.get_key_value(rule.as_str()) {
                Some((rule, _)) => {
                    used.insert(*rule);
                }
                None => wrong.push(format!(
                    "{rule}\t{:?} became {:?}",
                    before.get(place),
                    after.get(place)
                )),
            }
        }
    }
    assert!(wrong.is_empty(), "not explained:\n{}", wrong.join("\n"));
    let unused: Vec<&&str> = rules.keys().filter(|rule| !used.contains(**rule)).collect();
    assert!(unused.is_empty(), "nothing differs there: {unused:?}");
    assert!(cases >= 7, "{cases}");
}
