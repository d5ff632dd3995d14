//! FHIR packages (.tgz), such as US Core, read from files and laid over R4.
//! <https://confluence.hl7.org/display/FHIR/NPM+Package+Specification>

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;

use fhir_spec::Issue;
use fhir_spec::definitions::Definitions;
use fhir_spec::package::{Package, PackageError};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot open the package {0}")]
    Open(PathBuf, #[source] std::io::Error),
    #[error("{0} is no FHIR package of R4")]
    Read(PathBuf, #[source] PackageError),
}

/// R4 with these packages over it, and what they need that nobody brought: it cannot be checked, no more.
pub fn lay_over(paths: &[PathBuf]) -> Result<(Definitions, Vec<Issue>), Error> {
    let packages = paths.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    Ok(Definitions::r4().with_packages(packages))
}

fn read(path: &PathBuf) -> Result<Package, Error> {
    let file = File::open(path).map_err(|error| Error::Open(path.clone(), error))?;
    Package::read(BufReader::new(file)).map_err(|error| Error::Read(path.clone(), error))
}
