//! What the commands on files share: reading a document, JSON or XML, from a path or from standard input.

use std::io::Read;
use std::path::{Path, PathBuf};

use fhir_spec::Issue;
use fhir_spec::definitions::Definitions;
use fhir_spec::format::Format;
use fhir_spec::json::Value;

use crate::limits;

#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("cannot read {0}")]
    Read(PathBuf, #[source] std::io::Error),
    #[error("{0} is larger than {max} bytes", max = limits::FILE_BYTES_MAX)]
    TooLarge(PathBuf),
}

/// The text of a file; `-` is standard input.
pub(super) fn text(path: &Path) -> Result<Vec<u8>, Error> {
    let read = |error| Error::Read(path.to_owned(), error);
    let mut text = Vec::new();
    let source: Box<dyn Read> = if path == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        Box::new(std::fs::File::open(path).map_err(read)?)
    };
    source
        .take(limits::FILE_BYTES_MAX + 1)
        .read_to_end(&mut text)
        .map_err(read)?;
    let is_within = u64::try_from(text.len()).is_ok_and(|bytes| bytes <= limits::FILE_BYTES_MAX);
    if is_within {
        Ok(text)
    } else {
        Err(Error::TooLarge(path.to_owned()))
    }
}

/// The document that a text holds.
pub(super) fn parse(text: &[u8], definitions: &Definitions) -> Result<Value, Vec<Issue>> {
    Format::of(text).read(text, definitions)
}
