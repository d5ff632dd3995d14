//! A message that is being made: groups, segments, fields and their parts as the newest version has them; and how it is
//! written in an older one.

use fhir_spec::primitive::Primitive;

use crate::mapping::source::Sink;
use crate::mapping::{Page, Stamp};

use super::Delimiters;
use super::dictionary::{Dictionary, Fact, NodeKind, Structure, Version};
use super::escape::escape;
use super::schema::{group_number, segment_number};

/// A tree of what was written; a node is a place in the list.
#[derive(Debug)]
pub(super) struct MessagePage {
    spots: Vec<Spot>,
}

#[derive(Debug, Default)]
struct Spot {
    children: Vec<(u16, Vec<usize>)>,
    text: Option<Box<str>>,
    kind: Option<Primitive>,
}

impl MessagePage {
    pub(super) fn new() -> Self {
        Self {
            spots: vec![Spot::default()],
        }
    }

    fn spot(&self, node: usize) -> Option<&Spot> {
        self.spots.get(node)
    }

    fn all(&self, from: usize, number: u16) -> &[usize] {
        let children = self.spot(from).map(|spot| spot.children.as_slice());
        let found = children
            .unwrap_or_default()
            .iter()
            .find(|(known, _)| *known == number);
        found.map_or(&[], |(_, all)| all)
    }

    fn highest(&self, node: usize) -> u16 {
        let children = self.spot(node).map(|spot| spot.children.as_slice());
        let numbers = children.unwrap_or_default().iter();
        let set = numbers.filter(|(_, all)| all.iter().any(|node| self.is_set(*node)));
        set.map(|(number, _)| *number).max().unwrap_or(0)
    }

    /// The text of a node, or of its first part.
    fn text(&self, node: usize) -> Option<(&str, Option<Primitive>)> {
        let spot = self.spot(node)?;
        match &spot.text {
            Some(text) => Some((text, spot.kind)),
            None => self.text(*self.all(node, 1).first()?),
        }
    }
}

impl Sink for MessagePage {
    type Node = usize;

    fn root(&self) -> usize {
        0
    }

    fn child(&mut self, from: usize, number: u16, repetition: u16) -> usize {
        let here = self.spots.len();
        let wanted = usize::from(repetition) + 1;
        let Some(spot) = self.spots.get_mut(from) else {
            return from;
        };
        let place = spot.children.iter().position(|(known, _)| *known == number);
        let place = place.unwrap_or_else(|| {
            spot.children.push((number, Vec::new()));
            spot.children.len() - 1
        });
        let Some((_, all)) = spot.children.get_mut(place) else {
            return from;
        };
        let missing = wanted.saturating_sub(all.len());
        all.extend(here..here + missing);
        let found = all.get(usize::from(repetition)).copied().unwrap_or(from);
        self.spots.resize_with(here + missing, Spot::default);
        found
    }

    fn set(&mut self, node: usize, primitive: Option<Primitive>, text: &str) {
        if let Some(spot) = self.spots.get_mut(node)
            && spot.text.is_none()
        {
            spot.text = Some(text.into());
            spot.kind = primitive;
        }
    }
}

impl Page for MessagePage {
    fn count(&self, from: usize, number: u16) -> u16 {
        let all = self.all(from, number);
        let last = all.iter().rposition(|node| self.is_set(*node));
        last.map_or(0, |last| u16::try_from(last + 1).unwrap_or(u16::MAX))
    }

    fn is_set(&self, node: usize) -> bool {
        self.spot(node).is_some_and(|spot| {
            spot.text.is_some()
                || spot
                    .children
                    .iter()
                    .any(|(_, all)| all.iter().any(|child| self.is_set(*child)))
        })
    }
}

/// A field that its segment must have and does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Missing {
    pub(super) segment: String,
    pub(super) field: u16,
    pub(super) name: &'static str,
}

/// Writes a page in one version.
pub(super) struct Writer<'w> {
    pub(super) dictionary: &'static Dictionary,
    pub(super) version: Version,
    pub(super) datatypes: Version,
    pub(super) delimiters: Delimiters,
    /// The structure that the page was made by.
    pub(super) structure: &'static Structure,
    /// That of the version, where it has one.
    pub(super) own: Option<&'w Structure>,
    pub(super) page: &'w MessagePage,
    pub(super) text: String,
    /// What the version has no place for.
    pub(super) dropped: Vec<String>,
    pub(super) missing: Vec<Missing>,
}

impl Writer<'_> {
    pub(super) fn write(&mut self) {
        self.group(0, 0, &mut Counts::default());
    }

    /// A group: its segments in the order of the structure, then those that the structure does not have.
    fn group(&mut self, place: usize, node: usize, around: &mut Counts) {
        let structure = self.structure;
        let Some(group) = structure.nodes.get(place) else {
            return;
        };
        let mut counts = Counts::default();
        let mut written: Vec<u16> = Vec::new();
        for child in &group.children {
            let Some(found) = structure.nodes.get(*child) else {
                continue;
            };
            if found.kind == NodeKind::Group {
                let number = u32::try_from(*child).ok().and_then(group_number);
                let number = number.unwrap_or_default();
                for inner in self.page.all(node, number).to_vec() {
                    self.group(*child, inner, &mut counts);
                }
                continue;
            }
            let names = structure.segment_names();
            let names = names.filter(|name| structure.bit(name) & found.any != 0);
            for name in names {
                let Some(number) = segment_number(name).filter(|number| !written.contains(number))
                else {
                    continue;
                };
                written.push(number);
                // Of a group that begins with the segment, all repetitions are counted together.
                let begins = place != 0 && group.first & structure.bit(name) != 0;
                let counts = if begins { &mut *around } else { &mut counts };
                let all = self.page.all(node, number).to_vec();
                let is_needed = found.required && found.name == name;
                for segment in &all {
                    if is_needed || self.page.is_set(*segment) {
                        self.segment(name, *segment, counts);
                    }
                }
                if is_needed && all.is_empty() && (place == 0 || self.page.is_set(node)) {
                    self.lacks(name);
                }
            }
        }
        let spot = self.page.spot(node);
        let numbers = spot.map(|spot| spot.children.iter().map(|(number, _)| *number));
        for number in numbers.into_iter().flatten().collect::<Vec<_>>() {
            if written.contains(&number) {
                continue;
            }
            let Some(name) = super::schema::segment_name(number) else {
                continue;
            };
            for segment in self.page.all(node, number).to_vec() {
                if self.page.is_set(segment) {
                    self.segment(&name, segment, &mut counts);
                }
            }
        }
    }

    /// A segment that the message must have.
    fn lacks(&mut self, name: &str) {
        if self.own.is_none_or(|own| own.bit(name) != 0) {
            self.missing.push(Missing {
                segment: name.to_owned(),
                field: 0,
                name: "",
            });
        }
    }

    fn segment(&mut self, name: &str, node: usize, counts: &mut Counts) {
        let is_known = self.dictionary.field_count(self.version, name) > 0
            && self
                .own
                .is_none_or(|own| own.bit(name) != 0 || !self.structure_has(name));
        if !is_known && !name.starts_with('Z') {
            self.dropped.push(format!(
                "{name}: {} has no such segment here",
                self.version.name()
            ));
            return;
        }
        let number = counts.next(name);
        let count = self.dictionary.field_count(self.version, name);
        let highest = usize::from(self.page.highest(node));
        let is_header = name == "MSH";
        let mut fields: Vec<String> = Vec::new();
        for place in (if is_header { 2 } else { 1 })..=highest.max(count) {
            let fact = self.dictionary.own_field(self.version, name, place);
            // A profile may take fields from a later version, as it does datatypes.
            let fact = fact.or_else(|| self.dictionary.own_field(self.datatypes, name, place));
            let fact = fact.filter(|fact| !matches!(fact.datatype, "WD" | "NUL"));
            if is_header && place == 2 {
                fields.push(self.delimiters.encoding_characters());
                continue;
            }
            let told = u16::try_from(place).unwrap_or_default();
            let all = self.page.all(node, told).to_vec();
            let mut text = match (fact, name.starts_with('Z')) {
                (Some(fact), _) => self.field(name, node, fact, &all),
                (None, true) => self.repetitions(&all, "", usize::MAX),
                (None, false) => {
                    if all.iter().any(|node| self.page.is_set(*node)) {
                        let version = self.version.name();
                        self.dropped
                            .push(format!("{name}-{place}: {version} has no such field"));
                    }
                    String::new()
                }
            };
            if text.is_empty()
                && let Some(fact) = fact
            {
                if fact.name.starts_with("Set ID") && fact.datatype == "SI" {
                    text = number.to_string();
                } else if fact.required {
                    self.missing.push(Missing {
                        segment: name.to_owned(),
                        field: told,
                        name: fact.name,
                    });
                }
            }
            fields.push(text);
        }
        while fields.last().is_some_and(String::is_empty) {
            fields.pop();
        }
        self.text.push_str(name);
        for field in fields {
            self.text.push(char::from(self.delimiters.field));
            self.text.push_str(&field);
        }
        self.text.push('\r');
    }

    fn structure_has(&self, name: &str) -> bool {
        self.structure.bit(name) != 0
    }

    fn field(&mut self, segment: &str, node: usize, fact: &Fact, all: &[usize]) -> String {
        let mut datatype = fact.datatype;
        if self.datatypes != self.version
            && let Some(newer) = self
                .dictionary
                .own_field(self.datatypes, segment, fact.number)
        {
            datatype = newer.datatype;
        }
        if datatype == "varies" {
            let kind = self.page.all(node, 2).first().copied();
            let kind = kind.and_then(|node| self.page.text(node));
            datatype = kind.map_or("", |(text, _)| self.datatype_of(text));
        }
        // What kind of value it is, is said in the words of the version.
        if segment == "OBX" && fact.number == 2 {
            let text = all.first().and_then(|node| self.page.text(*node));
            return text.map_or_else(String::new, |(text, _)| self.datatype_of(text).to_owned());
        }
        let most = match fact.times_max {
            0 => usize::MAX,
            most => most,
        };
        let set = all.iter().filter(|node| self.page.is_set(**node)).count();
        if set > most {
            let told = format!("{segment}-{}: no more than {most} here", fact.number);
            self.dropped.push(told);
        }
        self.repetitions(all, datatype, most)
    }

    /// The name of a datatype in this version.
    fn datatype_of(&self, name: &str) -> &'static str {
        const BEFORE: &[(&str, &str)] = &[("CWE", "CE"), ("DTM", "TS"), ("CNE", "CE")];
        const PLAIN: &[&str] = &[
            "ST", "TX", "FT", "NM", "DT", "TM", "ID", "IS", "DTM", "TS", "SI",
        ];
        let is_there = |name: &str| self.dictionary.has_components(self.datatypes, name);
        let before = BEFORE.iter().find(|(newer, _)| *newer == name);
        match before {
            Some((_, older))
                if !is_there(name) && (name != "DTM" || self.datatypes < Version::V2_6) =>
            {
                older
            }
            _ => {
                let plain = PLAIN.iter().find(|plain| **plain == name).copied();
                plain
                    .or_else(|| self.dictionary.datatype_name(name))
                    .unwrap_or("")
            }
        }
    }

    fn repetitions(&mut self, all: &[usize], datatype: &'static str, most: usize) -> String {
        let texts: Vec<String> = all
            .iter()
            .take(most)
            .map(|node| self.part(*node, datatype, 0))
            .collect();
        let text = texts.join(&char::from(self.delimiters.repetition).to_string());
        let separator = char::from(self.delimiters.repetition);
        text.trim_end_matches(separator).to_owned()
    }

    /// A repetition (depth 0), a component, a subcomponent.
    fn part(&mut self, node: usize, datatype: &str, depth: u8) -> String {
        let highest = self.page.highest(node);
        let has_parts = match datatype {
            "" => true,
            _ => self.dictionary.has_components(self.datatypes, datatype),
        };
        if highest == 0 || depth > 1 || !has_parts {
            if highest > 1 && depth < 2 {
                self.dropped
                    .push(format!("{datatype}: one text in {}", self.datatypes.name()));
            }
            let told = self.page.text(node);
            return told.map_or_else(String::new, |(text, kind)| {
                self.layout(text, kind, datatype)
            });
        }
        let delimiter = char::from(match depth {
            0 => self.delimiters.component,
            _ => self.delimiters.subcomponent,
        });
        let mut parts: Vec<String> = Vec::new();
        for number in 1..=highest {
            let fact = match datatype {
                "" => None,
                _ => self
                    .dictionary
                    .own_component(self.datatypes, datatype, usize::from(number))
                    .filter(|fact| fact.datatype != "WD"),
            };
            let inner = self.page.all(node, number).first().copied();
            let inner = inner.filter(|inner| self.page.is_set(*inner));
            let own = match (inner, number) {
                // A text that got parts later is the first of them.
                (None, 1) => self
                    .page
                    .spot(node)
                    .filter(|spot| spot.text.is_some())
                    .map(|_| node),
                (inner, _) => inner,
            };
            let Some(own) = own else {
                parts.push(String::new());
                continue;
            };
            match fact {
                Some(fact) => {
                    let datatype = fact.datatype;
                    parts.push(self.part(own, datatype, depth + 1));
                }
                None if datatype.is_empty() => parts.push(self.part(own, "", depth + 1)),
                None => {
                    let version = self.datatypes.name();
                    let told = format!("{datatype}.{number}: {version} has no such part");
                    self.dropped.push(told);
                    parts.push(String::new());
                }
            }
        }
        let text = parts.join(&delimiter.to_string());
        text.trim_end_matches(delimiter).to_owned()
    }

    /// A value as HL7 v2 writes it, between delimiters.
    fn layout(&self, text: &str, kind: Option<Primitive>, datatype: &str) -> String {
        let written = match kind {
            Some(Primitive::Date | Primitive::DateTime | Primitive::Instant) => {
                Stamp::parse(text).map(|stamp| stamp.to_compact())
            }
            Some(Primitive::Time) => Some(text.replace(':', "")),
            Some(Primitive::Boolean) => Some(if text == "true" { "Y" } else { "N" }.to_owned()),
            _ => None,
        };
        let mut written = written.unwrap_or_else(|| text.to_owned());
        if datatype == "DT" && kind.is_some() {
            written = written.chars().take(8).collect();
        }
        let formatted = matches!(datatype, "TX" | "FT");
        match escape(&written, &self.delimiters, formatted) {
            Ok(escaped) => escaped.into_owned(),
            // Without an escape character what needs one is left out.
            Err(_) => {
                let plain = |letter: &char| letter.is_alphanumeric() || *letter == ' ';
                written.chars().filter(plain).collect()
            }
        }
    }
}

/// How many segments of each name there were.
#[derive(Debug, Default)]
struct Counts(Vec<(String, usize)>);

impl Counts {
    fn next(&mut self, name: &str) -> usize {
        if let Some((_, count)) = self.0.iter_mut().find(|(known, _)| known == name) {
            *count += 1;
            return *count;
        }
        self.0.push((name.to_owned(), 1));
        1
    }
}
