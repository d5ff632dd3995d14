//! The tables of the guide: rows with a FHIR target.

use std::fs;
use std::path::{Path, PathBuf};

pub(super) struct Guide {
    pub(super) rows: Vec<GuideRow>,
}

/// One row with a target.
pub(super) struct GuideRow {
    /// `messages`, `segments`, `datatypes`, `codesystems`
    pub(super) kind: &'static str,
    /// `PID[Patient]`, `CX[Identifier]`, `ADT_A01`, `AdministrativeSex`
    pub(super) table: String,
    /// `PID-3`, `CX.1`, `ADT_A01.PID`, a code
    pub(super) field: String,
    /// `identifier[2]`, a resource type, a code
    pub(super) target: String,
    /// Of code tables: where the codes come from, and the system of the target.
    pub(super) systems: (String, String),
}

impl GuideRow {
    pub(super) fn told(&self) -> String {
        format!("{}\t{}\t{}", self.table, self.field, self.target)
    }
}

/// In which columns field, target and, of code tables, their systems stand.
const KINDS: &[(&str, usize, usize, (usize, usize))] = &[
    ("messages", 1, 9, (1, 1)),
    ("segments", 1, 9, (1, 1)),
    ("datatypes", 1, 9, (1, 1)),
    ("codesystems", 0, 6, (2, 9)),
];

impl Guide {
    /// Nothing, with a line that says so, where the tables are not at hand.
    pub(super) fn read() -> Option<Self> {
        let shared = std::env::var_os("KILN_SHARED").map_or_else(
            || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"),
            PathBuf::from,
        );
        let root = shared.join("maps/v2-to-fhir");
        if !root.is_dir() {
            println!("skipped: {} is not there", root.display());
            return None;
        }
        let mut rows = Vec::new();
        for (kind, field, target, systems) in KINDS {
            let mut files: Vec<PathBuf> = fs::read_dir(root.join(kind))
                .unwrap()
                .map(|entry| entry.unwrap().path())
                .collect();
            files.sort();
            for file in files {
                let name = file.file_stem().unwrap().to_string_lossy().into_owned();
                let table = name
                    .split("_ ")
                    .nth(1)
                    .unwrap()
                    .split(" - ")
                    .next()
                    .unwrap();
                for cells in csv(&fs::read_to_string(&file).unwrap()).into_iter().skip(2) {
                    let cell = |place: usize| cells.get(place).map_or("", |cell| cell.trim());
                    if cell(*target).is_empty() {
                        continue;
                    }
                    rows.push(GuideRow {
                        kind,
                        table: table.trim().to_owned(),
                        field: cell(*field).to_owned(),
                        target: cell(*target).to_owned(),
                        systems: (cell(systems.0).to_owned(), cell(systems.1).to_owned()),
                    });
                }
            }
        }
        Some(Self { rows })
    }
}

/// Quotes, and line breaks within them.
fn csv(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut cell) = (Vec::new(), Vec::new(), String::new());
    let mut quoted = false;
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                cell.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(std::mem::take(&mut cell)),
            '\n' if !quoted => {
                row.push(std::mem::take(&mut cell));
                rows.push(std::mem::take(&mut row));
            }
            '\r' if !quoted => {}
            letter => cell.push(letter),
        }
    }
    row.push(cell);
    rows.push(row);
    rows
}
