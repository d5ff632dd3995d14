//! FHIR packages: `.tgz` archives in the npm layout, such as the specification's own or US Core.
//! <https://confluence.hl7.org/display/FHIR/NPM+Package+Specification>

use std::io::Read;

use crate::json::{self, Value};

/// What a package may unpack to, all files together.
pub const PACKAGE_BYTES_MAX: u64 = 1 << 30;
/// How many files a package may hold.
pub const PACKAGE_FILES_MAX: usize = 50_000;

#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    #[error("not a gzipped tar archive")]
    Archive(#[from] std::io::Error),
    #[error("larger than {PACKAGE_BYTES_MAX} bytes or {PACKAGE_FILES_MAX} files when unpacked")]
    TooLarge,
    #[error("`{file}` is not JSON")]
    Json {
        file: String,
        source: json::Malformed,
    },
    #[error("no package.json: not a FHIR package")]
    NoManifest,
}

/// Who a package is and what it builds on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    pub name: String,
    pub version: String,
    /// Name and version of each package that this one needs.
    pub dependencies: Vec<(String, String)>,
}

/// A package in memory: its manifest and its resources (the JSON files of `package/`, examples included).
#[derive(Debug)]
pub struct Package {
    pub manifest: Manifest,
    pub resources: Vec<Value>,
}

impl Package {
    /// Reads a `.tgz`.
    pub fn read(tgz: impl Read) -> Result<Self, PackageError> {
        let unpacked = flate2::read::GzDecoder::new(tgz).take(PACKAGE_BYTES_MAX);
        let mut archive = tar::Archive::new(unpacked);
        let mut manifest = None;
        let mut resources = Vec::new();
        for (count, entry) in archive.entries()?.enumerate() {
            let mut entry = entry?;
            let path = entry.path()?.to_string_lossy().into_owned();
            let Some(file) = resource_file(&path) else {
                continue;
            };
            if count >= PACKAGE_FILES_MAX {
                return Err(PackageError::TooLarge);
            }
            let mut text = Vec::new();
            entry.read_to_end(&mut text)?;
            let value = json::parse(&text).map_err(|source| PackageError::Json {
                file: path.clone(),
                source,
            })?;
            if file == "package.json" {
                manifest = Some(Manifest::from_json(&value));
            } else if value.str_of("resourceType").is_some() {
                resources.push(value);
            }
        }
        Ok(Self {
            manifest: manifest.ok_or(PackageError::NoManifest)?,
            resources,
        })
    }
}

/// The name of a JSON file that stands directly in `package/` (not the index, not `other/` or `openapi/`).
fn resource_file(path: &str) -> Option<&str> {
    let file = path.trim_start_matches("./").strip_prefix("package/")?;
    (file.ends_with(".json") && !file.contains('/') && !file.starts_with('.')).then_some(file)
}

impl Manifest {
    fn from_json(value: &Value) -> Self {
        let text = |name: &str| value.str_of(name).unwrap_or_default().to_owned();
        let dependencies = value
            .get("dependencies")
            .and_then(Value::as_object)
            .map(|object| {
                object
                    .iter()
                    .map(|(name, version)| {
                        (name.into(), version.as_str().unwrap_or_default().into())
                    })
                    .collect()
            })
            .unwrap_or_default();
        Self {
            name: text("name"),
            version: text("version"),
            dependencies,
        }
    }
}
