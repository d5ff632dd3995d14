//! FHIR packages: `.tgz` archives in the npm layout, such as the specification's own or US Core.
//! <https://confluence.hl7.org/display/FHIR/NPM+Package+Specification>

mod order;

use std::cell::Cell;
use std::io::{self, Read};

use crate::definitions::{DEFINING, slim};
use crate::json::{self, Value};

pub use order::in_order;

/// What a package may unpack to, all files together.
pub const PACKAGE_BYTES_MAX: u64 = 1 << 30;
/// How large one file of it may be.
pub const FILE_BYTES_MAX: u64 = 64 << 20;
/// How many files a package may hold.
pub const PACKAGE_FILES_MAX: usize = 50_000;

#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    #[error("not a gzipped tar archive")]
    Archive(#[source] io::Error),
    #[error("larger than {PACKAGE_BYTES_MAX} bytes or {PACKAGE_FILES_MAX} files when unpacked")]
    TooLarge,
    #[error("`{file}` is larger than {FILE_BYTES_MAX} bytes")]
    FileTooLarge { file: String },
    #[error("`{file}` is not JSON")]
    Json {
        file: String,
        source: json::Malformed,
    },
    #[error("no package/package.json: not a FHIR package")]
    NoManifest,
}

/// Who a package is and what it builds on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    pub name: String,
    pub version: String,
    /// The versions of FHIR it is made for; older packages do not say.
    pub fhir_versions: Vec<String>,
    /// Name and version of each package that this one needs.
    pub dependencies: Vec<(String, String)>,
}

/// A package in memory: its manifest and the resources that define something. Examples are passed over.
#[derive(Debug)]
pub struct Package {
    pub manifest: Manifest,
    pub resources: Vec<Value>,
}

impl Package {
    /// Reads a `.tgz`. Nothing is written anywhere: names of entries only choose what is read.
    pub fn read(tgz: impl Read) -> Result<Self, PackageError> {
        Self::read_within(tgz, PACKAGE_BYTES_MAX)
    }

    fn read_within(tgz: impl Read, bytes_max: u64) -> Result<Self, PackageError> {
        let is_over = Cell::new(false);
        // `tar` wraps the errors of its reader, so the bound is asked whether it was the cause.
        let archive_error = |error| match is_over.get() {
            true => PackageError::TooLarge,
            false => PackageError::Archive(error),
        };
        let unpacked = Bounded {
            inner: flate2::read::MultiGzDecoder::new(tgz),
            left: bytes_max,
            is_over: &is_over,
        };
        let mut archive = tar::Archive::new(unpacked);
        let mut manifest = None;
        let mut resources = Vec::new();
        for (count, entry) in archive.entries().map_err(archive_error)?.enumerate() {
            let mut entry = entry.map_err(archive_error)?;
            if count >= PACKAGE_FILES_MAX {
                return Err(PackageError::TooLarge);
            }
            let path = entry
                .path()
                .map_err(archive_error)?
                .to_string_lossy()
                .into_owned();
            let Some(file) = resource_file(&path) else {
                continue;
            };
            if entry.size() > FILE_BYTES_MAX {
                return Err(PackageError::FileTooLarge { file: path });
            }
            let mut text = Vec::new();
            entry.read_to_end(&mut text).map_err(archive_error)?;
            let value = json::parse(&text).map_err(|source| PackageError::Json {
                file: path.clone(),
                source,
            })?;
            let resource_type = value.str_of("resourceType");
            if file == "package.json" {
                manifest = Some(Manifest::from_json(&value));
            } else if resource_type.is_some_and(|name| DEFINING.contains(&name)) {
                resources.push(slim(value));
            }
        }
        Ok(Self {
            manifest: manifest.ok_or(PackageError::NoManifest)?,
            resources,
        })
    }
}

/// Fails, and says so, where `take` would pretend that the archive ends.
struct Bounded<'a, R> {
    inner: R,
    left: u64,
    is_over: &'a Cell<bool>,
}

impl<R: Read> Read for Bounded<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        let left = u64::try_from(count)
            .ok()
            .and_then(|count| self.left.checked_sub(count));
        self.left = left.unwrap_or(0);
        match left {
            Some(_) => Ok(count),
            None => {
                self.is_over.set(true);
                Err(io::ErrorKind::FileTooLarge.into())
            }
        }
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
        let fhir_versions = ["fhirVersions", "fhir-version-list"]
            .iter()
            .flat_map(|name| value.items_of(name))
            .filter_map(Value::as_str)
            .map(Into::into)
            .collect();
        Self {
            name: text("name"),
            version: text("version"),
            fhir_versions,
            dependencies,
        }
    }

    /// Whether it is made for R4 (or does not say).
    pub fn is_r4(&self) -> bool {
        let is_r4 = |version: &String| version == "4.0" || version.starts_with("4.0.");
        self.fhir_versions.is_empty() || self.fhir_versions.iter().any(is_r4)
    }
}

#[cfg(test)]
mod tests;
