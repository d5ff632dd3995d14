//! Where the suites lie, and how they are unpacked.

use std::io::Read;
use std::path::{Path, PathBuf};

use interop::mapping::Pack;

/// The window that the packs were made with, as a power of two.
const WINDOW_LOG_MAX: u32 = 27;

/// The folder of a suite; None, said aloud, when it is not on this machine.
pub(crate) fn folder(kind: &str) -> Option<PathBuf> {
    let shared = std::env::var_os("KILN_SHARED").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared"),
        PathBuf::from,
    );
    let folder = shared.join("testdata").join(kind);
    if folder.is_dir() {
        return Some(folder);
    }
    println!("SKIPPED: the suite {kind} is not in {}", folder.display());
    None
}

/// The files below a folder that end so, by name, in order.
pub(crate) fn files(folder: &Path, ending: &str) -> Vec<(String, Vec<u8>)> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut files: Vec<(String, Vec<u8>)> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file() && path.to_string_lossy().ends_with(ending))
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, std::fs::read(&path).unwrap())
        })
        .collect();
    files.sort();
    files
}

/// The files of a `.tar.zst`.
pub(crate) fn unpacked(path: &Path) -> Vec<(String, Vec<u8>)> {
    let mut decoder = zstd::Decoder::new(std::fs::File::open(path).unwrap()).unwrap();
    decoder.window_log_max(WINDOW_LOG_MAX).unwrap();
    let mut archive = tar::Archive::new(decoder);
    let mut files = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let name = entry.path().unwrap().to_string_lossy().into_owned();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        files.push((name, bytes));
    }
    files
}

/// The lines `case<TAB>reason` of a file of explained cases; those that begin with `#` are comments.
pub(crate) fn explained(lines: &'static str) -> &'static [(&'static str, &'static str)] {
    let cases: Vec<_> = lines
        .lines()
        .filter(|line| !line.starts_with('#') && !line.trim().is_empty())
        .map(|line| line.split_once('\t').unwrap())
        .collect();
    cases.leak()
}

/// A file that stands beside the suites.
pub(crate) fn beside(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/suites");
    std::fs::read_to_string(folder.join(name)).unwrap_or_else(|no| panic!("{name}: {no}"))
}

/// The shipped maps; with `KILN_MAPS=DIR` those that stand there, so that one may try them without building anew.
pub(crate) fn maps(shipped: &[(&'static str, &'static str)]) -> Pack {
    let Some(folder) = std::env::var_os("KILN_MAPS").map(PathBuf::from) else {
        return Pack::read(shipped.iter().copied()).unwrap_or_else(|bad| panic!("{bad}"));
    };
    let read = |name: &str| {
        let text = std::fs::read_to_string(folder.join(name));
        text.unwrap_or_else(|no| panic!("{name}: {no}"))
    };
    let texts: Vec<(&str, String)> = shipped
        .iter()
        .map(|(name, _)| (*name, read(name)))
        .collect();
    let texts = texts.iter().map(|(name, text)| (*name, text.as_str()));
    Pack::read(texts).unwrap_or_else(|bad| panic!("{bad}"))
}
