//! With which definitions a command works: the flag for FHIR packages, and what they make of R4.

use std::path::PathBuf;
use std::sync::Arc;

use fhir_spec::definitions::Definitions;
use search::Registry;

use super::say;
use crate::config::Config;
use crate::packages::{Error, lay_over};

/// What is valid, and what search parameters there are, depends on the packages; so the index does.
#[derive(Debug, clap::Args)]
pub(super) struct Packages {
    /// A FHIR package (.tgz) to validate and search by; may be given more than once
    #[arg(
        long = "package",
        value_name = "FILE",
        env = "KILN_PACKAGES",
        value_delimiter = ','
    )]
    named: Option<Vec<PathBuf>>,
}

impl Packages {
    pub(super) fn named(&self) -> Option<Vec<PathBuf>> {
        self.named.clone()
    }
}

/// R4 with these packages; what they lack is told.
pub(super) fn definitions(packages: &[PathBuf]) -> Result<Arc<Definitions>, Error> {
    let (definitions, missing) = lay_over(packages)?;
    for issue in missing {
        say(&format!("kiln: {}", issue.diagnostics));
    }
    Ok(Arc::new(definitions))
}

/// What resources are found by.
pub(super) fn registry(config: &Config) -> Result<Registry, Error> {
    Ok(config.outside.registry(definitions(&config.packages)?))
}
