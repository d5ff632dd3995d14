//! A pack: files of maps, parts and tables that belong together. Maps are compiled out of it; overlays are laid over it.

use super::error::{BadMap, Problem};
use super::parse::parse;
use super::row::outward::{Message, OutPart, SharedLines};
use super::row::{File, Map, Overlay, Part, Shared, Table, Word};

/// What the files say, all in one.
#[derive(Debug, Clone, Default)]
pub struct Pack {
    pub(super) maps: Vec<Map>,
    pub(super) shared: Vec<Shared>,
    /// Shared blocks that no map includes.
    pub(super) never_included: Vec<Word>,
    pub(super) parts: Vec<Part>,
    pub(super) tables: Vec<Table>,
    pub(super) overlays: Vec<Overlay>,
    /// What is said of the way out.
    pub(super) messages: Vec<Message>,
    pub(super) shared_lines: Vec<SharedLines>,
    pub(super) out_parts: Vec<OutPart>,
}

impl Pack {
    /// Reads files, each with its name. All that is wrong in any of them comes back at once.
    pub fn read<'f>(files: impl IntoIterator<Item = (&'f str, &'f str)>) -> Result<Self, BadMap> {
        let mut pack = Self::default();
        let mut problems = Vec::new();
        for (name, text) in files {
            let (file, mut wrong) = parse(name, text);
            problems.append(&mut wrong);
            pack.take(file, &mut problems);
        }
        pack.include(&mut problems);
        pack.include_lines(&mut problems);
        if problems.is_empty() {
            Ok(pack)
        } else {
            Err(BadMap(problems))
        }
    }

    fn take(&mut self, file: File, problems: &mut Vec<Problem>) {
        once(
            "map",
            &self.maps,
            &file.maps,
            |map| (&map.name, "", false),
            problems,
        );
        once(
            "group of blocks",
            &self.shared,
            &file.shared,
            |shared| (&shared.name, "", false),
            problems,
        );
        once(
            "segment or type map",
            &self.parts,
            &file.parts,
            |part| (&part.name, &part.target.text, part.is_type),
            problems,
        );
        once(
            "code table",
            &self.tables,
            &file.tables,
            |table| (&table.name, "", false),
            problems,
        );
        once(
            "segment or type map for the way out",
            &self.out_parts,
            &file.out_parts,
            |part| (&part.name, &part.target.text, part.is_type),
            problems,
        );
        self.maps.extend(file.maps);
        self.shared.extend(file.shared);
        self.parts.extend(file.parts);
        self.tables.extend(file.tables);
        self.overlays.extend(file.overlays);
        self.messages.extend(file.messages);
        self.shared_lines.extend(file.shared_lines);
        self.out_parts.extend(file.out_parts);
    }

    pub(super) fn map(&self, name: &str) -> Option<&Map> {
        self.maps.iter().find(|map| map.name.text == name)
    }

    pub(super) fn part(&self, place: usize) -> Option<&Part> {
        self.parts.get(place)
    }

    /// The maps of the pack, and of what format their sources are.
    pub fn maps(&self) -> impl Iterator<Item = (&str, &str)> {
        self.maps
            .iter()
            .map(|map| (map.name.text.as_str(), map.format.text.as_str()))
    }

    /// The maps of a format, and what each of them serves.
    pub fn serving(&self, format: &str) -> impl Iterator<Item = (&str, Vec<&str>)> {
        let maps = self.maps.iter();
        maps.filter(move |map| map.format.text == format)
            .map(|map| {
                let serves = map.serves.iter().map(|word| word.text.as_str());
                (map.name.text.as_str(), serves.collect())
            })
    }

    /// The columns that a map declares; a `?` at the end says that one may be missing.
    pub fn columns(&self, map: &str) -> Vec<&str> {
        let map = self.map(map);
        map.into_iter()
            .flat_map(|map| &map.columns)
            .map(|word| word.text.as_str())
            .collect()
    }

    /// The constants of a map; one without a value must be given one.
    pub fn constants(&self, map: &str) -> Vec<(String, Option<String>)> {
        let constants = self.map(map).into_iter().flat_map(|map| &map.constants);
        let told = constants.map(|constant| {
            let value = constant.value.clone();
            (constant.name.text.clone(), value)
        });
        told.collect()
    }

    /// Whether some map takes a constant of that name.
    pub fn has_constant(&self, name: &str) -> bool {
        let of_messages = self.messages.iter().flat_map(|message| &message.constants);
        let mut constants = self
            .maps
            .iter()
            .flat_map(|map| &map.constants)
            .chain(of_messages);
        constants.any(|constant| constant.name.text == name)
    }

    /// Overlays that came in with the files.
    pub fn overlays(&self) -> impl Iterator<Item = &str> {
        self.overlays
            .iter()
            .map(|overlay| overlay.name.text.as_str())
    }
}

/// A name, for what it is, and whether it is of a type.
type Key<'k> = (&'k Word, &'k str, bool);

/// Tells what is new and has the name of something that is there already.
fn once<T>(
    what: &str,
    there: &[T],
    new: &[T],
    key: fn(&T) -> Key<'_>,
    problems: &mut Vec<Problem>,
) {
    for item in new {
        let (word, target, is_type) = key(item);
        let is_there = there.iter().map(key).any(|(other, of, is_of_type)| {
            other.text == word.text && of == target && is_of_type == is_type
        });
        if is_there {
            let expected = format!("another name: there is a {what} of this name");
            problems.push(Problem::new(word.at.clone(), expected).found(&word.text));
        }
    }
}
