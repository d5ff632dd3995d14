//! The words of a map about HL7 v2: groups, segments, fields, components, held against what the standard says.
//!
//! A map is written for one structure, the newest that has its name; messages of older versions are read by the same one.
//! What is asked: from the message or a group `PV1-19.1`, `OBSERVATION.OBX-5`, `ORDER_OBSERVATION`; from a segment only its own
//! fields, `OBX-5[2].1`; from a datatype its components, `CX.4.1`.

use crate::mapping::source::{Found, NodeKind, Schema, Step};

use super::dictionary::{Dictionary, Node, NodeKind as Place, Structure, Version};

/// By what maps are written.
pub(super) const NEWEST: Version = Version::V2_8_2;

/// Names of segments are numbers of three digits to the base 36; those of groups come behind them.
const SEGMENTS: u16 = 36 * 36 * 36;
/// Kinds: groups by their place in the structure, then segments and datatypes by the numbers of their names.
const SEGMENT_KINDS: u32 = 0x1_0000;
const DATATYPE_KINDS: u32 = 0x1000_0000;
/// Datatypes that are one text.
const SIMPLE: &[&str] = &[
    "ST", "ID", "IS", "TX", "FT", "NM", "SI", "DT", "TM", "DTM", "TN", "GTS", "WD", "SNM", "NUL",
    "CM", "ISO", "ICD",
];
/// Datatypes that go by another name now.
const FORMER: &[(&str, &str)] = &[
    ("CE", "CWE"),
    ("CNE", "CWE"),
    ("CF", "CWE"),
    ("TS", "DTM"),
    ("CK", "CX"),
    ("CN", "XCN"),
    ("PN", "XPN"),
    ("AD", "XAD"),
];

/// One structure of messages.
#[derive(Debug, Clone, Copy)]
pub struct MessageSchema {
    dictionary: &'static Dictionary,
    structure: &'static Structure,
    name: &'static str,
}

/// The number of a segment's name; none for what is no name of one.
pub(super) fn segment_number(name: &str) -> Option<u16> {
    let digits: &[u8; 3] = name.as_bytes().try_into().ok()?;
    let mut number = 0u16;
    for digit in digits {
        number = number * 36 + digit_of(*digit)?;
    }
    Some(number)
}

/// The name behind the number of a segment; none for groups.
pub(super) fn segment_name(number: u16) -> Option<String> {
    (number < SEGMENTS).then(|| name_of(u32::from(number), 3))
}

fn digit_of(letter: u8) -> Option<u16> {
    match letter {
        b'0'..=b'9' => Some(u16::from(letter - b'0')),
        b'A'..=b'Z' => Some(u16::from(letter - b'A') + 10),
        _ => None,
    }
}

/// The number of a group, by its place in the structure.
pub(super) fn group_number(node: u32) -> Option<u16> {
    u16::try_from(node).ok()?.checked_add(SEGMENTS)
}

fn datatype_kind(name: &str) -> NodeKind {
    let number = name.bytes().try_fold(0u32, |number, letter| {
        number
            .checked_mul(36)?
            .checked_add(u32::from(digit_of(letter)?))
    });
    let number = number.and_then(|number| number.checked_add(DATATYPE_KINDS));
    number.map_or(NodeKind::ANY, NodeKind)
}

fn current(datatype: &str) -> &str {
    let former = FORMER.iter().find(|(former, _)| *former == datatype);
    former.map_or(datatype, |(_, current)| current)
}

/// Where a path leads that has come down so far.
enum Target {
    Group(usize),
    Segment(&'static str, u16),
    /// One that the structure does not know: Z-segments.
    Foreign,
}

impl MessageSchema {
    /// The structure of that name, such as `ORU_R01`.
    pub fn new(dictionary: &'static Dictionary, name: &str) -> Option<Self> {
        let (name, structure) = dictionary.newest(name)?;
        Some(Self {
            dictionary,
            structure,
            name,
        })
    }

    pub fn structure(&self) -> &'static Structure {
        self.structure
    }

    /// The name of the structure.
    pub fn name(&self) -> &'static str {
        self.name
    }

    fn node(&self, place: usize) -> Option<&'static Node> {
        self.structure.nodes.get(place)
    }

    /// A child of a group by its name, or else one of the groups in it: the nearest.
    fn find(&self, group: usize, name: &str) -> Option<(Vec<Step>, Target, bool)> {
        let bit = self.structure.bit(name);
        let mut level: Vec<(usize, Vec<Step>)> = vec![(group, Vec::new())];
        while !level.is_empty() {
            let mut deeper = Vec::new();
            for (group, steps) in level {
                let children = &self.node(group)?.children;
                for place in children {
                    let node = self.node(*place)?;
                    match node.kind {
                        Place::Group => {
                            let mut steps = steps.clone();
                            steps.push(step(group_number(u32::try_from(*place).ok()?)?));
                            if node.name == name {
                                return Some((steps, Target::Group(*place), node.repeats));
                            }
                            deeper.push((*place, steps));
                        }
                        Place::Segment if node.any & bit != 0 => {
                            let number = segment_number(name)?;
                            let steps = [steps, vec![step(number)]].concat();
                            // A group can have a place for it here and one there.
                            let places = children.iter().filter(|place| {
                                self.node(**place).is_some_and(|node| {
                                    node.kind == Place::Segment && node.any & bit != 0
                                })
                            });
                            let repeats = node.repeats || places.count() > 1;
                            let name = self.structure.segment_names().find(|known| *known == name);
                            return Some((steps, Target::Segment(name?, number), repeats));
                        }
                        Place::Segment => {}
                    }
                }
            }
            level = deeper;
        }
        None
    }

    fn in_group(&self, group: usize, text: &str) -> Result<Found, String> {
        let (names, fields) = match text.split_once('-') {
            Some((names, fields)) => (names, Some(fields)),
            None => (text, None),
        };
        let (mut group, mut steps, mut target, mut repeats) =
            (group, Vec::new(), Target::Group(group), false);
        for word in names.split('.') {
            let (name, repetition) = bracketed(word)?;
            if let Target::Segment(..) | Target::Foreign = target {
                return Err("fields of a segment behind a hyphen, such as PID-3".to_owned());
            }
            let found = self.find(group, name).or_else(|| self.foreign(name));
            let Some((more, found, may_repeat)) = found else {
                return Err(self.expected(group));
            };
            steps.extend(more);
            if let (Some(last), Some(_)) = (steps.last_mut(), repetition) {
                last.repetition = repetition;
            }
            repeats = may_repeat && repetition.is_none();
            if let Target::Group(place) = found {
                group = place;
            }
            target = found;
        }
        let (kind, name) = match (&target, fields) {
            (Target::Group(_), Some(_)) => {
                return Err("a segment before the hyphen, such as PID-3".to_owned());
            }
            (Target::Group(place), None) => {
                let place = u32::try_from(*place).unwrap_or_default();
                return Ok(found(steps, NodeKind(place), repeats));
            }
            (Target::Segment(name, number), _) => {
                (NodeKind(SEGMENT_KINDS + u32::from(*number)), Some(*name))
            }
            (Target::Foreign, _) => (NodeKind::ANY, None),
        };
        match fields {
            None => Ok(found(steps, kind, repeats)),
            Some(fields) => self.fields(steps, name, fields),
        }
    }

    /// A segment that the structure does not have, or of the sender's own making: it may come all the same.
    fn foreign(&self, name: &str) -> Option<(Vec<Step>, Target, bool)> {
        // What it has, it has in another group.
        if self.structure.bit(name) != 0 {
            return None;
        }
        let number = segment_number(name)?;
        let target = if name.starts_with('Z') {
            Target::Foreign
        } else {
            Target::Segment(self.dictionary.segment_name(name)?, number)
        };
        Some((vec![step(number)], target, true))
    }

    fn expected(&self, group: usize) -> String {
        let nodes = self.node(group).map(|node| node.children.as_slice());
        let names = nodes.unwrap_or_default().iter();
        let names: Vec<&str> = names
            .filter_map(|place| Some(self.node(*place)?.name))
            .take(12)
            .collect();
        let place = match self.node(group).map(|node| node.name) {
            Some("") | None => self.name,
            Some(name) => name,
        };
        format!(
            "a segment or group of {place}, such as {}",
            names.join(", ")
        )
    }

    /// `3[2].1.2` of a segment; without a name of one that nothing is known of.
    fn fields(
        &self,
        mut steps: Vec<Step>,
        segment: Option<&'static str>,
        text: &str,
    ) -> Result<Found, String> {
        let mut words = text.split('.');
        let (number, repetition) = bracketed(words.next().unwrap_or_default())?;
        let number = place_of(number)?;
        let fact = segment.map(|segment| {
            let fact = self.dictionary.field(NEWEST, segment, usize::from(number));
            fact.ok_or_else(|| {
                let count = self.dictionary.field_count(NEWEST, segment);
                format!("a field of {segment}, which has {count}")
            })
        });
        let fact = fact.transpose()?;
        steps.push(Step { number, repetition });
        let words: Vec<&str> = words.collect();
        let repeats = fact.is_none_or(|fact| fact.times_max != 1);
        let is_whole = words.is_empty();
        let datatypes = segment.map(|segment| self.datatypes(segment, usize::from(number)));
        let kind = self.components_of_any(&mut steps, &datatypes.unwrap_or_default(), &words)?;
        Ok(found(
            steps,
            kind,
            is_whole && repeats && repetition.is_none(),
        ))
    }

    /// What a field was made of in any version, the newest first: messages of all of them come.
    fn datatypes(&self, segment: &str, number: usize) -> Vec<&'static str> {
        let mut all = Vec::new();
        for version in Version::ALL.iter().rev() {
            let fact = self.dictionary.field(*version, segment, number);
            let datatype = fact.map(|fact| fact.datatype);
            // What was withdrawn is still sent as it was.
            if let Some(datatype) = datatype.filter(|name| !matches!(*name, "WD" | "NUL" | "CM"))
                && !all.contains(&datatype)
            {
                all.push(datatype);
            }
        }
        all
    }

    /// Down from whichever of the datatypes has such components. Where they differ in what is found, anything may stand there.
    fn components_of_any(
        &self,
        steps: &mut Vec<Step>,
        datatypes: &[&'static str],
        words: &[&str],
    ) -> Result<NodeKind, String> {
        let Some((newest, former)) = datatypes.split_first() else {
            return self.components(steps, None, words);
        };
        let from = steps.len();
        let mut found = self.components(steps, Some(newest), words);
        for datatype in former {
            let mut other = steps.get(..from).unwrap_or_default().to_vec();
            let kind = self.components(&mut other, Some(datatype), words);
            match (&found, kind) {
                (Err(_), Ok(kind)) => {
                    *steps = other;
                    found = Ok(kind);
                }
                // One text goes as the first part of what has parts.
                (Ok(known), Ok(kind)) if *known != kind && kind != NodeKind::ANY => {
                    found = Ok(NodeKind::ANY);
                }
                _ => {}
            }
        }
        found
    }

    /// Down from a datatype; without one, nothing is checked.
    fn components(
        &self,
        steps: &mut Vec<Step>,
        datatype: Option<&'static str>,
        words: &[&str],
    ) -> Result<NodeKind, String> {
        let mut datatype = datatype.filter(|name| *name != "varies");
        if words.len() > 2 {
            return Err("no more than a component and a subcomponent".to_owned());
        }
        for word in words {
            let number = place_of(word)?;
            steps.push(step(number));
            let Some(name) = datatype else { continue };
            let fact = self.dictionary.component(NEWEST, name, usize::from(number));
            datatype = match fact {
                // What was withdrawn is still sent as it was.
                Some(fact) => Some(fact.datatype).filter(|name| *name != "WD"),
                None if SIMPLE.contains(&name) && number == 1 => Some(name),
                None if SIMPLE.contains(&name) => {
                    return Err(format!("no component: a {name} has none"));
                }
                None => return Err(format!("a component of {name}")),
            };
        }
        // Who sends an older version may send what has components now as one text, and the other way round.
        Ok(match datatype {
            Some(name) if !SIMPLE.contains(&name) => datatype_kind(current(name)),
            _ => NodeKind::ANY,
        })
    }
}

fn step(number: u16) -> Step {
    Step {
        number,
        repetition: None,
    }
}

fn found(steps: Vec<Step>, kind: NodeKind, repeats: bool) -> Found {
    Found {
        steps,
        kind,
        repeats,
    }
}

/// `OBX[2]`: what stands before the bracket, and which repetition is meant, counted from zero.
fn bracketed(word: &str) -> Result<(&str, Option<u16>), String> {
    let Some((name, rest)) = word.split_once('[') else {
        return Ok((word, None));
    };
    let number = rest.strip_suffix(']').map(place_of).transpose()?;
    let number = number.ok_or_else(|| "a bracket that is closed, such as [2]".to_owned())?;
    Ok((name, number.checked_sub(1)))
}

fn place_of(word: &str) -> Result<u16, String> {
    let number = word.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| "a number from 1 on".to_owned())
}

impl Schema for MessageSchema {
    fn root(&self) -> NodeKind {
        NodeKind(0)
    }

    fn kind(&self, name: &str) -> Option<NodeKind> {
        if let Some(number) = segment_number(name) {
            let is_known = self.dictionary.knows_segment(name) || name.starts_with('Z');
            let is_datatype = self.dictionary.knows_datatype(name);
            if is_known && !is_datatype {
                return Some(NodeKind(SEGMENT_KINDS + u32::from(number)));
            }
        }
        let is_known = self.dictionary.knows_datatype(name) || SIMPLE.contains(&name);
        is_known.then(|| datatype_kind(current(name)))
    }

    fn path(&self, from: NodeKind, text: &str) -> Result<Found, String> {
        if from == NodeKind::ANY {
            return Err("a path from the segment or group".to_owned());
        }
        if from.0 < SEGMENT_KINDS {
            return self.in_group(usize::try_from(from.0).unwrap_or_default(), text);
        }
        let is_segment = from.0 < DATATYPE_KINDS;
        let own = match is_segment {
            true => name_of(from.0 - SEGMENT_KINDS, 3),
            false => name_of(from.0 - DATATYPE_KINDS, 0),
        };
        if is_segment {
            if text == own {
                return Ok(found(Vec::new(), from, false));
            }
            let rest = text
                .strip_prefix(&*own)
                .and_then(|rest| rest.strip_prefix('-'));
            let rest = rest.ok_or_else(|| format!("a field of {own}, such as {own}-1"))?;
            let known = self.dictionary.segment_name(&own);
            return self.fields(Vec::new(), known, rest);
        }
        let (name, rest) = text.split_once('.').unwrap_or((text, ""));
        if datatype_kind(current(name)) != from {
            return Err(format!("a component of {own}, such as {own}.1"));
        }
        let datatype = self.dictionary.datatype_name(name);
        let words: Vec<&str> = rest.split('.').filter(|_| !rest.is_empty()).collect();
        let mut steps = Vec::new();
        let kind = self.components(&mut steps, datatype, &words)?;
        let kind = if words.is_empty() { from } else { kind };
        Ok(found(steps, kind, false))
    }
}

/// The name behind a number to the base 36; zeros before it are digits only where it has a length.
fn name_of(mut number: u32, length: usize) -> String {
    let mut letters = Vec::new();
    while number > 0 || letters.len() < length {
        let digit = number % 36;
        letters.push(
            char::from_digit(digit, 36)
                .unwrap_or('?')
                .to_ascii_uppercase(),
        );
        number /= 36;
    }
    letters.iter().rev().collect()
}
