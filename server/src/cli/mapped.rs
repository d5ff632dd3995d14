//! What the commands share that read files through maps: which maps, and what the files do not say.

use std::path::PathBuf;

use interop::formats::Format;
use interop::mapping::Zone;

use crate::conversion;
use crate::maps::{self, Maps};

#[derive(Debug, clap::Args)]
pub(super) struct Mapping {
    /// The map; without it the one that fits: messages by their kind, tables by their columns
    #[arg(long, value_name = "NAME")]
    map: Option<String>,
    /// Maps of your own (.map), files or folders; may be given more than once
    #[arg(long, value_name = "PATH", env = "KILN_MAPS", value_delimiter = ',')]
    maps: Vec<PathBuf>,
    /// A value for a constant of the map; may be given more than once
    #[arg(long = "const", value_name = "NAME=VALUE", value_parser = constant)]
    constants: Vec<(String, String)>,
    /// Where times are that say no zone, such as Europe/Berlin or +01:00
    #[arg(long, default_value = "UTC", value_parser = Zone::parse)]
    zone: Zone,
    /// The character set of a table, or of messages without MSH-18 [default: as the bytes look]
    #[arg(long, value_name = "NAME")]
    charset: Option<String>,
    /// What stands between the values of a table [default: as the first lines look]
    #[arg(long, value_name = "CHARACTER", value_parser = conversion::delimiter)]
    delimiter: Option<char>,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error(transparent)]
    Maps(#[from] maps::Error),
    #[error("no map has the constant {0}")]
    Constant(String),
    #[error("there is no map {0}")]
    Map(String),
}

impl Mapping {
    /// The maps of Kiln, of the config file, and those that are named.
    pub(super) fn maps(&self, configured: &[PathBuf]) -> Result<Maps, Error> {
        let paths: Vec<PathBuf> = configured.iter().chain(&self.maps).cloned().collect();
        let maps = Maps::with_files(&paths)?;
        if let Some((name, _)) = self
            .constants
            .iter()
            .find(|(name, _)| !maps.has_constant(name))
        {
            return Err(Error::Constant(name.clone()));
        }
        if let Some(map) = &self.map
            && !maps.list().iter().any(|listed| listed.name == *map)
        {
            return Err(Error::Map(map.clone()));
        }
        Ok(maps)
    }

    pub(super) fn map(&self) -> Option<&str> {
        self.map.as_deref()
    }

    pub(super) fn constants(&self) -> &[(String, String)] {
        &self.constants
    }

    pub(super) fn zone(&self) -> &Zone {
        &self.zone
    }

    pub(super) fn charset(&self) -> Option<&str> {
        self.charset.as_deref()
    }

    pub(super) fn delimiter(&self) -> Option<char> {
        self.delimiter
    }
}

pub(super) fn format(text: &str) -> Result<Format, String> {
    Format::named(text).ok_or_else(|| "expected hl7v2, ccda or csv".to_owned())
}

fn constant(text: &str) -> Result<(String, String), String> {
    let (name, value) = text
        .split_once('=')
        .ok_or_else(|| "expected NAME=VALUE".to_owned())?;
    Ok((name.to_owned(), value.to_owned()))
}
