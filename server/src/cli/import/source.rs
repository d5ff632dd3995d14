//! Which files are meant: those named, and those in folders that are named, by their endings.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::limits;

/// Endings of documents, of lines of documents, and of archives of files.
const ENDINGS: &[&str] = &[
    ".json", ".xml", ".ndjson", ".jsonl", ".tar", ".tgz", ".hl7", ".csv", ".tsv", ".psv",
];
const FHIR_ENDINGS: &[&str] = &[".json", ".xml", ".ndjson", ".jsonl", ".tar", ".tgz"];
const PACKED: &[&str] = &[".gz", ".zst"];
const STDIN: &str = "-";

/// A file to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    /// None: standard input.
    pub(super) path: Option<PathBuf>,
    /// The same whatever folder the command is called from: what has come from it is noted under this name.
    pub(super) name: String,
    pub(super) bytes: u64,
}

#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum Error {
    #[error("cannot read {0}")]
    Read(PathBuf, #[source] std::io::Error),
    #[error("{0}: folders are nested more than {max} deep", max = limits::IMPORT_DEPTH_MAX)]
    Deep(PathBuf),
}

/// What was found, in the order of the paths; folders by name.
#[derive(Debug, Default)]
pub(super) struct Sources {
    pub(super) files: Vec<Source>,
    /// In folders, with an ending that says that they are nothing for us.
    pub(super) passed_over: u64,
}

pub(super) fn find(paths: &[PathBuf]) -> Result<Sources, Error> {
    let mut sources = Sources::default();
    for path in paths {
        if path == Path::new(STDIN) {
            sources.files.push(Source {
                path: None,
                name: STDIN.to_owned(),
                bytes: 0,
            });
            continue;
        }
        // Who names a link means what it leads to.
        let is = fs::metadata(path).map_err(|error| Error::Read(path.clone(), error))?;
        if is.is_dir() {
            folder(path, 1, &mut sources)?;
        } else {
            // A pipe is as good as a file.
            sources.files.push(file(path, is.len())?);
        }
    }
    // Named twice, by itself and by its folder, it is still one.
    let mut names = HashSet::new();
    sources.files.retain(|file| names.insert(file.name.clone()));
    Ok(sources)
}

/// Links in folders are passed over: they may lead out of it, or around in circles.
fn folder(path: &Path, depth: usize, sources: &mut Sources) -> Result<(), Error> {
    let failed = |error| Error::Read(path.to_owned(), error);
    if depth > limits::IMPORT_DEPTH_MAX {
        return Err(Error::Deep(path.to_owned()));
    }
    let mut entries = Vec::new();
    for entry in fs::read_dir(path).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        entries.push((entry.path(), entry.file_type().map_err(failed)?));
    }
    entries.sort_by(|(one, _), (other, _)| one.cmp(other));
    for (path, is) in entries {
        if is.is_dir() {
            folder(&path, depth + 1, sources)?;
        } else if is.is_file() && is_wanted(&path.to_string_lossy()) {
            let bytes = fs::metadata(&path).map_err(failed)?.len();
            sources.files.push(file(&path, bytes)?);
        } else {
            sources.passed_over += 1;
        }
    }
    Ok(())
}

fn file(path: &Path, bytes: u64) -> Result<Source, Error> {
    let real = fs::canonicalize(path).map_err(|error| Error::Read(path.to_owned(), error))?;
    Ok(Source {
        path: Some(path.to_owned()),
        name: real.display().to_string(),
        bytes,
    })
}

/// Whether a file of that name, in a folder or an archive, is something for us.
pub(super) fn is_wanted(name: &str) -> bool {
    let name = name.rsplit('/').next().unwrap_or_default();
    let lower = name.to_ascii_lowercase();
    let plain = plain_name(&lower);
    // A leading dot hides a file; archives made on a Mac are full of such.
    !name.starts_with('.') && ENDINGS.iter().any(|ending| plain.ends_with(ending))
}

/// Whether the ending says that it is FHIR, or an archive.
pub(super) fn is_fhir(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    FHIR_ENDINGS.iter().any(|ending| lower.ends_with(ending))
}

/// Without the ending that says that it is packed.
pub(super) fn plain_name(name: &str) -> &str {
    PACKED
        .iter()
        .find_map(|ending| name.strip_suffix(ending))
        .unwrap_or(name)
}

/// Whether the name says that each line is a document.
pub(super) fn is_of_lines(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let plain = plain_name(&lower);
    plain.ends_with(".ndjson") || plain.ends_with(".jsonl")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_tell_what_is_for_us() {
        for name in [
            "a/b.json",
            "b.XML",
            "Patient.ndjson.gz",
            "x.jsonl",
            "all.tar.zst",
            "all.tgz",
            "adt.HL7",
            "patients.csv.gz",
        ] {
            assert!(is_wanted(name), "{name}");
        }
        for name in [
            "README.md",
            "._a.json",
            "a/.hidden.json",
            "json",
            "a.gz",
            "",
        ] {
            assert!(!is_wanted(name), "{name}");
        }
        assert!(is_of_lines("a/Patient.NDJSON.zst"));
        assert!(!is_of_lines("a.ndjson.d/Patient.json"));
    }
}
