//! A folder of this machine. Everything in it is named from the opened folder, and no link is followed: what is elsewhere
//! cannot be reached, whatever is put there while it is looked at.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use super::error::Error;
use super::names;
use super::place::{Away, Found, Listing, Moved, Writing};
use crate::config::Folder;

#[derive(Debug)]
pub(super) struct Local {
    root: OwnedFd,
    archive: OwnedFd,
    errors: OwnedFd,
}

const FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);
/// A pipe must not make anybody wait.
const FILE: OFlags = OFlags::RDONLY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK)
    .union(OFlags::CLOEXEC);
const MADE: OFlags = OFlags::WRONLY
    .union(OFlags::CREATE)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

fn failed(what: &str, name: &str) -> impl FnOnce(Errno) -> Error {
    let what = format!("{what} {name}");
    move |errno| Error::of(what)(errno.into())
}

impl Local {
    pub(super) fn open(folder: &Folder) -> Result<Self, Error> {
        let path = Path::new(&folder.path);
        let root = rustix::fs::open(path, FOLDER, Mode::empty());
        let root = root.map_err(failed("to open the folder", &folder.path))?;
        Ok(Self {
            archive: below(&root, &folder.archive)?,
            errors: below(&root, &folder.errors)?,
            root,
        })
    }

    pub(super) fn list(&self, pattern: &str, most: usize) -> Result<Listing, Error> {
        let failed = || failed("to list", "the folder");
        let mut listing = Listing::default();
        let entries = Dir::read_from(&self.root).map_err(failed())?;
        for (place, entry) in entries.enumerate() {
            let entry = entry.map_err(failed())?;
            if place >= most {
                listing.is_cut = true;
                break;
            }
            let Ok(name) = entry.file_name().to_str() else {
                listing.passed_over += 1;
                continue;
            };
            // Of a file that has just gone there is nothing to be told.
            let Ok(stat) = rustix::fs::statat(&self.root, name, AtFlags::SYMLINK_NOFOLLOW) else {
                continue;
            };
            let kind = FileType::from_raw_mode(stat.st_mode);
            if kind == FileType::Directory {
                continue;
            }
            if kind != FileType::RegularFile || !names::is_wanted(name, pattern) {
                listing.passed_over += 1;
                continue;
            }
            let nanos = i64::try_from(stat.st_mtime_nsec).unwrap_or_default();
            listing.files.push(Found {
                name: name.to_owned(),
                size: u64::try_from(stat.st_size).unwrap_or_default(),
                modified_us: modified_us(stat.st_mtime, nanos),
            });
        }
        Ok(listing)
    }

    pub(super) fn read(&self, found: &Found) -> Result<Vec<u8>, Error> {
        let name = &found.name;
        let opened = rustix::fs::openat(&self.root, name, FILE, Mode::empty());
        let mut file = File::from(opened.map_err(failed("to open", name))?);
        check(&file, found)?;
        let mut bytes = Vec::with_capacity(usize::try_from(found.size).unwrap_or_default());
        let read = (&mut file).take(found.size + 1).read_to_end(&mut bytes);
        read.map_err(Error::of(format!("to read {name}")))?;
        check(&file, found)?;
        match u64::try_from(bytes.len()) == Ok(found.size) {
            true => Ok(bytes),
            false => Err(Error::Changed(name.clone())),
        }
    }

    pub(super) fn write(&self, name: &str, bytes: &[u8], writing: Writing) -> Result<(), Error> {
        let how = match writing {
            Writing::Anew => OFlags::TRUNC,
            Writing::On => OFlags::APPEND,
        };
        let mode = Mode::from_raw_mode(0o640);
        let opened = rustix::fs::openat(&self.errors, name, MADE | how, mode);
        let mut file = File::from(opened.map_err(failed("to write", name))?);
        let written = file.write_all(bytes).and_then(|()| file.sync_all());
        written.map_err(Error::of(format!("to write {name}")))
    }

    pub(super) fn publish(&self, from: &str, to: &str) -> Result<Moved, Error> {
        let errors = self.errors.as_fd();
        moved((errors, from), (errors, to))
    }

    pub(super) fn put_away(&self, name: &str, away: Away, to: &str) -> Result<Moved, Error> {
        let folder = match away {
            Away::Archive => &self.archive,
            Away::Errors => &self.errors,
        };
        moved((self.root.as_fd(), name), (folder.as_fd(), to))
    }
}

/// A folder in a folder.
fn below(root: &OwnedFd, name: &str) -> Result<OwnedFd, Error> {
    let open = || rustix::fs::openat(root, name, FOLDER, Mode::empty());
    let opened = match open() {
        Err(Errno::NOENT) => {
            let made = rustix::fs::mkdirat(root, name, Mode::from_raw_mode(0o750));
            match made {
                Ok(()) | Err(Errno::EXIST) => open(),
                Err(error) => Err(error),
            }
        }
        opened => opened,
    };
    opened.map_err(failed("to open the folder", name))
}

fn check(file: &File, found: &Found) -> Result<(), Error> {
    let name = &found.name;
    let is = file.metadata();
    let is = is.map_err(Error::of(format!("to look at {name}")))?;
    if !is.is_file() {
        return Err(Error::NoFile(name.clone()));
    }
    let same =
        is.len() == found.size && modified_us(is.mtime(), is.mtime_nsec()) == found.modified_us;
    match same {
        true => Ok(()),
        false => Err(Error::Changed(name.clone())),
    }
}

fn modified_us(seconds: i64, nanos: i64) -> i64 {
    seconds
        .saturating_mul(1_000_000)
        .saturating_add(nanos / 1_000)
}

/// Nothing is written over. On disk when it answers.
fn moved(
    (from, name): (BorrowedFd<'_>, &str),
    (to, other): (BorrowedFd<'_>, &str),
) -> Result<Moved, Error> {
    let renamed = match rustix::fs::renameat_with(from, name, to, other, RenameFlags::NOREPLACE) {
        // File systems of networks do not know how.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
            match rustix::fs::statat(to, other, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(_) => Err(Errno::EXIST),
                Err(_) => rustix::fs::renameat(from, name, to, other),
            }
        }
        renamed => renamed,
    };
    match renamed {
        Ok(()) => {}
        Err(Errno::EXIST) => return Ok(Moved::Taken),
        Err(Errno::NOENT) => return Ok(Moved::Gone),
        Err(error) => return Err(failed("to move", name)(error)),
    }
    for folder in [to, from] {
        let synced = rustix::fs::fsync(folder);
        synced.map_err(failed("to move", name))?;
    }
    Ok(Moved::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(path: &Path) -> Folder {
        let text = format!("path = '{}'", path.display());
        toml::from_str(&text).unwrap()
    }

    fn scratch(name: &str) -> std::path::PathBuf {
        let path = std::env::temp_dir().join(format!("kiln-local-{name}-{}", std::process::id()));
        let _gone = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        path
    }

    #[test]
    fn files_are_found_read_and_put_away_and_links_are_not_followed() {
        let path = scratch("all");
        let root = path.join("in");
        std::fs::create_dir(&root).unwrap();
        std::fs::write(path.join("secret"), "secret").unwrap();
        std::os::unix::fs::symlink(path.join("secret"), root.join("link.hl7")).unwrap();
        std::os::unix::fs::symlink(&root, path.join("linked")).unwrap();
        std::fs::write(root.join("a.hl7"), "MSH").unwrap();
        std::fs::write(root.join("a.hl7.part"), "MS").unwrap();
        assert!(Local::open(&folder(&path.join("linked"))).is_err());
        let local = Local::open(&folder(&root)).unwrap();
        let listing = local.list("*", 100).unwrap();
        let [found] = listing.files.as_slice() else {
            panic!("{listing:?}");
        };
        assert_eq!((found.name.as_str(), listing.passed_over), ("a.hl7", 2));
        assert!(local.list("*", 2).unwrap().is_cut);
        assert_eq!(local.read(found).unwrap(), b"MSH");
        let link = Found {
            name: "link.hl7".to_owned(),
            ..found.clone()
        };
        assert!(local.read(&link).is_err());
        let grown = Found {
            size: 2,
            ..found.clone()
        };
        assert!(matches!(local.read(&grown), Err(Error::Changed(_))));
        let away = || local.put_away("a.hl7", Away::Archive, "a.hl7").unwrap();
        assert_eq!((away(), away()), (Moved::Done, Moved::Gone));
        std::fs::write(root.join("a.hl7"), "MSH").unwrap();
        assert_eq!(away(), Moved::Taken);
        local.write(".r", b"1", Writing::On).unwrap();
        local.write(".r", b"2", Writing::On).unwrap();
        assert_eq!(local.publish(".r", "r").unwrap(), Moved::Done);
        assert_eq!(std::fs::read(root.join("errors/r")).unwrap(), b"12");
        std::fs::remove_dir_all(&path).unwrap();
    }
}
