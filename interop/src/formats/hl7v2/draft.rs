//! A message that can be changed, and written.

use super::escape::{NoEscape, escape};
use super::tree::{Message, is_header};
use super::{Delimiters, FIELDS_MAX, Path};

/// Segments of fields, each as it stands between delimiters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    delimiters: Delimiters,
    segments: Vec<Lines>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Lines {
    name: String,
    fields: Vec<String>,
}

/// The highest number of a repetition, component or subcomponent that can be written to.
const PART_MAX: usize = 10_000;

/// Why a value cannot stand there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Misplaced {
    #[error("{0}: there is no such segment")]
    NoSegment(String),
    #[error("{0}: names no field that can be written to")]
    NoField(String),
    #[error("{0}: the message has no delimiter for this")]
    NoDelimiter(String),
    #[error("{path}: {source}")]
    Escape { path: String, source: NoEscape },
}

impl Draft {
    /// A message of one segment, MSH, which says its delimiters.
    pub fn new(delimiters: Delimiters) -> Self {
        let fields = vec![
            char::from(delimiters.field).to_string(),
            delimiters.encoding_characters(),
        ];
        Self {
            delimiters,
            segments: vec![Lines {
                name: "MSH".to_owned(),
                fields,
            }],
        }
    }

    /// Takes a message over to change it.
    pub fn of(message: &Message<'_>) -> Self {
        let segments = message.segments().map(|segment| Lines {
            name: segment.name().to_owned(),
            fields: segment
                .fields()
                .map(|field| field.raw().to_owned())
                .collect(),
        });
        Self {
            delimiters: message.delimiters(),
            segments: segments.collect(),
        }
    }

    pub fn delimiters(&self) -> Delimiters {
        self.delimiters
    }

    pub fn segment_count(&self) -> usize {
        self.segments.len()
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().map(|segment| &*segment.name)
    }

    /// Adds a segment at the end.
    pub fn add(&mut self, name: &str) -> &mut Self {
        self.insert(self.segments.len(), name)
    }

    /// Adds a segment before the one at `index`.
    pub fn insert(&mut self, index: usize, name: &str) -> &mut Self {
        let segment = Lines {
            name: name.to_owned(),
            fields: Vec::new(),
        };
        self.segments
            .insert(index.min(self.segments.len()), segment);
        self
    }

    pub fn remove(&mut self, index: usize) {
        if index < self.segments.len() {
            self.segments.remove(index);
        }
    }

    /// Puts a text at a path, escaped; in the last segment of that name unless the path says which.
    pub fn set(&mut self, path: &Path, text: &str) -> Result<(), Misplaced> {
        self.set_escaped(path, text, false)
    }

    /// As [`Self::set`], for formatted text (FT, TX): line feeds become breaks.
    pub fn set_formatted(&mut self, path: &Path, text: &str) -> Result<(), Misplaced> {
        self.set_escaped(path, text, true)
    }

    fn set_escaped(&mut self, path: &Path, text: &str, formatted: bool) -> Result<(), Misplaced> {
        let raw =
            escape(text, &self.delimiters, formatted).map_err(|source| Misplaced::Escape {
                path: path.to_string(),
                source,
            })?;
        self.set_raw(path, &raw)
    }

    /// Says that what the receiver has there is to be deleted.
    pub fn set_null(&mut self, path: &Path) -> Result<(), Misplaced> {
        self.set_raw(path, "\"\"")
    }

    /// Puts what stands between delimiters, escapes and all.
    pub fn set_raw(&mut self, path: &Path, raw: &str) -> Result<(), Misplaced> {
        let delimiters = self.delimiters;
        let mut named = self
            .segments
            .iter_mut()
            .filter(|segment| segment.name == path.segment());
        let segment = match path.occurrence() {
            Some(number) => number.checked_sub(1).and_then(|index| named.nth(index)),
            None => named.next_back(),
        };
        let segment = segment.ok_or_else(|| Misplaced::NoSegment(path.to_string()))?;
        let opaque = if is_header(&segment.name) { 2 } else { 0 };
        let field = path
            .field()
            .filter(|field| (opaque + 1..=FIELDS_MAX).contains(field));
        let numbers = [path.repetition(), path.component(), path.subcomponent()];
        let in_bounds = numbers
            .iter()
            .flatten()
            .all(|number| (1..=PART_MAX).contains(number));
        let field = field
            .filter(|_| in_bounds)
            .ok_or_else(|| Misplaced::NoField(path.to_string()))?;
        if segment.fields.len() < field {
            segment.fields.resize(field, String::new());
        }
        let levels = [
            delimiters.repetition,
            delimiters.component,
            delimiters.subcomponent,
        ];
        let depth = numbers
            .iter()
            .rposition(Option::is_some)
            .map_or(0, |last| last + 1);
        let steps: Vec<(u8, usize)> = levels
            .into_iter()
            .zip(numbers)
            .take(depth)
            .map(|(delimiter, number)| (delimiter, number.unwrap_or(1)))
            .collect();
        if steps
            .iter()
            .any(|(delimiter, number)| *delimiter == 0 && *number > 1)
        {
            return Err(Misplaced::NoDelimiter(path.to_string()));
        }
        if let Some(place) = segment.fields.get_mut(field - 1) {
            *place = replaced(place, &steps, raw);
        }
        Ok(())
    }

    /// The text of the message: every segment ended by a carriage return.
    pub fn write(&self) -> String {
        let mut text = String::new();
        let separator = char::from(self.delimiters.field);
        for segment in &self.segments {
            text.push_str(&segment.name);
            let first = if is_header(&segment.name) { 1 } else { 0 };
            for field in segment.fields.iter().skip(first) {
                // MSH-1 is the separator before MSH-2.
                text.push(separator);
                text.push_str(field);
            }
            text.push('\r');
        }
        text
    }
}

/// The value with one of its parts replaced, as deep as there are steps.
fn replaced(value: &str, steps: &[(u8, usize)], raw: &str) -> String {
    let Some(((delimiter, number), deeper)) = steps.split_first() else {
        return raw.to_owned();
    };
    if *delimiter == 0 {
        return replaced(value, deeper, raw);
    }
    let delimiter = char::from(*delimiter);
    // A part of what was to be deleted: now there is something.
    let value = if value == "\"\"" { "" } else { value };
    let mut parts: Vec<_> = value.split(delimiter).map(str::to_owned).collect();
    if parts.len() < *number {
        parts.resize(*number, String::new());
    }
    if let Some(part) = parts.get_mut(number - 1) {
        *part = replaced(part, deeper, raw);
    }
    parts.join(&delimiter.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::hl7v2::Text;

    fn path(text: &str) -> Path {
        text.parse().unwrap()
    }

    #[test]
    fn a_message_is_built_and_reads_as_meant() {
        let mut draft = Draft::new(Delimiters::default());
        draft.set(&path("MSH-9.2"), "A08").unwrap();
        draft.set(&path("MSH-9"), "ADT").unwrap();
        draft.set(&path("MSH-9.2"), "A08").unwrap();
        draft.add("PID").add("OBX").add("OBX");
        draft.set(&path("PID-3[2].4.2"), "1.2|3").unwrap();
        draft.set(&path("PID-3[1].1"), "ä&b").unwrap();
        draft.set_null(&path("PID-8")).unwrap();
        draft.set(&path("OBX[1]-5"), "first").unwrap();
        draft.set_formatted(&path("OBX-5"), "a\nb").unwrap();
        let text = draft.write();
        assert_eq!(
            text,
            "MSH|^~\\&|||||||ADT^A08\rPID|||ä\\T\\b~^^^&1.2\\F\\3|||||\"\"\rOBX|||||first\rOBX|||||a\\.br\\b\r"
        );
        let read = Text::decoded(&text);
        let message = read.message().unwrap();
        assert_eq!(message.value(&path("PID-3[2].4.2")).unwrap(), "1.2|3");
        assert_eq!(message.value(&path("OBX[2]-5")).unwrap(), "a\nb");
        assert_eq!(Draft::of(&message), draft);
        draft.remove(2);
        draft.insert(1, "EVN");
        assert_eq!(
            draft.names().collect::<Vec<_>>(),
            ["MSH", "EVN", "PID", "OBX"]
        );
    }

    #[test]
    fn what_cannot_be_written() {
        let mut draft = Draft::new(Delimiters {
            subcomponent: 0,
            escape: 0,
            ..Delimiters::default()
        });
        draft.add("PID");
        for (at, text) in [
            ("NK1-2", "x"),
            ("PID[2]-3", "x"),
            ("MSH-1", "x"),
            ("MSH-2", "x"),
            ("PID", "x"),
            ("PID-99999", "x"),
            ("PID-3.1.2", "x"),
            ("PID-3", "a|b"),
        ] {
            assert!(draft.set(&path(at), text).is_err(), "{at}");
        }
        draft.set(&path("PID-3.1.1"), "x&y").unwrap();
        assert_eq!(draft.write(), "MSH|^~\rPID|||x&y\r");
    }
}
