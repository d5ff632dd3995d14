//! Messages of HL7 v2 that are made of resources, held against those that ReportStream sends.
//!
//! Compared are the values of MSH-9, PID, ORC, OBR, OBX, SPM and NK1, place by place; segments of one name by their order, OBX
//! by what was observed. Times are the same when they are the same moment as far as both say it. A difference with a reason is
//! a rule in `hl7v2_out/explained.tsv`: origin, place, where we keep the value, reason; a rule names places, never a message. No observation may be lost.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use fhir_spec::json;
use interop::formats::hl7v2::convert::Converter;
use interop::formats::hl7v2::emit::{Destination, Header, Speaker};
use interop::formats::hl7v2::{Intake, Message, Segment, Text, Transmission, Version};
use interop::mapping::{HL7V2, HL7V2_OUT, Library, Occasion, Zone, bundle};

use crate::material::{beside, files, folder, maps};
use crate::results::Tally;

/// What ReportStream's bundles say in extensions of its own, and what it wants otherwise.
static OVERLAY: LazyLock<String> = LazyLock::new(|| beside("hl7v2_out/reportstream.overlay"));
static EXPLAINED: LazyLock<String> = LazyLock::new(|| beside("hl7v2_out/explained.tsv"));
const COMPARED: &[&str] = &["PID", "ORC", "OBR", "OBX", "SPM", "NK1"];
const NOW: &str = "2026-01-02T03:04:05Z";

#[test]
fn there_and_back() {
    let Some(folder) = folder("hl7v2-roundtrip") else {
        return;
    };
    let converter = Converter::new(maps(HL7V2), Zone::utc(), &[]);
    let converter = converter.unwrap_or_else(|no| panic!("{no}"));
    let all: Vec<_> = HL7V2.iter().chain(HL7V2_OUT).copied().collect();
    let speaker = Speaker::new(maps(&all), Zone::utc(), &[]).unwrap_or_else(|no| panic!("{no}"));
    let mut suite = Suite::new(
        "roundtrip",
        "hl7v2-roundtrip: values of ReportStream's messages",
        "hl7v2-roundtrip: observations that are not lost",
    );
    for (name, bytes) in files(&folder.join("reportstream"), ".hl7") {
        let stem = name.trim_end_matches(".hl7");
        if stem.ends_with(".expected") {
            continue;
        }
        let opened = Transmission::open(&bytes, Intake::default()).unwrap();
        let text = opened.text(0).unwrap();
        let message = text.message().unwrap();
        let occasion = Occasion {
            now: NOW,
            seed: "suite",
            trace: false,
        };
        let converted = converter.convert(&message, None, occasion).unwrap();
        let bundle = bundle(vec![converted.mapped]);
        let spoken = speak(&speaker, &Library::of(bundle));
        let expected = folder
            .join("reportstream")
            .join(format!("{stem}.expected.hl7"));
        suite.compare(stem, &std::fs::read(expected).unwrap(), &spoken);
    }
    suite.finish();
}

#[test]
fn of_bundles() {
    let Some(folder) = folder("fhir-to-hl7v2") else {
        return;
    };
    let all: Vec<_> = HL7V2.iter().chain(HL7V2_OUT).copied().collect();
    let laid = maps(&all).with_overlay("reportstream.overlay", &OVERLAY);
    let laid = laid.unwrap_or_else(|bad| panic!("{bad}"));
    assert!(laid.gone.is_empty(), "{:?}", laid.gone);
    let speaker = Speaker::new(laid.pack, Zone::utc(), &[]).unwrap_or_else(|no| panic!("{no}"));
    let mut suite = Suite::new(
        "bundles",
        "fhir-to-hl7v2: values of ReportStream's messages",
        "fhir-to-hl7v2: observations that are not lost",
    );
    for (name, bytes) in files(&folder.join("reportstream"), ".json") {
        let stem = name.trim_end_matches(".json");
        let document = match json::parse(&bytes) {
            Ok(document) => document,
            Err(malformed) => {
                suite
                    .values
                    .explain(stem, &format!("no document: {malformed:?}"));
                continue;
            }
        };
        let spoken = speak(&speaker, &Library::of(document));
        if std::env::var("KILN_PEEK").is_ok_and(|name| name == stem) {
            println!("{}", spoken.replace('\r', "\n"));
        }
        let expected = folder
            .join("reportstream")
            .join(format!("{stem}.expected.hl7"));
        suite.compare(stem, &std::fs::read(expected).unwrap(), &spoken);
    }
    suite.finish();
}

fn speak(speaker: &Speaker, library: &Library) -> String {
    let kind = speaker.usual_kind(library).unwrap();
    let to = Destination {
        // The profile of public health takes its datatypes from a later version.
        datatypes: Some(Version::V2_7),
        ..Destination::default()
    };
    let header = Header {
        control_id: "1",
        now: NOW,
        sequence: None,
    };
    let starts = speaker.starts(&kind, library).unwrap();
    let start = starts.concat();
    let spoken = speaker.speak(&kind, library, &start, header, &to);
    let spoken = spoken.unwrap_or_else(|no| panic!("{no}"));
    spoken.text
}

struct Suite {
    origin: &'static str,
    values: Tally,
    observations: Tally,
    missing: BTreeMap<String, (usize, String)>,
}

impl Suite {
    fn new(origin: &'static str, values: &'static str, observations: &'static str) -> Self {
        Self {
            origin,
            values: Tally::new(values, &[]),
            observations: Tally::new(observations, &[]),
            missing: BTreeMap::new(),
        }
    }

    fn compare(&mut self, stem: &str, expected: &[u8], ours: &str) {
        let opened = Transmission::open(expected, Intake::default()).unwrap();
        let expected = opened.text(0).unwrap();
        let expected = expected.message().unwrap();
        let ours = Text::decoded(ours);
        let ours = ours.message().unwrap();
        let kind =
            |message: &Message<'_>| message.header().unwrap().field(9).unwrap().raw().to_owned();
        self.values.count(
            &format!("{stem} MSH-9"),
            same(&kind(&expected), &kind(&ours)),
        );
        let held = Held::of(&ours);
        for name in COMPARED {
            let theirs: Vec<Segment<'_, '_>> = expected.segments_named(name).collect();
            let mine: Vec<Segment<'_, '_>> = ours.segments_named(name).collect();
            let mut used = vec![false; mine.len()];
            for (place, theirs) in theirs.iter().enumerate() {
                let found = match *name {
                    "OBX" => {
                        (0..mine.len()).find(|place| !used[*place] && alike(theirs, &mine[*place]))
                    }
                    _ => (place < mine.len()).then_some(place),
                };
                if *name == "OBX" {
                    let case = format!("{stem} OBX[{}] {}", place + 1, observed(theirs));
                    let rule = rule(self.origin, "OBX", &observed(theirs), &held);
                    match (found, rule) {
                        (None, Some(reason)) => self.observations.explain(&case, reason),
                        _ => self
                            .observations
                            .count(&case, found.map(|_| ()).ok_or_else(|| "lost".to_owned())),
                    }
                }
                if let Some(found) = found {
                    used[found] = true;
                }
                self.segment(stem, theirs, found.map(|found| &mine[found]), &held);
            }
        }
    }

    fn segment(
        &mut self,
        stem: &str,
        theirs: &Segment<'_, '_>,
        mine: Option<&Segment<'_, '_>>,
        held: &Held,
    ) {
        let mine = mine.map(values).unwrap_or_default();
        for (place, value) in values(theirs) {
            let found = mine.get(&place);
            let case = format!("{stem} {place} = {value}");
            if found.is_some_and(|found| is_same(&value, found)) {
                self.values.count(&case, Ok(()));
                continue;
            }
            let general = without_numbers(&place);
            let told = found.cloned().unwrap_or_else(|| "nothing".to_owned());
            if let Some(reason) = rule(self.origin, &general, &value, held) {
                self.values.explain(&case, reason);
                continue;
            }
            if std::env::var_os("KILN_LIST").is_some() {
                println!("LIST\t{general}\t{value}\t{told}\t{stem}");
            }
            let entry = self
                .missing
                .entry(general)
                .or_insert((0, format!("{stem}: {value} / {told}")));
            entry.0 += 1;
            self.values.count(&case, Err(told));
        }
    }

    fn finish(self) {
        let mut missing: Vec<_> = self.missing.into_iter().collect();
        missing.sort_by_key(|(_, (count, _))| usize::MAX - count);
        for (place, (count, example)) in missing {
            println!(
                "  missing {count} {place}   {}",
                example.chars().take(160).collect::<String>()
            );
        }
        self.observations.finish();
        self.values.finish();
    }
}

fn same(expected: &str, found: &str) -> Result<(), String> {
    (expected == found)
        .then_some(())
        .ok_or_else(|| found.to_owned())
}

/// The values of our message, each with the places that have it.
struct Held(BTreeMap<String, BTreeSet<String>>);

impl Held {
    fn of(message: &Message<'_>) -> Self {
        let mut held: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for segment in message.segments() {
            for (place, value) in values(&segment) {
                let places = held.entry(value).or_default();
                places.insert(without_numbers(&place));
            }
        }
        Self(held)
    }

    fn has(&self, value: &str, place: &str) -> bool {
        let mut same = self.0.iter().filter(|(held, _)| is_same(value, held));
        same.any(|(_, places)| places.iter().any(|held| fits(place, held)))
    }
}

fn fits(pattern: &str, place: &str) -> bool {
    match (pattern.strip_suffix('*'), pattern.strip_prefix('*')) {
        (Some(begin), _) => place.starts_with(begin),
        (_, Some(end)) => place.ends_with(end),
        _ => pattern == place,
    }
}

/// The reason for which a value of a place may be missing there.
fn rule(origin: &str, place: &str, value: &str, held: &Held) -> Option<&'static str> {
    let rows = EXPLAINED
        .lines()
        .filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    let mut rules = rows.map(|line| {
        let cells: Vec<&'static str> = line.split('\t').collect();
        let [origin, place, kept, reason] = cells[..] else {
            panic!("explained.tsv: four columns wanted: {line}");
        };
        (origin, place, kept, reason)
    });
    let found = rules.find(|(of, about, kept, _)| {
        // `place = value | value`: about these values alone.
        let (pattern, values) = about.split_once(" = ").unwrap_or((about, ""));
        (*of == "*" || *of == origin)
            && fits(pattern, place)
            && (values.is_empty() || values.split(" | ").any(|one| one == value))
            && (*kept == "-" || kept.split(", ").any(|kept| held.has(value, kept)))
    });
    found.map(|(_, _, _, reason)| reason)
}

/// `PID-3[2].1` -> `PID-3.1`
fn without_numbers(place: &str) -> String {
    let mut plain = String::new();
    let mut inside = false;
    for letter in place.chars() {
        inside = (inside || letter == '[') && letter != ']';
        if !inside && letter != ']' {
            plain.push(letter);
        }
    }
    plain
}

fn observed(segment: &Segment<'_, '_>) -> String {
    let field = segment
        .field(3)
        .map(|field| field.raw().to_owned())
        .unwrap_or_default();
    field.split('^').next().unwrap_or_default().to_owned()
}

fn alike(theirs: &Segment<'_, '_>, mine: &Segment<'_, '_>) -> bool {
    let value = |segment: &Segment<'_, '_>| {
        let field = segment
            .field(5)
            .map(|field| field.raw().to_owned())
            .unwrap_or_default();
        field
            .split('^')
            .find(|part| !part.is_empty() && *part != "=")
            .unwrap_or_default()
            .to_owned()
    };
    observed(theirs) == observed(mine)
        && (is_same(&value(theirs), &value(mine)) || value(theirs).is_empty())
}

/// Every valued part by its place.
fn values(segment: &Segment<'_, '_>) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for (number, field) in (1..).zip(segment.fields()) {
        if number == 1 {
            continue;
        }
        for (repetition, value) in (1..).zip(field.repetitions()) {
            for (component, part) in (1..).zip(value.components()) {
                for (sub, part) in (1..).zip(part.subcomponents()) {
                    let text = part.text().into_owned();
                    if text.is_empty() {
                        continue;
                    }
                    let name = segment.name();
                    let place = format!("{name}-{number}[{repetition}].{component}.{sub}");
                    found.insert(place, text);
                }
            }
        }
    }
    found
}

/// The same text, number, or moment.
fn is_same(theirs: &str, mine: &str) -> bool {
    if theirs.trim() == mine.trim() {
        return true;
    }
    // Who says no zone means the one of the message.
    let plain = |text: &str| {
        text.split(['+', '-', '.'])
            .next()
            .unwrap_or_default()
            .to_owned()
    };
    if let (Some(one), Some(other)) = (moment(theirs), moment(mine)) {
        // A day is the same day, whatever the other says of the hour.
        if (one.1 < 0) != (other.1 < 0) {
            return theirs.get(..8) == mine.get(..8);
        }
        let has_zone = theirs.contains(['+', '-']);
        return one == other || (!has_zone && plain(mine).starts_with(&plain(theirs)));
    }
    let number = |text: &str| {
        text.parse::<rust_decimal::Decimal>()
            .ok()
            .map(|number| number.normalize())
    };
    number(theirs).is_some_and(|theirs| number(mine) == Some(theirs))
}

/// Minutes of a time in UTC, or the day.
fn moment(text: &str) -> Option<(String, i64)> {
    let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
    if digits.len() < 8
        || !text
            .chars()
            .all(|letter| letter.is_ascii_digit() || "+-.".contains(letter))
    {
        return None;
    }
    let number = |from: usize, to: usize| {
        digits
            .get(from..to)
            .and_then(|part| part.parse::<i64>().ok())
    };
    let Some((hour, minute)) = number(8, 10).zip(number(10, 12)) else {
        return Some((digits, -1));
    };
    let zone = text.rfind(['+', '-']).map(|at| text.split_at(at).1);
    let offset = zone.map_or(0, |zone| {
        let part = |from: usize| {
            zone.get(from..from + 2)
                .and_then(|part| part.parse::<i64>().ok())
                .unwrap_or(0)
        };
        let minutes = part(1) * 60 + part(3);
        if zone.starts_with('-') {
            -minutes
        } else {
            minutes
        }
    });
    let (year, month, day) = (number(0, 4)?, number(4, 6)?, number(6, 8)?);
    let days = year * 372 + month * 31 + day;
    Some((String::new(), days * 1440 + hour * 60 + minute - offset))
}
