//! The disk is full: writes are refused with an outcome, reads go on, and all is well again as soon as there is room.
//!
//! The full disk is a small file system in memory, which only root can mount; elsewhere the test says that it skips.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

use crate::client::{Answer, get, post};
use crate::databases::{Database, temporary_directory};
use crate::kiln::Kiln;

const SIZE_BYTES: u64 = 12 * 1024 * 1024;

/// A file system of its own, gone with this value.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let place = temporary_directory();
        let size = format!("size={SIZE_BYTES}");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "none"])
            .arg(&place)
            .output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self(place));
        }
        let message =
            "SKIPPED: no small file system can be mounted here, so a full disk is not tested\n";
        let _written = std::io::stderr().write_all(message.as_bytes());
        None
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _unmounted = Command::new("umount").arg("-l").arg(&self.0).status();
        let _removed = fs::remove_dir(&self.0);
    }
}

#[test]
fn a_full_disk_stops_writes_and_nothing_else() {
    let Some(disk) = SmallDisk::mount() else {
        return;
    };
    // Takes up room that it gives back.
    let ballast = disk.0.join("ballast");
    fs::write(&ballast, vec![7; 6 * 1024 * 1024]).unwrap();
    let database = Database::sqlite_in(disk.0.join("data"));
    fs::create_dir(&database.directory).unwrap();
    let kiln = Kiln::start(&database);
    let mut acknowledged = Vec::new();
    let refused = (0..10_000)
        .map(|number| create(&kiln, number))
        .find(|answer| {
            if answer.status == 201 {
                acknowledged.push(answer.json().str_of("id").unwrap().to_owned());
            }
            answer.status != 201
        })
        .expect("a disk of 12 MB is full at last");
    assert_eq!(refused.status, 507, "{}", refused.text());
    assert_eq!(refused.issue_code(), "no-store");
    for round in 0..3 {
        assert_eq!(create(&kiln, round).status, 507);
        for id in [&acknowledged[0], acknowledged.last().unwrap()] {
            assert_eq!(get(kiln.address, &format!("/fhir/Basic/{id}")).status, 200);
        }
        assert_eq!(get(kiln.address, "/health/live").status, 200);
    }
    fs::remove_file(&ballast).unwrap();
    assert_eq!(get(kiln.address, "/health/ready").status, 200);
    let again = create(&kiln, 0);
    assert_eq!(again.status, 201, "{}", again.text());
    acknowledged.push(again.json().str_of("id").unwrap().to_owned());
    kiln.kill();
    let kiln = Kiln::start(&database);
    for id in &acknowledged {
        assert_eq!(get(kiln.address, &format!("/fhir/Basic/{id}")).status, 200);
    }
}

fn create(kiln: &Kiln, number: usize) -> Answer {
    let text = "x".repeat(20_000);
    let body = format!(r#"{{"resourceType":"Basic","code":{{"text":"{number} {text}"}}}}"#);
    post(kiln.address, "/fhir/Basic", &body)
}
