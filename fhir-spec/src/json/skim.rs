//! A bundle without the inside of its resources, and such a resource by itself.
//!
//! A tree takes about ten times the memory of its text. So a large bundle is never one tree: it is skimmed, and each of
//! its resources is read when it is looked at, wherever there is a processor for it.

use super::read::{Malformed, Problem, Read, Reader, read};
use super::{DEPTH_MAX, Data, Value};

/// What is read of a resource right away.
const HEAD: &[&str] = &["resourceType", "id", "meta", "url"];

/// The levels around a resource: the bundle, its entries, the entry.
const LEVELS_AROUND: usize = 3;

/// How much of a bundle is taken.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    pub entries_max: usize,
    /// Of each resource.
    pub resource_bytes_max: usize,
    /// Of all that is no resource: this becomes a tree at once.
    pub rest_bytes_max: usize,
}

/// Reads a bundle; of its resources only type, id, meta and url. Each has its place in the text, where [`parse_first`]
/// reads the whole of it, and finds what is malformed there.
pub fn skim_bundle(text: &str, bounds: Bounds) -> Result<Value, Malformed> {
    let mut skim = Skim {
        bounds,
        entries: 0,
        rest_bytes: 0,
    };
    read(text, |reader| {
        reader.document_of(|reader| skim.bundle(reader))
    })
}

/// Reads the value that a text begins with, whatever comes behind: a resource of a skimmed bundle. Places are counted from
/// where it begins.
pub fn parse_first(text: &str) -> Result<Value, Malformed> {
    read(text, |reader| {
        reader.levels_left = DEPTH_MAX - LEVELS_AROUND;
        reader.value()
    })
}

struct Skim {
    bounds: Bounds,
    entries: usize,
    rest_bytes: usize,
}

impl Skim {
    fn bundle(&mut self, reader: &mut Reader<'_>) -> Read<Value> {
        object(reader, |reader, key| match (key, reader.peek()) {
            ("entry", Some(b'[')) => {
                let at = place(reader);
                let data = reader.nested(|reader| reader.array_of(|reader| self.entry(reader)))?;
                Ok(Some(Value { at, data }))
            }
            _ => self.rest(reader),
        })
    }

    fn entry(&mut self, reader: &mut Reader<'_>) -> Read<Value> {
        self.entries += 1;
        if self.entries > self.bounds.entries_max {
            return Err(reader.stop(Problem::TooMuch("entries", self.bounds.entries_max)));
        }
        object(reader, |reader, key| match key {
            "resource" => self.resource(reader),
            _ => self.rest(reader),
        })
    }

    fn resource(&mut self, reader: &mut Reader<'_>) -> Read<Option<Value>> {
        let begin = reader.at;
        pass(reader)?;
        if reader.at - begin > self.bounds.resource_bytes_max {
            reader.at = begin;
            let max = self.bounds.resource_bytes_max;
            return Err(reader.stop(Problem::TooMuch("bytes in one resource", max)));
        }
        reader.at = begin;
        object(reader, head).map(Some)
    }

    /// What is no resource: measured before it is read.
    fn rest(&mut self, reader: &mut Reader<'_>) -> Read<Option<Value>> {
        let begin = reader.at;
        pass(reader)?;
        self.rest_bytes += reader.at - begin;
        reader.at = begin;
        if self.rest_bytes > self.bounds.rest_bytes_max {
            let max = self.bounds.rest_bytes_max;
            return Err(reader.stop(Problem::TooMuch("bytes beside the resources", max)));
        }
        reader.value().map(Some)
    }
}

fn head(reader: &mut Reader<'_>, key: &str) -> Read<Option<Value>> {
    if HEAD.contains(&key) {
        reader.value().map(Some)
    } else {
        pass(reader).map(|()| None)
    }
}

/// An object whose members are read in a way of their own; anything else as it is.
fn object(
    reader: &mut Reader<'_>,
    read: impl FnMut(&mut Reader<'_>, &str) -> Read<Option<Value>>,
) -> Read<Value> {
    if reader.peek() != Some(b'{') {
        return reader.value();
    }
    let at = place(reader);
    let data: Data = reader.nested(|reader| reader.object_of(read))?;
    Ok(Value { at, data })
}

fn place(reader: &Reader<'_>) -> u32 {
    u32::try_from(reader.at).unwrap_or(u32::MAX)
}

/// Moves behind a value. Whether it is one is found out when it is read.
fn pass(reader: &mut Reader<'_>) -> Read<()> {
    let mut open = 0_usize;
    loop {
        match reader.peek() {
            None => return reader.expected("a JSON value, the text ends here"),
            Some(b'"') => pass_string(reader)?,
            Some(b'{' | b'[') => {
                open += 1;
                reader.at += 1;
                continue;
            }
            Some(b'}' | b']') if open == 0 => return reader.expected("a JSON value"),
            Some(b'}' | b']') => {
                open -= 1;
                reader.at += 1;
            }
            Some(_) => {
                reader.at += 1;
                // A number or a word ends where something else begins.
                if !matches!(
                    reader.peek(),
                    Some(b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t')
                ) {
                    continue;
                }
            }
        }
        if open == 0 {
            return Ok(());
        }
    }
}

fn pass_string(reader: &mut Reader<'_>) -> Read<()> {
    reader.at += 1;
    loop {
        reader.skip_plain();
        match reader.peek() {
            Some(b'"') => {
                reader.at += 1;
                return Ok(());
            }
            Some(b'\\') => reader.at += 2,
            Some(_) => reader.at += 1,
            None => return reader.expected("`\"` at the end of the string"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::parse;

    const BUNDLE: &str = r#" {"resourceType": "Bundle", "entry": [
        {"resource": {"resourceType": "Patient", "name": [{"text": "\"}]\\"}, {"given": ["a", "b"]}], "id": "1", "active": true},
         "request": {"url": "x"}},
        {"resource": 7}, 8, {"resource": {}},
        {"resource": {"n": -1.5e3, "meta": {"tag": []}, "deep": [[1], {"a": {}}], "t": null }}
    ], "id": "b"} "#;

    const WIDE: Bounds = Bounds {
        entries_max: 1_000,
        resource_bytes_max: 1_000,
        rest_bytes_max: 1_000,
    };

    const BOUNDS: Bounds = Bounds {
        entries_max: 5,
        resource_bytes_max: 200,
        rest_bytes_max: 200,
    };

    #[test]
    fn more_than_is_taken_is_refused_before_it_is_read() {
        let entry = |resource: usize, rest: usize| {
            let (resource, rest) = ("r".repeat(resource), "r".repeat(rest));
            format!(r#"{{"resource":{{"text":"{resource}"}},"fullUrl":"{rest}"}}"#)
        };
        let told = |entries: &[String]| {
            let text = format!(r#"{{"entry":[{}],"id":"x"}}"#, entries.join(","));
            let told = skim_bundle(&text, BOUNDS).map_err(|error| {
                assert!(error.is_too_much());
                error.problem.to_string()
            });
            told.err()
        };
        assert_eq!(told(&vec![entry(1, 1); 5]), None);
        assert_eq!(
            told(&vec![entry(1, 1); 6]).as_deref(),
            Some("more than 5 entries")
        );
        let long = Some("more than 200 bytes in one resource");
        assert_eq!(told(&[entry(189, 0)]), None);
        assert_eq!(told(&[entry(190, 0)]).as_deref(), long);
        let long = Some("more than 200 bytes beside the resources");
        assert_eq!(told(&[entry(1, 0), entry(1, 192)]), None);
        assert_eq!(told(&[entry(1, 1), entry(1, 194)]).as_deref(), long);
    }

    fn from<'t>(text: &'t str, resource: &Value) -> &'t str {
        text.get(usize::try_from(resource.at).unwrap()..).unwrap()
    }

    #[test]
    fn what_is_skimmed_is_read_later() {
        let mut skimmed = skim_bundle(BUNDLE, WIDE).unwrap();
        assert_eq!(
            skimmed.items_of("entry")[0].to_string(),
            r#"{"resource":{"resourceType":"Patient","id":"1"},"request":{"url":"x"}}"#
        );
        let entries = skimmed.get_mut("entry").unwrap().as_array_mut().unwrap();
        for entry in entries {
            if let Some(resource) = entry.get_mut("resource") {
                *resource = parse_first(from(BUNDLE, resource)).unwrap();
            }
        }
        let whole = parse(BUNDLE.as_bytes()).unwrap();
        assert_eq!(skimmed, whole);
    }

    /// Every text that is cut short or has a byte changed is found out: when it is skimmed or when it is read.
    #[test]
    fn nothing_malformed_gets_through() {
        let is_sound = |text: &str| {
            let Ok(skimmed) = skim_bundle(text, WIDE) else {
                return false;
            };
            let entries = skimmed.items_of("entry").iter();
            let mut resources = entries.filter_map(|entry| entry.get("resource"));
            resources.all(|resource| parse_first(from(text, resource)).is_ok())
        };
        assert!(is_sound(BUNDLE));
        for end in 0..BUNDLE.len() - 1 {
            let cut = BUNDLE.get(..end).unwrap();
            assert!(!is_sound(cut), "{cut}");
        }
        for at in 0..BUNDLE.len() {
            for byte in *b"\"{}[],:\\x0 " {
                let mut changed = BUNDLE.as_bytes().to_vec();
                changed[at] = byte;
                let changed = String::from_utf8(changed).unwrap();
                let sound = parse(changed.as_bytes()).is_ok();
                assert_eq!(is_sound(&changed), sound, "{changed}");
            }
        }
    }
}
