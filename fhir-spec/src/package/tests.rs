use std::io::Write;

use super::*;
use crate::outcome::Severity;

fn tgz(files: &[(&str, &[u8])]) -> Vec<u8> {
    let gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut archive = tar::Builder::new(gzip);
    for (path, bytes) in files {
        let mut header = tar::Header::new_gnu();
        // `set_path` would refuse `..`; an attacker writes the bytes directly.
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_size(u64::try_from(bytes.len()).unwrap());
        header.set_cksum();
        archive.append(&header, *bytes).unwrap();
    }
    archive.into_inner().unwrap().finish().unwrap()
}

fn package(name: &str, version: &str, dependencies: &[&str]) -> Package {
    Package {
        manifest: Manifest {
            name: name.into(),
            version: version.into(),
            fhir_versions: vec!["4.0.1".into()],
            dependencies: dependencies
                .iter()
                .map(|name| ((*name).into(), "1.0.0".into()))
                .collect(),
        },
        resources: Vec::new(),
    }
}

const MANIFEST: &[u8] = br#"{"name":"a.b","version":"1.2.0","fhirVersions":["4.0.1"],"dependencies":{"hl7.fhir.r4.core":"4.0.1"}}"#;
const VALUE_SET: &[u8] = br#"{"resourceType":"ValueSet","id":"v","url":"http://x/v"}"#;

#[test]
fn definitions_are_read_and_the_rest_is_passed_over() {
    let bytes = tgz(&[
        ("package/package.json", MANIFEST),
        ("package/.index.json", b"not json"),
        ("package/ValueSet-v.json", VALUE_SET),
        ("package/Patient-p.json", br#"{"resourceType":"Patient"}"#),
        ("package/example/ValueSet-w.json", VALUE_SET),
        ("package/other/x.txt", b"x"),
    ]);
    let package = Package::read(&bytes[..]).unwrap();
    assert_eq!(package.manifest.name, "a.b");
    assert_eq!(package.manifest.dependencies.len(), 1);
    assert!(package.manifest.is_r4());
    assert_eq!(package.resources.len(), 1);
}

#[test]
fn a_path_out_of_the_package_leads_nowhere() {
    let bytes = tgz(&[
        ("package/package.json", MANIFEST),
        ("../../etc/ValueSet-v.json", VALUE_SET),
        ("package/../../ValueSet-v.json", VALUE_SET),
        ("/package/ValueSet-v.json", VALUE_SET),
    ]);
    assert!(Package::read(&bytes[..]).unwrap().resources.is_empty());
}

#[test]
fn what_is_no_package_is_refused_by_name() {
    assert!(matches!(
        Package::read(&b"not gzip"[..]),
        Err(PackageError::Archive(_))
    ));
    let bytes = tgz(&[("package/ValueSet-v.json", VALUE_SET)]);
    assert!(matches!(
        Package::read(&bytes[..]),
        Err(PackageError::NoManifest)
    ));
    let bytes = tgz(&[("package/package.json", b"{")]);
    let error = Package::read(&bytes[..]).unwrap_err();
    assert_eq!(error.to_string(), "`package/package.json` is not JSON");
    let cut = tgz(&[("package/package.json", MANIFEST)]);
    assert!(Package::read(&cut[..cut.len() / 2]).is_err());
}

#[test]
fn a_bomb_is_too_large() {
    let zeros = vec![b' '; 1 << 20];
    // In a file that is read, and in one that is passed over.
    for path in ["package/ValueSet-v.json", "package/other/zeros"] {
        let bytes = tgz(&[("package/package.json", MANIFEST), (path, &zeros)]);
        assert!(bytes.len() < 20_000);
        assert!(matches!(
            Package::read_within(&bytes[..], 100_000),
            Err(PackageError::TooLarge)
        ));
    }
    // A header that promises more than a file may have is refused before reading it.
    let mut header = tar::Header::new_gnu();
    header.set_path("package/ValueSet-v.json").unwrap();
    header.set_size(FILE_BYTES_MAX + 1);
    header.set_cksum();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(header.as_bytes()).unwrap();
    let bytes = gzip.finish().unwrap();
    assert!(matches!(
        Package::read(&bytes[..]),
        Err(PackageError::FileTooLarge { .. })
    ));
}

#[test]
fn dependencies_lie_below() {
    let (ordered, issues) = in_order(vec![
        package("top", "1.0.0", &["middle", "hl7.fhir.r4.core"]),
        package("middle", "1.10.0", &["ground", "nowhere"]),
        package("middle", "1.9.0", &["ground"]),
        package("ground", "1.0.0", &[]),
        package("ground", "1.0.0", &[]),
    ]);
    let names: Vec<String> = ordered
        .iter()
        .map(|package| format!("{} {}", package.manifest.name, package.manifest.version))
        .collect();
    assert_eq!(
        names,
        ["ground 1.0.0", "middle 1.9.0", "middle 1.10.0", "top 1.0.0"]
    );
    assert_eq!(issues.len(), 1);
    assert_eq!(issues[0].severity, Severity::Warning);
    assert!(
        issues[0]
            .diagnostics
            .contains("middle 1.10.0 needs nowhere 1.0.0")
    );
}

#[test]
fn a_circle_of_dependencies_ends() {
    let (ordered, issues) = in_order(vec![
        package("a", "1", &["b"]),
        package("b", "1", &["a", "b"]),
    ]);
    assert_eq!((ordered.len(), issues.len()), (2, 0));
}

#[test]
fn another_fhir_version_is_refused() {
    let mut r5 = package("five", "1.0.0", &[]);
    r5.manifest.fhir_versions = vec!["5.0.0".into()];
    let (ordered, issues) = in_order(vec![r5]);
    assert!(ordered.is_empty());
    assert!(issues[0].is_error());
    assert!(issues[0].diagnostics.contains("FHIR 5.0.0; expected 4.0.1"));
}
