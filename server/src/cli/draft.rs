//! A file that is under its name only when it is complete: written beside, flushed to disk, then renamed.

use std::ffi::OsString;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

const ENDING: &str = ".partial";

#[derive(Debug, thiserror::Error)]
#[error("cannot write {path}")]
pub(super) struct Error {
    path: PathBuf,
    source: std::io::Error,
}

impl Error {
    pub(super) fn of(path: &Path) -> impl Fn(std::io::Error) -> Self {
        move |source| Self {
            path: path.to_owned(),
            source,
        }
    }
}

#[derive(Debug)]
pub(super) struct Draft {
    path: PathBuf,
    beside: PathBuf,
    file: File,
}

impl Draft {
    pub(super) fn create(path: &Path) -> Result<Self, Error> {
        let mut beside = OsString::from(path);
        beside.push(ENDING);
        let beside = PathBuf::from(beside);
        let file = File::create(&beside).map_err(Error::of(&beside))?;
        Ok(Self {
            path: path.to_owned(),
            beside,
            file,
        })
    }

    /// The file is complete.
    pub(super) fn finish(self) -> Result<(), Error> {
        self.file.sync_all().map_err(Error::of(&self.beside))?;
        std::fs::rename(&self.beside, &self.path).map_err(Error::of(&self.path))?;
        match self.path.parent() {
            Some(folder) => sync_folder(folder),
            None => Ok(()),
        }
    }
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

/// What was renamed or removed in a folder is on disk when the folder is.
pub(super) fn sync_folder(folder: &Path) -> Result<(), Error> {
    let folder = match folder.as_os_str().is_empty() {
        true => Path::new("."),
        false => folder,
    };
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(Error::of(folder))
}
