//! What the standard's versions say: structures of messages, fields of segments, components of datatypes.
//!
//! The facts are text files under `interop/data/hl7v2` (where they come from: `PROVENANCE.md` there), read once; the structure
//! of a message is compiled when it is first asked for. 2.7.1 is read as 2.7, 2.9 as 2.8.2.

mod structure;

use std::collections::HashMap;
use std::sync::{LazyLock, OnceLock};

use super::tree::Message;

pub use structure::{BadStructure, Structure};
pub(crate) use structure::{Node, NodeKind};

const STRUCTURES: &str = include_str!("../../../data/hl7v2/structures.txt");
const EVENTS: &str = include_str!("../../../data/hl7v2/events.txt");
const SEGMENTS: &str = include_str!("../../../data/hl7v2/segments.txt");
const DATATYPES: &str = include_str!("../../../data/hl7v2/datatypes.txt");

macro_rules! versions {
    ($($variant:ident $name:literal)+) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Version { $($variant),+ }

        impl Version {
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }
        }
    };
}

versions! {
    V2_1 "2.1" V2_2 "2.2" V2_3 "2.3" V2_3_1 "2.3.1" V2_4 "2.4" V2_5 "2.5" V2_5_1 "2.5.1" V2_6 "2.6" V2_7 "2.7" V2_8 "2.8"
    V2_8_1 "2.8.1" V2_8_2 "2.8.2"
}

impl Version {
    /// What MSH-12.1 says; what has no facts of its own goes with the version before it, nothing at all with 2.5.1.
    pub fn read(text: &str) -> Self {
        let numbers = |text: &str| -> Vec<u32> {
            text.trim()
                .split('.')
                .map(|number| number.parse().unwrap_or_default())
                .collect()
        };
        let wanted = numbers(text);
        if wanted.first() != Some(&2) || wanted.len() < 2 {
            return Self::V2_5_1;
        }
        let before = Self::ALL
            .iter()
            .rev()
            .find(|version| numbers(version.name()) <= wanted);
        before.copied().unwrap_or(Self::V2_1)
    }

    fn bit(self) -> u16 {
        let place = Self::ALL
            .iter()
            .position(|version| *version == self)
            .unwrap_or_default();
        1 << place
    }
}

/// A set of versions, as the files write it: `2.3-2.5.1,2.7-`.
fn versions(text: &str) -> Option<u16> {
    let place = |name: &str| {
        Version::ALL
            .iter()
            .position(|version| version.name() == name)
    };
    let mut bits = 0;
    for range in text.split(',') {
        let (first, last) = match range.split_once('-') {
            None => (place(range)?, place(range)?),
            Some((first, "")) => (place(first)?, Version::ALL.len() - 1),
            Some((first, last)) => (place(first)?, place(last)?),
        };
        for bit in first..=last {
            bits |= 1u16 << bit;
        }
    }
    Some(bits)
}

/// A field of a segment, or a component of a datatype.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    pub number: usize,
    versions: u16,
    pub datatype: &'static str,
    pub required: bool,
    /// How often it may come; zero says as often as one likes.
    pub times_max: usize,
    pub name: &'static str,
}

#[derive(Debug)]
struct Variant {
    versions: u16,
    text: &'static str,
    compiled: OnceLock<Option<Structure>>,
}

/// Types and events, each with versions and the structure that they have there.
type Events = HashMap<&'static str, Vec<(u16, &'static str)>>;

#[derive(Debug)]
pub struct Dictionary {
    structures: HashMap<&'static str, Vec<Variant>>,
    /// By `ADT^A04`.
    events: Events,
    segments: HashMap<&'static str, Vec<Fact>>,
    datatypes: HashMap<&'static str, Vec<Fact>>,
}

/// A line of the files that does not say what it should; the tests see to it that there is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}, line {line}: expected {expected}")]
pub struct BadData {
    file: &'static str,
    line: usize,
    expected: &'static str,
}

impl Dictionary {
    /// The facts that Kiln comes with.
    pub fn shipped() -> Result<&'static Self, BadData> {
        static SHIPPED: LazyLock<Result<Dictionary, BadData>> = LazyLock::new(Dictionary::read);
        SHIPPED.as_ref().map_err(Clone::clone)
    }

    fn read() -> Result<Self, BadData> {
        Ok(Self {
            structures: read_structures()?,
            events: read_events()?,
            segments: read_facts("segments.txt", SEGMENTS)?,
            datatypes: read_facts("datatypes.txt", DATATYPES)?,
        })
    }

    /// The structure of a message: what MSH-9.3 says where the version has it, else by type and event (table 0354), else
    /// that of another version.
    pub fn structure_of(&self, message: &Message<'_>) -> Option<&Structure> {
        let version = Version::read(&message.of_header(12, 1));
        let (kind, event, named) = (
            message.of_header(9, 1),
            message.of_header(9, 2),
            message.of_header(9, 3),
        );
        // Before 2.3 the event could stand in EVN alone.
        let trigger = message.segments_named("EVN").next();
        let trigger = trigger.and_then(|segment| segment.field(1)?.value());
        let event = if event.is_empty() {
            trigger.unwrap_or(event)
        } else {
            event
        };
        let name = self.structure_name(version, kind.trim(), event.trim(), named.trim())?;
        self.structure(version, &name)
    }

    pub fn structure_name(
        &self,
        version: Version,
        kind: &str,
        event: &str,
        named: &str,
    ) -> Option<String> {
        // Before 2.3.1 an answer could be named ORU without an event; ADT^A01^ADT_A01 names all three.
        let by_event = format!("{kind}_{event}");
        let pair = if event.is_empty() {
            kind.to_owned()
        } else {
            format!("{kind}^{event}")
        };
        let mapped = |versions: u16| {
            let rows = self.events.get(&*pair)?;
            rows.iter()
                .find(|(held, _)| held & versions != 0)
                .map(|(_, name)| (*name).to_owned())
        };
        let has = |name: &str, versions: u16| {
            let variants = self.structures.get(name);
            variants.is_some_and(|all| all.iter().any(|variant| variant.versions & versions != 0))
        };
        for versions in [version.bit(), u16::MAX] {
            for name in [named, &*by_event] {
                if has(name, versions) {
                    return Some(name.to_owned());
                }
            }
            if let Some(name) = mapped(versions) {
                return Some(name);
            }
        }
        None
    }

    /// A structure by its name, of this version or else of the next that has it, or the last.
    pub fn structure(&self, version: Version, name: &str) -> Option<&Structure> {
        let variants = self.structures.get(name)?;
        let later = u16::MAX << version.bit().trailing_zeros();
        let fits = |versions: u16| move |variant: &&Variant| variant.versions & versions != 0;
        let variant = variants
            .iter()
            .find(fits(version.bit()))
            .or_else(|| variants.iter().find(fits(later)))
            .or_else(|| variants.last())?;
        let compile = || Structure::compile(variant.text).ok();
        variant.compiled.get_or_init(compile).as_ref()
    }

    /// A structure as the last version has it that has it at all, and its name.
    pub fn newest(&'static self, name: &str) -> Option<(&'static str, &'static Structure)> {
        let (name, variants) = self.structures.get_key_value(name)?;
        let newest = variants
            .iter()
            .max_by_key(|variant| variant.versions.ilog2());
        let variant = newest?;
        let compile = || Structure::compile(variant.text).ok();
        Some((name, variant.compiled.get_or_init(compile).as_ref()?))
    }

    /// A segment's name, if any version knows it.
    pub(crate) fn segment_name(&self, name: &str) -> Option<&'static str> {
        self.segments.get_key_value(name).map(|(name, _)| *name)
    }

    /// The name of a datatype with components, if any version knows it.
    pub(crate) fn datatype_name(&self, name: &str) -> Option<&'static str> {
        self.datatypes.get_key_value(name).map(|(name, _)| *name)
    }

    /// Whether any version knows a datatype of that name that has components.
    pub fn knows_datatype(&self, name: &str) -> bool {
        self.datatypes.contains_key(name)
    }

    /// Whether any version knows a segment of that name.
    pub fn knows_segment(&self, name: &str) -> bool {
        self.segments.contains_key(name)
    }

    /// A field as this version has it; as the nearest one has it where this one does not.
    pub fn field(&self, version: Version, segment: &str, number: usize) -> Option<&Fact> {
        fact(self.segments.get(segment)?, version, number)
    }

    /// A field, if this very version has it.
    pub fn own_field(&self, version: Version, segment: &str, number: usize) -> Option<&Fact> {
        own(self.segments.get(segment)?, version, number)
    }

    /// A component of a datatype, if this very version has it.
    pub fn own_component(&self, version: Version, datatype: &str, number: usize) -> Option<&Fact> {
        own(self.datatypes.get(datatype)?, version, number)
    }

    /// Whether a datatype of that name has components in this version.
    pub fn has_components(&self, version: Version, datatype: &str) -> bool {
        let facts = self.datatypes.get(datatype).into_iter().flatten();
        facts
            .into_iter()
            .any(|fact| fact.versions & version.bit() != 0)
    }

    /// How many fields a segment has in this version.
    pub fn field_count(&self, version: Version, segment: &str) -> usize {
        let facts = self.segments.get(segment).into_iter().flatten();
        facts
            .filter(|fact| fact.versions & version.bit() != 0)
            .map(|fact| fact.number)
            .max()
            .unwrap_or_default()
    }

    /// A component of a datatype; nothing where the type has no components.
    pub fn component(&self, version: Version, datatype: &str, number: usize) -> Option<&Fact> {
        fact(self.datatypes.get(datatype)?, version, number)
    }
}

fn own(facts: &[Fact], version: Version, number: usize) -> Option<&Fact> {
    let mut all = facts.iter();
    all.find(|fact| fact.number == number && fact.versions & version.bit() != 0)
}

fn fact(facts: &[Fact], version: Version, number: usize) -> Option<&Fact> {
    let mut found = None;
    for fact in facts.iter().filter(|fact| fact.number == number) {
        if fact.versions & version.bit() != 0 {
            return Some(fact);
        }
        found = Some(fact);
    }
    found
}

/// Lines that say something, with their numbers; `true` for those that are indented.
fn lines(text: &'static str) -> impl Iterator<Item = (usize, bool, &'static str)> {
    let numbered = text
        .lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line.starts_with(' '), line.trim()));
    numbered.filter(|(_, _, line)| !line.is_empty() && !line.starts_with('#'))
}

fn read_structures() -> Result<HashMap<&'static str, Vec<Variant>>, BadData> {
    let mut found: HashMap<_, Vec<_>> = HashMap::new();
    let mut name = "";
    for (line, indented, text) in lines(STRUCTURES) {
        if !indented {
            name = text;
            continue;
        }
        let bad = BadData {
            file: "structures.txt",
            line,
            expected: "versions, then the structure",
        };
        let (held, text) = text.split_once(' ').ok_or_else(|| bad.clone())?;
        let versions = versions(held).ok_or(bad)?;
        found.entry(name).or_default().push(Variant {
            versions,
            text,
            compiled: OnceLock::new(),
        });
    }
    Ok(found)
}

fn read_events() -> Result<Events, BadData> {
    let mut found: HashMap<_, Vec<_>> = HashMap::new();
    for (line, _, text) in lines(EVENTS) {
        let bad = BadData {
            file: "events.txt",
            line,
            expected: "a structure, versions, then events",
        };
        let mut words = text.split(' ');
        let name = words.next().ok_or_else(|| bad.clone())?;
        let versions = words.next().and_then(versions).ok_or(bad)?;
        for pair in words {
            found.entry(pair).or_default().push((versions, name));
        }
    }
    Ok(found)
}

fn read_facts(
    file: &'static str,
    text: &'static str,
) -> Result<HashMap<&'static str, Vec<Fact>>, BadData> {
    let mut found: HashMap<_, Vec<_>> = HashMap::new();
    let mut name = "";
    for (line, indented, text) in lines(text) {
        if !indented {
            name = text;
            continue;
        }
        let read = read_fact(text).ok_or(BadData {
            file,
            line,
            expected: "number, versions, datatype, name",
        })?;
        found.entry(name).or_default().push(read);
    }
    Ok(found)
}

fn read_fact(line: &'static str) -> Option<Fact> {
    let mut words = line.splitn(4, ' ');
    let number = words.next()?.parse().ok()?;
    let versions = versions(words.next()?)?;
    let marked = words.next()?;
    let (marked, times_max) = match marked.split_once('*') {
        None => (marked, 1),
        Some((marked, "")) => (marked, 0),
        Some((marked, times)) => (marked, times.parse().ok()?),
    };
    let datatype = marked.trim_end_matches('!');
    let required = datatype.len() < marked.len();
    Some(Fact {
        number,
        versions,
        datatype,
        required,
        times_max,
        name: words.next().unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shipped() -> &'static Dictionary {
        Dictionary::shipped().unwrap()
    }

    #[test]
    fn every_structure_compiles_and_knows_its_segments() {
        let mut count = 0;
        for (name, variants) in &shipped().structures {
            for variant in variants {
                let structure = Structure::compile(variant.text)
                    .unwrap_or_else(|fault| panic!("{name}: {fault}"));
                assert!(structure.segment_names().next().is_some(), "{name}");
                for segment in structure.segment_names() {
                    let known = shipped().knows_segment(segment)
                        || matches!(segment, "ANY" | "Hxx")
                        || segment.starts_with('Z');
                    assert!(known, "{name}: {segment}");
                }
                count += 1;
            }
        }
        assert!(count > 900, "{count}");
    }

    #[test]
    fn every_event_leads_to_a_structure_that_its_versions_have() {
        for (pair, rows) in &shipped().events {
            for (versions, name) in rows {
                for version in Version::ALL
                    .iter()
                    .filter(|version| version.bit() & versions != 0)
                {
                    let variants = shipped()
                        .structures
                        .get(name)
                        .unwrap_or_else(|| panic!("{pair}: {name}"));
                    assert!(
                        variants
                            .iter()
                            .any(|variant| variant.versions & version.bit() != 0),
                        "{pair} {name} {version:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn every_datatype_of_a_field_is_known_or_simple() {
        let simple = "SI ST ID IS NM TX FT DT TM DTM TN GTS varies WD SNM NUL CM ISO ICD";
        let mut unknown: Vec<_> = shipped()
            .segments
            .values()
            .flatten()
            .map(|fact| fact.datatype)
            .collect();
        unknown.sort_unstable();
        unknown.dedup();
        unknown.retain(|name| {
            !shipped().datatypes.contains_key(name)
                && !simple.split(' ').any(|known| known == *name)
        });
        assert!(unknown.len() < 12, "{unknown:?}");
    }

    #[test]
    fn names_of_structures() {
        let name = |version: &str, kind: &str, event: &str, named: &str| {
            shipped()
                .structure_name(Version::read(version), kind, event, named)
                .unwrap_or_default()
        };
        for (version, kind, event, named, structure) in [
            ("2.5.1", "ADT", "A08", "", "ADT_A01"),
            ("2.5.1", "ADT", "A08", "ADT_A01", "ADT_A01"),
            ("2.5.1", "ADT", "A08", "ADT_A08", "ADT_A01"),
            ("2.3", "ADT", "A40", "", "ADT_A39"),
            ("2.2", "ADT", "A08", "", "ADT_A01"),
            ("2.5.1", "ADT", "A28", "", "ADT_A05"),
            ("2.3", "RDE", "O01", "", "RDE_O01"),
            ("2.5.1", "RDE", "O01", "", "RDE_O11"),
            ("2.5.1", "RDE", "O01", "RDE_O01", "RDE_O11"),
            ("2.5.1", "RDE", "O25", "", "RDE_O11"),
            ("2.4", "ORU", "R01", "", "ORU_R01"),
            ("2.1", "ORU", "", "", "ORU_R01"),
            ("2.3.1", "SIU", "S14", "", "SIU_S12"),
            ("2.5", "MDM", "T11", "", "MDM_T01"),
            ("2.8", "ORM", "O01", "", "ORM_O01"),
            ("2.5.1", "ACK", "A08", "ACK", "ACK"),
            ("2.5.1", "ACK", "", "", "ACK"),
            ("2.1", "ADT", "", "", "ADT_A01"),
            ("2.5.1", "XYZ", "Q99", "", ""),
        ] {
            assert_eq!(
                name(version, kind, event, named),
                structure,
                "{version} {kind}^{event}^{named}"
            );
        }
    }

    #[test]
    fn facts_of_versions() {
        let field = |version: &str, segment: &str, number| {
            let fact = shipped()
                .field(Version::read(version), segment, number)
                .unwrap();
            (fact.datatype, fact.required, fact.times_max)
        };
        assert_eq!(field("2.5.1", "PID", 3), ("CX", true, 0));
        assert_eq!(field("2.1", "PID", 3), ("CK", true, 1));
        assert_eq!(field("2.5.1", "PID", 8), ("IS", false, 1));
        assert_eq!(field("2.8.2", "PID", 8), ("CWE", false, 1));
        assert_eq!(field("2.9", "OBX", 5).0, "varies");
        assert_eq!(shipped().field_count(Version::V2_5_1, "PID"), 39);
        assert_eq!(
            shipped()
                .component(Version::V2_5_1, "CX", 4)
                .unwrap()
                .datatype,
            "HD"
        );
        assert_eq!(shipped().component(Version::V2_5_1, "ST", 1), None);
        for (text, version) in [
            ("2.7.1", Version::V2_7),
            ("2.9", Version::V2_8_2),
            ("2.5.1", Version::V2_5_1),
            ("", Version::V2_5_1),
            ("2.0", Version::V2_1),
            ("3", Version::V2_5_1),
            (" 2.3 ", Version::V2_3),
        ] {
            assert_eq!(Version::read(text), version, "{text}");
        }
    }
}
