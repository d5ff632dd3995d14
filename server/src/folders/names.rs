//! Names of files: which are taken, and what others are called after them.

use crate::config::is_plain;
use crate::instant::Instant;
use crate::shelf::glob;

/// Endings that programs give a file while they write it.
const UNFINISHED: &[&str] = &[
    "tmp",
    "temp",
    "part",
    "partial",
    "filepart",
    "crdownload",
    "download",
    "writing",
    "lock",
    "swp",
];
/// Bytes of a name that file systems take.
const NAME_BYTES_MAX: usize = 255;

/// Whether a file of this name is one that the route wants: not hidden, not half written, nothing that leads elsewhere.
pub(super) fn is_wanted(name: &str, pattern: &str) -> bool {
    let is_printable = !name.chars().any(char::is_control);
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    let is_unfinished = UNFINISHED.iter().any(|of| ending.eq_ignore_ascii_case(of));
    let is_hidden = name.starts_with('.') || name.ends_with('~');
    is_plain(name) && is_printable && !is_unfinished && !is_hidden && glob(pattern, name)
}

/// A name that no other file has, of one that is taken: `a.hl7` becomes `a.20260131T080000123456.hl7`.
pub(super) fn other(name: &str, at: Instant) -> String {
    let time: String = at
        .to_string()
        .chars()
        .filter(|letter| !"-:.Z".contains(*letter))
        .collect();
    with(name, &time)
}

/// What of a file was refused: `a.csv` becomes `a.refused.csv`.
pub(super) fn refused(name: &str) -> String {
    match name.contains(".refused.") {
        true => name.to_owned(),
        false => with(name, "refused"),
    }
}

/// The reason beside a file.
pub(super) fn reason(name: &str) -> String {
    format!("{}.txt", shortened(name, ".txt".len()))
}

/// A file that is being written.
pub(super) fn part(name: &str) -> String {
    format!(".{}.part", shortened(name, ".".len() + ".part".len()))
}

fn with(name: &str, word: &str) -> String {
    let (stem, ending) = match name.rsplit_once('.') {
        Some((stem, ending)) if !stem.is_empty() => (stem, format!(".{ending}")),
        _ => (name, String::new()),
    };
    let rest = word.len() + 1 + ending.len();
    format!("{}.{word}{ending}", shortened(stem, rest))
}

/// So that so many bytes more still make a name.
fn shortened(name: &str, more: usize) -> &str {
    let mut most = name.len().min(NAME_BYTES_MAX.saturating_sub(more));
    while !name.is_char_boundary(most) {
        most -= 1;
    }
    name.get(..most).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_files_of_the_pattern_are_wanted() {
        for (name, wanted) in [
            ("a.hl7", true),
            ("ä b.hl7", true),
            (".a.hl7", false),
            ("a.hl7.part", false),
            ("a.TMP", false),
            ("a.hl7~", false),
            ("..", false),
            ("../a.hl7", false),
            ("a/b.hl7", false),
            ("a\\b.hl7", false),
            ("a\nb.hl7", false),
            ("", false),
        ] {
            assert_eq!(is_wanted(name, "*"), wanted, "{name:?}");
        }
        assert!(is_wanted("a.hl7", "*.hl7") && !is_wanted("a.csv", "*.hl7"));
    }

    #[test]
    fn other_files_are_called_after_it() {
        let at = Instant::from_micros(1_767_225_599_000_001);
        assert_eq!(other("a.b.hl7", at), "a.b.20251231T235959000001.hl7");
        assert_eq!(other("README", at), "README.20251231T235959000001");
        assert_eq!(refused("a.csv"), "a.refused.csv");
        assert_eq!(refused("a.refused.csv"), "a.refused.csv");
        assert_eq!(reason("a.csv"), "a.csv.txt");
        let long = "é".repeat(127);
        for name in [other(&long, at), refused(&long), reason(&long), part(&long)] {
            assert!(name.len() <= NAME_BYTES_MAX, "{name}");
        }
    }
}
