//! Real tables: what Synthea exports, row for row. Skipped where the material is not at hand.

use std::path::PathBuf;

use interop::mapping::shipped;

use crate::cases::errors;
use crate::harness::convert;

fn material() -> Option<PathBuf> {
    let folder = std::env::var_os("KILN_TESTDATA")
        .map_or_else(|| PathBuf::from("../../shared/testdata"), PathBuf::from)
        .join("csv");
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: no {}", folder.display());
    None
}

#[test]
fn tables_of_synthea_go_in_whole() {
    let Some(folder) = material() else { return };
    let packed = folder.join("synthea-csv.tar.zst");
    let unpacked = std::process::Command::new("zstd")
        .args(["-dc"])
        .arg(&packed)
        .output();
    let mut tables: Vec<(String, Vec<u8>)> = Vec::new();
    if let Ok(output) = unpacked
        && output.status.success()
    {
        tables = untar(&output.stdout);
    } else {
        println!("zstd is not at hand: only the tables that are not packed");
    }
    for name in ["patients.csv", "allergies.csv"] {
        tables.push((
            name.to_owned(),
            std::fs::read(folder.join("synthea-csv").join(name)).unwrap(),
        ));
    }
    for (name, bytes) in tables {
        let map = format!("synthea_{}", name.trim_end_matches(".csv"));
        let converted = convert(shipped().unwrap(), &map, &bytes, None);
        let count = String::from_utf8_lossy(&bytes)
            .lines()
            .filter(|line| !line.is_empty())
            .count()
            - 1;
        println!("{name}: {} of {count} rows", converted.good);
        assert_eq!(converted.bad, [], "{name}");
        assert_eq!(converted.good, count, "{name}");
        let lost: Vec<&str> = converted
            .issues
            .iter()
            .map(|issue| issue.diagnostics.as_str())
            .take(3)
            .collect();
        assert_eq!(
            lost.iter()
                .filter(|told| told.contains("not carried"))
                .count(),
            0,
            "{name}: {lost:?}"
        );
        let wrong = errors(&converted.bundle);
        assert_eq!(wrong, "", "{name}");
    }
}

/// Names and contents of an archive's files.
fn untar(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    let mut rest = bytes;
    while rest.len() >= 512 && rest[0] != 0 {
        let text = |from: usize, to: usize| {
            String::from_utf8_lossy(&rest[from..to])
                .trim_matches(['\0', ' '])
                .to_owned()
        };
        let size = usize::from_str_radix(&text(124, 136), 8).unwrap();
        let (name, kind) = (text(0, 100), rest[156]);
        if kind == b'0' || kind == 0 {
            files.push((
                name.rsplit('/').next().unwrap().to_owned(),
                rest[512..512 + size].to_vec(),
            ));
        }
        rest = &rest[512 + size.div_ceil(512) * 512..];
    }
    files
}
