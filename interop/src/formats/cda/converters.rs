//! The maps of a pack for documents, with what a route or a caller says: each is compiled when the first document asks for it.

use std::sync::{Arc, OnceLock};

use crate::formats::Format;
use crate::mapping::{Pack, Zone};

use super::convert::{BadConverter, Converter, MAP};

#[derive(Debug)]
pub struct Converters {
    pack: Arc<Pack>,
    zone: Zone,
    constants: Vec<(String, String)>,
    maps: Vec<Ready>,
}

#[derive(Debug)]
struct Ready {
    name: String,
    converter: OnceLock<Result<Converter, BadConverter>>,
}

/// Why no document can be converted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoConverter {
    #[error("there is no map {0} for clinical documents")]
    Unknown(String),
    #[error("the map {0} cannot be used: {1}")]
    Unready(String, #[source] BadConverter),
}

impl Converters {
    /// `constants`: values by name; each map takes those that it has.
    pub fn new(pack: impl Into<Arc<Pack>>, zone: Zone, constants: &[(String, String)]) -> Self {
        let pack = pack.into();
        let maps = pack.serving(Format::Cda.name()).map(|(name, _)| Ready {
            name: name.to_owned(),
            converter: OnceLock::new(),
        });
        Self {
            maps: maps.collect(),
            pack,
            zone,
            constants: constants.to_vec(),
        }
    }

    /// The converter of a map; None: the one that all documents go through.
    pub fn get(&self, map: Option<&str>) -> Result<&Converter, NoConverter> {
        let name = map.unwrap_or(MAP);
        let ready = self.maps.iter().find(|ready| ready.name == name);
        let ready = ready.ok_or_else(|| NoConverter::Unknown(name.to_owned()))?;
        let made = ready.converter.get_or_init(|| {
            let constants = self.constants.iter();
            let constants: Vec<(&str, &str)> = constants
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect();
            Converter::new(&self.pack, name, self.zone.clone(), &constants)
        });
        made.as_ref()
            .map_err(|bad| NoConverter::Unready(name.to_owned(), bad.clone()))
    }
}
